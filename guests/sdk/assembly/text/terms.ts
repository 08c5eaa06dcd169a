// The list of a text's distinct terms, and a small hash table over it that lives in front of the
// folded text in scratch. Probes are bounded: whoever builds words that collide loses some of them
// and gains no time of ours.
import { hashFolded } from "./hash";
import { same } from "./unicode";
import { STATE, OUT, COUNT, COUNT_MAX, SLOTS, SLOT_MASK } from "./state";

/** A term record, 16 bytes: u32 address, u32 bytes (1..40), u32 hash32 of the bytes, u32 kind. */
export const TERM_RECORD_BYTES: usize = 16;
export const TERM_BYTES_MAX: usize = 40;

export const KIND_WORD: u32 = 0;
export const KIND_HASHTAG: u32 = 1;
export const KIND_MENTION: u32 = 2;
export const KIND_URL: u32 = 3;
export const KIND_EMOJI: u32 = 4;
export const KIND_CJK: u32 = 5;
export const KIND_BIGRAM: u32 = 6;
/** Of words. Stop words are no terms, so no record has it yet. */
export const FLAG_STOP: u32 = 0x100;

const PROBES_MAX: u32 = 64;

/** Slots for the terms of a text: the densest text ("ab cd ef") has two terms in three bytes. */
export function slotCount(bytes: usize, max: u32): usize {
  let wanted = (bytes >> 1) + (bytes >> 2);
  const enough = ((<usize>max) << 1) + 1;
  if (wanted > enough) wanted = enough;
  let slots: usize = 16;
  while (slots < wanted) slots <<= 1;
  return slots;
}

/** Adds a term unless it is there already or the list is full. */
export function emit(ptr: usize, bytes: usize, hash: u32, kind: u32): void {
  const slots = load<usize>(STATE, SLOTS);
  const mask = load<u32>(STATE, SLOT_MASK);
  const out = load<usize>(STATE, OUT);
  let slot = hash & mask;
  for (let probe: u32 = 0; probe < PROBES_MAX; probe++) {
    const index: u32 = load<u16>(slots + ((<usize>slot) << 1));
    if (index == 0) {
      const count = load<u32>(STATE, COUNT);
      if (count >= load<u32>(STATE, COUNT_MAX)) return;
      store<u16>(slots + ((<usize>slot) << 1), count + 1);
      store<u32>(STATE, count + 1, COUNT);
      const record = out + ((<usize>count) << 4);
      store<u32>(record, <u32>ptr);
      store<u32>(record, <u32>bytes, 4);
      store<u32>(record, hash, 8);
      store<u32>(record, kind, 12);
      return;
    }
    const record = out + ((<usize>(index - 1)) << 4);
    if (load<u32>(record, 8) == hash && load<u32>(record, 4) == <u32>bytes) {
      if (same(load<u32>(record), ptr, bytes)) return;
    }
    slot = (slot + 1) & mask;
  }
}

export function emitText(ptr: usize, bytes: usize, kind: u32): u64 {
  const hash = hashFolded(ptr, bytes);
  emit(ptr, bytes, <u32>hash, kind);
  return hash;
}
