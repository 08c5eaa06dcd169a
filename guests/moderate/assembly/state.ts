// The state of a tenant: what lies where in its 120 KiB.
//
//   0x22000  header, 64 bytes: this struct
//        40  conversations by last use, the one judged last first: u32 hashes, u16 places, 256 each
//       640  what was judged last, if the upstream may be asked about it, 128 bytes (calls.ts)
//       6c0  the policy as it was configured, then the index of its lists (lists.ts)
//         …  records of conversations, back to back (conversations.ts)
//   0x3e000  messages of which the upstream was asked and has not answered: 64 of 128 bytes
//
// What is not used is zero, and a host keeps only the 4 KiB pages that are not: one or two for a
// tenant with a few conversations. A tenant of the default policy that remembers nothing differs
// from a new one in its counters alone.
import { STATE_ADDRESS } from "../../sdk/assembly/arena";

/** Messages of which the upstream is asked at once: REVIEWS_OPEN_MAX of src/model/limits.ts. */
export const CALL_COUNT_MAX: u32 = 64;
export const CALL_BYTES: u32 = 128;
export const CALLS: usize = 0x3e000;
/** Where the records of conversations end at the latest. */
export const RECORDS_END: usize = CALLS;
/** Of them, the places are the byte offset from the first record, in units of STEP. */
export const CONVERSATION_COUNT_MAX: u32 = 256;
export const STEP: u32 = 16;
const HEAD_BYTES: u32 = 64;
const HASHES: usize = STATE_ADDRESS + HEAD_BYTES;
const PLACES: usize = HASHES + (CONVERSATION_COUNT_MAX << 2);
/** Both tables. */
export const TABLE: usize = HASHES;
export const TABLE_BYTES: u32 = CONVERSATION_COUNT_MAX * 6;
export const JUDGED: usize = PLACES + (CONVERSATION_COUNT_MAX << 1);
/** The policy and the index behind it. */
export const POLICY: usize = JUDGED + CALL_BYTES;

@unmanaged
export class State {
  /** 0: the default. */
  policyBytes: u32;
  /** Entries of the index of lists, which begins behind the policy. */
  blockIndexCount: u32;
  allowIndexCount: u32;
  /** Words of it that are allowed on their own: u64 hashes, behind both. */
  allowWordCount: u32;
  /** Of all records. */
  used: u32;
  conversationCount: u32;
  turnCount: u32;
  /** Of the entries of several words that are met by their spelling, the most words. */
  spelledWordsMax: u16;
  /** Entries of scripts without spaces. */
  unspacedCount: u16;
  /** Since the tenant began. */
  evictedCount: f64;
  judgedCount: f64;
  /** Messages of which the upstream was asked and has not answered. */
  callCount: u32;
}

@inline
export function state(): State {
  return changetype<State>(STATE_ADDRESS);
}

@inline
export function padded(bytes: u32, to: u32): u32 {
  return (bytes + to - 1) & ~(to - 1);
}

/** One entry of the lists' index; see lists.ts. */
export const INDEX_ENTRY_BYTES: u32 = 12;

/** Where the index of the lists begins: blocked entries, then allowed ones, then allowed words. */
@inline
export function indexAt(): usize {
  return POLICY + padded(state().policyBytes, STEP);
}

@inline
export function indexBytes(): u32 {
  return (
    indexEntryBytes(state().blockIndexCount + state().allowIndexCount) +
    padded(state().allowWordCount << 3, STEP)
  );
}

@inline
export function indexEntryBytes(entries: u32): u32 {
  return padded(entries * INDEX_ENTRY_BYTES, STEP);
}

/** Where the first record begins. */
@inline
export function recordsAt(): usize {
  return indexAt() + indexBytes();
}

/** Bytes that records may take. */
@inline
export function recordRoom(): u32 {
  return <u32>(RECORDS_END - recordsAt());
}

/** All that is in use: of the counters, the policy, the records and the calls. */
export function usedBytes(): u32 {
  return <u32>(recordsAt() - STATE_ADDRESS) + state().used + state().callCount * CALL_BYTES;
}

@inline
export function hashOf(index: u32): u32 {
  return load<u32>(HASHES + (<usize>index << 2));
}

/** From the first record on. */
@inline
export function placeOf(index: u32): u32 {
  return <u32>load<u16>(PLACES + (<usize>index << 1)) * STEP;
}

@inline
export function setEntry(index: u32, hash: u32, place: u32): void {
  store<u32>(HASHES + (<usize>index << 2), hash);
  store<u16>(PLACES + (<usize>index << 1), <u16>(place / STEP));
}

/** Index of the first of the conversations with this hash from `from` on, or how many there are. */
export function findHash(hash: u32, from: u32): u32 {
  const count = state().conversationCount;
  let index = from;
  const wanted = i32x4.splat(hash);
  // What is behind the last is zero or is not: it is memory of the table, and cut off below.
  while (index < count) {
    const lanes = v128.load(HASHES + (<usize>index << 2));
    const found = <u32>i32x4.bitmask(i32x4.eq(lanes, wanted));
    if (found != 0) return min(index + ctz(found), count);
    index += 4;
  }
  return count;
}

/** Moves the first `count` entries back by one; the first is to be set anew. */
export function shiftEntries(count: u32): void {
  memory.copy(HASHES + 4, HASHES, <usize>count << 2);
  memory.copy(PLACES + 2, PLACES, <usize>count << 1);
}

/** Takes an entry out. */
export function removeEntry(index: u32): void {
  const last = state().conversationCount - 1;
  const behind = <usize>(last - index);
  memory.copy(HASHES + (<usize>index << 2), HASHES + (<usize>(index + 1) << 2), behind << 2);
  memory.copy(PLACES + (<usize>index << 1), PLACES + (<usize>(index + 1) << 1), behind << 1);
  setEntry(last, 0, 0);
  state().conversationCount = last;
}
