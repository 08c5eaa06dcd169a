/**
 * The two stages. First the message heads, from a message alone; then the reply head, which sees
 * the message, what it answers, how the one stands to the other, and what the first stage says of
 * both.
 * Weights are the mean over seeds, which costs the guest nothing.
 */
import { balanced, curveOf, type Rated, regress, withShare } from "./calibration.ts";
import { COMBINED_INPUTS, type Features } from "./features.ts";
import { type Rows, withoutAside } from "./rows.ts";
import { type Head, HEADS, KINDS, type Sample } from "./sample.ts";
import { Examples, type Schedule, Trainer } from "./trainer.ts";
import {
  COMBINED_WEIGHTS_AT,
  EXCUSED_LESS_AT,
  EXCUSED_REPORTED_LESS_AT,
  MESSAGE_GROUP_SCALES_AT,
  MESSAGE_LANES,
  MESSAGE_LOG2,
  REPLY_GROUP_SCALES_AT,
  REPLY_LANES,
  REPLY_LOG2,
  type Table,
  type Weights,
} from "./weights.ts";

export const MESSAGE_GROUP_SCALES = [1, 1, 1, 0, 0, 0, 0];
export const REPLY_GROUP_SCALES = [1, 1, 1, 0.6, 0.4, 0.7, 0.8];

/** A prior of ours, no figure of training: from nearly certain to well under one half. */
const EXCUSED_LESS = 4;
const EXCUSED_REPORTED_LESS = 2;

/** Seeds of the models that the curves are fitted to. */
const CALIBRATION_SEEDS = 2;
const HEAD_REPLY = 8;
const HEAD_COMBINED = 9;

export type Options = {
  readonly seed: number;
  /** How many seeds the weights are the mean of. */
  readonly messageSeeds: number;
  readonly replySeeds: number;
};

/** What a source counts in the curves: most of what people say is harmless chat. */
const FACTORS: Readonly<Record<string, number>> = { diasafety: 8, irc: 6, grammar: 1, alone: 0.5 };

/**
 * Heads that no corpus labels: what a corpus says of them is that nothing of the kind is in it,
 * which its raters were not asked. Their curves are fitted as if so much of what is said were of
 * the kind, however many behaviours of other kinds the grammar has.
 */
const UNLABELLED: ReadonlySet<Head> = new Set(["sexual", "selfHarm"]);
const UNLABELLED_SHARE = 0.015;

export const MESSAGE_SCHEDULE = { epochs: 12, rate: 0.08, decay: 2e-6, drop: 0.5 };
export const REPLY_SCHEDULE = { epochs: 14, rate: 0.1, decay: 2e-6, drop: 0.65 };

export type Log = (line: string) => void;

export async function trainMessages(
  features: Features,
  weights: Weights,
  rows: Rows,
  options: Options,
  log: Log,
): Promise<void> {
  const samples = [...rows.messages];
  const examples = new Examples();
  for (const sample of samples) {
    features.message(sample.text, examples, MESSAGE_GROUP_SCALES);
    examples.end(labelsOf(sample), sample.weight);
  }
  log(`stage 1: ${examples.count} messages, ${examples.entryCount} features`);
  for (const [group, scale] of MESSAGE_GROUP_SCALES.entries()) {
    weights.setParameter(MESSAGE_GROUP_SCALES_AT + group, scale);
  }
  weights.setParameter(EXCUSED_LESS_AT, EXCUSED_LESS);
  weights.setParameter(EXCUSED_REPORTED_LESS_AT, EXCUSED_REPORTED_LESS);
  const module = await Trainer.compile();
  const trainer = new Trainer(module, examples, MESSAGE_LOG2, MESSAGE_LANES);
  const schedules = seeds(MESSAGE_SCHEDULE, options.seed, options.messageSeeds);
  const known = withoutAside(samples, rows.messagesAside);
  const first = schedules.slice(0, CALIBRATION_SEEDS);
  weights.setTable(trainer.trainMean(first, known));
  features.bind(weights);
  calibrateMessages(features, weights, rows.messagesAside, log);
  weights.setTable(trainer.trainMean(schedules));
  features.bind(weights);
  log(`stage 1: trained, the mean of ${schedules.length} seeds`);
}

export async function trainReplies(
  features: Features,
  weights: Weights,
  rows: Rows,
  options: Options,
  log: Log,
): Promise<void> {
  for (const [group, scale] of REPLY_GROUP_SCALES.entries()) {
    weights.setParameter(REPLY_GROUP_SCALES_AT + group, scale);
  }
  features.bind(weights);
  const samples = [...rows.replies];
  const examples = replyExamples(features, samples);
  log(`stage 2: ${examples.count} answers, ${examples.entryCount} features`);
  const module = await Trainer.compile();
  const trainer = new Trainer(module, examples, REPLY_LOG2, REPLY_LANES);
  const schedules = seeds(REPLY_SCHEDULE, options.seed, options.replySeeds);
  const known = withoutAside(samples, rows.repliesAside);
  const first = schedules.slice(0, CALIBRATION_SEEDS);
  weights.setTable(trainer.trainMean(first, known));
  features.bind(weights);
  calibrateReplies(features, weights, rows.repliesAside, log);
  weights.setTable(trainer.trainMean(schedules));
  features.bind(weights);
  log(`stage 2: trained, the mean of ${schedules.length} seeds`);
}

export type Hiding = "nothing" | "context" | "answer";

export function replyExamples(
  features: Features,
  samples: readonly Sample[],
  hides: Hiding = "nothing",
): Examples {
  const examples = new Examples();
  for (const sample of samples) {
    features.reply(sample, examples, REPLY_GROUP_SCALES, hides);
    const kind = sample.kind === undefined ? -1 : KINDS.indexOf(sample.kind);
    examples.end([sample.unsafe ?? -1], sample.weight, kind);
  }
  return examples;
}

export function seeds(
  schedule: Omit<Schedule, "seed">,
  seed: number,
  count: number,
): readonly Schedule[] {
  return Array.from({ length: count }, (_, index) => ({ ...schedule, seed: seed + index }));
}

export function labelsOf({ labels }: Sample): number[] {
  return HEADS.map((head) => labels[head] ?? -1);
}

export type { Table };

function calibrateMessages(
  features: Features,
  weights: Weights,
  aside: readonly Sample[],
  log: Log,
): void {
  const scores = aside.map(({ text }) => features.score(text).raw);
  for (const [lane, head] of HEADS.entries()) {
    const rows = aside.flatMap((sample, index) => {
      return sample.labels[head] === undefined ? [] : [{ sample, raw: scores[index]![lane]! }];
    });
    const shares = balanced(
      rows.map(({ sample }) => sample),
      (source) => FACTORS[source] ?? 1,
    );
    const rated = rows.map(({ sample, raw }, index): Rated => {
      return { inputs: [raw], label: sample.labels[head]!, weight: shares[index]! };
    });
    const points = curveOf(UNLABELLED.has(head) ? withShare(rated, UNLABELLED_SHARE) : rated);
    weights.setCalibration(lane, points);
    log(`  ${head}: ${rated.length} rows, one half at ${middle(points).toFixed(2)}`);
  }
}

function calibrateReplies(
  features: Features,
  weights: Weights,
  aside: readonly Sample[],
  log: Log,
): void {
  const scores = aside.map((sample) => features.scoreReply(sample));
  const shares = balanced(aside, (source) => FACTORS[source] ?? 1);
  const rate = (inputs: (index: number) => readonly number[]): Rated[] =>
    aside.map((sample, index) => {
      return { inputs: inputs(index), label: sample.unsafe!, weight: shares[index]! };
    });
  const curve = curveOf(rate((index) => [scores[index]!.raw]));
  weights.setCalibration(HEAD_REPLY, curve);
  features.bind(weights);
  const again = aside.map((sample) => features.scoreReply(sample).inputs);
  const mix = regress(rate((index) => again[index]!));
  for (let index = 0; index < COMBINED_INPUTS; index++) {
    weights.setParameter(COMBINED_WEIGHTS_AT + index, mix[index]!);
  }
  const sums = again.map((inputs) => inputs.reduce((sum, x, at) => sum + x * mix[at]!, 0));
  weights.setCalibration(HEAD_COMBINED, curveOf(rate((index) => [sums[index]!])));
  log(`  answers: ${aside.length} rows, one half at ${middle(curve).toFixed(2)}`);
  log(`  combined: ${mix.map((weight) => weight.toFixed(2)).join(" ")}`);
}

function middle(points: readonly (readonly [number, number])[]): number {
  const [low, high] = [points[3]!, points[4]!];
  return low[0] + ((0.5 - low[1]) / (high[1] - low[1])) * (high[0] - low[0]);
}
