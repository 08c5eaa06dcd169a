// Over real sockets: inject() would end the answer that never ends.
import { assembleServer } from "#cli/server.ts";
import { readEventStream, type StreamEvent } from "#cli/event-stream.ts";
import { LIVE_CONNECTIONS_MAX, LIVE_OF_TENANT_MAX } from "#model/limits.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";

/** Connections that a test opens before it waits for them: fewer than any system lets queue up. */
const GROUP_CONNECTIONS = 64;

async function open(t: TestContext) {
  const engine = new FakeEngine();
  const { server, beginStop } = await assembleServer(engine, openLog("silent"));
  await server.listen({ host: "127.0.0.1", port: 0 });
  t.after(async () => server.close());
  const { port } = server.server.address() as AddressInfo;
  const say = async (text: string, tenant = "acme"): Promise<void> => {
    await engine.offer({
      tenant,
      body: Buffer.from(JSON.stringify({ text })),
      format: "json",
    });
  };
  const connect = async (
    headers: Record<string, string> = {},
    tenant = "acme",
    query = "?summary=off",
  ) => {
    const abort = new AbortController();
    const url = `http://127.0.0.1:${port}/v1/tenants/${tenant}/live${query}`;
    const response = await fetch(url, { headers, signal: abort.signal });
    const events = response.body === null ? undefined : readEventStream(response.body);
    const next = async (): Promise<StreamEvent | undefined> => {
      const result = await events?.next();
      return result?.done === true ? undefined : result?.value;
    };
    return { response, next, abort };
  };
  return { engine, server, beginStop, say, connect };
}

test("live: the first state at once, then each change, then the end on stop", async (t) => {
  const { server, beginStop, say, connect } = await open(t);
  await say("one");
  const { response, next } = await connect();
  assert.equal(response.status, 200);
  assert.match(String(response.headers.get("content-type")), /^text\/event-stream/);
  assert.equal(response.headers.get("cache-control"), "no-store");
  const first = (await next()) ?? assert.fail("no first event");
  assert.equal(first.name, "trending");
  assert.equal((JSON.parse(first.data) as { eventCount: number }).eventCount, 1);
  await say("two");
  const second = (await next()) ?? assert.fail("no second event");
  assert.equal((JSON.parse(second.data) as { eventCount: number }).eventCount, 2);
  assert.ok(Number(second.id) > Number(first.id));
  beginStop();
  const closed = server.close();
  const last = await next();
  assert.equal(last?.name, "stopping");
  assert.match(last.data, /connect again/);
  assert.equal(await next(), undefined);
  await closed;
});

test("live: Last-Event-ID is honoured while others keep the feed", async (t) => {
  const { say, connect } = await open(t);
  await say("one");
  const keeper = await connect();
  const seen = (await keeper.next()) ?? assert.fail("no event");
  const back = await connect({ "last-event-id": seen.id });
  const stale = await connect({ "last-event-id": "5" });
  assert.equal((await stale.next())?.id, seen.id);
  await say("two");
  const update = (await back.next()) ?? assert.fail("no update");
  assert.equal((JSON.parse(update.data) as { eventCount: number }).eventCount, 2);
  for (const { abort } of [keeper, back, stale]) abort.abort();
});

test("live: a tenant put in quarantine ends the stream with the reason", async (t) => {
  const { engine, say, connect } = await open(t);
  await say("one");
  const { next } = await connect();
  await next();
  engine.quarantine("acme");
  const event = (await next()) ?? assert.fail("no event");
  assert.equal(event.name, "problem");
  assert.equal((JSON.parse(event.data) as { code: string }).code, "tenantQuarantined");
  assert.equal(await next(), undefined);
  assert.equal((await connect()).response.status, 409);
});

test("live: summaries come beside trends, of the window asked for, when they change", async (t) => {
  const { say, connect } = await open(t);
  await say("one");
  const minute = await connect({}, "acme", "");
  const hour = await connect({}, "acme", "?summary=1h");
  for (const [window, { next }] of [
    ["60s", minute],
    ["1h", hour],
  ] as const) {
    const events = [await next(), await next()];
    assert.deepEqual(
      events.map((event) => event?.name),
      ["trending", "summary"],
    );
    const summary = JSON.parse(events[1]?.data ?? "") as { window: { name: string } };
    assert.equal(summary.window.name, window);
    assert.ok(Number(events[1]?.id) > Number(events[0]?.id));
  }
  await say("two");
  const counts = [await minute.next(), await minute.next()].map((event) => {
    return (JSON.parse(event?.data ?? "") as { eventCount: number }).eventCount;
  });
  assert.deepEqual(counts, [2, 2]);
  for (const { abort } of [minute, hour]) abort.abort();
});

test("live: a window that is not there is refused, one that goes ends the stream", async (t) => {
  const { engine, say, connect } = await open(t);
  await say("one");
  const unknown = await connect({}, "acme", "?summary=5m");
  assert.equal(unknown.response.status, 400);
  assert.equal(((await unknown.response.json()) as { code: string }).code, "windowUnknown");
  const { next } = await connect({}, "acme", "?summary=1h");
  assert.deepEqual([(await next())?.name, (await next())?.name], ["trending", "summary"]);
  await engine.putTenant("acme", { clock: "wall", windows: ["10m"] });
  const event = (await next()) ?? assert.fail("no event");
  assert.equal(event.name, "problem");
  assert.equal((JSON.parse(event.data) as { code: string }).code, "windowOff");
  assert.equal((await connect({}, "acme", "?summary=1h")).response.status, 409);
});

test("live: unknown tenants and too many listeners are told so", async (t) => {
  const { say, connect } = await open(t);
  assert.equal((await connect({}, "nobody")).response.status, 404);
  for (const tenant of ["acme", "other", "third"]) await say("one", tenant);
  const taken: Awaited<ReturnType<typeof connect>>[] = [];
  const take = async (count: number, tenant: string): Promise<void> => {
    for (let left = count; left > 0; left -= GROUP_CONNECTIONS) {
      const length = Math.min(GROUP_CONNECTIONS, left);
      const more = Array.from({ length }, async () => connect({}, tenant));
      taken.push(...(await Promise.all(more)));
    }
  };
  const refusal = async (tenant: string): Promise<string> => {
    const { response } = await connect({}, tenant);
    assert.equal(response.status, 503);
    assert.ok(Number(response.headers.get("retry-after")) > 0);
    const { code, detail } = (await response.json()) as { code: string; detail: string };
    assert.equal(code, "liveLimit");
    return detail;
  };
  await take(LIVE_OF_TENANT_MAX, "acme");
  // One tenant's readers leave others room.
  assert.match(await refusal("acme"), /of one tenant/);
  await take(LIVE_CONNECTIONS_MAX - LIVE_OF_TENANT_MAX, "other");
  assert.ok(taken.every(({ response }) => response.status === 200));
  assert.doesNotMatch(await refusal("third"), /of one tenant/);
  for (const { abort } of taken) abort.abort();
});

test("live: of many that come at once, no more than the limit are taken", async (t) => {
  const { engine, say, connect } = await open(t);
  await say("one");
  const tooMany = 40;
  const count = LIVE_OF_TENANT_MAX + tooMany;
  // A shard answers many questions in one message: all are admitted before the first one joins.
  const status = await engine.tenant("acme");
  const together = Promise.withResolvers<typeof status>();
  const pending: ReturnType<typeof connect>[] = [];
  let asked = 0;
  let heard = Promise.withResolvers<void>();
  engine.tenant = async () => {
    asked += 1;
    if (asked === pending.length) heard.resolve();
    return together.promise;
  };
  while (pending.length < count) {
    heard = Promise.withResolvers();
    const end = Math.min(pending.length + GROUP_CONNECTIONS, count);
    while (pending.length < end) pending.push(connect());
    // None is answered yet; one that is cut off fails the test here.
    await Promise.race([heard.promise, Promise.all(pending)]);
  }
  together.resolve(status);
  const all = await Promise.all(pending);
  const statuses = all.map(({ response }) => response.status);
  assert.equal(statuses.filter((status) => status === 503).length, tooMany);
  for (const { abort } of all) abort.abort();
});

test("live: flagged verdicts are told, also those that were missed, and no text", async (t) => {
  const { engine, say, connect } = await open(t);
  await say("one");
  const { next, abort } = await connect();
  assert.equal((await next())?.name, "trending");
  const judge = async (...texts: string[]): Promise<unknown> =>
    engine.moderate(
      "acme",
      texts.map((text) => ({ text, user: "ada" })),
    );
  await judge("hello", "you idiot", "idiot again");
  const first = (await next()) ?? assert.fail("no verdict");
  const second = (await next()) ?? assert.fail("no second verdict");
  assert.deepEqual([first.name, second.name], ["verdict", "verdict"]);
  const verdict = JSON.parse(first.data) as { action: string; user: string; tenant: string };
  assert.deepEqual([verdict.action, verdict.user, verdict.tenant], ["flag", "ada", "acme"]);
  assert.ok(!first.data.includes("you idiot"));
  assert.ok(Number(second.id) > Number(first.id));
  abort.abort();
  await engine.moderate("acme", [{ text: "idiot", id: "secret", doNotStore: true }]);
  await engine.moderate("other", [{ text: "idiot", id: "elsewhere" }]);
  await engine.moderate("acme", [{ text: "idiot", id: "missed" }]);
  // Who saw the first is sent what came after it; who is new is not sent the past.
  const back = await connect({ "last-event-id": first.id });
  const told: string[] = [];
  while (told.length < 2) {
    const event = (await back.next()) ?? assert.fail("the stream ended");
    if (event.name === "verdict") told.push(event.id);
  }
  assert.equal(told[0], second.id);
  const quiet = await connect({}, "acme", "?summary=off&verdicts=off");
  const fresh = await connect();
  await judge("idiot");
  assert.equal((await fresh.next())?.name, "trending");
  const now = (await fresh.next()) ?? assert.fail("no verdict");
  assert.equal(now.name, "verdict");
  assert.ok(Number(now.id) > Number(told[1]));
  assert.equal((await quiet.next())?.name, "trending");
  await say("two");
  assert.equal((await quiet.next())?.name, "trending", "nothing else was told");
  for (const each of [back, quiet, fresh]) each.abort.abort();
});
