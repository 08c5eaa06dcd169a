// Text to terms, one pass over UTF-8 bytes, no allocation: what people talk about, as keys to
// count.
//
// A term is a folded word, a #hashtag, an @mention, a link, an emoji, a pair of characters of a
// script without spaces, or a pair of adjacent words. Stop words are none, nor are numbers, single
// letters and punctuation. Folded text is written to scratch once and every term is a range over
// it: a bigram is its two words and the space between them. Each distinct term is listed once a
// text. The rules live where the things are read: word.ts, joint.ts, tag.ts, link.ts, emoji.ts,
// run.ts; the letters in unicode.ts; the words that do not count in ../../stop-words.
//
// Cost: 6 to 7 ns a byte of English chat, bigrams included (360 ns for a message of 55 bytes).
// Every look ahead is bounded, so time is linear in the text.
import {
  ASCII_CLASSES,
  BREAK,
  SPACE,
  DIGIT,
  EMOJI,
  EMOJI_TEXT,
  HAN,
  CLUSTER,
  IGNORED,
  MARK,
} from "./tables.gen";
import { beginFingerprint, endFingerprint } from "./fingerprint";
import { classOf, decode, plain } from "./unicode";
import { slotCount } from "./terms";
import { entityBytes } from "./joint";
import { word } from "./word";
import { addressee, tag } from "./tag";
import { emoji, keycap } from "./emoji";
import { run } from "./run";
import {
  STATE,
  STATE_BYTES,
  OUT,
  COUNT,
  COUNT_MAX,
  SLOTS,
  SLOT_MASK,
  NEXT,
  FOLDED,
  TEXT,
  PREVIOUS,
  RANGE_END,
  unlink,
} from "./state";

export { hash32, hash64, hashFolded32 } from "./hash";
export { fingerprint, similar, forgetText } from "./fingerprint";
export {
  TERM_RECORD_BYTES,
  TERM_BYTES_MAX,
  FLAG_STOP,
  KIND_WORD,
  KIND_HASHTAG,
  KIND_MENTION,
  KIND_URL,
  KIND_EMOJI,
  KIND_CJK,
  KIND_BIGRAM,
} from "./terms";

/**
 * Scratch that `tokenize` uses for a text of `len` bytes and `max` terms; at most 4 * len + 1024.
 */
export function scratchBytes(len: usize, max: u32): usize {
  return (slotCount(len, max) << 1) + min<usize>(len + 960, (len << 2) + 128);
}

/**
 * Writes the distinct terms of the UTF-8 text [ptr, ptr + len), the first `max` of them, to `out`
 * (TERM_RECORD_BYTES each), and returns their count. The bytes they point to are written from
 * `scratch` on, see `scratchBytes`. Also computes the text's `fingerprint`.
 */
export function tokenize(ptr: usize, len: usize, out: usize, max: u32, scratch: usize): u32 {
  begin(ptr, len, out, max, scratch);
  const end = ptr + len;
  let p = addressee(ptr, end);
  while (p < end) {
    const kind: u32 = load<u8>(ASCII_CLASSES + <usize>load<u8>(p));
    if (kind >= DIGIT) p = word(p, end);
    else if (kind == SPACE) p++;
    else if (kind == BREAK) {
      unlink();
      p++;
    } else p = special(p, end);
  }
  endFingerprint();
  const count = load<u32>(STATE, COUNT);
  // Loop, not memory.fill: that is a call out of the program for 120 bytes.
  for (let at: usize = 0; at < STATE_BYTES; at += 8) store<u64>(STATE + at, 0);
  return count;
}

function begin(ptr: usize, len: usize, out: usize, max: u32, scratch: usize): void {
  const slots = slotCount(len, max);
  // The table is an even multiple of 8 bytes, and stands at a multiple of 8.
  const table = (scratch + 7) & ~7;
  for (let at: usize = 0; at < slots << 1; at += 8) store<u64>(table + at, 0);
  const folded = table + (slots << 1);
  store<usize>(STATE, out, OUT);
  store<u32>(STATE, 0, COUNT);
  store<u32>(STATE, min(max, 0xffff), COUNT_MAX);
  store<usize>(STATE, table, SLOTS);
  store<u32>(STATE, <u32>slots - 1, SLOT_MASK);
  store<usize>(STATE, folded, NEXT);
  store<usize>(STATE, folded, FOLDED);
  store<usize>(STATE, ptr, TEXT);
  store<usize>(STATE, 0, PREVIOUS);
  store<u32>(STATE, 0, RANGE_END);
  beginFingerprint();
}

/** Signs, and everything beyond ASCII. */
function special(p: usize, end: usize): usize {
  const byte: u32 = load<u8>(p);
  const decoded = decode(p, end);
  const after = p + (decoded >> 24);
  const codePoint = plain(decoded & 0xffffff);
  if (codePoint < 0x80) {
    if (byte < 0x80 && (codePoint == 0x23 || codePoint == 0x2a)) {
      const behind = keycap(p, end);
      if (behind != 0) return behind;
    }
    if (codePoint == 0x23 || codePoint == 0x40) return tag(p, after, end, codePoint);
    if (codePoint == 0x26) {
      const entity = entityBytes(p, end);
      if (entity != 0) return p + entity;
    }
    const kind: u32 = load<u8>(ASCII_CLASSES + <usize>codePoint);
    if (kind >= DIGIT) return word(p, end);
    if (kind != SPACE && codePoint != 0x2a) unlink();
    return after;
  }
  const kind = classOf(codePoint);
  if (kind >= DIGIT) return word(p, end);
  if (kind == HAN || kind == CLUSTER) return run(p, end, kind);
  if (kind == EMOJI || kind == EMOJI_TEXT || kind == BREAK) {
    const behind = emoji(p, end);
    if (behind != 0) return behind;
    unlink();
  }
  return after;
}
