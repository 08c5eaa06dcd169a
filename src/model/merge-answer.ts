/** A merge as the API shows it. */
import type { MergeOmission, SummaryMerge } from "./merge.ts";
import {
  type MetricAnswer,
  metricsAnswer,
  termAnswer,
  type TermAnswer,
  windowAnswer,
} from "./summary-answer.ts";
import { type Window, windowOf } from "./window.ts";

export type MergeAnswer = {
  /** Start and end are null if nothing was merged. */
  readonly window: {
    readonly name: Window;
    readonly startMs: number | null;
    readonly endMs: number | null;
  };
  readonly tenantCount: number;
  readonly tenants: readonly string[];
  readonly unknown: readonly string[];
  readonly omittedCount: number;
  readonly omitted: readonly MergeOmission[];
  readonly sketchCount: number;
  readonly eventCount: number;
  readonly weightSum: number;
  readonly userCount: number;
  readonly userCountError: number;
  readonly lateCount: number;
  readonly duplicateCount: number;
  readonly repeatedCount: number;
  readonly metrics: Readonly<Record<string, MetricAnswer>>;
  readonly metricsRefused: number;
  readonly topTerms: readonly TermAnswer[];
};

export function mergeAnswer({ report, ...merge }: SummaryMerge): MergeAnswer {
  const isEmpty = merge.tenantCount + merge.sketchCount === 0;
  return {
    window: isEmpty
      ? { name: windowOf(report.span), startMs: null, endMs: null }
      : windowAnswer(report),
    tenantCount: merge.tenantCount,
    tenants: merge.tenants,
    unknown: merge.unknown,
    omittedCount: merge.omittedCount,
    omitted: merge.omitted,
    sketchCount: merge.sketchCount,
    eventCount: report.eventCount,
    weightSum: report.weightSum,
    userCount: report.userCount,
    userCountError: report.userCountError,
    lateCount: report.lateCount,
    duplicateCount: report.duplicateCount,
    repeatedCount: report.repeatedCount,
    metrics: metricsAnswer(report.metrics),
    metricsRefused: report.metricsRefused,
    topTerms: report.terms.map(termAnswer),
  };
}
