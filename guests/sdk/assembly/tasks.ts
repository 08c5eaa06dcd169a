// Tasks that wait, by the callback ABI of WASI 0.3: a function that has asked for something puts
// the call into a waitable set, keeps in the tenant's state what it needs to go on, and returns
// `waitFor(set)`. Its callback is told what happened. Between the two nothing of it is on a stack,
// and its instance may have held a hundred other tenants.

/** What a task returns when it has handed over its result. */
export const TASK_EXIT: u32 = 0;
const TASK_WAIT: u32 = 2;

/** What a callback is told: a call that the task made is in another state. */
export const EVENT_SUBTASK: u32 = 1;
/** Low bits of what an import that is async returns: it has read what it was given. */
export const SUBTASK_STARTED: u32 = 1;
/** That state, and the low bits of what an import that is async returns: its result is there. */
export const SUBTASK_RETURNED: u32 = 2;

@external("$root", "[waitable-set-new]")
export declare function waitableSetNew(): u32;

/** Of a set that is empty. */
@external("$root", "[waitable-set-drop]")
export declare function waitableSetDrop(set: u32): void;

/** Set 0: out of the one that it is in. */
@external("$root", "[waitable-join]")
export declare function waitableJoin(waitable: u32, set: u32): void;

/** Of a call that has returned, and is in no set. */
@external("$root", "[subtask-drop]")
export declare function subtaskDrop(subtask: u32): void;

/** The state of a call, of what the import returned. */
@inline
export function subtaskState(returned: u32): u32 {
  return returned & 15;
}

/** Its handle, unless it has returned already. */
@inline
export function subtaskHandle(returned: u32): u32 {
  return returned >> 4;
}

/** What a task returns that waits. */
@inline
export function waitFor(set: u32): u32 {
  return TASK_WAIT | (set << 4);
}
