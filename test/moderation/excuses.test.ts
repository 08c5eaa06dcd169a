// Abusive words that are denied, said of oneself or of a thing are no abuse; and what looks like
// such an excuse and is none stays abuse. Then what must not be dear by itself: a trivial "you".
import assert from "node:assert/strict";
import test from "node:test";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { CATEGORIES } from "#model/moderation.ts";
import { loadClassifier } from "../../guests/moderate/testing/classifier.ts";
import { compileModerator, Moderator } from "../../guests/moderate/testing/moderator.ts";

const moderator = new Moderator(await compileModerator("real"), loadClassifier());
const FLAG_AT = POLICY_DEFAULT.categories.toxicity.flagAt!;
const [TOXICITY, INSULT] = [CATEGORIES.indexOf("toxicity"), CATEGORIES.indexOf("insult")];

/** The higher one of toxicity and insult. */
function abuse(text: string): number {
  const { scores } = moderator.judge({ text, tsMs: 0 });
  return Math.max(scores[TOXICITY]!, scores[INSULT]!);
}

const EXCUSED = {
  denied: [
    "you are not stupid",
    "she is blind, not stupid",
    "he is not an idiot",
    "you were never that stupid",
    "my neighbours aren't stupid",
    "trust me, you are not a moron",
  ],
  "of the speaker": [
    "what an idiot I was",
    "i was such an idiot yesterday",
    "I was so stupid",
    "i'm an idiot, the cable was out",
    "im so dumb today",
  ],
  "of a thing": [
    "your code is stupid",
    "this is so stupid",
    "my cat is a bitch to feed",
    "the printer is a bitch again",
    "that build script is really dumb",
  ],
};

for (const [kind, texts] of Object.entries(EXCUSED)) {
  test(`abusive words are no abuse where they are ${kind}`, () => {
    for (const text of texts) {
      assert(abuse(text) < FLAG_AT, `${text}: ${abuse(text).toFixed(2)}`);
    }
  });
}

test("what only looks like an excuse is none", () => {
  const texts = [
    "you are not stupid, you are evil scum",
    "you are not just stupid, you are ugly",
    "you are not only an idiot but a liar",
    "I was an idiot to trust you, moron",
    "your stupid code proves you are an idiot",
    "your code is stupid and so are you, idiot",
    "i am not the moron here, you idiot",
    "how are you not dead yet, you idiot",
    "it is stupid, like you, moron",
    "that is what an idiot you are",
  ];
  for (const text of texts) {
    assert(abuse(text) >= FLAG_AT, `${text}: ${abuse(text).toFixed(2)}`);
  }
  const { scores } = moderator.judge({ text: "Jews are not human", tsMs: 0 });
  assert(scores[TOXICITY]! >= FLAG_AT, scores.join(" "));
});

test("a trivial line in the second person is cheap", () => {
  const texts = ["you", "you are", "your", "are you", "you are an engineer", "you are a chemist"];
  for (const text of texts) assert(abuse(text) < 0.3, `${text}: ${abuse(text).toFixed(2)}`);
});

test("a waste word is abuse said of a person, and none of waste", () => {
  for (const text of ["you are trash", "you are filth", "he is scum", "you absolute garbage"]) {
    assert(abuse(text) >= FLAG_AT, `${text}: ${abuse(text).toFixed(2)}`);
  }
  for (const text of ["take out the trash", "the rubbish is full", "there is dirt on the floor"]) {
    assert(abuse(text) < 0.3, `${text}: ${abuse(text).toFixed(2)}`);
  }
});
