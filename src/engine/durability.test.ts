// Tenants outlive the process, a shard's thread, the writer's thread, and their component.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { loadClassifier } from "#classifier/classifier.ts";
import type { HoldGate } from "#durable/writer-hold.ts";
import { POLICY_RECORD_DEFAULT } from "#model/policy-default.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import type { RecoverySummary, StorageStats } from "#model/storage.ts";
import type { TenantStatus } from "#model/tenant.ts";
import {
  type Durability,
  RECORD_ELEMENTS,
  RECORD_LINES,
  RECORD_QUESTION,
  type ShardRecovery,
  tenantsTakenBytes,
} from "#shard/protocol.ts";
import { beginEngine, type Engine, startEngine } from "./engine.ts";
import type { EngineSettings } from "./engine-settings.ts";
import { ShardThread } from "./shard-thread.ts";
import { StorageError } from "./storage-error.ts";
import { Waiting } from "./waiting.ts";
import { WriterThread } from "./writer-thread.ts";

const COMPONENT = new URL("../../guests/dist/summarize.component.wasm", import.meta.url);
const MODERATOR = new URL("../../guests/dist/moderate.component.wasm", import.meta.url);
/** Says that 99 bytes follow, and none do: no client can bring about such a record. */
const TORN = new Uint8Array(new Uint32Array([0, 99]).buffer);
const TENANTS = Array.from({ length: 12 }, (_, i) => `tenant-${i}`);

test("events, settings and policies come back, in however many shards", async (t) => {
  const settings = settingsOf(t);
  let total = 0;
  for (const shardCount of [2, 2, 1, 3]) {
    const engine = await started(t, { ...settings, shardCount });
    for (const [index, tenant] of TENANTS.entries()) {
      if (total === 0) {
        await engine.putTenant(tenant, { clock: index % 2 === 0 ? "wall" : "event" });
        await engine.putPolicy(tenant, { ...POLICY_RECORD_DEFAULT, version: 7 });
      } else {
        assert.equal((await engine.tenant(tenant)).clock, index % 2 === 0 ? "wall" : "event");
        const { eventCount } = await engine.summary(tenant, { span: "all", limit: 5 });
        assert.equal(eventCount, total);
        assert.equal((await engine.tenant(tenant)).eventCount, total);
      }
      assert.equal((await offer(engine, tenant, 3)).ack, "disk");
      const [judged] = await engine.moderate(tenant, [{ text: `hello ${total}` }]);
      assert(judged !== undefined && "verdict" in judged);
      assert.equal(judged.verdict.policy.version, 7);
    }
    total += 3;
    await engine.stop();
  }
});

test("after a stop with time for snapshots a start does nothing again", async (t) => {
  const settings = settingsOf(t);
  const first = await startEngine(settings);
  // Another clock begins anew: what the log says of that must not be done again to the snapshot.
  for (const tenant of TENANTS) await first.putTenant(tenant, { clock: "event" });
  for (const tenant of TENANTS) await first.putTenant(tenant, { clock: "wall" });
  for (const tenant of TENANTS) await offer(first, tenant, 5);
  await first.stop({ deadlineMs: performance.now() + 60_000 });
  const second = await started(t, settings);
  const summary = summaryOf(second.storage());
  assert.equal(summary.replayedTurns, 0);
  assert.equal(summary.tenants, TENANTS.length);
  assert.equal(summary.snapshots, TENANTS.length);
  for (const tenant of TENANTS) assert.equal((await second.tenant(tenant)).eventCount, 5);
});

test("an acknowledgement says disk, or memory if that was wished for", async (t) => {
  const settings = settingsOf(t);
  const first = await startEngine(settings);
  assert.equal((await offer(first, "acme", 1)).ack, "disk");
  assert.equal((await offer(first, "acme", 1, "memory")).ack, "memory");
  await first.stop();
  const durability = { ...settings.durability!, ack: "memory" as const };
  const second = await started(t, { ...settings, durability });
  assert.equal((await second.tenant("acme")).eventCount, 2);
  assert.equal((await offer(second, "acme", 1)).ack, "memory");
  assert.equal((await offer(second, "acme", 1, "disk")).ack, "disk");
  assert.equal(second.storage().ack, "memory");
});

test("while a start reads what is kept all is refused; then it says what it made", async (t) => {
  const settings = settingsOf(t);
  const first = await startEngine(settings);
  for (const tenant of TENANTS) await offer(first, tenant, 2);
  await first.stop();
  const engine = await beginEngine(settings);
  t.after(async () => engine.stop());
  assert.equal(engine.ready, false);
  assert.equal(engine.storage().state, "recovering");
  await assert.rejects(offer(engine, "acme", 1), is("recovering"));
  await assert.rejects(engine.tenant("acme"), is("recovering"));
  await engine.started;
  assert.equal(engine.ready, false);
  // Before anybody else, and kept as any.
  await engine.putPolicy("tenant-0", { ...POLICY_RECORD_DEFAULT, version: 9 });
  await assert.rejects(offer(engine, "acme", 1), is("recovering"));
  engine.open();
  assert.equal(engine.ready, true);
  const { replayedTurns, gaps, lostCount, tenants } = summaryOf(engine.storage());
  assert(replayedTurns >= 2 * TENANTS.length);
  assert.deepEqual([gaps, lostCount, tenants], [0, 0, TENANTS.length]);
  assert.equal(engine.storage().state, "ok");
});

test("a second process on the same folder is told whose it is", async (t) => {
  const settings = settingsOf(t);
  await started(t, settings);
  const folder = dirname(settings.durability!.path);
  await assert.rejects(startEngine(settings), (error) => {
    assert(error instanceof StorageError);
    assert(error.message.includes(folder) && error.message.includes("--data-dir"));
    return true;
  });
});

test("tenants go on on the component that their state is of", async (t) => {
  const settings = settingsOf(t);
  const component = await readFile(COMPONENT);
  const older = { ...settings, component: withCustomSection(component) };
  const first = await startEngine(older);
  await offer(first, "logged", 4);
  await first.stop();
  const second = await startEngine(older);
  await offer(second, "kept", 4);
  await second.stop({ deadlineMs: performance.now() + 60_000 });
  const third = await started(t, { ...settings, component });
  for (const tenant of ["logged", "kept"]) {
    assert.equal((await third.summary(tenant, { span: "all", limit: 5 })).eventCount, 4);
    await offer(third, tenant, 1);
    assert.equal((await third.tenant(tenant)).eventCount, 5);
  }
});

test("a shard's thread dies: the next reads its tenants back and goes on", async (t) => {
  const settings = settingsOf(t);
  const component = await readFile(COMPONENT);
  const moderator = await readFile(MODERATOR);
  const classifier = await loadClassifier();
  const kept = { digest: Buffer.alloc(32, 1), bytes: component };
  const kinds = { summarizer: kept, moderator: { digest: Buffer.alloc(32, 2), bytes: moderator } };
  const writer = new WriterThread(settings.durability!, kinds, 1);
  await writer.opened;
  const waiting = new Waiting();
  const { slotCount, imageBytesMax, tenantCountMax } = settings;
  const tenantsTaken = new SharedArrayBuffer(tenantsTakenBytes(1));
  const limits = { slotCount, imageBytesMax, tenantCountMax, tenantsTaken, shard: 0, salt: 1 };
  const components = { component, moderator, classifier, trusted: true, moderatorTrusted: true };
  const recoveries: ShardRecovery[] = [];
  const shard = new ShardThread(
    { ...limits, ...components },
    {
      waiting,
      policies: () => new Map(),
      takeEvents: () => undefined,
      endReviews: () => undefined,
      loseReviews: () => undefined,
      unkeptReviewCount: () => 0,
      log: (ring, isAgain) => writer.attach(0, ring, isAgain),
      recovered: (recovery) => recoveries.push(recovery),
    },
  );
  t.after(async () => {
    await shard.stop();
    await writer.stop();
  });
  const send = async (kind: number, body: string | Uint8Array): Promise<unknown> => {
    while (!shard.ready) await turn();
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    const { request, answer } = waiting.open(1, "disk");
    shard.write({ kind, request, last: true, flags: 0, tenant: Buffer.alloc(0) }, bytes);
    return answer;
  };
  const question = JSON.stringify({ type: "tenant", tenant: "acme" });
  for (let life = 1; life <= 3; life++) {
    await send(RECORD_LINES, '{"tenant":"acme","text":"one"}\n{"tenant":"acme","text":"two"}');
    await assert.rejects(send(RECORD_ELEMENTS, TORN), is("shardRestarting"));
    assert.equal(((await send(RECORD_QUESTION, question)) as TenantStatus).eventCount, 2 * life);
    assert.deepEqual(recoveries.at(-1)!.gaps, []);
  }
  assert.deepEqual(
    recoveries.map(({ tenantCount }) => tenantCount),
    [0, 1, 1, 1],
  );
});

test("the writer's thread dies: no events until another writes, and nothing is lost", async (t) => {
  const settings = settingsOf(t);
  const first = await startEngine(settings);
  await offer(first, "acme", 1);
  // An array that is not shared: the writer stumbles over it.
  first.holdLog(new Int32Array(1) as unknown as HoldGate);
  while (first.storage().state !== "failed") await turn();
  await assert.rejects(offer(first, "acme", 1), is("storageUnavailable"));
  assert.equal((await first.tenant("acme")).eventCount, 1);
  assert.match(first.storage().detail ?? "", /writer ended/);
  while (first.storage().state !== "ok") await turn();
  assert.equal((await offer(first, "acme", 1)).ack, "disk");
  await first.stop();
  const second = await started(t, settings);
  assert.equal((await second.tenant("acme")).eventCount, 2);
  assert.equal(summaryOf(second.storage()).gaps, 0);
});

function settingsOf(t: TestContext): EngineSettings {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-durable-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const durability: Durability = {
    path: join(folder, "state.db"),
    ack: "disk",
    logBytesMax: 1024 * 1024 * 1024,
    recoveryMsMax: 8_000,
    datagramLog: false,
  };
  return {
    shardCount: 2,
    slotCount: 8,
    imageBytesMax: 64 * 1024 * 1024,
    tenantCountMax: 1_000,
    durability,
  };
}

async function started(t: TestContext, settings: EngineSettings): Promise<Engine> {
  const engine = await startEngine(settings);
  t.after(async () => engine.stop());
  return engine;
}

async function offer(engine: Engine, tenant: string, count: number, ack?: "disk" | "memory") {
  const lines = Array.from({ length: count }, (_, i) => `{"user":"u${i}","text":"pizza time"}`);
  const body = Buffer.from(lines.join("\n"));
  const answer = await engine.offer({ tenant, body, format: "ndjson", ack });
  assert.equal(answer.accepted, count);
  return answer;
}

function summaryOf({ recovery }: StorageStats): RecoverySummary {
  assert(recovery !== undefined && "summary" in recovery);
  return recovery.summary;
}

function is(code: ProblemCode): (error: unknown) => boolean {
  return (error) => error instanceof Problem && error.code === code;
}

/** The same component with other bytes: a section of its own that says nothing. */
function withCustomSection(component: Uint8Array): Uint8Array {
  const name = Buffer.from("of-another-day");
  return Buffer.concat([component, Uint8Array.of(0, name.length + 1, name.length), name]);
}
