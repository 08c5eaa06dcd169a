/**
 * Who may use which route. Every route says what it asks for in its options:
 *
 *   server.get("/v1/tenants/:tenant/trending", { config: { access: "read" }, … })
 *
 * With one that says nothing the server does not start: a route that was forgotten would be open.
 * The check is in `onRequest`, before a byte of the body is read. A tenant in the path must be in
 * the key's scope, whether there is such a tenant or not: so nobody learns who else is here.
 *
 * Routes whose tenant is somewhere else (a header, the body, each event) ask `tenantFor`.
 */
import assert from "node:assert/strict";
import type { FastifyInstance, FastifyRequest, RouteOptions } from "fastify";
import {
  ACCESSES,
  type Access,
  allows,
  covers,
  EVERYBODY,
  onlyTenant,
  type Principal,
} from "#model/access.ts";
import { Problem } from "#model/problem.ts";
import type { Authentication, KeyRefusal, KeyRing } from "./key-ring.ts";

export type AccessParts = {
  readonly keys: KeyRing;
  /** Of tokens that are no key of ours: an OIDC provider's. Undefined: there is none. */
  readonly tokens?: ((text: string) => Promise<Principal | undefined>) | undefined;
  /** The server listens on this machine alone. */
  readonly isLoopback: boolean;
  readonly nowMs?: () => number;
  /** A refused try, for the log and a counter: never what was tried. */
  readonly onRefusal?: (refusal: KeyRefusal | "missing", address: string) => void;
};

declare module "fastify" {
  interface FastifyContextConfig {
    /** What the route asks for. */
    access?: Access;
    /** A key may come as `?key=`. */
    keyInQuery?: boolean;
  }
}

const PRINCIPAL = Symbol("principal");
type Known = FastifyRequest & { [PRINCIPAL]?: Principal };

/** Names under which a browser reaches this machine; others are somebody's trick with DNS. */
const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

export function registerAccess(server: FastifyInstance, parts: AccessParts): void {
  const { keys, tokens, isLoopback, nowMs = Date.now } = parts;
  const routes: RouteOptions[] = [];
  server.addHook("onRoute", (route) => void routes.push(route));
  // Once all are there: a plugin's scope may have said it for its routes.
  server.addHook("onReady", async () => {
    const silent = routes.filter(({ config }) => !ACCESSES.includes(accessOf(config)!));
    if (silent.length === 0) return;
    const names = silent.map(({ method, url }) => `${String(method)} ${url}`);
    throw new Error(`These routes do not say what access they ask for: ${names.join(", ")}.`);
  });
  server.addHook("onRequest", async (request) => {
    // What has no route has nothing to guard: it is told that there is no such route.
    const access = accessOf(request.routeOptions.config) ?? "public";
    if (access === "public") return;
    const principal = await principalOf(request);
    if (!allows(principal, access))
      throw forbidden(`This key is not for that: it needs ${access}.`);
    const { tenant } = (request.params ?? {}) as { tenant?: string };
    if (tenant !== undefined && !covers(principal.tenants, tenant)) {
      throw forbidden("This key is not for that tenant.");
    }
    (request as Known)[PRINCIPAL] = principal;
  });

  async function principalOf(request: FastifyRequest): Promise<Principal> {
    const isOpen = keys.isEmpty && tokens === undefined && isLoopback;
    if (isOpen) {
      if (LOOPBACK_HOST.test(request.headers.host ?? "")) return EVERYBODY;
      throw forbidden("Without keys this server answers only to its own machine's names.");
    }
    const text = credentialOf(request);
    if (text === undefined) return refuse(request, "missing");
    const found: Authentication = keys.authenticate(text, nowMs());
    if ("principal" in found) return found.principal;
    // What has not even the form of a key may be a token of somebody else's.
    if (found.refusal === "malformed") {
      const principal = await tokens?.(text);
      if (principal !== undefined) return principal;
    }
    return refuse(request, found.refusal);
  }

  function refuse(request: FastifyRequest, refusal: KeyRefusal | "missing"): never {
    parts.onRefusal?.(refusal, request.ip);
    throw new Problem("unauthorized", REFUSALS[refusal]);
  }
}

/** Who asks; only in routes that are not public. */
export function principalOf(request: FastifyRequest): Principal {
  const principal = (request as Known)[PRINCIPAL];
  assert(principal !== undefined, "nobody was asked who this is");
  return principal;
}

/** Says for all routes of a scope what they ask for, where they do not say it themselves. */
export function setAccess(scope: FastifyInstance, access: Access): void {
  scope.addHook("onRoute", (route) => {
    route.config = { access, ...route.config };
  });
}

function accessOf(config: unknown): Access | undefined {
  return (config as { access?: Access } | undefined)?.access;
}

/**
 * The tenant of a request that names it elsewhere than in its path. Who has one tenant only need
 * not name it, and may not name another.
 */
export function tenantFor(request: FastifyRequest, named: string | undefined): string | undefined {
  const principal = principalOf(request);
  const only = onlyTenant(principal);
  if (named === undefined) {
    if (only === undefined && !principal.tenants.includes("*")) {
      throw forbidden("This key is for several tenants; name one.");
    }
    return only;
  }
  if (!covers(principal.tenants, named)) throw forbidden("This key is not for that tenant.");
  return named;
}

const REFUSALS: Readonly<Record<KeyRefusal | "missing", string>> = {
  missing: "Send a key: authorization: Bearer nxc_…",
  malformed: "What was sent is no key of this server: it is cut off, or has a typo.",
  // The same for both, whether the id is known or the secret is wrong.
  unknown: "This key is not known.",
  expired: "This key has expired; ask for a new one.",
  revoked: "This key was revoked.",
};

function forbidden(detail: string): Problem {
  return new Problem("forbidden", detail);
}

/** Bearer; Basic, whose password is the key; or, as clients of Perspective do it, `?key=`. */
function credentialOf({ headers, query, routeOptions }: FastifyRequest): string | undefined {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const [, scheme = "", value = ""] = /^(\w+) +(.+)$/.exec(authorization.trim()) ?? [];
    if (/^bearer$/i.test(scheme)) return value;
    if (!/^basic$/i.test(scheme)) return undefined;
    const text = Buffer.from(value, "base64").toString("utf8");
    const colon = text.indexOf(":");
    return colon === -1 ? undefined : text.slice(colon + 1);
  }
  const { keyInQuery } = routeOptions.config as { keyInQuery?: boolean };
  const { key } = (query ?? {}) as { key?: unknown };
  return keyInQuery === true && typeof key === "string" ? key : undefined;
}
