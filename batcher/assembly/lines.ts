// Lines of NDJSON.

const NEWLINE: u8 = 0x0a;
const RETURN: u8 = 0x0d;
const BYTE_ORDER_MARK: u32 = 0xbfbbef;

/**
 * Whether the line that `findLineEnd` found may hold bytes beyond ASCII; true too often, never too
 * rarely.
 */
export let lineHasHighBits: bool = false;

/** The newline at or after `at`, or `end`. */
export function findLineEnd(at: usize, end: usize): usize {
  let bits = i8x16.splat(0);
  for (; at < end; at += 16) {
    const block = v128.load(at);
    bits = v128.or(bits, block);
    const mask = i8x16.bitmask(i8x16.eq(block, i8x16.splat(NEWLINE)));
    if (mask != 0) {
      at += ctz(mask);
      break;
    }
  }
  lineHasHighBits = i8x16.bitmask(bits) != 0;
  return min(at, end);
}

/** The end of the line's content: before a carriage return. */
// @ts-ignore: decorator
@inline
export function trimReturn(start: usize, end: usize): usize {
  return end > start && load<u8>(end - 1) == RETURN ? end - 1 : end;
}

/** Whether there is nothing but white space. Such a line is no event. */
// @ts-ignore: decorator
@inline
export function isBlankLine(start: usize, end: usize): bool {
  if (start < end && load<u8>(start) > 0x20) return false;
  return isBlankText(start, end);
}

function isBlankText(start: usize, end: usize): bool {
  for (let at = start; at < end; at++) {
    const byte = load<u8>(at);
    if (byte != 0x20 && byte != 0x09 && byte != RETURN) return false;
  }
  return true;
}

/** Editors put U+FEFF before the first line; it is no part of it. */
export function skipByteOrderMark(start: usize, end: usize): usize {
  return end - start >= 3 && (load<u32>(start) & 0xffffff) == BYTE_ORDER_MARK ? start + 3 : start;
}
