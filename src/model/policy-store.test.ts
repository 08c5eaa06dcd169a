import assert from "node:assert/strict";
import { test } from "node:test";
import { POLICY_VERSIONS_MAX } from "./limits.ts";
import { eachCategory, type Verdict } from "./moderation.ts";
import { POLICY_DEFAULT, POLICY_RECORD_DEFAULT, storedPolicy } from "./policy-default.ts";
import { MemoryPolicyStore, MemoryVerdictHistory } from "./policy-store.ts";

const record = (version: number) => {
  return { version, setAtMs: version, note: undefined, policy: POLICY_DEFAULT };
};

function verdict(tenant: string, id: string): Verdict {
  const zeros = eachCategory(() => 0);
  return {
    id,
    tenant,
    messageId: undefined,
    conversation: "general",
    user: "mallory",
    action: "allow",
    proposedAction: "allow",
    flagged: false,
    categories: eachCategory(() => false),
    scores: zeros,
    thresholds: zeros,
    toxicityAlone: 0,
    severity: 0,
    spans: [],
    contextUsed: [],
    reason: "Nothing.",
    language: { tag: "en", source: "detected", support: "full" },
    listEntry: undefined,
    policy: { version: 0, source: "default" },
    model: "test",
    asOfMs: 1,
    degraded: false,
  };
}

test("policies: versions rise, also over a reset, and are not another tenant's", async () => {
  const store = new MemoryPolicyStore();
  assert.equal(store.current("a"), POLICY_RECORD_DEFAULT);
  assert.equal(store.nextVersion("a"), 1);
  await store.put("a", record(1));
  await store.put("a", record(2));
  assert.equal(store.current("a").version, 2);
  await store.reset("a");
  assert.equal(store.current("a"), POLICY_RECORD_DEFAULT);
  assert.equal(store.nextVersion("a"), 3);
  assert.deepEqual(
    (await store.versions("a")).map(({ version }) => version),
    [2, 1],
  );
  assert.deepEqual([store.nextVersion("b"), await store.versions("b")], [1, []]);
  await store.reset("b");
  assert.equal(store.current("b"), POLICY_RECORD_DEFAULT);
});

test("policies: one that was kept before there was an upstream is whole", () => {
  const { consult, ...before } = { ...POLICY_DEFAULT, observeOnly: true };
  assert.deepEqual(storedPolicy(before), { ...before, consult });
  const own = { ...before, consult: { ...consult, mode: "never" as const } };
  assert.deepEqual(storedPolicy(own), own);
});

test("policies: only so many versions are kept, the newest ones", async () => {
  const store = new MemoryPolicyStore();
  for (let version = 1; version <= POLICY_VERSIONS_MAX + 5; version++)
    await store.put("a", record(version));
  const versions = (await store.versions("a")).map(({ version }) => version);
  assert.equal(versions.length, POLICY_VERSIONS_MAX);
  assert.deepEqual([versions[0], versions.at(-1)], [POLICY_VERSIONS_MAX + 5, 6]);
});

test("history: the newest first, bounded for a tenant, and no text or name in it", async () => {
  const history = new MemoryVerdictHistory(3, 100);
  for (let n = 1; n <= 5; n++) history.add(verdict("a", `v${n}`));
  const recent = await history.recent("a", 10);
  assert.deepEqual(
    recent.map(({ id }) => id),
    ["v5", "v4", "v3"],
  );
  assert.deepEqual(
    (await history.recent("a", 1)).map(({ id }) => id),
    ["v5"],
  );
  assert.deepEqual(await history.recent("b", 10), []);
  assert.doesNotMatch(JSON.stringify(recent), /mallory|general/);
  assert.equal(history.heldCount, 3);
});

test("history: a flood of tenants costs those that were silent longest, no more", async () => {
  const history = new MemoryVerdictHistory(4, 10);
  history.add(verdict("quiet", "q"));
  history.add(verdict("busy", "b1"));
  for (let n = 0; n < 30; n++) {
    history.add(verdict(`t${n}`, `t${n}`));
    history.add(verdict("busy", `b${n}`));
    assert.ok(history.heldCount <= 10, `${history.heldCount}`);
  }
  assert.deepEqual(await history.recent("quiet", 10), []);
  assert.equal((await history.recent("busy", 10)).length, 4);
});
