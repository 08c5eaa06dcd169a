// Quotas and deletions of tenants as the API has them, on an engine that is played.
import { assembleServer } from "#cli/server.ts";
import { QUOTA_TOP_TENANTS } from "#model/limits.ts";
import { QUOTA_SCHEMAS } from "#model/quota-schemas.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Value } from "typebox/value";
import { DELETION_EXAMPLE } from "./deletions.ts";
import { QUOTA_EXAMPLE } from "./quotas.ts";

const [QuotaSchema, DeletionSchema] = QUOTA_SCHEMAS;
const QUOTA = "/v1/tenants/acme/quota";

type Fields = Readonly<Record<string, unknown>>;

async function open() {
  const engine = new FakeEngine();
  const { server, deletions } = await assembleServer(engine, openLog("silent"));
  const ask = async (method: "GET" | "PUT" | "POST" | "DELETE", url: string, body?: unknown) => {
    const payload = body === undefined ? {} : { payload: JSON.stringify(body) };
    const headers = body === undefined ? {} : { "content-type": "application/json" };
    const response = await server.inject({ method, url, headers, ...payload });
    const { statusCode: status, headers: told } = response;
    return { status, headers: told, body: response.json() as Fields };
  };
  return { engine, server, deletions, ask };
}

test("quotas: what a tenant may take is set, shown and taken back", async () => {
  const { ask } = await open();
  assert.equal((await ask("GET", QUOTA)).status, 404);
  const set = await ask("PUT", QUOTA, { eventsPerSecond: 5, imageBytes: null });
  assert.equal(set.status, 200);
  assert.deepEqual(set.body["own"], ["eventsPerSecond", "imageBytes"]);
  for (const answer of [set.body, (await ask("GET", QUOTA)).body, QUOTA_EXAMPLE]) {
    assert.deepEqual([...Value.Errors(QuotaSchema!, answer)], [], JSON.stringify(answer));
  }
  const limits = { bytesPerSecond: null, cpuMsPerSecond: 500 };
  assert.deepEqual(set.body["limits"], { eventsPerSecond: 5, imageBytes: null, ...limits });
  assert.deepEqual((await ask("PUT", QUOTA, {})).body["own"], []);
});

test("quotas: all that is wrong with a body is told at once", async () => {
  const { ask } = await open();
  const { status, body } = await ask("PUT", QUOTA, {
    eventsPerSecond: -1,
    bytes: 3,
    imageBytes: "4",
  });
  assert.equal(status, 400);
  const errors = body["errors"] as readonly { pointer: string }[];
  assert.deepEqual(
    errors.map(({ pointer }) => pointer),
    ["/eventsPerSecond", "/bytes", "/imageBytes"],
  );
  assert.equal((await ask("PUT", QUOTA, [])).status, 400);
});

test("quotas: who is over one is refused before its body is read, by every door", async () => {
  const { engine, ask } = await open();
  engine.quotas.refuse("acme", "cpu", 500, 1_234);
  const before = engine.offerCalls;
  const doors = ["events", "moderate"].map((door) => `/v1/tenants/acme/${door}`);
  for (const url of doors) {
    const { status, headers, body } = await ask("POST", url, { text: "hello" });
    assert.equal(status, 429);
    assert.equal(headers["retry-after"], "2", "rounded up");
    const { code, quota, limit, waitMs } = body;
    assert.deepEqual([code, quota, limit, waitMs], ["overQuota", "cpu", 500, 1_234]);
  }
  assert.equal(engine.offerCalls, before);
  assert.equal((await ask("POST", "/v1/tenants/other/events", { text: "hello" })).status, 202);
});

test("quotas: metrics say what was refused, and name a fixed number of tenants", async () => {
  const { engine, server, ask } = await open();
  engine.quotas.refuse("acme", "cpu", 500, 1_000);
  await ask("POST", "/v1/tenants/acme/events", { text: "hello" });
  engine.quotas.top = Array.from({ length: 50 }, (_, n) => ({ tenant: `t${n}`, cpuMs: 1_500 - n }));
  const { body } = await server.inject({ method: "GET", url: "/metrics" });
  assert.match(body, /^nexuscore_quota_refused_total\{quota="cpu"\} 1$/m);
  assert.match(body, /^nexuscore_top_tenant_cpu_seconds_total\{tenant="t0"\} 1.5$/m);
  assert.equal([...body.matchAll(/\{tenant="/g)].length, QUOTA_TOP_TENANTS);
});

test("deletions: a tenant is deleted step by step, and it is told how far that is", async () => {
  const { engine, deletions, ask } = await open();
  await ask("POST", "/v1/tenants/acme/events", { text: "hello" });
  assert.equal((await ask("GET", "/v1/tenants/acme/deletion")).status, 404);
  const { promise, resolve } = Promise.withResolvers<void>();
  engine.erasing = promise;
  const begun = await ask("DELETE", "/v1/tenants/acme");
  assert.deepEqual([begun.status, begun.body["state"]], [202, "deleting"]);
  const again = await ask("DELETE", "/v1/tenants/acme");
  assert.deepEqual([again.status, again.body["startedAtMs"]], [202, begun.body["startedAtMs"]]);
  const now = await ask("GET", "/v1/tenants/acme/deletion");
  assert.deepEqual(now.body["remains"], ["log and snapshots", "number", "record"]);
  assert.equal((await ask("GET", "/v1/tenants/acme")).status, 404);
  resolve();
  await deletions.settled();
  const done = await ask("GET", "/v1/tenants/acme/deletion");
  assert.deepEqual([done.body["state"], done.body["remains"]], ["done", []]);
  assert.ok(Number(done.body["doneAtMs"]) >= Number(done.body["startedAtMs"]));
  for (const answer of [begun.body, now.body, done.body, DELETION_EXAMPLE]) {
    assert.deepEqual([...Value.Errors(DeletionSchema!, answer)], [], JSON.stringify(answer));
  }
  assert.equal((await ask("DELETE", "/v1/tenants/acme")).status, 404, "there is nothing of it");
});

test("deletions: what fails is told, and what nobody knows is no deletion", async () => {
  const { engine, deletions, ask } = await open();
  await ask("POST", "/v1/tenants/acme/events", { text: "hello" });
  engine.erasing = Promise.reject(new Error("the disk is on fire"));
  await ask("DELETE", "/v1/tenants/acme");
  await deletions.settled();
  const { body } = await ask("GET", "/v1/tenants/acme/deletion");
  assert.deepEqual([body["state"], body["failure"]], ["deleting", "the disk is on fire"]);
  assert.deepEqual((body["remains"] as readonly string[])[0], "log and snapshots");
  assert.equal((await ask("DELETE", "/v1/tenants/nobody")).body["code"], "tenantUnknown");
  deletions.stop();
});
