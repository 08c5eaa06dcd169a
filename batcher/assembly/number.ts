// Decimal to double, correctly rounded (to nearest, ties to even), for text that skipNumber
// accepted.
//
// Up to 2^53 in the digits and a power of ten that a double holds, one multiplication or division
// is exact to the last bit (Clinger 1990): all integers and nearly all decimals people write.
// Everything else starts from an estimate that is off by a few units in the last place, and is put
// right by comparing the decimal with the midpoints around the estimate in big integers (Clinger's
// AlgorithmR): about 1 us for 17 digits. Digits beyond 800 only matter as "something follows": no
// midpoint between doubles has more than 767 significant digits.
import { areDigits, isDigit } from "./json";

const DIGITS_MAX: i32 = 800;
/** 160 limbs of 32 bits: 10^1125 * 2^54 and 10^801 * 2^1075 fit. */
const LIMB_COUNT_MAX: usize = 160;
const POWERS: usize = memory.data<f64>([
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
  1e18, 1e19, 1e20, 1e21, 1e22,
], 16);

/** Value of the number in [at, end). Infinite where it is beyond doubles. */
export function parseNumber(at: usize, end: usize): f64 {
  const negative = load<u8>(at) == 0x2d;
  if (negative) at++;
  const start = at;
  let digits: u64 = 0;
  // Significant digits in `digits`, at most 19: they fit into 64 bits.
  let count: i32 = 0;
  let exponent: i32 = 0;
  let cut = false;
  let fraction = false;
  if (end - at >= 8) {
    // Epoch milliseconds have 13 digits: take eight at once.
    const word = load<u64>(at);
    // JSON has no leading zeros: all eight are significant.
    if (areDigits(word)) {
      digits = eightDigits(word);
      count = 8;
      at += 8;
    }
  }
  for (; at < end; at++) {
    const byte = load<u8>(at);
    if (byte == 0x2e) {
      fraction = true;
      continue;
    }
    if (!isDigit(byte)) break;
    if (count < 19) {
      digits = digits * 10 + (byte - 0x30);
      if (digits != 0) count++;
      if (fraction) exponent--;
    } else {
      if (byte != 0x30) cut = true;
      if (!fraction) exponent++;
    }
  }
  if (digits == 0) return negative ? -0.0 : 0.0;
  const written = at < end ? parseExponent(at + 1, end) : 0;
  exponent += written;

  let value: f64;
  if (!cut && digits <= <u64>1 << 53 && exponent >= -22 && exponent <= 22) {
    value = <f64>digits;
    if (exponent > 0) value *= load<f64>(POWERS + (<usize>exponent << 3));
    else if (exponent < 0) value /= load<f64>(POWERS + (<usize>-exponent << 3));
  } else if (exponent + count > 310) {
    value = Infinity;
  } else if (exponent + count < -324) {
    value = 0;
  } else {
    value = nearest(estimate(<f64>digits, exponent), start, at, written);
  }
  return negative ? -value : value;
}

/** Value of eight digits, the first in the lowest byte: pairs, then fours, then all. */
// @ts-ignore: decorator
@inline
function eightDigits(word: u64): u64 {
  word -= 0x3030303030303030;
  word = word * 10 + (word >> 8);
  const mask: u64 = 0x000000ff000000ff;
  return (
    ((word & mask) * 0x000f424000000064 + ((word >> 16) & mask) * 0x0000271000000001) >> 32
  );
}

/** Clamped far beyond doubles, yet far from overflow when the count of digits is added. */
function parseExponent(at: usize, end: usize): i32 {
  const negative = load<u8>(at) == 0x2d;
  if (negative || load<u8>(at) == 0x2b) at++;
  let value: i32 = 0;
  for (; at < end; at++) {
    if (value < 100_000_000) value = value * 10 + (load<u8>(at) - 0x30);
  }
  return negative ? -value : value;
}

function estimate(value: f64, exponent: i32): f64 {
  for (; exponent > 22; exponent -= 22) value *= 1e22;
  for (; exponent < -22; exponent += 22) value /= 1e22;
  const power = load<f64>(POWERS + (<usize>abs(exponent) << 3));
  value = exponent < 0 ? value / power : value * power;
  return min(value, f64.MAX_VALUE);
}

// Big integers, little-endian limbs of 32 bits. The decimal is `decimal * 10^exponent`.
const decimal: usize = memory.data(160 * 4, 16);
const left: usize = memory.data(160 * 4, 16);
const right: usize = memory.data(160 * 4, 16);
let decimalLimbs: usize = 0;
let leftLimbs: usize = 0;
let rightLimbs: usize = 0;

function nearest(value: f64, start: usize, end: usize, written: i32): f64 {
  const exponent = readDecimal(start, end) + written;
  while (true) {
    const bits = reinterpret<u64>(value);
    const biased = <i32>(bits >> 52);
    const mantissa = (bits & 0xfffffffffffff) | (biased == 0 ? 0 : <u64>1 << 52);
    const power = max(biased, 1) - 1075;
    const odd = (mantissa & 1) != 0;
    const above = compare(exponent, 2 * mantissa + 1, power - 1);
    if (above > 0 || (above == 0 && odd)) {
      value = reinterpret<f64>(bits + 1);
      if (value == Infinity) return value;
      continue;
    }
    if (bits == 0) return value;
    // Below a power of two doubles lie twice as close.
    const edge = mantissa == <u64>1 << 52 && biased > 1;
    const below = edge
      ? compare(exponent, 4 * mantissa - 1, power - 2)
      : compare(exponent, 2 * mantissa - 1, power - 1);
    if (below > 0 || (below == 0 && !odd)) return value;
    value = reinterpret<f64>(bits - 1);
  }
}

/** Reads the digits into `decimal`; returns the power of ten that belongs to them. */
function readDecimal(at: usize, end: usize): i32 {
  decimalLimbs = 0;
  let exponent: i32 = 0;
  let count: i32 = 0;
  let fraction = false;
  let cut = false;
  for (; at < end; at++) {
    const byte = load<u8>(at);
    if (byte == 0x2e) {
      fraction = true;
    } else if (count < DIGITS_MAX) {
      if (count > 0 || byte != 0x30) count++;
      decimalLimbs = multiplyAdd(decimal, decimalLimbs, 10, byte - 0x30);
      if (fraction) exponent--;
    } else {
      if (byte != 0x30) cut = true;
      if (!fraction) exponent++;
    }
  }
  if (!cut) return exponent;
  decimalLimbs = multiplyAdd(decimal, decimalLimbs, 10, 1);
  return exponent - 1;
}

/** Sign of decimal * 10^exponent - half * 2^power. */
function compare(exponent: i32, half: u64, power: i32): i32 {
  memory.copy(left, decimal, decimalLimbs << 2);
  leftLimbs = decimalLimbs;
  store<u64>(right, half);
  rightLimbs = 2;
  // 10^n is 5^n * 2^n; the twos of both sides are put on one of them.
  for (let fives = exponent; fives > 0; fives -= 13) {
    leftLimbs = multiplyAdd(left, leftLimbs, powerOfFive(min(fives, 13)), 0);
  }
  for (let fives = -exponent; fives > 0; fives -= 13) {
    rightLimbs = multiplyAdd(right, rightLimbs, powerOfFive(min(fives, 13)), 0);
  }
  const twos = exponent - power;
  if (twos > 0) leftLimbs = shift(left, leftLimbs, <u32>twos);
  else if (twos < 0) rightLimbs = shift(right, rightLimbs, <u32>-twos);
  return compareLimbs();
}

/** 5^power; 13 is the last that fits into 32 bits. */
function powerOfFive(power: i32): u32 {
  let value: u32 = 1;
  for (; power > 0; power--) value *= 5;
  return value;
}

function multiplyAdd(number: usize, limbs: usize, factor: u32, addend: u32): usize {
  let carry: u64 = addend;
  for (let i: usize = 0; i < limbs; i++) {
    carry += <u64>load<u32>(number + (i << 2)) * factor;
    store<u32>(number + (i << 2), <u32>carry);
    carry >>= 32;
  }
  if (carry == 0) return limbs;
  if (limbs == LIMB_COUNT_MAX) unreachable();
  store<u32>(number + (limbs << 2), <u32>carry);
  return limbs + 1;
}

/** Multiplies by 2^bits. */
function shift(number: usize, limbs: usize, bits: u32): usize {
  const whole = <usize>(bits >> 5);
  if (limbs + whole > LIMB_COUNT_MAX) unreachable();
  memory.copy(number + (whole << 2), number, limbs << 2);
  memory.fill(number, 0, whole << 2);
  return multiplyAdd(number, limbs + whole, 1 << (bits & 31), 0);
}

function compareLimbs(): i32 {
  while (leftLimbs > 0 && load<u32>(left + ((leftLimbs - 1) << 2)) == 0) leftLimbs--;
  while (rightLimbs > 0 && load<u32>(right + ((rightLimbs - 1) << 2)) == 0) rightLimbs--;
  if (leftLimbs != rightLimbs) return leftLimbs > rightLimbs ? 1 : -1;
  for (let i = leftLimbs; i > 0; i--) {
    const a = load<u32>(left + ((i - 1) << 2));
    const b = load<u32>(right + ((i - 1) << 2));
    if (a != b) return a > b ? 1 : -1;
  }
  return 0;
}
