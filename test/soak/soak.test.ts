// The soak for some seconds: whether every kind of load gets through and everything is measured.
// How memory goes is seen by `npm run prove -- soak --minutes 10`.
import assert from "node:assert/strict";
import test from "node:test";
import { soak } from "./soak-proof.ts";
import { trendOf } from "./trend.ts";
import { TOLERANCES, type Vital } from "./vitals.ts";

const TOLERANCE = { least: 10, share: 0.05 };
const series = (valueAt: (index: number) => number): number[] =>
  Array.from({ length: 200 }, (_, index) => valueAt(index));

test("a saw is flat, and so is what grew while it warmed up", () => {
  assert(
    trendOf(
      series((index) => 100 + 50 * ((index % 7) / 7)),
      TOLERANCE,
    ).isFlat,
  );
  assert(
    trendOf(
      series((index) => Math.min(index, 60) * 10),
      TOLERANCE,
    ).isFlat,
  );
  assert(
    trendOf(
      series((index) => 1_000 - index),
      TOLERANCE,
    ).isFlat,
  );
});

test("what climbs under its saw is not flat, however slowly it does", () => {
  const { isFlat, growth } = trendOf(
    series((index) => 100 + index / 5 + 50 * ((index % 7) / 7)),
    TOLERANCE,
  );
  assert.equal(isFlat, false);
  assert(growth > 20 && growth < 30, `${growth}`);
});

test("a few seconds of mixed load: all of it gets through, and all is measured", async () => {
  const lines: string[] = [];
  const { samples } = await soak({ ms: 4_000, seed: 1 }, (line) => lines.push(line));
  assert(samples.length >= 4, `${samples.length} samples`);
  const known = process.platform === "linux" ? Object.keys(TOLERANCES) : ["heapUsed", "handles"];
  for (const vital of known as Vital[]) {
    assert(samples.at(-1)![vital] > 0, `${vital} is measured: ${lines.join("\n")}`);
  }
});
