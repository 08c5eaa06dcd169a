/** Every error of the API as an RFC 9457 problem document with a stable code. */
import type { Log } from "#observe/log.ts";
import { MISTAKES_LISTED_MAX } from "#model/limits.ts";
import { Problem, PROBLEMS, type ProblemCode } from "#model/problem.ts";
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";

const RETRY_AFTER_SECONDS_DEFAULT = 1;

export function sendProblem(request: FastifyRequest, reply: FastifyReply, problem: Problem): void {
  const { code, status, members, message } = problem;
  if (status === 429 || status === 503 || status === 507) {
    reply.header("retry-after", problem.retryAfterSeconds ?? RETRY_AFTER_SECONDS_DEFAULT);
  }
  const { title } = PROBLEMS[code];
  const instance = request.url.split("?", 1)[0];
  const document = { type: "about:blank", title, status, detail: message, instance, code };
  void reply
    .code(status)
    .header("cache-control", "no-store")
    .type("application/problem+json")
    .send({ ...document, ...members });
}

/**
 * For `setErrorHandler` and `frameworkErrors`: ours pass, Fastify's are translated, bugs are
 * logged.
 */
export function problemOf(error: unknown, log: Log, requestId?: string): Problem {
  if (error instanceof Problem) return error;
  const { validation, validationContext, code, statusCode, message } = error as FastifyError;
  if (validation !== undefined) {
    const listed = validation.slice(0, MISTAKES_LISTED_MAX);
    const errors = listed.map(({ instancePath, message: what, params }) => ({
      pointer: instancePath === "" ? `/${strangerOf(params)}` : instancePath,
      message: what ?? "not valid",
    }));
    const more = validation.length - listed.length;
    const entries = errors.map((entry) => `${entry.pointer} ${entry.message}`);
    if (more > 0) entries.push(`and ${more} more`);
    const list = entries.join("; ");
    const place = validationContext === "querystring" ? "query" : (validationContext ?? "request");
    return new Problem("badRequest", `In the ${place}: ${list}.`, { members: { errors } });
  }
  const known = code === undefined ? undefined : FRAMEWORK_PROBLEMS[code];
  if (known !== undefined) return new Problem(known.code, known.detail ?? message);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem("badRequest", message);
  }
  log.error({ err: error, requestId }, "a request failed unexpectedly");
  return new Problem("internal", "The server failed on this request; its log says more.", {
    members: requestId === undefined ? {} : { requestId },
  });
}

/** Of "must NOT have additional properties": which one. */
function strangerOf(params: Record<string, unknown>): string {
  const name = params["additionalProperty"] ?? params["missingProperty"];
  return typeof name === "string" ? name : "";
}

const FRAMEWORK_PROBLEMS: Readonly<Record<string, { code: ProblemCode; detail?: string }>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: { code: "malformedJson" },
  FST_ERR_CTP_EMPTY_JSON_BODY: { code: "malformedJson", detail: "The body is empty; send JSON." },
  FST_ERR_CTP_BODY_TOO_LARGE: { code: "bodyTooLarge" },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    code: "mediaTypeUnsupported",
    detail: "The content type is not one; use application/json.",
  },
  FST_ERR_BAD_URL: { code: "badRequest", detail: "The address is not validly percent-encoded." },
};

/** Answers what Node could not even parse as HTTP, or what came too slowly. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    error.code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? 408
      : error.code === "HPE_HEADER_OVERFLOW"
        ? 431
        : 400;
  const title = STATUS_CODES[status] ?? "Bad Request";
  const detail = status === 400 ? "This is not a valid HTTP request." : `${title}.`;
  const body = JSON.stringify({ type: "about:blank", title, status, detail, code: "badRequest" });
  socket.end(
    `HTTP/1.1 ${status} ${title}\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
