import assert from "node:assert/strict";
import test from "node:test";
import { JOBS, type Job, NO_USAGE } from "#model/consultation.ts";
import { Random } from "#std/random.ts";
import { answerTo } from "#stand-in/answers.ts";
import { GatewayBench as Bench, jobOf, USAGE } from "#testing/gateway-bench.ts";

test("calls of a tenant that wait go together, and each gets its own answer", () => {
  const bench = new Bench();
  const [kind, rude, other] = [
    bench.ask("hello"),
    bench.ask("you idiot"),
    bench.ask("x", { tenant: 1 }),
  ];
  bench.tick();
  assert.equal(bench.sent.length, 2, "never two tenants in one prompt");
  assert.ok(!bench.sent[0]!.request.user.includes("| x"));
  bench.answer(0);
  assert.deepEqual([bench.toxicityOf(kind), bench.toxicityOf(rude)], [0.1, 0.9]);
  assert.equal(bench.ends.has(other), false);
});

test("long prompts of a tenant go in several requests: a context is not endless", () => {
  const bench = new Bench();
  for (let n = 0; n < 6; n++) bench.ask(`${n} ${"word ".repeat(1_200)}`);
  bench.tick();
  const cases = bench.sent.map(({ request }) => request.user.match(/^#\w+ case /gm)!.length);
  assert.deepEqual(cases, [3, 3]);
});

test("what was asked before is answered at once, to the same tenant and policy alone", () => {
  const bench = new Bench();
  bench.ask("you idiot");
  bench.tick();
  bench.answer(0);
  const again = bench.ask("you  idiot");
  assert.equal(bench.toxicityOf(again), 0.9);
  for (const options of [{ tenant: 1 }, { policyVersion: 2 }]) bench.ask("you idiot", options);
  bench.tick();
  assert.equal(bench.sent.length, 3);
});

test("a call beyond a budget ends at once, and its budget comes back", () => {
  const bench = new Bench({}, { callsPerMinute: 1 });
  const [first, second] = [bench.ask("a"), bench.ask("b")];
  assert.equal(bench.failureOf(second), "overBudget");
  assert.equal(bench.detailOf(second), "The budget of calls is spent; again in 60 s.");
  bench.cancel(first);
  assert.equal(bench.failureOf(first), "cancelled");
  assert.equal(bench.failureOf(bench.ask("c")), undefined, "what was not sent costs nothing");
});

test("a queue that is full ends the call, and names whose it is", () => {
  const bench = new Bench({ tenantWaitingMax: 2 });
  for (const text of ["a", "b"]) bench.ask(text);
  const third = bench.ask("c");
  assert.equal(bench.failureOf(third), "queueFull");
  assert.match((bench.ends.get(third) as { detail: string }).detail, /of this tenant/);
  assert.equal(bench.failureOf(bench.ask("d", { tenant: 1 })), undefined);
});

test("an answer that is not of the schema is asked for once more, and then given up", () => {
  const bench = new Bench();
  const [repaired, given] = [bench.ask("a"), bench.ask("b", { tenant: 1 })];
  bench.tick();
  bench.answer(0, "Sure! It is fine.");
  assert.match(bench.sent[2]!.request.user, /The answer is not JSON/);
  bench.answer(2);
  assert.equal(bench.toxicityOf(repaired), 0.1);
  bench.answer(1, "{}");
  bench.answer(3, "{}");
  assert.equal(bench.failureOf(given), "malformed");
  assert.equal(bench.stats("moderation").malformed, 3);
});

test("a TL;DR that says another number than the record is not told", () => {
  const bench = new Bench();
  const told = bench.ask("42 people", { job: "tldr" });
  const untold = bench.ask("17 people", { job: "tldr" });
  bench.tick();
  bench.answer(0);
  assert.ok("answer" in bench.ends.get(told)!);
  const lie = (index: number): string =>
    answerTo("tldr", bench.sent[index]!.request.user).replace("17", "18");
  bench.answer(1, lie(1));
  bench.answer(2, lie(2));
  assert.equal(bench.failureOf(untold), "malformed");
});

test("a failure that may pass is tried again, and one that stays is an end", () => {
  const bench = new Bench();
  const [first, second] = [bench.ask("a"), bench.ask("b", { tenant: 1 })];
  bench.tick();
  bench.fail(0, {});
  bench.fail(1, { failure: "refused", mayRetry: false });
  assert.equal(bench.failureOf(second), "refused");
  bench.tick(48);
  assert.equal(bench.sent.length, 2);
  bench.tick(8);
  bench.answer(2);
  assert.equal(bench.toxicityOf(first), 0.1);
});

test("a tenant whose calls fail does not take the last retry from the others", () => {
  const bench = new Bench();
  let failed = 0;
  for (let n = 0; n < 600; n++) {
    bench.ask(`${n}`, { job: "tldr", waitMs: 60_000 });
    bench.tick(8);
    // The breaker has no part in it: what fails is what this tenant asks.
    for (; failed < bench.sent.length; failed++) bench.fail(failed, { opensBreaker: false });
  }
  const { retries } = bench.stats("tldr");
  assert.ok(retries > 80 && retries < 130, `${retries}`);
  const other = bench.ask("you idiot", { tenant: 1 });
  bench.tick();
  bench.fail(bench.sent.length - 1, { opensBreaker: false });
  bench.tick(104);
  bench.answer(bench.sent.length - 1);
  assert.equal(bench.toxicityOf(other), 0.9);
});

test("an upstream that says when to come back is left alone until then", () => {
  const bench = new Bench({ exchangeCountMax: 1 });
  const [first, second] = [bench.ask("a"), bench.ask("b", { tenant: 1 })];
  bench.tick();
  bench.fail(0, { failure: "rateLimited", opensBreaker: false, retryAfterMs: 1_000 });
  bench.tick(990);
  assert.equal(bench.sent.length, 1);
  bench.tick(100);
  bench.answer(1);
  bench.answer(2);
  assert.deepEqual([bench.toxicityOf(first), bench.toxicityOf(second)], [0.1, 0.1]);
});

test("who cannot wait for as long as the upstream asks is told so, and at once", () => {
  const bench = new Bench({ exchangeCountMax: 1 });
  const [first, waiting] = [bench.ask("a"), bench.ask("b", { tenant: 1 })];
  const patient = bench.ask("c", { tenant: 2, waitMs: 20_000 });
  bench.tick();
  const failed = { failure: "rateLimited", opensBreaker: false, retryAfterMs: 10_000 } as const;
  bench.fail(0, failed);
  assert.equal(bench.failureOf(first), "rateLimited");
  const late = bench.ask("d", { tenant: 3 });
  assert.equal(bench.failureOf(late), "rateLimited");
  assert.match(bench.detailOf(late)!, /for longer than the call can wait/);
  bench.tick(2_010);
  assert.equal(bench.failureOf(waiting), "rateLimited", "which waited already");
  bench.tick(8_000);
  assert.equal(bench.sent.length, 2);
  bench.answer(1);
  assert.equal(bench.toxicityOf(patient), 0.1);
});

test("a short pause is not why a call's turn did not come", () => {
  const bench = new Bench({ exchangeCountMax: 1 });
  const [first, waiting] = [bench.ask("a", { waitMs: 60_000 }), bench.ask("b", { tenant: 1 })];
  bench.tick();
  bench.tick(1_990);
  const failed = { failure: "rateLimited", opensBreaker: false, retryAfterMs: 50 } as const;
  bench.fail(0, failed);
  bench.tick(20);
  assert.equal(bench.failureOf(first), undefined);
  assert.equal(bench.failureOf(waiting), "timedOut");
});

test("of an error that repeats the prompt nothing is told but its kind", () => {
  const bench = new Bench();
  const request = bench.ask("a secret between friends");
  bench.tick();
  const detail = "It answered 400: cannot read | a secret between friends";
  bench.fail(0, { failure: "refused", mayRetry: false, detail });
  assert.equal(bench.detailOf(request), "It answered 400: it repeats what it was asked.");
});

test("an answer that does not say what it took keeps its estimate", () => {
  const bench = new Bench({}, { tokensPerMinute: 10_000 });
  const left = (): number => bench.budgets.left(0, bench.nowMs)[1];
  const request = bench.ask("a");
  const estimated = left();
  assert.ok(estimated < 10_000);
  bench.tick();
  const sent = bench.sent[0]!;
  const content = answerTo("moderation", sent.request.user);
  sent.answer({ kind: "content", content, usage: undefined });
  assert.equal(bench.toxicityOf(request), 0.1);
  assert.equal(left(), estimated);
});

test("a call ends at its deadline, waiting or sent, and frees its connection", () => {
  const bench = new Bench({ exchangeCountMax: 1 });
  const [sent, waiting] = [bench.ask("a"), bench.ask("b", { tenant: 1 })];
  bench.tick();
  bench.tick(2_010);
  assert.deepEqual([bench.failureOf(sent), bench.failureOf(waiting)], ["timedOut", "timedOut"]);
  assert.ok(bench.sent[0]!.isCancelled);
  const { gateway } = bench;
  const depths = [gateway.waitingCount(0), gateway.runningCount(0), gateway.exchangeCount];
  assert.deepEqual(depths, [0, 0, 0]);
  bench.sent[0]!.answer({ kind: "content", content: "{}", usage: USAGE });
  bench.tick();
  const next = bench.ask("c");
  bench.tick();
  bench.answer(1);
  assert.equal(bench.toxicityOf(next), 0.1);
});

test("one of two that go together is cancelled; the other has its answer", () => {
  const bench = new Bench();
  const [first, second] = [bench.ask("you idiot"), bench.ask("hello")];
  bench.tick();
  bench.cancel(first);
  assert.equal(bench.sent[0]!.isCancelled, false);
  bench.answer(0);
  assert.equal(bench.toxicityOf(second), 0.1);
  assert.equal(bench.failureOf(first), "cancelled");
});

test("an upstream that keeps failing is not asked for a while, and is tried again", () => {
  const bench = new Bench({ breakerOpenMs: 0 });
  for (let n = 0; n < 40; n++) {
    const request = bench.ask(`${n}`, { tenant: n });
    bench.tick();
    bench.fail(bench.sent.length - 1, { mayRetry: false });
    assert.equal(bench.failureOf(request), "unavailable");
  }
  const slow = new Bench({ breakerOpenMs: 60_000 });
  for (let n = 0; n < 40; n++) {
    slow.ask(`${n}`, { tenant: n });
    const before = slow.sent.length;
    slow.tick();
    if (slow.sent.length > before) slow.fail(before, { mayRetry: false });
  }
  assert.ok(slow.sent.length < 40, `${slow.sent.length} were sent`);
  const request = slow.ask("while it is open", { tenant: 50 });
  slow.tick();
  assert.equal(slow.failureOf(request), "unavailable");
  assert.match((slow.ends.get(request) as { detail: string }).detail, /left alone/);
});

test("a tenant without patience does not close the upstream to the others", () => {
  const bench = new Bench({ exchangeCountMax: 8 });
  let other = -1;
  let answered = 0;
  for (let second = 0; second < 30; second++) {
    for (let tenth = 0; tenth < 10; tenth++) {
      for (const tenant of [0, 1]) bench.ask(`${second} ${tenth}`, { tenant, waitMs: 100 });
      if (tenth === 0) other = bench.ask(`${second}`, { tenant: 2 });
      bench.tick();
      // The upstream takes 300 ms, for which only the third tenant waits.
      for (let n = 0; n < 13; n++) bench.tick(8);
      if (tenth === 2) {
        const place = bench.sent.findLastIndex(({ isCancelled }) => !isCancelled);
        if (place !== -1) bench.answer(place);
        if (bench.toxicityOf(other) !== undefined) answered += 1;
      }
    }
  }
  assert.equal(answered, 30);
});

test("an upstream that hangs is left alone, once that is known", () => {
  const bench = new Bench({ exchangeCountMax: 64 });
  for (let n = 0; n < 8; n++) bench.ask(`${n}`, { tenant: n });
  bench.tick();
  for (let n = 0; n < 4; n++) bench.tick(520);
  const next = bench.ask("next", { tenant: 20 });
  bench.tick();
  assert.equal(bench.failureOf(next), "unavailable");
  assert.equal(bench.sent.length, 8);
});

test("a stop ends every call, and nothing is left", () => {
  const bench = new Bench({ exchangeCountMax: 1 });
  const requests = [0, 1, 2].map((tenant) => bench.ask("a", { tenant }));
  bench.tick();
  bench.gateway.stop();
  for (const request of requests) assert.equal(bench.failureOf(request), "interrupted");
});

/** As it should be answered, with the last line of each case in it. */
function echo(job: Job, user: string): string {
  if (job !== "moderation") return answerTo(job, user);
  const { answers } = JSON.parse(answerTo(job, user)) as { answers: { id: string }[] };
  const said = user.split(/^#\w+ end of case .*$/m).map((text) => text.trim().split("\n").at(-1)!);
  const echoes = answers.map((answer, at) => ({ ...answer, reason: said[at]!.slice(2) }));
  return JSON.stringify({ answers: echoes });
}

test("at random: each call ends once, by its own tenant's answer or a reason", () => {
  const seed = Number(process.env["SEED"] ?? 6);
  const random = new Random(seed);
  const bench = new Bench({ exchangeCountMax: 8, breakerOpenMs: 0, settings: { hedges: true } });
  const canaries = new Map<number, string>();
  const asked: { tenant: number; canary: string; job: Job }[] = [];
  for (let step = 0; step < 6_000; step++) {
    const kind = random.below(10);
    if (kind < 4) {
      const tenant = random.below(8);
      const fresh = { tenant, canary: `canary ${tenant} ${step}`, job: JOBS[random.below(3)]! };
      // Some ask what is asked, or was.
      const again = asked[asked.length - 1 - random.below(20)] ?? fresh;
      const question = random.chance(1, 4) ? again : fresh;
      asked.push(question);
      const { canary, ...options } = question;
      const waitMs = 20 + random.below(1_500);
      canaries.set(bench.ask(canary, { ...options, waitMs }), canary);
    } else if (kind < 8 && bench.sent.length > 0) {
      const index = Math.max(0, bench.sent.length - 1 - random.below(8));
      const how = random.below(16);
      const { request } = bench.sent[index]!;
      if (how < 4) bench.fail(index, { mayRetry: how < 2 });
      else if (how < 7) bench.answer(index, "{}");
      else bench.answer(index, echo(jobOf(request), request.user));
    } else if (kind === 8 && canaries.size > 0) {
      bench.cancel(1 + random.below(canaries.size));
    }
    bench.tick(random.below(40));
  }
  for (const { request } of bench.sent) {
    const tenants = new Set([...request.user.matchAll(/canary (\d+) /g)].map((match) => match[1]));
    assert.ok(tenants.size <= 1, `SEED=${seed}: ${tenants.size} tenants in one prompt`);
  }
  bench.tick(2_000);
  assert.equal(bench.ends.size, canaries.size, `SEED=${seed}`);
  let answered = 0;
  for (const [request, canary] of canaries) {
    const end = bench.ends.get(request)!;
    if ("failure" in end) continue;
    answered += 1;
    const [said] = /canary \d+ \d+/.exec(Buffer.from(end.answer).toString()) ?? [];
    assert.equal(said, canary, `SEED=${seed}: ${request}`);
  }
  assert.ok(answered > canaries.size / 10, `SEED=${seed}: ${answered} of ${canaries.size}`);
  const joined = JOBS.reduce((sum, job) => sum + bench.stats(job).joined, 0);
  assert.ok(joined > 20, `SEED=${seed}: ${joined} joined`);
  const { gateway } = bench;
  const open = JOBS.map((_, job) => gateway.waitingCount(job) + gateway.runningCount(job));
  assert.deepEqual([open, gateway.exchangeCount], [[0, 0, 0], 0], `SEED=${seed}`);
});

test("one tenant whose calls fail does not shut the upstream for the others", () => {
  const bench = new Bench({ breakerOpenMs: 60_000 });
  for (let n = 0; n < 60; n++) {
    bench.ask(`${n}`);
    const before = bench.sent.length;
    bench.tick(10);
    if (bench.sent.length > before) bench.fail(before, { mayRetry: false });
  }
  const other = bench.ask("hello", { tenant: 1 });
  bench.tick();
  bench.answer(bench.sent.length - 1);
  assert.equal(bench.toxicityOf(other), 0.1);
});

test("who cancels and asks while told of an end hurts nobody, gets nobody's answer", () => {
  const asked: number[] = [];
  const bench: Bench = new Bench({
    delivered: (request) => {
      if (request !== 1) return;
      // The second is of the same exchange; its ticket is the next call's.
      bench.cancel(2);
      asked.push(bench.ask("you idiot, new", { tenant: 1 }));
    },
  });
  for (const text of ["one", "two", "three"]) bench.ask(text);
  bench.tick();
  bench.answer(0);
  const kinds = [1, 2, 3].map((request) => bench.toxicityOf(request) ?? bench.failureOf(request));
  assert.deepEqual(kinds, [0.1, "cancelled", 0.1]);
  assert.equal(bench.ends.has(asked[0]!), false);
  bench.answer(1);
  assert.equal(bench.toxicityOf(asked[0]!), 0.9);
});

test("what a tenant asks already is not asked again; each has its answer and its own end", () => {
  const bench = new Bench({}, { callsPerMinute: 4 });
  const [first, second, third] = [bench.ask("you idiot"), bench.ask("you  idiot"), bench.ask("a")];
  const brief = bench.ask("you idiot", { waitMs: 100 });
  assert.equal(bench.failureOf(bench.ask("you idiot")), "overBudget", "it counts as a call");
  const other = bench.ask("you idiot", { tenant: 1 });
  bench.tick();
  assert.equal(bench.sent.length, 2, "nor with another tenant's");
  assert.equal(bench.sent[0]!.request.user.match(/you idiot/g)!.length, 1);
  bench.cancel(first);
  bench.tick(120);
  assert.deepEqual([bench.failureOf(first), bench.failureOf(brief)], ["cancelled", "timedOut"]);
  assert.equal(bench.sent[0]!.isCancelled, false);
  bench.answer(0);
  assert.deepEqual([bench.toxicityOf(second), bench.toxicityOf(third)], [0.9, 0.1]);
  assert.equal(bench.ends.has(other), false);
  assert.deepEqual([bench.stats("moderation").joined, bench.stats("moderation").answered], [2, 2]);
});

test("who joins a question that is given up has its reason; nobody's place is taken twice", () => {
  const bench = new Bench({ tenantWaitingMax: 3 });
  const requests = Array.from({ length: 6 }, () => bench.ask("a"));
  assert.deepEqual(requests.map((each) => bench.failureOf(each)).slice(3), [
    undefined,
    "queueFull",
    "queueFull",
  ]);
  bench.tick();
  bench.fail(0, { failure: "refused", mayRetry: false });
  for (const request of requests.slice(0, 4)) assert.equal(bench.failureOf(request), "refused");
  for (let n = 0; n < 4; n++) assert.equal(bench.failureOf(bench.ask("a")), undefined);
});

test("what takes longer than most is asked a second time; the first answer counts", () => {
  const bench = new Bench({ settings: { hedges: true }, exchangeCountMax: 8 });
  for (let n = 0; n < 200; n++) {
    bench.ask(`${n}`, { tenant: n % 8 });
    bench.tick(1);
    bench.nowMs += 99;
    bench.answer(n);
  }
  const slow = bench.ask("you idiot");
  bench.tick();
  bench.tick(96);
  assert.equal(bench.sent.length, 201);
  bench.tick(16);
  assert.equal(bench.sent.length, 202, "it is late");
  assert.equal(bench.sent[201]!.request.user, bench.sent[200]!.request.user);
  bench.answer(201);
  assert.equal(bench.toxicityOf(slow), 0.9);
  assert.ok(bench.sent[200]!.isCancelled);
  const failing = bench.ask("b");
  bench.tick(8);
  bench.tick(112);
  bench.fail(202, { mayRetry: false });
  assert.equal(bench.failureOf(failing), undefined, "the other one may do better");
  bench.answer(203);
  assert.equal(bench.toxicityOf(failing), 0.1);
  assert.equal(bench.stats("moderation").hedges, 2);
  for (let n = 0; n < 40; n++) bench.ask(`late ${n}`, { tenant: n % 8, waitMs: 10_000 });
  for (let n = 0; n < 40; n++) bench.tick(200);
  assert.ok(bench.stats("moderation").hedges <= 2 + 10, "a twentieth of the requests");
  assert.equal(bench.gateway.exchangeCount, 8);
});

test("what an answer took is settled; what nobody tells stays as it was estimated", () => {
  const bench = new Bench({}, { tokensPerMinute: 10_000 });
  const left = (): number => bench.budgets.left(0, bench.nowMs)[1];
  bench.ask("a");
  const estimated = 10_000 - left();
  assert.ok(estimated > 300);
  bench.tick();
  bench.answer(0);
  assert.equal(left(), 10_000 - 120);
  bench.ask("b");
  bench.tick();
  bench.fail(1, { mayRetry: false, usage: NO_USAGE });
  assert.equal(left(), 10_000 - 120, "an error costs nothing");
  bench.ask("c");
  bench.tick();
  bench.fail(2, { mayRetry: false, usage: undefined });
  assert.equal(left(), 10_000 - 120 - estimated);
  bench.ask("d");
  bench.tick();
  bench.answer(3, "{}");
  bench.answer(4, "{}");
  assert.equal(left(), 10_000 - 120 - estimated - 2 * 120, "what is no answer costs, too");
  const [usage] = bench.usage.of(0);
  assert.deepEqual([usage!.calls, usage!.answered, usage!.tokens.promptTokens], [4, 1, 300]);
  assert.deepEqual(usage!.failures, { unavailable: 2, malformed: 1 });
  assert.equal(usage!.costMicros, 3 * 120);
});

test("each call leaves a trace, the newest first, without a word of it", () => {
  const bench = new Bench();
  bench.ask("you idiot");
  bench.tick(8);
  bench.nowMs += 100;
  bench.answer(0);
  bench.ask("you idiot");
  const [cached, answered] = bench.traces.list();
  assert.equal(cached!.outcome, "cached");
  const { queuedMs, upstreamMs, tries, tokens, outcome, tenant } = answered!;
  assert.deepEqual(
    { queuedMs, upstreamMs, tries, tokens, outcome, tenant },
    {
      queuedMs: 8,
      upstreamMs: 100,
      tries: 1,
      tokens: 120,
      outcome: "answered",
      tenant: "tenant 0",
    },
  );
  assert.ok(!JSON.stringify(bench.traces.list()).includes("idiot"));
  for (let n = 0; n < 300; n++) bench.ask("you idiot");
  assert.equal(bench.traces.list().length, 256);
});

test("parts that are none end the call, and hurt nobody else", () => {
  const bench = new Bench();
  const broken = bench.ask("", { prompt: Buffer.from([1, 9, 0, 0]) });
  assert.equal(bench.failureOf(broken), "malformed");
  assert.equal(bench.stats("moderation").failures.malformed, 1);
});

test("a server without structured output may fence its JSON, others may not", () => {
  for (const structuredOutput of ["none", "schema"] as const) {
    const bench = new Bench({ settings: { structuredOutput } });
    const request = bench.ask("you idiot");
    bench.tick();
    const answer = answerTo("moderation", bench.sent[0]!.request.user);
    bench.answer(0, `\`\`\`json\n${answer}\n\`\`\``);
    assert.equal(bench.toxicityOf(request), structuredOutput === "none" ? 0.9 : undefined);
  }
});

test("a tenant's own limit of calls at once holds from now on", () => {
  const bench = new Bench();
  bench.gateway.setRunningMax(0, 1);
  const jobs = ["tldr", "tldr", "tldr"] as const;
  for (const [n, job] of jobs.entries()) bench.ask(`${n}`, { job });
  bench.tick();
  assert.equal(bench.sent.length, 1);
  bench.gateway.setRunningMax(0, undefined);
  bench.tick();
  assert.equal(bench.sent.length, 3);
});

test("after a stop every call ends at once", () => {
  const bench = new Bench();
  bench.gateway.stop();
  assert.equal(bench.failureOf(bench.ask("late")), "interrupted");
});
