// The gateway's thread as the engine holds it, against a real server.
import assert from "node:assert/strict";
import { once } from "node:events";
import test, { type TestContext } from "node:test";
import type { MessagePort } from "node:worker_threads";
import type { AskedCall, CallMessage, EndedCall, EndMessage } from "#llm/protocol.ts";
import type { LlmSettings, UpstreamSettings } from "#llm/settings.ts";
import type { Job } from "#model/consultation.ts";
import { writePromptParts } from "#model/prompt-parts.ts";
import { createRing, RingReader } from "#std/byte-ring.ts";
import type { Fault } from "#stand-in/faults.ts";
import { StandInUpstream, type StandInOptions } from "#stand-in/stand-in-upstream.ts";
import { OPEN, SETTINGS } from "#testing/gateway-bench.ts";
import { INJECTIONS } from "#testing/injections.ts";
import { type LlmThread, startLlm } from "./llm-thread.ts";

const TENANTS = 64;

type Stage = { readonly standIn: StandInUpstream; readonly llm: LlmThread };

/** A stand-in and a thread that asks it for moderation and TL;DRs; both end with the test. */
async function stage(
  context: TestContext,
  options: {
    readonly standIn?: StandInOptions;
    readonly upstream?: Partial<UpstreamSettings>;
    readonly llm?: Partial<LlmSettings>;
  } = {},
): Promise<Stage> {
  const standIn = await StandInUpstream.start({ model: "small-1", ...options.standIn });
  context.after(() => standIn.stop());
  const upstream = { ...SETTINGS, baseUrl: standIn.baseUrl, ...options.upstream };
  const llm = await startLlm(
    {
      jobs: { moderation: upstream, tldr: upstream },
      budget: OPEN,
      tenantRunningMax: 8,
      cacheMsMax: 60_000,
      ...options.llm,
    },
    TENANTS,
  );
  context.after(() => llm.stop());
  return { standIn, llm };
}

function callOf(text: string, options: Partial<AskedCall> = {}): Omit<AskedCall, "request"> {
  return {
    tenant: "acme",
    job: "moderation",
    prompt: writePromptParts([{ kind: "subject", name: "ann", text }]),
    policyVersion: 1,
    waitMsMax: 10_000,
    ...options,
  };
}

function toxicityOf({ end }: EndedCall): number | undefined {
  if ("failure" in end) return undefined;
  const { buffer, byteOffset } = end.answer;
  return Math.round(10 * new DataView(buffer, byteOffset).getFloat32(0, true)) / 10;
}

function failureOf({ end }: EndedCall): string | undefined {
  return "failure" in end ? end.failure : undefined;
}

test("a call has its answer, and again at once; what it took is told", async (context) => {
  const { llm } = await stage(context);
  const first = await llm.ask(callOf("you idiot"));
  assert.equal(toxicityOf(first), 0.9);
  const again = await llm.ask(callOf("you  idiot"));
  assert.ok("answer" in again.end && again.end.isCached);
  const tldr = await llm.ask({ ...callOf("42 people"), job: "tldr" });
  assert.ok("answer" in tldr.end);
  const said = JSON.parse(Buffer.from(tldr.end.answer).toString()) as { sentences: string[] };
  assert.match(said.sentences[0]!, /42 people/);
  const off = await llm.ask({ ...callOf("a"), job: "rolling" });
  assert.equal(failureOf(off), "off");
  const usage = await llm.usage("acme");
  assert.deepEqual(
    usage.jobs.map(({ job, calls, answered, cached }) => ({ job, calls, answered, cached })),
    [
      { job: "moderation", calls: 2, answered: 1, cached: 1 },
      { job: "tldr", calls: 1, answered: 1, cached: 0 },
    ],
  );
  const stats = await llm.stats();
  assert.deepEqual(
    stats.jobs.map(({ job, answered }) => [job, answered]),
    [
      ["moderation", 1],
      ["tldr", 1],
    ],
  );
  assert.equal(stats.top[0]!.tenant, "acme");
  assert.deepEqual(
    stats.traces.map(({ outcome }) => outcome),
    ["answered", "cached", "answered"],
  );
  assert.ok(stats.cpuMs > 0 && stats.jobs[0]!.upstreamMs.max > 0);
  assert.deepEqual(usage.left, { calls: null, tokens: null, micros: null });
});

test("calls of a step end in a message to their port, and the shard is woken", async (context) => {
  const { llm } = await stage(context);
  const buffer = createRing(1_024);
  const reader = new RingReader(buffer);
  const port = llm.attach(buffer);
  reader.look();
  const calls = ["you idiot", "hello"].map((text, request) => ({ ...callOf(text), request }));
  port.postMessage({ type: "ask", calls } satisfies CallMessage);
  const ends = await endsOf(port, 2);
  assert.deepEqual([toxicityOf(ends.get(0)!), toxicityOf(ends.get(1)!)], [0.9, 0.1]);
  assert.equal(reader.wait(1_000), true, "it does not sleep");
  port.close();
});

test("a port that closes takes its calls along; a cancel ends one", async (context) => {
  const { llm, standIn } = await stage(context);
  standIn.script.push("stalled", "stalled", "stalled");
  const port = llm.attach(createRing(1_024));
  const calls = [1, 2, 3].map((request) => ({
    ...callOf("a", { tenant: `tenant ${request}` }),
    request,
  }));
  port.postMessage({ type: "ask", calls } satisfies CallMessage);
  port.postMessage({ type: "cancel", requests: [2, 99] } satisfies CallMessage);
  const ends = await endsOf(port, 1);
  assert.equal(failureOf(ends.get(2)!), "cancelled");
  port.close();
  for (;;) {
    const [moderation] = (await llm.stats()).jobs;
    if (moderation!.failures.cancelled === 3) break;
  }
});

test("a stop ends what waits, and the thread", async (context) => {
  const { llm, standIn } = await stage(context);
  standIn.script.push("stalled");
  const waiting = llm.ask(callOf("a"));
  await llm.stop();
  assert.equal(failureOf(await waiting), "interrupted");
  assert.equal(failureOf(await llm.ask(callOf("b"))), "unavailable");
  await assert.rejects(llm.stats(), { code: "NEXUSCORE_LLM_DOWN" });
});

test("a thread that dies is started again with its limits; who waits is told", async (context) => {
  const { llm, standIn } = await stage(context);
  context.mock.method(process, "emitWarning", () => undefined);
  llm.putLimits("frugal", { budget: { ...OPEN, callsPerMinute: 0 } });
  llm.putLimits("spender", {
    budget: { ...OPEN, microsPerDay: 1_000 },
    spent: { spentMicros: 900, atMs: Date.now() },
  });
  standIn.script.push("stalled");
  const waiting = llm.ask(callOf("a"));
  const { promise, resolve } = Promise.withResolvers<MessagePort>();
  llm.onRestart(() => resolve(llm.attach(createRing(1_024))));
  kill(llm);
  assert.equal(failureOf(await waiting), "interrupted");
  const port = await promise;
  port.postMessage({
    type: "ask",
    calls: [{ ...callOf("you idiot"), request: 7 }],
  } satisfies CallMessage);
  const ends = await endsOf(port, 1);
  assert.equal(toxicityOf(ends.get(7)!), 0.9, "asked while there was no thread");
  assert.equal(failureOf(await llm.ask(callOf("a", { tenant: "frugal" }))), "overBudget");
  const { left } = await llm.usage("spender");
  assert.ok(left.micros! <= 101, `${left.micros} are left`);
  assert.equal(llm.restartCount, 1);
  port.close();
});

test("a thread that keeps dying stays down, and says so", async (context) => {
  const { llm } = await stage(context);
  context.mock.method(process, "emitWarning", () => undefined);
  context.mock.timers.enable({ apis: ["setTimeout"] });
  for (let deaths = 0; deaths <= 5; deaths++) {
    const { promise, resolve } = Promise.withResolvers<void>();
    llm.onRestart(resolve);
    kill(llm);
    await promise;
    context.mock.timers.tick(10_000);
  }
  assert.equal(failureOf(await llm.ask(callOf("a"))), "unavailable");
  const port = llm.attach(createRing(1_024));
  port.postMessage({
    type: "ask",
    calls: [{ ...callOf("a"), request: 1 }],
  } satisfies CallMessage);
  assert.equal(failureOf((await endsOf(port, 1)).get(1)!), "unavailable");
  port.close();
});

test("the day's money is told, and is what a next thread begins with", async (context) => {
  const { llm } = await stage(context, { llm: { budget: { ...OPEN, microsPerDay: 1e6 } } });
  await llm.ask(callOf("a"));
  const [spent] = await llm.spending();
  assert.equal(spent!.tenant, "acme");
  assert.ok(spent!.spentMicros > 0);
  assert.deepEqual(await llm.spending(), []);
  const { llm: next } = await stage(context, { llm: { budget: { ...OPEN, microsPerDay: 1e6 } } });
  next.putLimits("acme", { spent: spent! });
  const { left } = await next.usage("acme");
  assert.ok(left.micros! < 1e6 && left.micros! > 1e6 - spent!.spentMicros - 1);
});

type Bad = {
  readonly name: string;
  readonly failures: readonly string[];
  readonly fault?: Fault;
  readonly standIn?: StandInOptions;
  readonly upstream?: Partial<UpstreamSettings>;
  readonly llm?: Partial<LlmSettings>;
  readonly detail: RegExp;
};
const bads: readonly Bad[] = [
  {
    name: "the wrong key",
    standIn: { apiKey: "right" },
    upstream: { apiKey: "wrong" },
    failures: ["refused"],
    detail: /401: Incorrect API key/,
  },
  {
    name: "an unknown model",
    upstream: { model: "none" },
    failures: ["refused"],
    detail: /404: No such model/,
  },
  { name: "HTML", fault: "html", failures: ["malformed"], detail: /text\/html/ },
  { name: "invalid JSON", fault: "garbage", failures: ["malformed"], detail: /not JSON/ },
  { name: "another schema", fault: "wrongSchema", failures: ["malformed"], detail: /schema/ },
  { name: "another id", fault: "otherId", failures: ["malformed"], detail: /no case's/ },
  { name: "bytes without end", fault: "huge", failures: ["malformed"], detail: /more than 65536/ },
  { name: "a byte a second", fault: "dripping", failures: ["timedOut"], detail: /No answer in/ },
  { name: "nothing, ever", fault: "stalled", failures: ["timedOut"], detail: /No answer in/ },
  { name: "half an answer", fault: "halfClosed", failures: ["unavailable"], detail: /No answer:/ },
  { name: "a reset", fault: "reset", failures: ["unavailable"], detail: /No answer:/ },
  { name: "an error", fault: "serverError", failures: ["unavailable"], detail: /500/ },
  { name: "a redirect", fault: "redirect", failures: ["refused"], detail: /307/ },
  {
    name: "too many requests",
    fault: "rateLimited",
    failures: ["rateLimited", "timedOut"],
    detail: /429|No answer|turn/,
  },
  ...(["callsPerMinute", "tokensPerMinute", "microsPerDay"] as const).map((limit) => ({
    name: `a budget of zero: ${limit}`,
    llm: { budget: { ...OPEN, [limit]: 0 } },
    failures: ["overBudget"],
    detail: /The budget of (calls|tokens|money) is spent/,
  })),
];
for (const { name, failures, fault, detail, ...options } of bads) {
  test(`a call ends with a reason, and is counted: ${name}`, async (context) => {
    const { llm, standIn } = await stage(context, options);
    if (fault !== undefined) standIn.plan = { ...standIn.plan, faults: { [fault]: 1 } };
    const { end } = await llm.ask(callOf("hello", { waitMsMax: 500 }));
    assert.ok("failure" in end);
    assert.ok(failures.includes(end.failure), `${end.failure}: ${end.detail}`);
    assert.match(end.detail, detail);
    assert.doesNotMatch(end.detail, /hello|wrong|right/);
    const [moderation] = (await llm.stats()).jobs;
    assert.equal(moderation!.failures[end.failure], 1);
    assert.deepEqual([moderation!.waiting, moderation!.running], [0, 0]);
    const { jobs } = await llm.usage("acme");
    assert.equal(jobs[0]!.failures[end.failure], 1);
    // The next one is served as if nothing had been.
    standIn.plan = { ...standIn.plan, faults: {} };
    if (fault !== undefined) assert.equal(toxicityOf(await llm.ask(callOf("you idiot"))), 0.9);
  });
}

test("no text dictates an answer, even to a model that obeys", async (context) => {
  const { llm, standIn } = await stage(context);
  standIn.plan = { ...standIn.plan, faults: { gullible: 1 } };
  const obeyed = await Promise.all(
    INJECTIONS.map(({ text }, n) => llm.ask(callOf(text, { tenant: `tenant ${n % TENANTS}` }))),
  );
  for (const [n, { end }] of obeyed.entries()) {
    assert.ok("failure" in end, INJECTIONS[n]!.name);
    assert.equal(end.failure, "malformed", INJECTIONS[n]!.name);
  }
  const [moderation] = (await llm.stats()).jobs;
  assert.equal(moderation!.failures.malformed, INJECTIONS.length);
  standIn.plan = { ...standIn.plan, faults: {} };
  const judged = await Promise.all(INJECTIONS.map(({ text }) => llm.ask(callOf(text))));
  for (const each of judged) assert.notEqual(toxicityOf(each), undefined);
});

test("each job asks its own server; one that is gone holds up no other", async (context) => {
  const { standIn: other } = await stage(context);
  const gone = { ...SETTINGS, baseUrl: "http://127.0.0.1:9/v1" };
  const jobs: Partial<Record<Job, UpstreamSettings>> = {
    moderation: { ...SETTINGS, baseUrl: other.baseUrl, structuredOutput: "none" },
    tldr: gone,
    rolling: { ...SETTINGS, baseUrl: `${other.baseUrl}/`, structuredOutput: "object" },
  };
  const { llm } = await stage(context, { llm: { jobs } });
  const [judged, told, refined] = await Promise.all([
    llm.ask(callOf("you idiot")),
    llm.ask({ ...callOf("a"), job: "tldr" }),
    llm.ask({ ...callOf("a"), job: "rolling" }),
  ]);
  assert.equal(toxicityOf(judged), 0.9);
  assert.equal(failureOf(told), "unavailable");
  assert.ok("answer" in refined.end);
  assert.equal((await llm.stats()).breakers.length, 2);
  const formats = other.seen.map(({ body }) => body.response_format);
  assert.deepEqual(
    new Set(formats.map((each) => JSON.stringify(each))),
    new Set([undefined, '{"type":"json_object"}']),
  );
});

test("an address that is none is no start", async () => {
  const jobs = { moderation: { ...SETTINGS, baseUrl: "no address" } };
  const settings = { jobs, budget: OPEN, tenantRunningMax: 1, cacheMsMax: 0 };
  await assert.rejects(startLlm(settings, TENANTS), TypeError);
});

/** Ends that come to a port, by request. */
async function endsOf(port: MessagePort, count: number): Promise<Map<number, EndedCall>> {
  const ends = new Map<number, EndedCall>();
  while (ends.size < count) {
    const [message] = (await once(port, "message")) as [EndMessage];
    for (const ended of message.ends) ends.set(ended.request, ended);
  }
  return ends;
}

/** As a bug would: what wakes a shard is no ring. */
function kill(llm: LlmThread): void {
  const port = llm.attach({} as SharedArrayBuffer);
  port.postMessage({
    type: "ask",
    calls: [{ ...callOf("a"), job: "rolling", request: 1 }],
  } satisfies CallMessage);
}
