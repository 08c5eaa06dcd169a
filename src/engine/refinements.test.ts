import assert from "node:assert/strict";
import test from "node:test";
import { numberBeyond } from "#llm/number-check.ts";
import {
  REFINE_EVENTS_MIN,
  REFINE_LINES_MAX,
  REFINE_MS_MIN,
  REFINE_WAIT_MS_MAX,
  REFINES_OF_LIST_MAX,
  REFINES_OPEN_MAX,
  RETELLINGS_BYTES_MAX,
  RETOLD_TEXT_BYTES_MAX,
} from "#model/limits.ts";
import type { ConversationReport, LineKind, TextLine } from "#model/summary.ts";
import { Random } from "#std/random.ts";
import { type FakeAsk, FakeLlm, turn } from "#testing/fake-llm.ts";
import { SEED } from "#testing/seed.ts";
import { Refinements } from "./refinements.ts";

const START_MS = 1_700_000_000_000;
const LINES_KEPT = 6;

/** A conversation as a component keeps it: the newest lines, and what is open. */
class Thread {
  readonly id: string;
  firstMs: number;
  eventCount = 0;
  revision = 0;
  lines: TextLine[] = [];

  constructor(id: string, firstMs = START_MS) {
    this.id = id;
    this.firstMs = firstMs;
  }

  say(text: string, kind: LineKind = "said", user = "ada"): void {
    this.eventCount += 1;
    this.revision += 1;
    const eventId = `${this.id}/${this.firstMs}/${this.eventCount}`;
    this.lines.push({ kind, user, eventId, tsMs: this.firstMs + this.eventCount, text });
    if (this.lines.length > LINES_KEPT) this.lines.shift();
  }

  /** Messages that are not worth a line. */
  murmur(count: number): void {
    this.eventCount += count;
  }

  get report(): ConversationReport {
    const { id, eventCount, firstMs, lines, revision } = this;
    const lastMs = firstMs + eventCount;
    return {
      item: { id, eventCount, userCount: 1, userCountError: 0, firstMs, lastMs, late: false },
      participants: [],
      text: {
        text: lines.map(({ text }) => text).join(" "),
        lines: [...lines],
        openQuestions: lines.filter(({ kind }) => kind === "question"),
        decisions: lines.filter(({ kind }) => kind === "decision"),
        revision,
      },
    };
  }
}

class Bench {
  readonly llm = new FakeLlm();
  readonly threads = new Map<string, Thread>();
  nowMs = START_MS;
  reads = 0;
  readonly refinements = new Refinements({
    llm: this.llm,
    nowMs: () => this.nowMs,
    conversation: async (_tenant, id) => {
      this.reads += 1;
      const thread = this.threads.get(id);
      if (thread === undefined) throw new Error("conversationUnknown");
      return thread.report;
    },
  });

  look(thread: Thread, tenant = "acme") {
    return this.refinements.look(tenant, thread.report);
  }

  get last(): FakeAsk {
    return this.llm.asks.at(-1) ?? assert.fail("nobody was asked");
  }
}

function thread(id = "general"): Thread {
  const made = new Thread(id);
  made.say("is the gate 7 open?", "question", "ben");
  made.say("we meet at 21:30");
  made.murmur(REFINE_EVENTS_MIN);
  return made;
}

const summaryOf = (summary: string): object => ({ id: "1", summary });

test("a first summary is of all lines, the next ones of what is new since", async () => {
  const bench = new Bench();
  const general = thread();
  assert.equal(bench.look(general), undefined);
  assert.equal(bench.last.job, "rolling");
  assert.equal(bench.last.waitMsMax, REFINE_WAIT_MS_MAX);
  assert.deepEqual(bench.last.parts, [
    { kind: "delta", name: "ben", text: "is the gate 7 open?" },
    { kind: "delta", name: "ada", text: "we meet at 21:30" },
    { kind: "fact", name: "still open", text: "is the gate 7 open?" },
    { kind: "fact", name: "decided", text: "nothing" },
  ]);
  const { revision, eventCount } = general;
  await bench.last.end(summaryOf("They meet at 21:30;\n ben asks for gate 7."));
  general.murmur(1);
  const first = {
    text: "They meet at 21:30; ben asks for gate 7.",
    revision,
    upToMs: START_MS + eventCount,
    generatedBy: "small-2",
    degraded: false,
  };
  assert.deepEqual(bench.look(general), first);

  general.lines[0] = { ...general.lines[0]!, kind: "said" };
  general.say("let's take gate 8", "decision");
  general.murmur(REFINE_EVENTS_MIN);
  bench.nowMs += REFINE_MS_MIN;
  assert.deepEqual(bench.look(general), first, "it stands until the next one is there");
  assert.deepEqual(bench.last.parts, [
    { kind: "summary", name: "", text: first.text },
    { kind: "delta", name: "ada", text: "let's take gate 8" },
    { kind: "fact", name: "still open", text: "nothing" },
    { kind: "fact", name: "decided", text: "let's take gate 8" },
  ]);
  await bench.last.end(summaryOf("They meet at 21:30 at gate 8."));
  const second = bench.look(general);
  assert.deepEqual([second?.text, second?.revision], ["They meet at 21:30 at gate 8.", 3]);
});

test("it is asked for once in a while, after enough messages, and if there is news", async () => {
  const bench = new Bench();
  const general = new Thread("general");
  general.say("hello there");
  bench.look(general);
  assert.equal(bench.llm.asks.length, 0, "too short");
  general.murmur(REFINE_EVENTS_MIN);
  bench.look(general);
  bench.look(general);
  assert.equal(bench.llm.asks.length, 1);
  await bench.last.end(summaryOf("They say hello."));
  general.say("what now?", "question");
  general.murmur(REFINE_EVENTS_MIN);
  bench.look(general);
  assert.equal(bench.llm.asks.length, 1, "too soon");
  bench.nowMs += REFINE_MS_MIN;
  bench.look(general);
  assert.equal(bench.llm.asks.length, 2);
  await bench.last.end(summaryOf("One asks what now."));
  bench.nowMs += REFINE_MS_MIN;
  general.murmur(10 * REFINE_EVENTS_MIN);
  bench.look(general);
  assert.equal(bench.llm.asks.length, 2, "no line is new");
  general.say("nothing now");
  bench.look(general);
  assert.equal(bench.llm.asks.length, 3);
});

test("a summary that failed says why, beside the last one there is", async () => {
  const bench = new Bench();
  const general = thread();
  bench.look(general);
  await bench.last.end("overBudget");
  assert.deepEqual(bench.look(general), { degraded: true, reason: "overBudget" });
  bench.nowMs += REFINE_MS_MIN;
  bench.look(general);
  await bench.last.end(summaryOf("They meet at 21:30."));
  assert.equal(bench.look(general)?.degraded, false);
  for (const lie of ["They meet at 21:45.", "Two meet at 21:30.", " \n "]) {
    general.say("and then?");
    general.murmur(REFINE_EVENTS_MIN);
    bench.nowMs += REFINE_MS_MIN;
    bench.look(general);
    await bench.last.end(summaryOf(lie));
    const shown = bench.look(general);
    assert.deepEqual(
      [shown?.text, shown?.degraded, shown?.reason],
      ["They meet at 21:30.", true, "malformed"],
      lie,
    );
  }
  bench.nowMs += REFINE_MS_MIN;
  bench.look(general);
  await bench.last.end("off");
  assert.equal(bench.look(general)?.degraded, false, "none was wanted");
});

test("numbers of the summary so far may be said again, though their lines are gone", async () => {
  const bench = new Bench();
  const general = thread();
  bench.look(general);
  await bench.last.end(summaryOf("They meet at 21:30."));
  for (let n = 0; n < LINES_KEPT; n++) general.say("who is in?");
  general.murmur(REFINE_EVENTS_MIN);
  bench.nowMs += REFINE_MS_MIN;
  bench.look(general);
  assert.ok(!bench.last.parts.some(({ kind, text }) => kind !== "summary" && /21/.test(text)));
  await bench.last.end(summaryOf("They meet at 21:30 and look for more."));
  assert.equal(bench.look(general)?.text, "They meet at 21:30 and look for more.");
});

test("a conversation that was forgotten and came back begins anew", async () => {
  const bench = new Bench();
  const old = thread();
  bench.look(old);
  await bench.last.end(summaryOf("The old one."));
  assert.equal(bench.look(old)?.text, "The old one.");
  const fresh = new Thread("general", START_MS + 5_000);
  fresh.say("a new beginning");
  fresh.murmur(REFINE_EVENTS_MIN);
  fresh.revision = old.revision + 5;
  assert.equal(bench.look(fresh), undefined);
  assert.equal(bench.llm.asks.length, 1, "not sooner than it would have been");
  bench.nowMs += REFINE_MS_MIN;
  bench.look(fresh);
  assert.deepEqual(
    bench.last.parts.map(({ kind, text }) => [kind, text]),
    [
      ["delta", "a new beginning"],
      ["fact", "nothing"],
      ["fact", "nothing"],
    ],
  );
  // It comes back once more while its summary is on its way.
  const again = new Thread("general", START_MS + 9_000);
  assert.equal(bench.look(again), undefined);
  await bench.last.end(summaryOf("A new beginning."));
  assert.equal(bench.look(again), undefined);
  // The same first event, and fewer changes than were known: its component began anew.
  const reborn = thread();
  bench.nowMs += REFINE_MS_MIN;
  bench.look(reborn);
  await bench.last.end(summaryOf("As it was."));
  reborn.revision = 1;
  assert.equal(bench.look(reborn), undefined);
});

test("a call that never ends is given up, and its late answer changes nothing", async () => {
  const bench = new Bench();
  const general = thread();
  bench.look(general);
  bench.nowMs += REFINE_MS_MIN;
  bench.look(general);
  assert.equal(bench.llm.asks.length, 1, "it may still come");
  bench.nowMs += REFINE_WAIT_MS_MAX;
  bench.look(general);
  assert.equal(bench.llm.asks.length, 2);
  const [late, next] = bench.llm.asks;
  await next!.end(summaryOf("In time."));
  await late!.end(summaryOf("Too late."));
  assert.equal(bench.look(general)?.text, "In time.");
});

test("a tenant has few on their way, and others are not held up by it", async () => {
  const bench = new Bench();
  const threads = Array.from({ length: REFINES_OPEN_MAX + 3 }, (_, n) => thread(`c${n}`));
  for (const each of threads) bench.look(each);
  assert.equal(bench.llm.asks.length, REFINES_OPEN_MAX);
  bench.look(threads[0]!, "beta");
  assert.equal(bench.last.tenant, "beta");
  await bench.llm.asks[0]!.end("timedOut");
  bench.look(threads.at(-1)!);
  assert.equal(bench.llm.asks.length, REFINES_OPEN_MAX + 2);
});

test("a list begins those that are newest and due", async () => {
  const bench = new Bench();
  bench.llm.answer = () => summaryOf("As told.");
  const threads = Array.from({ length: 6 }, (_, n) => thread(`c${n}`));
  for (const each of threads) bench.threads.set(each.id, each);
  bench.threads.delete("c1");
  const items = threads.map(({ report }) => report.item);
  bench.refinements.list("acme", items);
  await turn();
  assert.equal(bench.reads, REFINES_OF_LIST_MAX);
  assert.equal(bench.llm.asks.length, REFINES_OF_LIST_MAX - 1);
  bench.refinements.list("acme", [items[0]!]);
  assert.equal(bench.reads, REFINES_OF_LIST_MAX, "it is refined");
  assert.equal(bench.look(threads[0]!)?.text, "As told.");
  bench.refinements.list("acme", [{ ...items[3]!, eventCount: REFINE_EVENTS_MIN - 1 }]);
  assert.equal(bench.reads, REFINES_OF_LIST_MAX, "it is too short");
});

test("without an upstream for it nothing is asked or kept", () => {
  const bench = new Bench();
  bench.llm.models = { tldr: "small-1" };
  assert.equal(bench.look(thread()), undefined);
  bench.refinements.list("acme", [thread().report.item]);
  assert.equal(bench.llm.asks.length + bench.reads + bench.refinements.bytes, 0);
});

test("a refinement takes as much as is new, however long the conversation is", async () => {
  const random = new Random(SEED);
  const bench = new Bench();
  bench.llm.answer = () => summaryOf("So it goes on. ".repeat(80).slice(0, 1_199));
  const general = new Thread("general");
  const told = new Map<string, number>();
  const sizes: number[] = [];
  for (let n = 0; n < 10_000; n++) {
    if (random.chance(1, 3)) general.say(`message ${n} says ${"so ".repeat(random.below(45))}`);
    else general.murmur(1);
    bench.nowMs += 400;
    if (!random.chance(1, 20)) continue;
    const asked = bench.llm.asks.length;
    bench.look(general);
    await turn();
    if (bench.llm.asks.length === asked) continue;
    const { parts, promptBytes } = bench.last;
    const delta = parts.filter(({ kind }) => kind === "delta");
    for (const { text } of delta) told.set(text, (told.get(text) ?? 0) + 1);
    const deltaBytes = delta.reduce(
      (sum, { name, text }) => sum + name.length + text.length + 8,
      0,
    );
    // The summary so far, what stands, and heads: none of it grows.
    assert.ok(promptBytes <= deltaBytes + 1_300, `${promptBytes} with ${deltaBytes} new`);
    assert.ok(delta.length <= LINES_KEPT);
    sizes.push(promptBytes);
  }
  assert.ok(sizes.length > 150, `${sizes.length} refinements`);
  assert.deepEqual(new Set(told.values()), new Set([1]), "each line is told once");
  const mean = (some: readonly number[]) => some.reduce((sum, each) => sum + each, 0) / some.length;
  // The first one has no summary yet.
  const early = mean(sizes.slice(1, 41));
  assert.ok(mean(sizes.slice(-40)) < 1.1 * early, "the last are no larger than the first");
});

test("lines of any size and number fit in a prompt", async () => {
  const bench = new Bench();
  bench.llm.answer = () => summaryOf("漢".repeat(1_200));
  const general = new Thread("general");
  for (let n = 0; n < 3; n++) {
    const { report } = general;
    const lines = Array.from({ length: 200 }, (_, index) => ({
      kind: (["said", "question", "decision"] as const)[index % 3]!,
      user: "é".repeat(3_000),
      eventId: `${n} ${index}`,
      tsMs: index,
      text: "漢".repeat(30_000),
    }));
    const item = { ...report.item, eventCount: 1_000 * (n + 1) };
    bench.refinements.look("acme", { ...report, item, text: { ...report.text, lines } });
    await turn();
    bench.nowMs += REFINE_MS_MIN;
  }
  assert.equal(bench.llm.asks.length, 3);
  const delta = bench.last.parts.filter(({ kind }) => kind === "delta");
  assert.equal(delta.length, REFINE_LINES_MAX);
  assert.ok(delta.every(({ text }) => Buffer.byteLength(text) <= RETOLD_TEXT_BYTES_MAX));
});

test("what is kept is bounded, whoever looks", async () => {
  const bench = new Bench();
  const long = "a".repeat(100_000);
  bench.llm.answer = () => summaryOf(long);
  for (let n = 0; n < 200; n++) {
    bench.look(thread(`c${n}`), `tenant-${n % 50}`);
    await turn();
    assert.ok(bench.refinements.bytes <= RETELLINGS_BYTES_MAX);
  }
  assert.ok(bench.refinements.bytes > RETELLINGS_BYTES_MAX / 2);
});

test(`no tenant is told of another, no wrong number is shown (seed ${SEED})`, async () => {
  const random = new Random(SEED);
  const bench = new Bench();
  const tenants = Array.from({ length: 12 }, (_, n) => `canary${String.fromCharCode(97 + n)}x`);
  /** Of all that each conversation said, by tenant. */
  const said = new Map<Thread, string[]>();
  const threads = new Map<string, Thread>();
  const open: FakeAsk[] = [];
  let shown = 0;
  for (let step = 0; step < 2_500; step++) {
    const tenant = tenants[random.below(tenants.length)]!;
    let mine = threads.get(tenant);
    if (mine === undefined || random.chance(1, 400)) {
      threads.set(tenant, (mine = new Thread("general", START_MS + step)));
      said.set(mine, []);
    }
    const text = `${tenant} brings ${random.below(100)}`;
    mine.say(text, random.chance(1, 4) ? "question" : "said", tenant);
    said.get(mine)!.push(text);
    mine.murmur(random.below(4));
    bench.nowMs += random.below(3_000);
    const refined = bench.look(mine, tenant);
    if (refined?.text !== undefined) {
      shown += 1;
      assert.ok(refined.text.includes(tenant), `${tenant} is told ${refined.text}`);
      assert.equal(numberBeyond(refined.text, said.get(mine)!), undefined, refined.text);
      assert.ok(refined.revision! <= mine.revision);
    }
    open.push(...bench.llm.asks.splice(0));
    if (open.length === 0 || random.chance(1, 2)) continue;
    const [ask] = open.splice(random.below(open.length), 1);
    const prompt = JSON.stringify(ask!.parts);
    const others = tenants.filter((each) => each !== ask!.tenant);
    assert.ok(prompt.includes(ask!.tenant) && !others.some((each) => prompt.includes(each)));
    const told = ask!.parts.map((part) => part.text);
    const fate = random.below(10);
    if (fate < 2) await ask!.end("timedOut");
    else if (fate < 4) await ask!.end(summaryOf(`In ${ask!.tenant} ${random.below(100)} came.`));
    else await ask!.end(summaryOf(`${told[random.below(told.length - 2)]}, of ${ask!.tenant}`));
  }
  assert.ok(shown > 300, `${shown} were shown`);
});
