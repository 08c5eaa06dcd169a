// UTF-8 validation, 16 bytes a step, after Keiser and Lemire, "Validating UTF-8 in less than one
// instruction per byte" (2021). Three table look-ups by nibble flag every ill-formed pair of bytes;
// what is left is that the third and fourth bytes of long sequences are continuations. About 1 ns
// for 16 bytes; a scalar automaton takes that long for each character.

const TOO_SHORT: u8 = 1;
const TOO_LONG: u8 = 2;
const OVERLONG_3: u8 = 4;
const TOO_LARGE: u8 = 8;
const SURROGATE: u8 = 16;
const OVERLONG_2: u8 = 32;
const TOO_LARGE_1000: u8 = 64;
const OVERLONG_4: u8 = 64;
const TWO_CONTINUATIONS: u8 = 128;
const CARRY: u8 = TOO_SHORT | TOO_LONG | TWO_CONTINUATIONS;

/** 16 bytes of ones, then 16 of zeros: a load at 16 - n keeps n bytes. */
const TAIL_MASK: usize = memory.data<u8>([
  255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
], 16);

/** Mask that keeps the first `bytes` of 16; `bytes` <= 16. */
// @ts-ignore: decorator
@inline
export function tailMask(bytes: u32): v128 {
  return v128.load(TAIL_MASK + 16 - bytes);
}

/** Whether [start, end) is valid UTF-8. Reads up to 16 bytes past the end. */
export function isUtf8(start: usize, end: usize): bool {
  let previous = i8x16.splat(0);
  let error = i8x16.splat(0);
  let at = start;
  for (; at + 16 <= end; at += 16) {
    const block = v128.load(at);
    error = v128.or(error, blockErrors(block, previous));
    previous = block;
  }
  // The last block is padded with zeros, even when empty: a sequence cut off there is too short.
  const last = v128.and(v128.load(at), tailMask(<u32>(end - at)));
  error = v128.or(error, blockErrors(last, previous));
  return !v128.any_true(error);
}

/** Whether a byte of [start, end) is not ASCII. */
export function hasHighBits(start: usize, end: usize): bool {
  let bits = i8x16.splat(0);
  let at = start;
  for (; at + 16 <= end; at += 16) bits = v128.or(bits, v128.load(at));
  bits = v128.or(bits, v128.and(v128.load(at), tailMask(<u32>(end - at))));
  return i8x16.bitmask(bits) != 0;
}

// @ts-ignore: decorator
@inline
function blockErrors(block: v128, previous: v128): v128 {
  const back1 = i8x16.shuffle(
    previous, block,
    15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30,
  );
  const back2 = i8x16.shuffle(
    previous, block,
    14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29,
  );
  const back3 = i8x16.shuffle(
    previous, block,
    13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
  );
  const pairs = v128.and(
    v128.and(
      i8x16.swizzle(firstHigh(), i8x16.shr_u(back1, 4)),
      i8x16.swizzle(firstLow(), v128.and(back1, i8x16.splat(0x0f))),
    ),
    i8x16.swizzle(secondHigh(), i8x16.shr_u(block, 4)),
  );
  const longs = v128.or(
    i8x16.sub_sat_u(back2, i8x16.splat(<i8>(0xe0 - 0x80))),
    i8x16.sub_sat_u(back3, i8x16.splat(<i8>(0xf0 - 0x80))),
  );
  return v128.xor(v128.and(longs, i8x16.splat(<i8>0x80)), pairs);
}

/** By the high nibble of the first byte of a pair. */
// @ts-ignore: decorator
@inline
function firstHigh(): v128 {
  return i8x16(
    TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG, TOO_LONG,
    TWO_CONTINUATIONS, TWO_CONTINUATIONS, TWO_CONTINUATIONS, TWO_CONTINUATIONS,
    TOO_SHORT | OVERLONG_2,
    TOO_SHORT,
    TOO_SHORT | OVERLONG_3 | SURROGATE,
    TOO_SHORT | TOO_LARGE | TOO_LARGE_1000 | OVERLONG_4,
  );
}

/** By the low nibble of the first byte of a pair. */
// @ts-ignore: decorator
@inline
function firstLow(): v128 {
  return i8x16(
    CARRY | OVERLONG_3 | OVERLONG_2 | OVERLONG_4,
    CARRY | OVERLONG_2,
    CARRY,
    CARRY,
    CARRY | TOO_LARGE,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000 | SURROGATE,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
    CARRY | TOO_LARGE | TOO_LARGE_1000,
  );
}

/** By the high nibble of the second byte of a pair. */
// @ts-ignore: decorator
@inline
function secondHigh(): v128 {
  return i8x16(
    TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
    TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | OVERLONG_3 | TOO_LARGE_1000 | OVERLONG_4,
    TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | OVERLONG_3 | TOO_LARGE,
    TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | SURROGATE | TOO_LARGE,
    TOO_LONG | OVERLONG_2 | TWO_CONTINUATIONS | SURROGATE | TOO_LARGE,
    TOO_SHORT, TOO_SHORT, TOO_SHORT, TOO_SHORT,
  );
}
