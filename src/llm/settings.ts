/** Which upstream each job has, and what a tenant may spend: what the operator says of it. */
import type { Job } from "#model/consultation.ts";
import type { BudgetLimits, Prices } from "./budget.ts";

/** How the server is told to keep to a schema; some know only "an object", some nothing of it. */
export type StructuredOutput = "schema" | "object" | "none";

export type UpstreamSettings = {
  /** Of the OpenAI form; ends in `/v1`, as a rule. */
  readonly baseUrl: string;
  readonly model: string;
  readonly apiKey?: string | undefined;
  readonly structuredOutput: StructuredOutput;
  /** Requests at once: an HTTP connection each. */
  readonly connectionsMax: number;
  /** A second request for a call that takes longer than most, within a budget of 5 % of them. */
  readonly hedges: boolean;
  readonly prices: Prices;
  /** Fields that this server wants in the body beside ours; they come last. */
  readonly extra?: Readonly<Record<string, unknown>> | undefined;
};

export type LlmSettings = {
  /** Jobs without one are `off`. */
  readonly jobs: Readonly<Partial<Record<Job, UpstreamSettings>>>;
  /** Of a tenant without limits of its own. */
  readonly budget: BudgetLimits;
  /** Calls of one tenant at the upstream at once. */
  readonly tenantRunningMax: number;
  /** How long an answer may be given again; 0: never. */
  readonly cacheMsMax: number;
};
