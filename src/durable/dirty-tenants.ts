/**
 * Which tenants have turns that no snapshot holds, and since which block: a queue in the
 * order in which they became so, linked through arrays of numbers. The first one says up to where
 * the log may be trimmed, and is the next to be snapshotted: so the log is as long as one pass over
 * those that change takes, however many rest.
 *
 * Beside it what a replay would cost: `costMs` and `logBytes` rise with every turn, and of each
 * tenant it is known what they were when it joined the queue.
 */
import assert from "node:assert/strict";

const NONE = -1;

export class DirtyTenants {
  /** tenant -> block of its first turn that no snapshot holds; 0: there is none. */
  #since: Float64Array = new Float64Array(256);
  #next = new Int32Array(256).fill(NONE);
  #previous = new Int32Array(256).fill(NONE);
  #costMs: Float64Array = new Float64Array(256);
  #logBytes: Float64Array = new Float64Array(256);
  /** Whether the log names the tenant since its last snapshot. */
  #named = new Uint8Array(256);
  #first = NONE;
  #last = NONE;
  count = 0;
  /** Of all turns so far: time that they took, and bytes of their blocks. */
  costMs = 0;
  logBytes = 0;

  /** Makes room for tenant numbers below `tenantCount`. */
  reserve(tenantCount: number): void {
    if (tenantCount <= this.#since.length) return;
    const length = Math.max(tenantCount, 2 * this.#since.length);
    this.#since = grownDoubles(this.#since, length);
    this.#costMs = grownDoubles(this.#costMs, length);
    this.#logBytes = grownDoubles(this.#logBytes, length);
    const named = new Uint8Array(length);
    named.set(this.#named);
    this.#named = named;
    this.#next = grown(this.#next, length);
    this.#previous = grown(this.#previous, length);
  }

  has(tenant: number): boolean {
    return this.#since[tenant] !== 0;
  }

  isNamed(tenant: number): boolean {
    return this.#named[tenant] !== 0;
  }

  /** The log names the tenant; false: what follows needs its name again. */
  setNamed(tenant: number, isNamed: boolean): void {
    this.#named[tenant] = isNamed ? 1 : 0;
  }

  /** Hot. The tenant had a turn, which is in this block, if it is in the log at all. */
  mark(tenant: number, block: number): void {
    if (this.#since[tenant] !== 0) return;
    assert(block > 0);
    this.#since[tenant] = block;
    this.#costMs[tenant] = this.costMs;
    this.#logBytes[tenant] = this.logBytes;
    this.#previous[tenant] = this.#last;
    this.#next[tenant] = NONE;
    if (this.#last === NONE) this.#first = tenant;
    else this.#next[this.#last] = tenant;
    this.#last = tenant;
    this.count += 1;
  }

  /** All of its turns so far are in a snapshot, or it is gone. */
  clear(tenant: number): void {
    this.#named[tenant] = 0;
    if (this.#since[tenant] === 0) return;
    const next = this.#next[tenant]!;
    const previous = this.#previous[tenant]!;
    if (previous === NONE) this.#first = next;
    else this.#next[previous] = next;
    if (next === NONE) this.#last = previous;
    else this.#previous[next] = previous;
    this.#since[tenant] = 0;
    this.count -= 1;
  }

  /** What a replay of the turns that no snapshot holds would take, about. */
  get backlogMs(): number {
    return this.#first === NONE ? 0 : this.costMs - this.#costMs[this.#first]!;
  }

  get backlogBytes(): number {
    return this.#first === NONE ? 0 : this.logBytes - this.#logBytes[this.#first]!;
  }

  /** Who is to be snapshotted next; -1: nobody. */
  get first(): number {
    return this.#first;
  }

  /** The oldest block that is still needed; `none`: what to say where there is none. */
  neededFrom(none: number): number {
    return this.#first === NONE ? none : this.#since[this.#first]!;
  }
}

function grownDoubles(numbers: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const copy = new Float64Array(length);
  copy.set(numbers);
  return copy;
}

function grown(numbers: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(length).fill(NONE);
  copy.set(numbers);
  return copy;
}
