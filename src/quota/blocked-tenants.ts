/**
 * Tenants that are over their quota, as the I/O thread knows them: their requests are refused
 * before a byte of the body is read. It learns them from the shards' refusals, so it is never the
 * one who decides. Bounded: of too many, those that may go on soonest are forgotten, and the shard
 * says it once more.
 */
import { type QuotaName, QUOTA_NAMES } from "#model/quota.ts";

/** Why a tenant is refused, and until when. */
export type Block = { readonly quota: QuotaName; readonly limit: number; readonly untilMs: number };

export class BlockedTenants {
  readonly #blocks = new Map<string, Block>();
  readonly #countMax: number;
  /** By quota: requests that were refused here. */
  readonly #refused = new Float64Array(QUOTA_NAMES.length);

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#blocks.size;
  }

  block(tenant: string, block: Block): void {
    this.#blocks.delete(tenant);
    if (this.#blocks.size >= this.#countMax) this.#makeRoom();
    this.#blocks.set(tenant, block);
  }

  /** It has other limits, or is another tenant. */
  release(tenant: string): void {
    this.#blocks.delete(tenant);
  }

  /** All have other limits. */
  clear(): void {
    this.#blocks.clear();
  }

  /** Hot. Why the tenant's request is refused, which is counted; undefined: it is not. */
  refusal(tenant: string, nowMs: number): Block | undefined {
    if (this.#blocks.size === 0) return undefined;
    const block = this.#blocks.get(tenant);
    if (block === undefined) return undefined;
    if (nowMs < block.untilMs) {
      this.#refused[QUOTA_NAMES.indexOf(block.quota)]! += 1;
      return block;
    }
    this.#blocks.delete(tenant);
    return undefined;
  }

  refusedCount(quota: QuotaName): number {
    return this.#refused[QUOTA_NAMES.indexOf(quota)]!;
  }

  /** By halves, so that it costs nothing a tenant. */
  #makeRoom(): void {
    const soonest = [...this.#blocks].toSorted((a, b) => a[1].untilMs - b[1].untilMs);
    for (const [tenant] of soonest.slice(0, Math.ceil(this.#countMax / 2))) {
      this.#blocks.delete(tenant);
    }
  }
}
