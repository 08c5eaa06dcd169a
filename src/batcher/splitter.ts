/**
 * Finds the events in a request's body and sends each to the shard of its tenant, as bytes; nothing
 * is decoded but the tenant. The work is Wasm (batcher/assembly/splitter.ts), this is its door.
 */
import assert from "node:assert/strict";
import { LINE_BYTES_MAX } from "#model/limits.ts";
import {
  type BatcherExports,
  instantiateBatcher,
  RESULT_CHUNK_TABLE,
  RESULT_CHUNKS,
  RESULT_ELEMENTS,
  RESULT_MALFORMED_AT,
} from "./module.ts";

/** `json`: one value, an event or an array of events. `ndjson`: one event a line. */
export type SplitFormat = "json" | "ndjson";

const SHARD_COUNT_MAX = 1024;
/** A hostile body can need six times its bytes; memory beyond this is given back afterwards. */
const MEMORY_BYTES_KEPT = 32 * 1024 * 1024;
const CHUNK_WORDS = 3;

/**
 * A record of kind `elements` that stands for one line too long to be sent: its index is the next
 * one of the request, its byte count says "too large", and it is rejected as eventTooLarge.
 */
export const ELEMENT_TOO_LARGE: Uint8Array = new Uint8Array(8).fill(0xff);

/** Splits bodies, one at a time: the chunks of one are gone with the next `split`. */
export class Splitter {
  /** Set where the body is not structurally one JSON object or array: the byte where that shows. */
  malformedAtByte: number | undefined = undefined;
  /** Events in the body. */
  elementCount = 0;
  /** Records of kind `elements`, those of a shard in the order of its events. */
  chunkCount = 0;

  readonly #shardCount: number;
  #wasm: BatcherExports;
  #memory: Uint8Array<ArrayBuffer>;
  #words: Uint32Array<ArrayBuffer>;
  #chunkWord = 0;

  constructor(shardCount: number) {
    assert(shardCount >= 1);
    assert(shardCount <= SHARD_COUNT_MAX);
    this.#shardCount = shardCount;
    this.#wasm = this.#instantiate();
    this.#memory = new Uint8Array(this.#wasm.memory.buffer);
    this.#words = new Uint32Array(this.#wasm.memory.buffer);
  }

  /**
   * Scatters the events of `body` over the shards; all go to `fixedShard` unless that is -1, when
   * the tenant of each decides (model/placement.ts). A malformed body yields no chunks, a malformed
   * event is the batcher's to reject. Returns itself; read it before the next call.
   */
  split(body: Uint8Array, format: SplitFormat, fixedShard: number): this {
    assert(fixedShard < this.#shardCount);
    if (this.#memory.length > MEMORY_BYTES_KEPT) this.#wasm = this.#instantiate();
    const wasm = this.#wasm;
    const address = wasm.splitterReserve(body.length);
    this.#refreshViews();
    this.#memory.set(body, address);
    let whole = true;
    if (format === "json") whole = wasm.splitJson(body.length, fixedShard) !== 0;
    else wasm.splitLines(body.length, fixedShard);
    this.#refreshViews();
    const words = this.#words;
    const result = wasm.resultsAddress() >>> 2;
    this.malformedAtByte = whole ? undefined : words[result + RESULT_MALFORMED_AT]!;
    this.elementCount = whole ? words[result + RESULT_ELEMENTS]! : 0;
    this.chunkCount = whole ? words[result + RESULT_CHUNKS]! : 0;
    this.#chunkWord = words[result + RESULT_CHUNK_TABLE]! >>> 2;
    return this;
  }

  chunkShard(chunk: number): number {
    return this.#words[this.#chunkWord + CHUNK_WORDS * chunk]!;
  }

  /** Where in `memory` the chunk begins. */
  chunkByteOffset(chunk: number): number {
    return this.#words[this.#chunkWord + CHUNK_WORDS * chunk + 1]!;
  }

  /** At most 64 KiB, or one element and its header of 8 bytes. */
  chunkByteCount(chunk: number): number {
    return this.#words[this.#chunkWord + CHUNK_WORDS * chunk + 2]!;
  }

  get memory(): Uint8Array {
    return this.#memory;
  }

  #instantiate(): BatcherExports {
    const wasm = instantiateBatcher();
    wasm.splitterInit(this.#shardCount);
    return wasm;
  }

  #refreshViews(): void {
    const { buffer } = this.#wasm.memory;
    if (buffer === this.#memory.buffer) return;
    this.#memory = new Uint8Array(buffer);
    this.#words = new Uint32Array(buffer);
  }
}

export type Cut = {
  /** One past the last byte of the piece: behind a newline, or the end of the body. */
  readonly end: number;
  /** The piece is one line over LINE_BYTES_MAX: send ELEMENT_TOO_LARGE in its place. */
  readonly tooLarge: boolean;
};

/**
 * Cuts whole lines of NDJSON from `start` on: as many as `bytesMax` holds, or one line if that
 * alone is longer. What is not `tooLarge` has at most max(bytesMax, LINE_BYTES_MAX + 2) bytes.
 */
export function cutLines(body: Uint8Array, start: number, bytesMax: number): Cut {
  if (body.length - start <= bytesMax) return { end: body.length, tooLarge: false };
  const lastNewline = body.lastIndexOf(NEWLINE, start + bytesMax - 1);
  if (lastNewline >= start) return { end: lastNewline + 1, tooLarge: false };
  const newline = body.indexOf(NEWLINE, start + bytesMax);
  const end = newline === -1 ? body.length : newline + 1;
  // A line that is just a little too long still fits, and the batcher says so itself.
  return { end, tooLarge: end - start > LINE_BYTES_MAX + 2 };
}

const NEWLINE = 0x0a;
