/** Policies and past verdicts on disk, behind the interfaces that the API knows. */
import type { Verdict } from "#model/moderation.ts";
import { POLICY_RECORD_DEFAULT } from "#model/policy-default.ts";
import type { PastVerdict, PolicyStore, VerdictHistory } from "#model/policy-store.ts";
import type { PolicyRecord } from "#model/policy.ts";
import type { StoreThread } from "./store-thread.ts";
import { pastOf } from "./verdict-table.ts";

/** Those in force are in memory, too; former versions are on disk alone. */
export class DiskPolicyStore implements PolicyStore {
  readonly #store: StoreThread;
  readonly #records = new Map<string, PolicyRecord>();
  readonly #lastVersions = new Map<string, number>();

  private constructor(store: StoreThread) {
    this.#store = store;
  }

  static async open(store: StoreThread): Promise<DiskPolicyStore> {
    const policies = new DiskPolicyStore(store);
    for (const { tenant, record, lastVersion } of await store.call("policyHeads", {})) {
      policies.#lastVersions.set(tenant, lastVersion);
      if (record !== undefined) policies.#records.set(tenant, record);
    }
    return policies;
  }

  /** Those in force, for an engine that has just started. */
  get records(): ReadonlyMap<string, PolicyRecord> {
    return this.#records;
  }

  current(tenant: string): PolicyRecord {
    return this.#records.get(tenant) ?? POLICY_RECORD_DEFAULT;
  }

  async versions(tenant: string): Promise<readonly PolicyRecord[]> {
    return this.#store.call("policyVersions", { tenant });
  }

  nextVersion(tenant: string): number {
    return (this.#lastVersions.get(tenant) ?? 0) + 1;
  }

  async put(tenant: string, record: PolicyRecord): Promise<void> {
    await this.#store.call("putPolicy", { tenant, record });
    this.#records.set(tenant, record);
    this.#lastVersions.set(tenant, record.version);
  }

  /** Its rows are gone. */
  forget(tenant: string): void {
    this.#records.delete(tenant);
    this.#lastVersions.delete(tenant);
  }

  async reset(tenant: string): Promise<void> {
    await this.#store.call("resetPolicy", { tenant, nowMs: Date.now() });
    this.#records.delete(tenant);
  }
}

export class DiskVerdictHistory implements VerdictHistory {
  readonly #store: StoreThread;

  constructor(store: StoreThread) {
    this.#store = store;
  }

  add(verdict: Verdict): void {
    this.#store.takeAllowed({ tenant: verdict.tenant, past: pastOf(verdict) });
  }

  async recent(tenant: string, limit: number): Promise<readonly PastVerdict[]> {
    return this.#store.call("recent", { tenant, limit });
  }
}
