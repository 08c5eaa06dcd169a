/** One question of a tenant to its upstream, with an end in any case. */
import type { ConsultationFailure } from "#model/consultation.ts";
import type { PromptPart } from "#model/prompt-parts.ts";
import type { AnswerOf } from "#llm/structured-output.ts";
import type { LlmDoor } from "./door.ts";

export type UpstreamDoor = Pick<LlmDoor, "models" | "ask">;

export type UpstreamAnswer<J extends "tldr" | "rolling"> =
  | { readonly answer: AnswerOf[J] }
  | { readonly failure: ConsultationFailure };

/** The gateway has checked it against the job's schema; it is read with distrust all the same. */
export async function askUpstream<J extends "tldr" | "rolling">(
  llm: UpstreamDoor,
  tenant: string,
  job: J,
  { parts, waitMsMax }: { readonly parts: readonly PromptPart[]; readonly waitMsMax: number },
): Promise<UpstreamAnswer<J>> {
  try {
    const { end } = await llm.ask(tenant, job, parts, waitMsMax);
    if ("failure" in end) return { failure: end.failure };
    return readAnswer(job, end.answer);
  } catch {
    // The door always ends a call; one that throws is of an engine that stops.
    return { failure: "interrupted" };
  }
}

function readAnswer<J extends "tldr" | "rolling">(job: J, bytes: Uint8Array): UpstreamAnswer<J> {
  try {
    const answer = JSON.parse(Buffer.from(bytes).toString("utf8")) as AnswerOf["tldr"] &
      AnswerOf["rolling"];
    const isRight =
      job === "tldr"
        ? Array.isArray(answer.sentences) && answer.sentences.every(isText)
        : isText(answer.summary);
    if (isRight) return { answer };
  } catch {
    // It is no JSON.
  }
  return { failure: "malformed" };
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}
