import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import "./property-seed.ts";
import { SEED, seedOf } from "./seed.ts";

test("nothing named is always the same seed, a number is itself", () => {
  assert.equal(seedOf(undefined), 1);
  assert.equal(seedOf(""), 1);
  assert.equal(seedOf("0"), 0);
  assert.equal(seedOf("2147483647"), 2 ** 31 - 1);
});

test("random is a number that can be named again", () => {
  for (const unit of [0, 0.5, 1 - 2 ** -53]) {
    const drawn = seedOf("random", () => unit);
    assert.equal(seedOf(`${drawn}`), drawn);
  }
  assert.notEqual(
    seedOf("random", () => 0.25),
    seedOf("random", () => 0.75),
  );
});

for (const text of ["seven", "-1", "1.5", "1e3", " ", "2147483648", "99999999999", "0x10"]) {
  test(`"${text}" is no seed`, () => {
    assert.throws(() => seedOf(text), { message: /^SEED is "random" or an integer / });
  });
}

test("properties that name no seed draw from this one", () => {
  assert.deepEqual(
    fc.sample(fc.integer(), 20),
    fc.sample(fc.integer(), { numRuns: 20, seed: SEED }),
  );
});
