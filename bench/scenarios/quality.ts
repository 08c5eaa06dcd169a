/**
 * How well the shipped classifier judges: the held-back parts of the public corpora (where they
 * lie beside the repository, or in NEXUSCORE_SHARED_DATA), sentences of the grammar with words or
 * frames that it was not trained on, and sentences written by hand. No timing; the figures follow
 * from the weights alone. Scores come from the moderator's own code.
 *
 *   dialogues …              is an answer unsafe after what it answers; "trained without context"
 *                            is the same model that never saw it, "context only" never saw the
 *                            answer
 *   … , 95 % low / high      bootstrap
 *   chat …                   shares over the default thresholds: upper bounds on false alarms
 *   spans, character F1      which characters of a toxic post are marked
 *   words / frames / fresh   share that is right at one half, by behaviour; sealed, seen: as well
 */
import { readFileSync } from "node:fs";
import type { Bench, Scenario } from "../harness.ts";
import { compare } from "../../scripts/classifier/comparisons.ts";
import { corporaFolder, loadCorpora } from "../../scripts/classifier/corpora.ts";
import { Features } from "../../scripts/classifier/features.ts";
import {
  type Figure,
  measureBehaviours,
  measureCorpora,
  measureProbes,
  PROBE_SETS,
  type Row,
} from "../../scripts/classifier/measure.ts";
import { chooseRows } from "../../scripts/classifier/rows.ts";
import { Weights } from "../../scripts/classifier/weights.ts";

const WEIGHTS = new URL("../../classifier/dist/weights.bin", import.meta.url);

export const quality: Scenario = {
  name: "quality",
  sentence: "what the classifier finds and what it lets be, by behaviour, with and without context",
  parameters: {
    corpora: { full: "auto", quick: "none", sentence: "auto: where they are found; none: without" },
    retrain: { full: "yes", quick: "no", sentence: "whether models without context are trained" },
    seeds: { full: 3, quick: 1, sentence: "seeds of each of those models" },
    splits: { full: 3, quick: 1, sentence: "splits of the tweets" },
  },
  run,
};

async function run(bench: Bench): Promise<void> {
  const features = await Features.open();
  features.bind(new Weights(new Uint8Array(readFileSync(WEIGHTS))));
  const folder = bench.text("corpora") === "none" ? undefined : corporaFolder();
  bench.found("corpora", folder === undefined ? "none" : "held-back parts");
  if (folder !== undefined) await measureAll(bench, features, folder);
  for (const part of ["words", "frames"] as const) {
    bench.progress(`quality: the grammar, held-back ${part}`);
    recordRows(bench, measureBehaviours(features, part));
  }
  for (const set of PROBE_SETS) recordRows(bench, measureProbes(features, set));
}

async function measureAll(bench: Bench, features: Features, folder: string): Promise<void> {
  bench.progress("quality: the held-back parts of the corpora");
  const corpora = loadCorpora(folder);
  recordFigures(bench, measureCorpora(features, corpora, folder));
  if (bench.text("retrain") !== "yes") return;
  bench.progress("quality: trained again without context, and in other splits");
  const counts = { seeds: bench.number("seeds"), splits: bench.number("splits") };
  const comparison = await compare(features, corpora, chooseRows(corpora, 1), counts);
  recordFigures(bench, comparison.figures);
  for (const value of comparison.seedValues) bench.record("dialogues, seed alone", value, "AUC");
  for (const value of comparison.hateF1) bench.record("tweets, best F1, a split", value, "F1");
  for (const value of comparison.hateAuc) bench.record("tweets, hate, a split", value, "AUC");
}

function recordFigures(bench: Bench, figures: readonly Figure[]): void {
  for (const { name, value, unit, interval } of figures) {
    bench.record(name, value, unit);
    if (interval === undefined) continue;
    bench.record(`${name}, 95 % low`, interval[0], unit);
    bench.record(`${name}, 95 % high`, interval[1], unit);
  }
}

function recordRows(bench: Bench, rows: readonly Row[]): void {
  for (const { part, name, right, count } of rows) {
    bench.record(`${part}: ${name}`, (100 * right) / count, "%");
    bench.fact(`${part}: ${name}`, `${right} of ${count}`);
  }
  const [first] = rows;
  const right = rows.reduce((sum, row) => sum + row.right, 0);
  const count = rows.reduce((sum, row) => sum + row.count, 0);
  bench.record(`${first!.part}.all`, (100 * right) / count, "%");
}
