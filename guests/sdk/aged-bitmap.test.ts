// The aged bitmap: its bits against an exact twin of stamps, and its estimate against the truth.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { compileGuest } from "../summarize/testing/compile.ts";
import { isInSpan, RANK_WEIGHTS, rankBitOf, rankBits, REGISTERS } from "./testing/user-sketches.ts";

type Probe = {
  memory: WebAssembly.Memory;
  bitmapBytes(): number;
  bits(which: number): number;
  clear(): void;
  add(hash: number, pane: number, current: number): void;
  addRange(first: number, count: number, current: number): void;
  roll(from: number, to: number): void;
  count(span: number, current: number, rank: number): number;
  estimate(span: number, current: number): number;
  error(users: number): number;
  encode(which: number, span: number, current: number): void;
  addBit(which: number, hash: number): void;
  merge(to: number, from: number): void;
  bitsCount(which: number, rank: number): number;
  estimateBits(which: number): number;
};

const SEED = Number(process.env["SEED"] ?? 1);
const SPANS = [0, 1, 2, 3];

const module = await compileGuest("guests/sdk/assembly/probes/aged-bitmap.ts");
const probe = new WebAssembly.Instance(module, {}).exports as unknown as Probe;
const memory = new Uint8Array(probe.memory.buffer);

/** For every bit the newest pane it was set in. */
class ExactBits {
  readonly #panes = new Map<number, number>();

  add(hash: number, pane: number): void {
    const bit = rankBitOf(hash);
    this.#panes.set(bit, Math.max(pane, this.#panes.get(bit) ?? 0));
  }

  bytes(span: number, current: number): Uint8Array {
    const panes = [...this.#panes].filter(([, pane]) => isInSpan(span, pane, current));
    return rankBits(panes.map(([bit]) => bit));
  }
}

function formOf(which: number): Uint8Array {
  return memory.slice(probe.bits(which), probe.bits(which) + REGISTERS);
}

function countsOf(bytes: Uint8Array): number[] {
  return RANK_WEIGHTS.map((_, rank) => bytes.reduce((sum, byte) => sum + ((byte >> rank) & 1), 0));
}

/** Panes to go on by: mostly one, at times past one or all of a span's levels. */
function stepOf(random: Random): number {
  const longest = [1, 1, 1, 3, 16, 200, 900, 20_000, 200_000, 10_000_000][random.below(10)]!;
  return 1 + random.below(longest);
}

function checkStream(seed: number, steps: number): number {
  const random = new Random(seed);
  const exact = new ExactBits();
  probe.clear();
  let current = random.below(2) === 0 ? 16 + random.below(50) : 350_000_000 + random.below(1e6);
  let checks = 0;
  const users = 1 + random.below(3000);
  for (let step = 0; step < steps; step++) {
    for (let add = random.below(40); add > 0; add--) {
      const age = [0, 0, 0, random.below(12), random.below(1000), random.below(40_000)];
      const pane = Math.max(16, current - age[random.below(6)]!);
      const user = random.below(users);
      exact.add(user, pane);
      probe.add(user, pane, current);
    }
    for (const span of random.below(4) === 0 ? SPANS : []) {
      const expected = exact.bytes(span, current);
      probe.encode(0, span, current);
      assert.deepEqual(formOf(0), expected, `seed ${seed}, step ${step}, span ${span}`);
      const counts = RANK_WEIGHTS.map((_, rank) => probe.count(span, current, rank));
      assert.deepEqual(counts, countsOf(expected));
      assert.deepEqual(
        RANK_WEIGHTS.map((_, rank) => probe.bitsCount(0, rank)),
        counts,
      );
      assert.equal(probe.estimate(span, current), probe.estimateBits(0));
      checks++;
    }
    if (random.below(2) === 0) continue;
    const next = current + stepOf(random);
    probe.roll(current, next);
    current = next;
  }
  return checks;
}

test("bit for bit what exact stamps give: late users, rolls, jumps of any length", (t) => {
  let checks = 0;
  for (let stream = 0; stream < 60; stream++) checks += checkStream(SEED + stream, 150);
  t.diagnostic(`seeds ${SEED} to ${SEED + 59}, ${checks} comparisons`);
  assert.ok(checks > 2000);
  assert.equal(probe.bitmapBytes(), 16384);
});

test("pane by pane for three days it forgets what it should and nothing else", () => {
  const exact = new ExactBits();
  const random = new Random(SEED);
  probe.clear();
  let current = 350_000_000;
  for (let pane = 0; pane < 52_000; pane++) {
    if (random.below(20) === 0) {
      const user = random.below(3000);
      exact.add(user, current);
      probe.add(user, current, current);
    }
    if (pane % 997 === 0) {
      for (const span of SPANS) {
        probe.encode(0, span, current);
        assert.deepEqual(formOf(0), exact.bytes(span, current), `pane ${pane}, span ${span}`);
      }
    }
    probe.roll(current, current + 1);
    current++;
  }
});

test("the portable form: merging is OR, hashes can be poured in, the laws hold", () => {
  const current = 350_000_000;
  const random = new Random(SEED);
  for (let round = 0; round < 20; round++) {
    const [left, right] = [random.below(20_000), random.below(20_000)];
    probe.clear();
    probe.addRange(0, left, current);
    probe.encode(0, 2, current);
    const a = formOf(0);
    for (let user = 1000; user < 1000 + right; user++) probe.addBit(1, user);
    const b = formOf(1);
    probe.merge(0, 1);
    const ab = formOf(0);
    memory.set(a, probe.bits(2));
    probe.merge(1, 2);
    assert.deepEqual(formOf(1), ab, "commutative");
    probe.merge(1, 0);
    assert.deepEqual(formOf(1), ab, "idempotent");
    assert.deepEqual(
      ab,
      a.map((byte, index) => byte | b[index]!),
    );
    probe.clear();
    probe.addRange(0, Math.max(left, right > 0 ? 1000 + right : 0), current);
    probe.encode(0, 2, current);
    if (left >= 1000) assert.deepEqual(formOf(0), ab, "merge = union");
  }
});

/** What the header of the file derives. */
function errorOf(users: number): number {
  let information = 0;
  for (const weight of RANK_WEIGHTS) {
    const x = (users * weight) / 65536 / REGISTERS;
    if (x < 300) information += (REGISTERS * x * x) / Math.expm1(x);
  }
  return Math.sqrt(1 / information - 1 / users + (0.5 / users) ** 2);
}

test("the reported error is the formula's, at most 2.32 % to 10^6 users, and 1 when full", () => {
  for (let exponent = 2; exponent <= 6; exponent += 0.05) {
    const users = 10 ** exponent;
    assert.ok(Math.abs(probe.error(users) - errorOf(users)) < 1e-6, `${users}`);
    assert.ok(probe.error(users) < 0.0232, `${users}: ${probe.error(users)}`);
  }
  assert.equal(probe.error(0), 0);
  assert.ok(probe.error(3e6) > 0.06);
  const current = 350_000_000;
  probe.clear();
  assert.equal(probe.estimate(0, current), 0);
  memory.fill(255, probe.bits(0), probe.bits(0) + REGISTERS);
  assert.equal(probe.error(probe.estimateBits(0)), 1);
  memory[probe.bits(0)] = 127;
  assert.ok(probe.estimateBits(0) > 3.6e6 && probe.estimateBits(0) < 3.8e6);
});

test("the estimate is the likeliest: no number near it explains the bits better", () => {
  const current = 350_000_000;
  for (const count of [1, 2, 5, 30, 300, 3000, 30_000, 300_000, 3_000_000]) {
    probe.clear();
    probe.addRange(SEED * 7, count, current);
    const counts = RANK_WEIGHTS.map((_, rank) => probe.count(1, current, rank));
    const likelihood = (users: number): number =>
      counts.reduce((sum, set, rank) => {
        const x = (users * RANK_WEIGHTS[rank]!) / 65536 / REGISTERS;
        return sum + (set > 0 ? set * Math.log(-Math.expm1(-x)) : 0) - (REGISTERS - set) * x;
      }, 0);
    const estimate = probe.estimate(1, current);
    const best = likelihood(estimate);
    for (const factor of [0.5, 0.99, 0.999, 1.001, 1.01, 2]) {
      assert.ok(likelihood(estimate * factor) < best, `${count}: ${estimate} * ${factor}`);
    }
  }
});

test("real errors are the reported ones: 95 % within twice the standard error", (t) => {
  const current = 350_000_000;
  let all = 0;
  let allWithin = 0;
  for (const count of [3, 10, 30, 100, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000]) {
    const trials = count > 100_000 ? 150 : 600;
    let within = 0;
    let squares = 0;
    let sum = 0;
    let reported = 0;
    for (let trial = 0; trial < trials; trial++) {
      probe.clear();
      probe.addRange(Math.imul(trial, 0x3504f333) + Math.imul(SEED, 0x9e3779b1), count, current);
      const estimate = probe.estimate(0, current);
      const error = estimate / count - 1;
      sum += error;
      squares += error * error;
      reported += probe.error(estimate) / trials;
      // As it is told: of whole users.
      if (Math.abs(Math.round(estimate) - count) <= 2 * probe.error(estimate) * estimate) within++;
    }
    all += trials;
    allWithin += within;
    const rmse = Math.sqrt(squares / trials);
    const percent = (value: number): string => `${(value * 100).toFixed(2)} %`;
    t.diagnostic(
      `n ${count}: rmse ${percent(rmse)}, reported ${percent(reported)}, bias ` +
        `${percent(sum / trials)}, ${percent(within / trials)} within twice, seed ${SEED}`,
    );
    assert.ok(rmse < reported * 1.15, `n ${count}`);
    if (count >= 1000) assert.ok(rmse > reported * 0.85, `n ${count}: more is claimed than is so`);
    assert.ok(Math.abs(sum / trials) < (3.5 * reported) / Math.sqrt(trials) + 0.001, `n ${count}`);
  }
  t.diagnostic(`${allWithin} of ${all} within twice the reported error`);
  assert.ok(allWithin >= all * 0.95, `${allWithin} of ${all}`);
});
