import assert from "node:assert/strict";
import test from "node:test";
import { NO_USAGE } from "#model/consultation.ts";
import { afterFailure, RetryBudget, TRIES_MAX } from "./retries.ts";
import type { UpstreamFailure } from "./completion.ts";

const DOWN: UpstreamFailure = {
  kind: "failed",
  failure: "unavailable",
  mayRetry: true,
  opensBreaker: true,
  retryAfterMs: undefined,
  detail: "It answered 500.",
  usage: NO_USAGE,
};
const LATER = { count: 1, deadlineMs: 10_000 };

function step(failed: Partial<UpstreamFailure>, tries = LATER, budget = new RetryBudget()) {
  return afterFailure({ ...DOWN, ...failed }, tries, budget, 0, () => 0.5);
}

test("a failure that may pass is tried again, later each time", () => {
  assert.deepEqual(step({}), { step: "again", atMs: 50 });
  assert.deepEqual(step({}, { ...LATER, count: 2 }), { step: "again", atMs: 100 });
  assert.equal(step({}, { ...LATER, count: TRIES_MAX }).step, "end");
});

test("the upstream's word counts, and one that is too far away is an end", () => {
  assert.deepEqual(step({ retryAfterMs: 1_000 }), { step: "again", atMs: 1_050 });
  assert.equal(step({ retryAfterMs: 9_990 }).step, "end");
  assert.equal(step({ retryAfterMs: 30_001 }, { count: 1, deadlineMs: 1e9 }).step, "end");
});

test("a failure that stays, and one without time left, is an end with its reason", () => {
  const end = { step: "end", failure: "refused", detail: "No such model." };
  assert.deepEqual(step({ mayRetry: false, failure: "refused", detail: "No such model." }), end);
  assert.equal(step({}, { count: 1, deadlineMs: 90 }).step, "end");
});

test("with an upstream that is down, tries beyond the first are a tenth of the calls", () => {
  const budget = new RetryBudget({ share: 0.1, savedMax: 10 });
  let again = 0;
  for (let call = 0; call < 1_000; call++) {
    budget.save();
    if (step({}, LATER, budget).step === "again") again += 1;
  }
  assert.ok(again >= 109 && again <= 111, `${again}`);
});
