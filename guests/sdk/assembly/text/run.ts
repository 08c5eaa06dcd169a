// Scripts without spaces: a run of characters becomes its overlapping pairs, written once, each
// term a range over two units. A unit of Han or Hiragana is a character. Of Thai, Lao, Khmer and
// Myanmar it is a cluster: a consonant with the vowels before and behind it and the marks on it.
// Katakana and Hangul are words, not runs.
//
// Grammar is left out: a listed pair (です, 我们), a pair of a particle (は, 的) with anything but
// Hiragana, and a pair of Hiragana and Han, where one word ends and another begins.
import { HAN, IGNORED, MARK } from "./tables.gen";
import { hashFolded } from "./hash";
import { isListed } from "./listed";
import { addWord } from "./fingerprint";
import { attach, classOf, decode, encode } from "./unicode";
import { emit, KIND_CJK } from "./terms";
import { STATE, NEXT, TEXT, unlink } from "./state";

const UNIT_BYTES_MAX: usize = 18;

/** Reads the run of `kind` (HAN or CLUSTER) at `p`; returns where the text goes on. */
export function run(p: usize, end: usize, kind: u32): usize {
  const isAfterDigit = p > load<usize>(STATE, TEXT) && isDigit(load<u8>(p - 1));
  unlink();
  const s = load<usize>(STATE, NEXT);
  let w = s;
  // The units before the one being read: [first, second), [second, w).
  let first: usize = 0;
  let second = s;
  let joins = true;
  while (p < end) {
    const decoded = decode(p, end);
    const codePoint = decoded & 0xffffff;
    const found = codePoint < 0x80 ? 0 : classOf(codePoint);
    if (found != kind && found != IGNORED && found != MARK) break;
    p += decoded >> 24;
    if (found == IGNORED) continue;
    if (found == MARK) {
      const attached = attach(second, w, codePoint, true);
      if (attached != 0) w = attached;
      continue;
    }
    const continues = w > s && (kind == HAN ? false : joins || trails(codePoint));
    if (w > s && (!continues || w - second >= UNIT_BYTES_MAX)) {
      if (first != 0) addPair(first, second, w, kind);
      first = second;
      second = w;
    }
    w = encode(w, codePoint);
    joins = kind != HAN && leads(codePoint);
  }
  if (w == s) return p;
  if (first != 0) addPair(first, second, w, kind);
  else if (!isAfterDigit) addSingle(s, w);
  store<usize>(STATE, w, NEXT);
  return p;
}

function isDigit(byte: u32): bool {
  return byte >= 0x30 && byte <= 0x39;
}

function addSingle(s: usize, w: usize): void {
  const hash = hashFolded(s, w - s);
  addWord(hash);
  if (!isListed(hash)) emit(s, w - s, <u32>hash, KIND_CJK);
}

function addPair(first: usize, second: usize, w: usize, kind: u32): void {
  const hash = hashFolded(first, w - first);
  addWord(hash);
  if (isListed(hash)) return;
  if (kind == HAN) {
    const isFirst = isListed(hashFolded(first, second - first));
    const isSecond = isListed(hashFolded(second, w - second));
    if (isFirst && isSecond) return;
    const opens = isHiragana(first, w);
    const closes = isHiragana(second, w);
    if ((isFirst || isSecond) && !(opens && closes)) return;
    // The end of one word and the start of the next, but for polite お and ご.
    if (opens && !closes && !isPolite(first, w)) return;
  }
  emit(first, w - first, <u32>hash, KIND_CJK);
}

function isHiragana(p: usize, end: usize): bool {
  const codePoint = decode(p, end) & 0xffffff;
  return codePoint >= 0x3041 && codePoint < 0x30a0;
}

function isPolite(p: usize, end: usize): bool {
  const codePoint = decode(p, end) & 0xffffff;
  return codePoint == 0x304a || codePoint == 0x3054;
}

/**
 * Thai and Lao vowels written before their consonant; Khmer and Myanmar signs that bind the next
 * one.
 */
function leads(codePoint: u32): bool {
  if (codePoint >= 0xe40 && codePoint <= 0xe44) return true;
  if (codePoint >= 0xec0 && codePoint <= 0xec4) return true;
  return codePoint == 0x17d2 || codePoint == 0x1039;
}

/** Vowels and marks that belong to what stands before them. */
function trails(codePoint: u32): bool {
  if (codePoint < 0xf00) {
    const place = codePoint & 0x7f;
    return (place >= 0x30 && place <= 0x3a) || (place >= 0x45 && place <= 0x4e);
  }
  if (codePoint >= 0x1780) return codePoint >= 0x17b4 && codePoint <= 0x17dd;
  return codePoint >= 0x102b && codePoint <= 0x103e;
}
