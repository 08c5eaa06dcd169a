/** `nexuscore moderate`: verdicts on a text, or on each line of standard input. */
import { MODERATE_COUNT_MAX } from "#model/limits.ts";
import { CATEGORIES, type Category, type ContextTurn } from "#model/moderation.ts";
import type { MessageProblem, VerdictAnswer } from "#model/verdict-answer.ts";
import type { Readable } from "node:stream";
import { createInterface } from "node:readline";
import { Client } from "./client.ts";
import {
  CliError,
  COLUMNS,
  cut,
  harmless,
  pad,
  print,
  printJson,
  say,
  style,
  widthOf,
  wrap,
} from "./terminal.ts";

/** What all messages of one call have in common. */
export type MessageOptions = {
  readonly conversation?: string | undefined;
  readonly user?: string | undefined;
  readonly role?: string | undefined;
  readonly language?: string | undefined;
  readonly doNotStore?: boolean | undefined;
};

export type ModerateOptions = {
  readonly url: string;
  readonly tenant: string;
  /** Empty: each line of `input` is one. */
  readonly text: string;
  readonly message: MessageOptions;
  readonly json: boolean;
  readonly input: Readable & { readonly isTTY?: boolean };
};

/** Lines are sent when so many wait, or when none has come for a moment. */
const LINES_MAX = 64;
/** What is sent at once stays below the server's limit, however much of it JSON has to escape. */
const UNITS_MAX = 160_000;
/** No server takes a text of this length; of a longer line it need not see the rest. */
const LINE_UNITS_MAX = 100_000;
const LINE_WAIT_MS = 200;

export async function moderate(options: ModerateOptions): Promise<void> {
  const { url, tenant, text, message, json, input } = options;
  const client = new Client(url);
  if (text !== "") {
    const verdict = await client.moderate(tenant, { ...message, text });
    if (json) printJson(verdict);
    else print(renderVerdict(verdict, text));
    return;
  }
  if (input.isTTY === true) say("reading messages from the terminal, one a line; Ctrl-D ends");
  let lineCount = 0;
  for await (const lines of batchesOf(input)) {
    const messages = lines.map((line) => ({ ...message, text: line }));
    const { verdicts } = await client.moderateAll(tenant, messages);
    for (const [index, verdict] of verdicts.entries()) {
      if (json) printJson("problem" in verdict ? ofLine(verdict, lineCount + index) : verdict);
      else print(renderLine(verdict, lines[index] ?? ""));
    }
    lineCount += lines.length;
  }
  if (lineCount === 0) throw new CliError("no text to judge: give one, or lines on stdin", 2);
}

/** The line of the whole input, not of what was sent at once. */
function ofLine({ problem }: MessageProblem, index: number): MessageProblem {
  return { index, problem };
}

/** A slow pipe is answered as it goes on, a fast one in batches. Blank lines are skipped. */
async function* batchesOf(input: Readable): AsyncGenerator<readonly string[]> {
  const lines = createInterface({ input, crlfDelay: Infinity })[Symbol.asyncIterator]();
  let batch: string[] = [];
  let units = 0;
  let next = lines.next();
  for (;;) {
    const found = batch.length === 0 ? await next : await orNothing(next);
    if (found !== undefined && found.done !== true) {
      const line = found.value.slice(0, LINE_UNITS_MAX);
      if (line.trim() !== "") batch.push(line);
      units += line.length;
      next = lines.next();
      const isFull = batch.length >= Math.min(LINES_MAX, MODERATE_COUNT_MAX);
      if (!isFull && units + LINE_UNITS_MAX <= UNITS_MAX) continue;
    }
    if (batch.length > 0) yield batch;
    batch = [];
    units = 0;
    if (found?.done === true) return;
  }
}

/** Undefined where it takes longer than a reader would wait. */
async function orNothing<Value>(promise: Promise<Value>): Promise<Value | undefined> {
  const { promise: nothing, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), LINE_WAIT_MS);
  try {
    return await Promise.race([promise, nothing]);
  } finally {
    clearTimeout(timer);
  }
}

const INDENT = "  ";
const STYLES = { allow: "green", flag: "yellow", block: "red" } as const;
const WORDS: Readonly<Record<Category, string>> = {
  toxicity: "toxicity",
  severeToxicity: "severe toxicity",
  insult: "insult",
  profanity: "profanity",
  threat: "threat",
  identityAttack: "identity attack",
  sexual: "sexual",
  selfHarm: "self-harm",
  harmfulReply: "harmful reply",
};

/** 80 columns wide: what is done and why, then every score beside its threshold. */
export function renderVerdict(verdict: VerdictAnswer, text: string): string {
  const { tenant, action, proposedAction, severity, reason, policy, model, id } = verdict;
  const head = `${tenant} · `;
  const observed = action === proposedAction ? "" : ` (would be: ${proposedAction})`;
  const tail = ` severity ${severity} of 100`;
  const used = widthOf(head) + action.length + observed.length + 1 + widthOf(tail);
  const rule = "─".repeat(Math.max(2, COLUMNS - used));
  const done = `${style("bold", head)}${style(STYLES[action], action)}${observed}`;
  const lines = [
    `${done} ${style("dim", rule + tail)}`,
    wrap(`“${harmless(text)}”`, INDENT),
    wrap(harmless(reason), INDENT),
    ...scoreLines(verdict),
    wrap(contextWords(verdict.contextUsed), INDENT),
    wrap(languageWords(verdict), INDENT),
  ];
  const asked = upstreamWords(verdict);
  if (asked !== undefined) lines.push(wrap(harmless(asked), INDENT));
  if (verdict.listEntry !== undefined) {
    lines.push(wrap(`list entry: ${harmless(verdict.listEntry)}`, INDENT));
  }
  for (const { message } of verdict.warnings ?? []) {
    lines.push(wrap(`warning: ${harmless(message)}`, INDENT));
  }
  const whose = policy.source === "default" ? "the default policy" : `policy ${policy.version}`;
  lines.push(style("dim", wrap(`by ${whose}, ${model}; ${id}`, INDENT)));
  return `${lines.join("\n")}\n`;
}

/** What became of asking a language model; undefined: it was not to be asked. */
export function upstreamWords({ upstream, degraded }: VerdictAnswer): string | undefined {
  if (upstream === undefined) return undefined;
  const { outcome, detail, model, waitMs } = upstream;
  const took = `${Math.round(waitMs)} ms`;
  if (outcome === "answered") return `${model} was asked and answered in ${took}`;
  if (outcome === "cached") return `${model} was asked the same before`;
  const why = detail === undefined || detail === "" ? "" : `: ${detail.replace(/\.$/, "")}`;
  const stands = degraded ? "; the verdict is the embedded one" : "";
  return `without the opinion of ${model} (${outcome}, ${took}${why})${stands}`;
}

const SCORES_PER_LINE = 3;
const SCORE_COLUMNS = 25;

/** The highest first; a score at its threshold is marked. */
function scoreLines({ scores, thresholds, categories }: VerdictAnswer): string[] {
  const cells = CATEGORIES.toSorted((a, b) => scores[b] - scores[a]).map((category) => {
    const mark = categories[category] ? "!" : " ";
    const threshold = thresholds[category];
    const limit = threshold === null ? "" : `/${short(threshold)}`;
    const words = `${mark}${WORDS[category]} ${short(scores[category])}${limit}`;
    const cell = pad(words, SCORE_COLUMNS);
    return categories[category] ? style("bold", cell) : cell;
  });
  const lines: string[] = [];
  for (let at = 0; at < cells.length; at += SCORES_PER_LINE) {
    lines.push(`${INDENT}${cells.slice(at, at + SCORES_PER_LINE).join("")}`.trimEnd());
  }
  return lines;
}

/** Down, as a score that is not at its threshold must not look as if it were. */
function short(score: number): string {
  return (Math.floor(100 * score + 1e-6) / 100).toFixed(2).replace(/^0/, "");
}

function contextWords(turns: readonly ContextTurn[]): string {
  if (turns.length === 0) return "context: none";
  const kinds = new Map<string, number>();
  const names = {
    previous: "before it",
    repliedTo: "replied to",
    sameAuthor: "of the same author",
    given: "sent along",
  };
  for (const { relation } of turns) kinds.set(relation, (kinds.get(relation) ?? 0) + 1);
  const parts = [...kinds].map(([kind, count]) => `${count} ${names[kind as keyof typeof names]}`);
  const messages = turns.length === 1 ? "message" : "messages";
  return `context: ${turns.length} ${messages} (${parts.join(", ")})`;
}

const SUPPORT = {
  full: "judged in full",
  lists: "judged by word lists alone, which is weaker",
  none: "not judged: the scores mean little",
};

function languageWords({ language }: VerdictAnswer): string {
  return `language: ${harmless(language.tag)} (${language.source}), ${SUPPORT[language.support]}`;
}

const ACTION_COLUMNS = 6;
const SEVERITY_COLUMNS = 4;
const CATEGORY_COLUMNS = 22;

/** One line a message: action, severity, the category that is furthest over, the text. */
export function renderLine(verdict: VerdictAnswer | MessageProblem, text: string): string {
  if ("problem" in verdict) {
    const detail = harmless(String(verdict.problem["detail"]));
    return cut(`${style("red", "error ")}    ${detail}`, COLUMNS);
  }
  const { action, severity, scores, categories } = verdict;
  const worst = CATEGORIES.filter((category) => categories[category]).toSorted(
    (a, b) => scores[b] - scores[a],
  )[0];
  const why = worst === undefined ? "" : `${WORDS[worst]} ${short(scores[worst])}`;
  const room = COLUMNS - ACTION_COLUMNS - SEVERITY_COLUMNS - CATEGORY_COLUMNS;
  return (
    style(STYLES[action], pad(action, ACTION_COLUMNS)) +
    pad(String(severity).padStart(SEVERITY_COLUMNS - 1), SEVERITY_COLUMNS) +
    pad(why, CATEGORY_COLUMNS) +
    cut(harmless(text), room)
  ).trimEnd();
}
