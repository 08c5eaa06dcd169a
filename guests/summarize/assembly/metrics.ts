// The metrics of a tenant: up to 16 named streams of numbers, each over five windows at once.
//
// A sample goes into the open pane, rows shared by all metrics (metric-open.ts), and into the
// moments of its metric; late ones wait a little (metric-late.ts). Closed panes are byte strings
// that move from window to window (metric-panes.ts); a window is read by going through its panes
// (metric-reader.ts). When the region is full, the lowest bins of the oldest panes go first
// (metric-squeeze.ts).
//
// Error: every count is exact. A quantile is within 1 % of the sample it stands for (2 % where the
// report says so: in the windows day and all of a full region), unless it lies at or below
// `collapsedBelow`, which says that nothing but "at most this" is known. Means are exact to 1e-11,
// variances to 1e-7. Cost: 12 bytes for eight bins of the open pane, about a byte a bin of a closed
// one, and 20 bytes more for each pane; no division but Welford's and no logarithm for a sample.
//
// All addresses are absolute: a store lies where it lay when it was opened.
import { alloc, mark, release } from "../../sdk/assembly/arena";
import { equalBytes } from "../../sdk/assembly/sketches/bytes";
import {
  indexOf,
  isCountable,
  relativeErrorOf,
  upperOf,
} from "../../sdk/assembly/sketches/dd-sketch";
import { NO_INDEX } from "../../sdk/assembly/sketches/packed-bins";
import {
  BIN_BYTES,
  compareNames,
  METRIC_HEADER_BYTES,
  METRIC_PAIRS,
  METRIC_SHORTENED,
  MetricReport,
  PortableMetric,
  SECTION_HEADER_BYTES,
} from "../../sdk/assembly/sketches/portable-metric";
import {
  QUANTILES,
  RANK_SEARCH_BYTES,
  RankSearch,
} from "../../sdk/assembly/sketches/quantile-ranks";
import { levelPane, PANE_BIAS, SPAN_ALL } from "../../sdk/assembly/spans";
import { addLate, flushLate } from "./metric-late";
import { addOpen, flushOpen, shrinkOpen, sortRows } from "./metric-open";
import { newRoll, promote } from "./metric-panes";
import { newSpanReader, SpanReader } from "./metric-reader";
import { makeRoom } from "./metric-squeeze";
import { METRICS_MAX, MetricStore, ROW_BYTES, ROWS_AT, ROWS_MIN } from "./metric-state";

const NO_METRIC: u32 = 0xffffffff;
const SPANS_ALWAYS: u32 = 0b10001;

/** The metrics at an address, empty or not. Reading an empty store is fine. */
// @ts-ignore: decorator
@inline
export function metricsAt(address: usize): MetricStore {
  return changetype<MetricStore>(address);
}

/** Before the first sample: a region of zeros becomes a store. Later calls change nothing. */
export function openMetrics(address: usize, bytes: u32, spans: u32, current: u32): MetricStore {
  const panes = metricsAt(address);
  if (panes.bytes != 0) return panes;
  panes.bytes = bytes;
  panes.current = current;
  panes.spans = spans | SPANS_ALWAYS;
  panes.rows = ROWS_MIN;
  panes.heapEnd = panes.table + ROWS_AT + ROWS_MIN * ROW_BYTES;
  return panes;
}

/**
 * Which spans are kept: bit n for span n. One that is left out is forgotten at the next roll; one
 * that comes has only the samples from now on, and says so until its window holds no others.
 */
export function setMetricSpans(panes: MetricStore, spans: u32): void {
  if (panes.bytes == 0) return;
  const kept = spans | SPANS_ALWAYS;
  for (let span: u32 = 0; span < SPAN_ALL; span++) {
    if (((kept & ~panes.spans) >> span & 1) == 0) continue;
    for (let metric: u32 = 0; metric < panes.count; metric++) panes.shorten(metric, span);
  }
  panes.spans = kept;
}

/**
 * Hot. Counts a sample of `weight` (1 or more equal ones). `pane` is the one of its event,
 * `current` the newest, both of 5 s. False: there is no room for the name, and the sample was
 * refused. What is no finite number is ignored; both are counted. Name at most 64 bytes.
 */
export function addMetric(
  panes: MetricStore,
  name: usize,
  nameBytes: u32,
  value: f64,
  weight: u32,
  pane: u32,
  current: u32,
): bool {
  if (current > panes.current) rollMetrics(panes, current);
  if (!isCountable(value) || weight == 0) {
    panes.ignored += 1;
    return true;
  }
  const metric = metricOf(panes, name, nameBytes);
  if (metric == NO_METRIC) {
    panes.refused += 1;
    return false;
  }
  if (pane < panes.current) {
    addLate(panes, metric, value, weight, max(pane, PANE_BIAS));
    return true;
  }
  // The bin first: it may close the pane so far, and its moments with it.
  addOpen(panes, metric, indexOf(value), weight);
  panes.openOf(metric).add(value, <f64>weight);
  return true;
}

/** Time has gone on to `current`. */
export function rollMetrics(panes: MetricStore, current: u32): void {
  if (panes.bytes == 0 || current <= panes.current) return;
  const used = panes.rowsUsed;
  flushLate(panes);
  flushOpen(panes);
  const from = panes.current;
  panes.current = current;
  for (let span: u32 = 0; span < SPAN_ALL; span++)
    panes.lengthen(span, levelPane(span, current) - levelPane(span, from));
  const start = mark();
  const roll = newRoll(panes, from);
  for (let metric: u32 = 0; metric < panes.count; metric++) promote(panes, metric, from, roll);
  release(start);
  shrinkOpen(panes, used);
}

/** Fills the report of the metric over the span; false if the span is not kept or has no sample. */
export function reportMetric(
  panes: MetricStore,
  metric: u32,
  span: u32,
  to: MetricReport,
): bool {
  if (!isKept(panes, span)) return false;
  const start = mark();
  const reader = newSpanReader();
  reader.open(panes, metric, span, sortRows(panes));
  const moments = reader.moments;
  if (moments.count > 0) {
    to.name = panes.nameOf(metric);
    to.nameBytes = panes.nameBytesOf(metric);
    to.isShortened = span < SPAN_ALL && panes.isShortened(metric, span) ? 1 : 0;
    to.setMoments(moments);
    to.relativeError = relativeErrorOf(reader.width);
    to.collapsedBelow = collapsedBelow(reader);
    const search = changetype<RankSearch>(alloc(RANK_SEARCH_BYTES));
    search.open(moments.count, reader.width);
    while (reader.next()) search.feed(reader.index, reader.binCount);
    for (let quantile: u32 = 0; quantile < QUANTILES; quantile++)
      search.answer(quantile, moments, reader.collapsed, to.quantile(quantile));
  }
  const found = moments.count > 0;
  release(start);
  return found;
}

/**
 * Bytes of section 5 of the portable form, for the metrics with samples in the span. At most
 * `binsMax` bins each: a metric with more gives up its lowest, and says so.
 */
export function metricsEncodedBytes(panes: MetricStore, span: u32, binsMax: u32): u32 {
  let bytes = SECTION_HEADER_BYTES;
  if (!isKept(panes, span)) return bytes;
  const start = mark();
  const reader = newSpanReader();
  const rows = sortRows(panes);
  for (let metric: u32 = 0; metric < panes.count; metric++) {
    reader.open(panes, metric, span, rows);
    if (reader.moments.count == 0) continue;
    bytes += METRIC_HEADER_BYTES + (panes.nameBytesOf(metric) + 7 & ~7);
    bytes += countBins(reader, binsMax) * BIN_BYTES;
  }
  release(start);
  return bytes;
}

/** The greatest `binsMax` with which the section takes at most `bytesMax` bytes; at least 1. */
export function metricsBinsMax(panes: MetricStore, span: u32, bytesMax: u32): u32 {
  let low: u32 = 1;
  let high: u32 = 4096;
  while (low < high) {
    const middle = low + high + 1 >> 1;
    if (metricsEncodedBytes(panes, span, middle) <= bytesMax) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * Writes section 5, metrics in the order of their names; returns its bytes, which are those of
 * `metricsEncodedBytes` for the same arguments.
 */
export function encodeMetrics(panes: MetricStore, at: u32, span: u32, binsMax: u32): u32 {
  const start = mark();
  let end = at + SECTION_HEADER_BYTES;
  let count: u32 = 0;
  if (isKept(panes, span)) {
    const reader = newSpanReader();
    const rows = sortRows(panes);
    let metric = nextByName(panes, NO_METRIC);
    for (; metric != NO_METRIC; metric = nextByName(panes, metric)) {
      reader.open(panes, metric, span, rows);
      if (reader.moments.count == 0) continue;
      const bins = countBins(reader, binsMax);
      reader.open(panes, metric, span, rows);
      end = encodeMetric(panes, metric, span, reader, bins, end);
      count += 1;
    }
  }
  store<u32>(at, count);
  store<u32>(at, 0, 4);
  release(start);
  return end - at;
}

/** The metric whose name follows, NO_METRIC for the first and after the last. */
function nextByName(panes: MetricStore, after: u32): u32 {
  let next = NO_METRIC;
  for (let metric: u32 = 0; metric < panes.count; metric++) {
    if (after != NO_METRIC && compareMetrics(panes, metric, after) <= 0) continue;
    if (next == NO_METRIC || compareMetrics(panes, metric, next) < 0) next = metric;
  }
  return next;
}

function compareMetrics(panes: MetricStore, left: u32, right: u32): i32 {
  return compareNames(
    panes.nameOf(left),
    panes.nameBytesOf(left),
    panes.nameOf(right),
    panes.nameBytesOf(right),
  );
}

// @ts-ignore: decorator
@inline
function isKept(panes: MetricStore, span: u32): bool {
  return panes.bytes != 0 && (panes.spans >> span & 1) != 0;
}

/** Hot. The metric of the name, a new one if there is room. */
// @ts-ignore: decorator
@inline
function metricOf(panes: MetricStore, name: usize, nameBytes: u32): u32 {
  const signature = signatureOf(name, nameBytes);
  const count = panes.count;
  for (let metric: u32 = 0; metric < count; metric++) {
    if (load<u32>(panes.signatureAt(metric)) != signature) continue;
    if (panes.nameBytesOf(metric) != nameBytes) continue;
    if (equalBytes(panes.nameOf(metric), name, nameBytes)) return metric;
  }
  return openMetric(panes, name, nameBytes, signature);
}

function openMetric(panes: MetricStore, name: usize, nameBytes: u32, signature: u32): u32 {
  if (panes.count == METRICS_MAX) return NO_METRIC;
  makeRoom(panes, nameBytes);
  if (panes.free < nameBytes) return NO_METRIC;
  const metric = panes.append(name, nameBytes);
  store<u32>(panes.signatureAt(metric), signature);
  return metric;
}

/** Of the length and both ends of a name; names that share them are told apart byte by byte. */
// @ts-ignore: decorator
@inline
function signatureOf(name: usize, bytes: u32): u32 {
  let word = <u64>bytes;
  if (bytes >= 8) {
    word ^= load<u64>(name) ^ rotl<u64>(load<u64>(name + bytes - 8), 29);
  } else {
    for (let at: u32 = 0; at < bytes; at++) word = word << 8 ^ <u64>load<u8>(name + at);
  }
  return <u32>(word * 0x9e3779b97f4a7c15 >> 32);
}

// @ts-ignore: decorator
@inline
function collapsedBelow(reader: SpanReader): f64 {
  return reader.collapsed == NO_INDEX ? -Infinity : upperOf(reader.collapsed, reader.width);
}

/** Bins that are written, zero not counted: it has a field of its own. */
function countBins(reader: SpanReader, binsMax: u32): u32 {
  let bins: u32 = 0;
  while (bins < binsMax && reader.next()) if (reader.index != 0) bins += 1;
  return bins;
}

function encodeMetric(
  panes: MetricStore,
  metric: u32,
  span: u32,
  reader: SpanReader,
  bins: u32,
  at: u32,
): u32 {
  const to = changetype<PortableMetric>(<usize>at);
  const nameBytes = panes.nameBytesOf(metric);
  const moments = reader.moments;
  to.open(panes.nameOf(metric), nameBytes, bins);
  to.setMoments(moments);
  const isShortened = span < SPAN_ALL && panes.isShortened(metric, span);
  const pairs = reader.width == 2 ? METRIC_PAIRS : 0;
  to.flags = <u16>(isShortened ? METRIC_SHORTENED | pairs : pairs);
  to.collapsedBelow = collapsedBelow(reader);
  let bin = to.bins + bins * BIN_BYTES;
  let index: i32 = 0;
  while (bin > to.bins && reader.next()) {
    index = reader.index;
    if (index == 0) {
      to.zeroCount = reader.binCount;
      continue;
    }
    bin -= BIN_BYTES;
    store<i32>(bin, index);
    store<u32>(bin, 0, 4);
    store<f64>(bin, reader.binCount, 8);
  }
  if (reader.next()) {
    if (reader.index == 0 && reader.left <= 0) {
      to.zeroCount = reader.binCount;
    } else {
      // More bins than may be written: the lowest of those takes the rest.
      store<f64>(bin, load<f64>(bin, 8) + reader.binCount + reader.left, 8);
      to.collapsedBelow = upperOf(index, reader.width);
    }
  }
  return to.end;
}
