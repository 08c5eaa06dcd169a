/**
 * Names by request: a receiver that starts after its senders asks them, instead of waiting for
 * names to be repeated, and what came before the names is not lost.
 */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import { startEngine } from "#engine/engine.ts";
import { startUdpIngest, type UdpIngest } from "#ingest/udp.ts";
import { REQUEST_MS_MIN, REQUESTS_MAX } from "#kernel/requests.ts";
import { openStage, type StagePath } from "#kernel/stage.ts";
import { KIND_REQUEST, readHeader } from "#model/datagram.ts";
import { tenantIndexes, termEntry, TestSender, weightRecord } from "#testing/datagrams.ts";
import { tally, TestStage, type Way, wayMissing } from "#testing/stage.ts";
import { DatagramClient } from "../../client/datagram-client.ts";

const PATHS: readonly StagePath[] = ["kernel", "user"];
const WAYS: readonly Way[] = ["kernel", "recvmmsg", "dgram"];
const [ACME] = tenantIndexes(["acme"]) as [number];

for (const path of PATHS) {
  const skip = path === "kernel" ? wayMissing("kernel") : false;

  test(`${path}: a client that was there first is asked for its names`, { skip }, async (t) => {
    const port = await freePort();
    // Names are repeated once an hour: whatever is known by then was asked for.
    const client = new DatagramClient({ port, dictionaryMs: 3_600_000 });
    t.after(() => client.close());
    client.record("acme", "pizza", 5);
    await client.flush();
    assert.equal(client.stats.dictionariesSent, 1, "the names went out, to nobody");
    const udp = await startServer(t, path, port);
    // The system tells of the refusal before with the next datagram, and drops it.
    let recordCount = 0;
    while (udp.stats().senders.records < 20) {
      client.record("acme", "pizza", 1);
      recordCount += 1;
      await client.flush();
    }
    while (client.stats.requestsReceived === 0) await soon();
    const sent = udp.stats().senders.records;
    assert(sent <= recordCount + 1);
    while (udp.stats().shards.deliveredCount < sent) await soon();
    const { receiver, shards, kernel } = udp.stats();
    assert.equal(shards.deliveredCount, sent);
    assert.deepEqual([shards.heldCount, shards.unknownCount], [0, 0]);
    assert(receiver.requestsSent >= 1);
    assert.equal(receiver.requestsFailed, 0);
    // All but the first, which told where the client is.
    assert.equal(kernel.records, path === "kernel" ? sent - 1 : 0);
    // Requests that follow each other too soon, as a busy machine may hand them on, are one.
    const { dictionariesSent, requestsReceived } = client.stats;
    assert(dictionariesSent >= 2 && dictionariesSent <= 1 + requestsReceived);
  });
}

for (const way of WAYS) {
  const skip = wayMissing(way);

  test(`${way}: one request at a time, none without need`, { skip }, () => {
    using stage = new TestStage(way);
    const asked: [number, Uint8Array][] = [];
    stage.receiver.answerWith((number, request) => asked.push([number, request.slice()]) > 0);
    const sender = new TestSender(7n);
    stage.send(sender.records([weightRecord(ACME, 0, 3)]));
    let nowMs = 1_000_000;
    const turn = (): [string, number | number[]][] => {
      const sums = [...tally(stage.turn())];
      stage.receiver.requestNames(nowMs);
      return sums;
    };
    for (let i = 0; i < 5; i++, nowMs += 100) turn();
    assert.equal(asked.length, 1, "within a second");
    const header = readHeader(asked[0]![1]);
    assert.deepEqual(header, { kind: KIND_REQUEST, count: 0, sender: 7n, sequence: 0 });
    nowMs += REQUEST_MS_MIN;
    turn();
    assert.equal(asked.length, 2, "what was asked for may be lost on the way");
    stage.send(sender.dictionary([[ACME, "acme"], termEntry(0, "pizza")]));
    assert.deepEqual(turn(), [["acme pizza", 3]]);
    for (let i = 0; i < 5; i++, nowMs += REQUEST_MS_MIN) turn();
    assert.equal(asked.length, 2, "nothing is missing any more");
    assert.equal(stage.stats.receiver.requestsSent, 2);
  });

  test(`${way}: many unknown senders are asked in turns, a few each`, { skip }, () => {
    using stage = new TestStage(way);
    const asked = new Set<number>();
    stage.receiver.answerWith((number) => asked.add(number).size > 0);
    const senderCount = 2 * REQUESTS_MAX + 10;
    for (let id = 1; id <= senderCount; id++) {
      stage.send(new TestSender(BigInt(id)).records([weightRecord(ACME, 0, 1)]));
      stage.read();
    }
    const sizes: number[] = [];
    for (let i = 0; i < 4; i++) {
      stage.turn();
      stage.receiver.requestNames(1_000_000 + i);
      sizes.push(asked.size);
    }
    const all = stage.stats.senders.count;
    assert(all > 2 * REQUESTS_MAX && all <= senderCount);
    assert.deepEqual(sizes, [REQUESTS_MAX, 2 * REQUESTS_MAX, all, all]);
  });
}

test("a request that cannot be sent is counted, and no more", () => {
  using stage = new TestStage("dgram");
  stage.receiver.answerWith(() => false);
  stage.send(new TestSender(7n).records([weightRecord(ACME, 0, 1)]));
  stage.turn();
  stage.receiver.requestNames(1_000_000);
  const { requestsSent, requestsFailed } = stage.stats.receiver;
  assert.deepEqual([requestsSent, requestsFailed], [0, 1]);
});

async function startServer(t: TestContext, path: StagePath, port: number): Promise<UdpIngest> {
  const dictionaryBytes = 4 * 1024 * 1024;
  const small = { logBits: 16, bufferRecords: 65_536, dictionaryBytes };
  const stage = openStage({ shardCount: 2, path, ...small });
  const engine = await startEngine({
    shardCount: 2,
    slotCount: 8,
    imageBytesMax: 64 * 1024 * 1024,
    tenantCountMax: 1_000,
    stage: stage.handle,
  });
  const udp = await startUdpIngest(stage, {
    host: "127.0.0.1",
    port,
    turnMs: 100,
    busyTurnMs: 1_000,
  });
  t.after(async () => {
    await udp.stop();
    await engine.stop();
    stage.close();
  });
  return udp;
}

async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return port;
}

function soon(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
