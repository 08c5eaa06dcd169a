import assert from "node:assert/strict";
import { test } from "node:test";
import { CATEGORIES } from "#model/moderation.ts";
import { answerTo } from "./answers.ts";

const KEY = "#a91f44c02be7d8365f10";

/** A heading, and the lines under it. */
type Part = readonly [heading: string, ...lines: string[]];

/** As fence.ts writes it. */
function promptOf(...parts: readonly Part[]): string {
  const quoted = parts.flatMap(([heading, ...lines]) => [
    `${KEY} ${heading}`,
    ...lines.map((line) => `| ${line}`),
  ]);
  return [`${KEY} case a91f44c0-1`, ...quoted, `${KEY} end of case a91f44c0-1`].join("\n");
}

function first<Answer>(name: string, prompt: string): Answer {
  const { answers } = JSON.parse(answerTo(name, prompt)) as {
    answers: (Answer & { id: string })[];
  };
  assert.equal(answers.length, 1);
  assert.equal(answers[0]!.id, "a91f44c0-1");
  return answers[0]!;
}

type Judgement = { scores: Record<string, number>; reason: string };
const judge = (...parts: readonly Part[]): Judgement => first("moderation", promptOf(...parts));
const subject = (text: string): Part => ["message to judge by", "(eve)", text];

test("a verdict rests on a few words, and says so", () => {
  const { scores, reason } = judge(subject("you idiot"));
  assert.deepEqual(Object.keys(scores), [...CATEGORIES]);
  assert.deepEqual([scores["toxicity"], scores["insult"], scores["threat"]], [0.9, 0.9, 0]);
  assert.equal(reason, "By word lists, not by a model: an insult.");
  assert.equal(judge(subject("thanks, that fixed it")).scores["toxicity"], 0.1);
});

test("what is said in jest counts less", () => {
  const { scores, reason } = judge(subject("you idiot lol"));
  assert(scores["insult"]! < 0.5);
  assert.match(reason, /in jest/);
});

test("who agrees with what is harmful is judged by it, and only then", () => {
  const harm = ["earlier message by", "(bo)", "they should all be deported"] as const;
  const harmless = ["earlier message by", "(bo)", "the build is green"] as const;
  assert.equal(judge(harm, subject("exactly, well said")).scores["harmfulReply"], 0.9);
  assert.equal(judge(harmless, subject("exactly, well said")).scores["harmfulReply"], 0);
  const notLast = judge(harm, harmless, subject("exactly, well said"));
  assert.equal(notLast.scores["harmfulReply"], 0, "it answers the one before it");
  const name = judge(["message to judge by", "(you idiot)", "hello"]);
  assert.equal(name.scores["insult"], 0.1, "a name is not what is said");
});

test("a text in brackets is a text, not a name, once there is a name", () => {
  const { scores } = judge(["message to judge by", "(eve)", "(you idiot)"]);
  assert.equal(scores["insult"], 0.9);
});

test("a TL;DR names what stands out, with the record's own numbers", () => {
  const { sentences } = first<{ sentences: string[] }>(
    "tldr",
    promptOf(
      ["record", "(all)", "120 messages by 30 people in the last 60 seconds"],
      ["record", "(“lunch”)", "3 mentions by 3 people, usually 2.0; nothing out of the ordinary"],
      ["record", "(“boss”)", "12 mentions by 5 people, usually 0.5; it stands out"],
      ["record", "(somebody said)", "the boss fight is on"],
    ),
  );
  assert.deepEqual(sentences, [
    "It is all about “boss”: 12 mentions by 5 people.",
    "As somebody puts it, the boss fight is on.",
  ]);
});

test("a summary goes on from the one before, and keeps the newest where room is short", () => {
  const tell = (...parts: readonly Part[]): string =>
    first<{ summary: string }>("rolling", promptOf(...parts)).summary;
  assert.equal(
    tell(["summary so far", "ada: the deploy failed."], ["said since by", "(bo)", "on it"]),
    "ada: the deploy failed. bo: on it.",
  );
  const long = Array.from({ length: 60 }, (_, n) => {
    return ["said since by", `(user${n})`, `message ${n} ${"word ".repeat(30)}`] satisfies Part;
  });
  const summary = tell(...long);
  assert(summary.length <= 1_200);
  assert.match(summary, /user59: message 59/);
  assert.doesNotMatch(summary, /user0:/);
  assert.equal(tell(), "Nothing was said.");
});
