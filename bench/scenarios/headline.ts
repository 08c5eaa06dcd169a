/**
 * The headline: event datagrams through the real socket of the real server, 4.2 million events a
 * second over 100,000 tenants with a 60 s window each, from a sender on the same cores; and, as
 * `headline-max`, the highest rate at which nothing is lost.
 *
 * A run warms up with one pass of the pool (every tenant is made), compares the windows of sampled
 * tenants with what was sent, then offers the rate for `seconds`, and waits until every event is
 * with its tenant. When `closing` is yes it waits until the windows are empty, sends one more pass
 * at the offered rate and compares the windows again. The books must balance: offered = delivered +
 * counted as lost, or the run fails; a rate that is missed is only a figure.
 *
 * What is counted to whom: receiverCpuShare is the server's process, all its threads, user and
 * system, from the first datagram until the last event was delivered, over the seconds of the flood
 * and all cores. On a loopback the receiver's IP stack and its eBPF program run inside the sender's
 * system call: they are in senderCpuShare, which holds the sender itself too.
 *
 * The naive row is the server one writes first (bench/baselines/event-server.ts) with the same
 * tenants and terms as NDJSON, short: what it would take is in naive.eventsPerSecond.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { DATAGRAM_BYTES_MAX } from "#model/datagram.ts";
import type { StageStats } from "#kernel/stage-stats.ts";
import { WINDOW_MS } from "#model/limits.ts";
import type { ListeningMessage } from "../baselines/event-server.ts";
import { Child } from "../child.ts";
import type { Usage } from "../children/leash.ts";
import type { PoolSettings } from "../datagram-pool.ts";
import type { FloodResult } from "../datagram-sender.ts";
import { type Bench, expectEqual, type Scenario } from "../harness.ts";
import { loadTarget } from "../served-load.ts";
import { Flood } from "../served-flood.ts";
import { type KernelAnswer, Server, type ServerStatus } from "../server.ts";
import { threadUsages, usageBetween } from "../threads.ts";

const DEFAULT = "default";
/** A sender that does less than this of what it is told to is at its end. */
const SENDER_SHARE_MIN = 0.95;
/** System calls that are named: this share of all, or more. */
const OFTEN_SHARE = 0.05;

const COMMON: Scenario["parameters"] = {
  runs: { full: 1, quick: 1, sentence: "servers started and flooded" },
  tenants: { full: 100_000, quick: 300, sentence: "tenants" },
  tenantExponent: { full: 1, quick: 1, sentence: "Zipf exponent of the tenants" },
  terms: { full: 1_000, quick: 50, sentence: "terms, used by every tenant" },
  termExponent: { full: 1.1, quick: 1.1, sentence: "Zipf exponent of the terms" },
  poolEvents: { full: 4_000_000, quick: 40_000, sentence: "events drawn, sent over and over" },
  datagramBytes: {
    full: DATAGRAM_BYTES_MAX,
    quick: DATAGRAM_BYTES_MAX,
    sentence: "of a datagram; 1472 fits a packet",
  },
  warmEventsPerSecond: { full: 400_000, quick: 400_000, sentence: "offered to make the tenants" },
  shards: { full: DEFAULT, quick: DEFAULT, sentence: "shard threads; default: the product's" },
  slots: { full: DEFAULT, quick: DEFAULT, sentence: "warm instances a shard; default: the same" },
  turnMs: { full: DEFAULT, quick: DEFAULT, sentence: "between two epochs; default: the same" },
  stage: {
    full: "auto",
    quick: "auto",
    sentence: "auto: in the kernel if it can; off: user space",
  },
  telemetry: {
    full: "all",
    quick: "all",
    sentence: "off, basic, or all: only it has system calls",
  },
  state: {
    full: "disk",
    quick: "disk",
    sentence: "disk: tenants are snapshotted while it runs; memory: nothing is kept",
  },
  seed: { full: 1, quick: 1, sentence: "of everything drawn" },
};

export const headline: Scenario = {
  name: "headline",
  sentence: "4.2 million events a second over 100,000 tenants, through the socket of the server",
  parameters: {
    ...COMMON,
    eventsPerSecond: { full: 4_200_000, quick: 400_000, sentence: "offered" },
    seconds: { full: 60, quick: 0.5, sentence: "of the timed flood" },
    loopSeconds: { full: 10, quick: 0.2, sentence: "of a second flood, main event loop watched" },
    samples: { full: 200, quick: 20, sentence: "tenants whose windows are compared" },
    closing: { full: "yes", quick: "no", sentence: "compare windows once more, 65 s later" },
    naiveEvents: { full: 200_000, quick: 1_000, sentence: "for the naive server" },
  },
  run: async (bench) => {
    for (let round = 0; round < bench.number("runs"); round++) {
      await runFlood(bench);
      await runNaive(bench);
    }
  },
};

export const headlineMax: Scenario = {
  name: "headline-max",
  sentence: "the highest rate of event datagrams at which nothing is lost, by steps",
  parameters: {
    ...COMMON,
    // Sent over too soon, one pool would join to far fewer keys than a real stream.
    poolEvents: { ...COMMON["poolEvents"]!, full: 16_000_000 },
    warmEventsPerSecond: { ...COMMON["warmEventsPerSecond"]!, full: 1_500_000 },
    firstEventsPerSecond: { full: 6_000_000, quick: 200_000, sentence: "offered at first" },
    factor: { full: 1.2, quick: 2, sentence: "from one step to the next" },
    steps: { full: 16, quick: 2, sentence: "at most" },
    stepSeconds: { full: 15, quick: 0.3, sentence: "of one step" },
    settleSecondsMax: { full: 8, quick: 8, sentence: "later than that is not sustained" },
  },
  run: async (bench) => {
    for (let round = 0; round < bench.number("runs"); round++) await runSteps(bench);
  },
};

async function runFlood(bench: Bench): Promise<void> {
  const server = await start(bench);
  const flood = await Flood.start(server, poolOf(bench));
  try {
    bench.found("path", flood.facts.path);
    await warm(bench, flood);
    const samples = samplesOf(bench);
    const warmed = await flood.totals(samples);
    bench.progress("headline: comparing windows");
    let inexact = await flood.inexactWindows(samples, { after: warmed });
    const seconds = bench.number("seconds");
    const eventsPerSecond = bench.number("eventsPerSecond");
    bench.progress(`headline: ${eventsPerSecond} events/s for ${seconds} s`);
    const measured = await measure(server, flood, { seconds, eventsPerSecond });
    record(bench, measured);
    await watchLoop(bench, server, flood);
    if (bench.text("closing") === "yes") inexact += await close(bench, flood, samples);
    bench.record("inexactTenants", inexact, "tenants");
    // A window without what was lost on the way is no wrong answer: the loss is counted and shown.
    const lost = flood.offeredEvents - (await server.kernel()).stats!.shards.deliveredCount;
    if (lost === 0) expectEqual("tenants whose windows do not hold what was sent", inexact, 0);
    bench.fact("tenants", measured.status.tenantCount);
    bench.fact(
      "warmEvents",
      warmed.counts.reduce((sum, count) => sum + count, 0),
    );
  } finally {
    await flood.stop();
    await server.stop();
  }
}

/** Apart from what is measured: looking a thousand times a second costs system calls. */
async function watchLoop(bench: Bench, server: Server, flood: Flood): Promise<void> {
  const eventsPerSecond = bench.number("eventsPerSecond");
  const secondsMax = bench.number("loopSeconds");
  server.child.watchLoop();
  await flood.send({ events: eventsPerSecond * secondsMax, eventsPerSecond, secondsMax });
  const { p99Ms, maxMs, busyMaxMs } = await server.child.loopDelays();
  bench.record("mainLoopDelayP99Ms", p99Ms, "ms");
  bench.record("mainLoopDelayMaxMs", maxMs, "ms");
  bench.record("mainLoopBusyMaxMs", busyMaxMs, "ms");
  await flood.settle();
}

/** Compares the windows that hold one pass at the full rate and nothing else. */
async function close(bench: Bench, flood: Flood, samples: readonly number[]): Promise<number> {
  bench.progress("headline: waiting until the windows are empty");
  await sleep(WINDOW_MS * 1.1);
  const before = await flood.totals(samples);
  await flood.send({
    events: bench.number("poolEvents"),
    eventsPerSecond: bench.number("eventsPerSecond"),
    secondsMax: 30,
  });
  await flood.settle();
  return flood.inexactWindows(samples, { before, after: await flood.totals(samples) });
}

async function runSteps(bench: Bench): Promise<void> {
  const server = await start(bench);
  const flood = await Flood.start(server, poolOf(bench));
  try {
    bench.found("path", flood.facts.path);
    await warm(bench, flood);
    const seconds = bench.number("stepSeconds");
    let best: Measured | undefined;
    let offered = bench.number("firstEventsPerSecond");
    let end = "no more steps";
    for (let step = 0; step < bench.number("steps"); step++) {
      const measured = await measure(server, flood, { seconds, eventsPerSecond: offered });
      const { lostEvents, settleSeconds, result } = measured;
      const sent = result.eventsPerSecond;
      const said = `at ${Math.round(sent)} events/s`;
      bench.progress(`headline-max: ${said} ${lostEvents} lost, settled after ${settleSeconds} s`);
      if (lostEvents > 0) end = `${lostEvents} events lost ${said}`;
      else if (settleSeconds > bench.number("settleSecondsMax")) {
        end = `${settleSeconds.toFixed(1)} s behind ${said}`;
      } else {
        if (best === undefined || sent > best.result.eventsPerSecond) best = measured;
        if (sent > offered * SENDER_SHARE_MIN) {
          offered *= bench.number("factor");
          continue;
        }
        // Another step would be the same one.
        end = `the sender does no more than ${Math.round(sent)} events/s`;
      }
      break;
    }
    bench.found("end", end);
    bench.fact("tenants", (await server.status()).tenantCount);
    bench.record("lossFreeEventsPerSecond", best?.result.eventsPerSecond ?? 0, "events/s");
    if (best !== undefined) record(bench, best);
  } finally {
    await flood.stop();
    await server.stop();
  }
}

function start(bench: Bench): Promise<Server> {
  const said = (name: string): string | undefined =>
    bench.text(name) === DEFAULT ? undefined : bench.text(name);
  const options = { SHARD_COUNT: "shards", SLOT_COUNT: "slots", TURN_MS: "turnMs" };
  const environment = Object.entries(options).flatMap(([variable, name]) => {
    const value = said(name);
    return value === undefined ? [] : [[`NEXUSCORE_${variable}`, value] as const];
  });
  return Server.start({
    kernelTelemetry: bench.text("telemetry"),
    environment: {
      ...Object.fromEntries(environment),
      NEXUSCORE_KERNEL_STAGE: bench.text("stage"),
      ...(bench.text("state") === "memory" && { NEXUSCORE_DATA_DIR: ":memory:" }),
    },
  });
}

function poolOf(bench: Bench): PoolSettings {
  return {
    seed: bench.number("seed"),
    tenantCount: bench.number("tenants"),
    tenantExponent: bench.number("tenantExponent"),
    termCount: bench.number("terms"),
    termExponent: bench.number("termExponent"),
    weightMax: 1,
    poolEvents: bench.number("poolEvents"),
    datagramBytes: bench.number("datagramBytes"),
  };
}

/** Tenants from the most to the least frequent, at equal distances of their logarithms. */
function samplesOf(bench: Bench): number[] {
  const count = bench.number("samples");
  const tenants = bench.number("tenants");
  const ranks = Array.from({ length: count }, (_, i) => Math.floor(tenants ** (i / count)) - 1);
  return [...new Set(ranks)];
}

async function warm(bench: Bench, flood: Flood): Promise<void> {
  bench.progress(`${bench.number("tenants")} tenants are made`);
  const events = bench.number("poolEvents");
  const eventsPerSecond = bench.number("warmEventsPerSecond");
  await flood.send({ events, eventsPerSecond, secondsMax: 60 });
  await flood.settle();
}

/** Everything that was seen of one flood, as differences. */
type Measured = {
  readonly result: FloodResult;
  readonly settleSeconds: number;
  readonly deliveredEvents: number;
  readonly lostEvents: number;
  readonly server: Usage;
  readonly sender: Usage;
  readonly threads: ReadonlyMap<string, number>;
  /** Of the machine's CPU time, softirq: the IP stack and the program, where told apart. */
  readonly softirqSeconds: number;
  readonly before: Seen;
  /** When the last datagram was sent. */
  readonly sent: KernelAnswer;
  readonly after: Seen;
  readonly status: ServerStatus;
};

type Seen = { readonly kernel: KernelAnswer; readonly status: ServerStatus };

async function measure(
  server: Server,
  flood: Flood,
  { seconds, eventsPerSecond }: { seconds: number; eventsPerSecond: number },
): Promise<Measured> {
  const see = async (): Promise<Seen> => {
    return { kernel: await server.kernel(), status: await server.status() };
  };
  const before = await see();
  const offeredBefore = flood.offeredEvents;
  const threadsBefore = threadUsages(server.child.processId);
  const usages = (): Promise<[Usage, Usage]> =>
    Promise.all([server.child.usage(), flood.generator.usage()]);
  const [serverBefore, senderBefore] = await usages();
  const softirqBefore = softirqSeconds();
  const result = await flood.send({
    events: Math.round(seconds * eventsPerSecond),
    eventsPerSecond,
    secondsMax: seconds,
  });
  const sentMs = performance.now();
  // The sender's figures end here, and those of system calls: settling asks both for totals, which
  // is work of ours.
  const senderAfter = await flood.generator.usage();
  const sent = await server.kernel();
  await flood.settle();
  const settleSeconds = (performance.now() - sentMs) / 1_000;
  const softirq = softirqSeconds() - softirqBefore;
  const [serverAfter] = await usages();
  const threads = usageBetween(threadsBefore, threadUsages(server.child.processId));
  const after = await see();
  const delivered = (seen: Seen): number => seen.kernel.stats!.shards.deliveredCount;
  const deliveredEvents = delivered(after) - delivered(before);
  return {
    result,
    settleSeconds,
    deliveredEvents,
    lostEvents: flood.offeredEvents - offeredBefore - deliveredEvents,
    server: difference(serverBefore, serverAfter),
    sender: difference(senderBefore, senderAfter),
    threads,
    softirqSeconds: softirq,
    before,
    sent,
    after,
    status: after.status,
  };
}

function difference(before: Usage, after: Usage): Usage {
  return {
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    contextSwitches: after.contextSwitches - before.contextSwitches,
    residentMb: after.residentMb,
  };
}

function record(bench: Bench, measured: Measured): void {
  const { result, server, sender, settleSeconds, deliveredEvents, lostEvents } = measured;
  const { seconds } = result;
  const machineSeconds = seconds * availableParallelism();
  bench.record("offeredEventsPerSecond", result.eventsPerSecond, "events/s");
  bench.record("deliveredEventsPerSecond", deliveredEvents / seconds, "events/s");
  bench.record("lostEvents", lostEvents, "events");
  bench.record("settleSeconds", settleSeconds, "s");
  bench.record("receiverCpuShare", server.cpuSeconds / machineSeconds, "share");
  bench.record("receiverNsPerEvent", (server.cpuSeconds * 1e9) / deliveredEvents, "ns");
  bench.record("senderCpuShare", sender.cpuSeconds / machineSeconds, "share");
  bench.record("softirqCpuShare", measured.softirqSeconds / machineSeconds, "share");
  bench.record("contextSwitchesPerSecond", server.contextSwitches / seconds, "1/s");
  bench.record("residentMb", server.residentMb, "MiB");
  for (const [thread, used] of measured.threads) {
    if (used > 0.001 * seconds) bench.record(`threadCpuShare.${thread}`, used / seconds, "core");
  }
  recordStage(bench, measured);
  recordTelemetry(bench, measured);
}

function recordStage(bench: Bench, { before, after, deliveredEvents, result }: Measured): void {
  const grown = (read: (stats: StageStats) => number): number =>
    read(after.kernel.stats!) - read(before.kernel.stats!);
  const drained = grown(({ shards }) => shards.drainedCount);
  const absorbed = 1 - grown(({ shards }) => shards.drainedRecords) / drained;
  // By the program in the kernel, or by its twin.
  bench.record("kernelAbsorbedShare", absorbed, "share");
  const handedOn = grown(({ shards }) => shards.deliveredEvents);
  bench.record("handedOnShare", handedOn / deliveredEvents, "share");
  const byKernel = grown(({ kernel }) => kernel.records);
  bench.record("kernelPathShare", byKernel / deliveredEvents, "share");
  bench.record("deliveriesPerSecond", grown((s) => s.shards.deliveries) / result.seconds, "1/s");
  const shardSum = (name: "turnCount" | "slotMissCount"): number => {
    const sum = (seen: Seen): number =>
      seen.status.shards.reduce((total, shard) => total + shard[name], 0);
    return sum(after) - sum(before);
  };
  bench.record("turnsPerSecond", shardSum("turnCount") / result.seconds, "1/s");
  const misses = shardSum("slotMissCount") / Math.max(1, shardSum("turnCount"));
  bench.record("slotMissShare", misses, "share");
}

/** What the kernel tells, as far as its programs run. */
function recordTelemetry(bench: Bench, { before, sent, result }: Measured): void {
  const [first, last] = [before.kernel.telemetry, sent.telemetry];
  if (first.systemCalls !== undefined && last.systemCalls !== undefined) {
    const grown = growth(first.systemCalls, last.systemCalls);
    const total = grown.reduce((sum, [, count]) => sum + count, 0);
    bench.record("syscallsPerMillionEvents", (total * 1e6) / result.events, "calls");
    for (const [name, count] of grown) {
      if (count < total * OFTEN_SHARE) continue;
      bench.record(`syscallsPerSecond.${name}`, count / result.seconds, "1/s");
    }
  }
  if (first.tlbFlushes !== undefined && last.tlbFlushes !== undefined) {
    for (const [reason, count] of growth(first.tlbFlushes, last.tlbFlushes)) {
      bench.record(`tlbFlushesPerSecond.${reason}`, count / result.seconds, "1/s");
    }
  }
  const missing = last.programs.filter(({ state }) => state !== "running");
  if (missing.length === 0) return;
  bench.found("notCounted", missing.map(({ program }) => program).join(","));
}

type Counts = Readonly<Record<string, number>>;

function growth(before: Counts, after: Counts): [string, number][] {
  const grown = Object.entries(after).map(([name, count]): [string, number] => {
    return [name, count - (before[name] ?? 0)];
  });
  return grown.toSorted((a, b) => b[1] - a[1]);
}

/** Of all CPUs since the start of the machine; 0 where it is not told. */
function softirqSeconds(): number {
  try {
    // cpu user nice system idle iowait irq softirq, in hundredths of a second.
    return Number(readFileSync("/proc/stat", "latin1").split(/\s+/, 8)[7]) / 100;
  } catch {
    return 0;
  }
}

async function runNaive(bench: Bench): Promise<void> {
  bench.progress("headline: the naive server");
  const child = await Child.start(new URL("../baselines/event-server.ts", import.meta.url));
  try {
    const { port } = await child.next<ListeningMessage>("listening");
    const events = bench.number("naiveEvents");
    const settings = {
      events,
      route: "shared",
      bodyEvents: Math.min(1_000, events / 10),
      connections: 4,
      tenantCount: bench.number("tenants"),
      exponent: bench.number("tenantExponent"),
      seed: bench.number("seed"),
      corpus: "terms",
      secondsMax: 30,
    } as const;
    const load = await loadTarget({ child, port }, settings);
    expectEqual("events the naive server took", load.accepted, load.result.events);
    const { seconds } = load.result;
    const machineSeconds = seconds * availableParallelism();
    bench.record("naive.eventsPerSecond", load.result.events / seconds, "events/s");
    bench.record("naive.cpuShare", load.cpuSeconds / machineSeconds, "share");
    bench.record("naive.nsPerEvent", (load.cpuSeconds * 1e9) / load.result.events, "ns");
    bench.record("naive.contextSwitchesPerSecond", load.contextSwitches / seconds, "1/s");
    bench.record("naive.residentMb", load.residentMb, "MiB");
  } finally {
    await child.stop();
  }
}
