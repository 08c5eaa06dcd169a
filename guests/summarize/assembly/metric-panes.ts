// The closed panes of a metric: one byte string each, in the order of time.
//
// A sample lies in exactly one pane. The last twelve panes of 5 s are kept as they are; one that
// leaves the minute becomes part of its pane of a minute, which becomes part of its 5 minutes, and
// so on into all of time. Since panes of one level are whole panes of the level below, a span is
// simply the panes of its level and the finer ones: the newest end of the string. Nothing is
// subtracted, so nothing can go below zero, and a pane that leaves is merged with the one right
// before it.
//
//   0 u16 bytes of all      4 u8 bytes of least * 16 + of greatest    (0: outdone)
//   2 u8 level, flags       5 u8 bytes of mean * 16 + of m2
//   3 u8 level pane mod 256 6 bins (packed-bins.ts), then mean, m2, least, greatest: f64s without
//                             their trailing zero bytes; m2 rounded to 28 bits
//
// The count of a pane is the sum of its bins, so that both always agree. Flags:
// 128 cut, the lowest bin stands for everything at or below it; 64 the bins are pairs of bins. A
// merge has the flags of both.
import { alloc, mark, release } from "../../sdk/assembly/arena";
import { Moments } from "../../sdk/assembly/sketches/moments";
import { BinReader, BinWriter, NO_INDEX } from "../../sdk/assembly/sketches/packed-bins";
import { levelPane, levelPanes, PANE_BIAS, panesOfLevel, SPAN_ALL } from "../../sdk/assembly/spans";
import { MetricStore } from "./metric-state";
import { makeRoom } from "./metric-squeeze";

/** A pane with more bins gives up its lowest. */
export const ELEMENT_BYTES_MAX: u32 = 3072;
export const ELEMENT_HEADER_BYTES: u32 = 6;
/** Header, four full numbers, and what a store of a word may write behind them. */
export const ELEMENT_SLACK_BYTES: u32 = 80;
export const ELEMENT_CUT: u32 = 128;
export const ELEMENT_PAIRS: u32 = 64;
const M2_BYTES_MAX: u32 = 5;
/** What the merges of one metric may take at a roll before any of them gives back. */
const ROLL_BYTES: u32 = 320;
/** u32 the newest level pane before, u32 the oldest in the window now. */
const ROLL_LEVEL_BYTES: u32 = 8;

// @ts-ignore: decorator
@inline
export function elementBytes(element: u32): u32 {
  return <u32>load<u16>(element);
}

// @ts-ignore: decorator
@inline
export function elementLevel(element: u32): u32 {
  return <u32>load<u8>(element, 2) & 7;
}

// @ts-ignore: decorator
@inline
export function elementIsCut(element: u32): bool {
  return (<u32>load<u8>(element, 2) & ELEMENT_CUT) != 0;
}

// @ts-ignore: decorator
@inline
export function elementHasPairs(element: u32): bool {
  return (<u32>load<u8>(element, 2) & ELEMENT_PAIRS) != 0;
}

/** Reads the bins of an element, as pairs if that is wanted. */
export function openBins(reader: BinReader, element: u32, wantsPairs: bool): void {
  const from = element + ELEMENT_HEADER_BYTES;
  reader.open(from, elementBinsEnd(element), elementHasPairs(element), wantsPairs);
}

/** Where the bins end and the numbers begin. */
export function elementBinsEnd(element: u32): u32 {
  const extremes = <u32>load<u8>(element, 4);
  const centre = <u32>load<u8>(element, 5);
  const bytes = (extremes >> 4) + (extremes & 15) + (centre >> 4) + (centre & 15);
  return element + elementBytes(element) - bytes;
}

/** All but the count, which is the sum of the bins. */
export function readNumbers(element: u32, moments: Moments): void {
  const extremes = <u32>load<u8>(element, 4);
  const centre = <u32>load<u8>(element, 5);
  let at = elementBinsEnd(element);
  moments.mean = unpacked(at, centre >> 4);
  at += centre >> 4;
  moments.m2 = unpacked(at, centre & 15);
  at += centre & 15;
  moments.min = extremes >> 4 ? unpacked(at, extremes >> 4) : Infinity;
  at += extremes >> 4;
  moments.max = extremes & 15 ? unpacked(at, extremes & 15) : -Infinity;
}

/** Puts the numbers behind the bins of an element and its size before them; writes a word more. */
export function writeNumbers(element: u32, binsEnd: u32, moments: Moments, meanBytes: u32): u32 {
  const mean = rounded(reinterpret<u64>(moments.mean), meanBytes);
  const m2 = rounded(reinterpret<u64>(moments.m2), M2_BYTES_MAX);
  const least = reinterpret<u64>(moments.min);
  const greatest = reinterpret<u64>(moments.max);
  const leastBytes = moments.min == Infinity ? 0 : max(1, bytesOf(least));
  const greatestBytes = moments.max == -Infinity ? 0 : max(1, bytesOf(greatest));
  store<u8>(element, <u8>(leastBytes << 4 | greatestBytes), 4);
  store<u8>(element, <u8>(bytesOf(mean) << 4 | bytesOf(m2)), 5);
  let at = packed(binsEnd, mean, bytesOf(mean));
  at = packed(at, m2, bytesOf(m2));
  at = packed(at, least, leastBytes);
  at = packed(at, greatest, greatestBytes);
  store<u16>(element, <u16>(at - element));
  return at - element;
}

/** The bin that stands for all below it, or NO_INDEX. */
export function cutIndex(element: u32, reader: BinReader, wantsPairs: bool): i32 {
  if (!elementIsCut(element)) return NO_INDEX;
  openBins(reader, element, wantsPairs);
  let index = NO_INDEX;
  while (reader.next()) index = reader.index;
  return index;
}

/** Adds a pane that lies in scratch to those of a metric. */
export function insertElement(panes: MetricStore, metric: u32, pane: u32, element: u32): void {
  const start = mark();
  makeRoom(panes, elementBytes(element) + ELEMENT_SLACK_BYTES);
  if (panes.free < elementBytes(element) + ELEMENT_SLACK_BYTES) {
    // Squeezed to the last: only a region far smaller than its metrics gets here.
    panes.refused += countOf(element);
    return;
  }
  const place = placeOf(panes, pane, 0);
  setPlace(element, place);
  const end = panes.endOf(metric);
  const at = pane == panes.current ? newest(panes, metric, place) : find(panes, metric, place);
  if (at < end && placeOfElement(at) == place) {
    const size = elementBytes(at);
    const merged = mergeElements(at, element, size + mergeBytes(panes));
    const mergedBytes = elementBytes(merged);
    panes.moveTail(at + size, at + mergedBytes, metric);
    memory.copy(at, merged, mergedBytes);
  } else {
    const size = elementBytes(element);
    panes.moveTail(at, at + size, metric);
    memory.copy(at, element, size);
  }
  release(start);
}

/** Where the panes of a metric end, or the newest if it has the place. */
function newest(panes: MetricStore, metric: u32, place: u32): u32 {
  const end = panes.endOf(metric);
  let last = end;
  for (let at = panes.panesOf(metric); at < end; at += elementBytes(at)) last = at;
  return last < end && placeOfElement(last) == place ? last : end;
}

/** The pane of the place, or the one it would come before. */
function find(panes: MetricStore, metric: u32, place: u32): u32 {
  const end = panes.endOf(metric);
  let at = panes.panesOf(metric);
  while (at < end && isOlder(panes, at, place)) at += elementBytes(at);
  return at;
}

function countOf(element: u32): f64 {
  const start = mark();
  const reader = changetype<BinReader>(alloc(offsetof<BinReader>()));
  openBins(reader, element, false);
  let count: f64 = 0;
  while (reader.next()) count += reader.count;
  release(start);
  return count;
}

/** What a roll from `from` on asks of every pane: two numbers a level, in scratch. */
export function newRoll(panes: MetricStore, from: u32): u32 {
  const roll = <u32>alloc(ROLL_LEVEL_BYTES * SPAN_ALL);
  for (let level: u32 = 0; level < SPAN_ALL; level++) {
    const isKept = (panes.spans >> level & 1) != 0;
    const oldest = levelPane(level, panes.current) + 1 - levelPanes(level);
    store<u32>(roll + level * ROLL_LEVEL_BYTES, levelPane(level, from));
    store<u32>(roll + level * ROLL_LEVEL_BYTES, isKept ? oldest : 0xffffffff, 4);
  }
  return roll;
}

/** Moves the panes of a metric to where they belong after time has gone on from `from`. */
export function promote(panes: MetricStore, metric: u32, from: u32, roll: u32): void {
  makeRoom(panes, ROLL_BYTES);
  const start = mark();
  let read = panes.panesOf(metric);
  let write = read;
  let last: u32 = 0;
  while (read < panes.endOf(metric)) {
    const size = elementBytes(read);
    const stays = isInWindow(read, roll);
    let next = read + size;
    let place = placeOfElement(read);
    if (!stays) place = placeOf(panes, firstPane(read, from), elementLevel(read));
    if (last != 0 && placeOfElement(last) == place) {
      const merged = mergeElements(last, read, next - last + mergeBytes(panes));
      const mergedBytes = elementBytes(merged);
      if (last + mergedBytes > next) {
        panes.moveTail(next, last + mergedBytes, metric);
        next = last + mergedBytes;
      }
      memory.copy(last, merged, mergedBytes);
      write = last + mergedBytes;
      release(start);
    } else {
      if (write != read) memory.copy(write, read, size);
      if (!stays) setPlace(write, place);
      last = write;
      write += size;
    }
    read = next;
  }
  panes.moveTail(read, write, metric);
}

// @ts-ignore: decorator
@inline
function isInWindow(element: u32, roll: u32): bool {
  const level = elementLevel(element);
  if (level == SPAN_ALL) return true;
  const before = load<u32>(roll + level * ROLL_LEVEL_BYTES);
  const own = before - ((before - <u32>load<u8>(element, 3)) & 255);
  return own >= load<u32>(roll + level * ROLL_LEVEL_BYTES, 4);
}

/** By how much a merge may outgrow the two it came from. */
// @ts-ignore: decorator
@inline
function mergeBytes(panes: MetricStore): u32 {
  return max(panes.free, ELEMENT_SLACK_BYTES) - ELEMENT_SLACK_BYTES;
}

/**
 * Merges two elements into a fresh one in scratch, which has the place of the first. Two strings
 * of bins can make a longer one: from `bytesMax` on it gives up its lowest bins.
 */
export function mergeElements(left: u32, right: u32, bytesMax: u32): u32 {
  bytesMax = min(bytesMax, min(ELEMENT_BYTES_MAX, elementBytes(left) + elementBytes(right) + 512));
  const to = <u32>alloc(bytesMax + ELEMENT_SLACK_BYTES);
  const writer = changetype<BinWriter>(alloc(offsetof<BinWriter>()));
  const one = changetype<BinReader>(alloc(offsetof<BinReader>()));
  const other = changetype<BinReader>(alloc(offsetof<BinReader>()));
  const moments = changetype<Moments>(alloc(offsetof<Moments>()));
  const added = changetype<Moments>(alloc(offsetof<Moments>()));
  const hasPairs = elementHasPairs(left) || elementHasPairs(right);
  writer.open(to + ELEMENT_HEADER_BYTES, bytesMax, hasPairs);
  writer.floor = max(cutIndex(left, one, hasPairs), cutIndex(right, other, hasPairs));
  openBins(one, left, hasPairs);
  openBins(other, right, hasPairs);
  one.next();
  other.next();
  while (true) {
    if (one.index > other.index) {
      writer.put(one.index, one.count);
      moments.count += one.count;
      one.next();
    } else if (other.index == NO_INDEX) {
      break;
    } else if (one.index < other.index) {
      writer.put(other.index, other.count);
      added.count += other.count;
      other.next();
    } else {
      writer.put(one.index, one.count + other.count);
      moments.count += one.count;
      added.count += other.count;
      one.next();
      other.next();
    }
  }
  readNumbers(left, moments);
  readNumbers(right, added);
  moments.merge(added);
  const end = writer.finish();
  const isCut = writer.collapsed || writer.floor != NO_INDEX;
  const flags = (isCut ? ELEMENT_CUT : 0) | (hasPairs ? ELEMENT_PAIRS : 0);
  store<u8>(to, <u8>(elementLevel(left) | flags), 2);
  store<u8>(to, load<u8>(left, 3), 3);
  writeNumbers(to, end, moments, 8);
  return to;
}

/** Where a pane belongs now, at `from` or coarser: level * 256 + the low bits of its level pane. */
export function placeOf(panes: MetricStore, pane: u32, from: u32): u32 {
  for (let level = from; level < SPAN_ALL; level++) {
    if ((panes.spans & (1 << level)) == 0) continue;
    const own = levelPane(level, pane);
    if (own + levelPanes(level) > levelPane(level, panes.current)) return level << 8 | (own & 255);
  }
  return SPAN_ALL << 8;
}

// @ts-ignore: decorator
@inline
export function placeOfElement(element: u32): u32 {
  return elementLevel(element) << 8 | <u32>load<u8>(element, 3);
}

export function setPlace(element: u32, place: u32): void {
  const flags = <u32>load<u8>(element, 2) & (ELEMENT_CUT | ELEMENT_PAIRS);
  store<u8>(element, <u8>(place >> 8 | flags), 2);
  store<u8>(element, <u8>place, 3);
}

/** The full number of a level pane, from its low bits: none is older than a window. */
function fullPane(level: u32, low: u32, current: u32): u32 {
  const newest = levelPane(level, current);
  return newest - ((newest - low) & 255);
}

/** The first pane of 5 s of an element that was placed when `current` was the newest. */
function firstPane(element: u32, current: u32): u32 {
  const level = elementLevel(element);
  if (level == SPAN_ALL) return PANE_BIAS; // It has nowhere to go.
  const own = fullPane(level, <u32>load<u8>(element, 3), current);
  return (own - PANE_BIAS) * panesOfLevel(level) + PANE_BIAS;
}

function isOlder(panes: MetricStore, element: u32, place: u32): bool {
  const level = elementLevel(element);
  if (level != place >> 8) return level > place >> 8;
  if (level == SPAN_ALL) return false;
  const current = panes.current;
  return fullPane(level, <u32>load<u8>(element, 3), current) <
    fullPane(level, place & 255, current);
}

// @ts-ignore: decorator
@inline
function bytesOf(bits: u64): u32 {
  return bits == 0 ? 0 : 8 - <u32>(ctz(bits) >> 3);
}

/** To the nearest that has all its digits in the first `bytes` bytes. */
function rounded(bits: u64, bytes: u32): u64 {
  if (bytes >= 8) return bits;
  const step = <u64>1 << (64 - 8 * bytes);
  const up = (bits + (step >> 1)) & ~(step - 1);
  return (up & 0x7ff0000000000000) == 0x7ff0000000000000 ? bits & ~(step - 1) : up;
}

// @ts-ignore: decorator
@inline
function packed(at: u32, bits: u64, bytes: u32): u32 {
  if (bytes != 0) store<u64>(at, bits >> (64 - 8 * bytes));
  return at + bytes;
}

// @ts-ignore: decorator
@inline
function unpacked(at: u32, bytes: u32): f64 {
  return bytes == 0 ? 0 : reinterpret<f64>(load<u64>(at) << (64 - 8 * bytes));
}
