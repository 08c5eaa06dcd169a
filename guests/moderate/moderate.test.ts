// The whole moderator with the committed weights, whatever they are: it never traps, its verdicts
// hold together, and every call leaves the low pages as they were (Moderator checks that).
import assert from "node:assert/strict";
import test from "node:test";
import { judgementBytes } from "#model/consultation.ts";
import { PROMPT_BYTES_MAX } from "#model/limits.ts";
import type { ModerationRequest, VerdictReport } from "#model/moderation.ts";
import { CATEGORIES } from "#model/moderation.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { readPromptParts } from "#model/prompt-parts.ts";
import { Random } from "#std/random.ts";
import { loadClassifier } from "./testing/classifier.ts";
import { compileModerator, Moderator } from "./testing/moderator.ts";

const module = await compileModerator("real");
const classifier = loadClassifier();
const SEED = Number(process.env["SEED"] ?? 1);
const TEXT_BYTES_MAX = 16_384;
const REQUEST_BYTES_MAX = 24_576;

const LISTS = {
  allowList: [{ term: "allowed" }, { term: "an allowed phrase" }],
  blockList: [{ term: "badword", action: "block" }, { term: "two words" }],
} as const;

function open(): Moderator {
  return new Moderator(module, classifier);
}

/** Whatever is said, what a verdict must be. */
function check(verdict: VerdictReport, text: string): void {
  assert.equal(verdict.scores.length, CATEGORIES.length);
  for (const score of [...verdict.scores, verdict.toxicityAlone]) {
    assert.ok(score >= 0 && score <= 1, `${score}`);
  }
  assert.ok(verdict.severity >= 0 && verdict.severity <= 100);
  assert.match(verdict.reason, /^(Allowed|Flagged|Blocked)[:, ].*\.$/s);
  assert.ok(!/[\n\r]/.test(verdict.reason), verdict.reason);
  const points = codePoints(text);
  for (const { start, end, startCodePoint, endCodePoint, score } of verdict.spans) {
    assert.ok(0 <= start && start < end && end <= text.length, `${start} to ${end}`);
    assert.ok(startCodePoint < endCodePoint && endCodePoint <= points);
    assert.equal(codePoints(text.slice(0, start)), startCodePoint);
    assert.equal(codePoints(text.slice(0, end)), endCodePoint);
    assert.ok(score >= 0 && score <= 1);
  }
  for (const [category, score] of verdict.scores.entries()) {
    const isOver = score >= verdict.thresholds[category]!;
    if (isOver) assert.equal((verdict.flagged >> category) & 1, 1, `${CATEGORIES[category]}`);
  }
}

function codePoints(text: string): number {
  return Array.from(text).length;
}

const PIECES = [
  "x ",
  "1d10t ",
  "you ",
  "are ",
  "an ",
  "idiot ",
  "i d i o t ",
  "k.i.l.l ",
  "sh!t ",
  "f**k ",
  "I will ",
  "hurt ",
  "them ",
  '"',
  "“",
  "”",
  "> ",
  "\n",
  "not ",
  "&amp;",
  "&#x41;",
  "&",
  "#HashTagWord ",
  "@name ",
  "https://a.b/c?d=e ",
  "👋🏽",
  "👨‍👩‍👧",
  "🏳️‍🌈",
  "🇩🇪",
  "😀",
  "\u200b",
  "\u202e",
  "\u0000",
  "é",
  "e\u0301",
  "ａｂｃ",
  "𝔞𝔟𝔠",
  "а",
  "ß",
  "ﷺ",
  "שלום ",
  "سلام ",
  "日本語",
  "한국어 ",
  "ไทย",
  "\ufffd",
  "!!!???",
  "aaaaaaaa",
  "1337 ",
  "allowed ",
  "an allowed phrase ",
  "badword ",
  "b a d w o r d ",
  "two words ",
  "it is wrong to say ",
  "he said that ",
  "don't ",
  "NEVER ",
] as const;

function randomText(random: Random, pieces: number): string {
  return Array.from({ length: pieces }, () => PIECES[random.below(PIECES.length)]).join("");
}

test("whatever is said in whatever conversation, verdicts hold together and repeat", () => {
  const random = new Random(SEED);
  const [left, right] = [open(), open()];
  for (const moderator of [left, right]) moderator.configure(LISTS);
  for (let step = 0; step < 600; step++) {
    const request: ModerationRequest = {
      text: randomText(random, random.below(30)),
      id: `m${random.below(400)}`,
      conversation: `c${random.below(9)}`,
      user: `u${random.below(4)}`,
      replyTo: random.chance(1, 3) ? `m${random.below(400)}` : undefined,
      tsMs: step * 1_000,
      context: random.chance(1, 8)
        ? [{ text: randomText(random, 8), user: "u1" }, { text: randomText(random, 8) }]
        : undefined,
    };
    const verdict = left.judge(request);
    check(verdict, request.text);
    assert.deepEqual(right.judge(request), verdict, `seed ${SEED}, step ${step}`);
  }
  assert.ok(Buffer.from(left.image).equals(right.image));
});

test("whatever is said and answered, reviews hold together, and judging goes on as if none were", () => {
  const random = new Random(SEED);
  const consult = { ...POLICY_DEFAULT.consult, mode: "all" as const };
  const [asking, alone] = [open(), open()];
  asking.configure({ ...LISTS, consult });
  alone.configure(LISTS);
  let asked = 0;
  for (let step = 0; step < 400; step++) {
    const request: ModerationRequest = {
      text: randomText(random, 1 + random.below(30)),
      id: `m${step}`,
      conversation: `c${random.below(5)}`,
      user: randomText(random, random.below(3)).slice(0, 30),
      tsMs: step * 1_000,
      context: random.chance(1, 8) ? [{ text: randomText(random, 8), user: "u1" }] : undefined,
    };
    const verdict = asking.judge(request);
    const { consult: isAsked, ...report } = verdict;
    const { consult: _, ...expected } = alone.judge(request);
    assert.deepEqual(report, expected, `seed ${SEED}, step ${step}`);
    if (!isAsked) continue;
    asked += 1;
    const { prompt } = asking.beginReview(1, request);
    const parts = readPromptParts(prompt!);
    assert.equal(parts?.at(-1)?.text, request.text.toWellFormed(), `seed ${SEED}, step ${step}`);
    // The same scores again: the mean is what was judged, and so is what follows from it.
    const answer = judgementBytes(verdict.scores, randomText(random, 30));
    const { scores, severity, flagged, proposedAction } = asking.endReview(1, answer);
    assert.deepEqual(
      { scores, severity, flagged, proposedAction },
      {
        scores: verdict.scores,
        severity: verdict.severity,
        flagged: verdict.flagged,
        proposedAction: verdict.proposedAction,
      },
      `seed ${SEED}, step ${step}`,
    );
  }
  assert.ok(asked > 200, `${asked}`);
});

test("whatever stands on the lists, verdicts hold together and repeat", () => {
  const random = new Random(SEED);
  const term = (): string =>
    randomText(random, 1 + random.below(3))
      .slice(0, 40)
      .trim() || "idiot";
  for (let policy = 0; policy < 40; policy++) {
    const entries = (): { term: string }[] =>
      Array.from({ length: random.below(12) }, () => ({ term: term().toWellFormed() }));
    const lists = { allowList: entries(), blockList: entries() };
    const [left, right] = [open(), open()];
    for (const moderator of [left, right]) moderator.configure(lists);
    for (let step = 0; step < 15; step++) {
      const text = random.chance(1, 9)
        ? randomText(random, 3).repeat(60)
        : randomText(random, random.below(20));
      const request = { text, conversation: "c", id: `${step}`, tsMs: step };
      const verdict = left.judge(request);
      check(verdict, text);
      assert.deepEqual(right.judge(request), verdict, `seed ${SEED}, policy ${policy}`);
    }
    assert.equal(left.conversation("c").at(-1)?.text, right.conversation("c").at(-1)?.text);
  }
});

test("bytes that are no text are judged as well", () => {
  const random = new Random(SEED);
  const moderator = open();
  moderator.configure(LISTS);
  for (let step = 0; step < 400; step++) {
    const bytes = moderator.encode({ text: "x".repeat(1 + random.below(200)), conversation: "c" });
    for (let at = 32; at < bytes.length; at++) {
      if (random.chance(2, 3)) bytes[at] = random.below(256);
    }
    const verdict = moderator.judgeBytes(bytes);
    assert.equal(verdict.scores.length, CATEGORIES.length, `seed ${SEED}, step ${step}`);
  }
});

const LONGEST: readonly (readonly [string, string])[] = [
  ["one letter", "a"],
  ["letters that stand alone", "a "],
  ["words", "you are an idiot and I hate that "],
  ["signs", "!?.,*_"],
  ["emoji", "👨‍👩‍👧"],
  ["spaces", " "],
  ["zero-width", "\u200b"],
  ["a listed word", "badword "],
  ["an allowed phrase", "an allowed phrase "],
  ["entities", "&#65;"],
  ["quotes", "\"'“>"],
  ["stars", "f*** "],
  ["dots", "k.i.l.l."],
  ["right to left", "שלום \u202e"],
];

for (const [name, piece] of LONGEST) {
  test(`16 KiB of ${name}`, () => {
    const moderator = open();
    moderator.configure({ ...LISTS, context: { turnsMax: 32, bytesMax: 16_384, ageMsMax: 1e9 } });
    const count = Math.floor(TEXT_BYTES_MAX / Buffer.byteLength(piece));
    const text = piece.repeat(count);
    check(moderator.judge({ text, conversation: "c", user: "u", id: "1", tsMs: 0 }), text);
    check(moderator.judge({ text, conversation: "c", user: "v", id: "2", tsMs: 0 }), text);
  });
}

test("the longest request of all, with everything that a verdict may hold, finds room", () => {
  const moderator = open();
  const consult = { ...POLICY_DEFAULT.consult, mode: "all" as const };
  moderator.configure({ ...LISTS, context: { turnsMax: 32, bytesMax: 16_384, ageMsMax: 1e9 } });
  const text = "you are all idiots, I will kill you an allowed phrase "
    .repeat(300)
    .slice(0, 16_384);
  const context = Array.from({ length: 32 }, (_, index) => ({
    id: `${index}`.padStart(64, "i"),
    user: `${index}`.padStart(128, "u"),
    text: "I hate you so much, you idiot. ".repeat(9),
  }));
  const names = { id: "i".repeat(64), conversation: "c".repeat(128), user: "u".repeat(128) };
  const request = { ...names, role: "r".repeat(64), replyTo: "0".padStart(64, "i"), text, context };
  for (let turn = 0; turn < 3; turn++) {
    const bytes = moderator.encode({ ...request, tsMs: turn });
    assert.ok(bytes.length > REQUEST_BYTES_MAX - 400, `${bytes.length} bytes`);
    const verdict = moderator.judgeBytes(bytes);
    check(verdict, text);
    // It is far from any doubt, but by its length it has to be asked about as well.
    moderator.configure({
      ...LISTS,
      consult,
      context: { turnsMax: 32, bytesMax: 16_384, ageMsMax: 1e9 },
    });
    moderator.judgeBytes(bytes);
    const { prompt } = moderator.beginReviewBytes(1, bytes);
    assert.ok(prompt!.length > PROMPT_BYTES_MAX - 64 && readPromptParts(prompt!) !== undefined);
    const reason = "👋".repeat(2_000);
    assert.equal(moderator.endReview(1, judgementBytes(verdict.scores, reason)).applied, true);
  }
  // And with as many remembered turns as are ever read, with the longest of names.
  for (let turn = 0; turn < 70; turn++) {
    const id = `${turn}`.padStart(64, "i");
    const replyTo = `${Math.max(0, turn - 60)}`.padStart(64, "i");
    const said = { ...request, context: undefined, id, replyTo, tsMs: turn };
    const more = turn === 69 ? text : "I hate you";
    check(moderator.judge({ ...said, text: more }), more);
  }
});

test("everyday sentences of listed languages are clean, and their own bad words are not", () => {
  const moderator = open();
  const clean = [
    "das ist nicht gut, kannst du mir bitte mit dem Pot helfen",
    "no sé por qué pero esto ya no funciona con la nueva versión del programa",
    "je ne sais pas pourquoi mais cela ne marche plus avec vous",
    "ik weet niet waarom maar het werkt niet meer met deze versie",
    "eu não sei por que mas isso já não funciona com a nova versão",
    "non so perché ma questo non funziona più con il mio computer",
    "nie wiem dlaczego ale to już nie działa z nową wersją",
  ];
  for (const text of clean) {
    const verdict = moderator.judge({ text, tsMs: 0 });
    assert.equal(verdict.languageSupport, "lists", text);
    assert.deepEqual([verdict.action, verdict.spans], ["allow", []], text);
  }
  const verdict = moderator.judge({ text: "du bist ein Trottel und das ist nicht gut", tsMs: 0 });
  assert.equal(verdict.action, "flag");
  assert.deepEqual(
    verdict.spans.map(({ start, end }) => [start, end]),
    [
      [12, 19],
      [12, 19],
    ],
    "of toxicity and of insult",
  );
});
