/** Items of the queue as rows and back, and the conditions that lists of them are cut by. */
import type { Action, Category } from "#model/moderation.ts";
import type { Decision, DecisionRecord, ReviewItem, ReviewState } from "#model/review.ts";
import { jsonOf, numberOf, type Row, textOf, type Value } from "./database.ts";

export type ItemFilter = {
  readonly states?: readonly ReviewState[] | undefined;
  readonly category?: Category | undefined;
  readonly user?: string | undefined;
  readonly conversation?: string | undefined;
  readonly moderator?: string | undefined;
  readonly decision?: Decision | undefined;
  readonly severityMin?: number | undefined;
  readonly escalated?: boolean | undefined;
  readonly degraded?: boolean | undefined;
};

export type Condition = { readonly sql: string; readonly values: readonly Value[] };

export function conditionOf(tenant: string, filter: ItemFilter): Condition {
  const parts = ["tenant = ?"];
  const values: Value[] = [tenant];
  const add = (sql: string, ...of: readonly Value[]): void => {
    parts.push(sql);
    values.push(...of);
  };
  const { states, category, user, conversation, moderator, decision } = filter;
  if (states !== undefined) {
    add(`state IN (${states.map(() => "?").join(", ")})`, ...states);
  }
  if (category !== undefined) {
    add("EXISTS (SELECT 1 FROM json_each(items.categories) WHERE value = ?)", category);
  }
  if (user !== undefined) add("author = ?", user);
  if (conversation !== undefined) add("conversation = ?", conversation);
  if (moderator !== undefined) add("? IN (claimed_by, decided_by)", moderator);
  if (decision !== undefined) add("decision = ?", decision);
  if (filter.severityMin !== undefined) add("severity >= ?", filter.severityMin);
  if (filter.escalated !== undefined) add("escalated = ?", filter.escalated ? 1 : 0);
  if (filter.degraded !== undefined) add("degraded = ?", filter.degraded ? 1 : 0);
  return { sql: parts.join(" AND "), values };
}

export function itemOf(row: Row): ReviewItem {
  return {
    tenant: String(row["tenant"]),
    id: String(row["id"]),
    version: Number(row["version"]),
    state: row["state"] as ReviewState,
    escalated: row["escalated"] === 1,
    severity: Number(row["severity"]),
    action: textOf(row["action"]) as Action | undefined,
    categories: jsonOf<readonly Category[]>(row["categories"]),
    verdictId: textOf(row["verdict_id"]),
    messageId: textOf(row["message_id"]),
    conversation: textOf(row["conversation"]),
    user: textOf(row["author"]),
    language: textOf(row["language"]),
    text: textOf(row["text"]),
    verdictCount: Number(row["verdict_count"]),
    reportCount: Number(row["report_count"]),
    appealCount: Number(row["appeal_count"]),
    degraded: row["degraded"] === 1,
    createdAtMs: Number(row["created_ms"]),
    updatedAtMs: Number(row["updated_ms"]),
    claim: claimOf(row),
    decision: decisionOf(row),
  };
}

function claimOf(row: Row): ReviewItem["claim"] {
  const moderator = textOf(row["claimed_by"]);
  const endsAtMs = numberOf(row["claim_ends_ms"]);
  if (moderator === undefined || endsAtMs === undefined) return undefined;
  return { moderator, endsAtMs };
}

function decisionOf(row: Row): DecisionRecord | undefined {
  const moderator = textOf(row["decided_by"]);
  if (moderator === undefined) return undefined;
  const decision = row["decision"] as Decision;
  return { decision, moderator, reason: textOf(row["reason"]), atMs: Number(row["decided_ms"]) };
}

/** Where a page of the list by severity and age ended. */
export type Cursor = { readonly severity: number; readonly seq: number };

export function cursorText({ severity, seq }: Cursor): string {
  return `${severity}.${seq}`;
}

/** Undefined: no cursor of ours. */
export function readCursor(text: string): Cursor | undefined {
  const [, severity, seq] = /^(\d{1,3})\.(\d{1,15})$/.exec(text) ?? [];
  if (severity === undefined || seq === undefined) return undefined;
  return { severity: Number(severity), seq: Number(seq) };
}
