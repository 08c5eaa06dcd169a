/** What the classifier is trained and measured on: one message with its labels. */

/** In the order of the message lanes; lane 7 is spare. */
export const HEADS = [
  "toxic",
  "hate",
  "insult",
  "profanity",
  "threat",
  "sexual",
  "selfHarm",
] as const;
export type Head = (typeof HEADS)[number];

/** Kinds of conversation of the dialogue set, in the order of the gate's lanes. */
export const KINDS = [
  "Biased Opinion",
  "Offending User",
  "Risk Ignorance",
  "Toxicity Agreement",
  "Unauthorized Expertise",
] as const;

export type Turn = { readonly author: string; readonly text: string };

export type Sample = {
  /** Corpus, or `grammar`. */
  readonly source: string;
  readonly text: string;
  /** Who says it; matters where earlier turns have authors. */
  readonly author: string;
  /** What was said before, the oldest first. */
  readonly context: readonly Turn[];
  /** Index of the turn that it answers, where that is said. */
  readonly replyTo?: number;
  /** 0 to 1; what nobody said is absent, never 0. */
  readonly labels: Partial<Readonly<Record<Head, number>>>;
  /** Whether it is unsafe as an answer to its context. */
  readonly unsafe: number | undefined;
  readonly kind: (typeof KINDS)[number] | undefined;
  readonly weight: number;
  readonly split: "train" | "held";
  /** Inside the source: category, behaviour, folder. */
  readonly group: string;
};

/** Nobody would mind it. */
export const CLEAN: Readonly<Record<Head, number>> = {
  toxic: 0,
  hate: 0,
  insult: 0,
  profanity: 0,
  threat: 0,
  sexual: 0,
  selfHarm: 0,
};

/** FNV-1a over UTF-16 units, finished: decides which split a text belongs to. */
export function hashText(text: string, seed = 0x811c9dc5): number {
  let hash = seed;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return (hash ^ (hash >>> 12)) >>> 0;
}
