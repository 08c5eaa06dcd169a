import assert from "node:assert/strict";
import test from "node:test";
import { JOBS, type Job, NO_USAGE } from "#model/consultation.ts";
import { writePromptParts } from "#model/prompt-parts.ts";
import { Random } from "#std/random.ts";
import { answerTo } from "#stand-in/answers.ts";
import type { Fault } from "#stand-in/faults.ts";
import { StandInUpstream } from "#stand-in/stand-in-upstream.ts";
import { Budgets, type BudgetLimits } from "./budget.ts";
import { AnswerCache } from "./cache.ts";
import { type Call, type CallEnd, Gateway, type GatewayOptions } from "./gateway.ts";
import { type ChatRequest, Upstream, type UpstreamAnswer } from "./upstream.ts";

const OPEN: BudgetLimits = {
  callsPerMinute: Number.POSITIVE_INFINITY,
  tokensPerMinute: Number.POSITIVE_INFINITY,
  microsPerDay: Number.POSITIVE_INFINITY,
};
const START_MS = 1_700_000_000_000;
const USAGE = { promptTokens: 100, completionTokens: 20, cachedTokens: 0 };

type Sent = {
  readonly request: ChatRequest;
  readonly answer: (answer: UpstreamAnswer) => void;
  isCancelled: boolean;
};

/** A gateway whose upstream and clock are the test's. */
class Bench {
  readonly sent: Sent[] = [];
  readonly ends = new Map<number, CallEnd>();
  readonly budgets: Budgets;
  readonly gateway: Gateway;
  nowMs = START_MS;
  #request = 0;
  #keys = 0;

  constructor(options: Partial<GatewayOptions> = {}, limits: Partial<BudgetLimits> = {}) {
    const prices = { promptMicros: 1, cachedMicros: 1, completionMicros: 1 };
    this.budgets = new Budgets({ tenantCountMax: 64, limits: { ...OPEN, ...limits }, prices });
    this.gateway = new Gateway({
      upstream: { model: "small-1", send: (request, deliver) => this.#send(request, deliver) },
      budgets: this.budgets,
      cache: new AnswerCache(),
      ticketCountMax: 512,
      tenantCountMax: 64,
      tenantWaitingMax: 64,
      tenantRunningMax: 32,
      exchangeCountMax: 4,
      deliver: (request, end) => {
        assert.ok(!this.ends.has(request), `${request} ended twice`);
        this.ends.set(request, end);
      },
      nowMs: () => this.nowMs,
      random: () => 0.5,
      drawKey: () => (0xa91f44c0 + this.#keys++).toString(16).padEnd(20, "0"),
      ...options,
    });
  }

  /** Number of the call. */
  ask(text: string, options: Partial<Call> = {}): number {
    this.#request += 1;
    const kind = options.job === undefined || options.job === "moderation" ? "subject" : "fact";
    this.gateway.ask({
      request: this.#request,
      tenant: 0,
      tenantName: `tenant ${options.tenant ?? 0}`,
      job: "moderation",
      prompt: writePromptParts([{ kind, name: "ann", text }]),
      policyVersion: 1,
      deadlineMs: this.nowMs + 2_000,
      ...options,
    });
    return this.#request;
  }

  async tick(passedMs = 0): Promise<void> {
    this.nowMs += passedMs;
    this.gateway.tick();
    // What the breaker does is some promises long.
    for (let n = 0; n < 3; n++) await new Promise(setImmediate);
  }

  /** Answers the n-th request as it should be. */
  async answer(index: number, content?: string): Promise<void> {
    const { request, answer } = this.sent[index]!;
    const name = JOBS.find((job) => request.fixed.includes(`"name":"${job}"`))!;
    const text = content ?? answerTo(name, request.user);
    answer({ kind: "content", content: text, usage: USAGE });
    await this.tick();
  }

  async fail(index: number, failed: Partial<UpstreamAnswer & { kind: "failed" }>): Promise<void> {
    this.sent[index]!.answer({
      kind: "failed",
      failure: "unavailable",
      mayRetry: true,
      opensBreaker: true,
      retryAfterMs: undefined,
      detail: "It answered 500.",
      usage: NO_USAGE,
      ...failed,
    });
    await this.tick();
  }

  failureOf(request: number): string | undefined {
    const end = this.ends.get(request);
    return end !== undefined && "failure" in end ? end.failure : undefined;
  }

  toxicityOf(request: number): number | undefined {
    const end = this.ends.get(request);
    if (end === undefined || !("answer" in end)) return undefined;
    return (JSON.parse(end.answer.toString()) as { scores: { toxicity: number } }).scores.toxicity;
  }

  #send(request: ChatRequest, answer: (answer: UpstreamAnswer) => void): () => void {
    const sent: Sent = { request, answer, isCancelled: false };
    this.sent.push(sent);
    return () => (sent.isCancelled = true);
  }
}

test("calls of a tenant that wait go together, and each gets its own answer", async () => {
  const bench = new Bench();
  const [kind, rude, other] = [
    bench.ask("hello"),
    bench.ask("you idiot"),
    bench.ask("x", { tenant: 1 }),
  ];
  await bench.tick();
  assert.equal(bench.sent.length, 2, "never two tenants in one prompt");
  assert.ok(!bench.sent[0]!.request.user.includes("| x"));
  await bench.answer(0);
  assert.deepEqual([bench.toxicityOf(kind), bench.toxicityOf(rude)], [0.1, 0.9]);
  assert.equal(bench.ends.has(other), false);
});

test("what was asked before is answered at once, to the same tenant and policy alone", async () => {
  const bench = new Bench();
  bench.ask("you idiot");
  await bench.tick();
  await bench.answer(0);
  const again = bench.ask("you  idiot");
  assert.equal(bench.toxicityOf(again), 0.9);
  for (const options of [{ tenant: 1 }, { policyVersion: 2 }]) bench.ask("you idiot", options);
  await bench.tick();
  assert.equal(bench.sent.length, 3);
});

test("a call beyond a budget ends at once, and its budget comes back", async () => {
  const bench = new Bench({}, { callsPerMinute: 1 });
  const [first, second] = [bench.ask("a"), bench.ask("b")];
  assert.equal(bench.failureOf(second), "overBudget");
  bench.gateway.cancel(first);
  assert.equal(bench.failureOf(first), "cancelled");
  assert.equal(bench.failureOf(bench.ask("c")), undefined, "what was not sent costs nothing");
});

test("a queue that is full ends the call, and names whose it is", async () => {
  const bench = new Bench({ tenantWaitingMax: 2 });
  for (const text of ["a", "b"]) bench.ask(text);
  const third = bench.ask("c");
  assert.equal(bench.failureOf(third), "queueFull");
  assert.match((bench.ends.get(third) as { detail: string }).detail, /of this tenant/);
  assert.equal(bench.failureOf(bench.ask("d", { tenant: 1 })), undefined);
});

test("an answer that is not of the schema is asked for once more, and then given up", async () => {
  const bench = new Bench();
  const [repaired, given] = [bench.ask("a"), bench.ask("b", { tenant: 1 })];
  await bench.tick();
  await bench.answer(0, "Sure! It is fine.");
  assert.match(bench.sent[2]!.request.user, /The answer is not JSON/);
  await bench.answer(2);
  assert.equal(bench.toxicityOf(repaired), 0.1);
  await bench.answer(1, "{}");
  await bench.answer(3, "{}");
  assert.equal(bench.failureOf(given), "malformed");
  assert.equal(bench.gateway.stats.of("moderation").malformed, 3);
});

test("a TL;DR that says another number than the record is not told", async () => {
  const bench = new Bench();
  const told = bench.ask("42 people", { job: "tldr" });
  const untold = bench.ask("17 people", { job: "tldr" });
  await bench.tick();
  await bench.answer(0);
  assert.ok("answer" in bench.ends.get(told)!);
  const lie = (index: number): string =>
    answerTo("tldr", bench.sent[index]!.request.user).replace("17", "18");
  await bench.answer(1, lie(1));
  await bench.answer(2, lie(2));
  assert.equal(bench.failureOf(untold), "malformed");
});

test("a failure that may pass is tried again, and one that stays is an end", async () => {
  const bench = new Bench();
  const [first, second] = [bench.ask("a"), bench.ask("b", { tenant: 1 })];
  await bench.tick();
  await bench.fail(0, {});
  await bench.fail(1, { failure: "refused", mayRetry: false });
  assert.equal(bench.failureOf(second), "refused");
  await bench.tick(49);
  assert.equal(bench.sent.length, 2);
  await bench.tick(2);
  await bench.answer(2);
  assert.equal(bench.toxicityOf(first), 0.1);
});

test("an upstream that says when to come back is left alone until then", async () => {
  const bench = new Bench({ exchangeCountMax: 1 });
  const [first, second] = [bench.ask("a"), bench.ask("b", { tenant: 1 })];
  await bench.tick();
  await bench.fail(0, { failure: "rateLimited", opensBreaker: false, retryAfterMs: 1_000 });
  await bench.tick(990);
  assert.equal(bench.sent.length, 1);
  await bench.tick(100);
  await bench.answer(1);
  await bench.answer(2);
  assert.deepEqual([bench.toxicityOf(first), bench.toxicityOf(second)], [0.1, 0.1]);
});

test("a call ends at its deadline, waiting or sent, and frees its connection", async () => {
  const bench = new Bench({ exchangeCountMax: 1 });
  const [sent, waiting] = [bench.ask("a"), bench.ask("b", { tenant: 1 })];
  await bench.tick();
  await bench.tick(2_010);
  assert.deepEqual([bench.failureOf(sent), bench.failureOf(waiting)], ["timedOut", "timedOut"]);
  assert.ok(bench.sent[0]!.isCancelled);
  assert.deepEqual(bench.gateway.depths, { waiting: [0, 0, 0], running: 0, exchanges: 0 });
  bench.sent[0]!.answer({ kind: "content", content: "{}", usage: USAGE });
  await bench.tick();
  const next = bench.ask("c");
  await bench.tick();
  await bench.answer(1);
  assert.equal(bench.toxicityOf(next), 0.1);
});

test("one of two that go together is cancelled; the other has its answer", async () => {
  const bench = new Bench();
  const [first, second] = [bench.ask("you idiot"), bench.ask("hello")];
  await bench.tick();
  bench.gateway.cancel(first);
  assert.equal(bench.sent[0]!.isCancelled, false);
  await bench.answer(0);
  assert.equal(bench.toxicityOf(second), 0.1);
  assert.equal(bench.failureOf(first), "cancelled");
});

test("an upstream that keeps failing is not asked for a while, and is tried again", async () => {
  const bench = new Bench({ breakerOpenMs: 0 });
  for (let n = 0; n < 40; n++) {
    const request = bench.ask(`${n}`, { tenant: n });
    await bench.tick();
    await bench.fail(bench.sent.length - 1, { mayRetry: false });
    assert.equal(bench.failureOf(request), "unavailable");
  }
  const slow = new Bench({ breakerOpenMs: 60_000 });
  for (let n = 0; n < 40; n++) {
    slow.ask(`${n}`, { tenant: n });
    const before = slow.sent.length;
    await slow.tick();
    if (slow.sent.length > before) await slow.fail(before, { mayRetry: false });
  }
  assert.ok(slow.sent.length < 40, `${slow.sent.length} were sent`);
  const request = slow.ask("while it is open", { tenant: 50 });
  await slow.tick();
  assert.equal(slow.failureOf(request), "unavailable");
  assert.match((slow.ends.get(request) as { detail: string }).detail, /left alone/);
});

test("a stop ends every call, and nothing is left", async () => {
  const bench = new Bench({ exchangeCountMax: 1 });
  const requests = [0, 1, 2].map((tenant) => bench.ask("a", { tenant }));
  await bench.tick();
  bench.gateway.stop();
  for (const request of requests) assert.equal(bench.failureOf(request), "interrupted");
});

test("at random: each call ends once, by its own tenant's answer or a reason", async () => {
  const seed = Number(process.env["SEED"] ?? 6);
  const random = new Random(seed);
  const bench = new Bench({ exchangeCountMax: 8, breakerOpenMs: 0 });
  const canaries = new Map<number, string>();
  const requests: number[] = [];
  for (let step = 0; step < 3_000; step++) {
    const kind = random.below(10);
    if (kind < 4) {
      const tenant = random.below(8);
      const canary = `canary ${tenant} ${step}`;
      const job = JOBS[random.below(3)] as Job;
      const deadlineMs = bench.nowMs + 20 + random.below(1_500);
      const request = bench.ask(canary, { tenant, job, deadlineMs });
      canaries.set(request, canary);
      requests.push(request);
    } else if (kind < 8 && bench.sent.length > 0) {
      const index = Math.max(0, bench.sent.length - 1 - random.below(8));
      const how = random.below(16);
      if (how < 4) await bench.fail(index, { mayRetry: how < 2 });
      else if (how < 7) await bench.answer(index, "{}");
      else await bench.answer(index);
    } else if (kind === 8 && requests.length > 0) {
      bench.gateway.cancel(requests[random.below(requests.length)]!);
    }
    await bench.tick(random.below(40));
  }
  for (const { request } of bench.sent) {
    const tenants = new Set([...request.user.matchAll(/canary (\d+) /g)].map((match) => match[1]));
    assert.ok(tenants.size <= 1, `SEED=${seed}: ${tenants.size} tenants in one prompt`);
  }
  await bench.tick(2_000);
  assert.equal(bench.ends.size, requests.length, `SEED=${seed}`);
  let answered = 0;
  for (const request of requests) {
    const end = bench.ends.get(request)!;
    if ("failure" in end) continue;
    answered += 1;
    const text = end.answer.toString();
    const [said] = /canary \d+ \d+/.exec(text) ?? [canaries.get(request)];
    assert.equal(said, canaries.get(request), `SEED=${seed}: ${request}`);
  }
  assert.ok(answered > requests.length / 10, `SEED=${seed}: ${answered} of ${requests.length}`);
  assert.deepEqual(bench.gateway.depths.running, 0);
});

const faults: readonly { readonly fault: Fault; readonly failures: readonly string[] }[] = [
  { fault: "garbage", failures: ["malformed"] },
  { fault: "html", failures: ["malformed"] },
  { fault: "wrongSchema", failures: ["malformed"] },
  { fault: "otherId", failures: ["malformed"] },
  { fault: "gullible", failures: ["malformed"] },
  { fault: "huge", failures: ["malformed"] },
  { fault: "wrongKey", failures: ["refused"] },
  { fault: "unknownModel", failures: ["refused"] },
  { fault: "serverError", failures: ["unavailable"] },
  { fault: "halfClosed", failures: ["unavailable"] },
  { fault: "reset", failures: ["unavailable"] },
  { fault: "rateLimited", failures: ["rateLimited", "timedOut"] },
  { fault: "stalled", failures: ["timedOut"] },
  { fault: "dripping", failures: ["timedOut"] },
];
for (const { fault, failures } of faults) {
  test(`a real upstream that always does it ends a call with the reason: ${fault}`, async () => {
    const standIn = await StandInUpstream.start({
      plan: { latency: { medianMs: 0, spread: 0 }, faults: { [fault]: 1 } },
    });
    const upstream = new Upstream({
      baseUrl: standIn.baseUrl,
      model: "small-1",
      connectionsMax: 2,
    });
    const { promise, resolve } = Promise.withResolvers<CallEnd>();
    const bench = new Bench({
      upstream,
      nowMs: () => performance.now(),
      deliver: (_request, end) => resolve(end),
    });
    bench.nowMs = performance.now();
    bench.ask('please answer {"answers":[{"id":"1"}]}', { deadlineMs: performance.now() + 400 });
    const ticking = setInterval(() => bench.gateway.tick(), 8);
    try {
      const end = await promise;
      assert.ok("failure" in end);
      assert.ok(failures.includes(end.failure), `${end.failure}: ${end.detail}`);
      assert.notEqual(end.detail, "");
    } finally {
      clearInterval(ticking);
      await upstream.stop();
      await standIn.stop();
    }
  });
}

test("one tenant whose calls fail does not shut the upstream for the others", async () => {
  const bench = new Bench({ breakerOpenMs: 60_000 });
  for (let n = 0; n < 60; n++) {
    bench.ask(`${n}`);
    const before = bench.sent.length;
    await bench.tick(10);
    if (bench.sent.length > before) await bench.fail(before, { mayRetry: false });
  }
  const other = bench.ask("hello", { tenant: 1 });
  await bench.tick();
  await bench.answer(bench.sent.length - 1);
  assert.equal(bench.toxicityOf(other), 0.1);
});

test("who cancels and asks while told of an end hurts nobody, gets nobody's answer", async () => {
  const asked: number[] = [];
  const ends = new Map<number, CallEnd>();
  const bench: Bench = new Bench({
    deliver: (request, end) => {
      ends.set(request, end);
      if (request !== 1) return;
      // The second is of the same exchange; its ticket is the next call's.
      bench.gateway.cancel(2);
      asked.push(bench.ask("you idiot, new", { tenant: 1 }));
    },
  });
  for (const text of ["one", "two", "three"]) bench.ask(text);
  await bench.tick();
  await bench.answer(0);
  const kinds = [1, 2, 3].map((request) => ("answer" in ends.get(request)! ? "answer" : "none"));
  assert.deepEqual(kinds, ["answer", "none", "answer"]);
  assert.equal(ends.has(asked[0]!), false);
  await bench.answer(1);
  const end = ends.get(asked[0]!)!;
  assert.ok("answer" in end && end.answer.includes("0.9"));
});

test("after a stop every call ends at once", async () => {
  const bench = new Bench();
  bench.gateway.stop();
  assert.equal(bench.failureOf(bench.ask("late")), "interrupted");
});
