// Ways to misbehave inside a turn. Which one: `perform`.
import { MEMORY_BYTES, STATE } from "./arena";

export const SPIN: u32 = 1;
export const GROW: u32 = 2;
export const TRAP: u32 = 3;
export const OUT_OF_BOUNDS: u32 = 4;
export const DIVIDE_BY_ZERO: u32 = 5;
export const RECURSE: u32 = 6;
/** Dirties `argument` pages of the state, and its neighbours' if it could. */
export const HOG: u32 = 7;
/** Writes a tenant's canary wherever it can, in `argument` bits 0-7; the state keeps 12 pages of it. */
export const PAINT: u32 = 8;
/** Counts canaries that are not its own, `argument` being its own. */
export const SEARCH: u32 = 9;
/** Works for a while, then ends well: `argument` times 2^14 steps. */
export const TOIL: u32 = 10;
/** Asks for no memory at all, which is asking all the same. */
export const GROW_BY_NOTHING: u32 = 11;

const CANARY: u32 = 0xc0ffee00;
const CANARY_MASK: u32 = 0xffffff00;
/** Where the state of the well-behaved part ends. */
const FREE: usize = STATE + 8192;
export const FOUND: usize = STATE + 12;
const SINK: usize = STATE + 16;

export function perform(misdeed: u32, argument: u32): void {
  if (misdeed == SPIN) while (true) store<u32>(SINK, load<u32>(SINK) + 1);
  if (misdeed == GROW) store<u32>(SINK, memory.grow(1));
  if (misdeed == GROW_BY_NOTHING) store<u32>(SINK, memory.grow(0));
  if (misdeed == TRAP) unreachable();
  if (misdeed == OUT_OF_BOUNDS) store<u32>(SINK, load<u32>(0xfffffff0));
  if (misdeed == DIVIDE_BY_ZERO) store<u32>(SINK, 1 / load<u32>(MEMORY_BYTES - 4));
  if (misdeed == RECURSE) store<u32>(SINK, recurse(1));
  if (misdeed == HOG) hog(argument);
  if (misdeed == PAINT) paint(argument);
  if (misdeed == SEARCH) store<u32>(FOUND, search(argument));
  if (misdeed == TOIL) toil(argument);
}

function recurse(depth: u32): u32 {
  // Neither a tail call nor a loop: the result is needed after the call.
  return recurse(depth + 1) * 31 + load<u32>(SINK) + depth;
}

function hog(pageCount: u32): void {
  for (let page: u32 = 0; page < pageCount; page++) {
    // Both pages of state first, then the low one.
    const start: usize = page < 32 ? STATE + (page << 12) : (page & 15) << 12;
    const address = start + 4088;
    store<u32>(address, load<u32>(address) + 1 + page);
  }
}

function paint(owner: u32): void {
  const canary = CANARY | (owner & 0xff);
  for (let at = FREE; at < FREE + 12 * 4096; at += 4) store<u32>(at, canary);
}

function search(owner: u32): u32 {
  const own = CANARY | (owner & 0xff);
  let found: u32 = 0;
  for (let at: usize = 0; at < MEMORY_BYTES; at += 4) {
    const word = load<u32>(at);
    if ((word & CANARY_MASK) == CANARY && word != own) found++;
  }
  return found;
}

function toil(times: u32): void {
  let value = load<u32>(SINK);
  for (let step: u32 = 0; step < times << 14; step++) value = (value ^ step) * 16777619;
  store<u32>(SINK, value);
}
