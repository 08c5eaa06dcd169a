import { LIVE_HEARTBEAT_MS, LIVE_STALL_MS_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import { trendingAnswer, type TrendingAnswer } from "#model/trending-answer.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveFeed, type LiveListener, type LiveUpdate } from "./live-feed.ts";

class Listener implements LiveListener {
  readonly updates: LiveUpdate[] = [];
  heartbeats = 0;
  ended: Problem | "stop" | undefined;
  isCut = false;
  #gate: PromiseWithResolvers<void> | undefined;

  block(): void {
    this.#gate = Promise.withResolvers();
  }

  release(): void {
    this.#gate?.resolve();
    this.#gate = undefined;
  }

  async send(update: LiveUpdate): Promise<void> {
    this.updates.push(update);
    await this.#gate?.promise;
  }

  heartbeat(): void {
    this.heartbeats += 1;
  }

  end(problem: Problem | undefined): void {
    this.ended = problem ?? "stop";
  }

  cut(): void {
    this.isCut = true;
  }
}

function answer(eventCount: number, asOfMs = 0): TrendingAnswer {
  const window = { windowStartMs: asOfMs - 60_000, windowEndMs: asOfMs };
  const counts = { userCount: 1, userCountError: 0, lateCount: 0, duplicateCount: 0 };
  const rest = { repeatedCount: 0, items: [], sentences: [] };
  return trendingAnswer("acme", { asOfMs, ...window, eventCount, ...counts, ...rest });
}

function openFeed(): { feed: LiveFeed; state: { answer: TrendingAnswer; reads: number } } {
  const state = { answer: answer(1), reads: 0 };
  const feed = new LiveFeed(async () => {
    state.reads += 1;
    return state.answer;
  });
  return { feed, state };
}

test("live: what did not change is not sent, although the clock moves", async () => {
  const { feed, state } = openFeed();
  const listener = new Listener();
  feed.join(listener, { seenId: 0, nowMs: 1_000 });
  await feed.poll(1_000);
  state.answer = answer(1, 5_000);
  await feed.poll(2_000);
  assert.equal(listener.updates.length, 1);
  state.answer = answer(2, 6_000);
  await feed.poll(3_000);
  assert.deepEqual(
    listener.updates.map(({ id }) => id),
    [1_000, 3_000],
  );
  assert.equal((JSON.parse(listener.updates[1]?.json ?? "") as TrendingAnswer).asOfMs, 6_000);
});

test("live: ids rise even if the clock falls", async () => {
  const { feed, state } = openFeed();
  const listener = new Listener();
  feed.join(listener, { seenId: 0, nowMs: 9_000 });
  await feed.poll(9_000);
  state.answer = answer(2);
  await feed.poll(4_000);
  assert.deepEqual(
    listener.updates.map(({ id }) => id),
    [9_000, 9_001],
  );
});

test("live: one poll serves all; nobody listening, no poll", async () => {
  const { feed, state } = openFeed();
  const listeners = [new Listener(), new Listener(), new Listener()];
  const leaves = listeners.map((listener) => feed.join(listener, { seenId: 0, nowMs: 0 }));
  await feed.poll(1_000);
  assert.equal(state.reads, 1);
  assert.deepEqual(
    listeners.map(({ updates }) => updates.length),
    [1, 1, 1],
  );
  for (const leave of leaves) leave();
  await feed.poll(2_000);
  assert.equal(state.reads, 1);
});

test("live: who comes back gets the present state, unless it was seen", async () => {
  const { feed } = openFeed();
  feed.join(new Listener(), { seenId: 0, nowMs: 0 });
  await feed.poll(1_000);
  const [fresh, current, stale] = [new Listener(), new Listener(), new Listener()];
  feed.join(fresh, { seenId: 0, nowMs: 1_100 });
  feed.join(current, { seenId: 1_000, nowMs: 1_100 });
  feed.join(stale, { seenId: 400, nowMs: 1_100 });
  assert.deepEqual(
    [fresh, current, stale].map(({ updates }) => updates.length),
    [1, 0, 1],
  );
});

test("live: a slow listener gets the newest next, and never a queue", async () => {
  const { feed, state } = openFeed();
  const slow = new Listener();
  slow.block();
  feed.join(slow, { seenId: 0, nowMs: 0 });
  for (let second = 1; second <= 5; second++) {
    state.answer = answer(second);
    await feed.poll(second * 1_000);
  }
  assert.equal(slow.updates.length, 1);
  slow.release();
  await new Promise((resolve) => setImmediate(resolve));
  await feed.poll(6_000);
  assert.deepEqual(
    slow.updates.map(({ id }) => id),
    [1_000, 5_000],
  );
});

test("live: a listener that takes nothing is cut, a silent one hears a heartbeat", async () => {
  const { feed } = openFeed();
  const [stuck, silent] = [new Listener(), new Listener()];
  stuck.block();
  feed.join(stuck, { seenId: 0, nowMs: 0 });
  feed.join(silent, { seenId: 0, nowMs: 0 });
  await feed.poll(0);
  await new Promise((resolve) => setImmediate(resolve));
  await feed.poll(LIVE_HEARTBEAT_MS);
  assert.equal(silent.heartbeats, 1);
  assert.equal(stuck.heartbeats, 0);
  await feed.poll(LIVE_STALL_MS_MAX + 1);
  assert.ok(stuck.isCut);
  assert.ok(!silent.isCut);
  assert.equal(feed.listenerCount, 1);
});

test("live: a passing problem is waited out, a final one ends the feed", async () => {
  const listener = new Listener();
  let problem = new Problem("shardRestarting", "soon");
  const feed = new LiveFeed(async () => {
    throw problem;
  });
  feed.join(listener, { seenId: 0, nowMs: 0 });
  await feed.poll(1_000);
  assert.equal(listener.ended, undefined);
  problem = new Problem("tenantUnknown", "gone");
  await feed.poll(2_000);
  assert.equal(listener.ended, problem);
  assert.equal(feed.listenerCount, 0);
});
