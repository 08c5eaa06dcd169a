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

/** What a call takes of its tenant's budgets. */
export type Cost = { readonly calls: number; readonly tokens: number; readonly micros: number };

/** Of so many tokens. */
export function costOf(usage: TokenUsage, prices: Prices, calls: number): Cost {
  const { promptTokens, completionTokens, cachedTokens } = usage;
  const micros =
    (promptTokens - cachedTokens) * prices.promptMicros +
    cachedTokens * prices.cachedMicros +
    completionTokens * prices.completionMicros;
  return { calls, tokens: promptTokens + completionTokens, micros };
}

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
  // By tenant * BUCKET_COUNT + bucket. What was taken: 0 is a bucket that is full.
  readonly #taken: Float64Array;
  /** By tenant: when `#taken` was true; 0: never. */
  readonly #asOfMs: Float64Array;
  /** What a call takes of each bucket; there is one at a time. */
  readonly #wanted = [0, 0, 0];
  /** Whose money changed since `takeSpenders`. */
  #spenders = new Set<number>();

  constructor(options: { readonly tenantCountMax: number; readonly limits: BudgetLimits }) {
    this.#default = listOf(options.limits);
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
  reserve(tenant: number, estimate: Cost, nowMs: number): BudgetName | undefined {
    this.#refill(tenant, nowMs);
    const limits = this.#limitsOf(tenant);
    const wanted = this.#wantedBy(estimate);
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
    if (estimate.micros !== 0) this.#spenders.add(tenant);
    return undefined;
  }

  /** What was reserved is given back, and what was used is taken. */
  settle(tenant: number, estimate: Cost, used: Cost, nowMs: number): void {
    this.#refill(tenant, nowMs);
    const at = tenant * BUCKET_COUNT;
    this.#add(at + 1, used.tokens - estimate.tokens);
    this.#add(at + 2, used.micros - estimate.micros);
    if (used.micros !== estimate.micros) this.#spenders.add(tenant);
  }

  /** A call that was reserved and never sent. */
  cancel(tenant: number, estimate: Cost, nowMs: number): void {
    this.#refill(tenant, nowMs);
    const at = tenant * BUCKET_COUNT;
    this.#add(at, -estimate.calls);
    this.#add(at + 1, -estimate.tokens);
    this.#add(at + 2, -estimate.micros);
    if (estimate.micros !== 0) this.#spenders.add(tenant);
  }

  limitsOf(tenant: number | undefined): BudgetLimits {
    const list = tenant === undefined ? this.#default : this.#limitsOf(tenant);
    const [callsPerMinute, tokensPerMinute, microsPerDay] = list;
    return {
      callsPerMinute: callsPerMinute!,
      tokensPerMinute: tokensPerMinute!,
      microsPerDay: microsPerDay!,
    };
  }

  /** What is left of each, in the order of BudgetLimits; Infinity: no bound. */
  left(tenant: number, nowMs: number): readonly [number, number, number] {
    this.#refill(tenant, nowMs);
    const limits = this.#limitsOf(tenant);
    const of = (bucket: number): number =>
      Math.max(limits[bucket]! - this.#taken[tenant * BUCKET_COUNT + bucket]!, 0);
    return [of(0), of(1), of(2)];
  }

  /** Whose money changed since this was asked last. */
  takeSpenders(): readonly number[] {
    const spenders = [...this.#spenders];
    this.#spenders.clear();
    return spenders;
  }

  /** Millionths that are taken of the day's. */
  spentMicros(tenant: number, nowMs: number): number {
    this.#refill(tenant, nowMs);
    return this.#taken[tenant * BUCKET_COUNT + 2]!;
  }

  /** The day's money as it was at another time, before a restart as a rule. */
  setSpent(tenant: number, spentMicros: number, atMs: number, nowMs: number): void {
    this.#refill(tenant, nowMs);
    const bucket = tenant * BUCKET_COUNT + 2;
    this.#taken[bucket] = 0;
    const passedMs = Math.max(nowMs - atMs, 0);
    const leaked = passedMs === 0 ? 0 : (this.#limitsOf(tenant)[2]! * passedMs) / DAY_MS;
    this.#add(bucket, spentMicros - leaked);
  }

  /** Its number is another tenant's from now on. */
  forget(tenant: number): void {
    this.#own.delete(tenant);
    this.#spenders.delete(tenant);
    this.#taken.fill(0, tenant * BUCKET_COUNT, (tenant + 1) * BUCKET_COUNT);
    this.#asOfMs[tenant] = 0;
  }

  /** Milliseconds until a call of that estimate is within the tenant's budgets; Infinity: never. */
  waitMs(tenant: number, estimate: Cost, nowMs: number): number {
    this.#refill(tenant, nowMs);
    const limits = this.#limitsOf(tenant);
    const wanted = this.#wantedBy(estimate);
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

  #wantedBy({ calls, tokens, micros }: Cost): readonly number[] {
    const wanted = this.#wanted;
    wanted[0] = calls;
    wanted[1] = tokens;
    wanted[2] = micros;
    return wanted;
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
