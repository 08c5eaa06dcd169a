import { assembleServer } from "#cli/server.ts";
import { REVIEW_SCHEMAS } from "#model/review-schemas.ts";
import type {
  NotReviewedPage,
  ReviewDetail,
  ReviewItem,
  ReviewPage,
  Webhook,
} from "#model/review.ts";
import { MODERATION_SCHEMAS } from "#model/moderation-schemas.ts";
import { openLog } from "#observe/log.ts";
import { IN_MEMORY } from "#review/database.ts";
import type { Outgoing } from "#review/courier.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import {
  flaggedVerdict,
  openReviewing,
  START_MS,
  tempFolder,
  verdictId,
} from "#testing/reviewing.ts";
import { SEED } from "#testing/seed.ts";
import fc from "fast-check";
import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Value } from "typebox/value";
import { NOT_REVIEWED_EXAMPLE } from "./not-reviewed.ts";

const REFERENCES = Object.fromEntries(
  [...REVIEW_SCHEMAS, ...MODERATION_SCHEMAS].map((schema) => {
    return [`${(schema as { $id?: string }).$id}#`, schema];
  }),
);

function valid(name: string, value: unknown): void {
  const schema = REFERENCES[`${name}#`] ?? assert.fail(name);
  assert.deepEqual([...Value.Errors(REFERENCES, schema, value)], [], JSON.stringify(value));
}

test("reviews: the example keeps to its schema", () => {
  valid("NotReviewedPage", NOT_REVIEWED_EXAMPLE);
});

async function open(t: TestContext, path = IN_MEMORY) {
  const sent: Outgoing[] = [];
  const parts = await openReviewing(t, path, async (outgoing) => {
    sent.push(outgoing);
    return 200;
  });
  const { ask } = parts;
  const say = async (text: string, more: object = {}): Promise<void> => {
    const { status, text: body } = await ask("POST", "/moderate", { text, user: "ada", ...more });
    assert.equal(status, 200, body);
  };
  const claim = async (moderator: string, count = 1): Promise<readonly ReviewItem[]> => {
    type Claim = { items: ReviewItem[] };
    const { body } = await ask<Claim>("POST", "/reviews:claim", { moderator, count });
    valid("ReviewClaim", body);
    return body.items;
  };
  return { ...parts, sent, say, claim };
}

test("reviews: from a flagged message to a decision, an appeal and another decision", async (t) => {
  const { ask, say, claim } = await open(t);
  await say("what a day", { conversation: "c1", user: "bob", id: "m0" });
  await say("you idiot", { conversation: "c1", id: "m1" });
  await say("fine", { conversation: "c1", user: "bob", id: "m2" });
  const list = await ask<ReviewPage>("GET", "/reviews?state=pending");
  valid("ReviewPage", list.body);
  assert.equal(list.body.total, 1);
  const [item] = await claim("grace");
  assert.deepEqual([item?.text, item?.user, item?.messageId], ["you idiot", "ada", "m1"]);
  const path = `/reviews/${item!.id}`;
  const detail = await ask<ReviewDetail>("GET", path);
  valid("ReviewDetail", detail.body);
  assert.deepEqual(
    detail.body.context.map(({ text }) => text),
    ["what a day"],
    "the conversation before the message, not after",
  );
  assert.equal(detail.body.author?.flaggedCount, 1);
  const decision = { moderator: "grace", decision: "remove", reason: "insult" };
  const stale = await ask("POST", `${path}:decide`, decision, { "if-match": '"1"' });
  assert.deepEqual([stale.status, stale.body["code"]], [412, "reviewChanged"]);
  const etag = String(detail.headers["etag"]);
  const decided = await ask<ReviewItem>("POST", `${path}:decide`, decision, { "if-match": etag });
  assert.equal(decided.status, 200, decided.text);
  valid("Review", decided.body);
  assert.equal(decided.body.state, "decided");
  const appeal = { by: "ada", reason: "we joke" };
  assert.equal((await ask<ReviewItem>("POST", `${path}:appeal`, appeal)).body.state, "appealed");
  assert.deepEqual(await claim("grace"), []);
  assert.equal((await claim("alan"))[0]?.id, item!.id);
  const approve = { moderator: "alan", decision: "approve" };
  await ask("POST", `${path}:decide`, approve);
  const stats = await ask("GET", "/reviews:stats");
  valid("ReviewStats", stats.body);
  assert.equal(stats.body["overturnedCount"], 1);
  const history = await ask("GET", "/authors/ada/history");
  valid("AuthorHistory", history.body);
  assert.deepEqual(history.body["decisions"], { approve: 1, remove: 0, escalate: 0, ignore: 0 });
  const audit = await ask<{ lines: { action: string }[] }>("GET", "/audit?limit=3");
  valid("AuditPage", audit.body);
  assert.deepEqual(
    audit.body.lines.map(({ action }) => action),
    ["decided", "claimed", "appealed"],
  );
});

test("reviews: what must not be stored is not, and a policy may keep texts out", async (t) => {
  const { ask, say } = await open(t);
  await say("you idiot", { doNotStore: true });
  assert.equal((await ask<ReviewPage>("GET", "/reviews")).body.total, 0);
  await ask("PUT", "/policy", { doNotStore: true });
  await say("you idiot", { id: "m7", conversation: "c" });
  const { items } = (await ask<ReviewPage>("GET", "/reviews")).body;
  assert.deepEqual([items.length, items[0]?.text, items[0]?.messageId], [1, undefined, "m7"]);
  await ask("POST", "/reviews", { text: "reported words", user: "eve" });
  const { body, text } = await ask<ReviewPage>("GET", "/reviews");
  assert.equal(body.total, 2);
  assert.ok(!text.includes("reported words") && !text.includes("idiot"));
});

test("reviews: reports of people are items or count as such, and are checked", async (t) => {
  const { ask, say } = await open(t);
  await say("you idiot", { id: "m1" });
  const known = await ask<ReviewItem>("POST", "/reviews", { messageId: "m1", reporter: "bob" });
  assert.deepEqual([known.status, known.body.reportCount, known.body.action], [200, 1, "flag"]);
  const report = { text: "buy gold", user: "eve", reporter: "bob", reason: "spam" };
  const fresh = await ask<ReviewItem>("POST", "/reviews", report);
  assert.deepEqual([fresh.status, fresh.body.reportCount], [201, 1]);
  for (const wrong of [
    {},
    { text: "" },
    { text: "x", extra: 1 },
    { text: "x", reason: "y".repeat(3_000) },
    { text: "x", conversation: "a\nb" },
    { messageId: "m".repeat(65) },
  ]) {
    const { status, text } = await ask("POST", "/reviews", wrong);
    assert.equal(status, 400, `${JSON.stringify(wrong)} ${text}`);
  }
});

test("reviews: wrong filters, cursors, names and states are told", async (t) => {
  const { ask, say, claim } = await open(t);
  await say("you idiot");
  const [item] = await claim("grace");
  const path = `/reviews/${item!.id}`;
  const codes: [method: "GET" | "POST", url: string, body: object | undefined, code: string][] = [
    ["GET", "/reviews?state=open", undefined, "badRequest"],
    ["GET", "/reviews?cursor=x", undefined, "badRequest"],
    ["GET", "/reviews?limit=1000", undefined, "badRequest"],
    ["GET", "/reviews/r_NONE", undefined, "reviewUnknown"],
    ["POST", "/reviews:claim", {}, "badRequest"],
    ["POST", "/reviews:claim", { moderator: "a\u0000" }, "badRequest"],
    ["POST", "/reviews:claim", { moderator: "a", leaseMs: 1 }, "badRequest"],
    ["POST", `${path}:claim`, { moderator: "alan" }, "reviewTaken"],
    ["POST", `${path}:decide`, { moderator: "grace", decision: "ban" }, "badRequest"],
    ["POST", `${path}:appeal`, { by: "ada", reason: "no" }, "reviewState"],
    ["POST", `${path}:decide`, { moderator: "alan", decision: "remove" }, "reviewTaken"],
  ];
  for (const [method, url, body, code] of codes) {
    const answer = await ask(method, url, body);
    assert.equal(answer.body["code"], code, `${method} ${url} ${answer.text}`);
  }
  const notAllowed = await ask("DELETE", `${path}:claim`);
  assert.deepEqual([notAllowed.status, notAllowed.headers["allow"]], [405, "POST"]);
});

test("reviews: a lease ends by the clock", async (t) => {
  const { clock, say, claim } = await open(t);
  await say("you idiot");
  assert.equal((await claim("grace")).length, 1);
  clock.nowMs += 5 * 60_000 - 1;
  assert.equal((await claim("alan")).length, 0);
  clock.nowMs += 1;
  assert.equal((await claim("alan")).length, 1);
});

test("reviews: exports hold every item and label, over several pages", async (t) => {
  const { ask, say, claim } = await open(t);
  const count = 1_203;
  const messages = Array.from({ length: count }, (_, n) => ({ text: `idiot ${n}`, user: `u${n}` }));
  for (let from = 0; from < count; from += 200) {
    await ask("POST", "/moderate", messages.slice(from, from + 200));
  }
  await say("idiot, he said", { user: "=cmd()" });
  for (const { id } of await claim("grace", 3)) {
    await ask("POST", `/reviews/${id}:decide`, { moderator: "grace", decision: "remove" });
  }
  const ndjson = await ask("GET", "/reviews:export");
  const ids = ndjson.text
    .trim()
    .split("\n")
    .map((line) => (JSON.parse(line) as ReviewItem).id);
  assert.equal(new Set(ids).size, count + 1);
  const table = await ask("GET", "/reviews:export?format=csv");
  assert.match(String(table.headers["content-type"]), /text\/csv/);
  assert.equal(table.text.trim().split("\r\n").length, count + 2);
  assert.ok(table.text.includes("'=cmd()"), "what a spreadsheet would run is made harmless");
  const labels = await ask("GET", "/labels:export");
  const lines = labels.text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { value: number });
  assert.equal(lines.length, 6, "insult and toxicity of three");
  assert.ok(lines.every(({ value }) => value === 1));
});

test("reviews: Perspective's feedback is a label", async (t) => {
  const { ask } = await open(t);
  const url = "/v1alpha1/comments:suggestscore";
  const summaryScore = { value: 0.9 };
  const body = { comment: { text: "a" }, attributeScores: { INSULT: { summaryScore } } };
  assert.equal((await ask("POST", url, body)).status, 200);
  const { text } = await ask("GET", "/labels:export");
  const { source, category, value } = JSON.parse(text) as Record<string, unknown>;
  assert.deepEqual([source, category, value], ["feedback", "insult", 0.9]);
});

test("reviews: an author's data is deleted when asked, and retention is settable", async (t) => {
  const { ask, say } = await open(t);
  await say("you idiot", { conversation: "c" });
  const erased = await ask("DELETE", "/authors/ada");
  valid("Erased", erased.body);
  assert.deepEqual(erased.body, { verdictCount: 1, itemCount: 1, labelCount: 0 });
  await say("you idiot", { conversation: "c" });
  assert.equal((await ask("DELETE", "/conversations/c/reviews")).body["itemCount"], 1);
  assert.equal((await ask<ReviewPage>("GET", "/reviews")).body.total, 0);
  const retention = { verdicts: 7, decided: 14, audit: 30 };
  assert.equal((await ask("PUT", "/retention", { ...retention, audit: 0 })).status, 400);
  assert.deepEqual((await ask("PUT", "/retention", retention)).body, retention);
  assert.deepEqual((await ask("GET", "/retention")).body, retention);
});

test("webhooks: a secret is shown once; verdicts and decisions are told", async (t) => {
  const { ask, say, claim, desk, sent } = await open(t);
  const put = { url: "https://example.org/hooks" };
  const made = await ask<Webhook & { secret?: string }>("PUT", "/webhooks/ours", put);
  valid("Webhook", made.body);
  assert.match(made.body.secret ?? "", /^whsec_.{44}$/);
  const changed = await ask<Webhook & { secret?: string }>("PUT", "/webhooks/ours", put);
  assert.equal(changed.body.secret, undefined);
  const rotated = { ...put, rotateSecret: true };
  const other = await ask<{ secret?: string }>("PUT", "/webhooks/ours", rotated);
  assert.notEqual(other.body.secret, made.body.secret);
  const list = await ask("GET", "/webhooks");
  valid("WebhookList", list.body);
  assert.ok(!list.text.includes("whsec_"));
  await say("you idiot");
  const [item] = await claim("grace");
  const path = `/reviews/${item!.id}`;
  await ask("POST", `${path}:decide`, { moderator: "grace", decision: "remove" });
  await ask("POST", `${path}:appeal`, { by: "ada", reason: "we joke" });
  // Each answer is a round trip to the store, and so are the courier's rounds.
  for (let count = 0; count < 200 && sent.length < 3; count++) await ask("GET", "/webhooks/ours");
  await desk.settled();
  const types = sent.map(({ body }) => (JSON.parse(body) as { type: string }).type);
  assert.deepEqual(types.toSorted(), ["review.appealed", "review.decided", "verdict.flagged"]);
  assert.ok(sent.every(({ body }) => !body.includes("you idiot")));
  const tried = await ask("POST", "/webhooks/ours:test");
  valid("WebhookTest", tried.body);
  assert.deepEqual(tried.body, { status: 200, tookMs: 0 });
  const refused = await ask("PUT", "/webhooks/bad", { url: "https://10.0.0.1/" });
  assert.equal(refused.body["code"], "webhookRefused");
  assert.equal((await ask("DELETE", "/webhooks/ours")).status, 204);
  assert.equal((await ask("GET", "/webhooks/ours")).body["code"], "webhookUnknown");
});

test("policies: one that was set is in force after a restart, and so is its history", async (t) => {
  const path = join(tempFolder(t), "moderation.db");
  const first = await open(t, path);
  await first.ask("PUT", "/policy", { categories: { profanity: { flagAt: 0.9 } } });
  await first.say("damn");
  await first.close();
  const second = await open(t, path);
  const found = await second.ask("GET", "/policy");
  assert.deepEqual([found.body["version"], found.headers["etag"]], [1, '"1"']);
  assert.equal(second.desk.policies.records.get("acme")?.version, 1);
  const dryRun = await second.ask("POST", "/policy:dryRun", {});
  assert.deepEqual([dryRun.body["verdictCount"], dryRun.body["changedCount"]], [1, 1]);
  assert.equal((await second.ask<ReviewPage>("GET", "/reviews")).body.total, 1);
  await second.ask("DELETE", "/policy");
  await second.close();
  const third = await open(t, path);
  assert.equal((await third.ask("GET", "/policy")).body["version"], 0);
  const again = await third.ask("PUT", "/policy", { observeOnly: true });
  assert.equal(again.body["version"], 2, "a version is never given twice");
});

test("reviews: without a store messages are judged, and the queue says why", async (t) => {
  const { server } = await assembleServer(new FakeEngine(), openLog("silent"));
  t.after(async () => server.close());
  const url = "/v1/tenants/acme";
  const judged = await server.inject({
    method: "POST",
    url: `${url}/moderate`,
    payload: { text: "you idiot", tsMs: START_MS },
  });
  assert.equal(judged.statusCode, 200);
  for (const path of ["/reviews", "/reviews:export", "/audit", "/webhooks", "/retention"]) {
    const { statusCode, headers, body } = await server.inject(`${url}${path}`);
    assert.equal(statusCode, 503, path);
    assert.equal((JSON.parse(body) as { code: string }).code, "storeUnavailable");
    assert.equal(headers["retry-after"], "60");
  }
});

test("reviews: no JSON and no query makes a route fail", async (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const { ask, say, claim } = await open(t);
  await say("you idiot");
  const [item] = await claim("grace");
  const text = fc.oneof(
    fc.constantFrom("", "grace", "m1", item!.verdictId!, "\uD800", "\u0000", "😀".repeat(40)),
    fc.string({ unit: "binary", maxLength: 20 }),
  );
  const anything = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom(1e308, -1, 2 ** 53));
  const mostly = (value: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 5, arbitrary: value }, { weight: 1, arbitrary: anything });
  const fields = (names: readonly string[], more: Record<string, fc.Arbitrary<unknown>> = {}) => {
    const texts = names.map((name) => [name, mostly(text)] as const);
    return fc.record({ ...Object.fromEntries(texts), ...more }, { requiredKeys: [] });
  };
  const decision = fc.constantFrom("approve", "remove", "escalate", "ignore", "ban");
  const names = ["verdictId", "messageId", "conversation", "user", "text", "reporter", "reason"];
  const days = fc.oneof(fc.nat(4_000), fc.double());
  const one = `/reviews/${item!.id}`;
  const routes: [method: "POST" | "PUT", url: string, body: fc.Arbitrary<unknown>][] = [
    ["POST", "/reviews", fields(names)],
    ["POST", "/reviews:claim", fields(["moderator"], { count: fc.integer(), leaseMs: fc.nat() })],
    ["POST", `${one}:claim`, fields(["moderator"], { version: fc.nat(9) })],
    ["POST", `${one}:release`, fields(["moderator"], { version: fc.nat(9) })],
    ["POST", `${one}:decide`, fields(["moderator", "reason"], { decision })],
    ["POST", `${one}:appeal`, fields(["by", "reason"])],
    ["PUT", "/webhooks/ours", fields(["url"], { events: fc.array(mostly(text)) })],
    ["PUT", "/retention", fc.record({ verdicts: days, decided: days, audit: days })],
  ];
  const filters = ["state", "category", "user", "conversation", "moderator", "severityMin"];
  const query = fields([...filters, "escalated", "cursor", "limit", "before"]);
  const calls = fc.oneof(
    ...routes.map(([method, url, body]) => fc.tuple(fc.constant(method), fc.constant(url), body)),
  );
  const seen = new Set<number>();
  const property = fc.asyncProperty(calls, query, async ([method, url, body], filter) => {
    if (typeof body !== "object" || body === null) return;
    const pairs = Object.entries(filter as object).map(([name, value]: [string, unknown]) => {
      // An object may have a member `toString` that is no function.
      const said = typeof value === "string" ? value : JSON.stringify(value);
      return `${name}=${encodeURIComponent(said.toWellFormed())}`;
    });
    const answers = [
      await ask(method, url, body),
      await ask("GET", `/reviews?${pairs.join("&")}`),
      await ask("GET", `/audit?${pairs.join("&")}`),
    ];
    for (const { status, text: answer } of answers) {
      assert.ok(
        status < 500,
        `${method} ${url} ${JSON.stringify(body)} ${pairs.join("&")} ${answer}`,
      );
      seen.add(status);
    }
  });
  await fc.assert(property, { seed: SEED, numRuns: 300 });
  assert.ok(seen.has(200) && seen.has(400), [...seen].join(" "));
});

test("not reviewed: listed whatever the verdict, by outcome, in pages; items say so", async (t) => {
  const { ask, desk, clock } = await open(t);
  const upstream = { outcome: "timedOut", detail: "5 s", model: "m", waitMs: 5_000 } as const;
  const allow = { action: "allow", proposedAction: "allow", flagged: false } as const;
  for (let number = 1; number <= 3; number++) {
    const more = { upstream, degraded: true, ...(number === 2 ? {} : allow) };
    desk.takeVerdict(flaggedVerdict(number, more), `text ${number}`, true);
  }
  const failed = { ...upstream, outcome: "overBudget" } as const;
  const other = { ...allow, upstream: failed, degraded: true, conversation: "c" };
  desk.takeVerdict(flaggedVerdict(4, other), undefined, true);
  // Those leave nothing: one was answered, one is to leave no trace.
  const answered = { ...upstream, outcome: "answered", detail: undefined } as const;
  desk.takeVerdict(flaggedVerdict(5, { ...allow, upstream: answered }), "fine", true);
  desk.takeVerdict(flaggedVerdict(6, { upstream, degraded: true }), "secret", false);
  await desk.keepPending([
    { verdict: flaggedVerdict(7), text: "t", leavesTrace: false, atMs: clock.nowMs },
  ]);
  const first = await ask<NotReviewedPage>("GET", "/reviews:notReviewed?limit=3");
  valid("NotReviewedPage", first.body);
  const { messages, total, nextBefore } = first.body;
  assert.deepEqual(
    [total, messages.map(({ outcome, text }) => [outcome, text ?? ""])],
    [
      4,
      [
        ["overBudget", ""],
        ["timedOut", "text 3"],
        ["timedOut", "text 2"],
      ],
    ],
  );
  assert.deepEqual(messages[2]!.verdict?.upstream, upstream, "the answer leaves nothing out");
  const rest = await ask<NotReviewedPage>("GET", `/reviews:notReviewed?before=${nextBefore}`);
  valid("NotReviewedPage", rest.body);
  assert.deepEqual(
    rest.body.messages.map(({ id }) => id),
    [verdictId(1)],
  );
  assert.equal(rest.body.nextBefore, undefined);
  const count = async (query: string): Promise<number> =>
    (await ask<NotReviewedPage>("GET", `/reviews:notReviewed?${query}`)).body.total;
  assert.equal(await count("outcome=timedOut"), 3);
  assert.equal(await count("conversation=c"), 1);
  assert.equal(await count("user=user1&outcome=timedOut"), 1);
  assert.equal(await count("outcome=interrupted"), 0);
  for (const wrong of ["outcome=late", "limit=0", "before=x"]) {
    assert.equal((await ask("GET", `/reviews:notReviewed?${wrong}`)).status, 400, wrong);
  }
  const items = await ask<ReviewPage>("GET", "/reviews?degraded=true");
  valid("ReviewPage", items.body);
  assert.deepEqual(
    items.body.items.map(({ id, degraded }) => [id, degraded]),
    [[messages[2]!.reviewId, true]],
  );
  assert.equal((await ask<ReviewPage>("GET", "/reviews?degraded=false")).body.total, 0);
  const stats = await ask("GET", "/reviews:stats");
  assert.equal(stats.body["notReviewedCount"], 4);
  const table = await ask("GET", "/reviews:export?format=csv");
  assert.match(table.text, /,appealCount,degraded,createdAtMs,[^]+,0,true,/);
});
