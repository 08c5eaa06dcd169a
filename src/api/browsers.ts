/**
 * What a browser is told. A page of another origin may ask only if the operator named the origin;
 * its key comes in a header that the page sets, so cookies and the like are never asked for. What
 * the API answers is data: nothing in it is run, framed or loaded by another site.
 */
import { Problem } from "#model/problem.ts";
import type { FastifyInstance, FastifyRequest } from "fastify";

const METHODS = "GET, HEAD, POST, PUT, DELETE";
const REQUEST_HEADERS =
  "authorization, content-type, content-encoding, if-match, last-event-id, x-nexuscore-tenant";
const ANSWER_HEADERS = "etag, retry-after, warning, x-request-id, nexuscore-degraded";
const PREFLIGHT_SECONDS = 600;

const HEADERS = {
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
} as const;

/** `origins`: asked each time, as they may change while the server runs. */
export function registerBrowsers(server: FastifyInstance, origins: () => readonly string[]): void {
  server.addHook("onRequest", (request, reply, done) => {
    reply.headers(HEADERS);
    const { origin } = request.headers;
    if (origins().length > 0) reply.header("vary", "origin");
    if (origin === undefined || !origins().includes(origin)) {
      refuseOtherSites(request);
      done();
      return;
    }
    reply.header("access-control-allow-origin", origin);
    if (request.method !== "OPTIONS" || !isPreflight(request)) {
      reply.header("access-control-expose-headers", ANSWER_HEADERS);
      done();
      return;
    }
    reply.header("access-control-allow-methods", METHODS);
    reply.header("access-control-allow-headers", REQUEST_HEADERS);
    reply.header("access-control-max-age", PREFLIGHT_SECONDS);
    reply.code(204).send();
  });
}

/**
 * Without keys there is no login on 127.0.0.1, and with them a browser may remember one: so a page
 * of another origin must not be able to write here, also one of another port of this machine. Such
 * requests need no consent of ours to be sent. Where a proxy writes a Host of its own, or speaks
 * TLS, the browser's word for `same-origin` stands.
 */
function refuseOtherSites(request: FastifyRequest): void {
  if (request.method === "GET" || request.method === "HEAD") return;
  const { "sec-fetch-site": site, origin, host } = request.headers;
  if (site === "same-origin") return;
  if (site !== "cross-site" && (origin === undefined || URL.parse(origin)?.host === host)) return;
  throw new Problem("crossSite", "A page of another site may not write here.");
}

function isPreflight({ headers }: FastifyRequest): boolean {
  return headers["access-control-request-method"] !== undefined;
}
