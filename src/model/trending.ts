/** What a tenant's component reports of its window: the shapes of wit/summarizer.wit. */
export type TrendItem = {
  readonly term: string;
  readonly count: number;
  readonly countLow: number;
  readonly countHigh: number;
  readonly exact: boolean;
  readonly trending: boolean;
  readonly expected: number;
  readonly significance: number;
  readonly userCount: number;
  readonly userCountError: number;
  readonly firstSeenMs: number;
  readonly sample: string;
};

export type TrendSentence = { readonly text: string; readonly eventId: string | undefined };

export type TrendingReport = {
  readonly asOfMs: number;
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  readonly eventCount: number;
  readonly userCount: number;
  readonly userCountError: number;
  readonly lateCount: number;
  readonly duplicateCount: number;
  readonly repeatedCount: number;
  readonly items: readonly TrendItem[];
  readonly sentences: readonly TrendSentence[];
};

export type TrendOrder = "trend" | "count";
