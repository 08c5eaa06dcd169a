/**
 * Keys that open nothing, counted by the address they came from: after KEY_TRIES_MAX within a
 * minute the address is told to wait for one. A key or token that does open goes on: others may be
 * behind the same address, and 256 bits are not guessed. So this tells of noise, and keeps it from
 * hiding in a sum; it is not what keeps people out.
 *
 * At most KEY_TRY_ADDRESSES_MAX are remembered; the one that was counted first goes.
 */
import { KEY_TRIES_MAX, KEY_TRIES_MS, KEY_TRY_ADDRESSES_MAX } from "#model/limits.ts";

type Tries = { count: number; endsMs: number };

export class FailedTries {
  readonly #addresses = new Map<string, Tries>();

  /** Seconds to wait; 0: none. */
  waitSeconds(address: string, nowMs: number): number {
    const tries = this.#addresses.get(address);
    if (tries === undefined || tries.count < KEY_TRIES_MAX || isOver(tries, nowMs)) return 0;
    return Math.ceil((tries.endsMs - nowMs) / 1_000);
  }

  /** True with the one that is too many: then it is time to say so. */
  add(address: string, nowMs: number): boolean {
    let tries = this.#addresses.get(address);
    if (tries === undefined || isOver(tries, nowMs)) {
      this.#addresses.delete(address);
      tries = { count: 0, endsMs: nowMs + KEY_TRIES_MS };
      this.#addresses.set(address, tries);
      if (this.#addresses.size > KEY_TRY_ADDRESSES_MAX) this.#forgetFirst();
    }
    tries.count += 1;
    if (tries.count !== KEY_TRIES_MAX) return false;
    tries.endsMs = nowMs + KEY_TRIES_MS;
    return true;
  }

  get size(): number {
    return this.#addresses.size;
  }

  #forgetFirst(): void {
    const first = this.#addresses.keys().next();
    if (first.done !== true) this.#addresses.delete(first.value);
  }
}

/** A clock that was set back must not make anybody wait for longer. */
function isOver({ endsMs }: Tries, nowMs: number): boolean {
  return nowMs >= endsMs || endsMs - nowMs > KEY_TRIES_MS;
}
