import assert from "node:assert/strict";
import { test } from "node:test";
import { DRY_RUN_EXAMPLES_MAX } from "./limits.ts";
import { type Category, eachCategory } from "./moderation.ts";
import { checkPolicy } from "./policy-checks.ts";
import { POLICY_DEFAULT } from "./policy-default.ts";
import { dryRun } from "./policy-dry-run.ts";
import type { PastVerdict } from "./policy-store.ts";
import type { Policy } from "./policy.ts";

const policyOf = (value: unknown): Policy => checkPolicy(value).policy;

/** As a moderator under `policy` would have said it: thresholds as 32 bit numbers. */
function verdict(
  scores: Partial<Record<Category, number>>,
  options: Partial<PastVerdict> & { readonly policy?: Policy; readonly leniency?: number } = {},
): PastVerdict {
  const { policy = POLICY_DEFAULT, leniency = 0, ...rest } = options;
  return {
    id: "v_1",
    asOfMs: 1,
    scores: eachCategory((category) => scores[category] ?? 0.02),
    thresholds: eachCategory((category) => {
      const { flagAt } = policy.categories[category];
      return flagAt === null || flagAt + leniency > 1 ? null : Math.fround(flagAt + leniency);
    }),
    proposedAction: "allow",
    listEntry: undefined,
    policyVersion: 0,
    ...rest,
  };
}

function run(past: readonly PastVerdict[], policy: Policy, then: Policy = POLICY_DEFAULT) {
  return dryRun(past, {
    policy,
    current: then,
    policyOf: (version) => (version === 0 ? then : undefined),
  });
}

const flagged = { proposedAction: "flag" } as const;

test("dry run: the policy that was in force changes nothing", () => {
  const past = [
    verdict({}),
    verdict({ insult: 0.9, toxicity: 0.6 }, flagged),
    // At the threshold as a moderator holds it, which is a little above 0.6.
    verdict({ toxicity: 0.600_000_01 }),
    verdict({ threat: 0.95 }, { proposedAction: "block" }),
    verdict({ insult: 0.7 }, { leniency: 0.2 }),
  ];
  past[1] = { ...past[1]!, scores: { ...past[1]!.scores, toxicity: 0.61 } };
  const result = run(past, POLICY_DEFAULT);
  assert.equal(result.changedCount, 0, JSON.stringify(result.examples));
  assert.equal(result.unknownCount, 0);
  assert.deepEqual(result.actions.before, { allow: 3, flag: 1, block: 1 });
  assert.deepEqual(result.actions.after, result.actions.before);
  assert.deepEqual(result.notReplayed, []);
});

test("dry run: higher and lower thresholds, by category, with examples by id", () => {
  const policy = policyOf({
    categories: { insult: { flagAt: 0.95 }, profanity: { flagAt: 0.5 }, sexual: { blockAt: 0.8 } },
  });
  const past = [
    verdict({ insult: 0.9 }, { ...flagged, id: "v_insult" }),
    verdict({ insult: 0.97 }, { ...flagged, id: "v_still" }),
    verdict({ profanity: 0.6 }, { id: "v_profanity" }),
    verdict({ sexual: 0.85 }, { ...flagged, id: "v_sexual" }),
  ];
  const result = run(past, policy);
  assert.equal(result.verdictCount, 4);
  assert.equal(result.changedCount, 3);
  assert.deepEqual(result.examples, [
    { id: "v_insult", asOfMs: 1, from: "flag", to: "allow", categories: ["insult"] },
    { id: "v_profanity", asOfMs: 1, from: "allow", to: "flag", categories: ["profanity"] },
    { id: "v_sexual", asOfMs: 1, from: "flag", to: "block", categories: [] },
  ]);
  assert.deepEqual(result.categories.insult, { flaggedBefore: 2, flaggedAfter: 1 });
  assert.deepEqual(result.categories.profanity, { flaggedBefore: 0, flaggedAfter: 1 });
  assert.deepEqual(result.actions.after, { allow: 1, flag: 2, block: 1 });
});

test("dry run: the leniency of the author's role goes on, and an exempt one stays exempt", () => {
  const strict = policyOf({ categories: { insult: { flagAt: 0.5 } } });
  const lenient = verdict({ insult: 0.65 }, { leniency: 0.2 });
  assert.equal(run([lenient], strict).changedCount, 0, "0.65 is below 0.5 + 0.2");
  const hotter = verdict({ insult: 0.75 }, { leniency: 0.2 });
  assert.equal(run([hotter], strict).changedCount, 1);
  const exempt = verdict({ insult: 0.99 }, { thresholds: eachCategory(() => null) });
  assert.equal(run([exempt], strict).changedCount, 0);
});

test("dry run: entries of the block list that were met, still or no more", () => {
  const then = policyOf({ blockList: [{ term: "nitro", action: "block" }, "link"] });
  const met = verdict({}, { policy: then, proposedAction: "block", listEntry: "nitro" });
  assert.equal(run([met], then, then).changedCount, 0);
  const softer = policyOf({ blockList: ["nitro", "link"] });
  assert.deepEqual(run([met], softer, then).examples[0]?.to, "flag");
  const without = run([met], policyOf({}), then);
  assert.deepEqual(without.examples[0]?.to, "allow");
  assert.deepEqual(without.notReplayed, ["blockList"]);
});

test("dry run: what scores cannot tell is counted as unknown, not guessed", () => {
  const then = policyOf({ allowList: ["scunthorpe"] });
  const spared = verdict({}, { policy: then, listEntry: "scunthorpe" });
  assert.equal(run([spared], policyOf({}), then).unknownCount, 1);
  assert.equal(run([spared], then, then).unknownCount, 0);
  const forgotten = verdict({}, { policyVersion: 7 });
  const result = run([forgotten], POLICY_DEFAULT);
  assert.equal(result.unknownCount, 1);
  assert.deepEqual(result.actions.before, { allow: 0, flag: 0, block: 0 });
});

test("dry run: the upstream is not asked; what it held up by one step is not guessed", () => {
  const policy = policyOf({ consult: { mode: "all", weight: 1 } });
  const result = run([verdict({ insult: 0.9 }, flagged)], policy);
  assert.deepEqual(result.notReplayed, ["consult"]);
  assert.deepEqual([result.upstreamAsked, result.changedCount], [false, 0]);
  // Blocked before the upstream was asked, and clean for the upstream: a person is to see it.
  const held = run([verdict({ threat: 0.4 }, flagged)], POLICY_DEFAULT);
  assert.deepEqual([held.unknownCount, held.changedCount], [1, 0]);
  const then = policyOf({ blockList: ["nitro"], allowList: ["scunthorpe"] });
  const listed = verdict({}, { ...flagged, policy: then, listEntry: "nitro" });
  assert.equal(run([listed], then, then).unknownCount, 0);
  const allowed = verdict({}, { ...flagged, policy: then, listEntry: "scunthorpe" });
  assert.equal(run([allowed], then, then).unknownCount, 1);
});

test("dry run: what differs and is not tried is named; examples are bounded", () => {
  const policy = policyOf({
    categories: { insult: { flagAt: null } },
    context: { turnsMax: 1 },
    roles: [{ role: "mod", exempt: true }],
  });
  const past = Array.from({ length: 3 * DRY_RUN_EXAMPLES_MAX }, () => {
    return verdict({ insult: 0.9 }, flagged);
  });
  const result = run(past, policy);
  assert.deepEqual(result.notReplayed, ["roles", "context"]);
  assert.equal(result.changedCount, past.length);
  assert.equal(result.examples.length, DRY_RUN_EXAMPLES_MAX);
});
