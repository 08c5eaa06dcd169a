import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import { type Engine, startEngine } from "#engine/engine.ts";
import { openStage, type StagePath } from "#kernel/stage.ts";
import { Problem } from "#model/problem.ts";
import { tenantIndexes, termEntry, TestSender, weightRecord } from "#testing/datagrams.ts";
import { wayMissing } from "#testing/stage.ts";
import { startUdpIngest, type UdpIngest } from "./udp.ts";

const PATHS: readonly StagePath[] = ["kernel", "user"];
const [ACME, GLOBEX] = tenantIndexes(["acme", "globex"]) as [number, number];
const NAMES = [
  [ACME, "acme"],
  [GLOBEX, "globex"],
  termEntry(0, "pizza"),
  termEntry(1, "soup"),
] as const;

for (const path of PATHS) {
  const skip = path === "kernel" ? wayMissing("kernel") : false;

  test(`${path}: records are in the tenants' windows, on whatever shard`, { skip }, async (t) => {
    const { engine, udp } = await start(t, path);
    assert.equal(udp.facts.path, path);
    const sender = new TestSender(5n);
    await send(
      udp,
      sender.dictionary(NAMES),
      sender.records([weightRecord(ACME, 0, 3), weightRecord(GLOBEX, 1, 2)]),
      sender.records([weightRecord(ACME, 0, 4), weightRecord(ACME, 1, 1)]),
    );
    await settled(udp, 4);
    assert.deepEqual(await counts(engine, "acme"), [
      ["pizza", 7],
      ["soup", 1],
    ]);
    assert.deepEqual(await counts(engine, "globex"), [["soup", 2]]);
  });

  test(
    `${path}: a question sees what was recorded before it, under load too`,
    { skip },
    async (t) => {
      // No turn comes by itself within a test's life.
      const { engine, udp } = await start(t, path, { turnMs: 3_600_000 });
      const sender = new TestSender(5n);
      const others = Array.from({ length: 40 }, (_, i) => `other-${i}`);
      const indexes = tenantIndexes(others);
      await send(
        udp,
        sender.dictionary(NAMES),
        sender.dictionary(others.map((name, i) => [indexes[i]!, name] as const)),
      );
      const flood = Array.from({ length: 4_000 }, (_, i) =>
        weightRecord(indexes[i % 40]!, i % 2, 1),
      );
      let sent = 0;
      for (let asked = 1; asked <= 5; asked++) {
        await send(udp, ...Array.from({ length: 5 }, () => sender.records(flood)));
        await send(udp, sender.records([weightRecord(ACME, 0, 1)]));
        sent += 5 * flood.length + 1;
        await summed(udp, sent);
        // The first question sees it, unless the shards get no CPU until it gives up waiting.
        while ((await counts(engine, "acme"))[0]?.[1] !== asked);
        assert.equal((await engine.tenant("acme")).eventCount, asked);
      }
      await udp.stop();
      await settled(udp, sent);
      assert.equal(udp.stats().shards.deliveredCount, sent);
    },
  );

  test(`${path}: a stop hands on what was taken`, { skip }, async (t) => {
    const { engine, udp } = await start(t, path, { turnMs: 1_000 });
    const sender = new TestSender(5n);
    await send(udp, sender.dictionary(NAMES));
    for (let i = 0; i < 50; i++) await send(udp, sender.records([weightRecord(ACME, 0, 1)]));
    await udp.stop();
    const { kernel, user, shards } = udp.stats();
    assert.equal(kernel.records + user.records, 50);
    assert.equal(shards.deliveredCount, 50);
    assert.deepEqual(await counts(engine, "acme"), [["pizza", 50]]);
    // However many were joined on the way, each record is an event.
    const { eventCount } = await engine.trending("acme", { limit: 1, order: "count" });
    assert.equal(eventCount, 50);
    assert.equal((await engine.tenant("acme")).eventCount, 50);
  });

  test(`${path}: a port that is taken is an error with its code`, { skip }, async (t) => {
    const { udp } = await start(t, path);
    const stage = openStage({ shardCount: 1, path, logBits: 14 });
    t.after(() => stage.close());
    const { host, port } = udp;
    await assert.rejects(startUdpIngest(stage, { host, port, turnMs: 10, busyTurnMs: 1_000 }), {
      code: "EADDRINUSE",
    });
  });
}

test("a name that leaves the machine's addresses is an error", async (t) => {
  const stage = openStage({ shardCount: 1, path: "user", logBits: 14 });
  t.after(() => stage.close());
  const failed = startUdpIngest(stage, {
    host: "192.0.2.1",
    port: 0,
    turnMs: 10,
    busyTurnMs: 1_000,
  });
  await assert.rejects(failed, { code: "EADDRNOTAVAIL" });
});

async function start(
  t: TestContext,
  path: StagePath,
  { turnMs = 10 } = {},
): Promise<{ engine: Engine; udp: UdpIngest }> {
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
    host: "localhost",
    port: 0,
    turnMs,
    busyTurnMs: 1_000,
  });
  t.after(async () => {
    await udp.stop();
    await engine.stop();
    stage.close();
  });
  return { engine, udp };
}

async function send(udp: UdpIngest, ...datagrams: readonly Uint8Array[]): Promise<void> {
  const socket = createSocket("udp4");
  for (const datagram of datagrams) {
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.send(datagram, udp.port, "127.0.0.1", () => resolve());
    await promise;
  }
  socket.close();
  await once(socket, "close");
}

/**
 * Until so many records are with their tenants; a test that waits in vain is ended by its runner.
 */
async function settled(udp: UdpIngest, recordCount: number): Promise<void> {
  while (udp.stats().shards.deliveredCount < recordCount) {
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Until so many records are taken, by the kernel or by the receiver. */
async function summed(udp: UdpIngest, recordCount: number): Promise<void> {
  for (;;) {
    const { kernel, user } = udp.stats();
    if (kernel.records + user.records >= recordCount) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function counts(engine: Engine, tenant: string): Promise<[string, number][]> {
  for (;;) {
    try {
      const { items } = await engine.trending(tenant, { limit: 10, order: "count" });
      return items.map(({ term, count }) => [term, count]);
    } catch (error) {
      // Handed to the shard, not yet to the tenant.
      if (!(error instanceof Problem) || error.code !== "tenantUnknown") throw error;
    }
  }
}
