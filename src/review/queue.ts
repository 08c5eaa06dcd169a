/**
 * The queue: who has which item, what was decided, what was appealed.
 *
 * One thread runs all of it, one command after the other, so an item cannot be handed out twice: a
 * claim is taken and written before the next command looks. Claims end by the clock that a command
 * brings; those that have ended are returned before anything else is looked at. Nobody decides an
 * item again that they decided before, so an appeal or an escalation goes to somebody else.
 */
import { APPEALS_MAX, REVIEW_HISTORY_MAX } from "#model/limits.ts";

import { Problem } from "#model/problem.ts";
import type { AppealRecord, Decision, DecisionRecord } from "#model/review.ts";
import type { ReportRecord, ReviewItem, ReviewPage } from "#model/review.ts";
import type { AuditLog } from "./audit-log.ts";
import { type Database, type Row, textOf, type Value } from "./database.ts";
import type { Intake } from "./intake.ts";
import { conditionOf, type Cursor, cursorText, type ItemFilter, itemOf } from "./item-rows.ts";
import type { LabelTable } from "./label-table.ts";
import type { Outbox } from "./outbox.ts";

export type QueueParts = {
  readonly database: Database;
  readonly audit: AuditLog;
  readonly labels: LabelTable;
  readonly outbox: Outbox;
  readonly intake: Intake;
};

type OfItem = {
  readonly tenant: string;
  readonly id: string;
  readonly nowMs: number;
  /** The version that was seen; undefined: whichever. */
  readonly version?: number | undefined;
};

export type ListRequest = {
  readonly tenant: string;
  readonly filter: ItemFilter;
  readonly limit: number;
  readonly after?: Cursor | undefined;
  /** Whether `total` is wanted: it takes a walk over all that match. */
  readonly isCounted?: boolean;
  readonly nowMs: number;
};

export type ClaimRequest = {
  readonly tenant: string;
  readonly moderator: string;
  readonly count: number;
  readonly leaseMs: number;
  readonly filter: ItemFilter;
  readonly nowMs: number;
};

export type ClaimOneRequest = OfItem & { readonly moderator: string; readonly leaseMs: number };
export type ReleaseRequest = OfItem & { readonly moderator: string };
export type DecideRequest = OfItem & {
  readonly moderator: string;
  readonly decision: Decision;
  readonly reason?: string | undefined;
};
export type AppealRequest = OfItem & { readonly by: string; readonly reason: string };

const NOT_DECIDED_BY = `NOT EXISTS (SELECT 1 FROM decisions WHERE decisions.tenant = items.tenant
  AND decisions.item_id = items.id AND decisions.moderator = ?)`;

export class ReviewQueue {
  readonly #database: Database;
  readonly #audit: AuditLog;
  readonly #labels: LabelTable;
  readonly #outbox: Outbox;
  readonly #intake: Intake;

  constructor({ database, audit, labels, outbox, intake }: QueueParts) {
    this.#database = database;
    this.#audit = audit;
    this.#labels = labels;
    this.#outbox = outbox;
    this.#intake = intake;
  }

  list({ tenant, filter, limit, after, isCounted = true, nowMs }: ListRequest): ReviewPage {
    this.#endClaims(nowMs);
    const { sql, values } = conditionOf(tenant, filter);
    const count = isCounted
      ? this.#database.get(`SELECT count(*) AS n FROM items WHERE ${sql}`, ...values)
      : undefined;
    const page: Value[] = [...values];
    let from = "";
    if (after !== undefined) {
      from = " AND (severity < ? OR (severity = ? AND seq > ?))";
      page.push(after.severity, after.severity, after.seq);
    }
    const rows = this.#database.all(
      `SELECT * FROM items WHERE ${sql}${from} ORDER BY severity DESC, seq LIMIT ?`,
      ...page,
      limit + 1,
    );
    const shown = rows.slice(0, limit);
    const last = rows.length > limit ? shown.at(-1) : undefined;
    const nextCursor =
      last === undefined
        ? undefined
        : cursorText({ severity: Number(last["severity"]), seq: Number(last["seq"]) });
    return { total: Number(count?.["n"] ?? 0), items: shown.map(itemOf), nextCursor };
  }

  /** The worst first, of the same severity the oldest. */
  claim(request: ClaimRequest): readonly ReviewItem[] {
    const { tenant, moderator, count, leaseMs, filter, nowMs } = request;
    this.#endClaims(nowMs);
    const { sql, values } = conditionOf(tenant, { ...filter, states: undefined });
    const rows = this.#database.all(
      // By this index, or it would walk past all that was decided.
      `SELECT * FROM items INDEXED BY items_waiting
      WHERE ${sql} AND state IN ('pending', 'appealed') AND ${NOT_DECIDED_BY}
      ORDER BY severity DESC, seq LIMIT ?`,
      ...values,
      moderator,
      count,
    );
    return rows.map((row) => this.#take(row, moderator, nowMs + leaseMs, nowMs));
  }

  /** Whoever has it already renews the claim. */
  claimOne(request: ClaimOneRequest): ReviewItem {
    const { tenant, id, moderator, leaseMs, nowMs } = request;
    const row = this.#find(request);
    if (row["state"] === "decided") throw wrongState(row, "is decided; an appeal opens it again");
    if (row["state"] === "claimed" && row["claimed_by"] !== moderator) throw taken(row);
    const sql = "SELECT 1 FROM decisions WHERE tenant = ? AND item_id = ? AND moderator = ?";
    if (this.#database.get(sql, tenant, id, moderator) !== undefined) {
      throw new Problem("reviewTaken", `${moderator} decided ${id} before; it is for others now.`);
    }
    return this.#take(row, moderator, nowMs + leaseMs, nowMs);
  }

  release(request: ReleaseRequest): ReviewItem {
    const { moderator, nowMs } = request;
    const row = this.#find(request);
    if (row["state"] !== "claimed") throw wrongState(row, "is not claimed");
    if (row["claimed_by"] !== moderator) throw taken(row);
    this.#database.run(
      `UPDATE items SET state = waits_as, claimed_by = NULL, claim_ends_ms = NULL,
        version = version + 1, updated_ms = ? WHERE seq = ?`,
      nowMs,
      Number(row["seq"]),
    );
    this.#log(row, nowMs, "released", moderator);
    return this.#again(row);
  }

  /** Decided again in the same way by the same person, it is what it was: an answer was lost. */
  decide(request: DecideRequest): ReviewItem {
    const { id, moderator, decision, nowMs } = request;
    const row = this.#find({ ...request, version: undefined });
    if (
      row["state"] === "decided" &&
      row["decided_by"] === moderator &&
      row["decision"] === decision
    ) {
      return itemOf(row);
    }
    checkVersion(row, request.version);
    if (row["state"] === "decided") throw wrongState(row, "is decided; an appeal opens it again");
    if (row["state"] !== "claimed") {
      throw wrongState(row, `is claimed by nobody (a claim may have ended); claim it: ${id}:claim`);
    }
    if (row["claimed_by"] !== moderator) throw taken(row);
    this.#settle(row, request);
    const item = this.#again(row);
    if (decision !== "escalate") {
      this.#outbox.tell({
        tenant: item.tenant,
        event: "review.decided",
        subject: `${id}.${item.version}`,
        atMs: nowMs,
        user: item.user,
        conversation: item.conversation,
        data: { review: withoutText(item) },
      });
    }
    return item;
  }

  appeal(request: AppealRequest): ReviewItem {
    const { tenant, id, by, reason, nowMs } = request;
    const row = this.#find(request);
    if (row["state"] !== "decided") throw wrongState(row, "is not decided yet");
    if (Number(row["appeal_count"]) >= APPEALS_MAX) {
      throw wrongState(row, `was appealed ${APPEALS_MAX} times, which is as often as may be`);
    }
    this.#database.run(
      "INSERT INTO appeals (tenant, item_id, appellant, reason, at_ms) VALUES (?, ?, ?, ?, ?)",
      tenant,
      id,
      by,
      reason,
      nowMs,
    );
    this.#database.run(
      `UPDATE items SET state = 'appealed', waits_as = 'appealed', version = version + 1,
        appeal_count = appeal_count + 1, updated_ms = ? WHERE seq = ?`,
      nowMs,
      Number(row["seq"]),
    );
    this.#intake.openChanged(tenant, 1);
    // Who appeals is the author as a rule: the audit log does not name authors.
    this.#log(row, nowMs, "appealed", undefined);
    const item = this.#again(row);
    this.#outbox.tell({
      tenant,
      event: "review.appealed",
      subject: `${id}.${item.version}`,
      atMs: nowMs,
      user: item.user,
      conversation: item.conversation,
      data: { review: withoutText(item), appeal: { by, reason, atMs: nowMs } },
    });
    return item;
  }

  /** The item and its columns that are shown with it alone. */
  find(tenant: string, id: string, nowMs: number): { item: ReviewItem; row: Row } {
    const row = this.#find({ tenant, id, nowMs });
    return { item: itemOf(row), row };
  }

  decisionsOf(tenant: string, id: string): readonly DecisionRecord[] {
    return this.#ofItem("decisions", tenant, id).map((row) => ({
      decision: row["decision"] as Decision,
      moderator: String(row["moderator"]),
      reason: textOf(row["reason"]),
      atMs: Number(row["at_ms"]),
    }));
  }

  appealsOf(tenant: string, id: string): readonly AppealRecord[] {
    return this.#ofItem("appeals", tenant, id).map((row) => ({
      by: String(row["appellant"]),
      reason: String(row["reason"]),
      atMs: Number(row["at_ms"]),
    }));
  }

  reportsOf(tenant: string, id: string): readonly ReportRecord[] {
    return this.#ofItem("reports", tenant, id).map((row) => ({
      reporter: textOf(row["reporter"]),
      reason: textOf(row["reason"]),
      atMs: Number(row["at_ms"]),
    }));
  }

  #settle(row: Row, request: DecideRequest): void {
    const { tenant, id, moderator, decision, reason, nowMs } = request;
    const seq = Number(row["seq"]);
    this.#database.run(
      `INSERT INTO decisions (tenant, item_id, moderator, decision, reason, at_ms)
      VALUES (?, ?, ?, ?, ?, ?)`,
      tenant,
      id,
      moderator,
      decision,
      reason,
      nowMs,
    );
    this.#log(row, nowMs, "decided", moderator, { decision });
    const claim = "claimed_by = NULL, claim_ends_ms = NULL, version = version + 1, updated_ms = ?";
    if (decision === "escalate") {
      // The decision before an appeal stands until somebody else has decided.
      const sql = `UPDATE items SET state = waits_as, escalated = 1, ${claim} WHERE seq = ?`;
      this.#database.run(sql, nowMs, seq);
      return;
    }
    const before = textOf(row["decision"]);
    if (before !== undefined && before !== decision) {
      this.#database.run(
        `INSERT INTO tenants (tenant, overturned_count) VALUES (?, 1)
        ON CONFLICT DO UPDATE SET overturned_count = overturned_count + 1`,
        tenant,
      );
    }
    this.#database.run(
      `UPDATE items SET state = 'decided', decision = ?, decided_by = ?, decided_ms = ?,
        reason = ?, ${claim} WHERE seq = ?`,
      decision,
      moderator,
      nowMs,
      reason,
      nowMs,
      seq,
    );
    this.#intake.openChanged(tenant, -1);
    this.#labels.setOfItem(itemOf(row), decision, nowMs);
  }

  #take(row: Row, moderator: string, endsMs: number, nowMs: number): ReviewItem {
    const renewed = row["claimed_by"] === moderator;
    this.#database.run(
      `UPDATE items SET state = 'claimed', claimed_by = ?, claim_ends_ms = ?,
        version = version + 1, updated_ms = ? WHERE seq = ?`,
      moderator,
      endsMs,
      nowMs,
      Number(row["seq"]),
    );
    if (!renewed) this.#log(row, nowMs, "claimed", moderator);
    return this.#again(row);
  }

  #endClaims(nowMs: number): void {
    const ended = this.#database.all(
      "SELECT * FROM items WHERE state = 'claimed' AND claim_ends_ms <= ?",
      nowMs,
    );
    for (const row of ended) {
      this.#database.run(
        `UPDATE items SET state = waits_as, claimed_by = NULL, claim_ends_ms = NULL,
          version = version + 1, updated_ms = ? WHERE seq = ?`,
        nowMs,
        Number(row["seq"]),
      );
      this.#log(row, nowMs, "claimEnded", textOf(row["claimed_by"]));
    }
  }

  #find({ tenant, id, nowMs, version }: OfItem): Row {
    this.#endClaims(nowMs);
    const sql = "SELECT * FROM items WHERE tenant = ? AND id = ?";
    const row = this.#database.get(sql, tenant, id);
    if (row === undefined) {
      throw new Problem("reviewUnknown", `The queue of ${tenant} has no item ${id}.`);
    }
    checkVersion(row, version);
    return row;
  }

  #again(row: Row): ReviewItem {
    return itemOf(this.#database.get("SELECT * FROM items WHERE seq = ?", Number(row["seq"]))!);
  }

  #ofItem(table: "decisions" | "appeals" | "reports", tenant: string, id: string): Row[] {
    return this.#database
      .all(
        `SELECT * FROM ${table} WHERE tenant = ? AND item_id = ? ORDER BY seq DESC LIMIT ?`,
        tenant,
        id,
        REVIEW_HISTORY_MAX,
      )
      .toReversed();
  }

  #log(row: Row, atMs: number, action: string, actor: string | undefined, detail = {}): void {
    const tenant = String(row["tenant"]);
    this.#audit.add({ tenant, atMs, actor, action, itemId: textOf(row["id"]), detail });
  }
}

/** What leaves the house says nothing that was said in it. */
function withoutText(item: ReviewItem): object {
  const { text: _text, claim: _claim, ...rest } = item;
  return rest;
}

function checkVersion(row: Row, version: number | undefined): void {
  if (version === undefined || version === row["version"]) return;
  const now = Number(row["version"]);
  const detail = `${String(row["id"])} is version ${now} by now; read it again and decide anew.`;
  throw new Problem("reviewChanged", detail, { members: { version: now } });
}

function wrongState(row: Row, what: string): Problem {
  const members = { state: row["state"], version: row["version"] };
  return new Problem("reviewState", `${String(row["id"])} ${what}.`, { members });
}

function taken(row: Row): Problem {
  const until = new Date(Number(row["claim_ends_ms"])).toISOString();
  const detail = `${String(row["claimed_by"])} has ${String(row["id"])} until ${until}.`;
  return new Problem("reviewTaken", detail);
}
