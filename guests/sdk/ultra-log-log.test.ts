// UltraLogLog: its laws, its bytes against the paper's formulae, and its error.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { compileGuest } from "../summarize/testing/compile.ts";
import { ultraRegisters, widen } from "./testing/user-sketches.ts";

type Probe = {
  memory: WebAssembly.Memory;
  sketch(which: number): number;
  clear(which: number): void;
  add(which: number, p: number, hash: bigint): void;
  addRange(which: number, p: number, first: number, count: number): void;
  merge(p: number): void;
  estimate(which: number, p: number): number;
  error(p: number): number;
  wide(hash: number): bigint;
};

const SEED = Number(process.env["SEED"] ?? 1);
const WORD = (1n << 64n) - 1n;
const module = await compileGuest("guests/sdk/assembly/probes/ultra-log-log.ts");
const probe = new WebAssembly.Instance(module, {}).exports as unknown as Probe;
const memory = new Uint8Array(probe.memory.buffer);

function bytesOf(which: number, p: number): Uint8Array {
  return memory.slice(probe.sketch(which), probe.sketch(which) + 2 ** p);
}

function fill(which: number, p: number, hashes: readonly bigint[]): Uint8Array {
  probe.clear(which);
  for (const hash of hashes) probe.add(which, p, hash);
  return bytesOf(which, p);
}

function merged(p: number, left: readonly bigint[], right: readonly bigint[]): Uint8Array {
  fill(0, p, left);
  fill(1, p, right);
  probe.merge(p);
  return bytesOf(0, p);
}

/** Hashes of which many begin with many zeros after the register's bits. */
function hashesOf(random: Random, count: number, p: number): bigint[] {
  return Array.from({ length: count }, () => {
    const bits = (BigInt(random.u32()) << 32n) | BigInt(random.u32());
    if (random.below(3) > 0) return bits;
    const register = bits >> BigInt(64 - p);
    return (
      (register << BigInt(64 - p)) | ((bits & (WORD >> BigInt(p))) >> BigInt(random.below(64)))
    );
  });
}

test("the registers are, byte for byte, what the paper's definition gives", (t) => {
  const random = new Random(SEED);
  t.diagnostic(`seed ${SEED}`);
  for (let round = 0; round < 200; round++) {
    const p = [3, 4, 6, 8, 10, 13][round % 6]!;
    const hashes = hashesOf(random, random.below(3 * 2 ** Math.min(p, 9)), p);
    assert.deepEqual(fill(0, p, hashes), ultraRegisters(p, hashes), `round ${round}, p ${p}`);
  }
});

test("hashes at the edges: all zeros, all ones, one bit", () => {
  for (const p of [3, 8, 13]) {
    const edges = [0n, WORD, ...Array.from({ length: 64 }, (_, bit) => 1n << BigInt(bit))];
    for (const hash of edges) assert.deepEqual(fill(0, p, [hash]), ultraRegisters(p, [hash]));
    assert.deepEqual(fill(0, p, edges), ultraRegisters(p, edges));
  }
});

test("merging is commutative, associative, idempotent, has an identity, and is the union", () => {
  const random = new Random(SEED + 1);
  for (let round = 0; round < 100; round++) {
    const p = [3, 6, 10, 13][round % 4]!;
    const [a, b, c] = [1, 2, 3].map(() => hashesOf(random, random.below(2 ** Math.min(p, 9)), p));
    const label = `round ${round}, p ${p}`;
    assert.deepEqual(merged(p, a!, b!), merged(p, b!, a!), label);
    assert.deepEqual(merged(p, a!, b!), fill(0, p, [...a!, ...b!]), label);
    assert.deepEqual(merged(p, a!, a!), fill(0, p, a!), label);
    assert.deepEqual(merged(p, a!, []), fill(0, p, a!), label);
    assert.deepEqual(merged(p, [], a!), fill(0, p, a!), label);
    const left = merged(p, a!, b!);
    fill(1, p, c!);
    memory.set(left, probe.sketch(0));
    probe.merge(p);
    const leftFirst = bytesOf(0, p);
    const right = merged(p, b!, c!);
    memory.set(right, probe.sketch(1));
    fill(0, p, a!);
    probe.merge(p);
    assert.deepEqual(leftFirst, bytesOf(0, p), label);
  }
});

/** The estimator of the paper, from the register's meaning, with the two constants of its text. */
function estimateOf(p: number, registers: Uint8Array): number {
  const tau = 0.8194911375910897;
  const v = 0.6118931496978437;
  const eta = [4.663135422063788, 2.1378502137958524, 2.781144650979996, 0.9824082545153715];
  const m = 2 ** p;
  const x = eta[0]! - eta[1]! - eta[2]! + eta[3]!;
  const psi = (z: number): number =>
    (z + (eta[2]! - eta[3]!) / x) * (z * z + (eta[1]! - eta[3]!) / x) +
    (eta[3]! * eta[0]! - eta[1]! * eta[2]!) / (x * x);
  const near = [0, 0, 0, 0];
  let sum = 0;
  for (const register of registers) {
    const k = (register >> 2) - (p - 1);
    if (register === 0) near[0]!++;
    else if (k === 0) near[1]!++;
    else if (k === 1) near[(register & 2) === 0 ? 2 : 3]!++;
    else sum += eta[register & 3]! * 2 ** (-tau * (k + 1));
  }
  const [c0, c4, c8, c10] = near as [number, number, number, number];
  const a = m + 3 * (c0 + c4 + c8 + c10);
  const b = m - c0 - c4;
  const c = 4 * c0 + 2 * c4 + 3 * c8 + c10;
  const z = ((Math.sqrt(b * b + 4 * a * c) - b) / (2 * a)) ** 4;
  let sigma = z <= 0 ? eta[3]! : 0;
  for (let u = 0; z > 0 && u < 60; u++) {
    const [here, next] = [z ** (2 ** u), z ** (2 ** (u + 1))];
    sigma += (x * 2 ** (u * tau) * (here - next) * psi(next)) / z;
  }
  sum += c0 * sigma + c4 * 2 ** -tau * x * psi(z);
  sum += c8 * 4 ** -tau * (z * (eta[0]! - eta[1]!) + eta[1]!);
  sum += c10 * 4 ** -tau * (z * (eta[2]! - eta[3]!) + eta[3]!);
  return (m ** (1 + 1 / tau) / (1 + (v * (1 + tau)) / (2 * m))) * sum ** (-1 / tau);
}

test("the estimate is the paper's", () => {
  const random = new Random(SEED + 2);
  for (const p of [4, 8, 10, 13]) {
    probe.clear(0);
    assert.equal(probe.estimate(0, p), 0);
    for (const count of [1, 2, 10, 100, 1000, 10_000, 100_000, 1_000_000]) {
      probe.clear(0);
      probe.addRange(0, p, random.u32(), count);
      const expected = estimateOf(p, bytesOf(0, p));
      const estimate = probe.estimate(0, p);
      assert.ok(Math.abs(estimate / expected - 1) < 1e-9, `p ${p}: ${estimate}, ${expected}`);
    }
  }
});

test("p = 13 is within 1.8 % in 95 % of trials from 100 to 1,000,000, and without bias", (t) => {
  assert.ok(Math.abs(probe.error(13) - 0.00864) < 0.00001);
  let largeWithin = 0;
  let largeTrials = 0;
  for (const [count, trials] of [
    [100, 400],
    [1000, 400],
    [10_000, 400],
    [100_000, 400],
    [1_000_000, 400],
  ] as const) {
    let within = 0;
    let sum = 0;
    let squares = 0;
    for (let trial = 0; trial < trials; trial++) {
      probe.clear(0);
      probe.addRange(0, 13, Math.imul(trial, 0x3504f333) + Math.imul(SEED, 0x9e3779b1), count);
      const error = probe.estimate(0, 13) / count - 1;
      if (Math.abs(error) <= 0.018) within++;
      sum += error;
      squares += error * error;
    }
    const rmse = Math.sqrt(squares / trials);
    const percent = (value: number): string => `${(value * 100).toFixed(2)} %`;
    t.diagnostic(
      `n ${count}: ${within} of ${trials} within 1.8 %, rmse ${percent(rmse)}, ` +
        `bias ${percent(sum / trials)}, seed ${SEED}`,
    );
    if (count >= 100_000) {
      largeWithin += within;
      largeTrials += trials;
    }
    // Less two standard deviations of the count: the expected share at 10^6 is 96.3 %.
    assert.ok(within >= trials * 0.94, `n ${count}: ${within} of ${trials}`);
    assert.ok(rmse < 0.00864 * 1.15, `n ${count}: rmse ${rmse}`);
    assert.ok(Math.abs(sum / trials) < (3 * 0.00864) / Math.sqrt(trials) + 0.0005);
  }
  assert.ok(largeWithin >= largeTrials * 0.95, `${largeWithin} of ${largeTrials}`);
});

test("a hash widened to 64 bits is splitmix64's", () => {
  // The first outputs of splitmix64 from seed 0, whose step is added before each.
  assert.deepEqual(
    [0, 1, 2].map((hash) => BigInt.asUintN(64, probe.wide(hash))),
    [0xe220a8397b1dcdafn, 0x6e789e6aa1b965f4n, 0x06c45d188009454fn],
  );
  for (const hash of [0x7fffffff, 0x80000000, 0xffffffff])
    assert.equal(BigInt.asUintN(64, probe.wide(hash)), widen(hash));
});
