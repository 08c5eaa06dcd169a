// Distinct users of every span: exact while they fit in a list, then estimated, and exact again.
//
// The list knows users and the pane each was last seen in. As long as it holds everybody since the
// start, every span and `all` are exact. When one more does not fit, all of them are poured into an
// aged bitmap (the four windows) and an UltraLogLog (`all`), which from then on see everybody. The
// list stays: it drops who has left the longest window, then the next shorter one, until there is
// room, and of whoever it does not hold it knows that they were last seen in pane `lost` or before.
// So a span that begins after `lost` is still exact, and a span is exact again as soon as it has
// moved past the crowd. If not even the users of a minute fit, the minute is an estimate too.
//
//   list     u32 hashes[capacity], then u16 panes[capacity]: open addressing, hash 0 is free, at
//            most 3/4 used; panes mod 2^16, and every 2^15 panes (2 days) a pass moves up those of
//            users not seen in the day, so that none comes round to look recent
//   bitmap   AGED_BITMAP_BYTES, see aged-bitmap.ts; untouched until the list is poured
//   ultra    ULTRA_BYTES, see ultra-log-log.ts; the same
//
// Errors: 0 while exact; of a window, what aged-bitmap.ts says (at most 2.31 % to 10^6 users); of
// `all`, and of a window that began before the first event, 0.864 %. An estimate is never below the
// number of users that the list holds in the span. Users are known by 32 bits: of n users some
// n^2 / 2^33 share a hash and count once (1 of 100,000; 0.012 % of 10^6).
//
// Cost: 6 bytes an entry. Somebody seen before in the same pane costs one look into the list;
// anybody else a store in it, and once poured one register of the bitmap and, unless the list had
// them, one of the UltraLogLog. A roll is O(1) but for a pass over the bitmap every fourth pane.
import { alloc, mark, release } from "../arena";
import {
  levelPane, levelPanes, PANE_BIAS, panesOfLevel, SPAN_ALL, SPAN_DAY, SPAN_MINUTE,
} from "../spans";
import {
  addAged, addAgedLate, countAged, encodeAged, errorRanks, estimateRanks, RANK_BITS_BYTES, RANKS,
  rollAged, stampsOf,
} from "./aged-bitmap";
import { widen } from "./bytes";
import { addUltra, errorUltra, estimateUltra } from "./ultra-log-log";

export const ULTRA_P: u32 = 13;
export const ULTRA_BYTES: u32 = 1 << ULTRA_P;
export const USER_ENTRY_BYTES: u32 = 6;
/** Kinds of sections of the portable form. */
export const KIND_USERS_EXACT: u32 = 2;
export const KIND_USERS_BITMAP: u32 = 3;
export const KIND_USERS_ULTRA: u32 = 4;
/** Panes of the longest window; who is older is only part of `all`. */
const PANES_MAX: u32 = 12 * 1440;
/** Panes of the shortest window. */
const PANES_MIN: u32 = 12;
const SWEEP_SHIFT: u32 = 15;

/** Of what is exported of the header. */
export const USERS_HEAD_BYTES: u32 = 33;

@unmanaged
export class UserSpans {
  /** Address of the list, 16-aligned, `capacity` * USER_ENTRY_BYTES bytes. */
  list: u32;
  bitmap: u32;
  ultra: u32;
  /** Entries of the list, a power of two from 32 to 32768; at most 3/4 of them are used. */
  capacity: u32;
  /** Entries in use. */
  entries: u32;
  /** The newest pane of the last roll, 0 before the first. */
  current: u32;
  /** Nobody was new before this pane; 0 before the first user. */
  oldest: u32;
  /** Who is not in the list was last seen in this pane or before. */
  lost: u32;
  /** Nobody in the list was last seen before this pane. */
  floor: u32;
  /** Of `current`, for the bitmap. */
  stamps: u32;
  /** Whether the bitmap and the UltraLogLog are in use. */
  poured: bool;

  /** Starts from nothing; the three places hold zeros and are bound afterwards. */
  start(capacity: u32): void {
    memory.fill(changetype<usize>(this), 0, offsetof<UserSpans>());
    this.capacity = capacity;
  }

  /** What is known beside the list and the sketches, USERS_HEAD_BYTES, without their addresses. */
  exportHead(to: usize): void {
    const from = offsetof<UserSpans>("capacity");
    memory.copy(to, changetype<usize>(this) + from, USERS_HEAD_BYTES);
  }

  /** The same, as it was exported; the places are bound already. False: the list has other room. */
  importHead(from: usize, capacity: u32): bool {
    const to = offsetof<UserSpans>("capacity");
    memory.copy(changetype<usize>(this) + to, from, USERS_HEAD_BYTES);
    return this.capacity == capacity;
  }

  /** Where the list, the bitmap and the UltraLogLog lie, now or after the owner moved them. */
  bind(list: usize, bitmap: usize, ultra: usize): void {
    this.list = <u32>list;
    this.bitmap = <u32>bitmap;
    this.ultra = <u32>ultra;
  }

  /** Hot. Notes a user in `pane`, which is at most `current`. */
  @inline
  add(hash: u32, pane: u32, current: u32): void {
    if (hash == 0) hash = 0x80000000;
    if (current > this.current) this.roll(current);
    const at = this.place(hash);
    const isKnown = load<u32>(this.hashAt(at)) == hash;
    if (isKnown && this.ageAt(at) <= this.current - pane) return;
    this.note(hash, pane, at, isKnown);
  }

  /** `current` is the newest pane from now on. */
  roll(current: u32): void {
    const before = this.current;
    if (current <= before) return;
    this.current = current;
    if (before == 0) return;
    if (before >> SWEEP_SHIFT != current >> SWEEP_SHIFT) this.age(before);
    if (this.poured) {
      rollAged(this.bitmap, before, current);
      this.stamps = stampsOf(current);
    }
  }

  /**
   * Whether one more new user makes something an estimate that now is exact: `all`, or, once that
   * is one, the minute. The owner may make the list larger first.
   */
  isFull(current: u32): bool {
    if (this.entries < limitOf(this.capacity)) return false;
    if (!this.poured) return true;
    this.roll(current);
    return !this.makeRoom(limitOf(this.capacity) - 1);
  }

  /** Whether the list holds the user. */
  holds(hash: u32): bool {
    if (hash == 0) hash = 0x80000000;
    return load<u32>(this.hashAt(this.place(hash))) == hash;
  }

  /** Whether a list of this capacity would hold everybody that this one holds. */
  fits(capacity: u32): bool {
    return this.entries <= limitOf(capacity);
  }

  /**
   * Lays the list out for another capacity at the same address, where the larger of the two has
   * room, with zeros behind the old one. A list that is too small for its users overflows.
   */
  rehash(capacity: u32, current: u32): void {
    if (capacity == this.capacity) return;
    this.roll(current);
    const room = limitOf(capacity);
    if (this.entries > room) {
      if (!this.poured) this.pour();
      if (!this.makeRoom(room)) this.thin(room);
    }
    this.rebuild(capacity);
  }

  /** Distinct users of a span that ends with `current`. */
  count(span: u32, current: u32): f64 {
    this.roll(current);
    return this.estimate(span);
  }

  /** Relative standard error of `count`, which is given; 0 if it is exact. */
  errorOf(span: u32, current: u32, count: f64): f64 {
    this.roll(current);
    if (this.isExact(span)) return 0;
    return this.isWhole(span) ? errorUltra(ULTRA_P) : errorRanks(count);
  }

  /** Which section of the portable form holds the users of a span. */
  encodedKind(span: u32, current: u32): u32 {
    this.roll(current);
    if (this.isExact(span)) return KIND_USERS_EXACT;
    return span == SPAN_ALL ? KIND_USERS_ULTRA : KIND_USERS_BITMAP;
  }

  encodedBytes(span: u32, current: u32): u32 {
    const kind = this.encodedKind(span, current);
    if (kind == KIND_USERS_ULTRA) return ULTRA_BYTES;
    return kind == KIND_USERS_BITMAP ? RANK_BITS_BYTES : 8 + (this.held(span) << 2);
  }

  /** Writes the payload of that section, `encodedBytes` long. */
  encode(span: u32, current: u32, to: usize): void {
    const kind = this.encodedKind(span, current);
    if (kind == KIND_USERS_ULTRA) memory.copy(to, this.ultra, ULTRA_BYTES);
    else if (kind == KIND_USERS_BITMAP) encodeAged(this.bitmap, span, current, to);
    else this.encodeList(span, to);
  }

  /** Everything of `add` but the most frequent case. */
  private note(hash: u32, pane: u32, place: u32, isKnown: bool): void {
    const age = this.current - pane;
    if (isKnown) {
      store<u16>(this.paneAt(place), <u16>pane);
    } else {
      if (this.oldest == 0 || pane < this.oldest) this.oldest = pane;
      if (!this.poured && this.entries == limitOf(this.capacity)) this.pour();
      if (this.poured) {
        addUltra(this.ultra, ULTRA_P, widen(hash));
        if (pane > this.lost) this.remember(hash, pane);
      } else {
        this.insert(hash, place, age);
      }
    }
    if (!this.poured) return;
    if (age == 0) addAged(this.bitmap, widen(hash), this.stamps);
    else addAgedLate(this.bitmap, widen(hash), pane, this.current);
  }

  /** Puts a user in the list if there is or can be room; else notes that somebody is missing. */
  private remember(hash: u32, pane: u32): void {
    const room = limitOf(this.capacity) - 1;
    if (this.entries > room && !this.makeRoom(room)) this.lost = max<u32>(this.lost, pane);
    else if (pane > this.lost) this.insert(hash, this.place(hash), this.current - pane);
  }

  @inline
  private insert(hash: u32, place: u32, age: u32): void {
    store<u32>(this.hashAt(place), hash);
    store<u16>(this.paneAt(place), <u16>(this.current - min<u32>(age, PANES_MAX)));
    this.entries += 1;
    this.floor = min<u32>(this.floor, this.current - age);
  }

  /** The list no longer holds everybody: from now on the sketches do. */
  private pour(): void {
    this.poured = true;
    this.stamps = stampsOf(this.current);
    for (let at: u32 = 0; at < this.capacity; at++) {
      const hash = load<u32>(this.hashAt(at));
      if (hash == 0) continue;
      const wide = widen(hash);
      addUltra(this.ultra, ULTRA_P, wide);
      const age = this.ageAt(at);
      // The same bits at a tenth of the cost: a crowd comes in few panes.
      if (age == 0) addAged(this.bitmap, wide, this.stamps);
      else if (age < PANES_MAX) addAgedLate(this.bitmap, wide, this.current - age, this.current);
    }
  }

  /** Drops who has left the day, then the hour ... the minute, until at most `room` are left. */
  private makeRoom(room: u32): bool {
    if (this.floor + PANES_MIN > this.current) return this.entries <= room;
    for (let span = SPAN_ALL; span-- > SPAN_MINUTE; ) {
      this.dropBefore(this.current - agesOf(span, this.current));
      if (this.entries <= room) return true;
    }
    return false;
  }

  /** Drops the users of pane after pane until at most `room` are left. */
  private thin(room: u32): void {
    let age = agesOf(SPAN_MINUTE, this.current);
    while (this.entries > room) this.dropBefore(this.current - age-- + 1);
  }

  /** Drops who was last seen before the pane. */
  private dropBefore(pane: u32): void {
    if (pane <= this.floor) return;
    this.floor = pane;
    const entries = this.entries;
    if (pane > this.current) {
      memory.fill(this.list, 0, this.capacity * USER_ENTRY_BYTES);
      this.entries = 0;
    } else {
      this.dropOlder(this.current - pane);
    }
    if (this.entries < entries) this.lost = max<u32>(this.lost, pane - 1);
  }

  /** Drops who was last seen more than `ages` panes ago. */
  private dropOlder(ages: u32): void {
    for (let first: u32 = 0; first < this.capacity; first += 8) {
      let at = first;
      while (at < first + 8) {
        // What a drop moves up may be old as well, so the rest is looked at again behind it.
        const old = (this.usedOf(first) & ~this.youngOf(first, ages)) >> (at - first);
        if (old == 0) break;
        at += <u32>ctz(old);
        while (load<u32>(this.hashAt(at)) != 0 && this.ageAt(at) > ages) this.drop(at);
        at += 1;
      }
    }
  }

  /** A bit for each of eight entries that is not free. */
  @inline
  private usedOf(first: u32): u32 {
    const hashes = this.hashAt(first);
    const zero = i32x4.splat(0);
    const free =
      i32x4.bitmask(i32x4.eq(v128.load(hashes), zero)) |
      (i32x4.bitmask(i32x4.eq(v128.load(hashes, 16), zero)) << 4);
    return <u32>free ^ 0xff;
  }

  /** A bit for each of eight entries, free ones too, that is at most `ages` panes old. */
  @inline
  private youngOf(first: u32, ages: u32): u32 {
    const age = i16x8.sub(i16x8.splat(<i16>this.current), v128.load(this.paneAt(first)));
    return <u32>i16x8.bitmask(i16x8.le_u(age, i16x8.splat(<i16>ages)));
  }

  /** Moves up the panes of users not seen in the day, the list being as it was at `before`. */
  private age(before: u32): void {
    const ages = agesOf(SPAN_DAY, this.current);
    const passed = this.current - before;
    for (let at: u32 = 0; at < this.capacity; at++) {
      if (load<u32>(this.hashAt(at)) == 0) continue;
      const age = (before - <u32>load<u16>(this.paneAt(at))) & 0xffff;
      if (age + passed > ages) store<u16>(this.paneAt(at), <u16>(this.current - PANES_MAX));
    }
  }

  @inline
  private isExact(span: u32): bool {
    if (!this.poured) return true;
    return span != SPAN_ALL && this.current - agesOf(span, this.current) > this.lost;
  }

  /** Whether the span is as good as `all`: it holds all there ever was. */
  @inline
  private isWhole(span: u32): bool {
    return span == SPAN_ALL || this.current - agesOf(span, this.current) <= this.oldest;
  }

  private estimate(span: u32): f64 {
    const held = <f64>this.held(span);
    if (this.isExact(span)) return held;
    if (this.isWhole(span)) return max<f64>(estimateUltra(this.ultra, ULTRA_P), held);
    const start = mark();
    const counts = alloc(RANKS << 2, 8);
    countAged(this.bitmap, span, this.current, counts);
    const estimate = estimateRanks(counts);
    release(start);
    return max<f64>(estimate, held);
  }

  /** How many users of a span the list holds. */
  private held(span: u32): u32 {
    if (span == SPAN_ALL) return this.entries;
    const ages = agesOf(span, this.current);
    let held: u32 = 0;
    for (let at: u32 = 0; at < this.capacity; at += 8)
      held += <u32>popcnt(this.usedOf(at) & this.youngOf(at, ages));
    return held;
  }

  private encodeList(span: u32, to: usize): void {
    store<u32>(to, this.held(span));
    store<u32>(to, 0, 4);
    const ages: u32 = span == SPAN_ALL ? 0xffff : agesOf(span, this.current);
    let next = to + 8;
    for (let at: u32 = 0; at < this.capacity; at++) {
      const hash = load<u32>(this.hashAt(at));
      if (hash == 0 || this.ageAt(at) > ages) continue;
      store<u32>(next, hash);
      next += 4;
    }
  }

  private drop(hole: u32): void {
    const mask = this.capacity - 1;
    let at = hole;
    while (true) {
      at = (at + 1) & mask;
      const hash = load<u32>(this.hashAt(at));
      if (hash == 0) break;
      if (((at - this.home(hash)) & mask) < ((at - hole) & mask)) continue;
      store<u32>(this.hashAt(hole), hash);
      store<u16>(this.paneAt(hole), load<u16>(this.paneAt(at)));
      hole = at;
    }
    store<u32>(this.hashAt(hole), 0);
    store<u16>(this.paneAt(hole), 0);
    this.entries -= 1;
  }

  private rebuild(capacity: u32): void {
    const start = mark();
    const kept = alloc(this.entries << 3, 8);
    let next = kept;
    for (let at: u32 = 0; at < this.capacity; at++) {
      const hash = load<u32>(this.hashAt(at));
      if (hash == 0) continue;
      store<u32>(next, hash);
      store<u32>(next, <u32>load<u16>(this.paneAt(at)), 4);
      next += 8;
    }
    memory.fill(this.list, 0, max<u32>(this.capacity, capacity) * USER_ENTRY_BYTES);
    this.capacity = capacity;
    for (let entry = kept; entry < next; entry += 8) {
      const hash = load<u32>(entry);
      const at = this.place(hash);
      store<u32>(this.hashAt(at), hash);
      store<u16>(this.paneAt(at), <u16>load<u32>(entry, 4));
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
    // Eight at a time: a full list has long runs, and most of a crowd is not in it.
    const wanted = i32x4.splat(hash);
    const free = i32x4.splat(0);
    while (at + 8 <= this.capacity) {
      const first = v128.load(this.hashAt(at));
      const second = v128.load(this.hashAt(at), 16);
      const hits =
        i32x4.bitmask(v128.or(i32x4.eq(first, wanted), i32x4.eq(first, free))) |
        (i32x4.bitmask(v128.or(i32x4.eq(second, wanted), i32x4.eq(second, free))) << 4);
      if (hits != 0) return at + <u32>ctz(hits);
      at += 8;
    }
    at &= mask;
    while (true) {
      const held = load<u32>(this.hashAt(at));
      if (held == 0 || held == hash) return at;
      at = (at + 1) & mask;
    }
  }

  @inline
  private hashAt(at: u32): usize {
    return this.list + (at << 2);
  }

  @inline
  private paneAt(at: u32): usize {
    return this.list + (this.capacity << 2) + (at << 1);
  }

  /** How many panes ago the user was seen, or more than a day. */
  @inline
  private ageAt(at: u32): u32 {
    return (this.current - <u32>load<u16>(this.paneAt(at))) & 0xffff;
  }
}

/** The age in panes of the oldest pane of a window that ends with `current`. */
function agesOf(span: u32, current: u32): u32 {
  const width = panesOfLevel(span);
  const since = current - PANE_BIAS;
  return min<u32>(since, since % width + (levelPanes(span) - 1) * width);
}

@inline
function limitOf(capacity: u32): u32 {
  return capacity - (capacity >> 2);
}
