import type { ReviewItem, ReviewPage, ReviewStats } from "#model/review.ts";
import { IN_MEMORY } from "#review/database.ts";
import { openReviewing, START_MS } from "#testing/reviewing.ts";
import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { Client } from "./client.ts";
import { renderReviews } from "./reviews.ts";
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
  assert.match(plain, /3 were not judged by the upstream; --not-reviewed shows them\n/);
  assert.match(plain, /r_01M7ZHGCM30000010008QH41NQ {2}severity 52\n {2}flag: insult, toxicity\n/);
  assert.match(plain, /claimed, ada in general, 3 times, not judged by the upstream, grace has it/);
  assert.match(plain, /\(text not kept\)\n\nand 7 more/);
});

test("reviews command: asks a server for the state that is wanted", async (t) => {
  const { ask, server } = await openReviewing(t, IN_MEMORY);
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
});
