// Messages through the whole engine: shards on threads, the built-in moderator, or the hostile one.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { CATEGORIES, type ModerationRequest, type Verdict } from "#model/moderation.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import type { Policy } from "#model/policy.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import type { ModerationOutcome } from "#model/verdict.ts";
import { VERDICT_ID } from "#model/verdict-id.ts";
import { moderatorComponent } from "#testing/moderating.ts";
import { type Engine, startEngine } from "./engine.ts";
import type { EngineSettings } from "./engine-settings.ts";

async function start(t: TestContext, settings: Partial<EngineSettings> = {}): Promise<Engine> {
  const limits = { slotCount: 8, imageBytesMax: 64 << 20, tenantCountMax: 100 };
  const engine = await startEngine({ shardCount: 2, ...limits, ...settings });
  t.after(async () => engine.stop());
  return engine;
}

const isProblem = (code: ProblemCode) => (error: unknown) =>
  error instanceof Problem && error.code === code;

const hostile = { moderator: moderatorComponent("hostile-moderator") };

function verdictOf(outcome: ModerationOutcome | undefined): Verdict {
  assert.ok(outcome !== undefined && "verdict" in outcome, JSON.stringify(outcome));
  return outcome.verdict;
}

const record = (version: number, changes: Partial<Policy>) => ({
  version,
  setAtMs: 0,
  note: undefined,
  policy: { ...POLICY_DEFAULT, ...changes },
});

test("a message gets a whole verdict, and is remembered", async (t) => {
  const engine = await start(t);
  const request = { id: "m1", conversation: "c", user: "ann", text: "thanks, that worked" };
  const verdict = verdictOf((await engine.moderate("acme", [request]))[0]);
  assert.match(verdict.id, VERDICT_ID);
  assert.match(verdict.model, /^nexuscore-embedded-1\+[0-9a-f]{12}\.[0-9a-f]{8}$/);
  assert.equal(verdict.tenant, "acme");
  assert.deepEqual([verdict.messageId, verdict.conversation, verdict.user], ["m1", "c", "ann"]);
  for (const numbers of [verdict.scores, verdict.thresholds, verdict.categories]) {
    assert.deepEqual(Object.keys(numbers), [...CATEGORIES]);
  }
  assert.equal(verdict.thresholds.toxicity, POLICY_DEFAULT.categories.toxicity.flagAt);
  assert.equal(verdict.thresholds.profanity, null);
  assert.deepEqual(verdict.policy, { version: 0, source: "default" });
  const [turn] = await engine.turns("acme", "c");
  assert.equal(turn?.text, "thanks, that worked");
  assert.equal((await engine.moderatorUsage("acme")).turnCount, 1);
  assert.equal(await engine.forgetConversation("acme", "c"), true);
  assert.equal(await engine.forgetConversation("acme", "c"), false);
  assert.deepEqual(await engine.turns("acme", "c"), []);
  assert.deepEqual(await engine.turns("nobody", "c"), []);
  await assert.rejects(engine.moderatorUsage("nobody"), isProblem("tenantUnknown"));
});

test("a batch is judged in its order; what is too long is one message's problem", async (t) => {
  const engine = await start(t, hostile);
  const requests: ModerationRequest[] = Array.from({ length: 256 }, (_, n) => ({
    id: `${n}`,
    conversation: "c",
    text: n % 50 === 7 ? "x".repeat(12_000) : `message ${n}`,
  }));
  requests[3] = { text: "x".repeat(16_385) };
  requests[4] = { text: "a", user: "u".repeat(129) };
  const outcomes = await engine.moderate("acme", requests);
  assert.equal(outcomes.length, 256);
  for (const [n, outcome] of outcomes.entries()) {
    if (n === 3 || n === 4) {
      assert.ok("problem" in outcome);
      assert.equal(outcome.problem.code, "badRequest");
      continue;
    }
    const { messageId, contextUsed } = verdictOf(outcome);
    assert.equal(messageId, `${n}`);
    const before = n === 5 ? "2" : `${n - 1}`;
    assert.equal(contextUsed[0]?.id, n === 0 ? undefined : before, `message ${n}`);
  }
  const ids = outcomes.flatMap((each) => ("verdict" in each ? [each.verdict.id] : []));
  assert.deepEqual(ids.toSorted(), ids);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(await engine.moderate("acme", []), []);
});

test("a failing moderator is one message's problem, until it is in quarantine", async (t) => {
  const engine = await start(t, hostile);
  const said = ["hello", "!trap", "hello", "!lie1", "hello", "!deep", "hello"];
  const outcomes = await engine.moderate(
    "acme",
    said.map((text) => ({ text })),
  );
  const codes = outcomes.map((each) => ("problem" in each ? each.problem.code : "ok"));
  assert.deepEqual(codes, [
    "ok",
    "guestFailed",
    "ok",
    "guestFailed",
    "ok",
    "guestFailed",
    "tenantQuarantined",
  ]);
  const offer = await engine.offer({
    tenant: "acme",
    body: Buffer.from('{"text":"hello"}'),
    format: "json",
  });
  assert.equal(offer.accepted, 1, "its other component goes on");
  assert.equal((await engine.tenant("acme")).state, "live");
  await engine.putTenant("acme", { clock: "wall" });
  verdictOf((await engine.moderate("acme", [{ text: "hello" }]))[0]);
  const judged = engine.stats().reduce((sum, { moderation }) => sum + moderation.judgedCount, 0);
  assert.equal(judged, 4);
});

test("an endless loop ends under the guard, and the rest of the batch is judged", async (t) => {
  const engine = await start(t, { ...hostile, shardCount: 1 });
  const outcomes = await engine.moderate("acme", [
    { text: "hello" },
    { text: "!spin" },
    { text: "hello" },
  ]);
  const codes = outcomes.map((each) => ("problem" in each ? each.problem.code : "ok"));
  assert.deepEqual(codes, ["ok", "guestFailed", "ok"]);
  verdictOf((await engine.moderate("other", [{ text: "hello" }]))[0]);
});

test("a policy is in force with the next verdict, and keeps to its tenant", async (t) => {
  const engine = await start(t);
  const strict = { ...POLICY_DEFAULT.categories, toxicity: { flagAt: 0, blockAt: 0 } };
  const hello = [{ text: "hello there" }];
  const before = verdictOf((await engine.moderate("acme", hello))[0]);
  assert.equal(before.action, "allow");
  await engine.putPolicy("acme", record(7, { categories: strict }));
  const after = verdictOf((await engine.moderate("acme", hello))[0]);
  assert.deepEqual([after.action, after.flagged], ["block", true]);
  assert.deepEqual(after.policy, { version: 7, source: "tenant" });
  assert.equal(verdictOf((await engine.moderate("other", hello))[0]).action, "allow");
  await engine.putPolicy("acme", record(8, { categories: strict, observeOnly: true }));
  const observed = verdictOf((await engine.moderate("acme", hello))[0]);
  assert.deepEqual(
    [observed.action, observed.proposedAction, observed.flagged],
    ["allow", "block", false],
  );
  await engine.putPolicy("early", record(1, { categories: strict }));
  assert.equal(verdictOf((await engine.moderate("early", hello))[0]).action, "block");
  const blockList = Array.from({ length: 300 }, (_, n) => ({ term: `${n}`.padEnd(40, "x") }));
  await assert.rejects(engine.putPolicy("acme", record(9, { blockList })), isProblem("badRequest"));
});

test("listeners are told every verdict, and no text that must not be kept", async (t) => {
  const engine = await start(t);
  const told: [string | undefined, string | undefined][] = [];
  const end = engine.onVerdict(({ messageId }, text) => told.push([messageId, text]));
  await engine.moderate("acme", [
    { id: "1", text: "a" },
    { id: "2", text: "b", doNotStore: true },
  ]);
  await engine.putPolicy("acme", record(1, { doNotStore: true }));
  await engine.moderate("acme", [{ id: "3", text: "c" }]);
  end();
  await engine.moderate("acme", [{ id: "4", text: "d" }]);
  assert.deepEqual(told, [
    ["1", "a"],
    ["2", undefined],
    ["3", undefined],
  ]);
});

test("the policy by which a message was judged says whether its text is told", async (t) => {
  const engine = await start(t);
  const told: [number, string | undefined][] = [];
  engine.onVerdict(({ policy }, text) => told.push([policy.version, text]));
  await engine.putPolicy("acme", record(1, { doNotStore: true }));
  // Judged before the next policy is in force, and answered after it was set.
  const judged = engine.moderate("acme", [{ text: "a" }]);
  await Promise.all([judged, engine.putPolicy("acme", record(2, { doNotStore: false }))]);
  await engine.moderate("acme", [{ text: "b" }]);
  assert.deepEqual(told, [
    [1, undefined],
    [2, "b"],
  ]);
});

test("events of a tenant that asks for it are judged as they come", async (t) => {
  const engine = await start(t);
  const told: { verdict: Verdict; text: string | undefined }[] = [];
  engine.onVerdict((verdict, text) => told.push({ verdict, text }));
  const lines = [
    { id: "1", user: "ann", conversation: "c", text: "hello all" },
    { id: "2", terms: ["no-text"] },
    { id: "3", user: "bob", conversation: "c", text: "this has the zyzzyva in it" },
    { id: "3", user: "bob", conversation: "c", text: "this has the zyzzyva in it" },
    { id: "4", user: "ann", conversation: "c", text: "and this the quokkaword" },
  ];
  const body = Buffer.from(lines.map((line) => JSON.stringify(line)).join("\n"));
  const offer = { tenant: "acme", body, format: "ndjson" } as const;
  await engine.offer(offer);
  assert.equal(told.length, 0, "nobody asked");
  const blockList = [
    { term: "zyzzyva", action: "flag" },
    { term: "quokkaword", action: "block" },
  ] as const;
  await engine.putPolicy("other", record(1, { moderateEvents: true, blockList }));
  const answer = await engine.offer({ ...offer, tenant: "other" });
  assert.deepEqual([answer.accepted, answer.duplicates], [5, 1]);
  const words = (await engine.trending("other", { limit: 50, order: "count" })).items;
  const counted = new Set(words.map(({ term }) => term));
  assert.ok(counted.has("zyzzyva"), "what is flagged is counted");
  assert.ok(!counted.has("quokkaword"), "what is blocked is not");
  assert.equal((await engine.tenant("other")).eventCount, 3);
  assert.deepEqual(
    answer.warnings?.map(({ index, code }) => [index, code]),
    [
      [2, "messageFlagged"],
      [4, "messageBlocked"],
    ],
  );
  assert.deepEqual(
    told.map(({ verdict }) => [verdict.tenant, verdict.messageId, verdict.user, verdict.action]),
    [
      ["other", "1", "ann", "allow"],
      ["other", "3", "bob", "flag"],
      ["other", "4", "ann", "block"],
    ],
  );
  assert.deepEqual(
    told.map(({ text }) => text),
    [lines[0]!.text, lines[2]!.text, lines[4]!.text],
  );
  const next = verdictOf(
    (await engine.moderate("other", [{ conversation: "c", text: "what?" }]))[0],
  );
  assert.ok(
    next.contextUsed.some(({ id }) => id === "4"),
    "events are what messages are said after",
  );
  await engine.putPolicy("other", record(2, { moderateEvents: false }));
  const quiet = await engine.offer({ ...offer, tenant: "other" });
  assert.equal(quiet.warnings, undefined);
});

test("tenants that were never heard of count when they are judged", async (t) => {
  const engine = await start(t, { tenantCountMax: 2 });
  for (const tenant of ["a", "b"]) await engine.moderate(tenant, [{ text: "hello" }]);
  await assert.rejects(engine.moderate("c", [{ text: "hello" }]), isProblem("tenantLimit"));
  await assert.rejects(engine.putPolicy("d", record(1, {})), isProblem("tenantLimit"));
});
