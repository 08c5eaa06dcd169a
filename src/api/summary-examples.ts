/** Examples of the reference. Held against their schemas by the tests. */
import type { MergeAnswer } from "#model/merge-answer.ts";
import type {
  ConversationAnswer,
  ConversationsAnswer,
  MetricAnswer,
  SummaryAnswer,
  TextAnswer,
} from "#model/summary-answer.ts";

const END_MS = 1_795_197_660_000;

const LATENCY: MetricAnswer = {
  count: 212,
  sum: 18_232.5,
  mean: 86.002_358_49,
  stddev: 41.77,
  min: 12.25,
  max: 410,
  relativeError: 0.01,
  shortened: false,
  n: 212,
  p50: { value: 78.1, low: 72.1, high: 83.4, label: "p50" },
  p90: { value: 131.2, low: 118.7, high: 160.1, label: "p90" },
  p99: { value: 292.6, low: 201.3, high: 410, label: "p99" },
  p999: { value: 410, low: 292.6, high: null, label: "max" },
};

const TEXT: TextAnswer = {
  text: "ada: “is the login page down for anyone else?” cyd: “broken since the deploy”",
  lines: [
    {
      kind: "question",
      user: "ada",
      eventId: "m1",
      tsMs: END_MS - 48_000,
      text: "is the login page down for anyone else?",
    },
    {
      kind: "said",
      user: "cyd",
      eventId: "m3",
      tsMs: END_MS - 31_000,
      text: "broken since the deploy",
    },
  ],
  openQuestions: [
    {
      kind: "question",
      user: "ada",
      eventId: "m1",
      tsMs: END_MS - 48_000,
      text: "is the login page down for anyone else?",
    },
  ],
  decisions: [],
  revision: 7,
  generatedBy: "extractive",
  degraded: false,
};

export const SUMMARY_EXAMPLE: SummaryAnswer = {
  tenant: "acme",
  asOfMs: END_MS,
  watermarkMs: END_MS - 880,
  window: { name: "60s", startMs: END_MS - 60_000, endMs: END_MS },
  eventCount: 214,
  weightSum: 214,
  userCount: 61,
  userCountError: 0,
  duplicateCount: 2,
  repeatedCount: 5,
  rates: [
    { spanMs: 10_000, overMs: 10_000, perSecond: 4.1 },
    { spanMs: 60_000, overMs: 60_000, perSecond: 3.5 },
    { spanMs: 300_000, overMs: 300_000, perSecond: 2.9 },
  ],
  metrics: { latencyMs: LATENCY },
  metricsRefused: 0,
  topTerms: [{ term: "login", count: 42, countLow: 42, countHigh: 42, exact: true }],
  text: TEXT,
  late: {
    count: 3,
    lateByMsMax: 184_000,
    byLateness: [
      { upToMs: 120_000, count: 2 },
      { upToMs: 600_000, count: 1 },
      { upToMs: 3_600_000, count: 0 },
      { upToMs: 86_400_000, count: 0 },
      { upToMs: null, count: 0 },
    ],
    countedInLonger: 3,
    examples: [{ eventId: "m7", tsMs: END_MS - 244_000, lateByMs: 184_000 }],
  },
};

const CONVERSATION = {
  id: "support/4711",
  eventCount: 31,
  userCount: 4,
  userCountError: 0,
  firstMs: END_MS - 1_320_000,
  lastMs: END_MS - 31_000,
  late: false,
};

export const CONVERSATION_LIST_EXAMPLE: ConversationsAnswer = {
  tenant: "acme",
  conversations: [CONVERSATION],
};

export const CONVERSATION_EXAMPLE: ConversationAnswer = {
  tenant: "acme",
  ...CONVERSATION,
  participants: [
    { user: "ada", eventCount: 14, exact: true },
    { user: "cyd", eventCount: 9, exact: true },
  ],
  text: TEXT,
};

/** Where a language model refines summaries. */
export const REFINED_EXAMPLE: ConversationAnswer = {
  ...CONVERSATION_EXAMPLE,
  refined: {
    text: "ada cannot log in; cyd says that it is broken since the deploy. Nobody knows why yet.",
    revision: 6,
    upToMs: END_MS - 44_000,
    generatedBy: "qwen3-8b",
    degraded: false,
  },
};

export const MERGE_EXAMPLE: MergeAnswer = {
  window: { name: "60s", startMs: END_MS - 60_000, endMs: END_MS },
  tenantCount: 2,
  tenants: ["acme.eu", "acme.us"],
  unknown: ["acme.mars"],
  omittedCount: 0,
  omitted: [],
  sketchCount: 0,
  eventCount: 431,
  weightSum: 431,
  userCount: 97,
  userCountError: 0,
  lateCount: 3,
  duplicateCount: 2,
  repeatedCount: 9,
  metrics: { latencyMs: LATENCY },
  metricsRefused: 0,
  topTerms: [{ term: "login", count: 55, countLow: 55, countHigh: 58, exact: false }],
};
