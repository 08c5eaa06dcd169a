// Memory for bodies: bounded in all and for each, and given back whatever becomes of a request.
import { Guard } from "#cli/guard.ts";
import { assembleServer } from "#cli/server.ts";
import { KeyDesk } from "#keys/key-desk.ts";
import { BodyBudget } from "#model/body-budget.ts";
import { BODIES_BYTES_MAX, BODIES_OF_OWNER_BYTES_MAX, BODY_BYTES_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import Fastify from "fastify";
import assert from "node:assert/strict";
import { test } from "node:test";
import { boundBodies } from "./body-bounds.ts";

const JSON_TYPE = { "content-type": "application/json" };

test("bodies: those that find no room are 429, and what was held is given back", async (t) => {
  const budget = new BodyBudget();
  const server = Fastify();
  t.after(async () => server.close());
  boundBodies(server, budget);
  server.setErrorHandler((error, _request, reply) => {
    return reply.code(error instanceof Problem ? error.status : 400).send("no");
  });
  server.post("/:tenant", async ({ body }) => body);
  const post = async (payload: string, headers = JSON_TYPE): Promise<number> => {
    const answer = await server.inject({ method: "POST", url: "/acme", payload, headers });
    return answer.statusCode;
  };
  budget.take(BODIES_BYTES_MAX - 10);
  assert.equal(await post('"abc"'), 200);
  assert.equal(await post('"abcdefghijkl"'), 429);
  assert.equal(await post("{wrong}"), 400);
  // Nobody reads this one, so nobody hears that there is no room.
  assert.notEqual(await post("x".repeat(20), { "content-type": "text/odd" }), 200);
  assert.equal(await post('"abc"'), 200);
  assert.equal(budget.bytes, BODIES_BYTES_MAX - 10);
  budget.give(BODIES_BYTES_MAX - 10);
  // The share of one tenant is not that of another.
  budget.of("acme").take(BODIES_OF_OWNER_BYTES_MAX);
  assert.equal(await post('"abc"'), 429);
  const other = { method: "POST", url: "/other", payload: '"abc"', headers: JSON_TYPE } as const;
  assert.equal((await server.inject(other)).statusCode, 200);
});

test("bodies: of a request that is refused once it is read nothing is held for good", async (t) => {
  const log = openLog("silent");
  const desk = new KeyDesk(":memory:");
  const guard = new Guard({ desk, log });
  const { server } = await assembleServer(new FakeEngine(), log, { guard });
  t.after(async () => {
    await server.close();
    guard.close();
  });
  const keyOf = (tenants: string[]): string =>
    desk.create({ roles: ["tenantWrite"], tenants }, "test").key;
  const [several, one] = [keyOf(["acme", "shop-*"]), keyOf(["acme"])];
  const post = async (key: string, payload: Buffer | string): Promise<number> => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/x-ndjson" };
    const request = { method: "POST", url: "/v1/events", headers, payload } as const;
    return (await server.inject(request)).statusCode;
  };
  const large = Buffer.alloc(BODY_BYTES_MAX, " ");
  // It has to name the tenant, and cannot.
  for (let i = 0; i <= BODIES_BYTES_MAX / BODY_BYTES_MAX; i++) {
    assert.equal(await post(several, large), 403);
  }
  const event = '{"text":"hello"}\n';
  assert.equal(await post(one, event), 202);
  // Bodies that are taken, and ones with nothing but blank lines in them.
  for (let i = 0; i <= BODIES_BYTES_MAX / BODY_BYTES_MAX; i++) {
    assert.notEqual(await post(one, large), 429);
  }
  assert.equal(await post(one, event), 202);
});
