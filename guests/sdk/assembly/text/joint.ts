// What may stand inside a word between letters or digits: don't, wi-fi, 2.6.28, snake_case, c++,
// at&t, bob@host, 12:30.
import { ASCII_CLASSES, LETTER, DIGIT } from "./tables.gen";
import { classOf, decode, plain } from "./unicode";
import { isListedText } from "./listed";
import { LABEL, STATE } from "./state";

/** Added to the class bits of a word's characters. */
export const HAS_APOSTROPHE: u32 = 0x100;
export const HAS_DOT: u32 = 0x200;
export const HAS_DOTS: u32 = 0x400;
export const IS_MAIL: u32 = 0x800;
/** A time, date, fraction, phone number: digits with something between. */
export const IS_COMPOUND: u32 = 0x1000;
/** "://" follows. */
export const IS_SCHEME: u32 = 0x2000;
export const IS_WIDE: u32 = 0x4000;
/** A letter was repeated three times or more. */
export const IS_DRAWN_OUT: u32 = 0x8000;
const WORD_BITS: u32 = 0xf0;

/** How far a dotted name is looked ahead into. */
const NAME_BYTES_MAX: usize = 64;

/**
 * No joint: the word ends. Otherwise byte to write | how often << 8 | text bytes consumed << 16.
 */
export const END_OF_WORD: u32 = 0;

/**
 * The joint that `byte` is, standing at `p` in front of `after`, in a word of `letters` folded
 * bytes so far. Every case asks for a word character behind, but for the endings of c++ and c#.
 */
export function jointAt(
  p: usize,
  after: usize,
  end: usize,
  byte: u32,
  letters: usize,
  flags: u32,
): u32 {
  const consumed = (<u32>(after - p)) << 16;
  if (letters == 0) return END_OF_WORD;
  const next = wordClassAt(after, end);
  if (byte == 0x27 || byte == 0x60) {
    return (next & ~DIGIT) != 0 && (flags & LETTER) != 0 ? consumed | 0x127 : END_OF_WORD;
  }
  if (byte == 0x2d) return next != 0 ? consumed | 0x12d : END_OF_WORD;
  if (byte == 0x2e)
    return next != 0 && dotJoins(p, after, end, letters, next, flags)
      ? consumed | 0x12e
      : END_OF_WORD;
  if (byte == 0x5f) return underscoreAt(p, after, end);
  if (byte == 0x40) {
    return next != 0 && (flags & IS_MAIL) == 0 ? consumed | 0x140 : END_OF_WORD;
  }
  if (byte == 0x2b) return plusAt(p, after, end, next, letters, flags);
  if (byte == 0x2c || byte == 0x3a || byte == 0x2f) {
    return next == DIGIT && (flags & WORD_BITS) == DIGIT ? consumed | 0x100 | byte : END_OF_WORD;
  }
  if (byte == 0x23) {
    const ends =
      letters == 1 && flags == LETTER && next == 0 && (after == end || load<u8>(after) != 0x23);
    return ends ? consumed | 0x123 : END_OF_WORD;
  }
  if (byte == 0x26 && letters <= 2 && next == LETTER && (flags & LETTER) != 0) {
    return entityBytes(p, end) == 0 ? consumed | 0x126 : END_OF_WORD;
  }
  return END_OF_WORD;
}

/** Class bits of the word character at `p`, 0 where there is none. */
export function wordClassAt(p: usize, end: usize): u32 {
  if (p >= end) return 0;
  const byte: u32 = load<u8>(p);
  if (byte < 0x80) {
    const kind: u32 = load<u8>(ASCII_CLASSES + <usize>byte);
    return kind >= DIGIT ? kind : 0;
  }
  const codePoint = plain(decode(p, end) & 0xffffff);
  const kind =
    codePoint < 0x80 ? <u32>load<u8>(ASCII_CLASSES + <usize>codePoint) : classOf(codePoint);
  return kind >= DIGIT ? kind : 0;
}

/** A row of underscores is one. */
function underscoreAt(p: usize, after: usize, end: usize): u32 {
  while (after < end && after - p < 32 && load<u8>(after) == 0x5f) after++;
  return wordClassAt(after, end) != 0 ? ((<u32>(after - p)) << 16) | 0x15f : END_OF_WORD;
}

function plusAt(p: usize, after: usize, end: usize, next: u32, letters: usize, flags: u32): u32 {
  if (next != 0) return mailFollows(after, end) ? ((<u32>(after - p)) << 16) | 0x12b : END_OF_WORD;
  if (after != p + 1 || after >= end || load<u8>(after) != 0x2b || (flags & LETTER) == 0)
    return END_OF_WORD;
  const behind = wordClassAt(p + 2, end);
  if ((behind & ~DIGIT) != 0 || letters > 12) return END_OF_WORD;
  if (p + 2 < end && load<u8>(p, 2) == 0x2b) return END_OF_WORD;
  return 0x2022b;
}

/**
 * Between a digit and a digit always; between letters where they are a name: a host, a file,
 * initials, a mail address.
 */
function dotJoins(p: usize, after: usize, end: usize, letters: usize, next: u32, flags: u32): bool {
  if (next == DIGIT || (flags & IS_MAIL) != 0) return true;
  if (
    (letters == 1 || load<u8>(p - 2) == 0x2e) &&
    load<u8>(after) < 0x80 &&
    wordClassAt(after + 1, end) == 0
  ) {
    return true;
  }
  return isDottedName(p, end);
}

/**
 * Whether the dotted name around the dot at `p` ends in a domain or a file ending, or is the start
 * of a mail address.
 */
function isDottedName(p: usize, end: usize): bool {
  const stop = end - p > NAME_BYTES_MAX ? p + NAME_BYTES_MAX : end;
  let label = p + 1;
  // Numbers behind an ending belong to it: libc.so.6.
  let labelEnd: usize = 0;
  let q = p + 1;
  for (; q < stop; q++) {
    const byte: u32 = load<u8>(q);
    if (byte == 0x2e) {
      const next = wordClassAt(q + 1, end);
      if (next == 0) break;
      if (next == DIGIT) {
        if (labelEnd == 0) labelEnd = q;
        continue;
      }
      label = q + 1;
      labelEnd = 0;
    } else if (byte == 0x40) return wordClassAt(q + 1, end) != 0;
    else if (byte >= 0x80 || load<u8>(ASCII_CLASSES + <usize>byte) < <u8>DIGIT) {
      if (byte != 0x2d && byte != 0x5f && byte != 0x2b) break;
    }
  }
  if (q == stop && stop != end) return false;
  const bytes = (labelEnd != 0 ? labelEnd : q) - label;
  if (bytes > 12) return false;
  if (isEnding(label, bytes, 0x2e) || isEnding(label, bytes, 0x2f)) return true;
  return bytes == 2 && startsPath(q, end);
}

/** Whether a slash and a word follow, which makes a domain of any two letters in front. */
export function startsPath(p: usize, end: usize): bool {
  return p + 1 < end && load<u8>(p) == 0x2f && wordClassAt(p + 1, end) != 0;
}

/** Whether a label is listed with the mark in front: "." for a domain, "/" for a file ending. */
export function isEnding(label: usize, bytes: usize, mark: u32): bool {
  const copy = STATE + LABEL;
  store<u8>(copy, mark);
  for (let index: usize = 0; index < bytes; index++) {
    store<u8>(copy + 1 + index, load<u8>(label + index) | 0x20);
  }
  return isListedText(copy, bytes + 1);
}

/** Whether the characters of a mail address and an @ follow: the rest of bob+news@host. */
function mailFollows(p: usize, end: usize): bool {
  const stop = end - p > NAME_BYTES_MAX ? p + NAME_BYTES_MAX : end;
  for (; p < stop; p++) {
    const byte: u32 = load<u8>(p);
    if (byte == 0x40) return wordClassAt(p + 1, end) != 0;
    if (byte >= 0x80) return false;
    if (
      load<u8>(ASCII_CLASSES + <usize>byte) < <u8>DIGIT &&
      byte != 0x2e &&
      byte != 0x2d &&
      byte != 0x5f
    )
      return false;
  }
  return false;
}

/** Bytes of the character entity ("&amp;") at `p`, 0 where there is none. */
export function entityBytes(p: usize, end: usize): usize {
  let q = p + 1;
  if (q < end && load<u8>(q) == 0x23) q++;
  const start = q;
  while (q < end && q - p < 8 && load<u8>(ASCII_CLASSES + <usize>load<u8>(q)) >= <u8>DIGIT) q++;
  return q > start + 1 && q < end && load<u8>(q) == 0x3b ? q + 1 - p : 0;
}
