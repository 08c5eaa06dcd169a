import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { SEED } from "#testing/seed.ts";
import { Shelf } from "./shelf.ts";

test("a tenant with too many loses its own, the one asked for longest ago", () => {
  const shelf = new Shelf<{ n: number }>({ bytesMax: 1e6, ofTenantMax: 2 });
  shelf.put("other", "a", { n: 0 }, 10);
  shelf.put("acme", "a", { n: 1 }, 10);
  shelf.put("acme", "b", { n: 2 }, 10);
  assert.equal(shelf.find("acme", "a")?.n, 1);
  shelf.put("acme", "c", { n: 3 }, 10);
  assert.equal(shelf.find("acme", "b"), undefined);
  assert.equal(shelf.find("acme", "a")?.n, 1);
  assert.equal(shelf.find("other", "a")?.n, 0);
});

test("what was replaced or dropped does not grow back", () => {
  const shelf = new Shelf<{ n: number }>({ bytesMax: 1e6, ofTenantMax: 2 });
  const first = { n: 1 };
  shelf.put("acme", "a", first, 10);
  assert.ok(shelf.resize("acme", "a", first, 20));
  shelf.put("acme", "a", { n: 2 }, 10);
  assert.ok(!shelf.resize("acme", "a", first, 20));
  shelf.drop("acme", "a");
  assert.equal(shelf.bytes, 0);
  assert.ok(!shelf.resize("acme", "a", first, 20));
  assert.equal(shelf.find("acme", "a"), undefined);
});

test(`never more bytes than there may be, and all are accounted for (seed ${SEED})`, () => {
  const random = new Random(SEED);
  const limits = { bytesMax: 20_000, ofTenantMax: 5 };
  const shelf = new Shelf<{ n: number }>(limits);
  const names = Array.from({ length: 12 }, (_, n) => `tenant-${n}`);
  for (let n = 0; n < 5_000; n++) {
    const tenant = names[random.below(names.length)]!;
    const key = `k${random.below(9)}`;
    if (random.chance(1, 4)) shelf.drop(tenant, key);
    else if (random.chance(1, 3)) shelf.find(tenant, key);
    else {
      const value = { n };
      shelf.put(tenant, key, value, random.below(3_000));
      assert.equal(shelf.find(tenant, key), value, "the newest stays");
    }
    assert.ok(shelf.bytes <= limits.bytesMax);
  }
  for (const tenant of names) for (let key = 0; key < 9; key++) shelf.drop(tenant, `k${key}`);
  assert.equal(shelf.bytes, 0);
});
