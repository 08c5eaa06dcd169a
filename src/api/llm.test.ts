// What is told of language models, and what tenants may take of them, on a door that is played.
import { assembleServer } from "#cli/server.ts";
import { TENANT_COUNT_MAX } from "#model/limits.ts";
import { LlmSchema, TenantLlmSchema } from "#model/llm-schemas.ts";
import { MemoryPolicyStore, MemoryVerdictHistory } from "#model/policy-store.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import { LLM_DEFAULTS, PlayedLlm } from "#testing/played-llm.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Value } from "typebox/value";
import { LLM_EXAMPLE, TENANT_LLM_EXAMPLE } from "./llm-examples.ts";
import { MemoryLlmLimits } from "./llm-limits.ts";

const ORIGIN = "http://127.0.0.1:11434";
async function open(llm: PlayedLlm | undefined = new PlayedLlm()) {
  const engine = new FakeEngine();
  engine.llm = llm;
  const parts = {
    policies: new MemoryPolicyStore(),
    history: new MemoryVerdictHistory(),
    onFeedback: () => undefined,
  };
  const keeper = new MemoryLlmLimits(engine);
  const { server } = await assembleServer(engine, openLog("silent"), {
    moderation: { ...parts, llm: { defaults: LLM_DEFAULTS, keeper } },
  });
  const ask = async (method: "GET" | "PUT", url: string, payload?: string) => {
    const headers = { "content-type": "application/json" };
    return server.inject({ method, url, headers, ...(payload === undefined ? {} : { payload }) });
  };
  return { llm, keeper, server, ask };
}

test("llm: answers and examples keep to their schemas, and have no field beyond", async () => {
  const { ask } = await open();
  for (const [schema, answer] of [
    [LlmSchema, LLM_EXAMPLE],
    [LlmSchema, (await ask("GET", "/v1/llm")).json()],
    [TenantLlmSchema, TENANT_LLM_EXAMPLE],
    [TenantLlmSchema, (await ask("GET", "/v1/tenants/acme/llm")).json()],
  ] as const) {
    assert.deepEqual([...Value.Errors(schema, answer)], [], JSON.stringify(answer));
    const known = Object.keys(schema.properties);
    assert.deepEqual(Object.keys(answer as object).toSorted(), known.toSorted());
  }
});

test("llm: without an upstream it is off, and says how to turn it on", async () => {
  const { server } = await assembleServer(new FakeEngine(), openLog("silent"));
  for (const url of ["/v1/llm", "/v1/tenants/acme/llm"]) {
    const response = await server.inject({ method: "GET", url });
    assert.equal(response.statusCode, 409);
    const { code, detail } = response.json() as { code: string; detail: string };
    assert.equal(code, "llmOff");
    assert.match(detail, /NEXUSCORE_LLM_BASE_URL/);
  }
  const { body } = await server.inject({ method: "GET", url: "/metrics" });
  assert.doesNotMatch(body, /nexuscore_llm/);
});

test("llm: a tenant's limits are set, kept, and set back", async () => {
  const { llm, ask } = await open();
  const first = (await ask("GET", "/v1/tenants/acme/llm")).json() as typeof TENANT_LLM_EXAMPLE;
  assert.equal(first.source, "default");
  assert.deepEqual(first.limits, {
    callsPerMinute: 600,
    tokensPerMinute: 400_000,
    microsPerDay: null,
  });
  const set = '{"limits":{"callsPerMinute":0,"tokensPerMinute":null},"runningMax":2}';
  const put = await ask("PUT", "/v1/tenants/acme/llm", set);
  assert.equal(put.statusCode, 200, put.body);
  const answer = put.json() as typeof TENANT_LLM_EXAMPLE;
  assert.equal(answer.source, "tenant");
  assert.deepEqual(answer.limits, { callsPerMinute: 0, tokensPerMinute: null, microsPerDay: null });
  assert.equal(answer.runningMax, 2);
  assert.equal(answer.left.calls, 0);
  assert.deepEqual(llm!.limits.get("acme"), {
    budget: { callsPerMinute: 0, tokensPerMinute: Infinity, microsPerDay: Infinity },
    runningMax: 2,
  });
  const reset = (await ask("PUT", "/v1/tenants/acme/llm", "{}")).json() as { source: string };
  assert.equal(reset.source, "default");
  assert.deepEqual(llm!.limits.get("acme"), {});
});

for (const { name, body, code = "badRequest", detail } of [
  { name: "no JSON", body: "{", code: "malformedJson", detail: /not valid JSON/ },
  { name: "nothing", body: "", code: "malformedJson", detail: /empty/ },
  { name: "a list", body: "[]", detail: /must be an object/ },
  {
    name: "a text for a number",
    body: '{"limits":{"callsPerMinute":"5"}}',
    detail: /callsPerMinute/,
  },
  {
    name: "less than nothing",
    body: '{"limits":{"microsPerDay":-1}}',
    detail: /microsPerDay must/,
  },
  { name: "more than any number", body: '{"limits":{"callsPerMinute":1e999}}', detail: /callsPer/ },
  {
    name: "a budget that is none",
    body: '{"limits":{"calls":5}}',
    detail: /limits\/calls is no budget/,
  },
  { name: "another field", body: '{"callsPerMinute":5}', detail: /\/callsPerMinute is no field/ },
  { name: "limits that are none", body: '{"limits":5}', detail: /\/limits must be an object/ },
  { name: "nobody at once", body: '{"runningMax":0}', detail: /runningMax must be an integer/ },
  {
    name: "two mistakes",
    body: '{"runningMax":1.5,"limits":{"microsPerDay":true}}',
    detail: /microsPerDay .+; \/runningMax /,
  },
]) {
  test(`llm: limits with ${name} are refused`, async () => {
    const { llm, ask } = await open();
    const response = await ask("PUT", "/v1/tenants/acme/llm", body);
    assert.equal(response.statusCode, 400);
    const problem = response.json() as { code: string; detail: string };
    assert.equal(problem.code, code);
    assert.match(problem.detail, detail);
    assert.equal(llm!.limits.size, 0);
  });
}

test("llm: no more tenants have limits of their own than there may be", async () => {
  const { keeper, ask } = await open();
  for (let n = 0; n < TENANT_COUNT_MAX; n++) await keeper.put(`t${n}`, { runningMax: 1 });
  const beyond = await ask("PUT", "/v1/tenants/other/llm", '{"runningMax":2}');
  assert.equal(beyond.statusCode, 429);
  assert.equal((beyond.json() as { code: string }).code, "tenantLimit");
  const known = await ask("PUT", "/v1/tenants/t7/llm", '{"runningMax":2}');
  assert.equal(known.statusCode, 200, "who has some may change them");
  assert.equal((await ask("PUT", "/v1/tenants/other/llm", "{}")).statusCode, 200);
  await ask("PUT", "/v1/tenants/t8/llm", "{}");
  assert.equal((await ask("PUT", "/v1/tenants/other/llm", '{"runningMax":2}')).statusCode, 200);
});

test("llm: an illegal tenant, and a gateway that is down", async () => {
  const { llm, ask } = await open();
  const illegal = await ask("GET", "/v1/tenants/a%20b/llm");
  assert.equal((illegal.json() as { code: string }).code, "tenantIllegal");
  llm!.isDown = true;
  const down = await ask("GET", "/v1/llm");
  assert.equal(down.statusCode, 503);
  assert.equal(down.headers["retry-after"], "1");
  assert.equal((down.json() as { code: string }).code, "llmDown");
  const { body } = await ask("GET", "/metrics");
  assert.match(body, /^nexuscore_llm_up 0$/m);
  assert.doesNotMatch(body, /nexuscore_llm_calls_total/);
});

test("llm: metrics by job and outcome, and no tenant in them", async () => {
  const { ask } = await open();
  const { body } = await ask("GET", "/metrics");
  for (const line of [
    "nexuscore_llm_up 1",
    `nexuscore_llm_upstream_info{job="moderation",model="qwen3:8b",origin="${ORIGIN}"} 1`,
    'nexuscore_llm_running{job="moderation"} 3',
    'nexuscore_llm_calls_total{job="moderation",outcome="answered"} 97',
    'nexuscore_llm_calls_total{job="moderation",outcome="timedOut"} 2',
    'nexuscore_llm_tokens_total{job="moderation",kind="prompt"} 17130',
    'nexuscore_llm_tokens_total{job="moderation",kind="cached"} 44100',
    'nexuscore_llm_upstream_seconds{job="moderation",quantile="0.99"} 2.1',
    'nexuscore_llm_breaker_state{origin="http://127.0.0.1:11434",state="closed"} 1',
    'nexuscore_llm_breaker_state{origin="http://127.0.0.1:11434",state="open"} 0',
    "nexuscore_llm_cpu_seconds_total 0.412",
  ]) {
    assert(body.includes(`\n${line}\n`), line);
  }
  assert(!body.includes("acme"));
});
