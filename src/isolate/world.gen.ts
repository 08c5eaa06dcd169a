// Generated from wit/summarizer.wit by scripts/generate.ts; do not edit.
import type { AbiFunction, AbiType, AbiWorld } from "./abi-types.ts";

export type Clock = "wall" | "event";

export type Settings = {
  readonly clock: Clock;
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

const clock: AbiType = { kind: "enum", name: "Clock", cases: ["wall", "event"] };
const settings: AbiType = {
  kind: "record",
  name: "Settings",
  fields: [
    { name: "clock", type: clock },
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

export const CONFIGURE: AbiFunction = {
  name: "configure",
  coreName: "nexuscore:tenant/summarize@0.1.0#configure",
  parameters: [
    { name: "settings", type: settings },
  ],
  result: undefined,
};
export const INGEST: AbiFunction = {
  name: "ingest",
  coreName: "nexuscore:tenant/summarize@0.1.0#ingest",
  parameters: [
    { name: "batch", type: { kind: "list", element: { kind: "u8" } } },
  ],
  result: ingestReport,
};
export const ADVANCE: AbiFunction = {
  name: "advance",
  coreName: "nexuscore:tenant/summarize@0.1.0#advance",
  parameters: [
    { name: "nowMs", type: { kind: "f64" } },
  ],
  result: undefined,
};
export const TRENDING: AbiFunction = {
  name: "trending",
  coreName: "nexuscore:tenant/summarize@0.1.0#trending",
  parameters: [
    { name: "limit", type: { kind: "u32" } },
    { name: "order", type: order },
  ],
  result: trendingReport,
};

export const SUMMARIZER: AbiWorld = {
  name: "nexuscore:tenant/summarizer@0.1.0",
  exports: [CONFIGURE, INGEST, ADVANCE, TRENDING],
};
