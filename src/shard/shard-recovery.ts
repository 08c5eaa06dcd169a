/** How a shard begins: with what is kept of its tenants, and with a log that goes on from there. */
import { recover, type RecoveryReport } from "#durable/recovery.ts";
import { SqliteStore, type StreamRow } from "#durable/sqlite-store.ts";
import { StorageBoard } from "#durable/storage-board.ts";
import { LOST_LISTED_MAX } from "#model/limits.ts";
import { shardOf } from "#model/placement.ts";
import { RingWriter } from "#std/byte-ring.ts";
import type { ShardLog, ShardRecovery } from "./protocol.ts";
import { MODERATOR_WORLD, Replay, SUMMARIZER_WORLD } from "./replay.ts";
import type { Shard } from "./shard.ts";
import type { LoggedTurns } from "./shard-log.ts";

/** How long it waits for the writer before it looks again. */
const WRITER_MS = 50;

/**
 * The store as this shard reads it. A thread that follows a dead one waits until the writer has all
 * that the dead one left in the ring: that was promised, and is read back from the store.
 */
export function openKept(log: ShardLog, shard: number): SqliteStore {
  const ring = new RingWriter(log.ring);
  const { durable } = log;
  while (log.isAgain && ring.bytesUsed > 0) {
    Atomics.wait(durable, 2 * shard, Atomics.load(durable, 2 * shard), WRITER_MS);
  }
  return new SqliteStore(log.path, "reader");
}

/** Of the last block of the shard's stream. */
export function lastNumberOf(store: SqliteStore, stream: number): number {
  return store.streams().find((row) => row.stream === stream)?.last ?? 0;
}

export type ShardRecoveryParts = {
  readonly shared: ShardLog;
  readonly shard: Shard;
  readonly turns: LoggedTurns;
  readonly store: SqliteStore;
  /** What the moderators import: see componentDigest. */
  readonly imports: string;
};

/** Brings the tenants of this shard back, before the first step; the store is closed after it. */
export function recoverShard(parts: ShardRecoveryParts): ShardRecovery {
  const { shared, shard, turns, store, imports } = parts;
  const number = shard.parts.shard;
  turns.attach(shard);
  const board = new StorageBoard(shared.board);
  const isOurs = (tenant: string): boolean => shardOf(tenant, shared.shardCount) === number;
  board.setOf(number, "snapshotsTotal", store.snapshotCount(isOurs));
  const sinks = [turns.summarizer, turns.moderator];
  for (const sink of sinks) sink.isReplaying = true;
  const replayed = new Set<number>();
  const components = new Set<number>();
  const replay = new Replay({
    shard,
    imports,
    component: (which) => store.component(which),
    onComponent: (world, hostNumber, storeNumber) => {
      components.add(storeNumber);
      turns.knowComponent(world, hostNumber, storeNumber);
    },
  });
  let replayedFromMs = performance.now();
  let report: RecoveryReport;
  try {
    report = recover({
      store,
      streams: streamsOf(store.streams(), shared, number),
      worlds: [SUMMARIZER_WORLD, MODERATOR_WORLD],
      isOurs,
      restore: (name, world, snapshot) => {
        const tenant = replay.restore(name, world, snapshot);
        turns.restored(tenant, snapshot.stream, snapshot.number);
        replayedFromMs = performance.now();
      },
      named: (name, components) => replay.named(name, components),
      replay: (name, entry) => {
        const tenant = replay.numberOf(name);
        replayed.add(tenant);
        return replay.replay(tenant, entry);
      },
      onProgress: (snapshotCount, replayedCount) => {
        board.setOf(number, "snapshotsDone", snapshotCount);
        board.setOf(number, "replayedTurns", replayedCount);
      },
    });
  } finally {
    store.close();
    for (const sink of sinks) sink.isReplaying = false;
  }
  turns.replayed(replayed, performance.now() - replayedFromMs);
  for (const [tenant, reviews] of replay.openReviews()) {
    shard.moderation?.interruptReviews(tenant, reviews);
  }
  const { tenantCount } = shard.parts.batcher;
  return { ...summaryOf(report, tenantCount), components: [...components] };
}

/**
 * Those that may hold turns of this shard's tenants: of each run before, its own if there were as
 * many shards then, else all; and what a thread before this one wrote.
 */
function streamsOf(
  rows: readonly StreamRow[],
  { stream, shardCount }: ShardLog,
  shard: number,
): StreamRow[] {
  const { run: ours } = rows.find((row) => row.stream === stream)!;
  const counts = new Map<number, number>();
  for (const { run } of rows) counts.set(run, (counts.get(run) ?? 0) + 1);
  return rows.filter((row) => {
    if (row.run === ours) return row.stream === stream;
    return counts.get(row.run) !== shardCount || row.shard === shard;
  });
}

function summaryOf(report: RecoveryReport, tenantCount: number): Omit<ShardRecovery, "components"> {
  const lost = report.damaged.filter(({ fate }) => fate !== "repaired");
  return {
    tenantCount,
    snapshotCount: report.snapshotCount,
    replayedCount: report.replayedCount,
    skippedCount: report.skippedCount,
    repairedCount: report.damaged.length - lost.length,
    // Where turns do not go on, some are missing, too.
    lost: [...new Set([...lost.map(({ tenant }) => tenant), ...report.gaps])],
    gaps: report.gaps.slice(0, LOST_LISTED_MAX),
    tornCount: report.torn.length,
  };
}
