import assert from "node:assert/strict";
import test from "node:test";
import { LATENCY_HISTOGRAM_BYTES, LatencyHistogram } from "./latency-histogram.ts";
import { Random } from "./random.ts";

test("a quantile is never below the true one and at most 3.2 % above it", () => {
  const random = new Random(3);
  const histogram = new LatencyHistogram(new SharedArrayBuffer(LATENCY_HISTOGRAM_BYTES));
  const values: number[] = [];
  for (let i = 0; i < 20_000; i++) {
    const ns = Math.floor(Math.exp(random.unit() * 20));
    values.push(ns);
    histogram.add(ns / 1e6);
  }
  values.sort((a, b) => a - b);
  for (const quantile of [0, 0.01, 0.5, 0.9, 0.99, 0.999, 1]) {
    const truth = values[Math.max(1, Math.ceil(quantile * values.length)) - 1]!;
    const answer = histogram.quantileUs(quantile) * 1000;
    assert(answer >= truth, `${quantile}: ${answer} < ${truth}`);
    assert(answer <= truth * (1 + 1 / 32) + 2, `${quantile}: ${answer} > ${truth}`);
  }
});

test("an empty histogram answers 0, and odd durations are kept in range", () => {
  const histogram = new LatencyHistogram(new SharedArrayBuffer(LATENCY_HISTOGRAM_BYTES));
  assert.equal(histogram.quantileUs(0.99), 0);
  for (const durationMs of [-1, Number.NaN, 0, 1e9]) histogram.add(durationMs);
  assert.equal(histogram.count, 4);
});
