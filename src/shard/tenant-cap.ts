/**
 * The limit on tenants, shared by all shards. A shard claims room before it parses, since any event
 * may bring a new tenant, and gives back what it did not use: the limit is never exceeded, and
 * near it a shard may be refused only while another's claim is out.
 */
export class TenantCap {
  readonly countMax: number;
  readonly #taken: Int32Array;
  /** What this shard's tenants and its open claim take of the limit. */
  #held = 0;

  constructor(shared: SharedArrayBuffer, countMax: number) {
    this.#taken = new Int32Array(shared, 0, 1);
    this.countMax = countMax;
  }

  /** Claims room for up to `count` new tenants; returns how many. Follow with `settle`. */
  claim(count: number): number {
    for (;;) {
      const taken = Atomics.load(this.#taken, 0);
      const room = Math.min(count, this.countMax - taken);
      if (room <= 0) return 0;
      if (Atomics.compareExchange(this.#taken, 0, taken, taken + room) !== taken) continue;
      this.#held += room;
      return room;
    }
  }

  /** This shard has `count` tenants now: the rest of its claim goes back. */
  settle(count: number): void {
    Atomics.sub(this.#taken, 0, this.#held - count);
    this.#held = count;
  }
}
