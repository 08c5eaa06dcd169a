// Metrics of several tenants, or of several spans of one, as if they were one stream.
//
// A merged section is again a section, so merging is a function of two of them: names in order,
// bins added, moments by Chan. Where one side was cut at some bin, both are: bins at or below the
// highest cut become one. Where one side has pairs of bins, both become pairs. So the merge is
// commutative, and associative in all counts and bins;
// means and variances are so but for rounding. A section takes at most the bytes of the two it came
// from.
//
// `checkMetrics` first: merging and reporting trust what they read. All of it is one pass.
import { alloc, mark, release } from "../arena";
import { INDEX_MAX, isCountable, pairOf, relativeErrorOf, upperOf } from "./dd-sketch";
import { Moments } from "./moments";
import { NO_INDEX } from "./packed-bins";
import {
  BIN_BYTES,
  compareNames,
  METRIC_HEADER_BYTES,
  METRIC_SHORTENED,
  MetricReport,
  PortableMetric,
  SECTION_HEADER_BYTES,
} from "./portable-metric";
import { QUANTILES, RANK_SEARCH_BYTES, RankSearch } from "./quantile-ranks";

const NAME_BYTES_MAX: u32 = 64;

/** Whether the bytes are a section of metrics. */
export function checkMetrics(at: u32, bytes: u32): bool {
  if (bytes < SECTION_HEADER_BYTES) return false;
  if (load<u32>(at, 4) != 0) return false;
  const end = at + bytes;
  let previous: u32 = 0;
  let next = at + SECTION_HEADER_BYTES;
  for (let left = load<u32>(at); left > 0; left--) {
    if (!checkMetric(next, end)) return false;
    if (previous != 0 && compareMetrics(previous, next) >= 0) return false;
    previous = next;
    next = metricAt(next).end;
  }
  return next == end;
}

/** Writes the merge of two checked sections to `to`, apart from both; returns its bytes. */
export function mergeMetrics(left: u32, right: u32, to: u32): u32 {
  let leftCount = load<u32>(left);
  let rightCount = load<u32>(right);
  let leftAt = left + SECTION_HEADER_BYTES;
  let rightAt = right + SECTION_HEADER_BYTES;
  let at = to + SECTION_HEADER_BYTES;
  let count: u32 = 0;
  while (leftCount + rightCount > 0) {
    let order: i32 = leftCount == 0 ? 1 : -1;
    if (leftCount != 0 && rightCount != 0) order = compareMetrics(leftAt, rightAt);
    if (order == 0) {
      at = mergeMetric(metricAt(leftAt), metricAt(rightAt), metricAt(at));
    } else {
      const only = order < 0 ? leftAt : rightAt;
      const bytes = metricAt(only).end - only;
      memory.copy(at, only, bytes);
      at += bytes;
    }
    if (order <= 0) {
      leftAt = metricAt(leftAt).end;
      leftCount -= 1;
    }
    if (order >= 0) {
      rightAt = metricAt(rightAt).end;
      rightCount -= 1;
    }
    count += 1;
  }
  store<u32>(to, count);
  store<u32>(to, 0, 4);
  return at - to;
}

/** Reports one metric of a checked section; returns where the next one begins. */
export function reportPortable(at: u32, to: MetricReport): u32 {
  const start = mark();
  const metric = metricAt(at);
  const moments = changetype<Moments>(alloc(offsetof<Moments>()));
  metric.moments(moments);
  to.name = metric.name;
  to.nameBytes = metric.nameBytes;
  to.isShortened = metric.flags & METRIC_SHORTENED;
  to.setMoments(moments);
  to.sum = metric.sum;
  to.relativeError = relativeErrorOf(metric.width);
  to.collapsedBelow = metric.collapsedBelow;
  const search = changetype<RankSearch>(alloc(RANK_SEARCH_BYTES));
  search.open(metric.count, metric.width);
  let zeros = metric.zeroCount;
  for (let bin = metric.end; bin > metric.bins; ) {
    bin -= BIN_BYTES;
    if (zeros > 0 && load<i32>(bin) < 0) {
      search.feed(0, zeros);
      zeros = 0;
    }
    search.feed(load<i32>(bin), load<f64>(bin, 8));
  }
  if (zeros > 0) search.feed(0, zeros);
  const collapsed = cutOf(metric);
  for (let quantile: u32 = 0; quantile < QUANTILES; quantile++)
    search.answer(quantile, moments, collapsed, to.quantile(quantile));
  release(start);
  return metric.end;
}

// @ts-ignore: decorator
@inline
function metricAt(at: u32): PortableMetric {
  return changetype<PortableMetric>(<usize>at);
}

function compareMetrics(left: u32, right: u32): i32 {
  const one = metricAt(left);
  const other = metricAt(right);
  return compareNames(one.name, one.nameBytes, other.name, other.nameBytes);
}

/** Whether a whole metric begins here, and says nothing that cannot be. */
function checkMetric(at: u32, end: u32): bool {
  if (end - at < METRIC_HEADER_BYTES) return false;
  const metric = metricAt(at);
  const padded = (<u64>metric.nameBytes + 7) & ~7;
  if (metric.nameBytes == 0 || <u32>metric.nameBytes > NAME_BYTES_MAX) return false;
  const bytes = <u64>METRIC_HEADER_BYTES + padded + <u64>metric.binCount * BIN_BYTES;
  if (bytes > <u64>(end - at)) return false;
  if (!isCountable(metric.sum) || !isCountable(metric.mean)) return false;
  if (!isCountable(metric.m2) || metric.m2 < 0) return false;
  if (!isCountable(metric.min) || !isCountable(metric.max)) return false;
  if (metric.min > metric.max) return false;
  if (metric.mean < metric.min - abs<f64>(metric.min) * 1e-9) return false;
  if (metric.mean > metric.max + abs<f64>(metric.max) * 1e-9) return false;
  if (!(metric.zeroCount >= 0) || !isCountable(metric.zeroCount)) return false;
  if (!checkBins(metric)) return false;
  if (metric.collapsedBelow == -Infinity) return true;
  return metric.collapsedBelow == upperOf(lowestOf(metric), metric.width);
}

/** Bins in order, counts that add up to the metric's. */
function checkBins(metric: PortableMetric): bool {
  let sum = metric.zeroCount;
  let previous = -INDEX_MAX - 1;
  for (let bin = metric.bins; bin < metric.end; bin += BIN_BYTES) {
    const index = load<i32>(bin);
    const count = load<f64>(bin, 8);
    if (index <= previous || index > INDEX_MAX || index == 0) return false;
    if (load<u32>(bin, 4) != 0 || (index & (metric.width - 1)) != 0) return false;
    if (!(count > 0) || !isCountable(count)) return false;
    previous = index;
    sum += count;
  }
  if (!(metric.count > 0)) return false;
  // Exact for all that can be counted one by one; sums beyond that depend on their order.
  const most = 9007199254740992.0;
  return metric.count <= most ? sum == metric.count : abs(sum - metric.count) < sum * 1e-9;
}

/** The lowest bin that holds anything. */
function lowestOf(metric: PortableMetric): i32 {
  if (metric.binCount == 0) return 0;
  const first = load<i32>(metric.bins);
  return metric.zeroCount > 0 && first > 0 ? 0 : first;
}

/** The bin that stands for all below it, or NO_INDEX. */
function cutOf(metric: PortableMetric): i32 {
  return metric.collapsedBelow == -Infinity ? NO_INDEX : lowestOf(metric);
}

function mergeMetric(left: PortableMetric, right: PortableMetric, to: PortableMetric): u32 {
  const start = mark();
  to.open(left.name, left.nameBytes, 0);
  to.flags = left.flags | right.flags;
  const isPaired = to.width == 2;
  let floor = max(cutOf(left), cutOf(right));
  if (isPaired) floor = pairOf(floor);
  to.collapsedBelow = floor == NO_INDEX ? -Infinity : upperOf(floor, to.width);
  to.zeroCount = 0;
  if (floor <= 0) to.zeroCount = left.zeroCount + right.zeroCount;
  else addBin(to, floor, left.zeroCount + right.zeroCount, floor);
  let one = left.bins;
  let other = right.bins;
  while (one < left.end || other < right.end) {
    const first = one < left.end ? load<i32>(one) : INDEX_MAX + 1;
    const second = other < right.end ? load<i32>(other) : INDEX_MAX + 1;
    let count: f64 = 0;
    if (first <= second) {
      count += load<f64>(one, 8);
      one += BIN_BYTES;
    }
    if (second <= first) {
      count += load<f64>(other, 8);
      other += BIN_BYTES;
    }
    const index = min(first, second);
    addBin(to, isPaired ? pairOf(index) : index, count, floor);
  }
  const moments = changetype<Moments>(alloc(offsetof<Moments>()));
  const added = changetype<Moments>(alloc(offsetof<Moments>()));
  left.moments(moments);
  right.moments(added);
  moments.merge(added);
  to.setMoments(moments);
  to.sum = max<f64>(-f64.MAX_VALUE, min<f64>(left.sum + right.sum, f64.MAX_VALUE));
  release(start);
  return to.end;
}

/** Ascending. What is below `floor` joins it. */
function addBin(to: PortableMetric, index: i32, count: f64, floor: i32): void {
  if (count == 0) return;
  index = max(index, floor);
  if (index == 0) {
    to.zeroCount += count;
    return;
  }
  const last = to.end - BIN_BYTES;
  if (to.binCount > 0 && load<i32>(last) == index) {
    store<f64>(last, load<f64>(last, 8) + count, 8);
    return;
  }
  const bin = to.end;
  to.binCount += 1;
  store<i32>(bin, index);
  store<u32>(bin, 0, 4);
  store<f64>(bin, count, 8);
}
