/**
 * Where policies and past verdicts are kept. In memory for a process without a disk; what keeps
 * them for longer implements the same.
 */
import { PAST_VERDICTS_HELD_MAX, PAST_VERDICTS_MAX, POLICY_VERSIONS_MAX } from "./limits.ts";
import type { Action, Category, Verdict } from "./moderation.ts";
import { POLICY_RECORD_DEFAULT } from "./policy-default.ts";
import type { PolicyRecord } from "./policy.ts";

export interface PolicyStore {
  /** The one in force; the default, of version 0, where none was set. */
  current(tenant: string): PolicyRecord;
  /** Those that were set, the newest first: POLICY_VERSIONS_MAX of them at most. */
  versions(tenant: string): Promise<readonly PolicyRecord[]>;
  /** Version of the next one: above all there ever were, also after `reset`. */
  nextVersion(tenant: string): number;
  /** Resolves once it is kept. */
  put(tenant: string, record: PolicyRecord): Promise<void>;
  /** The default is in force again; what was set before stays among the versions. */
  reset(tenant: string): Promise<void>;
}

/** What a dry run needs of a verdict. */
export type PastVerdict = {
  readonly id: string;
  readonly asOfMs: number;
  readonly scores: Readonly<Record<Category, number>>;
  readonly thresholds: Readonly<Record<Category, number | null>>;
  readonly proposedAction: Action;
  readonly listEntry: string | undefined;
  readonly policyVersion: number;
};

export interface VerdictHistory {
  add(verdict: Verdict): void;
  /** The newest first. */
  recent(tenant: string, limit: number): Promise<readonly PastVerdict[]>;
}

type Policies = { records: PolicyRecord[]; inForce: boolean; lastVersion: number };

export class MemoryPolicyStore implements PolicyStore {
  readonly #tenants = new Map<string, Policies>();

  current(tenant: string): PolicyRecord {
    const found = this.#tenants.get(tenant);
    return (found?.inForce === true ? found.records[0] : undefined) ?? POLICY_RECORD_DEFAULT;
  }

  async versions(tenant: string): Promise<readonly PolicyRecord[]> {
    return this.#tenants.get(tenant)?.records ?? [];
  }

  nextVersion(tenant: string): number {
    return (this.#tenants.get(tenant)?.lastVersion ?? 0) + 1;
  }

  async put(tenant: string, record: PolicyRecord): Promise<void> {
    const before = (this.#tenants.get(tenant)?.records ?? []).slice(0, POLICY_VERSIONS_MAX - 1);
    const records = [record, ...before];
    this.#tenants.set(tenant, { records, inForce: true, lastVersion: record.version });
  }

  /** The tenant is deleted. */
  forget(tenant: string): void {
    this.#tenants.delete(tenant);
  }

  async reset(tenant: string): Promise<void> {
    const found = this.#tenants.get(tenant);
    if (found !== undefined) found.inForce = false;
  }
}

/** A ring a tenant; beyond the sum of all, the tenant that was silent longest loses its own. */
export class MemoryVerdictHistory implements VerdictHistory {
  readonly #rings = new Map<string, { held: PastVerdict[]; next: number }>();
  readonly #ofTenantMax: number;
  readonly #ofAllMax: number;
  #heldCount = 0;

  constructor(ofTenantMax = PAST_VERDICTS_MAX, ofAllMax = PAST_VERDICTS_HELD_MAX) {
    this.#ofTenantMax = ofTenantMax;
    this.#ofAllMax = ofAllMax;
  }

  get heldCount(): number {
    return this.#heldCount;
  }

  add(verdict: Verdict): void {
    const { id, asOfMs, scores, thresholds, proposedAction, listEntry, policy } = verdict;
    const past = { id, asOfMs, scores, thresholds, proposedAction, listEntry };
    const ring = this.#newest(verdict.tenant);
    if (ring.held.length < this.#ofTenantMax) this.#heldCount += 1;
    ring.held[ring.next] = { ...past, policyVersion: policy.version };
    ring.next = (ring.next + 1) % this.#ofTenantMax;
    if (this.#heldCount > this.#ofAllMax) this.#dropOldest();
  }

  /** The tenant is deleted. */
  forget(tenant: string): void {
    this.#heldCount -= this.#rings.get(tenant)?.held.length ?? 0;
    this.#rings.delete(tenant);
  }

  async recent(tenant: string, limit: number): Promise<readonly PastVerdict[]> {
    const ring = this.#rings.get(tenant);
    if (ring === undefined) return [];
    const { held, next } = ring;
    return [...held.slice(next), ...held.slice(0, next)].toReversed().slice(0, limit);
  }

  /** The tenant's, which is now the last of the map to go. */
  #newest(tenant: string): { held: PastVerdict[]; next: number } {
    const ring = this.#rings.get(tenant) ?? { held: [], next: 0 };
    this.#rings.delete(tenant);
    this.#rings.set(tenant, ring);
    return ring;
  }

  #dropOldest(): void {
    for (const [tenant, { held }] of this.#rings) {
      this.#rings.delete(tenant);
      this.#heldCount -= held.length;
      return;
    }
  }
}
