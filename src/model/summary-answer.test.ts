import assert from "node:assert/strict";
import test from "node:test";
import {
  conversationAnswer,
  conversationsAnswer,
  summaryAnswer,
  visibleSummary,
} from "./summary-answer.ts";
import type { RollingText, SummaryReport } from "./summary.ts";

const TEXT: RollingText = {
  text: "ada: “down?”",
  lines: [{ kind: "question", user: "ada", eventId: undefined, tsMs: 5, text: "down?" }],
  openQuestions: [],
  decisions: [],
  revision: 3,
};

const REPORT: SummaryReport = {
  span: "hour",
  asOfMs: 100_000,
  windowStartMs: 40_000,
  windowEndMs: 100_000,
  watermarkMs: 99_000,
  eventCount: 3,
  weightSum: 3,
  userCount: 2,
  userCountError: 0,
  rates: [{ spanMs: 10_000, overMs: 10_000, perSecond: 4.04 }],
  late: { count: 1, lateByMsMax: 9, byLateness: [1, 0, 0, 0, 0], countedInLonger: 1, examples: [] },
  duplicateCount: 0,
  repeatedCount: 0,
  metrics: [
    {
      name: "__proto__",
      count: 2,
      sum: Infinity,
      mean: 1.5,
      stddev: 0.5,
      min: 1,
      max: 2,
      relativeError: 0.01,
      collapsedBelow: -Infinity,
      shortened: false,
      quantiles: [
        { q: 0.5, value: 1, low: -Infinity, high: 2, isMax: false },
        { q: 0.9, value: 2, low: 1, high: Infinity, isMax: true },
      ],
    },
    {
      name: "none",
      count: 0,
      sum: 0,
      mean: 0,
      stddev: 0,
      min: 0,
      max: 0,
      relativeError: 0.01,
      collapsedBelow: -Infinity,
      shortened: false,
      quantiles: [],
    },
  ],
  metricsRefused: 0,
  terms: [
    { term: "a", count: 2, countLow: 2, countHigh: 0xffff_ffff, exact: false },
    { term: "b", count: 1, countLow: 1, countHigh: 1, exact: true },
  ],
  text: TEXT,
};

test("what is not known is null or absent, and survives JSON", () => {
  const answer = summaryAnswer("acme", REPORT);
  const again = JSON.parse(JSON.stringify(answer)) as typeof answer;
  assert.deepEqual(again, answer, "nothing of it is lost in JSON");
  assert.deepEqual(Object.keys(answer.metrics), ["__proto__"]);
  const metric = Object.values(answer.metrics)[0];
  assert.ok(metric !== undefined && !("collapsedBelow" in metric));
  assert.equal(metric.sum, null);
  assert.deepEqual(metric.p50, { value: 1, low: null, high: 2, label: "p50" });
  assert.deepEqual(metric.p90, { value: 2, low: 1, high: null, label: "max" });
  assert.equal(metric.p999.label, "max", "a quantile that is not told is the maximum at most");
  assert.deepEqual(
    answer.topTerms.map(({ countHigh }) => countHigh),
    [null, 1],
  );
  assert.deepEqual(answer.text.lines[0], { kind: "question", user: "ada", tsMs: 5, text: "down?" });
  assert.deepEqual(answer.late.byLateness.at(-1), { upToMs: null, count: 0 });
});

test("a summary is the same to a reader as long as only the clock moved", () => {
  const visible = (change: Partial<SummaryReport>): string =>
    visibleSummary(summaryAnswer("acme", { ...REPORT, ...change }));
  const before = visible({});
  const later = { asOfMs: 1e6, windowStartMs: 1e5, windowEndMs: 1e6 };
  assert.equal(
    visible({ ...later, rates: [{ spanMs: 10_000, overMs: 10_000, perSecond: 4.01 }] }),
    before,
  );
  assert.notEqual(visible({ rates: [{ spanMs: 10_000, overMs: 10_000, perSecond: 3 }] }), before);
  const silent = [0.001, 0].map((perSecond) =>
    visible({ rates: [{ spanMs: 10_000, overMs: 10_000, perSecond }] }),
  );
  assert.equal(silent[0], silent[1]);
  assert.notEqual(visible({ eventCount: 4 }), before);
  assert.notEqual(visible({ text: { ...TEXT, revision: 4 } }), before);
});

test("a conversation is its item, who took part, and its text", () => {
  const item = {
    id: "c",
    eventCount: 1,
    userCount: 1,
    userCountError: 0,
    firstMs: 1,
    lastMs: 2,
    late: false,
  };
  const participants = [{ user: "ada", eventCount: 1 }];
  const answer = conversationAnswer("acme", { item, participants, text: TEXT });
  const [ada] = participants;
  assert.partialDeepStrictEqual(answer, { tenant: "acme", ...item });
  assert.deepEqual(answer.participants, [{ ...ada, exact: item.userCountError === 0 }]);
  for (const [userCountError, exact] of [
    [0, true],
    [0.04, false],
  ] as const) {
    const report = { item: { ...item, userCountError }, participants, text: TEXT };
    assert.equal(conversationAnswer("acme", report).participants[0]?.exact, exact);
  }
  assert.equal(answer.text.revision, 3);
});

test("people of a conversation are whole, and never more than its events", () => {
  const item = {
    id: "c",
    eventCount: 64,
    userCountError: 0.05,
    firstMs: 1,
    lastMs: 2,
    late: false,
  };
  const counts = [66.6, 41.96, 3.2].map((userCount) => {
    return conversationsAnswer("acme", [{ ...item, userCount }]).conversations[0]?.userCount;
  });
  assert.deepEqual(counts, [64, 42, 3]);
});

test("a sum shows no digits that only rounding made, and keeps its size", () => {
  const [metric] = REPORT.metrics;
  assert.ok(metric !== undefined);
  for (const [sum, shown] of [
    [145_828.000_000_000_03, 145_828],
    [0.1 + 0.2, 0.3],
    [-1e300, -1e300],
    [5e-324, 5e-324],
    [Infinity, null],
  ] as const) {
    const answer = summaryAnswer("acme", { ...REPORT, metrics: [{ ...metric, sum }] });
    assert.equal(answer.metrics[metric.name]?.sum, shown);
  }
});
