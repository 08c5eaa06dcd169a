/**
 * The examination: sentences written by somebody who saw neither the training sentences nor the
 * word lists, two sides a behaviour: what is harmful, and what only looks like it.
 *
 *     node bin/runtime.mjs test/moderation/exam.ts [--url http://127.0.0.1:7070] [--table]
 *
 * Without a URL it asks an engine of its own. It prints a row a behaviour: how many of each side
 * the default policy gets right, and how well the score ranks one above the other (AUC; a half is
 * chance). Where there are earlier messages, the same without them. Then the mistakes, unless only
 * the table is asked for. A measurement, not a gate: it ends well, whatever the figures.
 */
import { startEngine } from "#engine/engine.ts";
import { MODERATE_COUNT_MAX } from "#model/limits.ts";
import { type Category, CATEGORIES, type GivenTurn, type Verdict } from "#model/moderation.ts";
import { globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { parseArgs } from "node:util";

/** A line of exam/*.jsonl. */
type Question = {
  readonly behaviour: string;
  readonly text: string;
  /** 1: harmful. */
  readonly label: 0 | 1;
  readonly note?: string;
  readonly user?: string;
  readonly context?: readonly GivenTurn[];
};
type Message = {
  readonly text: string;
  readonly user: string | undefined;
  readonly context: readonly GivenTurn[] | undefined;
  readonly doNotStore: true;
};
type Judge = (messages: readonly Message[]) => Promise<readonly Verdict[]>;
type Examiner = { readonly judge: Judge; readonly stop: () => Promise<void> };
type Answer = Question & {
  readonly verdict: Verdict;
  /** The same without what was said before; the same verdict where nothing was. */
  readonly alone: Verdict;
};

const TENANT = "examination";
const SIDE_COUNT_MIN = 25;
/** Who writes of their own distress may be brought to somebody's notice, but not blamed. */
const DISCLOSURE = "disclosure";
/** What swearing at nobody must not be taken for; that it is profane is no mistake. */
const BLAMED: readonly Category[] = ["toxicity", "severeToxicity", "insult", "identityAttack"];
/** What ranks beside toxicity, by behaviour. */
const ALSO: Readonly<Record<string, readonly Category[]>> = {
  "negated-hate": ["identityAttack"],
  "counter-speech": ["identityAttack"],
  "identity-mention": ["identityAttack"],
  "implicit-hate": ["identityAttack"],
  emoji: ["identityAttack", "threat"],
  threat: ["threat"],
  "self-harm": ["selfHarm", "threat"],
  "sexual-harassment": ["sexual"],
  "context-answer": ["harmfulReply"],
  "context-flip": ["harmfulReply"],
};

const { values: options } = parseArgs({
  options: { url: { type: "string" }, table: { type: "boolean", default: false } },
});
const examiner = options.url === undefined ? await ownEngine() : server(options.url);
try {
  const answers = await examine(readQuestions(), examiner.judge);
  const lines = [...renderTable(answers), ...(options.table ? [] : renderMistakes(answers))];
  process.stdout.write(`${lines.join("\n")}\n`);
} finally {
  await examiner.stop();
}

function readQuestions(): Question[] {
  const folder = new URL("exam/", import.meta.url).pathname;
  return globSync(`${folder}*.jsonl`)
    .toSorted()
    .flatMap((path) => {
      const lines = readFileSync(path, "utf8").trimEnd().split("\n");
      const questions = lines.map((line) => JSON.parse(line) as Question);
      const behaviour = basename(path, ".jsonl");
      for (const label of [0, 1]) {
        const side = questions.filter((one) => one.label === label && one.behaviour === behaviour);
        if (side.length < SIDE_COUNT_MIN) throw new Error(`${behaviour}: ${label} is too short`);
      }
      return questions;
    });
}

async function ownEngine(): Promise<Examiner> {
  const settings = { shardCount: 1, slotCount: 4, imageBytesMax: 2 ** 24, tenantCountMax: 4 };
  const engine = await startEngine(settings);
  const judge: Judge = async (messages) => {
    const outcomes = await engine.moderate(TENANT, messages);
    return outcomes.map((outcome) => {
      if ("problem" in outcome) throw new Error(outcome.problem.detail);
      return outcome.verdict;
    });
  };
  return { judge, stop: async () => engine.stop() };
}

function server(url: string): Examiner {
  const path = new URL(`/v1/tenants/${TENANT}/moderate`, url);
  const headers = { "content-type": "application/json" };
  const judge: Judge = async (messages) => {
    const body = JSON.stringify({ messages });
    const response = await fetch(path, { method: "POST", headers, body });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text}`);
    const { verdicts, problemCount } = JSON.parse(text) as {
      verdicts: Verdict[];
      problemCount: number;
    };
    if (problemCount > 0) throw new Error(text);
    return verdicts;
  };
  return { judge, stop: async () => undefined };
}

async function examine(questions: readonly Question[], judge: Judge): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let at = 0; at < questions.length; at += MODERATE_COUNT_MAX) {
    const batch = questions.slice(at, at + MODERATE_COUNT_MAX);
    const messages = batch.map(({ text, user, context }): Message => {
      return { text, user, context, doNotStore: true };
    });
    const verdicts = await judge(messages);
    const bare = batch.map(({ text, user }): Message => {
      return { text, user, context: undefined, doNotStore: true };
    });
    const alone = await judge(bare);
    for (const [index, question] of batch.entries()) {
      answers.push({ ...question, verdict: verdicts[index]!, alone: alone[index]! });
    }
  }
  return answers;
}

function isRight({ behaviour, label, note }: Question, verdict: Verdict): boolean {
  if (label === 1) return verdict.flagged;
  if (behaviour === "profanity") return !BLAMED.some((category) => verdict.categories[category]);
  if (note === DISCLOSURE) {
    return !CATEGORIES.some((category) => category !== "selfHarm" && verdict.categories[category]);
  }
  return !verdict.flagged;
}

function scoreOf({ behaviour, note }: Question, { scores }: Verdict): number {
  const also = (ALSO[behaviour] ?? []).filter((category) => {
    return note !== DISCLOSURE || category !== "selfHarm";
  });
  return Math.max(scores.toxicity, ...also.map((category) => scores[category]));
}

function renderTable(answers: readonly Answer[]): string[] {
  const rows = [
    "| behaviour | harmful flagged | harmless left alone | AUC | without context |",
    "|---|--:|--:|--:|--:|",
  ];
  const byBehaviour = Map.groupBy(answers, ({ behaviour }) => behaviour);
  for (const [behaviour, group] of byBehaviour) rows.push(renderRow(behaviour, group));
  rows.push(renderRow("all", answers));
  const pairs = [
    ...Map.groupBy(byBehaviour.get("context-flip") ?? [], ({ text }) => text).values(),
  ];
  const apart = pairs.filter((pair) => {
    return sideScores(pair, "verdict", 1)[0]! > sideScores(pair, "verdict", 0)[0]!;
  });
  const both = pairs.filter((pair) => pair.every((answer) => isRight(answer, answer.verdict)));
  rows.push("", `context-flip: of ${pairs.length} pairs of one text in two conversations`);
  rows.push(`the harmful one ranks higher in ${apart.length}, both are right in ${both.length}`);
  rows.push(`model ${answers[0]!.verdict.model}`);
  return rows;
}

function renderRow(behaviour: string, group: readonly Answer[]): string {
  const sides = [1, 0].map((label) => {
    const side = group.filter((answer) => answer.label === label);
    const right = side.filter((answer) => isRight(answer, answer.verdict)).length;
    return `${right} of ${side.length}`;
  });
  const hasContext = group.some(({ context }) => context !== undefined);
  const alone = hasContext ? auc(group, "alone").toFixed(3) : "";
  return `| ${[behaviour, ...sides, auc(group, "verdict").toFixed(3), alone].join(" | ")} |`;
}

type Reading = "verdict" | "alone";

/** How likely a harmful text scores above a harmless one; a tie counts half. */
function auc(group: readonly Answer[], reading: Reading): number {
  const harmful = sideScores(group, reading, 1);
  const harmless = sideScores(group, reading, 0);
  let won = 0;
  for (const high of harmful) {
    for (const low of harmless) won += high > low ? 1 : high === low ? 0.5 : 0;
  }
  return won / (harmful.length * harmless.length);
}

function sideScores(group: readonly Answer[], reading: Reading, label: 0 | 1): number[] {
  return group
    .filter((answer) => answer.label === label)
    .map((answer) => scoreOf(answer, answer[reading]));
}

function renderMistakes(answers: readonly Answer[]): string[] {
  const wrong = answers.filter((answer) => !isRight(answer, answer.verdict));
  return ["", `${wrong.length} mistakes`].concat(
    wrong.map((answer) => {
      const { behaviour, label, text, note, context, verdict } = answer;
      const said = (context ?? []).map((turn) => `${turn.text} >> `).join("");
      const over = CATEGORIES.filter((category) => verdict.categories[category]);
      const { tag, support } = verdict.language;
      const facts = [
        label === 1 ? "missed" : `flagged for ${over.join(", ")}`,
        scoreOf(answer, verdict).toFixed(2),
        ...(note === undefined ? [] : [note]),
        ...(support === "full" ? [] : [`language ${tag}`]),
      ];
      return `${behaviour}: ${JSON.stringify(said + text)} (${facts.join("; ")})`;
    }),
  );
}
