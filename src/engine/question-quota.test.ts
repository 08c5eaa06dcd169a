// Questions without end are held to the tenant's CPU time, as events are; its neighbours go on.
import assert from "node:assert/strict";
import test from "node:test";
import { QUOTA_BURST_MS, QUOTA_QUESTIONS_WAIT_MS } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import { UNLIMITED } from "#model/quota.ts";
import { startEngine } from "./engine.ts";

const CPU_MS_PER_SECOND = 5;
/** Each takes a component's turn, which is some microseconds at the very least. */
const QUESTIONS_MAX = 200_000;
const OPTIONS = { limit: 10, order: "trend" } as const;

test("questions that take too much are refused, until the tenant may go on", async (t) => {
  const engine = await startEngine({
    shardCount: 1,
    slotCount: 4,
    imageBytesMax: 64 * 1024 * 1024,
    tenantCountMax: 100,
    quota: UNLIMITED,
  });
  t.after(async () => engine.stop());
  for (const tenant of ["asked", "quiet"]) {
    await engine.offer({ tenant, body: Buffer.from('{"text":"hello"}'), format: "ndjson" });
  }
  await engine.putQuota("asked", { cpuMsPerSecond: CPU_MS_PER_SECOND });
  let refusal: unknown;
  for (let asked = 0; asked < QUESTIONS_MAX && refusal === undefined; asked += 64) {
    const many = Array.from({ length: 64 }, async () => engine.trending("asked", OPTIONS));
    const ends = await Promise.allSettled(many);
    refusal = ends.find((end) => end.status === "rejected")?.reason;
  }
  assert.ok(refusal instanceof Problem);
  const { code, members, retryAfterSeconds = 0 } = refusal;
  assert.deepEqual([code, members["quota"]], ["overQuota", "cpu"]);
  assert.ok(retryAfterSeconds >= QUOTA_QUESTIONS_WAIT_MS / 1_000);
  // What it took is what it may take, and what costs nothing is answered still.
  const { used, cpuMs } = await engine.quota("asked");
  assert.ok(used.cpuMs > (CPU_MS_PER_SECOND * QUOTA_BURST_MS) / 1_000);
  assert.ok(cpuMs >= used.cpuMs);
  assert.equal((await engine.tenant("asked")).eventCount, 1);
  assert.equal((await engine.trending("quiet", OPTIONS)).eventCount, 1);
  // Limits that are lifted hold at once.
  await engine.putQuota("asked", { cpuMsPerSecond: null });
  assert.equal((await engine.trending("asked", OPTIONS)).eventCount, 1);
});
