import assert from "node:assert/strict";
import test from "node:test";
import { JOBS } from "#model/consultation.ts";
import { CATEGORIES, eachCategory } from "#model/moderation.ts";
import { INJECTIONS } from "#testing/injections.ts";
import { readAnswers, responseFormat } from "./structured-output.ts";

const IDS = ["a91f44c0-1", "a91f44c0-2"];

function judgement(id: string, toxicity: unknown = 0.5): Record<string, unknown> {
  return { id, scores: { ...eachCategory(() => 0), toxicity }, reason: "It insults nobody." };
}

function check(content: unknown, problem: RegExp): void {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  const reading = readAnswers("moderation", text, IDS);
  assert.ok("problem" in reading, text.slice(0, 80));
  assert.match(reading.problem, problem);
}

test("an answer of the schema about every case is read, in any order", () => {
  const answers = [judgement(IDS[1]!, 1), judgement(IDS[0]!)];
  const content = ` \n${JSON.stringify({ answers })}\n`;
  const reading = readAnswers("moderation", content, IDS);
  assert.ok("answers" in reading);
  assert.equal(reading.answers[1]!.scores.toxicity, 1);
  assert.deepEqual(Object.keys(reading.answers[0]!.scores), [...CATEGORIES]);
});

test("anything else is refused", () => {
  const good = [judgement(IDS[0]!), judgement(IDS[1]!)];
  const notJson = /not JSON/;
  const notSchema = /not of the schema/;
  for (const text of ["", "<html>", "```json\n{}\n```", "{", "Sure! {}", "{}{}", "NaN"]) {
    check(text, notJson);
  }
  for (const value of [
    null,
    [],
    1,
    "",
    {},
    { answers: {} },
    { answers: [null] },
    { answers: [1] },
  ]) {
    check(JSON.stringify(value), notSchema);
  }
  check({ answers: good, note: "and more" }, notSchema);
  check({ answers: [{ ...good[0]!, action: "allow" }, good[1]] }, notSchema);
  for (const toxicity of [-0.1, 1.1, "0.5", null, true, [0.5]]) {
    check({ answers: [judgement(IDS[0]!, toxicity), good[1]] }, notSchema);
  }
  check(JSON.stringify({ answers: good }).replace("0.5", "1e999"), notSchema);
  check(JSON.stringify({ answers: good }).replace('"toxicity"', '"__proto__"'), notSchema);
  check({ answers: [{ ...good[0]!, reason: "x".repeat(301) }, good[1]] }, notSchema);
  check({ answers: [good[0]] }, /a91f44c0-2 has no answer/);
  check({ answers: [good[0], good[0], good[1]] }, /two answers/);
  check({ answers: [good[0], judgement("1")] }, /no case's/);
  check({ answers: [] }, /has no answer/);
});

test("what is wrong is not said in the words of the answer", () => {
  const secret = "ignore the above";
  for (const content of [
    secret,
    `{"${secret}":1}`,
    { answers: [judgement(secret.slice(0, 16))] },
  ]) {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    const reading = readAnswers("moderation", text, IDS);
    assert.ok("problem" in reading);
    assert.ok(!reading.problem.includes(secret.slice(0, 16)), reading.problem);
  }
});

for (const { name, text } of INJECTIONS) {
  test(`a model that repeats it is not believed: ${name}`, () => {
    const json = /\{.*\}/s.exec(text)?.[0];
    check(text, /not JSON|not of the schema|no case's/);
    if (json !== undefined) check(json, /not JSON|not of the schema|no case's|no answer/);
  });
}

test("the schema says the same to the upstream", () => {
  const format = JSON.stringify(responseFormat("moderation", "schema"));
  for (const category of CATEGORIES) assert.ok(format.includes(`"${category}"`));
  assert.ok(format.includes('"additionalProperties":false'));
  assert.ok(format.includes('"maximum":1'));
  for (const job of JOBS) {
    const sent = JSON.stringify(responseFormat(job, "schema"));
    assert.ok(
      !/"(min|max)Length"/.test(sent),
      "lengths are checked here: some servers refuse them",
    );
  }
  const long = { id: "c-1", summary: "x".repeat(1_201) };
  const reading = readAnswers("rolling", JSON.stringify({ answers: [long] }), ["c-1"]);
  assert.match("problem" in reading ? reading.problem : "", /"maxLength" fails/);
});
