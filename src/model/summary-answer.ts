/**
 * A tenant's summary as the API shows it. Every number comes with its error or its interval, and
 * what no number can say is null or absent, never an invented one.
 */
import type { ConsultationFailure } from "./consultation.ts";
import {
  type ConversationItem,
  type ConversationReport,
  LATENESS_MS,
  type LateLedger,
  type MetricSummary,
  type Participant,
  type Quantile,
  type Rate,
  type RollingText,
  type Span,
  type SummaryReport,
  type TermCount,
  type TextLine,
} from "./summary.ts";
import { type Window, windowOf } from "./window.ts";

/** The names of the quantiles, by their `q`. */
export const QUANTILE_NAMES = { p50: 0.5, p90: 0.9, p99: 0.99, p999: 0.999 } as const;
export type QuantileName = keyof typeof QUANTILE_NAMES;

export type QuantileAnswer = {
  readonly value: number;
  /** The true quantile lies in [low, high] in 95 of 100 cases; null: the samples set no bound. */
  readonly low: number | null;
  readonly high: number | null;
  /** What `value` is: the quantile, or, of too few samples, their maximum. */
  readonly label: QuantileName | "max";
};

export type MetricAnswer = {
  readonly count: number;
  /** These three are null where they are beyond what a number holds. */
  readonly sum: number | null;
  readonly mean: number | null;
  readonly stddev: number | null;
  readonly min: number;
  readonly max: number;
  readonly relativeError: number;
  /** Quantiles at or below it are only known to be at most it. */
  readonly collapsedBelow?: number;
  /** The oldest samples had to leave the window early, for want of room. */
  readonly shortened: boolean;
  /** Samples that the quantiles stand on. */
  readonly n: number;
} & { readonly [name in QuantileName]: QuantileAnswer };

export type TermAnswer = Omit<TermCount, "countHigh"> & {
  /** null: the true count may be any from `countLow` on. */
  readonly countHigh: number | null;
};

export type LineAnswer = {
  readonly kind: TextLine["kind"];
  readonly user?: string;
  readonly eventId?: string;
  readonly tsMs: number;
  readonly text: string;
};

export type TextAnswer = {
  readonly text: string;
  readonly lines: readonly LineAnswer[];
  readonly openQuestions: readonly LineAnswer[];
  readonly decisions: readonly LineAnswer[];
  readonly revision: number;
  readonly generatedBy: "extractive";
  readonly degraded: boolean;
};

export type LateAnswer = {
  readonly count: number;
  readonly lateByMsMax: number;
  /** `upToMs` null: later than all before it. */
  readonly byLateness: readonly { readonly upToMs: number | null; readonly count: number }[];
  readonly countedInLonger: number;
  readonly examples: readonly {
    readonly eventId?: string;
    readonly tsMs: number;
    readonly lateByMs: number;
  }[];
};

export type WindowAnswer = {
  readonly name: Window;
  readonly startMs: number;
  readonly endMs: number;
};

export type SummaryAnswer = {
  readonly tenant: string;
  readonly asOfMs: number;
  readonly watermarkMs: number;
  readonly window: WindowAnswer;
  readonly eventCount: number;
  readonly weightSum: number;
  readonly userCount: number;
  readonly userCountError: number;
  readonly duplicateCount: number;
  readonly repeatedCount: number;
  readonly rates: readonly Rate[];
  readonly metrics: Readonly<Record<string, MetricAnswer>>;
  readonly metricsRefused: number;
  readonly topTerms: readonly TermAnswer[];
  readonly text: TextAnswer;
  readonly late: LateAnswer;
};

export type ConversationsAnswer = {
  readonly tenant: string;
  readonly conversations: readonly ConversationItem[];
};

/** Not `exact`: somebody was forgotten for another one, and `eventCount` is a lower bound. */
export type ParticipantAnswer = Participant & { readonly exact: boolean };

/** The conversation in an upstream's words, as far as it was when they were written. */
export type RefinedText = {
  readonly text: string;
  /** Of the text it was written from, and the newest event it knows of. */
  readonly revision: number;
  readonly upToMs: number;
  readonly generatedBy: string;
};

/** Without `text`: there is none yet. Degraded: the last try to write one failed. */
export type RefinedAnswer = Partial<RefinedText> & {
  readonly degraded: boolean;
  readonly reason?: ConsultationFailure;
};

export type ConversationAnswer = { readonly tenant: string } & ConversationItem & {
    readonly participants: readonly ParticipantAnswer[];
    readonly text: TextAnswer;
    /** Beside the text, never in place of it; left out where no upstream is asked. */
    readonly refined?: RefinedAnswer;
  };

export function summaryAnswer(tenant: string, report: SummaryReport): SummaryAnswer {
  return {
    tenant,
    asOfMs: report.asOfMs,
    watermarkMs: report.watermarkMs,
    window: windowAnswer(report),
    eventCount: report.eventCount,
    weightSum: report.weightSum,
    userCount: report.userCount,
    userCountError: report.userCountError,
    duplicateCount: report.duplicateCount,
    repeatedCount: report.repeatedCount,
    rates: report.rates,
    metrics: metricsAnswer(report.metrics),
    metricsRefused: report.metricsRefused,
    topTerms: report.terms.map(termAnswer),
    text: textAnswer(report.text),
    late: lateAnswer(report.late),
  };
}

export function conversationAnswer(
  tenant: string,
  report: ConversationReport,
  refined?: RefinedAnswer,
): ConversationAnswer {
  const { item, text } = report;
  // All of its people are known by name for as long as their number is no estimate.
  const exact = item.userCountError === 0;
  const participants = report.participants.map((participant) => ({ ...participant, exact }));
  const own = { tenant, ...conversationItemAnswer(item), participants, text: textAnswer(text) };
  return refined === undefined ? own : { ...own, refined };
}

export function conversationsAnswer(
  tenant: string,
  items: readonly ConversationItem[],
): ConversationsAnswer {
  return { tenant, conversations: items.map(conversationItemAnswer) };
}

/** People are whole, and never more than events, however rough the estimate. */
function conversationItemAnswer(item: ConversationItem): ConversationItem {
  return { ...item, userCount: Math.min(Math.round(item.userCount), item.eventCount) };
}

export function windowAnswer(report: {
  readonly span: Span;
  readonly windowStartMs: number;
  readonly windowEndMs: number;
}): WindowAnswer {
  const { span, windowStartMs: startMs, windowEndMs: endMs } = report;
  return { name: windowOf(span), startMs, endMs };
}

/** By name; those without a sample in the window are not there. */
export function metricsAnswer(metrics: readonly MetricSummary[]): Record<string, MetricAnswer> {
  const sampled = metrics.filter(({ count }) => count > 0);
  // A metric may be called `__proto__`: entries define, where assignment would not.
  return Object.fromEntries(sampled.map((metric) => [metric.name, metricAnswer(metric)]));
}

function metricAnswer(metric: MetricSummary): MetricAnswer {
  const { count, min, max, relativeError, collapsedBelow, shortened } = metric;
  const quantile = (name: QuantileName): QuantileAnswer => {
    const found = metric.quantiles.find(({ q }) => q === QUANTILE_NAMES[name]);
    return found === undefined
      ? { value: max, low: null, high: null, label: "max" }
      : quantileAnswer(name, found);
  };
  const moments = {
    count,
    sum: sumOf(metric.sum),
    mean: finiteOrNull(metric.mean),
    stddev: finiteOrNull(metric.stddev),
    min,
    max,
    relativeError,
    n: count,
  };
  const collapsed = Number.isFinite(collapsedBelow) ? { collapsedBelow } : {};
  const [p50, p90, p99, p999] = [
    quantile("p50"),
    quantile("p90"),
    quantile("p99"),
    quantile("p999"),
  ];
  return { ...moments, ...collapsed, shortened, p50, p90, p99, p999 };
}

const SUM_DIGITS = 14;

/** A sum is a mean times a count: its last digits are of their rounding, and a reader's riddle. */
function sumOf(sum: number): number | null {
  return finiteOrNull(Number(sum.toPrecision(SUM_DIGITS)));
}

function quantileAnswer(name: QuantileName, { value, low, high, isMax }: Quantile): QuantileAnswer {
  const label = isMax ? "max" : name;
  return { value, low: finiteOrNull(low), high: finiteOrNull(high), label };
}

/** A tenant's component has 32 bits for the bound, and says by the greatest that there is none. */
const COUNT_UNBOUND = 0xffff_ffff;

export function termAnswer(term: TermCount): TermAnswer {
  const bound = term.countHigh === COUNT_UNBOUND ? Infinity : term.countHigh;
  return { ...term, countHigh: finiteOrNull(bound) };
}

function finiteOrNull(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function textAnswer({ text, lines, openQuestions, decisions, revision }: RollingText): TextAnswer {
  return {
    text,
    lines: lines.map(lineAnswer),
    openQuestions: openQuestions.map(lineAnswer),
    decisions: decisions.map(lineAnswer),
    revision,
    generatedBy: "extractive",
    degraded: false,
  };
}

function lineAnswer({ kind, user, eventId, tsMs, text }: TextLine): LineAnswer {
  const who = user === undefined ? {} : { user };
  const which = eventId === undefined ? {} : { eventId };
  return { kind, ...who, ...which, tsMs, text };
}

function lateAnswer(late: LateLedger): LateAnswer {
  const { count, lateByMsMax, byLateness, countedInLonger, examples } = late;
  return {
    count,
    lateByMsMax,
    byLateness: byLateness.map((events, i) => ({ upToMs: LATENESS_MS[i] ?? null, count: events })),
    countedInLonger,
    examples: examples.map(({ eventId, tsMs, lateByMs }) => ({
      ...(eventId === undefined ? {} : { eventId }),
      tsMs,
      lateByMs,
    })),
  };
}

/**
 * What a reader would call the state of a summary: two of them that differ only in what the clock
 * does by itself are the same here.
 */
export function visibleSummary(answer: SummaryAnswer): string {
  const { asOfMs: _asOfMs, window: _window, rates, ...rest } = answer;
  return JSON.stringify([rest, rates.map(({ perSecond }) => visibleRate(perSecond))]);
}

/** Rates fall by themselves: a fifth is news, and below one in a minute nothing is. */
function visibleRate(perSecond: number): number {
  return perSecond < 1 / 60 ? 0 : Math.round(4 * Math.log2(perSecond)) + 1_000;
}
