import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { DirtyTenants } from "./dirty-tenants.ts";

test("it is a queue of tenants by the block of their first turn, whatever comes", () => {
  const step = fc.record({ tenant: fc.nat(600), isMark: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const dirty = new DirtyTenants();
      dirty.reserve(601);
      // A Map keeps the order in which its keys came: what the arrays must do.
      const expected = new Map<number, number>();
      for (const [index, { tenant, isMark }] of steps.entries()) {
        if (isMark) {
          dirty.mark(tenant, index + 1);
          if (!expected.has(tenant)) expected.set(tenant, index + 1);
        } else {
          dirty.clear(tenant);
          expected.delete(tenant);
        }
        const [first = -1] = expected.keys();
        assert.equal(dirty.first, first);
        assert.equal(dirty.count, expected.size);
        assert.equal(dirty.neededFrom(999), expected.get(first) ?? 999);
      }
      for (const tenant of expected.keys()) {
        assert.equal(dirty.first, tenant);
        dirty.clear(tenant);
      }
      assert.equal(dirty.first, -1);
    }),
  );
});

test("room for more tenants keeps the queue", () => {
  const dirty = new DirtyTenants();
  dirty.mark(3, 1);
  dirty.mark(200, 2);
  dirty.reserve(100_000);
  dirty.mark(99_999, 3);
  const order: number[] = [];
  while (dirty.first !== -1) {
    order.push(dirty.first);
    dirty.clear(dirty.first);
  }
  assert.deepEqual(order, [3, 200, 99_999]);
});
