/**
 * What comes into the queue: verdicts that flag or block, and reports of people. The same text of
 * the same author, while an item of it is open, is that item again, with a count; where texts are
 * not kept, the same message id is.
 */
import { createHash } from "node:crypto";
import type { ConsultationFailure } from "#model/consultation.ts";
import { REVIEWS_WAITING_MAX } from "#model/limits.ts";
import { CATEGORIES, type Turn, type Verdict } from "#model/moderation.ts";
import { Problem } from "#model/problem.ts";
import type { ReviewItem } from "#model/review.ts";
import type { AuditLog } from "./audit-log.ts";
import { type Database, jsonOf, type Row, textOf } from "./database.ts";
import { itemOf } from "./item-rows.ts";
import type { NotReviewedTable } from "./not-reviewed-table.ts";
import type { Outbox } from "./outbox.ts";
import type { PendingTable } from "./pending-table.ts";

export type IntakeParts = {
  readonly database: Database;
  readonly audit: AuditLog;
  readonly outbox: Outbox;
  readonly pending: PendingTable;
  readonly notReviewed: NotReviewedTable;
};

/** A verdict that flags or blocks. */
export type FlaggedEntry = {
  readonly verdict: Verdict;
  /** Undefined where texts are not kept. */
  readonly text: string | undefined;
  readonly context: readonly Turn[];
};

/** A degraded verdict without a flag. */
export type NotReviewedVerdict = {
  readonly verdict: Verdict;
  /** Undefined where texts are not kept. */
  readonly text: string | undefined;
};

/** What somebody reports: a verdict or a message by its id, or a text as it stands. */
export type ReportRequest = {
  readonly tenant: string;
  readonly nowMs: number;
  readonly verdictId?: string | undefined;
  readonly messageId?: string | undefined;
  readonly conversation?: string | undefined;
  readonly user?: string | undefined;
  readonly text?: string | undefined;
  readonly reporter?: string | undefined;
  readonly reason?: string | undefined;
};

export type ReportAnswer = { readonly item: ReviewItem; readonly isNew: boolean };

type NewItem = {
  readonly tenant: string;
  readonly id: string;
  readonly nowMs: number;
  readonly severity: number;
  readonly verdict: Verdict | undefined;
  readonly messageId: string | undefined;
  readonly conversation: string | undefined;
  readonly user: string | undefined;
  readonly text: string | undefined;
  readonly context: readonly Turn[];
  readonly mergeKey: string | undefined;
  readonly reportCount: number;
};

/** Severity of what people report and no verdict tells of. */
const REPORT_SEVERITY = 50;

export class Intake {
  readonly #database: Database;
  readonly #audit: AuditLog;
  readonly #outbox: Outbox;
  readonly #pending: PendingTable;
  readonly #notReviewed: NotReviewedTable;
  /** Items that are open, by tenant, once they were counted. */
  readonly #openCounts = new Map<string, number>();

  constructor({ database, audit, outbox, pending, notReviewed }: IntakeParts) {
    this.#database = database;
    this.#audit = audit;
    this.#outbox = outbox;
    this.#pending = pending;
    this.#notReviewed = notReviewed;
  }

  /** Handed in twice, it is the same. */
  takeFlagged({ verdict, text, context }: FlaggedEntry): void {
    const { tenant, id, asOfMs, action, severity, messageId, conversation, user } = verdict;
    if (verdict.upstream !== undefined) this.#pending.end({ tenant, id });
    const inserted = this.#database.run(
      `INSERT INTO verdicts (tenant, id, as_of_ms, action, severity, message_id, conversation,
        author, text_hash, text, verdict)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      tenant,
      id,
      asOfMs,
      action,
      severity,
      messageId,
      conversation,
      user,
      text === undefined ? undefined : hashOf(text),
      text,
      JSON.stringify(verdict),
    );
    if (inserted === 0) return;
    const itemId = this.#enqueue(verdict, text, context);
    if (verdict.degraded) this.#list(verdict, text, itemId);
    this.#outbox.tell({
      tenant,
      event: action === "block" ? "verdict.blocked" : "verdict.flagged",
      subject: id,
      atMs: asOfMs,
      user,
      conversation,
      data: { verdict, reviewId: itemId ?? null },
    });
  }

  /** A verdict that neither flags nor blocks, and that an upstream was to make. */
  takeNotReviewed({ verdict, text }: NotReviewedVerdict): void {
    const { tenant, id } = verdict;
    this.#pending.end({ tenant, id });
    this.#list(verdict, text, undefined);
  }

  report(request: ReportRequest): ReportAnswer {
    const { tenant, nowMs, reporter, reason } = request;
    const about = this.#verdictOf(request);
    const verdict = about === undefined ? undefined : jsonOf<Verdict>(about["verdict"]);
    const text = request.text ?? textOf(about?.["text"]);
    const user = verdict?.user ?? request.user;
    const messageId = verdict?.messageId ?? request.messageId;
    const mergeKey = mergeKeyOf(user, text, messageId);
    const open =
      this.#openItem(tenant, mergeKey) ??
      (verdict === undefined ? undefined : this.#itemOfVerdict(tenant, verdict.id));
    const itemId = textOf(open?.["id"]) ?? this.#reportId(request);
    if (open === undefined) {
      const severity = verdict?.severity ?? REPORT_SEVERITY;
      const conversation = verdict?.conversation ?? request.conversation;
      const names = { messageId, conversation, user, text, mergeKey };
      const counts = { severity, reportCount: 0, context: [] };
      const isTaken = this.#insert({ tenant, id: itemId, nowMs, verdict, ...names, ...counts });
      if (!isTaken) throw queueFull(tenant);
    }
    // The same person reports an item once.
    const counted = this.#database.run(
      `INSERT INTO reports (tenant, item_id, reporter, reason, at_ms) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO NOTHING`,
      tenant,
      itemId,
      reporter,
      reason,
      nowMs,
    );
    if (counted > 0) {
      this.#database.run(
        `UPDATE items SET report_count = report_count + 1, version = version + 1, updated_ms = ?
        WHERE tenant = ? AND id = ?`,
        nowMs,
        tenant,
        itemId,
      );
      this.#audit.add({ tenant, atMs: nowMs, action: "reported", itemId });
    }
    const row = this.#database.get(
      "SELECT * FROM items WHERE tenant = ? AND id = ?",
      tenant,
      itemId,
    );
    return { item: itemOf(row!), isNew: open === undefined };
  }

  /** Of items that are not decided; a decision or an appeal changes it by one. */
  openChanged(tenant: string, by: number): void {
    this.#openCounts.set(tenant, this.#openCount(tenant) + by);
  }

  /** Something was deleted or rolled back: they are counted anew. */
  recount(): void {
    this.#openCounts.clear();
  }

  #list(verdict: Verdict, text: string | undefined, itemId: string | undefined): void {
    const { tenant, id, asOfMs, upstream } = verdict;
    const outcome = failureOf(upstream?.outcome);
    this.#notReviewed.add({ tenant, id, asOfMs, outcome, verdict, text, itemId });
  }

  /** Undefined: the queue of the tenant is full, which is counted. */
  #enqueue(
    verdict: Verdict,
    text: string | undefined,
    context: readonly Turn[],
  ): string | undefined {
    const { tenant, severity, messageId, conversation, user, asOfMs: nowMs } = verdict;
    const mergeKey = mergeKeyOf(user, text, messageId);
    const open = this.#openItem(tenant, mergeKey);
    if (open !== undefined) {
      this.#merge(open, verdict);
      return textOf(open["id"]);
    }
    const id = `r_${verdict.id.slice(2)}`;
    const names = { messageId, conversation, user, text, mergeKey };
    const fresh = { tenant, id, nowMs, severity, verdict, context, reportCount: 0, ...names };
    if (this.#insert(fresh)) return id;
    this.#database.run(
      `INSERT INTO tenants (tenant, lost_count) VALUES (?, 1)
      ON CONFLICT DO UPDATE SET lost_count = lost_count + 1`,
      tenant,
    );
    return undefined;
  }

  #merge(open: Row, verdict: Verdict): void {
    const { tenant, severity, asOfMs, action } = verdict;
    const known = jsonOf<readonly string[]>(open["categories"]);
    const categories = CATEGORIES.filter(
      (name) => verdict.categories[name] || known.includes(name),
    );
    const worst = open["action"] === "block" ? "block" : action;
    this.#database.run(
      `UPDATE items SET verdict_count = verdict_count + 1, version = version + 1, updated_ms = ?,
        severity = max(severity, ?), action = ?, categories = ?, degraded = max(degraded, ?),
        verdict_id = coalesce(verdict_id, ?)
      WHERE tenant = ? AND id = ?`,
      asOfMs,
      severity,
      worst,
      JSON.stringify(categories),
      verdict.degraded ? 1 : 0,
      verdict.id,
      tenant,
      textOf(open["id"]),
    );
  }

  /** False: no room. */
  #insert(item: NewItem): boolean {
    const { tenant, id, verdict, nowMs, text } = item;
    if (this.#openCount(tenant) >= REVIEWS_WAITING_MAX) return false;
    const flagged = verdict === undefined ? [] : CATEGORIES.filter((of) => verdict.categories[of]);
    this.#database.run(
      `INSERT INTO items (tenant, id, version, state, waits_as, escalated, severity, action,
        categories, verdict_id, message_id, conversation, author, language, text, context,
        merge_key, verdict_count, report_count, appeal_count, degraded, created_ms, updated_ms)
      VALUES (?, ?, 1, 'pending', 'pending', 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?)`,
      tenant,
      id,
      item.severity,
      verdict?.action,
      JSON.stringify(flagged),
      verdict?.id,
      item.messageId,
      item.conversation,
      item.user,
      verdict?.language.tag,
      text,
      JSON.stringify(item.context),
      item.mergeKey,
      verdict === undefined ? 0 : 1,
      item.reportCount,
      verdict?.degraded === true ? 1 : 0,
      nowMs,
      nowMs,
    );
    this.openChanged(tenant, 1);
    this.#audit.add({
      tenant,
      atMs: nowMs,
      action: "queued",
      itemId: id,
      detail: { severity: item.severity, verdictId: verdict?.id ?? null },
    });
    return true;
  }

  #openCount(tenant: string): number {
    let count = this.#openCounts.get(tenant);
    if (count === undefined) {
      const sql = "SELECT count(*) AS n FROM items WHERE tenant = ? AND state <> 'decided'";
      count = Number(this.#database.get(sql, tenant)?.["n"]);
      this.#openCounts.set(tenant, count);
    }
    return count;
  }

  #openItem(tenant: string, mergeKey: string | undefined): Row | undefined {
    if (mergeKey === undefined) return undefined;
    return this.#database.get(
      `SELECT * FROM items WHERE tenant = ? AND merge_key = ? AND state <> 'decided'
      ORDER BY seq LIMIT 1`,
      tenant,
      mergeKey,
    );
  }

  #itemOfVerdict(tenant: string, verdictId: string): Row | undefined {
    const id = `r_${verdictId.slice(2)}`;
    return this.#database.get("SELECT * FROM items WHERE tenant = ? AND id = ?", tenant, id);
  }

  /** The verdict that a report is about, if it was one that flagged. */
  #verdictOf({ tenant, verdictId, messageId }: ReportRequest): Row | undefined {
    if (verdictId !== undefined) {
      const sql = "SELECT * FROM verdicts WHERE tenant = ? AND id = ?";
      return this.#database.get(sql, tenant, verdictId);
    }
    if (messageId === undefined) return undefined;
    const sql = "SELECT * FROM verdicts WHERE tenant = ? AND message_id = ? ORDER BY seq DESC";
    return this.#database.get(`${sql} LIMIT 1`, tenant, messageId);
  }

  /** As long as those of verdicts, and as little to be guessed. */
  #reportId({ tenant, nowMs }: ReportRequest): string {
    const { next = 0 } =
      this.#database.get("SELECT seq AS next FROM sqlite_sequence WHERE name = 'items'") ?? {};
    const digest = createHash("sha256").update(`${tenant}\n${nowMs}\n${String(next)}`);
    return `r_${digest.digest("hex").slice(0, 26).toUpperCase()}`;
  }
}

/** An answer that did not count is one that could not be used. */
function failureOf(
  outcome: NonNullable<Verdict["upstream"]>["outcome"] | undefined,
): ConsultationFailure {
  if (outcome === undefined) return "unavailable";
  return outcome === "answered" || outcome === "cached" ? "malformed" : outcome;
}

export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 32);
}

function mergeKeyOf(
  user: string | undefined,
  text: string | undefined,
  messageId: string | undefined,
): string | undefined {
  if (text !== undefined) return `text ${hashOf(`${user ?? ""}\n${text}`)}`;
  return messageId === undefined ? undefined : `message ${messageId}`;
}

function queueFull(tenant: string): Problem {
  const detail = `${tenant} has ${REVIEWS_WAITING_MAX} open items; decide some of them first.`;
  return new Problem("busy", detail, { retryAfterSeconds: 60 });
}
