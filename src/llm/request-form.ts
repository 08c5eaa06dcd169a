/**
 * The part of a request that all of a job have: written once, it is most of what is sent. What a
 * server wants beside it (`extra`) comes before our own and may replace it:
 *   - a field that is null is left out, `temperature` for one
 *   - `max_tokens` or `max_completion_tokens` says what the bound of an answer is called; a number
 *     there is the bound, null leaves it to us
 * What is asked, `messages`, is ours, and so is `stream`: an answer is read as a whole.
 */
import type { Job } from "#model/consultation.ts";
import { systemPrompt } from "./prompts.ts";
import type { UpstreamSettings } from "./settings.ts";
import { responseFormat } from "./structured-output.ts";

export type RequestForm = {
  /** Of the body, up to the number of tokens. Bytes: so it is copied, and never encoded again. */
  readonly before: Buffer;
  /** Whether the number follows. */
  readonly isCounted: boolean;
  /** Up to the user's message, a string of JSON; then come two brackets. */
  readonly after: Buffer;
};

const TOKENS_FIELDS = ["max_tokens", "max_completion_tokens"] as const;
const OWN_FIELDS = new Set<string>([...TOKENS_FIELDS, "messages", "stream", "stream_options"]);

export function requestForm(
  job: Job,
  { model, structuredOutput, extra = {} }: FormSettings,
): RequestForm {
  const format = responseFormat(job, structuredOutput);
  const fields: Record<string, unknown> = {
    model,
    temperature: 0,
    ...(format === undefined ? {} : { response_format: format }),
  };
  for (const [name, value] of Object.entries(extra)) {
    if (value === null) delete fields[name];
    else if (!OWN_FIELDS.has(name)) fields[name] = value;
  }
  const tokensField = TOKENS_FIELDS.findLast((name) => name in extra) ?? "max_tokens";
  const tokens = extra[tokensField];
  const bound = typeof tokens === "number" ? `${tokens}` : "";
  const system = JSON.stringify({ role: "system", content: systemPrompt(job) });
  return {
    before: Buffer.from(`${JSON.stringify(fields).slice(0, -1)},"${tokensField}":`),
    isCounted: bound === "",
    after: Buffer.from(`${bound},"messages":[${system},{"role":"user","content":`),
  };
}

type FormSettings = Pick<UpstreamSettings, "model" | "structuredOutput" | "extra">;
