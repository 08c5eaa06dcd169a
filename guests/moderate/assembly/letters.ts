// Characters as they are meant: entities decoded, other dresses of the Latin letters taken off,
// invisible ones left out.
import { decode, fold, plain } from "../../sdk/assembly/text/unicode";
import { LETTER } from "../../sdk/assembly/text/tables.gen";
import {
  BASE_LETTERS, BASE_LETTERS_MORE, LOOKALIKES, LOOKALIKE_COUNT, LOOKALIKE_LETTERS,
} from "./lexicon.gen";

/** A code point in the low 24 bits, the bytes that it takes above. An entity is one character. */
@inline
export function characterAt(p: usize, end: usize): u32 {
  const byte: u32 = load<u8>(p);
  if (byte < 0x80) return byte == 0x26 ? entityAt(p, end) : byte | 0x1000000;
  return decode(p, end);
}

function entityAt(p: usize, end: usize): u32 {
  const bytes = end - p;
  if (bytes < 4) return 0x1000026;
  if (load<u8>(p, 1) == 0x23) return numberedAt(p, end);
  if (load<u32>(p) == 0x3b746c26) return 0x400003c;
  if (load<u32>(p) == 0x3b746726) return 0x400003e;
  if (bytes >= 5 && load<u32>(p) == 0x706d6126 && load<u8>(p, 4) == 0x3b) return 0x5000026;
  if (bytes < 6 || load<u8>(p, 5) != 0x3b) return 0x1000026;
  if (load<u32>(p, 1) == 0x746f7571) return 0x6000022;
  if (load<u32>(p, 1) == 0x736f7061) return 0x6000027;
  if (load<u32>(p, 1) == 0x7073626e) return 0x6000020;
  return 0x1000026;
}

/** &#8220; and &#x201c; */
function numberedAt(p: usize, end: usize): u32 {
  let at = p + 2;
  const isHex = at < end && (load<u8>(at) | 0x20) == 0x78;
  if (isHex) at++;
  let value: u32 = 0;
  let digits: u32 = 0;
  for (; at < end && digits < 7; at++, digits++) {
    const byte: u32 = load<u8>(at);
    let digit = byte - 0x30;
    if (digit > 9) {
      digit = (byte | 0x20) - 0x57;
      if (!isHex || digit < 10 || digit > 15) break;
    }
    value = value * (isHex ? 16 : 10) + digit;
  }
  if (digits == 0 || at >= end || load<u8>(at) != 0x3b) return 0x1000026;
  if (value < 0x20 || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) value = 0x20;
  return value | (<u32>(at + 1 - p) << 24);
}

/** Zero-width characters, directions, selectors, fillers: nothing to see. From U+00AD on. */
export function isInvisible(codePoint: u32): bool {
  if (codePoint < 0x2000) {
    return codePoint == 0xad || codePoint == 0x34f || codePoint == 0x61c ||
      (codePoint >= 0x115f && codePoint <= 0x1160) ||
      (codePoint >= 0x17b4 && codePoint <= 0x17b5) ||
      (codePoint >= 0x180b && codePoint <= 0x180f);
  }
  if (codePoint < 0x2070) {
    return (codePoint >= 0x200b && codePoint <= 0x200f) ||
      (codePoint >= 0x202a && codePoint <= 0x202e) || codePoint >= 0x2060;
  }
  return codePoint == 0x3164 || codePoint == 0xfeff || codePoint == 0xffa0 ||
    (codePoint >= 0xfe00 && codePoint <= 0xfe0f) ||
    (codePoint >= 0xe0000 && codePoint < 0xe1000) ||
    (codePoint >= 0xfff0 && codePoint <= 0xfffb);
}

/**
 * The small ASCII letter, digit or sign that a character from U+0080 on stands for beyond doubt:
 * with marks, full-width, mathematical, circled, squared. Otherwise the character itself.
 */
export function undressed(codePoint: u32): u32 {
  if (codePoint < 0x250) {
    if (codePoint < 0xc0) return codePoint == 0xb4 ? 0x27 : codePoint;
    const letter: u32 = load<u8>(BASE_LETTERS + codePoint - 0xc0);
    return letter != 0 ? letter : codePoint;
  }
  if (codePoint < 0x2000) {
    if (codePoint < 0x1e00 || codePoint >= 0x1f00) return codePoint;
    const letter: u32 = load<u8>(BASE_LETTERS_MORE + codePoint - 0x1e00);
    return letter != 0 ? letter : codePoint;
  }
  if (codePoint < 0x2500) {
    if (codePoint >= 0x2100 && codePoint < 0x2150) {
      const letter = lookalike(codePoint);
      return letter != 0 ? letter : codePoint;
    }
    if (codePoint >= 0x249c && codePoint <= 0x24b5) return codePoint - 0x249c + 0x61;
    if (codePoint >= 0x24b6 && codePoint <= 0x24e9) return ((codePoint - 0x24b6) % 26) + 0x61;
  } else if (codePoint >= 0x1f130 && codePoint <= 0x1f189) {
    const letter = (codePoint - 0x1f130) % 32;
    if (letter < 26) return letter + 0x61;
  }
  const ascii = plain(codePoint);
  return ascii >= 0x41 && ascii <= 0x5a ? ascii + 32 : ascii;
}

/** A letter of any script, small. */
export function small(codePoint: u32): u32 {
  return fold(codePoint, LETTER);
}

/** The ASCII letter that a small letter is drawn like; 0 if none. */
export function lookalike(codePoint: u32): u32 {
  if (codePoint > 0xffff) return 0;
  let low: u32 = 0;
  let high: u32 = LOOKALIKE_COUNT;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (<u32>load<u16>(LOOKALIKES + (<usize>middle << 1)) <= codePoint) low = middle;
    else high = middle;
  }
  if (<u32>load<u16>(LOOKALIKES + (<usize>low << 1)) != codePoint) return 0;
  return load<u8>(LOOKALIKE_LETTERS + low);
}

/** Whether the letter belongs to an alphabet of its own, not to a dress of the Latin one. */
export function isForeign(codePoint: u32): bool {
  return (codePoint >= 0x370 && codePoint < 0x1d00) || codePoint >= 0xab00;
}
