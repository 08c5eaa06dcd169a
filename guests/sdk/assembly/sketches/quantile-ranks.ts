// Which samples answer P50, P90, P99 and P99.9, and between which two the true quantile lies.
//
// Of n samples the answer of quantile 1 - p is the one with floor(n * p) greater ones. How many
// samples lie above the true quantile is binomial (n, p), whatever the distribution; so two order
// statistics bound it at 95 %: the one with h greater, h the most with P(X <= h) <= 2.5 %, from
// above, and the one with l greater, l the least with P(X <= l) >= 97.5 %, from below. Where no h
// exists (n * p below 3.7) the samples say nothing about how high it may be, and the bound is
// +infinity; likewise -infinity below. Exact while n * p is below 25, the normal approximation
// then, never narrower than one rank. Where n * p is below 1 the answer is the maximum, and says
// so.
//
// The bins are fed once, from the greatest down; what they answer is widened to their edges.
import { lowerOf, upperOf, valueOf } from "./dd-sketch";
import { Moments } from "./moments";

export const QUANTILES: u32 = 4;
export const QUANTILE_BYTES: u32 = 40;
const TAIL_PROBABILITY: f64 = 0.025;
const NORMAL_DEVIATIONS: f64 = 1.96;
const EXACT_BELOW: f64 = 25;
/** 1 / p: a whole number, so that n * p needs no rounding. */
const TAILS: usize = memory.data<f64>([2, 10, 100, 1000]);
const NAMES: usize = memory.data<f64>([0.5, 0.9, 0.99, 0.999]);

@unmanaged
export class QuantileAnswer {
  q: f64;
  value: f64;
  low: f64;
  high: f64;
  isMax: u32;
}

// A wanted sample: f64 how many greater ones it has, then the index of its bin.
const WANTED_BYTES: u32 = 16;
const WANTED_PER_QUANTILE: u32 = 3;
const WANTED: u32 = QUANTILES * WANTED_PER_QUANTILE;
export const RANK_SEARCH_BYTES: usize = 24 + WANTED * WANTED_BYTES;

@unmanaged
export class RankSearch {
  total: f64;
  seen: f64;
  /** 1: what is fed are bins, 2: pairs of them. */
  width: i32;

  open(total: f64, width: i32): void {
    this.total = total;
    this.seen = 0;
    this.width = width;
    for (let quantile: u32 = 0; quantile < QUANTILES; quantile++) {
      const tail = load<f64>(TAILS + (quantile << 3));
      const wanted = quantile * WANTED_PER_QUANTILE;
      const above = floor<f64>(total / tail);
      store<f64>(this.wanted(wanted), above);
      store<f64>(this.wanted(wanted + 1), aboveLow(total, 1 / tail, above));
      store<f64>(this.wanted(wanted + 2), aboveHigh(total, 1 / tail, above));
    }
  }

  /** Bins from the greatest down. */
  feed(index: i32, count: f64): void {
    const before = this.seen;
    this.seen += count;
    for (let wanted: u32 = 0; wanted < WANTED; wanted++) {
      const at = this.wanted(wanted);
      const above = load<f64>(at);
      if (above >= before && above < this.seen) store<i32>(at, index, 8);
    }
  }

  /** Samples above the answer (0), above its lower bound (1), above its upper bound (2). */
  aboveOf(quantile: u32, which: u32): f64 {
    return load<f64>(this.wanted(quantile * WANTED_PER_QUANTILE + which));
  }

  /** Bins at or below `collapsed`, if any, are only known to be at most its upper end. */
  answer(quantile: u32, moments: Moments, collapsed: i32, to: QuantileAnswer): void {
    const wanted = this.wanted(quantile * WANTED_PER_QUANTILE);
    const index = load<i32>(wanted, 8);
    to.q = load<f64>(NAMES + (quantile << 3));
    to.isMax = load<f64>(wanted) == 0 ? 1 : 0;
    const width = this.width;
    const value = index <= collapsed ? upperOf(index, width) : valueOf(index, width);
    to.value = to.isMax ? moments.max : inside(value, moments);
    const low = load<i32>(wanted + WANTED_BYTES, 8);
    if (load<f64>(wanted + WANTED_BYTES) >= this.total) to.low = -Infinity;
    else to.low = low <= collapsed ? moments.min : inside(lowerOf(low, width), moments);
    const isBounded = load<f64>(wanted + 2 * WANTED_BYTES) >= 0;
    const high = load<i32>(wanted + 2 * WANTED_BYTES, 8);
    to.high = isBounded ? inside(upperOf(high, width), moments) : Infinity;
  }

  // @ts-ignore: decorator
  @inline
  private wanted(index: u32): usize {
    return changetype<usize>(this) + 24 + index * WANTED_BYTES;
  }
}

// @ts-ignore: decorator
@inline
function inside(value: f64, moments: Moments): f64 {
  return max<f64>(moments.min, min<f64>(value, moments.max));
}

/** Samples above the one that bounds the quantile from below; `total` or more: there is none. */
function aboveLow(total: f64, p: f64, above: f64): f64 {
  const mean = total * p;
  if (mean < EXACT_BELOW) {
    let probability = powerOf(1 - p, total);
    let sum = probability;
    let rank: f64 = 0;
    while (sum < 1 - TAIL_PROBABILITY && rank < total) {
      probability *= (total - rank) / (rank + 1) * (p / (1 - p));
      sum += probability;
      rank += 1;
    }
    return max(rank, above + 1);
  }
  return max(ceil<f64>(mean + reach(mean, p)), above + 1);
}

/** Samples above the one that bounds the quantile from above; below 0: there is none. */
function aboveHigh(total: f64, p: f64, above: f64): f64 {
  const mean = total * p;
  if (mean < EXACT_BELOW) {
    let probability = powerOf(1 - p, total);
    let sum = probability;
    let rank: f64 = -1;
    while (sum <= TAIL_PROBABILITY) {
      rank += 1;
      probability *= (total - rank) / (rank + 1) * (p / (1 - p));
      sum += probability;
    }
    return min(rank, above - 1);
  }
  return min(floor<f64>(mean - reach(mean, p)) - 1, above - 1);
}

function reach(mean: f64, p: f64): f64 {
  return NORMAL_DEVIATIONS * sqrt<f64>(mean * (1 - p));
}

/** base^exponent for a whole exponent. */
function powerOf(base: f64, exponent: f64): f64 {
  let result: f64 = 1;
  for (let rest = <u64>exponent; rest != 0; rest >>= 1) {
    if (rest & 1) result *= base;
    base *= base;
  }
  return result;
}
