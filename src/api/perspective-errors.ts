/** Problems in the form of Google's APIs, with the error types of Perspective. */
import type { Log } from "#observe/log.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { withLimit } from "./json-body.ts";
import { problemOf } from "./problems.ts";

export type ErrorType =
  | "COMMENT_EMPTY"
  | "COMMENT_TOO_LONG"
  | "NO_REQUESTED_ATTRIBUTES"
  | "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE"
  | "LANGUAGE_DETECTION_FAILED"
  | "INVALID_REQUEST";

export type GoogleError = {
  readonly error: {
    readonly code: number;
    readonly message: string;
    readonly status: string;
    readonly details?: readonly Readonly<Record<string, unknown>>[];
  };
};

const DETAIL_TYPE = "type.googleapis.com/google.commentanalyzer.v1alpha1.Error";
const RETRY_AFTER_SECONDS_DEFAULT = 1;

const STATUSES: Readonly<Record<number, string>> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "FAILED_PRECONDITION",
  413: "INVALID_ARGUMENT",
  415: "INVALID_ARGUMENT",
  429: "RESOURCE_EXHAUSTED",
  500: "INTERNAL",
  503: "UNAVAILABLE",
};

/** Error types of theirs for problems of ours. */
const TYPES: Partial<Record<ProblemCode, ErrorType>> = {
  textEmpty: "COMMENT_EMPTY",
  textTooLong: "COMMENT_TOO_LONG",
  bodyTooLarge: "COMMENT_TOO_LONG",
  textNotUnicode: "INVALID_REQUEST",
  conversationIllegal: "INVALID_REQUEST",
};

/** A mistake of the request: their message where they have one, their type, what it is about. */
export function perspectiveProblem(
  errorType: ErrorType,
  message: string,
  detail: Readonly<Record<string, unknown>> = {},
): Problem {
  return new Problem("badRequest", message, { members: { errorType, detail } });
}

export function answerAsPerspective(
  server: FastifyInstance,
  { log, bodyBytesMax }: { readonly log: Log; readonly bodyBytesMax: number },
): void {
  server.setErrorHandler((error, _request, reply) => {
    sendGoogleError(reply, problemOf(withLimit(error, bodyBytesMax), log));
  });
}

/** Theirs alone have this version in them. */
export function isPerspectivePath({ url }: FastifyRequest): boolean {
  return /^(?:\/v1\/tenants\/[^/?]*)?\/v1alpha1\//.test(url);
}

export function sendGoogleError(reply: FastifyReply, problem: Problem): void {
  const { status } = problem;
  if (status === 429 || status === 503) {
    reply.header("retry-after", problem.retryAfterSeconds ?? RETRY_AFTER_SECONDS_DEFAULT);
  }
  void reply
    .code(status)
    .header("cache-control", "no-store")
    .type("application/json; charset=UTF-8")
    .send(googleError(problem));
}

export function googleError({ status: code, code: ours, message, members }: Problem): GoogleError {
  const status = STATUSES[code] ?? (code >= 500 ? "INTERNAL" : "INVALID_ARGUMENT");
  const errorType = members["errorType"] ?? TYPES[ours];
  if (errorType === undefined) return { error: { code, message, status } };
  const detail = members["detail"] ?? {};
  return {
    error: {
      code,
      message,
      status,
      details: [{ "@type": DETAIL_TYPE, errorType, ...detail }],
    },
  };
}
