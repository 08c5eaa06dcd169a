/**
 * What a scenario is made of and what it leaves behind.
 *
 * A scenario does a fixed amount of seeded work, several times, and records two kinds of things:
 * figures (`record`: they differ from run to run; the report shows median, least and greatest) and
 * facts (`fact`: counts that follow from the seed alone). Facts must be the same in every run, and
 * their hash is printed: two reports with one hash did the same work. A fact that differs, or an
 * answer that is not the right one, is a WrongAnswer, and a wrong answer fails the run however fast
 * it was.
 *
 * Variants are compared in alternation (ABC, BCA, CAB, …), so that a machine that gets slower or
 * busier meanwhile is unfair to all of them alike.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Machine } from "./machine.ts";
import { summarize, type Summary } from "./statistics.ts";

export type ParameterSpec = {
  readonly full: number | string;
  /** What a smoke run uses: seconds in all, figures without meaning. */
  readonly quick: number | string;
  readonly sentence: string;
};

export type Scenario = {
  readonly name: string;
  readonly sentence: string;
  readonly parameters: Readonly<Record<string, ParameterSpec>>;
  readonly run: (bench: Bench) => Promise<void>;
};

export type Report = {
  readonly scenario: string;
  readonly commit: string;
  readonly machine: Machine;
  readonly startedAtMs: number;
  readonly parameters: Readonly<Record<string, number | string>>;
  readonly results: Readonly<Record<string, Summary>>;
  readonly hash: string;
};

/** The caller asked for something that is not there. */
export class UsageError extends Error {}

/** The work that was timed is not the work that was asked for. */
export class WrongAnswer extends Error {}

export class Bench {
  readonly parameters: Readonly<Record<string, number | string>>;
  /** Told to people on a terminal, and to nobody else. */
  readonly progress: (line: string) => void;
  readonly #figures = new Map<string, { unit: string; values: number[] }>();
  readonly #facts = new Map<string, string>();
  readonly #findings: Record<string, number | string> = {};

  constructor(
    parameters: Readonly<Record<string, number | string>>,
    progress: (line: string) => void = () => undefined,
  ) {
    this.parameters = parameters;
    this.progress = progress;
  }

  number(name: string): number {
    const value = this.parameters[name];
    assert(typeof value === "number", `${name} is a number`);
    return value;
  }

  text(name: string): string {
    const value = this.parameters[name];
    assert(value !== undefined);
    return String(value);
  }

  /** One run's figure. */
  record(name: string, value: number, unit: string): void {
    assert(Number.isFinite(value), `${name} is ${value}`);
    const figure = this.#figures.get(name) ?? { unit, values: [] };
    assert.equal(figure.unit, unit);
    figure.values.push(value);
    this.#figures.set(name, figure);
  }

  /** A count that follows from the parameters alone; goes into the hash. */
  fact(name: string, value: number | string): void {
    const before = this.#facts.get(name);
    if (before !== undefined && before !== String(value)) {
      throw new WrongAnswer(`${name} was ${before} in one run and ${value} in another`);
    }
    this.#facts.set(name, String(value));
  }

  /** A parameter that only the run could decide, such as which texts were there to use. */
  found(name: string, value: number | string): void {
    this.#findings[name] = value;
  }

  findings(): Readonly<Record<string, number | string>> {
    return this.#findings;
  }

  results(): Record<string, Summary> {
    const entries = [...this.#figures].map(([name, { unit, values }]) => {
      return [name, summarize(values, unit)] as const;
    });
    return Object.fromEntries(entries);
  }

  hash(): string {
    const lines = [...this.#facts].map(([name, value]) => `${name}=${value}\n`).toSorted();
    return createHash("sha256").update(lines.join("")).digest("hex").slice(0, 16);
  }
}

/** A figure or a count is what it must be, or the run fails. */
export function expectEqual(what: string, got: unknown, want: unknown): void {
  if (Object.is(got, want)) return;
  throw new WrongAnswer(`${what}: got ${String(got)}, want ${String(want)}`);
}

export type Variant = { readonly name: string; readonly run: (round: number) => Promise<void> };

/** Runs every variant `rounds` times, one after the other, each round starting one further on. */
export async function alternate(rounds: number, variants: readonly Variant[]): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < variants.length; turn++) {
      await variants[(round + turn) % variants.length]!.run(round);
    }
  }
}

/**
 * The scenario's parameters with what the caller said; UsageError names what is wrong and right.
 */
export function resolveParameters(
  { name: scenario, parameters: specs }: Pick<Scenario, "name" | "parameters">,
  given: Readonly<Record<string, string>>,
  quick: boolean,
): Record<string, number | string> {
  for (const name of Object.keys(given)) {
    if (Object.hasOwn(specs, name)) continue;
    const known = Object.keys(specs).join(", ");
    throw new UsageError(`${scenario} has no parameter ${name}; it has ${known}.`);
  }
  const entries = Object.entries(specs).map(([name, spec]) => {
    const text = given[name];
    if (text === undefined) return [name, quick ? spec.quick : spec.full] as const;
    return [name, typeof spec.full === "number" ? positive(name, text) : text] as const;
  });
  return Object.fromEntries(entries);
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value > 0) return value;
  throw new UsageError(`${name} is ${JSON.stringify(text)}; use a number greater than 0.`);
}
