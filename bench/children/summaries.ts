/** Feeds many tenants with events of one kind; see scenarios/summaries.ts. */
import { createHash } from "node:crypto";
import { Merger } from "#merger/merger.ts";
import { PANE_MS } from "#model/limits.ts";
import { Random } from "#std/random.ts";
import { allocatedBytes, collectGarbage } from "../allocation.ts";
import { BatchPool, cutBatches, type PoolEvent } from "../batches.ts";
import { quantile } from "../statistics.ts";
import { loadCorpus, Zipf } from "../workload.ts";
import { Isolates, mustBeOk, serveMeasurement, START_MS } from "./isolates.ts";

/**
 * `whole`: user, term and metric. `bare`: nothing but that it happened. The others add one thing to
 * that: `user`, `term`, `metric`, `message` (a user's chat line in a conversation).
 */
export const CONTENTS = ["whole", "bare", "user", "term", "metric", "message"] as const;
export type Content = (typeof CONTENTS)[number];

export type SummariesSettings = {
  readonly content: Content;
  readonly order: "grouped" | "ungrouped";
  readonly tenants: number;
  readonly slots: number;
  readonly eventsPerTenant: number;
  /** Panes that every tenant is rolled on by, one at a time, afterwards. */
  readonly rolls: number;
  readonly terms: number;
  readonly users: number;
  readonly seed: number;
  readonly corpus: string;
};

export type SummariesFigures = {
  readonly nsPerEvent: number;
  readonly cpuNsPerEvent: number;
  readonly allocatedBytesPerEvent: number;
  /** Each turn timed by itself. */
  readonly rollP50Us: number;
  readonly rollP99Us: number;
  readonly events: number;
  /** One message to a warm tenant, each turn timed; 0 unless the content is `message`. */
  readonly textP50Us: number;
  readonly textP99Us: number;
  /** Sketches of the tenants' whole time, merged one after the other; 0 unless it is `whole`. */
  readonly mergesPerSecond: number;
  /** Of what sampled tenants say of two windows. */
  readonly digest: string;
};

/** Batches, and whose they are. */
type Step = { readonly tenants: Uint32Array; readonly batches: readonly (readonly PoolEvent[])[] };

/** Made at once, before they are timed. */
const CHUNK_EVENTS = 200_000;
const TENANTS_ASKED = 64;
/** The first of each warms up. */
const TEXTS_EACH = 20;
const SKETCHES_MERGED = 512;
const MERGE_ROUNDS = 4;
const TERMS_ASKED = 10;

serveMeasurement(measure);

function measure(settings: SummariesSettings): SummariesFigures {
  const { tenants, slots } = settings;
  const isolates = new Isolates({ slotCount: slots, tenantCountMax: tenants });
  isolates.slices(tenants, (tenant) => isolates.open(tenant));
  const sources = eventSources(settings);
  // The first step grows the tenants to the size that they keep.
  runStep(isolates, chunksOf({ ...settings, order: "grouped" }, sources), START_MS);
  const countedBefore = isolates.counted + isolates.repeated;
  const { ms, cpuMs, allocated } = runStep(isolates, chunksOf(settings, sources), START_MS + 1);
  const events = isolates.counted + isolates.repeated - countedBefore;
  const digest = digestOf(isolates, tenants);
  const { content } = settings;
  const texts = content === "message" ? timeTexts(isolates, settings, sources) : undefined;
  const mergesPerSecond = content === "whole" ? timeMerges(isolates, tenants) : 0;
  const rolls = timeRolls(isolates, settings);
  return {
    nsPerEvent: (ms * 1e6) / events,
    cpuNsPerEvent: (cpuMs * 1e6) / events,
    allocatedBytesPerEvent: allocated / events,
    rollP50Us: quantile(rolls, 0.5),
    rollP99Us: quantile(rolls, 0.99),
    textP50Us: texts === undefined ? 0 : quantile(texts, 0.5),
    textP99Us: texts === undefined ? 0 : quantile(texts, 0.99),
    mergesPerSecond,
    events,
    digest,
  };
}

type Took = { readonly ms: number; readonly cpuMs: number; readonly allocated: number };

/** What the turns of a step took, by the clock and of the CPU, their making left out. */
function runStep(isolates: Isolates, chunks: Iterable<Step>, nowMs: number): Took {
  let ms = 0;
  let cpuMs = 0;
  let allocated = 0;
  for (const { tenants, batches } of chunks) {
    const pool = new BatchPool(batches, nowMs);
    collectGarbage();
    const allocatedBefore = allocatedBytes();
    const startMs = performance.now();
    const cpuStart = process.threadCpuUsage();
    isolates.slices(tenants.length, (turn) => isolates.ingest(tenants[turn]!, pool, turn));
    const { user, system } = process.threadCpuUsage(cpuStart);
    ms += performance.now() - startMs;
    cpuMs += (user + system) / 1000;
    allocated += allocatedBytes() - allocatedBefore;
  }
  return { ms, cpuMs, allocated };
}

/**
 * `eventsPerTenant` events for every tenant, a chunk at a time: batches of a tenant's
 * events together, tenant after tenant; or batches of one event, the tenants by turns in an order
 * that is drawn anew for every round. A tenant's own events are the same either way.
 */
function* chunksOf(settings: SummariesSettings, sources: readonly Source[]): Generator<Step> {
  const { order, eventsPerTenant } = settings;
  const tenantsAtOnce = Math.ceil(CHUNK_EVENTS / (order === "grouped" ? eventsPerTenant : 1));
  const tenants = Uint32Array.from(sources, (_, tenant) => tenant);
  const random = new Random(settings.seed);
  const rounds = order === "grouped" ? 1 : eventsPerTenant;
  for (let round = 0; round < rounds; round++) {
    if (order === "ungrouped") shuffle(tenants, random);
    for (let first = 0; first < tenants.length; first += tenantsAtOnce) {
      const chosen = [...tenants.subarray(first, first + tenantsAtOnce)];
      const turns = chosen.flatMap((tenant) => {
        const events = Array.from({ length: eventsPerTenant / rounds }, sources[tenant]!);
        return cutBatches(events).map((batch) => ({ tenant, batch }));
      });
      yield {
        tenants: Uint32Array.from(turns, ({ tenant }) => tenant),
        batches: turns.map(({ batch }) => batch),
      };
    }
  }
}

function shuffle(numbers: Uint32Array, random: Random): void {
  for (let index = numbers.length - 1; index > 0; index--) {
    const other = random.below(index + 1);
    const held = numbers[index]!;
    numbers[index] = numbers[other]!;
    numbers[other] = held;
  }
}

/** What a tenant is sent next. */
type Source = () => PoolEvent;

function eventSources(settings: SummariesSettings): Source[] {
  const terms = new Zipf(settings.terms, 1);
  const { texts } = loadCorpus(settings.corpus, settings.seed);
  const { content } = settings;
  const has = (part: Content): boolean => content === part || content === "whole";
  return Array.from({ length: settings.tenants }, (_, tenant): Source => {
    const random = new Random(settings.seed + 1 + tenant);
    return () => {
      const user = `user${random.below(settings.users)}`;
      if (content === "message") {
        const text = texts[random.below(texts.length)]!;
        return { user, text, conversation: `talk${random.below(3)}` };
      }
      const term = `term${terms.draw(random)}`;
      const value = Math.exp(random.unit() + random.unit() + random.unit());
      return {
        user: has("user") ? user : "",
        terms: has("term") ? [term] : [],
        metrics: has("metric") ? [{ name: "latencyMs", value }] : [],
      };
    };
  });
}

/** Every tenant one pane on, again and again; each turn timed. */
function timeRolls(isolates: Isolates, { tenants, rolls }: SummariesSettings): Float64Array {
  const samples = new Float64Array(tenants * rolls);
  for (let roll = 0; roll < rolls; roll++) {
    const nowMs = START_MS + (roll + 1) * PANE_MS;
    isolates.slices(tenants, (tenant) => {
      const startMs = performance.now();
      mustBeOk(isolates.host.advance(tenant, nowMs));
      samples[roll * tenants + tenant] = (performance.now() - startMs) * 1000;
    });
  }
  return samples;
}

/** One message a turn, few tenants in turn, so that all are in their slots and caches. */
function timeTexts(
  isolates: Isolates,
  { tenants }: SummariesSettings,
  sources: readonly Source[],
): Float64Array {
  const warm = Math.min(tenants, TENANTS_ASKED);
  const batches = Array.from({ length: warm * TEXTS_EACH }, (_, index) => {
    return [sources[index % warm]!()];
  });
  const pool = new BatchPool(batches, START_MS + 1000);
  const samples = new Float64Array(batches.length);
  isolates.slices(batches.length, (index) => {
    const startMs = performance.now();
    isolates.ingest(index % warm, pool, index);
    samples[index] = (performance.now() - startMs) * 1000;
  });
  return samples.subarray(warm);
}

/** Merges of portable sketches a second, as `summaries:merge` does them; their making left out. */
function timeMerges(isolates: Isolates, tenants: number): number {
  const sketches: Uint8Array[] = [];
  isolates.slices(Math.min(tenants, SKETCHES_MERGED), (tenant) => {
    const { outcome, report } = isolates.host.sketch(tenant, "all");
    mustBeOk(outcome);
    sketches.push(report!);
  });
  const merger = new Merger();
  let elapsedMs = 0;
  let merged = 0;
  for (let round = 0; round < MERGE_ROUNDS; round++) {
    merger.open("all");
    const startMs = performance.now();
    for (const sketch of sketches) {
      const fault = merger.add(sketch);
      if (fault !== undefined) throw new Error(`a sketch does not merge: ${fault}`);
    }
    // The first round warms up.
    if (round > 0) {
      elapsedMs += performance.now() - startMs;
      merged += sketches.length;
    }
  }
  return (merged / elapsedMs) * 1000;
}

/** Rates are left out: how events are batched shows in the last digits of their sums. */
function digestOf(isolates: Isolates, tenants: number): string {
  const hash = createHash("sha256");
  isolates.slices(Math.min(tenants, TENANTS_ASKED), (tenant) => {
    for (const span of ["minute", "all"] as const) {
      const { outcome, report } = isolates.host.summary(tenant, span, TERMS_ASKED);
      mustBeOk(outcome);
      hash.update(JSON.stringify({ ...report!, rates: [] }));
    }
  });
  return hash.digest("hex").slice(0, 16);
}
