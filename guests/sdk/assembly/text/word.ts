// Words: folded as they are read, right behind the word before and one space, so that a bigram is a
// range over both and costs no copy.
import {
  ASCII_CLASSES,
  IGNORED,
  MARK,
  DIGIT,
  LETTER,
  KATAKANA,
  HANGUL,
  WORD_BYTES_MAX,
} from "./tables.gen";
import { hashFolded } from "./hash";
import { isListed, isListedText } from "./listed";
import { addWord, addWordWithDigits } from "./fingerprint";
import { attach, classOf, cut, decode, encode, fold, markFollows, plain } from "./unicode";
import { emit, emitText, KIND_BIGRAM, KIND_WORD, TERM_BYTES_MAX } from "./terms";
import { link } from "./link";
import { keycap } from "./emoji";
import {
  HAS_APOSTROPHE,
  HAS_DOT,
  HAS_DOTS,
  IS_COMPOUND,
  IS_MAIL,
  IS_SCHEME,
  IS_WIDE,
  isEnding,
  IS_DRAWN_OUT,
  jointAt,
  startsPath,
  wordClassAt,
} from "./joint";
import { STATE, NEXT, PREVIOUS, PREVIOUS_HASH, PREVIOUS_NUMBER, unlink } from "./state";

const SCRIPTS: u32 = LETTER | KATAKANA | HANGUL;
const SPACES: u64 = 0x2020202020202020;
const HIGH_BITS: u64 = 0x8080808080808080;
/** A code point that repeats nothing. */
const NOTHING: u32 = 0x200000;

/**
 * Reads the word (number, mail address, link) at `p`; returns where the text goes on. Hot, and
 * longer than a function should be: what the loop carries along stays in locals.
 */
export function word(p: usize, end: usize): usize {
  const start = p;
  if (startsApart(p, end)) {
    const after = apart(p, end);
    if (after != 0) return after;
  }
  const previous = load<usize>(STATE, PREVIOUS);
  let s = load<usize>(STATE, NEXT);
  if (previous != 0) {
    store<u8>(s, 0x20);
    s++;
  }
  let w = s;
  let flags: u32 = 0;
  let last: u32 = NOTHING;
  let repeats: u32 = 0;
  while (end - p >= 8) {
    // Eight letters at a time, and stored as eight: a load of bytes stored one by one would wait
    // for them.
    const eight = load<u64>(p);
    const folded = eight | SPACES;
    const count = letterCount(eight, folded);
    if (count == 0 || hasTriple(folded) || (w != s && load<u8>(w - 1) == <u8>folded)) break;
    store<u64>(w, folded);
    w += count;
    p += count;
    flags = LETTER;
    if (count < 8) break;
  }
  if (w != s) {
    last = load<u8>(w - 1);
    repeats = w > s + 1 && <u32>load<u8>(w - 2) == last ? 1 : 0;
  }
  while (p < end) {
    const byte: u32 = load<u8>(p);
    let kind: u32 = load<u8>(ASCII_CLASSES + <usize>byte);
    if (kind >= DIGIT) {
      p++;
      flags |= kind;
      const folded = byte | 0x20;
      if (folded == last) {
        if (++repeats > 1 && kind == LETTER && !markFollows(p, end)) {
          flags |= IS_DRAWN_OUT;
          continue;
        }
      } else {
        last = folded;
        repeats = 0;
      }
      store<u8>(w, folded);
      w++;
      continue;
    }
    if (byte == 0x20) break;
    let codePoint = byte;
    let after = p + 1;
    // Punctuation before a space joins nothing; the # of c# might.
    if (byte < 0x80 && byte != 0x23 && (after >= end || load<u8>(after) <= 0x20)) break;
    if (byte >= 0x80) {
      const decoded = decode(p, end);
      after = p + (decoded >> 24);
      codePoint = plain(decoded & 0xffffff);
      kind =
        codePoint < 0x80 ? <u32>load<u8>(ASCII_CLASSES + <usize>codePoint) : classOf(codePoint);
      if (kind == IGNORED) {
        p = after;
        continue;
      }
      if (kind == MARK || (codePoint >= 0x1161 && codePoint < 0x11c3)) {
        const attached = attach(s, w, codePoint, markFollows(after, end));
        if (attached != 0 || kind == MARK) {
          // Shorter: it was the third of a letter.
          flags |= attached != 0 && attached < w ? IS_WIDE | IS_DRAWN_OUT : IS_WIDE;
          if (attached != 0) w = attached;
          last = NOTHING;
          p = after;
          continue;
        }
      }
    }
    if (kind >= DIGIT) {
      const script = kind & SCRIPTS;
      if (script != 0 && (flags & SCRIPTS & ~script) != 0) break;
      flags |= kind | IS_WIDE;
      p = after;
      const folded = codePoint < 0x80 ? codePoint | 0x20 : fold(codePoint, kind);
      if (folded == last) {
        if (++repeats > 1 && kind != DIGIT && !markFollows(p, end)) {
          flags |= IS_DRAWN_OUT;
          continue;
        }
      } else {
        last = folded;
        repeats = 0;
      }
      w = encode(w, folded);
      if (kind > LETTER && p < end && load<u8>(ASCII_CLASSES + <usize>load<u8>(p)) == <u8>LETTER)
        break;
      continue;
    }
    if (codePoint >= 0x80) break;
    const joint = jointAt(p, after, end, codePoint, w - s, flags);
    if (joint == 0) {
      if (codePoint == 0x3a && isScheme(p, end, flags)) flags |= IS_SCHEME;
      break;
    }
    flags |= flagOf(joint & 0xff, flags);
    p += joint >> 16;
    store<u8>(w, joint);
    w++;
    if ((joint & 0x200) != 0) {
      store<u8>(w, joint);
      w++;
    }
    last = NOTHING;
  }
  return close(start, p, end, s, w, flags, previous);
}

/** Takes the word [start, p) of the text, folded to [s, w), for what it is. */
function close(
  start: usize,
  p: usize,
  end: usize,
  s: usize,
  w: usize,
  flags: u32,
  previous: usize,
): usize {
  if ((flags & IS_SCHEME) != 0) {
    const after = link(p + 3, end);
    if (after != 0) return after;
  }
  if (w == s) {
    // A joining character or a mark alone.
    unlink();
    return p > start ? p : start + (decode(start, end) >> 24);
  }
  if (flags > <u32>0xff) {
    if ((flags & HAS_DOT) != 0 && (flags & IS_MAIL) == 0 && endsInDomain(s, w, p, end)) {
      const after = link(start, end);
      if (after != 0) return after;
    }
    finishRare(s, w, flags, previous);
  } else finish(s, w - s, flags, previous);
  // Another script begins without anything between: that is no pair of words.
  if (
    p < end &&
    (load<u8>(p) >= 0x80 || (flags & (KATAKANA | HANGUL)) != 0) &&
    wordClassAt(p, end) != 0
  ) {
    unlink();
  }
  return p;
}

/**
 * How many of eight bytes, from the first on, are ASCII letters. `folded` are the bytes with bit 5
 * set.
 */
@inline
function letterCount(eight: u64, folded: u64): usize {
  const low = folded & ~HIGH_BITS;
  const fromA = low + 0x1f1f1f1f1f1f1f1f;
  const beyondZ = low + 0x0505050505050505;
  return <usize>ctz((~fromA | beyondZ | eight) & HIGH_BITS) >> 3;
}

/** Whether three bytes in a row may be the same. */
@inline
function hasTriple(bytes: u64): bool {
  const pairs = bytes ^ (bytes >> 8);
  const triples = pairs | (pairs >> 8) | 0xffff000000000000;
  return ((triples - 0x0101010101010101) & ~triples & HIGH_BITS) != 0;
}

/** The first character of "www." or of a keycap. */
@inline
function startsApart(p: usize, end: usize): bool {
  if (p + 3 >= end) return false;
  const both: u32 = load<u16>(p);
  return (both | 0x2020) == 0x7777 || ((both & 0xff) < 0x3a && both >= 0xe200);
}

function apart(p: usize, end: usize): usize {
  if (load<u8>(p) < 0x3a) return keycap(p, end);
  const isWww = (load<u8>(p, 2) | 0x20) == 0x77 && load<u8>(p, 3) == 0x2e;
  return isWww && wordClassAt(p + 4, end) != 0 ? link(p, end) : 0;
}

function isScheme(p: usize, end: usize, flags: u32): bool {
  return (flags & LETTER) != 0 && end - p > 3 && load<u8>(p) == 0x3a && load<u16>(p, 1) == 0x2f2f;
}

function flagOf(byte: u32, flags: u32): u32 {
  if (byte == 0x27) return HAS_APOSTROPHE;
  if (byte == 0x2e) return (flags & HAS_DOT) != 0 ? HAS_DOT | HAS_DOTS : HAS_DOT;
  if (byte == 0x40) return IS_MAIL;
  return byte == 0x2c || byte == 0x3a || byte == 0x2f || byte == 0x2d ? IS_COMPOUND : 0;
}

/** Counts a folded word and its bigram with the word before. Hot. */
function finish(s: usize, bytes: usize, flags: u32, previous: usize): void {
  if ((flags & SCRIPTS) == 0) return number(s, bytes, flags, previous);
  if (bytes > TERM_BYTES_MAX) bytes = cut(s, bytes, TERM_BYTES_MAX);
  else if (load<u16>(s) == load<u16>(s, 2)) bytes = laughed(s, bytes);
  const hash = hashFolded(s, bytes);
  if ((flags & DIGIT) == 0) addWord(hash);
  else addWordWithDigits(s, bytes);
  // One branch for both: which of them it is, nobody can predict.
  if (((bytes == 1 ? 1 : 0) | (isListed(hash) ? 1 : 0)) != 0) return unlink();
  keep(s, bytes, hash, previous);
}

/** A term, and the left half of the next bigram. */
function keep(s: usize, bytes: usize, hash: u64, previous: usize): void {
  emit(s, bytes, <u32>hash, KIND_WORD);
  const after = s + bytes;
  if (previous != 0 && <u32>hash != load<u32>(STATE, PREVIOUS_HASH)) pair(previous, after);
  store<usize>(STATE, s, PREVIOUS);
  store<u32>(STATE, 0, PREVIOUS_NUMBER);
  store<u32>(STATE, <u32>hash, PREVIOUS_HASH);
  store<usize>(STATE, after, NEXT);
}

@inline
function pair(previous: usize, after: usize): void {
  if (after - previous <= TERM_BYTES_MAX) emitText(previous, after - previous, KIND_BIGRAM);
}

/** hahahaha is haha: a word that repeats its first two letters throughout is cut to four. */
function laughed(s: usize, bytes: usize): usize {
  if (bytes < 6 || load<u8>(s) >= 0x80) return bytes;
  for (let index: usize = 4; index < bytes; index++) {
    if (load<u8>(s + index) != load<u8>(s + index - 2)) return bytes;
  }
  return 4;
}

/** Words with a joint that matters or with letters beyond ASCII. */
function finishRare(s: usize, w: usize, flags: u32, previous: usize): void {
  if ((flags & IS_MAIL) != 0) {
    const bytes = cut(s, w - s, TERM_BYTES_MAX);
    addWord(emitText(s, bytes, KIND_WORD));
    store<usize>(STATE, s + bytes, NEXT);
    return unlink();
  }
  if ((flags & SCRIPTS) == 0 && (flags & HAS_DOTS) != 0) {
    // 2.6.28 is a version: a word, though all digits.
    const bytes = cut(s, w - s, TERM_BYTES_MAX);
    return keep(s, bytes, hashFolded(s, bytes), previous);
  }
  let bytes = w - s;
  if ((flags & HAS_APOSTROPHE) != 0 && !isListedText(s, bytes)) {
    bytes = withoutEnding(s, bytes);
    const shift = cliticBytes(s, bytes);
    if (shift != 0) {
      // l'ordinateur: the article is a stop word between, so no bigram.
      s += shift;
      bytes -= shift;
      previous = 0;
    }
  }
  if ((flags & IS_WIDE) != 0) {
    if (bytes >= 4 && load<u16>(s + bytes - 2) == 0x83cf) store<u8>(s + bytes - 2, 0x82, 1);
    if (isOneCharacter(s, bytes) && (flags & KATAKANA) == 0) {
      addWord(hashFolded(s, bytes));
      return unlink();
    }
  }
  if ((flags & IS_DRAWN_OUT) != 0 && isListedOnce(s, bytes)) {
    addWord(hashFolded(s, bytes));
    return unlink();
  }
  finish(s, bytes, flags, previous);
}

/** Whether the word with every repeated letter written once is a stop word: sooo is so. */
function isListedOnce(s: usize, bytes: usize): bool {
  if (bytes > WORD_BYTES_MAX + 12) return false;
  const copy = load<usize>(STATE, NEXT) + bytes + 64;
  let w = copy;
  let last: u32 = NOTHING;
  for (let p = s; p < s + bytes;) {
    const decoded = decode(p, s + bytes);
    if ((decoded & 0xffffff) != last) w = encode(w, decoded & 0xffffff);
    last = decoded & 0xffffff;
    p += decoded >> 24;
  }
  return isListedText(copy, w - copy);
}

function isOneCharacter(s: usize, bytes: usize): bool {
  return bytes <= 4 && cut(s, bytes, bytes - 1) == 0;
}

/** Bytes of the clitic in front (the l' of l'ordinateur), 0 where there is none. */
function cliticBytes(s: usize, bytes: usize): usize {
  for (let index: usize = 0; index < 6 && index + 1 < bytes; index++) {
    if (load<u8>(s + index) == 0x27) return isListedText(s, index + 1) ? index + 1 : 0;
  }
  return 0;
}

/** Bytes without the clitic behind (the 's of ubuntu's). */
function withoutEnding(s: usize, bytes: usize): usize {
  for (let index: usize = 1; index < 8 && index < bytes; index++) {
    if (load<u8>(s + bytes - index) == 0x27)
      return isListedText(s + bytes - index, index) ? bytes - index : bytes;
  }
  return bytes;
}

/**
 * Numbers are no terms, but "windows 11" and "404 error" are: up to 6 digits (one alone only as the
 * second word).
 */
function number(s: usize, bytes: usize, flags: u32, previous: usize): void {
  if (bytes > 6 || (flags & IS_COMPOUND) != 0) return unlink();
  const after = s + bytes;
  if (previous != 0 && load<u32>(STATE, PREVIOUS_NUMBER) == 0) pair(previous, after);
  if (bytes == 1) {
    // Its bytes may be part of a term now.
    store<usize>(STATE, after, NEXT);
    return unlink();
  }
  store<usize>(STATE, s, PREVIOUS);
  store<u32>(STATE, 1, PREVIOUS_NUMBER);
  store<u32>(STATE, 0, PREVIOUS_HASH);
  store<usize>(STATE, after, NEXT);
}

/**
 * Whether the dotted word [s, w), which the text goes on behind at `p`, ends in a top-level domain.
 */
function endsInDomain(s: usize, w: usize, p: usize, end: usize): bool {
  let label = w;
  while (label > s && load<u8>(label - 1) != 0x2e) label--;
  const bytes = w - label;
  if (label == s || bytes > 12) return false;
  return isEnding(label, bytes, 0x2e) || (bytes == 2 && startsPath(p, end));
}
