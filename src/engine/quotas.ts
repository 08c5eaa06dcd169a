/**
 * Tenants' quotas as the I/O thread has them: who has limits of its own, for a shard that starts
 * anew, and who is over them, so that its requests are refused before they are read. The shards
 * decide; see shard/quota-guard.ts.
 */
import { BlockedTenants } from "#quota/blocked-tenants.ts";
import { QUOTA_BLOCKED_MAX, QUOTA_WAIT_MS_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import type { JsonLimits, QuotaLimits, QuotaName, QuotaStatus } from "#model/quota.ts";

/** Members of the problems `overQuota` and `tenantMemoryFull`. */
type Over = { readonly quota: QuotaName; readonly limit: number | null; readonly waitMs: number };

export class Quotas {
  #defaults: QuotaLimits | undefined;
  readonly #own = new Map<string, JsonLimits>();
  readonly #blocked = new BlockedTenants(QUOTA_BLOCKED_MAX);
  /** Requests that were refused here, of which the shard knows nothing; the newest tenants. */
  readonly #refusedHere = new Map<string, number>();

  /** Undefined: nobody has a quota, and nothing is metered. */
  constructor(defaults: QuotaLimits | undefined) {
    this.#defaults = defaults;
  }

  get defaults(): QuotaLimits | undefined {
    return this.#defaults;
  }

  set defaults(limits: QuotaLimits | undefined) {
    this.#defaults = limits;
    this.#blocked.clear();
  }

  /** Those of a shard's tenants. */
  ownOf(isOfShard: (tenant: string) => boolean): ReadonlyMap<string, JsonLimits> {
    return new Map([...this.#own].filter(([tenant]) => isOfShard(tenant)));
  }

  /** Nothing at all: it has none of its own any more. */
  put(tenant: string, limits: JsonLimits): void {
    if (Object.keys(limits).length === 0) this.#own.delete(tenant);
    else this.#own.set(tenant, limits);
    this.#blocked.release(tenant);
  }

  forget(tenant: string): void {
    this.put(tenant, {});
    this.#refusedHere.delete(tenant);
  }

  /** What the shard says of a tenant, with what it never saw. */
  whole(tenant: string, status: QuotaStatus): QuotaStatus {
    const here = this.#refusedHere.get(tenant) ?? 0;
    return here === 0 ? status : { ...status, refusedCount: status.refusedCount + here };
  }

  /** Throws `overQuota` for a tenant of which a shard said so, while that holds. */
  check(tenant: string, nowMs: number): void {
    const block = this.#blocked.refusal(tenant, nowMs);
    if (block === undefined) return;
    this.#count(tenant);
    const { quota, limit, untilMs } = block;
    throw overProblem({ quota, limit, waitMs: untilMs - nowMs });
  }

  /** Remembers who is refused; `error` as it is to be told. */
  learn(tenant: string, error: unknown, nowMs: number): unknown {
    if (!(error instanceof Problem) || !("quota" in error.members)) return error;
    const { quota, limit, waitMs } = error.members as Over;
    if (quota === "memory") return error;
    const untilMs = nowMs + Math.min(waitMs, QUOTA_WAIT_MS_MAX);
    this.#blocked.block(tenant, { quota, limit: limit ?? Infinity, untilMs });
    return error;
  }

  refusedCount(quota: QuotaName): number {
    return this.#blocked.refusedCount(quota);
  }

  #count(tenant: string): void {
    const count = this.#refusedHere.get(tenant) ?? 0;
    if (count === 0 && this.#refusedHere.size >= QUOTA_BLOCKED_MAX) {
      for (const [oldest] of this.#refusedHere) {
        this.#refusedHere.delete(oldest);
        break;
      }
    }
    this.#refusedHere.set(tenant, count + 1);
  }
}

const UNITS: Readonly<Record<QuotaName, string>> = {
  events: "events a second",
  bytes: "bytes a second",
  cpu: "ms of CPU time a second",
  memory: "bytes of memory",
};

/** What a caller is told who is over a quota. */
export function overProblem({ quota, limit, waitMs }: Over): Problem {
  const known = Math.min(waitMs, QUOTA_WAIT_MS_MAX);
  const retryAfterSeconds = Math.max(1, Math.ceil(known / 1_000));
  const members = { quota, limit, waitMs: Math.ceil(known) };
  const what = `${limit} ${UNITS[quota]}`;
  if (quota === "memory") {
    const detail =
      `The tenant's state takes the ${what} that it may take. New events are refused until its ` +
      "windows have shrunk; questions go on.";
    return new Problem("tenantMemoryFull", detail, { retryAfterSeconds, members });
  }
  const detail =
    limit === 0
      ? `The tenant's quota is 0 ${UNITS[quota]}: nothing is taken.`
      : `The tenant is over its quota of ${what}; it may go on in ${Math.ceil(known)} ms.`;
  return new Problem("overQuota", detail, { retryAfterSeconds, members });
}
