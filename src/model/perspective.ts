/** Perspective's attributes: which of our scores each is, and which are known and not judged. */
import type { Category, LanguageSupport } from "./moderation.ts";

export type Attribute = {
  readonly category: Category;
  /** Whether word lists alone, without the classifier, say anything of it. */
  readonly byLists: boolean;
};

const OF_PRODUCTION: Readonly<Record<string, Attribute>> = {
  TOXICITY: { category: "toxicity", byLists: true },
  SEVERE_TOXICITY: { category: "severeToxicity", byLists: false },
  IDENTITY_ATTACK: { category: "identityAttack", byLists: false },
  INSULT: { category: "insult", byLists: true },
  PROFANITY: { category: "profanity", byLists: true },
  THREAT: { category: "threat", byLists: false },
  SEXUALLY_EXPLICIT: { category: "sexual", byLists: true },
};

/** Ours, for whoever wants more than theirs. */
const OF_OURS: Readonly<Record<string, Attribute>> = {
  SELF_HARM: { category: "selfHarm", byLists: false },
  HARMFUL_REPLY: { category: "harmfulReply", byLists: false },
};

const ALIASES: Readonly<Record<string, string>> = {
  TOXICITY_EXPERIMENTAL: "TOXICITY",
  SEVERE_TOXICITY_EXPERIMENTAL: "SEVERE_TOXICITY",
  IDENTITY_ATTACK_EXPERIMENTAL: "IDENTITY_ATTACK",
  INSULT_EXPERIMENTAL: "INSULT",
  PROFANITY_EXPERIMENTAL: "PROFANITY",
  THREAT_EXPERIMENTAL: "THREAT",
  SEXUALLY_EXPLICIT_EXPERIMENTAL: "SEXUALLY_EXPLICIT",
  OBSCENE: "PROFANITY",
};

/** Theirs that nothing here answers: a score made up of something else would mislead. */
export const ATTRIBUTES_NOT_SCORED: ReadonlySet<string> = new Set(
  `FLIRTATION FLIRTATION_EXPERIMENTAL ATTACK_ON_AUTHOR ATTACK_ON_COMMENTER INCOHERENT INFLAMMATORY
LIKELY_TO_REJECT SPAM UNSUBSTANTIAL AFFINITY_EXPERIMENTAL COMPASSION_EXPERIMENTAL
CURIOSITY_EXPERIMENTAL NUANCE_EXPERIMENTAL PERSONAL_STORY_EXPERIMENTAL REASONING_EXPERIMENTAL
RESPECT_EXPERIMENTAL ALIENATION_EXPERIMENTAL FEARMONGERING_EXPERIMENTAL
GENERALIZATION_EXPERIMENTAL MORAL_OUTRAGE_EXPERIMENTAL POWER_APPEAL_EXPERIMENTAL
SCAPEGOATING_EXPERIMENTAL`.split(/\s+/),
);

const ATTRIBUTES: ReadonlyMap<string, Attribute> = new Map(
  Object.entries({ ...OF_PRODUCTION, ...OF_OURS }),
);

export const ATTRIBUTE_NAMES: readonly string[] = [...ATTRIBUTES.keys()];

/** By the name of theirs or ours, or of an alias. */
export function attributeOf(name: string): Attribute | undefined {
  return ATTRIBUTES.get(Object.hasOwn(ALIASES, name) ? ALIASES[name]! : name);
}

export function isSupported({ byLists }: Attribute, support: LanguageSupport): boolean {
  return support === "full" || (support === "lists" && byLists);
}
