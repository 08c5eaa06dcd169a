/** What an upstream language model is asked, and how that may end. */
import { CATEGORIES, type Action } from "./moderation.ts";

/** In the order of the WIT and of their rank: a call of an earlier job goes first. */
export const JOBS = ["moderation", "tldr", "rolling"] as const;
export type Job = (typeof JOBS)[number];
export const JOB_COUNT = JOBS.length;

/**
 * Why there is no answer of the upstream, so that the embedded one stands; in the order of the WIT.
 * Each is a `degraded` reason of the answer, and a label of the metrics.
 */
export const CONSULTATION_FAILURES = [
  /** No upstream is configured for the job, or the policy does not ask for it. */
  "off",
  /** The tenant's budget of calls, tokens or money is spent. */
  "overBudget",
  /** Too many calls wait already. */
  "queueFull",
  "timedOut",
  /** The upstream fails, or nobody asks it for a while because it did. */
  "unavailable",
  /** It refused us for now: too many requests. */
  "rateLimited",
  /** It refused the request for good: key, model, size. */
  "refused",
  /** It answered something that is not of the job's schema, twice. */
  "malformed",
  /** Nobody is interested any more. */
  "cancelled",
  /** The shard or the process started anew meanwhile. */
  "interrupted",
] as const;
export type ConsultationFailure = (typeof CONSULTATION_FAILURES)[number];

export type TokenUsage = {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Of the prompt's, those that the upstream had cached. */
  readonly cachedTokens: number;
};

export const NO_USAGE: TokenUsage = { promptTokens: 0, completionTokens: 0, cachedTokens: 0 };

/** What the upstream's answer makes of a verdict (wit/moderator.wit). */
export type Opinion = {
  readonly action: Action;
  readonly proposedAction: Action;
  /** Bit n: category n is over its flag threshold. */
  readonly flagged: number;
  readonly scores: readonly number[];
  /** 0 to 100. */
  readonly severity: number;
  readonly reason: string;
  /** Whether the answer counted; if not, the rest is what `judge` said. */
  readonly applied: boolean;
};

/**
 * A judgement as a moderator is handed it, little-endian: an f32 a category in their order, u16
 * bytes of the reason, reason.
 */
export function judgementBytes(scores: readonly number[], reason: string): Buffer {
  const reasonBytes = Buffer.byteLength(reason);
  const at = 4 * CATEGORIES.length;
  const bytes = Buffer.allocUnsafe(at + 2 + reasonBytes);
  for (let category = 0; category < CATEGORIES.length; category++) {
    bytes.writeFloatLE(scores[category]!, 4 * category);
  }
  bytes.writeUInt16LE(reasonBytes, at);
  bytes.write(reason, at + 2);
  return bytes;
}
