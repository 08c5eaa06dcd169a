/**
 * What /metrics shows of upstream language models: by job and by how calls ended. What tenants take
 * is no label, there are too many; `GET /v1/llm` names those who take most.
 */
import type { LlmDoor } from "#engine/door.ts";
import type { JobReport, LlmStats, Quantiles } from "#llm/protocol.ts";
import { counter, type Family, gauge, type Sample } from "./metric-families.ts";

/** Divisors: what is divided by them stays a round number. */
const MS = 1e3;
const MICRO = 1e6;
/** A gateway that is this busy is no reason to show nothing of the rest. */
const ANSWER_MS_MAX = 2_000;

/** Nothing where no upstream is configured; of a gateway that is down, only that. */
export async function llmFamilies(llm: LlmDoor | undefined): Promise<Family[]> {
  if (llm === undefined) return [];
  const stats = await statsInTime(llm);
  const up = gauge("nexuscore_llm_up", "Whether the gateway to language models answers.", [
    { labels: {}, value: stats === undefined ? 0 : 1 },
  ]);
  return stats === undefined ? [up] : [up, ...jobFamilies(stats.jobs), ...gatewayFamilies(stats)];
}

async function statsInTime(llm: LlmDoor): Promise<LlmStats | undefined> {
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), ANSWER_MS_MAX);
  const stats = llm.stats().catch(() => undefined);
  const first = await Promise.race([stats, late]);
  clearTimeout(timer);
  return first;
}

function jobFamilies(jobs: readonly JobReport[]): Family[] {
  const by = (value: (report: JobReport) => number): Sample[] =>
    jobs.map((report) => ({ labels: { job: report.job }, value: value(report) }));
  const upstreams = jobs.map(({ job, model, origin }) => {
    return { labels: { job, model, origin }, value: 1 };
  });
  return [
    gauge("nexuscore_llm_upstream_info", "What is asked for a job, and where.", upstreams),
    gauge(
      "nexuscore_llm_waiting",
      "Calls in the queue.",
      by((j) => j.waiting),
    ),
    gauge(
      "nexuscore_llm_running",
      "Calls at the upstream.",
      by((j) => j.running),
    ),
    counter("nexuscore_llm_calls_total", "Calls that ended, by how.", jobs.flatMap(outcomes)),
    counter(
      "nexuscore_llm_joined_total",
      "Calls that shared another's answer.",
      by((j) => j.joined),
    ),
    counter("nexuscore_llm_tokens_total", "By kind; their sum is all.", jobs.flatMap(tokens)),
    counter(
      "nexuscore_llm_cost_total",
      "In the currency of the prices.",
      by((j) => j.costMicros / MICRO),
    ),
    counter(
      "nexuscore_llm_malformed_total",
      "Answers that were not of their schema.",
      by((j) => j.malformed),
    ),
    counter(
      "nexuscore_llm_retries_total",
      "Requests sent once more.",
      by((j) => j.retries),
    ),
    counter(
      "nexuscore_llm_hedges_total",
      "Second requests for one call.",
      by((j) => j.hedges),
    ),
    gauge(
      "nexuscore_llm_wait_seconds",
      "Quantiles of the time until a call was sent, since the start.",
      jobs.flatMap(({ job, waitMs }) => quantiles(job, waitMs)),
    ),
    gauge(
      "nexuscore_llm_upstream_seconds",
      "Quantiles of the time that the upstream took, since the start.",
      jobs.flatMap(({ job, upstreamMs }) => quantiles(job, upstreamMs)),
    ),
  ];
}

function gatewayFamilies({ breakers, exchanges, cacheBytes, cpuMs }: LlmStats): Family[] {
  const one = (value: number): Sample[] => [{ labels: {}, value }];
  const states = breakers.flatMap(({ origin, state }) =>
    ["closed", "open", "halfOpen"].map((each) => {
      return { labels: { origin, state: each }, value: each === state ? 1 : 0 };
    }),
  );
  return [
    gauge("nexuscore_llm_breaker_state", "1 at the state it is in.", states),
    gauge("nexuscore_llm_exchanges", "Requests at upstreams.", one(exchanges)),
    gauge("nexuscore_llm_cache_bytes", "Of answers that are kept.", one(cacheBytes)),
    counter("nexuscore_llm_cpu_seconds_total", "Of the gateway's thread.", one(cpuMs / MS)),
  ];
}

function outcomes({ job, answered, cached, failures }: JobReport): Sample[] {
  return Object.entries({ answered, cached, ...failures }).map(([outcome, value]) => {
    return { labels: { job, outcome }, value };
  });
}

/** Those of a prompt that the server had cached are not among the rest of it. */
function tokens({ job, tokens: used }: JobReport): Sample[] {
  const { promptTokens, cachedTokens, completionTokens } = used;
  const kinds = {
    prompt: Math.max(0, promptTokens - cachedTokens),
    cached: cachedTokens,
    completion: completionTokens,
  };
  return Object.entries(kinds).map(([kind, value]) => ({ labels: { job, kind }, value }));
}

function quantiles(job: string, { p50, p99, max }: Quantiles): Sample[] {
  return Object.entries({ "0.5": p50, "0.99": p99, "1": max }).map(([quantile, value]) => {
    return { labels: { job, quantile }, value: value / MS };
  });
}
