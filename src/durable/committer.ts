/**
 * The writer: takes what shards put into their log rings, commits it in groups, and tells them how
 * far the disk has got. A group is all that waits when the one before is done and the writer has
 * rested in proportion to what it took: a quiet server syncs for one request at once, a loaded one
 * for thousands. Without the rest a writer that always finds something makes hundreds of little
 * commits a second, and takes from the shards the time in which more would have gathered. One
 * sender alone, who waits for each answer, would only wait longer for it: for that one is no rest.
 *
 * Records stay in their rings until they are committed: if this thread dies, the next one finds
 * them.
 *
 * What cannot be written is kept and tried again, whole: after a failed sync nothing is believed of
 * what the disk has, but what was committed before. Meanwhile the rings fill, and `state` tells
 * everybody that new events are to be refused: full, read-only, failed, or slow.
 *
 *   durable, Int32   of shard s: 2s number of its last block on disk, modulo 2^32
 *                                2s + 1 bytes that wait for it, in KiB
 *                    last: the state, an index into STATES
 */
import assert from "node:assert/strict";
import {
  LOG_BLOCK_BYTES_MAX,
  LOG_GROUP_BYTES_MAX,
  LOG_REST,
  LOG_REST_BYTES_MAX,
  LOG_REST_MS_MAX,
  LOG_SLOW_MS,
} from "#model/limits.ts";
import type { RingReader } from "#std/byte-ring.ts";
import { type Group, type Log, type LogBlock, WriteFailure } from "./durable-store.ts";
import type { Forgotten, StoredSnapshot, Trim } from "./durable-store.ts";
import type { StorageBoard } from "./storage-board.ts";
import { BLOCK_BYTES_AT, BLOCK_HEADER_BYTES, BLOCK_NUMBER_AT } from "./turn-log.ts";

/** Kinds of records of a log ring. */
export const RECORD_BLOCK = 1;
/** { u32 world, u32 bytes of tenant, tenant padded to 8, snapshot }. */
export const RECORD_SNAPSHOT = 2;
/** { f64 number, f64 taken }: see Trim. */
export const RECORD_TRIM = 3;
/** { u32 bytes of name, u32 0, f64 number: of the last block with the tenant, name }. */
export const RECORD_FORGET = 4;

export const STATES = ["ok", "slow", "full", "readOnly", "failed"] as const;
export type StoreState = (typeof STATES)[number];

/** Whether block `number` is on disk, as its shard's word says. */
export function isDurable(word: number, number: number): boolean {
  return ((word - number) | 0) >= 0;
}

export function durableBytes(shardCount: number): number {
  return 4 * (2 * shardCount + 1);
}

export type CommitterStream = {
  readonly stream: number;
  readonly ring: RingReader;
  /** Blocks up to this number are on disk: a writer before this one got that far. */
  readonly from?: number;
};

export type CommitterParts = {
  readonly log: Log;
  /** By shard. */
  readonly streams: readonly CommitterStream[];
  readonly durable: Int32Array;
  /** The shard has something to tell. */
  readonly wake: (shard: number) => void;
  readonly clock?: () => number;
  readonly board?: StorageBoard;
  /** The state is another now; in words, why. */
  readonly onState?: (state: StoreState, detail: string) => void;
};

/** What is being written, in memory of its own: the rings are free again. */
type Taken = {
  readonly blocks: LogBlock[];
  readonly snapshots: StoredSnapshot[];
  readonly trims: Trim[];
  readonly forgotten: Forgotten[];
  byteCount: number;
};

/** After so many it is taken that one sender waits for each answer: a rest would gather nothing. */
const LONE_GROUPS = 3;

export class Committer {
  readonly #parts: CommitterParts;
  readonly #clock: () => number;
  #taken: Taken | undefined;
  #lastFailure = "";
  #restUntilMs = 0;
  /** Groups in succession of one block each, after which nothing waited. */
  #loneCount = 0;
  groupCount = 0;
  blockCount = 0;
  byteCount = 0;
  failureCount = 0;
  commitMs = 0;

  constructor(parts: CommitterParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? (() => performance.now());
    assert(parts.durable.length === 2 * parts.streams.length + 1);
  }

  get state(): StoreState {
    return STATES[Atomics.load(this.#parts.durable, this.#parts.durable.length - 1)]!;
  }

  /** In words, for logs and doctor; empty: there was none. */
  get lastFailure(): string {
    return this.#lastFailure;
  }

  /** How long to rest before the next step, ms; 0: not at all. */
  get restMs(): number {
    const waiting = this.#waitingBytes;
    if (waiting >= LOG_REST_BYTES_MAX) return 0;
    if (waiting === 0 && this.#loneCount >= LONE_GROUPS) return 0;
    return Math.max(0, this.#restUntilMs - this.#clock());
  }

  /** Commits what waits. `idle`: nothing waited. `failed`: try again later, nothing is lost. */
  async step(): Promise<"idle" | "done" | "failed"> {
    this.#taken ??= this.#take();
    const taken = this.#taken;
    if (taken === undefined) {
      // Nothing comes any more while events are refused: so the next of them is the trial.
      if (this.state === "slow") this.#setState("ok");
      return "idle";
    }
    const { board } = this.#parts;
    const startMs = this.#clock();
    board?.set("commitSinceMs", Date.now());
    try {
      await this.#parts.log.commit(taken satisfies Group);
    } catch (error) {
      if (!(error instanceof WriteFailure) || error.kind === "fenced") throw error;
      this.#lastFailure = error.message;
      this.failureCount += 1;
      board?.set("commitFailures", this.failureCount);
      this.#setState(error.kind);
      return "failed";
    } finally {
      board?.set("commitSinceMs", 0);
    }
    const tookMs = this.#clock() - startMs;
    this.#taken = undefined;
    for (const { ring } of this.#parts.streams) ring.releasePassed();
    this.#restUntilMs = startMs + tookMs + Math.min(LOG_REST * tookMs, LOG_REST_MS_MAX);
    const isLone = taken.blocks.length <= 1 && this.#waitingBytes === 0;
    this.#loneCount = isLone ? this.#loneCount + 1 : 0;
    this.groupCount += 1;
    this.blockCount += taken.blocks.length;
    this.byteCount += taken.byteCount;
    this.commitMs += tookMs;
    if (board !== undefined) this.#count(board, taken, tookMs);
    const isSlow = tookMs > LOG_SLOW_MS;
    if (isSlow) this.#lastFailure = `a commit took ${Math.round(tookMs)} ms`;
    this.#setState(isSlow ? "slow" : "ok");
    this.#tell(taken.blocks);
    return "done";
  }

  get #waitingBytes(): number {
    return this.#parts.streams.reduce((sum, { ring }) => sum + ring.bytesUsed, 0);
  }

  #take(): Taken | undefined {
    const taken: Taken = { blocks: [], snapshots: [], trims: [], forgotten: [], byteCount: 0 };
    const share = LOG_GROUP_BYTES_MAX / this.#parts.streams.length;
    for (const [shard, { stream, ring, from = 0 }] of this.#parts.streams.entries()) {
      const endBytes = taken.byteCount + share;
      while (taken.byteCount < endBytes && ring.next()) {
        this.#takeRecord(taken, stream, ring, from);
        ring.pass();
      }
      Atomics.store(this.#parts.durable, 2 * shard + 1, ring.bytesUsed >>> 10);
    }
    return taken.byteCount > 0 ? taken : undefined;
  }

  #takeRecord(taken: Taken, stream: number, ring: RingReader, from: number): void {
    const { kind, payloadOffset: at, view } = ring;
    if (kind === RECORD_BLOCK) {
      const byteCount = BLOCK_HEADER_BYTES + view.getUint32(at + BLOCK_BYTES_AT, true);
      assert(byteCount <= LOG_BLOCK_BYTES_MAX && view.getUint32(at + 8, true) === stream);
      const number = view.getFloat64(at + BLOCK_NUMBER_AT, true);
      taken.byteCount += byteCount;
      if (number <= from) return;
      taken.blocks.push({ stream, number, bytes: ring.bytes.slice(at, at + byteCount) });
    } else if (kind === RECORD_SNAPSHOT) {
      const world = view.getUint32(at, true);
      const nameBytes = view.getUint32(at + 4, true);
      const byteCount = view.getUint32(at + 8, true);
      const bytesAt = at + 16 + ((nameBytes + 7) & ~7);
      const tenant = nameOf(ring, at + 16, nameBytes);
      const bytes = ring.bytes.slice(bytesAt, bytesAt + byteCount);
      taken.snapshots.push({ tenant, world, bytes });
      taken.byteCount += byteCount;
    } else if (kind === RECORD_TRIM) {
      const [number, reached] = [view.getFloat64(at, true), view.getFloat64(at + 8, true)];
      taken.trims.push({ stream, number, taken: reached });
      taken.byteCount += 1;
    } else {
      assert(kind === RECORD_FORGET);
      const tenant = nameOf(ring, at + 16, view.getUint32(at, true));
      taken.forgotten.push({ tenant, stream, number: view.getFloat64(at + 8, true) });
      taken.byteCount += 1;
    }
  }

  #tell(blocks: readonly LogBlock[]): void {
    const { streams, durable, wake } = this.#parts;
    for (const { stream, number } of blocks) {
      const shard = streams.findIndex((own) => own.stream === stream);
      Atomics.store(durable, 2 * shard, number | 0);
    }
    const told = new Set(blocks.map(({ stream }) => stream));
    for (const [shard, { stream }] of streams.entries()) if (told.has(stream)) wake(shard);
  }

  #count(board: StorageBoard, taken: Taken, tookMs: number): void {
    board.commits.add(tookMs);
    board.set("commitMsMax", Math.max(board.get("commitMsMax"), tookMs));
    board.set("commitCount", this.groupCount);
    board.set("blockCount", this.blockCount);
    const snapshotBytes = taken.snapshots.reduce((sum, { bytes }) => sum + bytes.length, 0);
    board.set("snapshotCount", board.get("snapshotCount") + taken.snapshots.length);
    board.set("snapshotBytes", board.get("snapshotBytes") + snapshotBytes);
  }

  #setState(state: StoreState): void {
    const { durable, board, onState } = this.#parts;
    const before = Atomics.exchange(durable, durable.length - 1, STATES.indexOf(state));
    if (STATES[before] === state) return;
    board?.set("stateSinceMs", Date.now());
    onState?.(state, state === "ok" ? "" : this.#lastFailure);
  }
}

function nameOf(ring: RingReader, at: number, byteCount: number): string {
  return Buffer.from(ring.bytes.slice(at, at + byteCount)).toString("latin1");
}
