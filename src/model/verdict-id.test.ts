import assert from "node:assert/strict";
import test from "node:test";
import { SALT_MAX, VERDICT_ID, VerdictIds } from "./verdict-id.ts";

test("ids sort as they were made, and are the same for the same beginnings", () => {
  const parts = { shard: 3, incarnation: 1, salt: SALT_MAX - 1 };
  const ids = new VerdictIds(parts);
  const again = new VerdictIds(parts);
  const times = [1_700_000_000_000, 1_700_000_000_000, 1_700_000_000_001, 1_699_999_999_000];
  const made = times.map((nowMs) => ids.next(nowMs));
  assert.deepEqual(
    made,
    times.map((nowMs) => again.next(nowMs)),
  );
  for (const id of made) assert.match(id, VERDICT_ID);
  assert.deepEqual(made.toSorted(), made, "a clock that goes back does not take the ids along");
  assert.equal(new Set(made).size, made.length);
});

test("ids say their time as a ULID does", () => {
  const ids = new VerdictIds({ shard: 0, incarnation: 0, salt: 0 });
  assert.equal(ids.next(1_469_918_176_385), "v_01ARYZ6S410000000000000000");
});

test("two threads, two lives of a thread, two processes never make the same id", () => {
  const made = [
    { shard: 0, incarnation: 0, salt: 7 },
    { shard: 1, incarnation: 0, salt: 7 },
    { shard: 0, incarnation: 1, salt: 7 },
    { shard: 0, incarnation: 0, salt: 8 },
  ].map((parts) => new VerdictIds(parts).next(1));
  assert.equal(new Set(made).size, made.length);
});
