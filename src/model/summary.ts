/** What a tenant's component reports of a window: the shapes of wit/summarizer.wit. */
export const SPANS = ["minute", "tenMinutes", "hour", "day", "all"] as const;
export type Span = (typeof SPANS)[number];

/** One quantile of a metric; the true one lies in [low, high] in 95 of 100 cases. */
export type Quantile = {
  readonly q: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** There are too few samples to say more than the maximum, which `value` then is. */
  readonly isMax: boolean;
};

export type MetricSummary = {
  readonly name: string;
  readonly count: number;
  readonly sum: number;
  readonly mean: number;
  readonly stddev: number;
  readonly min: number;
  readonly max: number;
  /** Of every quantile above `collapsedBelow`. */
  readonly relativeError: number;
  /** Quantiles at or below it are only known to be at most it; -Infinity: there are none. */
  readonly collapsedBelow: number;
  /** The oldest samples had to leave the window early, for want of room. */
  readonly shortened: boolean;
  /** Of 0.5, 0.9, 0.99 and 0.999. */
  readonly quantiles: readonly Quantile[];
};

/**
 * Events a second, exponentially weighted with the time constant `spanMs`; over `overMs`, which is
 * the age of the stream while that is less, and 0 if nothing came yet.
 */
export type Rate = {
  readonly spanMs: number;
  readonly overMs: number;
  readonly perSecond: number;
};

/** The true count lies in [countLow, countHigh], always. */
export type TermCount = {
  readonly term: string;
  readonly count: number;
  readonly countLow: number;
  readonly countHigh: number;
  readonly exact: boolean;
};

export type LateExample = {
  readonly eventId: string | undefined;
  readonly tsMs: number;
  readonly lateByMs: number;
};

export type LateLedger = {
  readonly count: number;
  readonly lateByMsMax: number;
  /** By how late they were: up to the `LATENESS_MS` of the same place; the last one: more. */
  readonly byLateness: readonly number[];
  readonly countedInLonger: number;
  readonly examples: readonly LateExample[];
};

/** Upper bounds of the classes of `byLateness`, but for the last, which has none. */
export const LATENESS_MS: readonly number[] = [120_000, 600_000, 3_600_000, 86_400_000];

export type LineKind = "said" | "question" | "decision";

export type TextLine = {
  readonly kind: LineKind;
  readonly user: string | undefined;
  readonly eventId: string | undefined;
  readonly tsMs: number;
  readonly text: string;
};

export type RollingText = {
  readonly text: string;
  readonly lines: readonly TextLine[];
  readonly openQuestions: readonly TextLine[];
  readonly decisions: readonly TextLine[];
  /** Rises with every change of the text. */
  readonly revision: number;
};

export type SummaryReport = {
  readonly span: Span;
  readonly asOfMs: number;
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  readonly watermarkMs: number;
  readonly eventCount: number;
  readonly weightSum: number;
  readonly userCount: number;
  readonly userCountError: number;
  readonly rates: readonly Rate[];
  readonly late: LateLedger;
  readonly duplicateCount: number;
  readonly repeatedCount: number;
  readonly metrics: readonly MetricSummary[];
  readonly metricsRefused: number;
  readonly terms: readonly TermCount[];
  readonly text: RollingText;
};

export type ConversationItem = {
  readonly id: string;
  readonly eventCount: number;
  readonly userCount: number;
  readonly userCountError: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly late: boolean;
};

export type Participant = { readonly user: string; readonly eventCount: number };

export type ConversationReport = {
  readonly item: ConversationItem;
  readonly participants: readonly Participant[];
  readonly text: RollingText;
};
