/**
 * A tenant that is deleted: when that began and ended, which outlives a restart, and its rows. What
 * stays is the audit, which has no texts, the retention that says for how long, and for a day what
 * it spent of the day's money: a sum.
 */
import type { AuditLog } from "./audit-log.ts";
import { type Database, numberOf } from "./database.ts";

export type DeletionRecord = {
  readonly tenant: string;
  readonly startedAtMs: number;
  /** Undefined: it goes on. */
  readonly doneAtMs: number | undefined;
};

/** Rows of a table that one call deletes: the thread has other things to do in between. */
const ROWS_MAX = 5_000;
/** Large ones: they have a number a row. */
const TABLES = [
  "verdicts",
  "recent",
  "items",
  "decisions",
  "appeals",
  "reports",
  "labels",
  "deliveries",
  "pending_review",
  "not_reviewed",
] as const;
/** A few rows a tenant. */
const SMALL_TABLES = ["policies", "policy_heads", "webhooks", "llm_limits", "quotas"] as const;

export class TenantErasure {
  readonly #database: Database;
  readonly #audit: AuditLog;
  /** Undefined: they are to be read anew. */
  #deleting: Set<string> | undefined;

  constructor(database: Database, audit: AuditLog) {
    this.#database = database;
    this.#audit = audit;
  }

  /** Whether a deletion of it goes on. */
  isDeleting(tenant: string): boolean {
    this.#deleting ??= new Set(this.unfinished());
    return this.#deleting.has(tenant);
  }

  /** Something was rolled back. */
  recount(): void {
    this.#deleting = undefined;
  }

  /** Of one that goes on already, as it stands. */
  begin(tenant: string, nowMs: number): DeletionRecord {
    const known = this.record(tenant);
    if (known !== undefined && known.doneAtMs === undefined) return known;
    this.#database.run(
      `INSERT INTO deletions (tenant, started_ms) VALUES (?, ?)
      ON CONFLICT DO UPDATE SET started_ms = excluded.started_ms, done_ms = NULL`,
      tenant,
      nowMs,
    );
    this.recount();
    this.#audit.add({ tenant, atMs: nowMs, action: "tenantDeletionBegun" });
    return { tenant, startedAtMs: nowMs, doneAtMs: undefined };
  }

  /** Some of its rows; whether there are more. */
  erase(tenant: string): boolean {
    let isMore = false;
    for (const table of TABLES) {
      const count = this.#database.run(
        `DELETE FROM ${table} WHERE seq IN (
          SELECT seq FROM ${table} WHERE tenant = ? LIMIT ${ROWS_MAX})`,
        tenant,
      );
      isMore ||= count === ROWS_MAX;
    }
    for (const table of SMALL_TABLES) {
      this.#database.run(`DELETE FROM ${table} WHERE tenant = ?`, tenant);
    }
    this.#database.run(
      "UPDATE tenants SET lost_count = 0, overturned_count = 0 WHERE tenant = ?",
      tenant,
    );
    return isMore;
  }

  end(tenant: string, nowMs: number): void {
    this.#database.run("UPDATE deletions SET done_ms = ? WHERE tenant = ?", nowMs, tenant);
    this.recount();
    this.#audit.add({ tenant, atMs: nowMs, action: "tenantDeleted" });
  }

  record(tenant: string): DeletionRecord | undefined {
    const row = this.#database.get("SELECT * FROM deletions WHERE tenant = ?", tenant);
    if (row === undefined) return undefined;
    return {
      tenant,
      startedAtMs: Number(row["started_ms"]),
      doneAtMs: numberOf(row["done_ms"] ?? undefined),
    };
  }

  unfinished(): readonly string[] {
    const rows = this.#database.all("SELECT tenant FROM deletions WHERE done_ms IS NULL");
    return rows.map((row) => String(row["tenant"]));
  }

  /** Whether there is anything of it but audit lines. */
  knows(tenant: string): boolean {
    return [...TABLES, ...SMALL_TABLES].some((table) => {
      const sql = `SELECT 1 FROM ${table} WHERE tenant = ? LIMIT 1`;
      return this.#database.get(sql, tenant) !== undefined;
    });
  }
}
