/** Messages to be judged and the verdicts on them: the shapes of wit/moderator.wit. */
import type { ConsultationFailure } from "./consultation.ts";

/** In the order of the WIT: scores, thresholds and the bits of a mask stand in it. */
export const CATEGORIES = [
  "toxicity",
  "severeToxicity",
  "insult",
  "profanity",
  "threat",
  "identityAttack",
  "sexual",
  "selfHarm",
  "harmfulReply",
] as const;
export type Category = (typeof CATEGORIES)[number];

/** Written out, so that it is one shape and quick. */
export function eachCategory<Value>(
  of: (category: Category) => Value,
): Readonly<Record<Category, Value>> {
  return {
    toxicity: of("toxicity"),
    severeToxicity: of("severeToxicity"),
    insult: of("insult"),
    profanity: of("profanity"),
    threat: of("threat"),
    identityAttack: of("identityAttack"),
    sexual: of("sexual"),
    selfHarm: of("selfHarm"),
    harmfulReply: of("harmfulReply"),
  };
}

export type Action = "allow" | "flag" | "block";

/** A message before the one to judge, sent along with it rather than remembered. */
export type GivenTurn = {
  readonly id?: string | undefined;
  readonly user?: string | undefined;
  readonly text: string;
};

/** A message to be judged. */
export type ModerationRequest = {
  readonly id?: string | undefined;
  /** Without one there is no context but the given, and nothing is remembered. */
  readonly conversation?: string | undefined;
  readonly user?: string | undefined;
  /** Of the user, as the tenant's policy names it. */
  readonly role?: string | undefined;
  readonly text: string;
  /** Id of the message that this one answers. */
  readonly replyTo?: string | undefined;
  /** BCP 47 primary tag; left out: detected. */
  readonly language?: string | undefined;
  /** The oldest first. It is read instead of what is remembered, and is not remembered. */
  readonly context?: readonly GivenTurn[] | undefined;
  /** When it was said, epoch ms; left out: now. */
  readonly tsMs?: number | undefined;
  /** It leaves no trace: not in the conversation, not in a queue, not in the history. */
  readonly doNotStore?: boolean | undefined;
};

export type TextSpan = {
  readonly category: Category;
  /** UTF-16 code units, the end exclusive. */
  readonly start: number;
  readonly end: number;
  readonly startCodePoint: number;
  readonly endCodePoint: number;
  readonly score: number;
};

export type Relation = "previous" | "repliedTo" | "sameAuthor" | "given";

export type ContextTurn = {
  readonly id: string | undefined;
  readonly ageMs: number;
  readonly relation: Relation;
  readonly toxicity: number;
};

export type LanguageSource = "given" | "detected" | "unknown";
export type LanguageSupport = "full" | "lists" | "none";

/** As the tenant's component says it. */
export type VerdictReport = {
  readonly action: Action;
  readonly proposedAction: Action;
  /** Bit n: category n is over its flag threshold. */
  readonly flagged: number;
  readonly scores: readonly number[];
  readonly toxicityAlone: number;
  readonly thresholds: readonly number[];
  /** 0 to 100. */
  readonly severity: number;
  readonly spans: readonly TextSpan[];
  readonly contextUsed: readonly ContextTurn[];
  readonly reason: string;
  readonly language: string;
  readonly languageSource: LanguageSource;
  readonly languageSupport: LanguageSupport;
  readonly listEntry: string | undefined;
  readonly policyVersion: number;
  /** The policy wants the upstream asked about this message. */
  readonly consult: boolean;
};

/** What a conversation remembers of a message. */
export type Turn = {
  readonly id: string | undefined;
  readonly user: string | undefined;
  readonly role: string | undefined;
  readonly tsMs: number;
  readonly text: string;
  readonly toxicity: number;
  readonly action: Action;
};

export type ModeratorUsage = {
  readonly conversationCount: number;
  readonly turnCount: number;
  readonly stateBytes: number;
  readonly evictedCount: number;
  readonly judgedCount: number;
};

/** A verdict as a caller gets it: the report in words, and what stands behind it. */
export type Verdict = {
  /** Stable: feedback, appeal and audit refer to it. */
  readonly id: string;
  readonly tenant: string;
  readonly messageId: string | undefined;
  readonly conversation: string | undefined;
  readonly user: string | undefined;
  readonly action: Action;
  /** What the action would be if the policy did not only observe. */
  readonly proposedAction: Action;
  readonly flagged: boolean;
  readonly categories: Readonly<Record<Category, boolean>>;
  readonly scores: Readonly<Record<Category, number>>;
  /** Whose a threshold is, and how high; null: off. */
  readonly thresholds: Readonly<Record<Category, number | null>>;
  readonly toxicityAlone: number;
  readonly severity: number;
  readonly spans: readonly TextSpan[];
  readonly contextUsed: readonly ContextTurn[];
  readonly reason: string;
  readonly language: {
    readonly tag: string;
    readonly source: LanguageSource;
    readonly support: LanguageSupport;
  };
  readonly listEntry: string | undefined;
  readonly policy: { readonly version: number; readonly source: "default" | "tenant" };
  /** Name and version of what judged, e.g. `nexuscore-embedded-1+9f2c41d07a3e.51b07c2d`. */
  readonly model: string;
  readonly asOfMs: number;
  /** An upstream was to be asked, and its answer is not in here; always false without one. */
  readonly degraded: boolean;
  /** What became of asking it; left out where it was not to be asked. */
  readonly upstream?: VerdictUpstream | undefined;
};

export type VerdictUpstream = {
  readonly outcome: "answered" | "cached" | ConsultationFailure;
  /** More on an outcome that is a failure. */
  readonly detail: string | undefined;
  /** Of the upstream, as the operator names it. */
  readonly model: string;
  /** From the embedded verdict to the end of this one. */
  readonly waitMs: number;
};
