import { assembleServer } from "#cli/server.ts";
import {
  EventsAnswerSchema,
  TenantListSchema,
  TenantSchema,
  TrendingSchema,
} from "#model/schemas.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { Type, type TSchema } from "typebox";
import { Value } from "typebox/value";
import { POLICY_BODY_EXAMPLE } from "./moderation-examples.ts";
import { TENANT_EXAMPLE } from "./tenants.ts";
import { EXAMPLE } from "./trending.ts";

const get = (url: string) => ({ method: "GET", url }) as const;
const send = (engine: FakeEngine, body: string) =>
  engine.offer({ tenant: "acme", body: Buffer.from(body), format: "json" });

async function open() {
  const engine = new FakeEngine();
  const { server } = await assembleServer(engine, openLog("silent"));
  return { engine, server };
}

test("api: answers and examples keep to their schemas", async () => {
  const { engine, server } = await open();
  const posted = await server.inject({
    method: "POST",
    url: "/v1/tenants/acme/events",
    payload: '{"user":"ada","text":"boss"}\n{}\n{"id":"a","text":"x"}',
    headers: { "content-type": "application/x-ndjson" },
  });
  await engine.putTenant("other", { clock: "event" });
  const pages: [TSchema, unknown][] = [
    [EventsAnswerSchema, posted.json()],
    [TrendingSchema, (await server.inject(get("/v1/tenants/acme/trending"))).json()],
    [TrendingSchema, EXAMPLE],
    [TenantSchema, (await server.inject(get("/v1/tenants/acme"))).json()],
    [TenantSchema, TENANT_EXAMPLE],
  ];
  for (const [schema, answer] of pages) {
    assert.deepEqual([...Value.Errors(schema, answer)], [], JSON.stringify(answer));
    const strange = Object.keys(answer as object).filter(
      (key) => !Object.hasOwn((schema as TSchema & { properties: object }).properties, key),
    );
    assert.deepEqual(strange, [], "a field that the schema does not know");
  }
  const list: unknown = (await server.inject(get("/v1/tenants"))).json();
  const listSchema = Type.Object({
    ...TenantListSchema.properties,
    tenants: Type.Array(TenantSchema),
  });
  assert.ok(Value.Check(listSchema, list));
  await server.close();
});

test("api: trending has the shape of the contract", async () => {
  const { engine, server } = await open();
  await send(engine, '{"id":"m1","user":"ada","text":"boss","tsMs":60000}');
  const answer = (await server.inject(get("/v1/tenants/acme/trending"))).json() as object;
  assert.deepEqual(answer, {
    tenant: "acme",
    asOfMs: 60_000,
    window: { startMs: 0, endMs: 60_000 },
    eventCount: 1,
    userCount: 1,
    userCountError: 0,
    lateCount: 0,
    duplicateCount: 0,
    repeatedCount: 0,
    items: [
      {
        term: "boss",
        count: 1,
        countLow: 1,
        countHigh: 1,
        exact: true,
        trending: false,
        expected: 0.5,
        significance: 1,
        userCount: 1,
        userCountError: 0,
        firstSeenMs: 60_000,
        sample: "boss",
      },
    ],
    tldr: {
      text: '1 messages. "boss"',
      sentences: [{ text: "1 messages." }, { text: '"boss"', eventId: "last" }],
      generatedBy: "extractive",
      degraded: false,
    },
  });
  await server.close();
});

test("api: the reference names every route and its problems, and needs no network", async () => {
  const { server } = await open();
  const response = await server.inject(get("/openapi.json"));
  const reference = response.json() as {
    openapi: string;
    paths: Record<string, Record<string, { responses: Record<string, object>; summary: string }>>;
    components: { schemas: Record<string, object> };
  };
  assert.match(reference.openapi, /^3\.1\./);
  const routes = Object.entries(reference.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  assert.deepEqual(routes.toSorted(), [
    "DELETE /v1/keys/{key}",
    "DELETE /v1/tenants/{tenant}",
    "DELETE /v1/tenants/{tenant}/authors/{author}",
    "DELETE /v1/tenants/{tenant}/conversations/{conversation}/reviews",
    "DELETE /v1/tenants/{tenant}/conversations/{conversation}/turns",
    "DELETE /v1/tenants/{tenant}/policy",
    "DELETE /v1/tenants/{tenant}/webhooks/{webhook}",
    "GET /livez",
    "GET /readyz",
    "GET /v1/backups",
    "GET /v1/backups/{name}",
    "GET /v1/keys",
    "GET /v1/keys:audit",
    "GET /v1/llm",
    "GET /v1/system/kernel",
    "GET /v1/system/storage",
    "GET /v1/tenants",
    "GET /v1/tenants/{tenant}",
    "GET /v1/tenants/{tenant}/audit",
    "GET /v1/tenants/{tenant}/authors/{author}/history",
    "GET /v1/tenants/{tenant}/conversations",
    "GET /v1/tenants/{tenant}/conversations/{conversation}/summary",
    "GET /v1/tenants/{tenant}/conversations/{conversation}/turns",
    "GET /v1/tenants/{tenant}/deletion",
    "GET /v1/tenants/{tenant}/labels:export",
    "GET /v1/tenants/{tenant}/live",
    "GET /v1/tenants/{tenant}/llm",
    "GET /v1/tenants/{tenant}/policy",
    "GET /v1/tenants/{tenant}/policy/versions",
    "GET /v1/tenants/{tenant}/quota",
    "GET /v1/tenants/{tenant}/retention",
    "GET /v1/tenants/{tenant}/reviews",
    "GET /v1/tenants/{tenant}/reviews/{review}",
    "GET /v1/tenants/{tenant}/reviews:export",
    "GET /v1/tenants/{tenant}/reviews:notReviewed",
    "GET /v1/tenants/{tenant}/reviews:stats",
    "GET /v1/tenants/{tenant}/sketch",
    "GET /v1/tenants/{tenant}/state",
    "GET /v1/tenants/{tenant}/summary",
    "GET /v1/tenants/{tenant}/trending",
    "GET /v1/tenants/{tenant}/webhooks",
    "GET /v1/tenants/{tenant}/webhooks/{webhook}",
    "POST /v1/backups",
    "POST /v1/events",
    "POST /v1/keys",
    "POST /v1/keys/{key}:rotate",
    "POST /v1/moderations",
    "POST /v1/summaries:merge",
    "POST /v1/tenants/{tenant}/events",
    "POST /v1/tenants/{tenant}/moderate",
    "POST /v1/tenants/{tenant}/moderations",
    "POST /v1/tenants/{tenant}/policy:dryRun",
    "POST /v1/tenants/{tenant}/reviews",
    "POST /v1/tenants/{tenant}/reviews/{review}:appeal",
    "POST /v1/tenants/{tenant}/reviews/{review}:claim",
    "POST /v1/tenants/{tenant}/reviews/{review}:decide",
    "POST /v1/tenants/{tenant}/reviews/{review}:release",
    "POST /v1/tenants/{tenant}/reviews:claim",
    "POST /v1/tenants/{tenant}/v1alpha1/comments:analyze",
    "POST /v1/tenants/{tenant}/v1alpha1/comments:suggestscore",
    "POST /v1/tenants/{tenant}/webhooks/{webhook}:test",
    "POST /v1alpha1/comments:analyze",
    "POST /v1alpha1/comments:suggestscore",
    "PUT /v1/tenants/{tenant}",
    "PUT /v1/tenants/{tenant}/llm",
    "PUT /v1/tenants/{tenant}/policy",
    "PUT /v1/tenants/{tenant}/quota",
    "PUT /v1/tenants/{tenant}/retention",
    "PUT /v1/tenants/{tenant}/webhooks/{webhook}",
  ]);
  const names = Object.keys(reference.components.schemas).toSorted();
  assert.deepEqual(names, [
    "AuditPage",
    "AuthorHistory",
    "Backup",
    "BackupList",
    "Conversation",
    "ConversationList",
    "ConversationTurns",
    "Deletion",
    "Erased",
    "Event",
    "EventsAnswer",
    "Llm",
    "MergedSummary",
    "Message",
    "NotReviewedPage",
    "Policy",
    "PolicyDryRun",
    "PolicyRecord",
    "PolicyVersions",
    "Problem",
    "Retention",
    "Review",
    "ReviewClaim",
    "ReviewDetail",
    "ReviewPage",
    "ReviewStats",
    "Summary",
    "Tenant",
    "TenantInspection",
    "TenantList",
    "TenantLlm",
    "TenantQuota",
    "Trending",
    "Verdict",
    "VerdictList",
    "Webhook",
    "WebhookList",
    "WebhookTest",
  ]);
  for (const match of response.body.matchAll(/"\$ref":"([^"]+)"/g)) {
    const name = /^#\/components\/schemas\/(\w+)$/.exec(match[1] ?? "")?.[1];
    assert.ok(name !== undefined && names.includes(name), `${match[1]} leads nowhere`);
  }
  for (const [path, methods] of Object.entries(reference.paths)) {
    for (const operation of Object.values(methods)) {
      assert.ok(operation.summary.length > 0, path);
      if (!path.startsWith("/v1")) continue;
      const problems = Object.values(operation.responses).filter((answer) =>
        JSON.stringify(answer).includes(
          // Others' forms have errors of their own.
          /moderations|comments/.test(path) ? '{"application/json"' : "application/problem+json",
        ),
      );
      assert.ok(problems.length > 0, path);
    }
  }
  const page = await server.inject(get("/docs/"));
  assert.equal(page.statusCode, 200);
  const links = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? "");
  assert.ok(links.length >= 4);
  for (const link of links) {
    assert.doesNotMatch(link, /^(?:https?:)?\/\//, "an address outside this server");
    const url = new URL(link, "http://localhost/docs/").pathname;
    assert.equal((await server.inject(get(url))).statusCode, 200, url);
  }
  const policy = String(page.headers["content-security-policy"]);
  assert.match(policy, /default-src 'self'/);
  assert.doesNotMatch(policy, /https?:|upgrade-insecure/);
  await server.close();
});

test("api: the reference shows what may be sent, also where its form is a name", async () => {
  const { server } = await open();
  const { paths } = (await server.inject(get("/openapi.json"))).json<{
    paths: Record<string, Record<string, { requestBody: { content: Record<string, object> } }>>;
  }>();
  const shown = (path: string, method: string, type: string) =>
    paths[path]![method]!.requestBody.content[type] as { example?: unknown; examples?: object };
  const json = "application/json";
  assert.deepEqual(shown("/v1/tenants/{tenant}/policy", "put", json).example, POLICY_BODY_EXAMPLE);
  assert.ok(shown("/v1/tenants/{tenant}/llm", "put", json).example !== undefined);
  const { examples } = shown("/v1/tenants/{tenant}/moderate", "post", json);
  assert.deepEqual(Object.keys(examples ?? {}), ["one", "many"]);
  assert.match(
    String(shown("/v1/tenants/{tenant}/events", "post", "application/x-ndjson").example),
    /^\{.*\}\n\{/,
  );
  await server.close();
});

test("api: the landing page is HTML for a browser and quotes no header unescaped", async () => {
  const { server } = await open();
  const headers = { accept: "text/html,*/*", host: 'x"><script>alert(1)</script>' };
  const response = await server.inject({ ...get("/"), headers });
  assert.match(String(response.headers["content-type"]), /^text\/html/);
  assert.doesNotMatch(response.body, /<script>/);
  await server.close();
});

test("api: the reference is written once, however often it is asked for", async (t) => {
  const { server } = await open();
  t.after(async () => server.close());
  await server.ready();
  const written = t.mock.method(server, "swagger");
  const bodies = new Map<string, Set<string>>();
  for (let i = 0; i < 3; i++) {
    for (const url of ["/openapi.json", "/docs/json", "/docs/yaml"]) {
      const { statusCode, body } = await server.inject(get(url));
      assert.equal(statusCode, 200, url);
      bodies.set(url, (bodies.get(url) ?? new Set()).add(body));
    }
  }
  assert.equal(written.mock.callCount(), 2, "once as JSON, once as YAML");
  assert.ok([...bodies.values()].every(({ size }) => size === 1));
  assert.deepEqual(bodies.get("/docs/json"), bodies.get("/openapi.json"));
  assert.match([...bodies.get("/docs/yaml")!][0]!, /^openapi: 3\.1\.0\n/);
});
