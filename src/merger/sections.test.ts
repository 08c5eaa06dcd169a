// Sketches that lie: each is refused with its code, and leaves what was merged as it was.
import assert from "node:assert/strict";
import test from "node:test";
import type { MergeReport } from "#model/merge.ts";
import { type Span, SPANS } from "#model/summary.ts";
import { Random } from "#std/random.ts";
import { mergeOf, merger, randomStream, reportOf } from "#testing/merging.ts";
import {
  encodeStream,
  floats,
  HEADER_BYTES,
  metrics,
  reseal,
  seal,
  section,
  type Stream,
  term,
  terms,
  users,
} from "#testing/portable-sketch.ts";
import { SEED } from "#testing/seed.ts";

const TIMES = { startMs: 1_000_000, endMs: 1_060_000 };

const GOOD: Stream = {
  ...TIMES,
  counts: [40, 40, 1, 0, 0, 0],
  users: [7, 9, 4_000_000_000],
  metrics: new Map([
    ["größe", [-3, 0, 5, 5, 80, 1e-9]],
    ["ms", [1, 2, 3]],
  ]),
  terms: new Map([
    ["a", 9],
    ["münchen", 4],
  ]),
};

test("a sketch cut anywhere, or lengthened, is corrupt and leaves no trace", () => {
  for (const span of SPANS) {
    const good = encodeStream(span, GOOD);
    const before = mergeOf(span, [good]);
    const ends = sectionEnds(good);
    assert.equal(ends.length, 5);
    for (let length = 0; length < good.length; length++) {
      assert.equal(merger.add(good.subarray(0, length)), "sketchCorrupt", `${length} bytes`);
      // Also where the length and the checksum agree with what is left, but for whole sections.
      if (length < HEADER_BYTES || ends.includes(length)) continue;
      const fault = merger.add(reseal(good.slice(0, length)));
      assert.equal(fault, "sketchCorrupt", `${length} bytes, sealed`);
    }
    assert.deepEqual(merger.sketch(), before);
    assert.equal(merger.add(Buffer.concat([good, Buffer.alloc(8)])), "sketchCorrupt");
    assert.deepEqual(merger.sketch(), before);
  }
});

/** Where the header ends, and each section. */
function sectionEnds(sketch: Uint8Array): number[] {
  const view = new DataView(sketch.buffer);
  const ends = [HEADER_BYTES];
  for (let at = HEADER_BYTES; at < sketch.length; ends.push(at)) {
    at += 8 + ((view.getUint32(at + 4, true) + 7) & ~7);
  }
  return ends;
}

test("another version, another window", () => {
  const good = encodeStream("hour", GOOD);
  const before = mergeOf("hour", [good]);
  for (const version of [0, 2, 0xffff]) {
    const other = good.slice();
    new DataView(other.buffer).setUint16(4, version, true);
    assert.equal(merger.add(other), "sketchVersion");
  }
  for (const span of SPANS.filter((name) => name !== "hour")) {
    assert.equal(merger.add(encodeStream(span, GOOD)), "sketchWindow");
  }
  assert.deepEqual(merger.sketch(), before);
});

test("every bit of the header says what it says, or is corrupt", () => {
  const seen = new Map<string, number>();
  for (const span of SPANS) {
    const good = encodeStream(span, GOOD);
    const before = mergeOf(span, [good]);
    for (let bit = 0; bit < 8 * HEADER_BYTES; bit++) {
      const copy = good.slice();
      copy[bit >> 3]! ^= 1 << (bit & 7);
      const view = new DataView(copy.buffer);
      // Length and checksum are what sealing puts right.
      const isSealed = bit < 8 * 24;
      if (isSealed) reseal(copy);
      const label = `${span}, byte ${bit >> 3}, bit ${bit & 7}`;
      const fault = merger.add(copy);
      assert.equal(fault, isSealed ? faultOf(view, good, span) : "sketchCorrupt", label);
      seen.set(fault ?? "taken", (seen.get(fault ?? "taken") ?? 0) + 1);
      if (fault === undefined) mergeOf(span, [good]);
      assert.deepEqual(merger.sketch(), before, label);
    }
  }
  // Sixteen bits of a version; of the number of a window those that make it another one's.
  assert.equal(seen.get("sketchVersion"), 16 * SPANS.length);
  assert.equal(seen.get("sketchWindow"), 3 + 2 + 2 + 2 + 1);
  // A time that differs by little, or is any other before the end.
  assert.ok(seen.get("taken")! > 40 * SPANS.length);
});

/** What is wrong with a sealed header, by the list of fields in docs/summaries.md. */
function faultOf(view: DataView, good: Uint8Array, span: Span): string | undefined {
  if (view.getUint32(0, true) !== new DataView(good.buffer).getUint32(0, true))
    return "sketchCorrupt";
  if (view.getUint16(4, true) !== 1) return "sketchVersion";
  if (SPANS[view.getUint8(6)] === undefined || view.getUint8(7) !== 0) return "sketchCorrupt";
  if (SPANS[view.getUint8(6)] !== span) return "sketchWindow";
  const startMs = view.getFloat64(8, true);
  const endMs = view.getFloat64(16, true);
  const isWindow = startMs >= 0 && startMs <= endMs && endMs <= Number.MAX_SAFE_INTEGER;
  return isWindow ? undefined : "sketchCorrupt";
}

/**
 * Of the 6,000 rounds below, how many end so at least. Let m be the mean number of rounds that end
 * so for one reason alone; by Chernoff's bound no more than k do with a probability of at most
 * e^-m (e m / k)^k. A round changes one byte only (1 of 3), of the header (1 of 3):
 *   sketchVersion   byte 4 or 5 (1 of 16), to another value (511 of 512): m = 41, at most 7e-8
 *   taken           one of the five low bytes of the start (5 of 32), which moves it by less than
 *                   a pane, sealed (7 of 8): m = 91, at most 4e-8
 * or one of all bytes or the first 400 (2 of 3), none of the header (9 of 10 at least), to another
 * value, not sealed (1 of 8):
 *   sketchCorrupt   for FNV-1a tells one byte from another: m = 149, at most 1e-15
 * A random change rarely makes the number of another window; that is what the test above is for.
 */
const ENDS_LEAST = { taken: 41, sketchCorrupt: 61, sketchVersion: 11 };

test(`bytes that are changed at random are refused, or still a window (SEED=${SEED})`, () => {
  const random = new Random(SEED);
  const seen = new Map<string, number>();
  for (const span of ["minute", "all"] as const) {
    const shape = { users: 1e6, names: 5, terms: 60, wide: true };
    const many = Array.from({ length: 400 }, () => encodeStream(span, randomStream(random, shape)));
    const base = [encodeStream(span, GOOD), mergeOf(span, many), mergeOf(span, many.slice(0, 9))];
    const before = mergeOf(span, [base[0]!]);
    for (let round = 0; round < 3_000; round++) {
      const copy = base[round % 3]!.slice();
      for (let flips = 1 + random.below(3); flips > 0; flips--) {
        const at = random.below([HEADER_BYTES, 400, copy.length][random.below(3)]!);
        copy[at % copy.length]! ^= random.chance(1, 2) ? 1 << random.below(8) : random.u32() & 0xff;
      }
      if (random.chance(7, 8)) reseal(copy);
      const fault = merger.add(copy);
      seen.set(fault ?? "taken", (seen.get(fault ?? "taken") ?? 0) + 1);
      const after = merger.sketch();
      const label = `SEED=${SEED} ${span} round ${round}`;
      if (fault !== undefined) {
        assert.deepEqual(after, before, label);
        continue;
      }
      // Whatever is taken merges again, with itself too, and reports numbers.
      mergeOf(span, [after, after]);
      checkNumbers(merger.report(50), label);
      mergeOf(span, [base[0]!]);
    }
  }
  for (const [kind, least] of Object.entries(ENDS_LEAST)) {
    const times = seen.get(kind) ?? 0;
    assert.ok(times >= least, `SEED=${SEED}: ${kind} ${times} times`);
  }
});

/** No number is none, and no interval is upside down. */
function checkNumbers(report: MergeReport, label: string): void {
  const { userCount, userCountError, eventCount, weightSum } = report;
  for (const number of [userCount, userCountError, eventCount, weightSum]) {
    assert.ok(Number.isFinite(number) && number >= 0, label);
  }
  for (const metric of report.metrics) {
    const { count, sum, mean, stddev, min, max, quantiles } = metric;
    for (const number of [count, sum, mean, stddev, min, max]) {
      assert.ok(Number.isFinite(number), `${label} ${JSON.stringify(metric)}`);
    }
    for (const { value, low, high } of quantiles) {
      assert.ok(min <= value && value <= max && low <= high, `${label} ${JSON.stringify(metric)}`);
    }
  }
  for (const { countLow, countHigh } of report.terms) assert.ok(countLow <= countHigh, label);
}

const counts = section(1, floats(GOOD.counts));
const numbers = (values: readonly number[]) => Buffer.from(Uint32Array.from(values).buffer);

/** A section of one metric with one bin, whose fields may be anything. */
function oneMetric(fields: {
  count?: number;
  sum?: number;
  mean?: number;
  m2?: number;
  min?: number;
  max?: number;
  zeros?: number;
  collapsed?: number;
  flags?: number;
  bins?: readonly (readonly [number, number])[];
  name?: Buffer;
}): Buffer {
  const { bins = [[35_900, 3]], name = Buffer.from("12345678"), flags = 0 } = fields;
  const { count = 3, sum = 36, mean = 12, m2 = 0, min = 12, max = 12, zeros = 0 } = fields;
  const head = Buffer.alloc(16);
  head.writeUInt32LE(1, 0);
  head.writeUInt16LE(name.length, 8);
  head.writeUInt16LE(flags, 10);
  head.writeUInt32LE(bins.length, 12);
  const body = floats([count, sum, mean, m2, min, max, zeros, fields.collapsed ?? -Infinity]);
  const list = bins.map(([index, samples]) => {
    const bytes = Buffer.alloc(16);
    bytes.writeInt32LE(index, 0);
    bytes.writeDoubleLE(samples, 8);
    return bytes;
  });
  return section(5, Buffer.concat([head, body, name, ...list]));
}

const oneTerm = (low: number, high: number, key = "key", unlisted = 0) => {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(1, 0);
  head.writeDoubleLE(unlisted, 8);
  return section(6, Buffer.concat([head, term(key, low, high)]));
};

test("every lie has its refusal, whatever its checksum", () => {
  const good = (...sections: Buffer[]) => seal("hour", TIMES, [counts, ...sections]);
  const ultra = (register: number) => section(4, Buffer.alloc(8_192, register));
  const twice = Buffer.concat([numbers([2, 0, 0, 0]), term("a", 1, 1), term("a", 1, 1)]);
  const lies: Record<string, Uint8Array> = {
    "no counts": seal("hour", TIMES, [section(2, users([1]))]),
    "counts of NaN": seal("hour", TIMES, [section(1, floats([NaN, 0, 0, 0, 0, 0]))]),
    "negative counts": seal("hour", TIMES, [section(1, floats([-1, 0, 0, 0, 0, 0]))]),
    "half an event": seal("hour", TIMES, [section(1, floats([0.5, 0, 0, 0, 0, 0]))]),
    "infinite weights": seal("hour", TIMES, [section(1, floats([1, Infinity, 0, 0, 0, 0]))]),
    "counts too short": seal("hour", TIMES, [section(1, floats([1, 1]))]),
    "ends before it starts": seal("hour", { startMs: 9, endMs: 5 }, [counts]),
    "no time": seal("hour", { startMs: NaN, endMs: 5 }, [counts]),
    "an endless window": seal("hour", { startMs: 0, endMs: Infinity }, [counts]),
    "unknown kind": good(section(7, Buffer.alloc(8))),
    "kind 0": seal("hour", TIMES, [section(0, Buffer.alloc(8)), counts]),
    "counts twice": good(counts),
    "kinds out of order": good(section(6, terms(new Map(), 1)), section(2, users([1]))),
    "users in two forms": good(section(2, users([1])), section(3, Buffer.alloc(1_024))),
    "users of another window": good(ultra(0)),
    "a bitmap too short": good(section(3, Buffer.alloc(1_016))),
    "a user twice": good(section(2, users([5, 6, 5]))),
    "user 0": good(section(2, users([5, 0]))),
    "fewer users than said": good(section(2, numbers([4, 0, 1, 2]))),
    "more users than said": good(section(2, numbers([1, 0, 1, 2]))),
    "two to the thirty users": good(section(2, numbers([2 ** 30, 0, 1, 2]))),
    "a flag nobody knows": good(oneMetric({ flags: 4 })),
    "a name that is no text": good(oneMetric({ name: Buffer.from("ff41414141414141", "hex") })),
    "bins out of order": good(
      oneMetric({
        bins: [
          [9, 1],
          [8, 2],
        ],
      }),
    ),
    "a bin twice": good(
      oneMetric({
        bins: [
          [9, 1],
          [9, 2],
        ],
      }),
    ),
    "a bin beyond all": good(oneMetric({ bins: [[80_000, 3]] })),
    "an empty bin": good(
      oneMetric({
        bins: [
          [9, 0],
          [10, 3],
        ],
      }),
    ),
    "negative samples": good(
      oneMetric({
        bins: [
          [9, -1],
          [10, 4],
        ],
      }),
    ),
    "half a sample": good(oneMetric({ bins: [[9, 2.5]], count: 2.5 })),
    "samples of NaN": good(oneMetric({ bins: [[9, NaN]] })),
    "more samples than bins hold": good(oneMetric({ count: 4 })),
    "endless samples": good(oneMetric({ count: Infinity, bins: [[9, Infinity]] })),
    "a mean outside": good(oneMetric({ mean: 90 })),
    "a mean of NaN": good(oneMetric({ mean: NaN })),
    "negative squares": good(oneMetric({ m2: -1 })),
    "an endless sum": good(oneMetric({ sum: Infinity })),
    "least above greatest": good(oneMetric({ min: 13 })),
    "collapsed where no bin is": good(oneMetric({ collapsed: 3 })),
    "metrics out of order": good(
      section(5, Buffer.concat([numbers([2, 0]), metric("b"), metric("a")])),
    ),
    "a metric twice": good(section(5, Buffer.concat([numbers([2, 0]), metric("b"), metric("b")]))),
    "a term below nothing": good(oneTerm(-1, 5)),
    "a term upside down": good(oneTerm(5, 4)),
    "a term of NaN": good(oneTerm(NaN, 4)),
    "a term said endlessly": good(oneTerm(Infinity, Infinity)),
    "a rest of NaN": good(oneTerm(1, 1, "key", NaN)),
    "a term without a name": good(oneTerm(1, 1, "")),
    "a term too long": good(oneTerm(1, 1, "k".repeat(41))),
    "a term twice": good(section(6, twice)),
    "padding that is not zero": good(
      oneTerm(1, 1).fill(1, oneTerm(1, 1).length - 1, oneTerm(1, 1).length),
    ),
  };
  const before = mergeOf("hour", [encodeStream("hour", GOOD)]);
  for (const [name, lie] of Object.entries(lies)) {
    assert.equal(merger.add(lie), "sketchCorrupt", name);
    assert.deepEqual(merger.sketch(), before, name);
  }
  assert.equal(merger.add(good(oneMetric({}))), undefined, "as it is without a lie");
  assert.equal(merger.add(good(oneTerm(1, Infinity, "key", Infinity))), undefined);
  merger.open("all");
  for (const register of [1, 47, 49, 50, 51, 53, 55]) {
    assert.equal(merger.add(seal("all", TIMES, [counts, ultra(register)])), "sketchCorrupt");
  }
  for (const register of [0, 48, 52, 54, 56, 255]) {
    assert.equal(merger.add(seal("all", TIMES, [counts, ultra(register)])), undefined);
    checkNumbers(merger.report(9), `register ${register}`);
  }
});

function metric(name: string): Buffer {
  return metrics(new Map([[name, [1]]])).subarray(8);
}

test("numbers at the end of what a number holds stay numbers, and a merge of them a sketch", () => {
  const huge = 2 ** 910;
  const extreme = Number.MAX_VALUE;
  const claims = [
    oneMetric({ bins: [[35_900, huge]], count: huge }),
    oneMetric({ mean: extreme, max: extreme, sum: extreme, m2: extreme }),
    oneMetric({ mean: -extreme, min: -extreme, sum: -extreme, m2: extreme }),
    oneMetric({ bins: [[-35_900, huge]], count: huge, min: -extreme, mean: -extreme }),
  ];
  const counted = section(1, floats([2 ** 53, extreme, 2 ** 53, 0, 0, 2 ** 53]));
  const said = oneTerm(2 ** 53, Infinity, "key", extreme);
  const parts = claims.map((claim) => seal("hour", TIMES, [counted, claim, said]));
  let merged = mergeOf("hour", [...parts, ...parts.toReversed()]);
  for (let round = 0; round < 200; round++) {
    merged = mergeOf("hour", [merged, merged, parts[round % 4]!]);
  }
  const report = reportOf("hour", merged);
  checkNumbers(report, "extremes");
  assert.deepEqual([report.eventCount, report.terms[0]!.countLow], [2 ** 53, 2 ** 53]);
  assert.equal(report.metrics[0]!.max, extreme);
});
