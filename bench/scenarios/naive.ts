/**
 * The obvious ways to do it, and ours, side by side: the same stream of events, the same summary
 * (count and most frequent words of 60 s for each tenant), the same machine, in alternation.
 *
 *   processPerTenant  a router and a Node process a tenant, one IPC message an event
 *   workerPerTenant   a router and a worker thread a tenant, one postMessage an event
 *   eventPerMessage   node:http, one JSON event a request, JSON.parse, Maps in the shared heap
 *   eventPerLine      the same server taking NDJSON bodies: the naive way with its requests batched
 *   nexuscore         the whole server with default settings, NDJSON bodies to POST /v1/events
 *   nexuscoreSingle   the same server, one JSON event a request: what batching is worth
 *   nexuscoreMany     as nexuscore, with as many tenants as the others could not hold
 *
 * Kindness to the baselines: the first two are handed their events in memory, without HTTP; all of
 * them cut text at spaces and count words, nothing more, while NexusCore also finds bigrams,
 * distinct users, significance, repeats and quotes. Whoever is faster gets a longer piece of the
 * stream (`eventsFast`), because the short one would be over before it is warm.
 *
 * Every answer is checked against a tally of the same events made here: exact event counts
 * everywhere, exact words of the baselines, and of NexusCore that the true count of each top word
 * lies in the interval it states (and equals the count it calls exact), give or take the repeats
 * that it says it left out of its counts.
 *
 * CPU and context switches are of the system under test, all its processes and threads, not of the
 * load generator. cpuShare is of the whole machine: all cores busy is 1. Memory is VmRSS, and for
 * the processes of processPerTenant their proportional share (Pss), so that no shared page counts
 * twice.
 */
import { createHash } from "node:crypto";
import { availableParallelism } from "node:os";
import { type TenantAnswer, WindowTally } from "../baselines/window-tally.ts";
import type { DriverSettings, FinishedMessage, ReadyMessage } from "../baselines/driver.ts";
import type { ListeningMessage } from "../baselines/event-server.ts";
import { Child } from "../child.ts";
import {
  alternate,
  type Bench,
  expectEqual,
  type Scenario,
  UsageError,
  WrongAnswer,
} from "../harness.ts";
import { type LoadRun, loadTarget } from "../served-load.ts";
import { Server } from "../server.ts";
import { EventStream, loadCorpus, tenantName } from "../workload.ts";

export const naive: Scenario = {
  name: "naive",
  sentence:
    "a process a tenant, a worker a tenant, an event a message, and NexusCore, side by side",
  parameters: {
    runs: { full: 3, quick: 1, sentence: "rounds; each runs every system once" },
    events: {
      full: 100_000,
      quick: 600,
      sentence: "events for a system that takes them one by one",
    },
    eventsFast: {
      full: 1_000_000,
      quick: 3_000,
      sentence: "events for a system that takes bodies",
    },
    tenants: {
      full: 50,
      quick: 3,
      sentence: "tenants; a process each takes 40 to 50 MB, so hundreds do not fit",
    },
    tenantsMany: { full: 10_000, quick: 100, sentence: "tenants of nexuscoreMany" },
    bodyEvents: { full: 1_000, quick: 100, sentence: "events of one NDJSON body" },
    connections: { full: 8, quick: 2, sentence: "keep-alive connections, one request each" },
    exponent: { full: 0.8, quick: 0.8, sentence: "Zipf exponent of the tenants" },
    secondsMax: { full: 20, quick: 20, sentence: "after this a system is stopped where it is" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    systems: {
      full: "all",
      quick: "all",
      sentence: "all, or names with commas",
    },
  },
  run,
};

const SYSTEMS: Readonly<Record<string, (bench: Bench, plan: Plan) => Promise<Outcome>>> = {
  processPerTenant: (bench, plan) => runDriver(bench, plan, "process"),
  workerPerTenant: (bench, plan) => runDriver(bench, plan, "thread"),
  eventPerMessage: (bench, plan) => runEventServer(bench, plan, "single"),
  eventPerLine: (bench, plan) => runEventServer(bench, plan, "shared"),
  nexuscore: (bench, plan) => runNexuscore(bench, plan, "shared"),
  nexuscoreSingle: (bench, plan) => runNexuscore(bench, plan, "single"),
  nexuscoreMany: (bench, plan) => runNexuscore(bench, plan, "shared"),
};

/** Systems whose events come in bodies. */
const FAST = new Set(["eventPerLine", "nexuscore", "nexuscoreMany"]);
/** Invented words, one way to cut them: real chat would compare tokenizers instead of systems. */
const CORPUS = "seeded";
const TOP_WORDS = 10;
/** Terms asked of NexusCore: its list holds bigrams too. */
const NEXUSCORE_LIMIT = 50;
/** With fewer of the true top words among the terms that NexusCore lists, nothing was compared. */
const WORDS_FOUND_MIN = 0.5;
/** Tenants whose answers are fetched and compared where there are many. */
const TENANTS_COMPARED_MAX = 200;

type Plan = { readonly events: number; readonly tenantCount: number };

type Outcome = {
  readonly events: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly contextSwitches: number;
  readonly residentMb: number;
  /**
   * Share of the true top words that are among the listed terms, where the counts are estimates.
   */
  readonly topWordsFound?: number;
};

async function run(bench: Bench): Promise<void> {
  bench.found("corpus", CORPUS);
  const said = bench.text("systems");
  const systems = said === "all" ? Object.keys(SYSTEMS) : said.split(",");
  const variants = systems.map((name) => {
    const system = SYSTEMS[name];
    if (system === undefined) throw new UsageError(`There is no system ${name}.`);
    const plan: Plan = {
      events: bench.number(FAST.has(name) ? "eventsFast" : "events"),
      tenantCount: bench.number(name === "nexuscoreMany" ? "tenantsMany" : "tenants"),
    };
    const once = async (round: number): Promise<void> => {
      bench.progress(`naive: ${name}, round ${round + 1}`);
      const outcome = await system(bench, plan);
      record(bench, name, outcome, plan);
    };
    return { name, run: once };
  });
  await alternate(bench.number("runs"), variants);
}

function record(bench: Bench, name: string, outcome: Outcome, plan: Plan): void {
  const { events, seconds, cpuSeconds, contextSwitches, residentMb } = outcome;
  const cores = availableParallelism();
  bench.record(`${name}.eventsPerSecond`, events / seconds, "events/s");
  bench.record(`${name}.cpuShare`, cpuSeconds / seconds / cores, "share");
  bench.record(`${name}.contextSwitchesPerSecond`, contextSwitches / seconds, "1/s");
  bench.record(`${name}.residentMb`, residentMb, "MiB");
  bench.record(`${name}.eventsPerCpuSecond`, events / cpuSeconds, "events/s");
  bench.record(`${name}.events`, events, "events");
  bench.record(`${name}.tenants`, plan.tenantCount, "tenants");
  const { topWordsFound } = outcome;
  if (topWordsFound !== undefined) bench.record(`${name}.topWordsFound`, topWordsFound, "share");
  // Stopped by the clock, the piece of the stream is another one each time.
  if (events === plan.events)
    bench.fact(`${name}.answers`, digest(referenceOf(bench, plan, events)));
}

async function runDriver(bench: Bench, plan: Plan, host: DriverSettings["host"]): Promise<Outcome> {
  const driver = await Child.start(new URL("../baselines/driver.ts", import.meta.url));
  try {
    const settings: DriverSettings = {
      ...plan,
      host,
      exponent: bench.number("exponent"),
      seed: bench.number("seed"),
      corpus: CORPUS,
      secondsMax: bench.number("secondsMax"),
      limit: TOP_WORDS,
    };
    driver.send({ type: "start", settings });
    await driver.next<ReadyMessage>("ready");
    driver.send({ type: "send" });
    const { events, seconds, usage, answers } = await driver.next<FinishedMessage>("finished");
    compareExact(referenceOf(bench, plan, events), answers);
    return { events, seconds, ...usage };
  } finally {
    await driver.stop();
  }
}

async function runEventServer(
  bench: Bench,
  plan: Plan,
  route: "single" | "shared",
): Promise<Outcome> {
  const child = await Child.start(new URL("../baselines/event-server.ts", import.meta.url));
  try {
    const { port } = await child.next<ListeningMessage>("listening");
    const load = await loadTarget({ child, port }, loadSettings(bench, plan, route));
    const response = await fetch(`http://127.0.0.1:${port}/?limit=${TOP_WORDS}`);
    const byName = (await response.json()) as Record<string, TenantAnswer>;
    const nothing: TenantAnswer = { eventCount: 0, top: [] };
    const names = Array.from({ length: plan.tenantCount }, (_, tenant) => tenantName(tenant));
    const answers = names.map((name) => byName[name] ?? nothing);
    compareExact(referenceOf(bench, plan, load.result.events), answers);
    return outcomeOf(load);
  } finally {
    await child.stop();
  }
}

async function runNexuscore(
  bench: Bench,
  plan: Plan,
  route: "single" | "shared",
): Promise<Outcome> {
  const server = await Server.start();
  try {
    const load = await loadTarget(server, loadSettings(bench, plan, route));
    expectEqual("events rejected", load.result.rejected, 0);
    const { eventCount } = await server.status();
    expectEqual("events the server counted", eventCount, load.result.events);
    const reference = referenceOf(bench, plan, load.result.events);
    let wordsFound = 0;
    let wordsWanted = 0;
    const stride = Math.ceil(plan.tenantCount / TENANTS_COMPARED_MAX);
    for (let tenant = 0; tenant < plan.tenantCount; tenant += stride) {
      if (reference[tenant]!.eventCount === 0) continue;
      const want = reference[tenant]!;
      wordsWanted += want.top.length;
      wordsFound += await compareWindow(server, tenant, want);
    }
    const found = wordsFound / wordsWanted;
    if (found < WORDS_FOUND_MIN) throw new WrongAnswer(`only ${found} of the top words are listed`);
    return { ...outcomeOf(load), topWordsFound: found };
  } finally {
    await server.stop();
  }
}

function loadSettings(bench: Bench, plan: Plan, route: "single" | "shared") {
  return {
    ...plan,
    route,
    bodyEvents: bench.number("bodyEvents"),
    connections: bench.number("connections"),
    exponent: bench.number("exponent"),
    seed: bench.number("seed"),
    corpus: CORPUS,
    secondsMax: bench.number("secondsMax"),
  };
}

function outcomeOf(load: LoadRun): Outcome {
  const { events, seconds } = load.result;
  const { cpuSeconds, contextSwitches, residentMb } = load;
  return { events, seconds, cpuSeconds, contextSwitches, residentMb };
}

const references = new Map<string, TenantAnswer[]>();

/** What the first `events` events of the stream add up to, by tenant. */
function referenceOf(bench: Bench, { tenantCount }: Plan, events: number): TenantAnswer[] {
  const seed = bench.number("seed");
  const exponent = bench.number("exponent");
  const key = `${seed} ${exponent} ${tenantCount} ${events}`;
  let reference = references.get(key);
  if (reference === undefined) {
    const corpus = loadCorpus(CORPUS, seed);
    const stream = new EventStream({ seed, corpus, tenantCount, exponent });
    const tallies = Array.from({ length: tenantCount }, () => new WindowTally());
    for (let i = 0; i < events; i++) {
      const { tenant, text } = stream.next();
      tallies[tenant]!.add(text, 0);
    }
    reference = tallies.map((tally) => tally.answer(TOP_WORDS, 0));
    references.set(key, reference);
  }
  return reference;
}

function compareExact(reference: readonly TenantAnswer[], answers: readonly TenantAnswer[]): void {
  expectEqual("tenants that answered", answers.length, reference.length);
  for (const [tenant, want] of reference.entries()) {
    const name = tenantName(tenant);
    expectEqual(`${name}: events`, answers[tenant]!.eventCount, want.eventCount);
    expectEqual(`${name}: top words`, words(answers[tenant]!), words(want));
  }
}

/**
 * Its count of events is the true one, and each top word's true count lies where it says. Returns
 * how many of the top words it lists.
 */
async function compareWindow(server: Server, tenant: number, want: TenantAnswer): Promise<number> {
  const name = tenantName(tenant);
  const window = await server.window(name, NEXUSCORE_LIMIT);
  expectEqual(`${name}: events`, window.eventCount, want.eventCount);
  let found = 0;
  const trueCounts = new Map(want.top.map(({ word, count }) => [word, count]));
  for (const { term, count, countLow, countHigh, exact } of window.items) {
    const trueCount = trueCounts.get(term);
    if (trueCount === undefined) continue;
    found += 1;
    // A user who says the same again is in the event count, not in the counts of terms.
    const low = exact ? count : countLow;
    const high = (exact ? count : countHigh) + window.repeatedCount;
    if (low <= trueCount && trueCount <= high) continue;
    throw new WrongAnswer(`${name}: ${term} is ${trueCount}, not ${low} to ${high}`);
  }
  return found;
}

function words({ top }: TenantAnswer): string {
  return top.map(({ word, count }) => `${word}=${count}`).join(" ");
}

function digest(reference: readonly TenantAnswer[]): string {
  const lines = reference.map((answer) => `${answer.eventCount} ${words(answer)}\n`);
  return createHash("sha256").update(lines.join("")).digest("hex").slice(0, 16);
}
