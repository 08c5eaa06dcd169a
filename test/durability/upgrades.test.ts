// A server of a new release finds tenants of the one before: they come back as they were, and move
// to today's component a few at a time, whenever the process is killed meanwhile.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Engine, startEngine } from "#engine/engine.ts";
import type { EngineSettings } from "#engine/engine-settings.ts";
import { newUpgradeCounts, UPGRADE_RESULTS } from "#model/component.ts";
import { SPANS } from "#model/summary.ts";
import { Random } from "#std/random.ts";
import { SEED } from "#testing/seed.ts";
import { variantOf } from "../../guests/summarize/testing/variant.ts";
import { Served } from "./served.ts";

const OLDER = {
  component: await variantOf("summarize", 65_536),
  moderator: await variantOf("moderate", 0x800),
};
const TENANTS = Array.from({ length: 150 }, (_, index) => `tenant-${index}`);
const LIVES = 3;
const FIRST_MS = 1_700_000_000_000;
const KILLED_AFTER_MS_MAX = 1500;

test("tenants move to today's component, and are what they were", async (t) => {
  const settings = settingsOf(t);
  const random = new Random(SEED);
  const first = await startEngine({ ...settings, ...OLDER });
  for (const tenant of TENANTS.slice(0, 20)) await fill(first, tenant, random);
  const before = await told(first);
  const older = (await first.tenant("tenant-0")).component;
  assert.match(older, /^[0-9a-f]{12}$/);
  await first.stop({ deadlineMs: performance.now() + 60_000 });

  const second = await startEngine(settings);
  while (upgradesOf(second).moved < 40) await sleep(20);
  assert.deepEqual(upgradesOf(second), { ...newUpgradeCounts(), moved: 40 });
  assert.notEqual((await second.tenant("tenant-0")).component, older);
  assert.deepEqual(await told(second), before);
  for (const tenant of TENANTS.slice(0, 20)) await fill(second, tenant, random);
  const after = await told(second);
  // Without time for snapshots: the log has the moves, and what came after them.
  await second.stop({ deadlineMs: performance.now() });

  const third = await startEngine(settings);
  assert.deepEqual(await told(third), after);
  assert.notEqual((await third.tenant("tenant-0")).component, older);
  await third.stop({ deadlineMs: performance.now() + 60_000 });
  assert.equal(componentsKept(settings), 4, "some image may still need the older ones");

  // Each image is written once more, so that its older generation is of today's component, too.
  const fourth = await startEngine(settings);
  for (const tenant of TENANTS.slice(0, 20)) await fill(fourth, tenant, random);
  const last = await told(fourth);
  await fourth.stop({ deadlineMs: performance.now() + 60_000 });
  const fifth = await startEngine(settings);
  t.after(async () => fifth.stop());
  while (componentsKept(settings) > 2) await sleep(20);
  assert.deepEqual(await told(fifth), last);
});

/** In the store. */
function componentsKept({ durability }: EngineSettings): number {
  const database = new DatabaseSync(durability!.path, { readOnly: true });
  const count = Number(database.prepare("SELECT count(*) AS n FROM components").get()!["n"]);
  database.close();
  return count;
}

test("a kill in the middle of the moves costs nobody anything", async (t) => {
  const settings = settingsOf(t);
  const random = new Random(SEED);
  const first = await startEngine({ ...settings, ...OLDER });
  for (const tenant of TENANTS) await fill(first, tenant, random);
  const wanted = new Map<string, number>();
  for (const tenant of TENANTS) wanted.set(tenant, (await first.tenant(tenant)).eventCount);
  const older = (await first.tenant("tenant-0")).component;
  await first.stop();
  const seen: number[] = [];
  for (let life = 0; life < LIVES; life++) {
    const served = await Served.start({ folder: folderOf(settings), shardCount: 1 + (life % 2) });
    t.after(async () => served.kill());
    const isLast = life === LIVES - 1;
    if (!isLast) await sleep(random.below(KILLED_AFTER_MS_MAX));
    let left = await leftOn(served, older, wanted);
    seen.push(left);
    while (isLast && left > 0) {
      await sleep(100);
      left = await leftOn(served, older, wanted);
    }
    await served.kill();
  }
  t.diagnostic(`SEED=${SEED}: tenants that had not moved yet, by life: ${seen.join(", ")}`);
});

/** How many run the component; all of them have what they had. */
async function leftOn(served: Served, older: string, wanted: Map<string, number>): Promise<number> {
  const { tenants } = await served.get<{ tenants: Status[] }>("/v1/tenants?limit=1000");
  assert.equal(tenants.length, wanted.size);
  for (const { tenant, eventCount, state } of tenants) {
    assert.equal(eventCount, wanted.get(tenant), `${tenant}, SEED=${SEED}`);
    assert.equal(state, "live");
  }
  const { eventCount } = await served.get<{ eventCount: number }>(
    "/v1/tenants/tenant-7/summary?window=all",
  );
  assert.equal(eventCount, wanted.get("tenant-7"));
  return tenants.filter(({ component }) => component === older).length;
}

type Status = {
  readonly tenant: string;
  readonly eventCount: number;
  readonly component: string;
  readonly state: string;
};

function settingsOf(t: TestContext): EngineSettings {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-upgrades-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return {
    shardCount: 2,
    slotCount: 8,
    imageBytesMax: 256 * 1024 * 1024,
    tenantCountMax: 1_000,
    durability: {
      path: join(folder, "state.db"),
      ack: "disk",
      logBytesMax: 2 ** 30,
      recoveryMsMax: 8_000,
      datagramLog: false,
    },
  };
}

function folderOf({ durability }: EngineSettings): string {
  return join(durability!.path, "..");
}

async function fill(engine: Engine, tenant: string, random: Random): Promise<void> {
  const lines = Array.from({ length: 3 + random.below(40) }, (_, index) =>
    JSON.stringify({
      id: `${tenant}-${random.below(1e9)}`,
      user: `u${random.below(30)}`,
      ts: FIRST_MS + random.below(200_000),
      conversation: `c${random.below(5)}`,
      text: `deploy number ${random.below(9)} broke login ${index}`,
      metrics: { latency: random.below(1000) },
    }),
  );
  const body = Buffer.from(lines.join("\n"));
  // Its time is that of its events, so what it says does not depend on when it is asked.
  await engine.putTenant(tenant, { clock: "event" });
  await engine.offer({ tenant, body, format: "ndjson" });
  await engine.moderate(tenant, [{ text: "you are a complete idiot", conversation: "c1" }]);
}

/** All that the first tenants say. */
async function told(engine: Engine): Promise<unknown> {
  const all: unknown[] = [];
  for (const tenant of TENANTS.slice(0, 20)) {
    for (const span of SPANS) all.push(await engine.summary(tenant, { span, limit: 50 }));
    all.push(await engine.trending(tenant, { limit: 50, order: "trend" }));
    all.push(await engine.conversations(tenant, { limit: 100 }));
    all.push(await engine.turns(tenant, "c1"));
  }
  return all;
}

function upgradesOf(engine: Engine) {
  const counts = newUpgradeCounts();
  for (const { components } of engine.stats()) {
    for (const result of UPGRADE_RESULTS) counts[result] += components?.upgrades[result] ?? 0;
  }
  return counts;
}
