// The conversations of a tenant that are remembered: how many events and people each had, who
// speaks most, and its rolling text. They share one region with the tenant's own rolling text:
//
//      0  header, 64 bytes
//     64  u32 hashes[64], u16 places[64]: the conversations, the one heard last first
//    448  the tenant's own record, 2560 bytes: all messages, whatever their conversation
//   3072  records of conversations, back to back, each a multiple of 32 bytes
//
// so a tenant without conversations touches the first 4 KiB page and no other, and what is left
// free is zero. A record (conversation-record.ts) takes what it needs: 614 bytes on average for
// real threads (288 of #ubuntu and #linux; 9 of 10 below 840), 1,408 at most for a busy channel. So
// 20 KiB hold some 27 threads, 12 busy channels in the worst case, 64 in any. Most messages change
// some numbers of the record, where it lies. For one that adds a line or a speaker it is copied to
// scratch, where there is room for whatever the message brings, and back; where its size has
// changed the records behind it move. Cost: 0.5 to 0.6 µs a message with its text, 0.9 with a
// conversation, the tokenizer aside.
//
// Whoever is heard moves to the front, so the order is that of last use, and a busy conversation is
// found at once. To make room the least recently heard goes, with one exception: conversations of a
// single message, if there are more than SINGLES_KEPT, go first. So a flood of conversation ids
// pushes itself out, and costs those who speak on no more than that much room. Evictions are
// counted. A conversation that comes back after that starts anew, and so do its counts.
import { alloc } from "../../sdk/assembly/arena";
import { equalBytes } from "../../sdk/assembly/sketches/bytes";
import { hash32 } from "../../sdk/assembly/text/tokenize";
import { HAS_TEXT_STORE, IS_OWN, Record } from "./conversation-record";
import { Message, readMessage, RECORD_BYTES_MAX } from "./message";
import { addLine, listen } from "./rolling-text";

/** CONVERSATION_KEPT_MAX of src/model/limits.ts. */
export const CONVERSATION_KEPT_MAX: u32 = 64;
/** Conversations of a single message that are kept whatever comes. */
export const SINGLES_KEPT: u32 = 12;
const CONVERSATION_BYTES_MAX: u32 = 128;
const HASHES_AT: usize = 64;
const PLACES_AT: usize = HASHES_AT + (CONVERSATION_KEPT_MAX << 2);
const OWN_AT: usize = PLACES_AT + (CONVERSATION_KEPT_MAX << 1);
export const OWN_BYTES: u32 = 2560;
const RECORDS_AT: u32 = 3072;
const STEP: u32 = 32;

@unmanaged
export class Conversations {
  count: u32;
  /** Of these, how many have had a single message. */
  singles: u32;
  /** Where the last record ends; 0: there has been none. */
  used: u32;
  _reserved: u32;
  /** Conversations that had to go, and the events that went with them. */
  evictions: f64;
  eventsEvicted: f64;

  /** The tenant's own record. Without any message yet it is all zero. */
  @inline
  get own(): Record {
    return changetype<Record>(changetype<usize>(this) + OWN_AT);
  }

  /** The conversation that was heard `index` turns before the one heard last. */
  @inline
  at(index: u32): Record {
    return changetype<Record>(changetype<usize>(this) + this.placeOf(index));
  }

  /** Its index, or `count`. */
  find(id: usize, idLen: u32): u32 {
    return this.search(hash32(id, idLen), id, idLen);
  }

  /**
   * Hot. Takes a message in; `bytes` is the size of the region, a multiple of 32 and at least
   * 8 KiB. Of the message, the fields down to `eventNumber` are set. `withOwn`: the tenant's own
   * text hears of it as well.
   */
  observe(bytes: u32, message: Message, withOwn: bool): void {
    readMessage(message);
    if (withOwn) tellOwn(this.own, message);
    if (message.conversationLen != 0) this.hear(bytes, message);
  }

  private hear(bytes: u32, message: Message): void {
    const idLen = min(message.conversationLen, CONVERSATION_BYTES_MAX);
    const hash = hash32(message.conversation, idLen);
    const index = this.search(hash, message.conversation, idLen);
    const isNew = index == this.count;
    let record = isNew ? changetype<Record>(message.record) : this.at(index);
    if (isNew) record.open(RECORD_BYTES_MAX, message.conversation, idLen, 0);
    else this.toFront(index);
    if (!isNew && !record.has(HAS_TEXT_STORE)) {
      record = roomy(record, message);
      record.addTextStore();
      this.singles -= 1;
    }
    if (!record.count(message)) {
      record = roomy(record, message);
      record.meet(message);
    }
    const revision = record.revision;
    const kinds = listen(record, message);
    if (kinds != 0) {
      record = roomy(record, message);
      addLine(record, message, kinds);
    }
    record.revise(revision);
    this.keep(bytes, isNew, hash, record);
  }

  /** Puts the record where it was, at the front of the order, or behind all if it is new. */
  private keep(bytes: u32, isNew: bool, hash: u32, record: Record): void {
    const wanted = (<u32>record.used + STEP - 1) & ~(STEP - 1);
    if (this.used == 0) this.used = RECORDS_AT;
    const before: u32 = isNew ? 0 : <u32>this.at(0).capacity;
    // What shrinks a little may grow again.
    const size = wanted <= before && wanted + STEP >= before ? before : wanted;
    if (isNew && this.count == CONVERSATION_KEPT_MAX) this.evict(0);
    const first: u32 = isNew ? 0 : 1;
    while (this.used + size - before > bytes && this.count > first) this.evict(first);
    if (isNew) {
      this.addFront(hash, this.used);
      this.used += size;
      this.singles += 1;
    } else if (size != before) {
      this.resize(this.placeOf(0), before, size);
    }
    record.capacity = <u16>size;
    const kept = this.at(0);
    if (record == kept) return;
    memory.copy(changetype<usize>(kept), changetype<usize>(record), record.used);
    memory.fill(changetype<usize>(kept) + record.used, 0, size - record.used);
  }

  /** Forgets the one that is missed least, of those from index `first` on. */
  private evict(first: u32): void {
    let victim = this.count - 1;
    if (this.singles > SINGLES_KEPT)
      while (victim > first && this.at(victim).has(HAS_TEXT_STORE)) victim -= 1;
    this.remove(victim);
  }

  private remove(index: u32): void {
    const record = this.at(index);
    this.evictions += 1;
    this.eventsEvicted += <f64>record.events;
    if (!record.has(HAS_TEXT_STORE)) this.singles -= 1;
    this.resize(this.placeOf(index), record.capacity, 0);
    this.count -= 1;
    for (let at = index; at < this.count; at++)
      this.set(at, this.hashOf(at + 1), this.placeOf(at + 1));
    this.set(this.count, 0, 0);
  }

  /** Gives the record at `place` another size; those behind it move, and what gets free is zero. */
  private resize(place: u32, from: u32, to: u32): void {
    const start = changetype<usize>(this);
    const behind = place + from;
    memory.copy(start + place + to, start + behind, this.used - behind);
    const used = this.used + to - from;
    if (to < from) memory.fill(start + used, 0, from - to);
    this.used = used;
    for (let index: u32 = 0; index < this.count; index++) {
      const other = this.placeOf(index);
      if (other > place) this.set(index, this.hashOf(index), other + to - from);
    }
  }

  private search(hash: u32, id: usize, idLen: u32): u32 {
    for (let index: u32 = 0; index < this.count; index++) {
      if (this.hashOf(index) != hash) continue;
      const record = this.at(index);
      if (<u32>record.idLen == idLen && equalBytes(record.id, id, idLen)) return index;
    }
    return this.count;
  }

  private toFront(index: u32): void {
    if (index == 0) return;
    const hash = this.hashOf(index);
    const place = this.placeOf(index);
    this.shift(index);
    this.set(0, hash, place);
  }

  private addFront(hash: u32, place: u32): void {
    this.shift(this.count);
    this.count += 1;
    this.set(0, hash, place);
  }

  /** Moves the first `count` entries back by one. */
  private shift(count: u32): void {
    const hashes = changetype<usize>(this) + HASHES_AT;
    const places = changetype<usize>(this) + PLACES_AT;
    memory.copy(hashes + 4, hashes, count << 2);
    memory.copy(places + 2, places, count << 1);
  }

  @inline
  private hashOf(index: u32): u32 {
    return load<u32>(changetype<usize>(this) + (index << 2), HASHES_AT);
  }

  @inline
  private placeOf(index: u32): u32 {
    return <u32>load<u16>(changetype<usize>(this) + (index << 1), PLACES_AT);
  }

  @inline
  private set(index: u32, hash: u32, place: u32): void {
    store<u32>(changetype<usize>(this) + (index << 2), hash, HASHES_AT);
    store<u16>(changetype<usize>(this) + (index << 1), <u16>place, PLACES_AT);
  }
}

/** Makes an empty record the tenant's own; it has OWN_BYTES. */
export function openOwn(own: Record): void {
  own.open(OWN_BYTES, 0, 0, IS_OWN | HAS_TEXT_STORE);
}

/** Hot. Takes a message that was read into the tenant's own record. */
export function tellOwn(own: Record, message: Message): void {
  if (own.used == 0) openOwn(own);
  own.count(message);
  const revision = own.revision;
  const kinds = listen(own, message);
  if (kinds != 0) addLine(own, message, kinds);
  own.revise(revision);
}

/** The record, or its copy with room for whatever the message brings. */
function roomy(record: Record, message: Message): Record {
  const copy = changetype<Record>(message.record);
  if (record != copy) {
    memory.copy(changetype<usize>(copy), changetype<usize>(record), record.used);
    copy.capacity = <u16>RECORD_BYTES_MAX;
  }
  return copy;
}

/** Indices of the conversations, the one with the newest event first: u32[count] in the arena. */
export function newestFirst(conversations: Conversations): usize {
  const count = conversations.count;
  const order = alloc(<usize>count << 2, 4);
  for (let index: u32 = 0; index < count; index++) {
    const lastMs = conversations.at(index).lastMs;
    let at = index;
    // In order of last use already, but for events that came late.
    while (at > 0 && conversations.at(load<u32>(order + ((at - 1) << 2))).lastMs < lastMs) {
      store<u32>(order + (at << 2), load<u32>(order + ((at - 1) << 2)));
      at -= 1;
    }
    store<u32>(order + (at << 2), index);
  }
  return order;
}
