/**
 * The same work in four systems, in one run, one after the other in alternation: count, ten most
 * frequent terms, distinct users, P99 and variance of a latency, by tenant, over the same events
 * (bench/same-work-events.ts). CPU is user and system time of the whole process that does the work,
 * all its threads; memory is its greatest resident size meanwhile, the events included.
 *
 *   nexuscore   columns in memory -> grouped by tenant (bench/grouping.ts) -> batches -> tenants,
 *               all of it timed, making the tenants too. It keeps windows, live; nothing is asked.
 *               `answerCpuSeconds` is what it takes to ask every tenant once, afterwards, and
 *               `eventsPerCpuSecondAnswered` is with that
 *   clickhouse  a Memory table -> one query into another, one thread; in process (chdb)
 *   duckdb      a table in memory -> one query into another, one thread; in process
 *   redis       five pipelined commands an event over a Unix socket, fewer events; CPU and memory
 *               of the server alone, making and sending commands left out
 *
 *   …eventsPerCpuSecond, …residentMb
 *   …distinctError, …p99Error   how wrong the answers of sampled tenants were, relative, on average
 *   …topFound                   share of the ten listed terms that belong there
 *   ratioToClickhouse, ratioToClickhouseAnswered   nexuscore / clickhouse in the same round
 *
 * An answer that is beyond what its system states fails the run; see bench/same-work.ts. A system
 * that is not installed is left out and named in `skipped`, with how to install it.
 */
import { createHash } from "node:crypto";
import { Child } from "../child.ts";
import { alternate, type Bench, type Scenario, UsageError, type Variant } from "../harness.ts";
import { packageMissing, redisMissing } from "../peers.ts";
import {
  compare,
  type SameWorkFigures,
  type SameWorkSettings,
  type Tolerance,
  type Truth,
  truthOf,
} from "../same-work.ts";

export const sameWork: Scenario = {
  name: "same-work",
  sentence:
    "count, top terms, distinct users, P99 and variance beside ClickHouse, DuckDB and Redis",
  parameters: {
    runs: { full: 3, quick: 1, sentence: "rounds; each runs every system once" },
    events: { full: 10_000_000, quick: 20_000, sentence: "events" },
    redisEvents: { full: 1_000_000, quick: 2_000, sentence: "events for Redis" },
    tenants: { full: 10_000, quick: 50, sentence: "tenants" },
    slots: { full: 64, quick: 16, sentence: "warm instances of nexuscore" },
    stepEvents: {
      full: 10_000_000,
      quick: 7_000,
      sentence: "events that nexuscore groups at a time",
    },
    tenantsCompared: { full: 100, quick: 20, sentence: "tenants whose answers are checked" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    systems: { full: "all", quick: "all", sentence: "all, or names with commas" },
  },
  run,
};

type System = {
  readonly program: URL;
  readonly missing: () => string | undefined;
  readonly events: "events" | "redisEvents";
  readonly tolerance: Tolerance;
};

const NOT_MISSING = (): undefined => undefined;
/** What 1 % is, and some of the last digits. */
const ONE_PERCENT = 0.01 + 1e-9;

const SYSTEMS: Readonly<Record<string, System>> = {
  nexuscore: {
    program: new URL("../children/same-work.ts", import.meta.url),
    missing: NOT_MISSING,
    events: "events",
    tolerance: { p99: ONE_PERCENT, variance: 1e-6 },
  },
  clickhouse: {
    program: new URL("../children/same-work-clickhouse.ts", import.meta.url),
    missing: () => packageMissing("chdb"),
    events: "events",
    tolerance: { p99: ONE_PERCENT, variance: 1e-6 },
  },
  duckdb: {
    program: new URL("../children/same-work-duckdb.ts", import.meta.url),
    missing: () => packageMissing("@duckdb/node-api"),
    events: "events",
    // A t-digest states no error.
    tolerance: { p99: undefined, variance: 1e-6 },
  },
  redis: {
    program: new URL("../children/same-work-redis.ts", import.meta.url),
    missing: redisMissing,
    events: "redisEvents",
    tolerance: { p99: ONE_PERCENT, variance: 1e-6 },
  },
};

async function run(bench: Bench): Promise<void> {
  const said = bench.text("systems");
  const names = said === "all" ? Object.keys(SYSTEMS) : said.split(",");
  const skipped: string[] = [];
  const rates = new Map<string, number>();
  const truths = new Map<number, readonly Truth[]>();
  const variants = names.flatMap((name): Variant[] => {
    const system = SYSTEMS[name];
    if (system === undefined) throw new UsageError(`There is no system ${name}.`);
    const remedy = system.missing();
    if (remedy !== undefined) {
      skipped.push(`${name} (${remedy})`);
      bench.progress(`same-work: without ${name}; to have it: ${remedy}`);
      return [];
    }
    const settings = settingsOf(bench, bench.number(system.events));
    const once = async (round: number): Promise<void> => {
      bench.progress(`same-work: ${name}, round ${round + 1}`);
      const figures = await Child.measure<SameWorkFigures>(system.program, settings);
      const truth = truths.get(settings.events) ?? truthOf(settings);
      truths.set(settings.events, truth);
      record(
        bench,
        name,
        settings,
        figures,
        compare(name, truth, figures.answers, system.tolerance),
      );
      rates.set(`${name} ${round}`, settings.events / figures.cpuSeconds);
      if (name === "nexuscore") {
        const seconds = figures.cpuSeconds + figures.answerCpuSeconds;
        rates.set(`answered ${round}`, settings.events / seconds);
      }
    };
    return [{ name, run: once }];
  });
  bench.found("skipped", skipped.length === 0 ? "none" : skipped.join(", "));
  await alternate(bench.number("runs"), variants);
  for (let round = 0; round < bench.number("runs"); round++) {
    const clickhouse = rates.get(`clickhouse ${round}`);
    const nexuscore = rates.get(`nexuscore ${round}`);
    if (clickhouse === undefined || nexuscore === undefined) continue;
    bench.record("ratioToClickhouse", nexuscore / clickhouse, "times");
    const answered = rates.get(`answered ${round}`)!;
    bench.record("ratioToClickhouseAnswered", answered / clickhouse, "times");
  }
}

function settingsOf(bench: Bench, events: number): SameWorkSettings {
  const tenants = bench.number("tenants");
  const compared = Math.min(bench.number("tenantsCompared"), tenants);
  return {
    events,
    tenants,
    seed: bench.number("seed"),
    slots: bench.number("slots"),
    stepEvents: bench.number("stepEvents"),
    asked: Array.from({ length: compared }, (_, index) => Math.floor((index * tenants) / compared)),
  };
}

function record(
  bench: Bench,
  name: string,
  { events }: SameWorkSettings,
  figures: SameWorkFigures,
  errors: ReturnType<typeof compare>,
): void {
  const { cpuSeconds, residentMb, answerCpuSeconds, answers } = figures;
  bench.record(`${name}.eventsPerCpuSecond`, events / cpuSeconds, "events/s");
  bench.record(`${name}.cpuSeconds`, cpuSeconds, "s");
  bench.record(`${name}.residentMb`, residentMb, "MiB");
  bench.record(`${name}.distinctError`, errors.distinct, "share");
  bench.record(`${name}.p99Error`, errors.p99, "share");
  bench.record(`${name}.topFound`, errors.topFound, "share");
  if (name !== "nexuscore") return;
  bench.record(`${name}.answerCpuSeconds`, answerCpuSeconds, "s");
  const rate = events / (cpuSeconds + answerCpuSeconds);
  bench.record(`${name}.eventsPerCpuSecondAnswered`, rate, "events/s");
  bench.fact(
    "nexuscore.answers",
    createHash("sha256").update(JSON.stringify(answers)).digest("hex"),
  );
}
