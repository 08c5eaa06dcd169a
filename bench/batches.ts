/** Guest batches made beforehand, back to back in one memory as the batcher would leave them. */
import assert from "node:assert/strict";
import { BATCH_BYTES_MAX } from "#model/limits.ts";
import { type BatchEvent, writeBatch } from "#testing/batch.ts";

const BATCH_HEADER_BYTES = 16;
const NOW_OFFSET = 8;
const TIME_OFFSET = 8;

export type PoolEvent = Pick<BatchEvent, "user"> & Partial<BatchEvent>;

export class BatchPool {
  readonly memory: Uint8Array;
  readonly count: number;
  readonly #view: DataView;
  readonly #offsets: Uint32Array;
  readonly #eventCounts: Uint32Array;

  constructor(batches: readonly (readonly PoolEvent[])[], nowMs: number) {
    const encoded = batches.map((events) => {
      return writeBatch(
        events.map((event) => ({ ...event, tsMs: nowMs })),
        nowMs,
      );
    });
    this.count = batches.length;
    this.memory = new Uint8Array(Buffer.concat(encoded));
    this.#view = new DataView(this.memory.buffer);
    this.#offsets = new Uint32Array(this.count + 1);
    this.#eventCounts = Uint32Array.from(batches, (events) => events.length);
    for (const [index, bytes] of encoded.entries()) {
      assert(bytes.byteLength <= BATCH_BYTES_MAX, "a batch keeps its limit");
      this.#offsets[index + 1] = this.#offsets[index]! + bytes.byteLength;
    }
  }

  byteOffset(batch: number): number {
    return this.#offsets[batch]!;
  }

  byteCount(batch: number): number {
    return this.#offsets[batch + 1]! - this.#offsets[batch]!;
  }

  eventCount(batch: number): number {
    return this.#eventCounts[batch]!;
  }

  /** Moves a batch and all its events to another time. */
  setTime(batch: number, nowMs: number): void {
    let offset = this.#offsets[batch]!;
    const end = this.#offsets[batch + 1]!;
    this.#view.setFloat64(offset + NOW_OFFSET, nowMs, true);
    offset += BATCH_HEADER_BYTES;
    while (offset < end) {
      this.#view.setFloat64(offset + TIME_OFFSET, nowMs, true);
      offset += this.#view.getUint32(offset, true);
    }
  }
}

/** Cuts a tenant's events, in order, into batches of at most `bytesMax`. */
export function cutBatches<Event extends PoolEvent>(
  events: readonly Event[],
  bytesMax: number = BATCH_BYTES_MAX,
): Event[][] {
  const batches: Event[][] = [];
  let bytes = Infinity;
  for (const event of events) {
    const eventBytes = writeBatch([event]).byteLength - BATCH_HEADER_BYTES;
    if (bytes + eventBytes > bytesMax) {
      batches.push([]);
      bytes = BATCH_HEADER_BYTES;
    }
    batches.at(-1)!.push(event);
    bytes += eventBytes;
  }
  return batches;
}
