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

/** The finaliser of murmur3: every input bit moves every output bit. A bijection. */
@inline
export function mix32(word: u32): u32 {
  word = (word ^ (word >> 16)) * 0x85ebca6b;
  word = (word ^ (word >> 13)) * 0xc2b2ae35;
  return word ^ (word >> 16);
}

@inline
export function saturatingAdd(left: u32, right: u32): u32 {
  const sum = left + right;
  return sum < left ? 0xffffffff : sum;
}
