/**
 * Messages about which an upstream is being asked: what is known of them should the process end
 * before it answers. A row is written before anybody is answered, and deleted in the transaction
 * that writes what its end leaves behind; rows that are there at a start were left by a crash.
 */
import type { Verdict } from "#model/moderation.ts";
import type { PendingReview } from "#model/verdict.ts";
import { type Database, jsonOf, numberOf, textOf } from "./database.ts";

/** Flat, and the verdict as JSON: objects with so many names are slow to hand to another thread. */
export type PendingRow = {
  readonly tenant: string;
  readonly id: string;
  readonly atMs: number;
  readonly conversation: string | undefined;
  readonly user: string | undefined;
  readonly text: string | undefined;
  /** Undefined: the message is to leave no trace. */
  readonly verdict: string | undefined;
};

export type PendingId = { readonly tenant: string; readonly id: string };

/** What a crash left of a message. */
export type LeftReview = PendingId & {
  readonly atMs: number;
  readonly text: string | undefined;
  readonly verdict: Verdict | undefined;
};

export class PendingTable {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Handed in twice, it is the same. */
  keep(rows: readonly PendingRow[]): void {
    for (const { tenant, id, atMs, conversation, user, text, verdict } of rows) {
      this.#database.run(
        `INSERT INTO pending_review (tenant, id, at_ms, conversation, author, text, verdict)
        VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
        tenant,
        id,
        atMs,
        conversation,
        user,
        text,
        verdict,
      );
    }
  }

  end({ tenant, id }: PendingId): void {
    this.#database.run("DELETE FROM pending_review WHERE id = ? AND tenant = ?", id, tenant);
  }

  /** All rows, tenant by tenant: what is written of each then lies together in every index. */
  seqs(): readonly number[] {
    const rows = this.#database.all("SELECT seq FROM pending_review ORDER BY tenant, seq");
    return rows.map(({ seq }) => Number(seq));
  }

  /** Undefined: it ended or was erased meanwhile. */
  get(seq: number): LeftReview | undefined {
    const row = this.#database.get("SELECT * FROM pending_review WHERE seq = ?", seq);
    if (row === undefined) return undefined;
    return {
      tenant: String(row["tenant"]),
      id: String(row["id"]),
      atMs: numberOf(row["at_ms"]) ?? 0,
      text: textOf(row["text"]),
      verdict: row["verdict"] === null ? undefined : jsonOf<Verdict>(row["verdict"]),
    };
  }
}

export function pendingRow({ verdict, text, leavesTrace, atMs }: PendingReview): PendingRow {
  const { tenant, id, conversation, user } = verdict;
  if (!leavesTrace) {
    const nothing = { conversation: undefined, user: undefined, text: undefined };
    return { tenant, id, atMs, ...nothing, verdict: undefined };
  }
  return { tenant, id, atMs, conversation, user, text, verdict: JSON.stringify(verdict) };
}
