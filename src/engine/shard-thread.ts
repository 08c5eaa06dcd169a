/**
 * One shard as the I/O thread holds it: its ring, its worker, its counters; started again if it
 * dies.
 */
import assert from "node:assert/strict";
import { Worker } from "node:worker_threads";
import { RING_BYTES } from "#model/limits.ts";
import { OUTCOMES } from "#model/outcome.ts";
import {
  FLAG_LAST,
  ShardCounters,
  type ShardMessage,
  type ShardSettings,
  writeRecord,
} from "#shard/protocol.ts";
import { createRing, RingWriter } from "#std/byte-ring.ts";
import type { ShardStats } from "./door.ts";
import type { Waiting } from "./waiting.ts";

/** Deaths after which a shard is not started again: it would only die once more. */
const RESTART_COUNT_MAX = 5;
/** How long one step may take before the shard counts as stuck, and how often that is looked at. */
const STEP_MS_MAX = 30_000;
const WATCH_MS = 1_000;

export type ShardRecord = {
  readonly kind: number;
  readonly request: number;
  readonly last: boolean;
  readonly tenant: Uint8Array;
};

export class ShardThread {
  readonly started: Promise<void>;
  ready = false;
  readonly #settings: Omit<ShardSettings, "ring" | "counters" | "incarnation">;
  readonly #waiting: Waiting;
  /** Requests that this shard has not answered. */
  readonly #requests = new Set<number>();
  readonly #startedWith = Promise.withResolvers<void>();
  #stopped = Promise.withResolvers<void>();
  #stopping = false;
  #restartCount = 0;
  #ring!: RingWriter;
  #counters!: ShardCounters;
  #worker!: Worker;
  #stepCount = 0;
  #steppedMs = 0;
  readonly #watch: NodeJS.Timeout;

  constructor(
    settings: Omit<ShardSettings, "ring" | "counters" | "incarnation">,
    waiting: Waiting,
  ) {
    this.#settings = settings;
    this.#waiting = waiting;
    this.started = this.#startedWith.promise;
    this.#start();
    this.#watch = setInterval(() => this.#endIfStuck(performance.now()), WATCH_MS);
    this.#watch.unref();
  }

  /** Whether `recordCount` records with `byteCount` bytes in all have room now. */
  fits(recordCount: number, byteCount: number): boolean {
    return this.ready && this.#ring.fits(recordCount, byteCount);
  }

  /** Writes a record that `fits` has promised room for. */
  write({ kind, request, last, tenant }: ShardRecord, body: Uint8Array): void {
    this.#requests.add(request);
    const flags = last ? FLAG_LAST : 0;
    const written = writeRecord(
      this.#ring,
      { kind, request, flags, tenant, arrivedMs: Date.now() },
      body,
    );
    assert(written);
  }

  stats(): ShardStats {
    const counters = this.#counters;
    const outcomes = counters.outcomes;
    return {
      shard: this.#settings.shard,
      tenantCount: counters.get("tenantCount"),
      eventCount: counters.get("eventCount"),
      rejectedCount: counters.get("rejectedCount"),
      turnCount: counters.get("turnCount"),
      slotHitCount: counters.get("slotHitCount"),
      slotMissCount: counters.get("slotMissCount"),
      imageBytes: counters.get("imageBytes"),
      ringBytesUsed: this.#ring.bytesUsed,
      outcomes: Object.fromEntries(OUTCOMES.map((outcome, i) => [outcome, outcomes[i]!])),
      turnUs: {
        p50: counters.turns.quantileUs(0.5),
        p99: counters.turns.quantileUs(0.99),
        p999: counters.turns.quantileUs(0.999),
      },
    };
  }

  /** Resolves once the shard has worked off its ring and ended. */
  stop(): Promise<void> {
    this.#stopping = true;
    this.#ring.stop();
    return this.#stopped.promise;
  }

  #start(): void {
    const ring = createRing(RING_BYTES);
    const counters = new SharedArrayBuffer(ShardCounters.BYTES);
    this.#ring = new RingWriter(ring);
    this.#counters = new ShardCounters(counters);
    const incarnation = this.#restartCount;
    const workerData: ShardSettings = { ...this.#settings, ring, counters, incarnation };
    this.#worker = new Worker(new URL(import.meta.resolve("#shard/worker.ts")), {
      workerData,
      name: `shard-${this.#settings.shard}`,
    });
    this.#worker.on("message", (message: ShardMessage) => this.#take(message));
    this.#worker.on("error", (error) => this.#die(error));
    this.#worker.on("exit", () => this.#end());
  }

  #take(message: ShardMessage): void {
    if (message.type === "answers") {
      for (const answer of message.answers) {
        this.#requests.delete(answer.request);
        this.#waiting.settle(answer);
      }
    } else if (message.type === "ready") {
      this.ready = true;
      this.#startedWith.resolve();
    } else {
      this.#stopping = true;
    }
  }

  /**
   * The last resort against a step that never ends: a bug of ours, since guests have their guard.
   */
  #endIfStuck(nowMs: number): void {
    const stepCount = this.#counters.get("stepCount");
    const isIdle = this.#ring.bytesUsed === 0;
    if (isIdle || stepCount !== this.#stepCount || this.#steppedMs === 0) {
      this.#stepCount = stepCount;
      this.#steppedMs = nowMs;
    } else if (nowMs - this.#steppedMs > STEP_MS_MAX) {
      this.#steppedMs = 0;
      this.#die(new Error(`a step took over ${STEP_MS_MAX} ms`));
      void this.#worker.terminate();
    }
  }

  /** A bug: its tenants' windows are gone. Who waits is told; the shard starts empty. */
  #die(error: unknown): void {
    process.emitWarning(error instanceof Error ? error : String(error), {
      code: "NEXUSCORE_SHARD_FAILED",
      detail: `shard ${this.#settings.shard} failed; its tenants start anew`,
    });
    this.ready = false;
    this.#waiting.fail(this.#requests);
    this.#requests.clear();
    // What the dead shard held of the shared limit on tenants is free again.
    const held = this.#counters.get("tenantCount");
    Atomics.sub(new Int32Array(this.#settings.tenantsTaken), 0, held);
    this.#startedWith.reject(error);
  }

  #end(): void {
    this.ready = false;
    if (this.#stopping) {
      clearInterval(this.#watch);
      this.#waiting.fail(this.#requests);
      this.#stopped.resolve();
    } else if (this.#restartCount < RESTART_COUNT_MAX) {
      this.#restartCount += 1;
      this.#start();
    }
  }
}
