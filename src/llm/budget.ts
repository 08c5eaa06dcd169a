/**
 * What a tenant may spend on the upstream: calls and tokens a minute, money a day.
 *
 * Each budget is a bucket that fills evenly: what a minute (a day) allows fits in it, and leaks
 * back in over a minute (a day). So nobody has to wait for a full hour to begin, and twice the
 * budget is the most that any one minute (day) can see. What a call will take is estimated when it
 * is reserved, and set right when it is settled; an estimate that was too low leaves a bucket below
 * zero, and the next call waits for that. A budget of 0 allows nothing, Infinity everything.
 */
import type { TokenUsage } from "#model/consultation.ts";

export type BudgetLimits = {
  readonly callsPerMinute: number;
  readonly tokensPerMinute: number;
  /** Millionths of the currency that the prices are in. */
  readonly microsPerDay: number;
};

export type Prices = {
  /** Millionths a token. */
  readonly promptMicros: number;
  readonly cachedMicros: number;
  readonly completionMicros: number;
};

export type BudgetName = "calls" | "tokens" | "money";
const NAMES: readonly BudgetName[] = ["calls", "tokens", "money"];

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 3_600_000;
const BUCKET_COUNT = 3;
const SPANS_MS = [MINUTE_MS, MINUTE_MS, DAY_MS] as const;

export class Budgets {
  readonly #default: readonly number[];
  /** By number of the tenant; of those with budgets of their own. */
  readonly #own = new Map<number, readonly number[]>();
  readonly #prices: Prices;
  // By tenant * BUCKET_COUNT + bucket. What was taken: 0 is a bucket that is full.
  readonly #taken: Float64Array;
  /** By tenant: when `#taken` was true; 0: never. */
  readonly #asOfMs: Float64Array;
  /** What a reservation takes of each bucket; there is one at a time. */
  readonly #wanted = [0, 0, 0];

  constructor(options: {
    readonly tenantCountMax: number;
    readonly limits: BudgetLimits;
    readonly prices: Prices;
  }) {
    this.#default = listOf(options.limits);
    this.#prices = options.prices;
    this.#taken = new Float64Array(options.tenantCountMax * BUCKET_COUNT);
    this.#asOfMs = new Float64Array(options.tenantCountMax);
  }

  /** Undefined: the default again. What was spent stays spent. */
  setLimits(tenant: number, limits: BudgetLimits | undefined): void {
    if (limits === undefined) this.#own.delete(tenant);
    else this.#own.set(tenant, listOf(limits));
  }

  /**
   * Takes what a call is estimated to need; undefined. Or takes nothing, and names the budget that
   * has too little left.
   */
  reserve(tenant: number, estimate: TokenUsage, nowMs: number): BudgetName | undefined {
    this.#refill(tenant, nowMs);
    const limits = this.#limitsOf(tenant);
    const wanted = this.#wanted;
    wanted[0] = 1;
    wanted[1] = tokensOf(estimate);
    wanted[2] = this.micros(estimate);
    const at = tenant * BUCKET_COUNT;
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
      // A call that costs nothing does not need money, but a budget of 0 is a no.
      const isOpen = limits[bucket]! > 0 || (bucket === 2 && wanted[2] === 0);
      if (!isOpen || this.#taken[at + bucket]! + wanted[bucket]! > limits[bucket]!) {
        return NAMES[bucket];
      }
    }
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
      this.#taken[at + bucket]! += wanted[bucket]!;
    }
    return undefined;
  }

  /** What was reserved is given back, and what was used is taken. */
  settle(tenant: number, estimate: TokenUsage, used: TokenUsage, nowMs: number): void {
    this.#refill(tenant, nowMs);
    const at = tenant * BUCKET_COUNT;
    this.#add(at + 1, tokensOf(used) - tokensOf(estimate));
    this.#add(at + 2, this.micros(used) - this.micros(estimate));
  }

  /** A call that was reserved and never sent. */
  cancel(tenant: number, estimate: TokenUsage, nowMs: number): void {
    this.#refill(tenant, nowMs);
    const at = tenant * BUCKET_COUNT;
    this.#add(at, -1);
    this.#add(at + 1, -tokensOf(estimate));
    this.#add(at + 2, -this.micros(estimate));
  }

  /** Milliseconds until a call of that estimate is within the tenant's budgets; Infinity: never. */
  waitMs(tenant: number, estimate: TokenUsage, nowMs: number): number {
    this.#refill(tenant, nowMs);
    const limits = this.#limitsOf(tenant);
    const wanted = [1, tokensOf(estimate), this.micros(estimate)];
    let waitMs = 0;
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
      const limit = limits[bucket]!;
      const over = this.#taken[tenant * BUCKET_COUNT + bucket]! + wanted[bucket]! - limit;
      if (over <= 0 && limit > 0) continue;
      if (wanted[bucket] === 0 && bucket === 2) continue;
      if (wanted[bucket]! > limit) return Number.POSITIVE_INFINITY;
      waitMs = Math.max(waitMs, Math.ceil((over / limit) * SPANS_MS[bucket]!));
    }
    return waitMs;
  }

  /** What so many tokens cost. */
  micros({ promptTokens, completionTokens, cachedTokens }: TokenUsage): number {
    const { promptMicros, cachedMicros, completionMicros } = this.#prices;
    return (
      (promptTokens - cachedTokens) * promptMicros +
      cachedTokens * cachedMicros +
      completionTokens * completionMicros
    );
  }

  #limitsOf(tenant: number): readonly number[] {
    return this.#own.get(tenant) ?? this.#default;
  }

  #add(bucket: number, amount: number): void {
    this.#taken[bucket] = Math.max(this.#taken[bucket]! + amount, 0);
  }

  /** What leaked back since. A clock that went back changes nothing. */
  #refill(tenant: number, nowMs: number): void {
    const passedMs = nowMs - this.#asOfMs[tenant]!;
    if (passedMs <= 0) return;
    this.#asOfMs[tenant] = nowMs;
    const limits = this.#limitsOf(tenant);
    const at = tenant * BUCKET_COUNT;
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
      if (this.#taken[at + bucket] === 0) continue;
      // Of Infinity so much leaks in that nothing is left taken; of 0 nothing.
      const leaked = (limits[bucket]! * passedMs) / SPANS_MS[bucket]!;
      this.#add(at + bucket, -leaked);
    }
  }
}

function listOf(limits: BudgetLimits): readonly number[] {
  return [limits.callsPerMinute, limits.tokensPerMinute, limits.microsPerDay];
}

function tokensOf({ promptTokens, completionTokens }: TokenUsage): number {
  return promptTokens + completionTokens;
}
