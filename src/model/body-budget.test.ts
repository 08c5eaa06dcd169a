import assert from "node:assert/strict";
import { test } from "node:test";
import { BodyBudget } from "./body-budget.ts";
import { BODIES_BYTES_MAX, BODIES_OF_OWNER_BYTES_MAX } from "./limits.ts";

test("bodies: nobody holds all, all together hold no more than there is", () => {
  const budget = new BodyBudget();
  const [acme, other, third] = [budget.of("acme"), budget.of("other"), budget.of("third")];
  assert.ok(acme.take(BODIES_OF_OWNER_BYTES_MAX));
  assert.ok(!acme.take(1), "its share is all");
  assert.ok(!budget.of("acme").take(1), "in whatever request");
  assert.ok(other.take(BODIES_BYTES_MAX - BODIES_OF_OWNER_BYTES_MAX));
  assert.ok(!third.take(1));
  assert.ok(!budget.of(undefined).take(1));
  acme.give(BODIES_OF_OWNER_BYTES_MAX);
  assert.ok(acme.take(1) && third.take(1) && budget.of(undefined).take(1));
  acme.give(1);
  third.give(1);
  budget.of(undefined).give(1);
  other.give(BODIES_BYTES_MAX - BODIES_OF_OWNER_BYTES_MAX);
  assert.equal(budget.bytes, 0);
});
