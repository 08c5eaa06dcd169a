// From UTF-8 to tokens, with disguises undone: one pass, no allocation.
//
// A token is a word, a number, a mark or an emoji. A word's normal form is small, without marks, in
// ASCII where its letters are only dressed otherwise (full-width, mathematical, circled), and has
// no letter more than twice in a row. Where that form is not in the lexicon and the word looks as
// if written to be missed, disguises.ts tries other readings of it; joins.ts puts words together
// that were taken apart ("i d i o t", "k.i.l.l"). What was read stands at FORMS, every form between
// two underscores, and each token knows the bytes of the text that it came from.
import { hashFolded } from "../../sdk/assembly/text/hash";
import {
  ASCII_CLASSES, DIGIT, EMOJI, EMOJI_TEXT, HAN, IGNORED, MARK,
} from "../../sdk/assembly/text/tables.gen";
import { classOf, encode } from "../../sdk/assembly/text/unicode";
import { joinTokens } from "./joins";
import { characterAt, isInvisible, undressed } from "./letters";
import { classesOf, phraseHash } from "./lexicon";
import { DISTRESS, GROUP, HOT, PHRASE_START, SECOND, TRAIT_BAD } from "./lexicon.gen";
import { emoji } from "./pictures";
import { FORMS, FORMS_BYTES, READER } from "./scratch";
import { tag } from "./tags";
import {
  FLAG_DISGUISED, FLAG_LINE, FLAG_PHRASE, FLAG_SPACED, KIND_MARK, KIND_WORD, TOKEN_COUNT_MAX,
  TOKEN_OVERLAP, Token, tokenAt,
} from "./tokens";
import { word } from "./words";

/** A word's form is cut here; 7 bytes behind it may be read. */
export const FORM_BYTES_MAX: u32 = 40;
const FORM_ROOM: usize = 64;

export const COUNT: usize = READER;
export const FORM_TOP: usize = READER + 4;
/** The tenant's allowed words: address of their hashes, count. */
export const ALLOWED: usize = READER + 8;
export const ALLOWED_COUNT: usize = READER + 12;
/** Where this stretch of the text began, and the text. */
export const READ_FROM: usize = READER + 16;
export const TEXT_START: usize = READER + 20;
/** How many letters stood alone, how many words hung on a mark: whether joining is worth a look. */
export const ALONE_COUNT: usize = READER + 24;
export const HUNG_COUNT: usize = READER + 28;
/** Flags of the next token. */
const NEXT_FLAGS: usize = READER + 32;
/**
 * 1: links, names behind "@" and long numbers are read as the words that they are made of, as the
 * tenant's lists may be of them (lists.ts).
 */
export const SPELLED_OUT: usize = READER + 36;
/** 128 bytes to try readings in. */
export const TRIAL: usize = READER + 64;

/** Of the last stretch. */
export function tokenCount(): u32 {
  return load<u32>(COUNT);
}

/**
 * Reads the text from byte `from` on until the table is full; returns where the next stretch
 * starts, `bytes` at the end.
 */
export function read(text: usize, bytes: u32, from: u32): u32 {
  store<u32>(COUNT, 0);
  store<u32>(FORM_TOP, <u32>FORMS);
  store<u32>(READ_FROM, from);
  store<u32>(TEXT_START, <u32>text);
  store<u64>(ALONE_COUNT, 0);
  store<u32>(NEXT_FLAGS, FLAG_LINE | FLAG_SPACED);
  const end = text + <usize>bytes;
  let p = text + <usize>from;
  while (p < end && hasRoom()) p = piece(p, end);
  let next = bytes;
  if (p < end && load<u32>(COUNT) > TOKEN_OVERLAP) {
    next = tokenAt(load<u32>(COUNT) - TOKEN_OVERLAP).start;
    if (next <= from) next = <u32>(p - text);
  }
  if ((load<u32>(ALONE_COUNT) > 2 ? 1 : 0) + load<u32>(HUNG_COUNT) != 0) joinTokens();
  readPhrases();
  return next;
}

@inline
export function hasRoom(): bool {
  return load<u32>(COUNT) < TOKEN_COUNT_MAX - 8 &&
    <usize>load<u32>(FORM_TOP) < FORMS + FORMS_BYTES - 4 * FORM_ROOM;
}

/** Reads what begins at `p`; returns where the text goes on. */
function piece(p: usize, end: usize): usize {
  const character = characterAt(p, end);
  const after = p + (character >> 24);
  let codePoint = character & 0xffffff;
  if (codePoint >= 0x80) {
    if (isInvisible(codePoint)) return after;
    codePoint = undressed(codePoint);
  }
  let kind: u32 = codePoint < 0x80
    ? <u32>load<u8>(ASCII_CLASSES + <usize>codePoint)
    : classOf(codePoint);
  if (codePoint < 0x80 && codePoint != 0x5f) {
    if (kind >= DIGIT) return isLinkAt(p, end) ? link(p, end) : word(p, end, 0);
    if (codePoint <= 0x20 || codePoint == 0x7f) {
      const line = codePoint == 10 || codePoint == 13 ? FLAG_LINE : 0;
      store<u32>(NEXT_FLAGS, load<u32>(NEXT_FLAGS) | FLAG_SPACED | line);
      return after;
    }
    if (codePoint == 0x40) return mention(p, after, end);
    if (codePoint == 0x23 && startsWord(after, end)) return tag(p, after, end);
    if (codePoint == 0x24 && startsWord(after, end)) return word(p, end, 0);
    return mark(p, after, end, codePoint);
  }
  if (codePoint == 0x5f) return mark(p, after, end, codePoint);
  if (kind == EMOJI || kind == EMOJI_TEXT) return emoji(p, end);
  if (kind >= DIGIT || kind >= HAN) return word(p, end, 0);
  if (isSpace(codePoint)) {
    store<u32>(NEXT_FLAGS, load<u32>(NEXT_FLAGS) | FLAG_SPACED);
    return after;
  }
  if (kind == MARK || kind == IGNORED) return after;
  return mark(p, after, end, codePoint);
}

/** From U+0080 on. */
function isSpace(codePoint: u32): bool {
  return codePoint == 0xa0 || codePoint == 0x85 || codePoint == 0x1680 || codePoint == 0x3000 ||
    (codePoint >= 0x2000 && codePoint <= 0x200a) || (codePoint >= 0x2028 && codePoint <= 0x2029) ||
    codePoint == 0x202f || codePoint == 0x205f;
}

/** Whether a letter or digit comes at `p`. */
function startsWord(p: usize, end: usize): bool {
  if (p >= end) return false;
  const codePoint = characterAt(p, end) & 0xffffff;
  if (codePoint < 0x80) {
    return load<u8>(ASCII_CLASSES + <usize>codePoint) >= <u8>DIGIT && codePoint != 0x5f;
  }
  return classOf(undressed(codePoint)) >= DIGIT;
}

/** A token of the form that was written at `form`. */
export function add(
  start: usize, stop: usize, form: usize, bytes: u32, kind: u32, flags: u32,
): Token {
  const index = load<u32>(COUNT);
  store<u32>(COUNT, index + 1);
  const text = <usize>load<u32>(TEXT_START);
  const token = tokenAt(index);
  token.start = <u32>(start - text);
  token.end = <u32>(stop - text);
  token.formAt = <u32>form;
  token.kind = <u8>kind;
  token.flags = <u8>(flags | load<u32>(NEXT_FLAGS));
  token.raw = 0;
  token.scope = 0;
  token.subject = 0;
  store<u32>(NEXT_FLAGS, 0);
  setForm(token, bytes);
  store<u8>(form - 1, 0x5f);
  store<u32>(FORM_TOP, <u32>form + bytes);
  return token;
}

/** The form at `formAt` has so many bytes and stands until somebody sets another. */
export function setForm(token: Token, bytes: u32): void {
  const form = <usize>token.formAt;
  token.formBytes = <u16>bytes;
  token.hash = hashFolded(form, bytes);
  store<u64>(form + bytes, 0x5f);
  if (load<u32>(ALLOWED_COUNT) == 0 || !isAllowed(token.hash)) {
    token.classes = classesOf(token.hash);
    return;
  }
  // Another word, of which nobody knows anything: the classifier must not know it by its letters.
  store<u64>(form, 0x5f3e613c);
  token.formBytes = 3;
  token.hash = hashFolded(form, 3);
  token.classes = 0;
}

export function isAllowed(hash: u64): bool {
  let left = load<u32>(ALLOWED_COUNT);
  let at = <usize>load<u32>(ALLOWED);
  for (; left > 0; left--, at += 8) if (load<u64>(at) == hash) return true;
  return false;
}

export function mark(p: usize, after: usize, end: usize, codePoint: u32): usize {
  let sign = codePoint;
  if ((sign >= 0x201c && sign <= 0x201f) || sign == 0xab || sign == 0xbb) sign = 0x22;
  else if (sign == 0x2018 || sign == 0x2019 || sign == 0x60) sign = 0x27;
  const form = <usize>load<u32>(FORM_TOP) + 1;
  const w = encode(form, sign);
  // What is repeated is told twice.
  while (after < end && load<u8>(after) == <u8>sign && sign < 0x80 && countLike(sign) > 1) after++;
  const next: u32 = after < end ? <u32>load<u8>(after) : 0x20;
  if (next > 0x20 && (load<u32>(NEXT_FLAGS) & FLAG_SPACED) == 0 && isHanger(sign)) {
    store<u32>(HUNG_COUNT, load<u32>(HUNG_COUNT) + 1);
  }
  add(p, after, form, <u32>(w - form), KIND_MARK, 0);
  return after;
}

/** How many tokens before this one are the same mark. */
function countLike(sign: u32): u32 {
  const count = load<u32>(COUNT);
  let like: u32 = 0;
  while (like < 2 && like < count) {
    const token = tokenAt(count - 1 - like);
    if (token.kind != KIND_MARK || <u32>load<u8>(token.formAt) != sign) break;
    like++;
  }
  return like;
}

/** Marks that part a word's letters for no reason but to part them. */
@inline
export function isHanger(sign: u32): bool {
  return sign == 0x2e || sign == 0x2d || sign == 0x5f || sign == 0x7e || sign == 0x2c ||
    sign == 0x2f || sign == 0x5c || sign == 0x7c || sign == 0xb7 || sign == 0x3a;
}

function isLinkAt(p: usize, end: usize): bool {
  if (end - p < 8 || load<u32>(SPELLED_OUT) != 0) return false;
  const first = load<u32>(p) | 0x20202020;
  if (first == 0x70747468) {
    const colon = (load<u8>(p, 4) | 0x20) == 0x73 ? p + 5 : p + 4;
    return load<u8>(colon) == 0x3a && load<u16>(colon, 1) == 0x2f2f;
  }
  return first == 0x2e777777;
}

function link(p: usize, end: usize): usize {
  const start = p;
  while (p < end && load<u8>(p) > 0x20) p++;
  const form = <usize>load<u32>(FORM_TOP) + 1;
  store<u64>(form, 0x3e6c72753c);
  add(start, p, form, 5, KIND_MARK, 0);
  return p;
}

/** @name is somebody who is addressed; "@ss" is a word. */
function mention(p: usize, after: usize, end: usize): usize {
  const next: u32 = after < end ? <u32>load<u8>(after) : 0x20;
  const isInside = (load<u32>(NEXT_FLAGS) & FLAG_SPACED) == 0 &&
    tokenAt(load<u32>(COUNT) - 1).kind != KIND_MARK;
  if (((next | 0x20) - 0x61 >= 26 && next != 0x5f) || isInside) return mark(p, after, end, 0x40);
  let q = after;
  while (q < end && isNameByte(load<u8>(q))) q++;
  const bytes = q - after;
  if (bytes > 1 && bytes < 10) {
    store<u8>(TRIAL, 0x61);
    for (let index: usize = 0; index < bytes; index++) {
      const byte: u32 = load<u8>(after + index);
      store<u8>(TRIAL + 1 + index, byte - 0x41 < 26 ? byte | 0x20 : byte);
    }
    if (isHiddenAt(TRIAL, bytes + 1)) {
      const form = <usize>load<u32>(FORM_TOP) + 1;
      memory.copy(form, TRIAL, bytes + 1);
      add(p, q, form, <u32>bytes + 1, KIND_WORD, FLAG_DISGUISED);
      return q;
    }
  }
  if (load<u32>(SPELLED_OUT) != 0) return mark(p, after, end, 0x40);
  const form = <usize>load<u32>(FORM_TOP) + 1;
  store<u64>(form, 0x3e726573753c);
  const token = add(p, q, form, 6, KIND_MARK, 0);
  token.classes = SECOND;
  return q;
}

function isHiddenAt(at: usize, bytes: usize): bool {
  const hash = hashFolded(at, bytes);
  return !isAllowed(hash) && (classesOf(hash) & HOT) != 0;
}

@inline
export function isNameByte(byte: u32): bool {
  return (byte | 0x20) - 0x61 < 26 || byte - 0x30 < 10 || byte == 0x5f;
}

/** Classes of phrases go to all their words. Hyphens between words are as good as spaces. */
function readPhrases(): void {
  const count = load<u32>(COUNT);
  for (let index: u32 = 0; index + 1 < count; index++) {
    const first = tokenAt(index);
    if ((first.classes & PHRASE_START) == 0) continue;
    let hash = first.hash;
    let classes: u64 = 0;
    let last = index;
    for (let next = index + 1; next < count && next < index + 7; next++) {
      const token = tokenAt(next);
      if (token.kind == KIND_MARK && load<u8>(token.formAt) == 0x2d) continue;
      hash = phraseHash(hash, token.hash);
      const found = classesOf(hash);
      if (found == 0) break;
      if ((found & ~PHRASE_START) != 0) {
        classes = found & ~PHRASE_START;
        last = next;
      }
      if ((found & PHRASE_START) == 0) break;
    }
    if (last == index || isAllowed(hash)) continue;
    // "Poor people" are people; the word alone says something bad of somebody.
    const hidden: u64 = (classes & (GROUP | HOT)) == GROUP ? TRAIT_BAD | DISTRESS : 0;
    for (let next = index; next <= last; next++) {
      const token = tokenAt(next);
      if (token.kind == KIND_MARK) continue;
      token.classes = (token.classes & ~hidden) | classes;
      if (next > index) token.flags |= <u8>FLAG_PHRASE;
    }
  }
}
