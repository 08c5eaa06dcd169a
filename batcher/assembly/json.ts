// A strict scanner of RFC 8259 over bytes. Nothing is built: every function takes the address of a
// token and returns the address behind it, or 0 where the grammar is broken.
//
// Whoever calls puts a 0 byte behind the text. It is legal nowhere in JSON, so no loop needs to ask
// where the end is: a string stops at it (a raw control), so do numbers, literals and white space.
// Bytes of 0x80 and more are taken as they are; utf8.ts has looked at them.
import { SCRATCH_BYTES, scratchStart } from "./layout";

/** Objects and arrays within each other, the event itself included. */
export const DEPTH_MAX: u32 = 64;

export const QUOTE: u8 = 0x22;
export const COMMA: u8 = 0x2c;
export const COLON: u8 = 0x3a;
export const BACKSLASH: u8 = 0x5c;
export const ARRAY_OPEN: u8 = 0x5b;
export const ARRAY_CLOSE: u8 = 0x5d;
export const OBJECT_OPEN: u8 = 0x7b;
export const OBJECT_CLOSE: u8 = 0x7d;

// Kinds of values. Null is 0: absent.
export const KIND_NONE: u8 = 0;
export const KIND_STRING: u8 = 1;
export const KIND_NUMBER: u8 = 2;
export const KIND_BOOLEAN: u8 = 3;
export const KIND_ARRAY: u8 = 4;
export const KIND_OBJECT: u8 = 5;

/** The bytes of the string that `readString` read: in place, or decoded in the scratch. */
export let stringStart: usize = 0;
export let stringBytes: u32 = 0;
let scratchTop: usize = 0;

/** Forgets the decoded strings of the element before. */
// @ts-ignore: decorator
@inline
export function resetScratch(): void {
  scratchTop = scratchStart();
}

// @ts-ignore: decorator
@inline
export function skipSpaces(at: usize): usize {
  // Most JSON has none, and everything below 0x21 that is not a space ends the value anyway.
  if (load<u8>(at) > 0x20) return at;
  return skipSomeSpaces(at);
}

function skipSomeSpaces(at: usize): usize {
  while (true) {
    const byte = load<u8>(at);
    if (byte != 0x20 && byte != 0x0a && byte != 0x0d && byte != 0x09) return at;
    at++;
  }
}

/** First quote, backslash or control at or after `at`. */
// @ts-ignore: decorator
@inline
export function stringStop(at: usize): usize {
  while (true) {
    const block = v128.load(at);
    const stops = v128.or(
      v128.or(i8x16.eq(block, i8x16.splat(QUOTE)), i8x16.eq(block, i8x16.splat(BACKSLASH))),
      i8x16.lt_u(block, i8x16.splat(0x20)),
    );
    const mask = i8x16.bitmask(stops);
    if (mask != 0) return at + ctz(mask);
    at += 16;
  }
}

/**
 * Reads the string whose first byte behind the quote is at `at` into `stringStart`, `stringBytes`.
 */
export function readString(at: usize): usize {
  const stop = stringStop(at);
  if (load<u8>(stop) == QUOTE) {
    stringStart = at;
    stringBytes = <u32>(stop - at);
    return stop + 1;
  }
  return decodeString(at, stop);
}

/** As `readString`, for strings that nobody wants. */
export function skipString(at: usize): usize {
  while (true) {
    at = stringStop(at);
    const byte = load<u8>(at);
    if (byte == QUOTE) return at + 1;
    if (byte != BACKSLASH) return 0;
    const letter = load<u8>(at + 1);
    if (letter == 0x75 /* u */) {
      if (unicodeEscape(at + 2) < 0) return 0;
      at += 6;
    } else {
      if (escaped(letter) == 0) return 0;
      at += 2;
    }
  }
}

/** Decodes from the first backslash on; what is before it is copied. */
function decodeString(at: usize, stop: usize): usize {
  const start = scratchTop;
  const end = scratchStart() + SCRATCH_BYTES;
  let to = start;
  while (true) {
    // Text longer than the scratch is longer than any element may be.
    if (to + (stop - at) + 4 > end) return 0;
    memory.copy(to, at, stop - at);
    to += stop - at;
    const byte = load<u8>(stop);
    if (byte == QUOTE) break;
    if (byte != BACKSLASH) return 0;
    const letter = load<u8>(stop + 1);
    if (letter == 0x75 /* u */) {
      let point = unicodeEscape(stop + 2);
      if (point < 0) return 0;
      at = stop + 6;
      if ((point & 0xf800) == 0xd800) {
        const low = point < 0xdc00 && load<u16>(at) == 0x755c ? unicodeEscape(at + 2) : -1;
        if ((low & ~0x3ff) == 0xdc00) {
          point = 0x10000 + ((point & 0x3ff) << 10) + (low & 0x3ff);
          at += 6;
        } else {
          // A surrogate without its other half has no UTF-8.
          point = 0xfffd;
        }
      }
      to = writePoint(to, point);
    } else {
      const value = escaped(letter);
      if (value == 0) return 0;
      store<u8>(to++, value);
      at = stop + 2;
    }
    stop = stringStop(at);
  }
  stringStart = start;
  stringBytes = <u32>(to - start);
  scratchTop = to;
  return stop + 1;
}

/** What a backslash and this letter stand for; 0 for an illegal letter. */
function escaped(letter: u8): u8 {
  switch (letter) {
    case 0x22:
    case 0x5c:
    case 0x2f:
      return letter;
    case 0x62:
      return 0x08;
    case 0x66:
      return 0x0c;
    case 0x6e:
      return 0x0a;
    case 0x72:
      return 0x0d;
    case 0x74:
      return 0x09;
    default:
      return 0;
  }
}

/** Value of four hexadecimal digits, -1 if one is not. */
function unicodeEscape(at: usize): i32 {
  let value: i32 = 0;
  for (let i: usize = 0; i < 4; i++) {
    const byte = <i32>load<u8>(at + i);
    const letter = (byte | 0x20) - 0x61;
    const digit = byte - 0x30;
    if (<u32>digit <= 9) value = (value << 4) | digit;
    else if (<u32>letter <= 5) value = (value << 4) | (letter + 10);
    else return -1;
  }
  return value;
}

function writePoint(to: usize, point: i32): usize {
  if (point < 0x80) {
    store<u8>(to, <u8>point);
    return to + 1;
  }
  if (point < 0x800) {
    store<u8>(to, <u8>(0xc0 | (point >> 6)));
    store<u8>(to, <u8>(0x80 | (point & 0x3f)), 1);
    return to + 2;
  }
  if (point < 0x10000) {
    store<u8>(to, <u8>(0xe0 | (point >> 12)));
    store<u8>(to, <u8>(0x80 | ((point >> 6) & 0x3f)), 1);
    store<u8>(to, <u8>(0x80 | (point & 0x3f)), 2);
    return to + 3;
  }
  store<u8>(to, <u8>(0xf0 | (point >> 18)));
  store<u8>(to, <u8>(0x80 | ((point >> 12) & 0x3f)), 1);
  store<u8>(to, <u8>(0x80 | ((point >> 6) & 0x3f)), 2);
  store<u8>(to, <u8>(0x80 | (point & 0x3f)), 3);
  return to + 4;
}

// @ts-ignore: decorator
@inline
export function isDigit(byte: u8): bool {
  return <u8>(byte - 0x30) <= 9;
}

/** Behind a number, a literal or 0; `at` is at neither a quote nor a bracket. */
export function skipScalar(at: usize): usize {
  switch (load<u8>(at)) {
    case 0x74 /* t */:
      return load<u32>(at) == 0x65757274 ? at + 4 : 0;
    case 0x66 /* f */:
      return load<u32>(at, 1) == 0x65736c61 ? at + 5 : 0;
    case 0x6e /* n */:
      return load<u32>(at) == 0x6c6c756e ? at + 4 : 0;
    default:
      return skipNumber(at);
  }
}

/** Whether the eight bytes of a word are digits. */
// @ts-ignore: decorator
@inline
export function areDigits(word: u64): bool {
  const high: u64 = 0xf0f0f0f0f0f0f0f0;
  // A digit is 0x30 to 0x39: high nibble 3, and still 3 when 6 is added.
  return ((word & high) | (((word + 0x0606060606060606) & high) >> 4)) == 0x3333333333333333;
}

export function skipNumber(at: usize): usize {
  if (load<u8>(at) == 0x2d /* - */) at++;
  const first = load<u8>(at);
  if (!isDigit(first)) return 0;
  at++;
  if (first != 0x30) {
    while (areDigits(load<u64>(at))) at += 8;
    while (isDigit(load<u8>(at))) at++;
  }
  if (load<u8>(at) == 0x2e /* . */) {
    at++;
    if (!isDigit(load<u8>(at))) return 0;
    while (isDigit(load<u8>(at))) at++;
  }
  if ((load<u8>(at) | 0x20) == 0x65 /* e */) {
    at++;
    const sign = load<u8>(at);
    if (sign == 0x2b || sign == 0x2d) at++;
    if (!isDigit(load<u8>(at))) return 0;
    while (isDigit(load<u8>(at))) at++;
  }
  return at;
}

/** Behind any value, checked in full; `depth` containers are around it. */
export function skipValue(at: usize, depth: u32): usize {
  // A bit for each container that is open, the innermost lowest: 1 is an object.
  let open: u64 = 0;
  const outer = depth;
  while (true) {
    const byte = load<u8>(at);
    if (byte == QUOTE) {
      at = skipString(at + 1);
    } else if (byte == OBJECT_OPEN) {
      if (++depth > DEPTH_MAX) return 0;
      open = (open << 1) | 1;
      at = skipSpaces(at + 1);
      if (load<u8>(at) != OBJECT_CLOSE) {
        at = skipKey(at);
        if (at == 0) return 0;
        continue;
      }
    } else if (byte == ARRAY_OPEN) {
      if (++depth > DEPTH_MAX) return 0;
      open <<= 1;
      at = skipSpaces(at + 1);
      if (load<u8>(at) != ARRAY_CLOSE) continue;
    } else {
      at = skipScalar(at);
    }
    if (at == 0) return 0;
    // Behind a value: close what ends here, then on to the next one.
    while (true) {
      if (depth == outer) return at;
      at = skipSpaces(at);
      const next = load<u8>(at);
      if (next == COMMA) {
        at = skipSpaces(at + 1);
        if ((open & 1) != 0) at = skipKey(at);
        if (at == 0) return 0;
        break;
      }
      if (next != ((open & 1) != 0 ? OBJECT_CLOSE : ARRAY_CLOSE)) return 0;
      at++;
      depth--;
      open >>= 1;
    }
  }
}

/** From a key's quote to its value. */
function skipKey(at: usize): usize {
  if (load<u8>(at) != QUOTE) return 0;
  at = skipString(at + 1);
  if (at == 0) return 0;
  at = skipSpaces(at);
  if (load<u8>(at) != COLON) return 0;
  return skipSpaces(at + 1);
}
