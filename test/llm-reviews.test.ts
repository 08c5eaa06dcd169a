// Messages through the whole engine and its gateway to an upstream that fails in every way it can:
// each gets one verdict, which is degraded if and only if the upstream did not answer, and no
// prompt ever has words of two tenants in it.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import type { Worker } from "node:worker_threads";
import { type Engine, startEngine } from "#engine/engine.ts";
import type { EngineSettings } from "#engine/engine-settings.ts";
import type { LlmSettings } from "#llm/settings.ts";
import { MODERATE_COUNT_MAX, REVIEWS_STOP_MS_MAX } from "#model/limits.ts";
import { CONSULTATION_FAILURES } from "#model/consultation.ts";
import type { ModerationRequest, Verdict } from "#model/moderation.ts";
import { shardOf } from "#model/placement.ts";
import { POLICY_DEFAULT } from "#model/policy-default.ts";
import type { ConsultPolicy, Policy } from "#model/policy.ts";
import type { ModerationOutcome, PendingReview } from "#model/verdict.ts";
import { StandInUpstream, type StandInOptions } from "#stand-in/stand-in-upstream.ts";
import { Random } from "#std/random.ts";
import { SEED } from "#testing/seed.ts";

const SHARDS = 3;
const TENANTS = 24;
const MODEL = "stand-in";
const ALL = { mode: "all", waitMsMax: 1_500 } as const;

type Standing = { readonly engine: Engine; readonly upstream: StandInUpstream };

async function start(
  t: TestContext,
  options: StandInOptions = {},
  settings: Partial<EngineSettings> = {},
): Promise<Standing> {
  const upstream = await StandInUpstream.start({ seed: SEED, ...options });
  t.after(async () => upstream.stop());
  const limits = { slotCount: 16, imageBytesMax: 64 << 20, tenantCountMax: 100 };
  const llm = llmSettings(upstream.baseUrl);
  const engine = await startEngine({ shardCount: SHARDS, ...limits, llm, ...settings });
  t.after(async () => engine.stop());
  return { engine, upstream };
}

function llmSettings(baseUrl: string): LlmSettings {
  return {
    jobs: {
      moderation: {
        baseUrl,
        model: MODEL,
        structuredOutput: "schema",
        connectionsMax: 64,
        hedges: false,
        prices: { promptMicros: 1, cachedMicros: 1, completionMicros: 1 },
      },
    },
    budget: { callsPerMinute: Infinity, tokensPerMinute: Infinity, microsPerDay: Infinity },
    tenantRunningMax: 8,
    cacheMsMax: 0,
  };
}

/** Threads that begin from here on, by name; the last of each. */
function threadsOf(t: TestContext): ReadonlyMap<string, Worker> {
  const threads = new Map<string, Worker>();
  const take = (worker: Worker): void => void threads.set(worker.threadName ?? "", worker);
  process.on("worker", take);
  t.after(() => process.off("worker", take));
  return threads;
}

function verdictOf(outcome: ModerationOutcome | undefined): Verdict {
  assert.ok(outcome !== undefined && "verdict" in outcome, JSON.stringify(outcome));
  return outcome.verdict;
}

async function setPolicy(
  engine: Engine,
  tenant: string,
  consult: Partial<ConsultPolicy>,
  changes: Partial<Policy> = {},
): Promise<void> {
  const policy = {
    ...POLICY_DEFAULT,
    consult: { ...POLICY_DEFAULT.consult, ...consult },
    ...changes,
  };
  await engine.putPolicy(tenant, { version: 1, setAtMs: 0, note: undefined, policy });
}

/** A word that no other tenant has. */
function canaryOf(tenant: string): string {
  return `zq${tenant.replaceAll(/\d/g, (digit) => "abcdefghij"[Number(digit)]!)}xkvw`;
}

function checkPrompts(upstream: StandInUpstream, tenants: readonly string[]): void {
  for (const { body } of upstream.seen) {
    const prompt = JSON.stringify(body);
    const found = tenants.filter((tenant) => prompt.includes(canaryOf(tenant)));
    assert.equal(found.length, 1, `a prompt with words of ${found.join(" and ")}`);
  }
}

function checkVerdict({ upstream, degraded, id }: Verdict): void {
  assert.ok(upstream !== undefined, `${id} was to be asked about`);
  assert.equal(upstream.model, MODEL);
  const isFailure = (CONSULTATION_FAILURES as readonly string[]).includes(upstream.outcome);
  assert.equal(degraded, isFailure, JSON.stringify(upstream));
  assert.equal(upstream.detail !== undefined, isFailure);
}

test("a thousand messages of many tenants, and an upstream that fails in every way", async (t) => {
  const faults = {
    rateLimited: 0.04,
    serverError: 0.04,
    stalled: 0.01,
    halfClosed: 0.03,
    reset: 0.03,
    garbage: 0.03,
    html: 0.03,
    wrongSchema: 0.03,
    otherId: 0.03,
    huge: 0.01,
    dripping: 0.01,
    gullible: 0.03,
  };
  const plan = { latency: { medianMs: 5, spread: 1 }, faults };
  const pending = new Map<string, PendingReview>();
  const { engine, upstream } = await start(
    t,
    { plan },
    {
      keepPending: async (reviews) => {
        for (const each of reviews) pending.set(each.verdict.id, each);
      },
    },
  );
  const tenants = Array.from({ length: TENANTS }, (_, n) => `t${n}`);
  assert.equal(new Set(tenants.map((tenant) => shardOf(tenant, SHARDS))).size, SHARDS);
  for (const tenant of tenants) {
    await setPolicy(engine, tenant, ALL, { moderateEvents: true });
  }
  const told = new Map<string, Verdict>();
  engine.onVerdict((verdict) => {
    assert.ok(!told.has(verdict.id), "told twice");
    // What was never asked waits for nothing.
    const isAsked = verdict.upstream?.detail?.includes("wait for the upstream already") !== true;
    const kept = pending.get(verdict.id)?.verdict.messageId;
    assert.equal(kept, isAsked ? verdict.messageId : undefined, "kept before it was told");
    told.set(verdict.id, verdict);
  });
  const random = new Random(SEED);
  const requests = Array.from({ length: 100 }, (_, n) => {
    const tenant = tenants[random.below(TENANTS)]!;
    const messages = Array.from({ length: 10 }, (__, m): ModerationRequest => {
      const what = random.below(2) === 0 ? "an idiot" : "right";
      const text = `you are ${what} ${canaryOf(tenant)} ${n}.${m}`;
      return { id: `${n}.${m}`, user: "ann", conversation: `c${random.below(3)}`, text };
    });
    return { tenant, messages };
  });
  const answers = await Promise.all(
    requests.map(async ({ tenant, messages }, n) => {
      if (n % 4 === 0) {
        const body = Buffer.from(messages.map((each) => JSON.stringify(each)).join("\n"));
        const { accepted } = await engine.offer({ tenant, body, format: "ndjson" });
        assert.equal(accepted, messages.length);
        return [];
      }
      return engine.moderate(tenant, messages);
    }),
  );
  for (const [n, outcomes] of answers.entries()) {
    const { tenant, messages } = requests[n]!;
    for (const [m, outcome] of outcomes.entries()) {
      assert.ok("verdict" in outcome, JSON.stringify(outcome));
      assert.deepEqual(
        [outcome.verdict.tenant, outcome.verdict.messageId],
        [tenant, messages[m]!.id],
      );
      assert.equal(told.get(outcome.verdict.id), outcome.verdict);
    }
  }
  while (told.size < 1_000) await turn();
  for (const verdict of told.values()) checkVerdict(verdict);
  const messageIds = new Set([...told.values()].map(({ messageId }) => messageId));
  assert.equal(messageIds.size, 1_000, "each has its own");
  checkPrompts(upstream, tenants);
  const degradedCount = [...told.values()].filter(({ degraded }) => degraded).length;
  assert.ok(degradedCount > 0 && degradedCount < 1_000, `${degradedCount} are degraded`);
  const reviews = engine.stats().map(({ moderation }) => moderation.reviews);
  const sum = (of: (each: (typeof reviews)[number]) => number): number =>
    reviews.reduce((total, each) => total + of(each), 0);
  assert.equal(
    sum(({ begunCount }) => begunCount),
    1_000,
  );
  assert.equal(
    sum(({ endedCount }) => endedCount),
    1_000,
  );
  assert.equal(
    sum(({ degradedCount: count }) => count),
    degradedCount,
  );
  assert.equal(
    sum(({ openCount }) => openCount),
    0,
  );
  t.diagnostic(`SEED=${SEED}: ${degradedCount} degraded, ${upstream.requestCount} requests`);
});

test("a whole request is reviewed, though not all of it at once", async (t) => {
  const { engine } = await start(t);
  await setPolicy(engine, "acme", { mode: "all", waitMsMax: 20_000 });
  const texts = Array.from({ length: MODERATE_COUNT_MAX }, (_, n) => ({ text: `message ${n}` }));
  const outcomes = await engine.moderate("acme", texts);
  const degraded = outcomes.filter((outcome) => verdictOf(outcome).degraded);
  assert.deepEqual(degraded, []);
  assert.equal(outcomes.length, MODERATE_COUNT_MAX);
});

test("what the upstream says counts, and the message after it stands on that", async (t) => {
  const { engine } = await start(t);
  await setPolicy(engine, "acme", { mode: "all", weight: 1, waitMsMax: 10_000 });
  const [outcome] = await engine.moderate("acme", [
    { conversation: "c", user: "ann", text: "is it 5 or 6 volts, Bob?" },
  ]);
  const verdict = verdictOf(outcome);
  assert.equal(verdict.upstream?.outcome, "answered");
  assert.equal(verdict.degraded, false);
  assert.match(verdict.reason, /word lists/);
  assert.ok(Math.abs(verdict.scores.toxicity - 0.1) < 1e-6, "the stand-in's, all of it");
  const [turn] = await engine.turns("acme", "c");
  assert.ok(Math.abs(turn!.toxicity - 0.1) < 1e-6);
});

test("an upstream that says nothing: the embedded verdict stands when time is over", async (t) => {
  const { engine, upstream } = await start(t);
  upstream.script.push("stalled");
  await setPolicy(engine, "acme", { mode: "all", waitMsMax: 200 });
  const [outcome] = await engine.moderate("acme", [{ text: "you are an idiot" }]);
  const verdict = verdictOf(outcome);
  assert.equal(verdict.upstream?.outcome, "timedOut");
  assert.ok(verdict.degraded);
  assert.equal(verdict.action, "flag");
});

test("a tenant that wants nobody asked is never told of an upstream", async (t) => {
  const { engine, upstream } = await start(t);
  await setPolicy(engine, "acme", { mode: "never" });
  const [outcome] = await engine.moderate("acme", [{ text: "you are an idiot" }]);
  const verdict = verdictOf(outcome);
  assert.equal(verdict.upstream, undefined);
  assert.equal(verdict.degraded, false);
  assert.equal(upstream.requestCount, 0);
  const usage = await engine.llm!.usage("acme");
  assert.ok(usage.jobs.every(({ calls }) => calls === 0));
});

test("a stop lets open reviews end, and who waits gets an answer", async (t) => {
  const { engine, upstream } = await start(t, {
    plan: { latency: { medianMs: 300, spread: 0 }, faults: {} },
  });
  await setPolicy(engine, "acme", { mode: "all", waitMsMax: 10_000 });
  const asked = engine.moderate("acme", [{ text: "one" }, { text: "two" }]);
  while (upstream.requestCount === 0) await turn();
  await engine.stop();
  for (const outcome of await asked) {
    assert.equal(verdictOf(outcome).upstream?.outcome, "answered");
  }
});

test("a stop that begins lets nobody wait for an upstream that says nothing", async (t) => {
  const { engine, upstream } = await start(t);
  await setPolicy(engine, "acme", { mode: "all", waitMsMax: 60_000 });
  upstream.script.push("stalled");
  const asked = engine.moderate("acme", [{ text: "one" }]);
  while (upstream.requestCount === 0) await turn();
  t.mock.timers.enable({ apis: ["setTimeout"] });
  engine.beginStop();
  t.mock.timers.tick(REVIEWS_STOP_MS_MAX);
  t.mock.timers.reset();
  const { upstream: said } = verdictOf((await asked)[0]);
  assert.equal(said?.outcome, "interrupted");
  const [next] = await engine.moderate("acme", [{ text: "two" }]);
  assert.equal(verdictOf(next).upstream, undefined, "nobody is asked any more");
});

test("a gateway that dies: what was open is interrupted, and the next one is asked", async (t) => {
  t.mock.method(process, "emitWarning", () => undefined);
  const threads = threadsOf(t);
  const { engine, upstream } = await start(t);
  for (const tenant of ["a", "b", "c"]) await setPolicy(engine, tenant, { mode: "all" });
  upstream.script.push("stalled", "stalled", "stalled");
  const asked = ["a", "b", "c"].map((tenant) => engine.moderate(tenant, [{ text: "hello" }]));
  while (upstream.requestCount < 3) await turn();
  await threads.get("llm")!.terminate();
  for (const outcomes of asked) {
    const { upstream: said, degraded } = verdictOf((await outcomes)[0]);
    assert.deepEqual([said?.outcome, degraded], ["interrupted", true]);
  }
  const [outcome] = await engine.moderate("a", [{ text: "hello again" }]);
  assert.equal(verdictOf(outcome).upstream?.outcome, "answered");
});

test("a shard that dies: its reviews are interrupted, and its next are asked", async (t) => {
  t.mock.method(process, "emitWarning", () => undefined);
  const threads = threadsOf(t);
  const { engine, upstream } = await start(t);
  const names = Array.from({ length: 20 }, (_, n) => `t${n}`);
  const [gone, other] = [0, 1].map((shard) =>
    names.find((name) => shardOf(name, SHARDS) === shard)!,
  );
  for (const tenant of [gone!, other!]) {
    await setPolicy(engine, tenant, { mode: "all", waitMsMax: 60_000 });
  }
  upstream.plan = { latency: { medianMs: 400, spread: 0 }, faults: {} };
  const lost = engine.moderate(gone!, [{ text: "hello" }, { text: "how are you?" }]);
  const kept = engine.moderate(other!, [{ text: "hello" }]);
  while (upstream.requestCount < 2) await turn();
  await threads.get("shard-0")!.terminate();
  for (const outcome of await lost) {
    assert.equal(verdictOf(outcome).upstream?.outcome, "interrupted");
  }
  assert.equal(verdictOf((await kept)[0]).upstream?.outcome, "answered");
  while (!engine.ready) await turn();
  const [outcome] = await engine.moderate(gone!, [{ text: "hello again" }]);
  assert.equal(verdictOf(outcome).upstream?.outcome, "answered");
});
