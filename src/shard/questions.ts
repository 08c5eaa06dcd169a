/** Answers to what the engine asks a shard beside events. */
import type { Outcome } from "#model/outcome.ts";
import { COMPONENT_DIGITS } from "#model/component.ts";
import type { TenantStatus } from "#model/tenant.ts";
import type { TrendingReport } from "#model/trending.ts";
import { spansOf, windowsOf, withAlways } from "#model/window.ts";
import { inspectedComponents } from "./inspect-question.ts";
import { mergeSlice } from "./merge-question.ts";
import { forgetConversation, moderatorUsage, turns } from "./moderation-questions.ts";
import type { Answer, Question } from "./protocol.ts";
import type { QuotaRefusal } from "./quota-guard.ts";
import { quotaAnswer } from "./quota-questions.ts";
import { quotaProblem } from "./record-problems.ts";
import { deletingTenant, failureOf, Refusal, unknownTenant } from "./refusal.ts";
import type { Shard } from "./shard.ts";
import { conversation, conversations, sketch, summary } from "./summary-questions.ts";
import { flagsOfSettings, settingsOfFlags } from "./tenant-flags.ts";
import { closeTenant, freeTenant } from "./tenant-closing.ts";
import { askTenant } from "./tenant-turn.ts";

export function answerQuestion(shard: Shard, request: number, json: string, nowMs: number): Answer {
  const question = JSON.parse(json) as Question;
  if ("tenant" in question) {
    const refusal = refusalOf(shard, question, nowMs);
    if (refusal !== undefined) return quotaProblem(request, refusal);
    shard.bringUp(question.tenant);
  }
  const startMs = performance.now();
  const answer = answerOf(shard, question, nowMs);
  if (shard.quota !== undefined && "tenant" in question) {
    const number = shard.find(question.tenant);
    if (number !== -1) shard.quota.quota.ran(number, performance.now() - startMs);
  }
  return answer instanceof Refusal
    ? { type: "problem", request, code: answer.code, detail: answer.detail }
    : { type: "value", request, value: answer, awaitsDisk: changes(question) };
}

/** Those that run a tenant's component; what else is asked costs next to nothing. */
const RUNNING: ReadonlySet<Question["type"]> = new Set<Question["type"]>([
  "trending",
  "summary",
  "conversations",
  "conversation",
  "sketch",
  "turns",
]);

function refusalOf(
  shard: Shard,
  question: Question & { readonly tenant: string },
  nowMs: number,
): QuotaRefusal | undefined {
  if (shard.quota === undefined || !RUNNING.has(question.type)) return undefined;
  const number = shard.find(question.tenant);
  return number === -1 ? undefined : shard.quota.questionRefusal(number, nowMs);
}

/** Whether what was asked for is to outlive the process. */
function changes({ type }: Question): boolean {
  return type === "putTenant" || type === "forgetConversation";
}

function answerOf(shard: Shard, question: Question, nowMs: number): unknown {
  switch (question.type) {
    case "trending":
      return trending(shard, question, nowMs);
    case "tenant":
      return withTenant(shard, question.tenant, (tenant) => statusOf(shard, tenant));
    case "inspect":
      return withTenant(shard, question.tenant, (tenant) => ({
        status: statusOf(shard, tenant),
        components: inspectedComponents(shard, tenant),
      }));
    case "tenants":
      return newestTenants(shard, question);
    case "putTenant":
      return putTenant(shard, question);
    case "summary":
      return summary(shard, question, nowMs);
    case "conversations":
      return conversations(shard, question, nowMs);
    case "conversation":
      return conversation(shard, question, nowMs);
    case "sketch":
      return sketch(shard, question, nowMs);
    case "merge":
      return mergeSlice(shard, question, nowMs);
    case "turns":
      return turns(shard, question);
    case "forgetConversation":
      return forgetConversation(shard, question);
    case "moderatorUsage":
      return moderatorUsage(shard, question);
    case "closeTenant":
      return closeTenant(shard, question.tenant, nowMs);
    case "freeTenant":
      return freeTenant(shard, question.tenant);
    case "hurryLog":
      return shard.parts.log?.hurry();
    case "quota":
    case "putQuota":
    case "quotaDefaults":
    case "topCpu":
      return quotaAnswer(shard, question, nowMs);
  }
}

function trending(
  shard: Shard,
  { tenant, limit, order }: Question & { type: "trending" },
  nowMs: number,
): TrendingReport | Refusal {
  return withTenant(shard, tenant, (number) => {
    const { outcome, report } = askTenant(shard, number, nowMs, (host) =>
      host.trending(number, limit, order),
    );
    return report ?? failureOf(tenant, outcome);
  });
}

function putTenant(
  shard: Shard,
  { tenant, clock, windows }: Question & { type: "putTenant" },
): TenantStatus | Refusal {
  const { host, batcher, cap } = shard.parts;
  if (shard.isDeleting(tenant)) return deletingTenant(tenant);
  const number = shard.ensure(tenant);
  if (number === -1) {
    return new Refusal("tenantLimit", `All ${cap.countMax} tenants are taken.`);
  }
  const before = settingsOfFlags(batcher.tenantFlags(number));
  const spans = windows === undefined ? before.spans : withAlways(spansOf(windows));
  if (before.clock !== clock && host.isOpen(number)) {
    host.close(number);
    shard.tenants.clear(number);
    shard.parts.log?.closed(number);
  }
  host.release(number);
  shard.moderation?.parts.host.release(number);
  const isOpen = host.isOpen(number);
  batcher.tenantFlagsSet(number, flagsOfSettings({ clock, spans }));
  shard.parts.log?.flagsSet(number, flagsOfSettings({ clock, spans }));
  // An open tenant keeps its state, and only learns of its windows.
  const outcome =
    isOpen && before.spans !== spans ? reconfigure(shard, number) : shard.open(number);
  if (outcome === "ok") return statusOf(shard, number);
  if (isOpen) {
    batcher.tenantFlagsSet(number, flagsOfSettings(before));
    shard.parts.log?.flagsSet(number, flagsOfSettings(before));
  }
  return failureOf(tenant, outcome);
}

function reconfigure(shard: Shard, number: number): Outcome {
  const { host, batcher } = shard.parts;
  const settings = settingsOfFlags(batcher.tenantFlags(number));
  let outcome: Outcome = "exceededTime";
  const turn = (): void => {
    outcome = host.reconfigure(number, settings);
  };
  while (shard.guarded(turn) === "timedOut" && host.timedOutTenant === -1);
  return outcome;
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
    if (!shard.isLive(tenant)) continue;
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
  const { clock, spans } = settingsOfFlags(batcher.tenantFlags(number));
  return {
    tenant: batcher.tenantName(number),
    shard: shard.parts.shard,
    clock,
    windows: windowsOf(spans),
    state: host.quarantined(number) ? "quarantined" : "live",
    eventCount: ledger.events[number]! + ledger.repeated[number]!,
    lateCount: ledger.late[number]!,
    duplicateCount: ledger.duplicates[number]!,
    repeatedCount: ledger.repeated[number]!,
    rejectedCount: ledger.rejected[number]!,
    lastEventMs: ledger.lastEventMs[number]!,
    imageBytes: host.isOpen(number) ? host.imageBytes(number) : 0,
    component: componentOf(shard, number),
    strikeCount: host.strikeCount(number),
    lastFailure: host.lastFailure(number),
  };
}

/** Of a tenant without events: what it will begin with. */
function componentOf({ parts: { host, component } }: Shard, tenant: number): string {
  const number = host.isOpen(tenant) ? host.componentNumber(tenant) : component;
  return Buffer.from(host.digestAt(number)).toString("hex").slice(0, COMPONENT_DIGITS);
}

function withTenant<Value>(
  shard: Shard,
  tenant: string,
  answer: (number: number) => Value,
): Value | Refusal {
  const number = shard.find(tenant);
  return number === -1 ? unknownTenant(tenant) : answer(number);
}
