// What a message does: ask, decide, thank, order a bot about. By its words in English, at the start
// of a clause only, because there a cue is rarely something else: precision goes before recall. A
// question mark works in any language.
//
// A clause begins the text and follows a stop, comma, colon or dash; words that only lead in ("ok",
// "so", "well") are passed over. The cues are listed in ../cues.txt, and found by the first word of
// a clause (cues.gen.ts). The text is looked at folded: ASCII letters small, white space as one
// space, typographic apostrophes as plain ones, the first NORMAL_BYTES_MAX bytes.
//
// Cost: 16 bytes a step, and a look into the table for each clause; some 100 ns for a message of 60
// bytes. Sentences are only looked for where there is a question mark.
import {
  ACT_ASKING, ACT_BETWEEN, ACT_CLOSING, ACT_DECISION, ACT_PROPOSAL, ACT_QUESTION, ACT_SHRUG,
  ACT_YES_NO, CUE_FILLER, CUE_SLOT_SHIFT, CUE_SLOTS, CUE_WORD_BYTES_MAX, CUES,
} from "./cues.gen";

// ACT_QUESTION asks; ACT_ASKING begins like a question. ACT_DECISION settles something, or says
// that something is done. ACT_CLOSING thanks, or says that a question needs no answer any more.
// ACT_SHRUG knows no answer. ACT_YES_NO is "yes" or "no", and no more than that needs to follow.
// ACT_BETWEEN is a question that is put to whoever spoke just now: "are you …?", "is that …?".
// ACT_PROPOSAL is "have you tried …?", "why not …?": rather an answer than a question.
export {
  ACT_ASKING, ACT_BETWEEN, ACT_CLOSING, ACT_DECISION, ACT_PROPOSAL, ACT_QUESTION, ACT_SHRUG,
  ACT_YES_NO,
};
/** "!ops" and the like, and what bots say. */
export const ACT_COMMAND: u32 = 16;
export const ACT_BOT: u32 = 32;

export const NORMAL_BYTES_MAX: u32 = 480;
/** Bytes that `normalize` may write behind them. */
export const NORMAL_BYTES_BEHIND: u32 = 32;
/** `actsOf` says behind the acts where the question or decision begins. */
export const FOCUS_SHIFT: u32 = 16;
const CLAUSES_MAX: u32 = 12;
/** Words in a row that lead in. */
const FILLERS_MAX: u32 = 6;
/** Words that a question has at least. */
const QUESTION_WORDS_MIN: u32 = 3;

/** What follows a cue and makes it none: "let's see", "we'll see", "lets you". */
const UNDECIDED: string = `
see|say|hope|face|pretend|assume|be|just|not|you|me|us|it|users|people|find out|know|never|ever
there|that|them|him|her|stop|get this|look|tell|check|ask|out|if|again|think|imagine`;

/** Hot. The acts of a folded text, and where it asks or decides: an offset << FOCUS_SHIFT. */
export function actsOf(text: usize, bytes: u32): u32 {
  if (bytes == 0) return 0;
  if (isCommand(text, bytes)) return ACT_COMMAND;
  const asked = mayAsk(text, bytes) ? askedAt(text, bytes) : bytes;
  let acts: u32 = asked != bytes ? ACT_QUESTION : 0;
  let decided: u32 = 0;
  let at: u32 = 0;
  for (let clause: u32 = 0; clause < CLAUSES_MAX && at < bytes; clause++) {
    let allowed = ACT_CLOSING | ACT_ASKING | ACT_DECISION;
    if (clause < 2) allowed |= ACT_QUESTION;
    if (clause == 0) allowed |= ACT_BETWEEN | ACT_PROPOSAL | ACT_SHRUG | ACT_YES_NO;
    for (let word: u32 = 0; word <= FILLERS_MAX && at < bytes; word++) {
      const found = cuesAt(text, bytes, at);
      if (found == 0) break;
      acts |= found & allowed;
      if ((found & ACT_DECISION) != 0) decided = at;
      if (found < FILLER) break;
      at = pastBreaks(text, bytes, at + (found >> 16));
      allowed &= ~ACT_YES_NO;
    }
    at = nextClause(text, bytes, at);
  }
  if ((acts & ACT_DECISION) != 0 && matches(text, bytes, 0, "if|when|unless") != 0) {
    acts &= ~ACT_DECISION;
    decided = 0;
  }
  if ((acts & ACT_PROPOSAL) != 0) acts &= ~ACT_QUESTION;
  if ((acts & ACT_QUESTION) == 0) return acts | (decided << FOCUS_SHIFT);
  return (acts & ~ACT_DECISION) | ((asked != bytes ? asked : 0) << FOCUS_SHIFT);
}

/** A name that ends in "bot" (digits and one sign aside), or the bots of the Ubuntu channels. */
export function isBotName(name: usize, bytes: u32): bool {
  let end = bytes;
  while (end > 3 && !isLetter(load<u8>(name + end - 1))) end -= 1;
  if (end < 3) return false;
  if (isBot(name + end - 3)) return true;
  // ubotu, ubottu: "ubot" and a syllable.
  return end >= 4 && (load<u8>(name) | 0x20) == 0x75 && isBot(name + 1);
}

@inline
function isBot(at: usize): bool {
  return (
    (load<u8>(at) | 0x20) == 0x62 && (load<u8>(at, 1) | 0x20) == 0x6f &&
    (load<u8>(at, 2) | 0x20) == 0x74
  );
}

/**
 * Hot. Folds the text [from, from + bytes) into `to`, at most NORMAL_BYTES_MAX bytes; returns how
 * many. Behind them come 16 zeros. Up to 15 bytes behind the text may be read.
 */
export function normalize(from: usize, bytes: u32, to: usize): u32 {
  let length: u32 = 0;
  let at: u32 = 0;
  // What comes first is as if it came behind a space.
  let wasSpace: u32 = 1;
  while (at < bytes && length < NORMAL_BYTES_MAX) {
    const step = min(min(bytes - at, 16), NORMAL_BYTES_MAX - length);
    const raw = v128.load(from + at);
    const inside = ((<u32>1) << step) - 1;
    const spaces = i8x16.bitmask(i8x16.le_u(raw, i8x16.splat(0x20))) & inside;
    const marks = i8x16.bitmask(i8x16.eq(raw, i8x16.splat(<i8>0xe2))) & inside;
    if (((spaces & ((spaces << 1) | wasSpace)) | marks) == 0) {
      v128.store(to + length, i8x16.max_u(lowered(raw), i8x16.splat(0x20)));
      length += step;
      at += step;
      wasSpace = spaces >> (step - 1);
      continue;
    }
    // Spaces in a row, or what may be an apostrophe.
    for (const end = at + step; at < end; at++) {
      let byte = lower(load<u8>(from + at));
      if (byte <= 0x20) {
        if (wasSpace != 0) continue;
        byte = 0x20;
      } else if (byte == 0xe2 && at + 2 < bytes && load<u16>(from + at, 1) == 0x9980) {
        byte = 0x27;
        at += 2;
      }
      wasSpace = byte == 0x20 ? 1 : 0;
      store<u8>(to + length++, byte);
    }
  }
  if (length > 0 && load<u8>(to + length - 1) == 0x20) length -= 1;
  v128.store(to + length, i64x2.splat(0));
  return length;
}

/** ASCII letters small. */
@inline
function lowered(bytes: v128): v128 {
  const isCapital = i8x16.lt_u(i8x16.sub(bytes, i8x16.splat(0x41)), i8x16.splat(26));
  return v128.or(bytes, v128.and(isCapital, i8x16.splat(0x20)));
}

@inline
export function lower(byte: u8): u8 {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

/** How many of the bytes from `from` on become the first `offset` of the folded text. */
export function rawOffset(from: usize, bytes: u32, offset: u32): u32 {
  let length: u32 = 0;
  let isSpace = true;
  let at: u32 = 0;
  for (; at < bytes && length < offset; at++) {
    const byte = load<u8>(from + at);
    if (byte <= 0x20 && isSpace) continue;
    isSpace = byte <= 0x20;
    length += 1;
    if (byte == 0xe2 && at + 2 < bytes && load<u16>(from + at, 1) == 0x9980) at += 2;
  }
  return at;
}

/** "!ops", "/join", ".help": one sign and a letter. */
function isCommand(text: usize, bytes: u32): bool {
  if (bytes < 2) return false;
  const first = load<u8>(text);
  if (first != 0x21 && first != 0x2e && first != 0x2f) return false;
  if (!isLetter(load<u8>(text, 1))) return false;
  // "/etc/fstab is missing" is about a path.
  if (first == 0x2f)
    for (let at: u32 = 1; at < bytes && load<u8>(text + at) != 0x20; at++)
      if (load<u8>(text + at) == 0x2f || load<u8>(text + at) == 0x2e) return false;
  return true;
}

/** Whether there is a question mark of any script, or a byte like those of one. */
function mayAsk(text: usize, bytes: u32): bool {
  for (let at: u32 = 0; at < bytes; at += 16)
    if (v128.any_true(areMarks(v128.load(text + at)))) return true;
  return false;
}

/** Where a sentence of some words that ends in a question mark begins; `bytes`: there is none. */
function askedAt(text: usize, bytes: u32): u32 {
  let start: u32 = 0;
  let words: u32 = 0;
  let hasWide = false;
  let before = i8x16.splat(0);
  for (let at: u32 = 0; at < bytes; at += 16) {
    const part = v128.load(text + at);
    // Each byte with the one before it.
    const last = v128.shuffle<u8>(
      before, part, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
    );
    before = part;
    const inside = bytes - at < 16 ? ((<u32>1) << (bytes - at)) - 1 : 0xffff;
    let spaces = i8x16.bitmask(i8x16.eq(part, i8x16.splat(0x20))) & inside;
    const wide = i8x16.bitmask(part) & inside;
    const ends = i8x16.bitmask(areEnds(last)) & spaces;
    let looks = ends | (i8x16.bitmask(areMarks(part)) & inside);
    while (looks != 0) {
      const index = <u32>ctz(looks);
      const below = ((<u32>1) << index) - 1;
      looks &= looks - 1;
      words += <u32>popcnt(spaces & below);
      spaces &= ~below;
      if (((ends >> index) & 1) != 0) {
        spaces &= spaces - 1;
        words = 0;
        start = at + index + 1;
      } else if (isMark(text, bytes, at + index, load<u8>(text + at + index))) {
        if (words + 1 >= QUESTION_WORDS_MIN || hasWide || (wide & (below << 1 | 1)) != 0)
          return start;
        words = 0;
      }
    }
    words += <u32>popcnt(spaces);
    hasWide = hasWide || wide != 0;
  }
  return bytes;
}

/** Of what a sentence ends in: ".", "!", "?". */
@inline
function areEnds(bytes: v128): v128 {
  return v128.or(
    i8x16.eq(bytes, i8x16.splat(0x3f)),
    v128.or(i8x16.eq(bytes, i8x16.splat(0x2e)), i8x16.eq(bytes, i8x16.splat(0x21))),
  );
}

/** Question marks of all scripts, by their first byte. */
@inline
function areMarks(bytes: v128): v128 {
  return v128.or(
    i8x16.eq(bytes, i8x16.splat(0x3f)),
    v128.or(i8x16.eq(bytes, i8x16.splat(<i8>0xef)), i8x16.eq(bytes, i8x16.splat(<i8>0xd8))),
  );
}

/** A question mark that ends a word: none of a link or a file pattern. */
function isMark(text: usize, bytes: u32, at: u32, byte: u8): bool {
  if (byte == 0x3f) {
    const before = at - (at > 1 && load<u8>(text + at - 1) == 0x20 ? 1 : 0);
    if (before == 0 || !endsWord(load<u8>(text + before - 1))) return false;
    if (at + 1 == bytes) return true;
    const next = load<u8>(text + at, 1);
    return next == 0x20 || next == 0x3f || next == 0x21 || next == 0x29 || next == 0x22;
  }
  if (byte == 0xef) return at + 2 < bytes && load<u16>(text + at, 1) == 0x9fbc;
  return byte == 0xd8 && at + 1 < bytes && load<u8>(text + at, 1) == 0x9f;
}

/** Hot. The acts of the cues that stand at `at`, and above them the bytes of one that leads in. */
function cuesAt(text: usize, bytes: u32, at: u32): u32 {
  const start = text + at;
  // The first byte may be a sign.
  const wordBytes = <u32>ctz(~areWords(v128.load(start)) & ~1);
  if (wordBytes > CUE_WORD_BYTES_MAX) return 0;
  const word = load<u64>(start) & (<u64>-1 >> ((8 - <u64>min(wordBytes, 8)) << 3));
  const slot = <usize>((word * 0x9e3779b97f4a7c15) >> CUE_SLOT_SHIFT);
  let cue = <usize>load<u16>(CUE_SLOTS + (slot << 1));
  if (cue == 0) return 0;
  cue += CUES;
  let acts: u32 = 0;
  while (true) {
    const length = <u32>load<u8>(cue) & 127;
    if (stands(start, cue + 3, length)) acts |= actsOfCue(text, bytes, at, cue, length);
    if (load<u8>(cue) > 127) return acts;
    cue += 3 + length;
  }
}

/** Whether the cue of `length` bytes stands here, as words. */
@inline
function stands(text: usize, cue: usize, length: u32): bool {
  let at: u32 = 0;
  for (; at + 8 < length; at += 8)
    if (load<u64>(text + at) != load<u64>(cue + at)) return false;
  const rest = (8 - <u64>(length - at)) << 3;
  if ((load<u64>(text + at) ^ load<u64>(cue + at)) << rest != 0) return false;
  return !isWord(load<u8>(text + length));
}

function actsOfCue(text: usize, bytes: u32, at: u32, cue: usize, length: u32): u32 {
  let acts = <u32>load<u16>(cue, 1);
  if ((acts & ACT_DECISION) != 0 && !decides(text, bytes, at + length)) acts &= ~ACT_DECISION;
  return (acts & CUE_FILLER) != 0 ? (acts & ~CUE_FILLER) | (length << 16) : acts;
}

@inline
function endsWord(byte: u8): bool {
  return isWord(byte) || byte == 0x22 || byte == 0x29 || byte == 0x3f || byte == 0x21;
}

/** From here on, the bytes of a cue that leads in. */
const FILLER: u32 = 0x10000;

/** Whether the cue of a decision says something, by what is behind it. */
function decides(text: usize, bytes: u32, after: u32): bool {
  if (after + 1 >= bytes) return false;
  return load<u8>(text + after) != 0x20 || matches(text, bytes, after + 1, UNDECIDED) == 0;
}

/** Where the next clause begins: behind a stop, comma, colon or dash and a space. */
function nextClause(text: usize, bytes: u32, at: u32): u32 {
  for (; at + 1 < bytes; at += 16) {
    const isSpace = i8x16.eq(v128.load(text + at, 1), i8x16.splat(0x20));
    const ends = i8x16.bitmask(v128.and(isSpace, areStops(v128.load(text + at))));
    if (ends != 0) return pastBreaks(text, bytes, at + <u32>ctz(ends) + 1);
  }
  return bytes;
}

/** The bytes of `isBreak` but the space: by the low half of the byte, for 0x2_ and for 0x3_. */
@inline
function areStops(bytes: v128): v128 {
  const low = v128.and(bytes, i8x16.splat(0x0f));
  const high = i8x16.shr_u(bytes, 4);
  const columns = i8x16.swizzle(i8x16(0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 1, 1, 1, 2), low);
  const rows = i8x16.swizzle(i8x16(0, 0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), high);
  return i8x16.ne(v128.and(columns, rows), i8x16.splat(0));
}

@inline
function pastBreaks(text: usize, bytes: u32, at: u32): u32 {
  while (at < bytes && isBreak(load<u8>(text + at))) at += 1;
  return at;
}

@inline
function isBreak(byte: u8): bool {
  return (
    byte == 0x20 || byte == 0x2c || byte == 0x2e || byte == 0x21 || byte == 0x3a || byte == 0x3b ||
    byte == 0x2d || byte == 0x3f
  );
}

/** Bytes of the word of a list (parted by "|" or line ends) that stands at `at`, or 0. */
function matches(text: usize, bytes: u32, at: u32, cues: string): u32 {
  const from = changetype<usize>(cues);
  const count = <u32>cues.length;
  const first = <u16>load<u8>(text + at);
  let index: u32 = 0;
  while (index < count) {
    if (load<u16>(from + (index << 1)) == first) {
      const length = cueBytes(text, bytes, at, from, index, count);
      if (length != 0) return length;
    }
    while (index < count && !isParting(load<u16>(from + (index << 1)))) index += 1;
    index += 1;
  }
  return 0;
}

function cueBytes(
  text: usize, bytes: u32, at: u32, from: usize, index: u32, count: u32,
): u32 {
  let length: u32 = 0;
  while (index < count) {
    const unit = load<u16>(from + (index << 1));
    if (isParting(unit)) break;
    if (at + length >= bytes || <u16>load<u8>(text + at + length) != unit) return 0;
    length += 1;
    index += 1;
  }
  return at + length >= bytes || !isWord(load<u8>(text + at + length)) ? length : 0;
}

@inline
function isParting(unit: u16): bool {
  return unit == 0x7c || unit == 0x0a;
}

@inline
function isLetter(byte: u8): bool {
  return ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a) || byte >= 0x80;
}

@inline
function isWord(byte: u8): bool {
  return isLetter(byte) || (byte >= 0x30 && byte <= 0x39) || byte == 0x27;
}

/** A bit for each byte that `isWord`, of folded text. */
@inline
function areWords(bytes: v128): u32 {
  const letter = i8x16.lt_u(i8x16.sub(bytes, i8x16.splat(0x61)), i8x16.splat(26));
  const digit = i8x16.lt_u(i8x16.sub(bytes, i8x16.splat(0x30)), i8x16.splat(10));
  const apostrophe = i8x16.eq(bytes, i8x16.splat(0x27));
  // The highest bit of a byte is set in all of other scripts.
  return i8x16.bitmask(v128.or(v128.or(letter, digit), v128.or(apostrophe, bytes)));
}
