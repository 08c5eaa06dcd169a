/**
 * What the kernel tells of this process: where its threads spend their time, and what disturbs
 * them.
 */

export const TELEMETRY_PROGRAMS = [
  "scheduler",
  "tlbFlushes",
  "socketDrops",
  "pageFaults",
  "systemCalls",
] as const;
export type TelemetryProgram = (typeof TELEMETRY_PROGRAMS)[number];

/**
 * `basic`: what costs less than a half percent; `all` also counts page faults and system calls, and
 * the latter slow every system call of the machine a little.
 */
export type TelemetryLevel = "off" | "basic" | "all";

export type ProgramState = {
  readonly program: TelemetryProgram;
  readonly state: "running" | "off" | "unavailable";
  /** What it lacks, when it is unavailable: a capability, a library, a feature of the kernel. */
  readonly missing: string | undefined;
};

/**
 * `llm`: the gateway to language models, whose time off the CPU is waiting for them; nobody else
 * waits there. `ended`: of a thread that is gone.
 */
export type ThreadRole = "io" | "shard" | "llm" | "receiver" | "libuv" | "v8" | "other" | "ended";

/** Since the programs were attached. */
export type ThreadTelemetry = {
  readonly id: number;
  readonly name: string;
  readonly role: ThreadRole;
  readonly onCpuNs: number;
  /** Runnable, and waiting for a CPU. */
  readonly runQueueNs: number;
  /** Waiting for something else: events, timers, locks. */
  readonly offCpuNs: number;
  readonly voluntarySwitches: number;
  readonly forcedSwitches: number;
  readonly wakeups: number;
  readonly migrations: number;
  /** Waits, by the logarithm to base 2 of their nanoseconds; longer ones are in the last. */
  readonly runQueueBuckets: readonly number[];
  readonly offCpuBuckets: readonly number[];
};

/** Undefined: the program does not run. */
export type KernelTelemetry = {
  readonly programs: readonly ProgramState[];
  readonly threads: readonly ThreadTelemetry[] | undefined;
  /** Sightings of threads for which there was no room. */
  readonly untrackedThreads: number;
  readonly tlbFlushes: Readonly<Record<string, number>> | undefined;
  readonly systemCalls: Readonly<Record<string, number>> | undefined;
  readonly pageFaults: number | undefined;
  readonly socketDrops: number | undefined;
};

/** Whoever reports: src/kernel/telemetry.ts, or a test. */
export type TelemetrySource = () => KernelTelemetry;

/** Nothing runs, and this is why. */
export function noTelemetry(missing: string | undefined): KernelTelemetry {
  const state = missing === undefined ? "off" : "unavailable";
  return {
    programs: TELEMETRY_PROGRAMS.map((program) => ({ program, state, missing })),
    threads: undefined,
    untrackedThreads: 0,
    tlbFlushes: undefined,
    systemCalls: undefined,
    pageFaults: undefined,
    socketDrops: undefined,
  };
}

/**
 * Least upper bound, in nanoseconds, of the share `quantile` of the waits; 0 when there were none.
 */
export function bucketQuantile(buckets: readonly number[], quantile: number): number {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  for (const [bucket, count] of buckets.entries()) {
    seen += count;
    if (count > 0 && seen >= total * quantile) return 2 ** (bucket + 1);
  }
  return 0;
}
