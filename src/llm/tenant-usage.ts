/**
 * What each tenant used of each job since the start. A row of numbers a tenant and job, in a table
 * a job that grows to the highest tenant that asked for it: most tenants never ask for two.
 */
import {
  CONSULTATION_FAILURES,
  type ConsultationFailure,
  JOBS,
  type TokenUsage,
} from "#model/consultation.ts";
import { LLM_TOP_TENANTS_MAX } from "#model/limits.ts";
import type { Outcome } from "./gateway-stats.ts";
import type { TenantLlmUsage } from "./protocol.ts";

type JobUsage = TenantLlmUsage["jobs"][number];

const CALLS = 0;
const ANSWERED = 1;
const CACHED = 2;
const PROMPT_TOKENS = 3;
const COMPLETION_TOKENS = 4;
const CACHED_TOKENS = 5;
const COST_MICROS = 6;
const FAILURES = 7;
const ROW = FAILURES + CONSULTATION_FAILURES.length;
const ROWS_FIRST = 64;

export type TopTenant = {
  readonly tenant: number;
  readonly tokens: number;
  readonly costMicros: number;
};

export class TenantUsage {
  /** By job. */
  readonly #tables = JOBS.map(() => new Float64Array(ROWS_FIRST * ROW));

  /** Hot. One call that ended. */
  count(tenant: number, job: number, outcome: Outcome): void {
    const table = this.#tableFor(tenant, job);
    const row = tenant * ROW;
    table[row + CALLS]! += 1;
    if (outcome === "answered") table[row + ANSWERED]! += 1;
    else if (outcome === "cached") table[row + CACHED]! += 1;
    else table[row + FAILURES + CONSULTATION_FAILURES.indexOf(outcome)]! += 1;
  }

  /** What a request of the tenant took, whatever came of it. */
  add(tenant: number, job: number, used: TokenUsage, costMicros: number): void {
    const table = this.#tableFor(tenant, job);
    const row = tenant * ROW;
    table[row + PROMPT_TOKENS]! += used.promptTokens;
    table[row + COMPLETION_TOKENS]! += used.completionTokens;
    table[row + CACHED_TOKENS]! += used.cachedTokens;
    table[row + COST_MICROS]! += costMicros;
  }

  /** Of the jobs that it ever asked for. */
  of(tenant: number): readonly JobUsage[] {
    return JOBS.flatMap((job, index) => {
      const row = this.#tables[index]!.subarray(tenant * ROW, (tenant + 1) * ROW);
      if (row.length < ROW || row[CALLS] === 0) return [];
      const failures: Partial<Record<ConsultationFailure, number>> = {};
      for (const [at, failure] of CONSULTATION_FAILURES.entries()) {
        if (row[FAILURES + at]! > 0) failures[failure] = row[FAILURES + at]!;
      }
      const tokens = {
        promptTokens: row[PROMPT_TOKENS]!,
        completionTokens: row[COMPLETION_TOKENS]!,
        cachedTokens: row[CACHED_TOKENS]!,
      };
      const [calls, answered, cached] = [row[CALLS]!, row[ANSWERED]!, row[CACHED]!];
      return [{ job, calls, answered, cached, failures, tokens, costMicros: row[COST_MICROS]! }];
    });
  }

  /** Those with the most tokens, the most first; `count` tenants have numbers. */
  top(count: number): readonly TopTenant[] {
    const top: TopTenant[] = [];
    for (let tenant = 0; tenant < count; tenant++) {
      const tokens = this.#sum(tenant, PROMPT_TOKENS) + this.#sum(tenant, COMPLETION_TOKENS);
      const isFull = top.length === LLM_TOP_TENANTS_MAX;
      if (tokens === 0 || (isFull && tokens <= top.at(-1)!.tokens)) continue;
      if (isFull) top.pop();
      const at = top.findIndex((other) => other.tokens < tokens);
      const entry = { tenant, tokens, costMicros: this.#sum(tenant, COST_MICROS) };
      top.splice(at === -1 ? top.length : at, 0, entry);
    }
    return top;
  }

  /** Its number is another tenant's from now on. */
  forget(tenant: number): void {
    for (const table of this.#tables) table.fill(0, tenant * ROW, (tenant + 1) * ROW);
  }

  #sum(tenant: number, column: number): number {
    let sum = 0;
    for (const table of this.#tables) sum += table[tenant * ROW + column] ?? 0;
    return sum;
  }

  #tableFor(tenant: number, job: number): Float64Array {
    const table = this.#tables[job]!;
    if ((tenant + 1) * ROW <= table.length) return table;
    const larger = new Float64Array(Math.max(2 * table.length, (tenant + 1) * ROW));
    larger.set(table);
    this.#tables[job] = larger;
    return larger;
  }
}
