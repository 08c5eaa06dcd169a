/**
 * What a tenant costs: `tenants` of them in one isolate host with the built-in component, in a
 * fresh process each run. A batch is `batchBytes` of chat. How each figure is taken:
 *
 *   residentMb          VmRSS of the whole process once every tenant is open and has had one
 *                       message
 *   bytesPerNewTenant   bytes of image, of tenants with one message, on average
 *   residentBytesPerNewTenant  growth of VmRSS for each of the last four fifths of the tenants
 *   bytesPerColdTenant  bytes of image once everybody, the hot ones too, has been silent for 10 min
 *   bytesPerHotTenant   bytes of image after `hotEvents` over 24 panes; median of `hotTenants`
 *   createUs            `open` of a new tenant, its configuration included; each timed, median
 *   slotHitUs           a turn without events of a tenant in its slot: the call itself
 *   slotMissUs          the same turn of a tenant at rest: its image put into a slot, another's out
 *   warmBatchUs         a turn with one batch, `warmTenants` in turn, all in their slots
 *   reviveUs            a turn with one message for a tenant at rest, from rest to answer
 *   updateP50Us …       a turn with one batch, tenants by Zipf's law, misses included, each timed
 *   allocatedBytesPerEvent  JavaScript heap that the same turns took, from V8's own total
 *
 * Turns too short for the clock are timed in blocks of 64; the median block is shown.
 */
import { Child } from "../child.ts";
import type { DensityFigures, DensitySettings } from "../children/density.ts";
import { type Bench, type Scenario, UsageError } from "../harness.ts";
import { loadCorpus } from "../workload.ts";

const PROGRAM = new URL("../children/density.ts", import.meta.url);

export const density: Scenario = {
  name: "density",
  sentence: "100,000 tenants in one process: memory of a tenant, time to make, find and feed one",
  parameters: {
    runs: { full: 3, quick: 1, sentence: "processes, one after the other" },
    tenants: { full: 100_000, quick: 400, sentence: "tenants that are open" },
    slots: { full: 1_024, quick: 16, sentence: "warm instances" },
    warmTenants: { full: 64, quick: 8, sentence: "tenants that take turns in their slots" },
    hotTenants: { full: 16, quick: 2, sentence: "tenants that are fed until they are hot" },
    hotEvents: { full: 20_000, quick: 500, sentence: "events for each of them" },
    updates: { full: 200_000, quick: 1_000, sentence: "batches to tenants drawn by Zipf's law" },
    batchBytes: { full: 1_024, quick: 1_024, sentence: "bytes of a batch, at most" },
    exponent: { full: 1, quick: 1, sentence: "Zipf exponent of the tenants" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    corpus: { full: "auto", quick: "seeded", sentence: "auto, seeded, or a folder of IRC logs" },
  },
  run,
};

async function run(bench: Bench): Promise<void> {
  bench.found("corpus", loadCorpus(bench.text("corpus"), bench.number("seed")).name);
  const settings: DensitySettings = {
    tenants: bench.number("tenants"),
    slots: bench.number("slots"),
    warmTenants: bench.number("warmTenants"),
    hotTenants: bench.number("hotTenants"),
    hotEvents: bench.number("hotEvents"),
    updates: bench.number("updates"),
    batchBytes: bench.number("batchBytes"),
    exponent: bench.number("exponent"),
    seed: bench.number("seed"),
    corpus: bench.text("corpus"),
  };
  if (settings.warmTenants > settings.slots)
    throw new UsageError("warmTenants must fit into the slots.");
  for (let round = 0; round < bench.number("runs"); round++) {
    bench.progress(`density: run ${round + 1}`);
    const { results, facts } = await Child.measure<DensityFigures>(PROGRAM, settings);
    for (const [name, [value, unit]] of Object.entries(results)) bench.record(name, value, unit);
    for (const [name, value] of Object.entries(facts)) bench.fact(name, value);
  }
}
