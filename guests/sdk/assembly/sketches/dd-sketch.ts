// The bins of DDSketch: every value of a bin is within 1 % of the one the bin answers.
//
// Bin i holds (lower, upper] with upper / lower at most gamma = (1 + a) / (1 - a), a = 1 %, and
// answers 2 * lower * upper / (lower + upper), which is at most a away from both ends. An exact
// logarithm would number the bins; a cubic over the mantissa does it in a few multiplications:
//
//   v = 2^e * (1 + s)      L(v) = ((6/35 s - 3/5) s + 10/7) s + e      i = ceil(k * L(v))
//
// L is continuous, grows with v, and by at least 10/7 for each unit of ln v; so k = 0.7 / ln gamma
// keeps the bound. (ln, not log2: with 0.7 / log2 gamma all smooth data still looks right, and the
// error is 1.44 %.) It costs 1 % more bins than the logarithm: 35 an octave, 71,608 for all of f64.
//
// An index is signed and in the order of the values: 1..INDEX_MAX for positive values, 0 for zero,
// -INDEX_MAX..-1 for negative ones, mirrored. What is smaller than the least normal number,
// 2.2e-308, counts as zero: the formula has no exponent there, and nothing that is measured is so
// small. NaN and infinities have no bin; whoever adds asks `isCountable` first.
//
// Two neighbours can be one bin, a pair: their values are within 2 % of its answer. It has the
// index of the one further from zero, an even one; zero stays alone. `width`: 1 bins, 2 pairs.
//
// Source: Masson, Rim, Lee, "DDSketch", VLDB 2019; the cubic is that of its reference
// implementations.

export const RELATIVE_ERROR: f64 = 0.01;
/** Of a pair of bins: 2 a / (1 + a^2). */
export const PAIR_RELATIVE_ERROR: f64 = 0.02;
/** Indices lie in [-INDEX_MAX, INDEX_MAX]. */
export const INDEX_MAX: i32 = 71608;

/** 0.7 / ln(1.01 / 0.99). */
const BINS_PER_OCTAVE: f64 = 34.99883330222059;
/** Bin 1 begins at the least normal number, 2^-1022. */
const INDEX_OFFSET: i32 = 35769;
const EXPONENT_BIAS: i32 = 1023;
const ROUNDING: f64 = 6755399441055744;
const MAGNITUDE_MASK: u64 = 0x7fffffffffffffff;
const MANTISSA_MASK: u64 = 0x000fffffffffffff;
const ONE_BITS: u64 = 0x3ff0000000000000;
const NORMAL_LEAST_BITS: u64 = 0x0010000000000000;
const NORMAL_LEAST: f64 = 2.2250738585072014e-308;

/** Whether the value is a number, and finite. */
// @ts-ignore: decorator
@inline
export function isCountable(value: f64): bool {
  return abs<f64>(value) <= f64.MAX_VALUE;
}

/** Hot. The bin of a countable value. */
// @ts-ignore: decorator
@inline
export function indexOf(value: f64): i32 {
  const bits = reinterpret<u64>(value);
  const magnitude = bits & MAGNITUDE_MASK;
  if (magnitude < NORMAL_LEAST_BITS) return 0;
  const exponent = <i32>(magnitude >> 52) - EXPONENT_BIAS;
  const s = reinterpret<f64>((magnitude & MANTISSA_MASK) | ONE_BITS) - 1;
  const level = ((6.0 / 35.0 * s - 0.6) * s + 10.0 / 7.0) * s + <f64>exponent;
  const index = max(1, ceiling(level * BINS_PER_OCTAVE) + INDEX_OFFSET);
  return <i64>bits < 0 ? -index : index;
}

/**
 * The least whole number that is not below x, of |x| < 2^31. Beside 1.5 * 2^52 there is no room
 * for a fraction, so the sum is the nearest whole number, and its lowest bits are that number.
 */
// @ts-ignore: decorator
@inline
function ceiling(x: f64): i32 {
  const sum = x + ROUNDING;
  return <i32>reinterpret<u64>(sum) + i32(sum - ROUNDING < x);
}

/** The pair that the bin is part of. */
// @ts-ignore: decorator
@inline
export function pairOf(index: i32): i32 {
  return index > 0 ? (index + 1) & ~1 : index & ~1;
}

export function relativeErrorOf(width: i32): f64 {
  return width == 2 ? PAIR_RELATIVE_ERROR : RELATIVE_ERROR;
}

/** The answer of a bin: at most RELATIVE_ERROR away from every value in it, of a pair 2 %. */
export function valueOf(index: i32, width: i32 = 1): f64 {
  if (index == 0) return 0;
  const upper = levelOf(abs(index));
  const lower = levelOf(abs(index) - width);
  // From the ratio of the ends, since their product may be no number.
  const ratio =
    mantissaOf(lower) / mantissaOf(upper) * power(exponentOf(lower) - exponentOf(upper));
  const middle = mantissaOf(lower) * 2 / (1 + ratio) * power(exponentOf(lower));
  return signed(max(NORMAL_LEAST, min(middle, f64.MAX_VALUE)), index);
}

/** No value of the bin is above this. */
export function upperOf(index: i32, width: i32 = 1): f64 {
  if (index == 0) return 0;
  return index > 0 ? edgeOf(index) : -edgeOf(-index - width);
}

/** No value of the bin is below this. */
export function lowerOf(index: i32, width: i32 = 1): f64 {
  if (index == 0) return 0;
  return index > 0 ? edgeOf(index - width) : -edgeOf(-index);
}

/** The upper end of a bin of positive values; of bin 0 the lower end of bin 1. */
function edgeOf(index: i32): f64 {
  const level = levelOf(index);
  const exponent = exponentOf(level);
  if (exponent >= 1024) return f64.MAX_VALUE;
  if (exponent < -1022) return NORMAL_LEAST;
  return mantissaOf(level) * power(exponent);
}

// @ts-ignore: decorator
@inline
function levelOf(index: i32): f64 {
  return <f64>(index - INDEX_OFFSET) / BINS_PER_OCTAVE;
}

// @ts-ignore: decorator
@inline
function exponentOf(level: f64): i32 {
  return <i32>floor<f64>(level);
}

/** 1 + s with L(1 + s) = the fraction of the level: Newton's steps, each doubling the digits. */
function mantissaOf(level: f64): f64 {
  const fraction = level - floor<f64>(level);
  let s = fraction;
  for (let step = 0; step < 6; step++) {
    const value = ((6.0 / 35.0 * s - 0.6) * s + 10.0 / 7.0) * s - fraction;
    s -= value / ((18.0 / 35.0 * s - 1.2) * s + 10.0 / 7.0);
  }
  return 1 + s;
}

/** 2^exponent, of a normal number or half the least of them: where bin 1 begins. */
function power(exponent: i32): f64 {
  if (exponent < -1022) return NORMAL_LEAST / 2;
  return reinterpret<f64>(<u64>(exponent + EXPONENT_BIAS) << 52);
}

// @ts-ignore: decorator
@inline
function signed(magnitude: f64, index: i32): f64 {
  return index < 0 ? -magnitude : magnitude;
}
