// A short run of the proof that `npm run prove -- crash` makes at length.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SEED } from "#testing/seed.ts";
import { CrashRun } from "./crash-proof.ts";

const KILLS = 5;
/** How many more there may be until enough was acknowledged, on a machine that is slow. */
const MORE_KILLS_MAX = 20;
const ACKNOWLEDGED_MIN = 100;

test("what was acknowledged outlives kills at any instant", async (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const run = new CrashRun({ seed: SEED, lifeMs: 900, early: 15 });
  t.after(() => run.remove());
  const isEnough = (): boolean => run.known.diskCount > ACKNOWLEDGED_MIN;
  for (let kill = 0; kill < KILLS || (!isEnough() && kill < KILLS + MORE_KILLS_MAX); kill++) {
    t.diagnostic(await run.life());
  }
  t.diagnostic(await run.end());
  assert.ok(isEnough(), `${run.known.diskCount} events were acknowledged`);
});
