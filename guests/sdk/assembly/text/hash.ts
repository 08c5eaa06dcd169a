// Hashes of byte strings: multiply and fold of 8-byte words, the last one padded with zeros, then a
// finalizer (splitmix64's constants). Each step is a bijection of the state, so two strings of one
// length of up to 8 bytes never collide in 64 bits. Not keyed: whoever builds tables from it bounds
// their probes.

const STEP: u64 = 0xbf58476d1ce4e5b9;

/** The key of a term. */
export function hash32(ptr: usize, len: usize): u32 {
  return <u32>hash64(ptr, len);
}

/** Reads no byte outside [ptr, ptr + len). scripts/text-tables.ts has the same function. */
export function hash64(ptr: usize, len: usize): u64 {
  let hash = start(len);
  while (len > 8) {
    hash = step(hash, load<u64>(ptr));
    ptr += 8;
    len -= 8;
  }
  return finish(step(hash, tail(ptr, len)));
}

/**
 * The same hash of text in scratch, where up to 7 bytes behind it may be read: no branch on a short
 * length. Hot.
 */
export function hashFolded(ptr: usize, len: usize): u64 {
  let hash = start(len);
  while (len > 8) {
    hash = step(hash, load<u64>(ptr));
    ptr += 8;
    len -= 8;
  }
  return finish(step(hash, load<u64>(ptr) & (<u64>-1 >> ((8 - <u64>len) << 3))));
}

/** `hash32` of a string that is not empty, where 7 bytes behind it are memory too. Hot. */
@inline
export function hashFolded32(ptr: usize, len: usize): u32 {
  return <u32>hashFolded(ptr, len);
}

@inline
function start(len: usize): u64 {
  return (<u64>len + 1) * 0x9e3779b97f4a7c15;
}

@inline
function step(hash: u64, value: u64): u64 {
  const product = (hash ^ value) * STEP;
  return product ^ (product >> 32);
}

@inline
function finish(hash: u64): u64 {
  const product = hash * 0x94d049bb133111eb;
  return product ^ (product >> 29);
}

/** Up to 8 bytes, by overlapping loads. */
@inline
function tail(ptr: usize, len: usize): u64 {
  if (len >= 8) return load<u64>(ptr);
  if (len >= 4) {
    return <u64>load<u32>(ptr) | ((<u64>load<u32>(ptr + len - 4)) << ((<u64>(len - 4)) << 3));
  }
  if (len == 0) return 0;
  const middle = len >> 1;
  return (
    <u64>load<u8>(ptr) |
    ((<u64>load<u8>(ptr + middle)) << ((<u64>middle) << 3)) |
    ((<u64>load<u8>(ptr + len - 1)) << ((<u64>(len - 1)) << 3))
  );
}
