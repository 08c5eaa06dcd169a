/** The writer as the I/O thread has it: its rings, its thread, and how the disk stands. */
import { Worker } from "node:worker_threads";
import { durableBytes, STATES } from "#durable/committer.ts";
import { StorageBoard } from "#durable/storage-board.ts";
import type {
  FormerStream,
  WriterMessage,
  WriterSettings,
  WriterWish,
} from "#durable/writer-worker.ts";
import type { HoldGate } from "#durable/writer-hold.ts";
import { LOG_RING_BYTES } from "#model/limits.ts";
import type { StorageRecovery, StorageState, StorageStats } from "#model/storage.ts";
import type { Durability, ShardLog } from "#shard/protocol.ts";
import { createRing, RingWriter } from "#std/byte-ring.ts";

export class WriterThread {
  readonly opened: Promise<void>;
  readonly #durability: Durability;
  readonly #opening = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #worker: Worker;
  readonly #logRings: readonly SharedArrayBuffer[];
  readonly #bell = new Int32Array(new SharedArrayBuffer(4));
  readonly #durable: Int32Array;
  readonly #boardBuffer: SharedArrayBuffer;
  readonly #board: StorageBoard;
  #streams: readonly number[] = [];
  #former: readonly FormerStream[] = [];

  constructor(durability: Durability, shardCount: number) {
    const { path } = durability;
    this.opened = this.#opening.promise;
    this.#durability = durability;
    this.#logRings = Array.from({ length: shardCount }, () => createRing(LOG_RING_BYTES));
    this.#durable = new Int32Array(new SharedArrayBuffer(durableBytes(shardCount)));
    this.#boardBuffer = StorageBoard.create(shardCount);
    this.#board = new StorageBoard(this.#boardBuffer);
    this.#board.set("stateSinceMs", Date.now());
    const workerData: WriterSettings = {
      path,
      logRings: this.#logRings,
      bell: this.#bell,
      durable: this.#durable,
      board: this.#boardBuffer,
    };
    const url = new URL(import.meta.resolve("#durable/writer-worker.ts"));
    this.#worker = new Worker(url, { workerData, name: "writer" });
    this.#worker.on("message", ({ streams, former }: WriterMessage) => {
      this.#streams = streams;
      this.#former = former;
      this.#opening.resolve();
    });
    this.#worker.on("error", (error) => this.#opening.reject(error));
    this.#worker.on("exit", () => this.#ended.resolve());
  }

  /** For a shard's thread that begins, and sleeps on `ring`. */
  attach(shard: number, ring: SharedArrayBuffer): ShardLog {
    this.#worker.postMessage({ shard, ring } satisfies WriterWish);
    return {
      ...this.#durability,
      ring: this.#logRings[shard]!,
      bell: this.#bell,
      durable: this.#durable,
      board: this.#boardBuffer,
      stream: this.#streams[shard]!,
      former: this.#former,
      shardCount: this.#logRings.length,
    };
  }

  /** For the moment in which a backup begins. */
  hold(gate: HoldGate): void {
    this.#worker.postMessage({ gate } satisfies WriterWish);
    Atomics.add(this.#bell, 0, 1);
    Atomics.notify(this.#bell, 0);
  }

  /** How the disk stands; of the engine comes what recovery made or makes. */
  stats(recovery: StorageRecovery): StorageStats {
    const board = this.#board;
    const { path, ack, logBytesMax } = this.#durability;
    const shards = this.#logRings.map((_, shard) => shard);
    const sumOf = (name: Parameters<StorageBoard["getOf"]>[1]): number =>
      shards.reduce((sum, shard) => sum + board.getOf(shard, name), 0);
    const written: StorageState = STATES[Atomics.load(this.#durable, this.#durable.length - 1)]!;
    const isRecovering = written === "ok" && "progress" in recovery;
    const { commits } = board;
    return {
      state: isRecovering ? "recovering" : written,
      sinceMs: board.get("stateSinceMs"),
      ack,
      path,
      logBytes: board.get("logBytes"),
      logBytesMax,
      storeBytes: board.get("storeBytes"),
      backlogMs: Math.max(...shards.map((shard) => board.getOf(shard, "backlogMs"))),
      dirtyTenants: sumOf("dirtyTenants"),
      heldAnswers: sumOf("heldAnswers"),
      commitCount: board.get("commitCount"),
      commitFailures: board.get("commitFailures"),
      commitMs: {
        p50: commits.quantileUs(0.5) / 1_000,
        p99: commits.quantileUs(0.99) / 1_000,
        max: board.get("commitMsMax"),
      },
      snapshotCount: board.get("snapshotCount"),
      snapshotBytes: board.get("snapshotBytes"),
      recovery,
    };
  }

  /** Once nobody writes any more: resolves when all of it is on disk. */
  async stop(): Promise<void> {
    for (const ring of this.#logRings) new RingWriter(ring).stop();
    Atomics.add(this.#bell, 0, 1);
    Atomics.notify(this.#bell, 0);
    await this.#ended.promise;
  }
}
