import { createHmac, createPublicKey, createSign, generateKeyPairSync } from "node:crypto";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type TestContext, test } from "node:test";
import { Problem } from "#model/problem.ts";
import { Tokens, type TokenSettings } from "./tokens.ts";

const AUDIENCE = "nexuscore";
const GRANT = { roles: ["tenantRead"], tenants: ["acme"] };

type Pair = ReturnType<typeof newPair>;

function newPair(kid: string) {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const jwk = { ...publicKey.export({ format: "jwk" }), kid, use: "sig", alg: "RS256" };
  return { kid, privateKey, publicKey, jwk };
}

const ONE = newPair("one");
const TWO = newPair("two");

/** A provider on this machine: its configuration and its keys, which a test may change. */
async function open(t: TestContext, settings: Partial<TokenSettings> = {}) {
  const provider = { keys: [ONE], isDown: false, asked: 0, issuer: "" };
  const server = createServer((request, response) => {
    if (provider.isDown) {
      response.writeHead(500).end();
      return;
    }
    const isKeys = request.url === "/keys";
    if (isKeys) provider.asked += 1;
    const { issuer } = provider;
    const body = isKeys
      ? { keys: provider.keys.map(({ jwk }) => jwk) }
      : { issuer, jwks_uri: `${issuer}keys` };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  // With a slash at its end, as some providers write theirs: it must be taken as it is.
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  provider.issuer = issuer;
  const clock = { nowMs: Date.now() };
  const failures: string[] = [];
  const tokens = new Tokens({
    issuer,
    audience: AUDIENCE,
    claim: "nexuscore",
    nowMs: () => clock.nowMs,
    onFailure: (reason) => failures.push(reason),
    ...settings,
  });
  const claims = (over: object = {}): object => {
    const seconds = Math.floor(clock.nowMs / 1_000);
    const times = { iat: seconds, exp: seconds + 300 };
    return { iss: issuer, aud: AUDIENCE, sub: "ada", ...times, nexuscore: GRANT, ...over };
  };
  return { provider, tokens, claims, clock, failures, issuer };
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function signed(claims: object, pair: Pair = ONE, header: object = {}): string {
  const head = encoded({ alg: "RS256", kid: pair.kid, typ: "JWT", ...header });
  const body = `${head}.${encoded(claims)}`;
  return `${body}.${createSign("RSA-SHA256").update(body).sign(pair.privateKey, "base64url")}`;
}

test("tokens: one of the provider opens what its claim gives", async (t) => {
  const { tokens, claims, issuer } = await open(t);
  assert.ok(issuer.endsWith("/"));
  const text = signed(claims());
  const found = await tokens.verify(text);
  assert.deepEqual(found?.principal, { name: "oidc:ada", ...GRANT });
  assert.deepEqual(tokens.known(text)?.principal, found?.principal);
  const odd = { roles: ["root", "moderator"], tenants: ["a b", "shop-*", 7] };
  const other = await tokens.verify(signed(claims({ sub: "a\nb", nexuscore: odd })));
  assert.deepEqual(other?.principal, {
    name: "oidc:a?b",
    roles: ["moderator"],
    tenants: ["shop-*"],
  });
  // Without the claim somebody is known, and may do nothing.
  const nobody = await tokens.verify(signed(claims({ nexuscore: undefined })));
  assert.deepEqual(nobody?.principal, { name: "oidc:ada", roles: [], tenants: [] });
});

test("tokens: the claim may be within another, or be named like an address", async (t) => {
  const within = await open(t, { claim: "resource_access.nexuscore" });
  const nested = within.claims({ nexuscore: undefined, resource_access: { nexuscore: GRANT } });
  assert.deepEqual((await within.tokens.verify(signed(nested)))?.principal.tenants, ["acme"]);
  const address = await open(t, { claim: "https://nexus.example/grant" });
  const named = address.claims({ "https://nexus.example/grant": GRANT });
  assert.deepEqual((await address.tokens.verify(signed(named)))?.principal.tenants, ["acme"]);
});

test("tokens: what is forged, for others, or out of time opens nothing", async (t) => {
  const { tokens, claims, clock } = await open(t);
  const seconds = Math.floor(clock.nowMs / 1_000);
  const none = `${encoded({ alg: "none" })}.${encoded(claims())}.`;
  // Signed with the public key as if it were a shared secret.
  const pem = createPublicKey(ONE.privateKey).export({ type: "spki", format: "pem" });
  const body = `${encoded({ alg: "HS256", kid: "one" })}.${encoded(claims())}`;
  const confused = `${body}.${createHmac("sha256", pem).update(body).digest("base64url")}`;
  const good = signed(claims());
  const swapped = `${good.split(".")[0]}.${encoded(claims({ sub: "eve" }))}.${good.split(".")[2]}`;
  const embedded = signed(claims(), TWO, { kid: "one", jwk: TWO.jwk });
  const wrong = {
    none,
    confused,
    swapped,
    embedded,
    issuer: signed(claims({ iss: "https://evil.example/" })),
    audience: signed(claims({ aud: "other" })),
    noAudience: signed(claims({ aud: undefined })),
    expired: signed(claims({ exp: seconds - 31 })),
    endless: signed(claims({ exp: undefined })),
    early: signed(claims({ nbf: seconds + 31 })),
    nobody: signed(claims({ sub: undefined })),
    critical: signed(claims(), ONE, { crit: ["x"], x: 1 }),
    noParts: "abc",
    letters: "ä.ö.ü",
    huge: signed(claims({ padding: "x".repeat(8_192) })),
  };
  for (const [why, text] of Object.entries(wrong)) {
    assert.equal(await tokens.verify(text), undefined, why);
    assert.equal(tokens.known(text), undefined, why);
  }
  // Clocks may be half a minute apart.
  for (const over of [{ exp: seconds - 29 }, { nbf: seconds + 29 }]) {
    assert.ok(await tokens.verify(signed(claims(over))), JSON.stringify(over));
  }
});

test("tokens: one that was verified is taken for a minute, never beyond its end", async (t) => {
  const { tokens, claims, clock } = await open(t);
  const seconds = Math.floor(clock.nowMs / 1_000);
  const short = signed(claims({ exp: seconds + 10 }));
  const long = signed(claims());
  await Promise.all([tokens.verify(short), tokens.verify(long)]);
  clock.nowMs += 39_000;
  assert.ok(tokens.known(short) && tokens.known(long));
  clock.nowMs += 2_000;
  assert.equal(tokens.known(short), undefined);
  assert.equal(await tokens.verify(short), undefined);
  clock.nowMs += 20_000;
  assert.equal(tokens.known(long), undefined);
  assert.ok(await tokens.verify(long));
});

test("tokens: keys that nobody knows are asked for once, rotated ones are found", async (t) => {
  const { tokens, provider, claims } = await open(t);
  await tokens.verify(signed(claims()));
  assert.equal(provider.asked, 1);
  // Within the cooldown nobody makes us ask.
  for (let i = 0; i < 5; i++) {
    assert.equal(await tokens.verify(signed(claims({ sub: `eve${i}` }), TWO)), undefined);
  }
  assert.equal(provider.asked, 1);
  // The library's cooldown goes by the machine's clock.
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 31_000 });
  provider.keys = [TWO];
  assert.ok(await tokens.verify(signed(claims(), TWO)));
  assert.equal(provider.asked, 2);
  assert.equal(await tokens.verify(signed(claims({ sub: "old" }))), undefined, "it was withdrawn");
});

test("tokens: of a provider that is down the known keys go on, others are 503", async (t) => {
  const { tokens, provider, claims, clock, failures } = await open(t);
  provider.isDown = true;
  const unavailable = (error: unknown): boolean =>
    error instanceof Problem && error.code === "identityUnavailable" && error.status === 503;
  await assert.rejects(tokens.verify(signed(claims())), unavailable);
  assert.equal(failures.length, 1);
  // It is not asked again with each token.
  await assert.rejects(tokens.verify(signed(claims())), unavailable);
  assert.equal(failures.length, 1);
  provider.isDown = false;
  clock.nowMs += 6_000;
  assert.ok(await tokens.verify(signed(claims())));
  provider.isDown = true;
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 1_200_000 });
  clock.nowMs += 1_200_000;
  assert.ok(await tokens.verify(signed(claims())), "20 minutes later");
  await assert.rejects(tokens.verify(signed(claims(), TWO)), unavailable, "a key it may know");
  t.mock.timers.setTime(Date.now() + 3_600_000);
  clock.nowMs += 3_600_000;
  await assert.rejects(tokens.verify(signed(claims())), unavailable, "an hour later");
});

test("tokens: a provider that names another issuer, or plain http, is not believed", async (t) => {
  const other = await open(t);
  other.provider.issuer = "http://127.0.0.1:1/";
  await assert.rejects(other.tokens.verify(signed(other.claims())), Problem);
  assert.match(other.failures[0]!, /another issuer/);
  const plain = await open(t, {
    fetch: async () =>
      Response.json({ issuer: plain.issuer, jwks_uri: "http://keys.example/jwks" }),
  });
  await assert.rejects(plain.tokens.verify(signed(plain.claims())), Problem);
  assert.match(plain.failures[0]!, /no https address/);
});
