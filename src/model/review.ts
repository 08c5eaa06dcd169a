/** The review queue: what people decide about messages that were flagged or reported. */
import type { ConsultationFailure } from "./consultation.ts";
import type { Action, Category, Turn, Verdict } from "./moderation.ts";

/**
 * `pending` and `appealed` items wait; a claim holds one for a moderator until it ends, and then it
 * waits again as before. An escalated item is pending again, for somebody else.
 */
export const REVIEW_STATES = ["pending", "claimed", "decided", "appealed"] as const;
export type ReviewState = (typeof REVIEW_STATES)[number];

export const DECISIONS = ["approve", "remove", "escalate", "ignore"] as const;
export type Decision = (typeof DECISIONS)[number];

export type ReviewItem = {
  readonly tenant: string;
  readonly id: string;
  /** Rises with every change; a decision may ask for the one that was seen. */
  readonly version: number;
  readonly state: ReviewState;
  readonly escalated: boolean;
  /** 0 to 100, of the worst verdict. */
  readonly severity: number;
  /** Of the verdict; undefined: nobody but people reported it. */
  readonly action: Action | undefined;
  /** Flagged by the verdict. */
  readonly categories: readonly Category[];
  readonly verdictId: string | undefined;
  readonly messageId: string | undefined;
  readonly conversation: string | undefined;
  readonly user: string | undefined;
  readonly language: string | undefined;
  /** Undefined where texts are not kept. */
  readonly text: string | undefined;
  readonly verdictCount: number;
  readonly reportCount: number;
  readonly appealCount: number;
  /** An upstream was to judge some message of it, and did not. */
  readonly degraded: boolean;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  readonly claim: { readonly moderator: string; readonly endsAtMs: number } | undefined;
  /** The last one. */
  readonly decision: DecisionRecord | undefined;
};

export type DecisionRecord = {
  readonly decision: Decision;
  readonly moderator: string;
  readonly reason: string | undefined;
  readonly atMs: number;
};

export type ReportRecord = {
  readonly reporter: string | undefined;
  readonly reason: string | undefined;
  readonly atMs: number;
};

export type AppealRecord = { readonly by: string; readonly reason: string; readonly atMs: number };

/** Append only. It names moderators and items, never what was said or who said it. */
export type AuditLine = {
  readonly seq: number;
  readonly atMs: number;
  /** A moderator's name; undefined: the system or a caller without one. */
  readonly actor: string | undefined;
  readonly action: string;
  readonly itemId: string | undefined;
  readonly detail: Readonly<Record<string, unknown>>;
};

export type PastItem = {
  readonly id: string;
  readonly state: ReviewState;
  readonly severity: number;
  readonly createdAtMs: number;
  readonly decision: Decision | undefined;
};

export type PastFlag = {
  readonly id: string;
  readonly asOfMs: number;
  readonly action: Action;
  readonly severity: number;
  readonly categories: readonly Category[];
  readonly conversation: string | undefined;
  readonly text: string | undefined;
};

export type AuthorHistory = {
  readonly user: string;
  readonly flaggedCount: number;
  readonly blockedCount: number;
  /** Items of the author by the decision that stands. */
  readonly decisions: Readonly<Record<Decision, number>>;
  /** The newest first, REVIEW_HISTORY_MAX of each at most. */
  readonly verdicts: readonly PastFlag[];
  readonly items: readonly PastItem[];
};

export type ReviewDetail = ReviewItem & {
  readonly verdict: Verdict | undefined;
  /** What the moderator remembered of the conversation then, the oldest first. */
  readonly context: readonly Turn[];
  readonly reports: readonly ReportRecord[];
  readonly decisions: readonly DecisionRecord[];
  readonly appeals: readonly AppealRecord[];
  readonly author: AuthorHistory | undefined;
  readonly audit: readonly AuditLine[];
};

export type ReviewPage = {
  readonly total: number;
  readonly items: readonly ReviewItem[];
  readonly nextCursor: string | undefined;
};

/** How often people agreed with what was flagged. */
export type Precision = {
  readonly removedCount: number;
  readonly approvedCount: number;
  /** Null: nothing was decided. */
  readonly precision: number | null;
};

export type ReviewStats = {
  readonly states: Readonly<Record<ReviewState, number>>;
  readonly oldestWaitingMs: number | undefined;
  readonly decisions: Readonly<Record<Decision, number>>;
  /** Decided otherwise after an appeal. */
  readonly overturnedCount: number;
  readonly precision: Partial<Readonly<Record<Category, Precision>>>;
  /** Flagged verdicts that found no room in the queue, ever. */
  readonly lostCount: number;
  /** Messages that an upstream was to judge and did not, as far as they are listed. */
  readonly notReviewedCount: number;
};

/** A message that an upstream was to judge, and did not: its embedded verdict stands. */
export type NotReviewed = {
  /** Of the verdict. */
  readonly id: string;
  /** `interrupted`: the process ended meanwhile, so perhaps nobody was answered. */
  readonly outcome: ConsultationFailure;
  readonly asOfMs: number;
  /** Its item in the queue, if it was flagged. */
  readonly reviewId: string | undefined;
  /** Undefined where texts are not kept. */
  readonly text: string | undefined;
  /** Undefined: the message was to leave no trace, and this is all that is known of it. */
  readonly verdict: Verdict | undefined;
};

export type NotReviewedPage = {
  readonly total: number;
  /** The newest first. */
  readonly messages: readonly NotReviewed[];
  /** For the next page; undefined: this is the last. */
  readonly nextBefore: number | undefined;
};

/** What people, or callers of Perspective's `suggestscore`, say of a text. */
export type Label = {
  readonly seq: number;
  readonly source: "review" | "feedback";
  readonly category: Category;
  /** 1: it is; 0: it is not. */
  readonly value: number;
  /** As it was judged. */
  readonly score: number | undefined;
  readonly verdictId: string | undefined;
  readonly itemId: string | undefined;
  readonly language: string | undefined;
  readonly text: string | undefined;
  readonly atMs: number;
};

export type Retention = {
  /** Days that verdicts and labels of callers are kept. */
  readonly verdicts: number;
  /** Of items that were decided, with their labels. */
  readonly decided: number;
  readonly audit: number;
};

export const WEBHOOK_EVENTS = [
  "verdict.flagged",
  "verdict.blocked",
  "review.decided",
  "review.appealed",
] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

export type Webhook = {
  readonly id: string;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly enabled: boolean;
  readonly disabledReason: string | undefined;
  /** Failed attempts in a row. */
  readonly failureCount: number;
  readonly waitingCount: number;
  readonly deliveredCount: number;
  readonly gaveUpCount: number;
  /** Deliveries that found no room. */
  readonly lostCount: number;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** The newest first, REVIEW_HISTORY_MAX at most. */
  readonly deliveries: readonly Delivery[];
};

export type Delivery = {
  readonly id: string;
  readonly event: string;
  readonly state: "waiting" | "delivered" | "gaveUp";
  readonly attemptCount: number;
  readonly createdAtMs: number;
  readonly dueAtMs: number | undefined;
  readonly status: number | undefined;
  readonly error: string | undefined;
};

export function isFlag(decision: Decision): decision is "approve" | "remove" {
  return decision === "approve" || decision === "remove";
}
