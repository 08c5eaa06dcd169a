/** What moderation keeps: in the data folder, or until the process ends. */
import { type LlmDefaults, type LlmLimitsKeeper, MemoryLlmLimits } from "#api/llm-limits.ts";
import type { QuotaKeeper } from "#api/quotas.ts";
import type { Config } from "#config/options.ts";
import type { EngineDoor } from "#engine/door.ts";
import { StorageError } from "#engine/storage-error.ts";
import type { LlmSettings } from "#llm/settings.ts";
import type { FeedbackListener } from "#model/feedback.ts";
import {
  MemoryPolicyStore,
  MemoryVerdictHistory,
  type PolicyStore,
  type VerdictHistory,
} from "#model/policy-store.ts";
import { Problem } from "#model/problem.ts";
import type { PendingReview } from "#model/verdict.ts";
import type { Log } from "#observe/log.ts";
import { IN_MEMORY, isNewer, StoreError } from "#review/database.ts";
import { ReviewDesk } from "#review/desk.ts";
import type { WebhookTargets } from "#review/webhook-target.ts";
import { dataFilesOf } from "./data-files.ts";

/** What moderation keeps beside the tenants' components. */
export type ModerationParts = {
  readonly policies: PolicyStore;
  readonly history: VerdictHistory;
  readonly onFeedback: FeedbackListener;
  /** The queue; or, in words, why there is none. */
  readonly reviews?: ReviewDesk | string;
  readonly llm?: LlmLimits;
  readonly quotas?: QuotaKeeper;
};

/** Why there is no queue where nobody says otherwise. */
export const NO_QUEUE = "this process keeps none";

/** What tenants may take of language models. */
export type LlmLimits = { readonly defaults: LlmDefaults; readonly keeper: LlmLimitsKeeper };

/** Messages are judged without it, too: by policies that are kept until the process ends. */
export async function openReviews(
  engine: EngineDoor,
  config: Config,
  log: Log,
): Promise<ReviewDesk | string> {
  try {
    return await ReviewDesk.open({
      path: reviewPathOf(config),
      log,
      targets: config.webhookTargets as WebhookTargets,
      turns: async (tenant, conversation) => engine.turns(tenant, conversation),
    });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    const { message: reason } = error;
    // Policies, quotas and deletions that it has would not be in force: a step back is no fault of
    // the disk, and is not served through.
    if (isNewer(reviewPathOf(config))) throw new StorageError(reason);
    log.warn({ reason }, "no review queue, and policies are kept until the process ends only");
    return reason;
  }
}

export function reviewPathOf(config: Config): string {
  return dataFilesOf(config)?.reviews ?? IN_MEMORY;
}

export function moderationOn(
  reviews: ReviewDesk | string,
  engine: EngineDoor,
  llm: LlmSettings | undefined,
): ModerationParts {
  const inMemory = limitsInMemory(engine);
  const defaults =
    llm === undefined
      ? inMemory.defaults
      : { budget: llm.budget, runningMax: llm.tenantRunningMax };
  if (typeof reviews === "string") {
    return { ...moderationInMemory(), reviews, llm: { ...inMemory, defaults } };
  }
  const { policies, history, quotas, llmLimits: keeper } = reviews;
  if (engine.llm !== undefined) keeper.attach(engine.llm);
  const onFeedback: FeedbackListener = (feedback) => reviews.takeFeedback(feedback);
  return { policies, history, onFeedback, reviews, quotas, llm: { defaults, keeper } };
}

/** Kept until the process ends; there is no queue, and nobody who would read a label. */
export function moderationInMemory(): ModerationParts {
  return {
    policies: new MemoryPolicyStore(),
    history: new MemoryVerdictHistory(),
    onFeedback: () => undefined,
  };
}

/** Of an engine that has no upstream, or one of a test. */
export function limitsInMemory(engine: EngineDoor): LlmLimits {
  const unlimited = Number.POSITIVE_INFINITY;
  const budget = {
    callsPerMinute: unlimited,
    tokensPerMinute: unlimited,
    microsPerDay: unlimited,
  };
  return { defaults: { budget, runningMax: 1 }, keeper: new MemoryLlmLimits(engine) };
}

export function deskOf(reviews: ReviewDesk | string): ReviewDesk {
  if (typeof reviews !== "string") return reviews;
  throw new Problem("storeUnavailable", `There is no review queue: ${reviews}`, {
    retryAfterSeconds: 60,
  });
}

/**
 * What must not be stored comes without its text, and leaves no trace here either. Also after the
 * server closed: reviews of its last messages may end while the engine stops.
 */
export function keepVerdicts(
  engine: EngineDoor,
  { history, reviews = NO_QUEUE }: ModerationParts,
): void {
  engine.onVerdict((verdict, text, leavesTrace) => {
    if (text !== undefined) history.add(verdict);
    if (typeof reviews !== "string") reviews.takeVerdict(verdict, text, leavesTrace);
  });
}

/** The engine has them kept from its first message on; the store is opened after it. */
export class PendingReviews {
  /** Undefined: there is none, and they end with the process. */
  desk: ReviewDesk | undefined;

  async keep(reviews: readonly PendingReview[]): Promise<void> {
    await this.desk?.keepPending(reviews);
  }
}
