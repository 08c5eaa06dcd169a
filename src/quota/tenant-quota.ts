/**
 * What each tenant of a shard may take: events, bytes and CPU time a second.
 *
 * What a turn costs is known after it, so a tenant pays afterwards: it may go on while none of its
 * buckets is over its burst, which is what `burstMs` of its rate allow, and each bucket leaks at its
 * rate. So over any time t it gets rate * (t + burst) and one record more, and a tenant that is over
 * learns to the millisecond when it is not.
 *
 * CPU time is the time that turns took by the clock, times how much of the last slice the thread was
 * running at all: a clock costs 60 ns and is read for every turn anyway, the thread's CPU time 400 ns
 * and more, so that is read once a slice. A turn that lost the processor is not billed for it.
 */
import assert from "node:assert/strict";

export type QuotaLimits = {
  readonly eventsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Of one thread: 1,000 is all of it. */
  readonly cpuMsPerSecond: number;
  /** How much of a second's worth may come at once. */
  readonly burstMs: number;
};

export const QUOTA_NAMES = ["events", "bytes", "cpu"] as const;
export type QuotaName = (typeof QUOTA_NAMES)[number];

const BUCKETS = QUOTA_NAMES.length;
const EVENTS = 0;
const BYTES = 1;
const CPU = 2;

type Rates = { readonly perMs: readonly number[]; readonly bursts: readonly number[] };

export class TenantQuota {
  readonly #default: Rates;
  readonly #own = new Map<number, Rates>();
  // By tenant * BUCKETS + bucket: what was taken and has not leaked away.
  readonly #levels: Float64Array;
  /** By tenant: when its levels were true. */
  readonly #asOfMs: Float64Array;
  /** By tenant, since the start: for whoever looks. */
  readonly #cpuMs: Float64Array;
  #runningShare = 1;

  constructor(options: { readonly tenantCountMax: number; readonly limits: QuotaLimits }) {
    this.#default = ratesOf(options.limits);
    this.#levels = new Float64Array(options.tenantCountMax * BUCKETS);
    this.#asOfMs = new Float64Array(options.tenantCountMax);
    this.#cpuMs = new Float64Array(options.tenantCountMax);
  }

  /** Undefined: the default again. What was taken stays taken. */
  setLimits(tenant: number, limits: QuotaLimits | undefined): void {
    if (limits === undefined) this.#own.delete(tenant);
    else this.#own.set(tenant, ratesOf(limits));
  }

  /** Hot. Milliseconds until the tenant may go on; 0: it may now. */
  waitMs(tenant: number, nowMs: number): number {
    this.#leak(tenant, nowMs);
    const { perMs, bursts } = this.#own.get(tenant) ?? this.#default;
    let waitMs = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const over = this.#levels[tenant * BUCKETS + bucket]! - bursts[bucket]!;
      if (over >= 0 && bursts[bucket]! < Infinity) {
        // A rate of 0 is never over its burst by nothing: it waits for ever.
        waitMs = Math.max(waitMs, perMs[bucket]! === 0 ? Infinity : over / perMs[bucket]! + 1);
      }
    }
    return waitMs;
  }

  /** Which bucket makes it wait. */
  reason(tenant: number, nowMs: number): QuotaName | undefined {
    this.#leak(tenant, nowMs);
    const { bursts } = this.#own.get(tenant) ?? this.#default;
    const at = tenant * BUCKETS;
    return QUOTA_NAMES.find((_, bucket) => this.#levels[at + bucket]! >= bursts[bucket]!);
  }

  /** Hot. What came of the tenant, whether it was taken or not: refusing costs, too. */
  took(tenant: number, events: number, bytes: number): void {
    this.#levels[tenant * BUCKETS + EVENTS]! += events;
    this.#levels[tenant * BUCKETS + BYTES]! += bytes;
  }

  /** Hot. A turn of the tenant took so long by the clock. */
  ran(tenant: number, turnMs: number): void {
    const cpuMs = turnMs * this.#runningShare;
    this.#levels[tenant * BUCKETS + CPU]! += cpuMs;
    this.#cpuMs[tenant]! += cpuMs;
  }

  /** A slice of turns took so long by the clock, and so much CPU time of its thread. */
  sliced(wallMs: number, cpuMs: number): void {
    assert(wallMs >= 0 && cpuMs >= 0);
    this.#runningShare = wallMs === 0 ? 1 : Math.min(1, cpuMs / wallMs);
  }

  /** CPU time of the tenant's turns since the start. */
  cpuMs(tenant: number): number {
    return this.#cpuMs[tenant]!;
  }

  /** The tenants that took most, most first. */
  topByCpu(count: number, tenantCount: number): number[] {
    const numbers = Array.from({ length: tenantCount }, (_, tenant) => tenant);
    numbers.sort((a, b) => this.#cpuMs[b]! - this.#cpuMs[a]! || a - b);
    return numbers.slice(0, count).filter((tenant) => this.#cpuMs[tenant]! > 0);
  }

  /** Its number is another tenant's from now on. */
  forget(tenant: number): void {
    this.#own.delete(tenant);
    this.#levels.fill(0, tenant * BUCKETS, (tenant + 1) * BUCKETS);
    this.#asOfMs[tenant] = 0;
    this.#cpuMs[tenant] = 0;
  }

  #leak(tenant: number, nowMs: number): void {
    const passedMs = Math.max(nowMs - this.#asOfMs[tenant]!, 0);
    if (passedMs === 0) return;
    this.#asOfMs[tenant] = nowMs;
    const { perMs } = this.#own.get(tenant) ?? this.#default;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const at = tenant * BUCKETS + bucket;
      // Infinity leaks everything, and 0 * Infinity would be no number.
      const leaked = perMs[bucket] === Infinity ? Infinity : perMs[bucket]! * passedMs;
      this.#levels[at] = Math.max(0, this.#levels[at]! - leaked);
    }
  }
}

function ratesOf({ burstMs, ...limits }: QuotaLimits): Rates {
  const rates = [limits.eventsPerSecond, limits.bytesPerSecond, limits.cpuMsPerSecond];
  for (const rate of [...rates, burstMs]) assert(rate >= 0);
  const perMs = rates.map((rate) => rate / 1000);
  return { perMs, bursts: perMs.map((rate) => (rate === 0 ? 0 : rate * burstMs)) };
}
