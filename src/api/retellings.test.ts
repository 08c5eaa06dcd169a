// What is retold in an upstream's words, over HTTP.
import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import type { TSchema } from "typebox";
import { Value } from "typebox/value";
import { assembleServer } from "#cli/server.ts";
import { readEventStream } from "#cli/event-stream.ts";
import { TrendingSchema } from "#model/schemas.ts";
import { ConversationSchema } from "#model/summary-schemas.ts";
import type { ConversationAnswer } from "#model/summary-answer.ts";
import type { TrendingAnswer } from "#model/trending-answer.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import { FakeLlm } from "#testing/fake-llm.ts";
import { REFINED_EXAMPLE } from "./summary-examples.ts";
import { DEGRADED_EXAMPLE, RETOLD_EXAMPLE } from "./trending.ts";

const PATH = "/v1/tenants/acme/trending";
const CONVERSATION_PATH = "/v1/tenants/acme/conversations/general/summary";

async function open(t: TestContext, models?: FakeLlm["models"]) {
  const engine = new FakeEngine();
  const llm = new FakeLlm();
  llm.models = models ?? llm.models;
  if (models === undefined || Object.keys(models).length > 0) engine.llm = llm;
  const { server } = await assembleServer(engine, openLog("silent"));
  t.after(async () => server.close());
  const say = async (...texts: readonly string[]) => {
    const events = texts.map((text) => ({ user: "ada", conversation: "general", text }));
    const body = Buffer.from(JSON.stringify(events));
    return engine.offer({ tenant: "acme", body, format: "json" });
  };
  const get = async (url: string) => (await server.inject({ method: "GET", url })).json<object>();
  const trending = async (query = "") => (await get(`${PATH}${query}`)) as TrendingAnswer;
  const conversation = async () => (await get(CONVERSATION_PATH)) as ConversationAnswer;
  return { engine, server, say, trending, conversation, get, llm };
}

function holds(schema: TSchema, answer: unknown): void {
  assert.deepEqual([...Value.Errors(schema, answer)], [], JSON.stringify(answer));
}

test("retold: examples and answers keep to their schemas", async (t) => {
  for (const example of [RETOLD_EXAMPLE, DEGRADED_EXAMPLE]) holds(TrendingSchema, example);
  holds(ConversationSchema, REFINED_EXAMPLE);
  const { say, trending, conversation, llm } = await open(t);
  await say(...Array.from({ length: 9 }, () => "boss fight"));
  for (const failure of [true, false]) {
    llm.answer = ({ job }) => {
      if (failure) return "timedOut";
      return job === "tldr" ? { sentences: ["Boss fight."] } : { summary: "A boss fight." };
    };
    for (let look = 0; look < 2; look++) {
      holds(TrendingSchema, await trending());
      holds(ConversationSchema, await conversation());
    }
  }
});

test("retold: without an upstream nothing is asked, and answers are as they were", async (t) => {
  // No upstream at all, and one for other questions only.
  for (const models of [{}, { moderation: "small-0" }]) {
    const { engine, say, trending, conversation, llm } = await open(t, models);
    await say(...Array.from({ length: 9 }, () => "boss fight"));
    const answer = await trending("?tldrWaitMs=8000");
    const { tldr } = answer;
    assert.deepEqual(Object.keys(tldr), ["text", "sentences", "generatedBy", "degraded"]);
    assert.deepEqual([tldr.generatedBy, tldr.degraded], ["extractive", false]);
    assert.equal(engine.trendingCalls, 1);
    assert.ok(!Object.hasOwn(await conversation(), "refined"));
    assert.equal(llm.asks.length, 0);
  }
});

test("retold: a TL;DR is in the words of the model once it is there", async (t) => {
  const { say, trending, llm } = await open(t);
  await say("boss fight", "boss fight", "boss fight");
  const first = await trending();
  assert.deepEqual([first.tldr.generatedBy, first.tldr.degraded], ["extractive", false]);
  await llm.asks[0]!.end({ sentences: ["A boss fight:", "3 messages say so."] });
  assert.deepEqual((await trending()).tldr, {
    text: "A boss fight: 3 messages say so.",
    sentences: [{ text: "A boss fight:" }, { text: "3 messages say so." }],
    generatedBy: "small-1",
    degraded: false,
  });
  // "3" may have been the count of either word, or of messages; now these differ.
  await say("boss");
  const { generatedBy, text } = (await trending()).tldr;
  assert.deepEqual([generatedBy, text], ["extractive", '4 messages. "boss"']);
});

test("retold: also for who asks for few items, which are as few as they asked for", async (t) => {
  const { say, trending, llm } = await open(t);
  await say("boss fight", "boss fight", "fight night");
  llm.answer = () => ({ sentences: ["A boss fight, and a fight at night."] });
  for (const query of ["?limit=1", "?limit=1&order=count"]) {
    const { tldr, items } = await trending(`${query}&tldrWaitMs=8000`);
    assert.deepEqual([tldr.generatedBy, items.length], ["small-1", 1], query);
  }
});

test("retold: one that waits gets it, or what there is in time", async (t) => {
  const { engine, say, trending, llm, get } = await open(t);
  await say("boss fight", "boss fight", "boss fight");
  const waiting = trending("?tldrWaitMs=8000");
  while (llm.asks.length === 0) await new Promise((resolve) => void setImmediate(resolve));
  await say("boss fight");
  await llm.asks[0]!.end({ sentences: ["A boss fight."] });
  const answer = await waiting;
  assert.deepEqual([answer.tldr.generatedBy, answer.eventCount], ["small-1", 4]);
  assert.equal(engine.trendingCalls, 2, "it is of the window as it is then");
  const late = await open(t);
  await late.say("boss fight");
  assert.equal((await late.trending("?tldrWaitMs=1")).tldr.generatedBy, "extractive");
  const wrong = (await get(`${PATH}?tldrWaitMs=8001`)) as { code: string };
  assert.equal(wrong.code, "badRequest");
});

test("retold: what failed says why", async (t) => {
  const { say, trending, conversation, llm } = await open(t);
  llm.answer = () => "overBudget";
  await say(...Array.from({ length: 9 }, () => "boss fight"));
  await trending();
  const { tldr } = await trending();
  assert.deepEqual(
    [tldr.generatedBy, tldr.degraded, tldr.reason],
    ["extractive", true, "overBudget"],
  );
  await conversation();
  const { refined, text } = await conversation();
  assert.deepEqual(refined, { degraded: true, reason: "overBudget" });
  assert.equal(text.generatedBy, "extractive");
});

test("retold: a conversation has a refined summary beside its text", async (t) => {
  const { say, conversation, llm } = await open(t);
  await say(...Array.from({ length: 9 }, (_, n) => `boss ${n}`));
  assert.ok(!Object.hasOwn(await conversation(), "refined"));
  await llm.asks[0]!.end({ summary: "Bosses came, the last one was 8." });
  await say("boss 9");
  const { text, refined, lastMs } = await conversation();
  assert.equal(text.revision, 10);
  assert.deepEqual(refined, {
    text: "Bosses came, the last one was 8.",
    revision: 9,
    upToMs: lastMs - 1,
    generatedBy: "small-2",
    degraded: false,
  });
});

test("retold: who follows gets it when it is there, and their lists refine", async (t) => {
  const { server, say, get, llm } = await open(t);
  await say(...Array.from({ length: 9 }, () => "boss fight"));
  await get("/v1/tenants/acme/conversations");
  assert.equal(llm.asks.length, 0, "nobody follows");
  await server.listen({ host: "127.0.0.1", port: 0 });
  const { port } = server.server.address() as AddressInfo;
  const abort = new AbortController();
  const url = `http://127.0.0.1:${port}/v1/tenants/acme/live?summary=off`;
  const response = await fetch(url, { signal: abort.signal });
  const events = readEventStream(response.body ?? assert.fail("no stream"));
  const next = async (): Promise<TrendingAnswer> => {
    const event = (await events.next()).value ?? assert.fail("the stream ended");
    return JSON.parse(event.data) as TrendingAnswer;
  };
  assert.equal((await next()).tldr.generatedBy, "extractive");
  await llm.asks[0]!.end({ sentences: ["A boss fight."] });
  // Nothing was said meanwhile: the text alone is news.
  const { tldr, eventCount } = await next();
  assert.deepEqual([tldr.text, tldr.generatedBy, eventCount], ["A boss fight.", "small-1", 9]);
  await get("/v1/tenants/acme/conversations");
  assert.deepEqual(
    llm.asks.map(({ job }) => job),
    ["tldr", "rolling"],
  );
  abort.abort();
});
