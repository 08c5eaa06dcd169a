// Reviews of a shard's moderators, with a real host and the hostile moderator, and a gateway that
// answers as the test says: in any order, late, twice, or never. A text `?!!` is one the moderator
// wants the upstream asked about; what `?a0` and others do, guests/hostile-moderator says.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { CATEGORIES } from "#model/moderation.ts";
import { REVIEWS_OPEN_MAX } from "#model/limits.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import { VerdictIds } from "#model/verdict-id.ts";
import { Random } from "#std/random.ts";
import { writeBatch } from "#testing/batch.ts";
import { FakeGateway, textsOfCall } from "#testing/fake-gateway.ts";
import { GlassModeratorHost, moderatorComponent, requestBytes } from "#testing/moderating.ts";
import { SEED } from "#testing/seed.ts";
import { Moderation } from "./moderation.ts";
import { type JudgedMessage, ShardCounters } from "./protocol.ts";

const NOW_MS = 1_700_000_000_000;
const WAIT_MS = POLICY_DEFAULT.consult.waitMsMax;

type Options = ConstructorParameters<typeof GlassModeratorHost>[0];

/** Moderators of a shard that can ask, unless `asks` says no. */
function newShard(
  t: TestContext,
  {
    asks = true,
    name = "hostile-moderator",
    sendMs = 0,
    ...options
  }: Options & {
    asks?: boolean;
    name?: "hostile-moderator" | "moderate";
    sendMs?: number;
  } = {},
) {
  const host = new GlassModeratorHost(options);
  const component = host.admit(moderatorComponent(name));
  const counters = new ShardCounters(new SharedArrayBuffer(ShardCounters.BYTES));
  const ids = new VerdictIds({ shard: 0, incarnation: 0, salt: 0 });
  const gateway = new FakeGateway();
  const port = asks ? gateway.port : undefined;
  const moderation = new Moderation({ host, component, ids, gateway: port, sendMs }, counters);
  t.after(() => gateway.close());
  const say = (tenant: number, texts: readonly string[], nowMs = NOW_MS) => {
    const parts = texts.flatMap((text) => {
      const bytes = requestBytes({ text, conversation: "c", user: `u${tenant}`, tsMs: nowMs });
      const prefix = Buffer.alloc(4);
      prefix.writeUInt32LE(bytes.length);
      return [prefix, bytes];
    });
    const record = Buffer.concat(parts);
    return moderation.judgeAll(tenant, `t${tenant}`, record, 0, record.length, nowMs);
  };
  /** Says what is asked about, steps, and returns the numbers of the calls. */
  const ask = (tenant: number, texts: readonly string[], nowMs = NOW_MS) => {
    const judged = say(tenant, texts, nowMs) as JudgedMessage[];
    moderation.stepReviews(nowMs);
    return gateway.look().map(({ request }, index) => ({ request, id: judged[index]!.id }));
  };
  const end = (nowMs = NOW_MS) => {
    moderation.stepReviews(nowMs);
    return moderation.takeReviews();
  };
  const counts = () => {
    moderation.count();
    const of = (name: "Begun" | "Ended" | "Degraded") => counters.get(`reviews${name}`);
    return [of("Begun"), of("Ended"), of("Degraded")];
  };
  return { host, gateway, moderation, say, ask, end, counts };
}

test("what the policy wants asked is asked once a step, of each tenant in its own words", (t) => {
  const { gateway, moderation, say, end, counts } = newShard(t);
  const [first] = say(0, ["?!! alpha"]) as JudgedMessage[];
  const judged = say(1, ["?!! beta", "?!! gamma"]) as JudgedMessage[];
  for (const { review } of [first!, ...judged]) assert.deepEqual(review, { waitMsMax: WAIT_MS });
  assert.deepEqual(gateway.look(), [], "not before the step is over");
  moderation.stepReviews(NOW_MS);
  const calls = gateway.look();
  assert.deepEqual(gateway.messageSizes, [3]);
  assert.deepEqual(
    calls.map(({ tenant, job, waitMsMax }) => [tenant, job, waitMsMax]),
    [
      ["t0", "moderation", WAIT_MS],
      ["t1", "moderation", WAIT_MS],
      ["t1", "moderation", WAIT_MS],
    ],
  );
  assert.equal(textsOfCall(calls[0]!).at(-1), "?!! alpha");
  assert.deepEqual(textsOfCall(calls[2]!).slice(1, 2), ["?!! beta"], "what was said before");
  assert.deepEqual(counts(), [3, 0, 0]);
  gateway.answer(calls[2]!.request, 0.25, "no harm in it");
  gateway.fail(calls[0]!.request, "overBudget", "All of today's money is spent.");
  const ended = end(NOW_MS + 40);
  const [degraded, answered] = ended.toSorted((a, b) => (a.id < b.id ? -1 : 1));
  assert.deepEqual(degraded, {
    id: first!.id,
    outcome: "overBudget",
    detail: "All of today's money is spent.",
    waitMs: 40,
    opinion: undefined,
  });
  assert.equal(answered!.id, judged[1]!.id);
  assert.equal(answered!.outcome, "answered");
  assert.deepEqual(
    answered!.opinion?.scores,
    CATEGORIES.map(() => 0.25),
  );
  assert.equal(answered!.opinion?.reason, "no harm in it");
  assert.deepEqual(counts(), [3, 2, 1]);
  assert.equal(moderation.openReviewCount, 1);
});

test("one message goes at once, and the next with all that came since", (t) => {
  const { gateway, moderation, say } = newShard(t, { sendMs: 10 });
  const step = (afterMs: number, text?: string) => {
    if (text !== undefined) say(0, [text], NOW_MS + afterMs);
    moderation.stepReviews(NOW_MS + afterMs);
    return gateway.look().map((call) => textsOfCall(call).at(-1));
  };
  assert.deepEqual(step(0, "?!! first"), ["?!! first"]);
  assert.deepEqual(step(1, "?!! second"), []);
  assert.equal(moderation.hasUnsent, true);
  assert.deepEqual(step(9, "?!! third"), []);
  assert.deepEqual(step(10), ["?!! second", "?!! third"]);
  assert.equal(moderation.hasUnsent, false);
  assert.deepEqual(step(25, "?!! fourth"), ["?!! fourth"]);
  assert.deepEqual(step(26, "?!! fifth"), []);
  assert.deepEqual(step(-5_000), ["?!! fifth"], "a clock that is set back holds nothing up");
  assert.deepEqual(gateway.messageSizes, [1, 2, 1, 1]);
});

test("what waits to be sent is not, once nobody wants it or the shard stops", (t) => {
  const { gateway, moderation, say, end } = newShard(t, { sendMs: 10 });
  say(0, ["?!! first"]);
  moderation.stepReviews(NOW_MS);
  const [second] = say(0, ["?!! second"], NOW_MS + 1) as JudgedMessage[];
  moderation.stopReviews(NOW_MS + 2);
  assert.equal(moderation.hasUnsent, false);
  const told = end(NOW_MS + 20);
  assert.equal(told.find(({ id }) => id === second!.id)?.outcome, "interrupted");
  assert.deepEqual(
    gateway.look().map((call) => textsOfCall(call).at(-1)),
    ["?!! first"],
  );
});

test("without a gateway nothing is asked, whatever the policy wants", (t) => {
  const { host, gateway, moderation, say, end, counts } = newShard(t, { asks: false });
  const turns = host.stats.turns;
  const [judged] = say(0, ["?!! alpha"]) as JudgedMessage[];
  assert.equal(judged!.report.consult, true);
  assert.equal("review" in judged!, false);
  assert.equal(host.stats.turns, turns + 1, "one turn: that of the judge");
  assert.deepEqual(end(), []);
  assert.deepEqual(gateway.look(), []);
  assert.deepEqual(counts(), [0, 0, 0]);
  assert.equal(moderation.openReviewCount, 0);
});

test("ends in any order, late and twice, are each the end of one review", (t) => {
  const { gateway, moderation, ask, end } = newShard(t, { slotCount: 3 });
  const random = new Random(SEED);
  const waiting = new Map<number, string>();
  const over: number[] = [];
  let told = 0;
  for (let round = 0; round < 300; round++) {
    const tenant = random.below(8);
    if (waiting.size < 40) {
      const texts = Array.from({ length: 1 + random.below(3) }, (_, n) => `?!! ${round}.${n}`);
      for (const { request, id } of ask(tenant, texts)) waiting.set(request, id);
    }
    const expected = new Map<string, string>();
    for (const [request, id] of waiting) {
      if (random.below(3) > 0) continue;
      const fails = random.below(3) === 0;
      if (fails) gateway.fail(request, "unavailable", id);
      else gateway.answer(request, 0.5, id);
      if (random.below(2) === 0) gateway.answer(request, 0.9, "once more");
      expected.set(id, fails ? "unavailable" : "answered");
      waiting.delete(request);
      over.push(request);
    }
    // What ended rounds ago comes again.
    if (over.length > 0) gateway.fail(over[random.below(over.length)]!, "timedOut");
    gateway.fail(1_000_000 + round, "timedOut");
    for (const { id, outcome, detail, opinion } of end()) {
      assert.equal(outcome, expected.get(id), `SEED=${SEED} round ${round}`);
      assert.equal(detail ?? opinion?.reason, id, "its own answer, not another's");
      assert.ok(expected.delete(id));
      told += 1;
    }
    assert.equal(expected.size, 0);
    assert.equal(moderation.openReviewCount, waiting.size);
  }
  assert.ok(told > 300);
});

test("a tenant has so many open at once; one that ends makes room for another", (t) => {
  const { gateway, moderation, ask, say, end } = newShard(t);
  const calls: number[] = [];
  for (let n = 0; n < REVIEWS_OPEN_MAX; n++) calls.push(ask(0, [`?!! ${n}`])[0]!.request);
  const [refused] = say(0, ["?!! one more"]) as JudgedMessage[];
  assert.ok(refused!.review !== undefined && "failure" in refused!.review);
  assert.equal(refused!.review.failure, "queueFull");
  assert.match(refused!.review.detail, /^64 messages of t0 wait/);
  const [other] = say(1, ["?!! of another"]) as JudgedMessage[];
  assert.deepEqual(other!.review, { waitMsMax: WAIT_MS });
  end();
  gateway.look();
  gateway.answer(calls[10]!, 0, "");
  assert.equal(end().length, 1);
  assert.equal(ask(0, ["?!! again"]).length, 1);
  assert.equal(moderation.openReviewCount, REVIEWS_OPEN_MAX + 1);
});

test("more than one record's worth at once: those beyond are not asked about", (t) => {
  const { moderation, say, counts } = newShard(t);
  const texts = Array.from({ length: REVIEWS_OPEN_MAX + 3 }, (_, n) => `?!! ${n}`);
  const judged = say(0, texts) as JudgedMessage[];
  const refused = judged.filter(({ review }) => "failure" in review!);
  assert.deepEqual(refused, judged.slice(REVIEWS_OPEN_MAX));
  assert.equal(moderation.openReviewCount, REVIEWS_OPEN_MAX);
  assert.deepEqual(counts(), [REVIEWS_OPEN_MAX + 3, 3, 3]);
});

test("a moderator that fails at the answer is told once more that there is none", (t) => {
  const { host, gateway, ask, end } = newShard(t);
  const [trapping] = ask(0, ["?a0 traps at answers"]);
  gateway.answer(trapping!.request, 0.5, "");
  const [ended] = end();
  assert.equal(ended!.outcome, "malformed");
  assert.equal(ended!.detail, "The moderator of t0 ended at the answer: trapped.");
  assert.equal(host.strikeCount(0), 1, "the second telling went well");
  const [always] = ask(0, ["?ac traps in any case"]);
  gateway.answer(always!.request, 0.5, "");
  assert.equal(end()[0]!.outcome, "malformed");
  assert.equal(host.strikeCount(0), 3);
});

test("a moderator that runs on at the answer is cut off, and its neighbours are served", (t) => {
  const { host, gateway, ask, end } = newShard(t, { guarded: true, turnMsMax: 40 });
  const [running] = ask(0, ["?a1 runs on"]);
  const [honest] = ask(1, ["?!! honest"]);
  gateway.answer(running!.request, 0.5, "");
  gateway.answer(honest!.request, 0.5, "");
  const outcomes = end().map(({ id, outcome }) => [id, outcome]);
  assert.deepEqual(outcomes, [
    [running!.id, "malformed"],
    [honest!.id, "answered"],
  ]);
  assert.equal(host.strikeCount(0), 1);
  assert.equal(host.strikeCount(1), 0);
});

test("a moderator that fails as it is to ask has its verdict all the same", (t) => {
  const { moderation, say, counts } = newShard(t);
  const judged = say(0, ["?be traps", "?bb returns nothing", "?!! is honest"]) as JudgedMessage[];
  assert.deepEqual(
    judged.map(({ review }) => ("failure" in review! ? review.failure : "open")),
    ["malformed", "malformed", "open"],
  );
  const [said] = say(1, ["?bj says what it thinks without asking"]) as JudgedMessage[];
  assert.deepEqual(said!.review, {
    failure: "malformed",
    detail: "The moderator of t1 asked for nothing.",
  });
  assert.equal(moderation.openReviewCount, 1);
  assert.deepEqual(counts(), [4, 3, 3]);
});

test("a moderator in quarantine waits for nothing: its calls are cancelled, and told", (t) => {
  const { host, gateway, moderation, ask, say, end, counts } = newShard(t);
  const open = ask(0, ["?!! one", "?!! two"]);
  const [other] = ask(1, ["?!! of another"]);
  const unsent = say(0, ["?!! three", "!trap", "!trap", "!trap"]);
  assert.ok(host.quarantined(0));
  const ended = end();
  const ids = [...open.map(({ id }) => id), (unsent[0] as JudgedMessage).id];
  assert.deepEqual(
    ended.map(({ id, outcome }) => [id, outcome]),
    ids.map((id) => [id, "cancelled"]),
  );
  assert.deepEqual(gateway.look(), [], "what was not sent yet is not");
  assert.deepEqual(
    gateway.cancelled,
    open.map(({ request }) => request),
  );
  for (const { request } of open) gateway.answer(request, 0.5, "too late");
  assert.deepEqual(end(), []);
  gateway.answer(other!.request, 0.5, "");
  assert.equal(end()[0]!.outcome, "answered");
  assert.deepEqual(counts(), [4, 4, 3]);
  assert.equal(moderation.openReviewCount, 0);
  host.release(0);
  assert.equal(ask(0, ["?!! back again"]).length, 1);
});

test("a tenant that is gone has no turn; its review ends", (t) => {
  const { host, gateway, ask, end } = newShard(t);
  const [gone] = ask(0, ["?!! going"]);
  host.close(0);
  gateway.answer(gone!.request, 0.5, "");
  const [ended] = end();
  assert.deepEqual([ended!.id, ended!.outcome], [gone!.id, "interrupted"]);
  assert.equal(host.isOpen(0), false);
});

test("a gateway that began anew has forgotten what it was asked, not what it was not", (t) => {
  const { gateway, moderation, ask, say, end } = newShard(t);
  const [answered] = ask(0, ["?!! answered just before"]);
  const [open] = ask(0, ["?!! open"]);
  const [unsent] = say(1, ["?!! of this step"]) as JudgedMessage[];
  gateway.answer(answered!.request, 0.5, "");
  const next = new FakeGateway();
  t.after(() => next.close());
  moderation.attachGateway(next.port);
  gateway.answer(open!.request, 0.5, "from the grave");
  const ended = end();
  assert.deepEqual(
    ended.map(({ id, outcome }) => [id, outcome]),
    [
      [answered!.id, "answered"],
      [open!.id, "interrupted"],
    ],
  );
  assert.deepEqual(gateway.look(), []);
  const [call] = next.look();
  assert.equal(call?.tenant, "t1");
  next.answer(call!.request, 0.5, "");
  const [last] = end();
  assert.deepEqual([last!.id, last!.outcome], [unsent!.id, "answered"]);
});

test("a gateway that says nothing does not keep anybody waiting for ever", (t) => {
  const { gateway, ask, end } = newShard(t);
  const [silent] = ask(0, ["?!! hello?"]);
  assert.deepEqual(end(NOW_MS + WAIT_MS), []);
  const [ended] = end(NOW_MS + WAIT_MS + 1_000);
  assert.deepEqual([ended!.id, ended!.outcome], [silent!.id, "timedOut"]);
  gateway.look();
  assert.deepEqual(gateway.cancelled, [silent!.request]);
  assert.equal(ask(0, ["?!! and again"]).length, 1);
});

test("with memory full a message is judged, and nobody is asked about it", (t) => {
  const { host, gateway, say, end } = newShard(t, { imageBytesMax: 4096, slotCount: 1 });
  let tenant = 0;
  for (; !host.isFull; tenant++) say(tenant, ["hello"]);
  gateway.look();
  const [judged] = say(0, ["?!! is it full?"]) as JudgedMessage[];
  assert.deepEqual(judged!.review, {
    failure: "queueFull",
    detail: "This server's memory for tenants is full.",
  });
  end();
  assert.ok(!gateway.look().some((call) => textsOfCall(call).includes("?!! is it full?")));
});

test("a policy says how long its verdicts wait", (t) => {
  const { gateway, moderation, ask } = newShard(t);
  const consult = { ...POLICY_DEFAULT.consult, waitMsMax: 700 };
  const policy = { ...POLICY_DEFAULT, consult };
  const bytes = policyBytes({ version: 3, setAtMs: 0, note: undefined, policy })!;
  assert.equal(moderation.setPolicy(0, "t0", bytes), undefined);
  ask(0, ["?!! short of time"]);
  assert.deepEqual([gateway.asked[0]!.waitMsMax, gateway.asked[0]!.policyVersion], [700, 3]);
});

test("a shard that stops tells who waits, once", (t) => {
  const { gateway, moderation, ask, say, end } = newShard(t);
  const [open] = ask(0, ["?!! open"]);
  const [due] = ask(1, ["?!! answered"]);
  const [unsent] = say(0, ["?!! of this step"]) as JudgedMessage[];
  gateway.answer(due!.request, 0.5, "");
  assert.equal(end().length, 1);
  moderation.stopReviews(NOW_MS + 10);
  const ended = moderation.takeReviews();
  assert.deepEqual(
    ended.map(({ id, outcome }) => [id, outcome]),
    [
      [open!.id, "interrupted"],
      [unsent!.id, "interrupted"],
    ],
  );
  assert.equal(moderation.openReviewCount, 0);
  assert.deepEqual(moderation.takeReviews(), []);
});

test("nobody is asked about events that count for nothing; their moderator waits no more", (t) => {
  const { host, gateway, moderation, end, counts } = newShard(t);
  const texts = ["?!! one", "?!! that came before", "quiet", "?!! three"];
  const batch = writeBatch(texts.map((text, n) => ({ id: `${n}`, user: "ann", text })));
  moderation.judgeEvents(0, "t0", batch, 0, NOW_MS);
  assert.ok(moderation.tellEvent(0), "its review is open");
  moderation.tellEvent(2);
  assert.ok(moderation.tellEvent(3));
  end();
  assert.deepEqual(
    gateway.look().map((call) => textsOfCall(call).at(-1)),
    ["?!! one", "?!! three"],
  );
  assert.deepEqual(
    moderation.takeEvents().map(({ messageId }) => messageId),
    ["0", "2", "3"],
  );
  for (const { request } of gateway.asked) gateway.answer(request, 0.5, "");
  assert.equal(end().length, 2);
  assert.deepEqual(counts(), [2, 2, 0]);
  assert.equal(host.strikeCount(0), 0, "its moderator was told, and took it");
  moderation.judgeEvents(0, "t0", batch, 0, NOW_MS);
  moderation.judgeEvents(1, "t1", batch, 0, NOW_MS);
  assert.deepEqual(end(), [], "a batch whose turn failed is told to nobody");
  assert.deepEqual(gateway.look(), []);
  assert.deepEqual(counts(), [2, 2, 0]);
});

test("slices that the guard cuts anywhere leave no trace: all is as without it", (t) => {
  const consult = { ...POLICY_DEFAULT.consult, mode: "all" as const };
  const policy = { ...POLICY_DEFAULT, consult };
  const bytes = policyBytes({ version: 1, setAtMs: 0, note: undefined, policy })!;
  const play = (options: Options) => {
    const { host, gateway, moderation, say, end } = newShard(t, { name: "moderate", ...options });
    const random = new Random(SEED);
    const seen: unknown[] = [];
    for (let tenant = 0; tenant < 4; tenant++) moderation.setPolicy(tenant, `t${tenant}`, bytes);
    for (let round = 0; round < 40; round++) {
      const texts = Array.from(
        { length: 48 },
        (_, n) => `you ${n} idiots, said ${random.below(9_999)}`,
      );
      seen.push(say(random.below(4), texts));
      seen.push(end());
      const calls = gateway.look();
      seen.push(calls.map(({ prompt }) => Buffer.from(prompt).toString("hex")));
      for (const { request } of calls) {
        if (random.below(4) === 0) gateway.fail(request, "rateLimited");
        else gateway.answer(request, random.unit(), `of ${round}`);
      }
      seen.push(end());
    }
    const hashes = [0, 1, 2, 3].map((tenant) => host.stateHash(tenant));
    assert.equal(moderation.openReviewCount, 0);
    assert.equal(host.stats.replayFailures, 0);
    return { seen, hashes, cutCount: host.stats.spuriousTimeouts };
  };
  const whole = play({ slotCount: 2 });
  // Nobody has had any CPU time, so nobody is to blame.
  const cut = play({ slotCount: 2, guarded: true, turnMsMax: 1, threadCpuMs: () => 0 });
  assert.equal(whole.cutCount, 0);
  assert.ok(cut.cutCount > 0, `${cut.cutCount} slices were cut`);
  assert.deepEqual(cut.seen, whole.seen);
  assert.deepEqual(cut.hashes, whole.hashes);
  t.diagnostic(`SEED=${SEED}: ${cut.cutCount} slices were cut`);
});
