/**
 * What `nexuscore doctor` finds out about upstream language models: each job asks a question of its
 * own, on the road that its calls take later, so what works here works there.
 */
import { ConfigError } from "#config/config-error.ts";
import type { Config } from "#config/options.ts";
import type { LlmThread } from "#engine/llm-thread.ts";
import type { EndedCall } from "#llm/protocol.ts";
import type { LlmSettings, UpstreamSettings } from "#llm/settings.ts";
import type { ConsultationFailure, Job } from "#model/consultation.ts";
import { type PromptPart, writePromptParts } from "#model/prompt-parts.ts";
import type { Check } from "./check.ts";
import { llmSettingsOf, llmWarnings } from "./llm-settings.ts";
import { harmless } from "./terminal.ts";

/** All jobs together; a server that is silent for so long, or loads its model, is told so. */
const ALL_MS_MAX = 15_000;
/** What a verdict waits for by default, and less than what a TL;DR may take. */
const ANSWER_MS_MAX = 5_000;
const MODELS_MS_MAX = 5_000;
const MODELS_LISTED_MAX = 8;
const MODELS_BYTES_MAX = 1024 * 1024;
const MODEL_CHARACTERS_MAX = 120;
const TENANT = "doctor";

const TEXTS = ["does anybody know when the release is?", "the second link fixed my build, thanks"];

const QUESTIONS: Readonly<Record<Job, (text: string) => PromptPart[]>> = {
  moderation: (text) => [{ kind: "subject", name: "ada", text }],
  tldr: (text) => [
    { kind: "fact", name: "all", text: "3 messages by 2 people in the last 60 seconds" },
    { kind: "fact", name: "somebody said", text },
  ],
  rolling: (text) => [
    { kind: "summary", name: "", text: "ada asked when the release is." },
    { kind: "delta", name: "bo", text },
  ],
};

export async function checkLanguageModels(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<Check[]> {
  const name = "language model";
  let settings: LlmSettings | undefined;
  try {
    settings = llmSettingsOf(config, environment);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const { message: detail } = error;
    return [{ name, status: "fail", detail, fix: "Give the key as docs/llm.md says." }];
  }
  if (settings === undefined) {
    const detail = "off: verdicts and TL;DRs are the embedded ones";
    if (config.llmModel === "") return [{ name, status: "ok", detail }];
    const fix = "There is a model, but no address: set NEXUSCORE_LLM_BASE_URL, too.";
    return [{ name, status: "warn", detail, fix }];
  }
  const { startLlm } = await import("#engine/llm-thread.ts");
  const thread = await startLlm(unbounded(settings), 1);
  try {
    const jobs = Object.entries(settings.jobs) as [Job, UpstreamSettings][];
    // At once: one server that is silent must not cost the time of each job.
    const endMs = performance.now() + ALL_MS_MAX;
    const checks = await Promise.all(
      jobs.map(async ([job, upstream]) => checkJob(thread, { job, upstream, endMs })),
    );
    return [...checks, ...warningChecks(settings)];
  } finally {
    await thread.stop();
  }
}

/** Two questions here are no tenant's, and the second one's answer must not be the first one's. */
function unbounded(settings: LlmSettings): LlmSettings {
  const budget = {
    callsPerMinute: Number.POSITIVE_INFINITY,
    tokensPerMinute: Number.POSITIVE_INFINITY,
    microsPerDay: Number.POSITIVE_INFINITY,
  };
  return { ...settings, budget, cacheMsMax: 0 };
}

function warningChecks(settings: LlmSettings): Check[] {
  return llmWarnings(settings).map(({ what: detail, fix }) => {
    return { name: "language model", status: "warn", detail, fix };
  });
}

type JobToCheck = {
  readonly job: Job;
  readonly upstream: UpstreamSettings;
  readonly endMs: number;
};

async function checkJob(thread: LlmThread, { job, upstream, endMs }: JobToCheck): Promise<Check> {
  const name = `model: ${job}`;
  const where = `${upstream.model} at ${new URL(upstream.baseUrl).origin}`;
  const first = await ask(thread, job, TEXTS[0]!, endMs);
  if ("failure" in first.end) {
    const { failure, detail } = first.end;
    const fix = await fixOf(failure, detail, upstream);
    return { name, status: "fail", detail: `${where}: ${failure}, ${detail}`, fix };
  }
  // The first answer may have waited for the model to be loaded.
  const second = await ask(thread, job, TEXTS[1]!, endMs);
  const tookMs = Math.round("failure" in second.end ? first.waitMs : second.waitMs);
  const detail = `${where} answers in ${tookMs} ms, in the form that is asked for`;
  if (tookMs <= ANSWER_MS_MAX) return { name, status: "ok", detail };
  const fix =
    `A verdict waits for ${ANSWER_MS_MAX} ms: take a smaller model or a faster server, or raise ` +
    "consult.waitMsMax in the policies.";
  return { name, status: "warn", detail, fix };
}

function ask(thread: LlmThread, job: Job, text: string, endMs: number): Promise<EndedCall> {
  return thread.ask({
    tenant: TENANT,
    job,
    prompt: writePromptParts(QUESTIONS[job](text)),
    policyVersion: 0,
    waitMsMax: Math.max(1, Math.round(endMs - performance.now())),
  });
}

async function fixOf(
  failure: ConsultationFailure,
  detail: string,
  upstream: UpstreamSettings,
): Promise<string> {
  switch (failure) {
    case "unavailable":
      return unavailableFix(detail, upstream);
    case "refused":
      return refusedFix(detail, upstream);
    case "malformed":
      return (
        "The server or the model does not keep to the form: try --llm-structured-output object " +
        "or none, or a larger model; docs/llm.md has what each server takes."
      );
    case "rateLimited":
      return "The server takes no more requests now: see its limits, or try again later.";
    case "timedOut":
      return (
        `It took more than ${ALL_MS_MAX} ms. If it was loading its model, ask again; else take a ` +
        "smaller model or a faster server."
      );
    default:
      return "Try again; docs/llm.md explains each reason.";
  }
}

function unavailableFix(detail: string, { baseUrl }: UpstreamSettings): string {
  if (/ECONNREFUSED/.test(detail)) {
    return `Nobody listens there: start it, or correct NEXUSCORE_LLM_BASE_URL (${baseUrl}).`;
  }
  if (/ENOTFOUND|EAI_AGAIN/.test(detail)) {
    return `There is no such host: correct NEXUSCORE_LLM_BASE_URL (${baseUrl}).`;
  }
  if (/WRONG_VERSION_NUMBER/.test(detail)) {
    return `It speaks no TLS: correct NEXUSCORE_LLM_BASE_URL (${baseUrl}) to http://.`;
  }
  if (/CERT|TLS|SSL/.test(detail)) {
    return "Its certificate is not trusted here: set NODE_EXTRA_CA_CERTS if it is your own.";
  }
  return "See the log of the server: it is there, and fails.";
}

async function refusedFix(detail: string, upstream: UpstreamSettings): Promise<string> {
  if (/\b(401|403)\b/.test(detail)) {
    return upstream.apiKey === undefined
      ? "It wants a key: set NEXUSCORE_LLM_API_KEY."
      : "It does not take the key: see NEXUSCORE_LLM_API_KEY, and what the key may do.";
  }
  if (/\b404\b/.test(detail)) {
    const models = await modelsOf(upstream);
    if (models === undefined) {
      return `It has no /chat/completions under ${upstream.baseUrl}: does the address end in /v1?`;
    }
    return `It has no such model; set NEXUSCORE_LLM_MODEL to one of: ${models.join(", ")}.`;
  }
  if (/\b(400|422)\b/.test(detail)) {
    return (
      "It does not take a field of the request: try --llm-structured-output object, or leave " +
      'fields out with --llm-extra, such as {"temperature": null}; see docs/llm.md.'
    );
  }
  return "See docs/llm.md.";
}

/** Undefined: it does not list them. */
async function modelsOf({ baseUrl, apiKey }: UpstreamSettings): Promise<string[] | undefined> {
  try {
    const response = await fetch(`${baseUrl}/models`, {
      headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
      redirect: "error",
      signal: AbortSignal.timeout(MODELS_MS_MAX),
    });
    const { data } = (await bodyOf(response)) as { data?: readonly { id?: unknown }[] };
    const ids = data?.slice(0, MODELS_LISTED_MAX).map(({ id }) => wordOf(id));
    return ids === undefined || ids.length === 0 ? undefined : ids;
  } catch {
    return undefined;
  }
}

/** A server that is asked for a list may send anything. */
async function bodyOf({ body }: Response): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let byteCount = 0;
  for await (const chunk of body ?? []) {
    byteCount += chunk.length;
    if (byteCount > MODELS_BYTES_MAX) throw new RangeError("The list of models is too long.");
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString());
}

function wordOf(id: unknown): string {
  return harmless(String(id)).slice(0, MODEL_CHARACTERS_MAX);
}
