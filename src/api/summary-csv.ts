/**
 * Summaries as CSV, flat: one number or one line of text a row. The columns are a contract, written
 * down in docs/summaries.md.
 *
 *   section   what the row is of: summary, late, rate, metric, term, text
 *   name      of a rate its time constant, of a metric or a term its name, of a text who said it
 *   field     which number, or which kind of line
 *   value     the number or the text
 *   low, high the interval in which the true value lies, where there is one
 *   error     relative error of value, where there is one
 *   eventId, tsMs   of a text or a late example: which event, and when it was
 */
import type { ConversationsAnswer, MetricAnswer, SummaryAnswer } from "#model/summary-answer.ts";
import { QUANTILE_NAMES, type QuantileName } from "#model/summary-answer.ts";
import { type Cell, csv } from "./csv.ts";

const COLUMNS = [
  "tenant",
  "window",
  "startMs",
  "endMs",
  "section",
  "name",
  "field",
  "value",
  "low",
  "high",
  "error",
  "eventId",
  "tsMs",
] as const;

/** From `section` on; what is left out at the end is empty. */
type Row = readonly Cell[];

const CONVERSATION_COLUMNS = [
  "tenant",
  "id",
  "eventCount",
  "userCount",
  "userCountError",
  "firstMs",
  "lastMs",
  "late",
] as const;

export function summaryCsv(answer: SummaryAnswer): string {
  const { tenant, window } = answer;
  const head: readonly Cell[] = [tenant, window.name, window.startMs, window.endMs];
  const rows: Row[] = [
    ...countRows(answer),
    ...lateRows(answer),
    ...answer.rates.flatMap(({ spanMs, overMs, perSecond }) => [
      ["rate", spanMs, "perSecond", perSecond],
      ["rate", spanMs, "overMs", overMs],
    ]),
    ...Object.entries(answer.metrics).flatMap(([name, metric]) => metricRows(name, metric)),
    ...answer.topTerms.map(({ term, count, countLow, countHigh }) => {
      return ["term", term, "count", count, countLow, countHigh];
    }),
    ...textRows(answer),
  ];
  return csv(
    COLUMNS,
    rows.map((row) => [...head, ...row, ...Array<Cell>(COLUMNS.length - 4 - row.length).fill("")]),
  );
}

export function conversationsCsv({ tenant, conversations }: ConversationsAnswer): string {
  const rows = conversations.map((item) => {
    const { id, eventCount, userCount, userCountError, firstMs, lastMs, late } = item;
    return [tenant, id, eventCount, userCount, userCountError, firstMs, lastMs, late];
  });
  return csv(CONVERSATION_COLUMNS, rows);
}

function countRows(answer: SummaryAnswer): Row[] {
  const { userCount, userCountError } = answer;
  return [
    ["summary", "", "asOfMs", answer.asOfMs],
    ["summary", "", "watermarkMs", answer.watermarkMs],
    ["summary", "", "eventCount", answer.eventCount],
    ["summary", "", "weightSum", answer.weightSum],
    ["summary", "", "userCount", userCount, "", "", userCountError],
    ["summary", "", "duplicateCount", answer.duplicateCount],
    ["summary", "", "repeatedCount", answer.repeatedCount],
    ["summary", "", "metricsRefused", answer.metricsRefused],
  ];
}

function lateRows({ late }: SummaryAnswer): Row[] {
  return [
    ["late", "", "count", late.count],
    ["late", "", "lateByMsMax", late.lateByMsMax],
    ["late", "", "countedInLonger", late.countedInLonger],
    ...late.byLateness.map(({ upToMs, count }) => ["late", upToMs ?? "more", "upToMs", count]),
    ...late.examples.map(({ eventId, tsMs, lateByMs }) => {
      return ["late", "", "example", lateByMs, "", "", "", eventId, tsMs];
    }),
  ];
}

function metricRows(name: string, metric: MetricAnswer): Row[] {
  const { count, sum, mean, stddev, min, max, relativeError, collapsedBelow } = metric;
  const moments = { count, sum, mean, stddev, min, max };
  return [
    ...Object.entries(moments).map(([field, value]) => ["metric", name, field, value]),
    ["metric", name, "shortened", metric.shortened],
    ...(collapsedBelow === undefined ? [] : [["metric", name, "collapsedBelow", collapsedBelow]]),
    ...(Object.keys(QUANTILE_NAMES) as QuantileName[]).map((quantile) => {
      const { value, low, high, label } = metric[quantile];
      // Too few samples say the maximum and no more: the field is then called so.
      const field = label === "max" ? `${quantile}:max` : quantile;
      return ["metric", name, field, value, low, high, label === "max" ? 0 : relativeError];
    }),
  ];
}

function textRows({ text }: SummaryAnswer): Row[] {
  const lines = [...text.lines, ...text.openQuestions, ...text.decisions];
  return lines.map(({ kind, user, eventId, tsMs, text: said }, index) => {
    const field = index < text.lines.length ? `line:${kind}` : kind;
    return ["text", user, field, said, "", "", "", eventId, tsMs];
  });
}
