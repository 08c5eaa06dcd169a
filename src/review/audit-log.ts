/** Who did what in the queue. It names people of the house and items, never authors or texts. */
import type { AuditLine } from "#model/review.ts";
import { type Database, jsonOf, numberOf, type Row, textOf } from "./database.ts";

export type AuditEntry = {
  readonly tenant: string;
  readonly atMs: number;
  readonly actor?: string | undefined;
  readonly action: string;
  readonly itemId?: string | undefined;
  readonly detail?: Readonly<Record<string, unknown>>;
};

export class AuditLog {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  add({ tenant, atMs, actor, action, itemId, detail = {} }: AuditEntry): void {
    this.#database.run(
      "INSERT INTO audit (tenant, at_ms, actor, action, item_id, detail) VALUES (?, ?, ?, ?, ?, ?)",
      tenant,
      atMs,
      actor,
      action,
      itemId,
      JSON.stringify(detail),
    );
  }

  /** The newest first; `before`: what was seen last. */
  page(tenant: string, limit: number, before: number | undefined): readonly AuditLine[] {
    const rows = this.#database.all(
      "SELECT * FROM audit WHERE tenant = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
      tenant,
      before ?? Number.MAX_SAFE_INTEGER,
      limit,
    );
    return rows.map(lineOf);
  }

  ofItem(tenant: string, itemId: string, limit: number): readonly AuditLine[] {
    const rows = this.#database.all(
      "SELECT * FROM audit WHERE tenant = ? AND item_id = ? ORDER BY seq DESC LIMIT ?",
      tenant,
      itemId,
      limit,
    );
    return rows.map(lineOf).toReversed();
  }
}

function lineOf(row: Row): AuditLine {
  return {
    seq: Number(row["seq"]),
    atMs: numberOf(row["at_ms"]) ?? 0,
    actor: textOf(row["actor"]),
    action: String(row["action"]),
    itemId: textOf(row["item_id"]),
    detail: jsonOf(row["detail"]),
  };
}
