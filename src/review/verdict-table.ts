/** Past verdicts: what authors were flagged for, and the scores that dry runs look back on. */
import { PAST_VERDICTS_MAX, REVIEW_HISTORY_MAX } from "#model/limits.ts";
import { type Action, CATEGORIES, type Verdict } from "#model/moderation.ts";
import type { PastVerdict } from "#model/policy-store.ts";
import { type AuthorHistory, type Decision, DECISIONS, type ReviewState } from "#model/review.ts";
import { type Database, jsonOf, type Row, textOf } from "./database.ts";

export type RecentEntry = { readonly tenant: string; readonly past: PastVerdict };

/** Rows over the bound that a tenant may have before they are deleted, many at once. */
const SLACK = 256;

export class VerdictTable {
  readonly #database: Database;
  /** Rows of `recent` by tenant, once they were counted. */
  readonly #recentCounts = new Map<string, number>();

  constructor(database: Database) {
    this.#database = database;
  }

  addRecent({ tenant, past }: RecentEntry): void {
    this.#database.run(
      "INSERT INTO recent (tenant, as_of_ms, past) VALUES (?, ?, ?)",
      tenant,
      past.asOfMs,
      JSON.stringify(past),
    );
    const count = this.#countRecent(tenant);
    this.#recentCounts.set(tenant, count);
    if (count <= PAST_VERDICTS_MAX + SLACK) return;
    this.#database.run(
      `DELETE FROM recent WHERE tenant = ? AND seq <= (
        SELECT seq FROM recent WHERE tenant = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)`,
      tenant,
      tenant,
      PAST_VERDICTS_MAX,
    );
    this.#recentCounts.set(tenant, PAST_VERDICTS_MAX);
  }

  /** The newest first. */
  recent(tenant: string, limit: number): readonly PastVerdict[] {
    const sql = "SELECT past FROM recent WHERE tenant = ? ORDER BY seq DESC LIMIT ?";
    return this.#database.all(sql, tenant, limit).map((row) => jsonOf<PastVerdict>(row["past"]));
  }

  verdict(tenant: string, id: string): Verdict | undefined {
    const sql = "SELECT verdict FROM verdicts WHERE tenant = ? AND id = ?";
    const row = this.#database.get(sql, tenant, id);
    return row === undefined ? undefined : jsonOf<Verdict>(row["verdict"]);
  }

  author(tenant: string, user: string): AuthorHistory {
    const counts = this.#database.get(
      `SELECT count(*) AS flagged, coalesce(sum(action = 'block'), 0) AS blocked
      FROM verdicts WHERE tenant = ? AND author = ?`,
      tenant,
      user,
    );
    const decided = this.#database.all(
      `SELECT decision, count(*) AS n FROM items WHERE tenant = ? AND author = ?
        AND decision IS NOT NULL GROUP BY decision`,
      tenant,
      user,
    );
    const byDecision = new Map(decided.map((row) => [row["decision"], Number(row["n"])]));
    const decisions = Object.fromEntries(
      DECISIONS.map((name) => [name, byDecision.get(name) ?? 0]),
    );
    const verdicts = this.#database.all(
      "SELECT * FROM verdicts WHERE tenant = ? AND author = ? ORDER BY seq DESC LIMIT ?",
      tenant,
      user,
      REVIEW_HISTORY_MAX,
    );
    const items = this.#database.all(
      "SELECT * FROM items WHERE tenant = ? AND author = ? ORDER BY seq DESC LIMIT ?",
      tenant,
      user,
      REVIEW_HISTORY_MAX,
    );
    const blockedCount = Number(counts?.["blocked"]);
    return {
      user,
      flaggedCount: Number(counts?.["flagged"]) - blockedCount,
      blockedCount,
      decisions: decisions as Record<Decision, number>,
      verdicts: verdicts.map(flagOf),
      items: items.map((row) => ({
        id: String(row["id"]),
        state: row["state"] as ReviewState,
        severity: Number(row["severity"]),
        createdAtMs: Number(row["created_ms"]),
        decision: textOf(row["decision"]) as Decision | undefined,
      })),
    };
  }

  /** Rows were deleted or rolled back: they are counted anew. */
  recount(): void {
    this.#recentCounts.clear();
  }

  #countRecent(tenant: string): number {
    const count = this.#recentCounts.get(tenant);
    if (count !== undefined) return count + 1;
    const sql = "SELECT count(*) AS n FROM recent WHERE tenant = ?";
    return Number(this.#database.get(sql, tenant)?.["n"]);
  }
}

/** What a dry run needs of it. */
export function pastOf(verdict: Verdict): PastVerdict {
  const { id, asOfMs, scores, thresholds, proposedAction, listEntry, policy } = verdict;
  const past = { id, asOfMs, scores, thresholds, proposedAction, listEntry };
  return { ...past, policyVersion: policy.version };
}

function flagOf(row: Row): AuthorHistory["verdicts"][number] {
  const verdict = jsonOf<Verdict>(row["verdict"]);
  return {
    id: String(row["id"]),
    asOfMs: Number(row["as_of_ms"]),
    action: row["action"] as Action,
    severity: Number(row["severity"]),
    categories: CATEGORIES.filter((category) => verdict.categories[category]),
    conversation: textOf(row["conversation"]),
    text: textOf(row["text"]),
  };
}
