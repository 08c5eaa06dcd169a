// Generated from wit/summarizer.wit by scripts/generate.ts; do not edit.
import type { AbiFunction, AbiType, AbiWorld } from "./abi-types.ts";

export type Clock = "wall" | "event";

export type Settings = {
  readonly clock: Clock;
  readonly spans: number;
};

export type IngestReport = {
  readonly counted: number;
  readonly late: number;
  readonly duplicate: number;
  readonly repeated: number;
  readonly fates: Uint8Array;
};

export type Order = "trend" | "count";

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

export type Sentence = {
  readonly text: string;
  readonly eventId: string | undefined;
};

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
  readonly items: ReadonlyArray<TrendItem>;
  readonly sentences: ReadonlyArray<Sentence>;
};

export type Span = "minute" | "tenMinutes" | "hour" | "day" | "all";

export type Rate = {
  readonly spanMs: number;
  readonly overMs: number;
  readonly perSecond: number;
};

export type LateExample = {
  readonly eventId: string | undefined;
  readonly tsMs: number;
  readonly lateByMs: number;
};

export type LateLedger = {
  readonly count: number;
  readonly lateByMsMax: number;
  readonly byLateness: ReadonlyArray<number>;
  readonly countedInLonger: number;
  readonly examples: ReadonlyArray<LateExample>;
};

export type Quantile = {
  readonly q: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
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
  readonly relativeError: number;
  readonly collapsedBelow: number;
  readonly shortened: boolean;
  readonly quantiles: ReadonlyArray<Quantile>;
};

export type TermCount = {
  readonly term: string;
  readonly count: number;
  readonly countLow: number;
  readonly countHigh: number;
  readonly exact: boolean;
};

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
  readonly lines: ReadonlyArray<TextLine>;
  readonly openQuestions: ReadonlyArray<TextLine>;
  readonly decisions: ReadonlyArray<TextLine>;
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
  readonly rates: ReadonlyArray<Rate>;
  readonly late: LateLedger;
  readonly duplicateCount: number;
  readonly repeatedCount: number;
  readonly metrics: ReadonlyArray<MetricSummary>;
  readonly metricsRefused: number;
  readonly terms: ReadonlyArray<TermCount>;
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

export type Participant = {
  readonly user: string;
  readonly eventCount: number;
};

export type ConversationReport = {
  readonly item: ConversationItem;
  readonly participants: ReadonlyArray<Participant>;
  readonly text: RollingText;
};

const clock: AbiType = { kind: "enum", name: "Clock", cases: ["wall", "event"] };
const settings: AbiType = {
  kind: "record",
  name: "Settings",
  fields: [
    { name: "clock", type: clock },
    { name: "spans", type: { kind: "u32" } },
  ],
};
const ingestReport: AbiType = {
  kind: "record",
  name: "IngestReport",
  fields: [
    { name: "counted", type: { kind: "u32" } },
    { name: "late", type: { kind: "u32" } },
    { name: "duplicate", type: { kind: "u32" } },
    { name: "repeated", type: { kind: "u32" } },
    { name: "fates", type: { kind: "list", element: { kind: "u8" } } },
  ],
};
const order: AbiType = { kind: "enum", name: "Order", cases: ["trend", "count"] };
const trendItem: AbiType = {
  kind: "record",
  name: "TrendItem",
  fields: [
    { name: "term", type: { kind: "string" } },
    { name: "count", type: { kind: "u32" } },
    { name: "countLow", type: { kind: "u32" } },
    { name: "countHigh", type: { kind: "u32" } },
    { name: "exact", type: { kind: "bool" } },
    { name: "trending", type: { kind: "bool" } },
    { name: "expected", type: { kind: "f64" } },
    { name: "significance", type: { kind: "f64" } },
    { name: "userCount", type: { kind: "u32" } },
    { name: "userCountError", type: { kind: "f64" } },
    { name: "firstSeenMs", type: { kind: "f64" } },
    { name: "sample", type: { kind: "string" } },
  ],
};
const sentence: AbiType = {
  kind: "record",
  name: "Sentence",
  fields: [
    { name: "text", type: { kind: "string" } },
    { name: "eventId", type: { kind: "option", value: { kind: "string" } } },
  ],
};
const trendingReport: AbiType = {
  kind: "record",
  name: "TrendingReport",
  fields: [
    { name: "asOfMs", type: { kind: "f64" } },
    { name: "windowStartMs", type: { kind: "f64" } },
    { name: "windowEndMs", type: { kind: "f64" } },
    { name: "eventCount", type: { kind: "u32" } },
    { name: "userCount", type: { kind: "u32" } },
    { name: "userCountError", type: { kind: "f64" } },
    { name: "lateCount", type: { kind: "u32" } },
    { name: "duplicateCount", type: { kind: "u32" } },
    { name: "repeatedCount", type: { kind: "u32" } },
    { name: "items", type: { kind: "list", element: trendItem } },
    { name: "sentences", type: { kind: "list", element: sentence } },
  ],
};
const span: AbiType = { kind: "enum", name: "Span", cases: ["minute", "tenMinutes", "hour", "day", "all"] };
const rate: AbiType = {
  kind: "record",
  name: "Rate",
  fields: [
    { name: "spanMs", type: { kind: "f64" } },
    { name: "overMs", type: { kind: "f64" } },
    { name: "perSecond", type: { kind: "f64" } },
  ],
};
const lateExample: AbiType = {
  kind: "record",
  name: "LateExample",
  fields: [
    { name: "eventId", type: { kind: "option", value: { kind: "string" } } },
    { name: "tsMs", type: { kind: "f64" } },
    { name: "lateByMs", type: { kind: "f64" } },
  ],
};
const lateLedger: AbiType = {
  kind: "record",
  name: "LateLedger",
  fields: [
    { name: "count", type: { kind: "f64" } },
    { name: "lateByMsMax", type: { kind: "f64" } },
    { name: "byLateness", type: { kind: "list", element: { kind: "f64" } } },
    { name: "countedInLonger", type: { kind: "f64" } },
    { name: "examples", type: { kind: "list", element: lateExample } },
  ],
};
const quantile: AbiType = {
  kind: "record",
  name: "Quantile",
  fields: [
    { name: "q", type: { kind: "f64" } },
    { name: "value", type: { kind: "f64" } },
    { name: "low", type: { kind: "f64" } },
    { name: "high", type: { kind: "f64" } },
    { name: "isMax", type: { kind: "bool" } },
  ],
};
const metricSummary: AbiType = {
  kind: "record",
  name: "MetricSummary",
  fields: [
    { name: "name", type: { kind: "string" } },
    { name: "count", type: { kind: "f64" } },
    { name: "sum", type: { kind: "f64" } },
    { name: "mean", type: { kind: "f64" } },
    { name: "stddev", type: { kind: "f64" } },
    { name: "min", type: { kind: "f64" } },
    { name: "max", type: { kind: "f64" } },
    { name: "relativeError", type: { kind: "f64" } },
    { name: "collapsedBelow", type: { kind: "f64" } },
    { name: "shortened", type: { kind: "bool" } },
    { name: "quantiles", type: { kind: "list", element: quantile } },
  ],
};
const termCount: AbiType = {
  kind: "record",
  name: "TermCount",
  fields: [
    { name: "term", type: { kind: "string" } },
    { name: "count", type: { kind: "u32" } },
    { name: "countLow", type: { kind: "u32" } },
    { name: "countHigh", type: { kind: "u32" } },
    { name: "exact", type: { kind: "bool" } },
  ],
};
const lineKind: AbiType = { kind: "enum", name: "LineKind", cases: ["said", "question", "decision"] };
const textLine: AbiType = {
  kind: "record",
  name: "TextLine",
  fields: [
    { name: "kind", type: lineKind },
    { name: "user", type: { kind: "option", value: { kind: "string" } } },
    { name: "eventId", type: { kind: "option", value: { kind: "string" } } },
    { name: "tsMs", type: { kind: "f64" } },
    { name: "text", type: { kind: "string" } },
  ],
};
const rollingText: AbiType = {
  kind: "record",
  name: "RollingText",
  fields: [
    { name: "text", type: { kind: "string" } },
    { name: "lines", type: { kind: "list", element: textLine } },
    { name: "openQuestions", type: { kind: "list", element: textLine } },
    { name: "decisions", type: { kind: "list", element: textLine } },
    { name: "revision", type: { kind: "f64" } },
  ],
};
const summaryReport: AbiType = {
  kind: "record",
  name: "SummaryReport",
  fields: [
    { name: "span", type: span },
    { name: "asOfMs", type: { kind: "f64" } },
    { name: "windowStartMs", type: { kind: "f64" } },
    { name: "windowEndMs", type: { kind: "f64" } },
    { name: "watermarkMs", type: { kind: "f64" } },
    { name: "eventCount", type: { kind: "f64" } },
    { name: "weightSum", type: { kind: "f64" } },
    { name: "userCount", type: { kind: "f64" } },
    { name: "userCountError", type: { kind: "f64" } },
    { name: "rates", type: { kind: "list", element: rate } },
    { name: "late", type: lateLedger },
    { name: "duplicateCount", type: { kind: "f64" } },
    { name: "repeatedCount", type: { kind: "f64" } },
    { name: "metrics", type: { kind: "list", element: metricSummary } },
    { name: "metricsRefused", type: { kind: "f64" } },
    { name: "terms", type: { kind: "list", element: termCount } },
    { name: "text", type: rollingText },
  ],
};
const conversationItem: AbiType = {
  kind: "record",
  name: "ConversationItem",
  fields: [
    { name: "id", type: { kind: "string" } },
    { name: "eventCount", type: { kind: "f64" } },
    { name: "userCount", type: { kind: "f64" } },
    { name: "userCountError", type: { kind: "f64" } },
    { name: "firstMs", type: { kind: "f64" } },
    { name: "lastMs", type: { kind: "f64" } },
    { name: "late", type: { kind: "bool" } },
  ],
};
const participant: AbiType = {
  kind: "record",
  name: "Participant",
  fields: [
    { name: "user", type: { kind: "string" } },
    { name: "eventCount", type: { kind: "f64" } },
  ],
};
const conversationReport: AbiType = {
  kind: "record",
  name: "ConversationReport",
  fields: [
    { name: "item", type: conversationItem },
    { name: "participants", type: { kind: "list", element: participant } },
    { name: "text", type: rollingText },
  ],
};

export const CONFIGURE: AbiFunction = {
  name: "configure",
  coreName: "nexuscore:tenant/summarize@0.1.0#configure",
  isAsync: false,
  parameters: [
    { name: "settings", type: settings },
  ],
  result: undefined,
};
export const INGEST: AbiFunction = {
  name: "ingest",
  coreName: "nexuscore:tenant/summarize@0.1.0#ingest",
  isAsync: false,
  parameters: [
    { name: "batch", type: { kind: "list", element: { kind: "u8" } } },
  ],
  result: ingestReport,
};
export const ADVANCE: AbiFunction = {
  name: "advance",
  coreName: "nexuscore:tenant/summarize@0.1.0#advance",
  isAsync: false,
  parameters: [
    { name: "nowMs", type: { kind: "f64" } },
  ],
  result: undefined,
};
export const TRENDING: AbiFunction = {
  name: "trending",
  coreName: "nexuscore:tenant/summarize@0.1.0#trending",
  isAsync: false,
  parameters: [
    { name: "limit", type: { kind: "u32" } },
    { name: "order", type: order },
  ],
  result: trendingReport,
};
export const SUMMARY: AbiFunction = {
  name: "summary",
  coreName: "nexuscore:tenant/summarize@0.1.0#summary",
  isAsync: false,
  parameters: [
    { name: "span", type: span },
    { name: "limit", type: { kind: "u32" } },
  ],
  result: summaryReport,
};
export const CONVERSATIONS: AbiFunction = {
  name: "conversations",
  coreName: "nexuscore:tenant/summarize@0.1.0#conversations",
  isAsync: false,
  parameters: [
    { name: "limit", type: { kind: "u32" } },
  ],
  result: { kind: "list", element: conversationItem },
};
export const CONVERSATION: AbiFunction = {
  name: "conversation",
  coreName: "nexuscore:tenant/summarize@0.1.0#conversation",
  isAsync: false,
  parameters: [
    { name: "id", type: { kind: "string" } },
  ],
  result: { kind: "option", value: conversationReport },
};
export const SKETCH: AbiFunction = {
  name: "sketch",
  coreName: "nexuscore:tenant/summarize@0.1.0#sketch",
  isAsync: false,
  parameters: [
    { name: "span", type: span },
  ],
  result: { kind: "list", element: { kind: "u8" } },
};
export const EXPORT_STATE: AbiFunction = {
  name: "exportState",
  coreName: "nexuscore:tenant/portable@0.1.0#export-state",
  isAsync: false,
  parameters: [
    { name: "part", type: { kind: "u32" } },
  ],
  result: { kind: "option", value: { kind: "list", element: { kind: "u8" } } },
};
export const IMPORT_STATE: AbiFunction = {
  name: "importState",
  coreName: "nexuscore:tenant/portable@0.1.0#import-state",
  isAsync: false,
  parameters: [
    { name: "part", type: { kind: "list", element: { kind: "u8" } } },
  ],
  result: { kind: "result", ok: undefined, error: { kind: "string" } },
};

export const SUMMARIZER: AbiWorld = {
  name: "nexuscore:tenant/summarizer@0.1.0",
  imports: [],
  exports: [CONFIGURE, INGEST, ADVANCE, TRENDING, SUMMARY, CONVERSATIONS, CONVERSATION, SKETCH, EXPORT_STATE, IMPORT_STATE],
};
