/** What several runs of one quantity say together, and quantiles of many samples. */
import assert from "node:assert/strict";

/**
 * One result as DESIGN 5.5 prints it. With an even count of runs the median is the middle pair's
 * mean.
 */
export type Summary = {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  readonly runs: number;
  readonly unit: string;
};

export function summarize(values: readonly number[], unit: string): Summary {
  assert(values.length > 0, "a result has at least one run");
  for (const value of values) assert(Number.isFinite(value), `${value} is no measurement`);
  const sorted = values.toSorted((a, b) => a - b);
  return {
    median: rounded(medianOfSorted(sorted)),
    min: rounded(sorted[0]!),
    max: rounded(sorted.at(-1)!),
    runs: sorted.length,
    unit,
  };
}

export function median(values: readonly number[]): number {
  assert(values.length > 0);
  return medianOfSorted(values.toSorted((a, b) => a - b));
}

/** Smallest sample that at least `quantile` of all samples do not exceed; exact, nearest rank. */
export function quantile(samples: Float64Array, quantile: number): number {
  assert(samples.length > 0);
  assert(quantile >= 0 && quantile <= 1);
  const sorted = samples.toSorted();
  return sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)]!;
}

function medianOfSorted(sorted: readonly number[]): number {
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Six digits: more than any run repeats, and short enough to read. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
