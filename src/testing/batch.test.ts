import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { readBatch, writeBatch } from "#testing/batch.ts";

const eventArbitrary = fc.record({
  weight: fc.integer({ min: 1, max: 1_000_000 }),
  tsMs: fc.integer({ min: 0 }),
  id: fc.string({ unit: "binary", maxLength: 8 }),
  user: fc.string({ unit: "binary", maxLength: 8 }),
  conversation: fc.string({ maxLength: 8 }),
  text: fc.string({ unit: "binary", maxLength: 40 }),
  terms: fc.array(fc.string({ unit: "binary", minLength: 1, maxLength: 10 }), { maxLength: 4 }),
  metrics: fc.array(fc.record({ name: fc.string({ minLength: 1 }), value: fc.double() }), {
    maxLength: 3,
  }),
});

void test("a batch reads as it was written", () => {
  fc.assert(
    fc.property(fc.array(eventArbitrary), fc.integer(), (events, nowMs) => {
      // fast-check's records have no prototype; strict equality would see the difference.
      const plain = JSON.parse(JSON.stringify({ nowMs, events })) as unknown;
      const read = JSON.parse(JSON.stringify(readBatch(writeBatch(events, nowMs)))) as unknown;
      assert.deepEqual(read, plain);
    }),
  );
});

void test("a batch that lies about its bytes is refused", () => {
  const batch = writeBatch([{ id: "a", text: "hello" }, { terms: ["x"] }], 5);
  for (let offset = 0; offset < batch.byteLength; offset += 8)
    assert.throws(() => readBatch(batch.subarray(0, offset)), `cut to ${offset}`);
  const longer = Uint8Array.from([...batch, ...new Uint8Array(8)]);
  assert.throws(() => readBatch(longer));
});
