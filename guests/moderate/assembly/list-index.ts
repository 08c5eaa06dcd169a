// The index of a policy's lists: what lies where is told in lists.ts.
import { hash32 } from "../../sdk/assembly/text/hash";
import { Entry } from "./policy";
import { Skeleton } from "./spelling";
import { indexAt, INDEX_ENTRY_BYTES, POLICY } from "./state";

/** Of an entry with a letter three times in a row: "kkk" is in no "kk", though both are read so. */
export const DRAWN_OUT: u8 = 1;
export const UNSPACED: u8 = 255;

@unmanaged
export class IndexEntry {
  first: u32;
  whole: u32;
  place: u16;
  words: u8;
  /** What spaces part, of an entry that stands by its skeleton; else 1: it is DRAWN_OUT. */
  pieces: u8;
}

/** The entry of that spelling, of `count` from number `from` on. */
export function spelled(
  skeleton: Skeleton, pieces: u32, from: u32, count: u32,
): IndexEntry | null {
  for (let at = lowest(skeleton.first, from, count); at < count; at++) {
    const entry = indexed(from + at);
    if (entry.first != skeleton.first) return null;
    if (entry.words != 0 || entry.whole != skeleton.whole || entry.pieces == UNSPACED) continue;
    if (pieces == 1 || pieces == <u32>entry.pieces) return entry;
  }
  return null;
}

/** The longest of `count` entries from number `from` on that stands there. */
export function standsAt(
  at: usize, end: usize, size: u32, from: u32, count: u32,
): IndexEntry | null {
  const first = hash32(at, size);
  let best: IndexEntry | null = null;
  let most: u32 = 0;
  for (let number = lowest(first, from, count); number < count; number++) {
    const found = indexed(from + number);
    if (found.first != first) break;
    if (found.words != 0 || found.pieces != UNSPACED) continue;
    const entry = changetype<Entry>(POLICY + found.place);
    const bytes = <u32>entry.bytes;
    if (bytes <= most || at + bytes > end) continue;
    if (memory.compare(entry.text, at, bytes) != 0) continue;
    best = found;
    most = bytes;
  }
  return best;
}

/** The first of the entries with that hash, or where it would be. */
export function lowest(first: u32, from: u32, count: u32): u32 {
  let low: u32 = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (indexed(from + middle).first < first) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Puts an entry where it belongs among `count` from number `from` on. */
export function insert(entry: IndexEntry, from: u32, count: u32): void {
  let at = count;
  while (at > 0 && indexed(from + at - 1).first > entry.first) at -= 1;
  const place = changetype<usize>(indexed(from + at));
  memory.copy(place + INDEX_ENTRY_BYTES, place, (count - at) * INDEX_ENTRY_BYTES);
  memory.copy(place, changetype<usize>(entry), INDEX_ENTRY_BYTES);
}

@inline
export function indexed(number: u32): IndexEntry {
  return changetype<IndexEntry>(indexAt() + <usize>number * INDEX_ENTRY_BYTES);
}

/** Han, kana, Thai, Lao, Myanmar, Khmer. */
export function isUnspaced(codePoint: u32): bool {
  if (codePoint < 0x0e00) return false;
  if (codePoint < 0x2e80) {
    return codePoint < 0x0f00 || (codePoint >= 0x1000 && codePoint < 0x10a0) ||
      (codePoint >= 0x1780 && codePoint < 0x1800);
  }
  if (codePoint >= 0x3000 && codePoint < 0x3041) return codePoint >= 0x3005 && codePoint < 0x3008;
  return codePoint < 0xa000 || (codePoint >= 0xf900 && codePoint < 0xfb00) ||
    (codePoint >= 0xff66 && codePoint < 0xffa0) || (codePoint >= 0x20000 && codePoint < 0x40000);
}
