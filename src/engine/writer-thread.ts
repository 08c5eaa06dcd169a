/**
 * The writer as the I/O thread has it: its rings, its thread, and how the disk stands. A writer
 * that dies is started again: what it had not committed is still in the rings. Until then nothing
 * that is to be kept is taken.
 */
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
import { durableBytes, STATES } from "#durable/committer.ts";
import { StorageBoard } from "#durable/storage-board.ts";
import type { WriterMessage, WriterSettings, WriterWish } from "#durable/writer-worker.ts";
import type { HoldGate } from "#durable/writer-hold.ts";
import { LOG_RING_BYTES, LOG_SLOW_MS } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import type { StorageRecovery, StorageState, StorageStats } from "#model/storage.ts";
import type { Durability, ShardLog } from "#shard/protocol.ts";
import { createRing, RingWriter } from "#std/byte-ring.ts";
import { StorageError } from "./storage-error.ts";

/** What tenants run, by world: the store keeps it beside their images. */
export type KeptComponents = {
  readonly summarizer: KeptBytes;
  readonly moderator: KeptBytes;
};
type KeptBytes = { readonly digest: Uint8Array; readonly bytes: Uint8Array };

/** Deaths after which the writer is not started again, and how long it waits before each start. */
const RESTART_COUNT_MAX = 20;
const RESTART_MS = 500;
const RETRY_AFTER_SECONDS = 5;
const BUSY_RETRY_AFTER_SECONDS = 1;

export class WriterThread {
  readonly opened: Promise<void>;
  /** Snapshots of these tenants were found damaged. */
  onDamaged: (tenants: readonly string[]) => void = () => undefined;
  /** No file has anything of the tenant any more. */
  onErased: (tenant: string) => void = () => undefined;
  readonly #durability: Durability;
  readonly #components: KeptComponents;
  readonly #opening = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #logRings: readonly SharedArrayBuffer[];
  readonly #writers: readonly RingWriter[];
  readonly #shardRings: (SharedArrayBuffer | undefined)[];
  readonly #bell = new Int32Array(new SharedArrayBuffer(4));
  readonly #durable: Int32Array;
  readonly #boardBuffer: SharedArrayBuffer;
  readonly #board: StorageBoard;
  #worker!: Worker;
  #isOpen = false;
  #isStopping = false;
  #restart: NodeJS.Timeout | undefined;
  #streams: readonly number[] | undefined;
  #componentNumbers: readonly number[] = [];
  /** In words, what is wrong. */
  #detail = "";
  /** Its thread is gone; why. */
  #death: string | undefined;
  restartCount = 0;

  constructor(durability: Durability, components: KeptComponents, shardCount: number) {
    this.opened = this.#opening.promise;
    this.#durability = durability;
    this.#components = components;
    this.#logRings = Array.from({ length: shardCount }, () => createRing(LOG_RING_BYTES));
    this.#writers = this.#logRings.map((ring) => new RingWriter(ring));
    this.#shardRings = this.#logRings.map(() => undefined);
    this.#durable = new Int32Array(new SharedArrayBuffer(durableBytes(shardCount)));
    this.#boardBuffer = StorageBoard.create(shardCount);
    this.#board = new StorageBoard(this.#boardBuffer);
    this.#board.set("stateSinceMs", Date.now());
    this.#start();
  }

  /** All shards have begun, and needed these components of the store: others may go. */
  needed(components: readonly number[]): void {
    if (this.#death !== undefined) return;
    this.#worker.postMessage({ needed: components } satisfies WriterWish);
    this.#ring();
  }

  /** For a shard's thread that begins, and sleeps on `ring`; `isAgain`: not the first of it. */
  attach(shard: number, ring: SharedArrayBuffer, isAgain: boolean): ShardLog {
    this.#shardRings[shard] = ring;
    if (this.#death === undefined) {
      this.#worker.postMessage({ shard, ring } satisfies WriterWish);
    }
    const [summarizer, moderator] = this.#componentNumbers;
    return {
      ...this.#durability,
      ring: this.#logRings[shard]!,
      bell: this.#bell,
      durable: this.#durable,
      board: this.#boardBuffer,
      stream: this.#streams![shard]!,
      isAgain,
      components: { summarizer: summarizer!, moderator: moderator! },
      shardCount: this.#logRings.length,
    };
  }

  /** For the moment in which a backup begins. */
  hold(gate: HoldGate): void {
    this.#worker.postMessage({ gate } satisfies WriterWish);
    this.#ring();
  }

  /** Throws the problem of who wants something of a shard kept, if that cannot be now. */
  checkTaking(shard: number): void {
    const state = this.#state();
    if (state !== "ok") throw this.#problem(state);
    const { logBytesMax } = this.#durability;
    if (this.#board.get("logBytes") > logBytesMax)
      throw new Problem(
        "storageFull",
        `The log has its ${logBytesMax} bytes (logBytesMax); snapshots make room. Try again.`,
        { retryAfterSeconds: RETRY_AFTER_SECONDS },
      );
    const { bytesUsed } = this.#writers[shard]!;
    if (bytesUsed <= LOG_RING_BYTES / 2) return;
    throw new Problem("busy", `The disk is behind by ${bytesUsed} bytes. Try again.`, {
      retryAfterSeconds: BUSY_RETRY_AFTER_SECONDS,
    });
  }

  /** How the disk stands; of the engine comes what recovery made or makes. */
  stats(recovery: StorageRecovery): StorageStats {
    const board = this.#board;
    const { path, ack, logBytesMax } = this.#durability;
    const shards = this.#logRings.map((_, shard) => shard);
    const sumOf = (name: Parameters<StorageBoard["getOf"]>[1]): number =>
      shards.reduce((sum, shard) => sum + board.getOf(shard, name), 0);
    const written = this.#state();
    const isRecovering = written === "ok" && "progress" in recovery;
    const { commits } = board;
    return {
      state: isRecovering ? "recovering" : written,
      detail: written === "ok" ? undefined : this.#words(),
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

  /** Of a shard that reads what is kept. */
  progressOf(shard: number): { done: number; total: number; replayedTurns: number } {
    const board = this.#board;
    return {
      done: board.getOf(shard, "snapshotsDone"),
      total: board.getOf(shard, "snapshotsTotal"),
      replayedTurns: board.getOf(shard, "replayedTurns"),
    };
  }

  /** Once nobody writes any more: resolves when all of it is on disk, or cannot be. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#restart);
    for (const ring of this.#writers) ring.stop();
    this.#ring();
    if (this.#death !== undefined) this.#ended.resolve();
    await this.#ended.promise;
  }

  #start(): void {
    const workerData: WriterSettings = {
      path: this.#durability.path,
      logRings: this.#logRings,
      bell: this.#bell,
      durable: this.#durable,
      board: this.#boardBuffer,
      components: [this.#components.summarizer, this.#components.moderator],
      streams: this.#streams,
    };
    const url = new URL(import.meta.resolve("#durable/writer-worker.ts"));
    this.#worker = new Worker(url, { workerData, name: "writer" });
    let death = "it ended";
    this.#worker.on("message", (message: WriterMessage) => this.#take(message));
    this.#worker.on("error", (error) => (death = (error as Error).message));
    this.#worker.on("exit", () => this.#end(death));
  }

  #take(message: WriterMessage): void {
    if (message.type === "open") {
      this.#streams = message.streams;
      this.#componentNumbers = message.components;
      this.#isOpen = true;
      this.#death = undefined;
      for (const [shard, ring] of this.#shardRings.entries()) {
        if (ring !== undefined) this.#worker.postMessage({ shard, ring } satisfies WriterWish);
      }
      this.#opening.resolve();
    } else if (message.type === "taken") {
      const folder = dirname(this.#durability.path);
      const detail = `another process has the data in ${folder}; stop it, or choose another folder`;
      this.#opening.reject(new StorageError(`${detail}: --data-dir`));
    } else if (message.type === "damaged") this.onDamaged(message.tenants);
    else if (message.type === "erased") for (const tenant of message.tenants) this.onErased(tenant);
    else {
      this.#detail = message.detail;
      // Told when it begins, and when it is over.
      process.emitWarning(message.detail, { code: `NEXUSCORE_STORAGE_${message.state}` });
    }
  }

  /** A bug, or a file that is broken: the rings keep what waits for the next writer. */
  #end(reason: string): void {
    if (this.#isStopping) {
      this.#ended.resolve();
      return;
    }
    if (!this.#isOpen) {
      this.#opening.reject(new StorageError(`${this.#durability.path} cannot be had: ${reason}`));
      this.#ended.resolve();
      this.#death = reason;
      return;
    }
    this.#death = reason;
    // Who waits for the disk in a shard is told after a while that nobody knows.
    Atomics.store(this.#durable, this.#durable.length - 1, STATES.indexOf("failed"));
    this.#board.set("stateSinceMs", Date.now());
    this.#board.set("commitSinceMs", 0);
    process.emitWarning(reason, {
      code: "NEXUSCORE_WRITER_FAILED",
      detail: "no events are taken until it writes again",
    });
    if (this.restartCount >= RESTART_COUNT_MAX) return;
    this.restartCount += 1;
    this.#restart = setTimeout(() => this.#start(), RESTART_MS);
  }

  #ring(): void {
    Atomics.add(this.#bell, 0, 1);
    Atomics.notify(this.#bell, 0);
  }

  #state(): Exclude<StorageState, "off" | "recovering"> {
    if (this.#death !== undefined) return "failed";
    const written = STATES[Atomics.load(this.#durable, this.#durable.length - 1)]!;
    if (written !== "ok") return written;
    const sinceMs = this.#board.get("commitSinceMs");
    return sinceMs > 0 && Date.now() - sinceMs > LOG_SLOW_MS ? "slow" : "ok";
  }

  #words(): string {
    if (this.#death === undefined) return this.#detail || "a commit takes longer than it should";
    const next = this.restartCount < RESTART_COUNT_MAX ? "it starts anew" : "restart the server";
    return `the writer ended: ${this.#death}; ${next}`;
  }

  #problem(state: StorageState): Problem {
    const words = this.#words();
    const options = { retryAfterSeconds: RETRY_AFTER_SECONDS };
    if (state === "full") {
      return new Problem("storageFull", `The disk takes no events: ${words}. Try again.`, options);
    }
    const detail =
      state === "slow"
        ? `The disk is slow: ${words}. Try again.`
        : `The disk takes no events: ${words}. Try again.`;
    return new Problem("storageUnavailable", detail, options);
  }
}
