/** Tells the time to tenants that went quiet, so that they give their memory back. */
import { WINDOW_MS } from "#model/limits.ts";
import type { ShardParts } from "./shard-parts.ts";
import type { TenantLedger } from "./tenant-ledger.ts";

/** Idle tenants that are told the time in one step. */
const SWEEP_TENANTS_MAX = 32;

export class IdleSweep {
  readonly #parts: ShardParts;
  readonly #tenants: TenantLedger;
  readonly #idle: number[] = [];
  #sweep = 0;
  #nowMs = 0;
  /** Bound once: a slice is the same function every time. */
  readonly #advance = (): void => {
    const { host } = this.#parts;
    for (const tenant of this.#idle) if (host.isOpen(tenant)) host.advance(tenant, this.#nowMs);
  };

  constructor(parts: ShardParts, tenants: TenantLedger) {
    this.#parts = parts;
    this.#tenants = tenants;
  }

  step(nowMs: number): void {
    this.#nowMs = nowMs;
    const { batcher } = this.#parts;
    const count = Math.min(SWEEP_TENANTS_MAX, batcher.tenantCount);
    this.#idle.length = 0;
    for (let i = 0; i < count; i++) {
      this.#sweep = this.#sweep + 1 < batcher.tenantCount ? this.#sweep + 1 : 0;
      const advancedMs = this.#tenants.advancedMs[this.#sweep]!;
      if (advancedMs === 0 || this.#nowMs - advancedMs < 2 * WINDOW_MS) continue;
      // Once is enough: an empty window stays empty until the next event.
      this.#tenants.advancedMs[this.#sweep] = 0;
      this.#idle.push(this.#sweep);
    }
    if (this.#idle.length > 0) this.#parts.host.runSlice(this.#advance);
  }
}
