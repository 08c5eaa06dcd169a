/** A tenant's window as the API shows it: what `trending` answers and `live` sends. */
import type { ConsultationFailure } from "./consultation.ts";
import type { TrendingReport, TrendItem, TrendSentence } from "./trending.ts";

export type TrendingAnswer = {
  readonly tenant: string;
  readonly asOfMs: number;
  readonly window: { readonly startMs: number; readonly endMs: number };
  readonly eventCount: number;
  readonly userCount: number;
  readonly userCountError: number;
  readonly lateCount: number;
  readonly duplicateCount: number;
  readonly repeatedCount: number;
  readonly items: readonly TrendItem[];
  readonly tldr: {
    readonly text: string;
    readonly sentences: readonly { readonly text: string; readonly eventId?: string }[];
    readonly generatedBy: typeof EXTRACTIVE | (string & {});
    /** Whether another text was wanted of an upstream; then why there is none. */
    readonly degraded: boolean;
    readonly reason?: ConsultationFailure;
  };
};

/** Chosen from what was said, in the report's own words. */
export const EXTRACTIVE = "extractive";

/** The window in an upstream's words. */
export type Retold = { readonly sentences: readonly string[]; readonly model: string };

/** The same, or why there is none. */
export type Retelling = Retold | { readonly failure: ConsultationFailure };

/** `retelling`: of this report; undefined: none was wanted, or it is not there yet. */
export function trendingAnswer(
  tenant: string,
  report: TrendingReport,
  retelling?: Retelling,
): TrendingAnswer {
  return {
    tenant,
    asOfMs: report.asOfMs,
    window: { startMs: report.windowStartMs, endMs: report.windowEndMs },
    eventCount: report.eventCount,
    userCount: report.userCount,
    userCountError: report.userCountError,
    lateCount: report.lateCount,
    duplicateCount: report.duplicateCount,
    repeatedCount: report.repeatedCount,
    items: report.items,
    tldr: tldrAnswer(report, retelling),
  };
}

function tldrAnswer(
  { sentences }: TrendingReport,
  retelling: Retelling | undefined,
): TrendingAnswer["tldr"] {
  if (retelling !== undefined && "sentences" in retelling) {
    return {
      text: retelling.sentences.join(" "),
      sentences: retelling.sentences.map((text) => ({ text })),
      generatedBy: retelling.model,
      degraded: false,
    };
  }
  const extractive = {
    text: sentences.map((sentence) => sentence.text).join(" "),
    sentences: sentences.map(sentenceAnswer),
    generatedBy: EXTRACTIVE,
  };
  if (retelling === undefined) return { ...extractive, degraded: false };
  return { ...extractive, degraded: true, reason: retelling.failure };
}

function sentenceAnswer({ text, eventId }: TrendSentence): { text: string; eventId?: string } {
  return eventId === undefined ? { text } : { text, eventId };
}

/**
 * What a reader would call the state of a window: two of them that differ only in what the clock
 * does by itself, to the time and to the expected rates, are the same here.
 */
export function visibleTrending(answer: TrendingAnswer): string {
  const { asOfMs: _asOfMs, window: _window, items, ...rest } = answer;
  const shown = items.map(({ expected: _expected, significance, ...item }) => {
    return { ...item, significance: Math.round(significance) };
  });
  return JSON.stringify([rest, shown]);
}
