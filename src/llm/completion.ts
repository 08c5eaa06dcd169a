/** What a server answers in OpenAI's form, believed as little as a stranger: whole or streamed. */
import { type ConsultationFailure, NO_USAGE, type TokenUsage } from "#model/consultation.ts";
import { RETRY_AFTER_MS_MAX } from "#model/limits.ts";

export type UpstreamAnswer =
  | { readonly kind: "content"; readonly content: string; readonly usage: TokenUsage }
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
  /** For people; nothing of the key, and of a prompt only what the server quotes of it. */
  readonly detail: string;
  /** Undefined: nobody knows what it took. */
  readonly usage: TokenUsage | undefined;
};

/** What it says of itself and of what it answers. */
export type Completion = {
  readonly content: unknown;
  readonly finish: unknown;
  readonly isRefusal: boolean;
  readonly usage: TokenUsage;
};

const DETAIL_CHARACTERS_MAX = 200;
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

/** Of an answer that is none. */
export function failureOf(
  status: number,
  retryMs: number | undefined,
  text: string,
): UpstreamFailure {
  const said = messageOf(text);
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

export function usageOf(value: unknown): TokenUsage {
  const promptTokens = countOf(fieldOf(value, "prompt_tokens"));
  const details = fieldOf(value, "prompt_tokens_details");
  return {
    promptTokens,
    completionTokens: countOf(fieldOf(value, "completion_tokens")),
    cachedTokens: Math.min(countOf(fieldOf(details, "cached_tokens")), promptTokens),
  };
}

export function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

/** An upstream may say anything; what it says is counted only if it is a count. */
function countOf(value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : 0;
}

/** Of an error in OpenAI's form. */
function messageOf(text: string): string | undefined {
  try {
    const message = fieldOf(fieldOf(JSON.parse(text), "error"), "message");
    if (typeof message !== "string") return undefined;
    // Some servers say which key was wrong, with stars in the middle of it.
    return message.replaceAll(/\S*\*{2,}\S*/g, "[the key]").slice(0, DETAIL_CHARACTERS_MAX);
  } catch {
    return undefined;
  }
}
