import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import test from "node:test";
import Fastify, { type FastifyInstance } from "fastify";
import { type Access, ACCESSES, type Role, ROLES } from "#model/access.ts";
import { KEY_TRIES_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import { registerAccess, setAccess, tenantFor } from "./access-hooks.ts";
import { KeyRing } from "./key-ring.ts";
import { KEY_TABLES, KeyTable } from "./key-table.ts";

const NOW = 1_795_000_000_000;

function keysOf(wishes: readonly { roles: readonly Role[]; tenants: readonly string[] }[]) {
  const database = new DatabaseSync(":memory:");
  database.exec(KEY_TABLES);
  const table = new KeyTable(database);
  const ring = new KeyRing();
  const made = wishes.map((wish) => ({ ...wish, ...table.create(wish, NOW) }));
  for (const { record } of made) ring.put(record);
  return { ring, made };
}

type Options = { readonly ring?: KeyRing; readonly isLoopback?: boolean };

async function serverWith({ ring = new KeyRing(), isLoopback = true }: Options) {
  const server = Fastify();
  const refusals: string[] = [];
  registerAccess(server, {
    keys: ring,
    isLoopback,
    nowMs: () => NOW,
    onRefusal: (refusal) => refusals.push(refusal),
  });
  server.setErrorHandler((error, _request, reply) => {
    const problem = error instanceof Problem ? error : new Problem("internal", String(error));
    void reply.code(problem.status).send({ code: problem.code, detail: problem.message });
  });
  return { server, refusals };
}

/** A route for each access, of a tenant and of none. */
function addRoutes(server: FastifyInstance): void {
  for (const access of ACCESSES) {
    const options = { config: { access } };
    server.post(`/v1/tenants/:tenant/${access}`, options, async () => ({ ok: true }));
    server.post(`/v1/${access}`, options, async () => ({ ok: true }));
  }
}

const bearer = (text: string): { authorization: string } => ({ authorization: `Bearer ${text}` });

test("of every route and every key exactly those open that roles and scopes give", async () => {
  const roles = Object.keys(ROLES) as Role[];
  const wishes = roles.flatMap((role) =>
    [["acme"], ["ac*"], ["other"], ["*"]].map((tenants) => ({ roles: [role], tenants })),
  );
  const { ring, made } = keysOf(wishes);
  const { server } = await serverWith({ ring });
  addRoutes(server);
  let opened = 0;
  for (const access of ACCESSES) {
    for (const url of [`/v1/tenants/acme/${access}`, `/v1/${access}`]) {
      const bare = await server.inject({ method: "POST", url });
      assert.equal(bare.statusCode, access === "public" ? 200 : 401, url);
      for (const {
        roles: [role],
        tenants,
        text,
      } of made) {
        const { statusCode } = await server.inject({ method: "POST", url, headers: bearer(text) });
        const gives = (ROLES[role!] as readonly Access[]).includes(access);
        const isOurs = !url.includes("acme") || !tenants.includes("other");
        const isServers = !["watch", "operate"].includes(access) || tenants.includes("*");
        const expected = access === "public" || (gives && isOurs && isServers) ? 200 : 403;
        assert.equal(statusCode, expected, `${url} as ${role} of ${tenants.join()}`);
        if (statusCode === 200) opened += 1;
      }
    }
  }
  assert.ok(opened > 50);
  await server.close();
});

test("with a route that says nothing the server does not start", async () => {
  const { server } = await serverWith({});
  server.get("/v1/forgotten", async () => ({}));
  await assert.rejects(async () => server.ready(), /GET \/v1\/forgotten/);
  const other = await serverWith({});
  await other.server.register(async (scope) => {
    setAccess(scope, "public");
    scope.get("/docs", async () => ({}));
  });
  await other.server.ready();
  await other.server.close();
});

test("without any key only this machine is let in, under its own names", async () => {
  const { server } = await serverWith({});
  addRoutes(server);
  const status = async (host: string): Promise<number> => {
    const answer = await server.inject({ method: "POST", url: "/v1/operate", headers: { host } });
    return answer.statusCode;
  };
  for (const host of ["localhost:7070", "127.0.0.1", "[::1]:7070", "LOCALHOST"]) {
    assert.equal(await status(host), 200, host);
  }
  // A page of another site whose name was made to mean this machine.
  for (const host of ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:7070"]) {
    assert.equal(await status(host), 403, host);
  }
  const open = await serverWith({ isLoopback: false });
  addRoutes(open.server);
  const outside = await open.server.inject({ method: "POST", url: "/v1/read" });
  assert.equal(outside.statusCode, 401);
  await Promise.all([server.close(), open.server.close()]);
});

test("the first key closes what was open", async () => {
  const { ring, made } = keysOf([{ roles: ["admin"], tenants: ["*"] }]);
  const empty = new KeyRing();
  const { server } = await serverWith({ ring: empty });
  addRoutes(server);
  const status = async (headers: Record<string, string>): Promise<number> =>
    (await server.inject({ method: "POST", url: "/v1/read", headers })).statusCode;
  assert.equal(await status({ host: "localhost" }), 200);
  empty.put(made[0]!.record);
  assert.equal(ring.count, 1);
  assert.equal(await status({ host: "localhost" }), 401);
  assert.equal(await status(bearer(made[0]!.text)), 200);
  await server.close();
});

test("a key comes as Bearer, as Basic, and in the query only where that is said", async () => {
  const { ring, made } = keysOf([{ roles: ["admin"], tenants: ["*"] }]);
  const { server, refusals } = await serverWith({ ring });
  const { text } = made[0]!;
  server.get("/plain", { config: { access: "read" } }, async () => ({}));
  const config = { access: "judge", keyInQuery: true } as const;
  server.get("/perspective", { config }, async () => ({}));
  const basic = (value: string): string => `Basic ${Buffer.from(value).toString("base64")}`;
  const status = async (url: string, authorization?: string): Promise<number> => {
    const headers = authorization === undefined ? {} : { authorization };
    return (await server.inject({ method: "GET", url, headers })).statusCode;
  };
  assert.equal(await status("/plain", `bearer   ${text}`), 200);
  assert.equal(await status("/plain", basic(`anybody:${text}`)), 200);
  assert.equal(await status("/plain", basic(text)), 401);
  assert.equal(await status("/plain", `Digest ${text}`), 401);
  assert.equal(await status("/plain", text), 401);
  assert.equal(await status(`/plain?key=${text}`), 401);
  assert.equal(await status(`/perspective?key=${text}`), 200);
  assert.equal(await status(`/perspective?key=${text}&key=${text}`), 401);
  assert.equal(await status("/plain", `Bearer ${text.slice(1)}`), 401);
  assert.equal(await status("/nothing-here"), 404);
  assert.deepEqual(refusals.slice(-2), ["missing", "malformed"]);
  await server.close();
});

test("a token opens what its claims give, and is looked at where no key was meant", async () => {
  const { ring, made } = keysOf([{ roles: ["tenantRead"], tenants: ["acme"] }]);
  const asked: string[] = [];
  const server = Fastify();
  registerAccess(server, {
    keys: ring,
    isLoopback: false,
    nowMs: () => NOW,
    tokens: {
      known: () => undefined,
      verify: async (text) => {
        asked.push(text);
        if (text !== "good.token") return undefined;
        const principal = { name: "ada", roles: ["moderator"], tenants: ["acme"] } as const;
        return { principal, endsMs: Infinity };
      },
    },
  });
  server.get("/v1/tenants/:tenant/r", { config: { access: "review" } }, async () => ({}));
  const status = async (text: string): Promise<number> =>
    (await server.inject({ url: "/v1/tenants/acme/r", headers: bearer(text) })).statusCode;
  assert.equal(await status("good.token"), 200);
  assert.notEqual(await status("bad.token"), 200);
  assert.notEqual(await status(made[0]!.text), 200);
  assert.deepEqual(asked, ["good.token", "bad.token"]);
  // A stranger behind the same proxy locks nobody out: neither who has a token nor who has a key.
  for (let i = 0; i < KEY_TRIES_MAX; i++) await status("bad.token");
  assert.equal(await status("bad.token"), 429);
  assert.equal(await status("good.token"), 200);
  assert.equal(await status(made[0]!.text), 403);
  await server.close();
});

test("a tenant that is named elsewhere than in the path is checked there", async () => {
  const { ring, made } = keysOf([
    { roles: ["tenantWrite"], tenants: ["acme"] },
    { roles: ["tenantWrite"], tenants: ["acme", "shop-*"] },
    { roles: ["tenantWrite"], tenants: ["*"] },
  ]);
  const { server } = await serverWith({ ring });
  server.get("/events", { config: { access: "send" } }, async (request) => ({
    tenant: tenantFor(request, request.headers["x-tenant"] as string | undefined) ?? null,
  }));
  const answer = async (key: number, tenant?: string): Promise<unknown> => {
    const named = tenant === undefined ? {} : { "x-tenant": tenant };
    const headers = { ...bearer(made[key]!.text), ...named };
    const response = await server.inject({ url: "/events", headers });
    return response.statusCode === 200
      ? response.json<{ tenant: unknown }>().tenant
      : response.statusCode;
  };
  assert.equal(await answer(0), "acme");
  assert.equal(await answer(0, "acme"), "acme");
  assert.equal(await answer(0, "shop-1"), 403);
  assert.equal(await answer(1), 403);
  assert.equal(await answer(1, "shop-1"), "shop-1");
  assert.equal(await answer(1, "other"), 403);
  assert.equal(await answer(2), null);
  assert.equal(await answer(2, "other"), "other");
  await server.close();
});
