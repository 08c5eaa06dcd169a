/** Feeds many tenants with batches made beforehand; see scenarios/guest.ts. */
import { PANE_MS } from "#model/limits.ts";
import { allocatedBytes, collectGarbage } from "../allocation.ts";
import { BatchPool, cutBatches, type PoolEvent } from "../batches.ts";
import { EventStream, loadCorpus } from "../workload.ts";
import { Isolates, mustBeOk, serveMeasurement, START_MS } from "./isolates.ts";

export type GuestSettings = {
  readonly order: "grouped" | "ungrouped";
  /** `text`: chat lines. `term`: one explicit term an event, nothing to cut into words. */
  readonly content: "text" | "term";
  readonly tenants: number;
  readonly slots: number;
  readonly stepEvents: number;
  readonly steps: number;
  readonly exponent: number;
  readonly terms: number;
  readonly seed: number;
  readonly corpus: string;
};

export type GuestFigures = {
  readonly nsPerEvent: number;
  /** CPU of the thread: what the clock says less what other processes took of it. */
  readonly cpuNsPerEvent: number;
  readonly paneRollUs: number;
  readonly allocatedBytesPerEvent: number;
  readonly eventsPerTurn: number;
  readonly slotMissShare: number;
  /** Of the timed steps, counted and repeated. */
  readonly events: number;
  /** Event counts of all tenants' windows, folded into one number. */
  readonly digest: number;
};

type Step = { readonly tenants: Uint32Array; readonly pool: BatchPool };

serveMeasurement(measure);

function measure(settings: GuestSettings): GuestFigures {
  const { tenants, slots, steps } = settings;
  const isolates = new Isolates({ slotCount: slots, tenantCountMax: tenants });
  const source = eventSource(settings);
  isolates.slices(tenants, (tenant) => isolates.open(tenant));
  // The first step gives the tenants their state and lets the compiler see the code: many small
  // turns.
  runStep(isolates, buildStep({ ...settings, order: "ungrouped" }, source, START_MS));
  const { stats } = isolates.host;
  const missesBefore = stats.slotMisses;
  const countedBefore = isolates.counted + isolates.repeated;
  const prepared = Array.from({ length: steps }, (_, step) => {
    return buildStep(settings, source, START_MS + step + 1);
  });
  const turns = prepared.reduce((sum, step) => sum + step.tenants.length, 0);
  collectGarbage();
  const allocatedBefore = allocatedBytes();
  let elapsedMs = 0;
  let elapsedCpuMs = 0;
  for (const step of prepared) {
    const { ms, cpuMs } = runStep(isolates, step);
    elapsedMs += ms;
    elapsedCpuMs += cpuMs;
  }
  const allocated = allocatedBytes() - allocatedBefore;
  const events = isolates.counted + isolates.repeated - countedBefore;
  return {
    nsPerEvent: (elapsedMs * 1e6) / events,
    cpuNsPerEvent: (elapsedCpuMs * 1e6) / events,
    allocatedBytesPerEvent: allocated / events,
    eventsPerTurn: events / turns,
    slotMissShare: (stats.slotMisses - missesBefore) / turns,
    events,
    digest: digestOf(isolates, tenants),
    paneRollUs: rollPanes(isolates, tenants),
  };
}

/** What the turns of a step took, by the clock and of the CPU. */
function runStep(isolates: Isolates, { tenants, pool }: Step): { ms: number; cpuMs: number } {
  const startMs = performance.now();
  const cpuStart = process.threadCpuUsage();
  isolates.slices(tenants.length, (turn) => isolates.ingest(tenants[turn]!, pool, turn));
  const { user, system } = process.threadCpuUsage(cpuStart);
  return { ms: performance.now() - startMs, cpuMs: (user + system) / 1000 };
}

/** The next events of the stream, as the batches of one step. */
function buildStep(settings: GuestSettings, next: () => Drawn, nowMs: number): Step {
  const { order, stepEvents } = settings;
  const drawn = Array.from({ length: stepEvents }, next);
  if (order === "ungrouped") {
    const tenants = Uint32Array.from(drawn, ({ tenant }) => tenant);
    return {
      tenants,
      pool: new BatchPool(
        drawn.map(({ event }) => [event]),
        nowMs,
      ),
    };
  }
  const byTenant = new Map<number, PoolEvent[]>();
  for (const { tenant, event } of drawn) {
    const events = byTenant.get(tenant);
    if (events === undefined) byTenant.set(tenant, [event]);
    else events.push(event);
  }
  const turns = [...byTenant].flatMap(([tenant, events]) => {
    return cutBatches(events).map((batch) => ({ tenant, batch }));
  });
  const pool = new BatchPool(
    turns.map(({ batch }) => batch),
    nowMs,
  );
  return { tenants: Uint32Array.from(turns, ({ tenant }) => tenant), pool };
}

type Drawn = { readonly tenant: number; readonly event: PoolEvent };

function eventSource(settings: GuestSettings): () => Drawn {
  const { seed, exponent, tenants: tenantCount, content } = settings;
  const corpus = loadCorpus(settings.corpus, seed);
  const stream = new EventStream({ seed, corpus, tenantCount, exponent });
  if (content === "text") {
    return () => {
      const { tenant, user, text } = stream.next();
      return { tenant, event: { user, text } };
    };
  }
  // A second stream draws terms by the same law as tenants are drawn.
  const terms = new EventStream({
    seed: seed + 1,
    corpus,
    tenantCount: settings.terms,
    exponent: 1,
  });
  return () => {
    const term = `term${terms.tenant()}`;
    return { tenant: stream.tenant(), event: { user: stream.user(), terms: [term] } };
  };
}

/** Every tenant goes one pane on, once; mean, because V8 and the slots make no two alike. */
function rollPanes(isolates: Isolates, tenants: number): number {
  const startMs = performance.now();
  isolates.slices(tenants, (tenant) => {
    mustBeOk(isolates.host.advance(tenant, START_MS + PANE_MS));
  });
  return ((performance.now() - startMs) * 1000) / tenants;
}

function digestOf(isolates: Isolates, tenants: number): number {
  let digest = 0;
  isolates.slices(tenants, (tenant) => {
    digest = (Math.imul(digest, 0x01000193) ^ isolates.windowEventCount(tenant)) >>> 0;
  });
  return digest;
}
