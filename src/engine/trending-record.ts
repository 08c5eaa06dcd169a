/**
 * A tenant's window as a language model is told it, and its retelling held against the window as it
 * is when somebody reads it.
 *
 * The record is lines with numbers: one of the whole window, one a term, the quotations. A line is
 * its shape (the text, each number left out) and its numbers in their order; what it is about is
 * its id. So "the first number of the line of `boss`" is a place that later records of the tenant
 * have, too, and the mentions of `boss` stay that. The extractive TL;DR's own statement is not
 * told: its numbers are those of the lines, or follow from them.
 *
 * The upstream's sentences are of one record, and windows move on. The rule that keeps them true:
 *   - each number they say is bound to every place of their own record that has this number; one
 *     that has no place is refused, and all of the retelling with it
 *   - it is shown with a later record only if all of these places are still there and still have
 *     one and the same number. If that is another number than it was, the new one is said instead;
 *     it takes its form from the line. A number of words, or in another form, cannot change so
 *   - one of something stays one: grammar depends on it
 *   - every term that is named is still listed, and stands out if it did; those named are in the
 *     same order, and who led still leads
 * Else the extractive text stands. Which place a model meant is not known, so all must agree.
 */
import { TLDR_TERMS_MAX, TERM_BYTES_MAX, RETOLD_TEXT_BYTES_MAX } from "#model/limits.ts";
import type { PromptPart } from "#model/prompt-parts.ts";
import { cutToBytes } from "#model/text-bytes.ts";
import type { Retold } from "#model/trending-answer.ts";
import type { TrendingReport, TrendItem, TrendOrder } from "#model/trending.ts";
import { quantitiesOf, type Quantity } from "#llm/number-check.ts";
import { hash } from "node:crypto";

type Fact = { readonly id: string; readonly part: PromptPart; readonly isTold: boolean };

type Line = { readonly shape: string; readonly quantities: readonly Quantity[] };

/** A number of a line. */
type Place = {
  readonly id: string;
  readonly shape: string;
  readonly index: number;
  /** How the line says it. */
  readonly said: string;
};

/** A number of a sentence. */
type Slot = {
  readonly at: number;
  readonly said: string;
  readonly value: Quantity["value"];
  readonly places: readonly Place[];
  /** Whether another number can stand there. */
  readonly isLive: boolean;
};

type Sentence = { readonly text: string; readonly slots: readonly Slot[] };

/** Stands for a number in a shape, and for nothing else. */
const NUMBER_MARK = "\u0000";
/** Of the extractive TL;DR, whatever component wrote it, and samples of terms beside them. */
const SENTENCES_MAX = 6;
const SAMPLES_MAX = 4;

export class TrendingRecord {
  readonly parts: readonly PromptPart[];
  /** Of the lines that they are; others are there to be looked up. */
  readonly toldIds: readonly string[];
  readonly windowEndMs: number;
  /** What is listed, what leads first, and whether it stands out. */
  readonly terms: ReadonlyMap<string, boolean>;
  readonly #facts: ReadonlyMap<string, PromptPart>;
  /** Those that somebody asked for: a look needs few of them. */
  readonly #lines = new Map<string, Line>();

  /** `order`: that the report was asked in. */
  constructor(report: TrendingReport, order: TrendOrder = "trend") {
    const items = order === "trend" ? report.items : report.items.toSorted(byStanding);
    const facts = factsOf(report, items);
    const told = facts.filter(({ isTold }) => isTold);
    this.parts = told.map(({ part }) => part);
    this.toldIds = told.map(({ id }) => id);
    this.windowEndMs = report.windowEndMs;
    this.terms = new Map(items.map(({ term, trending }) => [term, trending]));
    this.#facts = new Map(facts.map(({ id, part }) => [id, part]));
  }

  line(id: string): Line | undefined {
    const known = this.#lines.get(id);
    const part = this.#facts.get(id);
    if (known !== undefined || part === undefined) return known;
    const line = lineOf(`${part.name} ${part.text}`);
    this.#lines.set(id, line);
    return line;
  }

  /** Of all that is told: the same digest, the same question. */
  get digest(): string {
    return hash("sha256", JSON.stringify(this.parts), "base64url");
  }
}

/** The upstream's sentences, bound to the record they were written from. */
export class BoundRetelling {
  readonly model: string;
  readonly #sentences: readonly Sentence[];
  /** The terms that are named, in their order, and whether they stood out. */
  readonly #terms: readonly (readonly [string, boolean])[];
  /** Whether the first of them led all. */
  readonly #isLead: boolean;

  private constructor(
    record: TrendingRecord,
    sentences: readonly Sentence[],
    terms: readonly (readonly [string, boolean])[],
    model: string,
  ) {
    this.model = model;
    this.#sentences = sentences;
    this.#terms = terms;
    this.#isLead = terms.length > 0 && terms[0]![0] === leadOf(record);
  }

  /** Undefined: they say nothing, or a number that the record has not. */
  static bind(
    said: readonly string[],
    record: TrendingRecord,
    model: string,
  ): BoundRetelling | undefined {
    const texts = said.map(plainText).filter((text) => text !== "");
    if (texts.length === 0) return undefined;
    const placesOf = placesByNumber(record);
    const sentences: Sentence[] = [];
    for (const text of texts) {
      const slots = slotsOf(text, placesOf);
      if (slots === undefined) return undefined;
      sentences.push({ text, slots });
    }
    const all = texts.join(" ").toLowerCase();
    const terms = [...record.terms].filter(([term]) => all.includes(term.toLowerCase()));
    const bound = new BoundRetelling(record, sentences, terms, model);
    return bound.of(record) === undefined ? undefined : bound;
  }

  /** In the numbers of the record; undefined: it is not true of that one. */
  of(record: TrendingRecord): Retold | undefined {
    if (!this.#namesTruly(record)) return undefined;
    const sentences: string[] = [];
    const numbers: Quantity["value"][] = [];
    for (const sentence of this.#sentences) {
      const text = sayNow(sentence, record, numbers);
      if (text === undefined) return undefined;
      sentences.push(text);
    }
    return saysOnly(sentences.join(" "), numbers) ? { sentences, model: this.model } : undefined;
  }

  #namesTruly(record: TrendingRecord): boolean {
    if (this.#isLead && this.#terms[0]![0] !== leadOf(record)) return false;
    let next = 0;
    for (const [term, standsOut] of record.terms) {
      const named = this.#terms[next];
      if (named?.[0] === term && named[1] === standsOut) next += 1;
    }
    return next === this.#terms.length;
  }

  /** About what it takes in memory. */
  get bytes(): number {
    let bytes = 100 * (1 + this.#terms.length);
    for (const { text, slots } of this.#sentences) {
      bytes += 2 * text.length + 100;
      for (const { places } of slots) bytes += 100 + 150 * places.length;
    }
    return bytes;
  }
}

function leadOf({ terms }: TrendingRecord): string | undefined {
  return terms.keys().next().value;
}

/** As a tenant's component orders by trend. */
function byStanding(left: TrendItem, right: TrendItem): number {
  if (left.trending !== right.trending) return left.trending ? -1 : 1;
  return standing(right) - standing(left);
}

function standing({ trending, significance, count }: TrendItem): number {
  return trending ? significance * Math.log(1 + count) : count;
}

function factsOf(report: TrendingReport, items: readonly TrendItem[]): readonly Fact[] {
  const { eventCount, userCount, userCountError } = report;
  const sentences = report.sentences.slice(0, SENTENCES_MAX);
  const messages = `${eventCount} ${eventCount === 1 ? "message" : "messages"}`;
  const size = `${messages}${people(userCount, userCountError)} in the last 60 seconds`;
  const facts = [factOf("window", "all", size)];
  for (const [rank, item] of items.entries()) {
    const term = cutToBytes(item.term, TERM_BYTES_MAX);
    facts.push(factOf(`term ${item.term}`, `“${term}”`, itemText(item), rank < TLDR_TERMS_MAX));
  }
  const quotes = new Map<string, Fact>();
  for (const { text, eventId } of sentences) if (eventId !== undefined) addQuote(quotes, text);
  const quoteCountMax = quotes.size + SAMPLES_MAX;
  for (const { sample } of items.slice(0, TLDR_TERMS_MAX)) {
    const isSaid = sentences.some(({ text }) => text.includes(sample));
    if (sample !== "" && !isSaid && quotes.size < quoteCountMax) addQuote(quotes, sample);
  }
  return [...facts, ...quotes.values()];
}

function factOf(id: string, name: string, text: string, isTold = true): Fact {
  return { id, part: { kind: "fact", name, text }, isTold };
}

/** It is about itself: with other words it is another line. */
function addQuote(quotes: Map<string, Fact>, said: string): void {
  const text = cutToBytes(said, RETOLD_TEXT_BYTES_MAX);
  quotes.set(text, factOf(`quote ${text}`, "somebody said", text));
}

function itemText(item: TrendItem): string {
  const { count, countLow, countHigh, exact, userCount, userCountError, expected } = item;
  const mentions = count === 1 ? "mention" : "mentions";
  const many = exact ? `${count}` : `at least ${countLow} and at most ${countHigh}`;
  const usual = `usually ${expected.toFixed(1)}`;
  const standing = item.trending ? "it stands out" : "nothing out of the ordinary";
  return `${many} ${mentions}${people(userCount, userCountError)}, ${usual}; ${standing}`;
}

function people(count: number, error: number): string {
  if (count === 0) return "";
  return ` by ${error > 0 ? "about " : ""}${count} ${count === 1 ? "person" : "people"}`;
}

function lineOf(text: string): Line {
  const normal = text.normalize("NFKC").replaceAll(NUMBER_MARK, " ");
  const quantities = [...quantitiesOf(text)];
  let shape = "";
  let end = 0;
  for (const { at, said } of quantities) {
    shape += normal.slice(end, at) + NUMBER_MARK;
    end = at + said.length;
  }
  return { shape: shape + normal.slice(end), quantities };
}

function placesByNumber(record: TrendingRecord): ReadonlyMap<Quantity["value"], readonly Place[]> {
  const places = new Map<Quantity["value"], Place[]>();
  for (const id of record.toldIds) {
    const { shape, quantities } = record.line(id)!;
    for (const [index, { value, said }] of quantities.entries()) {
      const place = { id, shape, index, said };
      const others = places.get(value);
      if (others === undefined) places.set(value, [place]);
      else others.push(place);
    }
  }
  return places;
}

/** Undefined: a number has no place. */
function slotsOf(
  text: string,
  placesOf: ReadonlyMap<Quantity["value"], readonly Place[]>,
): readonly Slot[] | undefined {
  const isNormal = text.normalize("NFKC") === text;
  const slots: Slot[] = [];
  for (const { value, said, at } of quantitiesOf(text)) {
    const places = placesOf.get(value);
    if (places === undefined) return undefined;
    const isLive = isNormal && /^\p{Nd}/u.test(said) && places.some((each) => each.said === said);
    slots.push({ at, said, value, places, isLive });
  }
  return slots;
}

/** Adds the numbers that it says to `numbers`. */
function sayNow(
  { text, slots }: Sentence,
  record: TrendingRecord,
  numbers: Quantity["value"][],
): string | undefined {
  let now = "";
  let end = 0;
  for (const slot of slots) {
    const number = numberNow(slot, record);
    if (number === undefined) return undefined;
    numbers.push(number.value);
    if (number.said === slot.said) continue;
    now += text.slice(end, slot.at) + number.said;
    end = slot.at + slot.said.length;
  }
  return now + text.slice(end);
}

/** The number, and how it is said, now; undefined: its places are gone, or do not agree. */
function numberNow(
  slot: Slot,
  record: TrendingRecord,
): Pick<Quantity, "value" | "said"> | undefined {
  let now: Quantity | undefined;
  for (const { id, shape, index, said } of slot.places) {
    const line = record.line(id);
    const quantity = line?.shape === shape ? line.quantities[index] : undefined;
    if (quantity === undefined) return undefined;
    if (now !== undefined && now.value !== quantity.value) return undefined;
    if (now === undefined || said === slot.said) now = quantity;
  }
  if (now === undefined || now.value === slot.value) return slot;
  const staysMany = now.value !== 1 && slot.value !== 1;
  return slot.isLive && staysMany ? now : undefined;
}

/** Numbers must not have run together with what stands beside them: "5" and "% of all". */
function saysOnly(text: string, numbers: readonly Quantity["value"][]): boolean {
  const said = [...quantitiesOf(text)];
  return (
    said.length === numbers.length && said.every(({ value }, index) => value === numbers[index])
  );
}

/** One line, nothing that is not to be seen. */
export function plainText(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[[\p{Cc}\u202a-\u202e\u2066-\u2069]--\s]/gv, "")
    .replaceAll(/\s+/g, " ")
    .trim();
}
