import { assembleServer } from "#cli/server.ts";
import { Guard } from "#cli/guard.ts";
import { loadConfig } from "#config/load.ts";
import { KeyDesk } from "#keys/key-desk.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";

const OURS = "https://chat.example";

async function open(t: TestContext, corsOrigins = "") {
  const { config } = loadConfig({ file: undefined, environment: {}, flags: { corsOrigins } });
  const log = openLog("silent");
  const desk = new KeyDesk(":memory:");
  const { key } = desk.create({ roles: ["admin"], tenants: ["*"] }, "test");
  const guard = new Guard({ desk, log, config });
  const engine = new FakeEngine();
  const { server } = await assembleServer(engine, log, { guard });
  t.after(async () => {
    await server.close();
    guard.close();
  });
  return { server, headers: { authorization: `Bearer ${key}` } };
}

test("browsers: without a list no page of another origin is told anything", async (t) => {
  const { server, headers } = await open(t);
  const url = "/v1/tenants";
  const answer = await server.inject({ url, headers: { ...headers, origin: OURS } });
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.headers["access-control-allow-origin"], undefined);
  const preflight = await server.inject({
    method: "OPTIONS",
    url,
    headers: { origin: OURS, "access-control-request-method": "GET" },
  });
  assert.notEqual(preflight.statusCode, 204);
  assert.equal(preflight.headers["access-control-allow-origin"], undefined);
});

test("browsers: pages of a listed origin may ask with a key; others may not", async (t) => {
  const { server, headers } = await open(t, `${OURS}, http://localhost:5173`);
  const url = "/v1/tenants/acme/events";
  const ask = async (origin: string, method: "POST" | "OPTIONS", more = {}) =>
    server.inject({
      method,
      url,
      headers: { origin, "sec-fetch-site": "cross-site", ...more },
      ...(method === "POST" ? { payload: { user: "ada", text: "hello" } } : {}),
    });
  const wish = { "access-control-request-method": "POST" };
  for (const origin of [OURS, "http://localhost:5173"]) {
    const preflight = await ask(origin, "OPTIONS", wish);
    assert.equal(preflight.statusCode, 204);
    assert.equal(preflight.headers["access-control-allow-origin"], origin);
    assert.match(String(preflight.headers["access-control-allow-headers"]), /authorization/);
    assert.match(String(preflight.headers["access-control-allow-methods"]), /POST/);
    assert.equal(preflight.headers["access-control-allow-credentials"], undefined);
    assert.equal(preflight.headers["vary"], "origin");
    const posted = await ask(origin, "POST", headers);
    assert.equal(posted.statusCode, 202);
    assert.equal(posted.headers["access-control-allow-origin"], origin);
    // A refusal can be read by the page, too.
    const refused = await ask(origin, "POST");
    assert.equal(refused.statusCode, 401);
    assert.equal(refused.headers["access-control-allow-origin"], origin);
  }
  const others = ["https://chat.example:8443", "http://chat.example", "https://a.chat.example"];
  for (const origin of [...others, "https://chat.example.evil", "null", "*"]) {
    const preflight = await ask(origin, "OPTIONS", wish);
    assert.notEqual(preflight.statusCode, 204, origin);
    assert.equal(preflight.headers["access-control-allow-origin"], undefined, origin);
    const posted = await ask(origin, "POST", headers);
    assert.equal(posted.statusCode, 403, origin);
    assert.equal(posted.json<{ code: string }>().code, "crossSite");
  }
});

test("browsers: who does not say where a page is from is held to its origin", async (t) => {
  const { server, headers } = await open(t);
  const write = async (more: Record<string, string>): Promise<number> => {
    const all = { ...headers, host: "localhost:7070", ...more };
    const payload = { user: "ada", text: "hello" };
    const url = "/v1/tenants/acme/events";
    return (await server.inject({ method: "POST", url, headers: all, payload })).statusCode;
  };
  // No browser at all; a page of ours; a page of ours behind a proxy that has its own name for us.
  assert.equal(await write({}), 202);
  assert.equal(await write({ origin: "http://localhost:7070" }), 202);
  const site = { "sec-fetch-site": "same-origin" };
  assert.equal(await write({ origin: "https://nexus.example", ...site }), 202);
  for (const origin of ["http://localhost:5173", "http://evil.example", "null", "x"]) {
    assert.equal(await write({ origin }), 403, origin);
    assert.equal(await write({ origin, "sec-fetch-site": "same-site" }), 403, origin);
  }
});

test("browsers: a list of anything but origins is refused with what would be right", () => {
  const load = (corsOrigins: string) => () =>
    loadConfig({ file: undefined, environment: {}, flags: { corsOrigins } });
  for (const wrong of ["*", "https://*.example", "chat.example", `${OURS}/`, `${OURS}/app`]) {
    assert.throws(load(wrong), /scheme:\/\/host:port, no path, no \*/, wrong);
  }
  assert.throws(load("https://chat.example:443"), /corsOrigins has/);
});

test("browsers: what the API answers is neither framed nor run; the page is strict", async (t) => {
  const { server, headers } = await open(t);
  for (const [url, status] of [
    ["/v1/tenants", 200],
    ["/nothing", 404],
    ["/readyz", 200],
  ] as const) {
    const answer = await server.inject({ url, headers });
    assert.equal(answer.statusCode, status);
    const policy = "default-src 'none'; frame-ancestors 'none'";
    assert.equal(answer.headers["content-security-policy"], policy);
    assert.equal(answer.headers["x-content-type-options"], "nosniff");
    assert.equal(answer.headers["referrer-policy"], "no-referrer");
    assert.equal(answer.headers["cross-origin-resource-policy"], "same-origin");
    assert.match(String(answer.headers["permissions-policy"]), /camera=\(\)/);
  }
  const page = await server.inject({ url: "/docs/" });
  assert.equal(page.statusCode, 200);
  const policy = String(page.headers["content-security-policy"]);
  assert.match(policy, /default-src 'self'.*frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /script-src[^;]*unsafe|\*/);
  const landing = await server.inject({ url: "/", headers: { accept: "text/html" } });
  assert.match(String(landing.headers["content-security-policy"]), /frame-ancestors 'none'/);
});
