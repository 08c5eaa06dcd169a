/**
 * When calls are due, without a timer each: a wheel of DEADLINE_STEP_MS a spoke. A call hangs on
 * the spoke of its time as part of a list through two arrays, so setting and clearing cost a few
 * stores and nothing is allocated. A deadline farther away than one turn of the wheel hangs on its
 * spoke and is passed over until its turn. It is found up to one step late, never early.
 */
import assert from "node:assert/strict";

export const DEADLINE_STEP_MS = 8;
const SPOKES = 4_096;
const NONE = -1;

export class Deadlines {
  readonly #dueMs: Float64Array;
  readonly #nexts: Int32Array;
  readonly #previous: Int32Array;
  readonly #heads = new Int32Array(SPOKES).fill(NONE);
  /** Steps up to it were looked at. */
  #step: number;
  #count = 0;

  constructor(countMax: number, nowMs: number) {
    this.#dueMs = new Float64Array(countMax);
    this.#nexts = new Int32Array(countMax);
    this.#previous = new Int32Array(countMax);
    this.#step = stepOf(nowMs);
  }

  get count(): number {
    return this.#count;
  }

  /** A call has one deadline at a time. */
  set(call: number, dueMs: number): void {
    assert(this.#dueMs[call] === 0);
    this.#dueMs[call] = dueMs;
    const spoke = this.#spokeOf(dueMs);
    const head = this.#heads[spoke]!;
    this.#nexts[call] = head;
    // Behind a spoke's end stands which spoke it is.
    this.#previous[call] = NONE - 1 - spoke;
    if (head !== NONE) this.#previous[head] = call;
    this.#heads[spoke] = call;
    this.#count += 1;
  }

  clear(call: number): void {
    if (this.#dueMs[call] === 0) return;
    const next = this.#nexts[call]!;
    const previous = this.#previous[call]!;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous >= 0) this.#nexts[previous] = next;
    else this.#heads[NONE - 1 - previous] = next;
    this.#dueMs[call] = 0;
    this.#count -= 1;
  }

  /** Tells of every call that is due; it has no deadline any more. `due` may set and clear. */
  advance(nowMs: number, due: (call: number) => void): void {
    const last = stepOf(nowMs) - 1;
    const first = Math.max(this.#step + 1, last - SPOKES + 1);
    if (last <= this.#step) return;
    this.#step = last;
    const found: number[] = [];
    for (let step = first; step <= last; step++) {
      let call = this.#heads[step % SPOKES]!;
      for (; call !== NONE; call = this.#nexts[call]!) {
        if (this.#dueMs[call]! <= nowMs) found.push(call);
      }
    }
    for (const call of found) {
      if (this.#dueMs[call] === 0 || this.#dueMs[call]! > nowMs) continue;
      this.clear(call);
      due(call);
    }
  }

  /** Never one that was looked at already. */
  #spokeOf(dueMs: number): number {
    return Math.max(stepOf(dueMs), this.#step + 1) % SPOKES;
  }
}

function stepOf(ms: number): number {
  return Math.floor(ms / DEADLINE_STEP_MS);
}
