// Comparing and mixing bytes and words: what every sketch needs and the language does not bring.

/** Hot. Whether two byte strings of one length are equal; reads nothing beyond them. */
@inline
export function equalBytes(left: usize, right: usize, bytes: u32): bool {
  if (bytes >= 8) {
    let at: usize = 0;
    const last = <usize>bytes - 8;
    while (at < last) {
      if (load<u64>(left + at) != load<u64>(right + at)) return false;
      at += 8;
    }
    return load<u64>(left + last) == load<u64>(right + last);
  }
  if (bytes >= 4) {
    const last = <usize>bytes - 4;
    return load<u32>(left) == load<u32>(right) && load<u32>(left + last) == load<u32>(right + last);
  }
  for (let at: usize = 0; at < <usize>bytes; at++)
    if (load<u8>(left + at) != load<u8>(right + at)) return false;
  return true;
}

/**
 * Hot. Whether a key kept by `copyKey40` is that of as many bytes at `key`. Short ones, nearly all,
 * take no branch on their length; reads 16 bytes whatever it is.
 */
@inline
export function equalKey40(kept: usize, key: usize, bytes: u32): bool {
  if (bytes > 16) return equalBytes(kept, key, bytes);
  const lanes = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const inside = i8x16.lt_s(lanes, i8x16.splat(<i8>bytes));
  return !v128.any_true(v128.and(v128.xor(v128.load(kept), v128.load(key)), inside));
}

/** The finaliser of murmur3: every input bit moves every output bit. A bijection. */
@inline
export function mix32(word: u32): u32 {
  word = (word ^ (word >> 16)) * 0x85ebca6b;
  word = (word ^ (word >> 13)) * 0xc2b2ae35;
  return word ^ (word >> 16);
}

/**
 * 64 bits from a hash of 32, for sketches that need more: a step and the finaliser of splitmix64.
 * Different hashes stay different.
 */
@inline
export function widen(hash: u32): u64 {
  let word = (<u64>hash + 1) * 0x9e3779b97f4a7c15;
  word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
  word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
  return word ^ (word >> 31);
}

@inline
export function saturatingAdd(left: u32, right: u32): u32 {
  const sum = left + right;
  return sum < left ? 0xffffffff : sum;
}

/**
 * Hot. Copies a key of at most 40 bytes to a place of 40 and writes zeros behind it. Reads 40 bytes
 * at `from` whatever the length: what is beyond a key in the low page is still memory.
 */
@inline
export function copyKey40(to: usize, from: usize, bytes: u32): void {
  const lanes = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const length = i8x16.splat(<i8>bytes);
  const first = i8x16.lt_s(lanes, length);
  const second = i8x16.lt_s(i8x16.add(lanes, i8x16.splat(16)), length);
  const third = i8x16.lt_s(i8x16.add(lanes, i8x16.splat(32)), length);
  v128.store(to, v128.and(v128.load(from), first));
  v128.store(to, v128.and(v128.load(from, 16), second), 16);
  store<u64>(to, load<u64>(from, 32) & <u64>i64x2.extract_lane(third, 0), 32);
}

/** Hot. 32 zero bytes. */
@inline
export function clear32(at: usize): void {
  v128.store(at, i64x2.splat(0));
  v128.store(at, i64x2.splat(0), 16);
}
