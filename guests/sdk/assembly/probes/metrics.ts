// A store of metrics alone, for the property tests against lists of all samples; and the sketch,
// the moments and the merge by themselves. The low page behind the statics is scratch.
import { alloc, reset, STATE_ADDRESS } from "../arena";
import { indexOf, lowerOf, pairOf, upperOf, valueOf } from "../sketches/dd-sketch";
import { checkMetrics, mergeMetrics, reportPortable } from "../sketches/metric-merge";
import { Moments } from "../sketches/moments";
import { BinReader, BinWriter } from "../sketches/packed-bins";
import { METRIC_REPORT_BYTES, MetricReport } from "../sketches/portable-metric";
import { QUANTILE_BYTES, RANK_SEARCH_BYTES, RankSearch } from "../sketches/quantile-ranks";
import {
  addMetric,
  encodeMetrics,
  metricsAt,
  metricsBinsMax,
  metricsEncodedBytes,
  openMetrics,
  reportMetric,
  rollMetrics,
  setMetricSpans,
} from "../../../summarize/assembly/metrics";

const NAME: usize = memory.data(80, 8);
const REPORT: usize = memory.data(512, 8);

export function clear(): void {
  memory.fill(STATE_ADDRESS, 0, 0x10000);
}

export function open(bytes: u32, spans: u32, current: u32): void {
  openMetrics(STATE_ADDRESS, bytes, spans, current);
}

export function setSpans(spans: u32): void {
  setMetricSpans(metricsAt(STATE_ADDRESS), spans);
}

export function nameAt(): usize {
  return NAME;
}

export function add(bytes: u32, value: f64, weight: u32, pane: u32, current: u32): bool {
  return addMetric(metricsAt(STATE_ADDRESS), NAME, bytes, value, weight, pane, current);
}

/** Adds `count` samples { f64 value } at `values` to the metrics m0, m1, .. in turn. */
export function addMany(values: usize, count: u32, metrics: u32, pane: u32): void {
  const store_ = metricsAt(STATE_ADDRESS);
  store<u8>(NAME, 0x6d);
  for (let at: u32 = 0; at < count; at++) {
    store<u8>(NAME, <u8>(0x61 + at % metrics), 1);
    addMetric(store_, NAME, 8, load<f64>(values + (at << 3)), 1, pane, pane);
  }
}

export function roll(current: u32): void {
  rollMetrics(metricsAt(STATE_ADDRESS), current);
}

export function count(): u32 {
  return metricsAt(STATE_ADDRESS).count;
}

export function refused(): f64 {
  return metricsAt(STATE_ADDRESS).refused;
}

export function ignored(): f64 {
  return metricsAt(STATE_ADDRESS).ignored;
}

export function folded(): f64 {
  return metricsAt(STATE_ADDRESS).folded;
}

/** Bytes of the region in use. */
export function used(): u32 {
  const panes = metricsAt(STATE_ADDRESS);
  return panes.bytes == 0 ? 0 : panes.heapEnd - panes.base;
}

/** Address of the report, 0 if there is none. */
export function report(metric: u32, span: u32): usize {
  const to = changetype<MetricReport>(REPORT);
  const found = reportMetric(metricsAt(STATE_ADDRESS), metric, span, to);
  reset();
  return found ? REPORT : 0;
}

export function binsMax(span: u32, bytes: u32): u32 {
  const result = metricsBinsMax(metricsAt(STATE_ADDRESS), span, bytes);
  reset();
  return result;
}

/** Address of a section, its bytes before it; until `forget`. */
export function encode(span: u32, bins: u32): usize {
  const panes = metricsAt(STATE_ADDRESS);
  const bytes = metricsEncodedBytes(panes, span, bins);
  const at = alloc(bytes + 8) + 8;
  store<u32>(at - 8, bytes);
  store<u32>(at - 8, encodeMetrics(panes, <u32>at, span, bins), 4);
  return at;
}

export function place(bytes: u32): usize {
  return alloc(bytes);
}

export function forget(): void {
  reset();
}

export function check(at: u32, bytes: u32): bool {
  return checkMetrics(at, bytes);
}

export function merge(left: u32, right: u32, to: u32): u32 {
  return mergeMetrics(left, right, to);
}

/** Reports the metric at `at`; returns where the next one begins. */
export function reportSection(at: u32): u32 {
  return reportPortable(at, changetype<MetricReport>(REPORT));
}

export function reportAt(): usize {
  return REPORT;
}

export function reportBytes(): u32 {
  return METRIC_REPORT_BYTES;
}

/** Packs { i32 index, u32 0, f64 count } x `bins`, greatest first; returns where it ends. */
export function pack(from: usize, bins: u32, to: u32, bytesMax: u32, hasPairs: bool): u32 {
  const writer = changetype<BinWriter>(alloc(offsetof<BinWriter>()));
  writer.open(to, bytesMax, hasPairs);
  for (let bin = from; bin < from + (bins << 4); bin += 16)
    writer.put(load<i32>(bin), load<f64>(bin, 8));
  return writer.finish();
}

/** Back into bins; returns their number. */
export function unpack(from: u32, end: u32, to: usize, hasPairs: bool, wantsPairs: bool): u32 {
  const reader = changetype<BinReader>(alloc(offsetof<BinReader>()));
  reader.open(from, end, hasPairs, wantsPairs);
  let bins: u32 = 0;
  for (; reader.next(); bins++) {
    store<i32>(to + (bins << 4), reader.index);
    store<f64>(to + (bins << 4), reader.count, 8);
  }
  return bins;
}

export function binOf(value: f64): i32 {
  return indexOf(value);
}

export function answerOf(index: i32): f64 {
  return valueOf(index);
}

export function lower(index: i32): f64 {
  return lowerOf(index);
}

export function upper(index: i32): f64 {
  return upperOf(index);
}

/** Of the pair that a bin is part of: its index, and what it says. */
export function pair(index: i32): i32 {
  return pairOf(index);
}

export function pairAnswer(pair: i32): f64 {
  return valueOf(pair, 2);
}

export function pairLower(pair: i32): f64 {
  return lowerOf(pair, 2);
}

export function pairUpper(pair: i32): f64 {
  return upperOf(pair, 2);
}

/** Moments in scratch: until `forget`. */
export function newMoments(): usize {
  return alloc(offsetof<Moments>());
}

export function addMoment(at: usize, value: f64, weight: f64): void {
  changetype<Moments>(at).add(value, weight);
}

export function mergeMoments(at: usize, other: usize): void {
  changetype<Moments>(at).merge(changetype<Moments>(other));
}

/** Ranks from the top of the order statistics that bound quantile `quantile` of `total` samples. */
export function rank(total: f64, quantile: u32, which: u32): f64 {
  const search = changetype<RankSearch>(alloc(RANK_SEARCH_BYTES));
  search.open(total, 1);
  const above = search.aboveOf(quantile, which);
  reset();
  return above;
}

export function quantileBytes(): u32 {
  return QUANTILE_BYTES;
}
