// A text's fingerprint: the minima of four hashes over its set of words, 16 bits of each (minhash).
// Two texts agree in a lane with the probability of their sets' overlap (Jaccard), so "3 of 4
// lanes" passes nearly all texts that share nine words of ten (95 %), few that share half (31 %),
// and none that share nothing (one in 10^14). In the set: words (stop words too), hashtags, hosts
// of links, CJK pairs; digits are left out of them. A text without any is known by its emoji and
// mentions instead. Order and repeats do not matter.
import { hashFolded } from "./hash";
import { STATE, NEXT, LANES, LANES_ASIDE, SEEN } from "./state";

const FINGERPRINT: usize = memory.data(8, 8);

/** Fingerprint of the last text, 0 where it had no words. */
export function fingerprint(): u64 {
  return load<u64>(FINGERPRINT);
}

/** Whether two fingerprints are of (nearly) the same text. */
export function similar(a: u64, b: u64): bool {
  if (a == 0 || b == 0) return false;
  const difference = a ^ b;
  let lanes: u32 = 0;
  if ((difference & 0xffff) == 0) lanes++;
  if ((difference & 0xffff0000) == 0) lanes++;
  if ((difference & 0xffff00000000) == 0) lanes++;
  if (difference >> 48 == 0) lanes++;
  return lanes >= 3;
}

/** Clears the fingerprint, the only thing that a call of `tokenize` leaves behind. */
export function forgetText(): void {
  store<u64>(FINGERPRINT, 0);
}

export function beginFingerprint(): void {
  store<u64>(STATE, -1, LANES);
  store<u64>(STATE, -1, LANES + 8);
  store<u64>(STATE, -1, LANES_ASIDE);
  store<u64>(STATE, -1, LANES_ASIDE + 8);
  store<u32>(STATE, 0, SEEN);
}

export function endFingerprint(): void {
  const seen = load<u32>(STATE, SEEN);
  let value: u64 = 0;
  if (seen != 0) {
    const lanes = STATE + ((seen & 1) != 0 ? LANES : LANES_ASIDE);
    value =
      <u64>load<u16>(lanes) |
      ((<u64>load<u16>(lanes, 4)) << 16) |
      ((<u64>load<u16>(lanes, 8)) << 32) |
      ((<u64>load<u16>(lanes, 12)) << 48);
    if (value == 0) value = 1;
  }
  store<u64>(FINGERPRINT, value);
}

/** Takes a word, by its hash, into the set. */
@inline
export function addWord(hash: u64): void {
  lower(STATE + LANES, hash);
  store<u32>(STATE, load<u32>(STATE, SEEN) | 1, SEEN);
}

/** Takes in an emoji or a mention, which count only in a text without words. */
export function addAside(hash: u64): void {
  lower(STATE + LANES_ASIDE, hash);
  store<u32>(STATE, load<u32>(STATE, SEEN) | 2, SEEN);
}

/** Takes in a word that has digits: without them. */
export function addWordWithDigits(ptr: usize, bytes: usize): void {
  const copy = load<usize>(STATE, NEXT) + bytes + 64;
  let w = copy;
  for (let index: usize = 0; index < bytes; index++) {
    const byte = load<u8>(ptr + index);
    if (byte >= 0x30 && byte <= 0x39) continue;
    store<u8>(w, byte);
    w++;
  }
  if (w > copy) addWord(hashFolded(copy, w - copy));
}

@inline
function lower(lanes: usize, hash: u64): void {
  const other = hash * 0x9e3779b97f4a7c15;
  const mixed = other ^ (other >> 29);
  store<u32>(lanes, min(load<u32>(lanes), <u32>hash));
  store<u32>(lanes, min(load<u32>(lanes, 4), <u32>(hash >> 32)), 4);
  store<u32>(lanes, min(load<u32>(lanes, 8), <u32>mixed), 8);
  store<u32>(lanes, min(load<u32>(lanes, 12), <u32>(mixed >> 32)), 12);
}
