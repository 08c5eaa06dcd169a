/**
 * What a tenant's batch costs it, and whether it may have its turn. Events of a request whose
 * address names the tenant were let in as a whole, and paid for, when they were parsed; those that
 * came with others' events, or as datagrams, are looked at here, before the tenant's turn.
 */
import type { Batcher } from "#batcher/batcher.ts";
import { eventErrorNumber } from "#model/event-error.ts";
import type { QuotaGuard } from "./quota-guard.ts";
import type { RequestLedger } from "./request-ledger.ts";
import { TENANT_DELETING } from "./tenant-flags.ts";

const DELETING = eventErrorNumber("tenantDeleting");

export type TollSource = Pick<
  Batcher,
  "batchTenant" | "batchByteCount" | "batchEventCount" | "batchJoinedCount"
>;

export class BatchToll {
  /** Whether events wait whose tenant the address names, and those that name it themselves. */
  hasNamed = false;
  hasMixed = false;
  /** Tenants that are being deleted: nothing of them is left but their number. */
  deletingCount = 0;
  readonly #batcher: Batcher;
  readonly #quota: QuotaGuard | undefined;
  readonly #requests: RequestLedger;

  constructor(batcher: Batcher, quota: QuotaGuard | undefined, requests: RequestLedger) {
    this.#batcher = batcher;
    this.#quota = quota;
    this.#requests = requests;
  }

  /** All that waited was handed out. */
  clear(): void {
    this.hasNamed = false;
    this.hasMixed = false;
  }

  /** Of the batches at hand some are to be paid for here. */
  isDue(source: TollSource): boolean {
    const isDrained = source !== this.#batcher;
    if (isDrained && this.deletingCount > 0) return true;
    return this.#quota !== undefined && (isDrained || this.hasMixed);
  }

  /** Hot. Of a batch where it `isDue`. */
  isRefused(source: TollSource, batch: number, nowMs: number): boolean {
    const tenant = source.batchTenant(batch);
    const isDeleting = this.deletingCount > 0 && this.#isDeleting(tenant);
    if (!isDeleting && !(this.#quota?.isOver(tenant, nowMs) ?? false)) return false;
    // Some of it may have come with a request that was let in as it stood.
    return source !== this.#batcher || !this.hasNamed || this.#paidCount(batch) === 0;
  }

  /** Tells the requests of a batch that `isRefused`; returns how many events that are. */
  refuse(source: TollSource, batch: number, nowMs: number): number {
    const batcher = this.#batcher;
    const tenant = source.batchTenant(batch);
    const eventCount = source.batchEventCount(batch);
    const count = eventCount + source.batchJoinedCount(batch);
    const error = this.#isDeleting(tenant)
      ? DELETING
      : this.#quota!.refuseEvents(tenant, count, nowMs);
    for (let event = 0; source === batcher && event < eventCount; event++) {
      const origin = batcher.eventOrigin(batch, event);
      this.#requests.lost(origin, batcher.eventIndex(batch, event), error);
    }
    return count;
  }

  /** Hot. Of a batch that has had its turn, where it `isDue`. */
  pay(source: TollSource, batch: number): void {
    const eventCount = source.batchEventCount(batch);
    const paid = this.hasNamed && source === this.#batcher ? this.#paidCount(batch) : 0;
    if (paid === eventCount) return;
    const bytes = source.batchByteCount(batch) * (1 - paid / eventCount);
    const events = eventCount - paid + source.batchJoinedCount(batch);
    this.#quota?.quota.took(source.batchTenant(batch), events, bytes);
  }

  /** Events of a batch that were paid for when they were parsed. */
  #paidCount(batch: number): number {
    const batcher = this.#batcher;
    const eventCount = batcher.batchEventCount(batch);
    let count = 0;
    let origin = -1;
    let isNamed = false;
    for (let event = 0; event < eventCount; event++) {
      const request = batcher.eventOrigin(batch, event);
      if (request !== origin) isNamed = this.#requests.isNamed(request);
      origin = request;
      if (isNamed) count += 1;
    }
    return count;
  }

  #isDeleting(number: number): boolean {
    return (this.#batcher.tenantFlags(number) & TENANT_DELETING) !== 0;
  }
}
