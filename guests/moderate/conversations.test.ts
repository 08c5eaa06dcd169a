// What the moderator remembers, against a plain twin; how it stays within its bounds; that what is
// forgotten leaves nothing behind.
import assert from "node:assert/strict";
import test from "node:test";
import type { ModerationRequest } from "#model/moderation.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import type { ContextPolicy, Policy } from "#model/policy.ts";
import { Random } from "#std/random.ts";
import { compileModerator, Moderator } from "./testing/moderator.ts";
import { TurnsTwin } from "./testing/turns-twin.ts";

const module = await compileModerator("stand-in");
const SEED = Number(process.env["SEED"] ?? 1);
const CONVERSATION_COUNT_MAX = 256;
/** Where the two counters that only rise stand in the state. */
const COUNTERS = { start: 32, end: 48 };
const CONTEXT: ContextPolicy = POLICY_DEFAULT.context;

function said(fields: Partial<ModerationRequest>): ModerationRequest {
  return { text: "hello there", conversation: "c", tsMs: 1_000, ...fields };
}

/** A message as it may come: sometimes an edit, an answer, unordered in time, not to be stored. */
function randomRequest(random: Random, step: number, conversations: number): ModerationRequest {
  const pick = (count: number): number => Math.floor(random.unit() * count);
  const texts = ["", "so", "what a day", "grüß dich 👋 😀", "one more word ".repeat(1 + pick(20))];
  return {
    id: random.unit() < 0.8 ? `m${pick(step + 1)}` : undefined,
    conversation: random.unit() < 0.97 ? `conversation ${pick(conversations)}` : undefined,
    user: random.unit() < 0.9 ? `user ${pick(5)}` : undefined,
    role: random.unit() < 0.2 ? "vip" : undefined,
    replyTo: random.unit() < 0.3 ? `m${pick(step + 1)}` : undefined,
    text: texts[pick(texts.length)]!,
    tsMs: 1_000_000 + step * 500 - (random.unit() < 0.1 ? pick(200_000) : 0),
    doNotStore: random.unit() < 0.05,
  };
}

function policyOf(random: Random): Policy {
  const pick = (count: number): number => Math.floor(random.unit() * count);
  const context = { turnsMax: pick(4), bytesMax: 300 + pick(600), ageMsMax: 10_000 + pick(90_000) };
  return { ...POLICY_DEFAULT, doNotStore: random.unit() < 0.2, context };
}

function checkTwin(moderator: Moderator, twin: TurnsTwin, what: string): void {
  const usage = moderator.usage();
  const turnCount = twin.conversations.reduce((sum, { turns }) => sum + turns.length, 0);
  assert.equal(usage.conversationCount, twin.conversations.length, what);
  assert.equal(usage.turnCount, turnCount, what);
  assert.equal(usage.judgedCount, twin.judgedCount, what);
  for (const { id, turns } of twin.conversations) {
    const told = moderator.conversation(id);
    assert.deepEqual(
      told.map(({ id: name, user, role, tsMs, text }) => ({ id: name, user, role, tsMs, text })),
      turns,
      `${what}: ${id}`,
    );
  }
}

test("random interleavings of many conversations are remembered as the twin does", () => {
  for (let stream = 0; stream < 8; stream++) {
    const random = new Random(SEED + stream);
    const policy = policyOf(random);
    const twin = new TurnsTwin(policy);
    const moderator = new Moderator(module);
    moderator.configure(policy);
    for (let step = 0; step < 500; step++) {
      const what = `seed ${SEED + stream}, step ${step}`;
      const request = randomRequest(random, step, 6);
      const verdict = moderator.judge(request);
      assert.deepEqual(
        verdict.contextUsed.map(({ id, relation }) => ({ id, relation })),
        twin.contextOf(request),
        what,
      );
      twin.judge(request);
      if (random.unit() < 0.02) {
        const id = `conversation ${Math.floor(random.unit() * 6)}`;
        assert.equal(moderator.forget(id), twin.forget(id), what);
      }
      if (random.unit() < 0.02) {
        const nowMs = 1_000_000 + step * 500 + Math.floor(random.unit() * 50_000);
        moderator.advance(nowMs);
        twin.advance(nowMs);
      }
      if (step % 25 === 0) checkTwin(moderator, twin, what);
    }
    checkTwin(moderator, twin, `seed ${SEED + stream}, the end`);
  }
});

test("with memory full, those used last are remembered, and each as the twin does", () => {
  const random = new Random(SEED);
  const policy = { ...POLICY_DEFAULT, context: { ...CONTEXT, bytesMax: 16_384 } };
  const twin = new TurnsTwin(policy);
  const moderator = new Moderator(module);
  moderator.configure(policy);
  for (let step = 0; step < 3_000; step++) {
    const request = { ...randomRequest(random, step, 150), doNotStore: false, tsMs: 1_000 + step };
    moderator.judge(request);
    twin.judge(request);
    // What left of the real one is not remembered in the twin either.
    const { conversationCount } = moderator.usage();
    twin.conversations.length = Math.min(twin.conversations.length, conversationCount);
    if (step % 100 === 0) checkTwin(moderator, twin, `seed ${SEED}, step ${step}`);
  }
  checkTwin(moderator, twin, `seed ${SEED}, the end`);
  const { evictedCount, stateBytes } = moderator.usage();
  assert.ok(evictedCount > 50, `only ${evictedCount} left`);
  assert.ok(stateBytes <= 128 * 1024, `${stateBytes} bytes`);
});

test("a flood of conversations pushes itself out and is counted; who speaks on stays", () => {
  const moderator = new Moderator(module);
  moderator.configure();
  for (let step = 0; step < 5_000; step++) {
    moderator.judge(said({ conversation: `flood ${step}`, user: "flooder", text: "x".repeat(80) }));
    if (step % 50 === 0) moderator.judge(said({ conversation: "steady", id: `s${step}` }));
  }
  const { conversationCount, evictedCount, turnCount } = moderator.usage();
  assert.equal(conversationCount, CONVERSATION_COUNT_MAX);
  assert.equal(evictedCount, 5_001 - CONVERSATION_COUNT_MAX);
  const steady = moderator.conversation("steady");
  assert.equal(steady.length, 12);
  assert.equal(turnCount, CONVERSATION_COUNT_MAX - 1 + steady.length);
});

test("when all is forgotten, the state is that of a new tenant but for its counters", () => {
  const random = new Random(SEED);
  const moderator = new Moderator(module);
  const before = moderator.image.slice();
  for (let step = 0; step < 2_000; step++) moderator.judge(randomRequest(random, step, 300));
  for (let id = 0; id < 300; id++) moderator.forget(`conversation ${id}`);
  assert.deepEqual(moderator.usage().conversationCount, 0);
  const after = moderator.image.slice();
  after.fill(0, COUNTERS.start, COUNTERS.end);
  assert.ok(Buffer.from(after).equals(before), `seed ${SEED}`);
});

test("a quiet tenant is one page, a tenant after a crowd one or two again", () => {
  const moderator = new Moderator(module);
  for (let step = 0; step < 6; step++) {
    moderator.judge(said({ id: `m${step}`, user: `u${step % 2}`, text: "how are you all today?" }));
  }
  assert.equal(moderator.imagePages, 1);
  for (let step = 0; step < 2_000; step++) {
    moderator.judge(said({ conversation: `c${step % 90}`, id: `m${step}`, tsMs: 2_000 + step }));
  }
  assert.ok(moderator.imagePages > 20, `${moderator.imagePages} pages`);
  moderator.judge(said({ conversation: "later", tsMs: 5_000_000 }));
  moderator.advance(5_000_000);
  assert.equal(moderator.usage().conversationCount, 1);
  assert.equal(moderator.imagePages, 1);
});

test("what must leave no trace leaves the state byte for byte as it was", () => {
  const moderator = new Moderator(module);
  for (let step = 0; step < 20; step++) {
    moderator.judge(said({ conversation: `c${step % 3}`, id: `m${step}`, user: "anna" }));
  }
  const before = moderator.image.slice();
  const secret = { user: "Zanzibar", text: "a secret insult90", id: "hidden", doNotStore: true };
  const verdict = moderator.judge(said({ ...secret, conversation: "c0" }));
  assert.equal(verdict.action, "flag");
  assert.equal(verdict.contextUsed.length, 6, "it is read in its conversation all the same");
  moderator.judge(said({ ...secret, conversation: "of its own" }));
  moderator.judge(said({ ...secret, conversation: "c1", id: "m1" }));
  const judgeOnly = moderator.encode(said({ conversation: "c2", text: "only judged" }));
  judgeOnly[8] = 2;
  moderator.judgeBytes(judgeOnly);
  assert.ok(Buffer.from(moderator.image).equals(before));
});

test("a policy that stores nothing keeps neither texts nor names, but who said what it scored", () => {
  const moderator = new Moderator(module);
  moderator.judge(said({ id: "early", user: "Zanzibar", text: "quicksilver insult90" }));
  moderator.configure({ doNotStore: true });
  moderator.judge(said({ id: "1", user: "Zanzibar", text: "quicksilver toxic90" }));
  const verdict = moderator.judge(said({ id: "2", user: "Zanzibar", text: "quicksilver echo" }));
  const image = Buffer.from(moderator.image);
  for (const secret of ["Zanzibar", "quicksilver", "toxic90"]) {
    assert.equal(image.indexOf(secret), -1, secret);
  }
  assert.deepEqual(
    verdict.contextUsed.map(({ id, relation }) => `${id} ${relation}`),
    ["1 sameAuthor", "early sameAuthor"],
  );
  assert.equal(verdict.scores[0], 0.9, "the scores of the turn before are known");
  const turns = moderator.conversation("c");
  assert.deepEqual(
    turns.map(({ id, user, text, toxicity }) => ({ id, user, text, toxicity })),
    [
      { id: "early", user: undefined, text: "", toxicity: 0 },
      { id: "1", user: undefined, text: "", toxicity: 0.9 },
      { id: "2", user: undefined, text: "", toxicity: 0.9 },
    ],
  );
});

test("the same id again is an edit: it takes the place of the turn and is read as that", () => {
  const moderator = new Moderator(module);
  for (const id of ["a", "b", "c"]) moderator.judge(said({ id, user: id, text: `first ${id}` }));
  const verdict = moderator.judge(said({ id: "b", user: "b", text: "second b insult80" }));
  assert.deepEqual(
    verdict.contextUsed.map(({ id }) => id),
    ["a"],
  );
  assert.deepEqual(
    moderator.conversation("c").map(({ text }) => text),
    ["first a", "second b insult80", "first c"],
  );
  assert.deepEqual(
    moderator.conversation("c").map(({ action }) => action),
    ["allow", "flag", "allow"],
  );
});

test("a narrower policy lets go of what is too much, a wider one of nothing", () => {
  const moderator = new Moderator(module);
  for (let step = 0; step < 12; step++)
    moderator.judge(said({ id: `m${step}`, text: "x".repeat(50) }));
  assert.equal(moderator.conversation("c").length, 12);
  moderator.configure({ context: { ...CONTEXT, turnsMax: 32 } });
  assert.equal(moderator.conversation("c").length, 12);
  moderator.configure({ context: { ...CONTEXT, turnsMax: 2 } });
  assert.deepEqual(
    moderator.conversation("c").map(({ id }) => id),
    ["m8", "m9", "m10", "m11"],
  );
  moderator.configure({ context: { ...CONTEXT, bytesMax: 120 } });
  assert.deepEqual(
    moderator.conversation("c").map(({ id }) => id),
    ["m10", "m11"],
  );
  moderator.configure({ context: { ...CONTEXT, turnsMax: 0 } });
  assert.equal(moderator.usage().conversationCount, 0);
  moderator.judge(said({ id: "new" }));
  assert.equal(moderator.usage().conversationCount, 0);
});

test("a policy of full size leaves room, and conversations outlive its coming and going", () => {
  const moderator = new Moderator(module);
  for (let step = 0; step < 2_000; step++) {
    moderator.judge(said({ conversation: `c${step % 120}`, id: `m${step}`, text: "y".repeat(60) }));
  }
  const last = moderator.conversation("c79").map(({ id }) => id);
  const blockList = Array.from({ length: 600 }, (_, index) => ({ term: `blocked${index}` }));
  moderator.configure({ blockList });
  assert.deepEqual(
    moderator.conversation("c79").map(({ id }) => id),
    last,
  );
  assert.equal(moderator.judge(said({ text: "so blocked599 it is" })).listEntry, "blocked599");
  moderator.configure();
  assert.deepEqual(
    moderator.conversation("c79").map(({ id }) => id),
    last,
  );
  assert.equal(moderator.judge(said({ text: "so blocked599 it is" })).listEntry, undefined);
});

test("a text longer than a conversation may hold is kept as far as it fits, in whole characters", () => {
  const moderator = new Moderator(module);
  moderator.configure({ context: { ...CONTEXT, bytesMax: 101 } });
  moderator.judge(said({ id: "1", text: "before" }));
  moderator.judge(said({ id: "2", text: "ü".repeat(8_000) }));
  assert.deepEqual(
    moderator.conversation("c").map(({ id, text }) => `${id} ${text.length}`),
    ["2 50"],
  );
});

test("the same calls give the same bytes", () => {
  const images = [0, 1].map(() => {
    const random = new Random(SEED);
    const moderator = new Moderator(module);
    const verdicts: unknown[] = [];
    for (let step = 0; step < 400; step++) {
      verdicts.push(moderator.judge(randomRequest(random, step, 40)));
    }
    return { image: moderator.image.slice(), verdicts };
  });
  assert.deepEqual(images[0], images[1]);
});
