/**
 * Every route of the server and of its reference, with every key that there may be. A route that is
 * not in the table fails the test: whoever adds one says here, too, what it asks for.
 */
import { assembleServer } from "#cli/server.ts";
import { Guard } from "#cli/guard.ts";
import type { EngineDoor } from "#engine/door.ts";
import { guardedRoutes } from "#keys/access-hooks.ts";
import { KeyDesk } from "#keys/key-desk.ts";
import { newKey } from "#keys/key-text.ts";
import { type Access, ROLES, type Role } from "#model/access.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";

const TENANT = "/v1/tenants/:tenant";
const REVIEW = `${TENANT}/reviews/:review(^[A-Za-z0-9_]+)`;
const WEBHOOK = `${TENANT}/webhooks/:webhook(^[A-Za-z0-9_-]{1,64})`;
const KEY = "/v1/keys/:key(^[0-9A-Za-z]+)";

/** What each route asks for; HEAD is as GET. */
const TABLE: Readonly<Record<string, Access>> = {
  "GET /": "public",
  "GET /livez": "public",
  "GET /readyz": "public",
  "GET /openapi.json": "public",
  "GET /docs": "public",
  "GET /docs/": "public",
  "GET /docs/json": "public",
  "GET /docs/yaml": "public",
  "GET /docs/static/*": "public",
  "GET /docs/static/index.html": "public",
  "GET /docs/static/swagger-initializer.js": "public",
  "GET /docs/static/theme/nexuscore.css": "public",
  "POST /v1/events": "send",
  [`POST ${TENANT}/events`]: "send",
  [`GET ${TENANT}/trending`]: "read",
  [`GET ${TENANT}/summary`]: "read",
  [`GET ${TENANT}/sketch`]: "read",
  [`GET ${TENANT}/conversations`]: "read",
  [`GET ${TENANT}/conversations/:conversation/summary`]: "read",
  [`GET ${TENANT}/live`]: "read",
  [`GET ${TENANT}`]: "read",
  [`GET ${TENANT}/llm`]: "read",
  [`GET ${TENANT}/quota`]: "read",
  "GET /v1/tenants": "read",
  "POST /v1/summaries::merge": "read",
  [`POST ${TENANT}/moderate`]: "judge",
  [`POST ${TENANT}/moderations`]: "judge",
  [`POST ${TENANT}/v1alpha1/comments::analyze`]: "judge",
  [`POST ${TENANT}/v1alpha1/comments::suggestscore`]: "judge",
  [`POST ${TENANT}/reviews`]: "judge",
  "POST /v1/moderations": "judge",
  "POST /v1alpha1/comments::analyze": "judge",
  "POST /v1alpha1/comments::suggestscore": "judge",
  [`GET ${TENANT}/policy`]: "review",
  [`GET ${TENANT}/policy/versions`]: "review",
  [`POST ${TENANT}/policy::dryRun`]: "review",
  [`GET ${TENANT}/conversations/:conversation/turns`]: "review",
  [`GET ${TENANT}/reviews`]: "review",
  [`POST ${TENANT}/reviews::claim`]: "review",
  [`GET ${TENANT}/reviews::stats`]: "review",
  [`GET ${TENANT}/reviews::notReviewed`]: "review",
  [`GET ${TENANT}/reviews::export`]: "review",
  [`GET ${REVIEW}`]: "review",
  [`POST ${REVIEW}::claim`]: "review",
  [`POST ${REVIEW}::release`]: "review",
  [`POST ${REVIEW}::decide`]: "review",
  [`POST ${REVIEW}::appeal`]: "review",
  [`GET ${TENANT}/labels::export`]: "review",
  [`GET ${TENANT}/authors/:author/history`]: "review",
  [`GET ${TENANT}/audit`]: "review",
  [`GET ${TENANT}/retention`]: "review",
  [`PUT ${TENANT}`]: "manage",
  [`DELETE ${TENANT}`]: "manage",
  [`GET ${TENANT}/deletion`]: "manage",
  [`PUT ${TENANT}/policy`]: "manage",
  [`DELETE ${TENANT}/policy`]: "manage",
  [`DELETE ${TENANT}/conversations/:conversation/turns`]: "manage",
  [`DELETE ${TENANT}/conversations/:conversation/reviews`]: "manage",
  [`DELETE ${TENANT}/authors/:author`]: "manage",
  [`PUT ${TENANT}/retention`]: "manage",
  [`GET ${TENANT}/webhooks`]: "manage",
  [`GET ${WEBHOOK}`]: "manage",
  [`PUT ${WEBHOOK}`]: "manage",
  [`DELETE ${WEBHOOK}`]: "manage",
  [`POST ${WEBHOOK}::test`]: "manage",
  "GET /metrics": "watch",
  "GET /v1/system/kernel": "watch",
  "GET /v1/system/storage": "watch",
  "GET /v1/llm": "watch",
  [`PUT ${TENANT}/llm`]: "operate",
  [`PUT ${TENANT}/quota`]: "operate",
  [`GET ${TENANT}/state`]: "operate",
  "GET /v1/keys": "operate",
  "POST /v1/keys": "operate",
  "GET /v1/keys::audit": "operate",
  [`POST ${KEY}::rotate`]: "operate",
  [`DELETE ${KEY}`]: "operate",
  "GET /v1/backups": "operate",
  "POST /v1/backups": "operate",
  "GET /v1/backups/:name": "operate",
};

/** Routes whose tenant is not in the path refuse scopes that leave open which one is meant. */
const NEEDS_ONE = ["POST /v1/events", "POST /v1/moderations"];
const NEEDS_ALL = ["GET /v1/tenants"];
const SCOPES = [["acme"], ["ac*"], ["other"], ["other", "elsewhere"], ["*"]] as const;

let nowMs = 1_795_000_000_000;

/** A server whose keys are on; `calls` counts what reached the engine. */
async function open(t: TestContext) {
  const calls = { count: 0 };
  const engine = new Proxy(new FakeEngine(), {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]): unknown => {
        calls.count += 1;
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  }) as unknown as EngineDoor;
  const desk = new KeyDesk(":memory:", () => nowMs);
  const log = openLog("silent");
  const guard = new Guard({ desk, log, nowMs: () => nowMs });
  const { server } = await assembleServer(engine, log, { guard });
  await server.ready();
  t.after(async () => {
    await server.close();
    guard.close();
  });
  const keyOf = (roles: readonly Role[], tenants: readonly string[]) =>
    desk.create({ roles, tenants }, "test");
  /** From an address of its own: tries that fail are counted by address. */
  let address = 0;
  const ask = async (route: string, key?: string): Promise<number> => {
    const [method, url] = requestOf(route);
    const authorization = key === undefined ? {} : { authorization: `Bearer ${key}` };
    address += 1;
    const remoteAddress = `10.${(address >> 16) & 255}.${(address >> 8) & 255}.${address & 255}`;
    const answer = await server.inject({ method, url, headers: authorization, remoteAddress });
    return answer.statusCode;
  };
  return { server, desk, keyOf, ask, calls };
}

function requestOf(route: string): ["GET", string] {
  const [method, pattern] = route.split(" ") as ["GET", string];
  const url = pattern
    .replaceAll(":tenant", "acme")
    .replaceAll(/(?<!:):\w+(?:\([^)]*\))?/g, "x1")
    .replaceAll("::", ":")
    .replace("*", "index.html");
  return [method, url];
}

test("walls: the table has every route of the server and of its reference", async (t) => {
  const { server } = await open(t);
  const routes = guardedRoutes(server).filter(({ method }) => method !== "HEAD");
  for (const { method, url, access } of routes) {
    assert.equal(access, TABLE[`${method} ${url}`], `${method} ${url}`);
  }
  const here = new Set(routes.map(({ method, url }) => `${method} ${url}`));
  // The page's own redirect is not told to the hook under each of its names.
  const gone = Object.keys(TABLE).filter((route) => !here.has(route) && route !== "GET /docs");
  assert.deepEqual(gone, []);
  for (const { method, url, access } of guardedRoutes(server)) {
    if (method === "HEAD") assert.equal(access, TABLE[`GET ${url}`], `HEAD ${url}`);
  }
  const { paths } = server.swagger() as unknown as {
    paths: Record<string, Record<string, object>>;
  };
  const documented = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
  );
  const known = new Set(Object.keys(TABLE).map((route) => documentedForm(route)));
  for (const { method, path } of documented) assert.ok(known.has(`${method} ${path}`), path);
  assert.ok(documented.length > 60);
});

test("walls: answers that go on are looked at again, exports too", async (t) => {
  const { server } = await open(t);
  const streams = guardedRoutes(server).filter(({ method, isStream }) => {
    return isStream && method !== "HEAD";
  });
  const expected = ["labels::export", "live", "reviews::export"];
  assert.deepEqual(streams.map(({ url }) => url.split("/").at(-1)).toSorted(), expected);
});

/** As the reference writes it. */
function documentedForm(route: string): string {
  return route.replaceAll(/(?<!:):(\w+)(?:\([^)]*\))?/g, "{$1}").replaceAll("::", ":");
}

test("walls: no route opens to who has no key, or one that opens nothing", async (t) => {
  const { desk, keyOf, ask, calls } = await open(t);
  const admin = (): string => keyOf(["admin"], ["*"]).key;
  const opening = admin();
  const expired = desk.create(
    { roles: ["admin"], tenants: ["*"], expiresMs: nowMs + 1_000 },
    "test",
  );
  const revoked = keyOf(["admin"], ["*"]);
  desk.revoke(revoked.id, "test");
  const rotated = keyOf(["admin"], ["*"]);
  desk.rotate(rotated.id, "test", 1_000);
  const twice = keyOf(["admin"], ["*"]);
  desk.rotate(twice.id, "test", 86_400_000);
  desk.rotate(twice.id, "test", 86_400_000);
  nowMs += 2_000;
  const wrong = {
    none: undefined,
    empty: "",
    typo: `${opening.slice(0, -1)}${opening.endsWith("0") ? "1" : "0"}`,
    ofNobody: newKey().text,
    otherSecret: newKey(expired.id).text,
    expired: expired.key,
    revoked: revoked.key,
    former: rotated.key,
    formerTwice: twice.key,
    token: "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.",
  };
  for (const [route, access] of Object.entries(TABLE)) {
    if (access === "public") continue;
    for (const [why, key] of Object.entries(wrong)) {
      const before = calls.count;
      assert.equal(await ask(route, key), 401, `${route} with ${why}`);
      assert.equal(calls.count, before, `${route} with ${why} reached the engine`);
    }
  }
  for (const [route, access] of Object.entries(TABLE)) {
    if (access === "public") assert.ok((await ask(route)) < 400, route);
  }
});

test("walls: each route opens to exactly the roles and scopes that it is for", async (t) => {
  const { keyOf, ask, calls } = await open(t);
  // Those that end keys are asked about one that is not there.
  const keys = (Object.keys(ROLES) as Role[]).flatMap((role) =>
    SCOPES.map((tenants) => ({ role, tenants, key: keyOf([role], tenants).key })),
  );
  let opened = 0;
  for (const [route, access] of Object.entries(TABLE)) {
    if (access === "public") continue;
    for (const { role, tenants, key } of keys) {
      const before = calls.count;
      const status = await ask(route, key);
      const what = `${route} as ${role} of ${tenants.join()}: ${status}`;
      if (isFor(route, access, role, tenants)) {
        assert.ok(status !== 401 && status !== 403 && status !== 429, what);
        opened += 1;
      } else {
        assert.equal(status, 403, what);
        assert.equal(calls.count, before, `${what}, and it reached the engine`);
      }
    }
  }
  assert.ok(opened > 300, `${opened} opened`);
});

function isFor(route: string, access: Access, role: Role, tenants: readonly string[]): boolean {
  if (!(ROLES[role] as readonly Access[]).includes(access)) return false;
  if (["watch", "operate"].includes(access) && !tenants.includes("*")) return false;
  const [first] = tenants;
  const isAll = tenants.includes("*");
  if (route.includes(TENANT)) return isAll || first === "acme" || first === "ac*";
  if (NEEDS_ALL.includes(route)) return isAll;
  if (NEEDS_ONE.includes(route)) return isAll || (tenants.length === 1 && !first!.endsWith("*"));
  return true;
}

test("walls: a tenant that is named elsewhere than in the path is held to the key", async (t) => {
  const { server, keyOf } = await open(t);
  const scopes = { one: ["acme"], prefix: ["shop-*"], two: ["acme", "zoo"], all: ["*"] } as const;
  const send = async (
    scope: keyof typeof scopes,
    url: string,
    payload?: object,
    headers: Record<string, string> = {},
  ) => {
    const { key } = keyOf(["tenantWrite", "tenantRead"], scopes[scope]);
    const method = payload === undefined ? "GET" : "POST";
    const all = { authorization: `Bearer ${key}`, ...headers };
    return server.inject({ method, url, headers: all, ...(payload ? { payload } : {}) });
  };
  const event = (tenant: string) => ({ tenant, user: "ada", text: "hello there" });
  // Events of one tenant's key are that tenant's, whatever they say.
  assert.equal((await send("one", "/v1/events", event("acme"))).statusCode, 202);
  const strange = await send("one", "/v1/events", event("zoo"));
  assert.notEqual(strange.statusCode, 202);
  assert.equal((await send("all", "/v1/tenants/zoo")).statusCode, 404, "zoo was not made");
  assert.equal((await send("prefix", "/v1/events", event("shop-1"))).statusCode, 403);
  assert.equal((await send("all", "/v1/events", event("zoo"))).statusCode, 202);
  // OpenAI's form names it in a header, Perspective's in the body.
  const text = { input: "hello there" };
  const header = (tenant: string) => ({ "x-nexuscore-tenant": tenant });
  assert.equal((await send("one", "/v1/moderations", text)).statusCode, 200);
  assert.equal((await send("one", "/v1/moderations", text, header("zoo"))).statusCode, 403);
  assert.equal((await send("two", "/v1/moderations", text, header("zoo"))).statusCode, 200);
  assert.equal((await send("two", "/v1/moderations", text)).statusCode, 403);
  const comment = (communityId?: string) => ({
    comment: { text: "hello there" },
    requestedAttributes: { TOXICITY: {} },
    ...(communityId === undefined ? {} : { communityId }),
  });
  const analyze = "/v1alpha1/comments:analyze";
  assert.equal((await send("one", analyze, comment())).statusCode, 200);
  assert.equal((await send("one", analyze, comment("zoo"))).statusCode, 403);
  assert.equal((await send("prefix", analyze, comment("shop-1"))).statusCode, 200);
  assert.equal((await send("prefix", analyze, comment())).statusCode, 403);
  // Merges and lists.
  const merge = async (scope: keyof typeof scopes, body: object) =>
    (await send(scope, "/v1/summaries:merge", { window: "60s", ...body })).statusCode;
  assert.equal(await merge("one", { tenants: ["acme", "zoo"] }), 403);
  assert.equal(await merge("two", { tenants: ["acme", "zoo"] }), 200);
  assert.equal(await merge("two", { prefix: "" }), 403);
  assert.equal(await merge("prefix", { prefix: "shop-1" }), 200);
  assert.equal(await merge("prefix", { prefix: "shop" }), 403);
  const list = async (scope: keyof typeof scopes, prefix: string) =>
    (await send(scope, `/v1/tenants?prefix=${prefix}`)).statusCode;
  assert.equal(await list("prefix", "shop-"), 200);
  assert.equal(await list("prefix", "sho"), 403);
  assert.equal(await list("one", "acme"), 403, "acme2 begins so, too");
  assert.equal(await list("all", ""), 200);
});

test("walls: tries that fail end in 429, and who has a key goes on", async (t) => {
  const { server, keyOf } = await open(t);
  const { key } = keyOf(["monitor"], ["*"]);
  const ask = async (text: string, remoteAddress = "192.0.2.1") =>
    server.inject({
      url: "/metrics",
      remoteAddress,
      headers: { authorization: `Bearer ${text}` },
    });
  for (let i = 0; i < 20; i++) assert.equal((await ask(newKey().text)).statusCode, 401);
  const refused = await ask(newKey().text);
  assert.equal(refused.statusCode, 429);
  assert.equal(refused.json<{ code: string }>().code, "tooManyTries");
  assert.ok(Number(refused.headers["retry-after"]) <= 60);
  assert.equal((await ask(newKey().text, "192.0.2.2")).statusCode, 401);
  const metrics = await ask(key);
  assert.equal(metrics.statusCode, 200);
  assert.match(metrics.body, /nexuscore_auth_refused_total\{reason="unknown"\} 21\n/);
  assert.match(metrics.body, /nexuscore_auth_refused_total\{reason="tooMany"\} 1\n/);
  nowMs += 61_000;
  assert.equal((await ask(newKey().text)).statusCode, 401);
});
