/**
 * What the tenants' own code costs for an event: no HTTP, no JSON, no kernel stage, only turns of
 * the built-in component, with batches made beforehand. `stepEvents` events over `tenants` tenants
 * (Zipf) are handed over either grouped, one batch a tenant, as a shard does it, or ungrouped, one
 * batch an event in the order of the stream. First with a slot for every tenant, then (`few.`) with
 * `fewSlots`, so that images have to move.
 *
 *   nsPerEventGrouped, nsPerEventUngrouped  chat lines
 *   nsPerTermGrouped    events of one explicit term and a user: no text to cut into words, no
 *                       quotes
 *   cpuNsPer…           the same, of the thread's CPU time: less what other processes took of the
 *                       core
 *   paneRollUs          `advance` over one pane boundary, mean over all tenants
 *
 * Grouped or not, with few slots or many, the tenants' windows must be the same: that is checked.
 */
import { Child } from "../child.ts";
import type { GuestFigures, GuestSettings } from "../children/guest.ts";
import { alternate, type Bench, type Scenario, type Variant } from "../harness.ts";
import { loadCorpus } from "../workload.ts";

const PROGRAM = new URL("../children/guest.ts", import.meta.url);

export const guest: Scenario = {
  name: "guest",
  sentence: "cost of an event in the tenants' own code, grouped by tenant and not",
  parameters: {
    runs: { full: 3, quick: 1, sentence: "processes for each of the variants, in alternation" },
    tenants: { full: 10_000, quick: 50, sentence: "tenants" },
    slots: { full: 10_000, quick: 50, sentence: "slots where all tenants have one" },
    fewSlots: { full: 1_024, quick: 8, sentence: "slots where they do not" },
    stepEvents: { full: 32_768, quick: 500, sentence: "events that are grouped together" },
    steps: { full: 4, quick: 1, sentence: "such steps, after one to warm up" },
    exponent: { full: 1, quick: 1, sentence: "Zipf exponent of the tenants" },
    terms: { full: 100_000, quick: 500, sentence: "different terms, where events have one" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    corpus: { full: "auto", quick: "seeded", sentence: "auto, seeded, or a folder of IRC logs" },
  },
  run,
};

async function run(bench: Bench): Promise<void> {
  bench.found("corpus", loadCorpus(bench.text("corpus"), bench.number("seed")).name);
  const variants = ["slots", "fewSlots"].flatMap((slots): Variant[] => [
    variant(bench, slots, "grouped", "text"),
    variant(bench, slots, "ungrouped", "text"),
    variant(bench, slots, "grouped", "term"),
  ]);
  await alternate(bench.number("runs"), variants);
}

function variant(
  bench: Bench,
  slots: string,
  order: GuestSettings["order"],
  content: GuestSettings["content"],
): Variant {
  const name = `${order} ${content}, ${bench.number(slots)} slots`;
  const settings: GuestSettings = {
    order,
    content,
    slots: bench.number(slots),
    tenants: bench.number("tenants"),
    stepEvents: bench.number("stepEvents"),
    steps: bench.number("steps"),
    exponent: bench.number("exponent"),
    terms: bench.number("terms"),
    seed: bench.number("seed"),
    corpus: bench.text("corpus"),
  };
  const once = async (round: number): Promise<void> => {
    bench.progress(`guest: ${name}, run ${round + 1}`);
    const figures = await Child.measure<GuestFigures>(PROGRAM, settings);
    record(bench, slots === "slots" ? "" : "few.", settings, figures);
  };
  return { name, run: once };
}

function record(
  bench: Bench,
  prefix: string,
  { order, content }: GuestSettings,
  figures: GuestFigures,
): void {
  const put = (name: string, value: number, unit: string): void => {
    bench.record(`${prefix}${name}`, value, unit);
  };
  const per = content === "text" ? "Event" : "Term";
  const how = order === "grouped" ? "Grouped" : "Ungrouped";
  put(`nsPer${per}${how}`, figures.nsPerEvent, "ns");
  put(`cpuNsPer${per}${how}`, figures.cpuNsPerEvent, "ns");
  put(`eventsPerTurn${per}${how}`, figures.eventsPerTurn, "events");
  put(`slotMissShare${per}${how}`, figures.slotMissShare, "share");
  if (Number.isFinite(figures.allocatedBytesPerEvent)) {
    put(`allocatedBytesPer${per}${how}`, figures.allocatedBytesPerEvent, "bytes");
  }
  if (per === "Event" && order === "grouped") put("paneRollUs", figures.paneRollUs, "us");
  bench.fact(`${content}.events`, figures.events);
  bench.fact(`${content}.windows`, figures.digest);
}
