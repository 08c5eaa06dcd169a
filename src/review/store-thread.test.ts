import { STORE_ALLOWED_MAX, STORE_FLAGGED_MAX, STORE_WAITING_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import { openLog } from "#observe/log.ts";
import { flaggedVerdict, START_MS, tempFolder } from "#testing/reviewing.ts";
import assert from "node:assert/strict";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { IN_MEMORY, StoreError } from "./database.ts";
import {
  type StoreMessage,
  StoreThread,
  type StoreWish,
  type StoreWorker,
} from "./store-thread.ts";
import { ReviewStore } from "./store.ts";

const NOW = { nowMs: START_MS };

/** A worker on this thread that answers when it is told to. */
class HeldWorker implements StoreWorker {
  readonly store = new ReviewStore(IN_MEMORY);
  readonly wishes: StoreWish[] = [];
  #listener: (message: StoreMessage) => void = () => undefined;
  end: (reason: string) => void = () => undefined;

  post(wish: StoreWish): void {
    this.wishes.push(wish);
    if (wish.type === "close") this.end("closed");
  }

  onMessage(listener: (message: StoreMessage) => void): void {
    this.#listener = listener;
  }

  onEnd(listener: (reason: string) => void): void {
    this.end = listener;
  }

  open(): void {
    this.#listener({ type: "open" });
  }

  refuse(reason: string): void {
    this.#listener({ type: "refused", reason });
  }

  /** The number of commands of the batch that is run. */
  run(): number {
    const wish = this.wishes.shift();
    assert(wish?.type === "run");
    this.#listener({ type: "replies", replies: this.store.runAll(wish.commands) });
    return wish.commands.length;
  }

  fail(reason: string): void {
    const wish = this.wishes.shift();
    assert(wish?.type === "run");
    this.#listener({ type: "failed", reason });
  }
}

function held(t: TestContext) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const workers: HeldWorker[] = [];
  const startWorker = (): HeldWorker => {
    const worker = new HeldWorker();
    workers.push(worker);
    return worker;
  };
  const thread = new StoreThread("x", { log: openLog("silent"), startWorker });
  const worker = workers[0]!;
  t.after(() => worker.store.close());
  const flag = (number: number, tenant = "acme"): void => {
    const verdict = { ...flaggedVerdict(number), tenant };
    thread.takeFlagged({ verdict, text: `t${number}`, context: [] });
  };
  const allow = (number: number): void => {
    const { id, asOfMs, scores, thresholds, proposedAction } = flaggedVerdict(number);
    const past = { id, asOfMs, scores, thresholds, proposedAction, listEntry: undefined };
    thread.takeAllowed({ tenant: "acme", past: { ...past, policyVersion: 0 } });
  };
  return { thread, worker, workers, flag, allow };
}

test("store thread: what comes while a batch is on its way is the next batch", async (t) => {
  const { thread, worker, flag } = held(t);
  worker.open();
  flag(1);
  for (let number = 2; number <= 100; number++) flag(number);
  const stats = thread.call("stats", { tenant: "acme", ...NOW });
  assert.equal(worker.wishes.length, 1, "one batch at a time");
  assert.equal(worker.run(), 1);
  assert.equal(worker.run(), 100, "one transaction for all that waited");
  assert.equal((await stats).states.pending, 100);
  assert.equal(thread.counts().batchCount, 2);
  for (let number = 101; number <= 2_000; number++) flag(number);
  const late = thread.call("stats", { tenant: "acme", ...NOW });
  while (worker.wishes.length > 0) worker.run();
  assert.equal((await late).states.pending, 2_000, "a question sees what was told before it");
});

test("store thread: verdicts without a flag wait a little, and many are shed", (t) => {
  const { thread, worker, flag, allow } = held(t);
  worker.open();
  allow(0);
  assert.equal(worker.wishes.length, 0, "they are not worth a sync of their own");
  t.mock.timers.tick(1_000);
  assert.equal(worker.run(), 1);
  flag(1);
  for (let number = 0; number < STORE_ALLOWED_MAX + 10; number++) allow(number);
  worker.run();
  assert.equal(worker.run(), STORE_ALLOWED_MAX / 2 + 10);
  const { allowedShedCount, flaggedLostCount } = thread.counts();
  assert.deepEqual([allowedShedCount, flaggedLostCount], [STORE_ALLOWED_MAX / 2, 0]);
});

test("store thread: a batch that cannot be written is tried again; callers are told", async (t) => {
  const { thread, worker, flag } = held(t);
  worker.open();
  flag(1);
  worker.fail("disk full");
  flag(2);
  const asked = thread.call("stats", { tenant: "acme", ...NOW });
  assert.equal(worker.wishes.length, 0, "not at once");
  t.mock.timers.tick(1_000);
  worker.fail("disk full");
  await assert.rejects(asked, (error: Problem) => error.code === "storeUnavailable");
  t.mock.timers.tick(1_000);
  assert.equal(worker.run(), 2);
  const { failureCount, flaggedLostCount, flaggedWaitingCount } = thread.counts();
  assert.deepEqual([failureCount, flaggedLostCount, flaggedWaitingCount], [2, 0, 0]);
});

test("store thread: beyond its bounds callers are refused, losses counted", async (t) => {
  const { thread, worker, flag } = held(t);
  for (let count = 0; count < STORE_WAITING_MAX; count++) {
    thread.call("stats", { tenant: "acme", ...NOW }).catch(() => undefined);
  }
  const over = thread.call("stats", { tenant: "acme", ...NOW });
  await assert.rejects(over, (error: Problem) => error.code === "busy");
  const half = STORE_FLAGGED_MAX / 2;
  for (let number = 0; number < half + 3; number++) flag(number);
  assert.equal(thread.counts().flaggedLostCount, 3, "one tenant has half of it");
  for (let number = 0; number < half + 5; number++) {
    flag(number, number % 2 === 0 ? "one" : "another");
  }
  assert.equal(thread.counts().flaggedLostCount, 3 + 5, "the rest is for others");
  worker.refuse("no disk");
});

test("store thread: one that dies is started again and handed what it had", async (t) => {
  const { thread, worker, workers, flag } = held(t);
  worker.open();
  flag(1);
  const asked = thread.call("stats", { tenant: "acme", ...NOW });
  worker.end("crashed");
  const second = workers[1] ?? assert.fail("no second thread");
  second.open();
  t.mock.timers.tick(1_000);
  assert.equal(second.run(), 2);
  assert.equal((await asked).states.pending, 1);
  second.store.close();
});

test("store thread: one that does not open says why, to whoever asks", async (t) => {
  const { thread, worker } = held(t);
  const early = thread.call("stats", { tenant: "acme", ...NOW });
  worker.refuse("x is damaged");
  const isDamaged = (error: Problem): boolean =>
    error.code === "storeUnavailable" && error.message.includes("x is damaged");
  await assert.rejects(early, isDamaged);
  await assert.rejects(thread.call("stats", { tenant: "acme", ...NOW }), isDamaged);
  await assert.rejects(thread.opened, StoreError);
  await thread.close();
});

test("store thread: ten claims at once, and no two have the same item", async (t) => {
  const path = join(tempFolder(t), "moderation.db");
  const log = openLog("silent");
  const thread = new StoreThread(path, { log });
  await thread.opened;
  for (let number = 1; number <= 100; number++) {
    const verdict = flaggedVerdict(number);
    thread.takeFlagged({ verdict, text: `t${number}`, context: [] });
  }
  const claims = Array.from({ length: 10 }, async (_, person) =>
    thread.call("claim", {
      tenant: "acme",
      moderator: `person${person}`,
      count: 10,
      leaseMs: 60_000,
      filter: {},
      ...NOW,
    }),
  );
  const ids = (await Promise.all(claims)).flatMap((items) => items.map(({ id }) => id));
  assert.equal(ids.length, 100);
  assert.equal(new Set(ids).size, 100);
  thread.takeFlagged({ verdict: flaggedVerdict(101), text: "last", context: [] });
  await thread.close();
  // What was told before the stop is in the file.
  const again = new StoreThread(path, { log });
  const { states } = await again.call("stats", { tenant: "acme", ...NOW });
  assert.deepEqual([states.claimed, states.pending], [100, 1]);
  await again.close();
});
