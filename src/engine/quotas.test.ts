// What the I/O thread refuses by itself is told with what the shard refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { QUOTA_BLOCKED_MAX } from "#model/limits.ts";
import type { QuotaStatus } from "#model/quota.ts";
import { overProblem, Quotas } from "./quotas.ts";

const OF_SHARD: QuotaStatus = {
  tenant: "acme",
  limits: { eventsPerSecond: 3, bytesPerSecond: null, cpuMsPerSecond: null, imageBytes: null },
  own: [],
  used: { events: 7, bytes: 0, cpuMs: 0, imageBytes: 0 },
  cpuMs: 8,
  refusedCount: 1,
  over: "events",
  waitMs: 500,
};

test("quotas: requests that are refused before they are read are counted, and forgotten", () => {
  const quotas = new Quotas(undefined);
  const told = (tenant = "acme"): number => quotas.whole(tenant, OF_SHARD).refusedCount;
  const refuse = (tenant: string): void => {
    quotas.learn(tenant, overProblem({ quota: "events", limit: 3, waitMs: 500 }), 0);
    assert.throws(() => quotas.check(tenant, 100), /3 events a second; it may go on in 400 ms/);
  };
  assert.equal(told(), 1);
  refuse("acme");
  refuse("acme");
  assert.equal(told(), 3);
  quotas.check("acme", 501);
  assert.equal(told(), 3, "what was let through is not counted");
  quotas.forget("acme");
  assert.equal(told(), 1, "another tenant of the name begins anew");

  refuse("first");
  for (let i = 0; i < QUOTA_BLOCKED_MAX; i++) refuse(`flood-${i}`);
  assert.equal(told("first"), 1, "bounded: the oldest goes");
  assert.equal(told("flood-0"), 2);
});
