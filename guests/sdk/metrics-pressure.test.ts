// Metrics in a region that is too small for them: what is given up, and that it is said.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import {
  isInWindow,
  MetricsOracle,
  normal,
  probe,
  readReport,
  SPAN_NAMES,
} from "./testing/metrics-oracle.ts";

const FIRST_PANE = 100_000;
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
  return [...oracle.flagged.keys()].toSorted();
}

function lognormal(sigma: number): (random: Random) => number {
  return (random) => Math.exp(3 + sigma * normal(random));
}

function assertFull(): void {
  assert.ok(probe.used() > 16_000, `${probe.used()} bytes do not fill the region`);
}

test("one hot, wide metric keeps everything in every window, and half the region", (context) => {
  context.diagnostic("seed 21");
  const load = { metrics: 1, perPane: 500, panes: 350, next: lognormal(1.5) };
  assert.deepEqual(flagsOf(load, 21), []);
  assert.ok(probe.used() < 10_240, `${probe.used()}`);
});

test("four metrics in sparse panes of a day keep everything in every window", (context) => {
  context.diagnostic("seed 22");
  const load = { metrics: 4, perPane: 80, panes: 1500, next: lognormal(1) };
  assert.deepEqual(flagsOf(load, 22, 13), []);
});

test("four metrics of 20 samples a second keep P50 and above over a day", (context) => {
  const seed = 29;
  context.diagnostic(`seed ${seed}`);
  const day = new DayOfFour(seed);
  for (let hour = 1; hour <= 24; hour++) {
    day.run(720);
    if (hour % 3 === 0) day.check([0, 1, 2, 3, 4]);
  }
  context.diagnostic(`${probe.used()} bytes`);
  assertFull();
  // And half a minute on, in the middle of everything.
  day.run(6);
  day.check([0, 1, 2, 3]);
});

test("sixteen hot, wide metrics: no answer is wrong without saying so", (context) => {
  context.diagnostic("seed 23");
  const load = { metrics: 16, perPane: 640, panes: 150, next: lognormal(1) };
  const flags = flagsOf(load, 23);
  assert.ok(flags.length > 0);
  assertFull();
  assert.ok(!flags.includes("minute 0.99"), flags.join(", "));
  assert.ok(!flags.includes("minute 0.999"), flags.join(", "));
});

test("sixteen metrics of every order of magnitude, and of drifting ones", (context) => {
  context.diagnostic("seeds 24, 25");
  const every = (random: Random) => (random.unit() - 0.5) * 10 ** (random.unit() * 600 - 300);
  flagsOf({ metrics: 16, perPane: 320, panes: 150, next: every }, 24);
  assertFull();
  const drifting = (random: Random, pane: number) =>
    Math.exp(normal(random) + 3 * Math.sin(pane / 9));
  flagsOf({ metrics: 16, perPane: 160, panes: 300, next: drifting }, 25);
  assertFull();
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
  const oracle = new MetricsOracle(100_000, 31, 2304);
  let samples = 0;
  for (let pane = 0; pane < 300; pane++) {
    for (let index = 0; index < 48; index++) {
      oracle.add(`metric.${index % 16}`, random.unit() ** -3);
      samples += 1;
    }
    oracle.roll(oracle.current + 1);
  }
  assert.ok(probe.used() <= 2304);
  let counted = probe.refused();
  for (const name of oracle.names) counted += report(oracle, name);
  assert.equal(counted, samples);
});

/** Too many samples for a list of objects: lognormal ones, 100 a pane of each of four metrics. */
class DayOfFour {
  readonly #random: Random;
  readonly #values = Array.from({ length: 4 }, () => new Float64Array(17_400 * 100));
  #panes = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    probe.clear();
    probe.forget();
    probe.open(20 * 1024, 31, FIRST_PANE);
  }

  run(panes: number): void {
    const next = lognormal(1);
    const at = probe.place(400 * 8);
    for (; panes > 0; panes--) {
      const samples = new Float64Array(probe.memory.buffer, at, 400);
      for (let index = 0; index < 400; index++) {
        samples[index] = next(this.#random);
        this.#values[index % 4]![this.#panes * 100 + (index >> 2)] = samples[index]!;
      }
      probe.addMany(at, 400, 4, FIRST_PANE + this.#panes);
      this.#panes += 1;
      probe.roll(FIRST_PANE + this.#panes);
    }
    probe.forget();
  }

  /** Nothing is flagged, and all is as near as it says: up to the hour within 1 %. */
  check(spans: readonly number[]): void {
    const current = FIRST_PANE + this.#panes;
    for (const span of spans) {
      let first = 0;
      while (!isInWindow(span, FIRST_PANE + first, current)) first += 1;
      for (let metric = 0; metric < 4; metric++) {
        const values = this.#values[metric]!.slice(first * 100, this.#panes * 100).sort();
        const note = `metric ${metric}, ${SPAN_NAMES[span]}, pane ${this.#panes}`;
        const report = readReport(probe.report(metric, span));
        assert.equal(report.count, values.length, note);
        if (span < 3) assert.equal(report.relativeError, 0.01, note);
        for (const { q, value } of report.quantiles) {
          const exact = values[values.length - 1 - Math.floor(values.length * (1 - q) + 1e-6)]!;
          assert.ok(value > report.collapsedBelow, `${note}: ${q} is flagged`);
          const error = Math.abs(value / exact - 1);
          assert.ok(error <= report.relativeError + 1e-9, `${note}: ${q} is off by ${error}`);
        }
      }
    }
  }
}

function report(oracle: MetricsOracle, name: string): number {
  return oracle.report(name, 4)?.count ?? 0;
}
