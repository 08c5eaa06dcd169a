import { assembleServer } from "#cli/server.ts";
import { POLICY_BODY_BYTES_MAX } from "#model/limits.ts";
import {
  DryRunSchema,
  PolicyRecordSchema,
  PolicySchema,
  PolicyVersionsSchema,
} from "#model/moderation-schemas.ts";
import type { Verdict } from "#model/moderation.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import type { DryRun } from "#model/policy-dry-run.ts";
import type { PolicyRecord } from "#model/policy.ts";
import { Problem } from "#model/problem.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import type { LightMyRequestResponse } from "fastify";
import type { TSchema } from "typebox";
import { Value } from "typebox/value";
import { DRY_RUN_EXAMPLE, POLICY_BODY_EXAMPLE, POLICY_EXAMPLE } from "./moderation-examples.ts";

const POLICY = "/v1/tenants/acme/policy";
const REFERENCES = { "Policy#": PolicySchema, "PolicyRecord#": PolicyRecordSchema };

type Record = PolicyRecord & { source: string; warnings?: { code: string }[] };

async function open(engine = new FakeEngine()) {
  const { server } = await assembleServer(engine, openLog("silent"));
  const ask = async (
    method: "GET" | "PUT" | "POST" | "DELETE",
    url: string,
    body?: unknown,
    headers: { [name: string]: string } = {},
  ): Promise<LightMyRequestResponse> => {
    if (body === undefined) return server.inject({ method, url, headers });
    const payload = typeof body === "string" ? body : JSON.stringify(body);
    const type = { "content-type": "application/json" };
    return server.inject({ method, url, payload, headers: { ...type, ...headers } });
  };
  const judge = async (message: object): Promise<Verdict> =>
    (await ask("POST", "/v1/tenants/acme/moderate", message)).json();
  return { engine, server, ask, judge };
}

function valid(schema: TSchema, value: unknown): void {
  assert.deepEqual([...Value.Errors(REFERENCES, schema, value)], [], JSON.stringify(value));
}

test("policies: the examples keep to their schemas", () => {
  const { note, ...policy } = POLICY_BODY_EXAMPLE;
  assert.ok(note.length > 0);
  valid(PolicySchema, policy);
  valid(PolicyRecordSchema, POLICY_EXAMPLE);
  valid(DryRunSchema, DRY_RUN_EXAMPLE);
  valid(PolicySchema, POLICY_DEFAULT);
});

test("policies: without one there is the default; PUT, GET and DELETE go round", async () => {
  const { server, ask, judge } = await open();
  const before = await ask("GET", POLICY);
  assert.equal(before.headers["etag"], '"0"');
  assert.deepEqual(before.json(), {
    tenant: "acme",
    version: 0,
    source: "default",
    policy: POLICY_DEFAULT,
  });
  assert.equal((await judge({ text: "damn" })).action, "allow");

  const put = await ask("PUT", POLICY, { categories: { profanity: { flagAt: 0.9 } }, note: "why" });
  assert.equal(put.statusCode, 200, put.body);
  assert.equal(put.headers["etag"], '"1"');
  const record: Record = put.json();
  valid(PolicyRecordSchema, record);
  assert.deepEqual([record.version, record.source, record.note], [1, "tenant", "why"]);
  assert.deepEqual(record.policy.categories.profanity, { flagAt: 0.9, blockAt: null });
  const verdict = await judge({ text: "damn" });
  assert.equal(verdict.action, "flag", "the next verdict uses it");
  assert.deepEqual(verdict.policy, { version: 1, source: "tenant" });
  assert.equal(verdict.thresholds.profanity, 0.9);

  const got = await ask("GET", POLICY);
  assert.deepEqual(got.json(), record);
  const again = await ask("PUT", POLICY, got.json());
  assert.equal(again.statusCode, 200, "what GET answers can be sent back");
  assert.deepEqual(again.json<Record>().policy, record.policy);

  const gone = await ask("DELETE", POLICY);
  assert.deepEqual(gone.json(), before.json());
  assert.equal((await judge({ text: "damn" })).action, "allow");
  const versions = await ask("GET", `${POLICY}/versions`);
  valid(PolicyVersionsSchema, versions.json());
  const list: { current: number; versions: Record[] } = versions.json();
  assert.equal(list.current, 0);
  assert.deepEqual(
    list.versions.map(({ version }) => version),
    [2, 1],
  );
  assert.equal((await ask("PUT", POLICY, {})).json<Record>().version, 3, "none is given twice");
  const other = (await ask("GET", "/v1/tenants/other/policy")).json<Record>();
  assert.equal(other.version, 0, "another tenant has its own");
  await server.close();
});

test("policies: If-Match keeps two editors from undoing each other", async () => {
  const { server, ask } = await open();
  const match = (tag: string) => ({ "if-match": tag });
  assert.equal((await ask("PUT", POLICY, {}, match('"0"'))).statusCode, 200);
  const stale = await ask("PUT", POLICY, {}, match('"0"'));
  assert.equal(stale.statusCode, 412);
  const problem: { code: string; version: number } = stale.json();
  assert.deepEqual([problem.code, problem.version], ["policyChanged", 1]);
  assert.equal((await ask("PUT", POLICY, {}, match('"7", "1"'))).statusCode, 200);
  assert.equal((await ask("PUT", POLICY, {}, match('W/"2"'))).statusCode, 412, "only strong tags");
  assert.equal((await ask("DELETE", POLICY, undefined, match('"1"'))).statusCode, 412);
  assert.equal((await ask("PUT", POLICY, {}, match("*"))).statusCode, 200);
  assert.equal((await ask("PUT", POLICY, {}, match("3"))).statusCode, 200, "without its quotes");
  // At once: each sees what the one before left, so one of two with the same tag is refused.
  const both = await Promise.all([1, 2].map(async () => ask("PUT", POLICY, {}, match('"4"'))));
  assert.deepEqual(both.map(({ statusCode }) => `${statusCode}`).toSorted(), ["200", "412"]);
  await server.close();
});

test("policies: what the engine did not take is not kept, and the next one is", async () => {
  const { engine, server, ask } = await open();
  engine.failNext(new Problem("shardRestarting", "Wait."));
  assert.equal((await ask("PUT", POLICY, { observeOnly: true })).statusCode, 503);
  assert.equal((await ask("GET", POLICY)).json<Record>().version, 0);
  assert.equal((await ask("PUT", POLICY, { observeOnly: true })).json<Record>().version, 1);
  await server.close();
});

test("policies: mistakes are listed with pointers, warnings come with what was set", async () => {
  const { server, ask } = await open();
  const wrong = { categories: { insult: { flagAt: 0.9, blockAt: 0.5 }, x: {} }, blocklist: [] };
  for (const [body, at] of [
    [wrong, ""],
    [{ policy: wrong }, "/policy"],
  ] as const) {
    const refused = await ask("PUT", POLICY, body);
    assert.equal(refused.statusCode, 400);
    const problem: { code: string; errors: { pointer: string }[] } = refused.json();
    assert.equal(problem.code, "policyContradictory");
    assert.deepEqual(problem.errors.map(({ pointer }) => pointer).toSorted(), [
      `${at}/blocklist`,
      `${at}/categories/insult/blockAt`,
      `${at}/categories/x`,
    ]);
  }
  assert.equal((await ask("GET", POLICY)).json<Record>().version, 0);
  const set = await ask("PUT", POLICY, { blockList: ["the"] });
  valid(PolicyRecordSchema, set.json());
  assert.deepEqual(
    set.json<Record>().warnings?.map(({ code }) => code),
    ["listEntryCommonWord"],
  );
  assert.equal((await ask("GET", POLICY)).json<Record>().warnings, undefined);
  await server.close();
});

test("policies: a note that is no Unicode is refused as that", async () => {
  const { server, ask } = await open();
  const refused = await ask("PUT", POLICY, { note: "half \ud800" });
  assert.equal(refused.statusCode, 400);
  assert.match(refused.json<{ detail: string }>().detail, /\/note must be valid Unicode/);
  await server.close();
});

test("policies: bodies that are none", async () => {
  const { server, ask } = await open();
  const cases: [unknown, number, string][] = [
    ["[]", 400, "badRequest"],
    ["{", 400, "malformedJson"],
    [{ note: 3 }, 400, "badRequest"],
    [{ note: "x".repeat(600) }, 400, "badRequest"],
    [{ policy: {}, tenant: "other" }, 400, "badRequest"],
    [{ policy: {}, observeOnly: true }, 400, "badRequest"],
    [{ note: "x".repeat(POLICY_BODY_BYTES_MAX) }, 413, "bodyTooLarge"],
  ];
  for (const [body, status, code] of cases) {
    const response = await ask("PUT", POLICY, body);
    const problem: { code: string } = response.json();
    assert.deepEqual([response.statusCode, problem.code], [status, code], response.body);
  }
  await server.close();
});

test("policies: a dry run says what would change and changes nothing", async () => {
  const { server, ask, judge } = await open();
  const insult = await judge({ text: "idiot", user: "eve" });
  await judge({ text: "damn" });
  await judge({ text: "hello" });
  await judge({ text: "idiot", doNotStore: true });
  const body = { policy: { categories: { insult: { flagAt: 0.95 }, toxicity: { flagAt: 0.95 } } } };
  const response = await ask("POST", `${POLICY}:dryRun`, body);
  assert.equal(response.statusCode, 200, response.body);
  valid(DryRunSchema, response.json());
  const result: DryRun & { tenant: string } = response.json();
  assert.deepEqual(
    [result.tenant, result.verdictCount, result.changedCount, result.unknownCount],
    ["acme", 3, 1, 0],
  );
  assert.deepEqual(result.examples, [
    {
      id: insult.id,
      asOfMs: insult.asOfMs,
      from: "flag",
      to: "allow",
      categories: ["toxicity", "insult"],
    },
  ]);
  assert.doesNotMatch(response.body, /idiot|eve\b/);
  assert.equal((await ask("GET", POLICY)).json<Record>().version, 0);
  const other = await ask("POST", "/v1/tenants/other/policy:dryRun", body);
  assert.equal(other.json<DryRun>().verdictCount, 0, "of its own verdicts only");
  const wrong = await ask("POST", `${POLICY}:dryRun`, { context: { turnsMax: -1 } });
  assert.equal(wrong.json<{ code: string }>().code, "policyContradictory");
  await server.close();
});
