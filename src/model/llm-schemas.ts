/** Upstream language models as JSON Schema; `$id` is the name in the reference. */
import { type TObject, type TSchema, Type } from "typebox";
import { CONSULTATION_FAILURES, JOBS } from "./consultation.ts";
import { LLM_TOP_TENANTS_MAX, LLM_TRACES_MAX } from "./limits.ts";

const count = (description: string): TSchema => Type.Integer({ minimum: 0, description });
const amount = (description: string): TSchema => Type.Number({ minimum: 0, description });
const words = <T extends string>(texts: readonly T[], description: string): TSchema =>
  Type.Unsafe<T>({ type: "string", enum: [...texts], description });
const orNull = (description: string): TSchema =>
  Type.Unsafe<number | null>({ type: ["number", "null"], description });

const job = words(JOBS, "What the model is asked for");
const failures = Type.Object(
  Object.fromEntries(
    CONSULTATION_FAILURES.map((failure) => [failure, Type.Optional(count("Calls"))]),
  ),
  { description: "Calls that were answered by what is built in, by why" },
);
const tokens = Type.Object({
  promptTokens: count("Of prompts"),
  completionTokens: count("Of answers"),
  cachedTokens: count("Of the prompts', those that the server had cached"),
});
const quantiles = (description: string): TSchema =>
  Type.Object({ p50: amount("ms"), p99: amount("ms"), max: amount("ms") }, { description });

const JobReportSchema = Type.Object({
  job,
  model: Type.String(),
  origin: Type.String({ description: "Where it goes, without path or key" }),
  waiting: count("Calls in the queue"),
  running: count("Calls at the upstream"),
  calls: count("Calls since the start"),
  answered: count("By the upstream"),
  cached: count("By an answer that was there already"),
  joined: count("Calls that waited for the same question of their tenant"),
  failures,
  malformed: count("Answers that were not of the job's schema, repaired or not"),
  retries: count("Requests that were sent once more"),
  hedges: count("Second requests for a call that took long"),
  tokens,
  costMicros: amount("Millionths of the currency of the prices"),
  waitMs: quantiles("Until a call was sent"),
  upstreamMs: quantiles("From the request to its answer"),
});

const TraceSchema = Type.Object({
  tenant: Type.String(),
  job,
  arrivedMs: Type.Number({ description: "Epoch milliseconds" }),
  queuedMs: amount("Until it was sent"),
  upstreamMs: amount("At the upstream"),
  tries: count("Requests"),
  promptBytes: count("Bytes of the prompt"),
  tokens: count("Of prompt and answer"),
  outcome: words(["answered", "cached", ...CONSULTATION_FAILURES], "How it ended"),
  detail: Type.Optional(Type.String({ description: "More on a failure; nothing of a prompt" })),
});

export const LlmLimitsSchema = Type.Object(
  {
    callsPerMinute: orNull("null: no bound, 0: none"),
    tokensPerMinute: orNull("Of prompts and answers; null: no bound"),
    microsPerDay: orNull("Millionths of the currency of the prices; null: no bound"),
  },
  { description: "What a tenant may take" },
);

export const LlmSchema = Type.Object(
  {
    defaults: Type.Object({
      limits: LlmLimitsSchema,
      runningMax: count("Requests of one tenant at once"),
    }),
    jobs: Type.Array(JobReportSchema, { description: "Those that have an upstream" }),
    breakers: Type.Array(
      Type.Object({
        origin: Type.String(),
        state: words(["closed", "open", "halfOpen"], "open: it is not asked for a while"),
      }),
      { description: "One an upstream" },
    ),
    exchanges: count("Requests at upstreams now"),
    cacheBytes: count("Of answers that are kept"),
    traces: Type.Array(TraceSchema, {
      description: `The newest calls, the newest first; at most ${LLM_TRACES_MAX}`,
    }),
    top: Type.Array(
      Type.Object({
        tenant: Type.String(),
        tokens: count("Since the start"),
        costMicros: amount("Since the start"),
      }),
      { description: `Tenants with the most tokens; at most ${LLM_TOP_TENANTS_MAX}` },
    ),
    cpuMs: amount("CPU time of the gateway's thread, which is no time of waiting"),
  },
  { $id: "Llm" },
);

export const TenantLlmSchema = Type.Object(
  {
    tenant: Type.String(),
    source: words(["default", "tenant"], "Whose limits they are"),
    limits: LlmLimitsSchema,
    runningMax: count("Its requests at once"),
    left: Type.Object(
      {
        calls: orNull("Calls; null: no bound"),
        tokens: orNull("Tokens; null: no bound"),
        micros: orNull("Millionths; null: no bound"),
      },
      { description: "What is left now. It comes back evenly, over a minute or a day" },
    ),
    jobs: Type.Array(
      Type.Object({
        job,
        calls: count("Calls since the start"),
        answered: count("By the upstream"),
        cached: count("By an answer that was there already"),
        failures,
        tokens,
        costMicros: amount("Millionths"),
      }),
    ),
  },
  { $id: "TenantLlm" },
);

export const LLM_SCHEMAS: readonly TObject[] = [LlmSchema, TenantLlmSchema];
