// A tenant that is deleted is gone: from memory, from every file, and for whoever comes after it.
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { POLICY_RECORD_DEFAULT } from "#model/policy-default.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import { UNLIMITED } from "#model/quota.ts";
import { type Engine, startEngine } from "./engine.ts";
import type { EngineSettings } from "./engine-settings.ts";

const CANARY = "canaryquxzzorble";
const NEIGHBOURS = Array.from({ length: 8 }, (_, i) => `neighbour-${i}`);

test("nothing of a deleted tenant is in memory or in a file; its name begins anew", async (t) => {
  const { settings, folder } = settingsOf(t);
  const engine = await startEngine(settings);
  t.after(async () => engine.stop());
  for (const tenant of NEIGHBOURS) await offer(engine, tenant, `hello from ${tenant}`, 20);
  await offer(engine, "gone", `the ${CANARY} was here`, 40);
  await engine.putPolicy("gone", { ...POLICY_RECORD_DEFAULT, version: 3 });
  await engine.putQuota("gone", { eventsPerSecond: 1_000 });
  await engine.moderate("gone", [{ text: `say ${CANARY} again`, conversation: "c" }]);
  assert.ok(isIn(folder, CANARY), "it is there before");
  const closed: string[] = [];
  engine.onClosed((tenant) => closed.push(tenant));
  await engine.closeTenant("gone");
  assert.deepEqual(closed, ["gone"]);
  await assert.rejects(engine.tenant("gone"), is("tenantUnknown"));
  await assert.rejects(offer(engine, "gone", "too early", 1), is("tenantDeleting"));
  await assert.rejects(engine.putTenant("gone", { clock: "wall" }), is("tenantDeleting"));
  await assert.rejects(engine.putQuota("gone", {}), is("tenantDeleting"));
  await assert.rejects(engine.moderate("gone", [{ text: "hello" }]), is("tenantDeleting"));
  const mixed = await engine.offer({
    tenant: undefined,
    body: Buffer.from('{"tenant":"gone","text":"a"}\n{"tenant":"neighbour-1","text":"b"}'),
    format: "ndjson",
  });
  assert.deepEqual([mixed.accepted, mixed.errors[0]?.code], [1, "tenantDeleting"]);
  const list = await engine.tenants({ offset: 0, limit: 100, prefix: "" });
  assert.equal(list.total, NEIGHBOURS.length);
  await engine.tenantErased("gone");
  assert.ok(!isIn(folder, CANARY), "no file has it");
  await engine.freeTenant("gone");
  await assert.rejects(engine.tenant("gone"), is("tenantUnknown"));
  const fresh = await offer(engine, "gone", "a new life", 1);
  assert.equal(fresh.accepted, 1);
  const { eventCount, rejectedCount, lateCount } = await engine.tenant("gone");
  assert.deepEqual([eventCount, rejectedCount, lateCount], [1, 0, 0]);
  const { own, refusedCount } = await engine.quota("gone");
  assert.deepEqual([own, refusedCount], [[], 0]);
  const [outcome] = await engine.moderate("gone", [{ text: "hello" }]);
  assert.ok(outcome !== undefined && "verdict" in outcome);
  assert.equal(outcome.verdict.policy.version, 0);
  for (const [index, tenant] of NEIGHBOURS.entries()) {
    assert.equal((await engine.tenant(tenant)).eventCount, index === 1 ? 21 : 20);
  }
});

test("a start after a deletion finds the new life and not the old one", async (t) => {
  const { settings, folder } = settingsOf(t);
  const first = await startEngine(settings);
  await offer(first, "gone", `the ${CANARY} was here`, 30);
  await offer(first, "other", "hello", 5);
  await first.closeTenant("gone");
  await first.freeTenant("gone");
  await offer(first, "gone", "a new life", 2);
  await first.stop();
  const second = await startEngine(settings);
  t.after(async () => second.stop());
  assert.equal((await second.tenant("gone")).eventCount, 2);
  assert.equal((await second.tenant("other")).eventCount, 5);
  assert.deepEqual(gapsOf(second), []);
  // What the process before did not come to: files are cleaned of it now.
  await second.closeTenant("gone");
  await second.tenantErased("gone");
  assert.ok(!isIn(folder, CANARY));
  assert.ok(!isIn(folder, "life"));
});

test("the number of a deleted tenant is another's, and nothing is seen through it", async (t) => {
  const { settings } = settingsOf(t);
  const engine = await startEngine({ ...settings, shardCount: 1, tenantCountMax: 4 });
  t.after(async () => engine.stop());
  await offer(engine, "stays", "hello", 3);
  for (let n = 0; n < 40; n++) {
    const tenant = `turn-${n}`;
    await engine.putTenant(tenant, { clock: n % 2 === 0 ? "event" : "wall" });
    await offer(engine, tenant, `word${n} word${n}`, n + 1);
    const { eventCount, clock } = await engine.tenant(tenant);
    assert.deepEqual([eventCount, clock], [n + 1, n % 2 === 0 ? "event" : "wall"]);
    const { items } = await engine.trending(tenant, { limit: 50, order: "count" });
    assert.ok(items.every(({ term }) => !term.startsWith("word") || term === `word${n}`));
    assert.equal((await engine.quota(tenant)).refusedCount, 0);
    await engine.closeTenant(tenant);
    await engine.tenantErased(tenant);
    await engine.freeTenant(tenant);
  }
  assert.equal((await engine.tenant("stays")).eventCount, 3);
  assert.equal((await engine.tenants({ offset: 0, limit: 9, prefix: "" })).total, 1);
});

function settingsOf(t: TestContext): { settings: EngineSettings; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-deletion-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const durability = {
    path: join(folder, "state.db"),
    ack: "disk",
    logBytesMax: 1024 ** 3,
    recoveryMsMax: 8_000,
    datagramLog: false,
  } as const;
  const settings = {
    shardCount: 2,
    slotCount: 4,
    imageBytesMax: 64 * 1024 * 1024,
    tenantCountMax: 1_000,
    quota: UNLIMITED,
    durability,
  };
  return { settings, folder };
}

async function offer(engine: Engine, tenant: string, text: string, count: number) {
  const lines = Array.from({ length: count }, (_, n) => JSON.stringify({ user: `u${n}`, text }));
  return engine.offer({ tenant, body: Buffer.from(lines.join("\n")), format: "ndjson" });
}

/** In any of the encodings that we write texts in. */
function isIn(folder: string, text: string): boolean {
  const forms = [Buffer.from(text), Buffer.from(text, "utf16le")];
  return readdirSync(folder).some((name) => {
    const bytes = readFileSync(join(folder, name));
    return forms.some((form) => bytes.includes(form));
  });
}

function gapsOf(engine: Engine): readonly string[] {
  const { recovery } = engine.storage();
  assert.ok(recovery !== undefined && "summary" in recovery);
  return recovery.summary.lost;
}

function is(code: ProblemCode): (error: unknown) => boolean {
  return (error) => error instanceof Problem && error.code === code;
}
