/**
 * Figures for which the model has to be trained again: the same model that never sees the context,
 * or never the answer; and tweets in several splits, because their hateful class moves with each.
 */
import { type Corpus, isHeldTweet, SPLIT_SEED } from "./corpora.ts";
import type { Features } from "./features.ts";
import { aucFigure, type Figure, heldOf, unseenContexts } from "./measure.ts";
import { auc, bestF1 } from "./metrics.ts";
import type { Rows } from "./rows.ts";
import type { Sample } from "./sample.ts";
import {
  type Hiding,
  labelsOf,
  MESSAGE_GROUP_SCALES,
  MESSAGE_SCHEDULE,
  REPLY_SCHEDULE,
  replyExamples,
  seeds,
} from "./stages.ts";
import { Examples, meanTable, Trainer, unsafeLogit } from "./trainer.ts";
import { MESSAGE_LANES, MESSAGE_LOG2, REPLY_LANES, REPLY_LOG2 } from "./weights.ts";

export type Comparison = {
  readonly figures: readonly Figure[];
  /** AUC of each seed alone, with context. */
  readonly seedValues: readonly number[];
  /** Best F1 of the hateful class, and AUC, one a split. */
  readonly hateF1: readonly number[];
  readonly hateAuc: readonly number[];
};

const NAMES: Readonly<Record<Hiding, string>> = {
  nothing: "with context",
  context: "trained without context",
  answer: "context only, the answer hidden",
};

export async function compare(
  features: Features,
  corpora: readonly Corpus[],
  rows: Rows,
  counts: { readonly seeds: number; readonly splits: number },
): Promise<Comparison> {
  const module = await Trainer.compile();
  const held = heldOf(corpora, "diasafety");
  const unseen = unseenContexts(corpora);
  const isUnseen = held.map((sample) => unseen.has(sample));
  // Conversations of the grammar mean nothing without their context.
  const real = rows.replies.filter((sample) => sample.source !== "grammar");
  const figures: Figure[] = [];
  let seedValues: number[] = [];
  for (const hides of ["nothing", "context", "answer"] as const) {
    const train = hides === "nothing" ? rows.replies : real;
    const { mean, each } = rank(module, features, train, held, hides, counts.seeds);
    const labels = held.map((sample) => sample.unsafe!);
    figures.push(aucFigure(`dialogues, ${NAMES[hides]}`, mean, labels));
    const some = <T>(list: readonly T[]) => list.filter((_, index) => isUnseen[index]);
    const name = `dialogues, ${NAMES[hides]}, contexts not in training`;
    figures.push(aucFigure(name, some(mean), some(labels)));
    if (hides === "nothing") seedValues = each.map((scores) => auc(scores, labels));
  }
  return { figures, seedValues, ...splitTweets(module, features, corpora, rows, counts.splits) };
}

function rank(
  module: WebAssembly.Module,
  features: Features,
  train: readonly Sample[],
  held: readonly Sample[],
  hides: Hiding,
  seedCount: number,
): { readonly mean: number[]; readonly each: number[][] } {
  const trainer = new Trainer(
    module,
    replyExamples(features, train, hides),
    REPLY_LOG2,
    REPLY_LANES,
  );
  const judge = new Trainer(module, replyExamples(features, held, hides), REPLY_LOG2, REPLY_LANES);
  const tables = trainer.trainEach(seeds(REPLY_SCHEDULE, 1, seedCount));
  const score = (table: (typeof tables)[number]): number[] => {
    judge.load(table);
    return held.map((_, index) => unsafeLogit(judge.sums(index)));
  };
  return { mean: score(meanTable(tables)), each: tables.map(score) };
}

function splitTweets(
  module: WebAssembly.Module,
  features: Features,
  corpora: readonly Corpus[],
  rows: Rows,
  splits: number,
): { readonly hateF1: readonly number[]; readonly hateAuc: readonly number[] } {
  const samples = [...rows.messages, ...heldOf(corpora, "davidson")];
  const examples = new Examples();
  for (const sample of samples) {
    features.message(sample.text, examples, MESSAGE_GROUP_SCALES);
    examples.end(labelsOf(sample), sample.weight);
  }
  const trainer = new Trainer(module, examples, MESSAGE_LOG2, MESSAGE_LANES);
  const hateF1: number[] = [];
  const hateAuc: number[] = [];
  for (let split = 0; split < splits; split++) {
    const isHeld = samples.map(({ source, text }) => {
      return source === "davidson" && isHeldTweet(text, SPLIT_SEED + split);
    });
    const numbers = samples.map((_, index) => index);
    const known = numbers.filter((index) => !isHeld[index]);
    trainer.load(trainer.train({ ...MESSAGE_SCHEDULE, seed: 1 }, known));
    const held = numbers.filter((index) => isHeld[index]);
    const scores = held.map((index) => trainer.sums(index)[1]!);
    const labels = held.map((index) => Number(samples[index]!.group === "hate"));
    hateF1.push(bestF1(scores, labels));
    hateAuc.push(auc(scores, labels));
  }
  return { hateF1, hateAuc };
}
