// A message as conversations and rolling texts take it: what the host said of it, then what
// `readMessage` finds in it, once for all records that hear it.
//
// Terms are known here by their tag, 16 bits of their hash: two of the few dozen terms of a record
// share one once in some thousand times, and then a line weighs a little more than it should.
//
// The caller opens one Message a batch, sets the fields of each event and passes it on. Behind the
// struct lies the scratch of one message; nothing here relies on zeros.
import { alloc } from "../../sdk/assembly/arena";
import { putExcerpt } from "../../sdk/assembly/text/excerpt";
import {
  hash32, KIND_CJK, KIND_HASHTAG, KIND_MENTION, KIND_URL, KIND_WORD, TERM_RECORD_BYTES,
} from "../../sdk/assembly/text/tokenize";
import {
  ACT_BOT, ACT_QUESTION, ACT_SHRUG, actsOf, FOCUS_SHIFT, isBotName, lower, normalize,
  NORMAL_BYTES_BEHIND, NORMAL_BYTES_MAX, rawOffset,
} from "./speech";

/** Content terms of a message that are looked at. */
export const TAGS_MAX: u32 = 24;
/** Bytes of the copy of a record that an update works on; see conversations.ts. */
export const RECORD_BYTES_MAX: u32 = 1408;

@unmanaged
export class Message {
  conversation: u32;
  conversationLen: u32;
  user: u32;
  userLen: u32;
  /** mix32(hash32(user)), 0 where nobody is named. */
  userHash: u32;
  id: u32;
  idLen: u32;
  /** UTF-8; 0 bytes: an event without text, which is only counted. */
  text: u32;
  textLen: u32;
  /** The tokenizer's records of the text, TERM_RECORD_BYTES each. */
  terms: u32;
  termCount: u32;
  /** How many events it stands for. */
  events: u32;
  isLate: bool;
  tsMs: f64;
  /** Its number at the tenant: what it is called by where it has no id. */
  eventNumber: u64;

  // What reading it found.
  acts: u32;
  /** Of names, ASCII letters folded: whom the message is addressed to (0: all), and the user's, 0
   * until somebody asks. */
  toHash: u32;
  userNameHash: u32;
  hasUrl: bool;
  tagCount: u32;
  /** How well it reads, in 1/128. */
  shape: u32;
  /** The text behind the name of whom it is for. */
  body: u32;
  /** Where in its folded form it asks or decides. */
  focus: u32;

  /** u16[TAGS_MAX]: words, hashtags and pairs of characters; zeros, up to the first eight. */
  @inline
  get tags(): usize {
    return changetype<usize>(this) + TAGS_AT;
  }

  @inline
  tagAt(index: u32): u32 {
    return <u32>load<u16>(this.tags + (index << 1));
  }

  /** f32[TAGS_MAX]: what the record at hand gives for each of them. */
  @inline
  get weights(): usize {
    return changetype<usize>(this) + WEIGHTS_AT;
  }

  @inline
  weightAt(index: u32): f32 {
    return load<f32>(this.weights + (index << 2));
  }

  /** RECORD_BYTES_MAX bytes for the record that is being updated. */
  @inline
  get record(): usize {
    return changetype<usize>(this) + RECORD_AT;
  }

  /** Scratch of the selection. */
  @inline
  get worths(): usize {
    return changetype<usize>(this) + WORTHS_AT;
  }
}

const TAGS_AT: usize = 128;
const WEIGHTS_AT: usize = TAGS_AT + 48;
const NORMAL_AT: usize = WEIGHTS_AT + 96;
const WORTHS_AT: usize = NORMAL_AT + NORMAL_BYTES_MAX + NORMAL_BYTES_BEHIND;
const RECORD_AT: usize = WORTHS_AT + 640;

/** One for a whole batch. */
export function openMessage(): Message {
  return changetype<Message>(alloc(RECORD_AT + <usize>RECORD_BYTES_MAX, 16));
}

/** Hot. Finds out what the message is and does. */
export function readMessage(message: Message): void {
  message.tagCount = 0;
  message.acts = 0;
  message.toHash = 0;
  message.hasUrl = false;
  message.userNameHash = 0;
  if (message.textLen == 0) return;
  readTags(message);
  const body = bodyOf(message);
  const normal = changetype<usize>(message) + NORMAL_AT;
  const bytes = normalize(body, message.text + message.textLen - <u32>body, normal);
  const acts = actsOf(normal, bytes);
  message.acts = acts & ((1 << FOCUS_SHIFT) - 1);
  message.focus = acts >> FOCUS_SHIFT;
  message.body = <u32>body;
  if (isBotName(message.user, message.userLen)) message.acts |= ACT_BOT;
  message.shape = shapeOf(message);
}

/** The name of the user as `toHash` has names. */
export function userNameHash(message: Message): u32 {
  if (message.userNameHash == 0)
    message.userNameHash = foldedHash(message, message.user, message.userLen);
  return message.userNameHash;
}

/**
 * Writes the text in at most `room` bytes. Of one that is longer, a question or decision is shown
 * from where it begins. Returns the bytes written.
 */
export function putText(message: Message, to: usize, room: u32): u32 {
  const end = message.text + message.textLen;
  if (message.textLen <= room || message.focus == 0 || room < 16)
    return putExcerpt(to, room, message.text, message.textLen);
  const from = message.body + rawOffset(message.body, end - message.body, message.focus);
  store<u8>(to, 0xe2);
  store<u8>(to, 0x80, 1);
  store<u8>(to, 0xa6, 2);
  return 3 + putExcerpt(to + 3, room - 3, from, end - from);
}

const CONTENT_KINDS: u32 = (1 << KIND_WORD) | (1 << KIND_HASHTAG) | (1 << KIND_CJK);

function readTags(message: Message): void {
  let count: u32 = 0;
  v128.store(message.tags, i64x2.splat(0));
  for (let index: u32 = 0; index < message.termCount && count < TAGS_MAX; index++) {
    const record = <usize>message.terms + <usize>index * TERM_RECORD_BYTES;
    const kind = load<u32>(record, 12) & 0xff;
    if (kind == KIND_URL) message.hasUrl = true;
    // Of other kinds, the next one takes the place.
    store<u16>(message.tags + (count << 1), <u16>tagOf(load<u32>(record, 8)));
    count += (CONTENT_KINDS >> kind) & 1;
  }
  // No tag behind the last one, as far as a vector reaches.
  if (count < 8) store<u16>(message.tags + (count << 1), 0);
  message.tagCount = count;
}

@inline
function tagOf(hash: u32): u32 {
  return max((hash ^ (hash >> 16)) & 0xffff, 1);
}

/** The text behind "nick: ", "nick, ", "nick> " or "@nick ", and whom that is. */
function bodyOf(message: Message): usize {
  const end = <usize>(message.text + message.textLen);
  let at = <usize>message.text;
  while (at < end && load<u8>(at) == 0x20) at += 1;
  const hasSign = at < end && load<u8>(at) == 0x40;
  const name = hasSign ? at + 1 : at;
  let stop = name;
  while (stop < end && stop < name + NAME_BYTES_MAX && !endsName(load<u8>(stop))) stop += 1;
  if (stop < name + 2 || (!hasSign && (stop >= end || load<u8>(stop) == 0x20))) return at;
  // The tokenizer knows a name from a word in front of a comma.
  const isMention = message.termCount != 0 && load<u32>(message.terms, 12) == KIND_MENTION;
  if (!isMention && (load<u8>(stop) != 0x3e || load<u8>(name) == 0x3c)) return at;
  message.toHash = foldedHash(message, name, <u32>(stop - name));
  while (stop < end && endsName(load<u8>(stop))) stop += 1;
  return stop;
}

/** How well it reads, in 1/128: sentences do; grunts, shouting and pastes do not. */
function shapeOf(message: Message): u32 {
  let worth: f32 = message.tagCount < 3 ? 0.6 : 1;
  const length = message.textLen;
  worth *= length < 24 ? 0.6 : length < 40 ? 0.85 : length <= 320 ? 1 : 0.8;
  const bytes = min(length, NORMAL_BYTES_MAX);
  let letters: u32 = 0;
  let capitals: u32 = 0;
  for (let at: u32 = 0; at < bytes; at += 16) {
    const part = v128.load(message.text + at);
    const inside = bytes - at < 16 ? ((<u32>1) << (bytes - at)) - 1 : 0xffff;
    const capital = i8x16.lt_u(i8x16.sub(part, i8x16.splat(0x41)), i8x16.splat(26));
    const small = i8x16.lt_u(i8x16.sub(part, i8x16.splat(0x61)), i8x16.splat(26));
    const space = i8x16.eq(part, i8x16.splat(0x20));
    // The highest bit of a byte is set in all of other scripts.
    const letter = v128.or(v128.or(capital, small), v128.or(space, part));
    capitals += <u32>popcnt(i8x16.bitmask(capital) & inside);
    letters += <u32>popcnt(i8x16.bitmask(letter) & inside);
  }
  if (letters * 5 < bytes * 4) worth *= 0.6;
  if (letters > 8 && capitals * 2 > letters) worth *= 0.5;
  if (message.hasUrl) worth *= 0.9;
  if ((message.acts & ACT_QUESTION) != 0) worth *= 1.1;
  else if (message.toHash != 0) worth *= 1.05;
  if ((message.acts & ACT_SHRUG) != 0) worth *= 0.5;
  return min(<u32>(worth * 128), 255);
}

const NAME_BYTES_MAX: usize = 64;

@inline
export function endsName(byte: u8): bool {
  return byte == 0x20 || byte == 0x3a || byte == 0x2c || byte == 0x3e;
}

/** Hash of a name with its ASCII letters folded; the folded bytes go to scratch. */
function foldedHash(message: Message, name: usize, bytes: u32): u32 {
  const kept = min(bytes, <u32>NAME_BYTES_MAX);
  if (kept == 0) return 0;
  const folded = changetype<usize>(message) + NORMAL_AT;
  for (let index: u32 = 0; index < kept; index++)
    store<u8>(folded + index, lower(load<u8>(name + index)));
  return max(hash32(folded, kept), 1);
}
