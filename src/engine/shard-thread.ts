/**
 * One shard as the I/O thread holds it: its ring, its worker, its counters; started again if it
 * dies.
 */
import type { ComponentStats } from "#model/component.ts";
import assert from "node:assert/strict";
import { type MessagePort, Worker } from "node:worker_threads";
import { BODY_BYTES_MAX, RING_BYTES, TENANT_ID_BYTES_MAX } from "#model/limits.ts";
import { OUTCOMES } from "#model/outcome.ts";
import { type JsonLimits, type QuotaLimits, QUOTA_NAMES } from "#model/quota.ts";
import { Problem } from "#model/problem.ts";
import {
  FLAG_LAST,
  recordBytes,
  type Answer,
  type ShardControl,
  ShardCounters,
  type ShardLog,
  type ShardMessage,
  type ShardRecovery,
  type ShardSettings,
  writeRecord,
} from "#shard/protocol.ts";
import { createRing, RingWriter } from "#std/byte-ring.ts";
import type { LatencyHistogram } from "#std/latency-histogram.ts";
import type { QuotaRefusals, ShardStats } from "./door.ts";
import type { Waiting } from "./waiting.ts";

/** Deaths after which a shard is not started again: it would only die once more. */
const RESTART_COUNT_MAX = 5;
/** How long one step may take before the shard counts as stuck, and how often that is looked at. */
const STEP_MS_MAX = 30_000;
const WATCH_MS = 1_000;
const WATCH_LATE_MS = STEP_MS_MAX / 2;
const RETRY_AFTER_SECONDS = 1;

export type ShardRecord = {
  readonly kind: number;
  readonly request: number;
  readonly last: boolean;
  /** Beside FLAG_LAST. */
  readonly flags: number;
  readonly tenant: Uint8Array;
};

/** What a thread is started with, but for what is made for each start. */
type Settings = Omit<
  ShardSettings,
  "ring" | "counters" | "incarnation" | "policies" | "quota" | "quotas" | "gateway" | "log"
>;

/** What a thread has of its engine. */
export type ShardThreadParts = {
  readonly waiting: Waiting;
  /** Policies of this shard's tenants: each thread of it begins with them. */
  readonly policies: () => ReadonlyMap<string, Uint8Array>;
  /** What tenants may take, and those of them with limits of their own. */
  readonly quota?: (() => QuotaLimits | undefined) | undefined;
  readonly quotas?: (() => ReadonlyMap<string, JsonLimits>) | undefined;
  /** JSON of the shard's JudgedEvents; offers with events under review wait for what it returns. */
  readonly takeEvents: (json: string) => Promise<void> | undefined;
  /** JSON of the ends of reviews; and that of those that are open none will end. */
  readonly endReviews: (json: string) => void;
  readonly loseReviews: () => void;
  readonly unkeptReviewCount: () => number;
  /** A port to the gateway for the shard that this ring wakes; left out: there is none. */
  readonly gateway?: ((ring: SharedArrayBuffer) => MessagePort) | undefined;
  /**
   * The way to the disk for the shard that this ring wakes; `isAgain`: another thread of this shard
   * was there before.
   */
  readonly log?: ((ring: SharedArrayBuffer, isAgain: boolean) => ShardLog) | undefined;
  /** Throws the problem of who wants something kept that cannot be now. */
  readonly checkKeeping?: (() => void) | undefined;
  /** The shard has what is kept of its tenants. */
  readonly recovered?: ((recovery: ShardRecovery) => void) | undefined;
  /** Of who asks while a start reads what is kept; undefined: it does not. */
  readonly recovering?: (() => Problem | undefined) | undefined;
};

export class ShardThread {
  readonly started: Promise<void>;
  ready = false;
  readonly #settings: Settings;
  readonly #parts: ShardThreadParts;
  readonly #waiting: Waiting;
  /** Requests that this shard has not answered. */
  readonly #requests = new Set<number>();
  readonly #startedWith = Promise.withResolvers<void>();
  #stopped = Promise.withResolvers<void>();
  #stopping = false;
  /** Its first thread got ready: one that cannot read what is kept will not the next time. */
  #hasBegun = false;
  /** Its thread is gone and no other follows. */
  #ended = false;
  /** Where nothing is kept, each of them lost the tenants that were there before. */
  restartCount = 0;
  /** What keeps the pending verdicts on events that were told so far. */
  #kept: Promise<unknown> = Promise.resolve();
  #ringBuffer!: SharedArrayBuffer;
  #ring!: RingWriter;
  #counters!: ShardCounters;
  #worker!: Worker;
  #components: ComponentStats | undefined;
  #stepCount = 0;
  #steppedMs = 0;
  #watchedMs = 0;
  readonly #watch: NodeJS.Timeout;

  constructor(settings: Settings, parts: ShardThreadParts) {
    this.#settings = settings;
    this.#parts = parts;
    this.#waiting = parts.waiting;
    this.started = this.#startedWith.promise;
    this.#start();
    this.#watch = setInterval(() => this.#endIfStuck(performance.now()), WATCH_MS);
    this.#watch.unref();
  }

  /**
   * Throws the problem of a caller whose records find no room now: `byteCount` bytes of bodies in
   * all, none over `bodyBytesMax`. `isKept`: what they do is to outlive the process.
   */
  checkRoom(recordCount: number, byteCount: number, bodyBytesMax: number, isKept = false): void {
    if (!this.ready) throw this.#unavailable();
    if (isKept) this.#parts.checkKeeping?.();
    const headerBytes = recordBytes(TENANT_ID_BYTES_MAX, 0);
    const payloadBytes = byteCount + recordCount * headerBytes;
    const fits = this.#ring.fits(recordCount, payloadBytes, bodyBytesMax + headerBytes);
    if (fits === "later") {
      throw new Problem(
        "busy",
        `The engine is behind by ${this.#ring.bytesUsed} bytes. Try again.`,
        {
          retryAfterSeconds: RETRY_AFTER_SECONDS,
        },
      );
    }
    if (fits === "never") {
      const detail = "The body has more events than one request may; send several requests.";
      throw new Problem("bodyTooLarge", detail, { members: { bodyBytesMax: BODY_BYTES_MAX } });
    }
  }

  /** Writes a record that `checkRoom` has found room for. */
  write({ kind, request, last, flags, tenant }: ShardRecord, body: Uint8Array): void {
    this.#requests.add(request);
    const all = last ? flags | FLAG_LAST : flags;
    const header = { kind, request, flags: all, tenant, arrivedMs: Date.now() };
    assert(writeRecord(this.#ring, header, body));
  }

  /** Lets the shard look at the kernel stage now, if it sleeps. */
  wake(): void {
    this.#ring.wake();
  }

  stats(): ShardStats {
    const counters = this.#counters;
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
      outcomes: byOutcome(counters.outcomes),
      turnUs: quantilesUs(counters.turns),
      components: this.#components,
      moderation: {
        judgedCount: counters.get("judgedCount"),
        flaggedCount: counters.get("flaggedCount"),
        blockedCount: counters.get("blockedCount"),
        slotHitCount: counters.get("judgeSlotHitCount"),
        slotMissCount: counters.get("judgeSlotMissCount"),
        imageBytes: counters.get("judgeImageBytes"),
        outcomes: byOutcome(counters.judgeOutcomes),
        reviews: {
          begunCount: counters.get("reviewsBegun"),
          endedCount: counters.get("reviewsEnded"),
          degradedCount: counters.get("reviewsDegraded"),
          openCount: counters.get("reviewsBegun") - counters.get("reviewsEnded"),
          unkeptCount: this.#parts.unkeptReviewCount(),
        },
        judgeUs: quantilesUs(counters.judgements),
      },
    };
  }

  quotaRefusals(): QuotaRefusals {
    const { refusedRequests, refusedEvents } = this.#counters;
    return { requests: byQuota(refusedRequests), events: byQuota(refusedEvents) };
  }

  /** The gateway began anew: the shard gets a port to it in place of the one that is dead. */
  attachGateway(): void {
    const { gateway } = this.#parts;
    if (gateway === undefined || this.#ended) return;
    const port = gateway(this.#ringBuffer);
    const control: ShardControl = { type: "gateway", port };
    this.#worker.postMessage(control, [port]);
    this.#ring.wake();
  }

  /** The embedded verdicts stand of what is open, and no upstream is asked any more. */
  endReviews(): void {
    const control: ShardControl = { type: "endReviews" };
    this.#worker.postMessage(control);
    this.#ring.wake();
  }

  /** What is kept of these tenants cannot be read: the shard snapshots them again. */
  snapshot(tenants: readonly string[]): void {
    const control: ShardControl = { type: "snapshot", tenants };
    this.#worker.postMessage(control);
    this.#ring.wake();
  }

  /**
   * Resolves once the shard has worked off its ring, and has kept what it can of its tenants until
   * the deadline (epoch ms), and ended.
   */
  stop(deadlineMs = 0): Promise<void> {
    this.#stopping = true;
    const control: ShardControl = { type: "stopBy", deadlineMs };
    if (!this.#ended) this.#worker.postMessage(control);
    this.#ring.stop();
    return this.#stopped.promise;
  }

  #start(): void {
    const ring = createRing(RING_BYTES);
    const counters = new SharedArrayBuffer(ShardCounters.BYTES);
    this.#ringBuffer = ring;
    this.#ring = new RingWriter(ring);
    this.#counters = new ShardCounters(counters);
    const incarnation = this.restartCount;
    const policies = this.#parts.policies();
    const quota = this.#parts.quota?.();
    const quotas = this.#parts.quotas?.() ?? new Map<string, JsonLimits>();
    const gateway = this.#parts.gateway?.(ring);
    const log = this.#parts.log?.(ring, incarnation > 0);
    const own = { ring, counters, incarnation, policies, quota, quotas, gateway, log };
    const settings = { ...this.#settings, ...own };
    const workerData: ShardSettings = settings;
    this.#worker = new Worker(new URL(import.meta.resolve("#shard/worker.ts")), {
      workerData,
      transferList: gateway === undefined ? [] : [gateway],
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
        this.#settle(answer);
      }
    } else if (message.type === "verdicts") {
      const kept = this.#parts.takeEvents(message.json);
      if (kept !== undefined) this.#kept = Promise.all([this.#kept, kept]);
    } else if (message.type === "reviews") this.#parts.endReviews(message.json);
    else if (message.type === "components") this.#components = message.stats;
    else if (message.type === "ready") {
      if (message.recovery !== undefined) this.#parts.recovered?.(message.recovery);
      this.ready = true;
      this.#hasBegun = true;
      this.#startedWith.resolve();
    } else {
      this.#stopping = true;
    }
  }

  /** Events that are flagged, or that an upstream is asked about, are taken once that is kept. */
  #settle(answer: Answer): void {
    if (answer.type !== "offer" || !answer.isHeld) this.#waiting.settle(answer);
    else void this.#kept.then(() => this.#waiting.settle(answer));
  }

  /**
   * The last resort against a step that never ends: a bug of ours, since guests have their guard.
   */
  #endIfStuck(nowMs: number): void {
    const stepCount = this.#counters.get("stepCount");
    const isIdle = this.#ring.bytesUsed === 0;
    // A look that comes late: the machine slept, or the process was stopped, and so was the shard.
    const isLate = nowMs - this.#watchedMs > WATCH_LATE_MS;
    this.#watchedMs = nowMs;
    if (isIdle || isLate || stepCount !== this.#stepCount || this.#steppedMs === 0) {
      this.#stepCount = stepCount;
      this.#steppedMs = nowMs;
    } else if (nowMs - this.#steppedMs > STEP_MS_MAX) {
      this.#steppedMs = 0;
      this.#die(new Error(`a step took over ${STEP_MS_MAX} ms`));
      void this.#worker.terminate();
    }
  }

  /** A bug. Who waits is told; the next thread begins with what is kept, or empty. */
  #die(error: unknown): void {
    process.emitWarning(error instanceof Error ? error : String(error), {
      code: "NEXUSCORE_SHARD_FAILED",
      detail: `shard ${this.#settings.shard} failed; ${this.#next()}`,
    });
    this.ready = false;
    this.#waiting.fail(this.#requests);
    this.#requests.clear();
    this.#parts.loseReviews();
    this.#startedWith.reject(error);
  }

  #end(): void {
    this.ready = false;
    // Also what was written while it ended: nobody reads this ring any more.
    this.#waiting.fail(this.#requests);
    this.#requests.clear();
    this.#parts.loseReviews();
    if (!this.#stopping && this.#hasBegun && this.restartCount < RESTART_COUNT_MAX) {
      this.restartCount += 1;
      this.#start();
      return;
    }
    clearInterval(this.#watch);
    this.#ended = true;
    this.#stopped.resolve();
  }

  #next(): string {
    if (!this.#hasBegun) return "it did not begin";
    return this.#parts.log === undefined ? "its tenants start anew" : "its tenants are read back";
  }

  #unavailable(): Problem {
    const recovering = this.restartCount === 0 ? this.#parts.recovering?.() : undefined;
    if (recovering !== undefined) return recovering;
    const { shard } = this.#settings;
    const detail = this.#ended
      ? `Shard ${shard} failed ${RESTART_COUNT_MAX + 1} times and stays down; restart the server.`
      : `Shard ${shard} starts anew; try again.`;
    return new Problem("shardRestarting", detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
  }
}

function byOutcome(counts: Float64Array): Readonly<Record<string, number>> {
  return Object.fromEntries(OUTCOMES.map((outcome, i) => [outcome, counts[i]!]));
}

function byQuota(counts: Float64Array): QuotaRefusals["events"] {
  const entries = QUOTA_NAMES.map((name, i) => [name, counts[i]!]);
  return Object.fromEntries(entries) as QuotaRefusals["events"];
}

function quantilesUs(histogram: LatencyHistogram): ShardStats["turnUs"] {
  return {
    p50: histogram.quantileUs(0.5),
    p99: histogram.quantileUs(0.99),
    p999: histogram.quantileUs(0.999),
  };
}
