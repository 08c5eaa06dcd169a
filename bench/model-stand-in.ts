/**
 * What stands in for a language model in benchmarks, as cheaply as can be: it finds the cases of a
 * prompt (src/llm/fence.ts) and judges all of them alike. A message of a benchmark ends with its
 * marker in brackets, `(c17)`; the reason of the answer names it, so that whoever is answered can
 * tell its own answer from another's, and says how long the upstream itself took.
 */
import { CATEGORIES } from "#model/moderation.ts";

export type AskedCase = { readonly id: string; readonly marker: string };

/** In a prompt, and in the JSON of a request, where a line's end is two characters. */
const CASE = /\(([\w.-]+)\)(?:\\n|\n)#[0-9a-f]+ end of case ([0-9a-f]+-\d+)/g;
const REASON = /([\w.-]+) took ([\d.]+) ms/;
const SCORES = JSON.stringify(Object.fromEntries(CATEGORIES.map((category) => [category, 0.1])));

export const USAGE = { promptTokens: 200, completionTokens: 60, cachedTokens: 0 };

export function casesOf(prompt: string): readonly AskedCase[] {
  const cases: AskedCase[] = [];
  for (const [, marker, id] of prompt.matchAll(CASE)) cases.push({ id: id!, marker: marker! });
  return cases;
}

/** The content of an answer; `tookMs`: from the request's last byte on. */
export function contentOf(cases: readonly AskedCase[], tookMs: number): string {
  const took = tookMs.toFixed(3);
  const answers = cases.map(({ id, marker }) => {
    return `{"id":"${id}","scores":${SCORES},"reason":"${marker} took ${took} ms"}`;
  });
  return `{"answers":[${answers.join(",")}]}`;
}

/** What the reason of an answer says; undefined: it is none of ours. */
export function readReason(
  reason: string,
): { readonly marker: string; readonly tookMs: number } | undefined {
  const [, marker, took] = REASON.exec(reason) ?? [];
  return marker === undefined ? undefined : { marker, tookMs: Number(took) };
}

/** Things that fall due, by the millisecond; nothing is sorted, and nothing is looked at twice. */
export class DelayWheel<Item> {
  readonly #buckets: Item[][];
  #atMs: number;
  count = 0;

  /** `delayMsMax`: of any item. */
  constructor(delayMsMax: number, nowMs: number) {
    this.#buckets = Array.from({ length: Math.ceil(delayMsMax) + 2 }, () => []);
    this.#atMs = Math.floor(nowMs);
  }

  add(item: Item, delayMs: number, nowMs: number): void {
    if (this.count === 0) this.#atMs = Math.max(this.#atMs, Math.floor(nowMs));
    // What is late has not been taken yet, so the wheel may stand behind the clock.
    const dueMs = Math.max(Math.ceil(nowMs + delayMs), this.#atMs + 1);
    if (dueMs - this.#atMs >= this.#buckets.length) this.#widen(dueMs - this.#atMs);
    this.#buckets[dueMs % this.#buckets.length]!.push(item);
    this.count += 1;
  }

  /** Hands out what is due, the oldest first. */
  run(nowMs: number, due: (item: Item) => void): void {
    if (this.count === 0) this.#atMs = Math.max(this.#atMs, Math.floor(nowMs));
    while (this.#atMs < Math.floor(nowMs)) {
      this.#atMs += 1;
      const at = this.#atMs % this.#buckets.length;
      const items = this.#buckets[at]!;
      if (items.length === 0) continue;
      this.#buckets[at] = [];
      this.count -= items.length;
      for (const item of items) due(item);
    }
  }

  #widen(length: number): void {
    const before = this.#buckets.splice(0);
    for (let at = 0; at < 2 * length; at++) this.#buckets.push([]);
    for (let ms = this.#atMs + 1; ms < this.#atMs + before.length; ms++) {
      this.#buckets[ms % this.#buckets.length] = before[ms % before.length]!;
    }
  }
}
