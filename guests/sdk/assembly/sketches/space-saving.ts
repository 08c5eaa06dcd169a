// Heavy hitters of a sliding window: pane-ring Space-Saving with a proven interval for every count.
//
// The window is PANES panes; `pane` numbers the current one, `low` = pane - PANES + 1 the oldest.
// Each of `capacity` slots follows one key and knows
//   own       its events that the slot counted itself and that are still in the window
//   ring[p]   the same by pane: own = sum of ring
//   priority  own + credit inherited from the keys that held the slot before; it picks the victim
//             exactly as Space-Saving does, and the credit fades by ceil(credit / PANES) a pane
//   inserted  the pane in which the key came in, and insertBound, bound[inserted] at that moment
// and the table knows bound[p]: the most events that any key without a slot can have had in pane p.
//
// The interval. A key came in during pane `inserted`. Before that it had no slot, so at most
// bound[p] of its events in each earlier pane p, and at most insertBound in `inserted` itself, are
// not in its ring; everything since is. Hence own <= count <= own + insertBound + sum of bound[low
// .. inserted-1], and once `inserted` has left the window the count is exact.
//
// Giving a slot away turns its knowledge into bounds: for a pane p since the insertion, the key had
// at most ring[p] (+ insertBound in the first one) events there, so bound[p] = max(bound[p], that).
//
// Late events. One for pane p < inserted is counted in ring[p] like any other: what is *not* in the
// ring of that pane still happened before the insertion, so bound[p] still covers it and the
// interval above holds. When the slot is given away, such a pane held at most bound[p] + ring[p],
// so bound[p] grows by ring[p]. (The plain rule, widening bound[p] on every late event of a key
// without a slot, is sound too, but a stream that is late by a constant pane would then never get a
// key in, and the bounds would grow with every event instead of with every eviction.)
//
// A table that never evicted has all bounds 0: every count is exact, and moving the slots into a
// larger table changes nothing. Keys are byte strings of at most KEY_BYTES_MAX, compared byte by
// byte; the hash only finds them. Counts saturate at OWN_MAX; for a window after that every upper
// bound is the largest number there is.
//
// Cost: 109 bytes a slot with its key, and 35 of its owner's; an update is O(1) with the index
// (capacity > 64), a SIMD scan of the hashes without; an eviction probes some 4 to 9 slots; a roll
// is one SIMD pass. Ideas: Metwally 2005 (Space-Saving), Manku 2002 (bounds of lossy counting).
// Checked against an exact count of every key by guests/sdk/space-saving.test.ts.
import { copyKey40, equalKey40, saturatingAdd } from "./bytes";

export const PANES: u32 = 12;
export const KEY_BYTES_MAX: u32 = 40;
export const NO_SLOT: u32 = 0xffffffff;
const OWN_MAX: u32 = 0x7fffffff;
const PRIORITY_MAX: u32 = 0xffffff00;

/**
 * What is told of a slot when it is given to a key, with the key behind it: one place, so that it
 * is in the caches or not as one. `kind`, `firstSeen` and the people are the owner's.
 */
@unmanaged
export class SlotRecord {
  /** A set of people.ts. */
  person0: u32; person1: u32; person2: u32; person3: u32;
  person4: u32; person5: u32; person6: u32; person7: u32;
  inserted: u32;
  insertBound: u32;
  keyBytes: u8;
  /** The tokenizer's kind, or KIND_EXPLICIT. */
  kind: u8;
  /** How many ms before the end of pane `inserted` the key was first said. */
  firstSeen: u16;

  @inline
  get people(): usize {
    return changetype<usize>(this);
  }

  /** KEY_BYTES_MAX bytes, zeros behind the key. */
  @inline
  get key(): usize {
    return changetype<usize>(this) + offsetof<SlotRecord>();
  }
}

export const SLOT_RECORD_BYTES: u32 = 84;

/** Of the table's header, and of the six addresses in it. */
export const SPACE_SAVING_BYTES: u32 = 104;
const ADDRESSES_BYTES: usize = 24;

/** The table's header. What it points to is laid out by its owner; all arrays are 16-aligned. */
@unmanaged
export class SpaceSaving {
  /** Slots; a multiple of 4. */
  capacity: u32;
  /** Slots in use: 0 .. count - 1. */
  count: u32;
  /** Clock hand of the victim search. */
  hand: u32;
  /** Lower bound of all priorities. */
  least: u32;
  pane: u32;
  /** The latest pane in which a count saturated; 0: never. */
  saturatedPane: u32;
  /** u32[capacity] each. */
  hashes: u32;
  own: u32;
  priority: u32;
  /** u32[PANES][capacity]. */
  ring: u32;
  /** SLOT_RECORD_BYTES each. */
  records: u32;
  /** u16[indexMask + 1], slot + 1 or 0, open addressing; 0: there is none, scan. */
  index: u32;
  indexMask: u32;
  bound0: u32; bound1: u32; bound2: u32; bound3: u32; bound4: u32; bound5: u32;
  bound6: u32; bound7: u32; bound8: u32; bound9: u32; bound10: u32; bound11: u32;

  /** The header without its addresses, SPACE_SAVING_BYTES. */
  exportHead(to: usize): void {
    memory.copy(to, changetype<usize>(this), SPACE_SAVING_BYTES);
    memory.fill(to + offsetof<SpaceSaving>("hashes"), 0, ADDRESSES_BYTES);
  }

  /** The header as it was exported; its arrays are bound already. False: they are of other sizes. */
  importHead(from: usize): bool {
    const capacity = this.capacity;
    const indexMask = this.indexMask;
    const addresses = offsetof<SpaceSaving>("hashes");
    memory.copy(from + addresses, changetype<usize>(this) + addresses, ADDRESSES_BYTES);
    memory.copy(changetype<usize>(this), from, SPACE_SAVING_BYTES);
    return this.capacity == capacity && this.indexMask == indexMask && this.count <= capacity;
  }

  /** Hot. The slot of a key, or NO_SLOT. */
  find(hash: u32, key: usize, bytes: u32): u32 {
    if (this.index == 0) return this.scan(hash, key, bytes);
    const mask = this.indexMask;
    let at = home(hash) & mask;
    while (true) {
      const entry = <u32>load<u16>(this.index + (at << 1));
      if (entry == 0) return NO_SLOT;
      if (this.holds(entry - 1, hash, key, bytes)) return entry - 1;
      at = (at + 1) & mask;
    }
  }

  /** A slot whose key has the hash: the key itself, but for one pair of keys in four billion. */
  findHash(hash: u32): u32 {
    if (this.index == 0) {
      const needle = i32x4.splat(hash);
      for (let first: u32 = 0; first < this.count; first += 4) {
        const hits = i32x4.bitmask(i32x4.eq(v128.load(this.hashes + (first << 2)), needle));
        if (hits == 0) continue;
        const slot = first + <u32>ctz(hits);
        return slot < this.count ? slot : NO_SLOT;
      }
      return NO_SLOT;
    }
    let at = home(hash) & this.indexMask;
    while (true) {
      const entry = <u32>load<u16>(this.index + (at << 1));
      if (entry == 0) return NO_SLOT;
      if (load<u32>(this.hashes + ((entry - 1) << 2)) == hash) return entry - 1;
      at = (at + 1) & this.indexMask;
    }
  }

  /** Hot. Counts `weight` events of the key of `slot` in `pane`, which is open. */
  add(slot: u32, pane: u32, weight: u32): void {
    const ownAt = this.own + (slot << 2);
    const own = load<u32>(ownAt);
    if (weight > OWN_MAX - own) {
      weight = OWN_MAX - own;
      this.saturatedPane = this.pane;
    }
    store<u32>(ownAt, own + weight);
    const cell = this.cell(pane, slot);
    store<u32>(cell, load<u32>(cell) + weight);
    const priorityAt = this.priority + (slot << 2);
    const priority = load<u32>(priorityAt);
    store<u32>(priorityAt, priority > PRIORITY_MAX - weight ? PRIORITY_MAX : priority + weight);
  }

  /** Gives a slot to a key without one: a free slot, or one that `evict` has emptied. */
  insert(slot: u32, hash: u32, key: usize, bytes: u32): void {
    if (slot == this.count) {
      this.count = slot + 1;
      this.least = 0;
    }
    store<u32>(this.hashes + (slot << 2), hash);
    const record = this.record(slot);
    record.inserted = this.pane;
    record.insertBound = load<u32>(this.boundAt(this.pane));
    record.keyBytes = <u8>bytes;
    copyKey40(record.key, key, bytes);
    this.link(slot);
  }

  /** The slot that Space-Saving would give away next. Only for a full table. */
  victim(): u32 {
    let slot = this.leastFrom(this.hand, this.least);
    if (slot == NO_SLOT) slot = this.leastFrom(0, this.least);
    if (slot == NO_SLOT) {
      this.least = this.leastPriority();
      slot = this.leastFrom(this.hand, this.least);
      if (slot == NO_SLOT) slot = this.leastFrom(0, this.least);
    }
    this.hand = slot + 1;
    return slot;
  }

  /** A slot whose key is gone from the window and has no credit left, or NO_SLOT. */
  spare(): u32 {
    if (this.least != 0) return NO_SLOT;
    const slot = this.victim();
    return load<u32>(this.priority + (slot << 2)) == 0 ? slot : NO_SLOT;
  }

  /** Turns what the slot knows into bounds and empties it; its priority stays as credit. */
  @inline
  evict(slot: u32): void {
    const record = this.record(slot);
    const inserted = record.inserted;
    const ownAt = this.own + (slot << 2);
    const newest = this.cell(this.pane, slot);
    if (inserted == this.pane && load<u32>(newest) == load<u32>(ownAt)) {
      // Most victims came in a moment ago and know of this pane alone.
      const boundAt = this.boundAt(inserted);
      const most = saturatingAdd(load<u32>(newest), record.insertBound);
      store<u32>(boundAt, max(load<u32>(boundAt), most));
      store<u32>(newest, 0);
      store<u32>(ownAt, 0);
    } else {
      this.evictAll(slot);
    }
    this.unlink(slot);
  }

  /** `evict` of a slot that knows of several panes. */
  private evictAll(slot: u32): void {
    const record = this.record(slot);
    const inserted = record.inserted;
    for (let pane = this.low; pane <= this.pane; pane++) {
      const cell = this.cell(pane, slot);
      const counted = load<u32>(cell);
      const boundAt = this.boundAt(pane);
      const bound = load<u32>(boundAt);
      if (pane < inserted) {
        store<u32>(boundAt, saturatingAdd(bound, counted));
      } else {
        const unseen = pane == inserted ? record.insertBound : 0;
        store<u32>(boundAt, max(bound, saturatingAdd(counted, unseen)));
      }
      store<u32>(cell, 0);
    }
    store<u32>(this.own + (slot << 2), 0);
  }

  /**
   * Evicts a key for good; the last slot moves into the gap, which the caller's own arrays follow.
   */
  remove(slot: u32): u32 {
    this.evict(slot);
    const last = this.count - 1;
    if (slot != last) {
      this.unlink(last);
      moveWord(this.hashes, last, slot);
      moveWord(this.own, last, slot);
      moveWord(this.priority, last, slot);
      for (let pane: u32 = 0; pane < PANES; pane++) moveWord(this.cell(pane, 0), last, slot);
      memory.copy(this.recordAt(slot), this.recordAt(last), SLOT_RECORD_BYTES);
      this.link(slot);
    }
    clearWord(this.hashes, last);
    clearWord(this.own, last);
    clearWord(this.priority, last);
    for (let pane: u32 = 0; pane < PANES; pane++) clearWord(this.cell(pane, 0), last);
    memory.fill(this.recordAt(last), 0, SLOT_RECORD_BYTES);
    this.count = last;
    this.least = 0;
    return last;
  }

  /** Goes on by `panes` panes, in O(PANES + the fading of credit) passes however many they are. */
  roll(panes: u32): void {
    const single = min(panes, PANES);
    for (let step: u32 = 0; step < single; step++) this.rollOne();
    if (panes <= PANES) return;
    this.pane += panes - PANES;
    this.fade(panes - PANES);
  }

  /** At most this many events of the key are in the window. At least `own` are. */
  upper(slot: u32): u32 {
    const own = load<u32>(this.own + (slot << 2));
    if (!this.isWhole) return 0xffffffff;
    const record = this.record(slot);
    const inserted = record.inserted;
    if (inserted < this.low) return own;
    let sum = <u64>own + <u64>record.insertBound;
    for (let pane = this.low; pane < inserted; pane++) sum += <u64>load<u32>(this.boundAt(pane));
    return <u32>min<u64>(sum, 0xffffffff);
  }

  /** At most this many events of any one key without a slot are in the window. */
  upperUntracked(): u32 {
    if (!this.isWhole) return 0xffffffff;
    let sum: u64 = 0;
    for (let pane = this.low; pane <= this.pane; pane++) sum += <u64>load<u32>(this.boundAt(pane));
    return <u32>min<u64>(sum, 0xffffffff);
  }

  /** Fills the index anew: after the arrays have moved, or its size has changed. */
  reindex(): void {
    if (this.index == 0) return;
    memory.fill(this.index, 0, (this.indexMask + 1) << 1);
    for (let slot: u32 = 0; slot < this.count; slot++) this.link(slot);
  }

  /** Whether every event added in the window was counted in full. */
  @inline
  get isWhole(): bool {
    return this.saturatedPane == 0 || this.saturatedPane < this.low;
  }

  /** The oldest pane of the window. Pane numbers start high enough for this never to wrap. */
  @inline
  get low(): u32 {
    return this.pane - (PANES - 1);
  }

  @inline
  record(slot: u32): SlotRecord {
    return changetype<SlotRecord>(this.recordAt(slot));
  }

  @inline
  recordAt(slot: u32): usize {
    return this.records + slot * SLOT_RECORD_BYTES;
  }

  @inline
  ownOf(slot: u32): u32 {
    return load<u32>(this.own + (slot << 2));
  }

  @inline
  cell(pane: u32, slot: u32): usize {
    return this.ring + ((pane % PANES) * this.capacity + slot << 2);
  }

  @inline
  private boundAt(pane: u32): usize {
    return changetype<usize>(this) + offsetof<SpaceSaving>("bound0") + ((pane % PANES) << 2);
  }

  /** Hot. */
  @inline
  private holds(slot: u32, hash: u32, key: usize, bytes: u32): bool {
    if (load<u32>(this.hashes + (slot << 2)) != hash) return false;
    const record = this.record(slot);
    return <u32>record.keyBytes == bytes && equalKey40(record.key, key, bytes);
  }

  /** Hot. */
  private scan(hash: u32, key: usize, bytes: u32): u32 {
    const needle = i32x4.splat(hash);
    const count = this.count;
    for (let first: u32 = 0; first < count; first += 4) {
      let hits = i32x4.bitmask(i32x4.eq(v128.load(this.hashes + (first << 2)), needle));
      while (hits != 0) {
        const slot = first + <u32>ctz(hits);
        if (slot < count && this.holds(slot, hash, key, bytes)) return slot;
        hits &= hits - 1;
      }
    }
    return NO_SLOT;
  }

  private link(slot: u32): void {
    if (this.index == 0) return;
    let at = home(load<u32>(this.hashes + (slot << 2))) & this.indexMask;
    while (load<u16>(this.index + (at << 1)) != 0) at = (at + 1) & this.indexMask;
    store<u16>(this.index + (at << 1), <u16>(slot + 1));
  }

  /** Backward-shift deletion: no tombstones, so chains stay as short as on the first day. */
  private unlink(slot: u32): void {
    if (this.index == 0) return;
    const mask = this.indexMask;
    let hole = home(load<u32>(this.hashes + (slot << 2))) & mask;
    while (<u32>load<u16>(this.index + (hole << 1)) != slot + 1) hole = (hole + 1) & mask;
    let at = hole;
    while (true) {
      at = (at + 1) & mask;
      const entry = <u32>load<u16>(this.index + (at << 1));
      if (entry == 0) break;
      const wanted = home(load<u32>(this.hashes + ((entry - 1) << 2))) & mask;
      if (((at - wanted) & mask) < ((at - hole) & mask)) continue;
      store<u16>(this.index + (hole << 1), <u16>entry);
      hole = at;
    }
    store<u16>(this.index + (hole << 1), 0);
  }

  /** The first slot from `first` on with a priority of at most `least`. */
  @inline
  private leastFrom(first: u32, least: u32): u32 {
    const limit = i32x4.splat(least);
    const end = this.count;
    let past = first & 3;
    for (let slot = first - past; slot < end; slot += 4) {
      const held = v128.load(<usize>this.priority + (<usize>slot << 2));
      const hits = <u32>i32x4.bitmask(i32x4.le_u(held, limit)) >> past;
      if (hits != 0) {
        // What lies behind the last slot is free, and no victim.
        const found = slot + past + <u32>ctz(hits);
        return found < end ? found : NO_SLOT;
      }
      past = 0;
    }
    return NO_SLOT;
  }

  private leastPriority(): u32 {
    let least: u32 = 0xffffffff;
    for (let slot: u32 = 0; slot < this.count; slot++)
      least = min(least, load<u32>(this.priority + (slot << 2)));
    return least;
  }

  private rollOne(): void {
    this.pane += 1;
    const cells = this.cell(this.pane, 0);
    const end = this.capacity << 2;
    let least = i32x4.splat(-1);
    for (let at: u32 = 0; at < end; at += 16) {
      const own = v128.load(this.own + at);
      const credit = faded(i32x4.sub(v128.load(this.priority + at), own));
      const stays = i32x4.sub(own, v128.load(cells + at));
      const priority = i32x4.add(stays, credit);
      v128.store(cells + at, i32x4.splat(0));
      v128.store(this.own + at, stays);
      v128.store(this.priority + at, priority);
      least = i32x4.min_u(least, priority);
    }
    store<u32>(this.boundAt(this.pane), 0);
    this.least = this.count < this.capacity ? 0 : leastLane(least);
  }

  /** The rest of a long gap: the window is empty, only credit is left to fade, at most to 0. */
  private fade(panes: u32): void {
    const end = this.capacity << 2;
    for (let step: u32 = 0; step < panes; step++) {
      let any = i32x4.splat(0);
      let least = i32x4.splat(-1);
      for (let at: u32 = 0; at < end; at += 16) {
        const credit = faded(v128.load(this.priority + at));
        v128.store(this.priority + at, credit);
        any = v128.or(any, credit);
        least = i32x4.min_u(least, credit);
      }
      this.least = this.count < this.capacity ? 0 : leastLane(least);
      if (!v128.any_true(any)) return;
    }
  }
}

@inline
function home(hash: u32): u32 {
  return (hash ^ (hash >> 15)) * 0x9e3779b1 >> 12;
}

@inline
function moveWord(words: usize, from: u32, to: u32): void {
  store<u32>(words + (to << 2), load<u32>(words + (from << 2)));
}

@inline
function clearWord(words: usize, at: u32): void {
  store<u32>(words + (at << 2), 0);
}

/** credit - ceil(credit / 12), four at a time: x / 12 = x * 0xAAAAAAAB >> 35 for every u32 x. */
@inline
function faded(credit: v128): v128 {
  const raised = i32x4.add(credit, i32x4.splat(PANES - 1));
  const magic = i32x4.splat(0xaaaaaaab);
  const lower = i64x2.shr_u(i64x2.extmul_low_i32x4_u(raised, magic), 35);
  const upper = i64x2.shr_u(i64x2.extmul_high_i32x4_u(raised, magic), 35);
  return i32x4.sub(credit, v128.shuffle<u32>(lower, upper, 0, 2, 4, 6));
}

@inline
function leastLane(words: v128): u32 {
  return min(
    min(<u32>i32x4.extract_lane(words, 0), <u32>i32x4.extract_lane(words, 1)),
    min(<u32>i32x4.extract_lane(words, 2), <u32>i32x4.extract_lane(words, 3)),
  );
}
