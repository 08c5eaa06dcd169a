/**
 * Whether something that is measured again and again grows.
 *
 * Memory of a process with a collector is a saw: it climbs until a collection. So the samples after
 * the warm-up are cut into parts of equal length, and of each part the least one counts: what is
 * left after its collection. Through these a straight line is laid by least squares; what it climbs
 * from the first part to the last is the growth, and that must be within what is tolerated.
 */

export type Tolerance = {
  /** What it may climb in the measured time; or so much of what it is, whichever is more. */
  readonly least: number;
  readonly share: number;
};

export type Trend = {
  readonly first: number;
  readonly last: number;
  /** By the line, from the first part to the last. */
  readonly growth: number;
  readonly tolerated: number;
  readonly isFlat: boolean;
};

export const PARTS = 10;
/** Of all samples: caches fill, code is compiled, tables take their size. */
const WARM_UP = 0.35;

export function trendOf(samples: readonly number[], { least, share }: Tolerance): Trend {
  const warm = samples.slice(Math.floor(samples.length * WARM_UP));
  const floors = Array.from({ length: PARTS }, (_, part) => {
    const from = Math.floor((part * warm.length) / PARTS);
    const to = Math.floor(((part + 1) * warm.length) / PARTS);
    return Math.min(...warm.slice(from, Math.max(to, from + 1)));
  });
  const mean = floors.reduce((sum, floor) => sum + floor, 0) / PARTS;
  const middle = (PARTS - 1) / 2;
  let above = 0;
  let below = 0;
  for (const [part, floor] of floors.entries()) {
    above += (part - middle) * (floor - mean);
    below += (part - middle) ** 2;
  }
  const growth = (above / below) * (PARTS - 1);
  const tolerated = Math.max(least, share * mean);
  return {
    first: floors[0]!,
    last: floors.at(-1)!,
    growth,
    tolerated,
    isFlat: growth <= tolerated,
  };
}
