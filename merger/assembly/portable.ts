// The portable form of a window, as guests/summarize/assembly/sketch.ts writes it and
// docs/summaries.md describes it. All of it is little-endian and a multiple of 8 bytes long.
//
//    0 u32 magic "NXS1"     8 f64 epoch ms from     24 u32 bytes of the payload
//    4 u16 version          16 f64 epoch ms to       28 u32 FNV-1a of 8 to 27 and the payload
//    6 u8  span, u8 0       32 the payload: sections { u32 kind, u32 bytes, bytes padded to 8 }

export const MAGIC: u32 = 0x3153584e;
export const VERSION: u16 = 1;
export const HEADER_BYTES: u32 = 32;
export const SECTION_BYTES: u32 = 8;
export const KIND_COUNTS: u32 = 1;
export const KIND_USERS_EXACT: u32 = 2;
export const KIND_USERS_BITMAP: u32 = 3;
export const KIND_USERS_ULTRA: u32 = 4;
export const KIND_METRICS: u32 = 5;
export const KIND_TERMS: u32 = 6;
/** Events, weights, late, duplicates, repeated, metrics refused. */
export const COUNTS: u32 = 6;
export const COUNTS_BYTES: u32 = COUNTS << 3;
export const COUNT_WEIGHTS: u32 = 1;
export const COUNT_METRICS_REFUSED: u32 = 5;
/** The greatest count of one sketch, and where sums of counts stop: 2^53. */
export const COUNT_MAX: f64 = 9007199254740992;

const FNV_START: u32 = 0x811c9dc5;

/** The checksum of a sketch: it covers the times of the window, the length and the payload. */
export function checksumOf(sketch: usize, payloadBytes: u32): u32 {
  return fnv1a(sketch + HEADER_BYTES, payloadBytes, fnv1a(sketch + 8, 20));
}

export function fnv1a(from: usize, bytes: u32, hash: u32 = FNV_START): u32 {
  for (let at: usize = 0; at < <usize>bytes; at++)
    hash = (hash ^ <u32>load<u8>(from + at)) * 0x01000193;
  return hash;
}

// @ts-ignore: decorator
@inline
export function padded(bytes: u32): u32 {
  return (bytes + 7) & ~7;
}

/** Whether a number is a whole one from 0 to `most`. */
// @ts-ignore: decorator
@inline
export function isWhole(value: f64, most: f64): bool {
  return value >= 0 && value <= most && floor<f64>(value) == value;
}
