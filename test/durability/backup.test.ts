// A backup of the real server under load: what was acknowledged before it is in it, what is not
// asked for stays as it was, to the hash; and a backup that is damaged is not put back.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { restoreBackup, verifyBackup } from "#durable/backup-folder.ts";
import type { Backup } from "#model/backup.ts";
import type { TenantInspection } from "#model/inspection.ts";
import { Served } from "./served.ts";

const QUIET = ["oak", "elm", "ash"];
const SENDERS = 4;
const EVENTS = 25;
/** Requests of each sender before the backup, and at least after it was begun. */
const BEFORE = 40;

type Taken = { accepted: number; ack: string };

/** How many events of each tenant were acknowledged, and sent. */
class Sender {
  readonly tenant: string;
  acknowledged = 0;
  sent = 0;
  requestCount = 0;
  slowestMs = 0;
  #isOver = false;

  constructor(tenant: string) {
    this.tenant = tenant;
  }

  async run(served: Served): Promise<void> {
    while (!this.#isOver) {
      const lines = Array.from({ length: EVENTS }, (_, i) =>
        JSON.stringify({ id: `${this.requestCount}-${i}`, user: `u${i}`, text: `line ${i} of it` }),
      );
      this.sent += EVENTS;
      const startMs = performance.now();
      const path = `/v1/tenants/${this.tenant}/events`;
      const answer = await served.ask<Taken>(
        path,
        "POST",
        lines.join("\n"),
        "application/x-ndjson",
      );
      assert.equal(answer.status, 202, JSON.stringify(answer.body));
      assert.equal(answer.body.ack, "disk");
      this.slowestMs = Math.max(this.slowestMs, performance.now() - startMs);
      this.acknowledged += answer.body.accepted;
      this.requestCount += 1;
    }
  }

  stop(): void {
    this.#isOver = true;
  }
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "nexuscore-backup-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

async function stateOf(served: Served, tenant: string): Promise<TenantInspection> {
  return served.get<TenantInspection>(`/v1/tenants/${tenant}/state?windows=false`);
}

async function prepareQuiet(served: Served): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  for (const [index, tenant] of QUIET.entries()) {
    await served.ask(`/v1/tenants/${tenant}`, "PUT", { clock: "event" });
    const events = Array.from({ length: 30 }, (_, i) =>
      JSON.stringify({ id: `${i}`, user: `u${i % 7}`, text: `what ${tenant} said ${i * index}` }),
    );
    const path = `/v1/tenants/${tenant}/events`;
    await served.ask(path, "POST", events.join("\n"), "application/x-ndjson");
    const { components = [] } = await stateOf(served, tenant);
    hashes.set(tenant, components[0]!.stateHash);
  }
  return hashes;
}

async function backUp(served: Served): Promise<Backup> {
  const begun = await served.ask<Backup>("/v1/backups", "POST");
  assert.equal(begun.status, 202, JSON.stringify(begun.body));
  // One at a time; it may be done already.
  const second = await served.ask<{ code?: string }>("/v1/backups", "POST");
  assert(second.status === 202 || second.body.code === "backupRunning");
  for (;;) {
    const backup = await served.get<Backup>(`/v1/backups/${begun.body.name}`);
    assert.notEqual(backup.state, "failed", backup.problem ?? "");
    if (backup.state === "done") return backup;
    await sleep(20);
  }
}

test("a backup under load has what was acknowledged before, and is put back", async (t) => {
  const path = folder(t);
  const dataDir = join(path, "data");
  const served = await Served.start({ folder: dataDir, shardCount: 2 });
  t.after(() => served.kill());
  const hashes = await prepareQuiet(served);
  const senders = Array.from({ length: SENDERS }, (_, i) => new Sender(`busy${i}`));
  const runs = senders.map(async (sender) => sender.run(served));
  while (senders.some(({ requestCount }) => requestCount < BEFORE)) await sleep(10);
  const known = senders.map(({ acknowledged }) => acknowledged);
  const backup = await backUp(served);
  const counts = senders.map(({ requestCount }) => requestCount);
  while (senders.some(({ requestCount }, i) => requestCount < counts[i]! + 5)) await sleep(10);
  for (const sender of senders) sender.stop();
  await Promise.all(runs);
  const slowestMs = Math.max(...senders.map((sender) => sender.slowestMs));
  t.diagnostic(`commits held ${backup.pauseMs!.toFixed(1)} ms, slowest answer ${slowestMs} ms`);
  await served.kill();

  const restored = join(path, "restored");
  await verifyBackup(backup.path);
  await restoreBackup(backup.path, restored, { replaces: false, nowMs: Date.now() });
  const again = await Served.start({ folder: restored, shardCount: 3 });
  t.after(() => again.kill());
  for (const [index, { tenant, sent }] of senders.entries()) {
    const { eventCount } = await again.get<{ eventCount: number }>(`/v1/tenants/${tenant}`);
    assert(eventCount >= known[index]!, `${tenant}: ${eventCount} of ${known[index]}`);
    assert(eventCount <= sent);
  }
  for (const [tenant, hash] of hashes) {
    const { components = [], status } = await stateOf(again, tenant);
    assert.equal(components[0]!.stateHash, hash, tenant);
    assert.equal(status!.eventCount, 30);
  }
  // It goes on from there.
  const lines = JSON.stringify({ user: "ada", text: "and so it goes on" });
  const taken = await again.ask<Taken>("/v1/tenants/oak/events", "POST", lines);
  assert.equal(taken.body.accepted, 1);
});

test("a backup with one bit flipped is not put back, and nothing is touched", async (t) => {
  const path = folder(t);
  const served = await Served.start({ folder: join(path, "data"), shardCount: 1 });
  t.after(() => served.kill());
  await prepareQuiet(served);
  const backup = await backUp(served);
  const file = join(backup.path, "state.db");
  const bytes = readFileSync(file);
  bytes[Math.floor(bytes.length / 2)]! ^= 4;
  writeFileSync(file, bytes);
  const how = { replaces: true, nowMs: Date.now() };
  await assert.rejects(
    restoreBackup(backup.path, join(path, "data"), how),
    /state\.db is not what was written/,
  );
  const { components = [] } = await stateOf(served, "oak");
  assert.equal(components.length, 1, "the server goes on");
});
