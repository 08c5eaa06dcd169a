/** Limits that tenants have of their own: what is left out follows the server. */
import type { JsonLimits } from "#model/quota.ts";
import type { AuditLog } from "./audit-log.ts";
import { type Database, jsonOf } from "./database.ts";

export type QuotaRecord = { readonly tenant: string; readonly limits: JsonLimits };

export class QuotaTable {
  readonly #database: Database;
  readonly #audit: AuditLog;

  constructor(database: Database, audit: AuditLog) {
    this.#database = database;
    this.#audit = audit;
  }

  all(): readonly QuotaRecord[] {
    const rows = this.#database.all("SELECT * FROM quotas");
    return rows.map((row) => ({ tenant: String(row["tenant"]), limits: jsonOf(row["limits"]) }));
  }

  /** Nothing at all: it has none of its own any more. */
  put(tenant: string, limits: JsonLimits, nowMs: number): void {
    if (Object.keys(limits).length === 0) {
      const count = this.#database.run("DELETE FROM quotas WHERE tenant = ?", tenant);
      if (count > 0) this.#audit.add({ tenant, atMs: nowMs, action: "quotaReset" });
      return;
    }
    this.#database.run(
      `INSERT INTO quotas (tenant, set_ms, limits) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET set_ms = excluded.set_ms, limits = excluded.limits`,
      tenant,
      nowMs,
      JSON.stringify(limits),
    );
    this.#audit.add({ tenant, atMs: nowMs, action: "quotaSet", detail: { ...limits } });
  }
}
