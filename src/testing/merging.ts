/** Streams of random events, and merges of them, for tests of the merger. */
import assert from "node:assert/strict";
import { Merger } from "#merger/merger.ts";
import { MERGE_TERMS_MAX } from "#model/limits.ts";
import type { MergeReport } from "#model/merge.ts";
import type { Span } from "#model/summary.ts";
import type { Random } from "#std/random.ts";
import type { Stream } from "./portable-sketch.ts";

export const merger = new Merger();

export type Shape = { users: number; names: number; terms: number; wide: boolean };

/** Whole samples and counts, so that no sum depends on its order. */
export function randomStream(random: Random, shape: Shape): Stream {
  const list = (count: number, make: () => number) => Array.from({ length: count }, make);
  const events = 1 + random.below(600);
  const sample = () => {
    if (random.chance(1, 10)) return 0;
    const magnitude = 2 ** Math.floor(random.unit() * (shape.wide ? 37 : 8));
    const value = Math.ceil(magnitude * (1 + random.unit()));
    return random.chance(1, 4) ? -value : value;
  };
  const names = list(random.below(shape.names > 9 ? 12 : 4), () => random.below(shape.names));
  const said = list(random.below(30), () => random.below(shape.terms));
  const start = 5_000 * random.below(1_000);
  return {
    startMs: start,
    endMs: start + 5_000 * (1 + random.below(12)),
    counts: [events, events, ...list(4, () => random.below(9))],
    users: [...new Set(list(random.below(events), () => 1 + random.below(shape.users)))],
    metrics: new Map(
      names.map((name) => [
        `metric ${name}`,
        list(random.below(shape.wide ? 250 : 50) + 1, sample),
      ]),
    ),
    terms: new Map(said.map((number) => [`terme é${number}`, 1 + random.below(50)])),
  };
}

export function together(streams: readonly Stream[]): Stream {
  const samples = Map.groupBy(
    streams.flatMap((one) => [...one.metrics]),
    ([name]) => name,
  );
  const counts = Map.groupBy(
    streams.flatMap((one) => [...one.terms]),
    ([term_]) => term_,
  );
  const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);
  return {
    startMs: Math.min(...streams.map(({ startMs }) => startMs)),
    endMs: Math.max(...streams.map(({ endMs }) => endMs)),
    counts: [0, 1, 2, 3, 4, 5].map((index) => sum(streams.map((one) => one.counts[index]!))),
    users: [...new Set(streams.flatMap((one) => one.users))],
    metrics: new Map([...samples].map(([name, parts]) => [name, parts.flatMap(([, all]) => all)])),
    terms: new Map([...counts].map(([name, parts]) => [name, sum(parts.map(([, n]) => n))])),
  };
}

export function mergeOf(span: Span, sketches: readonly Uint8Array[]): Uint8Array {
  merger.open(span);
  for (const sketch of sketches) assert.equal(merger.add(sketch), undefined);
  return merger.sketch();
}

export function reportOf(span: Span, sketch: Uint8Array, limit = MERGE_TERMS_MAX): MergeReport {
  mergeOf(span, [sketch]);
  return merger.report(limit);
}
