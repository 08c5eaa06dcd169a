/**
 * Options of the upstream language models. What names an upstream is there once for all jobs, and
 * once more for each job, which is as the common one unless it is set. The key is no option: it
 * comes from the environment or from a file (llm-keys.ts), so that nothing prints it.
 */
import { type Job, JOBS } from "#model/consultation.ts";
import { ANSWER_CACHE_MS_MAX } from "#model/limits.ts";
import type { OptionKind, OptionSpec } from "./option-spec.ts";

const CONNECTIONS_MAX = 16_384;
const RUNNING_MAX = 4_096;
const MINUTE_MS = 60_000;

const UPSTREAM_OPTIONS = {
  llmBaseUrl: {
    kind: "url",
    environment: "NEXUSCORE_LLM_BASE_URL",
    flag: "--llm-base-url",
    default: "",
    sentence: "Server of a language model, in OpenAI's form; ends in /v1, as a rule. None: off.",
  },
  llmModel: {
    kind: "text",
    mayBeEmpty: true,
    environment: "NEXUSCORE_LLM_MODEL",
    flag: "--llm-model",
    default: "",
    sentence: "Model that is asked, as the server names it.",
  },
  llmApiKeyFile: {
    kind: "text",
    mayBeEmpty: true,
    environment: "NEXUSCORE_LLM_API_KEY_FILE",
    flag: "--llm-api-key-file",
    default: "",
    sentence: "File with the server's key and nothing else; or set NEXUSCORE_LLM_API_KEY.",
  },
  llmStructuredOutput: {
    kind: "choice",
    environment: "NEXUSCORE_LLM_STRUCTURED_OUTPUT",
    flag: "--llm-structured-output",
    default: "schema",
    choices: ["schema", "object", "none"],
    sentence: "How the server is told the form of an answer; each is checked all the same.",
  },
  llmExtra: {
    kind: "object",
    environment: "NEXUSCORE_LLM_EXTRA",
    flag: "--llm-extra",
    default: "",
    sentence: "Fields that the server wants in each request beside ours.",
  },
  llmPromptPrice: {
    kind: "decimal",
    environment: "NEXUSCORE_LLM_PROMPT_PRICE",
    flag: "--llm-prompt-price",
    unit: "of your currency, a million tokens",
    default: 0,
    sentence: "Price of a million tokens of prompts.",
  },
  llmCachedPrice: {
    kind: "decimal",
    environment: "NEXUSCORE_LLM_CACHED_PRICE",
    flag: "--llm-cached-price",
    unit: "of your currency, a million tokens",
    default: 0,
    sentence: "The same of those tokens that the server had cached.",
  },
  llmCompletionPrice: {
    kind: "decimal",
    environment: "NEXUSCORE_LLM_COMPLETION_PRICE",
    flag: "--llm-completion-price",
    unit: "of your currency, a million tokens",
    default: 0,
    sentence: "Price of a million tokens of answers.",
  },
} as const satisfies Record<string, OptionSpec>;

const COMMON_OPTIONS = {
  llmJobs: {
    kind: "list",
    environment: "NEXUSCORE_LLM_JOBS",
    flag: "--llm-jobs",
    default: JOBS.join(","),
    choices: JOBS,
    sentence: "What the model is asked for; the rest stays with what is built in.",
  },
  llmConnectionsMax: {
    kind: "integer",
    environment: "NEXUSCORE_LLM_CONNECTIONS_MAX",
    flag: "--llm-connections-max",
    unit: "connections a server",
    default: 64,
    min: 1,
    max: CONNECTIONS_MAX,
    sentence: "Requests to a server at once.",
  },
  llmHedging: {
    kind: "choice",
    environment: "NEXUSCORE_LLM_HEDGING",
    flag: "--llm-hedging",
    default: "off",
    choices: ["off", "on"],
    sentence: "A second request where the first takes longer than most; 5 % of them at most.",
  },
  llmCallsPerMinute: {
    kind: "bound",
    environment: "NEXUSCORE_LLM_CALLS_PER_MINUTE",
    flag: "--llm-calls-per-minute",
    default: 600,
    sentence: "Calls that a tenant may make, unless it has limits of its own.",
  },
  llmTokensPerMinute: {
    kind: "bound",
    environment: "NEXUSCORE_LLM_TOKENS_PER_MINUTE",
    flag: "--llm-tokens-per-minute",
    default: 400_000,
    sentence: "Tokens that they may take, of prompts and answers.",
  },
  llmMoneyPerDay: {
    kind: "bound",
    environment: "NEXUSCORE_LLM_MONEY_PER_DAY",
    flag: "--llm-money-per-day",
    unit: "of your currency",
    default: Infinity,
    sentence: "What they may cost a tenant, by the prices above.",
  },
  llmTenantRunningMax: {
    kind: "integer",
    environment: "NEXUSCORE_LLM_TENANT_RUNNING_MAX",
    flag: "--llm-tenant-running-max",
    unit: "requests a tenant",
    default: 8,
    min: 1,
    max: RUNNING_MAX,
    sentence: "Requests of one tenant at once.",
  },
  llmCacheMs: {
    kind: "integer",
    environment: "NEXUSCORE_LLM_CACHE_MS",
    flag: "--llm-cache-ms",
    unit: "milliseconds",
    default: 10 * MINUTE_MS,
    min: 0,
    max: ANSWER_CACHE_MS_MAX,
    sentence: "How long an answer is given again to the same question of a tenant; 0: never.",
  },
} as const satisfies Record<string, OptionSpec>;

/** Whom the options of one job are for. */
const SUBJECTS: Readonly<Record<Job, string>> = {
  moderation: "verdicts",
  tldr: "TL;DRs",
  rolling: "summaries of conversations",
};

type UpstreamOption = keyof typeof UPSTREAM_OPTIONS;
type JobWord = Capitalize<Job>;
type OfJob<Option extends string, Word extends JobWord> = Option extends `llm${infer Rest}`
  ? `llm${Word}${Rest}`
  : never;
type JobOptions = {
  readonly [Option in UpstreamOption as OfJob<Option, JobWord>]: OptionSpec & {
    readonly kind: (typeof UPSTREAM_OPTIONS)[Option]["kind"];
  };
};

export const LLM_OPTIONS = { ...UPSTREAM_OPTIONS, ...COMMON_OPTIONS, ...jobOptions() };

/** `llmModel` of the job `tldr` is `llmTldrModel`. */
export function ofJob<Option extends UpstreamOption>(
  option: Option,
  job: Job,
): OfJob<Option, JobWord> {
  const word = job.charAt(0).toUpperCase() + job.slice(1);
  return option.replace("llm", `llm${word}`) as OfJob<Option, JobWord>;
}

/** Of a variable or a flag: NEXUSCORE_LLM_MODEL of `tldr` is NEXUSCORE_LLM_TLDR_MODEL. */
export function nameOfJob(name: string, job: Job): string {
  return name
    .replace(/^NEXUSCORE_LLM_/, `NEXUSCORE_LLM_${job.toUpperCase()}_`)
    .replace(/^--llm-/, `--llm-${job}-`);
}

function jobOptions(): JobOptions {
  const options: Record<string, OptionSpec & { kind: OptionKind }> = {};
  for (const job of JOBS) {
    for (const [name, spec] of Object.entries<OptionSpec>(UPSTREAM_OPTIONS)) {
      options[ofJob(name as UpstreamOption, job)] = {
        ...spec,
        environment: nameOfJob(spec.environment, job),
        flag: nameOfJob(spec.flag, job),
        defaultWords: `as ${name}`,
        follows: name,
        sentence: `${name} for ${SUBJECTS[job]} alone.`,
      };
    }
  }
  return options as JobOptions;
}
