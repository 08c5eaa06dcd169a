// The conversations of a tenant: the one judged last comes first, so that the order is that of last
// use (state.ts has the table, turns.ts a record).
//
// Records lie back to back; what is behind the last one is zero. One that outgrows its place moves
// those behind it; it is not made smaller at once, as it will grow again, and what it may have too
// much comes back when the tenant is told the time (`tidy`). For a conversation that finds no room
// the ones used least recently leave, and are counted. If the first of these left a place that
// fits, the new one takes it, so a flood of conversation ids moves nothing: each takes the place of
// one of its like, and the conversations in use stay as long as they are used more often than that.
//
// Cost: a look-up compares four hashes a step; a move copies up to 80 KiB, a few µs, which happens
// while a conversation grows and not once its oldest turns leave as new ones come.
import { hash32 } from "../../sdk/assembly/text/hash";
import { contextAgeMs, contextBytes, isStoringNothing } from "./policy";
import { Request } from "./request";
import {
  CONVERSATION_COUNT_MAX, findHash, hashOf, padded, placeOf, recordRoom, recordsAt, removeEntry,
  setEntry, shiftEntries, state,
} from "./state";
import {
  Conversation, conversationBytes, draft, Draft, Turn, turnsKept, writeTurn,
} from "./turns";

const GRAIN: u32 = 64;
/** A record with so much more than it needs is made smaller; a place may be so much too wide. */
const SLACK_BYTES: u32 = 512;

/** Its number, or how many there are. */
export function findConversation(id: usize, bytes: u32): u32 {
  const count = state().conversationCount;
  if (bytes == 0) return count;
  const hash = hash32(id, bytes);
  let index = findHash(hash, 0);
  while (index < count && !conversationAt(index).hasId(id, bytes)) {
    index = findHash(hash, index + 1);
  }
  return index;
}

@inline
export function conversationAt(index: u32): Conversation {
  return changetype<Conversation>(recordsAt() + placeOf(index));
}

/**
 * Remembers the message as a turn of its conversation, whose number is `index`; trace and scores
 * are left to be filled in. Null: the message is an edit of one that is too old to be kept.
 */
export function remember(index: u32, request: Request, scratch: Draft): Turn | null {
  draft(scratch, request);
  if (index == state().conversationCount) {
    const size = conversationBytes(request.conversationLen) + scratch.bytes;
    const added = addFront(request.conversation, request.conversationLen, size);
    return append(added, changetype<usize>(added.first), scratch);
  }
  bringForward(index);
  const known = conversationAt(0);
  let number = known.find(request.id, request.idLen);
  if (number < <u32>known.turnCount) known.remove(known.turnAt(number));
  const kept = known.makeRoom(scratch.bytes, scratch.textLen, number);
  if (kept < 0) {
    if (known.turnCount == 0) removeConversation(0);
    return null;
  }
  fit(<u32>known.used + scratch.bytes);
  const record = conversationAt(0);
  return append(record, record.turnAt(kept), scratch);
}

/** Forgets a conversation. */
export function removeConversation(index: u32): void {
  const record = conversationAt(index);
  state().turnCount -= record.turnCount;
  resize(index, 0);
  removeEntry(index);
}

/** Forgets turns that are older than the policy keeps them, and gives back what is left over. */
export function tidy(nowMs: f64): void {
  const oldestMs = nowMs - contextAgeMs();
  let index = state().conversationCount;
  while (index-- > 0) {
    const record = conversationAt(index);
    let at = changetype<usize>(record.first);
    // Times need not rise: whoever sends them may send old ones.
    while (at < record.end) {
      const turn = changetype<Turn>(at);
      if (turn.tsMs < oldestMs) record.remove(at);
      else at += turn.bytes;
    }
    if (record.turnCount == 0) removeConversation(index);
    else shrink(index, record);
  }
}

/** Forgets as many of the least recently used as it takes for all to need no more than `room`. */
export function crowd(room: u32): void {
  while (state().used > room) evict();
}

/** Of a new policy: each conversation keeps within it. */
export function keepWithin(): void {
  let index = state().conversationCount;
  while (index-- > 0) {
    const record = conversationAt(index);
    if (isStoringNothing()) {
      for (let turn = 0; turn < <i32>record.turnCount; turn++) record.strip(record.turnAt(turn));
    }
    while (
      <u32>record.turnCount > turnsKept() || <u32>record.textBytes > contextBytes()
    ) record.remove(changetype<usize>(record.first));
    if (record.turnCount == 0) removeConversation(index);
    else shrink(index, record);
  }
}

function append(record: Conversation, at: usize, scratch: Draft): Turn {
  record.open(at, scratch.bytes);
  record.turnCount += 1;
  record.textBytes += <u16>scratch.textLen;
  state().turnCount += 1;
  return writeTurn(at, scratch);
}

/** A new record at the front, of at least so many bytes, with its id. */
function addFront(id: usize, idLen: u32, bytes: u32): Conversation {
  const size = padded(bytes, GRAIN);
  let capacity = size;
  let place: u32 = state().used;
  while (isFull(size)) {
    const last = state().conversationCount - 1;
    const found = <u32>conversationAt(last).capacity;
    if (found < size || found > size + SLACK_BYTES) {
      evict();
      place = state().used;
      continue;
    }
    place = placeOf(last);
    capacity = found;
    leave(last);
    break;
  }
  if (place == state().used) state().used += capacity;
  shiftEntries(state().conversationCount);
  state().conversationCount += 1;
  setEntry(0, hash32(id, idLen), place);
  const record = conversationAt(0);
  record.capacity = <u16>capacity;
  record.used = <u16>conversationBytes(idLen);
  record.idLen = <u8>idLen;
  memory.copy(record.idAt, id, idLen);
  return record;
}

@inline
function isFull(size: u32): bool {
  return (
    state().conversationCount == CONVERSATION_COUNT_MAX || state().used + size > recordRoom()
  );
}

/** Takes a conversation out of the table; its place stays, empty. */
function leave(index: u32): void {
  const record = conversationAt(index);
  state().turnCount -= record.turnCount;
  state().evictedCount += 1;
  memory.fill(changetype<usize>(record), 0, record.used);
  removeEntry(index);
}

/** Forgets the one that was used least recently, for want of room. */
function evict(): void {
  state().evictedCount += 1;
  removeConversation(state().conversationCount - 1);
}

function bringForward(index: u32): void {
  if (index == 0) return;
  const hash = hashOf(index);
  const place = placeOf(index);
  shiftEntries(index);
  setEntry(0, hash, place);
}

/** The conversation at the front gets room for so many bytes. */
function fit(bytes: u32): void {
  const size = padded(bytes, GRAIN);
  const before = <u32>conversationAt(0).capacity;
  if (size <= before && before - size < SLACK_BYTES) return;
  while (state().used + size > recordRoom() + before) evict();
  resize(0, size);
}

function shrink(index: u32, record: Conversation): void {
  const size = padded(record.used, GRAIN);
  if (size < <u32>record.capacity) resize(index, size);
}

/** Gives a record another size; those behind it move, and what gets free is zero. */
function resize(index: u32, to: u32): void {
  const place = placeOf(index);
  const record = conversationAt(index);
  const from = <u32>record.capacity;
  const start = recordsAt();
  const behind = place + from;
  const used = state().used;
  record.capacity = <u16>to;
  memory.copy(start + place + to, start + behind, used - behind);
  if (to < from) memory.fill(start + used + to - from, 0, from - to);
  else memory.fill(start + behind, 0, to - from);
  state().used = used + to - from;
  const count = state().conversationCount;
  for (let other: u32 = 0; other < count; other++) {
    const otherPlace = placeOf(other);
    if (otherPlace > place) setEntry(other, hashOf(other), otherPlace + to - from);
  }
}
