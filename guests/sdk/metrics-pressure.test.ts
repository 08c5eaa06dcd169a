// Metrics in a region that is too small for them: what is given up, and that it is said.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { MetricsOracle, normal, probe } from "./testing/metrics-oracle.ts";

const SCRATCH_BYTES = 8 * 1024;

type Load = {
  readonly metrics: number;
  readonly perPane: number;
  readonly panes: number;
  next(random: Random, pane: number): number;
};

/** Runs the load, checks everything now and then; returns which quantiles were ever flagged. */
function flagsOf(load: Load, seed: number, gap = 1): string[] {
  const random = new Random(seed);
  const oracle = new MetricsOracle(100_000);
  for (let pane = 0; pane < load.panes; pane++) {
    for (let index = 0; index < load.perPane; index++) {
      oracle.add(`metric.${index % load.metrics}`, load.next(random, pane));
    }
    // Panes just closed, and some half full: a check must not depend on it.
    if (pane % Math.ceil(load.panes / 6) === 7) oracle.check(`seed ${seed}`);
    oracle.roll(oracle.current + gap);
  }
  oracle.check(`seed ${seed}`);
  assert.ok(probe.used() > 16_000, `${probe.used()} bytes do not fill the region`);
  return [...oracle.flagged.keys()].toSorted();
}

function lognormal(sigma: number): (random: Random) => number {
  return (random) => Math.exp(3 + sigma * normal(random));
}

test("one hot, wide metric keeps P90 and above in every window", (context) => {
  context.diagnostic("seed 21");
  const load = { metrics: 1, perPane: 500, panes: 350, next: lognormal(1.5) };
  for (const flag of flagsOf(load, 21)) assert.match(flag, / 0\.5$/);
});

test("four metrics over a day keep P90 and above in every window", (context) => {
  context.diagnostic("seed 22");
  const load = { metrics: 4, perPane: 80, panes: 1500, next: lognormal(1) };
  for (const flag of flagsOf(load, 22, 13)) assert.match(flag, / 0\.5$/);
});

test("sixteen hot, wide metrics: no answer is wrong without saying so", (context) => {
  context.diagnostic("seed 23");
  const load = { metrics: 16, perPane: 640, panes: 150, next: lognormal(1) };
  const flags = flagsOf(load, 23);
  assert.ok(flags.length > 0);
  assert.ok(!flags.includes("minute 0.99"), flags.join(", "));
  assert.ok(!flags.includes("minute 0.999"), flags.join(", "));
});

test("sixteen metrics of every order of magnitude, and of drifting ones", (context) => {
  context.diagnostic("seeds 24, 25");
  const every = (random: Random) => (random.unit() - 0.5) * 10 ** (random.unit() * 600 - 300);
  flagsOf({ metrics: 16, perPane: 320, panes: 150, next: every }, 24);
  const drifting = (random: Random, pane: number) =>
    Math.exp(normal(random) + 3 * Math.sin(pane / 9));
  flagsOf({ metrics: 16, perPane: 160, panes: 300, next: drifting }, 25);
});

test("extremes that only fade leave every count whole, and shortened windows say so", (context) => {
  context.diagnostic("seed 26");
  const random = new Random(26);
  const oracle = new MetricsOracle(100_000);
  for (let pane = 0; pane < 1400; pane++) {
    for (let index = 0; index < 32; index++) {
      // Every older pane has an extreme that no newer one outdoes.
      const fading = (1 + random.unit()) * 0.97 ** pane;
      oracle.add(`metric.${index % 16}`, index < 16 ? fading : -fading);
    }
    if (pane % 350 === 349) oracle.check("seed 26");
    oracle.roll(oracle.current + (pane < 400 ? 1 : 13));
  }
  oracle.check("seed 26");
  assert.equal(probe.refused(), 0);
  for (const name of oracle.names) {
    for (let span = 0; span < 4; span++) {
      const report = oracle.report(name, span);
      const count = oracle.samples(name, span).length;
      if (report === undefined) assert.ok(count === 0 || probe.folded() > 0);
      else assert.ok(report.isShortened ? report.count <= count : report.count === count);
    }
    assert.equal(report(oracle, name), 1400 * 2);
  }
});

test("a sample needs little scratch, for a batch fills most of the page", (context) => {
  context.diagnostic("seed 28");
  const random = new Random(28);
  const oracle = new MetricsOracle(100_000);
  const top = probe.place(0);
  probe.place(0x10000 - top - SCRATCH_BYTES);
  // More scratch than that traps.
  for (let pane = 0; pane < 400; pane++) {
    const metrics = 1 + (pane % 16);
    for (let index = 0; index < 600; index++) {
      const late = random.chance(1, 9) ? random.below(300) : 0;
      const value = Math.exp((pane % 40) * normal(random));
      oracle.add(`metric.${index % metrics}`, value, { pane: oracle.current - late });
    }
    oracle.roll(oracle.current + 1 + random.below(40));
  }
  probe.forget();
  for (const name of oracle.names.slice(0, 2)) oracle.checkOne(name, 4, "seed 28");
});

test("a region far too small refuses what it cannot hold, and counts it", () => {
  const random = new Random(27);
  const oracle = new MetricsOracle(100_000, 31, 2048);
  let samples = 0;
  for (let pane = 0; pane < 300; pane++) {
    for (let index = 0; index < 48; index++) {
      oracle.add(`metric.${index % 16}`, random.unit() ** -3);
      samples += 1;
    }
    oracle.roll(oracle.current + 1);
  }
  assert.ok(probe.used() <= 2048);
  let counted = probe.refused();
  for (const name of oracle.names) counted += report(oracle, name);
  assert.equal(counted, samples);
});

function report(oracle: MetricsOracle, name: string): number {
  return oracle.report(name, 4)?.count ?? 0;
}
