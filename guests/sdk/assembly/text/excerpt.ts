// An excerpt: text as it may be shown in one line, of bounded size.

/**
 * Copies UTF-8, white space and controls as one space each run; what is too long is cut at a word
 * and ends in "…". Returns the bytes written, at most `room`; writes nothing else.
 */
export function putExcerpt(to: usize, room: u32, from: usize, bytes: u32): u32 {
  let length: u32 = 0;
  let space: u32 = 0;
  let at: u32 = 0;
  // ASCII with a single space here and there, 16 bytes a step. What comes first is as if it came
  // behind a space.
  let wasSpace: u32 = 1;
  while (at + 16 <= bytes && at + 16 <= room) {
    const part = v128.load(from + at);
    const spaces = i8x16.bitmask(i8x16.eq(part, i8x16.splat(0x20)));
    const isPlain = v128.and(
      i8x16.gt_s(part, i8x16.splat(0x1f)), i8x16.ne(part, i8x16.splat(0x7f)),
    );
    if (!i8x16.all_true(isPlain) || (spaces & ((spaces << 1) | wasSpace)) != 0) break;
    v128.store(to + at, part);
    if (spaces != 0) space = at + 31 - <u32>clz(spaces);
    wasSpace = spaces >> 15;
    at += 16;
  }
  length = at;
  while (at < bytes) {
    const byte = load<u8>(from + at);
    if (byte <= 0x20 || byte == 0x7f) {
      if (length > 0 && load<u8>(to + length - 1) != 0x20) {
        if (length == room) break;
        space = length;
        store<u8>(to + length++, 0x20);
      }
      at += 1;
      continue;
    }
    if (byte < 0x80) {
      if (length == room) break;
      store<u8>(to + length++, byte);
      at += 1;
      continue;
    }
    const size = codePointBytes(byte);
    if (length + size > room || at + size > bytes) break;
    memory.copy(to + length, from + at, size);
    length += size;
    at += size;
  }
  if (length > 0 && load<u8>(to + length - 1) == 0x20) length -= 1;
  return at < bytes ? ellipsize(to, length, space, room) : length;
}

/** Makes room for "…" behind the last word, or behind the last character of one endless word. */
function ellipsize(to: usize, length: u32, space: u32, room: u32): u32 {
  if (room < 3) return 0;
  if (space * 2 > length && length + 3 > room) length = space;
  while (length + 3 > room) {
    length -= 1;
    while (length > 0 && (load<u8>(to + length) & 0xc0) == 0x80) length -= 1;
  }
  while (length > 0 && load<u8>(to + length - 1) == 0x20) length -= 1;
  store<u8>(to + length, 0xe2);
  store<u8>(to + length, 0x80, 1);
  store<u8>(to + length, 0xa6, 2);
  return length + 3;
}

@inline
function codePointBytes(first: u8): u32 {
  if (first < 0xe0) return 2;
  return first < 0xf0 ? 3 : 4;
}
