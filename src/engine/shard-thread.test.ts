import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test, { type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { loadClassifier } from "#classifier/classifier.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import { POLICY_DEFAULT, POLICY_RECORD_DEFAULT } from "#model/policy-default.ts";
import { Problem } from "#model/problem.ts";
import { RequestBytes } from "#model/request-bytes.ts";
import {
  type JudgedEvent,
  type JudgedMessage,
  RECORD_ELEMENTS,
  RECORD_LINES,
  RECORD_MESSAGES,
  RECORD_POLICY,
  type ReviewEnded,
  tenantsTakenBytes,
} from "#shard/protocol.ts";
import { wakeRing } from "#std/byte-ring.ts";
import { FakeGateway } from "#testing/fake-gateway.ts";
import { ShardThread } from "./shard-thread.ts";
import { Waiting } from "./waiting.ts";

const COMPONENT = new URL("../../guests/dist/summarize.component.wasm", import.meta.url);
const MODERATOR = new URL("../../guests/dist/hostile-moderator.component.wasm", import.meta.url);
/** Says that 99 bytes follow, and none do: no client can bring about such a record. */
const TORN = new Uint8Array(new Uint32Array([0, 99]).buffer);
const DEATHS_MAX = 6;

test("a shard that dies tells who waits, comes back empty, and frees its places", async (t) => {
  const { shard, waiting, taken } = await start(t);
  const line = Buffer.from('{"tenant":"acme","text":"hello"}');
  const before = send(shard, waiting, RECORD_LINES, line);
  assert.equal(((await before) as { accepted: number }).accepted, 1);
  assert.equal(taken(), 1);
  await assert.rejects(send(shard, waiting, RECORD_ELEMENTS, TORN), isRestarting);
  assert.throws(() => shard.checkRoom(1, 1, 1), isRestarting);
  await untilReady(shard);
  assert.equal(taken(), 0);
  assert.equal(shard.stats().tenantCount, 0);
  const after = send(shard, waiting, RECORD_LINES, line);
  assert.equal(((await after) as { accepted: number }).accepted, 1);
  assert.equal(waiting.count, 0);
});

test("a shard that comes back has the policies of its tenants", async (t) => {
  const { shard, waiting, policies } = await start(t);
  const policy = policyBytes({ ...POLICY_RECORD_DEFAULT, version: 7 })!;
  policies.set("acme", policy);
  await assert.rejects(send(shard, waiting, RECORD_ELEMENTS, TORN), isRestarting);
  await untilReady(shard);
  const { report } = await judge(shard, waiting, "hello");
  assert.equal(report.policyVersion, 7);
});

test("a shard that only dies stays down, says so, and does not hold up the stop", async (t) => {
  const { shard, waiting } = await start(t);
  for (let death = 1; death <= DEATHS_MAX; death++) {
    await untilReady(shard);
    await assert.rejects(send(shard, waiting, RECORD_ELEMENTS, TORN), isRestarting);
  }
  await shard.stop();
  assert.throws(() => shard.checkRoom(1, 1, 1), /stays down/);
});

test("a review goes to the gateway and comes back, and a stop waits for it", async (t) => {
  const { shard, waiting, gateways, ended, wake } = await start(t);
  const first = await judge(shard, waiting, "?!! first");
  assert.deepEqual(first.review, { waitMsMax: POLICY_DEFAULT.consult.waitMsMax });
  const [call] = await untilAsked(gateways[0]!);
  gateways[0]!.answer(call!.request, 0.5, "well");
  wake();
  while (ended.length < 1) await turn();
  assert.deepEqual([ended[0]!.id, ended[0]!.outcome], [first.id, "answered"]);
  const second = await judge(shard, waiting, "?!! second");
  const [open] = await untilAsked(gateways[0]!);
  const { reviews } = shard.stats().moderation;
  assert.deepEqual([reviews.begunCount, reviews.endedCount, reviews.openCount], [2, 1, 1]);
  const stopped = shard.stop();
  await turn();
  assert.equal(ended.length, 1);
  gateways[0]!.fail(open!.request, "unavailable");
  wake();
  await stopped;
  assert.deepEqual([ended[1]!.id, ended[1]!.outcome], [second.id, "unavailable"]);
});

test("a shard that dies loses its reviews; the next has a port of its own", async (t) => {
  const { shard, waiting, gateways, ended, wake, lostCount } = await start(t);
  await judge(shard, waiting, "?!! lost");
  const [lost] = await untilAsked(gateways[0]!);
  await assert.rejects(send(shard, waiting, RECORD_ELEMENTS, TORN), isRestarting);
  assert.ok(lostCount() > 0);
  await untilReady(shard);
  assert.equal(gateways.length, 2);
  const next = await judge(shard, waiting, "?!! next");
  const [call] = await untilAsked(gateways[1]!);
  gateways[0]!.answer(lost!.request, 0.5, "of the dead");
  gateways[1]!.answer(call!.request, 0.5, "of the living");
  wake();
  while (ended.length < 1) await turn();
  assert.equal(ended[0]!.id, next.id);
});

test("a gateway begins anew: what was open is interrupted, what follows is asked", async (t) => {
  const { shard, waiting, gateways, ended, wake } = await start(t);
  const open = await judge(shard, waiting, "?!! open");
  await untilAsked(gateways[0]!);
  shard.attachGateway();
  while (ended.length < 1) await turn();
  assert.deepEqual([ended[0]!.id, ended[0]!.outcome], [open.id, "interrupted"]);
  await judge(shard, waiting, "?!! next");
  const [call] = await untilAsked(gateways[1]!);
  gateways[1]!.answer(call!.request, 0.5, "");
  wake();
  while (ended.length < 2) await turn();
  assert.equal(ended[1]!.outcome, "answered");
});

test("events with an open review are taken once it is kept; others at once", async (t) => {
  const kept = Promise.withResolvers<void>();
  const told: JudgedEvent[] = [];
  const takeEvents = (json: string) => {
    told.push(...(JSON.parse(json) as JudgedEvent[]));
    return kept.promise;
  };
  const { shard, waiting, gateways } = await start(t, takeEvents);
  const policy = { ...POLICY_DEFAULT, moderateEvents: true };
  const bytes = policyBytes({ ...POLICY_RECORD_DEFAULT, version: 1, policy })!;
  await send(shard, waiting, RECORD_POLICY, bytes, "judged");
  const line = (tenant: string, id: string, text: string) =>
    Buffer.from(`${JSON.stringify({ tenant, id, user: "ann", text })}\n`);
  let isTaken = false;
  const held = send(shard, waiting, RECORD_LINES, line("judged", "1", "?!! one")).then(() => {
    isTaken = true;
  });
  await send(shard, waiting, RECORD_LINES, line("other", "1", "?!! two"));
  assert.equal(isTaken, false);
  assert.equal((await untilAsked(gateways[0]!)).length, 1);
  assert.deepEqual(
    told.map(({ tenant, messageId, review }) => [tenant, messageId, review !== undefined]),
    [["judged", "1", true]],
  );
  kept.resolve();
  await held;
});

async function start(
  t: TestContext,
  takeEvents: (json: string) => Promise<void> | undefined = () => undefined,
) {
  t.mock.method(process, "emitWarning", () => undefined);
  const waiting = new Waiting();
  const policies = new Map<string, Uint8Array>();
  const tenantsTaken = new SharedArrayBuffer(tenantsTakenBytes(1));
  const gateways: FakeGateway[] = [];
  const ended: ReviewEnded[] = [];
  let ring: SharedArrayBuffer | undefined;
  let lostCount = 0;
  const shard = new ShardThread(
    {
      shard: 0,
      tenantsTaken,
      tenantCountMax: 10,
      slotCount: 2,
      imageBytesMax: 1 << 20,
      component: await readFile(COMPONENT),
      trusted: true,
      moderator: await readFile(MODERATOR),
      moderatorTrusted: false,
      classifier: await loadClassifier(),
      salt: 0,
    },
    {
      waiting,
      policies: () => policies,
      takeEvents,
      endReviews: (json) => ended.push(...(JSON.parse(json) as ReviewEnded[])),
      loseReviews: () => (lostCount += 1),
      unkeptReviewCount: () => 0,
      gateway: (buffer) => {
        ring = buffer;
        gateways.push(new FakeGateway());
        return gateways.at(-1)!.port;
      },
    },
  );
  t.after(async () => {
    const stopped = shard.stop();
    // What is open then has an end, so that nothing waits for it.
    for (const gateway of gateways) {
      for (const { request } of gateway.asked) gateway.fail(request, "cancelled");
      gateway.close();
    }
    await stopped;
  });
  await shard.started;
  return {
    shard,
    waiting,
    policies,
    gateways,
    ended,
    wake: () => wakeRing(ring!),
    lostCount: () => lostCount,
    taken: () => new Int32Array(tenantsTaken)[0],
  };
}

/** Judges one message of acme. */
async function judge(shard: ShardThread, waiting: Waiting, text: string): Promise<JudgedMessage> {
  const bytes = new RequestBytes();
  const byteCount = bytes.write({ text }, 0) as number;
  const body = Buffer.concat([new Uint8Array(4), bytes.bytes.subarray(0, byteCount)]);
  body.writeUInt32LE(byteCount);
  const json = await send(shard, waiting, RECORD_MESSAGES, body, "acme");
  const [judged] = JSON.parse(json as string) as JudgedMessage[];
  return judged!;
}

async function untilAsked(gateway: FakeGateway) {
  for (;;) {
    const calls = gateway.look();
    if (calls.length > 0) return calls;
    await turn();
  }
}

async function send(
  shard: ShardThread,
  waiting: Waiting,
  kind: number,
  body: Uint8Array,
  tenant = "",
) {
  shard.checkRoom(1, body.length, body.length);
  const { request, answer } = waiting.open(1);
  shard.write({ kind, request, last: true, flags: 0, tenant: Buffer.from(tenant) }, body);
  return answer;
}

/** Until the thread that follows a dead one takes records; the test's own limit ends it else. */
async function untilReady(shard: ShardThread): Promise<void> {
  while (!shard.ready) await turn();
}

function isRestarting(error: unknown): boolean {
  return error instanceof Problem && error.code === "shardRestarting";
}
