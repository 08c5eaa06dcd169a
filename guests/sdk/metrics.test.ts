// Metrics over five windows, against lists of all their samples.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { MetricsOracle, normal, probe, REGION_BYTES } from "./testing/metrics-oracle.ts";

type Stream = { readonly name: string; next(random: Random, step: number): number };

const STREAMS: readonly Stream[] = [
  { name: "lognormal", next: (random) => Math.exp(4 + normal(random)) },
  { name: "pareto", next: (random) => (1 - random.unit()) ** -0.9 },
  { name: "bimodal", next: (random) => (random.chance(1, 2) ? 10 : 1000) * (1 + random.unit()) },
  { name: "constant", next: () => 0.1 },
  { name: "uniform", next: (random) => random.unit() * 100 },
  { name: "whole", next: (random) => random.below(20) },
  { name: "negative", next: (random) => -Math.exp(normal(random)) },
  { name: "both signs", next: (random) => Math.round(normal(random) * 10) / 4 },
  { name: "tiny", next: (random) => 1e-300 * random.unit() },
  { name: "denormal", next: (random) => 5e-324 * random.below(9) },
  { name: "huge", next: (random) => 1e300 * (1 + random.unit()) },
  { name: "greatest", next: (random) => Number.MAX_VALUE * (random.chance(1, 2) ? -1 : 1) },
  { name: "beyond 2^53", next: (random) => 2 ** 53 + random.below(2 ** 31) * 2 ** 24 },
  { name: "far mean", next: (random) => 1e9 + normal(random) },
  { name: "jump", next: (_random, step) => (step % 101 === 100 ? 2 ** 30 - 1 : 1) },
  { name: "giant", next: (random, step) => (step % 3000 === 2999 ? 1e18 : random.unit() * 1e-6) },
  { name: "every order", next: (random) => 10 ** (random.unit() * 600 - 300) },
];

for (const stream of STREAMS) {
  for (const { panes, perPane, every } of [
    { panes: 40, perPane: 60, every: 3 },
    { panes: 900, perPane: 3, every: 75 },
  ]) {
    test(`${stream.name}: ${perPane} samples in each of ${panes} panes`, (context) => {
      const seed = 4_000 + panes;
      context.diagnostic(`seed ${seed}`);
      const random = new Random(seed);
      const oracle = new MetricsOracle(100_000);
      for (let pane = 0; pane < panes; pane++) {
        for (let index = 0; index < perPane; index++) {
          oracle.add(stream.name, stream.next(random, pane * perPane + index));
        }
        if (pane % every === 0) oracle.check(`seed ${seed}`);
        oracle.roll(oracle.current + 1);
      }
      oracle.check(`seed ${seed}`);
      // A wide stream outgrows a region at some time; half of it is more than these have.
      if (stream.name !== "every order") assert.deepEqual([...oracle.flagged], []);
    });
  }
}

test("jumps, late samples and weights leave every window whole", (context) => {
  for (let seed = 1; seed <= 30; seed++) {
    context.diagnostic(`seed ${seed}`);
    const random = new Random(seed);
    const oracle = new MetricsOracle(16 + random.below(200_000));
    const streams = STREAMS.filter(() => random.chance(1, 3));
    if (streams.length === 0) streams.push(STREAMS[0]!);
    const gaps = [1, 1, 1, 2, 11, 12, 13, 130, 700, 800, 16_000, 20_000];
    for (let step = 0; step < 1500; step++) {
      const stream = streams[random.below(streams.length)]!;
      const late = random.chance(1, 4) ? random.below(random.chance(1, 2) ? 14 : 20_000) : 0;
      const pane = Math.max(16, oracle.current - late);
      const weight = random.chance(1, 10) ? 1 + random.below(1_000_000) : 1;
      oracle.add(stream.name, stream.next(random, step), { weight, pane });
      if (random.chance(1, 15)) oracle.roll(oracle.current + gaps[random.below(gaps.length)]!);
      if (step % 100 === 99) oracle.check(`seed ${seed}, step ${step}`);
    }
    assert.deepEqual([...oracle.flagged], []);
  }
});

test("a first sample in the first panes there are, and late ones before it", () => {
  const oracle = new MetricsOracle(16);
  oracle.add("latency", 5);
  oracle.roll(18);
  oracle.add("latency", 7, { pane: 16 });
  oracle.add("latency", 9, { pane: 17 });
  oracle.check();
  oracle.roll(16 + 17_280);
  oracle.check();
});

test("a span that is switched off is not answered, and the others stay whole", () => {
  const random = new Random(7);
  const oracle = new MetricsOracle(50_000, 0b10101);
  for (let pane = 0; pane < 1000; pane++) {
    oracle.add("latency", Math.exp(normal(random)));
    oracle.roll(oracle.current + 1);
    if (pane % 90 === 0) oracle.check();
  }
  const kept = probe.used();
  oracle.spans = 0b10001;
  probe.setSpans(0b10001);
  oracle.roll(oracle.current + 1);
  oracle.check();
  assert.ok(probe.used() < kept, `${probe.used()} of ${kept} bytes`);
});

test("what is no finite number is ignored and counted", () => {
  const oracle = new MetricsOracle(100);
  oracle.add("latency", 3);
  for (const value of [NaN, Infinity, -Infinity]) assert.ok(oracle.add("latency", value));
  assert.equal(probe.ignored(), 3);
  oracle.check();
});

test("a count of a bin goes beyond 32 bits", () => {
  const oracle = new MetricsOracle(100);
  for (let step = 0; step < 9000; step++) oracle.add("bytes", 8, { weight: 1_000_000 });
  oracle.check();
  for (let pane = 0; pane < 800; pane++) oracle.roll(oracle.current + 1);
  oracle.check();
  assert.equal(oracle.report("bytes", 4)!.count, 9e9);
});

test("the seventeenth name is refused and counted; the others go on", () => {
  const oracle = new MetricsOracle(100);
  for (let index = 0; index < 16; index++) {
    assert.ok(oracle.add(`metric.${index}.${"x".repeat(64 - 9)}`.slice(0, 64), index));
  }
  for (let index = 0; index < 10_000; index++) assert.ok(!oracle.add(`other.${index}`, 1));
  assert.equal(probe.refused(), 10_000);
  assert.ok(oracle.add(oracle.names[3]!, 7));
  oracle.check();
});

test("names that agree at both ends are different metrics", () => {
  const oracle = new MetricsOracle(100);
  for (const name of ["a", "b", "ab", "abcdefgh1abcdefgh", "abcdefgh2abcdefgh", "ü", "abcdefgh"]) {
    oracle.add(name, name.length);
  }
  oracle.check();
});

test("an idle tenant gives its region back but for what is kept of all time", () => {
  const random = new Random(3);
  const oracle = new MetricsOracle(1_000);
  for (let pane = 0; pane < 200; pane++) {
    for (let index = 0; index < 100; index++) oracle.add("latency", Math.exp(normal(random)));
    oracle.roll(oracle.current + 1);
  }
  const busy = probe.used();
  for (let hop = 0; hop < 4; hop++) oracle.roll(oracle.current + 20_000);
  oracle.check();
  assert.ok(probe.used() < 3000, `${probe.used()} of ${busy} bytes`);
  const region = new Uint8Array(probe.memory.buffer, 0x10000, REGION_BYTES);
  assert.ok(region.subarray(probe.used()).every((byte) => byte === 0));
});
