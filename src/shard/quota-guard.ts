/**
 * The quotas of a shard's tenants, where the work is: before a record of a named tenant is parsed,
 * and before the turn of a tenant whose events came with those of others, or as datagrams. What is
 * refused costs next to nothing; what is taken is paid for, by whom it was done for.
 */
import type { IsolateHost } from "#isolate/host.ts";
import type { ModeratorHost } from "#isolate/moderator-host.ts";
import { eventErrorNumber } from "#model/event-error.ts";
import { QUOTA_QUESTIONS_WAIT_MS, QUOTA_SAMPLE_MS } from "#model/limits.ts";
import {
  jsonLimits,
  limitOf,
  limitsOfJson,
  QUOTA_NAMES,
  type JsonLimits,
  type QuotaName,
  type QuotaStatus,
} from "#model/quota.ts";
import type { TenantQuota } from "#quota/tenant-quota.ts";
import type { ShardCounters } from "./protocol.ts";

const OVER_QUOTA = eventErrorNumber("overQuota");
const MEMORY_FULL = eventErrorNumber("tenantMemoryFull");
/** Shorter slices say little of how much of the time the thread runs. */
const SAMPLED_MS_MIN = 0.5;
const SHORT_REST_MS = 2;
/** Memory is given back as windows empty: nobody knows when. */
const MEMORY_WAIT_MS = 10_000;

/** Why a request is refused. */
export type QuotaRefusal = {
  readonly quota: QuotaName;
  readonly limit: number;
  readonly waitMs: number;
};

export type QuotaGuardParts = {
  readonly quota: TenantQuota;
  readonly host: Pick<IsolateHost, "imageBytes">;
  readonly moderators: Pick<ModeratorHost, "imageBytes"> | undefined;
  readonly counters: ShardCounters;
};

export class QuotaGuard {
  readonly quota: TenantQuota;
  readonly #parts: QuotaGuardParts;
  /** In the order of QUOTA_NAMES. */
  readonly #requests = new Float64Array(QUOTA_NAMES.length);
  readonly #events = new Float64Array(QUOTA_NAMES.length);
  #sampledMs = 0;
  #startMs = 0;
  #startCpuMs = 0;

  constructor(parts: QuotaGuardParts) {
    this.#parts = parts;
    this.quota = parts.quota;
  }

  /** Hot. Of a record of this tenant; undefined: it may be parsed. What is refused is counted. */
  refusal(tenant: number, nowMs: number): QuotaRefusal | undefined {
    const { quota } = this;
    const waitMs = quota.waitMs(tenant, nowMs);
    if (waitMs === 0) {
      if (!this.isMemoryFull(tenant)) return undefined;
      return this.#refuse(tenant, "memory", MEMORY_WAIT_MS);
    }
    return this.#refuse(tenant, quota.over, waitMs);
  }

  /** The same, of messages to judge: for them memory is no reason. */
  judgeRefusal(tenant: number, nowMs: number): QuotaRefusal | undefined {
    const waitMs = this.quota.waitMs(tenant, nowMs);
    return waitMs === 0 ? undefined : this.#refuse(tenant, this.quota.over, waitMs);
  }

  /**
   * Of a question. Who sends too many events may still be looked at; but questions without end
   * would take from neighbours what the quota keeps events from taking.
   */
  questionRefusal(tenant: number, nowMs: number): QuotaRefusal | undefined {
    const waitMs = this.quota.waitMs(tenant, nowMs);
    if (waitMs <= QUOTA_QUESTIONS_WAIT_MS || this.quota.over !== "cpu") return undefined;
    return this.#refuse(tenant, "cpu", waitMs);
  }

  /** Hot. Whether the tenant's next turn with events is refused. */
  isOver(tenant: number, nowMs: number): boolean {
    return this.quota.waitMs(tenant, nowMs) > 0 || this.isMemoryFull(tenant);
  }

  /** So many events of a tenant that `isOver`; returns the number of their error. */
  refuseEvents(tenant: number, count: number, nowMs: number): number {
    const isWaiting = this.quota.waitMs(tenant, nowMs) > 0;
    const name = isWaiting ? this.quota.over : "memory";
    this.#events[QUOTA_NAMES.indexOf(name)]! += count;
    this.quota.refused(tenant, count);
    return isWaiting ? OVER_QUOTA : MEMORY_FULL;
  }

  /** Hot. Its images take all that they may: as they were last written. */
  isMemoryFull(tenant: number): boolean {
    const bytesMax = this.quota.imageBytesMax(tenant);
    return bytesMax !== Infinity && this.#imageBytes(tenant) >= bytesMax;
  }

  /** A slice of turns begins, and ends: now and then it is looked how much of it the thread ran. */
  beginSlice(): void {
    const nowMs = performance.now();
    this.#startMs = 0;
    if (nowMs - this.#sampledMs < QUOTA_SAMPLE_MS) return;
    this.#startMs = nowMs;
    this.#startCpuMs = threadCpuMs();
  }

  endSlice(): void {
    if (this.#startMs === 0) return;
    const nowMs = performance.now();
    const wallMs = nowMs - this.#startMs;
    if (wallMs < SAMPLED_MS_MIN) {
      // Not every one of many short ones is looked at.
      this.#sampledMs = nowMs - QUOTA_SAMPLE_MS + SHORT_REST_MS;
      return;
    }
    this.#sampledMs = nowMs;
    this.quota.sliced(wallMs, threadCpuMs() - this.#startCpuMs);
  }

  status(tenant: number, name: string, nowMs: number): QuotaStatus {
    const { quota } = this;
    const waitMs = quota.waitMs(tenant, nowMs);
    const isFull = waitMs === 0 && this.isMemoryFull(tenant);
    const over = waitMs > 0 ? quota.over : isFull ? "memory" : undefined;
    return {
      tenant: name,
      limits: jsonLimits(quota.limits(tenant)),
      own: Object.keys(quota.ownLimits(tenant)),
      used: { ...quota.levels(tenant, nowMs), imageBytes: this.#imageBytes(tenant) },
      cpuMs: quota.cpuMs(tenant),
      refusedCount: quota.refusedCount(tenant),
      over,
      waitMs: Number.isFinite(waitMs) ? Math.ceil(waitMs) : Number.MAX_SAFE_INTEGER,
    };
  }

  /** Nothing at all: the server's limits again. */
  setLimits(tenant: number, limits: JsonLimits): void {
    const isOwn = Object.keys(limits).length > 0;
    this.quota.setLimits(tenant, isOwn ? limitsOfJson(limits) : undefined);
  }

  count(): void {
    const { counters } = this.#parts;
    counters.refusedRequests.set(this.#requests);
    counters.refusedEvents.set(this.#events);
  }

  #refuse(tenant: number, name: QuotaName, waitMs: number): QuotaRefusal {
    this.#requests[QUOTA_NAMES.indexOf(name)]! += 1;
    this.quota.refused(tenant, 1);
    return { quota: name, limit: limitOf(this.quota.limits(tenant), name), waitMs };
  }

  #imageBytes(tenant: number): number {
    const { host, moderators } = this.#parts;
    return host.imageBytes(tenant) + (moderators?.imageBytes(tenant) ?? 0);
  }
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
