/** Figures of a ranking: AUC, F1, intervals. */
import type { Random } from "#std/random.ts";

/** Area under the ROC curve; ties count half. NaN where a class is missing. */
export function auc(scores: ArrayLike<number>, labels: ArrayLike<number>): number {
  const order = Array.from(scores, (_, index) => index);
  order.sort((left, right) => scores[left]! - scores[right]!);
  let rankSum = 0;
  let positives = 0;
  for (let from = 0; from < order.length;) {
    let to = from;
    while (to < order.length && scores[order[to]!] === scores[order[from]!]) to++;
    for (let at = from; at < to; at++) {
      if (labels[order[at]!]! <= 0.5) continue;
      rankSum += (from + to + 1) / 2;
      positives++;
    }
    from = to;
  }
  const pairs = positives * (order.length - positives);
  return pairs === 0 ? Number.NaN : (rankSum - (positives * (positives + 1)) / 2) / pairs;
}

export type F1 = { readonly f1: number; readonly macro: number; readonly accuracy: number };

export function f1At(scores: ArrayLike<number>, labels: ArrayLike<number>, threshold: number): F1 {
  let hit = 0;
  let alarm = 0;
  let miss = 0;
  let quiet = 0;
  for (let index = 0; index < scores.length; index++) {
    const isSaid = scores[index]! >= threshold;
    const is = labels[index]! > 0.5;
    if (isSaid && is) hit++;
    else if (isSaid) alarm++;
    else if (is) miss++;
    else quiet++;
  }
  const f1 = (2 * hit) / Math.max(1, 2 * hit + alarm + miss);
  const other = (2 * quiet) / Math.max(1, 2 * quiet + alarm + miss);
  return { f1, macro: (f1 + other) / 2, accuracy: (hit + quiet) / Math.max(1, scores.length) };
}

/** The best F1 that any threshold gives. */
export function bestF1(scores: readonly number[], labels: readonly number[]): number {
  const order = scores.map((_, index) => index);
  order.sort((left, right) => scores[right]! - scores[left]!);
  const positives = labels.filter((label) => label > 0.5).length;
  let hit = 0;
  let best = 0;
  for (const [rank, index] of order.entries()) {
    if (labels[index]! > 0.5) hit++;
    best = Math.max(best, (2 * hit) / (rank + 1 + positives));
  }
  return best;
}

/** 95 % bootstrap interval of what `figure` says of a resampled set. */
export function interval(
  count: number,
  random: Random,
  figure: (picks: readonly number[]) => number,
): readonly [number, number] {
  const rounds = 400;
  const values = Array.from({ length: rounds }, () =>
    figure(Array.from({ length: count }, () => random.below(count))),
  );
  values.sort((left, right) => left - right);
  return [values[Math.floor(rounds * 0.025)]!, values[Math.floor(rounds * 0.975) - 1]!];
}
