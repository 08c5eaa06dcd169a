// How words are meant: quoted, reported, denied, and of whom they are said.
import assert from "node:assert/strict";
import test from "node:test";
import { readingOf } from "./testing/reader.ts";

/** [text, word, scope that it stands in], "" for none. */
function scoped(name: string, rows: readonly [string, string, string][]): void {
  test(name, () => {
    for (const [text, word, scope] of rows) {
      const { scopes } = readingOf(text, word);
      if (scope === "") assert.deepEqual(scopes, [], text);
      else assert.ok(scopes.includes(scope), `${text}: ${word} is ${scopes.join() || "bare"}`);
    }
  });
}

scoped("what stands in quotation marks is quoted", [
  ['He shouted "you moron" at me', "moron", "quoted"],
  ["He shouted “you moron” at me", "moron", "quoted"],
  ["He shouted «you moron» at me", "moron", "quoted"],
  ["the sign said 'no moron here' again", "moron", "quoted"],
  ["> you are a moron\nthat was rude", "moron", "quoted"],
  ["> you are a moron\nthat was rude", "rude", ""],
  ['5" of snow, you moron', "moron", ""],
  ["don't be such a moron, it's me", "such", "negated"],
]);

scoped("what somebody else said is reported, what I say is not", [
  ["she called me a moron", "moron", "reported"],
  ["my boss told them they are lazy", "lazy", "reported"],
  ["I say you are a moron", "moron", ""],
  ["I think you are a moron", "moron", ""],
  ["she said hi. you are a moron", "moron", ""],
  ['he said "hi" and you are a moron', "moron", ""],
]);

scoped("denial reaches over predicate and target, not further", [
  ["you are not a moron", "moron", "negated"],
  ["I don't hate muslims", "muslims", "negated"],
  ["nobody here is a moron", "moron", "negated"],
  ["this is not good, you moron", "moron", ""],
  ["not today but you are a moron", "moron", ""],
  ["I can't stand that moron", "moron", ""],
  ["you never fail. you moron", "moron", ""],
]);

scoped("objection, condition, question", [
  ["it is wrong to call people vermin", "vermin", "reproached"],
  ["stop saying that women are stupid", "stupid", "reproached"],
  ["if you are stupid, say so", "stupid", "conditional"],
  ["are you stupid?", "stupid", "question"],
  ["are you ok? stupid dog", "stupid", ""],
]);

scoped("the spelling of an insult with harmless neighbours", [
  ["the dyke along the river flood plain", "dyke", "harmless"],
  ["a faggot of firewood", "faggot", "harmless"],
  ["cock and hens in the barn", "cock", "harmless"],
  ["you dyke", "dyke", ""],
]);

test("of whom a word is said", () => {
  const rows: [string, string, string][] = [
    ["you are a moron", "moron", "you"],
    ["I am so stupid", "stupid", "self"],
    ["she is stupid", "stupid", "third"],
    ["muslims are stupid", "stupid", "group"],
    ["this printer is stupid", "stupid", "thing"],
    ["I am a proud muslim", "muslim", "self"],
    ["as a gay man, it hurts", "gay", "self"],
    ["I hate gay people", "gay", "group"],
    ["I don't think muslims are bad", "muslims", "group"],
    ["your code is ugly", "ugly", "thing"],
    ["your face is ugly", "ugly", "you"],
    ["my phone is stupid", "stupid", "thing"],
  ];
  for (const [text, word, subject] of rows) {
    assert.equal(readingOf(text, word).subject, subject, `${text}: ${word}`);
  }
});

test("phrases have classes of their own", () => {
  const rows: [string, string, string][] = [
    ["go back to your country", "back", "EXCLUSION"],
    ["they don't belong here", "belong", "EXCLUSION"],
    ["I can't stand them", "stand", "HATE_VERB"],
    ["watch your back", "back", "VEILED"],
    ["I want to die", "die", "SELF_HARM"],
    ["just shut up", "up", "CONTEMPT"],
    ["non-binary people", "binary", "GROUP"],
  ];
  for (const [text, word, name] of rows) {
    const { classes } = readingOf(text, word);
    assert.ok(classes.includes(name), `${text}: ${word} is ${classes.join()}`);
  }
});

test("a comparison is no liking, and who is poor has not done anything bad", () => {
  const rows: [string, string, string, boolean][] = [
    ["the immigrants are like rats", "like", "LOVE_VERB", false],
    ["they eat like pigs", "like", "COPULA", true],
    ["they like pigs", "like", "LOVE_VERB", true],
    ["I don't like him", "like", "LOVE_VERB", true],
    ["I would really like that", "like", "LOVE_VERB", true],
    ["poor people wait", "poor", "TRAIT_BAD", false],
    ["a poor film", "poor", "TRAIT_BAD", true],
  ];
  for (const [text, word, name, has] of rows) {
    const { classes } = readingOf(text, word);
    assert.equal(classes.includes(name), has, `${text}: ${word} is ${classes.join()}`);
  }
});
