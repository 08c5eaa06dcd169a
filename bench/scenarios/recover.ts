/**
 * How long a server takes that was killed, until it answers again: with many tenants and many
 * logged events, of which some are in snapshots and the rest is to be made again.
 *
 * Which of the two it is decides the time, so the report says both: `snapshots` that were read,
 * `replayedTurns` that no snapshot held, and `heldBySnapshots`, the share of all turns ever made
 * that needed no replay. `settleMs` between the last event and the kill lets snapshots catch
 * up; without it what the load was ahead of them is measured.
 *
 * After the start every tenant is there, and some are asked for their counts: each has every event
 * that was acknowledged, or the run fails.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { RecoverySummary } from "#model/storage.ts";
import { Random } from "#std/random.ts";
import { type Bench, expectEqual, type Scenario, WrongAnswer } from "../harness.ts";
import { loadTarget } from "../served-load.ts";
import { makeDataFolder, removeDataFolder, Server } from "../server.ts";
import { loadCorpus, tenantName } from "../workload.ts";

export const recover: Scenario = {
  name: "recover",
  sentence: "time from a kill to ready, by what snapshots hold and what is to be made again",
  parameters: {
    runs: { full: 1, quick: 1, sentence: "times that it is killed, with the same tenants" },
    tenants: {
      full: 100_000,
      quick: 100,
      sentence: "tenants, each with the same number of events",
    },
    events: { full: 10_000_000, quick: 2_000, sentence: "events in all" },
    bodyEvents: { full: 1_000, quick: 100, sentence: "events of one request" },
    connections: { full: 8, quick: 2, sentence: "keep-alive connections, one request each" },
    settleMs: { full: 1, quick: 1, sentence: "between the last event and the kill" },
    shards: { full: 2, quick: 1, sentence: "shard threads of the server" },
    slots: { full: 1_024, quick: 16, sentence: "warm instances a shard" },
    asked: { full: 200, quick: 20, sentence: "tenants that are asked for their counts" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    corpus: { full: "auto", quick: "seeded", sentence: "auto, seeded, or a folder of IRC logs" },
  },
  run,
};

/** Requests are built beforehand, and memory has an end. */
const EVENTS_BUILT_MAX = 1_000_000;
const START_MS_MAX = 600_000;

async function run(bench: Bench): Promise<void> {
  bench.found("corpus", loadCorpus(bench.text("corpus"), bench.number("seed")).name);
  const dataFolder = makeDataFolder();
  try {
    const settings = {
      dataFolder,
      shardCount: bench.number("shards"),
      slotCount: bench.number("slots"),
      startMsMax: START_MS_MAX,
    };
    for (let round = 0; round < bench.number("runs"); round++) {
      bench.progress(`recover: load, run ${round + 1}`);
      const turnCount = await loadAndKill(bench, settings, round);
      bench.progress(`recover: start, run ${round + 1}`);
      const startMs = performance.now();
      const server = await Server.start(settings);
      try {
        const readySeconds = (performance.now() - startMs) / 1000;
        const { recovery } = await server.storage();
        if (recovery === undefined || !("summary" in recovery)) {
          throw new WrongAnswer("the server does not say what it recovered");
        }
        record(bench, recovery.summary, { readySeconds, turnCount });
        await check(bench, server, recovery.summary, round);
      } finally {
        await server.stop();
      }
    }
  } finally {
    removeDataFolder(dataFolder);
  }
}

/** All tenants in turn; returns how many turns that took. */
async function loadAndKill(
  bench: Bench,
  settings: { readonly dataFolder: string; readonly shardCount: number },
  round: number,
): Promise<number> {
  const server = await Server.start(settings);
  const tenantCount = bench.number("tenants");
  let left = bench.number("events");
  if (left % tenantCount !== 0) throw new WrongAnswer("every tenant is to have as many events");
  const startMs = performance.now();
  for (let part = 0; left > 0; part++) {
    // Whole rounds over the tenants, so that each part begins with the first of them.
    const rounds = Math.max(1, Math.floor(Math.min(left, EVENTS_BUILT_MAX) / tenantCount));
    const events = rounds * tenantCount;
    const { result, accepted } = await loadTarget(server, {
      route: "each",
      events,
      bodyEvents: bench.number("bodyEvents"),
      connections: bench.number("connections"),
      tenantCount,
      exponent: 1,
      seed: bench.number("seed") + part + round * 1_000,
      corpus: bench.text("corpus"),
      secondsMax: 600,
      ack: "disk",
    });
    expectEqual("events accepted", accepted, events);
    expectEqual("events rejected", result.rejected, 0);
    left -= events;
  }
  const seconds = (performance.now() - startMs) / 1000;
  bench.record("loadEventsPerSecond", bench.number("events") / seconds, "events/s");
  await sleep(bench.number("settleMs"));
  const [{ shards }, storage] = await Promise.all([server.status(), server.storage()]);
  bench.record("logBytes", storage.logBytes, "bytes");
  bench.record("storeBytes", storage.storeBytes, "bytes");
  bench.record("backlogSeconds", storage.backlogMs / 1000, "s");
  await server.kill();
  return shards.reduce((sum, { turnCount }) => sum + turnCount, 0);
}

function record(
  bench: Bench,
  summary: RecoverySummary,
  { readySeconds, turnCount }: { readySeconds: number; turnCount: number },
): void {
  bench.record("readySeconds", readySeconds, "s");
  bench.record("recoverySeconds", summary.readySeconds, "s");
  bench.record("snapshots", summary.snapshots, "images");
  bench.record("replayedTurns", summary.replayedTurns, "turns");
  bench.record("skippedTurns", summary.skippedTurns, "turns");
  const share = 1 - summary.replayedTurns / Math.max(1, turnCount);
  bench.record("heldBySnapshots", Math.max(0, share), "share");
}

async function check(
  bench: Bench,
  server: Server,
  summary: RecoverySummary,
  round: number,
): Promise<void> {
  const { lostCount, gaps, repaired } = summary;
  expectEqual("tenants with something missing", lostCount + gaps + repaired, 0);
  expectEqual("tenants recovered", summary.tenants, bench.number("tenants"));
  const each = bench.number("events") / bench.number("tenants");
  const random = new Random(bench.number("seed"));
  for (let asked = 0; asked < bench.number("asked"); asked++) {
    const tenant = tenantName(random.below(bench.number("tenants")));
    const status = await server.tenant(tenant);
    const taken = status.eventCount + status.repeatedCount;
    expectEqual(`events of ${tenant}`, taken, each * (round + 1));
  }
  bench.fact("tenants", summary.tenants);
  bench.fact("events", bench.number("events"));
}
