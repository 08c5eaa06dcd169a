/** Policies as they were set, by version. */
import { POLICY_VERSIONS_MAX } from "#model/limits.ts";
import { storedPolicy } from "#model/policy-default.ts";
import type { PolicyRecord } from "#model/policy.ts";
import type { AuditLog } from "./audit-log.ts";
import { type Database, jsonOf, type Row, textOf } from "./database.ts";

export type PolicyHead = {
  readonly tenant: string;
  /** The one in force; undefined: the default. */
  readonly record: PolicyRecord | undefined;
  readonly lastVersion: number;
};

export class PolicyTable {
  readonly #database: Database;
  readonly #audit: AuditLog;

  constructor(database: Database, audit: AuditLog) {
    this.#database = database;
    this.#audit = audit;
  }

  /** Of all tenants that ever set one. */
  heads(): readonly PolicyHead[] {
    const rows = this.#database.all(
      `SELECT heads.tenant AS of_tenant, heads.last_version, policies.* FROM policy_heads AS heads
      LEFT JOIN policies ON policies.tenant = heads.tenant AND policies.version = heads.version`,
    );
    return rows.map((row) => ({
      tenant: String(row["of_tenant"]),
      lastVersion: Number(row["last_version"]),
      record: row["policy"] === null ? undefined : recordOf(row),
    }));
  }

  /** The newest first. */
  versions(tenant: string): readonly PolicyRecord[] {
    const sql = "SELECT * FROM policies WHERE tenant = ? ORDER BY version DESC";
    return this.#database.all(sql, tenant).map(recordOf);
  }

  put(tenant: string, { version, setAtMs, note, policy }: PolicyRecord): void {
    this.#database.run(
      `INSERT INTO policies (tenant, version, set_ms, note, policy) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT DO UPDATE SET set_ms = excluded.set_ms, note = excluded.note,
        policy = excluded.policy`,
      tenant,
      version,
      setAtMs,
      note,
      JSON.stringify(policy),
    );
    this.#database.run(
      `INSERT INTO policy_heads (tenant, version, last_version) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET version = excluded.version, last_version = excluded.last_version`,
      tenant,
      version,
      version,
    );
    this.#database.run(
      `DELETE FROM policies WHERE tenant = ? AND version <= (
        SELECT version FROM policies WHERE tenant = ? ORDER BY version DESC LIMIT 1 OFFSET ?)`,
      tenant,
      tenant,
      POLICY_VERSIONS_MAX,
    );
    this.#audit.add({ tenant, atMs: setAtMs, action: "policySet", detail: { version } });
  }

  reset(tenant: string, nowMs: number): void {
    this.#database.run("UPDATE policy_heads SET version = 0 WHERE tenant = ?", tenant);
    this.#audit.add({ tenant, atMs: nowMs, action: "policyReset" });
  }
}

function recordOf(row: Row): PolicyRecord {
  const version = Number(row["version"]);
  const setAtMs = Number(row["set_ms"]);
  const policy = storedPolicy(jsonOf(row["policy"]));
  return { version, setAtMs, note: textOf(row["note"]), policy };
}
