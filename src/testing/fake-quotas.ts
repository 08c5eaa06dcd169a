/** Quotas for tests of what stands before an engine: kept, shown, refused when a test says so. */
import { overProblem } from "#engine/quotas.ts";
import {
  type JsonLimits,
  jsonLimits,
  type QuotaLimits,
  type QuotaName,
  type QuotaStatus,
  UNLIMITED,
} from "#model/quota.ts";

export class FakeQuotas {
  #defaults: QuotaLimits = { ...UNLIMITED, cpuMsPerSecond: 500 };
  readonly #own = new Map<string, JsonLimits>();
  readonly #over = new Map<string, { quota: QuotaName; limit: number; waitMs: number }>();
  refusedCount = 0;
  /** Tenants by CPU time, for tests to set. */
  top: readonly { tenant: string; cpuMs: number }[] = [];

  /** Its requests are refused from now on. */
  refuse(tenant: string, quota: QuotaName, limit: number, waitMs: number): void {
    this.#over.set(tenant, { quota, limit, waitMs });
  }

  check(tenant: string): void {
    const over = this.#over.get(tenant);
    if (over === undefined) return;
    this.refusedCount += 1;
    throw overProblem(over);
  }

  status(tenant: string): QuotaStatus {
    const own = this.#own.get(tenant) ?? {};
    const over = this.#over.get(tenant);
    return {
      tenant,
      limits: { ...jsonLimits(this.#defaults), ...own },
      own: Object.keys(own),
      used: { events: 0, bytes: 0, cpuMs: 0, imageBytes: 0 },
      cpuMs: 0,
      refusedCount: this.refusedCount,
      over: over?.quota,
      waitMs: over?.waitMs ?? 0,
    };
  }

  put(tenant: string, limits: JsonLimits): void {
    this.#own.set(tenant, limits);
    this.#over.delete(tenant);
  }

  setDefaults(limits: QuotaLimits): void {
    this.#defaults = limits;
  }

  refusals(): { requests: Record<QuotaName, number>; events: Record<QuotaName, number> } {
    const none = { events: 0, bytes: 0, cpu: 0, memory: 0 };
    return { requests: { ...none, cpu: this.refusedCount }, events: none };
  }
}
