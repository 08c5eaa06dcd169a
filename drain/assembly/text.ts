// What a name may be: the rules of src/model/tenant.ts and of the batch layout, over bytes.

/** `[A-Za-z0-9._:-]` throughout. */
export function isTenantName(start: usize, bytes: u32): bool {
  for (let i: usize = 0; i < <usize>bytes; i++) {
    const byte = load<u8>(start + i);
    const letter = <u8>((byte | 0x20) - 0x61) < 26;
    // 0x2d-0x2e: - . and 0x30-0x3a: digits and the colon.
    const rest = <u8>(byte - 0x30) <= 10 || byte == 0x2d || byte == 0x2e || byte == 0x5f;
    if (!letter && !rest) return false;
  }
  return true;
}

/** FNV-1a, then the finalizer of MurmurHash3: as tenantHash of src/model/placement.ts. */
export function tenantHash(start: usize, bytes: u32): u32 {
  let hash: u32 = 0x811c9dc5;
  for (let i: usize = 0; i < <usize>bytes; i++) hash = (hash ^ load<u8>(start + i)) * 0x01000193;
  hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
  return hash ^ (hash >> 16);
}

export function hasControls(start: usize, bytes: u32): bool {
  for (let i: usize = 0; i < <usize>bytes; i++) {
    const byte = load<u8>(start + i);
    if (byte < 0x20 || byte == 0x7f) return true;
  }
  return false;
}

/** Well-formed UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
export function isUtf8(start: usize, end: usize): bool {
  let at = start;
  while (at < end) {
    const first = <u32>load<u8>(at++);
    if (first < 0x80) continue;
    let rest: u32 = 0;
    let least: u32 = 0x80;
    let most: u32 = 0xbf;
    if (first >= 0xc2 && first <= 0xdf) {
      rest = 1;
    } else if (first >= 0xe0 && first <= 0xef) {
      rest = 2;
      if (first == 0xe0) least = 0xa0;
      if (first == 0xed) most = 0x9f;
    } else if (first >= 0xf0 && first <= 0xf4) {
      rest = 3;
      if (first == 0xf0) least = 0x90;
      if (first == 0xf4) most = 0x8f;
    } else {
      return false;
    }
    if (end - at < <usize>rest) return false;
    for (; rest > 0; rest--) {
      const byte = <u32>load<u8>(at++);
      if (byte < least || byte > most) return false;
      least = 0x80;
      most = 0xbf;
    }
  }
  return true;
}
