// Messages about which an upstream is asked: whatever the store's process or thread is killed in,
// each that was promised to be kept is answered or listed, once; and what money was spent is known.
import { Problem } from "#model/problem.ts";
import { NOT_REVIEWED_MAX, STORE_PENDING_MAX, STORE_RECOVERED_MAX } from "#model/limits.ts";
import type { Verdict } from "#model/moderation.ts";
import type { PendingReview } from "#model/verdict.ts";
import { openLog } from "#observe/log.ts";
import { Random } from "#std/random.ts";
import { flaggedVerdict, START_MS, tempFolder, verdictId } from "#testing/reviewing.ts";
import { SEED } from "#testing/seed.ts";
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Worker } from "node:worker_threads";
import { IN_MEMORY } from "./database.ts";
import { ReviewDesk } from "./desk.ts";
import { LlmLimits, type Spender } from "./llm-limits.ts";
import { pendingRow } from "./pending-table.ts";
import { StoreThread, type StoreWorker } from "./store-thread.ts";
import { type AnswerOf, type CommandName, type RequestOf, ReviewStore } from "./store.ts";

const LOG = openLog("silent");
const UPSTREAM = { outcome: "answered", detail: undefined, model: "m", waitMs: 5 } as const;

function open(t: TestContext, path = IN_MEMORY) {
  const store = new ReviewStore(path);
  t.after(() => store.close());
  const run = <Name extends CommandName>(name: Name, request: RequestOf<Name>): AnswerOf<Name> => {
    const [reply] = store.runAll([{ name, request } as never]);
    assert(reply !== undefined && "answer" in reply, JSON.stringify(reply));
    return reply.answer as AnswerOf<Name>;
  };
  const keep = (...pending: readonly PendingReview[]): void =>
    run("keepPending", { rows: pending.map(pendingRow) });
  const recover = (nowMs = START_MS + 9_000): number => run("recover", { limit: 100, nowMs }).count;
  const listed = (more: object = {}) =>
    run("notReviewed", { tenant: "acme", limit: 100, ...more }).messages;
  return { store, run, keep, recover, listed };
}

function allowed(number: number, more: Partial<Verdict> = {}): Verdict {
  return flaggedVerdict(number, { action: "allow", proposedAction: "allow", ...more });
}

function pendingOf(verdict: Verdict, more: Partial<PendingReview> = {}): PendingReview {
  return { verdict, text: `said ${verdict.id}`, leavesTrace: true, atMs: START_MS, ...more };
}

test("pending: what a crash left is listed as interrupted, and queued if it was flagged", (t) => {
  const { run, keep, recover, listed } = open(t);
  const conversation = "c";
  run("putWebhook", {
    tenant: "acme",
    id: "ours",
    url: "https://example.org/",
    events: ["verdict.flagged"],
    enabled: true,
    secret: "whsec_",
    rotateSecret: false,
    nowMs: START_MS,
  });
  const ended = allowed(4, { upstream: UPSTREAM });
  keep(pendingOf(flaggedVerdict(1, { conversation })), pendingOf(allowed(2)));
  keep(pendingOf(allowed(3), { text: undefined }), pendingOf(ended));
  run("endPending", { ids: [{ tenant: "acme", id: ended.id }] });
  assert.deepEqual([recover(), recover()], [3, 0]);
  const messages = listed();
  assert.deepEqual(
    messages.map(({ id, outcome, text, reviewId }) => ({ id, outcome, text, reviewId })),
    [
      { id: verdictId(3), outcome: "interrupted", text: undefined, reviewId: undefined },
      {
        id: verdictId(2),
        outcome: "interrupted",
        text: `said ${verdictId(2)}`,
        reviewId: undefined,
      },
      {
        id: verdictId(1),
        outcome: "interrupted",
        text: `said ${verdictId(1)}`,
        reviewId: `r_${verdictId(1).slice(2)}`,
      },
    ],
  );
  const { verdict } = messages[2]!;
  assert.deepEqual([verdict?.action, verdict?.degraded], ["flag", true]);
  assert.deepEqual([verdict?.upstream?.outcome, verdict?.upstream?.waitMs], ["interrupted", 9_000]);
  const filter = { degraded: true };
  const page = run("list", { tenant: "acme", filter, limit: 10, nowMs: START_MS });
  assert.deepEqual(
    page.items.map((item) => [item.verdictId, item.degraded]),
    [[verdictId(1), true]],
  );
  const others = run("list", {
    tenant: "acme",
    filter: { degraded: false },
    limit: 10,
    nowMs: START_MS,
  });
  assert.equal(others.total, 0);
  const [line] = run("audit", { tenant: "acme", limit: 1 });
  assert.deepEqual([line?.action, line?.detail], ["reviewsInterrupted", { count: 3 }]);
  assert.equal(run("due", { nowMs: START_MS + 1e6, limit: 9 }).deliveries.length, 1);
  assert.equal(run("stats", { tenant: "acme", nowMs: START_MS }).notReviewedCount, 3);
  assert.deepEqual(listed({ conversation }).length, 1);
  assert.deepEqual(listed({ user: "user2" }).length, 1);
  assert.deepEqual(listed({ outcome: "timedOut" }), []);
  assert.deepEqual(run("notReviewed", { tenant: "other", limit: 9 }).messages, []);
});

test("pending: of a message that leaves no trace only its id and time are on disk", (t) => {
  const folder = tempFolder(t);
  const { keep, recover, listed, store } = open(t, join(folder, "moderation.db"));
  const secret = flaggedVerdict(1, { reason: "xyzzy", user: "xyzzy", conversation: "xyzzy" });
  keep(pendingOf(secret, { text: "xyzzy", leavesTrace: false }));
  recover();
  assert.deepEqual(listed(), [
    {
      id: verdictId(1),
      outcome: "interrupted",
      asOfMs: START_MS,
      reviewId: undefined,
      text: undefined,
      verdict: undefined,
    },
  ]);
  for (const file of readdirSync(folder)) {
    assert.ok(!readFileSync(join(folder, file), "latin1").includes("xyzzy"), file);
  }
  const [reply] = store.runAll([
    { name: "list", request: { tenant: "acme", filter: {}, limit: 1, nowMs: START_MS } },
  ]);
  assert.deepEqual((reply as { answer: { total: number } }).answer.total, 0, "nothing to decide");
});

test("pending: a verdict's end and its row go together, flagged or degraded", (t) => {
  const { run, keep, recover, listed } = open(t);
  const failed = { ...UPSTREAM, outcome: "timedOut" } as const;
  const flagged = flaggedVerdict(1, { upstream: UPSTREAM });
  const degraded = allowed(2, { upstream: failed, degraded: true });
  const both = flaggedVerdict(3, { upstream: failed, degraded: true });
  keep(pendingOf(flagged), pendingOf(degraded), pendingOf(both));
  for (let time = 0; time < 2; time++) {
    // Handed in twice, as after a batch of unknown fate, it is the same.
    run("takeFlagged", { verdict: flagged, text: "one", context: [] });
    run("takeNotReviewed", { verdict: degraded, text: "two" });
    run("takeFlagged", { verdict: both, text: undefined, context: [] });
  }
  assert.equal(recover(), 0);
  assert.deepEqual(
    listed().map(({ id, outcome, text }) => [id, outcome, text]),
    [
      [verdictId(3), "timedOut", undefined],
      [verdictId(2), "timedOut", "two"],
    ],
  );
  // Not a verdict that flagged: the author's history does not know it.
  assert.equal(run("author", { tenant: "acme", user: "user2" }).flaggedCount, 0);
});

test("not reviewed: an author's messages are erased, old ones go, and only so many stay", (t) => {
  const { run, keep, recover, listed, store } = open(t);
  const failed = { ...UPSTREAM, outcome: "unavailable" } as const;
  keep(pendingOf(allowed(1)), pendingOf(allowed(2)));
  recover();
  keep(pendingOf(allowed(3, { user: "user1" })));
  const scope = { column: "author", value: "user1" } as const;
  run("erase", { tenant: "acme", scope, nowMs: START_MS });
  assert.equal(recover(), 0, "also what is pending");
  assert.deepEqual(
    listed().map(({ id }) => id),
    [verdictId(2)],
  );
  const commands = Array.from({ length: NOT_REVIEWED_MAX + 2_000 }, (_, number) => ({
    name: "takeNotReviewed",
    request: {
      verdict: allowed(10 + number, { upstream: failed, degraded: true, asOfMs: START_MS }),
      text: undefined,
    },
  }));
  store.runAll(commands as never);
  const { total } = run("notReviewed", { tenant: "acme", limit: 1 });
  assert.ok(total >= NOT_REVIEWED_MAX && total <= NOT_REVIEWED_MAX + 1_025, `${total}`);
  assert.equal(total, run("stats", { tenant: "acme", nowMs: START_MS }).notReviewedCount);
  assert.equal(listed({ outcome: "interrupted" }).length, 1, "nobody was told of that one");
  const dayMs = 24 * 3_600_000;
  while (run("sweep", { nowMs: START_MS + 31 * dayMs }));
  assert.deepEqual(listed(), []);
});

test("not reviewed: pages hold each message once, the newest first", (t) => {
  const { run, keep, recover } = open(t);
  keep(...Array.from({ length: 25 }, (_, number) => pendingOf(allowed(number))));
  recover();
  const ids: string[] = [];
  for (let before: number | undefined; ;) {
    const page = run("notReviewed", { tenant: "acme", limit: 10, before });
    assert.equal(page.total, 25);
    ids.push(...page.messages.map(({ id }) => id));
    if (page.nextBefore === undefined) break;
    before = page.nextBefore;
  }
  assert.deepEqual(
    ids,
    Array.from({ length: 25 }, (_, number) => verdictId(24 - number)),
  );
});

/** A store's thread that a test can kill at once, whatever it is in; no other follows it. */
function mortal() {
  let worker: Worker | undefined;
  let isDead = false;
  const startWorker = (path: string): StoreWorker => {
    const url = new URL(import.meta.resolve("#review/worker.ts"));
    const alive = isDead ? undefined : new Worker(url, { workerData: { path } });
    worker = alive ?? worker;
    return {
      post: (wish) => alive?.postMessage(wish),
      onMessage: (listener) => {
        alive?.on("message", listener);
        if (isDead) queueMicrotask(() => listener({ type: "refused", reason: "killed" }));
      },
      onEnd: (listener) => void alive?.on("exit", () => listener("killed")),
    };
  };
  const kill = async (): Promise<void> => {
    isDead = true;
    await worker!.terminate();
  };
  return { startWorker, kill };
}

test("pending: a thread that is killed at any moment loses nothing that it promised", async (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const random = new Random(SEED);
  const path = join(tempFolder(t), "moderation.db");
  /** By id: what was promised of it, and how it ended, if it did. */
  const promised = new Map<string, "open" | "answered" | "flagged">();
  let number = 0;
  for (let life = 0; life < 6; life++) {
    const { startWorker, kill } = mortal();
    const desk = await ReviewDesk.open({
      path,
      log: LOG,
      targets: "any",
      turns: async () => [],
      nowMs: () => START_MS,
      startWorker,
    });
    const page = await desk.ask("notReviewed", { tenant: "acme", limit: 5_000 });
    const ids = page.messages.map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, "none is listed twice");
    const queued = await desk.ask("list", {
      tenant: "acme",
      filter: {},
      limit: 5_000,
      nowMs: START_MS,
    });
    const inQueue = new Map(queued.items.map((item) => [item.verdictId!, item]));
    assert.equal(inQueue.size, queued.items.length);
    const isSure = ids.every((id) => inQueue.get(id)?.degraded !== false);
    assert.ok(isSure, `what was written to its end is listed as interrupted, SEED=${SEED}`);
    for (const [id, fate] of promised) {
      const isThere = ids.includes(id) || inQueue.has(id);
      assert.ok(isThere || fate === "answered", `${id} (${fate}) was forgotten, SEED=${SEED}`);
    }
    const killedAfter = 3 + random.below(25);
    for (let step = 0; step < killedAfter; step++) {
      const reviews = Array.from({ length: 1 + random.below(40) }, () => {
        number += 1;
        return pendingOf(random.chance(1, 3) ? flaggedVerdict(number) : allowed(number));
      });
      const kept = desk.keepPending(reviews).then(() => {
        for (const { verdict } of reviews) promised.set(verdict.id, "open");
      });
      // Some end before they are on disk: an answer of the cache is as quick.
      if (random.chance(1, 2)) await kept;
      for (const { verdict, text } of reviews) {
        if (random.chance(1, 4)) continue;
        const isFlagged = verdict.action !== "allow";
        desk.takeVerdict({ ...verdict, upstream: UPSTREAM }, text, true);
        await kept;
        promised.set(verdict.id, isFlagged ? "flagged" : "answered");
      }
      await kept;
    }
    // What was promised stands, whether or not the thread has got to the ends of it.
    t.diagnostic(`life ${life}: ${promised.size} promised, ${ids.length} listed`);
    await kill();
    await desk.close();
  }
  assert.ok([...promised.values()].includes("open"));
});

test("pending: what a crash left is worked off while new reviews begin", async (t) => {
  const path = join(tempFolder(t), "moderation.db");
  const count = 2 * STORE_RECOVERED_MAX + 7;
  const store = new ReviewStore(path);
  const left = Array.from({ length: count }, (_, number) =>
    pendingRow(pendingOf(allowed(number, { tenant: number % 2 === 0 ? "acme" : "other" }))),
  );
  store.runAll([{ name: "keepPending", request: { rows: left } }]);
  store.close();
  const openDesk = async (): Promise<ReviewDesk> => {
    const opened = await ReviewDesk.open({
      path,
      log: LOG,
      targets: "any",
      turns: async () => [],
      nowMs: () => START_MS,
    });
    t.after(async () => opened.close());
    return opened;
  };
  const desk = await openDesk();
  await desk.keepPending([pendingOf(allowed(count + 1))]);
  const [ours, others] = await Promise.all(
    ["acme", "other"].map(async (tenant) => desk.ask("notReviewed", { tenant, limit: 200 })),
  );
  assert.deepEqual([ours!.total, others!.total], [Math.ceil(count / 2), Math.floor(count / 2)]);
  assert.equal(ours!.messages[0]!.id, verdictId(count - 1), "not the one that is open");
  await desk.close();
  const again = await openDesk();
  const { messages } = await again.ask("notReviewed", { tenant: "acme", limit: 1 });
  assert.equal(messages[0]?.id, verdictId(count + 1), "a stop does not forget it either");
});

test("pending: many rows are one transaction, and who waits for none is not held up", async (t) => {
  const path = join(tempFolder(t), "moderation.db");
  const thread = new StoreThread(path, { log: LOG });
  await thread.opened;
  await thread.keepPending([]);
  await thread.written();
  const before = thread.counts().batchCount;
  await Promise.all(
    Array.from({ length: 1_000 }, async (_, number) =>
      thread.keepPending([pendingRow(pendingOf(allowed(number)))]),
    ),
  );
  assert.ok(thread.counts().batchCount - before <= 2, "one batch while another is on its way");
  const recovered = await thread.call("recover", { nowMs: START_MS, limit: 1_000 });
  assert.deepEqual(recovered, { count: 1_000, isMore: false });
  thread.takeFlagged({ verdict: flaggedVerdict(1), text: "t", context: [] });
  await thread.written();
  assert.equal(thread.counts().flaggedWaitingCount, 0);
  await thread.close();
  await assert.rejects(
    thread.keepPending([pendingRow(pendingOf(allowed(1)))]),
    (error: Problem) => error.code === "stopping",
  );
});

test("pending: without a store nobody waits, and what is not kept is counted", async () => {
  const none = { post: () => undefined, onEnd: () => undefined };
  let tell: Parameters<StoreWorker["onMessage"]>[0] = () => undefined;
  const startWorker = (): StoreWorker => ({
    ...none,
    onMessage: (listener) => (tell = listener),
  });
  const thread = new StoreThread("x", { log: LOG, startWorker });
  const rows = Array.from({ length: STORE_PENDING_MAX }, (_, number) =>
    pendingRow(pendingOf(allowed(number), { leavesTrace: false })),
  );
  const early = assert.rejects(thread.keepPending(rows), /x is damaged/);
  await assert.rejects(
    thread.keepPending(rows.slice(0, 5)),
    (error: Problem) => error.code === "busy",
  );
  tell({ type: "refused", reason: "x is damaged" });
  await early;
  await assert.rejects(
    thread.keepPending(rows.slice(0, 2)),
    (error: Problem) => error.code === "storeUnavailable",
  );
  await thread.written();
  assert.equal(thread.counts().pendingLostCount, STORE_PENDING_MAX + 7);
});

/** A thread that notes what it is handed, and answers when it is told to. */
function noting() {
  const posted: string[][] = [];
  let tell: Parameters<StoreWorker["onMessage"]>[0] = () => undefined;
  const startWorker = (): StoreWorker => ({
    post: (wish) => {
      if (wish.type === "run") posted.push(wish.commands.map(({ name }) => name));
    },
    onMessage: (listener) => (tell = listener),
    onEnd: () => undefined,
  });
  const thread = new StoreThread("x", { log: LOG, startWorker });
  tell({ type: "open" });
  return { thread, posted, tell };
}

test("pending: a row is written before what may end it", async () => {
  const { thread, posted, tell } = noting();
  thread.takeFlagged({ verdict: flaggedVerdict(1), text: "t", context: [] });
  // While that is on its way a review begins and ends.
  thread.takeFlagged({ verdict: flaggedVerdict(2), text: "t", context: [] });
  const kept = thread.keepPending([pendingRow(pendingOf(flaggedVerdict(2)))]);
  tell({ type: "replies", replies: [{ answer: undefined }] });
  assert.deepEqual(posted, [["takeFlagged"], ["keepPending", "takeFlagged"]]);
  tell({ type: "replies", replies: [{ failure: "a bug" }, { answer: undefined }] });
  await assert.rejects(kept, /failed on this/);
  assert.equal(thread.counts().pendingLostCount, 1);
});

test("pending: a row outlives its answer a little", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { thread, posted, tell } = noting();
  thread.endPending({ tenant: "acme", id: verdictId(1) });
  t.mock.timers.tick(199);
  // What else is written meanwhile does not take it along.
  thread.takeFlagged({ verdict: flaggedVerdict(2), text: "t", context: [] });
  tell({ type: "replies", replies: [{ answer: undefined }] });
  t.mock.timers.tick(1);
  assert.deepEqual(posted, [["takeFlagged"]]);
  t.mock.timers.tick(200);
  assert.deepEqual(posted, [["takeFlagged"], ["endPending"]]);
  // A batch that failed is handed in again, ends too.
  tell({ type: "failed", reason: "disk full" });
  t.mock.timers.tick(1_000);
  assert.deepEqual(posted[2], ["endPending"]);
});

test("limits of a tenant's language model, and what it spent, outlive the process", async (t) => {
  const path = join(tempFolder(t), "moderation.db");
  const given: [string, object][] = [];
  let spending = [{ tenant: "spender", spentMicros: 12.5, atMs: START_MS - 5_000 }];
  const spender: Spender = {
    putLimits: (tenant, limits) => void given.push([tenant, limits]),
    spending: async () => spending,
  };
  const nowMs = (): number => START_MS;
  const first = new StoreThread(path, { log: LOG });
  const limits = await LlmLimits.open(first, nowMs);
  limits.attach(spender);
  assert.deepEqual(given, []);
  const budget = {
    callsPerMinute: 10,
    tokensPerMinute: Number.POSITIVE_INFINITY,
    microsPerDay: 0,
  };
  await limits.put("acme", { budget, runningMax: 3 });
  await limits.put("gone", { runningMax: 1 });
  await limits.reset("gone");
  assert.deepEqual(given.splice(0), [
    ["acme", { budget, runningMax: 3 }],
    ["gone", { budget: undefined, runningMax: 1 }],
    ["gone", {}],
  ]);
  await limits.keepSpending();
  spending = [{ tenant: "acme", spentMicros: 7, atMs: START_MS }];
  await limits.close();
  const lines = await first.call("audit", { tenant: "gone", limit: 9 });
  assert.deepEqual(
    lines.map(({ action }) => action),
    ["llmLimitsReset", "llmLimitsSet"],
  );
  await first.close();

  const second = new StoreThread(path, { log: LOG });
  const again = await LlmLimits.open(second, nowMs);
  assert.deepEqual(again.current("acme"), { budget, runningMax: 3 });
  assert.equal(again.current("gone"), undefined);
  again.attach(spender);
  assert.deepEqual(given, [
    ["acme", { budget, runningMax: 3, spent: { spentMicros: 7, atMs: START_MS } }],
    ["spender", { spent: { spentMicros: 12.5, atMs: START_MS - 5_000 } }],
  ]);
  spending = [];
  await again.close();
  given.length = 0;
  // A day later all of it has come back.
  const later = await LlmLimits.open(second, () => START_MS + 24 * 3_600_000);
  later.attach(spender);
  assert.deepEqual(given, [["acme", { budget, runningMax: 3, spent: undefined }]]);
  await later.close();
  await second.close();
});
