// What the shipped weights must get right, with room to spare: pairs of sentences that share their
// words, of which one does harm. The scores come from the moderator's own code.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { Features } from "../../scripts/classifier/features.ts";
import {
  harmScore,
  isFlagged,
  measureProbes,
  readProbes,
  scoresOf,
} from "../../scripts/classifier/measure.ts";
import type { Sample, Turn } from "../../scripts/classifier/sample.ts";
import { Weights } from "../../scripts/classifier/weights.ts";

const WEIGHTS = new URL("../../classifier/dist/weights.bin", import.meta.url);
const WEIGHTS_BYTES_MAX = 8_000_000;
/** Where the default policy flags abuse. */
const FLAG_AT = POLICY_DEFAULT.categories.toxicity.flagAt!;
/** What a pair must lie apart, at least. */
const MARGIN = 0.2;

const bytes = new Uint8Array(readFileSync(WEIGHTS));
const features = await Features.open();
features.bind(new Weights(bytes));

function sampleOf(text: string, context: readonly Turn[] = []): Sample {
  return {
    source: "test",
    text,
    author: "b",
    context,
    labels: {},
    unsafe: undefined,
    kind: undefined,
    weight: 1,
    split: "held",
    group: "test",
  };
}

const harm = (text: string): number => harmScore(scoresOf(features, sampleOf(text)), "test", false);

/** By behaviour: what does harm, and what only looks like it. */
const PAIRS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  negation: [
    ["these immigrants are disgusting", "these immigrants are not disgusting"],
    ["I hate muslims", "I don't hate muslims"],
    ["you are a coward", "you are not a coward"],
  ],
  "quotation and counter-speech": [
    ["gays are a disease", 'he said "gays are a disease" and I was shocked'],
    ["refugees are vermin", "it is wrong to say that refugees are vermin"],
    ["you are a stupid whore", 'my boss called me "a stupid whore", what can I do'],
  ],
  "self-reference and reclaimed words": [
    ["you are such a moron", "I am such a moron, sorry"],
    ["these queers make me sick", "I am queer and proud"],
  ],
  homonyms: [
    ["that bitch should shut up", "the bitch had six puppies"],
    ["shut up you fag", "he lit a fag outside the pub"],
  ],
  profanity: [
    ["fuck you, you piece of shit", "holy shit, this is fucking great"],
    ["you are a fucking loser", "I am so fucking tired"],
  ],
  identity: [
    ["black women are inferior", "black women run this company"],
    ["my neighbour is a dirty jew", "my neighbour is a jewish doctor"],
  ],
  "abuse without a bad word": [
    ["nobody would miss you", "everybody would miss you"],
    ["immigrants should go back to where they came from", "immigrants should be treated fairly"],
    ["women belong in the kitchen", "women belong in parliament"],
  ],
  threats: [
    ["I will kill you", "I will kill the process"],
    ["we are going to beat him up", "we are going to beat the eggs"],
  ],
  objects: [["you are garbage", "this printer is garbage"]],
  emoji: [
    ["black people are 🐒", "a 🐒 in the zoo"],
    ["you 🤡", "a 🤡 at the party"],
  ],
};

for (const [behaviour, pairs] of Object.entries(PAIRS)) {
  test(`${behaviour}: abuse is flagged, its look-alike is not, and they lie well apart`, () => {
    for (const [abuse, harmless] of pairs) {
      const [high, low] = [harm(abuse), harm(harmless)];
      assert(high > FLAG_AT, `${abuse}: ${high.toFixed(2)}`);
      assert(low < FLAG_AT, `${harmless}: ${low.toFixed(2)}`);
      assert(
        high - low > MARGIN,
        `${abuse}: ${high.toFixed(2)}, but ${harmless}: ${low.toFixed(2)}`,
      );
    }
  });
}

test("disguised spelling changes little", () => {
  const disguises = [
    "you are an 1d10t",
    "you are an i d i o t",
    "you are an i.d.i.o.t",
    "you are an іdіоt",
    "you are an id\u200biot",
    "you are an ｉｄｉｏｔ",
    "you are an idiooooot",
  ];
  for (const text of disguises) assert(harm(text) > 0.5, `${text}: ${harm(text).toFixed(2)}`);
});

test("which of the listed groups is meant makes no difference", () => {
  const groups = ["muslims", "jews", "christians", "women", "gays", "immigrants"];
  for (const frame of ["* live in our town", "* are stupid", "I hate *", "a film about *"]) {
    const scores = groups.map((group) => harm(frame.replace("*", group)));
    const range = Math.max(...scores) - Math.min(...scores);
    assert(range < 0.1, `${frame}: ${scores.map((score) => score.toFixed(2)).join(" ")}`);
  }
});

test("what an answer answers decides what it is", () => {
  const score = (before: string, answer: string): number => {
    const sample = sampleOf(answer, [{ author: "a", text: before }]);
    return harmScore(scoresOf(features, sample), "test", true);
  };
  const pairs = [
    ["exactly, so true", "immigrants are vermin", "this pizza is great"],
    ["do it", "I want to kill myself", "this pizza is great"],
    [
      "burn them all",
      "there are so many refugees in our street",
      "what do I do with the old leaves",
    ],
    ["nobody cares", "I feel so alone", undefined],
  ] as const;
  for (const [answer, abused, calm] of pairs) {
    const high = score(abused, answer);
    assert(high > 0.5, `${abused} >> ${answer}: ${high.toFixed(2)}`);
    if (calm === undefined) continue;
    const low = score(calm, answer);
    assert(high - low > MARGIN, `${answer}: ${high.toFixed(2)} and ${low.toFixed(2)}`);
  }
});

test("a technical channel stays quiet", () => {
  for (const set of ["fresh", "seen"] as const) {
    const clean = readProbes(set).filter(({ group }) => group === "clean");
    assert(clean.length >= 15);
    const flagged = clean.filter((probe) => isFlagged(scoresOf(features, probe)));
    assert.deepEqual(
      flagged.map(({ text }) => text),
      [],
    );
  }
});

test("most sentences that nothing was tuned on are judged right", () => {
  const rows = measureProbes(features, "fresh");
  const right = rows.reduce((sum, row) => sum + row.right, 0);
  const count = rows.reduce((sum, row) => sum + row.count, 0);
  assert(count >= 300);
  assert(right / count > 0.7, `${right} of ${count}`);
});

test("the weights keep to their bound", () => {
  assert(bytes.length <= WEIGHTS_BYTES_MAX);
  assert(bytes.some((byte, index) => index > 5_000 && byte !== 0));
});
