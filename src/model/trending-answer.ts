/** A tenant's window as the API shows it: what `trending` answers and `live` sends. */
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
    readonly generatedBy: "extractive";
    readonly degraded: boolean;
  };
};

export function trendingAnswer(tenant: string, report: TrendingReport): TrendingAnswer {
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
    tldr: {
      text: report.sentences.map((sentence) => sentence.text).join(" "),
      sentences: report.sentences.map(sentenceAnswer),
      generatedBy: "extractive",
      degraded: false,
    },
  };
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
