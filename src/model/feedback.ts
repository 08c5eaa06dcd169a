/** What a caller says that a text should have scored: a label for the tenant's moderators. */
import type { Category } from "./moderation.ts";

export type Feedback = {
  readonly tenant: string;
  readonly text: string;
  readonly language: string | undefined;
  readonly scores: Partial<Readonly<Record<Category, number>>>;
  readonly clientToken: string | undefined;
  readonly sessionId: string | undefined;
  readonly atMs: number;
};

/** It is quick and never throws. */
export type FeedbackListener = (feedback: Feedback) => void;
