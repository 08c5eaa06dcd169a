/**
 * What tenants take, and what they were refused. Those that took most CPU time are named, so many
 * and no more: the only metric with tenants in it. See metric-guard.ts.
 */
import type { EngineDoor, QuotaRefusals } from "#engine/door.ts";
import { QUOTA_TOP_TENANTS } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import { QUOTA_NAMES } from "#model/quota.ts";
import type { Family, Sample } from "./metric-families.ts";

const MS = 1e-3;

export async function quotaFamilies(engine: EngineDoor): Promise<Family[]> {
  const { requests, events } = engine.quotaRefusals();
  const top = await topCpu(engine);
  return [
    {
      name: "nexuscore_quota_refused_total",
      help: "Requests refused before they were parsed, by the quota that their tenant is over.",
      type: "counter",
      values: byQuota(requests),
    },
    {
      name: "nexuscore_quota_refused_events_total",
      help: "Events refused of requests with others' events, and of datagrams, by quota.",
      type: "counter",
      values: byQuota(events),
    },
    {
      name: "nexuscore_top_tenant_cpu_seconds_total",
      help: "CPU time of the turns of the tenants that took most of it, since the start.",
      type: "counter",
      values: top,
    },
  ];
}

async function topCpu(engine: EngineDoor): Promise<Sample[]> {
  try {
    const top = await engine.topCpu(QUOTA_TOP_TENANTS);
    return top.map(({ tenant, cpuMs }) => ({ labels: { tenant }, value: cpuMs * MS }));
  } catch (error) {
    // A shard that is busy or begins anew: the other metrics say so.
    if (error instanceof Problem) return [];
    throw error;
  }
}

function byQuota(counts: QuotaRefusals["events"]): Sample[] {
  return QUOTA_NAMES.map((quota) => ({ labels: { quota }, value: counts[quota] }));
}
