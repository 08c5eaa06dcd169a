/** One question to the component of a tenant, under the guard, after it was told the time. */
import type { IsolateHost } from "#isolate/host.ts";
import type { Outcome } from "#model/outcome.ts";
import type { Shard } from "./shard.ts";
import { TENANT_QUARANTINED } from "./tenant-flags.ts";

export type TurnAnswer<Report> = {
  readonly outcome: Outcome;
  readonly report: Report | undefined;
};

/** Opens the tenant if need be; `ask` is its turn, run again where the guard struck for nothing. */
export function askTenant<Report>(
  shard: Shard,
  tenant: number,
  nowMs: number,
  ask: (host: IsolateHost) => TurnAnswer<Report>,
): TurnAnswer<Report> {
  const { host } = shard.parts;
  let report: Report | undefined;
  let outcome = "exceededTime" as Outcome;
  const turn = (): void => {
    outcome = shard.open(tenant);
    if (outcome === "ok") outcome = host.advance(tenant, nowMs);
    if (outcome === "ok") ({ outcome, report } = ask(host));
  };
  while (shard.guarded(turn) === "timedOut" && host.timedOutTenant === -1);
  if (outcome !== "ok" && host.quarantined(tenant)) markQuarantined(shard, tenant);
  return { outcome, report };
}

function markQuarantined(shard: Shard, tenant: number): void {
  const { batcher } = shard.parts;
  batcher.tenantFlagsSet(tenant, batcher.tenantFlags(tenant) | TENANT_QUARANTINED);
}
