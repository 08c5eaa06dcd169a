/**
 * What a summary costs: batches made beforehand (a user, an explicit term and a sample of a metric
 * an event) are handed to `tenants` tenants of the built-in component, all of whose windows are on.
 * A process for each of the parts, in alternation; times are CPU time of the thread where the name
 * begins with `cpu`, else of the clock.
 *
 *   nsPerEventGrouped     batches of up to 24 KiB of one tenant's events, tenant after tenant
 *   nsPerEventUngrouped   the same events one by one, tenants in an order drawn anew each round
 *   cpuNsPerEvent…        the same, of the CPU: less what other processes took of the core
 *   cpuNs.bare            grouped events with nothing in them: call, timeline, rates
 *   cpuNs.user, .term, .metric   what one of them costs an event more than that
 *   cpuNs.message         a chat line of a user in one of three conversations, all in all
 *   paneRollUs, paneRollP99Us    `advance` over one pane, tenants in their slots, each timed
 *   cold.paneRollUs, …P99Us      the same with `fewSlots`: the image has to come and another to go
 *   textUpdateUs, textUpdateP99Us   a turn with one chat line for a tenant in its slot, each timed
 *   mergesPerSecond       sketches of `all` added to a merge
 *   allocatedBytesPerEvent…      JavaScript heap, from V8's own total
 *
 * Grouped or not, with few slots or many, sampled tenants must report the same: that is checked.
 */
import { Child } from "../child.ts";
import type { SummariesFigures, SummariesSettings } from "../children/summaries.ts";
import { alternate, type Bench, type Scenario, type Variant } from "../harness.ts";
import { median } from "../statistics.ts";
import { loadCorpus } from "../workload.ts";

const PROGRAM = new URL("../children/summaries.ts", import.meta.url);

export const summaries: Scenario = {
  name: "summaries",
  sentence: "cost of a summary: an event grouped and not, each sketch, a pane, a text, a merge",
  parameters: {
    runs: { full: 3, quick: 1, sentence: "processes for each of the parts, in alternation" },
    tenants: { full: 10_000, quick: 40, sentence: "tenants" },
    fewSlots: { full: 512, quick: 8, sentence: "slots where tenants have to share them" },
    eventsPerTenant: { full: 300, quick: 20, sentence: "events of a tenant that are timed" },
    partTenants: { full: 1_000, quick: 20, sentence: "tenants where single sketches are timed" },
    rolls: { full: 3, quick: 2, sentence: "panes that every tenant is rolled on by" },
    terms: { full: 100_000, quick: 500, sentence: "different terms, by Zipf's law" },
    users: { full: 5_000_000, quick: 1_000, sentence: "different users" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    corpus: { full: "auto", quick: "seeded", sentence: "auto, seeded, or a folder of IRC logs" },
  },
  run,
};

type Part = Pick<SummariesSettings, "content" | "order"> & {
  readonly name: string;
  readonly tenants: "tenants" | "partTenants";
  readonly fewSlots?: boolean;
};

const PARTS: readonly Part[] = [
  { name: "Grouped", content: "whole", order: "grouped", tenants: "tenants" },
  { name: "Ungrouped", content: "whole", order: "ungrouped", tenants: "tenants" },
  { name: "cold", content: "whole", order: "grouped", tenants: "tenants", fewSlots: true },
  { name: "bare", content: "bare", order: "grouped", tenants: "partTenants" },
  { name: "user", content: "user", order: "grouped", tenants: "partTenants" },
  { name: "term", content: "term", order: "grouped", tenants: "partTenants" },
  { name: "metric", content: "metric", order: "grouped", tenants: "partTenants" },
  { name: "message", content: "message", order: "grouped", tenants: "partTenants" },
];

async function run(bench: Bench): Promise<void> {
  bench.found("corpus", loadCorpus(bench.text("corpus"), bench.number("seed")).name);
  const costs = new Map<string, number[]>();
  const variants = PARTS.map((part): Variant => {
    const once = async (round: number): Promise<void> => {
      bench.progress(`summaries: ${part.name}, run ${round + 1}`);
      const figures = await Child.measure<SummariesFigures>(PROGRAM, settingsOf(bench, part));
      record(bench, part, figures);
      costs.set(part.name, [...(costs.get(part.name) ?? []), figures.cpuNsPerEvent]);
    };
    return { name: part.name, run: once };
  });
  await alternate(bench.number("runs"), variants);
  // A difference of two processes: of their medians, because two runs of a round are no pair.
  const bare = median(costs.get("bare")!);
  for (const part of ["user", "term", "metric"]) {
    bench.record(`cpuNs.${part}`, median(costs.get(part)!) - bare, "ns");
  }
}

function settingsOf(bench: Bench, part: Part): SummariesSettings {
  const tenants = bench.number(part.tenants);
  return {
    content: part.content,
    order: part.order,
    tenants,
    slots: part.fewSlots === true ? bench.number("fewSlots") : tenants,
    eventsPerTenant: bench.number("eventsPerTenant"),
    rolls: bench.number("rolls"),
    terms: bench.number("terms"),
    users: bench.number("users"),
    seed: bench.number("seed"),
    corpus: bench.text("corpus"),
  };
}

function record(bench: Bench, { name, content }: Part, figures: SummariesFigures): void {
  bench.fact(`${content}.events`, figures.events);
  bench.fact(`${content}.summaries`, figures.digest);
  if (name === "cold") {
    bench.record("cold.paneRollUs", figures.rollP50Us, "us");
    bench.record("cold.paneRollP99Us", figures.rollP99Us, "us");
    return;
  }
  if (content !== "whole") {
    if (name === "bare" || name === "message") {
      bench.record(`cpuNs.${name}`, figures.cpuNsPerEvent, "ns");
    }
    if (name !== "message") return;
    bench.record("textUpdateUs", figures.textP50Us, "us");
    bench.record("textUpdateP99Us", figures.textP99Us, "us");
    return;
  }
  bench.record(`nsPerEvent${name}`, figures.nsPerEvent, "ns");
  bench.record(`cpuNsPerEvent${name}`, figures.cpuNsPerEvent, "ns");
  if (Number.isFinite(figures.allocatedBytesPerEvent)) {
    bench.record(`allocatedBytesPerEvent${name}`, figures.allocatedBytesPerEvent, "bytes");
  }
  if (name !== "Grouped") return;
  bench.record("paneRollUs", figures.rollP50Us, "us");
  bench.record("paneRollP99Us", figures.rollP99Us, "us");
  bench.record("mergesPerSecond", figures.mergesPerSecond, "1/s");
}
