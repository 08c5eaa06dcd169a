/** The disk behind all shards: what a start makes of what was kept, and what is promised. */
import { LOST_LISTED_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import {
  type AckMode,
  type AckWish,
  NO_STORAGE,
  type RecoveryProgress,
  type RecoverySummary,
  type StorageStats,
} from "#model/storage.ts";
import type { ShardRecovery } from "#shard/protocol.ts";
import type { WriterThread } from "./writer-thread.ts";

const RETRY_AFTER_SECONDS = 1;

export class EngineStorage {
  readonly #writer: WriterThread | undefined;
  #ack: AckMode;
  readonly #beganMs = performance.now();
  /** By shard, once it is ready for the first time. */
  readonly #recoveries: (ShardRecovery | undefined)[];
  #summary: RecoverySummary | undefined;

  constructor(writer: WriterThread | undefined, ack: AckMode, shardCount: number) {
    this.#writer = writer;
    this.#ack = ack;
    this.#recoveries = Array.from({ length: shardCount }, () => undefined);
  }

  /** From now on, for offers that wish nothing. Where nothing is kept it stays so. */
  set ack(ack: AckWish) {
    if (this.#ack !== "none") this.#ack = ack;
  }

  /** What an offer that wishes so is promised. */
  ackOf(wish: AckWish | undefined): AckMode {
    return this.#ack === "none" ? "none" : (wish ?? this.#ack);
  }

  /** Throws the problem of who wants something kept of a shard that cannot be now. */
  checkTaking(shard: number): void {
    this.#writer?.checkTaking(shard);
  }

  /** A shard has its tenants; what a later thread of it had to read again says nothing new. */
  recovered(shard: number, recovery: ShardRecovery): void {
    this.#recoveries[shard] ??= recovery;
    const found = this.#recoveries.flatMap((each) => each ?? []);
    if (this.#summary !== undefined || found.length < this.#recoveries.length) return;
    this.#summary = summaryOf(found, performance.now() - this.#beganMs);
    this.#writer?.needed([...new Set(found.flatMap(({ components }) => components))]);
  }

  /** Undefined: nothing is kept, or it is not all read yet. */
  get summary(): RecoverySummary | undefined {
    return this.#summary;
  }

  stats(): StorageStats {
    if (this.#writer === undefined) return NO_STORAGE;
    const summary = this.#summary;
    const recovery = summary === undefined ? { progress: this.#progress() } : { summary };
    return { ...this.#writer.stats(recovery), ack: this.#ack };
  }

  /** Of who asks before all is read; undefined: it is. */
  recovering(): Problem | undefined {
    if (this.#writer === undefined || this.#summary !== undefined) return undefined;
    const { snapshotsDone, snapshotsTotal, replayedTurns } = this.#progress();
    const detail =
      `Tenants come back: ${snapshotsDone} of ${snapshotsTotal} snapshots read, ` +
      `${replayedTurns} turns made again. Try again.`;
    return new Problem("recovering", detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
  }

  #progress(): RecoveryProgress {
    const shards = this.#recoveries.map((_, shard) => this.#writer!.progressOf(shard));
    const sum = (of: (each: (typeof shards)[number]) => number): number =>
      shards.reduce((total, each) => total + of(each), 0);
    return {
      snapshotsDone: sum(({ done }) => done),
      snapshotsTotal: sum(({ total }) => total),
      replayedTurns: sum(({ replayedTurns }) => replayedTurns),
      elapsedMs: Math.round(performance.now() - this.#beganMs),
    };
  }
}

function summaryOf(shards: readonly ShardRecovery[], tookMs: number): RecoverySummary {
  const sum = (of: (each: ShardRecovery) => number): number =>
    shards.reduce((total, each) => total + of(each), 0);
  const lost = shards.flatMap((each) => each.lost);
  return {
    readySeconds: Math.round(tookMs) / 1_000,
    tenants: sum(({ tenantCount }) => tenantCount),
    snapshots: sum(({ snapshotCount }) => snapshotCount),
    replayedTurns: sum(({ replayedCount }) => replayedCount),
    skippedTurns: sum(({ skippedCount }) => skippedCount),
    repaired: sum(({ repairedCount }) => repairedCount),
    lost: lost.slice(0, LOST_LISTED_MAX),
    lostCount: lost.length,
    tornBlocks: sum(({ tornCount }) => tornCount),
    gaps: sum(({ gaps }) => gaps.length),
  };
}
