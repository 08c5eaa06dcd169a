/** A batch without some of its events, which the tenant's component is handed instead. */
import { BATCH_BYTES_MAX } from "#model/limits.ts";

const HEAD_BYTES = 16;
const EVENT_BYTES_MIN = 32;

export class KeptEvents {
  readonly bytes = Buffer.from(new ArrayBuffer(BATCH_BYTES_MAX));
  byteCount = 0;
  eventCount = 0;
  readonly #view = new DataView(this.bytes.buffer);
  /** Of each event that was kept, its place in the whole batch. */
  readonly #indexes = new Uint16Array(BATCH_BYTES_MAX / EVENT_BYTES_MIN);

  /** Copies the batch at this offset of a memory, but for the events that `drops` names. */
  keep(memory: Uint8Array, byteOffset: number, drops: (event: number) => boolean): void {
    const view = new DataView(memory.buffer, memory.byteOffset);
    const eventCount = view.getUint32(byteOffset, true);
    this.bytes.set(memory.subarray(byteOffset, byteOffset + HEAD_BYTES));
    this.byteCount = HEAD_BYTES;
    this.eventCount = 0;
    let from = byteOffset + HEAD_BYTES;
    for (let event = 0; event < eventCount; event++) {
      const to = from + view.getUint32(from, true);
      if (!drops(event)) {
        this.bytes.set(memory.subarray(from, to), this.byteCount);
        this.byteCount += to - from;
        this.#indexes[this.eventCount] = event;
        this.eventCount += 1;
      }
      from = to;
    }
    this.#view.setUint32(0, this.eventCount, true);
  }

  /** Place in the whole batch of the n-th event that was kept. */
  indexOf(kept: number): number {
    return this.#indexes[kept]!;
  }
}
