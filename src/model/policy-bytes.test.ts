import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { readPolicy } from "#testing/moderation-bytes.ts";
import { CATEGORIES } from "./moderation.ts";
import {
  consultOf,
  contextAgeMsMax,
  moderatesEvents,
  OFF,
  policyBytes,
  storesNothing,
} from "./policy-bytes.ts";
import { POLICY_DEFAULT, POLICY_RECORD_DEFAULT } from "./policy-default.ts";
import { CONSULT_MODES, type Policy } from "./policy.ts";

const record = (policy: Policy, version = 1) => ({ version, setAtMs: 5, note: undefined, policy });

const threshold = fc.option(fc.float({ min: 0, max: 1, noNaN: true }), { nil: null });
const term = fc
  .string({ unit: "binary", minLength: 1, maxLength: 12 })
  .map((each) => each.toWellFormed());
const policies: fc.Arbitrary<Policy> = fc.record({
  categories: fc
    .tuple(...CATEGORIES.map(() => fc.record({ flagAt: threshold, blockAt: threshold })))
    .map(
      (each) =>
        Object.fromEntries(
          CATEGORIES.map((category, n) => [category, each[n]]),
        ) as Policy["categories"],
    ),
  observeOnly: fc.boolean(),
  moderateEvents: fc.boolean(),
  doNotStore: fc.boolean(),
  allowList: fc.array(fc.record({ term }), { maxLength: 5 }),
  blockList: fc.array(
    fc.record({ term, action: fc.constantFrom("flag" as const, "block" as const) }),
    { maxLength: 5 },
  ),
  roles: fc.array(
    fc.record({
      role: term,
      leniency: fc.float({ min: -1, max: 1, noNaN: true }),
      exempt: fc.boolean(),
    }),
    { maxLength: 4 },
  ),
  context: fc.record({
    turnsMax: fc.integer({ min: 0, max: 32 }),
    bytesMax: fc.integer({ min: 0, max: 16_384 }),
    ageMsMax: fc.double({ min: 0, max: 1e12, noNaN: true }),
  }),
  consult: fc.record({
    mode: fc.constantFrom(...CONSULT_MODES),
    below: fc.float({ min: 0, max: 1, noNaN: true }),
    above: fc.float({ min: 0, max: 1, noNaN: true }),
    weight: fc.float({ min: 0, max: 1, noNaN: true }),
    waitMsMax: fc.integer({ min: 100, max: 60_000 }),
    guidance: fc.string({ unit: "binary" }).map((each) => each.toWellFormed()),
  }),
});

test("what is written is the policy", () => {
  fc.assert(
    fc.property(policies, fc.integer({ min: 0, max: 2 ** 32 - 1 }), (policy, version) => {
      const bytes = policyBytes(record(policy, version));
      assert.ok(bytes !== undefined);
      const read = readPolicy(bytes);
      const { turnsMax, bytesMax, ageMsMax } = policy.context;
      assert.deepEqual(read, {
        version,
        flags:
          (policy.observeOnly ? 1 : 0) |
          (policy.moderateEvents ? 2 : 0) |
          (policy.doNotStore ? 4 : 0),
        turnsMax,
        bytesMax,
        ageMsMax,
        thresholds: CATEGORIES.map((category) => {
          const { flagAt, blockAt } = policy.categories[category];
          return [flagAt ?? OFF, blockAt ?? OFF];
        }),
        allow: policy.allowList.map((entry) => ({ term: entry.term, action: 0 })),
        block: policy.blockList.map((entry) => ({
          term: entry.term,
          action: entry.action === "block" ? 2 : 1,
        })),
        roles: policy.roles.map(({ role, exempt, leniency }) => ({
          role,
          exempt: exempt ? 1 : 0,
          leniency,
        })),
        consult: { ...policy.consult, mode: CONSULT_MODES.indexOf(policy.consult.mode) },
      });
      const { mode, waitMsMax } = policy.consult;
      assert.deepEqual(consultOf(bytes), { mode, waitMsMax });
      assert.equal(moderatesEvents(bytes), policy.moderateEvents);
      assert.equal(storesNothing(bytes), policy.doNotStore);
      assert.equal(contextAgeMsMax(bytes), ageMsMax);
    }),
  );
});

test("the default takes its head and no more; thresholds are the nearest single floats", () => {
  const bytes = policyBytes(POLICY_RECORD_DEFAULT)!;
  assert.equal(bytes.length, 116);
  assert.equal(readPolicy(bytes).thresholds[0]![0], Math.fround(0.6));
  assert.equal(readPolicy(bytes).thresholds[3]![0], OFF);
  const { mode, waitMsMax } = consultOf(bytes);
  assert.deepEqual({ mode, waitMsMax }, { mode: "unsure", waitMsMax: 5_000 });
  assert.equal(consultOf(new Uint8Array()).mode, "unsure", "no bytes are the default");
});

test("a policy too large for its guest is refused, and an entry too long", () => {
  const many = Array.from({ length: 200 }, (_, n) => ({ term: `${n}`.padEnd(60, "x") }));
  assert.equal(policyBytes(record({ ...POLICY_DEFAULT, allowList: many })), undefined);
  const long = [{ term: "x".repeat(256) }];
  assert.equal(policyBytes(record({ ...POLICY_DEFAULT, blockList: long })), undefined);
  const consult = { ...POLICY_DEFAULT.consult, guidance: "x".repeat(8_100) };
  assert.equal(policyBytes(record({ ...POLICY_DEFAULT, consult })), undefined);
});
