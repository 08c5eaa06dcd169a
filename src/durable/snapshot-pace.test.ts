import assert from "node:assert/strict";
import test from "node:test";
import { SnapshotPace } from "./snapshot-pace.ts";

const BOUNDS = { recoveryMsMax: 8_000, logBytesMax: 1024 * 1024 * 1024 };
const STEP_MS = 10;

type Load = {
  /** A millisecond's. */
  readonly costRate: number;
  readonly byteRate: number;
  readonly tenantCount: number;
  readonly snapshotMs: number;
};

/** All tenants change again as soon as they were snapshotted: a model of shard-log.ts. */
function run(bounds: typeof BOUNDS, load: Load, seconds: number) {
  const pace = new SnapshotPace(bounds);
  /** When the first of them changed: the oldest is at `made`. */
  const changed: { costMs: number; logBytes: number }[] = [];
  let [costMs, logBytes, made, spentMs, backlogMsMax, backlogBytesMax] = [0, 0, 0, 0, 0, 0];
  for (let nowMs = 0; nowMs < seconds * 1_000; nowMs += STEP_MS) {
    costMs += load.costRate * STEP_MS;
    logBytes += load.byteRate * STEP_MS;
    while (changed.length - made < load.tenantCount) changed.push({ costMs, logBytes });
    const first = changed[made];
    const backlogMs = costMs - first!.costMs;
    const backlogBytes = logBytes - first!.logBytes;
    let count = pace.step(nowMs, {
      count: load.tenantCount,
      costMs,
      logBytes,
      backlogMs,
      backlogBytes,
    });
    for (; count > 0 && pace.mayGoOn; count -= 1) {
      pace.spent(load.snapshotMs);
      made += 1;
      spentMs += load.snapshotMs;
    }
    if (nowMs < (seconds * 1_000) / 2) continue;
    backlogMsMax = Math.max(backlogMsMax, backlogMs);
    backlogBytesMax = Math.max(backlogBytesMax, backlogBytes);
  }
  return { made, share: spentMs / (seconds * 1_000), backlogMsMax, backlogBytesMax };
}

test("what a replay would take stays within the bound, however busy the shard is", () => {
  for (const costRate of [0.05, 0.3, 0.9]) {
    const load = { costRate, byteRate: 100, tenantCount: 1_000, snapshotMs: 0.03 };
    const { backlogMsMax, share } = run(BOUNDS, load, 120);
    assert(backlogMsMax <= BOUNDS.recoveryMsMax, `${backlogMsMax} at ${costRate}`);
    assert(share <= 0.06, `${share} at ${costRate}`);
  }
});

test("a quiet server makes a pass in five minutes, and no more", () => {
  const load = { costRate: 0.0001, byteRate: 0.01, tenantCount: 1_000, snapshotMs: 0.03 };
  const { made } = run(BOUNDS, load, 600);
  assert(made > 1_500 && made < 2_600, `${made}`);
});

test("a log that grows quickly is kept within its bound", () => {
  const bounds = { recoveryMsMax: 600_000, logBytesMax: 64 * 1024 * 1024 };
  const load = { costRate: 0.3, byteRate: 20_000, tenantCount: 1_000, snapshotMs: 0.03 };
  const { backlogBytesMax } = run(bounds, load, 60);
  // The log reaches back two passes.
  assert(2 * backlogBytesMax <= bounds.logBytesMax, `${backlogBytesMax}`);
});

test("more than the share of time can do: it takes the greater share, and not all of it", () => {
  const load = { costRate: 0.9, byteRate: 20_000, tenantCount: 100_000, snapshotMs: 0.05 };
  const { share } = run(BOUNDS, load, 60);
  assert(share > 0.05 && share <= 0.31, `${share}`);
});
