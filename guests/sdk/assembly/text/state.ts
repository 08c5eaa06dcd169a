// What one tokenize call remembers: 120 bytes of static memory, because a guest has no wasm globals
// that change. `tokenize` fills it, and clears it before it returns: nothing of a text stays behind
// but its fingerprint.

export const STATE: usize = memory.data(120, 8);
export const STATE_BYTES: usize = 120;

/** Where the term records go, how many there are, how many fit. */
export const OUT: usize = 0;
export const COUNT: usize = 4;
export const COUNT_MAX: usize = 8;
/** Table of u16 (record index + 1) by hash, and its mask. */
export const SLOTS: usize = 12;
export const SLOT_MASK: usize = 16;
/** Next free byte for folded text, and the first one. */
export const NEXT: usize = 20;
export const FOLDED: usize = 24;
/** The text. */
export const TEXT: usize = 28;
/**
 * Folded start of the word that a following one makes a bigram with, 0 if none; whether it is a
 * number; its hash.
 */
export const PREVIOUS: usize = 32;
export const PREVIOUS_NUMBER: usize = 36;
export const PREVIOUS_HASH: usize = 40;
/** Range of code points that was looked up last: start, end, class. */
export const RANGE_START: usize = 44;
export const RANGE_END: usize = 48;
export const RANGE_CLASS: usize = 52;
/** Minima of the fingerprint's lanes, over words and over what stands in for them: 4 x u32 each. */
export const LANES: usize = 56;
export const LANES_ASIDE: usize = 72;
/** Bit 0: the text has words; bit 1: it has what stands in for them. */
export const SEEN: usize = 88;
/** A label with its mark in front, 13 bytes at most, and what a hash of it may read behind. */
export const LABEL: usize = 96;

/** What comes next makes no bigram with what came before. */
@inline
export function unlink(): void {
  store<usize>(STATE, 0, PREVIOUS);
}
