// A short run of the proof that `npm run prove -- crash` makes at length.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SEED } from "#testing/seed.ts";
import { CrashRun } from "./crash-proof.ts";

const KILLS = 5;

test("what was acknowledged outlives kills at any instant", async (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const run = new CrashRun({ seed: SEED, lifeMs: 900, early: 15 });
  t.after(() => run.remove());
  for (let kill = 0; kill < KILLS; kill++) t.diagnostic(await run.life());
  t.diagnostic(await run.end());
  assert.ok(run.known.diskCount > 100, `${run.known.diskCount} events were acknowledged`);
});
