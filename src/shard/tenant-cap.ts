/**
 * The limit on tenants, shared by all shards. A shard claims room before it parses, since any event
 * may bring a new tenant, and gives back what it did not use: the limit is never exceeded. Near it
 * a shard waits while another's claim is out, for the other parses one record at most; so nobody is
 * refused for room that another had only claimed.
 *
 *   Int32   0 taken, claims included     of shard s: 1 + 2s what it holds     2 + 2s claim is open
 */
const TAKEN = 0;
/** Longer than any record takes to parse; a shard that died with its claim out costs that. */
const WAIT_MS_MAX = 200;
const WAKE_MS = 1;

export class TenantCap {
  readonly countMax: number;
  readonly #words: Int32Array;
  readonly #held: number;
  readonly #open: number;

  /** What an earlier thread of this shard held when it died is free again. */
  constructor(shared: SharedArrayBuffer, shard: number, countMax: number) {
    this.#words = new Int32Array(shared);
    this.#held = 1 + 2 * shard;
    this.#open = 2 + 2 * shard;
    this.countMax = countMax;
    this.settle(0);
  }

  /** Claims room for up to `count` new tenants; returns how many. Follow with `settle`. */
  claim(count: number): number {
    const words = this.#words;
    let waitUntilMs = 0;
    for (;;) {
      const taken = Atomics.load(words, TAKEN);
      const room = Math.min(count, this.countMax - taken);
      if (room < count && this.#othersClaim()) {
        const nowMs = performance.now();
        if (waitUntilMs === 0) waitUntilMs = nowMs + WAIT_MS_MAX;
        if (nowMs < waitUntilMs) {
          Atomics.wait(words, TAKEN, taken, WAKE_MS);
          continue;
        }
      }
      if (room <= 0) {
        if (Atomics.load(words, TAKEN) !== taken) continue; // A claim came back in between.
        return 0;
      }
      // Raised before the room is taken, lowered after it was given back: who sees a claim in
      // `taken` sees its flag.
      Atomics.store(words, this.#open, 1);
      if (Atomics.compareExchange(words, TAKEN, taken, taken + room) === taken) {
        Atomics.add(words, this.#held, room);
        return room;
      }
      Atomics.store(words, this.#open, 0);
    }
  }

  /** This shard has `count` tenants now: the rest of its claim goes back. */
  settle(count: number): void {
    const words = this.#words;
    const held = Atomics.exchange(words, this.#held, count);
    Atomics.sub(words, TAKEN, held - count);
    Atomics.store(words, this.#open, 0);
    Atomics.notify(words, TAKEN);
  }

  #othersClaim(): boolean {
    for (let open = 2; open < this.#words.length; open += 2) {
      if (open !== this.#open && Atomics.load(this.#words, open) === 1) return true;
    }
    return false;
  }
}
