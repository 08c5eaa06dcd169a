import assert from "node:assert/strict";
import test from "node:test";
import { numberBeyond } from "#llm/number-check.ts";
import { PANE_MS, RETELLINGS_BYTES_MAX, TLDR_WAIT_MS_MAX } from "#model/limits.ts";
import type { Retelling } from "#model/trending-answer.ts";
import type { TrendingReport } from "#model/trending.ts";
import { Random } from "#std/random.ts";
import { type FakeAsk, FakeLlm, turn } from "#testing/fake-llm.ts";
import { SEED } from "#testing/seed.ts";
import { Tldrs } from "./tldrs.ts";

const START_MS = 1_700_000_000_000;
const DEFAULT = { limit: 10, order: "trend" } as const;

/** Tenants whose window has one term with a count, on a clock of the test. */
class Bench {
  readonly llm = new FakeLlm();
  readonly counts = new Map<string, number>();
  nowMs = START_MS;
  reads = 0;
  isDown = false;
  readonly tldrs = new Tldrs({
    llm: this.llm,
    nowMs: () => this.nowMs,
    trending: async (tenant) => {
      this.reads += 1;
      if (this.isDown) throw new Error("busy");
      return this.report(tenant);
    },
  });

  report(tenant = "acme"): TrendingReport {
    const count = this.counts.get(tenant) ?? 42;
    const windowEndMs = PANE_MS * (Math.floor(this.nowMs / PANE_MS) + 1);
    const item = {
      term: `boss of ${tenant}`,
      count,
      countLow: count,
      countHigh: count,
      exact: true,
      trending: true,
      expected: 3.5,
      significance: 9,
      userCount: 27,
      userCountError: 0,
      firstSeenMs: START_MS,
      sample: "",
    };
    return {
      asOfMs: this.nowMs,
      windowStartMs: windowEndMs - 60_000,
      windowEndMs,
      eventCount: 100 + count,
      userCount: 61,
      userCountError: 0,
      lateCount: 0,
      duplicateCount: 0,
      repeatedCount: 0,
      items: count === 0 ? [] : [item],
      sentences: [{ text: `“${item.term}” leads: ${count} mentions.`, eventId: undefined }],
    };
  }

  look(tenant = "acme", asked: { limit: number; order: "trend" | "count" } = DEFAULT) {
    return this.tldrs.look(tenant, this.report(tenant), asked);
  }
}

/** A sentence with the count of the term, as a model reads it. */
function retold({ parts }: FakeAsk): object {
  const [, count] = /(\d+) mentions?/.exec(parts[1]!.text)!;
  return { id: "1", sentences: [`${parts[1]!.name} is the talk: ${count} times.`] };
}

const TEXT = "“boss of acme” is the talk: 42 times.";
const RETOLD: Retelling = { sentences: [TEXT], model: "small-1" };

test("a look asks once and is told when somebody looks again", async () => {
  const bench = new Bench();
  assert.equal(bench.look(), undefined);
  assert.equal(bench.look(), undefined);
  assert.equal(bench.llm.asks.length, 1);
  const [ask] = bench.llm.asks;
  assert.deepEqual([ask!.tenant, ask!.job, ask!.waitMsMax], ["acme", "tldr", TLDR_WAIT_MS_MAX]);
  assert.ok(ask!.parts.every(({ kind }) => kind === "fact"));
  await ask!.end(retold(ask!));
  assert.deepEqual(bench.look(), RETOLD);
  assert.equal(bench.llm.asks.length, 1);
  assert.equal(bench.reads, 0);
});

test("one is asked for a pane, and none before the last one has ended", async () => {
  const bench = new Bench();
  bench.look();
  for (const count of [43, 44]) {
    bench.nowMs += 1_000;
    bench.counts.set("acme", count);
    bench.look();
  }
  assert.equal(bench.llm.asks.length, 1);
  bench.nowMs += PANE_MS;
  bench.look();
  assert.equal(bench.llm.asks.length, 1, "the first one still runs");
  await bench.llm.asks[0]!.end(retold(bench.llm.asks[0]!));
  bench.look();
  assert.equal(bench.llm.asks.length, 2);
  bench.nowMs += 999;
  bench.look();
  assert.equal(bench.llm.asks.length, 2);
});

test("it is of this pane or the one before, in the numbers of the answer", async () => {
  const bench = new Bench();
  bench.llm.answer = retold;
  bench.look();
  await turn();
  bench.llm.answer = undefined;
  bench.nowMs += PANE_MS;
  bench.counts.set("acme", 57);
  const text = "“boss of acme” is the talk: 57 times.";
  assert.deepEqual(bench.look(), { sentences: [text], model: "small-1" });
  bench.nowMs += PANE_MS;
  assert.equal(bench.look(), undefined);
});

test("a window that stays as it is keeps its text, and nobody is asked again", async () => {
  const bench = new Bench();
  bench.llm.answer = retold;
  bench.look();
  await turn();
  for (let pane = 0; pane < 5; pane++) {
    bench.nowMs += PANE_MS;
    assert.deepEqual(bench.look(), RETOLD);
  }
  assert.equal(bench.llm.asks.length, 1);
});

test("where none came, the extractive text stands and says why", async () => {
  const bench = new Bench();
  const failures = ["overBudget", "timedOut", "unavailable", "queueFull", "interrupted"] as const;
  for (const failure of failures) {
    bench.look();
    await bench.llm.asks.at(-1)!.end(failure);
    assert.deepEqual(bench.look(), { failure });
    bench.nowMs += PANE_MS;
    assert.deepEqual(bench.look(), { failure }, "the next one is on its way");
    await bench.llm.asks.at(-1)!.end("off");
    assert.equal(bench.look(), undefined, "none was wanted");
    bench.nowMs += PANE_MS;
  }
  bench.look();
  await bench.llm.asks.at(-1)!.end({ id: "1", sentences: ["About 40 people."] });
  assert.deepEqual(bench.look(), { failure: "malformed" });
  bench.nowMs += PANE_MS;
  bench.look();
  await bench.llm.asks.at(-1)!.end({ id: "1", summary: "Not of this job." });
  assert.deepEqual(bench.look(), { failure: "malformed" });
  bench.nowMs += 3 * PANE_MS;
  bench.look();
  await bench.llm.asks.at(-1)!.end(retold(bench.llm.asks.at(-1)!));
  assert.deepEqual(bench.look(), RETOLD);
});

test("an older one that is true stands where the newest try failed", async () => {
  const bench = new Bench();
  bench.llm.answer = retold;
  bench.look();
  await turn();
  bench.llm.answer = () => "timedOut";
  bench.nowMs += PANE_MS;
  bench.counts.set("acme", 43);
  bench.look();
  await turn();
  assert.deepEqual(bench.look(), {
    sentences: ["“boss of acme” is the talk: 43 times."],
    model: "small-1",
  });
  bench.nowMs += PANE_MS;
  assert.deepEqual(bench.look(), { failure: "timedOut" });
});

test("a call that never ends is given up, and its late answer is not believed", async () => {
  const bench = new Bench();
  bench.look();
  bench.nowMs += TLDR_WAIT_MS_MAX + PANE_MS;
  bench.look();
  assert.equal(bench.llm.asks.length, 2);
  const [late, next] = bench.llm.asks;
  await late!.end({ id: "1", sentences: ["The late one."] });
  assert.equal(bench.look(), undefined);
  await next!.end(retold(next!));
  assert.deepEqual(bench.look(), RETOLD);
});

test("a look at a part of the window has all of it told, and read for that", async () => {
  const bench = new Bench();
  bench.llm.answer = retold;
  bench.look("acme", { limit: 1, order: "trend" });
  await turn();
  bench.look("beta", { limit: 50, order: "count" });
  await turn();
  assert.equal(bench.reads, 2);
  assert.deepEqual(bench.look("acme", { limit: 1, order: "trend" }), RETOLD);
  bench.nowMs += PANE_MS;
  bench.look("acme", { limit: 1, order: "trend" });
  await turn();
  assert.deepEqual([bench.reads, bench.llm.asks.length], [3, 2], "it is as it was");
  assert.deepEqual(bench.look("acme", { limit: 1, order: "trend" }), RETOLD);
  bench.isDown = true;
  bench.look("gone", { limit: 1, order: "trend" });
  await turn();
  assert.equal(bench.look("gone", { limit: 1, order: "trend" }), undefined);
  assert.equal(bench.llm.asks.length, 2);
});

test("without an upstream for it, or without messages, nobody is asked", () => {
  const bench = new Bench();
  bench.counts.set("acme", 0);
  assert.equal(bench.look(), undefined);
  bench.llm.models = { rolling: "small-2" };
  assert.equal(bench.look("beta"), undefined);
  assert.equal(bench.llm.asks.length, 0);
  assert.equal(bench.tldrs.bytes, 0);
});

test("who waits is told as soon as it has ended, or that it has not", async () => {
  const bench = new Bench();
  assert.equal(await bench.tldrs.ended("acme", 1_000), false);
  bench.look();
  assert.equal(await bench.tldrs.ended("acme", 1), false);
  const ended = bench.tldrs.ended("acme", 60_000);
  await bench.llm.asks[0]!.end("timedOut");
  assert.equal(await ended, true);
});

test("what is kept is bounded, whoever looks", async () => {
  const bench = new Bench();
  bench.llm.answer = retold;
  const long = "a".repeat(200_000);
  bench.llm.answer = () => ({ id: "1", sentences: [long] });
  for (let n = 0; n < 100; n++) {
    bench.look(`tenant-${n}`);
    await turn();
    assert.ok(bench.tldrs.bytes <= RETELLINGS_BYTES_MAX);
  }
  assert.ok(bench.tldrs.bytes > RETELLINGS_BYTES_MAX / 2);
  const shown = [0, 99].map((n) => bench.look(`tenant-${n}`) !== undefined);
  assert.deepEqual(shown, [false, true]);
});

test(`no tenant is told of another, nor a wrong number (seed ${SEED})`, async () => {
  const random = new Random(SEED);
  const bench = new Bench();
  const tenants = Array.from({ length: 20 }, (_, n) => `canary${String.fromCharCode(97 + n)}x`);
  const failures = ["timedOut", "cancelled", "interrupted", "overBudget"] as const;
  let open: FakeAsk[] = [];
  let shown = 0;
  for (let step = 0; step < 6_000; step++) {
    const tenant = tenants[random.below(tenants.length)]!;
    if (random.chance(1, 3)) bench.nowMs += random.below(2_000);
    if (random.chance(1, 2)) bench.counts.set(tenant, random.below(60));
    const report = bench.report(tenant);
    const retelling = bench.tldrs.look(tenant, report, DEFAULT);
    if (retelling !== undefined && "sentences" in retelling) {
      shown += 1;
      const text = retelling.sentences.join(" ");
      assert.ok(text.includes(tenant), `${tenant} is told ${text}`);
      const { eventCount, userCount, items } = report;
      const item = items[0]!;
      const own = [eventCount, userCount, item.count, item.userCount, item.expected, 60];
      assert.equal(numberBeyond(text, own.map(String)), undefined, text);
      const times = /is the talk: (\d+) times/.exec(text)?.[1];
      if (times !== undefined) assert.equal(Number(times), item.count);
    }
    open = [...open, ...bench.llm.asks.splice(0)];
    if (open.length === 0 || random.chance(1, 2)) continue;
    const [ask] = open.splice(random.below(open.length), 1);
    const fate = random.below(10);
    const lie = { id: "1", sentences: [`In ${ask!.tenant} ${random.below(60)} times.`] };
    if (fate < 2) await ask!.end(failures[random.below(failures.length)]!);
    else await ask!.end(fate === 2 ? lie : retold(ask!));
    const others = tenants.filter((each) => each !== ask!.tenant);
    const prompt = JSON.stringify(ask!.parts);
    assert.ok(prompt.includes(ask!.tenant));
    assert.ok(!others.some((each) => prompt.includes(each)), prompt);
  }
  assert.ok(shown > 300, `${shown} were shown`);
});
