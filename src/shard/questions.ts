/** Answers to what the engine asks a shard beside events. */
import type { ProblemCode } from "#model/problem.ts";
import type { Outcome } from "#model/outcome.ts";
import type { TenantStatus } from "#model/tenant.ts";
import type { TrendingReport } from "#model/trending.ts";
import type { Answer, Question } from "./protocol.ts";
import type { Shard } from "./shard.ts";
import { TENANT_EVENT_CLOCK, TENANT_QUARANTINED } from "./tenant-flags.ts";

/** The code of a `Problem`, and what was wrong. */
class Refusal {
  readonly code: ProblemCode;
  readonly detail: string;

  constructor(code: ProblemCode, detail: string) {
    this.code = code;
    this.detail = detail;
  }
}

export function answerQuestion(shard: Shard, request: number, json: string, nowMs: number): Answer {
  const question = JSON.parse(json) as Question;
  const answer = answerOf(shard, question, nowMs);
  return answer instanceof Refusal
    ? { type: "problem", request, code: answer.code, detail: answer.detail }
    : { type: "value", request, value: answer };
}

function answerOf(shard: Shard, question: Question, nowMs: number): unknown {
  switch (question.type) {
    case "trending":
      return trending(shard, question, nowMs);
    case "tenant":
      return withTenant(shard, question.tenant, (tenant) => statusOf(shard, tenant));
    case "tenants":
      return newestTenants(shard, question);
    case "putTenant":
      return putTenant(shard, question);
  }
}

function trending(
  shard: Shard,
  { tenant, limit, order }: Question & { type: "trending" },
  nowMs: number,
): TrendingReport | Refusal {
  return withTenant(shard, tenant, (number) => {
    const { host } = shard.parts;
    let report: TrendingReport | undefined;
    let outcome: Outcome = "exceededTime";
    const turn = (): void => {
      outcome = shard.open(number);
      if (outcome === "ok") outcome = host.advance(number, nowMs);
      if (outcome === "ok") ({ outcome, report } = host.trending(number, limit, order));
    };
    while (shard.guarded(turn) === "timedOut" && host.timedOutTenant === -1);
    if (report !== undefined) return report;
    if (host.quarantined(number)) markQuarantined(shard, number);
    return failureOf(tenant, outcome);
  });
}

function failureOf(tenant: string, outcome: Outcome): Refusal {
  if (outcome === "quarantined") {
    return new Refusal(
      "tenantQuarantined",
      `The component of ${tenant} failed too often. PUT /v1/tenants/${tenant} releases it.`,
    );
  }
  if (outcome === "refused") {
    return new Refusal("memoryFull", "This server's memory for tenants is full.");
  }
  return new Refusal("guestFailed", `The component of ${tenant} ended: ${outcome}.`);
}

function putTenant(
  shard: Shard,
  { tenant, clock }: Question & { type: "putTenant" },
): TenantStatus | Refusal {
  const { host, batcher, cap } = shard.parts;
  const number = shard.ensure(tenant);
  if (number === -1) {
    return new Refusal("tenantLimit", `All ${cap.countMax} tenants are taken.`);
  }
  const clockBefore = (batcher.tenantFlags(number) & TENANT_EVENT_CLOCK) !== 0 ? "event" : "wall";
  if (clockBefore !== clock && host.isOpen(number)) {
    host.close(number);
    shard.tenants.clear(number);
  }
  batcher.tenantFlagsSet(number, clock === "event" ? TENANT_EVENT_CLOCK : 0);
  host.release(number);
  const outcome = shard.open(number);
  return outcome === "ok" ? statusOf(shard, number) : failureOf(tenant, outcome);
}

/** The `limit` tenants with the newest events, newest first, of those that begin with `prefix`. */
function newestTenants(
  shard: Shard,
  { limit, prefix }: Question & { type: "tenants" },
): { total: number; tenants: TenantStatus[] } {
  const { batcher } = shard.parts;
  const { lastEventMs } = shard.tenants;
  let total = 0;
  let numbers: number[] = [];
  for (let tenant = 0; tenant < batcher.tenantCount; tenant++) {
    if (prefix !== "" && !batcher.tenantName(tenant).startsWith(prefix)) continue;
    total += 1;
    numbers.push(tenant);
    // Twice the limit, then cut: each tenant is sorted a few times at most, not kept for the end.
    if (numbers.length >= 2 * limit + 1024) numbers = newest(numbers, lastEventMs, limit);
  }
  const tenants = newest(numbers, lastEventMs, limit).map((tenant) => statusOf(shard, tenant));
  return { total, tenants };
}

function newest(numbers: number[], lastEventMs: Float64Array, limit: number): number[] {
  return numbers.toSorted((a, b) => lastEventMs[b]! - lastEventMs[a]! || a - b).slice(0, limit);
}

function statusOf(shard: Shard, number: number): TenantStatus {
  const { host, batcher } = shard.parts;
  const ledger = shard.tenants;
  const flags = batcher.tenantFlags(number);
  return {
    tenant: batcher.tenantName(number),
    shard: shard.parts.shard,
    clock: (flags & TENANT_EVENT_CLOCK) !== 0 ? "event" : "wall",
    state: host.quarantined(number) ? "quarantined" : "live",
    eventCount: ledger.events[number]! + ledger.repeated[number]!,
    lateCount: ledger.late[number]!,
    duplicateCount: ledger.duplicates[number]!,
    repeatedCount: ledger.repeated[number]!,
    rejectedCount: ledger.rejected[number]!,
    lastEventMs: ledger.lastEventMs[number]!,
    imageBytes: host.isOpen(number) ? host.imageBytes(number) : 0,
    strikeCount: host.strikeCount(number),
    lastFailure: host.lastFailure(number),
  };
}

function withTenant<Value>(
  shard: Shard,
  tenant: string,
  answer: (number: number) => Value,
): Value | Refusal {
  const number = shard.find(tenant);
  if (number !== -1) return answer(number);
  return new Refusal("tenantUnknown", `No event of ${tenant} has come, and nobody made it.`);
}

function markQuarantined(shard: Shard, number: number): void {
  const { batcher } = shard.parts;
  batcher.tenantFlagsSet(number, batcher.tenantFlags(number) | TENANT_QUARANTINED);
}
