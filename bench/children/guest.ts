/** Feeds many tenants with batches made beforehand; see scenarios/guest.ts. */
import { PANE_MS } from "#model/limits.ts";
import { allocatedBytes } from "../allocation.ts";
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
  // The first step is for the tenants to get their state and for the compiler to see the code.
  runStep(isolates, buildStep(settings, source, START_MS));
  const { stats } = isolates.host;
  const missesBefore = stats.slotMisses;
  const countedBefore = isolates.counted + isolates.repeated;
  let elapsedMs = 0;
  let allocated = 0;
  let turns = 0;
  for (let step = 1; step <= steps; step++) {
    const prepared = buildStep(settings, source, START_MS + step);
    const allocatedBefore = allocatedBytes();
    elapsedMs += runStep(isolates, prepared);
    allocated += allocatedBytes() - allocatedBefore;
    turns += prepared.tenants.length;
  }
  const events = isolates.counted + isolates.repeated - countedBefore;
  return {
    nsPerEvent: (elapsedMs * 1e6) / events,
    allocatedBytesPerEvent: allocated / events,
    eventsPerTurn: events / turns,
    slotMissShare: (stats.slotMisses - missesBefore) / turns,
    events,
    digest: digestOf(isolates, tenants),
    paneRollUs: rollPanes(isolates, tenants),
  };
}

/** Milliseconds that the turns of a step took. */
function runStep(isolates: Isolates, { tenants, pool }: Step): number {
  const startMs = performance.now();
  isolates.slices(tenants.length, (turn) => isolates.ingest(tenants[turn]!, pool, turn));
  return performance.now() - startMs;
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
