/** What a stand-in upstream does with a request, and how long it takes: drawn, with a seed. */
import { Random } from "#std/random.ts";

export const FAULTS = [
  "rateLimited",
  "serverError",
  /** Says nothing, ever. */
  "stalled",
  /** Ends the connection in the middle of the answer. */
  "halfClosed",
  /** Ends it at once. */
  "reset",
  /** Bytes that are no JSON, and say they are. */
  "garbage",
  "html",
  /** An answer of another schema. */
  "wrongSchema",
  /** An answer about a case that nobody asked about. */
  "otherId",
  /** More and more bytes. */
  "huge",
  /** One byte a second. */
  "dripping",
  "wrongKey",
  "unknownModel",
  "redirect",
  /** Does what the messages tell it: answers with the first JSON that it reads in them. */
  "gullible",
] as const;
export type Fault = (typeof FAULTS)[number];

export type LatencyProfile = {
  /** The median, and how far the slow ones are from it: p99 is the median * e^(2.33 * spread). */
  readonly medianMs: number;
  readonly spread: number;
};

export type Plan = {
  readonly latency: LatencyProfile;
  /** Share of the requests by fault, 0 to 1; the rest is answered well. */
  readonly faults: Readonly<Partial<Record<Fault, number>>>;
};

export const QUICK: Plan = { latency: { medianMs: 0, spread: 0 }, faults: {} };

export type Fate = { readonly fault: Fault | undefined; readonly delayMs: number };

/** The same seed, prompt and attempt have the same fate, whatever else is asked meanwhile. */
export function fateOf(plan: Plan, seed: number, prompt: string, attempt: number): Fate {
  const random = new Random(seed ^ hashOf(prompt) ^ Math.imul(attempt, 0x9e3779b9));
  const { medianMs, spread } = plan.latency;
  const delayMs = medianMs * Math.exp(spread * normal(random));
  let left = random.unit();
  for (const [fault, share] of Object.entries(plan.faults) as [Fault, number][]) {
    left -= share;
    if (left < 0) return { fault, delayMs };
  }
  return { fault: undefined, delayMs };
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}

/** Box and Muller. */
function normal(random: Random): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random.unit()));
  return radius * Math.cos(2 * Math.PI * random.unit());
}
