/** The gateway's thread as the engine's door offers it. */
import type { EndedCall } from "#llm/protocol.ts";
import type { LlmSettings } from "#llm/settings.ts";
import { type Job, JOBS } from "#model/consultation.ts";
import { Problem } from "#model/problem.ts";
import { type PromptPart, writePromptParts } from "#model/prompt-parts.ts";
import type { LlmDoor } from "./door.ts";
import { LlmDownError, type LlmThread } from "./llm-thread.ts";

const RETRY_AFTER_SECONDS = 1;

export function llmDoor(thread: LlmThread, settings: LlmSettings): LlmDoor {
  return {
    models: modelsOf(settings),
    stats: () => orDown(thread.stats()),
    usage: (tenant) => orDown(thread.usage(tenant)),
    spending: () => orDown(thread.spending()),
    putLimits: (tenant, limits) => thread.putLimits(tenant, limits),
    forget: (tenant) => thread.forget(tenant),
    ask: (tenant, job, parts, waitMsMax) => ask(thread, tenant, job, parts, waitMsMax),
  };
}

/** Jobs without one are `off`. */
export function modelsOf(settings: LlmSettings): Readonly<Partial<Record<Job, string>>> {
  const models: Partial<Record<Job, string>> = {};
  for (const job of JOBS) {
    const upstream = settings.jobs[job];
    if (upstream !== undefined) models[job] = upstream.model;
  }
  return models;
}

function ask(
  thread: LlmThread,
  tenant: string,
  job: Job,
  parts: readonly PromptPart[],
  waitMsMax: number,
): Promise<EndedCall> {
  const prompt = writePromptParts(parts);
  return thread.ask({ tenant, job, prompt, policyVersion: 0, waitMsMax });
}

async function orDown<Answer>(answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof LlmDownError)) throw error;
    throw new Problem("llmDown", `${error.message} Try again.`, {
      retryAfterSeconds: RETRY_AFTER_SECONDS,
    });
  }
}
