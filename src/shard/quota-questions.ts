/** Answers to questions about what tenants may take, and what they took. */
import { limitsOfJson, UNLIMITED, type QuotaStatus, type TenantCpu } from "#model/quota.ts";
import type { Question } from "./protocol.ts";
import type { QuotaGuard } from "./quota-guard.ts";
import { deletingTenant, Refusal, unknownTenant } from "./refusal.ts";
import type { Shard } from "./shard.ts";

type QuotaQuestion = Question & { type: "quota" | "putQuota" | "quotaDefaults" | "topCpu" };

export function quotaAnswer(
  shard: Shard,
  question: QuotaQuestion,
  nowMs: number,
): QuotaStatus | readonly TenantCpu[] | undefined | Refusal {
  const guard = shard.quota;
  if (guard === undefined) return new Refusal("internal", "This shard keeps no quotas.");
  if (question.type === "topCpu") return topCpu(shard, guard, question.count);
  if (question.type === "quotaDefaults") {
    guard.quota.setDefaults({ ...UNLIMITED, ...limitsOfJson(question.limits) });
    return undefined;
  }
  const { tenant } = question;
  if (question.type === "quota") {
    const number = shard.find(tenant);
    return number === -1 ? unknownTenant(tenant) : guard.status(number, tenant, nowMs);
  }
  if (shard.isDeleting(tenant)) return deletingTenant(tenant);
  const number = shard.ensure(tenant);
  if (number === -1) {
    return new Refusal("tenantLimit", `All ${shard.parts.cap.countMax} tenants are taken.`);
  }
  guard.setLimits(number, question.limits);
  return guard.status(number, tenant, nowMs);
}

function topCpu(shard: Shard, { quota }: QuotaGuard, count: number): readonly TenantCpu[] {
  const { batcher } = shard.parts;
  return quota.topByCpu(count, batcher.tenantCount).map((number) => ({
    tenant: batcher.tenantName(number),
    cpuMs: quota.cpuMs(number),
  }));
}
