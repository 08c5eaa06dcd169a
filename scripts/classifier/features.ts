/**
 * The features of a message, as the moderator itself makes them: the guest's own code, compiled
 * alone (guests/moderate/assembly/probe.ts), over the classifier's own module. Nothing of reading
 * or of features is written a second time here, so training and judging cannot differ.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ClassifierRows,
  type FeatureProbe,
  openProbe,
} from "../../guests/moderate/testing/probe.ts";
import type { Sample } from "./sample.ts";
import type { Examples } from "./trainer.ts";
import { MESSAGE_LOG2, REPLY_LOG2, type Weights } from "./weights.ts";

const CLASSIFIER = join(import.meta.dirname, "..", "..", "classifier", "dist", "classifier.wasm");
const CLASSIFIER_PAGES = 97;
const TEXT_BYTES_MAX = 16 * 1024;
const TURNS_MAX = 6;

const RELATION_PREVIOUS = 1;
const RELATION_REPLIED_TO = 2;
const RELATION_SAME_AUTHOR = 4;
const FLAG_BANTER = 1;

/** Of a span: bytes, UTF-16 units and code points, from and to, then its weight. */
const SPAN_BYTES = 28;
const SPAN_CODE_POINTS_AT = 16;

/** Marks a feature of what was said before; trainer.ts multiplies by it. */
const BEFORE = 0x80000000;
const BANTER_TURNS_MIN = 3;
const HOSTILE_FROM = 0.6;

export const COMBINED_INPUTS = 14;

export type MessageScore = {
  /** Before calibration, one a lane. */
  readonly raw: readonly number[];
  readonly scores: readonly number[];
};

export type ReplyScore = {
  readonly raw: number;
  readonly unsafe: number;
  readonly combined: number;
  readonly inputs: readonly number[];
};

export class Features {
  readonly #probe: FeatureProbe;
  readonly #weights: Uint8Array;
  readonly #encoder = new TextEncoder();

  /** With weights of its own, which are zero until some are bound. */
  static async open(): Promise<Features> {
    const memory = new WebAssembly.Memory({
      initial: CLASSIFIER_PAGES,
      maximum: CLASSIFIER_PAGES,
      shared: true,
    });
    const classifier = new WebAssembly.Module(readFileSync(CLASSIFIER));
    const { exports } = new WebAssembly.Instance(classifier, { env: { memory } });
    const { messageRow, replyRow, parameter } = exports;
    const rows = { "message-row": messageRow, "reply-row": replyRow, parameter };
    const probe = await openProbe(rows as ClassifierRows);
    return new Features(probe, new Uint8Array(memory.buffer));
  }

  private constructor(probe: FeatureProbe, weights: Uint8Array) {
    this.#probe = probe;
    this.#weights = weights;
  }

  bind(weights: Weights): void {
    this.#weights.set(weights.bytes);
  }

  /** Adds the features of a message to the row that is being written. */
  message(text: string, examples: Examples, scales: readonly number[]): void {
    const count = this.#probe.messageFeatureList(this.#write(text));
    this.#add(count, examples, scales, 2 ** MESSAGE_LOG2 - 1);
  }

  /**
   * Adds the features of a message as an answer, the message's own among them. `hides`: what is
   * left out, for figures.
   */
  reply(
    sample: Sample,
    examples: Examples,
    scales: readonly number[],
    hides: "nothing" | "context" | "answer" = "nothing",
  ): void {
    const probe = this.#probe;
    const mask = 2 ** REPLY_LOG2 - 1;
    const text = hides === "answer" ? "" : sample.text;
    const before = hides === "context" ? [] : sample.context;
    this.#add(probe.messageFeatureList(this.#write(text)), examples, scales, mask);
    if (before.length > 0) {
      const count = probe.contextFeatureList(this.#write(answeredBy(sample).text));
      this.#add(count, examples, scales, mask, BEFORE);
    }
    const slots = this.#turns({ ...sample, context: before });
    const count = probe.replyFeatureList(this.#write(text), slots, 0);
    this.#add(count, examples, scales, mask);
  }

  score(text: string): MessageScore {
    const at = this.#probe.scoreMessage(this.#write(text), 0);
    const view = new DataView(this.#probe.memory.buffer, at, 64);
    const numbers = Array.from({ length: 16 }, (_, index) => view.getFloat32(index * 4, true));
    return { raw: numbers.slice(0, 8), scores: numbers.slice(8) };
  }

  /** The spans that carry a head's score, as code points, the end exclusive. */
  spans(text: string, lane: number): readonly (readonly [from: number, to: number])[] {
    this.#probe.scoreMessage(this.#write(text), 0);
    const count = this.#probe.spans(lane);
    const view = new DataView(this.#probe.memory.buffer, this.#probe.spansAt(), count * SPAN_BYTES);
    return Array.from({ length: count }, (_, index) => {
      const at = index * SPAN_BYTES + SPAN_CODE_POINTS_AT;
      return [view.getUint32(at, true), view.getUint32(at + 4, true)] as const;
    });
  }

  /** The message in its conversation; needs bound weights. */
  scoreReply(sample: Sample): ReplyScore {
    const probe = this.#probe;
    const flags = this.#isBanter(sample) ? FLAG_BANTER : 0;
    const slots = this.#turns(sample);
    const at = probe.scoreReply(this.#write(sample.text), slots, flags);
    const view = new DataView(probe.memory.buffer, at, 12);
    const inputs = new Float64Array(
      probe.memory.buffer.slice(
        probe.combinedInputs(),
        probe.combinedInputs() + COMBINED_INPUTS * 8,
      ),
    );
    return {
      raw: view.getFloat32(0, true),
      unsafe: view.getFloat32(4, true),
      combined: view.getFloat32(8, true),
      inputs: [...inputs],
    };
  }

  /** Whether these two have been friendly so far: as context.ts of the guest. */
  #isBanter({ author, context }: Sample): boolean {
    const own = context.filter((turn) => turn.author === author).length;
    const others = new Set(context.map((turn) => turn.author).filter((name) => name !== author));
    if (context.length < BANTER_TURNS_MIN || own === 0 || others.size !== 1) return false;
    return context.every(({ text }) => this.score(text).scores[0]! < HOSTILE_FROM);
  }

  /** Traces of what was said before, the newest first; how many. */
  #turns(sample: Sample): number {
    const { context, replyTo } = sample;
    const newest = context.map((turn, index) => ({ turn, index })).toReversed();
    const read = newest.slice(0, TURNS_MAX);
    for (const [slot, { turn, index }] of read.entries()) {
      this.#probe.traceTo(slot, this.#write(turn.text));
      const isSame = turn.author === sample.author;
      const relation =
        (slot === 0 ? RELATION_PREVIOUS : 0) +
        (index === replyTo ? RELATION_REPLIED_TO : 0) +
        (isSame ? RELATION_SAME_AUTHOR : 0);
      this.#probe.setRelation(slot, relation);
    }
    if (read.length > 0) return read.length;
    // Nothing before: an empty turn, so that what the message says of itself still counts.
    this.#probe.traceTo(0, 0);
    return 1;
  }

  #write(text: string): number {
    const { memory } = this.#probe;
    const bytes = new Uint8Array(memory.buffer, this.#probe.textAt(), TEXT_BYTES_MAX);
    return this.#encoder.encodeInto(text, bytes).written;
  }

  #add(count: number, examples: Examples, scales: readonly number[], mask: number, mark = 0): void {
    const list = new Uint32Array(this.#probe.memory.buffer, this.#probe.listAt(), count);
    const counts = Array.from({ length: 8 }, () => 0);
    for (const feature of list) counts[feature >>> 24]!++;
    for (const feature of list) {
      const group = feature >>> 24;
      const value = scales[group]! / Math.sqrt(counts[group]!);
      if (value !== 0) examples.entry(((feature & mask) | mark) >>> 0, value);
    }
  }
}

/** The turn that is replied to, else the newest of somebody else: as `parentOf` of score.ts. */
function answeredBy({ context, author, replyTo }: Sample): Sample["context"][number] {
  if (replyTo !== undefined) return context[replyTo]!;
  return context.findLast((turn) => turn.author !== author) ?? context.at(-1)!;
}
