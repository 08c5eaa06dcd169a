// The arena: all scratch of one call, behind the statics and below the tenant's state.
//
// A guest has no allocator and no garbage collector. Parameters, scratch and results are cut from
// it one after the other; `reset` at the end of the call (the post-return of what it returned)
// forgets them all and writes zeros over them, so between calls the low memory is byte for byte
// what the component started with, and only the tenant's state is left to keep. Fresh memory is
// therefore always zero. A call that wants more than the arena holds traps.
//
// A guest's build may say where they lie (`--use ARENA_START=… --use ARENA_END=…
// --use STATE_START=…`, see scripts/guests.ts): a guest with large tables has another page for it.

/** First byte of the tenant's state; everything below is statics and scratch. */
export const STATE_ADDRESS: usize = isDefined(STATE_START) ? STATE_START : 0x10000;
const ARENA_LIMIT: usize = isDefined(ARENA_END) ? ARENA_END : STATE_ADDRESS;

// u32 first free address; 0 stands for the start, so that the static equals its base between calls.
const TOP: usize = memory.data(8, 8);

export function alloc(bytes: usize, align: usize = 8): usize {
  const start = (mark() + align - 1) & ~(align - 1);
  const end = start + bytes;
  if (end > ARENA_LIMIT || end < start) unreachable();
  store<u32>(TOP, <u32>end);
  return start;
}

/**
 * Canonical ABI: the host puts parameters here. Growing keeps the bytes and wastes the old place.
 */
export function cabi_realloc(oldPtr: usize, oldSize: usize, align: usize, newSize: usize): usize {
  const start = alloc(newSize, align == 0 ? 1 : align);
  if (oldPtr != 0) memory.copy(start, oldPtr, min(oldSize, newSize));
  return start;
}

/** Where the next allocation would start. */
export function mark(): usize {
  const top = <usize>load<u32>(TOP);
  return top == 0 ? start() : top;
}

/** Frees what was allocated since `mark` gave `position`. */
export function release(position: usize): void {
  memory.fill(position, 0, mark() - position);
  store<u32>(TOP, <u32>position);
}

/** Frees everything. The last thing of every call. */
export function reset(): void {
  memory.fill(start(), 0, mark() - start());
  store<u32>(TOP, 0);
}

/** Of the arena. */
@inline
function start(): usize {
  return isDefined(ARENA_START) ? ARENA_START : __heap_base;
}
