// What is given up when the region of a tenant's metrics is full, and in what order.
//
//   1  what nobody can see: extremes that a newer pane outdoes, and the last digits of means
//   2  the lowest bins, up to P25 and P45 in turn: each time first of all of time, then of the
//      panes of 2 h, 5 minutes, 1 minute, 5 s
//   3  bins of all of time, then of the panes of 2 h, become pairs of bins: 2 % instead of 1 %
//   4  the lowest bins, up to P49 in panes of 5 minutes and more, then P70 and P88, as in 2
//   5  the bins up to P97, P98.5, P99.85 and at last all but the greatest
//   6  the oldest pane of the metric with the most bytes becomes part of the next coarser one,
//      which shortens the windows it leaves; the metric says which
//
// Stages 2, 4 and 5 leave the count whole: what is cut joins the highest bin that is cut, which from
// then on answers "at most". A window knows no more of its low values than the pane that was cut
// highest, so a pane is not cut by its own ranks (the P88 of five samples may be the P99 of the
// hour), but at the least P25 .. of all windows it belongs to. A newer pane stays in every window
// for as long as an older one does, hence 1.
// A call is dear, up to a millisecond, so a stage gives back an eighth of the region more than was
// asked for, what costs P90 or more a 16th. Pairs and P49, which keep P50 at the last moment, stop
// at a 64th, and no stage from there on begins while that much is free.
import { alloc, mark, release } from "../../sdk/assembly/arena";
import { INDEX_MAX } from "../../sdk/assembly/sketches/dd-sketch";
import { Moments } from "../../sdk/assembly/sketches/moments";
import {
  BinReader,
  BinWriter,
  BINS_SLACK_BYTES,
  NO_INDEX,
} from "../../sdk/assembly/sketches/packed-bins";
import { SPAN_ALL, SPAN_COUNT, SPAN_DAY, SPAN_HOUR } from "../../sdk/assembly/spans";
import {
  ELEMENT_CUT,
  ELEMENT_HEADER_BYTES,
  ELEMENT_PAIRS,
  ELEMENT_SLACK_BYTES,
  elementBinsEnd,
  elementBytes,
  elementHasPairs,
  elementLevel,
  mergeElements,
  openBins,
  readNumbers,
  writeNumbers,
} from "./metric-panes";
import { newSpanReader, SpanReader } from "./metric-reader";
import { MetricStore } from "./metric-state";

/** Shares of the samples of a window whose bins may go. */
const CUTS: usize = memory.data<f64>([0.25, 0.45, 0.49, 0.7, 0.88, 0.97, 0.985, 0.9985, 1]);
const CUT_COUNT: u32 = 9;
/** What each asks for beyond what is wanted, as a share of the region: 1 >> so many. */
const SPARE_SHIFTS: usize = memory.data<u8>([3, 3, 6, 3, 3, 4, 4, 4, 4]);
/** With so much to spare nothing that hurts is begun. */
const SPARE_SHIFT_MAX: u32 = 6;
/** Close to P50: after pairs, and only for panes of so many samples that it hardly moves. */
const CUT_CLOSE: u32 = 2;
/** The bin that takes what is cut can need more bits than it had. */
const CUT_SLACK_BYTES: u32 = BINS_SLACK_BYTES + 32;
const METRIC_NONE: u32 = 0xffffffff;
/** 36 bits of mantissa: a mean to 7e-12. */
const MEAN_BYTES: u32 = 6;
/** Panes of one metric: 12 + 10 + 12 + 12 + 1, and one that comes. */
const ELEMENTS_MAX: u32 = 48;

/** Sees to it that so many bytes are free. */
// @ts-ignore: decorator
@inline
export function makeRoom(panes: MetricStore, bytes: u32): void {
  if (panes.free < bytes) squeeze(panes, bytes);
}

function squeeze(panes: MetricStore, bytes: u32): void {
  const start = mark();
  for (let metric: u32 = 0; metric < panes.count; metric++) trim(panes, metric);
  const bounds = <u32>alloc(panes.count * BOUNDS_BYTES);
  const readerStart = mark();
  const reader = newSpanReader();
  for (let metric: u32 = 0; metric < panes.count; metric++)
    findBounds(panes, metric, reader, bounds + metric * BOUNDS_BYTES);
  release(readerStart);
  for (let cut: u32 = 0; cut < CUT_COUNT; cut++) {
    if (cut >= CUT_CLOSE && panes.free >= bytes + (panes.bytes >> SPARE_SHIFT_MAX)) break;
    const wanted = bytes + (panes.bytes >> <u32>load<u8>(SPARE_SHIFTS + cut));
    if (cut == CUT_CLOSE) {
      for (let level = SPAN_ALL; level >= SPAN_DAY; level--)
        if (panes.free < wanted) pairLevel(panes, level);
    }
    for (let level = <i32>SPAN_ALL; level >= 0; level--) {
      if (panes.free >= wanted) break;
      if (cut == CUT_CLOSE && level < <i32>SPAN_HOUR) break;
      for (let metric: u32 = 0; metric < panes.count; metric++) {
        const bound = bounds + metric * BOUNDS_BYTES + boundAt(<u32>level, cut);
        rewriteLevel(panes, metric, <u32>level, load<i32>(bound), false);
      }
    }
  }
  release(start);
  while (panes.free < bytes && fold(panes)) {}
}

// Bounds of a metric: i32 for each level and cut, up to which bin its panes may be cut.
const BOUNDS_BYTES: u32 = SPAN_COUNT * CUT_COUNT * 4;

// @ts-ignore: decorator
@inline
function boundAt(level: u32, cut: u32): u32 {
  return (level * CUT_COUNT + cut) << 2;
}

function findBounds(panes: MetricStore, metric: u32, reader: SpanReader, bounds: u32): void {
  for (let span: u32 = 0; span < SPAN_COUNT; span++) {
    reader.openClosed(panes, metric, span);
    const total = reader.left;
    let seen: f64 = 0;
    let cut = CUT_COUNT;
    let index = INDEX_MAX;
    while (cut > 0 && reader.next()) {
      seen += reader.binCount;
      index = reader.index;
      while (cut > 0 && seen >= keptOf(total, cut - 1)) {
        cut -= 1;
        store<i32>(bounds + boundAt(span, cut), index);
      }
    }
    while (cut > 0) store<i32>(bounds + boundAt(span, --cut), index);
  }
  for (let level = <i32>SPAN_ALL - 1; level >= 0; level--) {
    for (let cut: u32 = 0; cut < CUT_COUNT; cut++) {
      const own = bounds + boundAt(<u32>level, cut);
      store<i32>(own, min(load<i32>(own), load<i32>(bounds + boundAt(<u32>level + 1, cut))));
    }
  }
}

// @ts-ignore: decorator
@inline
function keptOf(total: f64, cut: u32): f64 {
  return total * (1 - load<f64>(CUTS + (cut << 3)));
}

/** Makes pairs of the bins of the panes of one level, of all metrics. */
function pairLevel(panes: MetricStore, level: u32): void {
  for (let metric: u32 = 0; metric < panes.count; metric++)
    rewriteLevel(panes, metric, level, NO_INDEX, true);
}

/** Writes the panes of one level anew, cut at a bin or in pairs. */
function rewriteLevel(
  panes: MetricStore,
  metric: u32,
  level: u32,
  bound: i32,
  toPairs: bool,
): void {
  const start = mark();
  const reader = changetype<BinReader>(alloc(offsetof<BinReader>()));
  const writer = changetype<BinWriter>(alloc(offsetof<BinWriter>()));
  const end = panes.endOf(metric);
  let write = panes.panesOf(metric);
  let read = write;
  while (read < end) {
    const size = elementBytes(read);
    let left = size;
    if (elementLevel(read) == level && !(toPairs && elementHasPairs(read)))
      left = rewrite(read, bound, toPairs, reader, writer);
    if (write != read) memory.copy(write, read, left);
    write += left;
    read += size;
  }
  panes.moveTail(read, write, metric);
  release(start);
}

/**
 * Makes one of all bins at or below `bound`, the highest of them, or pairs of all; unless that
 * saves nothing. Returns the bytes of the element then.
 */
function rewrite(
  element: u32,
  bound: i32,
  toPairs: bool,
  reader: BinReader,
  writer: BinWriter,
): u32 {
  const start = mark();
  const from = element + ELEMENT_HEADER_BYTES;
  const binsEnd = elementBinsEnd(element);
  const size = elementBytes(element);
  const hasPairs = toPairs || elementHasPairs(element);
  const to = <u32>alloc(binsEnd - from + CUT_SLACK_BYTES);
  writer.open(to, binsEnd - from + CUT_SLACK_BYTES, hasPairs);
  openBins(reader, element, hasPairs);
  let isCut = false;
  while (reader.next()) {
    if (reader.index <= bound && !isCut) {
      writer.floor = reader.index;
      isCut = true;
    }
    writer.put(reader.index, reader.count);
  }
  const bytes = writer.finish() - to;
  let left = size;
  if (bytes < binsEnd - from && !writer.collapsed) {
    const numbers = element + size - binsEnd;
    memory.copy(from, to, bytes);
    memory.copy(from + bytes, binsEnd, numbers);
    left = ELEMENT_HEADER_BYTES + bytes + numbers;
    store<u16>(element, <u16>left);
    const flags = (isCut ? ELEMENT_CUT : 0) | (hasPairs ? ELEMENT_PAIRS : 0);
    store<u8>(element, load<u8>(element, 2) | <u8>flags, 2);
  }
  release(start);
  return left;
}

/** Drops extremes that newer panes outdo, and shortens means. */
function trim(panes: MetricStore, metric: u32): void {
  const start = mark();
  const outdone = changetype<Moments>(alloc(offsetof<Moments>() * ELEMENTS_MAX));
  const moments = changetype<Moments>(alloc(offsetof<Moments>()));
  const copy = <u32>alloc(ELEMENT_SLACK_BYTES);
  collectOutdone(panes, metric, changetype<usize>(outdone), moments);
  const end = panes.endOf(metric);
  let write = panes.panesOf(metric);
  let read = write;
  let newer = changetype<usize>(outdone);
  while (read < end) {
    const size = elementBytes(read);
    const binsBytes = elementBinsEnd(read) - read - ELEMENT_HEADER_BYTES;
    readNumbers(read, moments);
    if (moments.min >= load<f64>(newer, offsetof<Moments>("min"))) moments.min = Infinity;
    if (moments.max <= load<f64>(newer, offsetof<Moments>("max"))) moments.max = -Infinity;
    memory.copy(copy, read, ELEMENT_HEADER_BYTES);
    const left = writeNumbers(copy, copy + ELEMENT_HEADER_BYTES, moments, MEAN_BYTES);
    memory.copy(write + ELEMENT_HEADER_BYTES, read + ELEMENT_HEADER_BYTES, binsBytes);
    memory.copy(write, copy, ELEMENT_HEADER_BYTES);
    memory.copy(
      write + ELEMENT_HEADER_BYTES + binsBytes,
      copy + ELEMENT_HEADER_BYTES,
      left - ELEMENT_HEADER_BYTES,
    );
    store<u16>(write, <u16>(left + binsBytes));
    write += left + binsBytes;
    read += size;
    newer += offsetof<Moments>();
  }
  panes.moveTail(read, write, metric);
  release(start);
}

/** For each pane the least and the greatest of all newer ones, the open one included. */
function collectOutdone(panes: MetricStore, metric: u32, to: usize, moments: Moments): void {
  let elements: u32 = 0;
  for (let at = panes.panesOf(metric); at < panes.endOf(metric); at += elementBytes(at)) {
    readNumbers(at, changetype<Moments>(to + elements * offsetof<Moments>()));
    elements += 1;
  }
  const open = panes.openOf(metric);
  let least: f64 = open.count == 0 ? Infinity : open.min;
  let greatest: f64 = open.count == 0 ? -Infinity : open.max;
  while (elements-- > 0) {
    const own = changetype<Moments>(to + elements * offsetof<Moments>());
    const ownLeast = own.min;
    const ownGreatest = own.max;
    own.min = least;
    own.max = greatest;
    least = min<f64>(least, ownLeast);
    greatest = max<f64>(greatest, ownGreatest);
  }
}

/** Merges the two oldest panes of the greatest metric; false if every metric has but one. */
function fold(panes: MetricStore): bool {
  let metric = METRIC_NONE;
  let most: u32 = 0;
  for (let other: u32 = 0; other < panes.count; other++) {
    const first = panes.panesOf(other);
    const bytes = panes.endOf(other) - first;
    if (bytes <= most || first + elementBytes(first) == panes.endOf(other)) continue;
    metric = other;
    most = bytes;
  }
  if (metric == METRIC_NONE) return false;
  const start = mark();
  const first = panes.panesOf(metric);
  const second = first + elementBytes(first);
  const next = second + elementBytes(second);
  const merged = mergeElements(first, second, next - first + panes.free);
  const size = elementBytes(merged);
  // Two tiny panes can make a greater one.
  const fits = next - first + panes.free >= size;
  if (fits) {
    const level = elementLevel(second);
    const left = max(elementLevel(first), level + 1);
    for (let span = level; span < left; span++) panes.shorten(metric, span);
    panes.moveTail(next, first + size, metric);
    memory.copy(first, merged, size);
    panes.folded += 1;
  }
  release(start);
  return fits;
}
