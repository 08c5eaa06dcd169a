/**
 * An upstream for tests of what asks one: it keeps what it was asked and ends calls when the test
 * says so, or at once as `answer` says.
 */
import assert from "node:assert/strict";
import type { LlmDoor } from "#engine/door.ts";
import type { EndedCall, LlmStats, TenantLlmUsage, TenantSpending } from "#llm/protocol.ts";
import type { ConsultationFailure, Job } from "#model/consultation.ts";
import { type PromptPart, readPromptParts, writePromptParts } from "#model/prompt-parts.ts";

export type FakeAsk = {
  readonly tenant: string;
  readonly job: Job;
  readonly parts: readonly PromptPart[];
  readonly waitMsMax: number;
  readonly promptBytes: number;
  /** JSON of the job's answer, or why there is none. */
  readonly end: (answer: object | ConsultationFailure) => Promise<void>;
};

export class FakeLlm implements LlmDoor {
  models: Readonly<Partial<Record<Job, string>>> = { tldr: "small-1", rolling: "small-2" };
  readonly asks: FakeAsk[] = [];
  /** Ends every call at once; undefined: the test does. */
  answer: ((ask: FakeAsk) => object | ConsultationFailure) | undefined;

  async ask(
    tenant: string,
    job: Job,
    parts: readonly PromptPart[],
    waitMsMax: number,
  ): Promise<EndedCall> {
    const prompt = writePromptParts(parts);
    assert.notEqual(readPromptParts(prompt), undefined, "what is asked is within the limits");
    const { promise, resolve } = Promise.withResolvers<EndedCall>();
    const request = this.asks.length;
    const ask: FakeAsk = {
      tenant,
      job,
      parts,
      waitMsMax,
      promptBytes: prompt.length,
      end: async (answer) => {
        const end =
          typeof answer === "string"
            ? { failure: answer, detail: "The test says so." }
            : { answer: Buffer.from(JSON.stringify(answer)), isCached: false };
        resolve({ request, end, waitMs: 1 });
        await turn();
      },
    };
    this.asks.push(ask);
    if (this.answer !== undefined) void ask.end(this.answer(ask));
    return promise;
  }

  stats(): Promise<LlmStats> {
    throw new Error("no test asks for it");
  }

  usage(): Promise<TenantLlmUsage> {
    throw new Error("no test asks for it");
  }

  spending(): Promise<readonly TenantSpending[]> {
    throw new Error("no test asks for it");
  }

  forget(): void {
    throw new Error("no test asks for it");
  }

  putLimits(): void {
    throw new Error("no test asks for it");
  }
}

/** What follows from promises that were kept has happened. */
export async function turn(): Promise<void> {
  await new Promise((resolve) => void setImmediate(resolve));
}
