import assert from "node:assert/strict";
import test from "node:test";
import { type PromptPart, writePromptParts } from "#model/prompt-parts.ts";
import { AnswerCache, answerKey, normalText } from "./cache.ts";

type Question = {
  readonly tenant: number;
  readonly job: number;
  readonly policyVersion: number;
  readonly context: readonly string[];
  readonly text: string;
};
const QUESTION: Question = {
  tenant: 1,
  job: 0,
  policyVersion: 3,
  context: ["hello", "hi"],
  text: "Shut up",
};
const ANSWER = Buffer.alloc(100, 7);

function keyOf(change: Partial<Question>): string {
  const { context, text, ...of } = { ...QUESTION, ...change };
  const parts: PromptPart[] = context.map((said) => ({ kind: "turn", name: "ann", text: said }));
  parts.push({ kind: "subject", name: "bob", text });
  return answerKey({ ...of, prompt: writePromptParts(parts), parts });
}

test("a key changes with everything the answer follows from", () => {
  const changes: Partial<Question>[] = [
    {},
    { tenant: 2 },
    { job: 1 },
    { policyVersion: 4 },
    { context: ["hello"] },
    { context: ["hello", "h", "i"] },
    { context: ["helloh", "i"] },
    { context: ["hello ", "hi"] },
    { text: "SHUT UP" },
    { text: "Shut up!" },
  ];
  const keys = changes.map(keyOf);
  assert.equal(new Set(keys).size, keys.length);
});

test("a key does not change with what nobody sees", () => {
  for (const text of [
    "Shut  up ",
    "Ｓhut up",
    "Sh\u200but\u00adup".replace("up", " up"),
    "Shut\nup",
  ]) {
    assert.equal(keyOf({ text }), keyOf({}), JSON.stringify(text));
  }
  assert.equal(normalText("👨\u200d👩"), "👨\u200d👩", "what joins pictures is seen");
});

test("an answer is found until it is too old", () => {
  const cache = new AnswerCache({ ageMsMax: 1_000 });
  cache.add("acme", "k", ANSWER, 0);
  assert.equal(cache.find("acme", "k", 999), ANSWER);
  assert.equal(cache.find("acme", "k", 1_000), undefined);
  assert.equal(cache.bytes, 0);
});

test("keys that begin alike are not taken for each other; the newer is kept", () => {
  const cache = new AnswerCache();
  cache.add("acme", "like 1", ANSWER, 0);
  assert.equal(cache.find("acme", "like 2", 0), undefined);
  const other = Buffer.alloc(10, 1);
  cache.add("acme", "like 2", other, 0);
  assert.equal(cache.find("acme", "like 1", 0), undefined);
  assert.equal(cache.find("acme", "like 2", 0), other);
  assert.equal(cache.bytes, 400 + 10);
});

test("one tenant's answers are no other's, whatever the key", () => {
  const cache = new AnswerCache();
  cache.add("acme", "k", ANSWER, 0);
  assert.equal(cache.find("other", "k", 0), undefined);
});

test("a tenant that floods pushes out its own", () => {
  const cache = new AnswerCache({ answersOfTenantMax: 10 });
  cache.add("quiet", "k", ANSWER, 0);
  for (let n = 0; n < 100; n++) cache.add("loud", `${n}`, ANSWER, 0);
  assert.equal(cache.find("quiet", "k", 0), ANSWER);
  assert.equal(cache.find("loud", "89", 0), undefined);
  assert.equal(cache.find("loud", "90", 0), ANSWER);
});

test("bytes are bounded, and what was used least recently leaves", () => {
  const cache = new AnswerCache({ bytesMax: 5 * (400 + 100) });
  for (const tenant of ["a", "b", "c", "d", "e"]) cache.add(tenant, "k", ANSWER, 0);
  cache.find("a", "k", 0);
  cache.add("f", "k", ANSWER, 0);
  assert.equal(cache.find("b", "k", 0), undefined);
  assert.equal(cache.find("a", "k", 0), ANSWER);
  assert.equal(cache.bytes, 5 * 500);
});

test("adding again replaces, and forgetting gives the bytes back", () => {
  const cache = new AnswerCache();
  for (let n = 0; n < 3; n++) cache.add("acme", "k", Buffer.alloc(10 * n), n);
  assert.equal(cache.bytes, 400 + 20);
  cache.forget("acme");
  assert.equal(cache.bytes, 0);
  assert.equal(cache.find("acme", "k", 0), undefined);
});
