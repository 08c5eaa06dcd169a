/**
 * Holds a thread that writes between two transactions, for the moment in which a backup begins. The
 * thread waits for the word to change, at most BACKUP_HOLD_MS_MAX: who holds it may be gone.
 */
import { BACKUP_HOLD_MS_MAX } from "#model/limits.ts";

/** Of the gate's word: asked for, held, let go. */
const ASKED = 0;
const HELD = 1;
const FREE = 2;
/** How long the thread may take to come to the end of what it does. */
const COMING_MS_MAX = 10_000;

export type HoldGate = Int32Array<SharedArrayBuffer>;

export function holdGate(): HoldGate {
  return new Int32Array(new SharedArrayBuffer(4));
}

/** In the thread that is to be held. */
export function waitAtGate(gate: HoldGate): void {
  if (Atomics.compareExchange(gate, 0, ASKED, HELD) !== ASKED) return;
  Atomics.notify(gate, 0);
  Atomics.wait(gate, 0, HELD, BACKUP_HOLD_MS_MAX);
  Atomics.store(gate, 0, FREE);
}

/** False: it does not come, and will not be held any more. */
export async function isHeld(gate: HoldGate): Promise<boolean> {
  const waiting = Atomics.waitAsync(gate, 0, ASKED, COMING_MS_MAX);
  await waiting.value;
  return Atomics.compareExchange(gate, 0, ASKED, FREE) === HELD;
}

/** False: it has gone on by itself, so nobody knows what it wrote since. */
export function letGo(gate: HoldGate): boolean {
  const wasHeld = Atomics.exchange(gate, 0, FREE) === HELD;
  Atomics.notify(gate, 0);
  return wasHeld;
}
