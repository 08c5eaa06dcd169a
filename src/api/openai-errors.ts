/** Problems in the form that OpenAI's clients know, on the routes that speak their language. */
import type { Log } from "#observe/log.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { withLimit } from "./json-body.ts";
import { problemOf } from "./problems.ts";

export type OpenAiError = {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
  };
};

/** Codes of theirs, where there is one that says the same; else the code is ours. */
const CODES: Partial<Record<ProblemCode, string>> = {
  textTooLong: "string_above_max_length",
  textEmpty: "empty_string",
  messageLimit: "array_above_max_length",
  busy: "rate_limit_exceeded",
  overQuota: "rate_limit_exceeded",
  badRequest: "invalid_value",
  unauthorized: "invalid_api_key",
};

/** Trying again at once would fail again; their clients do so by themselves if they are let. */
const LASTING: ReadonlySet<ProblemCode> = new Set([
  "tenantQuarantined",
  "tenantLimit",
  "memoryFull",
  "stopping",
  "tooManyTries",
]);

const RETRY_AFTER_SECONDS_DEFAULT = 1;

/** A mistake of the request, with the parameter it is in and a code of theirs. */
export function openAiProblem(options: {
  readonly message: string;
  readonly param: string;
  readonly code: string;
}): Problem {
  const { message, param, code } = options;
  return new Problem("badRequest", message, { members: { param, openAiCode: code } });
}

export function answerAsOpenAi(
  server: FastifyInstance,
  { log, bodyBytesMax }: { readonly log: Log; readonly bodyBytesMax: number },
): void {
  server.setErrorHandler((error, _request, reply) => {
    sendOpenAiError(reply, problemOf(withLimit(error, bodyBytesMax), log));
  });
}

/** Their clients say of themselves what they are written in. */
export function isOpenAiClient({ headers }: FastifyRequest): boolean {
  return headers["x-stainless-lang"] !== undefined;
}

export function sendOpenAiError(reply: FastifyReply, problem: Problem): void {
  const { status, code } = problem;
  if (status === 429 || status === 503) {
    const seconds = problem.retryAfterSeconds ?? RETRY_AFTER_SECONDS_DEFAULT;
    reply.header("retry-after", seconds).header("retry-after-ms", 1_000 * seconds);
  }
  if (LASTING.has(code)) reply.header("x-should-retry", "false");
  void reply
    .code(status)
    .header("cache-control", "no-store")
    .type("application/json; charset=utf-8")
    .send(openAiError(problem));
}

export function openAiError({ status, code, message, members }: Problem): OpenAiError {
  const { param, openAiCode } = members;
  return {
    error: {
      message,
      type: typeOf(status),
      param: typeof param === "string" ? param : null,
      code: typeof openAiCode === "string" ? openAiCode : (CODES[code] ?? code),
    },
  };
}

function typeOf(status: number): string {
  if (status === 429) return "rate_limit_error";
  if (status === 401) return "authentication_error";
  if (status === 403) return "permission_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}
