// The bins of one pane as a string of bits: from the greatest bin to the least, each as the gap to
// the bin before and its count. A bin takes 4 to 7 bits where metrics are dense.
//
//   18 bits greatest index + 2^17, then values, each by Golomb and Rice: value >> k as so many
//   zeros and a one, then the k low bits. From a quotient of 16: 16 zeros, 6 bits of length less 1,
//   the value. The string ends with zeros to the next byte, which no value can begin.
//
// Neighbours have counts alike, so what is written is the distance to the count that is expected:
// the mean of those before, the last one half of it. Up to the expected count, distances fold into
// 0, -1, +1, -2 .. beyond it, where the other side is used up, the count stands for itself. k
// follows the mean distance. Where bins are dense (`isDense`) there is a value for each, 0 if it is
// empty; else a value for the gap, whose k follows the mean gap, and one for the count less 1.
// Reader and writer keep the same three means, in f32: plain arithmetic, the same everywhere.
//
// Greatest first, because what is given up for want of room are the lowest bins. A string of pairs
// (`pairOf`) holds their indices halved, since they are even. Counts are numbers to 2^53 and beyond
// that the nearest, up to 2^62. Nothing is divided, and no logarithm taken.
//
// Sources: Rice, Plaunt 1971; the adaptive parameters as in Malvar, DCC 2006, and JPEG-LS.
import { pairOf } from "./dd-sketch";

/** Most bytes of the values of one bin: three of 86 bits. */
const TOKEN_BYTES_MAX: u32 = 33;
/** What a writer wants to be free behind its last bin, or it gives up the lowest ones. */
export const BINS_SLACK_BYTES: u32 = 2 * TOKEN_BYTES_MAX + 8;
/** Below every index. */
export const NO_INDEX: i32 = -0x40000000;
const FIRST_BITS: u32 = 18;
const INDEX_BIAS: i32 = 1 << 17;
const QUOTIENT_END: u32 = 16;
const LENGTH_BITS: u32 = 6;
const PARAMETER_MAX: i32 = 40;
const COUNT_MAX: f64 = 4611686018427387904;
const NO_VALUE: u64 = 0xffffffffffffffff;

/** What is expected of the next bin. */
@unmanaged
class BinModel {
  mean: f32;
  distance: f32;
  gap: f32;

  // @ts-ignore: decorator
  @inline
  protected clear(): void {
    this.mean = 0;
    this.distance = 1;
    this.gap = 1;
  }

  /** Whether every bin has a value of its own, an empty one too. An empty one ends it. */
  // @ts-ignore: decorator
  @inline
  protected get isDense(): bool {
    return this.gap < 0.25 && this.mean >= 1.5;
  }

  // @ts-ignore: decorator
  @inline
  protected learnGap(gap: f32): void {
    this.gap += (gap - this.gap) * 0.25;
  }

  /** The count less `least` that is expected. */
  // @ts-ignore: decorator
  @inline
  protected expected(least: u64): u64 {
    // By way of i64, as below: no count comes near 2^63, and for u64 there is no instruction.
    const mean = <u64><i64>(this.mean + 0.5);
    return mean - min(mean, least);
  }

  // @ts-ignore: decorator
  @inline
  protected learnCount(count: u64, expected: u64, least: u64): void {
    const distance = abs<i64>(<i64>(count - least) - <i64>expected);
    this.distance += (<f32>distance - this.distance) * 0.25;
    this.mean += (<f32><i64>count - this.mean) * 0.5;
  }
}

@unmanaged
export class BinReader extends BinModel {
  /** Bits behind the start, and at the end. */
  private at: u32;
  private end: u32;
  private start: u32;
  private last: i32;
  private hasPairs: bool;
  private wantsPairs: bool;
  index: i32;
  count: f64;

  /** `hasPairs`: the string does. `wantsPairs`: indices are those of pairs, some of them twice. */
  open(at: u32, end: u32, hasPairs: bool, wantsPairs: bool): void {
    this.clear();
    this.start = at;
    this.at = FIRST_BITS;
    this.end = (end - at) << 3;
    this.last = <i32>(load<u32>(at) & ((1 << FIRST_BITS) - 1)) - INDEX_BIAS + 1;
    this.hasPairs = hasPairs;
    this.wantsPairs = wantsPairs;
    if (at == end) this.at = 0;
  }

  /** On to the next lower bin; false if there is none. */
  next(): bool {
    let count: u64 = 0;
    if (this.isDense) {
      count = this.value(parameterOf(this.distance));
      if (count == NO_VALUE) return this.finish();
      count = this.learn(count, 0);
      this.learnGap(count == 0 ? 1 : 0);
      this.last -= 1;
    }
    if (count == 0) {
      const gap = this.value(parameterOf(this.gap * 0.5625));
      if (gap == NO_VALUE) return this.finish();
      this.learnGap(<f32>gap);
      count = this.learn(this.value(parameterOf(this.distance)), 1);
      this.last -= <i32>gap + 1;
    }
    this.count = <f64><i64>count;
    if (this.hasPairs) this.index = this.last << 1;
    else this.index = this.wantsPairs ? pairOf(this.last) : this.last;
    return true;
  }

  private finish(): bool {
    this.index = NO_INDEX;
    return false;
  }

  // @ts-ignore: decorator
  @inline
  private learn(value: u64, least: u64): u64 {
    const expected = this.expected(least);
    let count = value;
    if (value <= expected << 1) {
      count = value & 1 ? expected - (value + 1 >> 1) : expected + (value >> 1);
    }
    count += least;
    this.learnCount(count, expected, least);
    return count;
  }

  /** The next value, or NO_VALUE at the end. */
  // @ts-ignore: decorator
  @inline
  private value(parameter: u32): u64 {
    const at = this.at;
    const word = load<u64>(this.start + (at >> 3)) >> <u64>(at & 7);
    const quotient = <u32>ctz(word);
    if (quotient >= QUOTIENT_END) return this.longValue();
    if (at + quotient >= this.end) return NO_VALUE;
    this.at = at + quotient + 1 + parameter;
    const low = word >> <u64>(quotient + 1) & ((<u64>1 << <u64>parameter) - 1);
    return <u64>quotient << <u64>parameter | low;
  }

  private longValue(): u64 {
    if (this.at + QUOTIENT_END >= this.end) return NO_VALUE;
    this.at += QUOTIENT_END;
    const length = <u32>this.bits(LENGTH_BITS) + 1;
    const low = this.bits(min<u32>(length, 32));
    return length <= 32 ? low : low | this.bits(length - 32) << 32;
  }

  private bits(count: u32): u64 {
    const word = load<u64>(this.start + (this.at >> 3)) >> <u64>(this.at & 7);
    this.at += count;
    return word & ((<u64>1 << <u64>count) - 1);
  }
}

/** Takes bins from the greatest down; what finds no room, or is below `floor`, joins the last. */
@unmanaged
export class BinWriter extends BinModel {
  private at: u32;
  private end: u32;
  private word: u64;
  private wordBits: u32;
  /** The bin that waits, count 0: none. */
  private index: i32;
  private written: i32;
  private hasPairs: bool;
  /** Whether anything joined for want of room. */
  collapsed: bool;
  /** Bins below this one join it. */
  floor: i32;
  private count: f64;

  /** `hasPairs`: all indices are those of pairs. */
  open(at: u32, bytesMax: u32, hasPairs: bool): void {
    this.clear();
    this.at = at;
    this.end = at + bytesMax;
    this.word = 0;
    this.wordBits = 0;
    this.count = 0;
    this.written = NO_INDEX;
    this.hasPairs = hasPairs;
    this.floor = NO_INDEX;
    this.collapsed = false;
  }

  /** `index` at most that of the call before. */
  put(index: i32, count: f64): void {
    if (index < this.floor) index = this.floor;
    if (this.count != 0) {
      if (index == this.index) {
        this.count += count;
        return;
      }
      if (this.at + BINS_SLACK_BYTES > this.end) {
        this.count += count;
        this.collapsed = true;
        return;
      }
      this.flush();
    }
    this.index = index;
    this.count = count;
  }

  /** Returns where the string ends; up to a word more is overwritten. */
  finish(): u32 {
    if (this.count != 0) this.flush();
    store<u64>(this.at, this.word);
    return this.at + (this.wordBits + 7 >> 3);
  }

  private flush(): void {
    const index = this.hasPairs ? this.index >> 1 : this.index;
    if (this.written == NO_INDEX) {
      this.putBits(<u64>(index + INDEX_BIAS), FIRST_BITS);
      this.written = index + 1;
    }
    const count = <u64><i64>(this.count < COUNT_MAX ? this.count : COUNT_MAX);
    let gap = <u32>(this.written - index - 1);
    let isWritten = false;
    if (this.isDense) {
      isWritten = gap == 0;
      this.putCount(isWritten ? count : 0, 0);
      this.learnGap(isWritten ? 0 : 1);
      gap -= 1;
    }
    if (!isWritten) {
      this.putValue(<u64>gap, parameterOf(this.gap * 0.5625));
      this.learnGap(<f32>gap);
      this.putCount(count, 1);
    }
    this.written = index;
    this.count = 0;
  }

  // @ts-ignore: decorator
  @inline
  private putCount(count: u64, least: u64): void {
    const expected = this.expected(least);
    const rest = count - least;
    let value = rest;
    if (rest <= expected << 1) {
      value = rest < expected ? (expected - rest << 1) - 1 : rest - expected << 1;
    }
    this.putValue(value, parameterOf(this.distance));
    this.learnCount(count, expected, least);
  }

  private putValue(value: u64, parameter: u32): void {
    const quotient = value >> <u64>parameter;
    if (quotient < <u64>QUOTIENT_END) {
      const low = value & ((<u64>1 << <u64>parameter) - 1);
      this.putBits((low << 1 | 1) << quotient, <u32>quotient + 1 + parameter);
    } else {
      const length = 64 - <u32>clz(value);
      this.putBits(<u64>(length - 1) << <u64>QUOTIENT_END, QUOTIENT_END + LENGTH_BITS);
      this.putBits(value & 0xffffffff, min<u32>(length, 32));
      if (length > 32) this.putBits(value >> 32, length - 32);
    }
  }

  /** At most 57 bits. */
  // @ts-ignore: decorator
  @inline
  private putBits(bits: u64, count: u32): void {
    this.word |= bits << <u64>this.wordBits;
    this.wordBits += count;
    store<u64>(this.at, this.word);
    const bytes = this.wordBits >> 3;
    this.at += bytes;
    this.wordBits &= 7;
    this.word = bytes == 8 ? 0 : this.word >> <u64>(bytes << 3);
  }
}

/** The k of values of this mean: floor(log2(1.4 * mean)). */
// @ts-ignore: decorator
@inline
function parameterOf(mean: f32): u32 {
  const exponent = <i32>(reinterpret<u32>(mean * 1.4) >> 23) - 127;
  return <u32>max(0, min(exponent, PARAMETER_MAX));
}
