import { CONVERSATION_EXAMPLE, REFINED_EXAMPLE, SUMMARY_EXAMPLE } from "#api/summary-examples.ts";
import { DEGRADED_EXAMPLE, EXAMPLE, RETOLD_EXAMPLE } from "#api/trending.ts";
import { CONSULTATION_FAILURES } from "#model/consultation.ts";
import type { MetricAnswer, SummaryAnswer } from "#model/summary-answer.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { TrendingAnswer } from "#model/trending-answer.ts";
import { renderCard } from "./card.ts";
import { renderConversation } from "./conversation.ts";
import { renderSummary } from "./summary.ts";
import { COLUMNS, widthOf } from "./terminal.ts";

test("summary: as text, with the intervals and what too few samples leave open", () => {
  const text = renderSummary(SUMMARY_EXAMPLE);
  assert.match(text, /^acme · last 60 s, to 2026-11-20 18:01:00 ─+ 214 events, 61 people\n/);
  assert.match(text, /4\.1\/s over 10 s, 3\.5\/s over 60 s, 2\.9\/s over 5 min/);
  assert.match(text, /latencyMs: 212 samples, mean 86 \(deviation 41\.77\), 12\.25 to 410/);
  assert.match(text, /p99 292\.6 \(201\.3–410\),\s+p99\.9 max 410/);
  assert.match(text, /terms: login 42\n/);
  assert.match(text, /open questions\n {4}2026-11-20 18:00:12 ada: “is the login/);
  assert.match(text, /late: 3 events since the start, by up to 3\.067 min/);
});

test("summary: no line is too long, and no text of others reaches the terminal raw", () => {
  const latencyMs = SUMMARY_EXAMPLE.metrics["latencyMs"] as MetricAnswer;
  const long = "long ".repeat(60) + "x".repeat(200);
  const answer: SummaryAnswer = {
    ...SUMMARY_EXAMPLE,
    window: { ...SUMMARY_EXAMPLE.window, name: "all" },
    userCountError: 0.0123,
    metrics: {
      [`m${"e".repeat(63)}`]: {
        ...latencyMs,
        mean: 1.234_567_89e-7,
        max: 9.876e300,
        p50: { value: -123_456.789, low: null, high: 123_456_789, label: "p50" },
        p90: { value: 0.000_123_4, low: 1.1e-9, high: 9.876e300, label: "p90" },
      },
    },
    topTerms: [{ term: `\u001B[31m${long}`, count: 5, countLow: 5, countHigh: 9, exact: false }],
    text: {
      ...SUMMARY_EXAMPLE.text,
      lines: [{ kind: "said", user: "eve", tsMs: 0, text: `${long}\u001B]0;title\u0007` }],
    },
  };
  const text = renderSummary(answer);
  for (const line of text.split("\n")) assert.ok(widthOf(line) <= COLUMNS, line);
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(text.replaceAll("\n", ""), /[\u0000-\u001F]/);
  assert.match(text, /~61 ±1\.23 % people/);
  assert.match(text, /5–9/);
});

test("summary: nothing is said twice, and no count that may as well be any other", () => {
  const answer: SummaryAnswer = {
    ...SUMMARY_EXAMPLE,
    topTerms: [
      { term: "known", count: 60, countLow: 60, countHigh: 341, exact: false },
      { term: "guess", count: 2, countLow: 2, countHigh: 512, exact: false },
      { term: "open", count: 9, countLow: 9, countHigh: null, exact: false },
      { term: "once", count: 1, countLow: 1, countHigh: 1, exact: true },
    ],
  };
  const text = renderSummary(answer).replaceAll(/\s+/g, " ");
  assert.match(text, /terms: known 60–341, once 1 open questions/);
  assert.equal(text.split("is the login page down for anyone else?").length, 2, text);
  assert.match(text, /cyd: “broken since the deploy”/);
});

test("conversation: what was said, and what a language model made of it", () => {
  const text = renderConversation(REFINED_EXAMPLE);
  assert.match(text, /^acme · support\/4711 ─+ 31 events, 4 people\n/);
  assert.match(text, /\n {2}cyd: “broken since the deploy”\n/);
  assert.match(text, /\n {2}in short, up to 2026-11-20 18:00:16\n {4}ada cannot log in; cyd says/);
  assert.match(text, /\n {4}\(told by qwen3-8b\)\n/);
  assert.match(text, /open questions\n {4}2026-11-20 18:00:12 ada: “is the login/);
  assert.match(text, /people: ada 14, cyd 9\n$/);
  assert.doesNotMatch(renderConversation(CONVERSATION_EXAMPLE), /in short|told by/);
});

test("conversation: no line is too long, and no text of others reaches the terminal raw", () => {
  const long = `\u001B[31m${"long ".repeat(60)}${"x".repeat(200)}`;
  const refined = { text: long, revision: 1, upToMs: 0, generatedBy: long };
  const reason = "timedOut";
  for (const answer of [
    { ...REFINED_EXAMPLE, id: long, refined: { ...refined, degraded: true, reason } },
    { ...REFINED_EXAMPLE, id: long, refined: { degraded: true, reason } },
  ] as const) {
    const text = renderConversation(answer);
    for (const line of text.split("\n")) assert.ok(widthOf(line) <= COLUMNS, line);
    // oxlint-disable-next-line no-control-regex
    assert.doesNotMatch(text.replaceAll("\n", ""), /[\u0000-\u001F]/);
    assert.match(text.replaceAll(/\s+/g, " "), /did not answer in time\)/);
  }
});

test("card: who told it, and why nobody did", () => {
  const card = (answer: object): string =>
    renderCard({ ...EXAMPLE, ...answer } as TrendingAnswer, { time: "18:01:00" });
  assert.doesNotMatch(card(EXAMPLE), /told by|quoted/);
  assert.match(card(RETOLD_EXAMPLE), /42 times so far\.\n {2}\(told by qwen3-8b\)\n/);
  assert.match(
    card(DEGRADED_EXAMPLE),
    /\n {2}\(quoted; the language model did not answer in time\)\n/,
  );
  for (const reason of CONSULTATION_FAILURES) {
    const text = card({ tldr: { ...DEGRADED_EXAMPLE.tldr, reason } });
    assert.match(text, /\(quoted; [a-z' ]+\)\n/, reason);
    for (const line of text.split("\n")) assert.ok(widthOf(line) <= COLUMNS, line);
  }
});
