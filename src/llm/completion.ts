/** What a server answers in OpenAI's form, believed as little as a stranger: whole or streamed. */
import { type ConsultationFailure, NO_USAGE, type TokenUsage } from "#model/consultation.ts";
import { RETRY_AFTER_MS_MAX, UPSTREAM_TOKENS_MAX } from "#model/limits.ts";

export type UpstreamAnswer =
  | {
      readonly kind: "content";
      readonly content: string;
      /** Undefined: it does not say what it took. */
      readonly usage: TokenUsage | undefined;
    }
  | UpstreamFailure;

export type UpstreamFailure = {
  readonly kind: "failed";
  readonly failure: ConsultationFailure;
  /** Whether the same request may go well another time. */
  readonly mayRetry: boolean;
  /** Whether it says something about the upstream rather than about this request. */
  readonly opensBreaker: boolean;
  /** How long the upstream asks to wait. */
  readonly retryAfterMs: number | undefined;
  /** For people; nothing of the key. Of a prompt: `withoutPrompt`. */
  readonly detail: string;
  /** Undefined: nobody knows what it took. */
  readonly usage: TokenUsage | undefined;
};

/** What it says of itself and of what it answers. */
export type Completion = {
  readonly content: unknown;
  readonly finish: unknown;
  readonly isRefusal: boolean;
  readonly usage: TokenUsage | undefined;
};

const DETAIL_CHARACTERS_MAX = 200;
/** So many characters in a row that both have are a quotation; looked for at every so many. */
const QUOTED_CHARACTERS = 12;
const QUOTED_STEP = 4;
const UNWELL = { mayRetry: true, opensBreaker: true } as const;

export function readCompletion(text: string): UpstreamAnswer {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return failed("malformed", "An answer that is not JSON.");
  }
  const choices = fieldOf(value, "choices");
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const message = fieldOf(choice, "message");
  return answerOf({
    content: fieldOf(message, "content"),
    finish: fieldOf(choice, "finish_reason"),
    isRefusal: typeof fieldOf(message, "refusal") === "string",
    usage: usageOf(fieldOf(value, "usage")),
  });
}

export function answerOf({ content, finish, isRefusal, usage }: Completion): UpstreamAnswer {
  if (isRefusal) return failed("refused", "The model refuses to answer.", { usage });
  if (finish === "length") {
    return failed("malformed", "The answer was cut: it has as many tokens as it may.", { usage });
  }
  if (typeof content !== "string") {
    return failed("malformed", "An answer without a message.", { usage });
  }
  return { kind: "content", content, usage };
}

/** Of an answer that is none. `withoutKey`: what it says may name the key, and is decoded first. */
export function failureOf(
  status: number,
  retryMs: number | undefined,
  text: string,
  withoutKey: (said: string) => string = unchanged,
): UpstreamFailure {
  const said = messageOf(text, withoutKey);
  const detail = `It answered ${status}${said === undefined ? "" : `: ${said}`}`;
  // Nothing was generated, so nothing is to be paid.
  const usage = NO_USAGE;
  if (status === 429) {
    return failed("rateLimited", detail, { retryAfterMs: retryMs, mayRetry: true, usage });
  }
  if (status === 408 || status === 409 || status >= 500) {
    return failed("unavailable", detail, { retryAfterMs: retryMs, usage, ...UNWELL });
  }
  // A wrong key, model or address is wrong for everybody; what is said of one request is not.
  const opensBreaker = ![400, 413, 422].includes(status);
  return failed("refused", detail, { opensBreaker, usage });
}

/** The connection failed, or the answer broke off. */
export function unavailable(detail: string): UpstreamFailure {
  return failed("unavailable", detail, UNWELL);
}

export function failed(
  failure: ConsultationFailure,
  detail: string,
  options: Partial<Omit<UpstreamFailure, "failure" | "detail">> = {},
): UpstreamFailure {
  const defaults = {
    mayRetry: false,
    opensBreaker: false,
    retryAfterMs: undefined,
    usage: undefined,
  };
  return { kind: "failed", failure, detail, ...defaults, ...options };
}

/** Milliseconds that the headers ask to wait, bounded; undefined: they do not. */
export function retryAfterMs(inMs: string, after: string, nowMs: number): number | undefined {
  if (inMs === "" && after === "") return undefined;
  const waits = [
    inMs === "" ? Number.NaN : Number(inMs),
    after === "" ? Number.NaN : Number(after) * 1_000,
    Date.parse(after) - nowMs,
  ];
  const waitMs = waits.find((each) => Number.isFinite(each));
  if (waitMs === undefined) return undefined;
  return Math.min(Math.max(waitMs, 0), RETRY_AFTER_MS_MAX + 1);
}

/** Undefined: it says nothing that can be true; then what was estimated stands. */
export function usageOf(value: unknown): TokenUsage | undefined {
  const promptTokens = fieldOf(value, "prompt_tokens");
  const completionTokens = fieldOf(value, "completion_tokens");
  // Every prompt has tokens.
  if (!isCount(promptTokens) || promptTokens === 0 || !isCount(completionTokens)) return undefined;
  const cached = fieldOf(fieldOf(value, "prompt_tokens_details"), "cached_tokens");
  const cachedTokens = isCount(cached) ? Math.min(cached, promptTokens) : 0;
  return { promptTokens, completionTokens, cachedTokens };
}

export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

/** An upstream may say anything; what it says is counted only if it may be a count. */
function isCount(value: unknown): value is number {
  return (
    Number.isSafeInteger(value) &&
    (value as number) >= 0 &&
    (value as number) <= UPSTREAM_TOKENS_MAX
  );
}

/** Of an error in OpenAI's form. */
function messageOf(text: string, withoutKey: (said: string) => string): string | undefined {
  try {
    const message = fieldOf(fieldOf(JSON.parse(text), "error"), "message");
    if (typeof message !== "string") return undefined;
    // Some servers say which key was wrong, with stars in the middle of it.
    const told = withoutKey(message).replaceAll(/\S*\*{2,}\S*/g, "[the key]");
    // One line, of what can be seen: it is printed, too.
    const line = told.replaceAll(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim();
    return line.slice(0, DETAIL_CHARACTERS_MAX).toWellFormed();
  } catch {
    return undefined;
  }
}

function unchanged(said: string): string {
  return said;
}

/** Of a failure, what may be told on: texts of people are not, though a server repeats them. */
export function withoutPrompt(detail: string, prompt: string): string {
  for (let at = 0; at + QUOTED_CHARACTERS <= detail.length; at += QUOTED_STEP) {
    if (!prompt.includes(detail.slice(at, at + QUOTED_CHARACTERS))) continue;
    return `${detail.split(":", 1)[0]!}: it repeats what it was asked.`;
  }
  return detail;
}
