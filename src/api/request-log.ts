/**
 * A number for each request, so that a line of the log and an answer can be told to belong
 * together; a line for each that took too long; and how many there were.
 */
import { isTenantId } from "#model/tenant.ts";
import type { Log } from "#observe/log.ts";
import { randomBytes } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { IncomingMessage } from "node:http";

const REQUEST_ID_HEADER = "x-request-id";

/** That of a proxy in front of us, if it is harmless; else a number of our own. */
export function requestIds(): (request: IncomingMessage) => string {
  const run = randomBytes(RUN_BYTES).toString("hex");
  let count = 0;
  return ({ headers }) => {
    const theirs = headers[REQUEST_ID_HEADER];
    if (typeof theirs === "string" && HARMLESS.test(theirs)) return theirs;
    count += 1;
    return `${run}-${count.toString(RADIX)}`;
  };
}

const RUN_BYTES = 4;
const RADIX = 36;
const HARMLESS = /^[A-Za-z0-9._:-]{1,64}$/;

/** Answers since the start, by status; a server has few of those. */
type Answers = Map<number, number>;

const answers = new WeakMap<object, Answers>();

export function answersOf(server: FastifyInstance): ReadonlyMap<number, number> {
  return answers.get(server.server) ?? new Map<number, number>();
}

export function logRequests(
  server: FastifyInstance,
  { log, slowRequestMs }: { readonly log: Log; readonly slowRequestMs: () => number },
): void {
  const counts: Answers = new Map();
  answers.set(server.server, counts);
  server.addHook("onRequest", (request, reply, done) => {
    reply.header(REQUEST_ID_HEADER, request.id);
    done();
  });
  server.addHook("onResponse", (request, reply, done) => {
    counts.set(reply.statusCode, (counts.get(reply.statusCode) ?? 0) + 1);
    const slowMs = slowRequestMs();
    if (slowMs > 0 && reply.elapsedTime > slowMs && !isStream(reply)) {
      log.warn(factsOf(request, reply), "a request was slow");
    }
    done();
  });
}

/** The route and not the address: that one may have names of people in it. */
function factsOf(request: FastifyRequest, reply: FastifyReply): object {
  const tenant = (request.params as { tenant?: unknown } | undefined)?.tenant;
  return {
    requestId: request.id,
    method: request.method,
    route: request.routeOptions.url,
    ...(typeof tenant === "string" && isTenantId(tenant) ? { tenant } : {}),
    status: reply.statusCode,
    tookMs: Math.round(reply.elapsedTime),
  };
}

function isStream(reply: FastifyReply): boolean {
  return String(reply.getHeader("content-type") ?? "").startsWith("text/event-stream");
}
