/**
 * Ends code that runs too long, guests' endless loops included: V8 interrupts Wasm loops for a `vm`
 * timeout as it does JavaScript. The code is ended at whatever statement it stands; no `catch` and
 * no `finally` of it runs. One guard costs about 0.1 ms (a watchdog thread), hence one a slice, not
 * a call.
 */
import assert from "node:assert/strict";
import vm from "node:vm";

/** A script can reach what it runs only by a global name. */
const SLICE_NAME = "nexuscoreSlice";
const script = new vm.Script(`globalThis.${SLICE_NAME}()`, { filename: "slice-guard" });
const holder = globalThis as unknown as Record<typeof SLICE_NAME, (() => void) | undefined>;

/** True when `slice` ended by itself; what it throws is thrown on. Not reentrant. */
export function runGuarded(slice: () => void, timeoutMs: number): boolean {
  assert(holder[SLICE_NAME] === undefined, "a slice runs another");
  holder[SLICE_NAME] = slice;
  try {
    script.runInThisContext({ timeout: timeoutMs, displayErrors: false });
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    return false;
  } finally {
    holder[SLICE_NAME] = undefined;
  }
}
