// Metrics of all sketches by name: metric-merge.ts adds two sections up, this file bounds them.
//
// Of names the first MERGE_METRIC_NAMES_MAX in the order of their bytes are kept, and of a metric
// its MERGE_METRIC_BINS_MAX highest bins, or half as many pairs of bins, which are as many bins at
// most: which came first does not matter. Lower ones join the lowest that is kept, and
// `collapsedBelow` says so. Both keep the top of a set, and the top of a union is the top of the
// tops: so what is kept, and every count, is the same in any order and any grouping. Samples of a
// name that is left out are counted as refused, whether it came so or lost its place later.
//
// Counts of samples are sums of bins. They are exact to 2^53; a sketch that claims more than any
// clock could have counted stops at 2^900 a bin, so that no sum ever leaves the numbers.
import { upperOf } from "../../guests/sdk/assembly/sketches/dd-sketch";
import { mergeMetrics } from "../../guests/sdk/assembly/sketches/metric-merge";
import {
  BIN_BYTES, PortableMetric, SECTION_HEADER_BYTES,
} from "../../guests/sdk/assembly/sketches/portable-metric";
import { METRICS, METRICS_BYTES } from "./layout";
import { MERGE_METRIC_BINS_MAX, MERGE_METRIC_NAMES_MAX } from "./limits.gen";

const BIN_COUNT_MAX: f64 = reinterpret<f64>(<u64>(1023 + 900) << 52);

/** The section merged so far: in one half of the room, the other is for the next. */
let section: usize = METRICS;
let bytes: u32 = SECTION_HEADER_BYTES;

export function openMetrics(): void {
  section = METRICS;
  bytes = SECTION_HEADER_BYTES;
  store<u64>(section, 0);
}

/** Adds a checked section. Returns how many samples lost their place. */
export function addMetrics(at: usize): f64 {
  if (load<u32>(at) == 0) return 0;
  const to = section == METRICS ? METRICS + METRICS_BYTES : METRICS;
  mergeMetrics(<u32>section, <u32>at, <u32>to);
  section = to;
  return bound();
}

export function metricsSection(): usize {
  return section;
}

export function metricsSectionBytes(): u32 {
  return bytes;
}

/** Brings the section within its bounds, in place: what is written is never ahead of what is read. */
function bound(): f64 {
  const count = load<u32>(section);
  let from = section + SECTION_HEADER_BYTES;
  let to = from;
  let refused: f64 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const metric = changetype<PortableMetric>(from);
    const next = <usize>metric.end;
    if (index < MERGE_METRIC_NAMES_MAX) {
      addUp(metric);
      cut(metric);
      const length = <usize>metric.end - from;
      if (to != from) memory.copy(to, from, length);
      to += length;
    } else {
      refused += metric.count;
    }
    from = next;
  }
  store<u32>(section, min(count, MERGE_METRIC_NAMES_MAX));
  bytes = <u32>(to - section);
  return refused;
}

/** The count from the bins, as whoever checks it adds it up; the mean within its bounds. */
function addUp(metric: PortableMetric): void {
  metric.zeroCount = min<f64>(metric.zeroCount, BIN_COUNT_MAX);
  let count = metric.zeroCount;
  for (let bin = metric.bins; bin < metric.end; bin += BIN_BYTES) {
    const ofBin = min<f64>(load<f64>(bin, 8), BIN_COUNT_MAX);
    store<f64>(bin, ofBin, 8);
    count += ofBin;
  }
  metric.count = count;
  metric.mean = max<f64>(metric.min, min<f64>(metric.mean, metric.max));
}

/** Leaves the highest bins, that of zero being one. */
function cut(metric: PortableMetric): void {
  const bins = metric.binCount;
  const zeros: u32 = metric.zeroCount > 0 ? 1 : 0;
  const most = MERGE_METRIC_BINS_MAX / <u32>metric.width;
  if (bins + zeros <= most) return;
  const excess = bins + zeros - most;
  let negatives: u32 = 0;
  while (negatives < bins && load<i32>(metric.bins + negatives * BIN_BYTES) < 0) negatives += 1;
  // How many entries go: those below the lowest bin that is kept, and it takes their samples.
  const isZeroGone = zeros == 1 && excess > negatives;
  const gone = isZeroGone ? excess - 1 : excess;
  let samples: f64 = isZeroGone ? metric.zeroCount : 0;
  for (let index: u32 = 0; index < gone; index++)
    samples += load<f64>(metric.bins + index * BIN_BYTES, 8);
  const lowest = metric.bins + gone * BIN_BYTES;
  if (isZeroGone) metric.zeroCount = 0;
  if (zeros == 1 && excess == negatives) {
    metric.zeroCount += samples;
    metric.collapsedBelow = 0;
  } else {
    store<f64>(lowest, load<f64>(lowest, 8) + samples, 8);
    metric.collapsedBelow = upperOf(load<i32>(lowest), metric.width);
  }
  memory.copy(metric.bins, lowest, (bins - gone) * BIN_BYTES);
  metric.binCount = bins - gone;
}
