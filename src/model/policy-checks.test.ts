import assert from "node:assert/strict";
import { test } from "node:test";
import { CONTEXT_TURNS_MAX, GUIDANCE_BYTES_MAX, POLICY_TERM_BYTES_MAX } from "./limits.ts";
import { CATEGORIES, eachCategory } from "./moderation.ts";
import { checkPolicy } from "./policy-checks.ts";
import { POLICY_DEFAULT } from "./policy-default.ts";
import type { Policy } from "./policy.ts";
import { Problem } from "./problem.ts";

type Mistakes = { pointer: string; message: string }[];

function mistakesOf(value: unknown, at = ""): Mistakes {
  try {
    checkPolicy(value, at);
  } catch (error) {
    assert.ok(error instanceof Problem);
    assert.equal(error.code, "policyContradictory");
    const errors = error.members["errors"] as Mistakes;
    for (const { pointer, message } of errors) {
      assert.ok(error.message.includes(`${pointer} ${message}`.trim()), error.message);
    }
    return errors;
  }
  return [];
}

const warningsOf = (value: unknown): string[] =>
  checkPolicy(value).warnings.map(({ code, pointer }) => `${code} ${pointer}`);

test("policy: nothing said is the default, and the default is whole and without warnings", () => {
  assert.deepEqual(checkPolicy({}), { policy: POLICY_DEFAULT, warnings: [] });
  assert.deepEqual(checkPolicy(POLICY_DEFAULT), { policy: POLICY_DEFAULT, warnings: [] });
});

test("policy: what is said lies over the default, the rest stays", () => {
  const { policy } = checkPolicy({
    categories: { insult: { blockAt: 0.9 }, profanity: { flagAt: 0.8 }, sexual: { flagAt: null } },
    blockList: ["free nitro", { term: " spam link ", action: "block" }],
    allowList: [{ term: "scunthorpe" }],
    roles: [
      { role: "moderator", exempt: true },
      { role: "new", leniency: -0.1 },
    ],
    context: { turnsMax: 3 },
    observeOnly: true,
  });
  const expected: Policy = {
    ...POLICY_DEFAULT,
    categories: {
      ...POLICY_DEFAULT.categories,
      insult: { flagAt: 0.65, blockAt: 0.9 },
      profanity: { flagAt: 0.8, blockAt: null },
      sexual: { flagAt: null, blockAt: null },
    },
    blockList: [{ term: "free nitro" }, { term: "spam link", action: "block" }],
    allowList: [{ term: "scunthorpe" }],
    roles: [
      { role: "moderator", leniency: 0, exempt: true },
      { role: "new", leniency: -0.1 },
    ],
    context: { ...POLICY_DEFAULT.context, turnsMax: 3 },
    observeOnly: true,
  };
  assert.deepEqual(policy, expected);
});

test("policy: a block below its flag is told with both, and which is the default", () => {
  assert.deepEqual(mistakesOf({ categories: { threat: { flagAt: 0.95 } } }), [
    {
      pointer: "/categories/threat/blockAt",
      message: "is 0.9 (the default), below flagAt, 0.95; set both",
    },
  ]);
  assert.deepEqual(
    mistakesOf({ categories: { insult: { flagAt: 0.8, blockAt: 0.7 } } }, "/policy"),
    [
      {
        pointer: "/policy/categories/insult/blockAt",
        message: "is 0.7, below flagAt, 0.8; set both",
      },
    ],
  );
  assert.deepEqual(mistakesOf({ categories: { insult: { flagAt: 0.8, blockAt: 0.8 } } }), []);
});

test("policy: every mistake is found, each with its pointer", () => {
  const mistakes = mistakesOf({
    categories: {
      toxicity: { flagAt: 1.5 },
      insult: { flagAt: Number.NaN },
      threat: { flagAt: -0.1, blockAt: "high" },
      sarcasm: {},
      sexual: 0.5,
    },
    observeonly: true,
    doNotStore: "yes",
    allowList: [{ term: "fine", action: "flag" }, { term: "" }],
    blockList: [{ term: "x".repeat(POLICY_TERM_BYTES_MAX + 1) }, { term: "a", action: "ban" }, 3],
    roles: [
      { role: "mod", leniency: 2 },
      { role: "mod" },
      { leniency: 0.1 },
      { role: "x", exempt: 1 },
    ],
    context: { turnsMax: CONTEXT_TURNS_MAX + 1, bytesMax: 1.5, ageMsMax: 0 },
  });
  assert.deepEqual(mistakes.map(({ pointer }) => pointer).toSorted(), [
    "/allowList/0/action",
    "/allowList/1/term",
    "/blockList/0/term",
    "/blockList/1/action",
    "/blockList/2",
    "/blockList/2/term",
    "/categories/insult/flagAt",
    "/categories/sarcasm",
    "/categories/sexual",
    "/categories/threat/blockAt",
    "/categories/threat/flagAt",
    "/categories/toxicity/flagAt",
    "/context/ageMsMax",
    "/context/bytesMax",
    "/context/turnsMax",
    "/doNotStore",
    "/observeonly",
    "/roles/0/leniency",
    "/roles/1/role",
    "/roles/2/role",
    "/roles/3/exempt",
  ]);
  assert.match(
    mistakes.find(({ pointer }) => pointer === "/observeonly")?.message ?? "",
    /there are/,
  );
});

test("policy: what is no policy at all", () => {
  for (const value of [null, 3, "strict", []]) {
    assert.deepEqual(mistakesOf(value), [{ pointer: "", message: "must be an object" }]);
  }
  assert.deepEqual(mistakesOf({ blockList: "spam" })[0]?.pointer, "/blockList");
  assert.deepEqual(mistakesOf({ categories: null })[0]?.pointer, "/categories");
});

test("policy: lists beyond the room of a moderator are refused as a whole", () => {
  const blockList = Array.from({ length: 200 }, (_, n) => ({
    term: `term ${n} ${"x".repeat(40)}`,
  }));
  assert.match(
    mistakesOf({ blockList })[0]?.message ?? "",
    /over 8192 bytes; shorten its lists or its guidance/,
  );
  assert.deepEqual(mistakesOf({ blockList: blockList.slice(0, 100) }), []);
});

test("policy: one that never matches is allowed, with a warning", () => {
  const off = Object.fromEntries(
    CATEGORIES.map((category) => [category, { flagAt: null, blockAt: null }]),
  );
  assert.deepEqual(warningsOf({ categories: off }), ["policyNeverMatches /categories"]);
  const one = Object.fromEntries(
    CATEGORIES.map((category) => [category, { flagAt: 1, blockAt: null }]),
  );
  assert.deepEqual(warningsOf({ categories: one }), ["policyNeverMatches /categories"]);
  assert.deepEqual(warningsOf({ categories: off, blockList: ["spam"] }), []);
});

test("policy: list entries that are hardly meant are warned of", () => {
  assert.deepEqual(
    warningsOf({
      blockList: ["the", "Und", "x", "spam", "SPAM ", "ﬁne", "free  nitro"],
      allowList: ["fine", "free nitro", "the"],
    }),
    [
      "listEntryCommonWord /blockList/0",
      "listEntryInBoth /blockList/0",
      "listEntryCommonWord /blockList/1",
      "listEntryCommonWord /blockList/2",
      "listEntryTwice /blockList/4",
      "listEntryInBoth /blockList/5",
      "listEntryInBoth /blockList/6",
    ],
  );
});

test("policy: what a moderator never meets is told, and what it meets without its signs", () => {
  const blockList = ["...", ".*", "\u200b", "c++", "the!", "-", "💩", "猪", "@pest", "don't"];
  assert.deepEqual(warningsOf({ blockList }), [
    "listEntryNeverMet /blockList/0",
    "listEntryNeverMet /blockList/1",
    "listEntryNeverMet /blockList/2",
    "listEntryCommonWord /blockList/3",
    "listEntryCommonWord /blockList/4",
    "listEntryNeverMet /blockList/5",
  ]);
  const [, , , signs] = checkPolicy({ blockList }).warnings;
  assert.match(signs?.message ?? "", /^"c\+\+" is met as "c", which /);
});

test("policy: when the upstream is asked, over the default; guidance has lines", () => {
  const consult = { mode: "all", weight: 0.75, guidance: " Be kind.\r\nNo spoilers.\t\n" };
  const { policy, warnings } = checkPolicy({ consult });
  assert.deepEqual(policy.consult, {
    mode: "all",
    below: 0.25,
    above: 0.15,
    weight: 0.75,
    waitMsMax: 5_000,
    guidance: "Be kind.\nNo spoilers.",
  });
  assert.deepEqual(warnings, []);
  assert.deepEqual(checkPolicy({ consult: {} }).policy, POLICY_DEFAULT);
});

test("policy: mistakes in when the upstream is asked", () => {
  const mistakes = mistakesOf({
    consult: {
      mode: "always",
      below: -0.1,
      above: 1.1,
      weight: "half",
      waitMsMax: 99,
      guidance: "ring the \u0007",
      model: "other",
    },
  });
  assert.deepEqual(
    mistakes.map(({ pointer, message }) => `${pointer} ${message}`),
    [
      "/consult/model is no field; there are mode, below, above, weight, waitMsMax, guidance",
      "/consult/mode must be one of never, unsure, all",
      "/consult/below must be a number from 0 to 1",
      "/consult/above must be a number from 0 to 1",
      "/consult/weight must be a number from 0 to 1",
      "/consult/waitMsMax must be an integer from 100 to 60000",
      "/consult/guidance must be a text of at most 2048 bytes, no controls but new lines",
    ],
  );
  const mistakeOf = (guidance: unknown): boolean =>
    mistakesOf({ consult: { guidance } }).length > 0;
  assert.ok(!mistakeOf("ü".repeat(GUIDANCE_BYTES_MAX / 2)));
  for (const wrong of ["ü".repeat(GUIDANCE_BYTES_MAX / 2 + 1), "\ud800", 7, ["x"], null]) {
    assert.equal(mistakeOf(wrong), wrong !== null, `${wrong?.toString().slice(0, 10)}`);
  }
  assert.deepEqual(mistakesOf({ consult: "all" })[0], {
    pointer: "/consult",
    message: "must be an object",
  });
  assert.equal(mistakesOf({ consult: { waitMsMax: 100.5 } }).length, 1);
});

test("policy: an upstream that is asked in vain, of all or of nothing is warned of", () => {
  const off = Object.fromEntries(CATEGORIES.map((each) => [each, { flagAt: null, blockAt: null }]));
  const of = (consult: unknown, categories = {}): string[] => warningsOf({ consult, categories });
  assert.deepEqual(of({ mode: "all", weight: 0 }), ["consultWeighsNothing /consult/weight"]);
  assert.deepEqual(of({ weight: 0 }), ["consultWeighsNothing /consult/weight"]);
  assert.deepEqual(of({ mode: "never", weight: 0 }), []);
  assert.deepEqual(of({ mode: "never", guidance: "Be kind." }), ["consultOff /consult/guidance"]);
  assert.deepEqual(of({}, off), ["policyNeverMatches /categories"]);
  assert.deepEqual(of({ weight: 1 }, off), [
    "policyNeverMatches /categories",
    "consultNeverUnsure /consult/mode",
  ]);
  assert.deepEqual(of({ mode: "all" }, off), ["policyNeverMatches /categories"]);
  assert.deepEqual(of({ below: 0.6 }), ["consultAlwaysUnsure /consult/below"]);
  assert.deepEqual(of({ below: 0.59 }), []);
  assert.deepEqual(of({}, { insult: { flagAt: 0.25 } }), ["consultAlwaysUnsure /consult/below"]);
  assert.deepEqual(of({ mode: "all" }, { insult: { flagAt: 0.25 } }), []);
});

test("policy: a threshold that everything reaches is warned of", () => {
  assert.deepEqual(warningsOf({ categories: { threat: { flagAt: 0 } } }), [
    "policyAlwaysMatches /categories/threat/flagAt",
  ]);
});

test("policy: a block without a flag flags; what undoes other parts is told", () => {
  const { policy, warnings } = checkPolicy({ categories: { profanity: { blockAt: 0.9 } } });
  assert.deepEqual(policy.categories.profanity, { flagAt: 0.9, blockAt: 0.9 });
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ["flagFollowsBlock"],
  );
  assert.deepEqual(warningsOf({ roles: [{ role: "vip", leniency: 0.5 }] }), [
    "roleNeverFlagged /roles/0/leniency",
  ]);
  assert.deepEqual(warningsOf({ context: { turnsMax: 0 } }), ["contextOff /context/turnsMax"]);
});

test("categories: each has its place in every map of them", () => {
  assert.deepEqual(Object.keys(eachCategory((category) => category)), [...CATEGORIES]);
  assert.deepEqual(Object.values(eachCategory((category) => category)), [...CATEGORIES]);
});
