// Memory of the module. One instance is either a batcher or a splitter; what both need is static,
// the rest is laid out once from __heap_base on and grows only at its end.
//
//   statics | scratch of decoded strings | batcher: input, tenants, events, batches, names ->
//                                        | splitter: chunk table, body, chunks ->
//
// Every region that is read or written in 16-byte steps has SLACK_BYTES behind it.
import { ERRORS_LISTED_MAX, LINE_BYTES_MAX } from "./limits.gen";

export const SLACK_BYTES: u32 = 64;
/** Room for a record: 64 KiB of lines or elements, one more of 64 KiB, and their headers. */
export const INPUT_BYTES: u32 = 192 * 1024;
/** The decoded strings of one element are never longer than its bytes. */
export const SCRATCH_BYTES: u32 = LINE_BYTES_MAX + 1024;

// What a call of `parse`, `group` or `split` reports, u32 each; src/batcher/*.ts reads it.
export const RESULTS: usize = memory.data(64, 16);
export const RESULT_CONSUMED: usize = 0;
export const RESULT_ELEMENTS: usize = 4;
export const RESULT_ACCEPTED: usize = 8;
export const RESULT_REJECTED: usize = 12;
export const RESULT_ERRORS: usize = 16;
export const RESULT_FULL: usize = 20;
export const RESULT_EVENTS: usize = 24;
export const RESULT_TENANTS: usize = 28;
export const RESULT_BATCHES: usize = 32;
export const RESULT_BATCH_TABLE: usize = 36;
export const RESULT_GROUPED: usize = 40;
export const RESULT_MALFORMED_AT: usize = 44;
export const RESULT_CHUNKS: usize = 48;
export const RESULT_CHUNK_TABLE: usize = 52;

/** Pairs of u32: index of the element, number of the error. */
export const ERROR_LIST: usize = memory.data(ERRORS_LISTED_MAX * 8, 16);
/** Where the host puts a tenant's name to ask for it. */
export const NAME: usize = memory.data(128, 16);

let top: usize = 0;
let scratch: usize = 0;

/** First byte of the scratch; laid out on first use. */
export function scratchStart(): usize {
  if (scratch == 0) scratch = allocate(SCRATCH_BYTES);
  return scratch;
}

/** Takes `bytes` and slack at the end of memory; traps when the module's maximum is reached. */
export function allocate(bytes: usize): usize {
  if (top == 0) top = (__heap_base + 15) & ~15;
  const start = top;
  top = (start + bytes + SLACK_BYTES + 15) & ~15;
  const missing = <i64>top - ((<i64>memory.size()) << 16);
  if (missing > 0) {
    if (memory.grow(<i32>((missing + 0xffff) >> 16)) == -1) unreachable();
  }
  return start;
}

/** Gives back everything from `start` on, which `allocate` returned. */
export function release(start: usize): void {
  top = start;
}

/** Copies in 16-byte steps, up to 15 bytes past both ends: cheaper than memory.copy when short. */
// @ts-ignore: decorator
@inline
export function copyShort(to: usize, from: usize, bytes: u32): void {
  for (let i: usize = 0; i < <usize>bytes; i += 16) v128.store(to + i, v128.load(from + i));
}
