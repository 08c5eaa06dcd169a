// Backups and the state of a tenant over HTTP, before an engine that keeps nothing.
import assert from "node:assert/strict";
import test from "node:test";
import { assembleServer } from "#cli/server.ts";
import { TenantInspectionSchema } from "#model/inspection.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";

const LINE = '{"user":"ada","text":"hello there"}';

test("backups: where nothing is kept there is nothing to back up", async () => {
  const { server } = await assembleServer(new FakeEngine(), openLog("silent"));
  for (const [method, url] of [
    ["POST", "/v1/backups"],
    ["GET", "/v1/backups"],
    ["GET", "/v1/backups/20261121T031500Z"],
  ] as const) {
    const answer = await server.inject({ method, url });
    assert.equal(answer.statusCode, 409, url);
    const { code, detail } = answer.json<{ code: string; detail: string }>();
    assert.equal(code, "backupOff");
    assert.match(detail, /keeps nothing/);
  }
  await server.close();
});

test("state: what is known of a tenant, and nothing that was said", async () => {
  const { server } = await assembleServer(new FakeEngine(), openLog("silent"));
  const headers = { "content-type": "application/json" };
  await server.inject({ method: "POST", url: "/v1/tenants/acme/events", headers, payload: LINE });
  const answer = await server.inject("/v1/tenants/acme/state");
  assert.equal(answer.statusCode, 200);
  const found = answer.json<Record<string, unknown>>();
  const known = Object.keys(TenantInspectionSchema.properties);
  for (const name of Object.keys(found)) assert(known.includes(name), name);
  assert.deepEqual([found["tenant"], found["policyVersion"]], ["acme", 0]);
  assert.equal((found["windows"] as object[]).length, 5);
  assert(!answer.body.includes("hello"));
  const brief = await server.inject("/v1/tenants/acme/state?windows=false");
  assert.equal("windows" in brief.json<object>(), false);
  const unknown = await server.inject("/v1/tenants/nobody/state");
  assert.equal(unknown.json<{ code: string }>().code, "tenantUnknown");
  const illegal = await server.inject("/v1/tenants/a%20b/state");
  assert.equal(illegal.json<{ code: string }>().code, "tenantIllegal");
  await server.close();
});
