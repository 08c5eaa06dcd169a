import assert from "node:assert/strict";
import test from "node:test";
import { LLM_TOP_TENANTS_MAX } from "#model/limits.ts";
import { Random } from "#std/random.ts";
import { Durations } from "./gateway-stats.ts";
import { TenantUsage } from "./tenant-usage.ts";

function tokens(promptTokens: number) {
  return { promptTokens, completionTokens: 0, cachedTokens: 0 };
}

test("what a tenant used is its own, job by job", () => {
  const usage = new TenantUsage();
  usage.count(500, 0, "answered");
  usage.count(500, 0, "timedOut");
  usage.count(500, 2, "cached");
  usage.add(500, 0, { promptTokens: 10, completionTokens: 5, cachedTokens: 2 }, 77);
  assert.deepEqual(usage.of(499), []);
  assert.deepEqual(usage.of(1_000_000), []);
  const [moderation, rolling] = usage.of(500);
  assert.deepEqual(moderation, {
    job: "moderation",
    calls: 2,
    answered: 1,
    cached: 0,
    failures: { timedOut: 1 },
    tokens: { promptTokens: 10, completionTokens: 5, cachedTokens: 2 },
    costMicros: 77,
  });
  assert.deepEqual([rolling!.job, rolling!.cached], ["rolling", 1]);
  usage.forget(500);
  assert.deepEqual(usage.of(500), []);
});

test("the top tenants are those with the most tokens, the most first", () => {
  const seed = Number(process.env["SEED"] ?? 6);
  const random = new Random(seed);
  const usage = new TenantUsage();
  const sums = Array.from({ length: 300 }, () => random.below(1_000));
  for (const [tenant, sum] of sums.entries()) usage.add(tenant, tenant % 3, tokens(sum), sum);
  const expected = sums.toSorted((a, b) => b - a).slice(0, LLM_TOP_TENANTS_MAX);
  const top = usage.top(300);
  assert.deepEqual(
    top.map((each) => each.tokens),
    expected,
    `SEED=${seed}`,
  );
  for (const { tenant, tokens: sum } of top) assert.equal(sum, sums[tenant]);
  assert.deepEqual(new TenantUsage().top(10), []);
});

test("durations of many seconds are told within 3.2 %", () => {
  const durations = new Durations();
  for (const ms of [1, 900, 4_000, 61_000]) durations.add(ms);
  const { p50, p99, max } = durations.quantiles;
  assert.ok(p50 >= 900 && p50 <= 900 * 1.032, `${p50}`);
  assert.ok(p99 >= 61_000 && p99 <= 61_000 * 1.032, `${p99}`);
  assert.equal(max, 61_000);
  durations.clear();
  assert.deepEqual(durations.quantiles, { p50: 0, p99: 0, max: 0 });
});
