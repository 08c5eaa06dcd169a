// The terms of the longer windows: every interval against an exact count of every key.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { compileGuest } from "../summarize/testing/compile.ts";

type Probe = {
  memory: WebAssembly.Memory;
  open(capacity: number, indexed: number, rows: number, pane: number, hashBits: number): void;
  isTidy(rows: number): number;
  add(key: number, pane: number, weight: number): void;
  advance(pane: number): void;
  removeSlot(slot: number): void;
  setRows(rows: number): void;
  spread(): void;
  isSpread(): number;
  gather(rows: number): number;
  repack(): number;
  rowCount(): number;
  list(span: number, limit: number): number;
  forget(): void;
  listCount(found: number): number;
  unlisted(found: number): number;
  keyAt(found: number, index: number): number;
  lowAt(found: number, index: number): number;
  highAt(found: number, index: number): number;
  encoded(found: number): number;
  encodedLength(found: number): number;
  throughByte(count: number): number;
  repeatMinute(times: number): void;
};

const module = await compileGuest("guests/sdk/assembly/probes/term-spans.ts");
const probe = new WebAssembly.Instance(module, {}).exports as unknown as Probe;

const BIAS = 16;
const [MINUTE, TEN_MINUTES, HOUR, DAY, ALL] = [0, 1, 2, 3, 4] as const;
const SPANS = [MINUTE, TEN_MINUTES, HOUR, DAY, ALL];
/** Panes of a level pane, level panes of a span. */
const SHAPES = [
  [1, 12],
  [12, 10],
  [60, 12],
  [1440, 12],
] as const;

/** Exact counts by key and minute; by pane for the window of 60 s. */
class ExactSpans {
  pane: number;
  #byPane = new Map<number, Map<number, number>>();

  constructor(pane: number) {
    this.pane = pane;
  }

  add(key: number, pane: number, weight: number): void {
    const panes = this.#byPane.get(key) ?? new Map<number, number>();
    panes.set(pane, (panes.get(pane) ?? 0) + weight);
    this.#byPane.set(key, panes);
  }

  keys(): Iterable<number> {
    return this.#byPane.keys();
  }

  /** The counts of a key in all spans. */
  counts(key: number): number[] {
    const sums = SPANS.map(() => 0);
    const firsts = SPANS.map((span) => this.firstPane(span));
    for (const [pane, count] of this.#byPane.get(key) ?? []) {
      for (const span of SPANS) if (pane >= firsts[span]!) sums[span]! += count;
    }
    return sums;
  }

  firstPane(span: number): number {
    const shape = SHAPES[span];
    if (shape === undefined) return 0;
    const [panes, levels] = shape;
    if (span === MINUTE) return this.pane - levels + 1;
    return (Math.floor((this.pane - BIAS) / panes) - levels + 1) * panes + BIAS;
  }
}

type Interval = { readonly key: number; readonly low: number; readonly high: number };
type Listed = { readonly entries: Interval[]; readonly unlisted: number };

function list(span: number, limit: number): Listed {
  const found = probe.list(span, limit);
  const entries = Array.from({ length: probe.listCount(found) }, (_, index) => ({
    key: probe.keyAt(found, index) >>> 0,
    low: probe.lowAt(found, index),
    high: probe.highAt(found, index),
  }));
  const unlisted = probe.unlisted(found);
  probe.forget();
  return { entries, unlisted };
}

/** Checks every key in every span; returns how many intervals that were. */
function checkSpans(exact: ExactSpans, limit: number, shown: string): number {
  const counts = new Map([...exact.keys()].map((key) => [key, exact.counts(key)] as const));
  for (const span of SPANS) {
    const { entries, unlisted } = list(span, limit);
    const listed = new Map(entries.map((entry) => [entry.key, entry]));
    assert.equal(listed.size, entries.length, `${shown}: a term is listed once`);
    assert.ok(entries.length <= limit);
    for (const [index, { low }] of entries.entries()) {
      assert.ok(low > 0 && low <= (entries[index - 1]?.low ?? low), `${shown}: most first`);
    }
    for (const [key, sums] of counts) {
      const { low, high } = listed.get(key) ?? { low: 0, high: unlisted };
      const count = sums[span]!;
      assert.ok(
        low <= count && count <= high,
        `${shown}, span ${span}, key ${key}: ${low} <= ${count} <= ${high}`,
      );
    }
  }
  return counts.size * SPANS.length;
}

type Shape = {
  readonly slots: number;
  readonly rows: number;
  readonly keys: number;
  readonly skew: number;
  readonly lateShare: number;
  readonly latePanesMax: number;
  readonly weightMax: number;
  readonly hashBits: number;
  readonly jumpMax: number;
  readonly stepEvery: number;
  readonly disturbed: boolean;
};

function shapeOf(random: Random): Shape {
  const slots = [4, 4, 8, 16, 48][random.below(5)]!;
  return {
    slots,
    rows: [1, 2, 3, 5, 8, 24][random.below(6)]!,
    keys: 2 + random.below(slots * 5),
    skew: [0, 0.5, 1, 1.5][random.below(4)]!,
    lateShare: [0, 0.15, 0.9][random.below(3)]!,
    latePanesMax: [12, 30, 2000, 20_000][random.below(4)]!,
    weightMax: [1, 1, 5, 1_000_000, 0x40000000][random.below(5)]!,
    hashBits: [32, 32, 4][random.below(3)]!,
    jumpMax: [1, 1, 14, 200, 3000, 30_000][random.below(6)]!,
    stepEvery: [2, 5, 20][random.below(3)]!,
    disturbed: random.below(3) === 0,
  };
}

/** Runs one stream; returns how many intervals were checked. */
function checkStream(seed: number, steps: number): number {
  const random = new Random(seed);
  const shape = shapeOf(random);
  const exact = new ExactSpans(BIAS + 20_000 + random.below(10_000_000));
  let { rows } = shape;
  let isSpread = false;
  let checks = 0;
  probe.open(shape.slots, random.below(2), rows, exact.pane, shape.hashBits);
  for (let step = 0; step < steps; step++) {
    // Who is said most changes now and then, or no row would ever change hands.
    const shift = Math.floor(step / 200) * 3;
    const rank = Math.floor(shape.keys * random.unit() ** (1 + shape.skew * 2));
    const key = 1 + ((rank + shift) % shape.keys);
    const isLate = random.unit() < shape.lateShare;
    const pane = exact.pane - (isLate ? random.below(shape.latePanesMax) : 0);
    const weight = 1 + random.below(random.below(10) === 0 ? shape.weightMax : 1);
    exact.add(key, pane, weight);
    probe.add(key, pane, weight);
    if (random.below(shape.stepEvery) === 0) {
      exact.pane += 1 + (random.below(10) === 0 ? random.below(shape.jumpMax) : 0);
      probe.advance(exact.pane);
    }
    if (shape.disturbed && random.below(60) === 0) probe.removeSlot(random.below(shape.slots));
    const shown = `SEED=${seed}, step ${step}`;
    if (shape.disturbed && random.below(60) === 0) {
      if (isSpread) assert.equal(probe.gather((rows = 3 + random.below(22))), 1, shown);
      else if (rows >= 3 && rows <= 19 && random.below(2) === 0) probe.spread();
      else probe.setRows((rows = 1 + random.below(24)));
      isSpread = probe.isSpread() === 1;
    }
    if (step % 41 !== 0) continue;
    assert.ok(probe.rowCount() === 0 || probe.repack() > 0, `${shown}: packed rows are the rows`);
    checks += checkSpans(exact, random.below(3) === 0 ? random.below(20) : 1000, shown);
    assert.equal(probe.isTidy(isSpread ? 3 : rows), 1, shown);
  }
  return checks;
}

test("every interval of every span holds the true count", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const streams = Number(process.env["STREAMS"] ?? 100);
  let checks = 0;
  for (let stream = 0; stream < streams; stream++) checks += checkStream(seed + stream, 800);
  assert.ok(checks > streams * 500, `${checks} checks`);
  if (process.env["STREAMS"] !== undefined) process.stderr.write(`${checks} intervals checked\n`);
});

test("where neither table ever ran full, every count is exact, of late events too", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed);
    const exact = new ExactSpans(BIAS + 30_000 + random.below(1000));
    probe.open(24, 0, 24, exact.pane, 32);
    for (let step = 0; step < 3000; step++) {
      const pane = exact.pane - (random.below(5) === 0 ? random.below(20_000) : 0);
      const key = 1 + random.below(24);
      exact.add(key, pane, 1);
      probe.add(key, pane, 1);
      if (step % 7 === 0) {
        exact.pane += random.below(50) === 0 ? random.below(1000) : 1;
        probe.advance(exact.pane);
      }
    }
    for (const span of SPANS) {
      const { entries, unlisted } = list(span, 100);
      assert.equal(unlisted, 0);
      for (const { key, low, high } of entries) {
        assert.equal(low, high, `SEED=${seed}`);
        assert.equal(low, exact.counts(key)[span], `SEED=${seed}, span ${span}, key ${key}`);
      }
    }
  }
});

test("a term that no row follows is bounded by what the others had", () => {
  probe.open(8, 0, 1, 1216, 32);
  for (let times = 0; times < 50; times++) probe.add(1, 1216, 1);
  for (let times = 0; times < 20; times++) probe.add(2, 1216, 1);
  probe.add(3, 1216, 1);
  probe.advance(1228);
  const hour = list(HOUR, 10);
  assert.deepEqual(hour.entries, [{ key: 1, low: 50, high: 50 }]);
  assert.equal(hour.unlisted, 20, "term 2 was counted, but found no row");
  probe.add(2, 1228, 1);
  assert.deepEqual(list(HOUR, 10).entries[1], { key: 2, low: 1, high: 21 });
});

test("a row given away in a minute of which it missed events leaves those in the bound too", () => {
  const [key, rival] = [1, 2];
  probe.open(4, 0, 1, 1216, 32);
  addAll(1216, [[key, 10]]);
  probe.advance(1240);
  // The key loses its slot in the table of the window, and then its row.
  addAll(1240, [
    [key, 3],
    [3, 4],
    [4, 4],
    [5, 4],
    [rival, 50],
  ]);
  probe.advance(1252);
  for (const span of [HOUR, DAY, ALL]) {
    const { entries, unlisted } = list(span, 10);
    assert.deepEqual(entries, [{ key: rival, low: 50, high: 53 }]);
    assert.equal(unlisted, 13, `span ${span}`);
  }
});

test("a term without a row is bounded by what it can have had, not by what was seen of it", () => {
  const key = 1;
  probe.open(4, 0, 1, 1216, 32);
  addAll(1216, [
    [2, 50],
    [3, 4],
    [4, 4],
    [key, 3],
    [5, 1],
    [key, 4],
  ]);
  assert.deepEqual(list(MINUTE, 10).entries[1], { key, low: 4, high: 8 });
  probe.advance(1228);
  assert.equal(list(HOUR, 10).unlisted, 8);
});

function addAll(pane: number, counts: readonly (readonly [number, number])[]): void {
  for (const [key, count] of counts) {
    for (let times = 0; times < count; times++) probe.add(key, pane, 1);
  }
}

test("a new trend gets a row in its first minute, and the term of the hour keeps its own", () => {
  const rows = 8;
  probe.open(48, 0, rows, 12_016, 32);
  let pane = 12_016;
  const minute = (counts: readonly (readonly [number, number])[]) => {
    addAll(pane, counts);
    probe.advance((pane += 12));
  };
  for (let times = 0; times < 15; times++) {
    minute([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((key) => [key, 200 - key * 10] as const));
  }
  // All fall silent but one that is new.
  minute([[77, 150]]);
  assert.ok(list(TEN_MINUTES, 100).entries.some(({ key, low }) => key === 77 && low === 150));
  for (let times = 0; times < 25; times++) minute([[77, 150], ...noise(times)]);
  const hour = list(HOUR, 3).entries.map(({ key }) => key);
  assert.deepEqual(hour, [77, 1, 2]);
});

/** Thirty other terms, none of them said often. */
function noise(minute: number): [number, number][] {
  return Array.from({ length: 30 }, (_, index) => [1000 + minute * 30 + index, 2]);
}

test("a stream that comes late as a whole still gets its terms into rows", () => {
  const random = new Random(5);
  const exact = new ExactSpans(50_016);
  probe.open(16, 0, 8, exact.pane, 32);
  for (let step = 0; step < 40_000; step++) {
    const key = 1 + Math.floor(400 ** random.unit() - 1);
    exact.add(key, exact.pane - 40, 1);
    probe.add(key, exact.pane - 40, 1);
    if (step % 100 === 0) probe.advance(++exact.pane);
  }
  checkSpans(exact, 100, "late as a whole");
  const top = list(HOUR, 5).entries.map(({ key }) => key);
  for (const key of [1, 2, 3]) assert.ok(top.includes(key), `${key} is among ${top.join(" ")}`);
});

test("giving up rows keeps the largest, and more rows change nothing that is known", () => {
  probe.open(16, 0, 12, 1216, 32);
  for (let key = 1; key <= 12; key++) {
    for (let times = 0; times < key * 10; times++) probe.add(key, 1216, 1);
  }
  probe.advance(1240);
  const before = list(HOUR, 100);
  assert.equal(before.entries.length, 12);
  probe.setRows(24);
  assert.deepEqual(list(HOUR, 100), before);
  probe.setRows(5);
  const after = list(HOUR, 100);
  assert.deepEqual(after.entries, before.entries.slice(0, 5));
  assert.equal(after.unlisted, 70, "the largest of those given up");
});

test("the portable form says what the list says", () => {
  probe.open(16, 0, 4, 1216, 32);
  for (let key = 1; key <= 9; key++) {
    for (let times = 0; times < key; times++) probe.add(key, 1216, 1);
  }
  probe.advance(1228);
  probe.add(3, 1228, 5);
  const { entries, unlisted } = list(HOUR, 100);
  const found = probe.list(HOUR, 100);
  const length = probe.encodedLength(found);
  const view = new DataView(probe.memory.buffer, probe.encoded(found), length);
  assert.equal(length, 16 + entries.length * 32);
  assert.equal(view.getUint32(0, true), entries.length);
  assert.equal(view.getFloat64(8, true), unlisted);
  for (const [index, entry] of entries.entries()) {
    const at = 16 + index * 32;
    assert.equal(view.getFloat64(at, true), entry.low);
    assert.equal(view.getFloat64(at + 8, true), entry.high);
    assert.equal(view.getUint16(at + 16, true), 4);
    assert.equal(view.getUint32(at + 24, true), entry.key);
    assert.equal(view.getUint32(at + 28, true), 0);
  }
  probe.forget();
});

test("a count kept in a byte is never less than it was, and at most an eighth more", () => {
  const random = new Random(9);
  for (let count = 0; count < 2000; count++) checkByte(count);
  for (let times = 0; times < 20_000; times++) checkByte(random.u32() >>> random.below(32));
  assert.equal(probe.throughByte(0xffffffff), Infinity);
});

function checkByte(count: number): void {
  const kept = probe.throughByte(count);
  if (count !== 0xffffffff) {
    assert.ok(kept >= count && kept <= count * 1.125, `${count}: ${kept}`);
    if (count <= 16) assert.equal(kept, count);
  }
}

test("the top 10 of an hour of Zipf's law are found with 24 rows, and most are exact", () => {
  const perSecond = Number(process.env["RATE"] ?? 60);
  const random = new Random(11);
  const cumulative = zipf(100_000);
  const exact = new ExactSpans(BIAS + 720_000);
  probe.open(256, 1, 24, exact.pane, 32);
  for (let pane = 0; pane < 720; pane++) {
    for (let event = 0; event < perSecond * 5; event++) {
      const key = 1 + indexOf(cumulative, random.unit());
      exact.add(key, exact.pane, 1);
      probe.add(key, exact.pane, 1);
    }
    probe.advance(++exact.pane);
  }
  const truth = [...exact.keys()]
    .map((key) => ({ key, count: exact.counts(key)[HOUR]! }))
    .toSorted((left, right) => right.count - left.count);
  const { entries, unlisted } = list(HOUR, 10);
  const top = new Set(truth.slice(0, 10).map(({ key }) => key));
  const recall = entries.filter(({ key }) => top.has(key)).length / 10;
  const exactCount = entries.filter(({ low, high }) => low === high).length;
  if (process.env["RATE"] !== undefined) {
    const total = truth.reduce((sum, { count }) => sum + count, 0);
    process.stderr.write(
      `recall ${recall}, exact ${exactCount}, unlisted ${unlisted} of ${total}, ` +
        `rank 25 had ${truth[24]!.count}\n`,
    );
  }
  assert.ok(recall >= 0.9, `recall ${recall}`);
  assert.ok(exactCount >= 8, `${exactCount} are exact`);
  checkSpans(exact, 1000, "zipf");
});

function zipf(keys: number): Float64Array {
  const cumulative = new Float64Array(keys);
  let sum = 0;
  for (let rank = 0; rank < keys; rank++) cumulative[rank] = sum += 1 / (rank + 1);
  return cumulative.map((value) => value / sum);
}

function indexOf(cumulative: Float64Array, unit: number): number {
  let low = 0;
  let high = cumulative.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (cumulative[middle]! < unit) low = middle + 1;
    else high = middle;
  }
  return low;
}
