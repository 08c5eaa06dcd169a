/**
 * When a second request is sent for one that takes long: once it has taken longer than 95 of 100
 * of the last minute did, and if the budget has one, a twentieth of a request saved with each one
 * sent (Dean, Barroso 2013, "The Tail at Scale"). The minute is two halves: one is written, both
 * are read. Requests are looked at in the order in which they were sent, as they are due in it.
 */
import { Durations } from "./gateway-stats.ts";
import { RetryBudget } from "./retries.ts";

const QUANTILE = 0.95;
const HALF_MS = 30_000;
const LOOK_MS = 1_000;
const SAMPLES_MIN = 100;
const SHARE = 0.05;
const SAVED_MAX = 20;
/** Places at the front of the list that may be empty. */
const SHIFTED_MAX = 1_024;

export class Hedges<Request extends { readonly sentMs: number; readonly isOver: boolean }> {
  readonly #budget = new RetryBudget({ share: SHARE, savedMax: SAVED_MAX, saved: 0 });
  #recent = new Durations();
  #before = new Durations();
  #recentSinceMs = Number.NEGATIVE_INFINITY;
  #looked = Number.NEGATIVE_INFINITY;
  #afterMs = Number.POSITIVE_INFINITY;
  /** From `#first` on, in order. */
  #sent: (Request | undefined)[] = [];
  #first = 0;

  /** A request was sent for the first time. */
  sent(request: Request): void {
    this.#budget.save();
    this.#sent.push(request);
  }

  /** How long one took, or had taken when nobody needed it any more. */
  took(durationMs: number, nowMs: number): void {
    this.#turn(nowMs);
    this.#recent.add(durationMs);
  }

  /** The next request that takes long; undefined: none. Each is told once. */
  nextLate(nowMs: number): Request | undefined {
    for (;;) {
      const request = this.#sent[this.#first];
      if (request === undefined) return undefined;
      const isLate = nowMs - request.sentMs >= this.#lateMs(nowMs);
      if (!isLate && !request.isOver) return undefined;
      this.#shift();
      if (!request.isOver) return request;
    }
  }

  /** Whether the budget has one; it is spent. */
  take(): boolean {
    return this.#budget.take();
  }

  #shift(): void {
    this.#sent[this.#first] = undefined;
    this.#first += 1;
    if (this.#first < SHIFTED_MAX && this.#first < this.#sent.length) return;
    this.#sent = this.#sent.slice(this.#first);
    this.#first = 0;
  }

  #lateMs(nowMs: number): number {
    if (nowMs - this.#looked < LOOK_MS) return this.#afterMs;
    this.#looked = nowMs;
    this.#turn(nowMs);
    const [recent, before] = [this.#recent, this.#before];
    // Of the two halves the slower one: rather too late than for nothing.
    const isKnown = recent.count + before.count >= SAMPLES_MIN;
    const late = Math.max(recent.quantileMs(QUANTILE), before.quantileMs(QUANTILE));
    this.#afterMs = isKnown ? late : Number.POSITIVE_INFINITY;
    return this.#afterMs;
  }

  #turn(nowMs: number): void {
    if (nowMs - this.#recentSinceMs < HALF_MS) return;
    [this.#recent, this.#before] = [this.#before, this.#recent];
    this.#recent.clear();
    if (nowMs - this.#recentSinceMs >= 2 * HALF_MS) this.#before.clear();
    this.#recentSinceMs = nowMs;
  }
}
