import { assembleServer } from "#cli/server.ts";
import { BODY_BYTES_MAX } from "#model/limits.ts";
import { Problem, PROBLEMS, type ProblemCode } from "#model/problem.ts";
import { ProblemSchema } from "#model/schemas.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import type { InjectOptions } from "fastify";
import { Value } from "typebox/value";

const EVENT = '{"user":"ada","text":"boss fight"}';
const JSON_TYPE = { "content-type": "application/json" };
const NDJSON_TYPE = { "content-type": "application/x-ndjson" };
const EVENTS = "/v1/tenants/acme/events";

type Case = {
  readonly name: string;
  readonly request: InjectOptions;
  readonly before?: (engine: FakeEngine, beginStop: () => void) => void | Promise<unknown>;
  readonly status: number;
  readonly code?: ProblemCode;
  /** A part of `detail`. */
  readonly detail?: RegExp;
  readonly body?: object;
  readonly headers?: Record<string, string>;
};

const post = (payload: string | Buffer, headers: Record<string, string>, url = EVENTS) =>
  ({ method: "POST", url, payload, headers }) as const;
const counts = (accepted: number, rejected = 0) => ({ accepted, rejected });

const events: Case[] = [
  { name: "one object", request: post(EVENT, JSON_TYPE), status: 202, body: counts(1) },
  {
    name: "an array",
    request: post(`[${EVENT},${EVENT}]`, JSON_TYPE),
    status: 202,
    body: counts(2),
  },
  {
    name: "an array of which one is bad",
    request: post(`[${EVENT},{}]`, JSON_TYPE),
    status: 202,
    body: counts(1, 1),
  },
  {
    name: "an array of which all are bad",
    request: post("[{},3]", JSON_TYPE),
    status: 202,
    body: counts(0, 2),
  },
  {
    name: "NDJSON with a bad line",
    request: post(`${EVENT}\n{"text\n${EVENT}\n`, NDJSON_TYPE),
    status: 202,
    body: counts(2, 1),
  },
  ...["application/ndjson", "application/jsonl", "text/plain; charset=utf-8"].map((type) => ({
    name: `NDJSON as ${type}`,
    request: post(`${EVENT}\n${EVENT}`, { "content-type": type }),
    status: 202,
    body: counts(2),
  })),
  { name: "no type, object", request: post(EVENT, {}), status: 202, body: counts(1) },
  { name: "no type, lines", request: post(`${EVENT}\n${EVENT}`, {}), status: 202, body: counts(2) },
  {
    name: "no type, object over lines",
    request: post('{\n "text":\n "a" }', {}),
    status: 202,
    body: counts(1),
  },
  { name: "no type, array", request: post(`[${EVENT}]`, {}), status: 202, body: counts(1) },
  {
    name: "several tenants",
    request: post(
      '{"tenant":"a","text":"x"}\n{"tenant":"b","text":"y"}\n{"text":"z"}',
      NDJSON_TYPE,
      "/v1/events",
    ),
    status: 202,
    body: counts(2, 1),
  },
  ...(
    [
      ["gzip", gzipSync(EVENT)],
      ["deflate", deflateSync(EVENT)],
      ["br", brotliCompressSync(EVENT)],
      ["zstd", zstdCompressSync(EVENT)],
      ["identity", Buffer.from(EVENT)],
      ["GZIP", gzipSync(EVENT)],
    ] as const
  ).map(([encoding, payload]) => ({
    name: `encoding ${encoding}`,
    request: post(payload, { ...JSON_TYPE, "content-encoding": encoding }),
    status: 202,
    body: counts(1),
  })),
];

const bomb = Buffer.alloc(BODY_BYTES_MAX + 1, 0x20);

const refusals: Case[] = [
  { name: "no body", request: post("", JSON_TYPE), status: 400, code: "badRequest" },
  {
    name: "one bad object",
    request: post('{"text":3}', JSON_TYPE),
    status: 400,
    code: "badRequest",
    detail: /text is a string/,
    body: {
      ...counts(0, 1),
      errors: [{ index: 0, code: "textInvalid", message: "text is a string." }],
    },
  },
  {
    name: "one object that is not JSON",
    request: post('{"text', JSON_TYPE),
    status: 400,
    code: "malformedJson",
  },
  {
    name: "one object with an illegal tenant",
    request: post('{"tenant":"a b","text":"x"}', JSON_TYPE, "/v1/events"),
    status: 400,
    code: "tenantIllegal",
  },
  {
    name: "tenant with a slash",
    request: post(EVENT, JSON_TYPE, "/v1/tenants/a%2Fb/events"),
    status: 400,
    code: "tenantIllegal",
    detail: /"a\/b" is no tenant id/,
  },
  {
    name: "tenant too long",
    request: post(EVENT, JSON_TYPE, `/v1/tenants/${"a".repeat(65)}/events`),
    status: 400,
    code: "tenantIllegal",
  },
  {
    name: "tenant very long and percent-encoded",
    request: { method: "GET", url: `/v1/tenants/${"%C3%A9".repeat(200)}/trending` },
    status: 400,
    code: "tenantIllegal",
  },
  {
    name: "percent-encoding broken",
    request: { method: "GET", url: "/v1/tenants/%zz" },
    status: 400,
    code: "badRequest",
    detail: /percent-encoded/,
  },
  {
    name: "corrupt gzip",
    request: post(gzipSync(EVENT).subarray(0, 20), { ...JSON_TYPE, "content-encoding": "gzip" }),
    status: 400,
    code: "malformedEncoding",
  },
  {
    name: "not zstd",
    request: post(EVENT, { ...JSON_TYPE, "content-encoding": "zstd" }),
    status: 400,
    code: "malformedEncoding",
  },
  {
    name: "unknown encoding",
    request: post(EVENT, { ...JSON_TYPE, "content-encoding": "snappy" }),
    status: 415,
    code: "encodingUnsupported",
    detail: /"snappy"; use gzip/,
  },
  {
    name: "form type, as curl sends it",
    request: post(EVENT, { "content-type": "application/x-www-form-urlencoded" }),
    status: 415,
    code: "mediaTypeUnsupported",
    detail: /content-type: application\/json/,
  },
  {
    name: "type that is none",
    request: post(EVENT, { "content-type": "json" }),
    status: 415,
    code: "mediaTypeUnsupported",
  },
  { name: "too large", request: post(bomb, JSON_TYPE), status: 413, code: "bodyTooLarge" },
  ...(
    [
      ["gzip", gzipSync(bomb)],
      ["br", brotliCompressSync(bomb)],
      ["zstd", zstdCompressSync(bomb)],
      ["deflate", deflateSync(bomb)],
    ] as const
  ).map(([encoding, payload]) => ({
    name: `a ${encoding} bomb`,
    request: post(payload, { ...JSON_TYPE, "content-encoding": encoding }),
    status: 413,
    code: "bodyTooLarge" as const,
    detail: /decompressed/,
  })),
  {
    name: "busy engine",
    request: post(EVENT, JSON_TYPE),
    before: (engine) => engine.failNext(new Problem("busy", "Behind.", { retryAfterSeconds: 3 })),
    status: 429,
    code: "busy",
    headers: { "retry-after": "3" },
  },
  {
    name: "stopping",
    request: post(EVENT, JSON_TYPE),
    before: (_engine, beginStop) => beginStop(),
    status: 503,
    code: "stopping",
    headers: { "retry-after": "1" },
  },
  {
    name: "the engine throws something",
    request: post(EVENT, JSON_TYPE),
    before: (engine) => engine.failNext(new TypeError("boom") as never),
    status: 500,
    code: "internal",
  },
  {
    name: "from another site's page",
    request: post(EVENT, { "content-type": "text/plain", "sec-fetch-site": "cross-site" }),
    status: 403,
    code: "crossSite",
  },
];

const send = (engine: FakeEngine, body = EVENT) =>
  engine.offer({ tenant: "acme", body: Buffer.from(body), format: "json" });
const get = (url: string) => ({ method: "GET", url }) as const;
const put = (payload: unknown, url = "/v1/tenants/acme") =>
  ({ method: "PUT", url, payload: payload as object }) as const;

const control: Case[] = [
  {
    name: "trending",
    request: get("/v1/tenants/acme/trending"),
    before: (e) => send(e),
    status: 200,
  },
  {
    name: "trending with everything",
    request: get("/v1/tenants/acme/trending?window=60s&limit=1&order=count"),
    before: (e) => send(e),
    status: 200,
    headers: { "cache-control": "no-store" },
  },
  {
    name: "unknown window",
    request: get("/v1/tenants/acme/trending?window=5m"),
    before: (e) => send(e),
    status: 400,
    code: "windowUnknown",
    detail: /use 60s/,
  },
  ...[
    "limit=Infinity",
    "limit=1e999",
    "limit=0",
    "limit=51",
    "limit=x",
    "limit=1.5",
    "order=best",
    "windw=60s",
  ].map((query) => ({
    name: `trending?${query}`,
    request: get(`/v1/tenants/acme/trending?${query}`),
    status: 400,
    code: "badRequest" as const,
    detail: new RegExp(query.split("=", 1)[0] ?? ""),
  })),
  {
    name: "trending of nobody",
    request: get("/v1/tenants/nobody/trending"),
    status: 404,
    code: "tenantUnknown",
  },
  {
    name: "trending in quarantine",
    request: get("/v1/tenants/acme/trending"),
    before: (engine) => engine.quarantine("acme"),
    status: 409,
    code: "tenantQuarantined",
  },
  {
    name: "trending of a failing guest",
    request: get("/v1/tenants/acme/trending"),
    before: (engine) => engine.failNext(new Problem("guestFailed", "It trapped.")),
    status: 500,
    code: "guestFailed",
  },
  {
    name: "live of nobody",
    request: get("/v1/tenants/no/live"),
    status: 404,
    code: "tenantUnknown",
  },
  {
    name: "live of an illegal tenant",
    request: get("/v1/tenants/a%20b/live"),
    status: 400,
    code: "tenantIllegal",
  },
  {
    name: "tenants",
    request: get("/v1/tenants"),
    before: (e) => send(e),
    status: 200,
    body: { total: 1 },
  },
  {
    name: "tenants by prefix",
    request: get("/v1/tenants?prefix=zz&offset=0&limit=5"),
    before: (e) => send(e),
    status: 200,
    body: { total: 0, tenants: [] },
  },
  {
    name: "tenants?offset=Infinity",
    request: get("/v1/tenants?offset=Infinity"),
    status: 400,
    code: "badRequest",
  },
  {
    name: "a file that the reference does not have",
    request: get("/docs/static/..%2f..%2fpackage.json"),
    status: 404,
    code: "notFound",
  },
  { name: "tenants?limit=0", request: get("/v1/tenants?limit=0"), status: 400, code: "badRequest" },
  {
    name: "tenants?offset=-1",
    request: get("/v1/tenants?offset=-1"),
    status: 400,
    code: "badRequest",
  },
  { name: "a tenant", request: get("/v1/tenants/acme"), before: (e) => send(e), status: 200 },
  { name: "no tenant", request: get("/v1/tenants/acme"), status: 404, code: "tenantUnknown" },
  {
    name: "put",
    request: put({ clock: "event" }),
    status: 200,
    body: { tenant: "acme", clock: "event", state: "live" },
  },
  { name: "put without clock", request: put({}), status: 400, code: "badRequest", detail: /clock/ },
  { name: "put a wrong clock", request: put({ clock: "sun" }), status: 400, code: "badRequest" },
  { name: "put a null clock", request: put({ clock: null }), status: 400, code: "badRequest" },
  {
    name: "put an unknown setting",
    request: put({ clock: "wall", mode: 1 }),
    status: 400,
    code: "badRequest",
    detail: /mode/,
  },
  {
    name: "put what is not JSON",
    request: { method: "PUT", url: "/v1/tenants/acme", payload: "{", headers: JSON_TYPE },
    status: 400,
    code: "malformedJson",
  },
  {
    name: "put too much",
    request: put({ clock: "x".repeat(5_000) }),
    status: 413,
    code: "bodyTooLarge",
  },
  {
    name: "put XML",
    request: { ...put("<a/>"), headers: { "content-type": "text/xml" } } as InjectOptions,
    status: 415,
    code: "mediaTypeUnsupported",
  },
  {
    name: "put a text",
    request: { ...put('{"clock":"wall"}'), headers: { "content-type": "text/plain" } },
    status: 415,
    code: "mediaTypeUnsupported",
  },
  {
    name: "put beyond the limit",
    request: put({ clock: "wall" }),
    before: (engine) => engine.failNext(new Problem("tenantLimit", "All taken.")),
    status: 429,
    code: "tenantLimit",
    headers: { "retry-after": "1" },
  },
  { name: "livez", request: get("/livez"), status: 200, body: { status: "live" } },
  { name: "readyz", request: get("/readyz"), status: 200, body: { product: "nexuscore" } },
  {
    name: "readyz while stopping",
    request: get("/readyz"),
    before: (_engine, beginStop) => beginStop(),
    status: 503,
    code: "draining",
  },
  {
    name: "readyz while a shard restarts",
    request: get("/readyz"),
    before: (engine) => void (engine.ready = false),
    status: 503,
    code: "shardRestarting",
  },
  { name: "landing", request: get("/"), status: 200, body: { docs: "/docs" } },
  { name: "nowhere", request: get("/v2/events"), status: 404, code: "notFound", detail: /\/docs/ },
  {
    name: "wrong method",
    request: { method: "PATCH", url: "/v1/tenants/acme?x=1" },
    status: 405,
    code: "methodNotAllowed",
    headers: { allow: "DELETE, GET, HEAD, PUT" },
  },
  {
    name: "wrong method on events",
    request: get(EVENTS),
    status: 405,
    code: "methodNotAllowed",
    headers: { allow: "POST" },
  },
];

for (const one of [...events, ...refusals, ...control]) {
  test(`api: ${one.name} -> ${one.status} ${one.code ?? ""}`, async () => check(one));
}

async function check({
  request,
  before,
  status,
  code,
  detail,
  body,
  headers,
}: Case): Promise<void> {
  const { engine, server, beginStop } = await open();
  await before?.(engine, beginStop);
  const response = await server.inject(request);
  assert.equal(response.statusCode, status, response.body);
  for (const [name, value] of Object.entries(headers ?? {})) {
    assert.equal(String(response.headers[name]), value, name);
  }
  const answer = response.json() as Record<string, unknown>;
  if (code !== undefined) {
    assert.match(String(response.headers["content-type"]), /^application\/problem\+json(;|$)/);
    assert.ok(Value.Check(ProblemSchema, answer as unknown), response.body);
    assert.equal(answer["code"], code, response.body);
    assert.equal(answer["status"], status);
    assert.equal(answer["title"], PROBLEMS[code].title);
    assert.equal(answer["instance"], urlOf(request).split("?", 1)[0]);
    assert.match(String(answer["detail"]), detail ?? /./);
    if (status === 429 || status === 503) assert.ok(Number(response.headers["retry-after"]) > 0);
  }
  for (const [name, value] of Object.entries(body ?? {}))
    assert.deepEqual(answer[name], value, name);
  await server.close();
}

function urlOf({ url }: InjectOptions): string {
  assert.ok(typeof url === "string");
  return url;
}

async function open() {
  const engine = new FakeEngine();
  const assembled = await assembleServer(engine, openLog("silent"));
  return { engine, ...assembled };
}
