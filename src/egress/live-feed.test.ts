import { LIVE_HEARTBEAT_MS, LIVE_STALL_MS_MAX } from "#model/limits.ts";
import { Problem } from "#model/problem.ts";
import { trendingAnswer, type TrendingAnswer, visibleTrending } from "#model/trending-answer.ts";
import assert from "node:assert/strict";
import { test } from "node:test";
import { LiveFeed, type LiveListener, type LiveUpdate } from "./live-feed.ts";

const TRENDING = ["trending"];

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
  const read = async () => {
    state.reads += 1;
    return { visible: visibleTrending(state.answer), answer: state.answer };
  };
  return { feed: new LiveFeed({ trending: { event: "trending", read } }), state };
}

test("live: what did not change is not sent, although the clock moves", async () => {
  const { feed, state } = openFeed();
  const listener = new Listener();
  feed.join(listener, { kinds: TRENDING, seenId: 0, nowMs: 1_000 });
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
  feed.join(listener, { kinds: TRENDING, seenId: 0, nowMs: 9_000 });
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
  const leaves = listeners.map((listener) =>
    feed.join(listener, { kinds: TRENDING, seenId: 0, nowMs: 0 }),
  );
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
  feed.join(new Listener(), { kinds: TRENDING, seenId: 0, nowMs: 0 });
  await feed.poll(1_000);
  const [fresh, current, stale] = [new Listener(), new Listener(), new Listener()];
  feed.join(fresh, { kinds: TRENDING, seenId: 0, nowMs: 1_100 });
  feed.join(current, { kinds: TRENDING, seenId: 1_000, nowMs: 1_100 });
  feed.join(stale, { kinds: TRENDING, seenId: 400, nowMs: 1_100 });
  assert.deepEqual(
    [fresh, current, stale].map(({ updates }) => updates.length),
    [1, 0, 1],
  );
});

test("live: a slow listener gets the newest next, and never a queue", async () => {
  const { feed, state } = openFeed();
  const slow = new Listener();
  slow.block();
  feed.join(slow, { kinds: TRENDING, seenId: 0, nowMs: 0 });
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
  feed.join(stuck, { kinds: TRENDING, seenId: 0, nowMs: 0 });
  feed.join(silent, { kinds: TRENDING, seenId: 0, nowMs: 0 });
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
  const read = async () => {
    throw problem;
  };
  const feed = new LiveFeed({ trending: { event: "trending", read } });
  feed.join(listener, { kinds: TRENDING, seenId: 0, nowMs: 0 });
  await feed.poll(1_000);
  assert.equal(listener.ended, undefined);
  problem = new Problem("tenantUnknown", "gone");
  await feed.poll(2_000);
  assert.equal(listener.ended, problem);
  assert.equal(feed.listenerCount, 0);
});

function openTwo() {
  const words: Record<string, string> = { a: "a1", b: "b1" };
  const reads: Record<string, number> = { a: 0, b: 0 };
  const kind = (name: string) => ({
    event: `event ${name}`,
    read: async () => {
      reads[name] = (reads[name] ?? 0) + 1;
      const word = words[name] ?? "";
      if (word === "off") throw new Problem("windowOff", "off");
      return { visible: word, answer: { word } };
    },
  });
  const feed = new LiveFeed({ a: kind("a"), b: kind("b") });
  const wordsOf = ({ updates }: Listener) =>
    updates.map(({ json }) => (JSON.parse(json) as { word: string }).word);
  return { feed, words, reads, wordsOf };
}

test("live: each listener gets its kinds alone, and none is read that nobody follows", async () => {
  const { feed, words, reads, wordsOf } = openTwo();
  const [one, both] = [new Listener(), new Listener()];
  feed.join(one, { kinds: ["a"], seenId: 0, nowMs: 0 });
  await feed.poll(1_000);
  assert.deepEqual(reads, { a: 1, b: 0 });
  const leave = feed.join(both, { kinds: ["a", "b"], seenId: 0, nowMs: 1_500 });
  await feed.poll(2_000);
  words["b"] = "b2";
  await feed.poll(3_000);
  assert.deepEqual(wordsOf(one), ["a1"]);
  assert.deepEqual(wordsOf(both), ["a1", "b1", "b2"]);
  assert.deepEqual(
    both.updates.map(({ event }) => event),
    ["event a", "event b", "event b"],
  );
  leave();
  const { b } = reads;
  await feed.poll(4_000);
  assert.equal(reads["b"], b);
});

test("live: one id says what was seen of all kinds, in whatever order they changed", async () => {
  const { feed, words, wordsOf } = openTwo();
  const kinds = ["a", "b"];
  const keeper = new Listener();
  feed.join(keeper, { kinds, seenId: 0, nowMs: 0 });
  // Any history of changes; whoever left after any update and returns gets what it lacks, once.
  for (const [second, change] of ["a", "b", "b", "a", "ab", "", "a", "b"].entries()) {
    for (const name of change) words[name] = `${name}${second + 2}`;
    await feed.poll((second + 1) * 1_000);
  }
  await new Promise((resolve) => setImmediate(resolve));
  const all = wordsOf(keeper);
  for (let seen = 1; seen <= keeper.updates.length; seen++) {
    const back = new Listener();
    const seenId = keeper.updates[seen - 1]?.id ?? 0;
    feed.join(back, { kinds, seenId, nowMs: 20_000 });
    await new Promise((resolve) => setImmediate(resolve));
    const had = all.slice(0, seen);
    const lacking = ["a", "b"].map((name) => words[name] ?? "").filter((w) => !had.includes(w));
    assert.deepEqual(wordsOf(back).toSorted(), lacking.toSorted(), `after ${seen}`);
  }
});

test("live: a kind that is no more ends those who follow it, and the others go on", async () => {
  const { feed, words, wordsOf } = openTwo();
  const [one, both] = [new Listener(), new Listener()];
  feed.join(one, { kinds: ["a"], seenId: 0, nowMs: 0 });
  feed.join(both, { kinds: ["a", "b"], seenId: 0, nowMs: 0 });
  words["b"] = "off";
  await feed.poll(1_000);
  assert.equal((both.ended as Problem).code, "windowOff");
  assert.equal(one.ended, undefined);
  assert.deepEqual(wordsOf(one), ["a1"]);
});
