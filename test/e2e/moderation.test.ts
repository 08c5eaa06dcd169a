// Moderation as somebody has it who types `npm start` in an empty folder: the openai client and
// requests in Perspective's form as they are but for the address, policies, the review queue, and
// all of that again after the server was stopped and started.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import OpenAI, { BadRequestError } from "openai";
import type { Turn, Verdict } from "#model/moderation.ts";
import type { ReviewDetail, ReviewPage } from "#model/review.ts";

const BIN = fileURLToPath(new URL("../../bin/nexuscore.mjs", import.meta.url));
const ABUSE = "you are an idiot";
const CLEAN = "thanks, the second link fixed my build";

const folder = mkdtempSync(join(tmpdir(), "nexuscore-e2e-"));
let url = "";
let stop = async (): Promise<void> => undefined;

before(start);
after(async () => {
  await stop();
  rmSync(folder, { recursive: true, force: true });
});

/** What `npm start` runs, with nothing set but a free port. */
async function start(): Promise<void> {
  const environment = Object.entries(process.env).filter(
    ([name]) => !name.startsWith("NEXUSCORE_"),
  );
  const child = spawn(process.execPath, [BIN, "serve", "--http-port", "0"], {
    cwd: folder,
    env: { ...Object.fromEntries(environment), NEXUSCORE_UDP_PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  };
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (found === undefined) continue;
    url = found;
    // What it says from now on must not fill the pipe.
    child.stdout.resume();
    return;
  }
  assert.fail("the server ended");
}

async function ask<Answer>(method: string, path: string, body?: unknown): Promise<Answer> {
  const response = await fetch(`${url}${path}`, {
    method,
    ...(body !== undefined && {
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  });
  const text = await response.text();
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`);
  return (text === "" ? undefined : JSON.parse(text)) as Answer;
}

async function moderate(tenant: string, message: object): Promise<Verdict> {
  return ask("POST", `/v1/tenants/${tenant}/moderate`, message);
}

function openai(base = "/v1"): OpenAI {
  return new OpenAI({ apiKey: "what it was before", baseURL: `${url}${base}`, maxRetries: 0 });
}

test("the openai client works by its base URL alone", async () => {
  const { results, model } = await openai().moderations.create({ input: [ABUSE, CLEAN] });
  assert.deepEqual(
    results.map(({ flagged }) => flagged),
    [true, false],
  );
  assert.match(model, /^nexuscore-embedded-/);
  await assert.rejects(openai().moderations.create({ input: [] }), BadRequestError);
});

test("a Perspective-style request is answered with the attributes that it asks for", async () => {
  type Answer = {
    attributeScores: Record<string, { summaryScore: { value: number; type: string } }>;
    clientToken: string;
  };
  const answer = await ask<Answer>("POST", "/v1alpha1/comments:analyze?key=any", {
    comment: { text: ABUSE },
    languages: ["en"],
    requestedAttributes: { TOXICITY: {}, THREAT: { scoreThreshold: 0.5 } },
    clientToken: "t1",
  });
  assert.deepEqual(Object.keys(answer.attributeScores), ["TOXICITY"]);
  const { value, type } = answer.attributeScores["TOXICITY"]!.summaryScore;
  assert.ok(value > 0.6 && value <= 1, String(value));
  assert.deepEqual([type, answer.clientToken], ["PROBABILITY", "t1"]);
});

test("the three doors are one judge: same words, same scores", async () => {
  const native = await moderate("one.judge", { text: ABUSE, doNotStore: true });
  const { results } = await openai("/v1/tenants/one.judge").moderations.create({ input: ABUSE });
  const perspective = await ask<{
    attributeScores: { INSULT: { summaryScore: { value: number } } };
  }>("POST", "/v1/tenants/one.judge/v1alpha1/comments:analyze", {
    comment: { text: ABUSE },
    requestedAttributes: { INSULT: {} },
  });
  assert.equal(perspective.attributeScores.INSULT.summaryScore.value, native.scores.insult);
  assert.equal(results[0]!.flagged, native.flagged);
});

test("messages are read in their conversation, and nobody else's", async () => {
  await moderate("talkers", { id: "m1", conversation: "c", user: "eve", text: ABUSE });
  const verdict = await moderate("talkers", {
    id: "m2",
    conversation: "c",
    user: "bo",
    replyTo: "m1",
    text: "exactly, well said",
  });
  assert.deepEqual(
    verdict.contextUsed.map(({ id, relation }) => [id, relation]),
    [["m1", "repliedTo"]],
  );
  assert.notEqual(verdict.scores.toxicity, verdict.toxicityAlone);
  const other = await moderate("strangers", { conversation: "c", text: "exactly, well said" });
  assert.deepEqual(other.contextUsed, []);
  const { turns } = await ask<{ turns: Turn[] }>(
    "GET",
    "/v1/tenants/talkers/conversations/c/turns",
  );
  assert.deepEqual(
    turns.map(({ id, user }) => [id, user]),
    [
      ["m1", "eve"],
      ["m2", "bo"],
    ],
  );
});

test("events are moderated on the way in when the policy says so", async () => {
  const path = "/v1/tenants/streamed";
  const blockList = [{ term: "zyzzyva", action: "block" }];
  await ask("PUT", `${path}/policy`, { moderateEvents: true, blockList });
  const answer = await ask<{ accepted: number; warnings: { index: number; code: string }[] }>(
    "POST",
    `${path}/events`,
    [
      { user: "ann", text: CLEAN },
      { user: "bob", text: "buy z y z z y v a today" },
    ],
  );
  assert.equal(answer.accepted, 2);
  assert.deepEqual(
    answer.warnings.map(({ index, code }) => [index, code]),
    [[1, "messageBlocked"]],
  );
});

test("what is flagged waits for a person, policies and decisions outlive the process", async () => {
  const path = "/v1/tenants/kept";
  const { version } = await ask<{ version: number }>("PUT", `${path}/policy`, {
    blockList: [{ term: "quokkaword", action: "block" }],
    note: "of the test",
  });
  const blocked = await moderate("kept", { id: "m1", user: "eve", text: "a QuokkaWord here" });
  assert.deepEqual([blocked.action, blocked.policy.version], ["block", version]);
  const [item] = (await ask<ReviewPage>("GET", `${path}/reviews?state=pending`)).items;
  assert.equal(item?.verdictId, blocked.id);
  const claimed = await ask<ReviewPage>("POST", `${path}/reviews:claim`, {
    moderator: "grace",
    count: 5,
  });
  assert.deepEqual(
    claimed.items.map(({ id, state }) => [id, state]),
    [[item.id, "claimed"]],
  );
  const rival = await ask<ReviewPage>("POST", `${path}/reviews:claim`, {
    moderator: "rob",
    count: 5,
  });
  assert.deepEqual(rival.items, [], "no two people get one item");
  await ask("POST", `${path}/reviews/${item.id}:decide`, {
    moderator: "grace",
    decision: "remove",
    reason: "as agreed",
  });

  await stop();
  await start();

  const { state, decision, verdict } = await ask<ReviewDetail>("GET", `${path}/reviews/${item.id}`);
  assert.equal(verdict?.id, blocked.id);
  assert.deepEqual(
    [state, decision?.decision, decision?.moderator],
    ["decided", "remove", "grace"],
  );
  const again = await moderate("kept", { text: "quokkaword once more" });
  assert.deepEqual([again.action, again.policy.version], ["block", version]);
});
