// Distinct users of all sketches: a list while it has room, then a sketch, as at one tenant.
//
// Lists unite exactly up to MERGE_USERS_LISTED_MAX users. One more, or a sketch that has no list
// itself, and all are poured into the bitmap (windows) or the UltraLogLog (`all`); both are joins,
// so the result is that of one sketch of everybody, whatever came first and in whatever grouping.
// Which of the two forms a merge ends in does not depend on the order either: it is the list if
// and only if all parts are lists and all their users together fit.
import {
  addRankBit, countRankBits, errorRanks, estimateRanks, mergeRankBits, RANK_BITS_BYTES, RANKS,
} from "../../guests/sdk/assembly/sketches/aged-bitmap";
import { widen } from "../../guests/sdk/assembly/sketches/bytes";
import {
  addUltra, errorUltra, estimateUltra, mergeUltra,
} from "../../guests/sdk/assembly/sketches/ultra-log-log";
import { ULTRA_BYTES, ULTRA_P } from "../../guests/sdk/assembly/sketches/user-spans";
import { SPAN_ALL } from "../../guests/sdk/assembly/spans";
import { alloc, mark, release } from "../../guests/sdk/assembly/arena";
import { SEEN } from "./layout";
import { MERGE_USERS_LISTED_MAX } from "./limits.gen";
import { KIND_USERS_BITMAP, KIND_USERS_EXACT, KIND_USERS_ULTRA } from "./portable";

/** A power of two; at most half of it is used. */
const ENTRIES: u32 = 8192;

@unmanaged
export class MergedUsers {
  private span: u32;
  private count: u32;
  private poured: bool;
  // u32 hashes[ENTRIES] by open addressing, 0 is free; then the bitmap or the registers.

  open(span: u32): void {
    memory.fill(this.list, 0, (ENTRIES << 2) + ULTRA_BYTES);
    this.span = span;
    this.count = 0;
    this.poured = false;
  }

  /** Adds a checked section of users. */
  add(kind: u32, at: usize): void {
    if (kind == KIND_USERS_EXACT) {
      const end = at + 8 + (<usize>load<u32>(at) << 2);
      for (let hash = at + 8; hash < end; hash += 4) this.note(load<u32>(hash));
      return;
    }
    this.pour();
    if (kind == KIND_USERS_BITMAP) mergeRankBits(this.sketch, at);
    else mergeUltra(this.sketch, at, ULTRA_P);
  }

  get estimate(): f64 {
    if (!this.poured) return this.count;
    if (this.span == SPAN_ALL) return estimateUltra(this.sketch, ULTRA_P);
    const start = mark();
    const counts = alloc(RANKS << 2, 8);
    countRankBits(this.sketch, counts);
    const estimate = estimateRanks(counts);
    release(start);
    return estimate;
  }

  /** Relative standard error of the estimate; 0: it is exact. */
  get error(): f64 {
    if (!this.poured) return 0;
    return this.span == SPAN_ALL ? errorUltra(ULTRA_P) : errorRanks(this.estimate);
  }

  get encodedKind(): u32 {
    if (!this.poured) return KIND_USERS_EXACT;
    return this.span == SPAN_ALL ? KIND_USERS_ULTRA : KIND_USERS_BITMAP;
  }

  get encodedBytes(): u32 {
    if (!this.poured) return 8 + (this.count << 2);
    return this.span == SPAN_ALL ? ULTRA_BYTES : RANK_BITS_BYTES;
  }

  /** Hashes ascend, so that equal sets are equal bytes. */
  encode(at: usize): void {
    if (this.poured) return memory.copy(at, this.sketch, this.encodedBytes);
    store<u32>(at, this.count);
    store<u32>(at, 0, 4);
    let next = SEEN;
    for (let entry: usize = 0; entry < <usize>ENTRIES << 2; entry += 4) {
      const hash = load<u32>(this.list + entry);
      if (hash == 0) continue;
      store<u32>(next, hash);
      next += 4;
    }
    sort(SEEN, this.count);
    memory.copy(at + 8, SEEN, this.count << 2);
  }

  @inline
  private get list(): usize {
    return changetype<usize>(this) + 16;
  }

  @inline
  private get sketch(): usize {
    return this.list + (ENTRIES << 2);
  }

  private note(hash: u32): void {
    if (this.poured) return this.noteSketched(hash);
    let place = hash * 0x9e3779b1 >> 19;
    while (true) {
      const held = load<u32>(this.list + (<usize>place << 2));
      if (held == hash) return;
      if (held == 0) break;
      place = (place + 1) & (ENTRIES - 1);
    }
    if (this.count == MERGE_USERS_LISTED_MAX) {
      this.pour();
      return this.noteSketched(hash);
    }
    store<u32>(this.list + (<usize>place << 2), hash);
    this.count += 1;
  }

  @inline
  private noteSketched(hash: u32): void {
    if (this.span == SPAN_ALL) addUltra(this.sketch, ULTRA_P, widen(hash));
    else addRankBit(this.sketch, widen(hash));
  }

  private pour(): void {
    if (this.poured) return;
    this.poured = true;
    for (let entry: usize = 0; entry < <usize>ENTRIES << 2; entry += 4) {
      const hash = load<u32>(this.list + entry);
      if (hash != 0) this.noteSketched(hash);
    }
  }
}

/** Ascending: four passes by a byte each, between the two halves of the room at `at`. */
function sort(at: usize, count: u32): void {
  const start = mark();
  const counts = alloc(256 << 2, 8);
  const bytes = <usize>count << 2;
  let from = at;
  let to = at + bytes;
  for (let shift: u32 = 0; shift < 32; shift += 8) {
    memory.fill(counts, 0, 256 << 2);
    for (let word: usize = 0; word < bytes; word += 4) {
      const count = counts + (<usize>((load<u32>(from + word) >> shift) & 0xff) << 2);
      store<u32>(count, load<u32>(count) + 4);
    }
    let place: u32 = 0;
    for (let digit: usize = 0; digit < 256 << 2; digit += 4) {
      const ofDigit = load<u32>(counts + digit);
      store<u32>(counts + digit, place);
      place += ofDigit;
    }
    for (let word: usize = 0; word < bytes; word += 4) {
      const value = load<u32>(from + word);
      const next = counts + (<usize>((value >> shift) & 0xff) << 2);
      store<u32>(to + load<u32>(next), value);
      store<u32>(next, load<u32>(next) + 4);
    }
    const other = from;
    from = to;
    to = other;
  }
  release(start);
}
