/**
 * Leaves an upstream alone for a while that fails too often.
 *
 * It looks at what ended in the last ten seconds, in a ring of ten seconds. When half of it failed,
 * and it was enough to tell, the breaker opens: nobody asks. After OPEN_MS one call is let through,
 * the others wait for how it ends: well, and the breaker is closed and has forgotten everything;
 * badly, and it stays open for as long again.
 *
 * The upstream is everybody's, so two rules keep tenants apart. No tenant has more than one failure
 * a second counted: whose calls fail because of what they ask weighs little. And if most of what
 * failed was one tenant's, and the others fare well enough, it opens for this tenant alone. Whoever
 * gives up sooner than the upstream answers as a rule has not seen it fail (exchanges.ts). What was
 * sent before it opened changes nothing any more. Breakers of libraries know one party only, hence
 * our own.
 */
export type BreakerState = "closed" | "open" | "halfOpen";
/** `try`: it decides whether the breaker closes. */
export type Admission = "send" | "try" | "refuse";

const SECONDS = 10;
const SECOND_MS = 1_000;
const SAMPLES_MIN = 5;
const FAILED_SHARE = 0.5;
const OPEN_MS_DEFAULT = 5_000;

/** Failures whose tenants are known: more than any tenant has counted in SECONDS, twice over. */
const FAILURES_KNOWN = 64;
/** Without the tenant that failed most, so many ends tell something of the upstream. */
const OTHERS_MIN = 3;

const NOBODY = -1;
const SEVERAL = -2;

export class Breaker {
  readonly #openMs: number;
  // A second each, by its number modulo SECONDS.
  readonly #seconds = new Float64Array(SECONDS).fill(Number.NEGATIVE_INFINITY);
  readonly #goods = new Int32Array(SECONDS);
  readonly #bads = new Int32Array(SECONDS);
  // The newest failures, in a ring: whose, and when.
  readonly #whose = new Int32Array(FAILURES_KNOWN).fill(NOBODY);
  readonly #whenMs = new Float64Array(FAILURES_KNOWN).fill(Number.NEGATIVE_INFINITY);
  #failureCount = 0;
  /** By tenant: when a failure of its was counted last. */
  readonly #failedMs: Float64Array;
  /** Since when it is open; undefined: it is closed. */
  #openedMs: number | undefined;
  /** For whom. */
  #openFor = SEVERAL;
  #isTried = false;

  constructor(tenantCountMax: number, openMs = OPEN_MS_DEFAULT) {
    this.#openMs = openMs;
    this.#failedMs = new Float64Array(tenantCountMax).fill(Number.NEGATIVE_INFINITY);
  }

  state(nowMs: number): BreakerState {
    if (this.#openedMs === undefined) return "closed";
    return nowMs - this.#openedMs < this.#openMs ? "open" : "halfOpen";
  }

  /** Hot. Whether everybody has to wait for how the call ends that tries. */
  get makesAllWait(): boolean {
    return this.#isTried && this.#openFor === SEVERAL;
  }

  /** Of the tenant's next call. How one that is `send` or `try` ends must be told. */
  admit(tenant: number, nowMs: number): Admission {
    if (this.#openedMs === undefined || !this.#concerns(tenant)) return "send";
    if (nowMs - this.#openedMs < this.#openMs || this.#isTried) return "refuse";
    this.#isTried = true;
    return "try";
  }

  succeeded(tenant: number, isTry: boolean, nowMs: number): void {
    if (isTry) return this.#close();
    if (!this.#concerns(tenant)) this.#goods[this.#secondOf(nowMs)]! += 1;
  }

  failed(tenant: number, isTry: boolean, nowMs: number): void {
    if (isTry) {
      this.#openedMs = nowMs;
      this.#isTried = false;
      return;
    }
    if (this.#concerns(tenant)) return;
    if (nowMs - this.#failedMs[tenant]! < SECOND_MS) return;
    this.#failedMs[tenant] = nowMs;
    this.#bads[this.#secondOf(nowMs)]! += 1;
    const at = this.#failureCount % FAILURES_KNOWN;
    this.#failureCount += 1;
    this.#whose[at] = tenant;
    this.#whenMs[at] = nowMs;
    this.#openIfBad(nowMs);
  }

  /** How the call that tried would have ended is not known: another one may try. */
  gaveUp(): void {
    this.#isTried = false;
  }

  /** Its number is another tenant's from now on. */
  forget(tenant: number): void {
    this.#failedMs[tenant] = Number.NEGATIVE_INFINITY;
    for (let at = 0; at < FAILURES_KNOWN; at++) {
      if (this.#whose[at] === tenant) this.#whose[at] = NOBODY;
    }
    if (this.#openFor === tenant) this.#close();
  }

  /** Whether it is open for the tenant. */
  #concerns(tenant: number): boolean {
    if (this.#openedMs === undefined) return false;
    return this.#openFor === SEVERAL || this.#openFor === tenant;
  }

  #close(): void {
    this.#openedMs = undefined;
    this.#openFor = SEVERAL;
    this.#isTried = false;
    this.#seconds.fill(Number.NEGATIVE_INFINITY);
    this.#whenMs.fill(Number.NEGATIVE_INFINITY);
  }

  #openIfBad(nowMs: number): void {
    const oldest = Math.floor(nowMs / SECOND_MS) - SECONDS + 1;
    let good = 0;
    let bad = 0;
    for (let at = 0; at < SECONDS; at++) {
      if (this.#seconds[at]! < oldest) continue;
      good += this.#goods[at]!;
      bad += this.#bads[at]!;
    }
    if (good + bad < SAMPLES_MIN || bad < FAILED_SHARE * (good + bad)) return;
    const most = this.#mostFailing(oldest * SECOND_MS);
    const others = bad - this.#failuresOf(most, oldest * SECOND_MS);
    const isEverybodys = good + others >= OTHERS_MIN && others >= FAILED_SHARE * (good + others);
    // That it is open for one already is no reason not to be for all.
    this.#openFor = isEverybodys || most === NOBODY ? SEVERAL : most;
    this.#openedMs = nowMs;
    this.#isTried = false;
  }

  /** Who had more than half of the failures since then, if anybody had (Boyer and Moore 1981). */
  #mostFailing(sinceMs: number): number {
    let candidate = NOBODY;
    let lead = 0;
    for (let at = 0; at < FAILURES_KNOWN; at++) {
      if (this.#whenMs[at]! < sinceMs) continue;
      if (lead === 0) candidate = this.#whose[at]!;
      lead += candidate === this.#whose[at] ? 1 : -1;
    }
    return lead > 0 ? candidate : NOBODY;
  }

  #failuresOf(tenant: number, sinceMs: number): number {
    let count = 0;
    for (let at = 0; at < FAILURES_KNOWN; at++) {
      if (this.#whose[at] === tenant && this.#whenMs[at]! >= sinceMs) count += 1;
    }
    return count;
  }

  /** Place of this second, begun anew if it held an older one. */
  #secondOf(nowMs: number): number {
    const second = Math.floor(nowMs / SECOND_MS);
    const at = second % SECONDS;
    if (this.#seconds[at] !== second) {
      this.#seconds[at] = second;
      this.#goods[at] = 0;
      this.#bads[at] = 0;
    }
    return at;
  }
}
