/**
 * Which tenants have turns in the log that no snapshot holds, and since which block: a queue in the
 * order in which they became so, linked through arrays of numbers. The first one says up to where
 * the log may be trimmed, and is the next to be snapshotted: so the log is as long as one pass over
 * those that change takes, however many rest.
 */
import assert from "node:assert/strict";

const NONE = -1;

export class DirtyTenants {
  /** tenant -> block of its first turn that no snapshot holds; 0: there is none. */
  #since = new Float64Array(256);
  #next = new Int32Array(256).fill(NONE);
  #previous = new Int32Array(256).fill(NONE);
  #first = NONE;
  #last = NONE;
  count = 0;

  /** Makes room for tenant numbers below `tenantCount`. */
  reserve(tenantCount: number): void {
    if (tenantCount <= this.#since.length) return;
    const length = Math.max(tenantCount, 2 * this.#since.length);
    const since = new Float64Array(length);
    since.set(this.#since);
    this.#since = since;
    this.#next = grown(this.#next, length);
    this.#previous = grown(this.#previous, length);
  }

  has(tenant: number): boolean {
    return this.#since[tenant] !== 0;
  }

  /** Hot. The tenant had a turn, which is in this block. */
  mark(tenant: number, block: number): void {
    if (this.#since[tenant] !== 0) return;
    assert(block > 0);
    this.#since[tenant] = block;
    this.#previous[tenant] = this.#last;
    this.#next[tenant] = NONE;
    if (this.#last === NONE) this.#first = tenant;
    else this.#next[this.#last] = tenant;
    this.#last = tenant;
    this.count += 1;
  }

  /** All of its turns so far are in a snapshot, or it is gone. */
  clear(tenant: number): void {
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

  /** Who is to be snapshotted next; -1: nobody. */
  get first(): number {
    return this.#first;
  }

  /** The oldest block that is still needed; `none`: what to say where there is none. */
  neededFrom(none: number): number {
    return this.#first === NONE ? none : this.#since[this.#first]!;
  }
}

function grown(numbers: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const copy = new Int32Array(length).fill(NONE);
  copy.set(numbers);
  return copy;
}
