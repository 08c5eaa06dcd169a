// Merging against one stream of everything, in any order and grouping.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import {
  MERGE_METRIC_BINS_MAX,
  MERGE_METRIC_NAMES_MAX,
  MERGE_TERMS_MAX,
  MERGE_USERS_LISTED_MAX,
  SKETCH_BYTES_MAX,
} from "#model/limits.ts";
import type { MergeReport } from "#model/merge.ts";
import { type Span, SPANS } from "#model/summary.ts";
import { Random } from "#std/random.ts";
import { mergeOf, merger, randomStream, reportOf, together } from "#testing/merging.ts";
import { encodeStream, HEADER_BYTES, reseal, type Stream } from "#testing/portable-sketch.ts";
import { SEED } from "#testing/seed.ts";

const ROUNDS = Number(process.env["ROUNDS"] ?? 60);
const TIMES = { startMs: 1_000_000, endMs: 1_060_000 };
/** Merges in any order and any grouping: parts into merges, merges into merges. */
function mergeAnyhow(random: Random, span: Span, sketches: readonly Uint8Array[]): Uint8Array {
  let parts = sketches
    .map((sketch) => ({ sketch, place: random.u32() }))
    .toSorted((left, right) => left.place - right.place)
    .map(({ sketch }) => sketch);
  while (parts.length > 3) {
    const groups = 1 + random.below(parts.length - 1);
    const shuffled = Map.groupBy(parts, () => random.below(groups));
    parts = [...shuffled.values()].map((group) => mergeOf(span, group));
  }
  return mergeOf(span, parts);
}

type Moments = { readonly mean: number; readonly m2: number; readonly scale: number };

/** The bytes without mean and m2, which depend on the order by rounding; and those apart. */
function takeMoments(sketch: Uint8Array): { hash: string; moments: Moments[] } {
  const bytes = Buffer.from(sketch);
  const moments: Moments[] = [];
  for (let at = HEADER_BYTES; at < bytes.length;) {
    const [kind, length] = [bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4)];
    at += 8;
    if (kind === 5) {
      for (let left = bytes.readUInt32LE(at), next = at + 8; left > 0; left--) {
        const field = (offset: number) => bytes.readDoubleLE(next + offset);
        const scale = Math.max(Math.abs(field(40)), Math.abs(field(48)));
        moments.push({ mean: field(24), m2: field(32), scale });
        bytes.fill(0, next + 24, next + 40);
        const name = (bytes.readUInt16LE(next) + 7) & ~7;
        next += 72 + name + 16 * bytes.readUInt32LE(next + 4);
      }
    }
    at += (length + 7) & ~7;
  }
  const digest = createHash("sha256")
    .update(reseal(new Uint8Array(bytes)))
    .digest("hex");
  return { hash: `${bytes.length} bytes, ${digest}`, moments };
}

/** Equal bytes but for rounding in what is not associative. */
function assertSame(sketch: Uint8Array, expected: Uint8Array, label: string): void {
  const [got, wanted] = [takeMoments(sketch), takeMoments(expected)];
  assert.equal(got.hash, wanted.hash, label);
  for (const [index, { mean, m2 }] of got.moments.entries()) {
    const { scale, ...exact } = wanted.moments[index]!;
    assert.ok(Math.abs(mean - exact.mean) <= 1e-12 * scale, `${label}: ${mean}, ${exact.mean}`);
    assert.ok(isNear(m2, exact.m2), `${label}: ${m2}, ${exact.m2}`);
  }
}

test(`any order and grouping gives the bytes of one stream (SEED=${SEED})`, () => {
  let poured = 0;
  let collapsed = 0;
  let crowded = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const random = new Random(SEED + round);
    const span = SPANS[random.below(SPANS.length)]!;
    const shape = {
      users: [50, 5_000, 1_000_000][random.below(3)]!,
      names: random.chance(1, 3) ? 120 : 3,
      terms: MERGE_TERMS_MAX,
      wide: random.chance(1, 2),
    };
    const streams = Array.from({ length: 2 + random.below(60) }, () => randomStream(random, shape));
    const whole = together(streams);
    const label = `SEED=${SEED + round} ${span}`;
    const one = mergeOf(span, [encodeStream(span, whole)]);
    const sketches = streams.map((part) => encodeStream(span, part));
    for (let order = 0; order < 3; order++) {
      const merged = mergeAnyhow(random, span, sketches);
      assertSame(merged, one, label);
      assert.deepEqual(mergeOf(span, [merged]), merged, `${label}: a merge of one is that one`);
    }
    const report = reportOf(span, one);
    checkReport(report, whole, label);
    poured += report.userCountError > 0 ? 1 : 0;
    collapsed += report.metrics.some((metric) => metric.collapsedBelow > -Infinity) ? 1 : 0;
    crowded += report.metrics.length === MERGE_METRIC_NAMES_MAX ? 1 : 0;
  }
  if (ROUNDS < 40) return;
  for (const count of [poured, collapsed, crowded]) {
    assert.ok(count > 0, `all forms are met: ${poured}, ${collapsed}, ${crowded}`);
  }
});

function checkReport(report: MergeReport, whole: Stream, label: string): void {
  const [events, weights, late, duplicates, repeated, refused] = whole.counts;
  assert.deepEqual(
    [report.eventCount, report.weightSum, report.lateCount, report.duplicateCount],
    [events, weights, late, duplicates],
    label,
  );
  assert.equal(report.repeatedCount, repeated);
  assert.deepEqual([report.windowStartMs, report.windowEndMs], [whole.startMs, whole.endMs]);
  const userCount = whole.users.length;
  assert.equal(report.userCountError === 0, userCount <= MERGE_USERS_LISTED_MAX, label);
  const slack = 5 * report.userCountError * userCount;
  assert.ok(Math.abs(report.userCount - userCount) <= slack, `${label}: ${report.userCount} users`);
  const names = [...whole.metrics.keys()].toSorted();
  const kept = names.slice(0, MERGE_METRIC_NAMES_MAX);
  assert.deepEqual(
    report.metrics.map(({ name }) => name),
    kept,
  );
  const lost = names.slice(MERGE_METRIC_NAMES_MAX).map((name) => whole.metrics.get(name)!.length);
  assert.equal(
    report.metricsRefused,
    lost.reduce((a, b) => a + b, refused!),
    label,
  );
  for (const metric of report.metrics) {
    checkMetric(metric, whole.metrics.get(metric.name)!, `${label} ${metric.name}`);
  }
  for (const { term: key, countLow, countHigh, exact } of report.terms) {
    assert.deepEqual([countLow, countHigh, exact], [whole.terms.get(key), countLow, true], label);
  }
  assert.equal(report.terms.length, whole.terms.size);
}

function checkMetric(
  metric: MergeReport["metrics"][number],
  samples: readonly number[],
  label: string,
): void {
  const sorted = samples.toSorted((a, b) => a - b);
  assert.deepEqual([metric.count, metric.min], [sorted.length, sorted[0]], label);
  assert.equal(metric.max, sorted.at(-1));
  const sum = samples.reduce((total, value) => total + value, 0);
  const variance = samples.reduce((total, v) => total + (v - sum / samples.length) ** 2, 0);
  assert.equal(metric.sum, sum, label);
  assert.ok(isNear(metric.stddev, Math.sqrt(variance / samples.length)), label);
  for (const { q, value, low, high } of metric.quantiles) {
    const tail = Math.round(1 / (1 - q));
    const exact = sorted[sorted.length - 1 - Math.floor(sorted.length / tail)]!;
    if (value <= metric.collapsedBelow) assert.ok(exact <= value, label);
    else assert.ok(Math.abs(value - exact) <= 0.01000001 * Math.abs(exact), `${label} ${q}`);
    assert.ok(low <= value && value <= high, label);
  }
}

function isNear(value: number, exact: number): boolean {
  return Math.abs(value - exact) <= 1e-9 * Math.abs(exact);
}

test(`terms beyond the table: every interval holds the truth (SEED=${SEED})`, () => {
  for (let round = 0; round < 10; round++) {
    const random = new Random(SEED + round);
    const shape = { users: 10, names: 1, terms: 3_000, wide: false };
    const streams = Array.from({ length: 120 }, () => randomStream(random, shape));
    const whole = together(streams);
    const sketches = streams.map((part) => encodeStream("hour", part, 10));
    for (const merged of [mergeOf("hour", sketches), mergeAnyhow(random, "hour", sketches)]) {
      const { terms: listed } = reportOf("hour", merged);
      assert.equal(listed.length, MERGE_TERMS_MAX);
      for (const { term: key, countLow, countHigh } of listed) {
        const count = whole.terms.get(key) ?? 0;
        assert.ok(countLow <= count && count <= countHigh, `SEED=${SEED + round} ${key}`);
      }
      assert.equal(reportOf("hour", merged, 7).terms.length, 7);
    }
  }
});

test("what has not happened yet is empty, and changes nothing", () => {
  const nothing = mergeOf("day", []);
  assert.equal(nothing.length, HEADER_BYTES);
  const none = reportOf("day", nothing);
  assert.deepEqual([none.eventCount, none.userCount, none.windowEndMs], [0, 0, 0]);
  const random = new Random(1);
  const some = mergeOf("day", [
    encodeStream("day", randomStream(random, { users: 9, names: 2, terms: 9, wide: false })),
  ]);
  assert.deepEqual(mergeOf("day", [nothing, some, nothing]), some);
});

test("the largest merge is a sketch that merges again", () => {
  const wide = Array.from({ length: 1_000 }, (_, i) => 1.021 ** i);
  const byName = (offset: number) =>
    new Map(
      Array.from({ length: 40 }, (_, i) => [`${i + offset}`.padStart(64, "0"), wide] as const),
    );
  const part = (offset: number) => {
    const many = [...byName(offset)];
    // In two, since one would be more than a sketch may have.
    return [many.slice(0, 20), many.slice(20)].map((half) =>
      encodeStream("all", {
        ...TIMES,
        counts: [1, 1, 0, 0, 0, 0],
        users: Array.from({ length: 4_000 }, (_, i) => i + 1),
        metrics: new Map(half),
        terms: new Map(
          Array.from({ length: 400 }, (_, i) => [`${i + offset}`.padStart(40, "0"), 5]),
        ),
      }),
    );
  };
  const merged = mergeOf("all", [...part(0), ...part(30), ...part(100)]);
  assert.ok(merged.length > 1_000_000 && merged.length <= SKETCH_BYTES_MAX, `${merged.length}`);
  const again = mergeOf("all", [merged, merged]);
  assert.equal(again.length, merged.length);
  const { metrics: found, metricsRefused } = reportOf("all", again);
  assert.equal(found.length, MERGE_METRIC_NAMES_MAX);
  assert.ok(found.every(({ collapsedBelow }) => collapsedBelow > 1));
  assert.equal(metricsRefused, 2 * (40 * 3 - 10 - MERGE_METRIC_NAMES_MAX) * 1_000);
  assert.equal(merger.add(new Uint8Array(SKETCH_BYTES_MAX + 1)), "sketchCorrupt");
});

const NONE: Stream = {
  ...TIMES,
  counts: [1, 1, 0, 0, 0, 0],
  users: [],
  metrics: new Map(),
  terms: new Map(),
};

test(`the highest ${MERGE_METRIC_BINS_MAX} bins are kept, zero among them`, () => {
  const above = Array.from({ length: 950 }, (_, i) => 1.021 ** i);
  for (const below of [0, 5, 9, 10, 30]) {
    const negative = Array.from({ length: below }, (_, i) => -(1.021 ** i));
    for (const zeros of [0, 3]) {
      const samples = [...negative, ...Array.from({ length: zeros }, () => 0), ...above];
      const one = { ...NONE, metrics: new Map([["m", samples]]) };
      const [found] = reportOf("hour", mergeOf("hour", [encodeStream("hour", one)])).metrics;
      const bins = 950 + below + (zeros > 0 ? 1 : 0);
      assert.equal(found!.count, samples.length);
      assert.equal(found!.collapsedBelow > -Infinity, bins > MERGE_METRIC_BINS_MAX);
      checkMetric(found!, samples, `${below} below, ${zeros} zeros`);
    }
  }
});
