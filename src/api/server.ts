/** The HTTP server: limits, errors, reference, and the routes it is given. */
import type { Log } from "#observe/log.ts";
import type { Tracing } from "#observe/tracing.ts";
import {
  HEADERS_MS_MAX,
  KEEP_ALIVE_MS,
  REQUEST_MS_MAX,
  SILENCE_MS_MAX,
  SETTINGS_BYTES_MAX,
} from "#model/limits.ts";
import { type AccessParts, registerAccess } from "#keys/access-hooks.ts";
import { Problem } from "#model/problem.ts";
import { fastifySSE } from "@fastify/sse";
import Fastify, { type FastifyInstance, type FastifyPluginAsync } from "fastify";
import { boundBodies } from "./body-bounds.ts";
import { registerBrowsers } from "./browsers.ts";
import { isOpenAiClient, sendOpenAiError } from "./openai-errors.ts";
import { isPerspectivePath, sendGoogleError } from "./perspective-errors.ts";
import { answerClientError, problemOf, sendProblem } from "./problems.ts";
import { registerReference } from "./reference.ts";
import { logRequests, requestIds } from "./request-log.ts";
import { traceRequests } from "./request-traces.ts";

export type ServerOptions = {
  readonly log: Log;
  readonly version: string;
  /** True from the moment a stop was asked for: events are refused, what runs is answered. */
  readonly stopping: () => boolean;
  /** Each registers its routes in a scope of its own. */
  readonly routes: readonly FastifyPluginAsync[];
  /** Who may do what. */
  readonly access: AccessParts;
  /** A request that takes longer is logged; left out: none is. */
  readonly slowRequestMs?: (() => number) | undefined;
  /** Spans for requests; left out: none. */
  readonly tracing?: Tracing | undefined;
  /** Whose pages may ask; asked each time. */
  readonly corsOrigins?: (() => readonly string[]) | undefined;
};

/** Long enough for any percent-encoded tenant id, so that a longer one meets our own check. */
const PARAM_LENGTH_MAX = 2_048;

export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { log, version, stopping, routes, access } = options;
  const server = Fastify({
    logger: false,
    genReqId: requestIds(),
    bodyLimit: SETTINGS_BYTES_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    requestTimeout: REQUEST_MS_MAX,
    connectionTimeout: SILENCE_MS_MAX,
    http: { headersTimeout: HEADERS_MS_MAX, connectionsCheckingInterval: 2_000 },
    // While stopping, our own problem is answered instead, and only to those who write.
    return503OnClosing: false,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
    frameworkErrors: (error, request, reply) => {
      sendProblem(request, reply, problemOf(error, log, request.id));
    },
    clientErrorHandler: answerClientError,
    // A query string is text, so its numbers are coerced; nothing is ever removed silently.
    ajv: { customOptions: { coerceTypes: true, removeAdditional: false, allErrors: true } },
  });
  // A text would reach the schemas as a string, whose answer says nothing of the real mistake.
  server.removeContentTypeParser("text/plain");
  // The schemas document the answers and the tests hold us to them; none drops a field silently.
  server.setSerializerCompiler(() => (data) => JSON.stringify(data));
  server.setErrorHandler((error, request, reply) => {
    const problem = problemOf(error, log, request.id);
    // Other APIs' clients call more than we have, and read nothing but their own form.
    if (isOpenAiClient(request)) sendOpenAiError(reply, problem);
    else if (isPerspectivePath(request)) sendGoogleError(reply, problem);
    else sendProblem(request, reply, problem);
  });
  if (options.tracing !== undefined) traceRequests(server, options.tracing);
  logRequests(server, { log, slowRequestMs: options.slowRequestMs ?? (() => 0) });
  registerBrowsers(server, options.corsOrigins ?? (() => []));
  server.addHook("onRequest", ({ method }, _reply, done) => {
    if (stopping() && method !== "GET" && method !== "HEAD") {
      throw new Problem("stopping", "The server is stopping and takes nothing new.");
    }
    done();
  });
  registerAccess(server, access);
  boundBodies(server);
  refuseEndlessNumbers(server);
  const allowedOf = collectMethods(server);
  server.setNotFoundHandler((request, reply) => {
    const path = request.url.split("?", 1)[0] ?? "/";
    const methods = allowedOf(path);
    // A route that took the method found nothing there: a file of the reference, say.
    if (methods.length > 0 && !methods.includes(request.method)) {
      reply.header("allow", methods.join(", "));
      throw new Problem("methodNotAllowed", `${path} takes ${methods.join(", ")}.`);
    }
    throw new Problem("notFound", `There is no ${path}; /docs lists what there is.`);
  });
  await server.register(fastifySSE, { heartbeatInterval: 0 });
  await registerReference(server, version);
  for (const route of routes) await server.register(route);
  return server;
}

/** Coercion makes numbers of "Infinity" and "1e999", and no bound of a schema holds for them. */
function refuseEndlessNumbers(server: FastifyInstance): void {
  server.addHook("preHandler", (request, _reply, done) => {
    for (const [name, value] of Object.entries(request.query ?? {})) {
      if (typeof value !== "number" || Number.isFinite(value)) continue;
      throw new Problem("badRequest", `In the query: /${name} must be a finite number.`);
    }
    done();
  });
}

/** Remembers the routes; the result tells which methods a path has, for `Allow`. */
function collectMethods(server: FastifyInstance): (path: string) => string[] {
  const routes: { segments: string[]; methods: string[] }[] = [];
  server.addHook("onRoute", ({ url, method }) => {
    // In a pattern `::` is a colon, and one alone begins a parameter.
    const segments = url.split("/").map((part) => part.replaceAll(/(?<=.)::/g, ":"));
    routes.push({ segments, methods: [method].flat() });
  });
  return (path) => {
    const segments = path.split("/");
    const here = routes.filter((route) => matches(route.segments, segments));
    return [...new Set(here.flatMap((route) => route.methods))].toSorted();
  };
}

function matches(pattern: readonly string[], path: readonly string[]): boolean {
  for (const [index, segment] of pattern.entries()) {
    if (segment === "*") return true;
    if (path[index] === undefined) return false;
    if (segment !== path[index] && !isParameter(segment, path[index])) return false;
  }
  return pattern.length === path.length;
}

/** One with an expression may have more behind it: `:item(^[a-z]+):claim`. */
function isParameter(segment: string, text: string): boolean {
  if (!segment.startsWith(":")) return false;
  const [, expression, behind = ""] = /^:\w+\((.+)\)([^)]*)$/.exec(segment) ?? [];
  if (expression === undefined) return true;
  const value = text.slice(0, text.length - behind.length);
  return text.endsWith(behind) && new RegExp(`${expression}$`).test(value);
}
