/** Reads the grammar: text files in grammar/, a frame a line; each says how it is read. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { HEADS, type Head } from "./sample.ts";

export type Behaviour = {
  readonly name: string;
  /** Abuse and its look-alike have one name of the pair. */
  readonly pair: string;
  readonly labels: Partial<Readonly<Record<Head, number>>>;
  readonly frames: readonly string[];
};

/** Who says the turns before: `a` and `c` are others, `b` is the one who is judged. */
export type Exchange = {
  readonly name: string;
  readonly unsafe: 0 | 1;
  /** The turns before, the oldest first: `author: frame`. */
  readonly before: readonly (readonly string[])[];
  readonly answers: readonly string[];
  /** Index of the turn that is answered; left out: the last. */
  readonly replyTo: number | undefined;
};

export const PHRASES: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  blocksOf("phrases.txt", "=").map(({ head, lines }) => [head[0]!, lines]),
);

/** Lists of words by name. */
export const WORDS: ReadonlyMap<string, readonly string[]> = new Map(
  blocksOf("words.txt", "=").map(({ head, lines }) => {
    const words = lines.join(" ").split(",");
    return [head[0]!, words.map((word) => word.trim())] as const;
  }),
);

const BEHAVIOUR_FILES = ["harm.txt", "harmless.txt", "meaning.txt", "self-harm.txt", "sexual.txt"];

export const BEHAVIOURS: readonly Behaviour[] = BEHAVIOUR_FILES.flatMap((file) =>
  blocksOf(file, "=").map(({ head, lines }) => {
    const [name, pair, labels] = head;
    return { name: name!, pair: pair!, labels: labelsOf(labels!), frames: lines };
  }),
);

export const EXCHANGES: readonly Exchange[] = readExchanges();

type Block = { readonly head: readonly string[]; readonly lines: string[] };

/** Blocks that begin with `sign`, their head parted at bars; comments and empty lines left out. */
function blocksOf(file: string, sign: string): Block[] {
  const blocks: Block[] = [];
  const text = readFileSync(join(import.meta.dirname, "grammar", file), "utf8");
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    if (line.startsWith(`${sign} `)) {
      const head = line.slice(2).split("|");
      blocks.push({ head: head.map((part) => part.trim()), lines: [] });
      continue;
    }
    const block = blocks.at(-1);
    if (block !== undefined) block.lines.push(line);
  }
  return blocks;
}

function labelsOf(text: string): Behaviour["labels"] {
  const entries = text.split(",").map((part) => {
    const [name, value] = part.trim().split(" ");
    const head = HEADS.find((candidate) => candidate === name);
    assert(head !== undefined, `${text}: no head ${name}`);
    return [head, Number(value)] as const;
  });
  return Object.fromEntries(entries);
}

function readExchanges(): readonly Exchange[] {
  const lists = new Map(
    blocksOf("conversations.txt", "@").map(({ head, lines }) => {
      const end = lines.findIndex((line) => line.startsWith("= "));
      return [`@${head[0]!}`, end < 0 ? lines : lines.slice(0, end)] as [string, string[]];
    }),
  );
  const parts = (lines: readonly string[], sign: string): string[] =>
    lines
      .filter((line) => line.startsWith(`${sign} `))
      .map((line) => line.slice(2))
      .flatMap((line) => lists.get(line) ?? [line]);
  return blocksOf("conversations.txt", "=").map(({ head, lines }): Exchange => {
    const [name, kind, answers] = head;
    assert(kind === "harm" || kind === "fine", `${name}: ${kind}`);
    return {
      name: name!,
      unsafe: kind === "harm" ? 1 : 0,
      before: parts(lines, "<").map((line) => line.split(" / ")),
      answers: parts(lines, ">"),
      replyTo: answers === undefined ? undefined : Number(answers.replace("answers ", "")),
    };
  });
}
