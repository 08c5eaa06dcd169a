// Where one judgement keeps its scratch: the 32 KiB behind the arena, which no allocation
// reaches. `clearScratch` zeroes what was used, so that the page equals its base between calls.

export const TOKEN_BYTES: u32 = 48;
/** A longer text is judged in stretches of so many, which overlap. */
export const TOKEN_COUNT_MAX: u32 = 256;

export const SCRATCH_ADDRESS: usize = 0x1a000;
export const SCRATCH_END: usize = 0x22000;

/** What is being read and what was found, see `Reader` and `Sums`. */
export const READER: usize = SCRATCH_ADDRESS;
export const READER_BYTES: usize = 512;
export const SUMS: usize = READER + READER_BYTES;
export const SUMS_BYTES: usize = 1536;
export const TOKENS: usize = SUMS + SUMS_BYTES;
/** Normal forms, one behind the other. */
export const FORMS: usize = TOKENS + <usize>TOKEN_BYTES * TOKEN_COUNT_MAX;
export const FORMS_BYTES: usize = 5120;
/** Features that wait to be summed: u32 each. */
export const LIST: usize = FORMS + FORMS_BYTES;
export const LIST_COUNT_MAX: u32 = 1024;
/** Bit n: a feature of hash n mod 2^15 is in the list or was. */
export const SEEN: usize = LIST + (<usize>LIST_COUNT_MAX << 2);
export const SEEN_BYTES: usize = 4096;
