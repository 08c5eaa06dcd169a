/**
 * What each tenant of a shard may take: events, bytes and CPU time a second, and memory.
 *
 * What a turn costs is known after it, so a tenant pays afterwards: it may go on while none of its
 * buckets is over its burst, which is what `burstMs` of its rate allow, and each bucket leaks at
 * its rate. So over any time t it gets rate * (t + burst) and one request more, and a tenant that
 * is over learns to the millisecond when it is not. What is refused for a quota is not paid, and a
 * bucket never holds more than leaks in WAIT_MS_MAX: so nobody is locked out for good.
 *
 * CPU time is the time that turns took by the clock, times how much of the last slice the thread
 * was running at all: a clock costs 60 ns and is read for every turn anyway, the thread's CPU time
 * 400 ns and more, so that is read now and then. A turn that lost the processor is not billed for
 * it.
 *
 * Memory is no rate: it is what the tenant's images take, which the host knows.
 */
import assert from "node:assert/strict";
import { QUOTA_BURST_MS, QUOTA_WAIT_MS_MAX } from "#model/limits.ts";
import { type QuotaLimits, QUOTA_LIMIT_NAMES, type QuotaName } from "#model/quota.ts";

/** Of rates; the last of the quotas is none. */
const BUCKETS = 3;
const EVENTS = 0;
const BYTES = 1;
const CPU = 2;
const BUCKET_NAMES = ["events", "bytes", "cpu"] as const satisfies readonly QuotaName[];

type Rates = {
  readonly perMs: Float64Array;
  readonly bursts: Float64Array;
  readonly levelsMax: Float64Array;
  readonly imageBytes: number;
};

/** What a bucket holds: what was taken of it and has not leaked away. */
export type QuotaLevels = {
  readonly events: number;
  readonly bytes: number;
  readonly cpuMs: number;
};

export class TenantQuota {
  readonly #burstMs: number;
  #defaults: QuotaLimits;
  #default: Rates;
  readonly #own = new Map<number, { readonly limits: Partial<QuotaLimits>; rates: Rates }>();
  /** By tenant: whether it is in `#own`. */
  readonly #hasOwn: Uint8Array;
  // By tenant * BUCKETS + bucket.
  readonly #levels: Float64Array;
  /** By tenant: when its levels were true. */
  readonly #asOfMs: Float64Array;
  /** By tenant, since the start: for whoever looks. */
  readonly #cpuMs: Float64Array;
  readonly #refused: Float64Array;
  #runningShare = 1;
  /** What made the last tenant wait that had to. */
  #over = EVENTS;

  constructor(options: {
    readonly tenantCountMax: number;
    readonly limits: QuotaLimits;
    readonly burstMs?: number;
  }) {
    const { tenantCountMax, limits, burstMs = QUOTA_BURST_MS } = options;
    this.#burstMs = burstMs;
    this.#defaults = limits;
    this.#default = ratesOf(limits, burstMs);
    this.#hasOwn = new Uint8Array(tenantCountMax);
    this.#levels = new Float64Array(tenantCountMax * BUCKETS);
    this.#asOfMs = new Float64Array(tenantCountMax);
    this.#cpuMs = new Float64Array(tenantCountMax);
    this.#refused = new Float64Array(tenantCountMax);
  }

  /** Of all tenants that have none of their own. */
  setDefaults(limits: QuotaLimits): void {
    this.#defaults = limits;
    this.#default = ratesOf(limits, this.#burstMs);
    for (const own of this.#own.values()) {
      own.rates = ratesOf({ ...limits, ...own.limits }, this.#burstMs);
    }
  }

  /** What is left out is the default; undefined: all of it. Who waits may go on at once. */
  setLimits(tenant: number, limits: Partial<QuotaLimits> | undefined): void {
    if (limits === undefined) this.#own.delete(tenant);
    else {
      const rates = ratesOf({ ...this.#defaults, ...limits }, this.#burstMs);
      this.#own.set(tenant, { limits, rates });
    }
    this.#hasOwn[tenant] = limits === undefined ? 0 : 1;
    this.#levels.fill(0, tenant * BUCKETS, (tenant + 1) * BUCKETS);
  }

  /** Those in force. */
  limits(tenant: number): QuotaLimits {
    return { ...this.#defaults, ...this.#own.get(tenant)?.limits };
  }

  ownLimits(tenant: number): Partial<QuotaLimits> {
    return this.#own.get(tenant)?.limits ?? {};
  }

  /** Bytes of images from which on nothing that adds to them is done. */
  imageBytesMax(tenant: number): number {
    return this.#ratesOf(tenant).imageBytes;
  }

  /** Hot. Milliseconds until the tenant may go on; 0: it may now. */
  waitMs(tenant: number, nowMs: number): number {
    const { perMs, bursts } = this.#ratesOf(tenant);
    this.#leak(tenant, nowMs, perMs);
    const at = tenant * BUCKETS;
    let waitMs = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      const over = this.#levels[at + bucket]! - bursts[bucket]!;
      if (over < 0 || bursts[bucket] === Infinity) continue;
      // A rate of 0 is never over its burst by nothing: it waits for ever.
      const bucketMs = perMs[bucket] === 0 ? Infinity : over / perMs[bucket]! + 1;
      if (bucketMs <= waitMs) continue;
      waitMs = bucketMs;
      this.#over = bucket;
    }
    return waitMs;
  }

  /** Which quota `waitMs` spoke of, when it was not 0. */
  get over(): QuotaName {
    return BUCKET_NAMES[this.#over]!;
  }

  /** Which bucket makes it wait. */
  reason(tenant: number, nowMs: number): QuotaName | undefined {
    return this.waitMs(tenant, nowMs) > 0 ? this.over : undefined;
  }

  /** Hot. What came of the tenant, whether it was right or not: a look costs, too. */
  took(tenant: number, events: number, bytes: number): void {
    const at = tenant * BUCKETS;
    const { levelsMax } = this.#ratesOf(tenant);
    this.#levels[at + EVENTS] = Math.min(this.#levels[at + EVENTS]! + events, levelsMax[EVENTS]!);
    this.#levels[at + BYTES] = Math.min(this.#levels[at + BYTES]! + bytes, levelsMax[BYTES]!);
  }

  /** Hot. A turn of the tenant took so long by the clock. */
  ran(tenant: number, turnMs: number): void {
    const cpuMs = turnMs * this.#runningShare;
    const at = tenant * BUCKETS + CPU;
    const levelMax = this.#ratesOf(tenant).levelsMax[CPU]!;
    this.#levels[at] = Math.min(this.#levels[at]! + cpuMs, levelMax);
    this.#cpuMs[tenant]! += cpuMs;
  }

  /** So many of its events or requests were refused. */
  refused(tenant: number, count: number): void {
    this.#refused[tenant]! += count;
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

  refusedCount(tenant: number): number {
    return this.#refused[tenant]!;
  }

  levels(tenant: number, nowMs: number): QuotaLevels {
    this.#leak(tenant, nowMs, this.#ratesOf(tenant).perMs);
    const [events, bytes, cpuMs] = this.#levels.subarray(tenant * BUCKETS, (tenant + 1) * BUCKETS);
    return { events: events!, bytes: bytes!, cpuMs: cpuMs! };
  }

  /** The tenants that took most, most first: a pass over all, and a short list. */
  topByCpu(count: number, tenantCount: number): number[] {
    const cpuMs = this.#cpuMs;
    const top: number[] = [];
    for (let tenant = 0; tenant < tenantCount; tenant++) {
      const taken = cpuMs[tenant]!;
      if (taken === 0 || (top.length === count && taken <= cpuMs[top[count - 1]!]!)) continue;
      let place = top.length < count ? top.length : count - 1;
      for (; place > 0 && cpuMs[top[place - 1]!]! < taken; place--) top[place] = top[place - 1]!;
      top[place] = tenant;
    }
    return top;
  }

  /** Its number is another tenant's from now on. */
  forget(tenant: number): void {
    this.setLimits(tenant, undefined);
    this.#asOfMs[tenant] = 0;
    this.#cpuMs[tenant] = 0;
    this.#refused[tenant] = 0;
  }

  #ratesOf(tenant: number): Rates {
    return this.#hasOwn[tenant] === 0 ? this.#default : this.#own.get(tenant)!.rates;
  }

  /** A clock that goes back gives nothing. */
  #leak(tenant: number, nowMs: number, perMs: Float64Array): void {
    const passedMs = nowMs - this.#asOfMs[tenant]!;
    if (passedMs <= 0) return;
    this.#asOfMs[tenant] = nowMs;
    const at = tenant * BUCKETS;
    for (let bucket = at; bucket < at + BUCKETS; bucket++) {
      const level = this.#levels[bucket]!;
      // Infinity leaks everything, and 0 * Infinity would be no number.
      if (level > 0) this.#levels[bucket] = Math.max(0, level - perMs[bucket - at]! * passedMs);
    }
  }
}

function ratesOf(limits: QuotaLimits, burstMs: number): Rates {
  for (const name of QUOTA_LIMIT_NAMES) assert(limits[name] >= 0);
  const { eventsPerSecond, bytesPerSecond, cpuMsPerSecond, imageBytes } = limits;
  const perMs = Float64Array.of(eventsPerSecond / 1e3, bytesPerSecond / 1e3, cpuMsPerSecond / 1e3);
  const bursts = perMs.map((rate) => (rate === 0 ? 0 : rate * burstMs));
  const levelsMax = perMs.map((rate) => (rate === 0 ? 0 : rate * (burstMs + QUOTA_WAIT_MS_MAX)));
  return { perMs, bursts, levelsMax, imageBytes };
}
