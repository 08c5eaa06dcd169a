/**
 * Events to measure with: chat lines, users and tenants, the same for the same seed.
 *
 * Texts are real chat (the IRC logs of the parameter `corpus`) where the logs are there, else made
 * of invented words with Zipf frequencies. Users and tenants are drawn apart from the texts: a few
 * thousand lines have to stand for millions, and one person who says the same line twice is damped
 * by the product, which would make the load easier than it is.
 */
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { Random } from "#std/random.ts";
import { REPOSITORY } from "./machine.ts";

export type Corpus = { readonly name: string; readonly texts: readonly string[] };

/** Where the logs lie beside a checkout, if somebody put them there. */
export const IRC_LOGS = join(REPOSITORY, "../shared/data/irc_disentanglement");
const IRC_LINE = /^\[\d\d:\d\d\] <[^>]+> (.+)$/;
const IRC_TEXTS_MIN = 1_000;

const SEEDED_TEXTS = 20_000;
const SEEDED_WORDS = 5_000;
const USERS = 20_000;

/**
 * `choice`: `auto`, `seeded`, `terms` (one term a text), or a folder with `*.txt` IRC logs of the
 * form `[HH:MM] <nick> text`.
 */
export function loadCorpus(choice: string, seed: number): Corpus {
  if (choice === "terms") return { name: "terms", texts: singleTerms(new Random(seed)) };
  if (choice !== "seeded") {
    const texts = readLogs(choice === "auto" ? IRC_LOGS : resolve(choice));
    if (texts.length >= IRC_TEXTS_MIN) return { name: "irc", texts };
    if (choice !== "auto") throw new Error(`corpus=${choice}: found ${texts.length} chat lines.`);
  }
  return { name: "seeded", texts: seededTexts(new Random(seed), SEEDED_TEXTS) };
}

export type StreamEvent = { readonly tenant: number; readonly user: string; readonly text: string };

/** An endless stream of events; two streams of one seed are equal. */
export class EventStream {
  readonly #random: Random;
  readonly #tenants: Zipf;
  readonly #users: Zipf;
  readonly #corpus: Corpus;

  constructor(options: { seed: number; corpus: Corpus; tenantCount: number; exponent: number }) {
    this.#random = new Random(options.seed);
    this.#tenants = new Zipf(options.tenantCount, options.exponent);
    this.#users = new Zipf(USERS, 0.8);
    this.#corpus = options.corpus;
  }

  next(): StreamEvent {
    const tenant = this.#tenants.draw(this.#random);
    return { tenant, user: this.user(), text: this.text() };
  }

  tenant(): number {
    return this.#tenants.draw(this.#random);
  }

  user(): string {
    return `user${this.#users.draw(this.#random)}`;
  }

  text(): string {
    return this.#corpus.texts[this.#random.below(this.#corpus.texts.length)]!;
  }
}

export function tenantName(tenant: number): string {
  return `tenant-${String(tenant).padStart(6, "0")}`;
}

/** Draws 0 … count-1 with probability proportional to 1 / (rank + 1)^exponent. */
export class Zipf {
  readonly #cumulative: Float64Array;

  constructor(count: number, exponent: number) {
    this.#cumulative = new Float64Array(count);
    let sum = 0;
    for (let rank = 0; rank < count; rank++) {
      sum += 1 / (rank + 1) ** exponent;
      this.#cumulative[rank] = sum;
    }
  }

  draw(random: Random): number {
    const cumulative = this.#cumulative;
    const target = random.unit() * cumulative[cumulative.length - 1]!;
    let low = 0;
    let high = cumulative.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (cumulative[middle]! > target) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/**
 * Messages of 4 to 12 different words of plain lower-case letters: whatever cuts text into words
 * cuts these alike, so two systems that count them can be held against each other.
 */
export function seededTexts(random: Random, count: number): string[] {
  const words = inventWords(random, SEEDED_WORDS);
  const zipf = new Zipf(words.length, 1);
  return Array.from({ length: count }, () => {
    const message = new Set<string>();
    const wordCount = 4 + random.below(9);
    while (message.size < wordCount) message.add(words[zipf.draw(random)]!);
    return [...message].join(" ");
  });
}

/** What `bench/datagram-pool.ts` sends as records, as texts. */
function singleTerms(random: Random): string[] {
  const law = new Zipf(1_000, 1.1);
  return Array.from({ length: SEEDED_TEXTS }, () => `word-${law.draw(random)}`);
}

function inventWords(random: Random, count: number): string[] {
  const words = new Set<string>();
  while (words.size < count) {
    let word = "";
    const syllables = 3 + random.below(2);
    for (let i = 0; i < syllables; i++) {
      word += "bdfgklmnprstvz"[random.below(14)]! + "aeiou"[random.below(5)]!;
    }
    words.add(word);
  }
  return [...words];
}

function readLogs(folder: string): string[] {
  const files = globSync("**/*.txt", { cwd: folder }).toSorted();
  return files.flatMap((file) => {
    const lines = readFileSync(join(folder, file), "utf8").split("\n");
    return lines.flatMap((line) => IRC_LINE.exec(line)?.[1] ?? []);
  });
}
