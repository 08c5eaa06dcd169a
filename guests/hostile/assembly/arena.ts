// The arena of the hostile guest: a bump allocator in the scratch half of its memory, and a liar when
// told to be. Nothing is kept in wasm globals, so the memory is the whole state of a tenant.

/** The program's statics and the arena lie below, the state of the tenant above. */
export const STATE: usize = 65536;
/** The end of the memory: two pages of state. */
export const MEMORY_BYTES: usize = 196608;

/** What the arena does wrong from the next call on; see `disarm`. */
export const LIE_NONE: u32 = 0;
export const LIE_WILD: u32 = 1;
export const LIE_TRAP: u32 = 2;
export const LIE_SPIN: u32 = 3;
export const LIE_SPIN_IN_RESET: u32 = 4;
export const LIE_TRAP_IN_RESET: u32 = 5;
export const LIE_GROW: u32 = 6;
/** An address within the memory whose end is not. */
export const LIE_EDGE: u32 = 7;

const TOP: usize = STATE;
const LIE: usize = STATE + 4;

export function lieNextTime(lie: u32): void {
  store<u32>(LIE, lie);
}

export function alloc(bytes: usize, alignment: usize): usize {
  const top = max(<usize>load<u32>(TOP), __heap_base);
  const start = (top + alignment - 1) & ~(alignment - 1);
  const end = start + bytes;
  if (end < start || end > STATE) unreachable();
  store<u32>(TOP, <u32>end);
  return start;
}

export function cabi_realloc(oldPtr: usize, oldBytes: usize, alignment: usize, bytes: usize): usize {
  const lie = load<u32>(LIE);
  if (lie == LIE_WILD) return <usize>0xfffffff0;
  if (lie == LIE_TRAP) unreachable();
  if (lie == LIE_SPIN) while (true) store<u32>(STATE + 8, load<u32>(STATE + 8) + 1);
  if (lie == LIE_GROW) memory.grow(1);
  if (lie == LIE_EDGE) return <usize>(MEMORY_BYTES - 1);
  const start = alloc(bytes, alignment);
  if (oldPtr) memory.copy(start, oldPtr, min(oldBytes, bytes));
  return start;
}

export function reset(): void {
  const lie = load<u32>(LIE);
  if (lie == LIE_SPIN_IN_RESET) while (true) store<u32>(STATE + 8, load<u32>(STATE + 8) + 1);
  if (lie == LIE_TRAP_IN_RESET) unreachable();
  const top = <usize>load<u32>(TOP);
  if (top > __heap_base) memory.fill(__heap_base, 0, top - __heap_base);
  store<u32>(TOP, 0);
}
