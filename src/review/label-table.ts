/**
 * What people think of what was judged: decisions of the queue, one label for each category that
 * was flagged, and the scores that callers of `suggestscore` propose. An item's labels are those of
 * the decision that stands.
 */
import { type Category, CATEGORIES, type Verdict } from "#model/moderation.ts";
import type { Feedback } from "#model/feedback.ts";
import { type Decision, isFlag, type Label, type Precision } from "#model/review.ts";
import type { ReviewItem } from "#model/review.ts";
import { type Database, jsonOf, numberOf, type Row, textOf } from "./database.ts";

export type LabelRequest = {
  readonly tenant: string;
  readonly limit: number;
  readonly after: number;
};

export class LabelTable {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  setOfItem(item: ReviewItem, decision: Decision, atMs: number): void {
    const { tenant, id } = item;
    this.#database.run("DELETE FROM labels WHERE tenant = ? AND item_id = ?", tenant, id);
    if (!isFlag(decision)) return;
    const scores = this.#scoresOf(tenant, item.verdictId);
    for (const category of item.categories) {
      this.#add({
        tenant,
        source: "review",
        category,
        value: decision === "remove" ? 1 : 0,
        score: scores?.[category],
        verdictId: item.verdictId,
        itemId: id,
        language: item.language,
        text: item.text,
        atMs,
      });
    }
  }

  addFeedback({ tenant, text, language, scores, atMs }: Feedback, keepsText: boolean): void {
    for (const category of CATEGORIES) {
      const value = scores[category];
      if (value === undefined) continue;
      const none = { score: undefined, verdictId: undefined, itemId: undefined };
      const kept = keepsText ? text : undefined;
      this.#add({
        tenant,
        source: "feedback",
        category,
        value,
        language,
        text: kept,
        atMs,
        ...none,
      });
    }
  }

  page({ tenant, limit, after }: LabelRequest): readonly Label[] {
    const rows = this.#database.all(
      "SELECT * FROM labels WHERE tenant = ? AND seq > ? ORDER BY seq LIMIT ?",
      tenant,
      after,
      limit,
    );
    return rows.map(labelOf);
  }

  /** Of the decisions that stand. */
  precision(tenant: string): Partial<Record<Category, Precision>> {
    const rows = this.#database.all(
      `SELECT category, sum(value = 1) AS removed, sum(value = 0) AS approved FROM labels
      WHERE tenant = ? AND source = 'review' GROUP BY category`,
      tenant,
    );
    const figures = rows.map((row) => {
      const removedCount = Number(row["removed"]);
      const approvedCount = Number(row["approved"]);
      const count = removedCount + approvedCount;
      const precision = count === 0 ? null : removedCount / count;
      return [row["category"], { removedCount, approvedCount, precision }] as const;
    });
    return Object.fromEntries(figures) as Partial<Record<Category, Precision>>;
  }

  #scoresOf(tenant: string, verdictId: string | undefined): Verdict["scores"] | undefined {
    if (verdictId === undefined) return undefined;
    const sql = "SELECT verdict FROM verdicts WHERE tenant = ? AND id = ?";
    const row = this.#database.get(sql, tenant, verdictId);
    return row === undefined ? undefined : jsonOf<Verdict>(row["verdict"]).scores;
  }

  #add(label: Omit<Label, "seq"> & { readonly tenant: string }): void {
    const { tenant, source, category, value, score, verdictId, itemId } = label;
    this.#database.run(
      `INSERT INTO labels (tenant, source, category, value, score, verdict_id, item_id, language,
        text, at_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      tenant,
      source,
      category,
      value,
      score,
      verdictId,
      itemId,
      label.language,
      label.text,
      label.atMs,
    );
  }
}

function labelOf(row: Row): Label {
  return {
    seq: Number(row["seq"]),
    source: row["source"] as Label["source"],
    category: row["category"] as Category,
    value: Number(row["value"]),
    score: numberOf(row["score"]),
    verdictId: textOf(row["verdict_id"]),
    itemId: textOf(row["item_id"]),
    language: textOf(row["language"]),
    text: textOf(row["text"]),
    atMs: Number(row["at_ms"]),
  };
}
