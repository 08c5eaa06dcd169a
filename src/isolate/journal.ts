/**
 * The turns of a slot's tenant since its image was committed: image + journal = the tenant, because
 * a guest is a function of its calls. It exists so that a turn need not end with a commit (a
 * comparison of 192 KiB), and a failed turn can still be undone: new instance, last image, journal
 * again.
 *
 * Entries of 16 bytes { u32 kind, u32 bytes, u32 first, u32 second }, then so many bytes,
 * 8-aligned:
 *
 *   configure  clock, spans        advance    now, as one f64
 *   ingest     the batch           questions  two numbers, or a text
 *
 * Questions change nothing in a guest that keeps the contract; they are kept all the same, so that
 * a guest that does not is still the same function of its calls in any slot.
 *
 * An entry is written beyond the end, and counts once `publish` moves the end: one store.
 */
import assert from "node:assert/strict";
import { BATCH_BYTES_MAX, JOURNAL_BYTES, JOURNAL_MS_MAX } from "#model/limits.ts";

export const ENTRY_BYTES = 16;

/** Kinds of entries of the summarizer's world. */
export const CONFIGURE_ENTRY = 1;
export const INGEST_ENTRY = 2;
export const ADVANCE_ENTRY = 3;
/** And above it, by the number of the question. */
export const QUESTION_ENTRY = 4;

/** What does a turn again, on an instance that holds what it held before that turn. */
export type Replayable = {
  /** `time`: the two numbers read as one double. */
  readonly again: (
    kind: number,
    first: number,
    second: number,
    time: number,
    source: Buffer,
    byteOffset: number,
    byteCount: number,
  ) => void;
};

/** Who is told every turn that counts: the entry begins at `from`. */
export type JournalSink = {
  readonly makeRoom: (byteCount: number) => void;
  readonly append: (tenant: number, journal: Buffer, view: DataView, from: number) => void;
  /** Of what was appended: [end, pending end, count, pending count]. */
  readonly cursor: Float64Array;
};

/** Nobody is told. */
const NO_CURSOR = new Float64Array(4);

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

  configure(clock: number, spans: number): void {
    this.#append(CONFIGURE_ENTRY, clock, spans);
  }

  ingest(source: Uint8Array, byteOffset: number, byteCount: number): void {
    this.#append(INGEST_ENTRY, 0, 0);
    this.#appendBytes(source, byteOffset, byteCount);
  }

  advance(nowMs: number): void {
    this.#append(ADVANCE_ENTRY, 0, 0);
    this.#view.setFloat64(this.#end + 8, nowMs, true);
  }

  /** Hot. A turn of another world: a kind of that world's, and bytes. */
  call(kind: number, source: Uint8Array, byteOffset: number, byteCount: number): void {
    this.#append(kind, 0, 0);
    this.#appendBytes(source, byteOffset, byteCount);
  }

  /** The same, with two numbers. */
  callWith(
    kind: number,
    first: number,
    second: number,
    source: Uint8Array,
    byteOffset: number,
    byteCount: number,
  ): void {
    this.#append(kind, first, second);
    this.#appendBytes(source, byteOffset, byteCount);
  }

  /** The same, with a double. */
  callAt(kind: number, time: number): void {
    this.#append(kind, 0, 0);
    this.#view.setFloat64(this.#end + 8, time, true);
  }

  /** `question`: its number. */
  ask(question: number, first: number, second: number, text: Uint8Array): void {
    this.#append(QUESTION_ENTRY + question, first, second);
    this.#appendBytes(text, 0, text.length);
  }

  /** Hot. Hands the appended entry on, before it counts. */
  handOn(sink: JournalSink, tenant: number): void {
    sink.append(tenant, this.#bytes, this.#view, this.#end);
  }

  /** It counts from now on, here and where it was handed on; the turn took so long. */
  publish(turnMs: number, cursor: Float64Array = NO_CURSOR): void {
    this.#ms += turnMs;
    this.#end = this.#pendingEnd;
    // One straight line with the above: the turn is in both or in neither.
    cursor[0] = cursor[1]!;
    cursor[2] = cursor[3]!;
  }

  /** Does the turns again, on an instance that holds the committed image. */
  replay(instance: Replayable): void {
    for (let at = 0; at < this.#end;) {
      const kind = this.#view.getUint32(at, true);
      const byteCount = this.#view.getUint32(at + 4, true);
      const first = this.#view.getUint32(at + 8, true);
      const second = this.#view.getUint32(at + 12, true);
      const time = this.#view.getFloat64(at + 8, true);
      const bytesAt = at + ENTRY_BYTES;
      instance.again(kind, first, second, time, this.#bytes, bytesAt, byteCount);
      at = bytesAt + ((byteCount + 7) & ~7);
    }
  }

  #append(kind: number, first: number, second: number): void {
    const at = this.#end;
    this.#view.setUint32(at, kind, true);
    this.#view.setUint32(at + 4, 0, true);
    this.#view.setUint32(at + 8, first, true);
    this.#view.setUint32(at + 12, second, true);
    this.#pendingEnd = at + ENTRY_BYTES;
  }

  /** Behind the entry that was appended. */
  #appendBytes(source: Uint8Array, byteOffset: number, byteCount: number): void {
    const start = this.#pendingEnd;
    this.#view.setUint32(this.#end + 4, byteCount, true);
    Buffer.prototype.copy.call(source, this.#bytes, start, byteOffset, byteOffset + byteCount);
    this.#pendingEnd = start + ((byteCount + 7) & ~7);
  }
}
