import assert from "node:assert/strict";
import test from "node:test";
import { MISTAKES_LISTED_MAX } from "./limits.ts";
import { Mistakes, pointerTo } from "./mistakes.ts";
import { messageOf } from "./moderation-input.ts";
import { checkPolicy } from "./policy-checks.ts";
import { Problem } from "./problem.ts";

function problemOf(fail: () => unknown): Problem {
  try {
    fail();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error("there is no problem");
}

test("mistakes: those beyond the limit are counted, and the first says what kind it is", () => {
  const mistakes = new Mistakes();
  for (let n = 0; n < MISTAKES_LISTED_MAX + 3; n++) {
    mistakes.add(`/${n}`, "is wrong", n === 0 ? "textEmpty" : "badRequest");
  }
  assert.equal(mistakes.code, "textEmpty");
  assert.match(mistakes.sentence("message"), /^In the message: \/0 is wrong; .*; and 3 more\.$/);
  const { errors, errorCount } = mistakes.members;
  assert.equal(errors.length, MISTAKES_LISTED_MAX);
  assert.equal(errorCount, MISTAKES_LISTED_MAX + 3);
});

test("mistakes: few of them are all told, without a count", () => {
  const mistakes = new Mistakes();
  mistakes.add("", "must be an object");
  assert.equal(mistakes.sentence("policy"), "In the policy: must be an object.");
  assert.deepEqual(mistakes.members, { errors: [{ pointer: "", message: "must be an object" }] });
});

test("mistakes: a body full of them has an answer that is no larger than it", () => {
  const context = Array.from({ length: 100_000 }, () => 0);
  const strangers = Object.fromEntries(context.map((_, n) => [`${n}`.padEnd(200, "x"), n]));
  const problems = [
    problemOf(() => messageOf({ context }, 0)),
    problemOf(() => messageOf(strangers, 0)),
    problemOf(() => checkPolicy({ blockList: context })),
    problemOf(() => checkPolicy({ categories: strangers })),
  ];
  for (const { message, members } of problems) {
    assert.ok(message.length < 20_000, `${message.length} characters`);
    assert.ok(JSON.stringify(members).length < 20_000);
    assert.ok((members["errorCount"] as number) >= context.length);
  }
});

test("mistakes: names in pointers are escaped, and cut if they are too long to be told", () => {
  assert.equal(pointerTo("/a", "b/c~d"), "/a/b~1c~0d");
  assert.equal(pointerTo("", 3), "/3");
  assert.ok(pointerTo("", "x".repeat(1_000_000)).length < 200);
});
