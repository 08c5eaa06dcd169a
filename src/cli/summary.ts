/** `nexuscore summary`: what has happened in a window of a tenant, as text, JSON or CSV. */
import type {
  LineAnswer,
  MetricAnswer,
  QuantileName,
  SummaryAnswer,
  TermAnswer,
  TextAnswer,
} from "#model/summary-answer.ts";
import { Client } from "./client.ts";
import {
  COLUMNS,
  formatCount,
  harmless,
  print,
  printJson,
  style,
  widthOf,
  wrap,
} from "./terminal.ts";

export type SummaryOptions = {
  readonly url: string;
  readonly tenant: string;
  readonly window: string;
  readonly limit: number;
  readonly format: "text" | "json" | "csv";
};

export async function summary(options: SummaryOptions): Promise<void> {
  const { url, tenant, format, ...query } = options;
  const client = new Client(url);
  if (format === "csv") {
    print(await client.summaryCsv(tenant, query));
    return;
  }
  const answer = await client.summary(tenant, query);
  if (format === "json") printJson(answer);
  else print(renderSummary(answer));
}

const INDENT = "  ";
const SPANS = { "60s": "last 60 s", "10m": "last 10 min", "1h": "last hour", "24h": "last 24 h" };

/** 80 columns wide; every number with what is known of its error. */
export function renderSummary(answer: SummaryAnswer): string {
  const { text, rates, late } = answer;
  const lines = [headOf(answer)];
  const story = storyOf(text);
  if (story !== "") lines.push(wrap(harmless(story), INDENT));
  // A stream that has just begun has one rate.
  const perSecond = new Set(
    rates.map((rate) => `${short(rate.perSecond)}/s over ${span(rate.overMs || rate.spanMs)}`),
  );
  lines.push(wrap([...perSecond].join(", "), INDENT));
  for (const [name, metric] of Object.entries(answer.metrics)) lines.push(metricOf(name, metric));
  const terms = answer.topTerms.filter(isKnownWell);
  if (terms.length > 0) lines.push(termsOf(terms));
  lines.push(...linesOf("open questions", text.openQuestions));
  lines.push(...linesOf("decisions", text.decisions));
  if (late.count > 0) {
    const events = `${formatCount(late.count)} ${late.count === 1 ? "event" : "events"}`;
    lines.push(`${INDENT}late: ${events} since the start, by up to ${span(late.lateByMsMax)}`);
  }
  return `${lines.join("\n")}\n`;
}

/** What was said, without what the lists of open questions and of decisions say below it. */
export function storyOf({ text, lines, openQuestions, decisions }: TextAnswer): string {
  if (lines.length === 0) return text;
  const keyOf = (line: LineAnswer): string => `${line.tsMs} ${line.user} ${line.text}`;
  const listed = new Set([...openQuestions, ...decisions].map(keyOf));
  return lines
    .filter((line) => !listed.has(keyOf(line)))
    .map((line) => `${line.user ?? "somebody"}: “${line.text}”`)
    .join(" ");
}

function headOf(answer: SummaryAnswer): string {
  const { tenant, asOfMs, eventCount, userCount, userCountError } = answer;
  const { name, startMs, endMs } = answer.window;
  const range =
    name === "all"
      ? `since ${timeOf(startMs)}`
      : `${SPANS[name]}, to ${timeOf(Math.min(asOfMs, endMs))}`;
  const head = `${tenant} · ${range} `;
  const about = userCountError > 0 ? "~" : "";
  const error = userCountError > 0 ? ` ±${short(100 * userCountError)} %` : "";
  const events = `${formatCount(eventCount)} ${eventCount === 1 ? "event" : "events"}`;
  const people = userCount === 1 ? "person" : "people";
  const size = ` ${events}, ${about}${formatCount(userCount)}${error} ${people}`;
  const rule = "─".repeat(Math.max(2, COLUMNS - widthOf(head) - widthOf(size)));
  return style("bold", head) + style("dim", rule + size);
}

function metricOf(name: string, metric: MetricAnswer): string {
  const { count, mean, stddev, min, max } = metric;
  const samples = `${formatCount(count)} ${count === 1 ? "sample" : "samples"}`;
  const moments = `${samples}, mean ${short(mean)} (deviation ${short(stddev)})`;
  const head = `${harmless(name)}: ${moments}, ${short(min)} to ${short(max)}`;
  const quantiles = (["p50", "p90", "p99", "p999"] as const).map((quantile) =>
    quantileOf(quantile, metric),
  );
  return `${wrap(head, INDENT)}\n${packed(quantiles, INDENT + INDENT)}`;
}

const QUANTILE_WORDS = { p50: "p50", p90: "p90", p99: "p99", p999: "p99.9" };

/** One that the samples do not reach says so, instead of a number that they do not support. */
function quantileOf(name: QuantileName, metric: MetricAnswer): string {
  const { value, low, high, label } = metric[name];
  if (label === "max") return `${QUANTILE_WORDS[name]} max ${short(value)}`;
  return `${QUANTILE_WORDS[name]} ${short(value)}${intervalOf(low, high)}`;
}

/** Open where the samples set no bound. */
function intervalOf(low: number | null, high: number | null): string {
  if (low === null) return high === null ? "" : ` (≤${short(high)})`;
  return high === null ? ` (≥${short(low)})` : ` (${short(low)}–${short(high)})`;
}

/** As many on a line as fit, none of them broken. */
function packed(items: readonly string[], indent: string): string {
  const lines: string[] = [];
  for (const item of items) {
    const line = lines.at(-1);
    if (line !== undefined && widthOf(`${line}, ${item}`) < COLUMNS) {
      lines[lines.length - 1] = `${line}, ${item}`;
    } else lines.push(indent + item);
  }
  return lines.join(",\n");
}

const TERM_UNCERTAINTY_MAX = 10;

/** Whether the count says more to a reader than that the term was there: JSON and CSV have all. */
function isKnownWell({ count, countHigh, exact }: TermAnswer): boolean {
  return exact || (countHigh !== null && countHigh <= TERM_UNCERTAINTY_MAX * count);
}

function termsOf(terms: readonly TermAnswer[]): string {
  const words = terms.map(({ term, count, countHigh, exact }) => {
    const interval = exact || countHigh === null ? "" : `–${formatCount(countHigh)}`;
    return `${harmless(term)} ${formatCount(count)}${interval}`;
  });
  return wrap(`terms: ${words.join(", ")}`, INDENT);
}

export function linesOf(title: string, lines: readonly LineAnswer[]): string[] {
  if (lines.length === 0) return [];
  const said = lines.map(({ user, tsMs, text }) =>
    wrap(harmless(`${timeOf(tsMs)} ${user ?? "somebody"}: “${text}”`), INDENT + INDENT),
  );
  return [`${INDENT}${title}`, ...said];
}

/** Four digits that count; not in the form 1e3, unless it has to be. */
function short(value: number | null): string {
  if (value === null) return "?";
  if (value !== 0 && (Math.abs(value) >= 1e15 || Math.abs(value) < 1e-4))
    return value.toPrecision(3);
  return Number(value.toPrecision(4)).toLocaleString("en-US", { maximumFractionDigits: 8 });
}

function span(ms: number): string {
  if (ms < 120_000) return `${short(ms / 1_000)} s`;
  return ms < 7_200_000 ? `${short(ms / 60_000)} min` : `${short(ms / 3_600_000)} h`;
}

export function timeOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace("T", " ");
}
