/** Answers to questions about a tenant's summaries. */
import type { ConversationItem, ConversationReport, Span, SummaryReport } from "#model/summary.ts";
import { hasSpan, windowOf, windowOffDetail } from "#model/window.ts";
import type { Question } from "./protocol.ts";
import { failureOf, Refusal, unknownTenant } from "./refusal.ts";
import type { Shard } from "./shard.ts";
import { spansOfFlags } from "./tenant-flags.ts";
import { askTenant, type TurnAnswer } from "./tenant-turn.ts";

export function summary(
  shard: Shard,
  { tenant, span, limit }: Question & { type: "summary" },
  nowMs: number,
): SummaryReport | Refusal {
  return ofWindow(shard, tenant, span, (number) =>
    askTenant(shard, number, nowMs, (host) => host.summary(number, span, limit)),
  );
}

export function sketch(
  shard: Shard,
  { tenant, span }: Question & { type: "sketch" },
  nowMs: number,
): Uint8Array | Refusal {
  return ofWindow(shard, tenant, span, (number) =>
    askTenant(shard, number, nowMs, (host) => host.sketch(number, span)),
  );
}

export function conversations(
  shard: Shard,
  { tenant, limit }: Question & { type: "conversations" },
  nowMs: number,
): readonly ConversationItem[] | Refusal {
  const number = shard.find(tenant);
  if (number === -1) return unknownTenant(tenant);
  const { outcome, report } = askTenant(shard, number, nowMs, (host) =>
    host.conversations(number, limit),
  );
  return report ?? failureOf(tenant, outcome);
}

export function conversation(
  shard: Shard,
  { tenant, id }: Question & { type: "conversation" },
  nowMs: number,
): ConversationReport | Refusal {
  const number = shard.find(tenant);
  if (number === -1) return unknownTenant(tenant);
  const { outcome, report } = askTenant(shard, number, nowMs, (host) =>
    host.conversation(number, id),
  );
  if (report !== undefined) return report;
  if (outcome !== "ok") return failureOf(tenant, outcome);
  return new Refusal(
    "conversationUnknown",
    `${tenant} remembers no conversation ${JSON.stringify(id)}. The ones it remembers: ` +
      `/v1/tenants/${tenant}/conversations.`,
  );
}

/** The set of spans that a tenant keeps. */
export function spansOf(shard: Shard, number: number): number {
  return spansOfFlags(shard.parts.batcher.tenantFlags(number));
}

function ofWindow<Report>(
  shard: Shard,
  tenant: string,
  span: Span,
  ask: (number: number) => TurnAnswer<Report>,
): Report | Refusal {
  const number = shard.find(tenant);
  if (number === -1) return unknownTenant(tenant);
  const spans = spansOf(shard, number);
  if (!hasSpan(spans, span)) {
    return new Refusal("windowOff", windowOffDetail(tenant, windowOf(span), spans));
  }
  const { outcome, report } = ask(number);
  return report ?? failureOf(tenant, outcome);
}
