/**
 * Does anything of one tenant ever reach another by way of the language model? `calls` calls at
 * random, in simulated time: moderators in few slots, the shard's `Consultations`, a gateway, an
 * upstream that reads every prompt. Each tenant has a word of its own, its canary, in all that it
 * says and is called. Meanwhile, at random: texts are said again (cached answers, calls that join
 * another), messages come in batches, calls are cancelled and run out of time and budget, requests
 * fail, answers are late, never come, or answer other cases; policies change, tenants are evicted
 * from their slots with every turn and begin anew, the gateway begins anew, and so does the shard.
 *
 * The run fails if a canary stands in a prompt, an answer or a memory that is not its tenant's, if
 * an answer is not about the very text that was asked about, or if a call ends twice or never.
 * The hash has every end of every call: it follows from the seed.
 *
 *   canariesCrossed    0, or the run has failed
 *   calls, canariesRead, requests, evictions, cancels, …   how much of each there was
 *   ends.OUTCOME       calls by their end
 *   callsPerSecond     of wall time, all processes together
 */
import { Child } from "../child.ts";
import type { BleedFigures, BleedSettings } from "../children/llm-bleed.ts";
import { type Bench, expectEqual, type Scenario } from "../harness.ts";

const PROGRAM = new URL("../children/llm-bleed.ts", import.meta.url);

export const llmBleed: Scenario = {
  name: "llm-bleed",
  sentence: "canaries that cross from one tenant to another in randomized calls: none",
  parameters: {
    calls: { full: 1_000_000, quick: 6_000, sentence: "calls, of all processes" },
    processes: { full: 2, quick: 1, sentence: "that share them, each with a seed of its own" },
    tenants: { full: 48, quick: 24, sentence: "tenants of each" },
    slots: { full: 6, quick: 3, sentence: "instances of the moderator of each" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
  },
  run,
};

async function run(bench: Bench): Promise<void> {
  const processes = bench.number("processes");
  const startMs = performance.now();
  const all = await Promise.all(
    Array.from({ length: processes }, (_, n) => {
      const settings: BleedSettings = {
        calls: Math.ceil(bench.number("calls") / processes),
        tenants: bench.number("tenants"),
        slots: bench.number("slots"),
        seed: bench.number("seed") + n,
      };
      return Child.measure<BleedFigures>(PROGRAM, settings);
    }),
  );
  const seconds = (performance.now() - startMs) / 1_000;
  for (const [n, figures] of all.entries()) {
    expectEqual("canaries in others' prompts", figures.crossed.prompts, 0);
    expectEqual("canaries in others' answers", figures.crossed.answers, 0);
    expectEqual("canaries in others' memories", figures.crossed.memories, 0);
    expectEqual("calls that ended twice", figures.endedTwice, 0);
    expectEqual("calls that never ended", figures.forgotten, 0);
    const ended = Object.values(figures.ends).reduce((total, each) => total + each, 0);
    expectEqual("calls that ended", ended, figures.calls);
    bench.fact(`ends.${n}`, figures.digest);
  }
  const sum = (of: (figures: BleedFigures) => number): number =>
    all.reduce((total, figures) => total + of(figures), 0);
  const put = (name: string, of: (figures: BleedFigures) => number): void => {
    bench.record(name, sum(of), "count");
  };
  bench.record("canariesCrossed", 0, "canaries");
  put("calls", ({ calls }) => calls);
  put("canariesRead", ({ canariesRead }) => canariesRead);
  put("requests", ({ requests }) => requests);
  put("evictions", ({ evictions }) => evictions);
  put("cancels", ({ cancels }) => cancels);
  put("tenantsReopened", ({ tenantsReopened }) => tenantsReopened);
  put("policiesChanged", ({ policiesChanged }) => policiesChanged);
  put("gatewayRestarts", ({ gatewayRestarts }) => gatewayRestarts);
  put("shardRestarts", ({ shardRestarts }) => shardRestarts);
  const outcomes = new Set(all.flatMap(({ ends }) => Object.keys(ends)));
  for (const outcome of [...outcomes].toSorted()) {
    bench.record(
      `ends.${outcome}`,
      sum(({ ends }) => ends[outcome] ?? 0),
      "calls",
    );
  }
  bench.record("callsPerSecond", sum(({ calls }) => calls) / seconds, "calls/s");
}
