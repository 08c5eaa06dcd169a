/**
 * Sentences of our own, for what the corpora lack. A bag of words cannot tell abuse from its
 * denial, its quotation or its look-alike, so each behaviour comes in a pair: the same words in
 * frames that make them abuse, and in frames that do not. Only the frame can tell, and that is what
 * is learned. Frames, phrases and words lie in grammar/: `{name}` is filled from a phrase or a list
 * of words, `(a|b)` is one of both, and a sign before `?` may be left out.
 *
 * Every list of words is split in two by the hash of the word. Training fills the frames from one
 * part; the other part is never trained on in a frame, and says how far the frames carry to words
 * that were not in them. One frame in ten is held back as well.
 */
import assert from "node:assert/strict";
import { Random } from "#std/random.ts";
import { disguise } from "./disguise.ts";
import { BEHAVIOURS, EXCHANGES, PHRASES, WORDS } from "./frames.ts";
import { CLEAN, hashText, type Sample } from "./sample.ts";

/** `train`: known words in known frames. `words`: words held back. `frames`: frames held back. */
export type Part = "train" | "words" | "frames";

const HELD_WORDS_OF_TEN = 2;
const HELD_FRAMES_OF_TEN = 1;
const DEPTH_MAX = 6;
/** What people wrote counts for more. */
const WRITTEN_WEIGHT = 0.4;

const LISTS = readLists();

/** Words whose disguise is meant to get past a list. */
const HARMFUL: ReadonlySet<string> = new Set(
  ["insult", "bad", "slander", "dehuman", "swear", "slur", "slurs", "harm"].flatMap((name) => {
    const { train, held } = LISTS.get(name)!;
    return [...train, ...held].flatMap((entry) => entry.split(" "));
  }),
);

/** Sentences of the corpora that stand in for those of a phrase, every other time. */
export type Found = { readonly abuse?: readonly string[]; readonly calm?: readonly string[] };

/** Fills frames; the same seed gives the same sentences. */
export class Writer {
  readonly #random: Random;
  readonly #isHeld: boolean;
  readonly #found: Found;

  constructor(seed: number, isHeld: boolean, found: Found = {}) {
    this.#random = new Random(seed);
    this.#isHeld = isHeld;
    this.#found = found;
  }

  below(limit: number): number {
    return this.#random.below(limit);
  }

  pick<T>(list: readonly T[]): T {
    assert(list.length > 0);
    return list[this.#random.below(list.length)]!;
  }

  /** The frame as a sentence. */
  fill(frame: string): string {
    const text = this.#fill(frame, 0)
      .replace(/\s+/g, " ")
      .replace(/ ([,.!?])/g, "$1")
      .trim();
    return text.replace(/\b([aA]) (?=[aeiou])/g, "$1n ");
  }

  #fill(frame: string, depth: number): string {
    assert(depth <= DEPTH_MAX, `${frame} goes round in circles`);
    let out = "";
    for (let at = 0; at < frame.length;) {
      const letter = frame[at]!;
      if (letter === "\\" && at + 1 < frame.length) {
        out += frame[at + 1]!;
        at += 2;
      } else if (letter === "{") {
        const end = frame.indexOf("}", at);
        out += this.#slot(frame.slice(at + 1, end), depth);
        at = end + 1;
      } else if (letter === "(") {
        const end = closing(frame, at);
        out += this.#fill(this.pick(alternatives(frame.slice(at + 1, end))), depth);
        at = end + 1;
      } else if (letter === "?") {
        // The sign before it may be left out.
        if (this.#random.below(2) === 0) out = out.slice(0, -1);
        at++;
      } else {
        out += letter;
        at++;
      }
    }
    return out;
  }

  #slot(name: string, depth: number): string {
    const found = this.#found[name as keyof Found];
    if (found !== undefined && this.#random.below(2) === 0) return this.pick(found);
    const phrases = PHRASES[name];
    if (phrases !== undefined) return this.#fill(this.pick(phrases), depth + 1);
    const list = LISTS.get(name);
    assert(list !== undefined, `no list ${name}`);
    return this.pick(this.#isHeld ? list.held : list.train);
  }
}

/** `count` sentences of each behaviour. */
export function writeBehaviours(
  seed: number,
  count: number,
  part: Part,
  found: Found = {},
): Sample[] {
  const writer = new Writer(seed, part === "words", found);
  return BEHAVIOURS.flatMap((behaviour) => {
    const frames = behaviour.frames.filter((frame) => isHeldFrame(frame) === (part === "frames"));
    if (frames.length === 0) return [];
    return Array.from({ length: count }, (): Sample => {
      return {
        source: "grammar",
        text: dress(writer.fill(writer.pick(frames)), writer),
        author: "a",
        context: [],
        labels: behaviour.labels,
        unsafe: undefined,
        kind: undefined,
        weight: WRITTEN_WEIGHT,
        split: part === "train" ? "train" : "held",
        group: behaviour.name,
      };
    });
  });
}

/** Abuse in disguise, and harmless words in the same disguises; `count` of each. */
export function writeDisguises(
  seed: number,
  count: number,
  part: Part,
  plain: readonly string[],
): Sample[] {
  const writer = new Writer(seed, part === "words");
  const abuses = [...PHRASES["abuse"]!, "{groups} are {bad}", "i will {harm} you"];
  return Array.from({ length: count * 2 }, (_, index): Sample => {
    const isAbuse = index % 2 === 0;
    const said = isAbuse ? writer.fill(writer.pick(abuses)) : writer.pick(plain);
    return {
      source: "grammar",
      text: disguise(said, writer, isAbuse ? (word) => HARMFUL.has(word) : undefined),
      author: "a",
      context: [],
      labels: isAbuse ? { toxic: 1, sexual: 0, selfHarm: 0 } : CLEAN,
      unsafe: undefined,
      kind: undefined,
      weight: WRITTEN_WEIGHT,
      split: part === "train" ? "train" : "held",
      group: isAbuse ? "disguised abuse" : "disguised harmless",
    };
  });
}

/** Ordinary lines. */
export function writePlain(seed: number, count: number): string[] {
  const writer = new Writer(seed, false);
  return Array.from({ length: count }, () => dress(writer.fill("{calm}"), writer));
}

/** `count` conversations of each kind; the last turn is judged. */
export function writeExchanges(
  seed: number,
  count: number,
  part: Part,
  found: Found = {},
): Sample[] {
  const writer = new Writer(seed, part === "words", found);
  return EXCHANGES.flatMap(({ name, unsafe, before, answers, replyTo }) => {
    const frames = answers.filter((frame) => isHeldFrame(frame) === (part === "frames"));
    if (frames.length === 0) return [];
    return Array.from({ length: count }, (): Sample => {
      const context = writer.pick(before).map((line) => {
        return { author: line[0]!, text: dress(writer.fill(line.slice(3)), writer) };
      });
      return {
        source: "grammar",
        text: dress(writer.fill(writer.pick(frames)), writer),
        author: "b",
        context,
        ...(replyTo === undefined ? {} : { replyTo }),
        labels: {},
        unsafe,
        kind: undefined,
        weight: 0.4,
        split: part === "train" ? "train" : "held",
        group: name,
      };
    });
  });
}

export function isHeldFrame(frame: string): boolean {
  return hashText(frame, 3) % 10 < HELD_FRAMES_OF_TEN;
}

/** A sentence as people type it: with a capital, a full stop, shouting, or none of it. */
export function dress(text: string, writer: Writer): string {
  const way = writer.below(12);
  const end = /[.!?]$/.test(text) ? "" : writer.pick(["", "", "", ".", ".", "!", "!!", " lol"]);
  const said = text + (way === 0 && end === " lol" ? "" : end);
  if (way === 0) return said.toUpperCase();
  if (way < 6) return said;
  return said[0]!.toUpperCase() + said.slice(1);
}

type List = { readonly train: readonly string[]; readonly held: readonly string[] };

function readLists(): ReadonlyMap<string, List> {
  const lists = new Map<string, List>();
  const add = (name: string, words: readonly string[]): void => {
    const isHeld = (word: string) => hashText(word, 1) % 10 < HELD_WORDS_OF_TEN;
    lists.set(name, {
      train: words.filter((word) => !isHeld(word)),
      held: words.filter((word) => isHeld(word)),
    });
  };
  for (const [name, words] of WORDS) add(name, words);
  const derive = (name: string, from: string, change: (word: string) => string): void => {
    const list = lists.get(from)!;
    lists.set(name, { train: list.train.map(change), held: list.held.map(change) });
  };
  derive("slurs", "slur", plural);
  derive("jobs", "job", plural);
  derive("item", "thing", (word) => word.replace(/^(?:this|the|my|that) /, ""));
  return lists;
}

function plural(word: string): string {
  if (/(?:s|x|ch|sh)$/.test(word)) return `${word}es`;
  return /[^aeiou]y$/.test(word) ? `${word.slice(0, -1)}ies` : `${word}s`;
}

/** Index of the bracket that closes the one at `at`. */
function closing(frame: string, at: number): number {
  let depth = 0;
  for (let index = at; index < frame.length; index++) {
    if (frame[index] === "(") depth++;
    if (frame[index] === ")" && --depth === 0) return index;
  }
  throw new Error(`${frame} has an open bracket`);
}

function alternatives(text: string): string[] {
  const parts = [""];
  let depth = 0;
  for (const letter of text) {
    if (letter === "(") depth++;
    if (letter === ")") depth--;
    if (letter === "|" && depth === 0) parts.push("");
    else parts[parts.length - 1] += letter;
  }
  return parts;
}
