/** The upstream language models, as the options have them. */
import { llmJobsOf } from "#config/llm-checks.ts";
import { llmKeyOf } from "#config/llm-keys.ts";
import { ofJob } from "#config/llm-options.ts";
import type { Config } from "#config/options.ts";
import type { LlmSettings, StructuredOutput, UpstreamSettings } from "#llm/settings.ts";
import type { Job } from "#model/consultation.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Undefined: there is none. Throws ConfigError over a key that is none. */
export function llmSettingsOf(config: Config, environment: Environment): LlmSettings | undefined {
  const jobs = llmJobsOf(config);
  if (jobs.length === 0) return undefined;
  return {
    jobs: Object.fromEntries(jobs.map((job) => [job, upstreamOf(job, config, environment)])),
    budget: {
      callsPerMinute: config.llmCallsPerMinute,
      tokensPerMinute: config.llmTokensPerMinute,
      microsPerDay: config.llmMoneyPerDay * MICROS,
    },
    tenantRunningMax: config.llmTenantRunningMax,
    cacheMsMax: config.llmCacheMs,
  };
}

const MICROS = 1_000_000;

function upstreamOf(job: Job, config: Config, environment: Environment): UpstreamSettings {
  const extra = config[ofJob("llmExtra", job)];
  return {
    baseUrl: config[ofJob("llmBaseUrl", job)],
    model: config[ofJob("llmModel", job)],
    apiKey: llmKeyOf(job, config, environment),
    structuredOutput: config[ofJob("llmStructuredOutput", job)] as StructuredOutput,
    connectionsMax: config.llmConnectionsMax,
    hedges: config.llmHedging === "on",
    // So much a million tokens is as many millionths a token.
    prices: {
      promptMicros: config[ofJob("llmPromptPrice", job)],
      cachedMicros: config[ofJob("llmCachedPrice", job)],
      completionMicros: config[ofJob("llmCompletionPrice", job)],
    },
    extra: extra === "" ? undefined : (JSON.parse(extra) as Record<string, unknown>),
  };
}

/** One line: what is asked where, or how to turn it on. */
export function llmWords(settings: LlmSettings | undefined, config: Config): string {
  if (settings === undefined) {
    const isHalf = config.llmModel !== "" && config.llmBaseUrl === "";
    const missing = isHalf ? "there is a model, but no address; " : "";
    return `off, ${missing}set NEXUSCORE_LLM_BASE_URL and NEXUSCORE_LLM_MODEL for one`;
  }
  const groups = Map.groupBy(
    Object.entries(settings.jobs),
    ([, { baseUrl, model }]) => `${model} at ${new URL(baseUrl).origin}`,
  );
  return [...groups]
    .map(([where, jobs]) => `${where} for ${jobs.map(([job]) => job).join(", ")}`)
    .join("; ");
}

/** What works, and is hardly meant. */
export type LlmWarning = { readonly what: string; readonly fix: string };

export function llmWarnings({ jobs, budget }: LlmSettings): LlmWarning[] {
  const upstreams = Object.entries(jobs);
  const inTheOpen = upstreams
    .filter(([, { apiKey, baseUrl }]) => apiKey !== undefined && isOpen(new URL(baseUrl)))
    .map(([, { baseUrl }]) => new URL(baseUrl).origin);
  const warnings = [...new Set(inTheOpen)].map((origin) => ({
    what: `the key and every prompt go to ${origin} where anybody on the way can read them`,
    fix: "Use an address with https://, or a server on this machine.",
  }));
  const free = upstreams
    .filter(([, { prices }]) => prices.promptMicros === 0 && prices.completionMicros === 0)
    .map(([job]) => job);
  if (!Number.isFinite(budget.microsPerDay) || free.length === 0) return warnings;
  const what = `llmMoneyPerDay bounds nothing for ${free.join(", ")}: there is no price`;
  const fix = "Set llmPromptPrice and llmCompletionPrice, or bound calls or tokens instead.";
  return [...warnings, { what, fix }];
}

/** Over plain HTTP to another machine. */
function isOpen({ protocol, hostname }: URL): boolean {
  if (protocol === "https:") return false;
  return !/^(localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname);
}
