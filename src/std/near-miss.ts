/**
 * Which of some names somebody meant who wrote another: the one that the fewest steps lead to,
 * where a step adds, drops or replaces a letter or swaps two neighbours (the restricted distance of
 * Damerau and Levenshtein, as compilers use it). Names are short, so the whole table is computed.
 */

/** Undefined: nothing is near enough to be worth a question. */
export function nearMiss(written: string, names: Iterable<string>): string | undefined {
  const text = written.toLowerCase();
  let best: string | undefined;
  let least = Math.max(1, Math.floor(Math.min(text.length, LENGTH_MAX) / LETTERS_A_STEP)) + 1;
  if (text.length > LENGTH_MAX) return undefined;
  for (const name of names) {
    const steps = stepsBetween(text, name.toLowerCase());
    if (steps >= least) continue;
    least = steps;
    best = name;
  }
  return best;
}

/** One mistake in so many letters is a slip; more is another word. */
const LETTERS_A_STEP = 3;
const LENGTH_MAX = 64;

function stepsBetween(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const here = [row];
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1];
      let steps = Math.min(
        above[column]! + 1,
        here[column - 1]! + 1,
        above[column - 1]! + (isSame ? 0 : 1),
      );
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2];
      if (isSwap && a[row - 2] === b[column - 1]) steps = Math.min(steps, before[column - 2]! + 1);
      here.push(steps);
    }
    before = above;
    above = here;
  }
  return above[b.length]!;
}
