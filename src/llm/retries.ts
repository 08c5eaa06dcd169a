/**
 * What follows when the upstream did not answer well: again, or the embedded answer and why.
 *
 * Again only if it may help (the failure says so), if there is time for it, if it was not tried
 * often already, and if not too many calls are tried again at all: a share of the calls, saved up
 * in a bucket, so that an upstream that is down is not asked three times as often because of it.
 * The wait is the upstream's word, or else doubles, with full jitter (Brooker 2015).
 */
import type { ConsultationFailure } from "#model/consultation.ts";
import { RETRY_AFTER_MS_MAX } from "#model/limits.ts";
import type { UpstreamFailure } from "./completion.ts";

export const TRIES_MAX = 3;
const WAIT_MS_FIRST = 100;
const WAIT_MS_MAX = 5_000;
/** Time that a try needs to make sense. */
const TRY_MS_MIN = 50;

export type NextStep =
  | { readonly step: "again"; readonly atMs: number }
  | { readonly step: "end"; readonly failure: ConsultationFailure; readonly detail: string };

export type Tries = {
  /** So far, this one included. */
  readonly count: number;
  readonly deadlineMs: number;
};

export function afterFailure(
  failed: UpstreamFailure,
  tries: Tries,
  budget: Pick<RetryBudget, "take">,
  nowMs: number,
  random: () => number,
): NextStep {
  const { failure, detail } = failed;
  const end: NextStep = { step: "end", failure, detail };
  if (!failed.mayRetry || tries.count >= TRIES_MAX) return end;
  const asked = failed.retryAfterMs;
  if (asked !== undefined && asked > RETRY_AFTER_MS_MAX) return end;
  const doubledMs = Math.min(WAIT_MS_FIRST * 2 ** (tries.count - 1), WAIT_MS_MAX);
  // Who was told when to come back does not come all at once with the others.
  const waitMs = asked === undefined ? doubledMs * random() : asked * (1 + random() / 10);
  const atMs = nowMs + waitMs;
  if (atMs + TRY_MS_MIN > tries.deadlineMs) return end;
  return budget.take() ? { step: "again", atMs } : end;
}

/** A share of a try is saved with each call, up to `savedMax`. */
export class RetryBudget {
  readonly #share: number;
  readonly #savedMax: number;
  #saved: number;

  /** `saved`: at the start; all that there may be, if nothing is said. */
  constructor(options: { share?: number; savedMax?: number; saved?: number } = {}) {
    this.#share = options.share ?? 0.1;
    this.#savedMax = options.savedMax ?? 100;
    this.#saved = options.saved ?? this.#savedMax;
  }

  /** A call was sent for the first time. */
  save(): void {
    this.#saved = Math.min(this.#saved + this.#share, this.#savedMax);
  }

  /** `kept`: how much is to be left for others. */
  take(kept = 0): boolean {
    if (this.#saved - kept < 1) return false;
    this.#saved -= 1;
    return true;
  }
}
