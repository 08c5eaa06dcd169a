import type { RecoverySummary } from "#model/storage.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { missingTenants } from "./ready.ts";

const NOTHING: RecoverySummary = {
  readySeconds: 0,
  tenants: 0,
  snapshots: 0,
  replayedTurns: 0,
  skippedTurns: 0,
  repaired: 0,
  lost: [],
  lostCount: 0,
  tornBlocks: 0,
  gaps: 0,
};

test("ready: policies of tenants that a store does not know are no good sign", () => {
  const summary = NOTHING;
  assert.match(missingTenants({ recovery: { summary } }, 3) ?? "", /^policies of 3 .* restore/);
  assert.equal(missingTenants({ recovery: { summary } }, 0), undefined);
  assert.equal(missingTenants({ recovery: undefined }, 3), undefined);
  const some = { ...NOTHING, tenants: 1 };
  assert.equal(missingTenants({ recovery: { summary: some } }, 3), undefined);
  const lost = { ...NOTHING, lost: ["acme"], lostCount: 1 };
  assert.equal(missingTenants({ recovery: { summary: lost } }, 3), undefined);
});
