/**
 * The seed of all that tests draw. Unless `SEED` says otherwise it is always the same, so that
 * what failed once fails again: `SEED=7` is another one, `SEED=random` one by chance.
 */
const SEED_DEFAULT = 1;
/** fast-check takes integers of 32 bits, with a sign. */
const SEED_MAX = 2 ** 31 - 1;
/** What is drawn is short enough to be typed again. */
const DRAWN_MAX = 999_999;

/** The seed that `text` names; throws where it names none. */
export function seedOf(text: string | undefined, unit: () => number = Math.random): number {
  if (text === undefined || text === "") return SEED_DEFAULT;
  if (text === "random") return Math.floor(unit() * (DRAWN_MAX + 1));
  if (/^\d{1,10}$/.test(text) && Number(text) <= SEED_MAX) return Number(text);
  throw new Error(`SEED is "random" or an integer from 0 to ${SEED_MAX}, not "${text}"`);
}

export const SEED = seedOf(process.env["SEED"]);
