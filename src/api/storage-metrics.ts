/** What Prometheus is told of the log, the snapshots and the last start. */
import type { BackupCounts } from "#model/backup.ts";
import { type StorageState, type StorageStats } from "#model/storage.ts";
import { counter, type Family, gauge } from "./metric-families.ts";

const STATES: readonly StorageState[] = [
  "off",
  "recovering",
  "ok",
  "slow",
  "full",
  "readOnly",
  "failed",
];
const MS = 1e-3;

/** Nothing at all where nothing is kept, but that it is so. */
export function storageFamilies(stats: StorageStats): Family[] {
  const states = STATES.map((state) => {
    return { labels: { state }, value: state === stats.state ? 1 : 0 };
  });
  const state = gauge("nexuscore_log_state", "1: the state that the disk is in.", states);
  if (stats.state === "off") return [state];
  return [state, ...logFamilies(stats), ...snapshotFamilies(stats), ...recoveryFamilies(stats)];
}

export function backupFamilies(counts: BackupCounts | undefined): Family[] {
  if (counts === undefined) return [];
  const { newestMs, failureCount } = counts;
  return [
    single("nexuscore_backup_newest_seconds", "Epoch of the newest; 0: none.", newestMs * MS),
    total("nexuscore_backup_failures_total", "Backups that failed.", failureCount),
  ];
}

function logFamilies(stats: StorageStats): Family[] {
  const { logBytes, logBytesMax, storeBytes, backlogMs, heldAnswers, commitMs } = stats;
  const quantiles = [
    { labels: { quantile: "0.5" }, value: commitMs.p50 * MS },
    { labels: { quantile: "0.99" }, value: commitMs.p99 * MS },
    { labels: { quantile: "1" }, value: commitMs.max * MS },
  ];
  return [
    single("nexuscore_log_bytes", "Turns that are kept.", logBytes),
    single("nexuscore_log_bytes_max", "Of them at most.", logBytesMax),
    single("nexuscore_log_store_bytes", "Of the file that are in use.", storeBytes),
    single(
      "nexuscore_log_backlog_seconds",
      "What making the turns of the log again would take.",
      backlogMs * MS,
    ),
    single("nexuscore_log_held_answers", "Answers that wait for the disk.", heldAnswers),
    total("nexuscore_log_commits_total", "Groups that were written.", stats.commitCount),
    total("nexuscore_log_failures_total", "Groups that were not.", stats.commitFailures),
    gauge("nexuscore_log_commit_seconds", "Of a group, synced; quantile 1: the most.", quantiles),
  ];
}

function snapshotFamilies({ snapshotCount, snapshotBytes, dirtyTenants }: StorageStats): Family[] {
  return [
    total("nexuscore_snapshot_writes_total", "Images of tenants.", snapshotCount),
    total("nexuscore_snapshot_bytes_total", "Of them.", snapshotBytes),
    single(
      "nexuscore_snapshot_dirty_tenants",
      "Tenants with turns that no snapshot holds.",
      dirtyTenants,
    ),
  ];
}

/** While it lasts there is progress, and afterwards what came of it. */
function recoveryFamilies({ recovery }: StorageStats): Family[] {
  if (recovery === undefined) return [];
  if ("progress" in recovery) {
    const { snapshotsDone, snapshotsTotal, replayedTurns, elapsedMs } = recovery.progress;
    return [
      single("nexuscore_recovery_seconds", "It takes, or took.", elapsedMs * MS),
      single("nexuscore_recovery_snapshots", "Read so far.", snapshotsDone),
      single("nexuscore_recovery_snapshots_expected", "To be read.", snapshotsTotal),
      single("nexuscore_recovery_replayed_turns", "Made again.", replayedTurns),
    ];
  }
  const { summary } = recovery;
  return [
    single("nexuscore_recovery_seconds", "It takes, or took.", summary.readySeconds),
    single("nexuscore_recovery_snapshots", "Read so far.", summary.snapshots),
    single("nexuscore_recovery_replayed_turns", "Made again.", summary.replayedTurns),
    single("nexuscore_recovery_skipped_turns", "In snapshots already.", summary.skippedTurns),
    single("nexuscore_recovery_repaired_snapshots", "Damaged, nothing lost.", summary.repaired),
    single("nexuscore_recovery_lost_tenants", "With something missing.", summary.lostCount),
    single("nexuscore_recovery_torn_blocks", "At the log's end.", summary.tornBlocks),
    single("nexuscore_recovery_gaps", "Tenants whose turns do not go on.", summary.gaps),
  ];
}

function single(name: string, help: string, value: number): Family {
  return gauge(name, help, [{ labels: {}, value }]);
}

function total(name: string, help: string, value: number): Family {
  return counter(name, help, [{ labels: {}, value }]);
}
