import { WEBHOOK_FAILURES_MAX, WEBHOOK_RETRY_MS } from "#model/limits.ts";
import { openLog } from "#observe/log.ts";
import { Random } from "#std/random.ts";
import { flaggedVerdict, START_MS } from "#testing/reviewing.ts";
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { Webhook as Verifier } from "standardwebhooks";
import { Courier, type Outgoing } from "./courier.ts";
import { IN_MEMORY } from "./database.ts";
import type { CourierParts } from "./courier.ts";
import { type AnswerOf, type CommandName, type RequestOf, ReviewStore } from "./store.ts";
import { newSecret } from "./webhook-signature.ts";

const JITTER_MAX = 1.2;

function open(t: TestContext, statusOf: (outgoing: Outgoing) => number | Error = () => 204) {
  const store = new ReviewStore(IN_MEMORY);
  t.after(() => store.close());
  const call = async <Name extends CommandName>(name: Name, request: RequestOf<Name>) => {
    const [reply] = store.runAll([{ name, request } as never]);
    assert(reply !== undefined && "answer" in reply, JSON.stringify(reply));
    return reply.answer as AnswerOf<Name>;
  };
  const clock = { nowMs: START_MS };
  const sent: Outgoing[] = [];
  const parts: CourierParts = {
    store: { call: call as CourierParts["store"]["call"] },
    targets: "loopback",
    random: new Random(7),
    log: openLog("silent"),
    send: async (outgoing) => {
      sent.push(outgoing);
      const status = statusOf(outgoing);
      if (status instanceof Error) throw status;
      return status;
    },
  };
  const courier = new Courier(parts);
  const round = async (): Promise<number | undefined> => {
    const nextMs = await courier.round(() => clock.nowMs);
    await courier.settled();
    return nextMs;
  };
  const secret = newSecret();
  const put = async (id: string, more: object = {}) =>
    call("putWebhook", {
      tenant: "acme",
      id,
      url: "https://example.org/hooks",
      enabled: true,
      secret,
      events: ["verdict.flagged"],
      rotateSecret: false,
      nowMs: START_MS,
      ...more,
    });
  const flag = async (number: number, more = {}): Promise<void> => {
    const verdict = flaggedVerdict(number, { asOfMs: START_MS, ...more });
    await call("takeFlagged", { verdict, text: "not to be told", context: [] });
  };
  const webhook = async (id: string) => call("webhook", { tenant: "acme", id });
  return { call, clock, sent, courier, round, put, flag, webhook, secret, parts };
}

test("courier: what is sent verifies with the reference library, and says no text", async (t) => {
  const { sent, round, put, flag, webhook, secret, clock } = open(t);
  await put("ours");
  await put("blocks", { events: ["verdict.blocked"] });
  await flag(1);
  t.mock.timers.enable({ apis: ["Date"], now: clock.nowMs });
  await round();
  assert.equal(sent.length, 1, "only who asked for the event");
  const { headers, body, url } = sent[0]!;
  assert.equal(url.href, "https://example.org/hooks");
  const payload = new Verifier(secret).verify(body, headers) as { type: string; data: object };
  assert.equal(payload.type, "verdict.flagged");
  assert.throws(() => new Verifier(secret).verify(body.replace("acme", "evil"), headers));
  assert.ok(!body.includes("not to be told"));
  const { deliveredCount, waitingCount } = await webhook("ours");
  assert.deepEqual([deliveredCount, waitingCount], [1, 0]);
  await round();
  assert.equal(sent.length, 1, "what was delivered is not sent again");
});

test("courier: retries wait longer and longer, then it is given up", async (t) => {
  const { sent, round, put, flag, webhook, clock } = open(t, () => 500);
  await put("ours");
  await flag(1);
  await round();
  for (const [index, waitMs] of WEBHOOK_RETRY_MS.entries()) {
    const { deliveries } = await webhook("ours");
    const { dueAtMs = 0, state } = deliveries[0]!;
    assert.equal(state, "waiting");
    const waitedMs = dueAtMs - clock.nowMs;
    assert.ok(waitedMs >= waitMs * 0.8 && waitedMs <= waitMs * JITTER_MAX, `${waitedMs}`);
    clock.nowMs = dueAtMs - 1;
    await round();
    assert.equal(sent.length, index + 1, "not before it is due");
    clock.nowMs = dueAtMs;
    await round();
    assert.equal(sent.length, index + 2);
  }
  const { deliveries, gaveUpCount } = await webhook("ours");
  assert.deepEqual([deliveries[0]?.state, deliveries[0]?.error], ["gaveUp", "answered 500"]);
  assert.equal(gaveUpCount, 1);
  assert.equal(new Set(sent.map(({ headers }) => headers["webhook-id"])).size, 1);
});

test("courier: a webhook that only fails is disabled, and says why; others go on", async (t) => {
  const { sent, round, put, flag, webhook, clock } = open(t, ({ url }) =>
    url.pathname === "/bad" ? new Error("connect ECONNREFUSED") : 200,
  );
  await put("bad", { url: "https://example.org/bad" });
  await put("good");
  for (let number = 1; number <= WEBHOOK_FAILURES_MAX + 10; number++) await flag(number);
  for (let count = 0; count < WEBHOOK_FAILURES_MAX; count++) await round();
  const bad = await webhook("bad");
  assert.equal(bad.enabled, false);
  assert.match(bad.disabledReason ?? "", /50 attempts in a row failed; .*ECONNREFUSED/);
  assert.equal((await webhook("good")).deliveredCount, WEBHOOK_FAILURES_MAX + 10);
  const before = sent.length;
  clock.nowMs += 3_600_000;
  assert.equal(await round(), undefined, "and it is not asked for again and again");
  assert.equal(sent.length, before, "nothing goes to one that is disabled");
  const { webhook: again, secret } = await put("bad", { url: "https://example.org/good" });
  assert.deepEqual([again.enabled, again.failureCount, secret], [true, 0, undefined]);
  await round();
  assert.ok(sent.length > before, "what waited goes out");
});

test("courier: a redirect is not followed, and one that does not answer ends", async (t) => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.writeHead(307, { location: "/elsewhere" }).end();
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => server.close());
  const { parts } = open(t);
  const { send: _send, ...real } = parts;
  const courier = new Courier(real);
  const { port } = server.address() as AddressInfo;
  const message = { id: "msg_1", payload: "{}" };
  const target = { url: `http://127.0.0.1:${port}/hooks`, secret: newSecret() };
  const redirected = await courier.try(target, message, START_MS);
  assert.deepEqual(redirected, { status: 307, error: "redirects are not followed" });
  assert.deepEqual(asked, ["/hooks"]);
  const named = { ...target, url: `http://localhost:${port}/named` };
  assert.equal((await courier.try(named, message, START_MS)).status, 307);
  const metadata = { ...target, url: "http://169.254.169.254/" };
  const refused = await courier.try(metadata, message, START_MS);
  assert.match(refused.error ?? "", /private network/);
});
