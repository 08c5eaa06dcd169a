import assert from "node:assert/strict";
import test from "node:test";
import { QUOTA_WAIT_MS_MAX } from "#model/limits.ts";
import { type QuotaLimits, UNLIMITED } from "#model/quota.ts";
import fc from "fast-check";
import { BlockedTenants } from "./blocked-tenants.ts";
import { TenantQuota } from "./tenant-quota.ts";

const LIMITS: QuotaLimits = { ...UNLIMITED, eventsPerSecond: 1_000 };

test("over any time a tenant gets its rate, its burst, and one record more", () => {
  const request = fc.record({
    gapMs: fc.integer({ min: 0, max: 900 }),
    events: fc.integer({ min: 1, max: 800 }),
  });
  fc.assert(
    fc.property(fc.array(request, { minLength: 1, maxLength: 150 }), (requests) => {
      const quota = new TenantQuota({ tenantCountMax: 2, limits: LIMITS });
      const taken: { atMs: number; events: number }[] = [];
      let nowMs = 1_000;
      for (const { gapMs, events } of requests) {
        nowMs += gapMs;
        if (quota.waitMs(1, nowMs) > 0) continue;
        quota.took(1, events, 0);
        taken.push({ atMs: nowMs, events });
      }
      for (const [first, { atMs }] of taken.entries()) {
        let sum = 0;
        for (const later of taken.slice(first)) {
          sum += later.events;
          const allowed = 1 * (later.atMs - atMs) + 2_000 + 800;
          assert.ok(sum <= allowed, `${sum} of ${allowed} in ${later.atMs - atMs} ms`);
        }
      }
    }),
  );
});

test("who waits as long as it is told may go on, and not much sooner", () => {
  fc.assert(
    fc.property(fc.integer({ min: 2_000, max: 90_000 }), (events) => {
      const quota = new TenantQuota({ tenantCountMax: 1, limits: LIMITS });
      quota.waitMs(0, 1_000);
      quota.took(0, events, 0);
      const waitMs = quota.waitMs(0, 1_000);
      assert.ok(waitMs > 0);
      // A clock never goes back, so the earlier time is asked about first.
      const soonMs = waitMs > 2 ? quota.waitMs(0, 1_000 + waitMs - 2) : 1;
      assert.ok(soonMs > 0);
      assert.equal(quota.waitMs(0, 1_000 + waitMs), 0);
    }),
  );
});

test("a tenant at a hundred times its quota takes no more CPU time than one at it", () => {
  const limits = { ...UNLIMITED, cpuMsPerSecond: 100 };
  const quota = new TenantQuota({ tenantCountMax: 2, limits, burstMs: 500 });
  const ran = [0, 0];
  let refused = 0;
  for (let nowMs = 1; nowMs <= 60_000; nowMs++) {
    // Tenant 0 asks for 10 ms of turns in each ms, tenant 1 for 0.1.
    for (const [tenant, turns] of [
      [0, 100],
      [1, 1],
    ] as const) {
      for (let turn = 0; turn < turns; turn++) {
        if (quota.waitMs(tenant, nowMs) > 0) refused += 1;
        else {
          quota.ran(tenant, 0.1);
          ran[tenant]! += 0.1;
        }
      }
    }
  }
  assert.ok(ran[0]! <= 6_000 + 50 + 1, `${ran[0]} ms`);
  assert.ok(ran[1]! > 5_990, `${ran[1]} ms`);
  assert.ok(refused > 5_000_000);
  assert.ok(Math.abs(quota.cpuMs(0) - ran[0]!) < 1e-6);
  assert.deepEqual(quota.topByCpu(5, 2), ran[0]! >= ran[1]! ? [0, 1] : [1, 0]);
});

test("a turn is not billed for the time in which its thread did not run", () => {
  const quota = new TenantQuota({ tenantCountMax: 1, limits: LIMITS });
  quota.sliced(5, 1);
  quota.ran(0, 2);
  assert.equal(quota.cpuMs(0), 0.4);
  quota.sliced(5, 9);
  quota.ran(0, 2);
  assert.equal(quota.cpuMs(0), 2.4);
});

test("a quota of 0 lets nothing in, none lets everything in, and it can be changed", () => {
  const none = { eventsPerSecond: 0, bytesPerSecond: 0, cpuMsPerSecond: 0 };
  const quota = new TenantQuota({ tenantCountMax: 2, limits: UNLIMITED });
  quota.took(0, 1e15, 1e15);
  quota.ran(0, 1e15);
  assert.equal(quota.waitMs(0, 1), 0);
  assert.equal(quota.reason(0, 1), undefined);
  quota.setLimits(1, none);
  assert.equal(quota.waitMs(1, 1), Infinity);
  assert.equal(quota.reason(1, 1), "events");
  quota.setLimits(1, undefined);
  assert.equal(quota.waitMs(1, 2), 0);
});

test("of own limits those that are left out follow the defaults", () => {
  const quota = new TenantQuota({ tenantCountMax: 2, limits: LIMITS });
  quota.setLimits(1, { bytesPerSecond: 10 });
  assert.deepEqual(quota.limits(1), { ...LIMITS, bytesPerSecond: 10 });
  quota.setDefaults({ ...UNLIMITED, cpuMsPerSecond: 7 });
  assert.deepEqual(quota.limits(1), { ...UNLIMITED, cpuMsPerSecond: 7, bytesPerSecond: 10 });
  assert.deepEqual(quota.ownLimits(1), { bytesPerSecond: 10 });
  quota.took(1, 1e6, 5);
  assert.equal(quota.waitMs(1, 1), 0);
  quota.took(1, 0, 16);
  assert.equal(quota.reason(1, 1), "bytes");
  quota.ran(1, 5);
  quota.refused(1, 3);
  assert.deepEqual([quota.cpuMs(1), quota.refusedCount(1)], [5, 3]);
  quota.forget(1);
  assert.deepEqual([quota.cpuMs(1), quota.refusedCount(1)], [0, 0]);
  assert.deepEqual(quota.limits(1), { ...UNLIMITED, cpuMsPerSecond: 7 });
  assert.equal(quota.waitMs(1, 1), 0);
  assert.equal(quota.imageBytesMax(1), Infinity);
  quota.setLimits(1, { imageBytes: 4_096 });
  assert.equal(quota.imageBytesMax(1), 4_096);
});

test("whatever a tenant takes at once, it is locked out for a while and not for good", () => {
  const limits = { ...UNLIMITED, eventsPerSecond: 1, bytesPerSecond: 1, cpuMsPerSecond: 1e-3 };
  const quota = new TenantQuota({ tenantCountMax: 1, limits });
  for (let n = 0; n < 100; n++) {
    quota.took(0, 1e9, 1e12);
    quota.ran(0, 1e9);
  }
  const waitMs = quota.waitMs(0, 1_000);
  assert.ok(waitMs > 0 && waitMs <= QUOTA_WAIT_MS_MAX + 1, `${waitMs} ms`);
  assert.equal(quota.waitMs(0, 1_000 + Math.ceil(waitMs)), 0);
  quota.took(0, 1e9, 1e12);
  quota.setLimits(0, { eventsPerSecond: 2 });
  assert.equal(quota.waitMs(0, 2_000), 0, "new limits are a new beginning");
});

test("the tenants that took most are those, in order", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 40 }), (times) => {
      const quota = new TenantQuota({ tenantCountMax: 40, limits: UNLIMITED });
      for (const [tenant, ms] of times.entries()) quota.ran(tenant, ms);
      const expected = times
        .map((ms, tenant) => ({ ms, tenant }))
        .filter(({ ms }) => ms > 0)
        .toSorted((a, b) => b.ms - a.ms || a.tenant - b.tenant)
        .slice(0, 5);
      const top = quota.topByCpu(5, times.length);
      assert.deepEqual(
        top,
        expected.map(({ tenant }) => tenant),
      );
    }),
  );
});

test("a clock that goes back gives nobody anything", () => {
  const quota = new TenantQuota({ tenantCountMax: 1, limits: LIMITS });
  quota.waitMs(0, 10_000);
  quota.took(0, 5_000, 0);
  const waitMs = quota.waitMs(0, 10_000);
  assert.equal(quota.waitMs(0, 4_000), waitMs);
  assert.equal(quota.waitMs(0, 10_000), waitMs);
});

test("blocked tenants are bounded, and those that wait longest stay", () => {
  const blocked = new BlockedTenants(100);
  const block = (tenant: string, untilMs: number): void =>
    blocked.block(tenant, { quota: "cpu", limit: 5, untilMs });
  const untilMs = (tenant: string, nowMs: number): number | undefined =>
    blocked.refusal(tenant, nowMs)?.untilMs;
  for (let i = 0; i < 1_000; i++) block(`t${i}`, 10_000 + i);
  assert.ok(blocked.count <= 100);
  assert.equal(untilMs("t999", 10_000), 10_999);
  assert.equal(untilMs("t0", 10_000), undefined);
  assert.equal(untilMs("t999", 10_999), undefined);
  block("t1", 20_000);
  block("t1", 30_000);
  assert.equal(untilMs("t1", 25_000), 30_000);
  assert.deepEqual([blocked.refusedCount("cpu"), blocked.refusedCount("events")], [2, 0]);
  blocked.release("t1");
  assert.equal(untilMs("t1", 25_000), undefined);
});
