// An aged bitmap with nothing around it, for the tests.
import { STATE_ADDRESS } from "../arena";
import {
  addAged, addAgedLate, addRankBit, AGED_BITMAP_BYTES, countAged, countRankBits, encodeAged,
  errorRanks, estimateRanks, mergeRankBits, RANK_BITS_BYTES, RANKS, rollAged, stampsOf,
} from "../sketches/aged-bitmap";
import { widen } from "../sketches/bytes";

const BITMAP: usize = STATE_ADDRESS;
const COUNTS: usize = memory.data(32, 8);

export function bitmapBytes(): u32 {
  return AGED_BITMAP_BYTES;
}

/** Address of portable form 0, 1 or 2. */
export function bits(which: u32): usize {
  return BITMAP + AGED_BITMAP_BYTES + <usize>which * RANK_BITS_BYTES;
}

export function clear(): void {
  memory.fill(BITMAP, 0, AGED_BITMAP_BYTES + 3 * RANK_BITS_BYTES);
}

export function add(hash: u32, pane: u32, current: u32): void {
  if (pane == current) addAged(BITMAP, widen(hash), stampsOf(current));
  else addAgedLate(BITMAP, widen(hash), pane, current);
}

/** Adds `count` users, whose hashes are the numbers from `first` on, in the current pane. */
export function addRange(first: u32, count: u32, current: u32): void {
  const stamps = stampsOf(current);
  for (let index: u32 = 0; index < count; index++) addAged(BITMAP, widen(first + index), stamps);
}

export function roll(from: u32, to: u32): void {
  rollAged(BITMAP, from, to);
}

/** Bits of a rank in a span. */
export function count(span: u32, current: u32, rank: u32): u32 {
  countAged(BITMAP, span, current, COUNTS);
  return rank < RANKS ? load<u32>(COUNTS + (rank << 2)) : 0;
}

export function estimate(span: u32, current: u32): f64 {
  countAged(BITMAP, span, current, COUNTS);
  return estimateRanks(COUNTS);
}

export function error(users: f64): f64 {
  return errorRanks(users);
}

export function encode(which: u32, span: u32, current: u32): void {
  encodeAged(BITMAP, span, current, bits(which));
}

export function addBit(which: u32, hash: u32): void {
  addRankBit(bits(which), widen(hash));
}

export function merge(to: u32, from: u32): void {
  mergeRankBits(bits(to), bits(from));
}

export function bitsCount(which: u32, rank: u32): u32 {
  countRankBits(bits(which), COUNTS);
  return load<u32>(COUNTS + (rank << 2));
}

export function estimateBits(which: u32): f64 {
  countRankBits(bits(which), COUNTS);
  return estimateRanks(COUNTS);
}
