/** Writes the figures into docs/model-card.md, between its marks; the rest of it is prose. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Comparison, compare } from "./comparisons.ts";
import type { Corpus } from "./corpora.ts";
import type { Features } from "./features.ts";
import {
  type Figure,
  measureBehaviours,
  measureCorpora,
  measureProbes,
  PROBE_SETS,
  type Row,
} from "./measure.ts";
import type { Rows } from "./rows.ts";
import type { Log, Options } from "./stages.ts";
import { WEIGHTS_BYTES } from "./weights.ts";

const CARD = join(import.meta.dirname, "..", "..", "docs", "model-card.md");
const COUNTS = { seeds: 3, splits: 3 };

export type CardInput = {
  readonly folder: string;
  readonly corpora: readonly Corpus[];
  readonly rows: Rows;
  readonly features: Features;
  readonly digest: string;
  readonly options: Options;
  readonly log: Log;
};

export async function writeCard(input: CardInput): Promise<void> {
  const { folder, corpora, rows, features, log } = input;
  const figures = measureCorpora(features, corpora, folder);
  log("measured on the held-back parts");
  const comparison = await compare(features, corpora, rows, COUNTS);
  log("trained without context, and in other splits");
  const behaviours = [
    ...measureBehaviours(features, "words"),
    ...measureBehaviours(features, "frames"),
  ];
  const probes = PROBE_SETS.flatMap((set) => measureProbes(features, set));
  let card = readFileSync(CARD, "utf8");
  card = replace(card, "training", training(input));
  card = replace(card, "figures", table([...figures, ...comparison.figures]));
  card = replace(card, "stability", stability(comparison));
  card = replace(card, "probes", probeTable(probes));
  card = replace(card, "behaviours", behaviourTable(behaviours));
  writeFileSync(CARD, card);
  log("docs/model-card.md");
}

function replace(card: string, mark: string, text: string): string {
  const [from, to] = [`<!-- ${mark} -->`, `<!-- end of ${mark} -->`];
  const start = card.indexOf(from);
  const end = card.indexOf(to);
  if (start < 0 || end < start) throw new Error(`docs/model-card.md has no marks for ${mark}`);
  return `${card.slice(0, start + from.length)}\n\n${text}\n\n${card.slice(end)}`;
}

function training({ corpora, rows, digest, options }: CardInput): string {
  const lines = corpora.map(({ name, licence, samples }) => {
    const held = samples.filter((sample) => sample.split === "held").length;
    return `| ${name} | ${licence} | ${samples.length} | ${held} |`;
  });
  return [
    `Weights: \`classifier/dist/weights.bin\`, ${count(WEIGHTS_BYTES)} bytes, SHA-256`,
    `\`${digest}\`, so the model calls itself`,
    `\`nexuscore-embedded-1+${digest.slice(0, 12)}\`.`,
    `Seed ${options.seed}; the mean of ${options.messageSeeds} seeds for messages and`,
    `${options.replySeeds} for answers; ${count(rows.messages.length)} rows of messages,`,
    `${count(rows.replies.length)} of answers, the grammar's among them.`,
    "",
    "| corpus | licence | rows | held back |",
    "|---|---|--:|--:|",
    ...lines,
  ].join("\n");
}

function table(figures: readonly Figure[]): string {
  const lines = figures.map(({ name, value, unit, count: rows, interval, floor }) => {
    const range = interval === undefined ? "" : interval.map(short).join(" – ");
    const shown = unit === "%" ? `${value.toFixed(2)} %` : short(value);
    const cells = [name, unit === "%" ? "" : unit, shown, range, rows, floor ?? ""];
    return `| ${cells.join(" | ")} |`;
  });
  return ["| what | | value | 95 % | rows | floor |", "|---|---|--:|---|--:|---|", ...lines].join(
    "\n",
  );
}

function stability({ seedValues, hateF1, hateAuc }: Comparison): string {
  return [
    `Dialogues with context, AUC of each of ${seedValues.length} seeds apart: ${list(seedValues)};`,
    "they share the lanes that multiply, which are trained once, so they are not independent.",
    `Tweets in ${hateF1.length} splits, one seed: best F1 of the hateful class ${list(hateF1)},`,
    `AUC ${list(hateAuc)}.`,
  ].join("\n");
}

function probeTable(rows: readonly Row[]): string {
  const names = [...new Set(rows.map(({ name }) => name))].toSorted();
  const cell = (part: string, name: string): string => {
    const row = rows.find((candidate) => candidate.part === part && candidate.name === name);
    if (row === undefined) return " | ";
    return `${row.right} of ${row.count} | ${Number.isNaN(row.auc) ? "" : short(row.auc)}`;
  };
  const total = (part: string): string => {
    const mine = rows.filter((row) => row.part === part);
    const sum = (key: "right" | "count") => mine.reduce((all, row) => all + row[key], 0);
    return `${sum("right")} of ${sum("count")} | `;
  };
  const each = (write: (set: string) => string) => PROBE_SETS.map(write).join(" | ");
  return [
    `| behaviour | ${PROBE_SETS.map((set) => `${set}: right | AUC`).join(" | ")} |`,
    `|---|${PROBE_SETS.map(() => "--:|--:|").join("")}`,
    ...names.map((name) => `| ${name} | ${each((set) => cell(set, name))} |`),
    `| all | ${each(total)} |`,
  ].join("\n");
}

function behaviourTable(rows: readonly Row[]): string {
  const names = [...new Set(rows.map(({ name }) => name))];
  const share = (part: string, name: string): string => {
    const row = rows.find((candidate) => candidate.part === part && candidate.name === name);
    return row === undefined ? "" : `${((100 * row.right) / row.count).toFixed(0)} %`;
  };
  return [
    "| behaviour | words held back | frames held back |",
    "|---|--:|--:|",
    ...names.map((name) => `| ${name} | ${share("words", name)} | ${share("frames", name)} |`),
  ].join("\n");
}

const count = (value: number): string => value.toLocaleString("en");
const short = (value: number): string => value.toFixed(3).replace(/^0/, "");
const list = (values: readonly number[]): string => values.map(short).join(", ");
