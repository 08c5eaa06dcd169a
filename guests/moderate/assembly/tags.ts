// #tags: the words that they are made of.
import { hashFolded } from "../../sdk/assembly/text/hash";
import { classesOf } from "./lexicon";
import { PHRASE_START } from "./lexicon.gen";
import { hasRoom, isNameByte, mark, TRIAL } from "./reading";
import { FLAG_JOINED, FLAG_TAG } from "./tokens";
import { word } from "./words";

const TAG_LETTERS_MAX: usize = 64;

/** #TagsOfManyWords are their words; a tag in small letters is tried as words of the lexicon. */
export function tag(p: usize, after: usize, end: usize): usize {
  mark(p, after, end, 0x23);
  let flags: u32 = FLAG_TAG;
  let q = after;
  while (q < end && hasRoom() && isNameByte(load<u8>(q))) {
    let stop = q;
    if (load<u8>(q) == 0x5f) {
      q++;
      continue;
    }
    const isUpper = <u32>load<u8>(q) - 0x41 < 26 && q + 1 < end && <u32>load<u8>(q + 1) - 0x41 < 26;
    stop++;
    while (stop < end && isNameByte(load<u8>(stop)) && load<u8>(stop) != 0x5f) {
      const byte: u32 = load<u8>(stop);
      const isBig = byte - 0x41 < 26;
      if (isBig != isUpper && isBig) break;
      if (!isBig && isUpper && stop > q + 1 && byte - 0x61 < 26) {
        stop--;
        break;
      }
      stop++;
    }
    if (stop == q) stop++;
    const whole = q;
    q = isUpper || stop - q < 6 || stop - q > TAG_LETTERS_MAX ? q : listedParts(q, stop, flags);
    if (q == whole) {
      word(q, stop, flags);
      q = stop;
    }
    flags = FLAG_TAG | FLAG_JOINED;
  }
  if (q == after) return word(after, end, flags);
  return q;
}

/** Small letters as words of the lexicon, the longest first; nothing unless all of them are. */
function listedParts(p: usize, stop: usize, flags: u32): usize {
  const bytes = stop - p;
  for (let index: usize = 0; index < bytes; index++) {
    store<u8>(TRIAL + index, load<u8>(p + index) | 0x20);
  }
  let at: usize = 0;
  let parts: usize = 0;
  while (at < bytes) {
    const size = longestListed(TRIAL + at, bytes - at);
    if (size == 0 || ++parts > 6) return p;
    at += size;
  }
  if (parts < 2) return p;
  for (at = 0; at < bytes;) {
    const size = longestListed(TRIAL + at, bytes - at);
    word(p + at, p + at + size, flags | (at > 0 ? FLAG_JOINED : 0));
    at += size;
  }
  return stop;
}

/** Letters of the longest listed word at `at`, of two letters or more. */
export function longestListed(at: usize, bytes: usize): usize {
  for (let size = min<usize>(bytes, 14); size > 1; size--) {
    if ((classesOf(hashFolded(at, size)) & ~PHRASE_START) != 0) return size;
  }
  return 0;
}
