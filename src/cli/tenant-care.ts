/** What tenants may take, and how one is deleted: put together of the parts that know. */
import type { Config } from "#config/options.ts";
import {
  type DeletionBook,
  Deletions,
  type Forgetter,
  MemoryDeletionBook,
} from "#engine/deletions.ts";
import type { EngineDoor } from "#engine/door.ts";
import type { Retellings } from "#engine/retellings.ts";
import { MemoryPolicyStore, MemoryVerdictHistory } from "#model/policy-store.ts";
import { Problem } from "#model/problem.ts";
import type { QuotaLimits } from "#model/quota.ts";
import type { Log } from "#observe/log.ts";
import type { ReviewDesk } from "#review/desk.ts";
import type { Guard } from "./guard.ts";
import { type ModerationParts, NO_QUEUE } from "./moderation-parts.ts";

export function quotaOf(config: Config): QuotaLimits {
  return {
    eventsPerSecond: config.quotaEventsPerSecond,
    bytesPerSecond: config.quotaBytesPerSecond,
    cpuMsPerSecond: config.quotaCpuMsPerSecond,
    imageBytes: config.quotaImageBytes,
  };
}

/** Those that were set before the process began. */
export async function putQuotas(
  engine: EngineDoor,
  { quotas }: ReviewDesk,
  log: Log,
): Promise<void> {
  for (const [tenant, limits] of quotas.all) {
    try {
      await engine.putQuota(tenant, limits);
    } catch (error) {
      const { message: reason } = error as Error;
      log.error({ tenant, reason }, "a tenant's own quota is not in force");
    }
  }
}

export type DeletionsParts = {
  readonly engine: EngineDoor;
  readonly moderation: ModerationParts;
  readonly retellings: Retellings | undefined;
  readonly guard: Guard;
  readonly log: Log;
};

export function deletionsOf(parts: DeletionsParts): Deletions {
  const { engine, moderation, retellings, guard, log } = parts;
  const { reviews = NO_QUEUE, policies, history } = moderation;
  const memory = new MemoryDeletionBook();
  const book = (): DeletionBook => {
    if (typeof reviews !== "string") return reviews.deletions;
    if (policies instanceof MemoryPolicyStore) return memory;
    throw new Problem("storeUnavailable", `Deletions cannot be kept: ${reviews}`);
  };
  const forgetters: Forgetter[] = [
    { what: "retellings", forget: (tenant) => retellings?.forget(tenant) },
    {
      what: "verdicts, queue, policies and limits",
      forget: async (tenant) => {
        if (typeof reviews !== "string") await reviews.eraseTenant(tenant);
        if (policies instanceof MemoryPolicyStore) policies.forget(tenant);
        if (history instanceof MemoryVerdictHistory) history.forget(tenant);
      },
    },
    { what: "keys", forget: (tenant) => void guard.desk.revokeOnly(tenant, "tenant deletion") },
  ];
  return new Deletions({
    engine,
    book,
    forgetters,
    onFailure: (tenant, what, reason) => {
      log.error({ tenant, what, reason }, "a deletion waits for another try");
    },
  });
}

/** Goes on with deletions that the process before did not end; before anything is taken. */
export async function resumeDeletions(deletions: Deletions, log: Log): Promise<void> {
  try {
    const count = await deletions.resume();
    if (count > 0) log.warn({ count }, "deletions of tenants go on");
  } catch (error) {
    const { message: reason } = error as Error;
    log.error({ reason }, "deletions of tenants that had begun do not go on");
  }
}
