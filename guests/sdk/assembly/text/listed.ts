import { WORD_SLOTS, WORD_BUCKET_MASK, WORD_DISPLACEMENTS, WORD_FINGERPRINTS } from "./tables.gen";
import { hashFolded } from "./hash";

/**
 * Whether the word of this hash is in the lists of scripts/text-tables.ts: one probe of a perfect
 * hash, 16 bits compared. An unlisted word passes once in 65,536.
 */
@inline
export function isListed(hash: u64): bool {
  const low = <u32>hash;
  const bucket = low & WORD_BUCKET_MASK;
  const displacement: u32 = load<u16>(WORD_DISPLACEMENTS + ((<usize>bucket) << 1));
  const moved = (<u32>(hash >> 32) ^ displacement) * 0x85ebca6b;
  const slot = <usize>((<u64>moved * <u64>WORD_SLOTS) >> 32);
  return load<u16>(WORD_FINGERPRINTS + (slot << 1)) == low >> 16;
}

export function isListedText(ptr: usize, bytes: usize): bool {
  return isListed(hashFolded(ptr, bytes));
}
