/**
 * From raw scores to what they are worth: a logistic curve fitted to rows that were not trained on,
 * as the eight points that the guest interpolates between; and a small logistic regression for the
 * scores that are made of other scores. Every source weighs the same, however many rows it has.
 */
import type { Sample } from "./sample.ts";

export type Point = readonly [raw: number, value: number];
export type Rated = {
  readonly inputs: readonly number[];
  readonly label: number;
  readonly weight: number;
};

/** Values at which the curve has its points; outside of them it is flat. */
const VALUES = [0.0005, 0.02, 0.12, 0.35, 0.65, 0.88, 0.98, 0.9995];
const ROUNDS = 400;
/** Keeps a curve from growing steep on a set that happens to be separable. */
const PRIOR = 1e-3;

/** Points of the fitted curve through `rated`, whose one input is the raw score. */
export function curveOf(rated: readonly Rated[]): readonly Point[] {
  const [slope, shift] = regress(rated.map((row) => ({ ...row, inputs: [row.inputs[0]!, 1] })));
  // A head that its rows do not confirm must still rise.
  const rise = Math.max(0.05, slope!);
  return VALUES.map((value) => [(Math.log(value / (1 - value)) - shift!) / rise, value] as const);
}

/** Weights of a logistic regression, by Newton's method. */
export function regress(rated: readonly Rated[]): readonly number[] {
  const size = rated[0]!.inputs.length;
  const total = rated.reduce((sum, row) => sum + row.weight, 0);
  const weights = Array.from({ length: size }, () => 0);
  for (let round = 0; round < ROUNDS; round++) {
    const gradient = Array.from({ length: size }, () => 0);
    const hessian = Array.from({ length: size }, () => Array.from({ length: size }, () => 0));
    for (const { inputs, label, weight } of rated) {
      let logit = 0;
      for (let at = 0; at < size; at++) logit += weights[at]! * inputs[at]!;
      const p = 1 / (1 + Math.exp(-logit));
      const share = weight / total;
      const curve = Math.max(1e-6, p * (1 - p)) * share;
      for (let at = 0; at < size; at++) {
        gradient[at]! += share * (p - label) * inputs[at]!;
        for (let to = 0; to <= at; to++) hessian[at]![to]! += curve * inputs[at]! * inputs[to]!;
      }
    }
    for (let at = 0; at < size; at++) {
      gradient[at]! += PRIOR * weights[at]!;
      hessian[at]![at]! += PRIOR;
      for (let to = 0; to < at; to++) hessian[to]![at] = hessian[at]![to]!;
    }
    const move = solve(hessian, gradient);
    for (let at = 0; at < size; at++) weights[at]! -= Math.max(-2, Math.min(2, move[at]!));
    if (Math.max(...move.map(Math.abs)) < 1e-9) break;
  }
  return weights;
}

/** Expected calibration error over ten bins. */
export function calibrationError(scores: readonly number[], rated: readonly Rated[]): number {
  const bins = Array.from({ length: 10 }, () => ({ weight: 0, score: 0, label: 0 }));
  let total = 0;
  for (const [index, score] of scores.entries()) {
    const bin = bins[Math.min(9, Math.floor(score * 10))]!;
    const { label, weight } = rated[index]!;
    bin.weight += weight;
    bin.score += weight * score;
    bin.label += weight * label;
    total += weight;
  }
  return bins.reduce((sum, bin) => sum + Math.abs(bin.score - bin.label) / total, 0);
}

/** Weights by which every source counts the same, times `factor` of the source. */
export function balanced(
  samples: readonly Sample[],
  factor: (source: string) => number = () => 1,
): readonly number[] {
  const counts = new Map<string, number>();
  for (const { source } of samples) counts.set(source, (counts.get(source) ?? 0) + 1);
  return samples.map(({ source }) => factor(source) / counts.get(source)!);
}

/** The rows with weights by which `share` of all is labelled one. */
export function withShare(rated: readonly Rated[], share: number): readonly Rated[] {
  let [ones, total] = [0, 0];
  for (const { label, weight } of rated) {
    ones += weight * label;
    total += weight;
  }
  const factor = (share * (total - ones)) / (ones * (1 - share));
  return rated.map((row) => {
    return { ...row, weight: row.weight * (row.label * factor + 1 - row.label) };
  });
}

/** Gauss with pivots; the matrix is small. */
function solve(matrix: readonly number[][], vector: readonly number[]): number[] {
  const rows = matrix.map((row, index) => [...row, vector[index]!]);
  const size = rows.length;
  for (let at = 0; at < size; at++) {
    let best = at;
    for (let row = at + 1; row < size; row++) {
      if (Math.abs(rows[row]![at]!) > Math.abs(rows[best]![at]!)) best = row;
    }
    [rows[at], rows[best]] = [rows[best]!, rows[at]!];
    const pivot = rows[at]![at]! || 1e-12;
    for (let row = 0; row < size; row++) {
      if (row === at) continue;
      const factor = rows[row]![at]! / pivot;
      for (let column = at; column <= size; column++) {
        rows[row]![column]! -= factor * rows[at]![column]!;
      }
    }
  }
  return rows.map((row, index) => row[size]! / (row[index]! || 1e-12));
}
