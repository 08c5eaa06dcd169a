/**
 * Tenants that are over their quota, as the I/O thread knows them: their requests are refused before
 * a byte of the body is read. It learns them from the shards' refusals, so it is never the one who
 * decides. Bounded: of too many, those that may go on soonest are forgotten, and the shard says it
 * once more.
 */
export class BlockedTenants {
  readonly #untilMs = new Map<string, number>();
  readonly #countMax: number;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get count(): number {
    return this.#untilMs.size;
  }

  block(tenant: string, untilMs: number): void {
    this.#untilMs.delete(tenant);
    if (this.#untilMs.size >= this.#countMax) this.#makeRoom();
    this.#untilMs.set(tenant, untilMs);
  }

  /** Hot. Milliseconds for which the tenant is refused; 0: it is not. */
  waitMs(tenant: string, nowMs: number): number {
    const untilMs = this.#untilMs.get(tenant);
    if (untilMs === undefined) return 0;
    if (nowMs < untilMs) return untilMs - nowMs;
    this.#untilMs.delete(tenant);
    return 0;
  }

  /** By halves, so that it costs nothing a tenant. */
  #makeRoom(): void {
    const soonest = [...this.#untilMs].toSorted((a, b) => a[1] - b[1]);
    for (const [tenant] of soonest.slice(0, Math.ceil(this.#countMax / 2))) {
      this.#untilMs.delete(tenant);
    }
  }
}
