// Late samples on their way into closed panes.
//
// Changing a closed pane means writing it anew, a few microseconds. Samples are late in groups:
// most belong to the pane that has just closed. So they wait until 16 have come, or time goes on,
// and those of one metric and pane are added as one. Reports read those that wait.
//
//   0 f64 value    8 u32 metric * 2^28 + weight    12 u32 pane
import { alloc, mark, release } from "../../sdk/assembly/arena";
import { indexOf } from "../../sdk/assembly/sketches/dd-sketch";
import { Moments } from "../../sdk/assembly/sketches/moments";
import { BinWriter, BINS_SLACK_BYTES } from "../../sdk/assembly/sketches/packed-bins";
import {
  ELEMENT_HEADER_BYTES,
  ELEMENT_SLACK_BYTES,
  insertElement,
  placeOf,
  writeNumbers,
} from "./metric-panes";
import { MetricStore } from "./metric-state";

export const LATE_BYTES: u32 = 16;
export const LATE_MAX: u32 = 16;
const METRIC_SHIFT: u32 = 28;
const WEIGHT_MAX: u32 = (1 << METRIC_SHIFT) - 1;
/** A bin of a sample: three values, with lengths of at most 18, 28 and 28 bits. */
const BIN_BYTES_MAX: u32 = 18;
// A sample of a group: i32 index, u32 weight.
const SAMPLE_BYTES: u32 = 8;

/** Takes a sample of a pane before the current one. */
export function addLate(
  panes: MetricStore,
  metric: u32,
  value: f64,
  weight: u32,
  pane: u32,
): void {
  while (weight > WEIGHT_MAX) {
    putLate(panes, metric, value, WEIGHT_MAX, pane);
    weight -= WEIGHT_MAX;
  }
  putLate(panes, metric, value, weight, pane);
}

/** Adds all that wait to their panes. */
export function flushLate(panes: MetricStore): void {
  if (panes.lateCount == 0) return;
  for (let first: u32 = 0; first < panes.lateCount; first++)
    if (lateWeight(panes.late + first * LATE_BYTES) != 0) flushGroup(panes, first);
  memory.fill(panes.late, 0, panes.lateCount * LATE_BYTES);
  panes.lateCount = 0;
}

// @ts-ignore: decorator
@inline
export function lateMetric(sample: u32): u32 {
  return load<u32>(sample, 8) >> METRIC_SHIFT;
}

// @ts-ignore: decorator
@inline
export function lateWeight(sample: u32): u32 {
  return load<u32>(sample, 8) & WEIGHT_MAX;
}

// @ts-ignore: decorator
@inline
export function latePane(sample: u32): u32 {
  return load<u32>(sample, 12);
}

function putLate(panes: MetricStore, metric: u32, value: f64, weight: u32, pane: u32): void {
  if (panes.lateCount == LATE_MAX) flushLate(panes);
  const sample = panes.late + panes.lateCount++ * LATE_BYTES;
  store<f64>(sample, value);
  store<u32>(sample, metric << METRIC_SHIFT | weight, 8);
  store<u32>(sample, pane, 12);
}

/** Adds the sample and those behind it that go the same way, and leaves them without weight. */
function flushGroup(panes: MetricStore, first: u32): void {
  const start = mark();
  const end = panes.late + panes.lateCount * LATE_BYTES;
  const from = panes.late + first * LATE_BYTES;
  const metric = lateMetric(from);
  const pane = latePane(from);
  const place = placeOf(panes, pane, 0);
  const moments = changetype<Moments>(alloc(offsetof<Moments>()));
  const samples = <u32>alloc(LATE_MAX * SAMPLE_BYTES);
  let count: u32 = 0;
  for (let sample = from; sample < end; sample += LATE_BYTES) {
    const weight = lateWeight(sample);
    if (weight == 0 || lateMetric(sample) != metric) continue;
    if (placeOf(panes, latePane(sample), 0) != place) continue;
    moments.add(load<f64>(sample), <f64>weight);
    insertSample(samples, count++, indexOf(load<f64>(sample)), weight);
    store<u32>(sample, 0, 8);
  }
  const bytesMax = count * BIN_BYTES_MAX + BINS_SLACK_BYTES;
  const element = <u32>alloc(bytesMax + ELEMENT_SLACK_BYTES);
  const writer = changetype<BinWriter>(alloc(offsetof<BinWriter>()));
  writer.open(element + ELEMENT_HEADER_BYTES, bytesMax, false);
  for (let at = samples; at < samples + count * SAMPLE_BYTES; at += SAMPLE_BYTES)
    writer.put(load<i32>(at), <f64>load<u32>(at, 4));
  writeNumbers(element, writer.finish(), moments, 8);
  insertElement(panes, metric, pane, element);
  release(start);
}

/** Keeps the samples in order, the greatest first. */
function insertSample(samples: u32, count: u32, index: i32, weight: u32): void {
  let at = samples + count * SAMPLE_BYTES;
  while (at > samples && load<i32>(at - SAMPLE_BYTES) < index) {
    store<u64>(at, load<u64>(at - SAMPLE_BYTES));
    at -= SAMPLE_BYTES;
  }
  store<i32>(at, index);
  store<u32>(at, weight, 4);
}
