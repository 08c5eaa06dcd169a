/**
 * How much of what waits to be written is whose. One tenant may have half of it: whoever floods
 * loses what is too much of its own, and the verdicts of others still have room.
 */
import { STORE_FLAGGED_BYTES_MAX, STORE_FLAGGED_MAX } from "#model/limits.ts";

type Share = { count: number; bytes: number };

export class OwedShares {
  readonly #shares = new Map<string, Share>();
  readonly #all: Share = { count: 0, bytes: 0 };

  /** Whether nothing more of the tenant may wait. */
  isFull(tenant: string): boolean {
    if (reaches(this.#all, STORE_FLAGGED_MAX, STORE_FLAGGED_BYTES_MAX)) return true;
    const share = this.#shares.get(tenant);
    if (share === undefined) return false;
    return reaches(share, STORE_FLAGGED_MAX / 2, STORE_FLAGGED_BYTES_MAX / 2);
  }

  add(tenant: string, bytes: number): void {
    let share = this.#shares.get(tenant);
    if (share === undefined) {
      share = { count: 0, bytes: 0 };
      this.#shares.set(tenant, share);
    }
    change(share, 1, bytes);
    change(this.#all, 1, bytes);
  }

  /** One that was added. */
  remove(tenant: string, bytes: number): void {
    const share = this.#shares.get(tenant)!;
    change(share, -1, -bytes);
    change(this.#all, -1, -bytes);
    if (share.count === 0) this.#shares.delete(tenant);
  }
}

function reaches({ count, bytes }: Share, countMax: number, bytesMax: number): boolean {
  return count >= countMax || bytes >= bytesMax;
}

function change(share: Share, count: number, bytes: number): void {
  share.count += count;
  share.bytes += bytes;
}
