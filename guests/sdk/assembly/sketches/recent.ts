// What was seen lately: sets of WAYS entries chosen by hash; in a set the newest comes first and
// pushes the oldest out. A look-up reads one cache line or two, and nothing is ever searched for or
// freed. A set remembers its last WAYS entries, so all of them together remember a little less than
// `sets * WAYS` events back for certain, and never claim what was not there.
import { alloc, mark, release } from "../arena";

// Ids: u64 hashes, 0: free.
const ID_WAYS: u32 = 8;

/** Hot. Whether the id was seen; if not, it is now. `capacity`: ids in all, a power of two. */
export function seenId(ids: usize, capacity: u32, hash: u64): bool {
  if (hash == 0) hash = 1;
  const set = idSet(ids, capacity, hash);
  const wanted = i64x2.splat(<i64>hash);
  const hits = v128.or(
    v128.or(
      i64x2.eq(v128.load(set), wanted),
      i64x2.eq(v128.load(set, 16), wanted),
    ),
    v128.or(
      i64x2.eq(v128.load(set, 32), wanted),
      i64x2.eq(v128.load(set, 48), wanted),
    ),
  );
  if (v128.any_true(hits)) return true;
  pushId(set, hash);
  return false;
}

/** Lays the ids out for another capacity in the same place; fewer keep the newest of each set. */
export function rehashIds(ids: usize, from: u32, to: u32): void {
  const start = mark();
  const kept = alloc(min(from, to) << 3, 16);
  let count: u32 = 0;
  for (let way: u32 = 0; way < ID_WAYS; way++) {
    for (let at = way; at < from && count < to; at += ID_WAYS) {
      const hash = load<u64>(ids + (at << 3));
      if (hash != 0) store<u64>(kept + (count++ << 3), hash);
    }
  }
  memory.fill(ids, 0, max(from, to) << 3);
  while (count > 0) {
    const hash = load<u64>(kept + (--count << 3));
    pushId(idSet(ids, to, hash), hash);
  }
  release(start);
}

@inline
function idSet(ids: usize, capacity: u32, hash: u64): usize {
  return ids + <usize>(((<u32>(hash >> 32) & (capacity / ID_WAYS - 1)) * ID_WAYS) << 3);
}

@inline
function pushId(set: usize, hash: u64): void {
  const first = v128.load(set);
  const second = v128.load(set, 16);
  const third = v128.load(set, 32);
  const last = load<u64>(set, 48);
  store<u64>(set, hash);
  v128.store(set, first, 8);
  v128.store(set, second, 24);
  v128.store(set, third, 40);
  store<u64>(set, last, 56);
}

// Sayings: what a user said, as { u64 fingerprint, u32 user, u32 pane }, pane 0: free.
export const SAYING_BYTES: u32 = 16;
export const SAYINGS_PER_SET: u32 = 4;

/** The SAYINGS_PER_SET sayings among which a user's are, newest first. */
@inline
export function sayingsOf(sayings: usize, capacity: u32, user: u32): usize {
  return sayings + ((user & (capacity / SAYINGS_PER_SET - 1)) * SAYINGS_PER_SET) * SAYING_BYTES;
}

@inline
export function pushSaying(set: usize, user: u32, fingerprint: u64, pane: u32): void {
  const first = v128.load(set);
  const second = v128.load(set, 16);
  const third = v128.load(set, 32);
  v128.store(set, first, 16);
  v128.store(set, second, 32);
  v128.store(set, third, 48);
  store<u64>(set, fingerprint);
  store<u32>(set, user, 8);
  store<u32>(set, pane, 12);
}

/**
 * Lays the sayings out for another capacity in the same place; fewer keep the newest of each set.
 */
export function rehashSayings(sayings: usize, from: u32, to: u32): void {
  const start = mark();
  const kept = alloc(min(from, to) * SAYING_BYTES, 16);
  let count: u32 = 0;
  for (let way: u32 = 0; way < SAYINGS_PER_SET; way++) {
    for (let at = way; at < from && count < to; at += SAYINGS_PER_SET) {
      const saying = sayings + at * SAYING_BYTES;
      if (load<u32>(saying, 12) != 0)
        v128.store(kept + SAYING_BYTES * count++, v128.load(saying));
    }
  }
  memory.fill(sayings, 0, max(from, to) * SAYING_BYTES);
  while (count > 0) {
    const saying = kept + --count * SAYING_BYTES;
    const user = load<u32>(saying, 8);
    pushSaying(sayingsOf(sayings, to, user), user, load<u64>(saying), load<u32>(saying, 12));
  }
  release(start);
}
