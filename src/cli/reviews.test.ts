import type { NotReviewed, ReviewItem, ReviewPage, ReviewStats } from "#model/review.ts";
import { IN_MEMORY } from "#review/database.ts";
import { flaggedVerdict, openReviewing, START_MS } from "#testing/reviewing.ts";
import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { Client } from "./client.ts";
import { renderNotReviewed, renderReviews } from "./reviews.ts";
import { COLUMNS, widthOf } from "./terminal.ts";

const ITEM: ReviewItem = {
  tenant: "acme",
  id: "r_01M7ZHGCM30000010008QH41NQ",
  version: 2,
  state: "claimed",
  escalated: false,
  severity: 52,
  action: "flag",
  categories: ["insult", "toxicity"],
  verdictId: "v_01M7ZHGCM30000010008QH41NQ",
  messageId: "m1",
  conversation: "general",
  user: "ada",
  language: "en",
  text: `you idiot \u001b[31m${"and so on ".repeat(20)}`,
  verdictCount: 3,
  reportCount: 0,
  appealCount: 0,
  degraded: true,
  createdAtMs: START_MS,
  updatedAtMs: START_MS,
  claim: { moderator: "grace", endsAtMs: START_MS + 1 },
  decision: undefined,
};

const STATS: ReviewStats = {
  states: { pending: 1, claimed: 1, decided: 1_234, appealed: 0 },
  oldestWaitingMs: START_MS,
  decisions: { approve: 0, remove: 1_234, escalate: 0, ignore: 0 },
  overturnedCount: 0,
  precision: {},
  lostCount: 7,
  notReviewedCount: 3,
};

test("reviews command: 80 columns, no control characters, and what is not shown", () => {
  const page = { total: 9, items: [ITEM, { ...ITEM, text: undefined }], nextCursor: undefined };
  const shown = renderReviews("acme", page, STATS);
  const plain = stripVTControlCharacters(shown);
  for (const line of plain.split("\n")) assert.ok(widthOf(line) <= COLUMNS, line);
  assert.ok(!shown.includes("\u001b[31m"), "what was said does not colour the terminal");
  assert.match(plain, /^acme: 1 pending, 1 claimed, 0 appealed, 1,234 decided\n7 found no room/);
  assert.match(plain, /3 were not judged by the language model; --not-reviewed shows them\n/);
  const one = renderReviews("acme", page, { ...STATS, notReviewedCount: 1 });
  assert.match(one, /1 was not judged by the language model; --not-reviewed shows it\n/);
  assert.match(plain, /r_01M7ZHGCM30000010008QH41NQ {2}severity 52\n {2}flag: insult, toxicity\n/);
  const line = plain.replaceAll(/\s+/g, " ");
  assert.match(line, /claimed, ada in general, 3 times, not judged by the language model, grace/);
  assert.match(plain, /\(text not kept\)\n\nand 7 more/);
});

test("reviews command: what the language model did not judge, within 80 columns", () => {
  const user = `ada\u001b[31m${"x".repeat(90)}`;
  const verdict = flaggedVerdict(1, { user, conversation: "general" });
  const of = { asOfMs: START_MS, reviewId: undefined, text: undefined } as const;
  const messages: readonly NotReviewed[] = [
    { ...of, id: verdict.id, outcome: "timedOut", text: `you ${"idiot ".repeat(40)}`, verdict },
    { ...of, id: verdict.id, outcome: "overBudget", verdict },
    { ...of, id: verdict.id, outcome: "interrupted", verdict: undefined },
  ];
  const shown = renderNotReviewed("acme", { total: 1_203, messages, nextBefore: 5 });
  const plain = stripVTControlCharacters(shown);
  for (const line of plain.split("\n")) assert.ok(widthOf(line) <= COLUMNS, line);
  assert.ok(!shown.includes("\u001b[31m"), "what was said does not colour the terminal");
  assert.match(plain, /^acme: 1,203 not judged by the language model\n/);
  assert.match(plain, /timedOut {2}2023-11-14T22:13:20\.000Z\n {2}flag,\s+ada/);
  assert.match(plain, /overBudget[^]+\(text not kept\)\n/);
  assert.match(plain, /interrupted[^\n]+\n {2}\(it was to leave no trace\)\n\nand 1,200 more/);
});

test("reviews command: asks a server for the state that is wanted", async (t) => {
  const { ask, server, desk } = await openReviewing(t, IN_MEMORY);
  await ask("POST", "/moderate", { text: "you idiot", user: "ada" });
  await server.listen({ host: "127.0.0.1", port: 0 });
  const { port } = server.server.address() as AddressInfo;
  const client = new Client(`http://127.0.0.1:${port}`);
  const total = async (state: string): Promise<number> => {
    const page: ReviewPage = await client.reviews("acme", { state, limit: 5 });
    return page.total;
  };
  assert.deepEqual([await total("pending"), await total("decided"), await total("all")], [1, 0, 1]);
  assert.equal((await client.reviewStats("acme")).states.pending, 1);
  const upstream = { outcome: "timedOut", detail: undefined, model: "m", waitMs: 9 } as const;
  desk.takeVerdict(flaggedVerdict(9, { degraded: true, upstream }), "said", true);
  const query = { state: "all", limit: 5 };
  assert.equal((await client.reviews("acme", query)).total, 2);
  assert.equal((await client.reviews("acme", { ...query, degraded: true })).total, 1);
  assert.deepEqual(
    (await client.notReviewed("acme", 5)).messages.map(({ outcome, text }) => [outcome, text]),
    [["timedOut", "said"]],
  );
});
