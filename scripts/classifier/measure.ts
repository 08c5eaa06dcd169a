/**
 * What the shipped weights score, by the guest's own code: on the held-back parts of the corpora,
 * on sentences of held-back words and frames, and on sentences that were written by hand
 * (test/moderation/probes).
 */
import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Random } from "#std/random.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { type Corpus, emojiTwins, markedPosts } from "./corpora.ts";
import type { Features } from "./features.ts";
import { type Part, writeBehaviours, writeDisguises, writeExchanges } from "./grammar.ts";
import { auc, bestF1, f1At, interval } from "./metrics.ts";
import { HEADS, KINDS, type Sample, type Turn } from "./sample.ts";

export type Figure = {
  readonly name: string;
  readonly value: number;
  readonly unit: "AUC" | "F1" | "%";
  readonly count: number;
  /** 95 % by bootstrap. */
  readonly interval?: readonly [number, number];
  readonly floor?: string;
};

export type Probe = Sample & { readonly harm: 0 | 1 };

const PROBES = join(import.meta.dirname, "..", "..", "test", "moderation", "probes");
const SEED = 20_261;
const LEFT_BY_CONTEXT: ReadonlySet<string> = new Set(["hate", "insult", "threat"]);
const WORDS_COUNT = 60;

/** Scores of a message by category, in its conversation where it has one. */
export type Scores = {
  readonly toxicity: number;
  readonly toxicityAlone: number;
  readonly heads: readonly number[];
  readonly raw: readonly number[];
  readonly harmfulReply: number;
  readonly rawReply: number;
};

export function scoresOf(features: Features, sample: Sample): Scores {
  const { raw, scores } = features.score(sample.text);
  const reply = sample.context.length === 0 ? undefined : features.scoreReply(sample);
  const alone = scores[0]!;
  const toxicity = reply?.combined ?? alone;
  // As decision.ts of the guest: what the conversation takes from toxicity, it takes from these.
  const left = toxicity < alone ? toxicity / alone : 1;
  const heads = scores.map((score, lane) =>
    LEFT_BY_CONTEXT.has(HEADS[lane]!) ? score * left : score,
  );
  return {
    toxicity,
    toxicityAlone: alone,
    heads,
    raw,
    harmfulReply: reply?.unsafe ?? 0,
    rawReply: reply?.raw ?? 0,
  };
}

/** Whether the default policy would flag it for anything. */
export function isFlagged(scores: Scores): boolean {
  const { categories } = POLICY_DEFAULT;
  const over = (score: number, flagAt: number | null) => flagAt !== null && score >= flagAt;
  const [, hate, insult, profanity, threat, sexual, selfHarm] = scores.heads;
  return (
    over(scores.toxicity, categories.toxicity.flagAt) ||
    over(hate!, categories.identityAttack.flagAt) ||
    over(insult!, categories.insult.flagAt) ||
    over(profanity!, categories.profanity.flagAt) ||
    over(threat!, categories.threat.flagAt) ||
    over(sexual!, categories.sexual.flagAt) ||
    over(selfHarm!, categories.selfHarm.flagAt) ||
    over(scores.harmfulReply, categories.harmfulReply.flagAt)
  );
}

export function heldOf(corpora: readonly Corpus[], source: string): readonly Sample[] {
  const held = corpora.flatMap(({ samples }) => samples).filter((s) => s.split === "held");
  return held.filter((sample) => sample.source === source);
}

export function measureCorpora(
  features: Features,
  corpora: readonly Corpus[],
  folder: string,
): readonly Figure[] {
  return [
    ...measureDialogues(features, corpora),
    ...measureTweets(features, corpora),
    ...measureTalk(features, corpora),
    ...measureEmoji(features, corpora, folder),
    ...measureChat(features, corpora),
    spanFigure(features, folder),
  ];
}

function spanFigure(features: Features, folder: string): Figure {
  const { f1, count } = measureSpans(features, folder, Number.MAX_SAFE_INTEGER);
  return { name: "spans, character F1", value: f1, unit: "F1", count, floor: ".585" };
}

export function aucFigure(
  name: string,
  scores: readonly number[],
  labels: readonly number[],
  floor?: string,
): Figure {
  const range = interval(scores.length, new Random(SEED), (picks) =>
    auc(
      picks.map((pick) => scores[pick]!),
      picks.map((pick) => labels[pick]!),
    ),
  );
  const value = auc(scores, labels);
  const base = { name, value, unit: "AUC", count: scores.length, interval: range } as const;
  return floor === undefined ? base : { ...base, floor };
}

/** Held-back dialogues whose first turn does not stand in the training part either. */
export function unseenContexts(corpora: readonly Corpus[]): ReadonlySet<Sample> {
  const dialogues = corpora
    .flatMap(({ samples }) => samples)
    .filter((s) => s.source === "diasafety");
  const known = dialogues.filter((s) => s.split === "train").map((s) => s.context[0]!.text);
  const seen = new Set(known);
  return new Set(dialogues.filter((s) => s.split === "held" && !seen.has(s.context[0]!.text)));
}

function measureDialogues(features: Features, corpora: readonly Corpus[]): readonly Figure[] {
  const held = heldOf(corpora, "diasafety");
  const unseen = unseenContexts(corpora);
  const all = held.map((sample) => scoresOf(features, sample));
  const figure = (
    name: string,
    keep: (sample: Sample) => boolean,
    score: (scores: Scores) => number,
    floor?: string,
  ): Figure => {
    const rows = held.flatMap((sample, index) => (keep(sample) ? [{ sample, index }] : []));
    return aucFigure(
      name,
      rows.map(({ index }) => score(all[index]!)),
      rows.map(({ sample }) => sample.unsafe!),
      floor,
    );
  };
  const toxicity = (scores: Scores) => scores.toxicity;
  const reply = (scores: Scores) => scores.rawReply;
  const labels = held.map((sample) => sample.unsafe!);
  const macro = f1At(
    all.map((s) => s.harmfulReply),
    labels,
    0.5,
  ).macro;
  const floors = [".657", ".725", ".776", ".847", ".975"];
  return [
    figure("dialogues, toxicity with context", () => true, toxicity, ".838"),
    figure("dialogues, harmful reply", () => true, reply, ".838"),
    figure("dialogues, harmful reply, contexts not in training", (s) => unseen.has(s), reply),
    figure(
      "dialogues, toxicity without context",
      () => true,
      (s) => s.toxicityAlone,
    ),
    {
      name: "dialogues, harmful reply, macro F1",
      value: macro,
      unit: "F1",
      count: held.length,
      floor: ".750",
    },
    ...KINDS.map((kind, index) =>
      figure(`dialogues, ${kind}`, (s) => s.kind === kind, reply, floors[index]!),
    ),
  ];
}

function measureTweets(features: Features, corpora: readonly Corpus[]): readonly Figure[] {
  const held = heldOf(corpora, "davidson");
  const raw = held.map(({ text }) => features.score(text).raw);
  const isHate = held.map((sample) => Number(sample.group === "hate"));
  const isRude = held.map((sample) => Number(sample.group !== "neither"));
  const hate = raw.map((lanes) => lanes[HEADS.indexOf("hate")]!);
  const range = interval(hate.length, new Random(SEED), (picks) =>
    bestF1(
      picks.map((pick) => hate[pick]!),
      picks.map((pick) => isHate[pick]!),
    ),
  );
  return [
    aucFigure("tweets, hate", hate, isHate),
    {
      name: "tweets, hate, best F1",
      value: bestF1(hate, isHate),
      unit: "F1",
      count: held.length,
      interval: range,
      floor: ".355 to .462",
    },
    aucFigure(
      "tweets, rude or hateful against neither",
      raw.map((lanes) => lanes[0]!),
      isRude,
    ),
  ];
}

function measureTalk(features: Features, corpora: readonly Corpus[]): readonly Figure[] {
  const held = heldOf(corpora, "talk");
  const scores = held.map(({ text }) => features.score(text).raw[0]!);
  const labels = held.map((sample) => Number(sample.group === "toxic"));
  const positives = labels.filter((label) => label === 1).length;
  return [aucFigure(`talk pages (${positives} toxic)`, scores, labels, "Perspective .939")];
}

function measureEmoji(
  features: Features,
  corpora: readonly Corpus[],
  folder: string,
): readonly Figure[] {
  const held = heldOf(corpora, "hatemoji");
  const twins = emojiTwins(folder);
  const figure = (name: string, rows: readonly Sample[]): Figure =>
    aucFigure(
      name,
      rows.map(({ text }) => features.score(text).raw[1]!),
      rows.map(({ labels }) => labels.hate!),
    );
  return [
    figure("emoji, hate", held),
    figure(
      "emoji, hate, no twin in training",
      held.filter(({ text }) => !twins.has(text)),
    ),
  ];
}

function measureChat(features: Features, corpora: readonly Corpus[]): readonly Figure[] {
  const held = heldOf(corpora, "irc");
  return ["dev", "channel-two"].flatMap((group) => {
    const all = held.filter((s) => s.group === group).map((sample) => scoresOf(features, sample));
    const share = (name: string, is: (scores: Scores) => boolean): Figure => {
      const value = (100 * all.filter(is).length) / all.length;
      return { name: `chat ${group}, ${name}`, value, unit: "%", count: all.length };
    };
    const { categories } = POLICY_DEFAULT;
    const heads = ["insult", "threat", "sexual", "selfHarm"] as const;
    return [
      share("flagged by the default policy", isFlagged),
      share("toxicity", (s) => s.toxicity >= categories.toxicity.flagAt!),
      share("toxicity alone", (s) => s.toxicityAlone >= categories.toxicity.flagAt!),
      share("identityAttack", (s) => s.heads[1]! >= categories.identityAttack.flagAt!),
      ...heads.map((head) =>
        share(head, (s) => s.heads[HEADS.indexOf(head)]! >= categories[head].flagAt!),
      ),
      share("harmfulReply", (s) => s.harmfulReply >= categories.harmfulReply.flagAt!),
    ];
  });
}

/** Mean over posts of the F1 of the characters that are marked; an empty mark is met by none. */
export function measureSpans(
  features: Features,
  folder: string,
  postsMax: number,
): { readonly f1: number; readonly count: number } {
  const posts = markedPosts(folder).slice(0, postsMax);
  let total = 0;
  for (const { text, marks } of posts) {
    const found = new Set<number>();
    for (const [from, to] of features.spans(text, HEADS.indexOf("toxic"))) {
      for (let at = from; at < to; at++) found.add(at);
    }
    const both = [...found].filter((at) => marks.has(at)).length;
    const size = found.size + marks.size;
    total += size === 0 ? 1 : (2 * both) / size;
  }
  return { f1: total / posts.length, count: posts.length };
}

export type Row = {
  readonly name: string;
  readonly part: Part | ProbeSet;
  readonly right: number;
  readonly count: number;
  readonly auc: number;
};

/** Whether abuse is found and what looks like it is let be, at one half. */
export function measureBehaviours(features: Features, part: Part): readonly Row[] {
  const plain = Array.from(
    { length: 40 },
    (_, index) => `this line is number ${index} of the list`,
  );
  const samples = [
    ...writeBehaviours(SEED, WORDS_COUNT, part),
    ...(part === "words" ? writeDisguises(SEED, WORDS_COUNT, part, plain) : []),
    ...writeExchanges(SEED, WORDS_COUNT, part),
  ];
  return rowsOf(features, part, samples, ({ group }) => group, harmOf);
}

export function measureProbes(features: Features, set: ProbeSet): readonly Row[] {
  const probes = readProbes(set);
  const harm = new Map<Sample, number>(probes.map((probe) => [probe, probe.harm]));
  return rowsOf(
    features,
    set,
    probes,
    ({ group }) => group,
    (sample) => harm.get(sample)!,
  );
}

/**
 * `fresh`: written when the grammar was done, nothing was tuned on them. `sealed`: a half, drawn by
 * lot, of sentences about abuse by meaning; the grammar's frames for it came after them, from the
 * same hand, and nobody looked at the errors of one. `seen`: their errors were looked at while the
 * grammar grew.
 */
export const PROBE_SETS = ["fresh", "sealed", "seen"] as const;
export type ProbeSet = (typeof PROBE_SETS)[number];

/** `label|text`, or `label|A: text / B: text >> answer of B`. */
export function readProbes(set: ProbeSet): readonly Probe[] {
  const folder = set === "fresh" ? PROBES : join(PROBES, set);
  return globSync("*.txt", { cwd: folder })
    .toSorted()
    .flatMap((name) => {
      const lines = readFileSync(join(folder, name), "utf8").split("\n");
      return lines.filter((line) => /^[01]\|/.test(line)).map((line) => probeOf(name, line));
    });
}

function probeOf(name: string, line: string): Probe {
  const rest = line.slice(2);
  const at = rest.indexOf(" >> ");
  const turns = at < 0 ? [] : rest.slice(0, at).split(" / ");
  const context = turns.map((turn): Turn => ({ author: turn[0]!, text: turn.slice(3) }));
  return {
    source: "probe",
    text: at < 0 ? rest : rest.slice(at + 4),
    author: "B",
    context,
    labels: {},
    unsafe: undefined,
    kind: undefined,
    weight: 1,
    split: "held",
    group: basename(name, ".txt"),
    harm: line[0] === "1" ? 1 : 0,
  };
}

/** What a sentence of the grammar or a probe is about decides which score is asked. */
export function harmScore(scores: Scores, group: string, hasContext: boolean): number {
  const [, hate, insult, , threat, sexual, selfHarm] = scores.heads;
  if (group === "self-harm" || group === "harmless of self" || group === "selfharm") {
    return selfHarm!;
  }
  if (group === "sexual" || group === "harmless body") return sexual!;
  const alone = Math.max(scores.toxicityAlone, hate!, insult!, threat!);
  return hasContext ? Math.max(scores.toxicity, scores.harmfulReply) : alone;
}

function harmOf({ group, labels, unsafe }: Sample): number {
  if (group === "self-harm" || group === "sexual") return 1;
  return unsafe ?? labels.toxic ?? 0;
}

function rowsOf(
  features: Features,
  part: Part | ProbeSet,
  samples: readonly Sample[],
  nameOf: (sample: Sample) => string,
  harm: (sample: Sample) => number,
): readonly Row[] {
  const rows = Map.groupBy(samples, nameOf);
  return [...rows].map(([name, list]) => {
    const scores = list.map((sample) => {
      return harmScore(scoresOf(features, sample), sample.group, sample.context.length > 0);
    });
    const labels = list.map(harm);
    const right = scores.filter((score, index) => score >= 0.5 === labels[index]! >= 0.5).length;
    return { name, part, right, count: list.length, auc: auc(scores, labels) };
  });
}
