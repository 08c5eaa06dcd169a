// Distinct users of a sliding window: an adaptive sample (Wegman), exact while it fits.
//
// The set holds (hash, last pane) of users. When it is full the sampling level rises: at level L
// only hashes with L trailing zero bits stay, one user in 2^L, and each counts for 2^L. Every pane
// has its own level; an entry counts by the level of the pane it was last seen in. A rise lifts all
// panes of the window; when the set has room again only the new pane's level falls. Levels thus
// never grow from an older pane to a newer one, so a user is in the sample exactly if the pane of
// the user's last appearance admits the hash, and the estimate has no bias. It is exact again as
// soon as no pane with a level is left.
//
// Error: the estimated variance is the sum of 4^L - 2^L over the entries (Horvitz-Thompson); what
// is reported is its root over the estimate, 0 while exact. About 1.2 / sqrt(capacity * 3/4). Cost:
// 5 bytes an entry, one probe an event, a pass over the table at each roll.
import { alloc, mark, release } from "../arena";
import { PANES } from "./space-saving";

@unmanaged
export class DistinctWindow {
  /** Entries of the table, a power of two; at most 3/4 of them are used. */
  capacity: u32;
  count: u32;
  /** u32[capacity], 0: free. Open addressing by the upper bits. */
  hashes: u32;
  /** u8[capacity]: the pane an entry was last seen in, mod 256. */
  panes: u32;
  level0: u8; level1: u8; level2: u8; level3: u8; level4: u8; level5: u8;
  level6: u8; level7: u8; level8: u8; level9: u8; level10: u8; level11: u8;

  /** Whether one more user would make the count an estimate. */
  @inline
  get isFull(): bool {
    return this.count >= limitOf(this.capacity);
  }

  /** Hot. Notes a user in `pane`, which is open; `pane` at most `current`. */
  add(hash: u32, pane: u32, current: u32): void {
    if (hash == 0) hash = 0x80000000;
    if (<u32>ctz(hash) < this.levelOf(pane)) return;
    let at = this.place(hash);
    if (load<u32>(this.hashes + (at << 2)) == hash) {
      const paneAt = this.panes + at;
      if (<u8>(current - <u32>load<u8>(paneAt)) > <u8>(current - pane))
        store<u8>(paneAt, <u8>pane);
      return;
    }
    if (this.isFull) {
      this.raise(current, limitOf(this.capacity) - 1);
      if (<u32>ctz(hash) < this.levelOf(pane)) return;
      at = this.place(hash);
    }
    store<u32>(this.hashes + (at << 2), hash);
    store<u8>(this.panes + at, <u8>pane);
    this.count += 1;
  }

  /** `current` is the pane after the roll, `panes` how many it went on. */
  roll(current: u32, panes: u32): void {
    if (panes >= PANES) {
      this.clear();
      return;
    }
    const level = this.levelOf(current - panes);
    const roomy = this.count < limitOf(this.capacity) / 2;
    const next = roomy && level > 0 ? level - 1 : level;
    for (let step: u32 = 0; step < panes; step++) this.setLevel(current - step, next);
    if (this.count > 0) this.purge(current);
  }

  /** How many distinct users the window has; exact if `error` is 0. */
  estimate(current: u32): f64 {
    let sum: f64 = 0;
    for (let at: u32 = 0; at < this.capacity; at++)
      if (load<u32>(this.hashes + (at << 2)) != 0)
        sum += <f64>(<u64>1 << this.levelAt(at, current));
    return sum;
  }

  /** Relative standard error of the estimate. */
  error(current: u32): f64 {
    let sum: f64 = 0;
    let variance: f64 = 0;
    for (let at: u32 = 0; at < this.capacity; at++) {
      if (load<u32>(this.hashes + (at << 2)) == 0) continue;
      const weight = <f64>(<u64>1 << this.levelAt(at, current));
      sum += weight;
      variance += weight * (weight - 1);
    }
    return variance > 0 ? sqrt<f64>(variance) / sum : 0;
  }

  /**
   * Lays the entries out for another capacity in the same place; a smaller one may raise the level.
   */
  rehash(capacity: u32, current: u32): void {
    if (this.count > limitOf(capacity)) this.raise(current, limitOf(capacity));
    this.rebuild(capacity);
  }

  private clear(): void {
    memory.fill(this.hashes, 0, this.capacity << 2);
    memory.fill(this.panes, 0, this.capacity);
    this.count = 0;
    for (let pane: u32 = 0; pane < PANES; pane++) this.setLevel(pane, 0);
  }

  /** Samples more thinly until at most `room` entries are left. */
  private raise(current: u32, room: u32): void {
    let level = this.levelOf(current);
    while (this.count > room && level < 31) {
      level += 1;
      for (let pane: u32 = 0; pane < PANES; pane++)
        if (this.levelOf(pane) < level) this.setLevel(pane, level);
      this.purge(current);
    }
  }

  /** Drops what has left the window or the sample, by backward-shift deletion. */
  private purge(current: u32): void {
    const sampled = this.isSampled();
    for (let first: u32 = 0; first < this.capacity; first += 16) {
      let at = first;
      while (true) {
        // What a drop moves up may be old as well, so the rest is looked at again behind it.
        const left = (sampled ? this.used(first) : this.old(first, current)) >> (at - first);
        if (left == 0) break;
        at += <u32>ctz(left);
        while (load<u32>(this.hashes + (at << 2)) != 0 && !this.stays(at, current)) this.drop(at);
        at += 1;
        if (at == first + 16) break;
      }
    }
  }

  /** Whether any pane has a level. */
  private isSampled(): bool {
    for (let pane: u32 = 0; pane < PANES; pane++) if (this.levelOf(pane) != 0) return true;
    return false;
  }

  /** A bit for each of 16 entries that is not free. */
  @inline
  private used(first: u32): u32 {
    const entries = this.hashes + (first << 2);
    const zero = i32x4.splat(0);
    return 0xffff & ~(
      <u32>i32x4.bitmask(i32x4.eq(v128.load(entries), zero)) |
      (<u32>i32x4.bitmask(i32x4.eq(v128.load(entries, 16), zero)) << 4) |
      (<u32>i32x4.bitmask(i32x4.eq(v128.load(entries, 32), zero)) << 8) |
      (<u32>i32x4.bitmask(i32x4.eq(v128.load(entries, 48), zero)) << 12)
    );
  }

  /** A bit for each of 16 entries that was last seen before the window. */
  @inline
  private old(first: u32, current: u32): u32 {
    const ages = i8x16.sub(i8x16.splat(<i8>current), v128.load(this.panes + first));
    const old = <u32>i8x16.bitmask(i8x16.ge_u(ages, i8x16.splat(<i8>PANES)));
    return old == 0 ? 0 : old & this.used(first);
  }

  @inline
  private stays(at: u32, current: u32): bool {
    return (
      this.ageAt(at, current) < PANES &&
      <u32>ctz(load<u32>(this.hashes + (at << 2))) >= this.levelAt(at, current)
    );
  }

  private drop(hole: u32): void {
    const mask = this.capacity - 1;
    let at = hole;
    while (true) {
      at = (at + 1) & mask;
      const hash = load<u32>(this.hashes + (at << 2));
      if (hash == 0) break;
      if (((at - this.home(hash)) & mask) < ((at - hole) & mask)) continue;
      store<u32>(this.hashes + (hole << 2), hash);
      store<u8>(this.panes + hole, load<u8>(this.panes + at));
      hole = at;
    }
    store<u32>(this.hashes + (hole << 2), 0);
    store<u8>(this.panes + hole, 0);
    this.count -= 1;
  }

  private rebuild(capacity: u32): void {
    const start = mark();
    const kept = alloc(this.count * 8, 8);
    let count: u32 = 0;
    for (let at: u32 = 0; at < this.capacity; at++) {
      const hash = load<u32>(this.hashes + (at << 2));
      if (hash == 0) continue;
      store<u32>(kept + (count << 3), hash);
      store<u32>(kept + (count << 3), <u32>load<u8>(this.panes + at), 4);
      count += 1;
    }
    memory.fill(this.hashes, 0, this.capacity << 2);
    memory.fill(this.panes, 0, this.capacity);
    this.capacity = capacity;
    this.count = count;
    for (let entry: u32 = 0; entry < count; entry++) {
      const hash = load<u32>(kept + (entry << 3));
      const at = this.place(hash);
      store<u32>(this.hashes + (at << 2), hash);
      store<u8>(this.panes + at, load<u8>(kept + (entry << 3), 4));
    }
    release(start);
  }

  @inline
  private home(hash: u32): u32 {
    return (hash * 0x9e3779b1 >> 16) & (this.capacity - 1);
  }

  /** Where the hash is, or where it would go. */
  @inline
  private place(hash: u32): u32 {
    const mask = this.capacity - 1;
    let at = this.home(hash);
    while (true) {
      const held = load<u32>(this.hashes + (at << 2));
      if (held == 0 || held == hash) return at;
      at = (at + 1) & mask;
    }
  }

  @inline
  private ageAt(at: u32, current: u32): u32 {
    return (current - <u32>load<u8>(this.panes + at)) & 0xff;
  }

  @inline
  private levelAt(at: u32, current: u32): u32 {
    return this.levelOf(current - this.ageAt(at, current));
  }

  @inline
  private levelOf(pane: u32): u32 {
    return <u32>load<u8>(
      changetype<usize>(this) + (pane % PANES), offsetof<DistinctWindow>("level0"),
    );
  }

  @inline
  private setLevel(pane: u32, level: u32): void {
    store<u8>(
      changetype<usize>(this) + (pane % PANES), <u8>level, offsetof<DistinctWindow>("level0"),
    );
  }
}

@inline
function limitOf(capacity: u32): u32 {
  return capacity - (capacity >> 2);
}

// Distinct people of one term, the same in miniature: PEOPLE entries of 32 bits and one level.
//
//   entry: 27 bits of the user's hash | 1 bit: anonymous | 4 bits: last pane mod 16        0: free
//
// Somebody without a name counts as somebody new each time. One level serves all panes; it falls
// only when the set is nearly empty, so for a window after that the estimate leans low.

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
    for (let at = entries; at < entries + (PEOPLE << 2); at += 4) {
      if (load<u32>(at) == 0) {
        store<u32>(at, entry);
        return;
      }
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
  const zero = i32x4.splat(0);
  const free =
    i32x4.bitmask(i32x4.eq(first, zero)) | (i32x4.bitmask(i32x4.eq(second, zero)) << 4);
  return PEOPLE - <u32>popcnt(free);
}
