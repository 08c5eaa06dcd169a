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
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from "fastify";
import {
  ACCESSES,
  type Access,
  allows,
  covers,
  coversPrefix,
  EVERYBODY,
  onlyTenant,
  type Principal,
} from "#model/access.ts";
import { Problem } from "#model/problem.ts";
import { FailedTries } from "./failed-tries.ts";
import type { KeyRefusal, KeyRing } from "./key-ring.ts";
import type { TokenPrincipal, Tokens } from "./tokens.ts";

export type Refusal = KeyRefusal | "missing" | "tooMany" | "host" | "access" | "tenant";

export type AccessParts = {
  readonly keys: KeyRing;
  /** Of tokens that are no key of ours: an OIDC provider's. Undefined: there is none. */
  readonly tokens?: Pick<Tokens, "known" | "verify"> | undefined;
  /** The server listens on this machine alone. */
  readonly isLoopback: boolean;
  readonly nowMs?: () => number;
  /** A refused try, for the log and a counter: never what was tried. */
  readonly onRefusal?: (refusal: Refusal, address: string) => void;
  /** A key was used by the secret that it had before its last rotation. */
  readonly onFormer?: (name: string) => void;
  /** An address has tried too many; told once a minute. */
  readonly onTooMany?: (address: string) => void;
};

declare module "fastify" {
  interface FastifyContextConfig {
    /** What the route asks for. */
    access?: Access;
    /** A key may come as `?key=`. */
    keyInQuery?: boolean;
    /** Of a public route: who has a key for that is told more; see `mayKnow`. */
    tellsMoreTo?: Access;
    /** The answer goes on: it is cut off once the key opens nothing any more. */
    isStream?: boolean;
    /** The route counts bytes of bodies itself; of others the server does. */
    countsBody?: boolean;
  }
}

/** Who asks, and whether that still holds at a later time. */
type Caller = { readonly principal: Principal; readonly holds: (nowMs: number) => boolean };

const PRINCIPAL = Symbol("principal");
type Known = FastifyRequest & { [PRINCIPAL]?: Principal };

/** Names under which a browser reaches this machine; others are somebody's trick with DNS. */
const LOOPBACK_HOST = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;
const STREAMS_LOOK_MS = 2_000;

export function registerAccess(server: FastifyInstance, parts: AccessParts): void {
  const { nowMs = Date.now } = parts;
  requireAccess(server);
  const gate = new Gate(parts);
  const streams = new Streams(nowMs);
  server.addHook("onClose", async () => streams.stop());
  const admit = (request: FastifyRequest, reply: FastifyReply, access: Access, caller: Caller) => {
    const { principal, holds } = caller;
    if (!allows(principal, access)) {
      const detail = `${whose(principal)} is not for that: the route asks for ${access}.`;
      gate.refuse(request, "access", forbidden(detail));
    }
    const { tenant } = (request.params ?? {}) as { tenant?: string };
    if (tenant !== undefined && !covers(principal.tenants, tenant)) {
      gate.refuse(request, "tenant", notForTenant(principal));
    }
    noteCaller(request, principal);
    if (request.routeOptions.config.isStream === true) streams.add(reply, holds);
  };
  server.addHook("onRequest", (request, reply, done) => {
    // What has no route has nothing to guard: it is told that there is no such route.
    const { access = "public", tellsMoreTo } = request.routeOptions.config;
    if (access === "public") {
      if (tellsMoreTo !== undefined) noteCaller(request, gate.whoeverAsks(request));
      done();
      return;
    }
    const caller = gate.callerOf(request, reply);
    if (caller instanceof Promise) {
      caller.then((found) => admit(request, reply, access, found)).then(() => done(), done);
      return;
    }
    admit(request, reply, access, caller);
    done();
  });
}

export type GuardedRoute = {
  readonly method: string;
  readonly url: string;
  readonly access: Access | undefined;
  /** It is cut off once the key opens nothing any more. */
  readonly isStream: boolean;
};

const ROUTES = new WeakMap<FastifyInstance, RouteOptions[]>();

/** All routes of a server that is ready, and what each asks for: for a test of every one. */
export function guardedRoutes(server: FastifyInstance): GuardedRoute[] {
  return (ROUTES.get(server) ?? []).flatMap(({ method, url, config }) =>
    [method].flat().map((each) => {
      return { method: each, url, access: config?.access, isStream: config?.isStream === true };
    }),
  );
}

/** Throws at the start, once all routes are there: a plugin's scope may say it for its own. */
function requireAccess(server: FastifyInstance): void {
  const routes: RouteOptions[] = [];
  ROUTES.set(server, routes);
  server.addHook("onRoute", (route) => void routes.push(route));
  server.addHook("onReady", async () => {
    const silent = routes.filter(({ config }) => !ACCESSES.includes(config?.access as Access));
    if (silent.length === 0) return;
    const names = silent.map(({ method, url }) => `${String(method)} ${url}`);
    throw new Error(`These routes do not say what access they ask for: ${names.join(", ")}.`);
  });
}

/** Finds out who asks. */
class Gate {
  readonly #parts: AccessParts;
  readonly #nowMs: () => number;
  readonly #tries = new FailedTries();
  /** While there are no keys: the same for every request. */
  readonly #everybody: Caller;

  constructor(parts: AccessParts) {
    this.#parts = parts;
    this.#nowMs = parts.nowMs ?? Date.now;
    this.#everybody = { principal: EVERYBODY, holds: () => parts.keys.isEmpty };
  }

  /** Throws the problem of who is refused. A promise only where a token is to be verified. */
  callerOf(request: FastifyRequest, reply: FastifyReply): Caller | Promise<Caller> {
    const { keys, tokens, isLoopback } = this.#parts;
    if (keys.isEmpty && tokens === undefined && isLoopback) {
      if (LOOPBACK_HOST.test(request.headers.host ?? "")) {
        return this.#everybody;
      }
      const detail = "Without keys this server answers only to its own machine's names.";
      this.refuse(request, "host", forbidden(`${detail} ${MAKE_ONE}`));
    }
    const text = credentialOf(request);
    if (text === undefined) this.#refuseKey(request, reply, "missing");
    const found = keys.authenticate(text, this.#nowMs());
    if ("principal" in found) {
      const { id, principal, isFormer } = found;
      if (isFormer) this.#tellFormer(reply, principal);
      return { principal, holds: (nowMs) => keys.stillOpens(id, isFormer, nowMs) };
    }
    // What has not even the form of a key may be a token of somebody else's.
    if (found.refusal === "malformed" && tokens !== undefined) {
      const token = tokens.known(text);
      return token === undefined ? this.#verify(request, reply, text, tokens) : callerBy(token);
    }
    return this.#refuseKey(request, reply, found.refusal);
  }

  /** Of a public route: undefined: somebody without a key of ours; nobody is refused. */
  whoeverAsks(request: FastifyRequest): Principal | undefined {
    const { keys, tokens, isLoopback } = this.#parts;
    if (keys.isEmpty && tokens === undefined && isLoopback) {
      return LOOPBACK_HOST.test(request.headers.host ?? "") ? EVERYBODY : undefined;
    }
    const text = credentialOf(request);
    if (text === undefined) return undefined;
    const found = keys.authenticate(text, this.#nowMs());
    return "principal" in found ? found.principal : tokens?.known(text)?.principal;
  }

  refuse(request: FastifyRequest, refusal: Refusal, problem: Problem): never {
    this.#parts.onRefusal?.(refusal, request.ip);
    throw problem;
  }

  /** Also for an address that tried too much: behind a proxy it is that of everybody. */
  async #verify(
    request: FastifyRequest,
    reply: FastifyReply,
    text: string,
    tokens: Pick<Tokens, "verify">,
  ): Promise<Caller> {
    const token = await tokens.verify(text);
    return token === undefined ? this.#refuseKey(request, reply, "malformed") : callerBy(token);
  }

  #refuseKey(request: FastifyRequest, reply: FastifyReply, refusal: KeyRefusal | "missing"): never {
    if (refusal !== "missing") {
      this.#refuseTooMany(request, reply);
      if (this.#tries.add(request.ip, this.#nowMs())) this.#parts.onTooMany?.(request.ip);
    }
    reply.header("www-authenticate", 'Bearer realm="nexuscore"');
    const isBare = refusal === "missing" && this.#parts.keys.isEmpty;
    const detail = isBare ? `${REFUSALS.missing}. ${MAKE_ONE}` : REFUSALS[refusal];
    return this.refuse(request, refusal, new Problem("unauthorized", detail));
  }

  #refuseTooMany(request: FastifyRequest, reply: FastifyReply): void {
    const retryAfterSeconds = this.#tries.waitSeconds(request.ip, this.#nowMs());
    if (retryAfterSeconds === 0) return;
    reply.header("www-authenticate", 'Bearer realm="nexuscore"');
    const detail = "Too many keys of this address opened nothing; wait, and send the right one.";
    this.refuse(request, "tooMany", new Problem("tooManyTries", detail, { retryAfterSeconds }));
  }

  #tellFormer(reply: FastifyReply, { name }: Principal): void {
    reply.header("warning", '299 - "This secret was rotated, and ends soon; take the new one."');
    this.#parts.onFormer?.(name);
  }
}

function callerBy({ principal, endsMs }: TokenPrincipal): Caller {
  return { principal, holds: (nowMs) => nowMs < endsMs };
}

/** Answers that go on are looked at again: a key that was revoked must not go on reading. */
class Streams {
  readonly #open = new Map<FastifyReply, (nowMs: number) => boolean>();
  readonly #nowMs: () => number;
  #timer: NodeJS.Timeout | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  add(reply: FastifyReply, holds: (nowMs: number) => boolean): void {
    this.#open.set(reply, holds);
    this.#timer ??= setInterval(() => this.#look(), STREAMS_LOOK_MS).unref();
    reply.raw.once("close", () => {
      this.#open.delete(reply);
      if (this.#open.size === 0) this.stop();
    });
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const nowMs = this.#nowMs();
    for (const [reply, holds] of this.#open) if (!holds(nowMs)) reply.raw.destroy();
  }
}

function noteCaller(request: FastifyRequest, principal: Principal | undefined): void {
  if (principal !== undefined) (request as Known)[PRINCIPAL] = principal;
}

/** Whether who asks on a public route that `tellsMoreTo` some has a key for it. */
export function mayKnow(request: FastifyRequest): boolean {
  const { tellsMoreTo } = request.routeOptions.config;
  const principal = (request as Known)[PRINCIPAL];
  return tellsMoreTo !== undefined && principal !== undefined && allows(principal, tellsMoreTo);
}

/** Who asks; only in routes that are not public. */
export function principalOf(request: FastifyRequest): Principal {
  const principal = (request as Known)[PRINCIPAL];
  assert(principal !== undefined, "nobody was asked who this is");
  return principal;
}

/** Whose share of the memory for bodies a request takes; undefined: nobody was asked who it is. */
export function payerOf(request: FastifyRequest): string | undefined {
  const { tenant } = (request.params ?? {}) as { tenant?: string };
  return tenant ?? (request as Known)[PRINCIPAL]?.name;
}

/** Says for all routes of a scope what they ask for, where they do not say it themselves. */
export function setAccess(scope: FastifyInstance, access: Access): void {
  scope.addHook("onRoute", (route) => {
    route.config = { access, ...route.config };
  });
}

/**
 * The tenant of a request that names it elsewhere than in its path. Who has one tenant only need
 * not name it, and may not name another. Undefined: all may be meant.
 */
export function tenantFor(request: FastifyRequest, named: string | undefined): string | undefined {
  const principal = principalOf(request);
  if (named !== undefined) {
    requireTenant(request, named);
    return named;
  }
  const only = onlyTenant(principal);
  if (only !== undefined || principal.tenants.includes("*")) return only;
  throw forbidden(`${whose(principal)} is for several tenants; name the one that is meant.`);
}

/** Throws unless the caller may ask about it. */
export function requireTenant(request: FastifyRequest, tenant: string): void {
  const principal = principalOf(request);
  if (!covers(principal.tenants, tenant)) throw notForTenant(principal);
}

/** The same of all tenants whose id begins so, there or not. */
export function requirePrefix(request: FastifyRequest, prefix: string): void {
  const principal = principalOf(request);
  if (coversPrefix(principal.tenants, prefix)) return;
  const detail = `${whose(principal)} is not for all tenants that begin so; it is for`;
  throw forbidden(`${detail} ${principal.tenants.join(", ")}.`);
}

const MAKE_ONE =
  "To use it from elsewhere make one: nexuscore key create --role admin --tenants '*'";

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

function notForTenant(principal: Principal): Problem {
  return forbidden(`${whose(principal)} is not for that tenant.`);
}

function whose({ name }: Principal): string {
  return name.startsWith("oidc:") ? "This token" : "This key";
}

/** Bearer; Basic, whose password is the key; or, as clients of Perspective do it, `?key=`. */
function credentialOf({ headers, query, routeOptions }: FastifyRequest): string | undefined {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const [, scheme = "", value = ""] = /^(\w+) +(\S+)$/.exec(authorization.trim()) ?? [];
    if (/^bearer$/i.test(scheme)) return value;
    if (!/^basic$/i.test(scheme)) return undefined;
    const text = Buffer.from(value, "base64").toString("utf8");
    const colon = text.indexOf(":");
    return colon === -1 ? undefined : text.slice(colon + 1);
  }
  const { keyInQuery } = routeOptions.config;
  const { key } = (query ?? {}) as { key?: unknown };
  return keyInQuery === true && typeof key === "string" ? key : undefined;
}
