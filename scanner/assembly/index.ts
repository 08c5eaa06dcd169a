// Finds the pages of a guest's memory that are not zero. One instance a slot, over the memory of the
// slot's guest, which it imports and only ever reads: it has no data, no globals and no stores.
// Reading is all it does, 16 bytes a load: 172 KiB take 2 us from the cache and 7 us from memory
// (Buffer.equals against the base, which has two memories to read, takes 4 us and 13 us).

const PAGE_BYTES: usize = 4096;
const STEP_BYTES: usize = 128;

/** Of the pages in `mask`, bit 0 being `firstPage`, those that hold a byte other than zero. */
export function nonZeroPages(firstPage: u32, mask: u32): u32 {
  let found: u32 = 0;
  for (let rest = mask; rest != 0; rest &= rest - 1) {
    const bit = ctz(rest);
    if (isNonZero(<usize>(firstPage + bit) * PAGE_BYTES)) found |= 1 << bit;
  }
  return found;
}

// @ts-ignore: decorator
@inline
function isNonZero(page: usize): bool {
  let all = i64x2.splat(0);
  const end = page + PAGE_BYTES;
  for (let at = page; at < end; at += STEP_BYTES) {
    all = v128.or(all, v128.or(line(at), line(at + 64)));
  }
  return v128.any_true(all);
}

// @ts-ignore: decorator
@inline
function line(at: usize): v128 {
  const low = v128.or(v128.load(at), v128.load(at, 16));
  return v128.or(low, v128.or(v128.load(at, 32), v128.load(at, 48)));
}
