import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test, { type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { loadClassifier } from "#classifier/classifier.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import { POLICY_RECORD_DEFAULT } from "#model/policy-default.ts";
import { Problem } from "#model/problem.ts";
import { RequestBytes } from "#model/request-bytes.ts";
import {
  RECORD_ELEMENTS,
  RECORD_LINES,
  RECORD_MESSAGES,
  tenantsTakenBytes,
} from "#shard/protocol.ts";
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
  const bytes = new RequestBytes();
  const byteCount = bytes.write({ text: "hello" }, 0) as number;
  const body = Buffer.concat([new Uint8Array(4), bytes.bytes.subarray(0, byteCount)]);
  body.writeUInt32LE(byteCount);
  const json = await send(shard, waiting, RECORD_MESSAGES, body, "acme");
  const [judged] = JSON.parse(json as string) as { report: { policyVersion: number } }[];
  assert.equal(judged?.report.policyVersion, 7);
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

async function start(t: TestContext) {
  t.mock.method(process, "emitWarning", () => undefined);
  const waiting = new Waiting();
  const policies = new Map<string, Uint8Array>();
  const tenantsTaken = new SharedArrayBuffer(tenantsTakenBytes(1));
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
      takeEvents: () => undefined,
      endReviews: () => undefined,
      loseReviews: () => undefined,
      unkeptReviewCount: () => 0,
    },
  );
  t.after(async () => shard.stop());
  await shard.started;
  return { shard, waiting, policies, taken: () => new Int32Array(tenantsTaken)[0] };
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
  shard.write({ kind, request, last: true, tenant: Buffer.from(tenant) }, body);
  return answer;
}

/** Until the thread that follows a dead one takes records; the test's own limit ends it else. */
async function untilReady(shard: ShardThread): Promise<void> {
  while (!shard.ready) await turn();
}

function isRestarting(error: unknown): boolean {
  return error instanceof Problem && error.code === "shardRestarting";
}
