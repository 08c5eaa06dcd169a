/** From a server that listens to one that serves: what was kept comes back. */
import type { EngineDoor } from "#engine/door.ts";
import type { Engine } from "#engine/engine.ts";
import type { StorageStats } from "#model/storage.ts";
import type { Log } from "#observe/log.ts";
import type { ReviewDesk } from "#review/desk.ts";
import { putQuotas } from "./tenant-care.ts";
import { formatCount, say } from "./terminal.ts";

const POLICIES_AT_ONCE = 64;

/**
 * The server listens, and says meanwhile that it reads what was kept. What the store has of
 * policies and quotas is in force before anybody else is served.
 */
export async function beReady(
  engine: Engine,
  reviews: ReviewDesk | string,
  log: Log,
  resume: () => Promise<void>,
): Promise<void> {
  const { recovery } = engine.storage();
  if (recovery !== undefined && "progress" in recovery) {
    const { snapshotsTotal: snapshots } = recovery.progress;
    if (!process.stdout.isTTY) log.info({ snapshots }, "reading what was kept");
    else if (snapshots > 0) say(`Reading what was kept; snapshots: ${formatCount(snapshots)}.`);
  }
  await engine.started;
  if (typeof reviews !== "string") {
    const missing = missingTenants(engine.storage(), reviews.policies.records.size);
    if (missing !== undefined) log.warn({ path: engine.storage().path }, missing);
    await putPolicies(engine, reviews, log);
    await putQuotas(engine, reviews, log);
  }
  await resume();
  engine.open();
  tellRecovery(engine.storage(), log);
}

function tellRecovery({ recovery, path }: StorageStats, log: Log): void {
  if (recovery === undefined || !("summary" in recovery)) return;
  const { summary } = recovery;
  const { lostCount, gaps } = summary;
  if (lostCount + gaps === 0) {
    // The card that comes next says it to people.
    if (!process.stdout.isTTY) log.info({ path, ...summary }, "what was kept is back");
  } else log.error({ path, ...summary }, "what was kept is back, but not all of it");
}

/**
 * Each policy that is set makes its tenant known to the store of tenants, too: if that has none, it
 * is another, or new. In words; undefined: nothing is amiss.
 */
export function missingTenants(
  { recovery }: Pick<StorageStats, "recovery">,
  policyCount: number,
): string | undefined {
  if (recovery === undefined || !("summary" in recovery)) return undefined;
  const { tenants, lostCount } = recovery.summary;
  if (policyCount === 0 || tenants + lostCount > 0) return undefined;
  const found = `policies of ${formatCount(policyCount)} are there, and nothing else of any tenant`;
  return `${found}: if the file was lost, stop now and bring a backup back (nexuscore restore)`;
}

/** Those that were set before the process began. */
async function putPolicies(engine: EngineDoor, { policies }: ReviewDesk, log: Log): Promise<void> {
  const records = [...policies.records];
  for (let from = 0; from < records.length; from += POLICIES_AT_ONCE) {
    const puts = records.slice(from, from + POLICIES_AT_ONCE).map(async ([tenant, record]) => {
      try {
        await engine.putPolicy(tenant, record);
      } catch (error) {
        const { message: reason } = error as Error;
        log.error({ tenant, reason }, "a tenant's policy is not in force");
      }
    });
    await Promise.all(puts);
  }
}
