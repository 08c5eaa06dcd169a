/**
 * Beside which score of Perspective ours of toxicity stands: for docs/migrate-from-perspective.md.
 *
 *     node bin/runtime.mjs scripts/perspective-calibration.ts shared/data/cat_context/gn.csv
 *
 * The file has texts and the score that Perspective gave each at the time. Thresholds are matched
 * by share: at which of our scores as many of these texts are over it. It prints numbers alone.
 */
import { startEngine } from "#engine/engine.ts";
import { bytesOf } from "#model/text-bytes.ts";
import { TEXT_BYTES_MAX } from "#model/limits.ts";
import { parse } from "csv-parse/sync";
import { readFileSync } from "node:fs";

type Row = { readonly text: string; readonly label: string; readonly api: string };
type Pair = { readonly theirs: number; readonly ours: number; readonly toxic: boolean };

const BATCH = 256;
const THRESHOLDS = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error("name the file: …/cat_context/gn.csv");
const rows: Row[] = parse(readFileSync(path), { columns: true });
const { pairs, model } = await judge(rows);
print(pairs, model);

async function judge(all: readonly Row[]): Promise<{ pairs: Pair[]; model: string }> {
  const settings = { shardCount: 1, slotCount: 4, imageBytesMax: 2 ** 24, tenantCountMax: 4 };
  const engine = await startEngine(settings);
  const fit = all.filter(({ text }) => text !== "" && bytesOf(text) <= TEXT_BYTES_MAX);
  const judged: Pair[] = [];
  let name = "";
  for (let at = 0; at < fit.length; at += BATCH) {
    const batch = fit.slice(at, at + BATCH);
    const requests = batch.map(({ text }) => ({ text, language: "en", doNotStore: true }));
    for (const [index, outcome] of (await engine.moderate("calibration", requests)).entries()) {
      if (!("verdict" in outcome)) throw new Error(outcome.problem.detail);
      const { api, label } = batch[index]!;
      name = outcome.verdict.model;
      const ours = outcome.verdict.scores.toxicity;
      judged.push({ theirs: Number(api), ours, toxic: Number(label) > 0 });
    }
  }
  await engine.stop();
  return { pairs: judged, model: name };
}

function print(judged: readonly Pair[], name: string): void {
  const toxicCount = judged.filter(({ toxic }) => toxic).length;
  const lines = [`${name}: ${judged.length} texts, ${toxicCount} toxic`];
  lines.push(`rank correlation ${spearman(judged).toFixed(3)}`);
  lines.push(
    `AUC theirs ${auc(judged, "theirs").toFixed(3)}, ours ${auc(judged, "ours").toFixed(3)}`,
  );
  const ours = judged.map((pair) => pair.ours).toSorted((a, b) => b - a);
  for (const threshold of THRESHOLDS) {
    const over = judged.filter(({ theirs }) => theirs >= threshold).length;
    const match = over === 0 ? "-" : ours[over - 1]!.toFixed(2);
    const share = ((100 * over) / judged.length).toFixed(2);
    lines.push(`| ${threshold} | ${over} | ${share} % | ${match} |`);
  }
  process.stdout.write(`${lines.join("\n")}\n`);
}

/** How likely a toxic text scores above another. */
function auc(judged: readonly Pair[], key: "theirs" | "ours"): number {
  const ranks = ranksOf(judged.map((pair) => pair[key]));
  const toxic = ranks.filter((_, index) => judged[index]!.toxic);
  const sum = toxic.reduce((total, rank) => total + rank, 0);
  const least = (toxic.length * (toxic.length + 1)) / 2;
  return (sum - least) / (toxic.length * (judged.length - toxic.length));
}

function spearman(judged: readonly Pair[]): number {
  const theirs = ranksOf(judged.map((pair) => pair.theirs));
  const ours = ranksOf(judged.map((pair) => pair.ours));
  const mean = (judged.length + 1) / 2;
  let both = 0;
  let first = 0;
  let second = 0;
  for (const [index, rank] of theirs.entries()) {
    const other = ours[index]! - mean;
    both += (rank - mean) * other;
    first += (rank - mean) ** 2;
    second += other ** 2;
  }
  return both / Math.sqrt(first * second);
}

/** From 1; equal values share the mean of their ranks. */
function ranksOf(values: readonly number[]): number[] {
  const order = values.map((_, index) => index).toSorted((a, b) => values[a]! - values[b]!);
  const ranks = values.map(() => 0);
  for (let start = 0; start < order.length;) {
    let end = start;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end += 1;
    for (let at = start; at < end; at++) ranks[order[at]!] = (start + 1 + end) / 2;
    start = end;
  }
  return ranks;
}
