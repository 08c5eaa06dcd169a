/**
 * Makes very many tenants in one isolate host and looks at what they cost; see
 * scenarios/density.ts.
 */
import { PANE_MS } from "#model/limits.ts";
import { Random } from "#std/random.ts";
import { allocatedBytes, collectGarbage } from "../allocation.ts";
import { BatchPool, cutBatches } from "../batches.ts";
import { median, quantile } from "../statistics.ts";
import { EventStream, loadCorpus, Zipf } from "../workload.ts";
import { Isolates, serveMeasurement, START_MS } from "./isolates.ts";
import { residentBytes } from "./leash.ts";

export type DensitySettings = {
  readonly tenants: number;
  readonly slots: number;
  readonly warmTenants: number;
  readonly hotTenants: number;
  readonly hotEvents: number;
  readonly updates: number;
  readonly batchBytes: number;
  readonly exponent: number;
  readonly seed: number;
  readonly corpus: string;
};

/** Figures by their names in the report, and facts for its hash. */
export type DensityFigures = {
  readonly results: Readonly<Record<string, readonly [number, string]>>;
  readonly facts: Readonly<Record<string, number>>;
};

/** Different batches; a tenant meets one of them twice only after all the others. */
const POOL_BATCHES = 4_096;
/**
 * Turns of a measurement that takes too little time for the clock: timed in blocks of this many.
 */
const BLOCK_TURNS = 64;
const WARM_BLOCKS = 400;
/** After this the windows of all tenants are empty. */
const QUIET_MS = 10 * 60_000;

serveMeasurement(measure);

function measure(settings: DensitySettings): DensityFigures {
  const bench = new Density(settings);
  bench.create();
  bench.warmTurns();
  bench.missTurns();
  bench.updates();
  bench.hotTenants();
  bench.quiet();
  return bench.figures();
}

class Density {
  readonly #settings: DensitySettings;
  readonly #isolates: Isolates;
  readonly #pool: BatchPool;
  /** A message each, for tenants that only begin. */
  readonly #first: BatchPool;
  /** No event at all: the turn alone. */
  readonly #empty = new BatchPool([[]], START_MS);
  readonly #stream: EventStream;
  readonly #random: Random;
  readonly #results: Record<string, readonly [number, string]> = {};
  readonly #facts: Record<string, number> = {};

  constructor(settings: DensitySettings) {
    const { tenants, slots, hotTenants, seed } = settings;
    this.#settings = settings;
    this.#random = new Random(seed);
    const corpus = loadCorpus(settings.corpus, seed);
    this.#stream = new EventStream({ seed, corpus, tenantCount: 1, exponent: 1 });
    const batches = Array.from({ length: POOL_BATCHES }, () => this.#batch());
    this.#pool = new BatchPool(batches, START_MS);
    this.#first = new BatchPool(
      batches.map((events) => events.slice(0, 1)),
      START_MS,
    );
    this.#isolates = new Isolates({ slotCount: slots, tenantCountMax: tenants + hotTenants });
  }

  /** Opens every tenant and gives it one message. */
  create(): void {
    const { tenants } = this.#settings;
    const isolates = this.#isolates;
    const created = new Float64Array(tenants);
    // By then all slots have their instances: growth after it is the tenants' own.
    const settled = Math.floor(tenants / 5);
    let settledBytes = 0;
    isolates.slices(tenants, (tenant) => {
      if (tenant === settled) settledBytes = residentBytes();
      const startMs = performance.now();
      isolates.open(tenant);
      created[tenant] = performance.now() - startMs;
      isolates.ingest(tenant, this.#first, tenant % POOL_BATCHES);
    });
    const grownBytes = residentBytes() - settledBytes;
    isolates.host.commitAll();
    this.#put("tenants", tenants, "tenants");
    this.#put("residentMb", residentBytes() / 2 ** 20, "MiB");
    this.#put("bytesPerNewTenant", isolates.host.stats.imageBytes / tenants, "bytes");
    this.#put("residentBytesPerNewTenant", grownBytes / (tenants - settled), "bytes");
    this.#put("createUs", quantile(created, 0.5) * 1000, "us");
    this.#put("createP99Us", quantile(created, 0.99) * 1000, "us");
    this.#facts["eventsCreated"] = isolates.counted + isolates.repeated;
  }

  /** Turns of tenants that are in their slots. */
  warmTurns(): void {
    const { warmTenants } = this.#settings;
    const isolates = this.#isolates;
    const hit = (turn: number): void => isolates.ingest(turn % warmTenants, this.#empty, 0);
    isolates.slices(warmTenants * 10, hit);
    this.#put("slotHitUs", this.#blockUs(WARM_BLOCKS, hit, 0), "us");
    const batch = (turn: number): void => {
      isolates.ingest(turn % warmTenants, this.#pool, turn % POOL_BATCHES);
    };
    isolates.slices(warmTenants * 10, batch);
    this.#put("warmBatchUs", this.#blockUs(WARM_BLOCKS, batch, 0), "us");
  }

  /** Turns of tenants at rest: in order, so that each one's slot was given away long ago. */
  missTurns(): void {
    const { tenants, slots } = this.#settings;
    const isolates = this.#isolates;
    const blocks = Math.max(1, Math.floor((tenants - slots) / BLOCK_TURNS / 2));
    // The first tenants, the warm ones among them, are in the slots and stay there.
    const miss = (turn: number): void => isolates.ingest(slots + turn, this.#empty, 0);
    this.#put("slotMissUs", this.#blockUs(blocks, miss, 1), "us");
    const start = slots + blocks * BLOCK_TURNS;
    const revive = (turn: number): void => {
      isolates.ingest(start + turn, this.#first, turn % POOL_BATCHES);
    };
    this.#put("reviveUs", this.#blockUs(blocks, revive, 1), "us");
  }

  /** Batches to tenants drawn by Zipf's law, each turn timed by itself. */
  updates(): void {
    const { tenants, updates, exponent } = this.#settings;
    const isolates = this.#isolates;
    const zipf = new Zipf(tenants, exponent);
    const order = Uint32Array.from({ length: updates }, () => zipf.draw(this.#random));
    const samples = new Float64Array(updates);
    const { slotMisses: missesBefore } = isolates.host.stats;
    const countedBefore = isolates.counted + isolates.repeated;
    collectGarbage();
    const allocatedBefore = allocatedBytes();
    isolates.slices(updates, (turn) => {
      const startMs = performance.now();
      isolates.ingest(order[turn]!, this.#pool, turn % POOL_BATCHES);
      samples[turn] = performance.now() - startMs;
    });
    const allocated = allocatedBytes() - allocatedBefore;
    const events = isolates.counted + isolates.repeated - countedBefore;
    this.#put("updateP50Us", quantile(samples, 0.5) * 1000, "us");
    this.#put("updateP99Us", quantile(samples, 0.99) * 1000, "us");
    this.#put("updateP999Us", quantile(samples, 0.999) * 1000, "us");
    this.#put("updateMaxUs", quantile(samples, 1) * 1000, "us");
    const misses = isolates.host.stats.slotMisses - missesBefore;
    this.#put("updateSlotMissShare", misses / updates, "share");
    if (!Number.isNaN(allocated)) {
      this.#put("allocatedBytesPerEvent", allocated / events, "bytes");
      this.#put("allocatedBytesPerTurn", allocated / updates, "bytes");
    }
    this.#facts["eventsUpdated"] = events;
  }

  /** Tenants of their own, fed until their window is full several times over. */
  hotTenants(): void {
    const { tenants, hotTenants, hotEvents } = this.#settings;
    const isolates = this.#isolates;
    const sizes: number[] = [];
    const panes = 24;
    for (let hot = 0; hot < hotTenants; hot++) {
      const tenant = tenants + hot;
      isolates.slices(1, () => isolates.open(tenant));
      let events = 0;
      while (events < hotEvents) {
        const batch = this.#random.below(POOL_BATCHES);
        const pane = Math.floor((events / hotEvents) * panes);
        this.#pool.setTime(batch, START_MS + pane * PANE_MS);
        isolates.slices(1, () => isolates.ingest(tenant, this.#pool, batch));
        events += this.#pool.eventCount(batch);
      }
    }
    isolates.host.commitAll();
    for (let hot = 0; hot < hotTenants; hot++) {
      sizes.push(isolates.host.imageBytes(tenants + hot));
    }
    this.#put("bytesPerHotTenant", median(sizes), "bytes");
    this.#put("bytesPerHotTenantMax", Math.max(...sizes), "bytes");
  }

  /** Everybody falls silent: what a tenant takes that has had its say. */
  quiet(): void {
    const { tenants, hotTenants } = this.#settings;
    const { host } = this.#isolates;
    const count = tenants + hotTenants;
    this.#isolates.slices(count, (tenant) => host.advance(tenant, START_MS + QUIET_MS));
    host.commitAll();
    this.#put("bytesPerColdTenant", host.stats.imageBytes / count, "bytes");
  }

  figures(): DensityFigures {
    return { results: this.#results, facts: this.#facts };
  }

  /**
   * Median time of a turn over blocks of turns; checks that a share `missShare` missed its slot.
   */
  #blockUs(blocks: number, turn: (index: number) => void, missShare: number): number {
    const { host } = this.#isolates;
    const missesBefore = host.stats.slotMisses;
    const samples = new Float64Array(blocks);
    const turns = blocks * BLOCK_TURNS;
    let startMs = 0;
    this.#isolates.slices(turns, (index) => {
      if (index % BLOCK_TURNS === 0) startMs = performance.now();
      turn(index);
      if ((index + 1) % BLOCK_TURNS !== 0) return;
      samples[Math.floor(index / BLOCK_TURNS)] =
        ((performance.now() - startMs) * 1000) / BLOCK_TURNS;
    });
    const misses = host.stats.slotMisses - missesBefore;
    if (misses !== missShare * turns) {
      throw new Error(`${misses} of ${turns} turns missed their slot, want ${missShare * turns}`);
    }
    return quantile(samples, 0.5);
  }

  #batch(): { user: string; text: string }[] {
    const events = Array.from({ length: 64 }, () => ({
      user: this.#stream.user(),
      text: this.#stream.text(),
    }));
    return cutBatches(events, this.#settings.batchBytes)[0]!;
  }

  #put(name: string, value: number, unit: string): void {
    this.#results[name] = [value, unit];
  }
}
