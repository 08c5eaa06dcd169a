// The rows of the long windows' terms, packed: where a tenant rests, bytes count and not the time.
//
// A row (term-row.ts) is 244 bytes, most of them zeros: a term of three letters has a key of forty
// bytes, and is said in few of its 34 level panes. Packed, one after the other,
//   u32 hash, f32 priority, u8 bytes of key, u8 kind, key
//   total, totalMissed                        each a whole number + 1, or 0 and eight bytes
//   openHourMissed, openDayMissed
//   5 bytes: a bit for each cell with `counted`; 5 bytes: for each with `missed`
//   `counted` of those cells; a byte of `missed` of those
// where numbers are base 128, low digits first, the top bit set in all but the last (LEB128).
// Nothing is lost: what is unpacked is the row, bit for bit. In chat a row takes some 50 bytes, at
// most 292.
import { CELLS, TermRow } from "./term-row";
import { TermSpans } from "./term-spans";

/** Beside the kind, as in the row. */
const YOUNG: u8 = 128;
const BITS_BYTES: usize = 5;
/** Every whole number below is an f64, and its successor too: 2^53. */
const WHOLE_MAX: f64 = 9007199254740992;
const FIXED_BYTES: u32 = 10 + 2 * <u32>BITS_BYTES;

/** Bytes that the rows take. */
export function packedRowsBytes(terms: TermSpans): u32 {
  let bytes: u32 = 0;
  for (let index: u32 = 0; index < terms.count; index++) bytes += rowBytes(terms.row(index));
  return bytes;
}

/** Writes packedRowsBytes(terms) to zeros at `to`; the rows stay as they are. */
export function packRows(terms: TermSpans, to: usize): void {
  for (let index: u32 = 0; index < terms.count; index++) to = packRow(terms.row(index), to);
}

/** Puts `count` packed rows into a table without rows that has room for them. */
export function unpackRows(terms: TermSpans, count: u32, from: usize): void {
  terms.count = count;
  for (let index: u32 = 0; index < count; index++) from = unpackRow(terms.row(index), from);
  terms.refilter();
}

function rowBytes(row: TermRow): u32 {
  let bytes = FIXED_BYTES + row.keyBytes + sumBytes(row.total) + sumBytes(row.totalMissed) +
    numberBytes(row.openHourMissed) + numberBytes(row.openDayMissed);
  for (let cell: u32 = 0; cell < CELLS; cell++) {
    const counted = load<u32>(row.countedAt(cell));
    if (counted != 0) bytes += numberBytes(counted);
    if (load<u8>(row.missedAt(cell)) != 0) bytes += 1;
  }
  return bytes;
}

function packRow(row: TermRow, to: usize): usize {
  store<u32>(to, row.hash);
  store<f32>(to, row.priority, 4);
  store<u8>(to, <u8>row.keyBytes, 8);
  store<u8>(to, <u8>row.kind, 9);
  if (row.isYoung) store<u8>(to, load<u8>(to, 9) | YOUNG, 9);
  memory.copy(to + 10, row.key, row.keyBytes);
  to = putSum(to + 10 + <usize>row.keyBytes, row.total);
  to = putSum(to, row.totalMissed);
  to = putNumber(to, row.openHourMissed);
  to = putNumber(to, row.openDayMissed);
  const bits = to;
  to += 2 * BITS_BYTES;
  for (let cell: u32 = 0; cell < CELLS; cell++) {
    const counted = load<u32>(row.countedAt(cell));
    if (counted == 0) continue;
    setBit(bits, cell);
    to = putNumber(to, counted);
  }
  for (let cell: u32 = 0; cell < CELLS; cell++) {
    const missed = load<u8>(row.missedAt(cell));
    if (missed == 0) continue;
    setBit(bits + BITS_BYTES, cell);
    store<u8>(to, missed);
    to += 1;
  }
  return to;
}

function unpackRow(row: TermRow, from: usize): usize {
  const keyBytes = <u32>load<u8>(from, 8);
  row.begin(load<u32>(from), from + 10, keyBytes, <u32>load<u8>(from, 9) & ~<u32>YOUNG);
  row.isYoung = (load<u8>(from, 9) & YOUNG) != 0;
  row.priority = load<f32>(from, 4);
  from += 10 + <usize>keyBytes;
  row.total = sumAt(from);
  from += sumBytes(row.total);
  row.totalMissed = sumAt(from);
  from += sumBytes(row.totalMissed);
  row.openHourMissed = <u32>numberAt(from);
  from += numberBytes(row.openHourMissed);
  row.openDayMissed = <u32>numberAt(from);
  from += numberBytes(row.openDayMissed);
  const bits = from;
  from += 2 * BITS_BYTES;
  for (let cell: u32 = 0; cell < CELLS; cell++) {
    if (!hasBit(bits, cell)) continue;
    const counted = <u32>numberAt(from);
    store<u32>(row.countedAt(cell), counted);
    from += numberBytes(counted);
  }
  for (let cell: u32 = 0; cell < CELLS; cell++) {
    if (!hasBit(bits + BITS_BYTES, cell)) continue;
    store<u8>(row.missedAt(cell), load<u8>(from));
    from += 1;
  }
  return from;
}

/** A sum is a whole number, or has come to the end of those, or is not known: infinite. */
@inline
function isWhole(sum: f64): bool {
  return sum < WHOLE_MAX;
}

function sumBytes(sum: f64): u32 {
  return isWhole(sum) ? numberBytes(<u64>sum + 1) : 9;
}

function putSum(to: usize, sum: f64): usize {
  if (isWhole(sum)) return putNumber(to, <u64>sum + 1);
  store<f64>(to, sum, 1);
  return to + 9;
}

function sumAt(from: usize): f64 {
  const number = numberAt(from);
  return number == 0 ? load<f64>(from, 1) : <f64>(number - 1);
}

function numberBytes(number: u64): u32 {
  return (70 - <u32>clz(number | 1)) / 7;
}

function putNumber(to: usize, number: u64): usize {
  while (number >= 128) {
    store<u8>(to, <u8>(number | 128));
    number >>= 7;
    to += 1;
  }
  store<u8>(to, <u8>number);
  return to + 1;
}

function numberAt(from: usize): u64 {
  let number: u64 = 0;
  let shift: u64 = 0;
  while (load<u8>(from) >= 128) {
    number |= (<u64>load<u8>(from) & 127) << shift;
    shift += 7;
    from += 1;
  }
  return number | (<u64>load<u8>(from) << shift);
}

@inline
function setBit(bits: usize, cell: u32): void {
  const at = bits + (cell >> 3);
  store<u8>(at, load<u8>(at) | (<u8>1 << <u8>(cell & 7)));
}

@inline
function hasBit(bits: usize, cell: u32): bool {
  return (load<u8>(bits + (cell >> 3)) & (<u8>1 << <u8>(cell & 7))) != 0;
}
