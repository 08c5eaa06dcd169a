// A tenant's moderator that moves to another build remembers all that it remembered, and judges
// what comes as the one that never moved.
import assert from "node:assert/strict";
import test from "node:test";
import { CONSULTATION_FAILURES } from "#model/consultation.ts";
import type { ModerationRequest } from "#model/moderation.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { Random } from "#std/random.ts";
import { GlassModeratorHost, moderatorComponent } from "#testing/moderating.ts";
import { SEED } from "#testing/seed.ts";
import { variantOf } from "../guests/summarize/testing/variant.ts";

const OWN = moderatorComponent("moderate");
/** The same program; every address of its state is another. */
const MOVED = await variantOf("moderate", 0x800);
const HISTORIES = 25;
const STEPS = 120;
const DAY_MS = 86_400_000;

const SENTENCES = [
  "how do I install the driver",
  "you are a complete idiot",
  "thanks, that worked",
  "I will find you",
  "people like them should go away",
  "I agree with you",
  "that is what he said: you are worthless",
  "no",
  "x".repeat(1500),
];

function newHost() {
  const host = new GlassModeratorHost({ turnMsMax: 60_000 });
  return { host, own: host.admit(OWN), moved: host.admit(MOVED) };
}

function policyOf(number: number): Uint8Array {
  const lists = [{ term: "worthless", action: "flag" as const }, { term: "driver" }];
  const policies = [
    POLICY_DEFAULT,
    { ...POLICY_DEFAULT, doNotStore: true, blockList: lists },
    {
      ...POLICY_DEFAULT,
      allowList: [{ term: "idiot" }],
      roles: [{ role: "moderator", leniency: 0.2, exempt: number === 1 }],
      context: { turnsMax: 2, bytesMax: 300, ageMsMax: 60_000 },
    },
  ];
  const policy = policies[number]!;
  return policyBytes({ version: number, setAtMs: 0, note: undefined, policy })!;
}

test("a moderator that moves again and again is the one that never moved", () => {
  const random = new Random(SEED);
  let moves = 0;
  for (let history = 0; history < HISTORIES; history++) {
    const { host, own, moved } = newHost();
    const what = `history ${history} of seed ${SEED}`;
    const conversations = [2, 60, 400][random.below(3)]!;
    let nowMs = 1_700_000_000_000;
    for (const tenant of [0, 1]) assert.equal(host.open(tenant, own, policyOf(0)), "ok");
    for (let step = 0; step < STEPS; step++) {
      nowMs += random.below(20_000);
      const turn = turnOf(random, nowMs, conversations);
      assert.deepStrictEqual(turn(host, 1), turn(host, 0), what);
      if (!random.chance(1, 8)) continue;
      const before = Buffer.from(host.exportState(1)!);
      const to = host.componentNumber(1) === own ? moved : own;
      const { result, reason, bytes } = host.upgrade(1, to);
      assert.deepEqual([result, reason, bytes], ["moved", "", before.length], what);
      assert.ok(before.equals(host.exportState(1)!), `${what}: it hands over what it was given`);
      assert.ok(before.equals(host.exportState(0)!), `${what}: and what never moved hands over`);
      moves += 1;
    }
    if (host.componentNumber(1) === moved) assert.equal(host.upgrade(1, own).result, "moved");
    assert.equal(host.stateHash(1), host.stateHash(0), `${what}: all of its memory`);
  }
  assert.ok(moves > HISTORIES * 5);
});

/** One call by chance, the same for whoever gets it. */
function turnOf(
  random: Random,
  nowMs: number,
  conversations: number,
): (host: GlassModeratorHost, tenant: number) => unknown {
  const conversation = `c${random.below(conversations)}`;
  const kind = random.below(30);
  if (kind === 0) {
    const policy = policyOf(random.below(3));
    return (host, tenant) => host.configure(tenant, policy);
  }
  if (kind === 1) return (host, tenant) => host.forget(tenant, conversation);
  if (kind === 2) return (host, tenant) => host.usage(tenant);
  if (kind === 3) {
    const toldMs = nowMs + (random.chance(1, 4) ? DAY_MS : 1000);
    return (host, tenant) => host.advance(tenant, toldMs);
  }
  if (kind < 6) return (host, tenant) => host.conversation(tenant, conversation);
  const request: ModerationRequest = {
    id: random.chance(1, 3) ? `${random.below(9)}` : undefined,
    conversation: random.chance(9, 10) ? conversation : undefined,
    user: random.chance(3, 4) ? `u${random.below(5)}` : undefined,
    role: random.chance(1, 5) ? "moderator" : undefined,
    replyTo: random.chance(1, 4) ? `${random.below(9)}` : undefined,
    text: SENTENCES[random.below(SENTENCES.length)]!,
    tsMs: nowMs,
  };
  return (host, tenant) => host.say(tenant, request);
}

test("a moderator of which a message waits stays until that has ended", () => {
  const { host, own, moved } = newHost();
  const consult = { ...POLICY_DEFAULT.consult, mode: "all" as const };
  const policy = { ...POLICY_DEFAULT, consult };
  const bytes = policyBytes({ version: 1, setAtMs: 0, note: undefined, policy })!;
  assert.equal(host.open(0, own, bytes), "ok");
  const request = { conversation: "c", id: "1", text: "you are a complete idiot", tsMs: 1e12 };
  host.say(0, request);
  const { asked } = host.review(0, 1, request);
  assert.ok(asked !== undefined);
  const waiting = host.upgrade(0, moved);
  assert.equal(waiting.result, "importRefused");
  assert.equal(waiting.reason, "Messages wait for a language model: 1.");
  assert.equal(host.componentNumber(0), own);
  const failure = CONSULTATION_FAILURES.indexOf("timedOut");
  assert.ok(host.endReview(0, 1, asked.resultAt, failure).opinion !== undefined);
  assert.equal(host.upgrade(0, moved).result, "moved");
  // What is judged there may be asked about there.
  host.say(0, { ...request, id: "2" });
  const again = host.review(0, 2, { ...request, id: "2" });
  assert.ok(again.asked !== undefined);
  assert.ok(host.endReview(0, 2, again.asked.resultAt, failure).opinion !== undefined);
});

test("what was judged last may be asked about after a move", () => {
  const { host, own, moved } = newHost();
  const consult = { ...POLICY_DEFAULT.consult, mode: "all" as const };
  const policy = { ...POLICY_DEFAULT, consult };
  const bytes = policyBytes({ version: 1, setAtMs: 0, note: undefined, policy })!;
  assert.equal(host.open(0, own, bytes), "ok");
  const request = { conversation: "c", id: "1", text: "you are a complete idiot", tsMs: 1e12 };
  host.say(0, request);
  assert.equal(host.upgrade(0, moved).result, "moved");
  assert.ok(host.review(0, 1, request).asked !== undefined);
});
