// The tenant's state page by page, as { u32 page, 4096 bytes }; and what can be wrong about that.
import { MEMORY_BYTES, STATE, alloc } from "./arena";

const PAGE_BYTES: usize = 4096;
const PART_BYTES: usize = 4 + PAGE_BYTES;
/** What the arena keeps at the start of the state. */
const ARENA_BYTES: usize = 8;

/** What goes wrong with the next export, or with the import of what was exported. */
const ARMED: usize = STATE + 76;
const EXPORT_TRAPS: u32 = 1;
const EXPORT_SPINS: u32 = 2;
const EXPORT_LIES: u32 = 3;
/** It never comes to an end. */
const EXPORT_FLOODS: u32 = 4;
/** A question that changes the state. */
const EXPORT_SCRIBBLES: u32 = 5;
const IMPORT_TRAPS: u32 = 6;
const IMPORT_SPINS: u32 = 7;
const IMPORT_REFUSES: u32 = 8;
const IMPORT_LIES: u32 = 9;
const PART_TOO_LONG: u32 = 10;

export function armPortable(misdeed: u32): void {
  store<u32>(ARMED, misdeed);
}

export function exportState(part: u32): usize {
  const armed = load<u32>(ARMED);
  if (armed == EXPORT_TRAPS) unreachable();
  if (armed == EXPORT_SPINS) while (true) store<u32>(STATE + 8, load<u32>(STATE + 8) + 1);
  if (armed == EXPORT_SCRIBBLES) store<u32>(STATE + 48, 0xdeadbeef);
  const answer = alloc(12, 4);
  const page = armed == EXPORT_FLOODS ? part & 15 : part;
  if (<usize>page >= (MEMORY_BYTES - STATE) / PAGE_BYTES) return answer;
  const at = alloc(PART_BYTES, 4);
  store<u32>(at, page);
  memory.copy(at + 4, STATE + <usize>page * PAGE_BYTES, PAGE_BYTES);
  store<u8>(answer, 1);
  store<u32>(answer, armed == EXPORT_LIES ? 0xfffffff0 : <u32>at, 4);
  store<u32>(answer, armed == PART_TOO_LONG ? 0x9000 : <u32>PART_BYTES, 8);
  return answer;
}

export function importState(part: usize, bytes: usize): usize {
  const answer = alloc(12, 4);
  const armed = load<u32>(ARMED);
  if (armed == IMPORT_TRAPS) unreachable();
  if (armed == IMPORT_SPINS) while (true) store<u32>(STATE + 8, load<u32>(STATE + 8) + 1);
  if (bytes == 0 && armed != IMPORT_REFUSES) return answer;
  if (armed == IMPORT_LIES) return <usize>0xfffffff0;
  if (bytes == 0 || bytes != PART_BYTES || load<u32>(part) >= 32) {
    store<u8>(answer, 1);
    store<u32>(answer, <u32>part, 4);
    store<u32>(answer, <u32>min<usize>(bytes, 4), 8);
    return answer;
  }
  const page = <usize>load<u32>(part) * PAGE_BYTES;
  const skipped = page == 0 ? ARENA_BYTES : 0;
  memory.copy(STATE + page + skipped, part + 4 + skipped, PAGE_BYTES - skipped);
  return answer;
}
