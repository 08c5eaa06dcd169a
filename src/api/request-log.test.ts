import assert from "node:assert/strict";
import { test } from "node:test";
import { assembleServer } from "#cli/server.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";

type Line = Readonly<Record<string, unknown>>;

async function open(slowMs: number) {
  const lines: Line[] = [];
  const log = openLog("info", { write: (line) => void lines.push(JSON.parse(line) as Line) });
  const engine = new FakeEngine();
  const watch = { slowRequestMs: () => slowMs };
  const { server } = await assembleServer(engine, log, watch);
  return { server, engine, lines };
}

test("requests: each has a number, its own or that of a proxy if it is harmless", async (t) => {
  const { server } = await open(0);
  t.after(async () => server.close());
  const idOf = async (theirs?: string): Promise<string> => {
    const headers = theirs === undefined ? {} : { "x-request-id": theirs };
    const answer = await server.inject({ method: "GET", url: "/livez", headers });
    return String(answer.headers["x-request-id"]);
  };
  assert.equal(await idOf("trace-7:a.b_c"), "trace-7:a.b_c");
  const [first, second] = [await idOf(), await idOf()];
  assert.match(first, /^[0-9a-f]{8}-[0-9a-z]+$/);
  assert.notEqual(first, second);
  for (const theirs of ["", "a b", "x".repeat(65), '"}{"', "ä"]) {
    assert.match(await idOf(theirs), /^[0-9a-f]{8}-/);
  }
});

test("requests: one that is slow is logged, without what is in it", async (t) => {
  const { server, lines } = await open(1e-6);
  t.after(async () => server.close());
  const headers = { "content-type": "application/json", "x-request-id": "r1" };
  const url = "/v1/tenants/acme/conversations/SECRET?x=SECRET";
  await server.inject({ method: "GET", url, headers });
  const payload = '{"user":"SECRET","text":"SECRET"}';
  await server.inject({ method: "POST", url: "/v1/tenants/acme/events", payload, headers });
  await server.inject({ method: "POST", url: "/v1/tenants/no%20SECRET/events", payload, headers });
  const slow = lines.filter(({ message }) => message === "a request was slow");
  assert.equal(slow.length, 3);
  assert.doesNotMatch(JSON.stringify(lines), /SECRET/);
  const { level, requestId, method, route, tenant, status } = slow[1]!;
  assert.deepEqual(
    { level, requestId, method, route, tenant, status },
    {
      level: "warn",
      requestId: "r1",
      method: "POST",
      route: "/v1/tenants/:tenant/events",
      tenant: "acme",
      status: 202,
    },
  );
  assert.equal(typeof slow[0]!["tookMs"], "number");
});

test("requests: a bug is logged with the number of its request", async (t) => {
  const { server, engine, lines } = await open(0);
  t.after(async () => server.close());
  const headers = { "content-type": "application/json" };
  const post = async () =>
    server.inject({ method: "POST", url: "/v1/tenants/acme/events", payload: "[]", headers });
  await post();
  assert.equal(lines.length, 0);
  engine.offer = () => Promise.reject(new Error("a bug of ours"));
  const answer = await post();
  assert.equal(answer.statusCode, 500);
  const { requestId } = answer.json<{ requestId: string }>();
  assert.equal(requestId, answer.headers["x-request-id"]);
  assert.equal(lines[0]!["requestId"], requestId);
  for (let i = 0; i < 100; i++) await post();
  const written = lines.filter(({ message }) => message === "a request failed unexpectedly");
  assert(written.length < 100, "a flood of them is cut");
});
