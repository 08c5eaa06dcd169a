/**
 * Summaries of many tenants as one: by merging their windows in the portable form, never by
 * averaging what was made of them. What a merger offers, and what it reports.
 */
import type { MetricSummary, Span, TermCount } from "./summary.ts";

/** What is wrong with a sketch; each is the code of a `Problem`. */
export type SketchFault = "sketchCorrupt" | "sketchVersion" | "sketchWindow";

/** One window of all that was merged. The order of merging does not show in it. */
export type MergeReport = {
  readonly span: Span;
  /** From the earliest start to the latest end of the windows merged. */
  readonly windowStartMs: number;
  readonly windowEndMs: number;
  readonly eventCount: number;
  readonly weightSum: number;
  readonly lateCount: number;
  readonly duplicateCount: number;
  readonly repeatedCount: number;
  readonly userCount: number;
  /** Relative standard error; 0: exact. */
  readonly userCountError: number;
  readonly metrics: readonly MetricSummary[];
  readonly metricsRefused: number;
  readonly terms: readonly TermCount[];
};

/** Merges one group of windows at a time. */
export interface SketchMerger {
  /** Begins a group; what was before is gone. */
  open(span: Span): void;
  /** Adds a window in the portable form; of one with a fault nothing is added. */
  add(sketch: Uint8Array): SketchFault | undefined;
  /** What was added since `open`, in the portable form. */
  sketch(): Uint8Array;
  /** `limit`: terms at most. */
  report(limit: number): MergeReport;
}

/** Of the tenants that a merge asked for: which it left out, and why. */
export type MergeOmission = {
  readonly tenant: string;
  readonly code: "windowOff" | "tenantQuarantined" | "guestFailed" | "memoryFull";
};

/** `tenants` and `omitted` list no more than ERRORS_LISTED_MAX tenants; `unknown` all. */
export type SummaryMerge = {
  readonly report: MergeReport;
  readonly tenantCount: number;
  readonly tenants: readonly string[];
  readonly unknown: readonly string[];
  readonly omittedCount: number;
  readonly omitted: readonly MergeOmission[];
  readonly sketchCount: number;
};

export type MergeRequest = {
  readonly span: Span;
  /** These tenants, */
  readonly tenants: readonly string[];
  /** or those whose id begins so; undefined: none but `tenants`. */
  readonly prefix: string | undefined;
  readonly sketches: readonly Uint8Array[];
  /** Terms at most. */
  readonly limit: number;
};
