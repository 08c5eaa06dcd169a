/**
 * When tenants that changed are snapshotted: so that what a start would have to do again takes at
 * most `recoveryMsMax`, the log stays within `logBytesMax`, and no tenant waits longer than a pass
 * of PASS_MS_MAX (what was deleted is gone from the log after that).
 *
 * A pass goes once over those that changed, the first that did first. In equilibrium the oldest
 * turn that no snapshot holds is one pass old, so a pass takes as long as the bound divided by what
 * comes a millisecond. The log reaches back two passes, for the sake of older generations. All of
 * it within a share of the thread's time, which rises once a bound was reached.
 */
const PASS_MS_MAX = 300_000;
/** Share of the thread's time, and once a bound was reached. */
const SHARE = 0.05;
const SHARE_URGENT = 0.3;
/** Time that may be spent at once, at most. */
const SPEND_MS_MAX = 20;
const SNAPSHOTS_MAX = 256;
/** Over how long the rates are smoothed. */
const SMOOTH_MS = 2_000;
/** A pass aims at this share of the bounds. */
const AIM = 0.5;

export type PaceBounds = { readonly recoveryMsMax: number; readonly logBytesMax: number };

/** What has happened so far, and what no snapshot holds of it. */
export type PaceState = {
  readonly count: number;
  readonly costMs: number;
  readonly logBytes: number;
  readonly backlogMs: number;
  readonly backlogBytes: number;
};

export class SnapshotPace {
  readonly #bounds: PaceBounds;
  #steppedMs = Number.NaN;
  #costMs = 0;
  #logBytes = 0;
  /** A millisecond's. */
  #costRate = 0;
  #byteRate = 0;
  /** Snapshots that are due, a fraction included; and time that may be spent on them. */
  #due = 0;
  #allowedMs = 0;

  constructor(bounds: PaceBounds) {
    this.#bounds = bounds;
  }

  /** How long a pass takes now. */
  get passMs(): number {
    const { recoveryMsMax, logBytesMax } = this.#bounds;
    const byCost = (AIM * recoveryMsMax) / this.#costRate;
    // Two passes are kept.
    const byBytes = (AIM * logBytesMax) / (2 * this.#byteRate);
    return Math.max(1, Math.min(PASS_MS_MAX, byCost, byBytes));
  }

  /**
   * How many may be made now; `isFull`: the log is about to be, also by what others wrote. Tell
   * with `spent` what each took, and ask `mayGoOn` between.
   */
  step(nowMs: number, state: PaceState, isFull = false): number {
    const elapsedMs = Number.isNaN(this.#steppedMs) ? 0 : Math.max(0, nowMs - this.#steppedMs);
    this.#steppedMs = nowMs;
    if (elapsedMs > 0) this.#smooth(elapsedMs, state);
    const { recoveryMsMax, logBytesMax } = this.#bounds;
    const isUrgent =
      isFull || state.backlogMs > recoveryMsMax || 2 * state.backlogBytes > AIM * logBytesMax;
    const share = isUrgent ? SHARE_URGENT : SHARE;
    this.#allowedMs = Math.min(SPEND_MS_MAX, this.#allowedMs + share * elapsedMs);
    const wanted = isUrgent ? state.count : (state.count * elapsedMs) / this.passMs;
    this.#due = Math.min(SNAPSHOTS_MAX, state.count, this.#due + wanted);
    return Math.floor(this.#due);
  }

  get mayGoOn(): boolean {
    return this.#due >= 1 && this.#allowedMs > 0;
  }

  /** One was made, in this time. */
  spent(tookMs: number): void {
    this.#due -= 1;
    this.#allowedMs -= tookMs;
  }

  #smooth(elapsedMs: number, { costMs, logBytes }: PaceState): void {
    const weight = Math.min(1, elapsedMs / SMOOTH_MS);
    this.#costRate += weight * ((costMs - this.#costMs) / elapsedMs - this.#costRate);
    this.#byteRate += weight * ((logBytes - this.#logBytes) / elapsedMs - this.#byteRate);
    this.#costMs = costMs;
    this.#logBytes = logBytes;
  }
}
