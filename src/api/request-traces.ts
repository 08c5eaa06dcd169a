/** A span for each request, within that of its sender; what the engine does for it is within it. */
import type { RequestSpan, Tracing } from "#observe/tracing.ts";
import { isTenantId } from "#model/tenant.ts";
import type { FastifyInstance, FastifyRequest } from "fastify";

const FAILED = 500;

export function traceRequests(server: FastifyInstance, tracing: Tracing): void {
  const spans = new WeakMap<FastifyRequest, RequestSpan>();
  server.addHook("onRequest", (request, _reply, done) => {
    const route = request.routeOptions.url;
    const { tenant } = (request.params ?? {}) as { tenant?: unknown };
    // The address may have names of people in it; the route has none.
    const span = tracing.request(`${request.method} ${route ?? ""}`.trim(), request.headers, {
      "http.request.method": request.method,
      ...(route === undefined ? {} : { "http.route": route }),
      ...(typeof tenant === "string" && isTenantId(tenant) ? { "nexuscore.tenant": tenant } : {}),
      "nexuscore.request": request.id,
    });
    spans.set(request, span);
    span.within(done);
  });
  // Bodies are read in callbacks of the socket, which know of no span.
  server.addHook("preHandler", (request, _reply, done) => {
    const span = spans.get(request);
    if (span === undefined) done();
    else span.within(done);
  });
  server.addHook("onResponse", (request, reply, done) => {
    const { statusCode } = reply;
    const facts = { "http.response.status_code": statusCode };
    spans.get(request)?.end(facts, statusCode >= FAILED);
    done();
  });
}
