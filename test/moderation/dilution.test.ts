// What stands beside abuse does not hide it: harmless clauses, words and sentences of other
// languages, look-alikes of such words. And what frames a clause still frames it.
import assert from "node:assert/strict";
import test from "node:test";
import { CATEGORIES } from "#model/moderation.ts";
import { loadClassifier } from "../../guests/moderate/testing/classifier.ts";
import { compileModerator, Moderator } from "../../guests/moderate/testing/moderator.ts";

const moderator = new Moderator(await compileModerator("real"), loadClassifier());
const TOXICITY = CATEGORIES.indexOf("toxicity");

function toxicity(text: string): number {
  return moderator.judge({ text, tsMs: 0 }).scores[TOXICITY]!;
}

const ABUSE = [
  "you are a worthless idiot",
  "shut up you fucking moron",
  "go kill yourself you loser",
  "immigrants are filthy vermin",
  "you are such a pathetic clown",
];
const CALM = [
  "the weather is nice today",
  "we had pizza for lunch at the place near the station",
  "my train was late again this morning",
];

test("a harmless clause beside abuse takes little from its score", () => {
  for (const abuse of ABUSE) {
    const alone = toxicity(abuse);
    for (const calm of CALM) {
      for (const joint of [". ", "! ", "\n", ", ", " but ", " and "]) {
        for (const text of [calm + joint + abuse, abuse + joint + calm]) {
          const score = toxicity(text);
          assert(score > alone - 0.25, `${text}: ${score.toFixed(2)} of ${alone.toFixed(2)}`);
        }
      }
    }
  }
});

test("many harmless sentences before abuse take no more than one", () => {
  const calm = CALM.map((text) => `${text}. `).join("");
  for (const abuse of ABUSE) {
    const [once, often] = [toxicity(calm + abuse), toxicity(calm.repeat(3) + abuse)];
    assert(often > once - 0.2, `${abuse}: ${often.toFixed(2)} of ${once.toFixed(2)}`);
  }
});

test("a word of another language beside abuse takes little from its score", () => {
  const words = ["yang", "und", "est", "que", "niet", "jest", "och", "bir", "oder", "ich", "avec"];
  for (const abuse of ABUSE) {
    const alone = toxicity(abuse);
    for (const word of words) {
      for (const text of [`${word} ${abuse}`, `${abuse} ${word}`]) {
        const score = toxicity(text);
        assert(score > alone - 0.25, `${text}: ${score.toFixed(2)} of ${alone.toFixed(2)}`);
      }
    }
  }
});

test("harmless sentences of other languages do not hide abuse", () => {
  const others = [
    "das ist heute ein schöner Tag und wir gehen in den Park. ",
    "je ne sais pas pourquoi mais cela ne marche plus avec vous. ",
    "saya tidak tahu mengapa tetapi ini sudah tidak bisa. ",
    "я не знаю почему, но это больше не работает. ",
  ];
  for (const abuse of ABUSE.filter((text) => !text.startsWith("immigrants"))) {
    for (const other of others) {
      for (const text of [other + abuse, `${abuse}. ${other}`, other.repeat(4) + abuse]) {
        assert(toxicity(text) > 0.45, `${text}: ${toxicity(text).toFixed(2)}`);
      }
    }
  }
  for (const other of others) {
    assert(toxicity(other) < 0.4, `${other}: ${toxicity(other).toFixed(2)}`);
  }
});

test("a slur whose tail looks like another language's word is judged as English", () => {
  const verdict = moderator.judge({ text: "you k1ke go home", tsMs: 0 });
  assert.equal(verdict.languageSupport, "full");
  assert(verdict.scores[TOXICITY]! > 0.5, verdict.scores.join(" "));
});

test("a clause that is quoted, reported or objected to is not judged without its frame", () => {
  const framed = [
    'the man shouted "you are filthy. you are vermin. go home" and everybody was shocked',
    "it is wrong to say that immigrants are vermin, and we all know it",
    'they wrote "kill yourself, you loser" on her locker, and the school did nothing',
  ];
  for (const text of framed) {
    assert(toxicity(text) < 0.6, `${text}: ${toxicity(text).toFixed(2)}`);
  }
});
