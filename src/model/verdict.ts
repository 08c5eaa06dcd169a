/**
 * From what a tenant's component reports of a message to the verdict that a caller gets: masks and
 * lists become words, and what the component cannot know is added.
 */
import {
  CATEGORIES,
  type Category,
  type ModerationRequest,
  type Verdict,
  type VerdictReport,
  type VerdictUpstream,
} from "./moderation.ts";
import { CONSULTATION_FAILURES, type ConsultationFailure, type Opinion } from "./consultation.ts";
import type { ProblemCode } from "./problem.ts";

/** Thresholds travel as single floats: 0.6 is said as it was set, not as what is nearest to it. */
const THRESHOLD_SCALE = 1e6;

/** What became of one message of a batch. */
export type ModerationOutcome =
  | { readonly verdict: Verdict }
  | { readonly problem: { readonly code: ProblemCode; readonly detail: string } };

/**
 * The embedded verdict on a message about which an upstream is being asked. Should the process end
 * before the upstream did, it is what is known of the message.
 */
export type PendingReview = {
  readonly verdict: Verdict;
  /** Undefined: it must not be stored. */
  readonly text: string | undefined;
  /** False: nothing at all of it may be kept, here either. */
  readonly leavesTrace: boolean;
  readonly atMs: number;
};

/** A report, and what else a verdict says. */
export type Judgement = {
  readonly report: VerdictReport;
  readonly id: string;
  readonly tenant: string;
  readonly model: string;
  readonly asOfMs: number;
};

export function verdictOf(
  { report, id, tenant, model, asOfMs }: Judgement,
  { id: messageId, conversation, user }: Pick<ModerationRequest, "id" | "conversation" | "user">,
): Verdict {
  const { flagged, scores, thresholds, policyVersion } = report;
  const { language: tag, languageSource: source, languageSupport: support } = report;
  return {
    id,
    tenant,
    messageId,
    conversation,
    user,
    action: report.action,
    proposedAction: report.proposedAction,
    flagged: report.action !== "allow",
    categories: byCategory((category) => ((flagged >>> category) & 1) === 1),
    scores: byCategory((category) => scores[category]!),
    thresholds: byCategory((category) => {
      const threshold = thresholds[category]!;
      return threshold > 1 ? null : Math.round(threshold * THRESHOLD_SCALE) / THRESHOLD_SCALE;
    }),
    toxicityAlone: report.toxicityAlone,
    severity: report.severity,
    spans: report.spans,
    contextUsed: report.contextUsed,
    reason: report.reason,
    language: { tag, source, support },
    listEntry: report.listEntry,
    policy: { version: policyVersion, source: policyVersion === 0 ? "default" : "tenant" },
    model,
    asOfMs,
    degraded: false,
  };
}

/** What asking the upstream about a message has come to. */
export type ReviewEnd = {
  readonly outcome: VerdictUpstream["outcome"];
  readonly detail: string | undefined;
  readonly waitMs: number;
  /** Undefined: the embedded verdict stands. */
  readonly opinion: Opinion | undefined;
};

/** The verdict that is told in the end; `model`: the upstream's. */
export function reviewedVerdict(
  embedded: Verdict,
  { outcome, detail, waitMs, opinion }: ReviewEnd,
  model: string,
): Verdict {
  const upstream: VerdictUpstream = { outcome, detail, model, waitMs };
  const degraded = isFailure(outcome);
  if (opinion === undefined) return { ...embedded, degraded, upstream };
  const { action, proposedAction, flagged, scores, severity, reason } = opinion;
  return {
    ...embedded,
    action,
    proposedAction,
    flagged: action !== "allow",
    categories: byCategory((category) => ((flagged >>> category) & 1) === 1),
    scores: byCategory((category) => scores[category]!),
    severity,
    reason,
    degraded,
    upstream,
  };
}

export function isFailure(outcome: VerdictUpstream["outcome"]): outcome is ConsultationFailure {
  return (CONSULTATION_FAILURES as readonly string[]).includes(outcome);
}

/** The same properties in the same order every time: written out, so that it is one shape. */
function byCategory<Value>(of: (category: number) => Value): Readonly<Record<Category, Value>> {
  return {
    toxicity: of(0),
    severeToxicity: of(1),
    insult: of(2),
    profanity: of(3),
    threat: of(4),
    identityAttack: of(5),
    sexual: of(6),
    selfHarm: of(7),
    harmfulReply: of(8),
  };
}

export const CATEGORY_COUNT = CATEGORIES.length;
