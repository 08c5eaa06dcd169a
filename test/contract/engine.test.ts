// The doors on the real engine, moderator and weights: what a client of each gets, end to end.
import { assembleServer } from "#cli/server.ts";
import { startEngine } from "#engine/engine.ts";
import type { Verdict } from "#model/moderation.ts";
import { openLog } from "#observe/log.ts";
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";

const ABUSE = "you are an idiot";
const CLEAN = "thanks, the second link fixed my build";

let url = "";
let stop = async (): Promise<void> => undefined;

before(async () => {
  const engine = await startEngine({
    shardCount: 2,
    slotCount: 8,
    imageBytesMax: 64 * 1024 * 1024,
    tenantCountMax: 1_000,
  });
  const { server } = await assembleServer(engine, openLog("silent"));
  url = await server.listen({ host: "127.0.0.1", port: 0 });
  stop = async () => {
    await server.close();
    await engine.stop();
  };
});

after(async () => stop());

async function ask<Answer>(path: string, body?: unknown, method = "POST"): Promise<Answer> {
  const headers: Record<string, string> =
    body === undefined ? {} : { "content-type": "application/json" };
  const init =
    body === undefined ? { method, headers } : { method, headers, body: JSON.stringify(body) };
  const response = await fetch(`${url}${path}`, init);
  const text = await response.text();
  assert.ok(response.ok, `${response.status} ${text}`);
  return (text === "" ? undefined : JSON.parse(text)) as Answer;
}

test("engine: the openai client tells abuse from thanks, by its base URL alone", async () => {
  const client = new OpenAI({ apiKey: "any", baseURL: `${url}/v1`, maxRetries: 0 });
  const { model, results } = await client.moderations.create({ input: [ABUSE, CLEAN] });
  assert.match(model, /^nexuscore-embedded-\d+\+[0-9a-f]{12}\.[0-9a-f]{8}$/);
  const [abuse, clean] = results;
  assert.equal(abuse?.flagged, true);
  assert.equal(abuse.categories.harassment, true);
  assert.ok(abuse.category_scores.harassment > 0.7);
  assert.equal(clean?.flagged, false);
  assert.ok(clean.category_scores.harassment < 0.3);
});

test("engine: Perspective's clients get the same scores, and spans in their HTML", async () => {
  const html = "<p>😀 you are an <b>id</b>iot</p>";
  type Answer = {
    attributeScores: Record<
      string,
      { summaryScore: { value: number }; spanScores: { begin: number; end: number }[] }
    >;
    languages: string[];
  };
  const answer = await ask<Answer>("/v1alpha1/comments:analyze?key=k", {
    comment: { text: html, type: "HTML" },
    requestedAttributes: { TOXICITY: {}, INSULT: {}, THREAT: {} },
    spanAnnotations: true,
  });
  const { INSULT, THREAT } = answer.attributeScores;
  assert.ok(INSULT!.summaryScore.value > 0.7);
  assert.ok(THREAT!.summaryScore.value < 0.3);
  const cuts = INSULT!.spanScores.map(({ begin, end }) => html.slice(begin, end));
  assert.ok(
    cuts.some((words) => words.includes("id</b>iot")),
    cuts.join(" | "),
  );
  assert.deepEqual(answer.languages, ["en"]);
  const plain = await ask<Verdict>("/v1/tenants/default/moderate", { text: "😀 you are an idiot" });
  assert.ok(Math.abs(plain.scores.insult - INSULT!.summaryScore.value) < 0.2);
});

test("engine: one conversation through two doors, and what leaves no trace", async () => {
  const tenant = "/v1/tenants/two.doors";
  const said = { id: "m1", conversation: "general", user: "eve", text: ABUSE };
  await ask(`${tenant}/moderate`, said);
  await ask(`${tenant}/moderate`, { conversation: "general", text: "a secret", doNotStore: true });
  const client = new OpenAI({ apiKey: "any", baseURL: `${url}${tenant}` });
  const body = { input: "exactly, well said", conversation: "general", user: "bo" };
  const { results } = await client.moderations.create(body);
  const { nexuscore } = results[0] as unknown as { nexuscore: Pick<Verdict, "contextUsed"> };
  assert.deepEqual(
    nexuscore.contextUsed.map(({ id }) => id),
    ["m1"],
  );
  const path = `${tenant}/conversations/general/turns`;
  const { turns } = await ask<{ turns: { text: string }[] }>(path, undefined, "GET");
  assert.deepEqual(
    turns.map(({ text }) => text),
    [ABUSE, "exactly, well said"],
  );
  // The same name in another tenant is another conversation, of which nothing is known.
  const other = await fetch(`${url}${path.replace("two.doors", "another")}`);
  assert.equal(other.status, 404);
  await ask(path, undefined, "DELETE");
  assert.equal((await fetch(`${url}${path}`)).status, 404);
});

test("engine: a policy is in force with the next verdict; a dry run agrees", async () => {
  const tenant = "/v1/tenants/with.policy";
  const first = await ask<Verdict>(`${tenant}/moderate`, { text: ABUSE });
  await ask(`${tenant}/moderate`, { text: CLEAN });
  assert.equal(first.action, "flag");
  const { insult, toxicity } = first.scores;
  const policy = {
    categories: { insult: { blockAt: Math.floor(100 * Math.min(insult, toxicity)) / 100 } },
    blockList: [{ term: "free nitro", action: "block" }],
  };
  type Tried = {
    verdictCount: number;
    changedCount: number;
    examples: { id: string; to: string }[];
  };
  const same = await ask<Tried>(`${tenant}/policy:dryRun`, {});
  assert.deepEqual([same.verdictCount, same.changedCount], [2, 0]);
  const tried = await ask<Tried>(`${tenant}/policy:dryRun`, policy);
  assert.deepEqual(
    tried.examples.map(({ id, to }) => [id, to]),
    [[first.id, "block"]],
  );
  await ask(`${tenant}/policy`, policy, "PUT");
  const second = await ask<Verdict>(`${tenant}/moderate`, { text: ABUSE });
  assert.deepEqual([second.action, second.policy.version], ["block", 1]);
  const listed = await ask<Verdict>(`${tenant}/moderate`, { text: "get F R E E  nitro here" });
  assert.deepEqual([listed.action, listed.listEntry], ["block", "free nitro"]);
  await ask(`${tenant}/policy`, undefined, "DELETE");
  const third = await ask<Verdict>(`${tenant}/moderate`, { text: ABUSE });
  assert.deepEqual([third.action, third.policy.source], ["flag", "default"]);
});

test("engine: 256 messages of many conversations at once, each answered in its place", async () => {
  const messages = Array.from({ length: 256 }, (_, n) => {
    return { id: `m${n}`, conversation: `c${n % 20}`, text: n % 2 === 0 ? ABUSE : CLEAN };
  });
  const { verdicts } = await ask<{ verdicts: Verdict[] }>("/v1/tenants/batch/moderate", messages);
  assert.deepEqual(
    verdicts.map(({ messageId }) => messageId),
    messages.map(({ id }) => id),
  );
  assert.ok(verdicts.every(({ flagged }, n) => n % 2 === 1 || flagged));
  assert.equal(new Set(verdicts.map(({ id }) => id)).size, 256);
});

test("engine: an emoji, a blank text, a text of no known language are answered", async () => {
  for (const message of [
    { text: "😀" },
    { text: "   " },
    { text: "\u200B" },
    { text: "x", language: "xx" },
  ]) {
    const verdict = await ask<Verdict>("/v1/tenants/odd/moderate", message);
    assert.equal(verdict.action, "allow");
  }
});
