/** Drives a store of metrics compiled alone, beside the list of all its samples. */
import assert from "node:assert/strict";
import { compileGuest } from "../../summarize/testing/compile.ts";

type Probe = {
  memory: WebAssembly.Memory;
  clear(): void;
  open(bytes: number, spans: number, current: number): void;
  setSpans(spans: number): void;
  nameAt(): number;
  add(bytes: number, value: number, weight: number, pane: number, current: number): number;
  addMany(values: number, count: number, metrics: number, pane: number): void;
  roll(current: number): void;
  count(): number;
  refused(): number;
  ignored(): number;
  folded(): number;
  used(): number;
  report(metric: number, span: number): number;
  binsMax(span: number, bytes: number): number;
  encode(span: number, bins: number): number;
  place(bytes: number): number;
  forget(): void;
  check(at: number, bytes: number): number;
  merge(left: number, right: number, to: number): number;
  reportSection(at: number): number;
  reportAt(): number;
  pack(from: number, bins: number, to: number, bytesMax: number, hasPairs: boolean): number;
  unpack(from: number, end: number, to: number, hasPairs: boolean, wantsPairs: boolean): number;
  pair(index: number): number;
  pairAnswer(pair: number): number;
  pairLower(pair: number): number;
  pairUpper(pair: number): number;
  binOf(value: number): number;
  answerOf(index: number): number;
  lower(index: number): number;
  upper(index: number): number;
  newMoments(): number;
  addMoment(at: number, value: number, weight: number): void;
  mergeMoments(at: number, other: number): void;
  rank(total: number, quantile: number, which: number): number;
};

export type Quantile = {
  readonly q: number;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  readonly isMax: boolean;
};
export type Report = {
  readonly name: string;
  readonly isShortened: boolean;
  readonly count: number;
  readonly sum: number;
  readonly mean: number;
  readonly stddev: number;
  readonly min: number;
  readonly max: number;
  readonly relativeError: number;
  readonly collapsedBelow: number;
  readonly quantiles: readonly Quantile[];
};
type Sample = { readonly pane: number; readonly value: number; readonly weight: number };

export const REGION_BYTES = 20 * 1024;
export const ALL_SPANS = 31;
export const SPAN_NAMES = ["minute", "ten minutes", "hour", "day", "all"] as const;
/** Panes of 5 s in a level pane, and level panes in the window. */
const SHAPES = [
  [1, 12],
  [12, 10],
  [60, 12],
  [1440, 12],
] as const;
const PANE_BIAS = 16;
const TAILS = [2, 10, 100, 1000];
const HEADER_BYTES = 80;
const QUANTILE_BYTES = 40;

const module = await compileGuest("guests/sdk/assembly/probes/metrics.ts");
export const probe = new WebAssembly.Instance(module, {}).exports as unknown as Probe;
const encoder = new TextEncoder();

export function levelPane(span: number, pane: number): number {
  return Math.floor((pane - PANE_BIAS) / SHAPES[span]![0]) + PANE_BIAS;
}

export function isInWindow(span: number, pane: number, current: number): boolean {
  if (span === 4) return true;
  return levelPane(span, pane) > levelPane(span, current) - SHAPES[span]![1];
}

export function readReport(at: number): Report {
  const view = new DataView(probe.memory.buffer);
  const name = new Uint8Array(
    probe.memory.buffer,
    view.getUint32(at, true),
    view.getUint32(at + 4, true),
  );
  const number = (index: number) => view.getFloat64(at + 16 + index * 8, true);
  const quantiles = TAILS.map((_, index) => {
    const from = at + HEADER_BYTES + index * QUANTILE_BYTES;
    const field = (offset: number) => view.getFloat64(from + offset, true);
    const isMax = view.getUint32(from + 32, true) === 1;
    return { q: field(0), value: field(8), low: field(16), high: field(24), isMax };
  });
  return {
    name: new TextDecoder().decode(name),
    isShortened: view.getUint32(at + 8, true) === 1,
    count: number(0),
    sum: number(1),
    mean: number(2),
    stddev: number(3),
    min: number(4),
    max: number(5),
    relativeError: number(6),
    collapsedBelow: number(7),
    quantiles,
  };
}

/** What a report must not say wrong, by the samples it stands for; returns flagged quantiles. */
export function checkReport(report: Report, samples: readonly Sample[], note: string): number[] {
  const sorted = samples.toSorted((one, other) => one.value - other.value);
  const count = samples.reduce((sum, { weight }) => sum + weight, 0);
  assert.equal(report.count, count, `${note}: count`);
  assert.equal(report.min, sorted[0]!.value, `${note}: least`);
  assert.equal(report.max, sorted.at(-1)!.value, `${note}: greatest`);
  checkMoments(report, samples, note);
  assert.ok([0.01, 0.02].includes(report.relativeError), `${note}: ${report.relativeError}`);
  const flagged: number[] = [];
  report.quantiles.forEach((quantile, index) => {
    const above = Math.floor(count / TAILS[index]!);
    const exact = ranked(sorted, above);
    const given = JSON.stringify(quantile);
    const text = `${note}: q ${quantile.q} of ${count} is ${exact}, not ${given}`;
    const slack = Math.abs(exact) * (report.relativeError + 1e-9) + 2.3e-308;
    if (!quantile.isMax && quantile.value <= report.collapsedBelow) {
      flagged.push(quantile.q);
      assert.ok(exact <= quantile.value + Math.abs(exact) * 1e-9 + 2.3e-308, text);
    } else {
      assert.ok(Math.abs(quantile.value - exact) <= slack, text);
    }
    assert.equal(quantile.isMax, above === 0, text);
    if (above === 0) assert.equal(quantile.value, report.max, text);
    const edge = Math.abs(exact) * 1e-9 + 2.3e-308;
    assert.ok(quantile.low <= exact + edge, text);
    assert.ok(quantile.high >= exact - edge, text);
    assert.ok(quantile.value >= report.min && quantile.value <= report.max, text);
  });
  return flagged;
}

function checkMoments(report: Report, samples: readonly Sample[], note: string): void {
  const scale = Math.max(Math.abs(report.min), Math.abs(report.max));
  // The squares of such values are no numbers, or nothing.
  if (scale > 1e150 || scale < 1e-150) return;
  let sum = 0;
  for (const { value, weight } of samples) sum += value * weight;
  const mean = sum / report.count;
  assert.ok(Math.abs(report.mean - mean) <= scale * 1e-10, `${note}: mean ${report.mean} ${mean}`);
  let squares = 0;
  for (const { value, weight } of samples) squares += weight * (value - mean) ** 2;
  const deviation = Math.sqrt(squares / report.count);
  const close = Math.abs(report.stddev - deviation) <= deviation * 1e-5 + scale * 1e-10;
  assert.ok(close, `${note}: stddev ${report.stddev} ${deviation}`);
  assert.ok(Math.abs(report.sum - sum) <= report.count * scale * 1e-10, `${note}: sum`);
}

/** The sample with `above` greater ones. */
function ranked(sorted: readonly Sample[], above: number): number {
  let left = above;
  for (let at = sorted.length - 1; at >= 0; at--) {
    if (left < sorted[at]!.weight) return sorted[at]!.value;
    left -= sorted[at]!.weight;
  }
  return assert.fail("fewer samples than that");
}

export class MetricsOracle {
  current: number;
  spans: number;
  /** Quantiles that a report flagged as collapsed, as `span q`, and how often. */
  readonly flagged = new Map<string, number>();
  /** In the order in which the store met them. */
  readonly names: string[] = [];
  #samples = new Map<string, Sample[]>();

  constructor(current: number, spans = ALL_SPANS, bytes = REGION_BYTES) {
    this.current = current;
    this.spans = spans;
    probe.clear();
    probe.forget();
    probe.open(bytes, spans, current);
  }

  add(name: string, value: number, { weight = 1, pane = this.current } = {}): boolean {
    const bytes = encoder.encode(name);
    new Uint8Array(probe.memory.buffer).set(bytes, probe.nameAt());
    const done = probe.add(bytes.length, value, weight, pane, this.current) !== 0;
    if (!done || !Number.isFinite(value)) return done;
    if (!this.#samples.has(name)) {
      this.#samples.set(name, []);
      this.names.push(name);
    }
    this.#samples.get(name)!.push({ pane, value, weight });
    return true;
  }

  roll(current: number): void {
    this.current = current;
    probe.roll(current);
  }

  samples(name: string, span: number): Sample[] {
    const all = this.#samples.get(name) ?? [];
    return all.filter(({ pane }) => isInWindow(span, pane, this.current));
  }

  report(name: string, span: number): Report | undefined {
    const at = probe.report(this.names.indexOf(name), span);
    return at === 0 ? undefined : readReport(at);
  }

  /** Every metric and span against its samples. */
  check(note = ""): void {
    assert.equal(probe.count(), this.names.length);
    for (const name of this.names) {
      for (let span = 0; span < 5; span++) this.checkOne(name, span, note);
    }
  }

  checkOne(name: string, span: number, note: string): void {
    const report = this.report(name, span);
    const isKept = (this.spans >> span) & 1;
    const samples = isKept ? this.samples(name, span) : [];
    const where = `${note} ${name}, ${SPAN_NAMES[span]}, pane ${this.current}`;
    if (samples.length === 0) {
      assert.equal(report, undefined, where);
      return;
    }
    assert.ok(report !== undefined, where);
    assert.equal(report.name, name);
    if (report.isShortened) return;
    for (const q of checkReport(report, samples, where)) {
      const key = `${SPAN_NAMES[span]} ${q}`;
      this.flagged.set(key, (this.flagged.get(key) ?? 0) + 1);
    }
  }
}

/** A normal variable from two uniform ones. */
export function normal(random: { unit(): number }): number {
  return Math.sqrt(-2 * Math.log(1 - random.unit())) * Math.cos(2 * Math.PI * random.unit());
}
