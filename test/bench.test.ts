// The benchmarks themselves: their arithmetic, their honesty about wrong answers, and a smoke run
// of each.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import fc from "fast-check";
import { wayMissing } from "#testing/stage.ts";
import { WindowTally } from "../bench/baselines/window-tally.ts";
import { BatchPool, cutBatches } from "../bench/batches.ts";
import { Child } from "../bench/child.ts";
import {
  alternate,
  Bench,
  expectEqual,
  type Report,
  resolveParameters,
  type Scenario,
  UsageError,
  WrongAnswer,
} from "../bench/harness.ts";
import { Grouping, METRIC, termName, userName } from "../bench/grouping.ts";
import { buildRequest, Connection } from "../bench/http-client.ts";
import { listScenarios, runBench } from "../bench/run.ts";
import { compare, truthOf } from "../bench/same-work.ts";
import { drawColumns } from "../bench/same-work-events.ts";
import { quantile, summarize } from "../bench/statistics.ts";
import { loadTalk, Talks } from "../bench/talks.ts";
import { EventStream, loadCorpus, seededTexts, Zipf } from "../bench/workload.ts";
import { BATCH_BYTES_MAX } from "#model/limits.ts";
import { type BatchEvent, readBatch } from "#testing/batch.ts";
import { Random } from "#std/random.ts";

const summaries = [
  { values: [3], median: 3, min: 3, max: 3 },
  { values: [9, 1, 5], median: 5, min: 1, max: 9 },
  { values: [4, 1, 2, 100], median: 3, min: 1, max: 100 },
  { values: [1 / 3], median: 0.333333, min: 0.333333, max: 0.333333 },
];

for (const { values, ...want } of summaries) {
  test(`summary of ${values.length} values, median ${want.median}`, () => {
    assert.deepEqual(summarize(values, "us"), { ...want, runs: values.length, unit: "us" });
  });
}

test("a summary of nothing, or of what is no number, is refused", () => {
  assert.throws(() => summarize([], "us"));
  assert.throws(() => summarize([1, NaN], "us"));
});

test("a quantile is the least sample that enough samples do not exceed", () => {
  const samples = fc.array(fc.double({ noNaN: true, min: -1e6, max: 1e6 }), { minLength: 1 });
  const property = fc.property(samples, fc.double({ noNaN: true, min: 0, max: 1 }), (all, q) => {
    const got = quantile(Float64Array.from(all), q);
    const share = (limit: number): number => all.filter((x) => x <= limit).length / all.length;
    assert(all.includes(got === 0 ? 0 : got) || all.includes(-0));
    assert(share(got) >= q - 1e-12);
    for (const x of all) if (x < got) assert(share(x) < q + 1e-12);
  });
  fc.assert(property);
});

test("facts must agree between runs, and their hash says what was done", () => {
  const first = new Bench({});
  const second = new Bench({});
  first.fact("events", 10);
  first.fact("tenants", 3);
  second.fact("tenants", 3);
  second.fact("events", 10);
  assert.equal(first.hash(), second.hash());
  first.fact("events", 10);
  assert.equal(first.hash(), second.hash());
  second.fact("turns", 1);
  assert.notEqual(first.hash(), second.hash());
  assert.throws(() => first.fact("events", 11), WrongAnswer);
  assert.throws(() => expectEqual("events", 11, 10), /events: got 11, want 10/);
});

test("variants take turns, and no variant is always first", async () => {
  const order: string[] = [];
  const variants = ["a", "b", "c"].map((name) => {
    return { name, run: async (round: number) => void order.push(`${name}${round}`) };
  });
  await alternate(3, variants);
  assert.deepEqual(order, ["a0", "b0", "c0", "b1", "c1", "a1", "c2", "a2", "b2"]);
});

test("parameters: defaults, what was said, and what cannot be", () => {
  const scenario = {
    name: "s",
    parameters: {
      events: { full: 1_000, quick: 10, sentence: "" },
      corpus: { full: "auto", quick: "seeded", sentence: "" },
    },
  };
  assert.deepEqual(resolveParameters(scenario, {}, false), { events: 1_000, corpus: "auto" });
  assert.deepEqual(resolveParameters(scenario, {}, true), { events: 10, corpus: "seeded" });
  const given = resolveParameters(scenario, { events: "7", corpus: "x" }, true);
  assert.deepEqual(given, { events: 7, corpus: "x" });
  for (const events of ["", "many", "-1", "0", "Infinity"]) {
    assert.throws(() => resolveParameters(scenario, { events }, false), UsageError);
  }
  assert.throws(() => resolveParameters(scenario, { evnts: "7" }, false), /no parameter evnts/);
});

test("one seed gives one stream", () => {
  const corpus = loadCorpus("seeded", 5);
  const draw = (seed: number): unknown[] => {
    const stream = new EventStream({ seed, corpus, tenantCount: 50, exponent: 1 });
    return Array.from({ length: 200 }, () => stream.next());
  };
  assert.deepEqual(draw(5), draw(5));
  assert.notDeepEqual(draw(5), draw(6));
});

test("Zipf draws ranks in proportion to 1 / rank", () => {
  const random = new Random(9);
  const zipf = new Zipf(100, 1);
  const counts = new Float64Array(100);
  const draws = 200_000;
  for (let i = 0; i < draws; i++) counts[zipf.draw(random)]! += 1;
  let harmonic = 0;
  for (let rank = 1; rank <= 100; rank++) harmonic += 1 / rank;
  for (const rank of [1, 2, 10, 50]) {
    const expected = draws / rank / harmonic;
    // Six standard deviations: with a fixed seed this fails for a wrong law, not for bad luck.
    assert(Math.abs(counts[rank - 1]! - expected) < 6 * Math.sqrt(expected), `rank ${rank}`);
  }
});

test("a seeded message has no word twice", () => {
  for (const text of seededTexts(new Random(3), 500)) {
    const words = text.split(" ");
    assert(words.length >= 4 && words.length <= 12);
    assert.equal(new Set(words).size, words.length);
    for (const word of words) assert.match(word, /^[a-z]{6,8}$/);
  }
});

test("a baseline's window is the last twelve panes, counted exactly", () => {
  const tally = new WindowTally();
  const startMs = 1_000_000_000;
  for (let second = 0; second < 90; second++) tally.add(`all s${second}`, startMs + second * 1000);
  const { eventCount, top } = tally.answer(2, startMs + 89_000);
  // Panes begin at multiples of 5 s, and so does startMs: 89 s is the last of the pane from 85 s.
  assert.equal(eventCount, 60);
  assert.deepEqual(top, [
    { word: "all", count: 60 },
    { word: "s30", count: 1 },
  ]);
  assert.equal(tally.answer(2, startMs + 200_000).eventCount, 0);
});

test("batches made beforehand are what a guest reads, at any time", () => {
  const events = Array.from({ length: 40 }, (_, i) => ({ user: `u${i}`, text: "x".repeat(i * 7) }));
  const batches = cutBatches(events, 1024);
  assert(batches.length > 1);
  assert.deepEqual(batches.flat(), events);
  const pool = new BatchPool(batches, 5);
  for (let batch = 0; batch < pool.count; batch++) {
    if (batch > 0) pool.setTime(batch, 1_000 + batch);
    assert(pool.byteCount(batch) <= 1024);
    const start = pool.byteOffset(batch);
    const read = readBatch(pool.memory.subarray(start, start + pool.byteCount(batch)));
    const nowMs = batch === 0 ? 5 : 1_000 + batch;
    assert.equal(read.nowMs, nowMs);
    assert.equal(pool.eventCount(batch), read.events.length);
    for (const [index, { user, text, tsMs }] of read.events.entries()) {
      assert.deepEqual({ user, text }, batches[batch]![index]);
      assert.equal(tsMs, nowMs);
    }
  }
});

test("the client reads answers however they are cut", async () => {
  const body = '{"accepted":3}';
  const head = `HTTP/1.1 202 Accepted\r\nContent-Length: ${body.length}\r\nRetry-After: 2\r\n\r\n`;
  const answer = Buffer.from(head + body);
  let cut = 1;
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on("data", () => {
      socket.write(answer.subarray(0, cut), () =>
        setImmediate(() => socket.write(answer.subarray(cut))),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const connection = await Connection.open((server.address() as { port: number }).port);
  const request = buildRequest("/", "application/json", "{}");
  for (; cut < answer.length; cut++) {
    const reply = await connection.send(request);
    assert.deepEqual(reply, { status: 202, retryAfterMs: 2_000, body });
  }
  connection.close();
  server.close();
});

test("grouped columns are the batches of their tenants, every event once and in order", () => {
  for (const tenants of [1, 3, 700]) {
    const columns = drawColumns({ events: 9_000, tenants, seed: tenants });
    const got = Array.from({ length: tenants }, (): Partial<BatchEvent>[] => []);
    const grouping = new Grouping(columns, { tenants, startMs: 5_000 });
    for (let bucket = 0; bucket < grouping.bucketCount; bucket++) {
      grouping.group(bucket);
      for (let batch = 0; batch < grouping.batchCount; batch++) {
        const start = grouping.batchOffsets[batch]!;
        const bytes = grouping.memory.subarray(start, start + grouping.batchBytes(batch));
        assert(bytes.length <= BATCH_BYTES_MAX);
        const { nowMs, events } = readBatch(bytes);
        assert.equal(nowMs, 5_000);
        got[grouping.batchTenants[batch]!]!.push(...events);
      }
    }
    const want = Array.from({ length: tenants }, (): Partial<BatchEvent>[] => []);
    for (let event = 0; event < columns.tenants.length; event++) {
      want[columns.tenants[event]!]!.push({
        weight: 1,
        tsMs: 5_000,
        id: "",
        user: userName(columns.users[event]!),
        conversation: "",
        text: "",
        terms: [termName(columns.terms[event]!)],
        metrics: [{ name: METRIC, value: columns.latencies[event]! }],
      });
    }
    assert.deepEqual(got, want);
  }
});

test("of the same work, an answer that is not so fails", () => {
  const settings = { events: 4_000, tenants: 4, seed: 3, asked: [2] };
  const truths = truthOf(settings);
  const [truth] = truths;
  assert(truth !== undefined);
  const right = {
    tenant: 2,
    count: truth.count,
    terms: [...truth.termCounts.keys()].slice(0, 10),
    distinct: truth.distinct,
    distinctError: 0.01,
    p99: truth.latencies[Math.floor(0.99 * truth.latencies.length)]!,
    variance: truth.variance,
  };
  const tolerance = { p99: 0.01, variance: 1e-6 };
  const check = (change: object): object => {
    return compare("x", truths, [{ ...right, ...change }], tolerance);
  };
  assert.deepEqual(check({}), { distinct: 0, p99: 0, topFound: 1 });
  check({ p99: right.p99 * 1.009, distinct: truth.distinct * 1.04 });
  const wrongs = [
    { tenant: 3 },
    { count: truth.count - 1 },
    { p99: truth.latencies.at(-1)! * 1.1 },
    { distinct: truth.distinct * 1.06 },
    { distinct: truth.distinct + 1, distinctError: 0 },
    { variance: truth.variance * 1.001 },
    { variance: NaN },
    { p99: NaN },
    { terms: [] },
  ];
  for (const wrong of wrongs) assert.throws(() => check(wrong), WrongAnswer, JSON.stringify(wrong));
});

test("systems that are not installed are named, with how to get them", async () => {
  const { output, sink } = capture();
  const path = process.env["PATH"];
  process.env["PATH"] = "/nonexistent";
  try {
    const parameters = { systems: "nexuscore,redis" };
    assert.equal(await runBench("same-work", { json: true, quick: true, parameters }, sink), 0);
  } finally {
    process.env["PATH"] = path;
  }
  const report = JSON.parse(output.text) as Report;
  assert.equal(report.parameters["skipped"], "redis (apt-get install redis-server)");
  assert(!Object.keys(report.results).some((name) => name.startsWith("redis.")));
});

function capture() {
  const output = { text: "", complaint: "" };
  return {
    output,
    sink: {
      out: (text: string) => void (output.text += text),
      err: (text: string) => void (output.complaint += text),
    },
  };
}

test("what is not there is a usage error that says what is", async () => {
  const { output, sink } = capture();
  assert.equal(await runBench("densty", { json: true, parameters: {} }, sink), 2);
  assert.match(output.complaint, /There is no scenario "densty"; there are density, ingest/);
  const parameters = { tenant: "5" };
  assert.equal(await runBench("density", { json: true, parameters }, sink), 2);
  assert.match(output.complaint, /density has no parameter tenant/);
  assert.equal(output.text, "");
});

test("list names every scenario and its parameters", async () => {
  const people = capture();
  assert.equal(await runBench("list", { json: false, parameters: {} }, people.sink), 0);
  const machines = capture();
  assert.equal(await runBench("list", { json: true, parameters: {} }, machines.sink), 0);
  const { scenarios } = JSON.parse(machines.output.text) as { scenarios: { name: string }[] };
  assert.deepEqual(
    scenarios.map(({ name }) => name),
    listScenarios().map(({ name }) => name),
  );
  for (const { name } of scenarios) assert.match(people.output.text, new RegExp(`^${name}: `, "m"));
});

test("a wrong answer fails the run, and no child outlives it", async () => {
  let processId = 0;
  const lying: Scenario = {
    name: "lying",
    sentence: "",
    parameters: {},
    run: async () => {
      const child = await Child.start(new URL("../bench/children/load.ts", import.meta.url));
      processId = child.processId;
      await child.usage();
      expectEqual("events", 1, 2);
    },
  };
  const { output, sink } = capture();
  assert.equal(await runBench("lying", { json: true, parameters: {} }, sink, [lying]), 1);
  assert.equal(output.text, "");
  assert.match(output.complaint, /events: got 1, want 2/);
  assert.throws(() => process.kill(processId, 0), { code: "ESRCH" });
});

/** The names that DESIGN 5.5 promises, and those that the pages of this repository quote. */
const PROMISED: Readonly<Record<string, readonly string[]>> = {
  telemetry: ["off.eventsPerSecond basic.cpuUsPerEventRatio all.cpuUsPerEventRatio"],
  density: [
    "tenants residentMb bytesPerColdTenant bytesPerHotTenant createUs reviveUs slotHitUs",
    "slotMissUs warmBatchUs updateP50Us updateP99Us updateP999Us",
  ],
  ingest: [
    "eventsPerSecond updateP50Us updateP99Us updateP999Us requestP50Ms",
    "mixed.eventsPerSecond live.eventsPerSecond live.updateP999Us live.residentMb",
  ],
  "durable-ingest": [
    "disk.b1.eventsPerSecond memory.b1.eventsPerSecond plain.b1.eventsPerSecond disk.b50.commits",
    "disk.b1.requestP99Ms memory.b50.requestP99Ms plain.b50.syncP99Ms ratioToMemoryAck.b50",
  ],
  recover: [
    "readySeconds recoverySeconds snapshots replayedTurns skippedTurns heldBySnapshots logBytes",
  ],
  guest: [
    "nsPerEventGrouped nsPerEventUngrouped nsPerTermGrouped paneRollUs",
    "few.nsPerEventGrouped few.nsPerEventUngrouped few.nsPerTermGrouped few.paneRollUs",
  ],
  naive: ["processPerTenant", "workerPerTenant", "eventPerMessage", "nexuscore"].map((system) => {
    const names = ["eventsPerSecond", "cpuShare", "contextSwitchesPerSecond", "residentMb"];
    return names.map((name) => `${system}.${name}`).join(" ");
  }),
  "kernel-only": [
    "eventsPerSecondPerCore64k eventsPerSecondPerCore1400 hashMapEventsPerSecondPerCore",
    "reductionRatio absorbedShareTenantTotals10k absorbedShareTenantTotals10k.large",
    "absorbedShareTenantTerm10k absorbedShareTenantTerm100k absorbedShareTenantTerm10k.ideal",
  ],
  "kernel-cores": [
    "eventsPerSecond.tenantTerm eventsPerSecond.tenantTotals tenantTerm.lostEvents",
    "tenantTerm.absorbedShare tenantTotals.eventsPerSenderCpuSecond",
  ],
  freshness: ["questions firstAnswerHoldsShare answerP50Ms answerP99Ms behindMaxMs"],
  "kernel-vs-user": ["kernel.nsPerEvent user.nsPerEvent kernel.nsPerEvent.1400"],
  headline: [
    "offeredEventsPerSecond deliveredEventsPerSecond lostEvents receiverCpuShare senderCpuShare",
    "contextSwitchesPerSecond residentMb inexactTenants kernelAbsorbedShare naive.eventsPerSecond",
    "mainLoopDelayP99Ms mainLoopDelayMaxMs mainLoopBusyMaxMs",
  ],
  "headline-max": ["lossFreeEventsPerSecond"],
  summaries: [
    "nsPerEventGrouped nsPerEventUngrouped paneRollUs paneRollP99Us cold.paneRollUs textUpdateUs",
    "mergesPerSecond cpuNs.bare cpuNs.user cpuNs.term cpuNs.metric cpuNs.message",
  ],
  // What is not installed is left out, by name; see the test of that.
  "same-work": [
    "nexuscore.eventsPerCpuSecond nexuscore.residentMb nexuscore.eventsPerCpuSecondAnswered",
  ],
  moderate: [
    "messagesPerSecondPerCore messagesPerCpuSecond p50Ms p99Ms p999Ms batch.p99Ms lateP99Ms",
    "bytesPerConversation residentBytesPerConversation allocatedBytesPerMessage flaggedShare",
    "turn.messagesPerSecondPerCore turn.lone.messagesPerSecondPerCore turn.few.p99Us",
    "naive.messagesPerCpuSecond naive.p99Ms naive.flaggedShare cpuUsPerMessage",
  ],
  "gc-coupling": [
    "neighbourP99Ratio sharedHeap.neighbourP99Ratio neighbourP99AloneMs neighbourP99BesideMs",
    "growerP99Ms sharedHeap.growerP99Ms residentGrowthMb sharedHeap.residentGrowthMb lateP99Ms",
  ],
  quality: ["words.all frames.all fresh.all seen.all"],
  "llm-inflight": ["96/200/1/wire", "96/200/16/none", "promise/48/200", "jspi/48/200"].map(
    (name) => {
      const names = "inFlight residentBytesPerCall residentMb addedP50Ms addedP99Ms".split(" ");
      return names.map((each) => `${name}.${each}`).join(" ");
    },
  ),
  "noisy-neighbour": [
    "neighbourP99Ratio neighbourP50Ratio quiet.p99Ms noisy.p99Ms noiseTakenShare noiseRefused",
  ],
  "llm-hostile": [
    "alone.p99Ms hang.p99Ratio flood.p99Ratio long.p99Ratio hang.ownDegradedShare",
    "alone.addedP99Ms long.promptBytesMax requestsOpenMax",
  ],
  "llm-bleed": [
    "canariesCrossed calls canariesRead requests evictions cancels tenantsReopened",
    "gatewayRestarts shardRestarts ends.answered ends.cached ends.interrupted callsPerSecond",
  ],
  batcher: ["parseNsPerEvent groupNsPerEvent.10000 jsonParseNsPerEvent splitNsPerEvent"],
};

for (const { name, parameters } of listScenarios()) {
  const skip = name.startsWith("kernel-") ? wayMissing("kernel") : false;
  test(`smoke run of ${name}`, { timeout: 300_000, skip }, async () => {
    const { output, sink } = capture();
    const code = await runBench(name, { json: true, quick: true, parameters: {} }, sink);
    assert.equal(code, 0, output.complaint);
    assert.match(output.text, /^[^\n]*\n$/, "one line, nothing else");
    const report = JSON.parse(output.text) as Report;
    const keys = "scenario commit machine startedAtMs parameters results hash".split(" ");
    assert.deepEqual(Object.keys(report), keys);
    assert.equal(report.scenario, name);
    assert.match(report.commit, /^([0-9a-f]{12}(-dirty)?|unknown)$/);
    assert.deepEqual(Object.keys(report.machine), ["cpu", "cores", "kernel", "node"]);
    assert.match(report.hash, /^[0-9a-f]{16}$/);
    for (const parameter of Object.keys(parameters)) assert(parameter in report.parameters);
    for (const promised of PROMISED[name]!.join(" ").split(" ")) {
      assert(Object.hasOwn(report.results, promised), `${promised} is there`);
    }
    for (const [result, { median, min, max, runs, unit }] of Object.entries(report.results)) {
      assert(min <= median && median <= max, result);
      assert(Number.isInteger(runs) && runs >= 1, result);
      assert.notEqual(unit, "", result);
    }
  });
}

test("messages of a conversation follow each other and answer earlier ones, by seed", () => {
  const options = { seed: 3, talk: loadTalk("seeded", 3), tenantCount: 2, conversationCount: 3 };
  const [first, second] = [new Talks(options), new Talks(options)];
  let answers = 0;
  for (let said = 0; said < 40; said++) {
    const message = first.next(1, 2);
    assert.deepEqual(message, second.next(1, 2));
    assert.deepEqual([message.id, message.conversation], [`m${said}`, "talk-2"]);
    if (message.replyTo === undefined) continue;
    answers += 1;
    const answered = Number(message.replyTo.slice(1));
    assert(answered >= 0 && answered < said, message.replyTo);
  }
  assert(answers > 0 && answers < 40);
  assert.equal(first.next(0, 0).id, "m0", "each conversation counts its own");
});

test("a line of a log answers what its annotation says, else whom it names", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-talk-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const filler = Array.from({ length: 1_000 }, (_, n) => `[10:00] <user${n}> line ${n}`);
  const lines = [
    "[10:00] <ann> does it build?",
    "=== cy has joined",
    "[10:01] <bob> which one?",
    "[10:01] <ann> bob: the second",
    "[10:02] <bob> it does",
    ...filler,
  ];
  writeFileSync(join(folder, "a.ascii.txt"), lines.join("\n"));
  writeFileSync(join(folder, "a.annotation.txt"), "0 0 -\n0 4 -\n2 4 -\n1 2 -\n");
  const { name, lines: talk } = loadTalk(folder, 1);
  assert.equal(name, "irc");
  assert.deepEqual(
    talk.slice(0, 5).map(({ user, back }) => [user, back]),
    [
      ["ann", 0],
      ["bob", 0],
      ["ann", 1],
      ["bob", 2],
      ["user0", 0],
    ],
  );
  assert.throws(() => loadTalk(join(folder, "none"), 1), /found 0 lines/);
});
