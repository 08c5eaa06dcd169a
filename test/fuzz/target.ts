/** What can be fuzzed: a parser, inputs to begin with, and what must hold of every input. */
import type { Random } from "#std/random.ts";

export type FuzzSubject = {
  /** Right inputs, and those that were wrong once: others are made of them. */
  readonly seeds: readonly Uint8Array[];
  /** Bytes that mean something to the parser. */
  readonly dictionary: readonly (string | Uint8Array)[];
  /** A new input by the parser's own grammar. */
  readonly generate?: (random: Random) => Uint8Array;
  /** Another input from this one, by its structure; beside those of mutate.ts. */
  readonly mutate?: (random: Random, input: Uint8Array) => Uint8Array;
  /**
   * Throws if something does not hold. Else what became of the input, in a few words: an input
   * that made something new happen is kept, and others are made of it. The same input gives the
   * same words.
   */
  readonly check: (input: Uint8Array) => string | Promise<string>;
  readonly close?: () => void | Promise<void>;
};

export type FuzzTarget = {
  readonly sentence: string;
  /** Of the short form. */
  readonly caseCount: number;
  /** What an input does stays, so the same one may end otherwise the next time. */
  readonly remembers?: boolean;
  /** An input may take so much CPU at most. */
  readonly msMax?: number;
  /** Undefined: not on this machine, and why. */
  readonly missing?: () => string | false;
  readonly open: () => FuzzSubject | Promise<FuzzSubject>;
};
