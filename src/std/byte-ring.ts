/**
 * One writer, one reader, variable records, over a SharedArrayBuffer.
 *
 *   control (Int32)   0 head: units read so far     1 tail: units written so far     2 stop flag
 *                     3 wakes so far: what a reader that has nothing to do sleeps on
 *   data              records { u32 bytes of the record, u32 kind, payload }, each a multiple of
 *                     8 bytes; a record never wraps: the rest of the ring is skipped by a pad.
 *
 * Positions count units of 8 bytes modulo 2^32, so the ring may be up to 16 GiB and head === tail
 * always means empty. The writer publishes with an atomic store of the tail after the bytes are in
 * place; the reader frees with an atomic store of the head. Nothing is allocated per record.
 *
 * Whoever has something for the reader that is not in the ring wakes it (`wakeRing`). Each wake is
 * counted, and the reader sleeps only while the count is what it was when it began to look around:
 * so none is lost between its last look and its sleep.
 */
import assert from "node:assert/strict";

const UNIT_BYTES = 8;
const CONTROL_BYTES = 64;
const HEAD = 0;
const TAIL = 1;
const STOP = 2;
const WAKES = 3;

export const RECORD_HEADER_BYTES = 8;
const KIND_PAD = 0xffffffff;

export function createRing(bytes: number): SharedArrayBuffer {
  assert(bytes % UNIT_BYTES === 0);
  assert(Math.log2(bytes) % 1 === 0, "a ring is a power of two of bytes");
  return new SharedArrayBuffer(CONTROL_BYTES + bytes);
}

/** Lets the reader of a ring look around, from any thread; nothing is written. */
export function wakeRing(buffer: SharedArrayBuffer): void {
  wakeReader(new Int32Array(buffer, 0, CONTROL_BYTES / 4));
}

function wakeReader(control: Int32Array): void {
  Atomics.add(control, WAKES, 1);
  Atomics.notify(control, WAKES);
}

/** What both ends share: the views, and how full the ring is. */
class Ring {
  /** The data; record offsets index it. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  protected readonly control: Int32Array;
  protected readonly unitCount: number;

  constructor(buffer: SharedArrayBuffer) {
    this.control = new Int32Array(buffer, 0, CONTROL_BYTES / 4);
    this.bytes = new Uint8Array(buffer, CONTROL_BYTES);
    this.view = new DataView(buffer, CONTROL_BYTES);
    this.unitCount = this.bytes.length / UNIT_BYTES;
  }

  get bytesUsed(): number {
    const used = Atomics.load(this.control, TAIL) - Atomics.load(this.control, HEAD);
    return (used >>> 0) * UNIT_BYTES;
  }

  get stopping(): boolean {
    return Atomics.load(this.control, STOP) === 1;
  }
}

export class RingWriter extends Ring {
  #reservedUnits = 0;

  /**
   * Whether records of `byteCount` payload bytes in all, none over `recordBytesMax`, surely fit
   * now: `later` when only the reader is behind, `never` when they are too many for any ring.
   */
  fits(recordCount: number, byteCount: number, recordBytesMax: number): "now" | "later" | "never" {
    const overheadBytes = RECORD_HEADER_BYTES + UNIT_BYTES;
    // A record that does not fit before the end wastes less than its own size, once a lap.
    const neededBytes = byteCount + recordBytesMax + (recordCount + 1) * overheadBytes;
    if (neededBytes > this.bytes.length) return "never";
    return neededBytes <= this.bytes.length - this.bytesUsed ? "now" : "later";
  }

  /** Offset of `payloadBytes` free bytes, or -1 if there is no room. Follow with `publish`. */
  reserve(kind: number, payloadBytes: number): number {
    assert(kind < KIND_PAD);
    assert(this.#reservedUnits === 0);
    const units = Math.ceil((RECORD_HEADER_BYTES + payloadBytes) / UNIT_BYTES);
    const tail = this.control[TAIL]!;
    const at = (tail >>> 0) % this.unitCount;
    const untilEnd = this.unitCount - at;
    const padUnits = units > untilEnd ? untilEnd : 0;
    if ((padUnits + units) * UNIT_BYTES > this.bytes.length - this.bytesUsed) return -1;
    if (padUnits > 0) this.#writeHeader(at * UNIT_BYTES, padUnits, KIND_PAD);
    const offset = padUnits > 0 ? 0 : at * UNIT_BYTES;
    this.#writeHeader(offset, units, kind);
    this.#reservedUnits = padUnits + units;
    return offset + RECORD_HEADER_BYTES;
  }

  /** Hands the reserved record to the reader and wakes it. */
  publish(): void {
    assert(this.#reservedUnits > 0);
    Atomics.store(this.control, TAIL, (this.control[TAIL]! + this.#reservedUnits) | 0);
    this.#reservedUnits = 0;
    wakeReader(this.control);
  }

  /** Lets a sleeping reader look around; nothing is written. */
  wake(): void {
    wakeReader(this.control);
  }

  /** Tells the reader that nothing follows. */
  stop(): void {
    Atomics.store(this.control, STOP, 1);
    wakeReader(this.control);
  }

  #writeHeader(offset: number, units: number, kind: number): void {
    this.view.setUint32(offset, units * UNIT_BYTES, true);
    this.view.setUint32(offset + 4, kind, true);
  }
}

export class RingReader extends Ring {
  /** The record that `next` found. */
  kind = 0;
  payloadOffset = 0;
  #recordUnits = 0;
  /** Units read so far; the control's head is behind it while records are passed, not released. */
  #read: number;
  #wakes = 0;

  constructor(buffer: SharedArrayBuffer) {
    super(buffer);
    this.#read = Atomics.load(this.control, HEAD);
  }

  /** Begins to look around: whatever comes or wakes from here on ends the next `wait`. */
  look(): void {
    this.#wakes = Atomics.load(this.control, WAKES);
  }

  /** Finds the next record; false when the ring is empty. Free it with `release`. */
  next(): boolean {
    assert(this.#recordUnits === 0);
    for (;;) {
      const head = this.#read;
      if (Atomics.load(this.control, TAIL) === head) return false;
      const offset = ((head >>> 0) % this.unitCount) * UNIT_BYTES;
      const units = this.view.getUint32(offset, true) / UNIT_BYTES;
      this.kind = this.view.getUint32(offset + 4, true);
      this.#recordUnits = units;
      this.payloadOffset = offset + RECORD_HEADER_BYTES;
      if (this.kind !== KIND_PAD) return true;
      this.pass();
    }
  }

  /** Frees the record that `next` found, and those that were passed before it. */
  release(): void {
    this.pass();
    this.releasePassed();
  }

  /** Goes on to the next record, and leaves this one where it is: another reader finds it again. */
  pass(): void {
    assert(this.#recordUnits > 0);
    this.#read = (this.#read + this.#recordUnits) | 0;
    this.#recordUnits = 0;
  }

  releasePassed(): void {
    Atomics.store(this.control, HEAD, this.#read);
  }

  /**
   * Blocks the thread until something is written, the writer stops, or anybody wakes it, since the
   * last `look`; false: the time is over.
   */
  wait(timeoutMs: number): boolean {
    return Atomics.wait(this.control, WAKES, this.#wakes, timeoutMs) !== "timed-out";
  }
}
