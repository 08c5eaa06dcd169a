// The bins, the moments and the ranks by themselves.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { normal, probe } from "./testing/metrics-oracle.ts";

const ALPHA = 0.01;
const NORMAL_LEAST = 2 ** -1022;
const INDEX_MAX = 71_608;
const COUNTS = [1, 2, 5, 6, 7, 20, 99, 100, 368, 369, 1000, 2999, 10_000, 1e6, 2 ** 40];
const TAILS = [2, 10, 100, 1000];

test("every value is within 1 % of the answer of its bin, and inside its edges", (context) => {
  const seed = 11;
  context.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  let worst = 0;
  for (let step = 0; step < 300_000; step++) {
    const magnitude = 2 ** (random.below(2046) - 1022) * (1 + random.unit());
    const value = random.chance(1, 2) ? magnitude : -magnitude;
    const index = probe.binOf(value);
    assert.equal(Math.sign(index), Math.sign(value));
    assert.equal(probe.binOf(-value), -index);
    const edge = magnitude * 1e-12;
    assert.ok(probe.lower(index) <= value + edge && value - edge <= probe.upper(index), `${value}`);
    worst = Math.max(worst, Math.abs(probe.answerOf(index) / value - 1));
  }
  context.diagnostic(`worst relative error ${worst}`);
  assert.ok(worst <= ALPHA + 1e-12, `${worst}`);
  assert.ok(worst > ALPHA * 0.99, "the bins are finer than they need to be");
});

test("the ends of the numbers have bins", () => {
  assert.equal(probe.binOf(NORMAL_LEAST), 1);
  assert.equal(probe.binOf(Number.MAX_VALUE), INDEX_MAX);
  assert.equal(probe.binOf(-Number.MAX_VALUE), -INDEX_MAX);
  for (const value of [0, -0, 5e-324, -5e-324, NORMAL_LEAST / 2])
    assert.equal(probe.binOf(value), 0);
  assert.equal(probe.answerOf(0), 0);
  for (const index of [1, -1, INDEX_MAX, -INDEX_MAX]) {
    assert.ok(Number.isFinite(probe.answerOf(index)), `${probe.answerOf(index)}`);
    assert.ok(Number.isFinite(probe.lower(index)) && Number.isFinite(probe.upper(index)));
    assert.equal(probe.binOf(probe.answerOf(index)), index);
  }
});

test("greater values have greater bins, and every bin holds its own answer", () => {
  for (let index = 2; index < INDEX_MAX; index++) {
    assert.equal(probe.binOf(probe.answerOf(index)), index);
    assert.ok(probe.answerOf(index) > probe.answerOf(index - 1));
    assert.equal(probe.lower(index), probe.upper(index - 1));
    assert.equal(probe.upper(-index), -probe.lower(index));
  }
});

test("a pair holds its bins, and answers within 2 %", (context) => {
  const seed = 13;
  context.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  assert.equal(probe.pair(0), 0);
  for (let step = 0; step < 100_000; step++) {
    const magnitude = 2 ** (random.below(2040) - 1020) * (1 + random.unit());
    const value = random.chance(1, 2) ? magnitude : -magnitude;
    const index = probe.binOf(value);
    const pair = probe.pair(index);
    assert.equal(Math.abs(pair % 2), 0);
    assert.ok(Math.abs(pair) - Math.abs(index) <= 1 && Math.sign(pair) === Math.sign(index));
    const edge = magnitude * 1e-12;
    assert.ok(probe.pairLower(pair) <= value + edge && value - edge <= probe.pairUpper(pair));
    assert.ok(Math.abs(probe.pairAnswer(pair) / value - 1) <= 0.02);
  }
});

test("bins come back from their string, whatever they are", (context) => {
  const seed = 14;
  context.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  for (let step = 0; step < 3000; step++) {
    const hasPairs = random.chance(1, 3);
    const gaps = 2 ** random.below(11);
    const counts = 2 ** random.below(62);
    const bins: [number, number][] = [];
    let index = hasPairs ? INDEX_MAX : INDEX_MAX - random.below(2 * INDEX_MAX);
    for (let left = random.below(400); left > 0 && index >= -INDEX_MAX; left--) {
      const isPeak = random.chance(1, 20);
      const count = Math.max(1, Math.floor(random.unit() * (isPeak ? 2 ** 62 : counts)));
      bins.push([index, count]);
      index -= (hasPairs ? 2 : 1) * (1 + (random.chance(1, 2) ? 0 : random.below(gaps)));
    }
    const from = probe.place(bins.length * 16);
    const to = probe.place(12_000);
    const back = probe.place(bins.length * 16 + 16);
    const view = new DataView(probe.memory.buffer);
    bins.forEach(([bin, count], at) => {
      view.setInt32(from + at * 16, bin, true);
      view.setFloat64(from + at * 16 + 8, count, true);
    });
    const end = probe.pack(from, bins.length, to, 12_000, hasPairs);
    // What lies behind a string is none of it.
    new Uint8Array(probe.memory.buffer).fill(random.below(256), end, end + 16);
    const wanted = bins.map(([bin, count]) => `${bin}: ${count}`).join();
    const note = `seed ${seed}, step ${step}`;
    assert.equal(probe.unpack(to, end, back, hasPairs, false), bins.length, note);
    const found = bins.map((_, at) => {
      const count = view.getFloat64(back + at * 16 + 8, true);
      return `${view.getInt32(back + at * 16, true)}: ${count}`;
    });
    assert.equal(found.join(), wanted, note);
    probe.forget();
  }
});

test("a string without room for all bins keeps the greatest, and every count", () => {
  const from = probe.place(300 * 16);
  const to = probe.place(400);
  const back = probe.place(300 * 16);
  const view = new DataView(probe.memory.buffer);
  for (let bin = 0; bin < 300; bin++) {
    view.setInt32(from + bin * 16, 5000 - bin * bin, true);
    view.setFloat64(from + bin * 16 + 8, 1 + (bin % 7) * 1000, true);
  }
  const end = probe.pack(from, 300, to, 200, false);
  assert.ok(end <= to + 200);
  const bins = probe.unpack(to, end, back, false, false);
  assert.ok(bins > 30 && bins < 300, `${bins}`);
  let sum = 0;
  for (let bin = 0; bin < bins; bin++) {
    assert.equal(view.getInt32(back + bin * 16, true), 5000 - bin * bin);
    sum += view.getFloat64(back + bin * 16 + 8, true);
  }
  let all = 0;
  for (let bin = 0; bin < 300; bin++) all += 1 + (bin % 7) * 1000;
  assert.equal(sum, all);
  probe.forget();
});

test("moments agree with two passes, however they were merged", (context) => {
  const seed = 12;
  context.diagnostic(`seed ${seed}`);
  const random = new Random(seed);
  for (const { mean, spread } of [
    { mean: 1e9, spread: 1 },
    { mean: -1e12, spread: 1 },
    { mean: 0, spread: 1e-9 },
    { mean: 5, spread: 0 },
  ]) {
    const parts = Array.from({ length: 7 }, () => probe.newMoments());
    const values: number[] = [];
    for (let step = 0; step < 20_000; step++) {
      const value = mean + spread * normal(random);
      const weight = 1 + random.below(3);
      for (let copy = 0; copy < weight; copy++) values.push(value);
      probe.addMoment(parts[random.below(parts.length)]!, value, weight);
    }
    while (parts.length > 1) {
      const [from] = parts.splice(random.below(parts.length), 1);
      probe.mergeMoments(parts[random.below(parts.length)]!, from!);
    }
    const [count, average, m2] = new Float64Array(probe.memory.buffer, parts[0], 3);
    const exact = values.reduce((sum, value) => sum + (value - mean), 0) / values.length + mean;
    const squares = values.reduce((sum, value) => sum + (value - exact) ** 2, 0);
    assert.equal(count, values.length);
    assert.ok(Math.abs(average! - exact) <= Math.abs(mean) * 1e-15 + spread * 1e-9);
    assert.ok(Math.abs(Math.sqrt(m2!) - Math.sqrt(squares)) <= Math.sqrt(squares) * 1e-4);
    if (spread === 0) assert.equal(m2, 0);
    probe.forget();
  }
});

test("the greatest numbers leave no NaN in the moments", () => {
  const at = probe.newMoments();
  for (let step = 0; step < 100; step++) {
    probe.addMoment(at, step % 2 === 0 ? Number.MAX_VALUE : -Number.MAX_VALUE, 1);
  }
  const other = probe.newMoments();
  probe.addMoment(other, -Number.MAX_VALUE, 3);
  probe.mergeMoments(at, other);
  const fields = [...new Float64Array(probe.memory.buffer, at, 5)];
  assert.ok(fields.every(Number.isFinite), fields.join(" "));
  probe.forget();
});

/** P(X <= k) of a binomial variable, by logarithms. */
function binomialUpTo(k: number, n: number, p: number): number {
  let sum = 0;
  let logarithm = n * Math.log1p(-p);
  for (let x = 0; x <= k; x++) {
    sum += Math.exp(logarithm);
    logarithm += Math.log((n - x) / (x + 1)) + Math.log(p / (1 - p));
  }
  return sum;
}

test("the bounds of a quantile hold at 95 %, and not much more", () => {
  for (const [quantile, tail] of TAILS.entries()) {
    for (const n of COUNTS) {
      const p = 1 / tail;
      const above = probe.rank(n, quantile, 0);
      const low = probe.rank(n, quantile, 1);
      const high = probe.rank(n, quantile, 2);
      const note = `n ${n}, p ${p}: ${high} < ${above} < ${low}`;
      assert.equal(above, Math.floor(n / tail), note);
      assert.ok(high < above && above < low, note);
      if (n * p > 400) continue;
      assert.ok(high < 0 || binomialUpTo(high, n, p) <= 0.0275, note);
      assert.ok(low >= n || binomialUpTo(low, n, p) >= 0.9725, note);
      if (n * p >= 25) continue;
      // One rank closer would not hold, or would be the answer itself.
      assert.ok(high + 1 >= above || binomialUpTo(high + 1, n, p) > 0.025, note);
      assert.ok(low - 1 <= above || binomialUpTo(low - 1, n, p) < 0.975, note);
    }
  }
});
