/**
 * A merger for tests of what stands around it: the payload of its sketches is JSON behind a header
 * like that of the portable form, and merging is adding up. Users are a set, samples a list, so its
 * answers are exact.
 */
import type { MergeReport, SketchFault, SketchMerger } from "#model/merge.ts";
import { type MetricSummary, type Span, SPANS } from "#model/summary.ts";
import { QUANTILE_NAMES } from "#model/summary-answer.ts";

const MAGIC = "NXS1";
const VERSION = 1;
const HEADER_BYTES = 8;

export type FakeSketch = {
  readonly startMs: number;
  readonly endMs: number;
  readonly events: number;
  readonly users: readonly string[];
  readonly metrics: readonly (readonly [name: string, samples: readonly number[]])[];
  readonly terms: readonly (readonly [term: string, count: number])[];
};

export function encodeFakeSketch(span: Span, sketch: FakeSketch): Uint8Array {
  const payload = Buffer.from(JSON.stringify(sketch));
  const bytes = Buffer.alloc(HEADER_BYTES + payload.length);
  bytes.write(MAGIC, "latin1");
  bytes.writeUInt16LE(VERSION, 4);
  bytes[6] = SPANS.indexOf(span);
  payload.copy(bytes, HEADER_BYTES);
  return new Uint8Array(bytes);
}

export class FakeMerger implements SketchMerger {
  #span: Span = "minute";
  #sketches: FakeSketch[] = [];

  open(span: Span): void {
    this.#span = span;
    this.#sketches = [];
  }

  add(sketch: Uint8Array): SketchFault | undefined {
    const bytes = Buffer.from(sketch);
    if (bytes.length < HEADER_BYTES || bytes.toString("latin1", 0, 4) !== MAGIC) {
      return "sketchCorrupt";
    }
    if (bytes.readUInt16LE(4) !== VERSION) return "sketchVersion";
    if (bytes[6] !== SPANS.indexOf(this.#span)) return "sketchWindow";
    try {
      this.#sketches.push(JSON.parse(bytes.toString("utf8", HEADER_BYTES)) as FakeSketch);
      return undefined;
    } catch {
      return "sketchCorrupt";
    }
  }

  sketch(): Uint8Array {
    return encodeFakeSketch(this.#span, this.#merged());
  }

  report(limit: number): MergeReport {
    const { startMs, endMs, events, users, metrics, terms } = this.#merged();
    const most = terms.toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, limit);
    const none = { lateCount: 0, duplicateCount: 0, repeatedCount: 0, metricsRefused: 0 };
    return {
      span: this.#span,
      windowStartMs: startMs,
      windowEndMs: endMs,
      eventCount: events,
      weightSum: events,
      ...none,
      userCount: users.length,
      userCountError: 0,
      metrics: metrics.map(([name, samples]) => metricOf(name, samples)),
      terms: most.map(([term, count]) => termOf(term, count)),
    };
  }

  #merged(): FakeSketch {
    const all = this.#sketches;
    const metrics = new Map<string, number[]>();
    const terms = new Map<string, number>();
    for (const sketch of all) {
      for (const [name, samples] of sketch.metrics) {
        metrics.set(name, [...(metrics.get(name) ?? []), ...samples]);
      }
      for (const [term, count] of sketch.terms) terms.set(term, (terms.get(term) ?? 0) + count);
    }
    return {
      startMs: all.reduce((least, { startMs }) => Math.min(least, startMs), Infinity),
      endMs: all.reduce((most, { endMs }) => Math.max(most, endMs), 0),
      events: all.reduce((sum, { events }) => sum + events, 0),
      users: [...new Set(all.flatMap(({ users }) => users))],
      metrics: [...metrics],
      terms: [...terms],
    };
  }
}

export function termOf(term: string, count: number) {
  return { term, count, countLow: count, countHigh: count, exact: true };
}

/** Exact, by sorting. */
export function metricOf(name: string, samples: readonly number[]): MetricSummary {
  const sorted = samples.toSorted((a, b) => a - b);
  const count = sorted.length;
  const sum = sorted.reduce((total, sample) => total + sample, 0);
  const mean = sum / count;
  const variance = sorted.reduce((total, sample) => total + (sample - mean) ** 2, 0) / count;
  const max = sorted[count - 1] ?? 0;
  return {
    name,
    count,
    sum,
    mean,
    stddev: Math.sqrt(variance),
    min: sorted[0] ?? 0,
    max,
    relativeError: 0.01,
    collapsedBelow: -Infinity,
    shortened: false,
    quantiles: Object.values(QUANTILE_NAMES).map((q) => {
      const isMax = count * (1 - q) < 1;
      const value = isMax ? max : sorted[Math.ceil(q * count) - 1]!;
      return { q, value, low: value, high: isMax ? Infinity : value, isMax };
    }),
  };
}
