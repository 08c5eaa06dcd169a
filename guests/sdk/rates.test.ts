// Rates, against the sum over all events that defines them.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { compileGuest } from "../summarize/testing/compile.ts";

type Probe = {
  open(): void;
  add(tsMs: number, weight: number): void;
  addMany(fromMs: number, everyMs: number, count: number): void;
  perSecond(index: number, asOfMs: number): number;
  overMs(index: number, asOfMs: number): number;
  exponential(x: number): number;
  isTidy(): number;
};

const module = await compileGuest("guests/sdk/assembly/probes/rates.ts");
const probe = new WebAssembly.Instance(module, {}).exports as unknown as Probe;

const TAUS_MS = [10_000, 60_000, 300_000];
const START_MS = 1_790_000_000_000;

/** All events of a stream, and its rates by the definition. */
class ExactRates {
  #startMs = Number.NaN;
  #newestMs = 0;
  #events: { readonly ms: number; readonly weight: number }[] = [];

  add(tsMs: number, weight: number): void {
    const ms = Math.floor(tsMs);
    if (this.#events.length === 0) {
      this.#startMs = floor16(ms);
      this.#newestMs = ms;
    }
    if (ms < this.#startMs) {
      const isLongAgo = this.#newestMs - this.#startMs >= 8_000_000;
      if (!isLongAgo && this.#startMs - ms > 60_000) return;
      if (!isLongAgo) this.#startMs = floor16(ms);
    }
    this.#newestMs = Math.max(this.#newestMs, ms);
    this.#events.push({ ms, weight });
  }

  perSecond(tauMs: number, asOfMs: number): number {
    const ms = Math.max(Math.floor(asOfMs), this.#newestMs);
    let mass = 0;
    for (const event of this.#events) mass += event.weight * Math.exp((event.ms - ms) / tauMs);
    const ageMs = this.#ageMs(ms);
    return (mass * 1000) / (tauMs * -Math.expm1(-ageMs / tauMs));
  }

  /** What the rate is over. */
  overMs(tauMs: number, asOfMs: number): number {
    return Math.min(tauMs, this.#ageMs(Math.max(Math.floor(asOfMs), this.#newestMs)));
  }

  #ageMs(ms: number): number {
    return Math.max(1000, ms - this.#startMs);
  }
}

function floor16(ms: number): number {
  return Math.floor(ms / 16) * 16;
}

function assertNear(actual: number, wanted: number, share: number, shown: string): void {
  const tolerance = share * Math.abs(wanted) + 1e-250;
  assert.ok(Math.abs(actual - wanted) <= tolerance, `${shown}: ${actual} for ${wanted}`);
}

/** Runs one stream; returns how many rates were compared. */
function checkStream(seed: number): number {
  const random = new Random(seed);
  const gapMaxMs = [3, 200, 5000, 400_000][random.below(4)]!;
  const backMaxMs = [0, 50, 5000, 90_000, 9_000_000][random.below(5)]!;
  const exact = new ExactRates();
  let checks = 0;
  let nowMs = START_MS + random.below(1e9);
  probe.open();
  assert.equal(probe.perSecond(0, nowMs), 0, "nothing came yet");
  assert.equal(probe.overMs(0, nowMs), 0, "over no time");
  for (let step = 0; step < 300; step++) {
    if (random.below(3) !== 0) nowMs += random.unit() * gapMaxMs;
    const tsMs = nowMs - (random.below(4) === 0 ? random.unit() * backMaxMs : 0);
    const weight = random.below(10) === 0 ? random.below(1_000_000) : 1;
    probe.add(tsMs, weight);
    exact.add(tsMs, weight);
    if (step % 5 !== 0) continue;
    const asOfMs = nowMs + (random.below(2) === 0 ? random.unit() * gapMaxMs * 3 : 0);
    for (const [index, tauMs] of TAUS_MS.entries()) {
      const shown = `SEED=${seed}, step ${step}, ${tauMs} ms`;
      assertNear(probe.perSecond(index, asOfMs), exact.perSecond(tauMs, asOfMs), 1e-10, shown);
      assert.equal(probe.overMs(index, asOfMs), exact.overMs(tauMs, asOfMs), shown);
      checks += 1;
    }
  }
  assert.equal(probe.isTidy(), 1);
  return checks;
}

test("rates are those of the definition: bursts, silence, weights, disorder", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const streams = Number(process.env["STREAMS"] ?? 200);
  let checks = 0;
  for (let stream = 0; stream < streams; stream++) checks += checkStream(seed + stream);
  assert.ok(checks > streams * 100, `${checks} rates`);
});

test("the power of e is that of the host, to the last digits", () => {
  const random = new Random(3);
  for (let times = 0; times < 20_000; times++) {
    const x = -random.unit() * [1e-6, 1, 30, 689][random.below(4)]!;
    assertNear(probe.exponential(x), Math.exp(x), 4e-15, `e^${x}`);
  }
  assert.equal(probe.exponential(0), 1);
  assert.equal(probe.exponential(-1e300), 0);
  assert.equal(probe.exponential(Number.NaN), 0);
});

test("a steady stream shows its rate from its first seconds on", () => {
  for (const perSecond of [5, 200, 2000]) {
    for (const seconds of [5, 60, 3000, 20_000]) {
      probe.open();
      const count = Math.min(perSecond * seconds, 4_000_000);
      probe.addMany(START_MS, 1000 / perSecond, count);
      const endMs = START_MS + (count * 1000) / perSecond;
      for (const index of TAUS_MS.keys()) {
        const shown = `${perSecond} a second for ${seconds} s, rate ${index}`;
        assertNear(probe.perSecond(index, endMs), perSecond, 0.03, shown);
      }
    }
  }
});

test("silence lets the rates fall, the short one first", () => {
  probe.open();
  probe.addMany(START_MS, 10, 200_000);
  const endMs = START_MS + 2_000_000;
  for (const [index, tauMs] of TAUS_MS.entries()) {
    assertNear(
      probe.perSecond(index, endMs + 60_000),
      100 * Math.exp(-60_000 / tauMs),
      0.01,
      "60 s",
    );
  }
  assert.ok(probe.perSecond(0, endMs + 3_600_000) < 1e-100);
  assert.equal(probe.perSecond(0, endMs + 1e11), 0);
});

test("a single event is at most one a second", () => {
  probe.open();
  probe.add(START_MS, 1);
  for (const index of TAUS_MS.keys()) {
    const rate = probe.perSecond(index, START_MS);
    assert.ok(rate > 0.99 && rate < 1.06, `${rate}`);
  }
});

test("an event from far back moves no rate", () => {
  probe.open();
  probe.addMany(START_MS, 10, 1000);
  const before = TAUS_MS.map((_, index) => probe.perSecond(index, START_MS + 10_000));
  probe.add(START_MS - 86_400_000, 1_000_000);
  probe.add(0, 1_000_000);
  probe.add(Number.NaN, 1_000_000);
  const after = TAUS_MS.map((_, index) => probe.perSecond(index, START_MS + 10_000));
  assert.deepEqual(after, before);
});
