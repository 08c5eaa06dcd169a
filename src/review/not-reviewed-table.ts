/** Messages that an upstream was to judge and did not, whatever the embedded verdict on them. */
import type { ConsultationFailure } from "#model/consultation.ts";
import { NOT_REVIEWED_MAX } from "#model/limits.ts";
import type { Verdict } from "#model/moderation.ts";
import type { NotReviewed, NotReviewedPage } from "#model/review.ts";
import { type Database, jsonOf, type Row, textOf, type Value } from "./database.ts";

/** An embedded verdict that stands, or what little is known where a message leaves no trace. */
export type NotReviewedEntry = {
  readonly tenant: string;
  readonly id: string;
  readonly asOfMs: number;
  readonly outcome: ConsultationFailure;
  readonly verdict: Verdict | undefined;
  readonly text: string | undefined;
  readonly itemId: string | undefined;
};

export type NotReviewedRequest = {
  readonly tenant: string;
  readonly outcome?: ConsultationFailure | undefined;
  readonly user?: string | undefined;
  readonly conversation?: string | undefined;
  readonly limit: number;
  /** What was seen last. */
  readonly before?: number | undefined;
};

/** Rows over the bound that a tenant may have before they are deleted, many at once. */
const SLACK = 1_024;

export class NotReviewedTable {
  readonly #database: Database;
  /** Rows by tenant, once they were counted. */
  readonly #counts = new Map<string, number>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** Handed in twice, it is the same. */
  add({ tenant, id, asOfMs, outcome, verdict, text, itemId }: NotReviewedEntry): void {
    const before = this.count(tenant);
    const inserted = this.#database.run(
      `INSERT INTO not_reviewed (tenant, id, as_of_ms, outcome, conversation, author, item_id, text,
        verdict) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
      tenant,
      id,
      asOfMs,
      outcome,
      verdict?.conversation,
      verdict?.user,
      itemId,
      text,
      verdict === undefined ? undefined : JSON.stringify(verdict),
    );
    this.#counts.set(tenant, before + inserted);
    if (before + inserted > NOT_REVIEWED_MAX + SLACK) this.#trim(tenant);
  }

  count(tenant: string): number {
    let count = this.#counts.get(tenant);
    if (count === undefined) {
      const sql = "SELECT count(*) AS n FROM not_reviewed WHERE tenant = ?";
      count = Number(this.#database.get(sql, tenant)?.["n"]);
      this.#counts.set(tenant, count);
    }
    return count;
  }

  page(request: NotReviewedRequest): NotReviewedPage {
    const { tenant, outcome, user, conversation, limit, before } = request;
    const parts = ["tenant = ?"];
    const values: Value[] = [tenant];
    const filters = { outcome, author: user, conversation };
    for (const [column, value] of Object.entries(filters)) {
      if (value === undefined) continue;
      parts.push(`${column} = ?`);
      values.push(value);
    }
    const where = parts.join(" AND ");
    const total = this.#database.get(
      `SELECT count(*) AS n FROM not_reviewed WHERE ${where}`,
      ...values,
    );
    const rows = this.#database.all(
      `SELECT * FROM not_reviewed WHERE ${where} AND seq < ? ORDER BY seq DESC LIMIT ?`,
      ...values,
      before ?? Number.MAX_SAFE_INTEGER,
      limit + 1,
    );
    const shown = rows.slice(0, limit);
    const last = rows.length > limit ? shown.at(-1) : undefined;
    const nextBefore = last === undefined ? undefined : Number(last["seq"]);
    return { total: Number(total?.["n"]), messages: shown.map(messageOf), nextBefore };
  }

  /** Rows were deleted or rolled back: they are counted anew. */
  recount(): void {
    this.#counts.clear();
  }

  /** The oldest go, but for those of a crash: of them nobody was told otherwise. */
  #trim(tenant: string): void {
    this.#database.run(
      `DELETE FROM not_reviewed WHERE tenant = ? AND outcome <> 'interrupted' AND seq <= (
        SELECT seq FROM not_reviewed WHERE tenant = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)`,
      tenant,
      tenant,
      NOT_REVIEWED_MAX,
    );
    this.#counts.delete(tenant);
  }
}

function messageOf(row: Row): NotReviewed {
  return {
    id: String(row["id"]),
    outcome: row["outcome"] as ConsultationFailure,
    asOfMs: Number(row["as_of_ms"]),
    reviewId: textOf(row["item_id"]),
    text: textOf(row["text"]),
    verdict: row["verdict"] === null ? undefined : jsonOf<Verdict>(row["verdict"]),
  };
}
