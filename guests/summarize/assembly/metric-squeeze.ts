// What is given up when the region of a tenant's metrics is full, and in what order.
//
//   1  what nobody can see: extremes that a newer pane outdoes, and the last digits of means
//   2  the lowest bins, up to P25, P45, P70 and P88 in turn: each time first of all of time, then
//      of the panes of 2 h, 5 minutes, 1 minute, 5 s
//   3  the bins up to P97, P98.5, P99.85 and at last all but the greatest
//   4  the oldest pane of the metric with the most bytes becomes part of the next coarser one,
//      which shortens the windows it leaves; the metric says which
//
// Stages 2 and 3 leave the count whole: what is cut joins the highest bin that is cut, which from
// then on answers "at most". A window knows no more of its low values than the pane that was cut
// highest, so a pane is not cut by its own ranks (the P88 of five samples may be the P99 of the
// hour), but at the least P25 .. of all windows it belongs to. A newer pane stays in every window
// for as long as an older one does, hence 1.
// Stage 2 gives back an eighth of the region more than was asked for, so that calls are rare; what
// hurts stops as soon as it may.
import { alloc, mark, release } from "../../sdk/assembly/arena";
import { INDEX_MAX } from "../../sdk/assembly/sketches/dd-sketch";
import { Moments } from "../../sdk/assembly/sketches/moments";
import { BinReader, cutBins } from "../../sdk/assembly/sketches/packed-bins";
import { SPAN_ALL, SPAN_COUNT } from "../../sdk/assembly/spans";
import {
  ELEMENT_CUT,
  ELEMENT_HEADER_BYTES,
  ELEMENT_SLACK_BYTES,
  elementBinsEnd,
  elementBytes,
  elementLevel,
  mergeElements,
  readNumbers,
  writeNumbers,
} from "./metric-panes";
import { newSpanReader, SpanReader } from "./metric-reader";
import { MetricStore } from "./metric-state";

/** Shares of the samples of a window whose bins may go. */
const CUTS: usize = memory.data<f64>([0.25, 0.45, 0.7, 0.88, 0.97, 0.985, 0.9985, 1]);
const CUT_COUNT: u32 = 8;
/** Those that P90 outlives. */
const CUTS_GENTLE: u32 = 4;
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
    const wanted = bytes + (panes.bytes >> (cut < CUTS_GENTLE ? 3 : 4));
    for (let level = <i32>SPAN_ALL; level >= 0; level--) {
      if (panes.free >= wanted) break;
      for (let metric: u32 = 0; metric < panes.count; metric++) {
        const bound = bounds + metric * BOUNDS_BYTES + boundAt(<u32>level, cut);
        cutLevel(panes, metric, <u32>level, load<i32>(bound));
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

/** Cuts the panes of one level at a bin. */
function cutLevel(panes: MetricStore, metric: u32, level: u32, bound: i32): void {
  const start = mark();
  const reader = changetype<BinReader>(alloc(offsetof<BinReader>()));
  const end = panes.endOf(metric);
  let write = panes.panesOf(metric);
  let read = write;
  while (read < end) {
    const size = elementBytes(read);
    const left = elementLevel(read) == level ? cutElement(read, bound, reader) : size;
    if (write != read) memory.copy(write, read, left);
    write += left;
    read += size;
  }
  panes.moveTail(read, write, metric);
  release(start);
}

/** Returns the bytes of the element then. */
function cutElement(element: u32, bound: i32, reader: BinReader): u32 {
  const binsEnd = elementBinsEnd(element);
  const end = cutBins(reader, element + ELEMENT_HEADER_BYTES, binsEnd, bound);
  if (end == binsEnd) return elementBytes(element);
  const numbers = element + elementBytes(element) - binsEnd;
  memory.copy(end, binsEnd, numbers);
  store<u16>(element, <u16>(end + numbers - element));
  store<u8>(element, load<u8>(element, 2) | <u8>ELEMENT_CUT, 2);
  return end + numbers - element;
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
  const merged = mergeElements(first, second);
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
