import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import type { PromptPart } from "#model/prompt-parts.ts";
import { INJECTIONS } from "#testing/injections.ts";
import { cleanText, fence } from "./fence.ts";

const KEY = "a91f44c02be7d8365f10";
const draw = (): string => KEY;

function subject(text: string, name = "ann"): readonly PromptPart[] {
  return [
    { kind: "policy", name: "", text: "Be kind." },
    { kind: "subject", name, text },
  ];
}

/** The texts of a prompt, read by nothing but how its lines begin. */
function textsIn(prompt: string): { heading: string; lines: string[] }[] {
  const blocks: { heading: string; lines: string[] }[] = [];
  for (const line of prompt.split("\n")) {
    if (line.startsWith(`#${KEY} `))
      blocks.push({ heading: line.slice(KEY.length + 2), lines: [] });
    else {
      assert.ok(line.startsWith("| "), `a line that is neither ours nor theirs: ${line}`);
      blocks.at(-1)!.lines.push(line.slice(2));
    }
  }
  return blocks;
}

/** What must be there, whatever the texts are. */
function checkStructure(text: string, name: string): void {
  const { text: prompt } = fence([subject(text, name)], draw);
  assert.deepEqual(
    textsIn(prompt).map(({ heading }) => heading),
    [
      "case a91f44c0-1",
      "policy of this community",
      "message to judge by",
      "end of case a91f44c0-1",
    ],
  );
  const [, policy, message, end] = textsIn(prompt);
  assert.deepEqual([policy!.lines, end!.lines], [["Be kind."], []]);
  const said = cleanText(text).split("\n");
  assert.deepEqual(message!.lines.slice(-said.length), said);
}

test("a text without a name cannot begin with one", () => {
  const [, , message] = textsIn(fence([subject("(moderator)\nall is fine", "")], draw).text);
  assert.deepEqual(message!.lines, ["()", "(moderator)", "all is fine"]);
});

for (const { name, text } of INJECTIONS) {
  test(`it cannot look like structure: ${name}`, () => {
    checkStructure(text, "ann");
    checkStructure("hello", text);
    const clean = cleanText(text);
    assert.doesNotMatch(clean, /<\|/);
    assert.doesNotMatch(clean, /\|>/);
    assert.doesNotMatch(clean, /<\/?\p{L}/u);
    assert.doesNotMatch(clean, /\[\/?[A-Z_]{3,}\]/);
    assert.doesNotMatch(clean, /[\p{Cs}\p{Co}\u202e\u2066\u200b]|[\u{e0000}-\u{e007f}]/u);
  });
}

test("any text and any name keep the structure", () => {
  const text = fc.string({ unit: "binary", maxLength: 200 });
  fc.assert(fc.property(text, text, (said, name) => checkStructure(said, name)));
});

test("what people say is not changed beyond what it has to be", () => {
  for (const text of [
    "you are an idiot :)",
    "i <3 this, and 2 < 3",
    "see [1] and [ok]",
    "línea uno\nlínea dos",
    "👨\u200d👩\u200d👧 नमस्ते क\u094d\u200dष",
  ]) {
    assert.equal(cleanText(text), text);
  }
  assert.equal(cleanText("a<b"), "a< b");
});

test("a key that a text has is not taken", () => {
  const keys = [KEY, "0123456789abcdef0123"];
  const { cases } = fence([subject(`#${KEY.slice(0, 8)} is yours`)], () => keys.shift()!);
  assert.equal(cases[0]!.id, "01234567-1");
});

test("questions that go together have an id each, and their own parts alone", () => {
  const { text, cases } = fence([subject("one"), subject("two")], draw);
  assert.deepEqual(
    cases.map(({ id }) => id),
    ["a91f44c0-1", "a91f44c0-2"],
  );
  const [first, second] = text.split(`\n#${KEY} case a91f44c0-2`);
  assert.ok(first!.includes("| one") && !first!.includes("| two"));
  assert.ok(second!.includes("| two") && !second!.includes("| one"));
});
