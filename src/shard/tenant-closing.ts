/**
 * A tenant that is deleted. First all that this thread has of it goes, but its number, under which
 * events that still come are refused; once files are clean of it, its number is free.
 */
import type { Shard } from "./shard.ts";
import { TENANT_DELETING } from "./tenant-flags.ts";

export function closeTenant(shard: Shard, tenant: string, nowMs: number): undefined {
  const { host, batcher, quota, log } = shard.parts;
  const known = batcher.tenantFind(tenant);
  // One that is not there has its number taken, too: so no event makes it meanwhile.
  const number = known === -1 ? shard.ensure(tenant) : known;
  if (number !== -1) {
    shard.moderation?.forget(number, nowMs);
    host.close(number);
    shard.moderation?.parts.host.close(number);
    shard.tenants.clear(number);
    quota?.forget(number);
    if ((batcher.tenantFlags(number) & TENANT_DELETING) === 0) shard.countDeleting(1);
    batcher.tenantFlagsSet(number, TENANT_DELETING);
  }
  log?.forget(number, tenant);
  return undefined;
}

export function freeTenant(shard: Shard, tenant: string): undefined {
  const { batcher, cap } = shard.parts;
  const number = batcher.tenantFind(tenant);
  if (number === -1 || (batcher.tenantFlags(number) & TENANT_DELETING) === 0) return undefined;
  shard.unbind(tenant);
  shard.tenants.clear(number);
  batcher.tenantRemove(number);
  cap.settle(batcher.liveTenantCount);
  shard.countDeleting(-1);
  return undefined;
}
