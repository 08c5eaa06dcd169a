/** Tenants' own limits, kept over a restart: they are in force once they are on disk. */
import type { JsonLimits } from "#model/quota.ts";
import type { StoreThread } from "./store-thread.ts";

export class DiskQuotas {
  readonly #store: Pick<StoreThread, "call">;
  readonly #limits = new Map<string, JsonLimits>();

  private constructor(store: Pick<StoreThread, "call">) {
    this.#store = store;
  }

  static async open(store: Pick<StoreThread, "call">): Promise<DiskQuotas> {
    const quotas = new DiskQuotas(store);
    for (const { tenant, limits } of await store.call("quotas", {})) {
      quotas.#limits.set(tenant, limits);
    }
    return quotas;
  }

  /** For an engine that has just started. */
  get all(): ReadonlyMap<string, JsonLimits> {
    return this.#limits;
  }

  /** Nothing at all: it has none of its own any more. */
  async put(tenant: string, limits: JsonLimits): Promise<void> {
    await this.#store.call("putQuota", { tenant, limits, nowMs: Date.now() });
    if (Object.keys(limits).length === 0) this.#limits.delete(tenant);
    else this.#limits.set(tenant, limits);
  }

  /** Its rows are gone. */
  forget(tenant: string): void {
    this.#limits.delete(tenant);
  }
}
