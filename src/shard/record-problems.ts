/** What is answered to a record of which nothing was taken. */
import type { Answer } from "./protocol.ts";
import type { QuotaRefusal } from "./quota-guard.ts";
import { deletingTenant } from "./refusal.ts";

/** About what a deletion takes. */
const DELETING_WAIT_MS = 5_000;

export function quotaProblem(request: number, { quota, limit, waitMs }: QuotaRefusal): Answer {
  const over = { quota, limit };
  if (quota !== "memory") {
    const detail = `The tenant is over its quota of ${quota}.`;
    return { type: "problem", request, code: "overQuota", detail, waitMs, over };
  }
  const detail = `The tenant's state takes the ${limit} bytes that it may take; questions go on.`;
  return { type: "problem", request, code: "tenantMemoryFull", detail, waitMs, over };
}

export function deletingProblem(request: number, tenant: string): Answer {
  const { code, detail } = deletingTenant(tenant);
  return { type: "problem", request, code, detail, waitMs: DELETING_WAIT_MS };
}

export function limitProblem(request: number, countMax: number): Answer {
  const detail = `All ${countMax} tenants are taken.`;
  return { type: "problem", request, code: "tenantLimit", detail };
}

export function behindDisk(request: number): Answer {
  const detail = "The disk is behind: what waits for it has no room for these events. Try again.";
  return { type: "problem", request, code: "busy", detail };
}
