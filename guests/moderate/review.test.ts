// Reviews that wait: what the upstream is told of a message, and what becomes of an answer that
// comes late, in another order, or after the conversation or the policy has changed.
import assert from "node:assert/strict";
import test from "node:test";
import { judgementBytes } from "#model/consultation.ts";
import { PROMPT_BYTES_MAX, PROMPT_PARTS_MAX, REVIEWS_OPEN_MAX } from "#model/limits.ts";
import { CATEGORIES, type ModerationRequest } from "#model/moderation.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import type { Policy } from "#model/policy.ts";
import { type PromptPart, readPromptParts } from "#model/prompt-parts.ts";
import { Random } from "#std/random.ts";
import { compileModerator, Moderator } from "./testing/moderator.ts";

const module = await compileModerator("stand-in");
const SEED = Number(process.env["SEED"] ?? 1);
const ALL: Pick<Policy, "consult"> = { consult: { ...POLICY_DEFAULT.consult, mode: "all" } };
const BAD = judgementBytes(
  CATEGORIES.map(() => 1),
  "it is bad",
);
const GOOD = judgementBytes(
  CATEGORIES.map(() => 0),
  "it is good",
);
const WAIT_MS_MAX = 600_000;

function moderatorOf(policy: Partial<Policy> = ALL): Moderator {
  const moderator = new Moderator(module);
  moderator.configure(policy, 7);
  return moderator;
}

function said(fields: Partial<ModerationRequest>): ModerationRequest {
  return { text: "hello there", conversation: "c", tsMs: 1_000, ...fields };
}

/** One part a line. */
function told(parts: readonly PromptPart[]): string[] {
  return parts.map(({ kind, name, text }) => `${kind} ${name}: ${text}`);
}

function toxicityOf(moderator: Moderator, conversation = "c"): number[] {
  return moderator.conversation(conversation).map(({ toxicity }) => toxicity);
}

test("the upstream is told the guidance, what was said before, and the message", () => {
  const consult = { ...ALL.consult, guidance: "Be kind.\nNo spoilers." };
  const moderator = moderatorOf({ consult });
  moderator.judge(said({ id: "1", user: "anna", role: "host", text: "who did it?" }));
  moderator.judge(said({ id: "2", role: "guest", text: "ümlaut 👋" }));
  moderator.judge(said({ id: "3", text: "nobody says who" }));
  moderator.judge(said({ conversation: "other", text: "not to be told" }));
  assert.deepEqual(told(moderator.ask(1, said({ id: "4", user: "eve", text: "the butler" }))), [
    "policy : Be kind.\nNo spoilers.",
    "turn anna: who did it?",
    "turn guest: ümlaut 👋",
    "turn : nobody says who",
    "subject eve: the butler",
  ]);
  assert.deepEqual(told(moderatorOf().ask(1, { text: "alone", role: "guest" })), [
    "subject guest: alone",
  ]);
});

test("turns are those before the message, as many and as old as the policy lets be read", () => {
  const context = { ...POLICY_DEFAULT.context, turnsMax: 2, ageMsMax: 10_000 };
  const moderator = moderatorOf({ ...ALL, context });
  for (const id of ["1", "2", "3", "4"]) {
    moderator.judge(said({ id, text: `turn ${id}`, tsMs: Number(id) * 4_000 }));
  }
  const of = (fields: Partial<ModerationRequest>): string =>
    told(moderator.ask(1, said({ doNotStore: true, text: "it", ...fields })))
      .map((line) => line.split(": ")[1])
      .join(", ");
  const ask = (fields: Partial<ModerationRequest>): string => {
    const line = of(fields);
    moderator.endReview(1, GOOD);
    return line;
  };
  assert.equal(ask({ tsMs: 16_000 }), "turn 3, turn 4, it");
  assert.equal(ask({ tsMs: 24_000 }), "turn 4, it", "others are too old");
  assert.equal(ask({ tsMs: 14_000, replyTo: "1" }), "turn 1, turn 4, it", "what it answers");
  assert.equal(ask({ tsMs: 16_000, replyTo: "4" }), "turn 3, turn 4, it");
  assert.equal(ask({ tsMs: 16_000, replyTo: "9" }), "turn 3, turn 4, it");
  assert.equal(ask({ id: "3", tsMs: 12_000 }), "turn 1, turn 2, it", "an edit, in its place");
  const none = moderatorOf({ ...ALL, context: { ...context, turnsMax: 0 } });
  none.judge(said({ text: "before" }));
  assert.deepEqual(told(none.ask(1, said({ text: "it" }))), ["subject : it"]);
});

test("an edit that is remembered is told with what was said before it", () => {
  const moderator = moderatorOf();
  for (const id of ["1", "2", "3"]) moderator.judge(said({ id, text: `turn ${id}` }));
  const parts = moderator.ask(1, said({ id: "2", text: "edited" }));
  assert.deepEqual(told(parts), ["turn : turn 1", "subject : edited"]);
  moderator.endReview(1, BAD);
  assert.deepEqual(toxicityOf(moderator), [0, 0.5, 0]);
});

test("an edit of what is too old to be kept is told alone", () => {
  const moderator = moderatorOf({ ...ALL, context: { ...POLICY_DEFAULT.context, bytesMax: 60 } });
  moderator.judge(said({ id: "1", text: "the oldest" }));
  moderator.judge(said({ id: "2", text: "x".repeat(48) }));
  const parts = moderator.ask(1, said({ id: "1", text: "long enough to push out itself" }));
  assert.deepEqual(told(parts), ["subject : long enough to push out itself"]);
  moderator.endReview(1, BAD);
  assert.deepEqual(toxicityOf(moderator), [0]);
});

test("given context is told in place of what is remembered", () => {
  const moderator = moderatorOf({ ...ALL, context: { ...POLICY_DEFAULT.context, turnsMax: 2 } });
  moderator.judge(said({ text: "remembered" }));
  const context = [
    { id: "a", user: "anna", text: "given 1" },
    { text: "" },
    { id: "b", text: "given 2" },
    { user: "bob", text: "given 3" },
  ];
  assert.deepEqual(told(moderator.ask(1, said({ context, text: "it" }))), [
    "turn : given 2",
    "turn bob: given 3",
    "subject : it",
  ]);
  const parts = moderator.ask(2, said({ context, text: "it", replyTo: "a" }));
  assert.deepEqual(told(parts), ["turn anna: given 1", "turn bob: given 3", "subject : it"]);
});

test("a message that must leave no trace is told, and only numbers are kept of it", () => {
  const moderator = moderatorOf();
  moderator.judge(said({ user: "anna", text: "before" }));
  moderator.advance(1_000);
  const before = moderator.image.slice();
  const secret = { user: "Zanzibar", text: "quicksilver insult70", id: "hidden", doNotStore: true };
  const parts = moderator.ask(1, said({ ...secret, role: "Ruritania" }));
  assert.deepEqual(told(parts), ["turn anna: before", "subject Zanzibar: quicksilver insult70"]);
  const waiting = Buffer.from(moderator.image);
  for (const word of ["Zanzibar", "quicksilver", "hidden", "Ruritania"]) {
    assert.equal(waiting.indexOf(word), -1, word);
  }
  assert.equal(moderator.endReview(1, BAD).applied, true);
  assert.ok(Buffer.from(moderator.image).equals(before), "and nothing once it is answered");
});

test("where texts are not kept, what was said before is not told", () => {
  const moderator = moderatorOf({ ...ALL, doNotStore: true });
  moderator.judge(said({ user: "anna", text: "before" }));
  assert.deepEqual(told(moderator.ask(1, said({ user: "eve", text: "quicksilver" }))), [
    "subject eve: quicksilver",
  ]);
  assert.equal(Buffer.from(moderator.image).indexOf("quicksilver"), -1);
});

test("what is too long loses turns first, the oldest, and then the middle of the message", () => {
  const consult = { ...ALL.consult, guidance: "g".repeat(2_048) };
  const context = { turnsMax: 32, bytesMax: 16_384, ageMsMax: 1e9 };
  const moderator = moderatorOf({ consult, context });
  for (let turn = 0; turn < 20; turn++) {
    moderator.judge(said({ text: `${turn} ${"ü".repeat(350)}`, user: "u".repeat(128) }));
  }
  const names = { user: "漢".repeat(42), role: "r".repeat(64), id: "i".repeat(64) };
  const short = moderator.ask(1, said({ ...names, text: "short" }));
  const turns = short.filter(({ kind }) => kind === "turn");
  assert.equal(turns.length, 17);
  assert.match(turns[0]!.text, /^3 ü+ \[…\] ü+$/, "the oldest is cut");
  for (const [index, { text }] of turns.slice(1).entries()) {
    assert.equal(text, `${index + 4} ${"ü".repeat(350)}`);
  }
  assert.equal(short.at(-1)!.text, "short");
  const text = `first ${"漢字".repeat(2_725)} last`;
  const long = moderator.ask(2, said({ ...names, text }));
  assert.deepEqual(
    long.map(({ kind }) => kind),
    ["policy", "subject"],
  );
  assert.match(long[1]!.text, /^first (漢字)*漢? \[…\] 字?(漢字)* last$/);
  assert.ok(Buffer.byteLength(long[1]!.text) > 14_000, `${long[1]!.text.length}`);
});

test("whatever is asked about, the prompt is parts within its bounds", () => {
  const random = new Random(SEED);
  const pieces = ["a ", "ü", "漢", "👋🏽", "\n", "\u0000"];
  const text = (most: number): string =>
    Array.from({ length: random.below(most) }, () => pieces[random.below(6)]).join("");
  for (let round = 0; round < 60; round++) {
    const what = `seed ${SEED}, round ${round}`;
    const consult = { ...ALL.consult, guidance: text(500) };
    const context = { turnsMax: random.below(33), bytesMax: random.below(16_385), ageMsMax: 1e9 };
    const moderator = moderatorOf({ consult, context });
    for (let turn = random.below(40); turn > 0; turn--) {
      moderator.judge(said({ text: text(900) || "x", user: text(30) }));
    }
    const given = Array.from({ length: random.below(16) }, () => ({ text: text(900) }));
    const own = said({ user: text(30), text: text(9_000).slice(0, 5_000).toWellFormed() || "x" });
    const request = random.chance(1, 2) ? own : { ...own, context: given };
    moderator.judge(request);
    const { prompt } = moderator.beginReview(1, request);
    assert.ok(prompt !== undefined && prompt.length <= PROMPT_BYTES_MAX, what);
    const parts = readPromptParts(prompt);
    assert.ok(parts !== undefined && parts.length <= PROMPT_PARTS_MAX, what);
    const room = PROMPT_BYTES_MAX - prompt.length;
    const left = context.turnsMax - parts.filter(({ kind }) => kind === "turn").length;
    assert.ok(left >= 0, what);
    const subject = parts.at(-1)!;
    assert.equal(subject.kind, "subject", what);
    if (subject.text !== request.text) {
      assert.ok(parts.every(({ kind }) => kind !== "turn") && room < 8, what);
      const [start, end] = subject.text.split(" […] ") as [string, string];
      assert.ok(request.text.startsWith(start) && request.text.endsWith(end), what);
    }
    moderator.endReview(1, GOOD);
  }
});

test("bytes that are no text become question marks, as many", () => {
  const moderator = moderatorOf();
  const bytes = moderator.encode(said({ conversation: undefined, user: "abc", text: "defghi" }));
  const at = Buffer.from(bytes).indexOf("abcdefghi");
  bytes.set([0xff, 0x62, 0xe2], at);
  bytes.set([0xc0, 0x80, 0xed, 0xa0, 0x80, 0xf4], at + 3);
  moderator.judgeBytes(bytes);
  const { prompt } = moderator.beginReviewBytes(1, bytes);
  assert.deepEqual(told(readPromptParts(prompt!)!), ["subject ?b?: ??????"]);
});

test("an answer changes what is remembered of the message, and so the context of the next", () => {
  const moderator = moderatorOf();
  const said1 = said({ id: "1", user: "eve", text: "toxic50" });
  moderator.ask(1, said1);
  moderator.judge(said({ id: "2", user: "bob", text: "in between" }));
  assert.deepEqual(toxicityOf(moderator), [0.5, 0]);
  moderator.endReview(1, BAD);
  assert.deepEqual(toxicityOf(moderator), [0.75, 0]);
  assert.deepEqual(
    moderator.conversation("c").map(({ action }) => action),
    ["flag", "allow"],
  );
  const { contextUsed } = moderator.judge(said({ id: "3", user: "eve", text: "later" }));
  assert.deepEqual(
    contextUsed.map(({ id, toxicity }) => `${id} ${toxicity}`),
    ["2 0", "1 0.75"],
  );
});

test("an answer about what was edited, forgotten or pushed out changes nothing that is there", () => {
  const moderator = moderatorOf();
  const ends: [string, () => void][] = [
    ["edited", () => moderator.judge(said({ id: "1", text: "another text" }))],
    ["forgotten", () => assert.ok(moderator.forget("c"))],
    [
      "forgotten and there again",
      () => {
        moderator.forget("c");
        moderator.judge(said({ id: "1", text: "there again" }));
      },
    ],
    [
      "pushed out of its conversation",
      () => {
        for (let turn = 0; turn < 30; turn++) moderator.judge(said({ id: `more ${turn}` }));
      },
    ],
    [
      "pushed out with its conversation",
      () => {
        for (let n = 0; n < 300; n++) moderator.judge(said({ conversation: `other ${n}` }));
      },
    ],
  ];
  for (const [name, happens] of ends) {
    moderator.ask(1, said({ id: "1", text: "toxic50" }));
    happens();
    const before = moderator.conversation("c");
    const opinion = moderator.endReview(1, BAD);
    assert.deepEqual([opinion.applied, opinion.action], [true, "flag"], name);
    assert.deepEqual(moderator.conversation("c"), before, name);
    moderator.forget("c");
  }
});

test("of a conversation that is forgotten a call that waits knows no more", () => {
  const moderators = ["c", "d"].map((conversation) => {
    const moderator = moderatorOf();
    moderator.ask(1, said({ conversation, text: "toxic50" }));
    moderator.forget(conversation);
    return moderator;
  });
  const [one, other] = moderators.map(({ image }) => Buffer.from(image));
  assert.ok(one!.equals(other!), "the states of two conversations are the same");
});

test("an answer counts only under the policy that the message was judged by", () => {
  const moderator = moderatorOf();
  const changes: [string, () => void, boolean][] = [
    ["another", () => moderator.configure({ ...ALL, observeOnly: true }, 8), false],
    ["the default", () => moderator.configure(), false],
    ["the same", () => {}, true],
    [
      "none of memory",
      () => moderator.configure({ context: { ...POLICY_DEFAULT.context, turnsMax: 0 } }, 9),
      false,
    ],
  ];
  for (const [name, change, applied] of changes) {
    moderator.configure(ALL, 7);
    moderator.ask(1, said({ text: "insult60" }));
    change();
    const opinion = moderator.endReview(1, BAD);
    assert.deepEqual(
      [opinion.applied, opinion.action],
      [applied, applied ? "flag" : "allow"],
      name,
    );
    if (!applied) assert.match(opinion.reason, /as the policy has changed since it was asked\.$/);
  }
});

test("a message that is judged by the default policy is reviewed by it", () => {
  const moderator = new Moderator(module);
  moderator.ask(1, said({ text: "insult60" }));
  const opinion = moderator.endReview(1, BAD);
  assert.deepEqual([opinion.applied, opinion.scores[2]], [true, 0.8]);
});

test("64 wait at once, answered in any order; one more is left as it was judged", () => {
  const random = new Random(SEED);
  const moderator = moderatorOf();
  const before = moderator.image.slice();
  for (let round = 0; round < 3; round++) {
    const calls = Array.from({ length: REVIEWS_OPEN_MAX }, (_, index) => index + 1);
    const scoreOf = (call: number): number => (call % 50) / 100;
    for (const call of calls) {
      moderator.ask(call, said({ conversation: `c${call}`, text: `insult${call % 50}` }));
    }
    const { proposedAction, scores } = moderator.judge(said({ text: "insult70" }));
    const more = moderator.beginReview(65, said({ text: "insult70" }));
    assert.equal(more.prompt, undefined);
    assert.deepEqual(
      [more.opinion?.applied, more.opinion?.proposedAction, more.opinion?.scores],
      [false, proposedAction, scores],
    );
    assert.match(more.opinion?.reason ?? "", /of which too much is asked already\.$/);
    const { stateBytes } = moderator.usage();
    while (calls.length > 0) {
      const [call] = calls.splice(random.below(calls.length), 1) as [number];
      const { scores: merged, applied } = moderator.endReview(call, BAD);
      const expected = Math.floor((scoreOf(call) * 0.5 + 0.5) * 10_000 + 0.5) / 10_000;
      assert.deepEqual([applied, merged[2]], [true, expected], `seed ${SEED}, call ${call}`);
      assert.equal(toxicityOf(moderator, `c${call}`)[0], 0.5);
      moderator.forget(`c${call}`);
    }
    moderator.forget("c");
    assert.ok(moderator.usage().stateBytes < stateBytes);
  }
  const after = moderator.image.slice();
  // The counters that only rise.
  after.fill(0, 32, 48);
  assert.ok(Buffer.from(after).equals(before), "nothing is left");
});

test("what is not right after its judgement is not asked about", () => {
  const moderator = moderatorOf();
  const others: [string, () => void][] = [
    ["another message", () => moderator.judge(said({ text: "a longer text than that one" }))],
    ["a message that nobody is asked about", () => moderator.configure({}, 8)],
    ["time", () => moderator.advance(2_000)],
    ["forgetting", () => moderator.forget("whatever")],
    ["its own review", () => moderator.beginReview(1, said({ text: "insult70" }))],
  ];
  for (const [name, happens] of others) {
    moderator.configure(ALL, 7);
    moderator.judge(said({ text: "insult70" }));
    happens();
    const { prompt, opinion } = moderator.beginReview(2, said({ text: "insult70" }));
    assert.deepEqual([prompt, opinion?.applied], [undefined, false], name);
  }
  assert.equal(new Moderator(module).beginReview(1, said({})).opinion?.applied, false);
});

test("a call of which nothing is heard is given up, and its place is free again", () => {
  const moderator = moderatorOf();
  for (let call = 1; call <= REVIEWS_OPEN_MAX; call++) moderator.ask(call, said({ text: "hello" }));
  const { stateBytes } = moderator.usage();
  const isFull = (): boolean => {
    moderator.judge(said({ text: "one more" }));
    const { prompt } = moderator.beginReview(100, said({ text: "one more" }));
    if (prompt !== undefined) moderator.endReview(100, GOOD);
    return prompt === undefined;
  };
  let nowMs = 5_000;
  moderator.advance(nowMs);
  moderator.advance((nowMs += WAIT_MS_MAX));
  assert.ok(isFull(), "it may be answered yet");
  moderator.advance((nowMs += 1));
  assert.equal(moderator.endReview(64, BAD).applied, true, "the clock alone was set forward");
  moderator.advance((nowMs += WAIT_MS_MAX));
  assert.equal(moderator.usage().stateBytes, stateBytes - 128);
  moderator.advance((nowMs += 1));
  assert.equal(moderator.usage().stateBytes, stateBytes - 128 * REVIEWS_OPEN_MAX);
  assert.ok(!isFull());
  assert.throws(() => moderator.endReview(1, BAD), WebAssembly.RuntimeError);
});

/** Random calls of many conversations that wait and end in any order; what each does is `step`. */
function randomLife(random: Random, moderator: Moderator, steps: number): void {
  const open = new Map<number, string>();
  const canary = (conversation: number): string => `canary${conversation}x`;
  for (let step = 0; step < steps; step++) {
    const chance = random.below(100);
    const call = 1 + random.below(200);
    if (chance < 55 && !open.has(call) && open.size < REVIEWS_OPEN_MAX) {
      const number = random.below(40);
      const own = canary(number);
      const request = said({
        conversation: `c${number}`,
        id: random.chance(1, 2) ? `m${random.below(50)}` : undefined,
        user: `${own} user`,
        text: `${own} toxic${random.below(101)}`,
        replyTo: random.chance(1, 4) ? `m${random.below(50)}` : undefined,
        tsMs: step * 100,
        doNotStore: random.chance(1, 10),
        context: random.chance(1, 10) ? [{ user: own, text: `${own} given` }] : undefined,
      });
      const { consult } = moderator.judge(request);
      if (!consult) continue;
      const { prompt } = moderator.beginReview(call, request);
      assert.ok(prompt !== undefined);
      open.set(call, own);
      const found = new Set(prompt.toString().match(/canary\d+x/g));
      assert.deepEqual([...found], [own], `seed ${SEED}, step ${step}`);
    } else if (chance < 85 && open.size > 0) {
      const [first, own] = [...open][random.below(open.size)]!;
      open.delete(first);
      if (random.chance(1, 5)) moderator.endReview(first, "timedOut");
      else {
        const scores = CATEGORIES.map(() => random.unit());
        const { reason, applied } = moderator.endReview(first, judgementBytes(scores, own));
        const found = new Set(reason.match(/canary\d+x/g));
        assert.deepEqual([...found], applied ? [own] : [], `seed ${SEED}, step ${step}`);
      }
    } else if (chance < 88) moderator.forget(`c${random.below(40)}`);
    else if (chance < 90) moderator.advance(step * 100);
    else if (chance < 91) {
      const context = { ...POLICY_DEFAULT.context, turnsMax: random.below(10) };
      moderator.configure({ ...ALL, context, observeOnly: random.chance(1, 2) }, step + 10);
    } else moderator.judge(said({ conversation: `c${random.below(400)}`, tsMs: step * 100 }));
  }
  for (const call of open.keys()) moderator.endReview(call, "cancelled");
}

test("no conversation's words are told of another's message, whatever waits and ends", () => {
  randomLife(new Random(SEED), moderatorOf(), 12_000);
});

test("the same calls give the same state, byte for byte", () => {
  const images = [0, 1].map(() => {
    const moderator = moderatorOf();
    randomLife(new Random(SEED + 1), moderator, 2_000);
    return Buffer.from(moderator.image);
  });
  assert.ok(images[0]!.equals(images[1]!));
});
