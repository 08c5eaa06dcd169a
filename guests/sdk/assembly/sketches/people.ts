// Distinct people of one term in the 60 s window: an adaptive sample (Wegman), exact while it fits.
//
//   entry: 27 bits of the user's hash | 1 bit: anonymous | 4 bits: last pane mod 16        0: free
//
// A set holds PEOPLE entries of 32 bits. When it is full its level rises: at level L only hashes
// with L trailing zero bits stay, one person in 2^L, and each counts for 2^L. Somebody without a
// name counts as somebody new each time. One level serves all panes; it falls only when the set is
// nearly empty, so for a window after that the estimate leans low.
//
// Error: the variance of the estimate is about (2^L - 1) of it, 0 while exact.
import { PANES } from "./space-saving";

export const PEOPLE: u32 = 8;
const PERSON_MASK: u32 = 0xfffffff0;
const ANONYMOUS: u32 = 0x10;

/** Hot. What `addPerson` takes: the user's hash as an entry without a pane. */
@inline
export function personOf(hash: u32, anonymous: bool): u32 {
  const person = (hash & ~(ANONYMOUS | 0xf)) | (anonymous ? ANONYMOUS : 0);
  return person == 0 ? 0x20 : person;
}

/** Hot. Notes a person in the set at `entries`; `level` is the address of its level, a byte. */
export function addPerson(
  entries: usize, level: usize, person: u32, pane: u32, current: u32,
): void {
  if (levelOfPerson(person) < <u32>load<u8>(level)) return;
  const mask = i32x4.splat(<i32>PERSON_MASK);
  const wanted = i32x4.splat(<i32>person);
  const first = v128.and(v128.load(entries), mask);
  const second = v128.and(v128.load(entries, 16), mask);
  const hits =
    i32x4.bitmask(i32x4.eq(first, wanted)) | (i32x4.bitmask(i32x4.eq(second, wanted)) << 4);
  const entry = person | (pane & 0xf);
  if (hits != 0) {
    const at = entries + (<usize>ctz(hits) << 2);
    if (((current - load<u32>(at)) & 0xf) > current - pane) store<u32>(at, entry);
    return;
  }
  while (true) {
    const free = freeEntries(v128.load(entries), v128.load(entries, 16));
    if (free != 0) {
      store<u32>(entries + (<usize>ctz(free) << 2), entry);
      return;
    }
    const raised = <u32>load<u8>(level) + 1;
    store<u8>(level, <u8>raised);
    for (let at = entries; at < entries + (PEOPLE << 2); at += 4)
      if (levelOfPerson(load<u32>(at)) < raised) store<u32>(at, 0);
    if (levelOfPerson(person) < raised) return;
  }
}

/**
 * Drops the people last seen in the pane that leaves the window as `current` comes, from `sets`
 * sets, `stride` bytes from one to the next. `leaving` are that pane's counts, u32[sets]: where
 * `areWhole`, a set without a level for which nothing was counted then has nobody to drop.
 */
export function rollPeople(
  entries: usize, stride: u32, levels: usize, leaving: usize, areWhole: bool, sets: u32,
  current: u32,
): void {
  const gone = i32x4.splat(<i32>((current - PANES) & 0xf));
  const paneMask = i32x4.splat(0xf);
  for (let set: u32 = 0; set < sets; set++) {
    if (areWhole && (set & 3) == 0 && set + 4 <= sets) {
      // Most panes hold few of the terms: four sets at once have nobody to drop.
      const counted = v128.any_true(v128.load(leaving + (set << 2)));
      if (!counted && load<u32>(levels + set) == 0) {
        set += 3;
        continue;
      }
    }
    if (areWhole && (load<u32>(leaving + (set << 2)) | <u32>load<u8>(levels + set)) == 0) continue;
    const at = entries + set * stride;
    const first = v128.load(at);
    const second = v128.load(at, 16);
    if (!v128.any_true(v128.or(first, second))) continue;
    const firstStays = v128.andnot(first, i32x4.eq(v128.and(first, paneMask), gone));
    const secondStays = v128.andnot(second, i32x4.eq(v128.and(second, paneMask), gone));
    v128.store(at, firstStays);
    v128.store(at, secondStays, 16);
    const level = <u32>load<u8>(levels + set);
    if (level == 0) continue;
    const left = entryCount(firstStays, secondStays);
    if (left == 0) store<u8>(levels + set, 0);
    else if (left <= PEOPLE / 4) store<u8>(levels + set, <u8>(level - 1));
  }
}

/** People with a name; exact if the level is 0, else an estimate. */
export function namedPeople(entries: usize, level: u32): u32 {
  let count: u32 = 0;
  for (let at = entries; at < entries + (PEOPLE << 2); at += 4) {
    const entry = load<u32>(at);
    if (entry != 0 && (entry & ANONYMOUS) == 0) count += 1;
  }
  return count << level;
}

/** All people of a set, the nameless included. */
export function allPeople(entries: usize, level: u32): u32 {
  return entryCount(v128.load(entries), v128.load(entries, 16)) << level;
}

/** Relative standard error of `namedPeople`. */
export function peopleError(entries: usize, level: u32): f64 {
  if (level == 0) return 0;
  const sampled = namedPeople(entries, 0);
  if (sampled == 0) return 1;
  return sqrt<f64>((1 - 1 / <f64>(1 << level)) / <f64>sampled);
}

/** A sampling level of the person: the zero bits above the flag. */
@inline
function levelOfPerson(person: u32): u32 {
  return <u32>ctz(person >> 5 | 0x8000000);
}

@inline
function entryCount(first: v128, second: v128): u32 {
  return PEOPLE - <u32>popcnt(freeEntries(first, second));
}

/** A bit for each entry that is free. */
@inline
function freeEntries(first: v128, second: v128): u32 {
  const zero = i32x4.splat(0);
  const free = i32x4.bitmask(i32x4.eq(second, zero)) << 4;
  return <u32>(i32x4.bitmask(i32x4.eq(first, zero)) | free);
}
