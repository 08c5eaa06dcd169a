// Distinct users of four sliding windows at once: a bitmap whose bits remember when they were set.
//
// Probabilistic counting (FM85, PCSA): a hash chooses one of REGISTERS registers and one of RANKS
// ranks, rank r with probability P(r), and the pair is a bit. How many of a rank's bits are set
// tells how many users there were: with n of them a bit of rank r is still clear with probability
// exp(-n P(r) / REGISTERS). Here a bit is a nibble that holds the level pane (see spans.ts) it was
// last set in, so that the bits of a window are those whose stamp lies in it. A user's last
// appearance decides, as in an exact count, and windows slide without being cut into sketches.
//
//   register  16 bytes: a u32 for each of the spans minute, ten minutes, hour, day
//   u32       nibble r for rank r: 0 never, else 1 + level pane mod 15
//
// One add is one blend of one register. Of the 15 stamps at most 12 are in the window. Every fourth
// level pane a pass clears the rest, so no stamp is ever older than 14 level panes and none is
// misread; a jump of any length crosses a fourth as well.
//
// Estimate: bits are all but independent, so the number of bits set per rank is all there is to
// know, and the likeliest n is the root of a decreasing convex function of one variable, found by
// Newton's method.
//
// Error: the information in the bits about n is I = REGISTERS * sum of x^2 / (e^x - 1), with x =
// n P(r) / REGISTERS, for a Poisson number of users; ours is not drawn, so its own variance goes
// off again: relative variance = 1/I - 1/n. Half a user is added to the error: two of very few that
// fall on one bit make one less. The usual P(r) = 2^-(r+1) has 2.0 % at its best, but its 8 ranks
// last to some 10^5 users only. These P(r) were found by numeric search for the least worst case
// from 10 to 10^6 users: 1.7 % at 1000, at most 2.32 % to 10^6, 3.6 % at 2 * 10^6; the last three
// ranks are equal, as there is nothing above them to help. What is reported is the formula's value,
// so it grows as it should when the bitmap is nearly full, and is 1 when it is full.
// No estimate from these bits is better: it is the likeliest, and has the information's variance.
// The stamps say a little more, when the users of each level pane are estimated apart, given the
// newer ones, and added up: at most 9.9 % less error (12 level panes with as many users each;
// 7 % to 8 % where half are of the newest), from 3,000 to 300,000 users, nothing at 10^6, and
// nothing after a merge, whose form has no stamps. That is not taken.
//
// Cost: 16 KiB for the four spans; zero bytes are the empty bitmap. The portable form is a byte a
// register, bit r = rank r seen in the span; merging is OR. Sources: Flajolet & Martin 1985; for
// likelihood instead of averages D. Ting, "Streamed approximate counting of distinct elements",
// KDD 2014. The stamps and the ranks are ours. Checked by guests/sdk/aged-bitmap.test.ts.
import { levelPane, levelPanes, SPAN_ALL } from "../spans";
import { exponentialLessOne } from "./exponential";
import { ln } from "./trend";

export const AGED_BITMAP_BYTES: u32 = 16384;
/** Bytes of the portable form. */
export const RANK_BITS_BYTES: u32 = 1024;
export const RANKS: u32 = 8;
const REGISTERS: u32 = 1024;
const STAMPS: u32 = 15;
/** The estimate of a bitmap with every bit set: more than with all but one, which is 3.7e6. */
const USERS_FULL: f64 = 4e6;
/** Level panes from one clearing of old stamps to the next: STAMPS - 12 + 1. */
const SWEEP_SHIFT: u32 = 2;

/** P(r) * 65536. */
const WEIGHTS: usize = memory.data<u16>([46302, 11912, 4491, 1657, 739, 145, 145, 145]);
// 16 bytes, zeros between calls: the table of kept stamps is written here.
const KEPT: usize = memory.data(16, 16);

/** Hot. Notes a hash in the current pane; `stamps` are its stamps. */
@inline
export function addAged(bitmap: usize, hash: u64, stamps: u32): void {
  const at = registerOf(bitmap, hash);
  const shift = rankOf(hash) << 2;
  const lanes = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(i32x4.splat(<i32>stamps)));
  const mask = i32x4.splat(0xf << shift);
  v128.store(at, v128.bitselect(i32x4.shl(lanes, shift), v128.load(at), mask));
}

/** Notes a hash in a pane before the current one, in the spans that still hold it. */
export function addAgedLate(bitmap: usize, hash: u64, pane: u32, current: u32): void {
  const at = registerOf(bitmap, hash);
  const shift = rankOf(hash) << 2;
  for (let span: u32 = 0; span < SPAN_ALL; span++) {
    const newest = levelPane(span, current);
    const level = levelPane(span, pane);
    const age = newest - level;
    if (age >= levelPanes(span)) continue;
    const lane = at + (span << 2);
    const nibbles = load<u32>(lane);
    const held = (nibbles >> shift) & 0xf;
    if (held != 0 && ageOf(held, newest) <= age) continue;
    store<u32>(lane, (nibbles & ~(0xf << shift)) | (stampOf(level) << shift));
  }
}

/** The stamps of a pane, a byte for each span: what `addAged` takes. */
export function stampsOf(pane: u32): u32 {
  let stamps: u32 = 0;
  for (let span: u32 = 0; span < SPAN_ALL; span++)
    stamps |= stampOf(levelPane(span, pane)) << (span << 3);
  return stamps;
}

/** The current pane was `from` and becomes `to`: clears old stamps before they are used again. */
export function rollAged(bitmap: usize, from: u32, to: u32): void {
  for (let span: u32 = 0; span < SPAN_ALL; span++) {
    const before = levelPane(span, from);
    const newest = levelPane(span, to);
    if (before >> SWEEP_SHIFT == newest >> SWEEP_SHIFT) continue;
    sweep(bitmap, span, keptStamps(span, before, newest));
  }
}

/** Counts the bits of a span: `counts` is u32[RANKS]. */
export function countAged(bitmap: usize, span: u32, current: u32, counts: usize): void {
  const newest = levelPane(span, current);
  const kept = v128.and(keptStamps(span, newest, newest), i8x16.splat(1));
  const low = i8x16.splat(0xf);
  memory.fill(counts, 0, RANKS << 2);
  let at = bitmap + (span << 2);
  // Sums of bytes: 128 times one a lane stay below 256.
  for (let part: u32 = 0; part < REGISTERS / 512; part++) {
    let even = i8x16.splat(0);
    let odd = i8x16.splat(0);
    for (let group: u32 = 0; group < 128; group++) {
      let lanes = v128.load32_zero(at);
      lanes = v128.load_lane<u32>(at + 16, lanes, 1);
      lanes = v128.load_lane<u32>(at + 32, lanes, 2);
      lanes = v128.load_lane<u32>(at + 48, lanes, 3);
      even = i8x16.add(even, i8x16.swizzle(kept, v128.and(lanes, low)));
      odd = i8x16.add(odd, i8x16.swizzle(kept, i8x16.shr_u(lanes, 4)));
      at += 64;
    }
    addColumns(counts, even);
    addColumns(counts + 4, odd);
  }
}

/** The likeliest number of users for these counts of bits. */
export function estimateRanks(counts: usize): f64 {
  let total: f64 = 0;
  let best: u32 = 0;
  for (let rank: u32 = 0; rank < RANKS; rank++) {
    total += setOf(counts, rank);
    if (isCloserToHalf(counts, rank, best)) best = rank;
  }
  if (total == 0) return 0;
  if (total == <f64>REGISTERS * RANKS) return USERS_FULL;
  const clear = <f64>REGISTERS - setOf(counts, best);
  let users = -ln(clear / REGISTERS) / perUser(best);
  for (let step: u32 = 0; step < 40; step++) {
    let slope: f64 = 0;
    let score: f64 = 0;
    for (let rank: u32 = 0; rank < RANKS; rank++) {
      const rate = perUser(rank);
      const grown = exponentialLessOne(min<f64>(users * rate, 300));
      const share = setOf(counts, rank) / grown;
      score += rate * (share - (<f64>REGISTERS - setOf(counts, rank)));
      slope -= rate * rate * share * (1 + 1 / grown);
    }
    const next = max<f64>(users - score / slope, users / 4);
    const isSettled = abs<f64>(next - users) <= users * 1e-10;
    users = next;
    if (isSettled) break;
  }
  return users;
}

/** Relative standard error of an estimate, at most 1. */
export function errorRanks(users: f64): f64 {
  if (users <= 0) return 0;
  if (users >= USERS_FULL) return 1;
  let information: f64 = 0;
  for (let rank: u32 = 0; rank < RANKS; rank++) {
    const x = users * perUser(rank);
    if (x < 300) information += x * x / exponentialLessOne(x);
  }
  information *= REGISTERS;
  if (information < 1) return 1;
  const variance = max<f64>(1 / information - 1 / users, 0) + 0.25 / (users * users);
  return min<f64>(sqrt<f64>(variance), 1);
}

/** The portable form of a span, RANK_BITS_BYTES bytes. */
export function encodeAged(bitmap: usize, span: u32, current: u32, to: usize): void {
  const newest = levelPane(span, current);
  const kept = keptStamps(span, newest, newest);
  const low = i8x16.splat(0xf);
  // Bytes 0..7 get the ranks in order, from the even ones in the low nibbles and the odd ones.
  for (let register: u32 = 0; register < REGISTERS; register++) {
    const lane = v128.load32_zero(bitmap + (<usize>register << 4) + (span << 2));
    const even = i8x16.swizzle(kept, v128.and(lane, low));
    const odd = i8x16.swizzle(kept, i8x16.shr_u(lane, 4));
    const ranks = i8x16.shuffle(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 0, 16, 1, 17, 2, 18, 3, 19);
    store<u8>(to + register, <u8>i8x16.bitmask(i8x16.ne(ranks, i8x16.splat(0))));
  }
}

/** Notes a hash in the portable form. */
export function addRankBit(bits: usize, hash: u64): void {
  const at = bits + <usize>(hash >> 54);
  store<u8>(at, load<u8>(at) | <u8>(<u32>1 << rankOf(hash)));
}

/** What both portable forms have seen, into `to`. */
export function mergeRankBits(to: usize, from: usize): void {
  for (let at: usize = 0; at < RANK_BITS_BYTES; at += 16)
    v128.store(to + at, v128.or(v128.load(to + at), v128.load(from + at)));
}

/** Counts the bits of a portable form: `counts` is u32[RANKS]. */
export function countRankBits(bits: usize, counts: usize): void {
  memory.fill(counts, 0, RANKS << 2);
  for (let at: usize = 0; at < RANK_BITS_BYTES; at += 16) {
    const registers = v128.load(bits + at);
    for (let rank: u32 = 0; rank < RANKS; rank++) {
      // The sign bit of a byte is its upper one.
      const set = <u32>popcnt(i8x16.bitmask(i8x16.shl(registers, 7 - rank)));
      store<u32>(counts + (rank << 2), load<u32>(counts + (rank << 2)) + set);
    }
  }
}

@inline
function registerOf(bitmap: usize, hash: u64): usize {
  return bitmap + (<usize>(hash >> 54) << 4);
}

/** The lower 16 bits against 65536 * P(rank >= 1 .. 7). */
@inline
function rankOf(hash: u64): u32 {
  const tails = i16x8(19234, 7322, 2831, 1174, 435, 290, 145, 0);
  return <u32>popcnt(i16x8.bitmask(i16x8.lt_u(i16x8.splat(<i16>hash), tails)));
}

@inline
function stampOf(level: u32): u32 {
  return level % STAMPS + 1;
}

/** How many level panes before `newest` the stamp was set. */
@inline
function ageOf(stamp: u32, newest: u32): u32 {
  return (stampOf(newest) + STAMPS - stamp) % STAMPS;
}

/** 0xff in byte s for each stamp s of level panes up to `before` in the window at `newest`. */
function keptStamps(span: u32, before: u32, newest: u32): v128 {
  v128.store(KEPT, i8x16.splat(0));
  const first = newest - levelPanes(span) + 1;
  for (let level = first; level <= before; level++)
    store<u8>(KEPT + stampOf(level), 0xff);
  const kept = v128.load(KEPT);
  v128.store(KEPT, i8x16.splat(0));
  return kept;
}

/** Clears the nibbles of a span whose stamps are not kept. */
function sweep(bitmap: usize, span: u32, kept: v128): void {
  const low = i8x16.splat(0xf);
  const ofSpan = i32x4.eq(i32x4(0, 1, 2, 3), i32x4.splat(<i32>span));
  const rest = v128.not(ofSpan);
  for (let at = bitmap; at < bitmap + AGED_BITMAP_BYTES; at += 16) {
    const register = v128.load(at);
    const even = i8x16.swizzle(kept, v128.and(register, low));
    const odd = i8x16.swizzle(kept, i8x16.shr_u(register, 4));
    const mask = v128.or(rest, v128.bitselect(even, odd, low));
    v128.store(at, v128.and(register, mask));
  }
}

/** Adds the sixteen bytes, four for each of every other rank, to the counts of those ranks. */
function addColumns(counts: usize, sums: v128): void {
  const low = i16x8.extend_low_i8x16_u(sums);
  const high = i16x8.extend_high_i8x16_u(sums);
  const pairs = i16x8.add(low, high);
  const columns = i32x4.add(
    i32x4.extend_low_i16x8_u(pairs),
    i32x4.extend_high_i16x8_u(pairs),
  );
  store<u32>(counts, load<u32>(counts) + i32x4.extract_lane(columns, 0));
  store<u32>(counts, load<u32>(counts, 8) + i32x4.extract_lane(columns, 1), 8);
  store<u32>(counts, load<u32>(counts, 16) + i32x4.extract_lane(columns, 2), 16);
  store<u32>(counts, load<u32>(counts, 24) + i32x4.extract_lane(columns, 3), 24);
}

@inline
function setOf(counts: usize, rank: u32): f64 {
  return <f64>load<u32>(counts + (rank << 2));
}

@inline
function isCloserToHalf(counts: usize, rank: u32, than: u32): bool {
  const half = <f64>REGISTERS / 2;
  return abs<f64>(setOf(counts, rank) - half) < abs<f64>(setOf(counts, than) - half);
}

/** P(r) / REGISTERS: how many bits of a register one user sets. */
@inline
function perUser(rank: u32): f64 {
  return <f64>load<u16>(WEIGHTS + (rank << 1)) / (65536 * <f64>REGISTERS);
}
