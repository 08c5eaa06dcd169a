/** What tenants may spend on a language model, and what they spent of the day's money. */
import type { BudgetLimits } from "#llm/budget.ts";
import type { TenantLimits, TenantSpending } from "#llm/protocol.ts";
import type { AuditLog } from "./audit-log.ts";
import { type Database, jsonOf, type Row } from "./database.ts";

/** Those that a tenant was given; what was spent is another matter. */
export type OwnLimits = Omit<TenantLimits, "spent">;

export type LlmRecord = { readonly tenant: string; readonly limits: OwnLimits };

export class LlmTable {
  readonly #database: Database;
  readonly #audit: AuditLog;

  constructor(database: Database, audit: AuditLog) {
    this.#database = database;
    this.#audit = audit;
  }

  limits(): readonly LlmRecord[] {
    const rows = this.#database.all("SELECT * FROM llm_limits");
    return rows.map((row) => ({ tenant: String(row["tenant"]), limits: limitsOf(row) }));
  }

  putLimits(tenant: string, limits: OwnLimits, nowMs: number): void {
    const detail = jsonLimits(limits);
    this.#database.run(
      `INSERT INTO llm_limits (tenant, set_ms, limits) VALUES (?, ?, ?)
      ON CONFLICT DO UPDATE SET set_ms = excluded.set_ms, limits = excluded.limits`,
      tenant,
      nowMs,
      JSON.stringify(detail),
    );
    this.#audit.add({ tenant, atMs: nowMs, action: "llmLimitsSet", detail });
  }

  resetLimits(tenant: string, nowMs: number): void {
    const count = this.#database.run("DELETE FROM llm_limits WHERE tenant = ?", tenant);
    if (count > 0) this.#audit.add({ tenant, atMs: nowMs, action: "llmLimitsReset" });
  }

  spent(): readonly TenantSpending[] {
    return this.#database.all("SELECT * FROM llm_spent").map((row) => ({
      tenant: String(row["tenant"]),
      atMs: Number(row["at_ms"]),
      spentMicros: Number(row["spent_micros"]),
    }));
  }

  putSpent(spending: readonly TenantSpending[]): void {
    for (const { tenant, atMs, spentMicros } of spending) {
      this.#database.run(
        `INSERT INTO llm_spent (tenant, at_ms, spent_micros) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET at_ms = excluded.at_ms, spent_micros = excluded.spent_micros`,
        tenant,
        atMs,
        spentMicros,
      );
    }
  }
}

/** JSON has no Infinity: a budget without a bound is null. */
function jsonLimits({ budget, runningMax }: OwnLimits): Record<string, unknown> {
  if (budget === undefined) return { runningMax };
  const bounds = Object.entries(budget).map(([name, value]) => {
    return [name, Number.isFinite(value) ? value : null];
  });
  return { runningMax, budget: Object.fromEntries(bounds) as object };
}

type KeptLimits = {
  readonly runningMax?: number;
  readonly budget?: Readonly<Record<keyof BudgetLimits, number | null>>;
};

function limitsOf(row: Row): OwnLimits {
  const { runningMax, budget } = jsonOf<KeptLimits>(row["limits"]);
  if (budget === undefined) return { runningMax };
  return {
    runningMax,
    budget: {
      callsPerMinute: budget.callsPerMinute ?? Number.POSITIVE_INFINITY,
      tokensPerMinute: budget.tokensPerMinute ?? Number.POSITIVE_INFINITY,
      microsPerDay: budget.microsPerDay ?? Number.POSITIVE_INFINITY,
    },
  };
}
