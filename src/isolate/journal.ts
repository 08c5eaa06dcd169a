/**
 * The turns of a slot's tenant since its image was committed: image + journal = the tenant, because
 * a guest is a function of its calls. It exists so that a turn need not end with a commit (a
 * comparison of 128 KiB), and a failed turn can still be undone: new instance, last image, journal
 * again.
 *
 * Entries of 16 bytes { u32 kind, u32 count, f64 value }, and the batch after an `ingest`,
 * 8-aligned:
 *
 *   configure  value: clock        advance    value: now
 *   ingest     count: bytes        trending   count: limit, value: order
 *
 * `trending` changes nothing in a guest that keeps the contract; it is kept all the same, so that a
 * guest that does not is still the same function of its calls in any slot.
 *
 * An entry is written beyond the end, and counts once `publish` moves the end: one store.
 */
import assert from "node:assert/strict";
import { BATCH_BYTES_MAX, JOURNAL_BYTES, JOURNAL_MS_MAX } from "#model/limits.ts";
import type { GuestInstance } from "./guest-instance.ts";

export const ENTRY_BYTES = 16;

const CONFIGURE = 1;
const INGEST = 2;
const ADVANCE = 3;
const TRENDING = 4;

assert(ENTRY_BYTES + BATCH_BYTES_MAX <= JOURNAL_BYTES);

export class Journal {
  readonly #bytes = Buffer.from(new ArrayBuffer(JOURNAL_BYTES));
  readonly #view = new DataView(this.#bytes.buffer);
  #end = 0;
  #pendingEnd = 0;
  /** Guest time of the entries. */
  #ms = 0;

  get isEmpty(): boolean {
    return this.#end === 0;
  }

  /** Whether a turn of that many bytes fits, and replaying would still be quick. */
  hasRoom(byteCount: number): boolean {
    return this.#end + ENTRY_BYTES + byteCount <= JOURNAL_BYTES && this.#ms < JOURNAL_MS_MAX;
  }

  clear(): void {
    this.#end = 0;
    this.#pendingEnd = 0;
    this.#ms = 0;
  }

  configure(clock: number): void {
    this.#append(CONFIGURE, 0, clock);
  }

  ingest(source: Uint8Array, byteOffset: number, byteCount: number): void {
    this.#append(INGEST, byteCount, 0);
    const start = this.#pendingEnd;
    Buffer.prototype.copy.call(source, this.#bytes, start, byteOffset, byteOffset + byteCount);
    this.#pendingEnd = start + ((byteCount + 7) & ~7);
  }

  advance(nowMs: number): void {
    this.#append(ADVANCE, 0, nowMs);
  }

  trending(limit: number, order: number): void {
    this.#append(TRENDING, limit, order);
  }

  /** The appended entry counts from now on; its turn took so long. */
  publish(turnMs: number): void {
    this.#ms += turnMs;
    this.#end = this.#pendingEnd;
  }

  /** Does the turns again, on an instance that holds the committed image. */
  replay(instance: GuestInstance): void {
    for (let at = 0; at < this.#end;) {
      const kind = this.#view.getUint32(at, true);
      const count = this.#view.getUint32(at + 4, true);
      const value = this.#view.getFloat64(at + 8, true);
      at += ENTRY_BYTES;
      if (kind === CONFIGURE) instance.configure(value);
      else if (kind === ADVANCE) instance.advance(value);
      else if (kind === TRENDING) instance.trendingAgain(count, value);
      else {
        assert(kind === INGEST);
        instance.ingestAgain(this.#bytes, at, count);
        at += (count + 7) & ~7;
      }
    }
  }

  #append(kind: number, count: number, value: number): void {
    const at = this.#end;
    this.#view.setUint32(at, kind, true);
    this.#view.setUint32(at + 4, count, true);
    this.#view.setFloat64(at + 8, value, true);
    this.#pendingEnd = at + ENTRY_BYTES;
  }
}
