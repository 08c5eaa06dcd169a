/** What is deleted: because it is too old, or because somebody's data is to be forgotten. */
import { RETENTION_DAYS_DEFAULT } from "#model/limits.ts";
import type { Retention } from "#model/review.ts";
import type { AuditLog } from "./audit-log.ts";
import { type Database, jsonOf, type Row, textOf } from "./database.ts";

const DAY_MS = 24 * 3_600_000;
/** Rows of a table that one pass deletes: the thread has other things to do in between. */
const ROWS_MAX = 10_000;
/** Tenants of one pass. */
const TENANTS_MAX = 500;
/** How long is kept what became of a delivery. */
const DELIVERY_DAYS = 7;

export type ErasedCounts = {
  readonly verdictCount: number;
  readonly itemCount: number;
  readonly labelCount: number;
};

/** Whose data: an author's or a conversation's. */
export type ErasureScope =
  | { readonly column: "author"; readonly value: string }
  | { readonly column: "conversation"; readonly value: string };

export class Deletion {
  readonly #database: Database;
  readonly #audit: AuditLog;
  /** Tenants that the sweep at hand has still to look at. */
  #unswept: string[] = [];

  constructor(database: Database, audit: AuditLog) {
    this.#database = database;
    this.#audit = audit;
  }

  retention(tenant: string): Retention {
    const row = this.#database.get("SELECT retention FROM tenants WHERE tenant = ?", tenant);
    return retentionOf(row);
  }

  setRetention(tenant: string, retention: Retention, nowMs: number): Retention {
    this.#database.run(
      `INSERT INTO tenants (tenant, retention) VALUES (?, ?)
      ON CONFLICT DO UPDATE SET retention = excluded.retention`,
      tenant,
      JSON.stringify(retention),
    );
    this.#audit.add({ tenant, atMs: nowMs, action: "retentionSet", detail: { ...retention } });
    return retention;
  }

  /** Deletes what is too old, a bounded part of it; true: there is more. */
  sweep(nowMs: number): boolean {
    if (this.#unswept.length === 0) this.#unswept = this.#tenants();
    this.#database.run("INSERT INTO retention_pass (one) VALUES (1)");
    for (const tenant of this.#unswept.splice(-TENANTS_MAX)) {
      // Of one that has more, the next pass takes more.
      if (this.#sweepTenant(tenant, this.retention(tenant), nowMs)) this.#unswept.push(tenant);
    }
    this.#database.run("DELETE FROM retention_pass");
    const deliveries = this.#database.run(
      `DELETE FROM deliveries WHERE seq IN (SELECT seq FROM deliveries
        WHERE state <> 'waiting' AND created_ms < ? LIMIT ?)`,
      nowMs - DELIVERY_DAYS * DAY_MS,
      ROWS_MAX,
    );
    // What was spent comes back within a day, so older rows say nothing.
    this.#database.run("DELETE FROM llm_spent WHERE at_ms < ?", nowMs - DAY_MS);
    return this.#unswept.length > 0 || deliveries === ROWS_MAX;
  }

  #tenants(): string[] {
    const rows = this.#database.all(
      `SELECT tenant FROM verdicts UNION SELECT tenant FROM recent UNION SELECT tenant FROM items
      UNION SELECT tenant FROM labels UNION SELECT tenant FROM audit
      UNION SELECT tenant FROM not_reviewed`,
    );
    return rows.map((row) => String(row["tenant"]));
  }

  /** Everything that says what somebody wrote, or what was said in a conversation. */
  erase(tenant: string, { column, value }: ErasureScope, nowMs: number): ErasedCounts {
    const items = this.#database.all(
      `SELECT id FROM items WHERE tenant = ? AND ${column} = ?`,
      tenant,
      value,
    );
    let labelCount = 0;
    for (const row of items) labelCount += this.#eraseItem(tenant, String(row["id"]));
    const where = `WHERE tenant = ? AND ${column} = ?`;
    const verdictCount = this.#database.run(`DELETE FROM verdicts ${where}`, tenant, value);
    for (const table of ["deliveries", "not_reviewed", "pending_review"]) {
      this.#database.run(`DELETE FROM ${table} ${where}`, tenant, value);
    }
    if (column === "author") this.#eraseMentions(tenant, value);
    const counts = { verdictCount, itemCount: items.length, labelCount };
    const action = column === "author" ? "authorErased" : "conversationErased";
    this.#audit.add({ tenant, atMs: nowMs, action, detail: counts });
    return counts;
  }

  /** What they wrote in contexts of others' items, and that they reported or appealed. */
  #eraseMentions(tenant: string, user: string): void {
    this.#database.run(
      `UPDATE items SET context = (
        SELECT json_group_array(json(value)) FROM json_each(items.context)
        WHERE json_extract(value, '$.user') IS NOT ?)
      WHERE tenant = ? AND EXISTS (SELECT 1 FROM json_each(items.context)
        WHERE json_extract(value, '$.user') = ?)`,
      user,
      tenant,
      user,
    );
    const nobody = "reporter = NULL, reason = NULL";
    const sql = `UPDATE reports SET ${nobody} WHERE tenant = ? AND reporter = ?`;
    this.#database.run(sql, tenant, user);
    this.#database.run(
      "UPDATE appeals SET appellant = '', reason = '' WHERE tenant = ? AND appellant = ?",
      tenant,
      user,
    );
  }

  #eraseItem(tenant: string, id: string): number {
    for (const table of ["decisions", "appeals", "reports"]) {
      this.#database.run(`DELETE FROM ${table} WHERE tenant = ? AND item_id = ?`, tenant, id);
    }
    this.#database.run("DELETE FROM items WHERE tenant = ? AND id = ?", tenant, id);
    const sql = "DELETE FROM labels WHERE tenant = ? AND item_id = ?";
    return this.#database.run(sql, tenant, id);
  }

  #sweepTenant(tenant: string, days: Retention, nowMs: number): boolean {
    const oldest = (count: number): number => nowMs - count * DAY_MS;
    const decided = this.#database.all(
      "SELECT id FROM items WHERE tenant = ? AND state = 'decided' AND decided_ms < ? LIMIT ?",
      tenant,
      oldest(days.decided),
      ROWS_MAX,
    );
    for (const row of decided) this.#eraseItem(tenant, String(row["id"]));
    const counts = [
      decided.length,
      // What an open item stands on stays with it.
      this.#trim(
        "verdicts",
        `as_of_ms < ? AND NOT EXISTS (SELECT 1 FROM items WHERE items.tenant = verdicts.tenant
          AND items.verdict_id = verdicts.id)`,
        [tenant, oldest(days.verdicts)],
      ),
      this.#trim("not_reviewed", "as_of_ms < ?", [tenant, oldest(days.verdicts)]),
      this.#trim("recent", "as_of_ms < ?", [tenant, oldest(days.verdicts)]),
      this.#trim("labels", "at_ms < ? AND item_id IS NULL", [tenant, oldest(days.verdicts)]),
      this.#trim("audit", "at_ms < ?", [tenant, oldest(days.audit)]),
    ];
    return counts.includes(ROWS_MAX);
  }

  #trim(table: string, where: string, values: readonly [string, number]): number {
    return this.#database.run(
      `DELETE FROM ${table} WHERE seq IN (
        SELECT seq FROM ${table} WHERE tenant = ? AND ${where} LIMIT ${ROWS_MAX})`,
      ...values,
    );
  }
}

function retentionOf(row: Row | undefined): Retention {
  const text = textOf(row?.["retention"]);
  return text === undefined ? RETENTION_DAYS_DEFAULT : jsonOf<Retention>(text);
}
