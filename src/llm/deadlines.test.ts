import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { DEADLINE_STEP_MS, Deadlines } from "./deadlines.ts";

test("at random: each call is due once, in time, never early, and not when it was cleared", () => {
  const seed = Number(process.env["SEED"] ?? 6);
  const random = new Random(seed);
  const count = 200;
  let nowMs = 1_700_000_000_000;
  const deadlines = new Deadlines(count, nowMs);
  const dueMs = new Map<number, number>();
  /** A deadline that is over when it is set is found in the next step. */
  const soonestMs = new Map<number, number>();
  for (let round = 0; round < 20_000; round++) {
    const where = `SEED=${seed} round ${round}`;
    const call = random.below(count);
    if (!dueMs.has(call)) {
      const far = random.chance(1, 10) ? 100_000 : 300;
      const due = nowMs + random.below(far) - 20;
      deadlines.set(call, due);
      dueMs.set(call, due);
      soonestMs.set(call, Math.max(due, nowMs));
    } else if (random.chance(1, 3)) {
      deadlines.clear(call);
      dueMs.delete(call);
    }
    nowMs += random.below(random.chance(1, 100) ? 40_000 : 20);
    deadlines.advance(nowMs, (found) => {
      assert.ok(dueMs.has(found), where);
      assert.ok(dueMs.get(found)! <= nowMs, where);
      dueMs.delete(found);
    });
    for (const call of dueMs.keys()) {
      const due = soonestMs.get(call)!;
      assert.ok(due > nowMs - 3 * DEADLINE_STEP_MS, `${where}: ${due - nowMs}`);
    }
    assert.equal(deadlines.count, dueMs.size, where);
  }
});

test("a call that is due may set another deadline, and clear another's", () => {
  const deadlines = new Deadlines(4, 0);
  for (const call of [0, 1, 2]) deadlines.set(call, 10);
  const told: number[] = [];
  const due = (call: number): void => {
    told.push(call);
    if (told.length > 1) return;
    deadlines.set(call, 50);
    for (const other of [0, 1, 2]) if (other !== call) deadlines.clear(other);
  };
  deadlines.advance(100, due);
  deadlines.advance(200, due);
  assert.equal(told.length, 2);
  assert.equal(told[0], told[1]);
  assert.equal(deadlines.count, 0);
});
