/**
 * Merges windows of many tenants, in the portable form, into one: the work is Wasm
 * (merger/assembly), this is its door. An instance has its memory from the start, 5.5 MiB of which
 * only what is touched is there, and takes one group at a time.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { MERGE_TERMS_MAX, SKETCH_BYTES_MAX } from "#model/limits.ts";
import type { MergeReport, SketchFault, SketchMerger } from "#model/merge.ts";
import {
  type MetricSummary,
  type Quantile,
  type Span,
  SPANS,
  type TermCount,
} from "#model/summary.ts";

/** What merger/assembly/index.ts exports. */
type MergerExports = {
  readonly memory: WebAssembly.Memory;
  inputAddress(): number;
  open(span: number): void;
  add(bytes: number): number;
  encode(): number;
  report(limit: number): number;
};

const PATH = new URL("../../merger/dist/merger.wasm", import.meta.url);
let compiled: WebAssembly.Module | undefined;

/** By what `add` returns. */
const FAULTS: readonly (SketchFault | undefined)[] = [
  undefined,
  "sketchCorrupt",
  "sketchVersion",
  "sketchWindow",
];

// The head of a report, merger/assembly/report.ts.
const REPORT_COUNTS = 16;
const REPORT_USERS = 64;
const REPORT_METRICS = 80;
const REPORT_TERMS = 88;
// A report of a metric, guests/sdk/assembly/sketches/portable-metric.ts.
const METRIC_BYTES = 240;
const METRIC_NUMBERS = 16;
const METRIC_QUANTILES = 80;
const QUANTILE_COUNT = 4;
const QUANTILE_BYTES = 40;
// A list of terms, guests/sdk/assembly/sketches/term-list.ts.
const TERMS_HEAD_BYTES = 16;
const TERM_HEAD_BYTES = 24;

export class Merger implements SketchMerger {
  readonly #wasm: MergerExports;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #input: number;
  /** What is merged is text by then: the module has checked it. */
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #span: Span = "minute";

  constructor() {
    compiled ??= new WebAssembly.Module(readFileSync(PATH));
    this.#wasm = new WebAssembly.Instance(compiled, {}).exports as unknown as MergerExports;
    this.#bytes = new Uint8Array(this.#wasm.memory.buffer);
    this.#view = new DataView(this.#wasm.memory.buffer);
    this.#input = this.#wasm.inputAddress();
    this.open("minute");
  }

  open(span: Span): void {
    this.#span = span;
    this.#wasm.open(SPANS.indexOf(span));
  }

  add(sketch: Uint8Array): SketchFault | undefined {
    if (sketch.length > SKETCH_BYTES_MAX) return "sketchCorrupt";
    this.#bytes.set(sketch, this.#input);
    const result = this.#wasm.add(sketch.length);
    assert(result >= 0 && result < FAULTS.length);
    return FAULTS[result];
  }

  sketch(): Uint8Array {
    const bytes = this.#wasm.encode();
    return this.#bytes.slice(this.#input, this.#input + bytes);
  }

  report(limit: number): MergeReport {
    const at = this.#wasm.report(Math.min(limit, MERGE_TERMS_MAX));
    const counts = at + REPORT_COUNTS;
    return {
      span: this.#span,
      windowStartMs: this.#number(at),
      windowEndMs: this.#number(at + 8),
      eventCount: this.#number(counts),
      weightSum: this.#number(counts + 8),
      lateCount: this.#number(counts + 16),
      duplicateCount: this.#number(counts + 24),
      repeatedCount: this.#number(counts + 32),
      metricsRefused: this.#number(counts + 40),
      userCount: this.#number(at + REPORT_USERS),
      userCountError: this.#number(at + REPORT_USERS + 8),
      metrics: this.#metrics(this.#address(at + REPORT_METRICS), {
        at: this.#address(at + REPORT_METRICS + 4),
      }),
      terms: this.#terms(this.#address(at + REPORT_TERMS)),
    };
  }

  #metrics(count: number, { at }: { at: number }): MetricSummary[] {
    return Array.from({ length: count }, (_, index) => this.#metric(at + index * METRIC_BYTES));
  }

  #metric(at: number): MetricSummary {
    const numbers = at + METRIC_NUMBERS;
    return {
      name: this.#text(this.#address(at), { byteCount: this.#address(at + 4) }),
      shortened: this.#address(at + 8) !== 0,
      count: this.#number(numbers),
      sum: this.#number(numbers + 8),
      mean: this.#number(numbers + 16),
      stddev: this.#number(numbers + 24),
      min: this.#number(numbers + 32),
      max: this.#number(numbers + 40),
      relativeError: this.#number(numbers + 48),
      collapsedBelow: this.#number(numbers + 56),
      quantiles: Array.from({ length: QUANTILE_COUNT }, (_, index) =>
        this.#quantile(at + METRIC_QUANTILES + index * QUANTILE_BYTES),
      ),
    };
  }

  #quantile(at: number): Quantile {
    return {
      q: this.#number(at),
      value: this.#number(at + 8),
      low: this.#number(at + 16),
      high: this.#number(at + 24),
      isMax: this.#address(at + 32) !== 0,
    };
  }

  #terms(at: number): TermCount[] {
    let next = at + TERMS_HEAD_BYTES;
    return Array.from({ length: this.#address(at) }, () => {
      const countLow = this.#number(next);
      const countHigh = this.#number(next + 8);
      const byteCount = this.#view.getUint16(next + 16, true);
      const term = this.#text(next + TERM_HEAD_BYTES, { byteCount });
      next += TERM_HEAD_BYTES + ((byteCount + 7) & ~7);
      return { term, count: countLow, countLow, countHigh, exact: countLow === countHigh };
    });
  }

  #text(at: number, { byteCount }: { byteCount: number }): string {
    return this.#decoder.decode(this.#bytes.subarray(at, at + byteCount));
  }

  #number(at: number): number {
    return this.#view.getFloat64(at, true);
  }

  /** An address or a count. */
  #address(at: number): number {
    return this.#view.getUint32(at, true);
  }
}
