/**
 * Messages of many conversations, the same for the same seed: each conversation takes the lines of
 * a chat as they follow each other, from a line of its own on, with who said them and which line
 * they answer, so that what a message stands in is what was really said before it.
 *
 * Lines are those of IRC logs where the logs are there (bench/workload.ts). A line answers another
 * if the log's `.annotation.txt` says so, else if it begins with the name of somebody who spoke
 * less than ANSWERED_LINES_MAX lines before. Without logs they are invented: words of no language,
 * by six people, every fourth line an answer.
 */
import { existsSync, globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { ModerationRequest } from "#model/moderation.ts";
import { Random } from "#std/random.ts";
import { IRC_LOGS, seededTexts } from "./workload.ts";

export type TalkLine = {
  readonly user: string;
  readonly text: string;
  /** So many lines before is the one that it answers; 0: none that is known. */
  readonly back: number;
};

export type Talk = { readonly name: string; readonly lines: readonly TalkLine[] };

const IRC_LINE = /^\[\d\d:\d\d\] <([^>]+)> (.+)$/;
const ADDRESSED = /^([^\s:,]+)[:,] /;
const ANNOTATION = /^(\d+) (\d+) -$/;
const LINES_MIN = 1_000;
const ANSWERED_LINES_MAX = 40;

const SEEDED_LINES = 20_000;
const SEEDED_USERS = 6;

/** `choice`: `auto`, `seeded`, or a folder with `*.ascii.txt` logs. */
export function loadTalk(choice: string, seed: number): Talk {
  if (choice !== "seeded") {
    const lines = readLogs(choice === "auto" ? IRC_LOGS : resolve(choice));
    if (lines.length >= LINES_MIN) return { name: "irc", lines };
    if (choice !== "auto")
      throw new Error(`corpus=${choice}: found ${lines.length} lines of chat.`);
  }
  const random = new Random(seed);
  const lines = seededTexts(random, SEEDED_LINES).map((text) => ({
    user: `user${random.below(SEEDED_USERS)}`,
    text,
    back: random.chance(1, 4) ? 1 + random.below(4) : 0,
  }));
  return { name: "seeded", lines };
}

/** What is said next in each of the conversations of each tenant. */
export class Talks {
  readonly tenantCount: number;
  readonly conversationCount: number;
  readonly #lines: readonly TalkLine[];
  /** By conversation: the line that it began with, and how many it had so far. */
  readonly #starts: Uint32Array;
  readonly #said: Uint32Array;

  /** `conversationCount`: of each tenant. */
  constructor(options: {
    seed: number;
    talk: Talk;
    tenantCount: number;
    conversationCount: number;
  }) {
    const { seed, tenantCount, conversationCount } = options;
    const random = new Random(seed);
    this.tenantCount = tenantCount;
    this.conversationCount = conversationCount;
    this.#lines = options.talk.lines;
    const count = tenantCount * conversationCount;
    this.#starts = Uint32Array.from({ length: count }, () => random.below(this.#lines.length));
    this.#said = new Uint32Array(count);
  }

  next(tenant: number, conversation: number): ModerationRequest {
    const at = tenant * this.conversationCount + conversation;
    const said = this.#said[at]!;
    this.#said[at] = said + 1;
    const { user, text, back } = this.#lines[(this.#starts[at]! + said) % this.#lines.length]!;
    return {
      id: `m${said}`,
      conversation: `talk-${conversation}`,
      user,
      text,
      ...(back > 0 && back <= said && { replyTo: `m${said - back}` }),
    };
  }
}

function readLogs(folder: string): TalkLine[] {
  const files = globSync("**/*.ascii.txt", { cwd: folder }).toSorted();
  return files.flatMap((file) => readLog(join(folder, file)));
}

function readLog(file: string): TalkLine[] {
  const answered = readAnnotation(file.replace(/\.ascii\.txt$/, ".annotation.txt"));
  const lines: TalkLine[] = [];
  /** Number among the lines of chat, by line of the file and by who spoke last. */
  const numbers = new Map<number, number>();
  const spoke = new Map<string, number>();
  for (const [row, raw] of readFileSync(file, "utf8").split("\n").entries()) {
    const [, user, text] = IRC_LINE.exec(raw) ?? [];
    if (user === undefined || text === undefined) continue;
    const number = lines.length;
    const addressed = spoke.get(ADDRESSED.exec(text)?.[1] ?? "");
    const parent = numbers.get(answered.get(row) ?? -1) ?? addressed ?? number;
    lines.push({ user, text, back: number - parent < ANSWERED_LINES_MAX ? number - parent : 0 });
    numbers.set(row, number);
    spoke.set(user, number);
  }
  return lines;
}

/** By line: the nearest earlier one that it answers. */
function readAnnotation(file: string): Map<number, number> {
  const answered = new Map<number, number>();
  if (!existsSync(file)) return answered;
  for (const line of readFileSync(file, "utf8").split("\n")) {
    const [, from, to] = ANNOTATION.exec(line) ?? [];
    if (from === undefined || from === to) continue;
    answered.set(Number(to), Math.max(Number(from), answered.get(Number(to)) ?? 0));
  }
  return answered;
}
