/**
 * What /metrics shows of engine, datagrams and kernel, as families of samples. No label is a
 * tenant, a sender or anything else that callers choose, so the number of lines is bounded.
 */
import type { ReviewStats, ShardStats } from "#engine/door.ts";
import type { StageStats } from "#kernel/stage-stats.ts";
import type { KernelTelemetry, ThreadTelemetry } from "#model/kernel-telemetry.ts";
import type { StoreCounts } from "#review/store-thread.ts";

export type Sample = {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Of a histogram: the family's name and `_bucket`, `_sum` or `_count`. */
  readonly metricName?: string;
};

export type Family = {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram" | "summary";
  readonly values: readonly Sample[];
};

const NS = 1e-9;
const US = 1e-6;

export function shardFamilies(shards: readonly ShardStats[]): Family[] {
  const by = (value: (shard: ShardStats) => number): Sample[] =>
    shards.map((shard) => ({ labels: { shard: `${shard.shard}` }, value: value(shard) }));
  const outcomes = shards.flatMap((each) => outcomesOf(each.shard, each.outcomes));
  const quantiles = shards.flatMap((each) => quantilesOf(each.shard, each.turnUs));
  return [
    gauge(
      "nexuscore_shard_tenants",
      "Tenants that live in the shard.",
      by((s) => s.tenantCount),
    ),
    counter(
      "nexuscore_shard_events_total",
      "Events taken.",
      by((s) => s.eventCount),
    ),
    counter(
      "nexuscore_shard_rejected_total",
      "Events refused.",
      by((s) => s.rejectedCount),
    ),
    counter(
      "nexuscore_shard_turns_total",
      "Turns of guests.",
      by((s) => s.turnCount),
    ),
    counter(
      "nexuscore_shard_slot_hits_total",
      "Turns of a warm tenant.",
      by((s) => s.slotHitCount),
    ),
    counter(
      "nexuscore_shard_slot_misses_total",
      "Turns after a fetch.",
      by((s) => s.slotMissCount),
    ),
    gauge(
      "nexuscore_shard_image_bytes",
      "Bytes of images at rest.",
      by((s) => s.imageBytes),
    ),
    gauge(
      "nexuscore_shard_ring_bytes",
      "Bytes waiting in the ring.",
      by((s) => s.ringBytesUsed),
    ),
    counter("nexuscore_shard_outcomes_total", "Turns by how they ended.", outcomes),
    gauge("nexuscore_shard_turn_seconds", "Quantiles of turns since the start.", quantiles),
    ...moderationFamilies(shards),
  ];
}

/** Actions are those of verdicts: `allow` is what neither flags nor blocks. */
function moderationFamilies(shards: readonly ShardStats[]): Family[] {
  const by = (value: (stats: ShardStats["moderation"]) => number): Sample[] =>
    shards.map(({ shard, moderation }) => {
      return { labels: { shard: `${shard}` }, value: value(moderation) };
    });
  const actions = shards.flatMap(({ shard, moderation }) => {
    const { judgedCount, flaggedCount: flag, blockedCount: block } = moderation;
    return Object.entries({ allow: judgedCount - flag - block, flag, block }).map(
      ([action, value]) => ({ labels: { shard: `${shard}`, action }, value }),
    );
  });
  const outcomes = shards.flatMap((each) => outcomesOf(each.shard, each.moderation.outcomes));
  const quantiles = shards.flatMap((each) => quantilesOf(each.shard, each.moderation.judgeUs));
  return [
    counter("nexuscore_moderation_messages_total", "Messages judged, by action.", actions),
    counter("nexuscore_moderation_outcomes_total", "Moderators' turns by their end.", outcomes),
    counter(
      "nexuscore_moderation_slot_hits_total",
      "Turns of a warm moderator.",
      by((s) => s.slotHitCount),
    ),
    counter(
      "nexuscore_moderation_slot_misses_total",
      "Turns after a fetch.",
      by((s) => s.slotMissCount),
    ),
    gauge(
      "nexuscore_moderation_image_bytes",
      "Bytes of moderators at rest.",
      by((s) => s.imageBytes),
    ),
    gauge("nexuscore_moderation_judge_seconds", "Quantiles since the start.", quantiles),
    counter(
      "nexuscore_moderation_reviews_total",
      "Messages about which a language model was asked, by whether it answered.",
      shards.flatMap((each) => reviewsOf(each.shard, each.moderation.reviews)),
    ),
    gauge(
      "nexuscore_moderation_reviews_open",
      "Those that wait for it.",
      by((s) => s.reviews.openCount),
    ),
  ];
}

function reviewsOf(shard: number, { endedCount, degradedCount }: ReviewStats): Sample[] {
  const counts = { answered: endedCount - degradedCount, degraded: degradedCount };
  return Object.entries(counts).map(([outcome, value]) => {
    return { labels: { shard: `${shard}`, outcome }, value };
  });
}

export function storeFamilies(counts: StoreCounts | undefined): Family[] {
  if (counts === undefined) return [];
  const one = (value: number): Sample[] => [{ labels: {}, value }];
  const isUp = counts.unavailable === undefined ? 1 : 0;
  return [
    gauge("nexuscore_store_up", "Whether the review store can be had.", one(isUp)),
    gauge(
      "nexuscore_store_flagged_waiting",
      "Flagged verdicts that wait to be written.",
      one(counts.flaggedWaitingCount),
    ),
    counter(
      "nexuscore_store_flagged_lost_total",
      "Flagged verdicts that were not written, for lack of room.",
      one(counts.flaggedLostCount),
    ),
    counter(
      "nexuscore_store_pending_lost_total",
      "Reviews of an upstream that began without a row on disk: a crash would lose them.",
      one(counts.pendingLostCount),
    ),
    counter(
      "nexuscore_store_allowed_shed_total",
      "Past verdicts that were shed: dry runs look back on fewer.",
      one(counts.allowedShedCount),
    ),
    counter("nexuscore_store_batches_total", "Transactions.", one(counts.batchCount)),
    counter("nexuscore_store_failures_total", "Those that failed.", one(counts.failureCount)),
  ];
}

function outcomesOf(shard: number, counts: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(counts).map(([outcome, value]) => {
    return { labels: { shard: `${shard}`, outcome }, value };
  });
}

function quantilesOf(shard: number, { p50, p99, p999 }: ShardStats["turnUs"]): Sample[] {
  return Object.entries({ "0.5": p50, "0.99": p99, "0.999": p999 }).map(([quantile, value]) => ({
    labels: { shard: `${shard}`, quantile },
    value: value * US,
  }));
}

export function stageFamilies(stats: StageStats | undefined): Family[] {
  if (stats === undefined) return [];
  const paths = (key: "datagrams" | "records"): Sample[] => [
    { labels: { path: "kernel" }, value: stats.kernel[key] },
    { labels: { path: "user" }, value: stats.user[key] },
  ];
  const reasons = (counts: Readonly<Record<string, number>>): Sample[] =>
    Object.entries(counts).map(([reason, value]) => ({ labels: { reason }, value }));
  const { shards, senders, log } = stats;
  const fates = {
    delivered: shards.deliveredCount,
    unknown: shards.unknownCount,
    tenantLimit: shards.tenantLimitCount,
  };
  return [
    counter("nexuscore_datagrams_total", "Aggregated, by who did it.", paths("datagrams")),
    counter("nexuscore_datagram_records_total", "Their records.", paths("records")),
    counter(
      "nexuscore_datagram_passed_records_total",
      "Records that the kernel left to user space.",
      one(stats.passed.records),
    ),
    counter(
      "nexuscore_datagram_passed_lost_records_total",
      "Of those, lost in the socket's buffer.",
      one(stats.passedLostRecords),
    ),
    counter(
      "nexuscore_datagram_refused_total",
      "Datagrams refused, by reason.",
      reasons(stats.refusedDatagrams),
    ),
    counter(
      "nexuscore_datagram_refused_records_total",
      "Records refused, by reason.",
      reasons(stats.refusedRecords),
    ),
    counter(
      "nexuscore_datagram_record_fates_total",
      "Records drained, by what became of them.",
      Object.entries(fates).map(([fate, value]) => ({ labels: { fate }, value })),
    ),
    gauge(
      "nexuscore_datagram_held_records",
      "Records whose names are awaited.",
      one(shards.heldCount),
    ),
    gauge("nexuscore_datagram_senders", "Senders that are known.", one(senders.count)),
    gauge(
      "nexuscore_datagram_senders_lost",
      "Datagrams of theirs that never came.",
      one(senders.lost),
    ),
    gauge("nexuscore_datagram_log_fullest", "Records in the fullest log.", one(log.fullest)),
    gauge("nexuscore_datagram_log_capacity", "Records that a log takes.", one(log.capacity)),
  ];
}

export function kernelFamilies(telemetry: KernelTelemetry): Family[] {
  const running = telemetry.programs.map(({ program, state }) => {
    return { labels: { program }, value: state === "running" ? 1 : 0 };
  });
  const named = (label: string, counts: Readonly<Record<string, number>> | undefined): Sample[] =>
    Object.entries(counts ?? {}).map(([key, value]) => ({ labels: { [label]: key }, value }));
  const families = [
    gauge("nexuscore_kernel_program_running", "Telemetry programs in the kernel.", running),
    ...threadFamilies(telemetry.threads ?? []),
    counter("nexuscore_tlb_flushes_total", "By reason.", named("reason", telemetry.tlbFlushes)),
    counter("nexuscore_system_calls_total", "By call.", named("call", telemetry.systemCalls)),
    counter("nexuscore_page_faults_total", "In user space.", one(telemetry.pageFaults)),
    counter("nexuscore_socket_drops_total", "At the event socket.", one(telemetry.socketDrops)),
  ];
  // What is not measured is absent, not zero.
  return families.filter(({ values }) => values.length > 0);
}

function threadFamilies(threads: readonly ThreadTelemetry[]): Family[] {
  const groups = Map.groupBy(threads, groupOf);
  const by = (value: (thread: ThreadTelemetry) => number): Sample[] =>
    [...groups].map(([thread, members]) => ({ labels: { thread }, value: sumOf(members, value) }));
  const switches = (
    [
      ["voluntary", (thread: ThreadTelemetry) => thread.voluntarySwitches],
      ["forced", (thread: ThreadTelemetry) => thread.forcedSwitches],
    ] as const
  ).flatMap(([kind, value]) =>
    by(value).map(({ labels, value: count }) => ({ labels: { ...labels, kind }, value: count })),
  );
  return [
    counter(
      "nexuscore_thread_cpu_seconds_total",
      "On a CPU.",
      by((t) => t.onCpuNs * NS),
    ),
    counter(
      "nexuscore_thread_off_cpu_seconds_total",
      "Asleep.",
      by((t) => t.offCpuNs * NS),
    ),
    counter("nexuscore_thread_switches_total", "Times it left a CPU.", switches),
    counter(
      "nexuscore_thread_wakeups_total",
      "Times it was woken.",
      by((t) => t.wakeups),
    ),
    counter(
      "nexuscore_thread_migrations_total",
      "Times it changed CPU.",
      by((t) => t.migrations),
    ),
    runQueueFamily(groups),
  ];
}

/** Threads that are alike, or came and went, are one; so are all that bear no name of ours. */
function groupOf({ role, name }: ThreadTelemetry): string {
  return role === "shard" ? name : role;
}

function runQueueFamily(groups: ReadonlyMap<string, readonly ThreadTelemetry[]>): Family {
  const name = "nexuscore_thread_run_queue_seconds";
  const values = [...groups].flatMap(([thread, members]) => {
    const bucketCount = members[0]?.runQueueBuckets.length ?? 0;
    let seen = 0;
    const buckets = Array.from({ length: bucketCount }, (_, bucket): Sample => {
      seen += sumOf(members, ({ runQueueBuckets }) => runQueueBuckets[bucket] ?? 0);
      const le = bucket === bucketCount - 1 ? "+Inf" : `${2 ** (bucket + 1) * NS}`;
      return { metricName: `${name}_bucket`, labels: { thread, le }, value: seen };
    });
    const waitedNs = sumOf(members, ({ runQueueNs }) => runQueueNs);
    return [
      // Nobody waits less than a microsecond to any purpose, and a line costs who reads it.
      ...buckets.slice(FIRST_BUCKET_SHOWN),
      { metricName: `${name}_sum`, labels: { thread }, value: waitedNs * NS },
      { metricName: `${name}_count`, labels: { thread }, value: seen },
    ];
  });
  return { name, help: "Runnable, and waiting for a CPU.", type: "histogram", values };
}

const FIRST_BUCKET_SHOWN = 9;

function sumOf(
  threads: readonly ThreadTelemetry[],
  value: (thread: ThreadTelemetry) => number,
): number {
  return threads.reduce((sum, thread) => sum + value(thread), 0);
}

export function counter(name: string, help: string, values: readonly Sample[]): Family {
  return { name, help, type: "counter", values };
}

export function gauge(name: string, help: string, values: readonly Sample[]): Family {
  return { name, help, type: "gauge", values };
}

/** A family of one sample, or of none. */
function one(value: number | undefined): Sample[] {
  return value === undefined ? [] : [{ labels: {}, value }];
}
