import { assembleServer } from "#cli/server.ts";
import { CONVERSATION_BYTES_MAX, MERGE_TENANTS_MAX, METRIC_NAMES_MAX } from "#model/limits.ts";
import {
  ConversationListSchema,
  ConversationSchema,
  MergedSummarySchema,
  SummarySchema,
} from "#model/summary-schemas.ts";
import type { MergeAnswer } from "#model/merge-answer.ts";
import type {
  ConversationAnswer,
  ConversationsAnswer,
  SummaryAnswer,
} from "#model/summary-answer.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import { SEED } from "#testing/seed.ts";
import { parse } from "csv-parse/sync";
import fc from "fast-check";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { TSchema } from "typebox";
import { Value } from "typebox/value";
import {
  CONVERSATION_EXAMPLE,
  CONVERSATION_LIST_EXAMPLE,
  MERGE_EXAMPLE,
  SUMMARY_EXAMPLE,
} from "./summary-examples.ts";

async function open(t: TestContext) {
  const engine = new FakeEngine();
  const { server } = await assembleServer(engine, openLog("silent"));
  t.after(async () => server.close());
  const send = async (events: readonly object[], tenant = "acme") =>
    engine.offer({ tenant, body: Buffer.from(JSON.stringify(events)), format: "json" });
  const get = async (url: string, headers: Record<string, string> = {}) =>
    server.inject({ method: "GET", url, headers });
  const merge = async (payload: object) =>
    server.inject({ method: "POST", url: "/v1/summaries:merge", payload });
  return { engine, server, send, get, merge };
}

function holds(schema: TSchema, answer: unknown): void {
  assert.deepEqual([...Value.Errors(schema, answer)], [], JSON.stringify(answer));
  const { properties } = schema as TSchema & { properties: object };
  const strange = Object.keys(answer as object).filter((key) => !Object.hasOwn(properties, key));
  assert.deepEqual(strange, [], "a field that the schema does not know");
}

const TALK = [
  { id: "m1", user: "ada", conversation: "a/b?c", text: "is login down?", tsMs: 100_000 },
  { id: "m2", user: "bob", conversation: "a/b?c", text: "=it is", tsMs: 101_000 },
  { user: "cyd", metrics: { latencyMs: 12.5, __proto__1: 3 }, tsMs: 102_000 },
];

test("summary: answers and examples keep to their schemas", async (t) => {
  const { send, get, merge } = await open(t);
  await send(TALK);
  holds(SummarySchema, (await get("/v1/tenants/acme/summary?window=1h")).json());
  holds(ConversationListSchema, (await get("/v1/tenants/acme/conversations")).json());
  holds(ConversationSchema, (await get("/v1/tenants/acme/conversations/a%2Fb%3Fc/summary")).json());
  holds(MergedSummarySchema, (await merge({ window: "60s", prefix: "" })).json());
  holds(SummarySchema, SUMMARY_EXAMPLE);
  holds(ConversationListSchema, CONVERSATION_LIST_EXAMPLE);
  holds(ConversationSchema, CONVERSATION_EXAMPLE);
  holds(MergedSummarySchema, MERGE_EXAMPLE);
});

test("summary: each window by its name, and what few samples can say", async (t) => {
  const { engine, send, get } = await open(t);
  const samples = Array.from({ length: 200 }, (_, i) => ({ metrics: { ms: i + 1, once: 7 } }));
  await send([...TALK, ...samples.slice(0, 1), ...samples]);
  for (const window of ["60s", "10m", "1h", "24h", "all"]) {
    const answer = (await get(`/v1/tenants/acme/summary?window=${window}`)).json<SummaryAnswer>();
    assert.equal(answer.window.name, window);
    assert.equal(answer.tenant, "acme");
    const { ms } = answer.metrics;
    assert.equal(ms?.n, 201);
    assert.equal(ms.p50.label, "p50");
    assert.equal(ms.p99.label, "p99");
    assert.deepEqual(ms.p999, { value: 200, low: 200, high: null, label: "max" });
    assert.ok(!("collapsedBelow" in ms), "-Infinity is no number of JSON");
  }
  const plain = (await get("/v1/tenants/acme/summary")).json<SummaryAnswer>();
  assert.equal(plain.window.name, "60s");
  assert.equal(plain.late.byLateness.at(-1)?.upToMs, null);
  assert.equal(engine.summaryCalls, 6);
});

test("summary: a metric may have any name", async (t) => {
  const { engine, get } = await open(t);
  const body = Buffer.from('{"metrics":{"__proto__":5,"constructor":6,"1":7}}');
  await engine.offer({ tenant: "acme", body, format: "json" });
  const { body: json } = await get("/v1/tenants/acme/summary");
  const { metrics } = JSON.parse(json) as SummaryAnswer;
  assert.deepEqual(Object.keys(metrics).toSorted(), ["1", "__proto__", "constructor"]);
});

for (const { url, status, code, detail } of [
  {
    url: "summary?window=5m",
    status: 400,
    code: "windowUnknown",
    detail: /60s, 10m, 1h, 24h or all/,
  },
  { url: "sketch?window=1d", status: 400, code: "windowUnknown", detail: /"1d"/ },
  { url: "summary?limit=0", status: 400, code: "badRequest", detail: /limit/ },
  { url: "summary?limit=1e9", status: 400, code: "badRequest", detail: /limit/ },
  { url: "summary?format=xml", status: 400, code: "badRequest", detail: /format/ },
  { url: "summary?windw=1h", status: 400, code: "badRequest", detail: /windw/ },
  { url: "conversations?limit=-1", status: 400, code: "badRequest", detail: /limit/ },
  { url: "conversations/none/summary", status: 404, code: "conversationUnknown", detail: /none/ },
  { url: "conversations/a%07/summary", status: 400, code: "conversationIllegal", detail: /bytes/ },
  {
    url: `conversations/${"%C3%A9".repeat(CONVERSATION_BYTES_MAX / 2 + 1)}/summary`,
    status: 400,
    code: "conversationIllegal",
    detail: /128 bytes/,
  },
  {
    url: "summary?window=1h",
    status: 409,
    code: "windowOff",
    detail: /keeps 60s, 10m, all.*"windows": \["60s","10m","1h","all"\]/,
  },
  { url: "sketch?window=24h", status: 409, code: "windowOff", detail: /24h/ },
]) {
  test(`summary: ${url.slice(0, 40)} -> ${status} ${code}`, async (t) => {
    const { engine, send, get } = await open(t);
    await send(TALK);
    await engine.putTenant("acme", { clock: "wall", windows: ["10m"] });
    const response = await get(`/v1/tenants/acme/${url}`);
    const problem = response.json<{ code: string; detail: string }>();
    assert.equal(response.statusCode, status, response.body);
    assert.equal(problem.code, code);
    assert.match(problem.detail, detail);
  });
}

test("summary: nobody's is tenantUnknown, on every route", async (t) => {
  const { get } = await open(t);
  for (const path of ["summary", "sketch", "conversations", "conversations/x/summary"]) {
    const response = await get(`/v1/tenants/nobody/${path}`);
    assert.equal(response.json<{ code: string }>().code, "tenantUnknown", path);
    assert.equal((await get(`/v1/tenants/a%20b/${path}`)).statusCode, 400, path);
  }
});

test("summary: CSV where it is asked for, and the text of others runs nothing", async (t) => {
  const { send, get } = await open(t);
  await send(TALK);
  const url = "/v1/tenants/acme/summary?window=all";
  const json = await get(url, { accept: "application/json, text/csv" });
  assert.match(String(json.headers["content-type"]), /^application\/json/);
  const asked = await get(`${url}&format=csv`, { accept: "application/json" });
  const accepted = await get(url, { accept: "text/csv" });
  assert.equal(asked.body, accepted.body);
  assert.match(String(accepted.headers["content-type"]), /^text\/csv/);
  const rows: Record<string, string>[] = parse(asked.body, {
    columns: true,
    record_delimiter: "\r\n",
  });
  const valueOf = (section: string, field: string, name = "") =>
    rows.find(
      (row) => row["section"] === section && row["field"] === field && row["name"] === name,
    );
  assert.equal(valueOf("summary", "eventCount")?.["value"], "3");
  assert.equal(valueOf("metric", "p999:max", "latencyMs")?.["value"], "12.5");
  assert.equal(valueOf("metric", "p999:max", "latencyMs")?.["high"], "", "no bound is no cell");
  assert.equal(valueOf("text", "line:said", "bob")?.["value"], "'=it is");
  assert.equal(valueOf("text", "line:said", "bob")?.["eventId"], "m2");
  for (const row of rows) assert.deepEqual([row["tenant"], row["window"]], ["acme", "all"]);
  const list = await get("/v1/tenants/acme/conversations?format=csv");
  const items: Record<string, string>[] = parse(list.body, { columns: true });
  assert.deepEqual(
    items.map(({ id, eventCount }) => [id, eventCount]),
    [["a/b?c", "2"]],
  );
});

test("conversations: newest first, and any legal id leads to its summary", async (t) => {
  const { send, get } = await open(t);
  const id = fc
    .string({ unit: "binary", minLength: 1, maxLength: 40 })
    .filter((text) => !/^\.{1,2}$/.test(text) && Buffer.byteLength(text) <= CONVERSATION_BYTES_MAX)
    // oxlint-disable-next-line no-control-regex
    .filter((text) => !/[\u0000-\u001F\u007F]/.test(text));
  await fc.assert(
    fc.asyncProperty(id, async (conversation) => {
      await send([{ user: "ada", conversation, text: "hello" }]);
      const list = (
        await get("/v1/tenants/acme/conversations?limit=1")
      ).json<ConversationsAnswer>();
      assert.equal(list.conversations[0]?.id, conversation);
      const url = `/v1/tenants/acme/conversations/${encodeURIComponent(conversation)}/summary`;
      const answer = (await get(url)).json<ConversationAnswer>();
      assert.equal(answer.id, conversation, JSON.stringify(answer));
      assert.equal(answer.participants[0]?.user, "ada");
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test("sketch: the bytes of the portable form, that a merge takes", async (t) => {
  const { send, get, merge } = await open(t);
  await send(TALK);
  const sketch = await get("/v1/tenants/acme/sketch?window=1h");
  assert.equal(sketch.headers["content-type"], "application/octet-stream");
  const base64 = sketch.rawPayload.toString("base64");
  const merged = (await merge({ window: "1h", sketches: [base64, base64] })).json<MergeAnswer>();
  assert.equal(merged.eventCount, 6);
  assert.equal(merged.userCount, 3, "who is in both counts once");
  assert.equal(merged.sketchCount, 2);
  assert.equal(merged.tenantCount, 0);
});

test("merge: tenants by name or prefix, over several slices; who is missing is said", async (t) => {
  const { engine, send, merge } = await open(t);
  const names = ["eu.a", "eu.b", "eu.c", "eu.d", "us.a"];
  for (const [i, name] of names.entries()) {
    await send([{ user: `u${i % 3}`, text: "pizza", metrics: { ms: 10 * (i + 1) } }], name);
  }
  const all = (await merge({ window: "60s", prefix: "" })).json<MergeAnswer>();
  assert.equal(all.tenantCount, 5);
  assert.deepEqual(all.tenants, names);
  assert.equal(all.eventCount, 5);
  assert.equal(all.userCount, 3);
  assert.equal(all.topTerms[0]?.count, 5);
  assert.deepEqual([all.metrics["ms"]?.min, all.metrics["ms"]?.max], [10, 50]);
  await engine.putTenant("eu.c", { clock: "wall", windows: [] });
  const some = (
    await merge({ window: "10m", tenants: ["us.a", "eu.c", "no.1", "eu.a", "eu.a"] })
  ).json<MergeAnswer>();
  assert.deepEqual(some.tenants, ["eu.a", "us.a"], "one who is named twice counts once");
  assert.deepEqual(some.unknown, ["no.1"]);
  assert.deepEqual(some.omitted, [{ tenant: "eu.c", code: "windowOff" }]);
  const eu = (await merge({ window: "all", prefix: "eu." })).json<MergeAnswer>();
  assert.equal(eu.tenantCount, 4);
});

test("merge: of tenants that are not there is empty, and says so", async (t) => {
  const { merge } = await open(t);
  const answer = (await merge({ window: "1h", tenants: ["no.1", "no.2"] })).json<MergeAnswer>();
  holds(MergedSummarySchema, answer);
  assert.deepEqual(answer.window, { name: "1h", startMs: null, endMs: null });
  assert.deepEqual([answer.tenantCount, answer.eventCount], [0, 0]);
  assert.deepEqual(answer.unknown, ["no.1", "no.2"]);
});

const SKETCH = (change: (bytes: Buffer) => void, bytes: Buffer): string => {
  const copy = Buffer.from(bytes);
  change(copy);
  return copy.toString("base64");
};

test("merge: a bad sketch is named by its index, and nothing else is disturbed", async (t) => {
  const { send, get, merge } = await open(t);
  await send(TALK);
  const bytes = (await get("/v1/tenants/acme/sketch?window=60s")).rawPayload;
  const good = bytes.toString("base64");
  const before = (await merge({ window: "60s", sketches: [good], tenants: ["acme"] })).body;
  for (const [bad, code] of [
    [SKETCH((copy) => copy.writeUInt8(0, 0), bytes), "sketchCorrupt"],
    [bytes.subarray(0, 5).toString("base64"), "sketchCorrupt"],
    ["", "sketchCorrupt"],
    ["not base64!", "sketchCorrupt"],
    [good.slice(0, -1), "sketchCorrupt"],
    [SKETCH((copy) => copy.writeUInt16LE(2, 4), bytes), "sketchVersion"],
    [SKETCH((copy) => copy.writeUInt8(2, 6), bytes), "sketchWindow"],
  ] as const) {
    const response = await merge({ window: "60s", tenants: ["acme"], sketches: [good, bad] });
    assert.equal(response.statusCode, 400, response.body);
    const problem = response.json<{ code: string; index: number }>();
    assert.equal(problem.code, code, response.body);
    assert.equal(problem.index, 1);
  }
  assert.equal((await merge({ window: "60s", sketches: [good], tenants: ["acme"] })).body, before);
});

for (const { name, payload, status, code } of [
  { name: "nothing", payload: { window: "60s" }, status: 400, code: "mergeEmpty" },
  { name: "no tenant", payload: { tenants: [] }, status: 400, code: "mergeEmpty" },
  { name: "both", payload: { tenants: ["a"], prefix: "a" }, status: 400, code: "badRequest" },
  { name: "a null prefix", payload: { prefix: null }, status: 400, code: "badRequest" },
  { name: "a stranger", payload: { prefix: "", mode: 1 }, status: 400, code: "badRequest" },
  { name: "an array", payload: ["acme"], status: 400, code: "badRequest" },
  { name: "an illegal id", payload: { tenants: ["a b"] }, status: 400, code: "tenantIllegal" },
  { name: "a window", payload: { window: "1m", prefix: "" }, status: 400, code: "windowUnknown" },
  { name: "no limit", payload: { prefix: "", limit: 0 }, status: 400, code: "badRequest" },
  {
    name: "too many",
    payload: { tenants: Array.from({ length: MERGE_TENANTS_MAX + 1 }, (_, i) => `t${i}`) },
    status: 400,
    code: "badRequest",
  },
]) {
  test(`merge: of ${name} -> ${status} ${code}`, async (t) => {
    const { merge } = await open(t);
    const response = await merge(payload);
    assert.equal(response.statusCode, status, response.body);
    assert.equal(response.json<{ code: string }>().code, code);
  });
}

test("merge: the path takes POST alone, and says so", async (t) => {
  const { get } = await open(t);
  const response = await get("/v1/summaries:merge");
  assert.equal(response.statusCode, 405);
  assert.equal(response.headers["allow"], "POST");
});

test("tenants: windows are settings; left out, they stay as they are", async (t) => {
  const { server } = await open(t);
  const put = async (payload: object) =>
    server.inject({ method: "PUT", url: "/v1/tenants/acme", payload });
  const windowsOf = async (payload: object) =>
    (await put(payload)).json<{ windows: string[] }>().windows;
  assert.deepEqual(await windowsOf({ clock: "wall" }), ["60s", "10m", "1h", "24h", "all"]);
  assert.deepEqual(await windowsOf({ clock: "wall", windows: ["1h"] }), ["60s", "1h", "all"]);
  assert.deepEqual(await windowsOf({ clock: "wall" }), ["60s", "1h", "all"]);
  assert.deepEqual(await windowsOf({ clock: "wall", windows: [] }), ["60s", "all"]);
  const unknown = await put({ clock: "wall", windows: ["60s", "2h"] });
  assert.equal(unknown.statusCode, 400);
  assert.equal(unknown.json<{ code: string }>().code, "windowUnknown");
});

test("events: a refused metric is a warning, and its event is accepted", async (t) => {
  const { server } = await open(t);
  const names = Array.from({ length: METRIC_NAMES_MAX + 1 }, (_, i) => `m${i}`);
  const lines = names.map((name) => JSON.stringify({ metrics: { [name]: 1 } })).join("\n");
  const post = async (payload: string) =>
    server.inject({
      method: "POST",
      url: "/v1/tenants/acme/events",
      payload,
      headers: { "content-type": "application/x-ndjson" },
    });
  const answer = (await post(lines)).json<{ accepted: number; warnings: object[] }>();
  assert.equal(answer.accepted, names.length);
  assert.equal(answer.warnings.length, 1);
  assert.partialDeepStrictEqual(answer.warnings[0], {
    index: METRIC_NAMES_MAX,
    code: "metricLimit",
  });
  assert.ok(!("warnings" in (await post('{"text":"fine"}')).json<object>()));
});
