// What is remembered of one conversation: a header, then as much as there is of
//
//   id, padded to 4
//   text store   u8[32] bitmap of users, u32 cells of terms     from the second message on
//   speakers     { u32 user, u32 events, u32 inherited, u8 bytes of name } name, padded to 4
//   lines        the header below, then id, user and text, padded to 4; in order of time
//
// back to back: a record takes the bytes that it needs. An update works on a copy with room to
// grow (conversations.ts); the tenant's own record (rolling-text.ts) has its room for good.
//
// Speakers are counted by Space-Saving: the least active gives its place to a newcomer, who
// inherits its count. Only what was counted under the own name is told, so no count is more than
// the truth.
//
// Distinct users are exact as long as all of them are speakers. Then a bitmap of 256 bits takes
// over, sampled: a user sets bit (hash mod 256) if the hash passes one of 2^level; the level rises
// when half of the bits are set, and then with every 12 further ones. A user who comes again
// changes nothing at any level. The estimate grows by 1/p whenever a bit is set, p being the chance
// that a new user does so: unbiased, and the sum of (1 - p)/p² is its variance, so every
// conversation knows its own error (a martingale estimator; Ting 2014, Cohen 2015): 4 % at 100
// users, some 15 % at 3,000. A bitmap that is full tells an error of 1.
import { putExcerpt } from "../../sdk/assembly/text/excerpt";
import { Message, putText } from "./message";

export const KIND_SAID: u32 = 1;
export const KIND_QUESTION: u32 = 2;
export const KIND_DECISION: u32 = 4;

export const HAS_TEXT_STORE: u32 = 1;
export const HAS_LATE: u32 = 2;
/** The tenant's own: more lines, more cells, no speakers. */
export const IS_OWN: u32 = 4;
/** The last message was a command, so the next one may be what a bot answers. */
export const AFTER_COMMAND: u32 = 8;
const USERS_SKETCHED: u32 = 16;
/** Some line may be a question or a decision. */
export const HAS_OPEN: u32 = 32;

export const SPEAKERS_MAX: u32 = 12;
const NAME_BYTES_MAX: u32 = 32;
/** Left free by the lines for as many speakers with names of usual length. */
const SPEAKERS_BYTES: u32 = SPEAKERS_MAX * 28;
const BITMAP_BYTES: u32 = 32;
const BITS: f32 = 256;
const CELLS: u32 = 32;
const CELLS_OWN: u32 = 128;
/** Terms by which a line is judged: one vector of tags. */
export const LINE_TAGS: u32 = 8;

@unmanaged
export class Record {
  capacity: u16;
  /** Bytes in use, from the header on. */
  used: u16;
  idLen: u8;
  flags: u8;
  speakerCount: u8;
  usersLevel: u8;
  firstMs: f64;
  lastMs: f64;
  /** Saturates. */
  events: u32;
  /** Of the text: rises with every change. */
  revision: u32;
  /** Of the users behind a sketch: how many, and the variance of that. */
  users: f32;
  usersVariance: f32;
  /** What the chosen lines were worth together when it was last looked at; see rolling-text.ts. */
  worth: f32;
  speakersBytes: u16;
  lineCount: u8;
  /** How often the terms have faded, modulo 256; see rolling-text.ts. */
  fades: u8;

  @inline
  has(flag: u32): bool {
    return (<u32>this.flags & flag) != 0;
  }

  @inline
  set(flag: u32): void {
    this.flags |= <u8>flag;
  }

  @inline
  get id(): usize {
    return changetype<usize>(this) + offsetof<Record>();
  }

  @inline
  private get bitmap(): usize {
    return this.id + <usize>padded(this.idLen);
  }

  @inline
  get cells(): usize {
    return this.bitmap + BITMAP_BYTES;
  }

  @inline
  get cellCount(): u32 {
    return this.has(IS_OWN) ? CELLS_OWN : CELLS;
  }

  @inline
  get speakers(): usize {
    return this.has(HAS_TEXT_STORE) ? this.cells + (this.cellCount << 2) : this.bitmap;
  }

  @inline
  get lines(): usize {
    return this.speakers + this.speakersBytes;
  }

  @inline
  get end(): usize {
    return changetype<usize>(this) + this.used;
  }

  /** Empty, with the id. */
  open(capacity: u32, id: usize, idLen: u32, flags: u32): void {
    memory.fill(changetype<usize>(this), 0, capacity);
    this.capacity = <u16>capacity;
    this.idLen = <u8>idLen;
    this.flags = <u8>flags;
    this.used = <u16>(<u32>offsetof<Record>() + padded(idLen));
    memory.copy(this.id, id, idLen);
    if ((flags & HAS_TEXT_STORE) != 0) this.used += <u16>(BITMAP_BYTES + (this.cellCount << 2));
  }

  /** The second message has come. */
  addTextStore(): void {
    if (!this.insert(this.bitmap, BITMAP_BYTES + (CELLS << 2))) return;
    this.set(HAS_TEXT_STORE);
  }

  /** Makes room for so many zero bytes at `at`; false if there is none. */
  insert(at: usize, bytes: u32): bool {
    if (<u32>this.used + bytes > <u32>this.capacity) return false;
    if (at != this.end) memory.copy(at + bytes, at, this.end - at);
    memory.fill(at, 0, bytes);
    this.used += <u16>bytes;
    return true;
  }

  remove(at: usize, bytes: u32): void {
    const end = this.end;
    if (at + bytes != end) memory.copy(at, at + bytes, end - at - bytes);
    memory.fill(end - bytes, 0, bytes);
    this.used -= <u16>bytes;
  }

  /**
   * Hot. Counts the message, not what it says; false if its user is none of the speakers, so that
   * it is to `meet` them in a record that has room.
   */
  count(message: Message): bool {
    const isFirst = this.events == 0;
    const events = this.events + message.events;
    this.events = events < this.events ? 0xffffffff : events;
    if (isFirst || message.tsMs < this.firstMs) this.firstMs = message.tsMs;
    if (isFirst || message.tsMs > this.lastMs) this.lastMs = message.tsMs;
    if (message.isLate) this.set(HAS_LATE);
    if (message.userLen == 0 || this.has(IS_OWN)) return true;
    for (let at = this.speakers; at < this.lines; at += speakerAt(at).bytes) {
      const speaker = speakerAt(at);
      if (speaker.user != message.userHash) continue;
      speaker.events = saturated(speaker.events, message.events);
      return true;
    }
    return false;
  }

  /** Counts a user who is none of the speakers. */
  meet(message: Message): void {
    let least = this.speakers;
    for (let at = least; at < this.lines; at += speakerAt(at).bytes)
      if (speakerAt(at).events < speakerAt(least).events) least = at;
    let inherited: u32 = 0;
    if (<u32>this.speakerCount == SPEAKERS_MAX) {
      this.sketchUsers(message.userHash);
      inherited = speakerAt(least).events;
      this.removeSpeaker(least);
    } else if (this.has(USERS_SKETCHED)) {
      this.addUser(message.userHash);
    }
    // Twelve very long names may find no room: then one of them is counted, but not named.
    if (!this.addSpeaker(message, inherited)) this.sketchUsers(message.userHash);
  }

  /** However much of the text has changed since, its revision has risen by one. */
  @inline
  revise(before: u32): void {
    if (this.revision != before) this.revision = before + 1;
  }

  private removeSpeaker(at: usize): void {
    const bytes = speakerAt(at).bytes;
    this.remove(at, bytes);
    this.speakersBytes -= <u16>bytes;
    this.speakerCount -= 1;
  }

  private addSpeaker(message: Message, inherited: u32): bool {
    const room = padded(min(message.userLen, NAME_BYTES_MAX));
    const bytes = <u32>offsetof<Speaker>() + room;
    const at = this.lines;
    if (!this.insert(at, bytes)) return false;
    const speaker = speakerAt(at);
    speaker.user = message.userHash;
    speaker.inherited = inherited;
    speaker.events = saturated(inherited, message.events);
    speaker.nameLen = <u8>putExcerpt(
      speaker.name, min(message.userLen, NAME_BYTES_MAX), message.user, message.userLen,
    );
    speaker.room = <u8>room;
    this.speakersBytes += <u16>bytes;
    this.speakerCount += 1;
    return true;
  }

  /** Distinct users, and the relative standard error of that. */
  get userCount(): f64 {
    return this.has(USERS_SKETCHED) ? Math.max(<f64>this.users, 1) : <f64>this.speakerCount;
  }

  get userCountError(): f64 {
    if (!this.has(USERS_SKETCHED)) return 0;
    if (this.bitsSet() == <u32>BITS) return 1;
    return Math.sqrt(<f64>this.usersVariance) / <f64>this.users;
  }

  private sketchUsers(user: u32): void {
    if (!this.has(USERS_SKETCHED)) {
      this.set(USERS_SKETCHED);
      for (let at = this.speakers; at < this.lines; at += speakerAt(at).bytes)
        this.setBit(speakerAt(at).user);
      this.users = <f32>this.speakerCount;
    }
    if (user != 0) this.addUser(user);
  }

  private addUser(user: u32): void {
    const level = <u32>this.usersLevel;
    const rank: u32 = user >> 8 == 0 ? 24 : ctz(user >> 8);
    if (rank < level) return;
    const before = this.bitsSet();
    this.setBit(user);
    const after = this.bitsSet();
    if (after == before) return;
    const chance = (BITS - <f32>before) / BITS / <f32>(<u32>1 << level);
    this.users += 1 / chance;
    this.usersVariance += (1 - chance) / chance / chance;
    if (after >= 128 + 12 * level && level < 24) this.usersLevel += 1;
  }

  private setBit(user: u32): void {
    const at = this.bitmap + ((user & 255) >> 3);
    store<u8>(at, load<u8>(at) | <u8>(<u32>1 << (user & 7)));
  }

  private bitsSet(): u32 {
    const at = this.bitmap;
    return <u32>(
      popcnt(load<u64>(at)) + popcnt(load<u64>(at, 8)) + popcnt(load<u64>(at, 16)) +
      popcnt(load<u64>(at, 24))
    );
  }

  /** Adds the message as a line, where its time belongs; null if there is no room. */
  addLine(message: Message, kinds: u32, shape: u32, textBytesMax: u32): Line | null {
    const id = message.idLen != 0 ? message.idLen : digitsOf(message.eventNumber) + 1;
    const user = min(message.userLen, NAME_BYTES_MAX);
    const text = min(message.textLen, textBytesMax);
    let at = this.lines;
    while (at < this.end && lineAt(at).tsMs <= message.tsMs) at += lineAt(at).bytes;
    const most = padded(<u32>offsetof<Line>() + id + user + text);
    const speakers = this.has(IS_OWN) ? 0 : max(SPEAKERS_BYTES, <u32>this.speakersBytes);
    const others = <u32>this.used - this.speakersBytes + speakers;
    if (others + most > <u32>this.capacity || !this.insert(at, most)) return null;
    const line = lineAt(at);
    line.kinds = <u8>kinds;
    line.shape = <u8>shape;
    line.tsMs = message.tsMs;
    line.ordinal = this.events;
    line.user = message.userHash;
    line.to = message.toHash;
    line.idLen = <u8>id;
    if (message.idLen != 0) memory.copy(line.idAt, message.id, id);
    else putNumber(line.idAt, message.eventNumber, id);
    line.userLen = <u8>putExcerpt(line.userAt, user, message.user, message.userLen);
    line.textLen = <u8>putText(message, line.textAt, text);
    const bytes = padded(<u32>offsetof<Line>() + id + <u32>line.userLen + <u32>line.textLen);
    line.bytes = <u16>bytes;
    this.lineCount += 1;
    if (bytes < most) this.remove(at + bytes, most - bytes);
    return line;
  }

  /** Takes kinds from the line, and the line away if none is left; whether it is gone. */
  release(line: Line, kinds: u32): bool {
    this.revision += 1;
    line.kinds &= ~(<u8>kinds);
    if (line.kinds != 0) return false;
    this.remove(changetype<usize>(line), line.bytes);
    this.lineCount -= 1;
    return true;
  }
}

@unmanaged
export class Speaker {
  user: u32;
  events: u32;
  inherited: u32;
  nameLen: u8;
  /** Bytes that the name has. */
  room: u8;
  _reserved: u16;

  @inline
  get name(): usize {
    return changetype<usize>(this) + offsetof<Speaker>();
  }

  @inline
  get bytes(): u32 {
    return <u32>offsetof<Speaker>() + this.room;
  }
}

@unmanaged
export class Line {
  bytes: u16;
  kinds: u8;
  /** How well it reads, in 1/128. */
  shape: u8;
  idLen: u8;
  userLen: u8;
  textLen: u8;
  _reserved: u8;
  tsMs: f64;
  /** Events of the record when it came. */
  ordinal: u32;
  user: u32;
  /** Of the name that it is addressed to, 0: to all. */
  to: u32;
  _reserved2: u32;
  /** v128: LINE_TAGS tags, 0 where there are fewer. */
  tags0: u64;
  tags1: u64;

  @inline
  get tagsAt(): usize {
    return changetype<usize>(this) + offsetof<Line>("tags0");
  }

  @inline
  get idAt(): usize {
    return changetype<usize>(this) + offsetof<Line>();
  }

  @inline
  get userAt(): usize {
    return this.idAt + this.idLen;
  }

  @inline
  get textAt(): usize {
    return this.userAt + this.userLen;
  }

  @inline
  is(kind: u32): bool {
    return (<u32>this.kinds & kind) != 0;
  }

  /** Hot. How many tags of the message the line has. */
  sharedTags(message: Message): u32 {
    const own = v128.load(this.tagsAt);
    let shared = <u32>popcnt(i16x8.bitmask(tagsAmong(v128.load(message.tags), own)));
    const count = message.tagCount;
    for (let first = LINE_TAGS; first < count; first += LINE_TAGS) {
      const among = i16x8.bitmask(tagsAmong(v128.load(message.tags + (first << 1)), own));
      shared += <u32>popcnt(among & ((1 << min(count - first, LINE_TAGS)) - 1));
    }
    return shared;
  }

  @inline
  get tagCount(): u32 {
    return 8 - <u32>popcnt(i16x8.bitmask(i16x8.eq(v128.load(this.tagsAt), i16x8.splat(0))));
  }
}

/** Ones in the lanes of the tags that are among the others too; 0 is no tag. */
@inline
export function tagsAmong(tags: v128, others: v128): v128 {
  let equal = i16x8.eq(tags, others);
  for (let turn: u32 = 1; turn < LINE_TAGS; turn++) {
    others = v128.shuffle<u16>(others, others, 1, 2, 3, 4, 5, 6, 7, 0);
    equal = v128.or(equal, i16x8.eq(tags, others));
  }
  return v128.and(equal, i16x8.ne(tags, i16x8.splat(0)));
}

@inline
export function lineAt(at: usize): Line {
  return changetype<Line>(at);
}

@inline
export function speakerAt(at: usize): Speaker {
  return changetype<Speaker>(at);
}

@inline
export function padded(bytes: u32): u32 {
  return (bytes + 3) & ~3;
}

function saturated(left: u32, right: u32): u32 {
  return left + right < left ? 0xffffffff : left + right;
}

function digitsOf(value: u64): u32 {
  let digits: u32 = 1;
  for (let rest = value / 10; rest != 0; rest /= 10) digits += 1;
  return digits;
}

/** "e" and the number, `bytes` in all: what an event without an id is called by. */
function putNumber(at: usize, value: u64, bytes: u32): void {
  store<u8>(at, 0x65);
  for (let index = bytes - 1; index > 0; index--) {
    store<u8>(at + index, <u8>(0x30 + value % 10));
    value /= 10;
  }
}
