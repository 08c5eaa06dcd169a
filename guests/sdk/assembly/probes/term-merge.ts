// A merged table with nothing around it, for the test against exact sums. Lists come and go through
// the first half of the low page behind the statics.
import { STATE_ADDRESS } from "../arena";
import { mergeBytes, TermMerge } from "../sketches/term-merge";

/** Where the test puts a list, and finds the result. */
export const LIST_ADDRESS: usize = 0x4000;

export function open(capacity: u32): void {
  merge().open(capacity);
  store<u64>(STATE_ADDRESS + mergeBytes(capacity), 0xc0ffee);
}

export function isTidy(): bool {
  return load<u64>(STATE_ADDRESS + mergeBytes(merge().capacity)) == 0xc0ffee;
}

export function bytesFor(capacity: u32): u32 {
  return mergeBytes(capacity);
}

export function add(bytes: u32): bool {
  return merge().add(LIST_ADDRESS, bytes);
}

/** Returns its length. */
export function encode(limit: u32): u32 {
  merge().sort();
  merge().encode(LIST_ADDRESS, limit);
  return merge().encodedBytes(limit);
}

function merge(): TermMerge {
  return changetype<TermMerge>(STATE_ADDRESS);
}
