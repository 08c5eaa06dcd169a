/**
 * The whole server, end to end: NDJSON over HTTP on the loopback, from a load generator in a
 * process of its own, on the same cores. Three loads take turns, each on a server just started:
 *
 *   (no prefix)  bodies of one tenant each to POST /v1/tenants/{tenant}/events, the usual road
 *   mixed.       bodies of many tenants to POST /v1/events: turns of a few events each
 *   live.        as mixed, while `liveTenants` tenants have state and any of them may come next
 *
 * Updates are turns: one tenant's component takes one batch, the fetching of its image included;
 * their quantiles are the shard's own, since it started, first turns and (live.) creations
 * included. Requests are timed by the generator, from the first byte sent to the last received.
 * What the server says it counted must be what it said it accepted, or the run fails.
 */
import { alternate, type Bench, expectEqual, type Scenario, UsageError } from "../harness.ts";
import type { LoadSettings } from "../children/load.ts";
import { type LoadRun, loadTarget } from "../served-load.ts";
import { Server, type ServerStatus } from "../server.ts";
import { loadCorpus } from "../workload.ts";

export const ingest: Scenario = {
  name: "ingest",
  sentence: "the whole server: NDJSON over HTTP to windows, events a second and time of an update",
  parameters: {
    runs: { full: 3, quick: 1, sentence: "servers started and loaded for each of the loads" },
    events: { full: 1_000_000, quick: 4_000, sentence: "events of the timed part of a run" },
    warmEvents: { full: 100_000, quick: 1_000, sentence: "events sent before, untimed" },
    bodyEvents: { full: 1_000, quick: 100, sentence: "events of one request" },
    connections: { full: 4, quick: 2, sentence: "keep-alive connections, one request each" },
    tenants: { full: 1_000, quick: 20, sentence: "tenants of the first two loads" },
    liveTenants: { full: 100_000, quick: 200, sentence: "tenants of the load `live`" },
    exponent: { full: 1, quick: 1, sentence: "Zipf exponent of the tenants" },
    shards: { full: 1, quick: 1, sentence: "shard threads of the server" },
    slots: { full: 1_024, quick: 16, sentence: "warm instances a shard" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    corpus: { full: "auto", quick: "seeded", sentence: "auto, seeded, or a folder of IRC logs" },
    loads: {
      full: "own,mixed,live",
      quick: "own,mixed,live",
      sentence: "which loads to run",
    },
  },
  run,
};

const LOADS = {
  own: { prefix: "", route: "fixed" },
  mixed: { prefix: "mixed.", route: "shared" },
  live: { prefix: "live.", route: "shared" },
} as const;

type LoadName = keyof typeof LOADS;

async function run(bench: Bench): Promise<void> {
  bench.found("corpus", loadCorpus(bench.text("corpus"), bench.number("seed")).name);
  const names = bench.text("loads").split(",");
  const loads = names.map((name) => {
    if (!Object.hasOwn(LOADS, name)) throw new UsageError(`There is no load ${name}.`);
    return { name, run: (round: number) => runLoad(bench, name as LoadName, round) };
  });
  await alternate(bench.number("runs"), loads);
}

async function runLoad(bench: Bench, name: LoadName, round: number): Promise<void> {
  const { prefix, route } = LOADS[name];
  bench.progress(`ingest: ${name}, run ${round + 1}`);
  const settings: Omit<LoadSettings, "port"> = {
    route,
    events: bench.number("events") + bench.number("warmEvents"),
    bodyEvents: bench.number("bodyEvents"),
    connections: bench.number("connections"),
    tenantCount: bench.number(name === "live" ? "liveTenants" : "tenants"),
    exponent: bench.number("exponent"),
    seed: bench.number("seed"),
    corpus: bench.text("corpus"),
    secondsMax: 120,
  };
  const server = await Server.start({
    shardCount: bench.number("shards"),
    slotCount: bench.number("slots"),
  });
  try {
    const made = name === "live" ? await makeTenants(server, settings) : undefined;
    const load = await loadTarget(server, settings, bench.number("warmEvents"));
    const status = await server.status();
    check(settings, load, status, made?.counted ?? 0);
    record(bench, prefix, load, status);
    bench.fact(`${name}.accepted`, load.accepted + (made?.accepted ?? 0));
    bench.fact(`${name}.tenants`, status.tenantCount);
  } finally {
    await server.stop();
  }
}

/** One event for every tenant, so that all of them have state. */
async function makeTenants(server: Server, settings: Omit<LoadSettings, "port">): Promise<LoadRun> {
  const events = settings.tenantCount;
  const made = await loadTarget(server, { ...settings, route: "each", events });
  expectEqual("tenants that are live", (await server.status()).tenantCount, events);
  return made;
}

function check(
  { events }: Pick<LoadSettings, "events">,
  load: LoadRun,
  status: ServerStatus,
  countedBefore: number,
): void {
  expectEqual("events rejected", load.result.rejected, 0);
  expectEqual("events accepted", load.accepted, events);
  expectEqual("events the server counted", status.eventCount, load.counted + countedBefore);
}

function record(bench: Bench, prefix: string, load: LoadRun, status: ServerStatus): void {
  const { result } = load;
  const put = (name: string, value: number, unit: string): void => {
    bench.record(`${prefix}${name}`, value, unit);
  };
  const { turnUs, slotHitCount, slotMissCount } = status.shards[0]!;
  put("eventsPerSecond", result.events / result.seconds, "events/s");
  put("updateP50Us", turnUs.p50, "us");
  put("updateP99Us", turnUs.p99, "us");
  put("updateP999Us", turnUs.p999, "us");
  put("requestP50Ms", result.requestMs.p50, "ms");
  put("requestP99Ms", result.requestMs.p99, "ms");
  put("requestP999Ms", result.requestMs.p999, "ms");
  put("bytesPerSecond", result.bytes / result.seconds, "bytes/s");
  put("refusals", result.refusals, "requests");
  put("cpuSeconds", load.cpuSeconds, "s");
  put("cpuUsPerEvent", (load.cpuSeconds * 1e6) / result.events, "us");
  put("loadCpuSeconds", load.loadCpuSeconds, "s");
  put("contextSwitchesPerSecond", load.contextSwitches / result.seconds, "1/s");
  put("residentMb", load.residentMb, "MiB");
  put("slotMissShare", slotMissCount / Math.max(1, slotHitCount + slotMissCount), "share");
  for (const [thread, seconds] of load.threads) put(`threadCpuSeconds.${thread}`, seconds, "s");
}
