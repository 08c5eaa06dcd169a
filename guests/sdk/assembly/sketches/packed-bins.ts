// The bins of one pane as a byte string: from the greatest bin to the least, each as the gap to the
// bin before and its count. A dense bin of a few samples is one byte, of a thousand two.
//
//   u24 greatest index + 2^17, then a token a bin:
//     bits 5-7  gap to the bin before, less 1; 7: a varint more follows
//     bits 0-4  0-23   count 1-24
//               24-27  count 25-1,048:      two bits, then a byte
//               28-30  count 1,049-197,656: two bits, then a u16
//               31     count from 197,657:  a varint
//
// Greatest first, because what is given up for want of room are the lowest bins: they are the end
// of the string, and cutting it and adding what was cut to the last bin left is all it takes. That
// bin then answers "at most this". Counts are numbers to 2^53 and beyond that the nearest, up to
// 2^63.

/** Most bytes of one token. */
export const TOKEN_BYTES_MAX: u32 = 14;
const FIRST_BYTES: u32 = 3;
const INDEX_BIAS: i32 = 1 << 17;
const GAP_INLINE_MAX: u32 = 7;
const SMALL_MAX: u32 = 24;
const MIDDLE_MAX: u32 = SMALL_MAX + 1024;
const LARGE_MAX: u32 = MIDDLE_MAX + 3 * 65536;
const COUNT_MAX: f64 = 9223372036854775807;
/** Below every index. */
export const NO_INDEX: i32 = -0x40000000;

@unmanaged
export class BinReader {
  at: u32;
  end: u32;
  index: i32;
  count: f64;

  open(at: u32, end: u32): void {
    this.at = at + FIRST_BYTES;
    this.end = end;
    this.index = <i32>(<u32>load<u16>(at) | (<u32>load<u8>(at, 2) << 16)) - INDEX_BIAS + 1;
    if (at == end) this.at = at;
  }

  /** On to the next lower bin; false if there is none. */
  next(): bool {
    let at = this.at;
    if (at >= this.end) {
      this.index = NO_INDEX;
      return false;
    }
    const token = <u32>load<u8>(at++);
    let gap = token >> 5;
    if (gap == GAP_INLINE_MAX) {
      this.at = at;
      gap += <u32>this.varint();
      at = this.at;
    }
    this.index -= <i32>gap + 1;
    const low = token & 31;
    if (low < 24) {
      this.count = <f64>(low + 1);
    } else if (low < 28) {
      this.count = <f64>(SMALL_MAX + 1 + (((low - 24) << 8) | <u32>load<u8>(at)));
      at += 1;
    } else if (low < 31) {
      this.count = <f64>(MIDDLE_MAX + 1 + (((low - 28) << 16) | <u32>load<u16>(at)));
      at += 2;
    } else {
      this.at = at;
      this.count = <f64>this.varint() + <f64>(LARGE_MAX + 1);
      at = this.at;
    }
    this.at = at;
    return true;
  }

  private varint(): u64 {
    let value: u64 = 0;
    let shift: u64 = 0;
    while (true) {
      const byte = <u64>load<u8>(this.at++);
      value |= (byte & 127) << shift;
      if (byte < 128) return value;
      shift += 7;
    }
  }
}

/** Takes bins from the greatest down; what finds no room, or is below `floor`, joins the last. */
@unmanaged
export class BinWriter {
  at: u32;
  end: u32;
  /** The bin that waits, count 0: none. */
  index: i32;
  written: i32;
  count: f64;
  /** Bins below this one join it. */
  floor: i32;
  /** Whether any did. */
  collapsed: bool;

  open(at: u32, bytesMax: u32): void {
    this.at = at;
    this.end = at + bytesMax;
    this.count = 0;
    this.written = NO_INDEX;
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
      if (this.at + 2 * TOKEN_BYTES_MAX + FIRST_BYTES > this.end) {
        this.count += count;
        this.collapsed = true;
        return;
      }
      this.flush();
    }
    this.index = index;
    this.count = count;
  }

  /** Returns where the string ends. */
  finish(): u32 {
    if (this.count != 0) this.flush();
    return this.at;
  }

  private flush(): void {
    let at = this.at;
    if (this.written == NO_INDEX) {
      const first = <u32>(this.index + INDEX_BIAS);
      store<u16>(at, <u16>first);
      store<u8>(at, <u8>(first >> 16), 2);
      at += FIRST_BYTES;
      this.written = this.index + 1;
    }
    this.at = putToken(at, <u32>(this.written - this.index - 1), this.count);
    this.written = this.index;
    this.count = 0;
  }
}

/** Makes one of all bins at or below `index`, the highest of them. Returns the new end. */
export function cutBins(reader: BinReader, at: u32, end: u32, index: i32): u32 {
  reader.open(at, end);
  while (true) {
    const start = reader.at;
    const previous = reader.index;
    if (!reader.next()) return end;
    if (reader.index > index) continue;
    if (reader.at >= end) return end;
    const gap = <u32>(previous - reader.index - 1);
    let count = reader.count;
    while (reader.next()) count += reader.count;
    return putToken(start, gap, count);
  }
}

function putToken(at: u32, gap: u32, count: f64): u32 {
  const tokenAt = at++;
  const gapInline = min(gap, GAP_INLINE_MAX);
  if (gapInline == GAP_INLINE_MAX) at = putVarint(at, <u64>(gap - GAP_INLINE_MAX));
  let low: u32 = 31;
  if (count <= <f64>SMALL_MAX) {
    low = <u32>count - 1;
  } else if (count <= <f64>MIDDLE_MAX) {
    const rest = <u32>count - (SMALL_MAX + 1);
    low = 24 + (rest >> 8);
    store<u8>(at, <u8>rest);
    at += 1;
  } else if (count <= <f64>LARGE_MAX) {
    const rest = <u32>count - (MIDDLE_MAX + 1);
    low = 28 + (rest >> 16);
    store<u16>(at, <u16>rest);
    at += 2;
  } else {
    at = putVarint(at, <u64>(min<f64>(count, COUNT_MAX) - <f64>(LARGE_MAX + 1)));
  }
  store<u8>(tokenAt, <u8>(gapInline << 5 | low));
  return at;
}

function putVarint(at: u32, value: u64): u32 {
  while (value >= 128) {
    store<u8>(at++, <u8>(value | 128));
    value >>= 7;
  }
  store<u8>(at++, <u8>value);
  return at;
}
