// Code points: decoding that never leaves the text, classes, case folding, composition.
//
// Folding is to small letters, one code point to one, never to more bytes: Latin, Greek (both
// sigmas are one letter, written as a final one at a word's end), Cyrillic (ё is е), Armenian,
// Georgian; full-width forms and the mathematical alphabets become ASCII. Marks on Latin, Greek and
// Cyrillic letters, kana and Hangul are composed as NFC does; a mark that has no composed letter
// (and so the heaps of them that some people type) is dropped.
import {
  BREAK,
  IGNORED,
  HAN,
  CLUSTER,
  DIGIT,
  LETTER,
  KATAKANA,
  HANGUL,
  EMOJI,
  PLANE0_COUNT,
  PLANE0_STARTS,
  PLANE0_CLASSES,
  EMOJI_COUNT,
  EMOJI_STARTS,
  EMOJI_CLASSES,
  FOLD_COUNT,
  FOLD_RUNS,
  MARK_COUNT,
  MARK,
  MARKS,
  PAIR_COUNT,
  PAIRS,
} from "./tables.gen";
import { STATE, RANGE_START, RANGE_END, RANGE_CLASS } from "./state";

/**
 * Code point in the low 24 bits, its bytes above. Anything that is no UTF-8 is one byte of U+FFFD.
 */
export function decode(p: usize, end: usize): u32 {
  const first: u32 = load<u8>(p);
  if (first < 0x80) return first | 0x1000000;
  const left = end - p;
  if (first >= 0xc2 && first < 0xf5 && left > 1) {
    const second: u32 = <u32>load<u8>(p, 1) ^ 0x80;
    if (second < 0x40) {
      if (first < 0xe0) return ((first & 31) << 6) | second | 0x2000000;
      if (left > 2) {
        const third: u32 = <u32>load<u8>(p, 2) ^ 0x80;
        if (third < 0x40) {
          if (first < 0xf0) {
            const value = ((first & 15) << 12) | (second << 6) | third;
            if (value >= 0x800 && (value < 0xd800 || value > 0xdfff)) return value | 0x3000000;
          } else if (left > 3) {
            const fourth: u32 = <u32>load<u8>(p, 3) ^ 0x80;
            const value = ((first & 7) << 18) | (second << 12) | (third << 6) | fourth;
            if (fourth < 0x40 && value >= 0x10000 && value < 0x110000) return value | 0x4000000;
          }
        }
      }
    }
  }
  return 0x100fffd;
}

/** Writes a code point, returns where the next one goes. */
export function encode(w: usize, codePoint: u32): usize {
  if (codePoint < 0x80) {
    store<u8>(w, codePoint);
    return w + 1;
  }
  if (codePoint < 0x800) {
    store<u8>(w, 0xc0 | (codePoint >> 6));
    store<u8>(w, 0x80 | (codePoint & 63), 1);
    return w + 2;
  }
  if (codePoint < 0x10000) {
    store<u8>(w, 0xe0 | (codePoint >> 12));
    store<u8>(w, 0x80 | ((codePoint >> 6) & 63), 1);
    store<u8>(w, 0x80 | (codePoint & 63), 2);
    return w + 3;
  }
  store<u8>(w, 0xf0 | (codePoint >> 18));
  store<u8>(w, 0x80 | ((codePoint >> 12) & 63), 1);
  store<u8>(w, 0x80 | ((codePoint >> 6) & 63), 2);
  store<u8>(w, 0x80 | (codePoint & 63), 3);
  return w + 4;
}

/**
 * Bytes of the longest prefix of whole code points within `bytesMax`; [ptr, ptr + bytes) is valid
 * UTF-8.
 */
export function cut(ptr: usize, bytes: usize, bytesMax: usize): usize {
  if (bytes <= bytesMax) return bytes;
  while (bytesMax > 0 && (load<u8>(ptr + bytesMax) & 0xc0) == 0x80) bytesMax--;
  return bytesMax;
}

/** ASCII for what is an ASCII character in another dress: full-width, mathematical, typographic. */
export function plain(codePoint: u32): u32 {
  if (codePoint < 0x2010) return codePoint == 0xb4 || codePoint == 0x2bc ? 0x27 : codePoint;
  if (codePoint <= 0x2019) {
    if (codePoint <= 0x2011) return 0x2d;
    return codePoint >= 0x2018 ? 0x27 : codePoint;
  }
  if (codePoint >= 0xff01 && codePoint <= 0xff5e) return codePoint - 0xfee0;
  if (codePoint < 0x1d400 || codePoint > 0x1d7ff) return codePoint;
  if (codePoint >= 0x1d7ce) return 0x30 + ((codePoint - 0x1d7ce) % 10);
  if (codePoint >= 0x1d6a4) return codePoint;
  const letter = (codePoint - 0x1d400) % 52;
  return 0x61 + (letter >= 26 ? letter - 26 : letter);
}

/** Class of a code point from U+0080 on; the big alphabets without a search. */
export function classOf(codePoint: u32): u32 {
  if (codePoint < 0x482) {
    if (codePoint >= 0x400) return LETTER;
    if (codePoint >= 0xc0 && codePoint < 0x2c2) {
      return codePoint == 0xd7 || codePoint == 0xf7 ? BREAK : LETTER;
    }
  } else if (codePoint >= 0x3041 && codePoint < 0xd7a4) {
    if (codePoint <= 0x3096) return HAN;
    if (codePoint >= 0x30a1 && codePoint <= 0x30fa) return KATAKANA;
    if (codePoint >= 0x4e00 && codePoint < 0xa000) return HAN;
    if (codePoint >= 0xac00) return HANGUL;
  } else if (codePoint > 0xffff) return classBeyond(codePoint);
  if (codePoint >= load<u32>(STATE, RANGE_START) && codePoint < load<u32>(STATE, RANGE_END)) {
    return load<u32>(STATE, RANGE_CLASS);
  }
  return searchRange(codePoint);
}

function searchRange(codePoint: u32): u32 {
  let low: usize = 0;
  let high: usize = PLANE0_COUNT;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (<u32>load<u16>(PLANE0_STARTS + (middle << 1)) <= codePoint) low = middle;
    else high = middle;
  }
  const found: u32 = load<u8>(PLANE0_CLASSES + low);
  store<u32>(STATE, load<u16>(PLANE0_STARTS + (low << 1)), RANGE_START);
  store<u32>(
    STATE,
    high < PLANE0_COUNT ? <u32>load<u16>(PLANE0_STARTS + (high << 1)) : 0x10000,
    RANGE_END,
  );
  store<u32>(STATE, found, RANGE_CLASS);
  return found;
}

/** Class of a code point beyond the basic plane. */
function classBeyond(codePoint: u32): u32 {
  if (codePoint >= 0x20000 && codePoint < 0x40000) return HAN;
  if (codePoint >= 0xe0000) return codePoint < 0xe1000 ? IGNORED : BREAK;
  if (codePoint >= 0x1f000) {
    if (codePoint > 0x1faff) return BREAK;
    if (codePoint >= 0x1f1e6 && codePoint <= 0x1f1ff) return EMOJI;
    let low: usize = 0;
    let high: usize = EMOJI_COUNT;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (<u32>load<u16>(EMOJI_STARTS + (middle << 1)) <= (codePoint & 0xffff)) low = middle;
      else high = middle;
    }
    return load<u8>(EMOJI_CLASSES + low);
  }
  if (codePoint >= 0x1afe0 && codePoint < 0x1b170) return HAN;
  return codePoint >= 0x1d000 && codePoint < 0x1d400 ? BREAK : LETTER;
}

/** The folded form of a letter or digit, from U+0080 on. `kind` is its class, just looked up. */
export function fold(codePoint: u32, kind: u32): u32 {
  if (kind != LETTER) {
    // Decimal digits come in blocks of ten, and the block was the last range looked up.
    return kind == DIGIT ? 0x30 + ((codePoint - load<u32>(STATE, RANGE_START)) % 10) : codePoint;
  }
  if (codePoint >= 0x410 && codePoint < 0x450)
    return codePoint < 0x430 ? codePoint + 32 : codePoint;
  if (codePoint >= 0x530 && !(codePoint >= 0x10a0 && codePoint < 0x1f00) && codePoint > 0x556) {
    return codePoint;
  }
  let low: usize = 0;
  let high: usize = FOLD_COUNT;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (<u32>load<u16>(FOLD_RUNS + middle * 6) <= codePoint) low = middle;
    else high = middle;
  }
  const run = FOLD_RUNS + low * 6;
  const distance = codePoint - <u32>load<u16>(run);
  const shape: u32 = load<u16>(run, 2);
  const skips = shape & 1;
  if (distance >> skips >= shape >> 1 || (distance & skips) != 0) return codePoint;
  return codePoint + <u32>(<i32>load<i16>(run, 4));
}

/** Whether a combining mark comes at `p`: the letter before it is another than it seems. */
export function markFollows(p: usize, end: usize): bool {
  if (p >= end || load<u8>(p) < 0x80) return false;
  return classOf(decode(p, end) & 0xffffff) == MARK;
}

/**
 * Puts a combining mark (or a Hangul vowel or final consonant) onto the last code point of [s, w):
 * returns the new end, or 0 where the two have no composed form. `more`: another mark follows.
 */
export function attach(s: usize, w: usize, mark: u32, more: bool): usize {
  if (w == s) return 0;
  let base = w - 1;
  while (base > s && (load<u8>(base) & 0xc0) == 0x80) base--;
  const letter = decode(base, w) & 0xffffff;
  const composed = composedOf(letter, mark);
  if (composed == 0) return 0;
  const end = encode(base, composed);
  // Letters repeated three times and more are written twice, as for composed text.
  const bytes = end - base;
  if (
    !more &&
    base >= s + 2 * bytes &&
    same(base, base - bytes, bytes) &&
    same(base, base - 2 * bytes, bytes)
  ) {
    return base;
  }
  return end;
}

function composedOf(letter: u32, mark: u32): u32 {
  if (mark >= 0x1161 && mark < 0x11c3) return composedHangul(letter, mark);
  if (mark == 0x3099 || mark == 0x309a) {
    // Voiced kana follow their plain ones: か が, は ば ぱ.
    const kana = letter >= 0x30a0 ? letter - 0x60 : letter;
    if (kana >= 0x306f && kana <= 0x307b && (kana - 0x306f) % 3 == 0) return letter + mark - 0x3098;
    if (mark == 0x309a) return 0;
    if (kana == 0x3046) return letter + 0x4e;
    if (kana >= 0x304b && kana <= 0x3061 && (kana & 1) == 1) return letter + 1;
    return kana == 0x3064 || kana == 0x3066 || kana == 0x3068 ? letter + 1 : 0;
  }
  let index: u32 = 0;
  while (index < MARK_COUNT && <u32>load<u16>(MARKS + ((<usize>index) << 1)) != mark) index++;
  if (index == MARK_COUNT || letter >= 0x2000) return 0;
  const key = (letter << 5) | index;
  let low: usize = 0;
  let high: usize = PAIR_COUNT;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (load<u32>(PAIRS + (middle << 2)) >> 14 <= key) low = middle;
    else high = middle;
  }
  const pair = load<u32>(PAIRS + (low << 2));
  return pair >> 14 == key ? pair & 0x3fff : 0;
}

function composedHangul(letter: u32, part: u32): u32 {
  if (part < 0x1176) {
    if (letter < 0x1100 || letter > 0x1112) return 0;
    return 0xac00 + ((letter - 0x1100) * 21 + (part - 0x1161)) * 28;
  }
  if (part < 0x11a8 || letter < 0xac00 || letter > 0xd7a3 || (letter - 0xac00) % 28 != 0) return 0;
  return letter + part - 0x11a7;
}

/** Whether two runs of bytes are the same. */
export function same(a: usize, b: usize, bytes: usize): bool {
  while (bytes >= 8) {
    if (load<u64>(a) != load<u64>(b)) return false;
    a += 8;
    b += 8;
    bytes -= 8;
  }
  while (bytes > 0) {
    if (load<u8>(a) != load<u8>(b)) return false;
    a++;
    b++;
    bytes--;
  }
  return true;
}
