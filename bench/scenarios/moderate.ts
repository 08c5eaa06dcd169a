/**
 * What a verdict costs: chat lines in `tenants` x `conversations` live conversations, each with
 * `turnsBefore` messages before it is measured. Three systems take turns.
 *
 * `serve` as a child with one shard, messages over HTTP from a generator beside it, same cores:
 *   messagesPerSecondPerCore   messages over CPU seconds of the shard's thread, batches of
 *                              `batch` as fast as they are answered: record in, verdict out as JSON
 *   messagesPerCpuSecond       the same over those of the whole process: HTTP and JSON at the door
 *   messagesPerSecond          the same by the clock, generator and server on the same cores
 *   p50Ms, p99Ms, p999Ms       lone messages, a request each, `lonePerSecond` of them, whether or
 *                              not those before were answered
 *   batch.p50Ms, …             batches of `batch`, `batchedPerSecond` messages in them
 *   lateP99Ms                  how much later than due the generator let requests go: where this is
 *                              not small, times say more of the machine than of the server
 *   residentBytesPerConversation   growth of the process by the conversations' first messages,
 *                              over conversations: slots, images, heap, all
 *
 * `turn.`: the same messages in the moderators' host alone, no thread, HTTP or JSON:
 *   turn.messagesPerSecondPerCore, turn.p50Us, …   of CPU time; each turn timed
 *   turn.lone.…                every message another tenant's, so that nothing is in a near cache
 *   turn.few.…                 the same with slots for a quarter of the tenants: images move
 *   bytesPerConversation       of the moderators' memory that is in use
 *   imageBytesPerConversation  of the tenants' images, as they lie packed
 *   allocatedBytesPerMessage   JavaScript heap, from V8's own total
 * The hash covers a verdict in every conversation, word for word.
 *
 * `naive.`: a server of node:http, a regular expression of words and arrays, under the same load.
 * What it lacks stands in baselines/moderation-server.ts: it is no equal, but the least that
 * judging can cost over HTTP.
 */
import type { ListeningMessage } from "../baselines/event-server.ts";
import { Child } from "../child.ts";
import type { JudgeFigures, JudgeSettings } from "../children/judge.ts";
import { alternate, type Bench, expectEqual, type Scenario, type Variant } from "../harness.ts";
import { JudgedLoad, type JudgedPhase } from "../judged-load.ts";
import type { Target } from "../served-load.ts";
import { Server } from "../server.ts";
import { loadTalk } from "../talks.ts";

const PROGRAM = new URL("../children/judge.ts", import.meta.url);
const NAIVE = new URL("../baselines/moderation-server.ts", import.meta.url);

export const moderate: Scenario = {
  name: "moderate",
  sentence: "cost of a verdict on a chat line in its conversation, 10,000 conversations live",
  parameters: {
    runs: { full: 3, quick: 1, sentence: "servers and processes of each system, in alternation" },
    tenants: { full: 250, quick: 8, sentence: "tenants" },
    conversations: { full: 40, quick: 5, sentence: "live conversations of each tenant" },
    turnsBefore: { full: 8, quick: 2, sentence: "messages of a conversation that are not timed" },
    messages: { full: 200_000, quick: 500, sentence: "messages as fast as they are answered" },
    turns: { full: 100_000, quick: 500, sentence: "messages judged in the host alone" },
    batch: { full: 64, quick: 16, sentence: "messages of a batch" },
    lonePerSecond: { full: 1_000, quick: 200, sentence: "lone messages a second" },
    batchedPerSecond: { full: 4_000, quick: 800, sentence: "messages a second, in batches" },
    seconds: { full: 20, quick: 1, sentence: "how long either load is kept up" },
    connections: { full: 8, quick: 2, sentence: "keep-alive connections" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    corpus: { full: "auto", quick: "seeded", sentence: "auto, seeded, or a folder of IRC logs" },
  },
  run,
};

async function run(bench: Bench): Promise<void> {
  bench.found("corpus", loadTalk(bench.text("corpus"), bench.number("seed")).name);
  const told = (name: string, once: () => Promise<void>): Variant => ({
    name,
    run: async (round) => {
      bench.progress(`moderate: ${name}, run ${round + 1}`);
      await once();
    },
  });
  await alternate(bench.number("runs"), [
    told("served", () => runServed(bench)),
    told("naive", () => runNaive(bench)),
    told("turns", () => runTurns(bench, "", {})),
    told("lone turns", () => runTurns(bench, "lone.", { batch: 1 })),
    told("few slots", () => {
      return runTurns(bench, "few.", { batch: 1, slots: Math.ceil(bench.number("tenants") / 4) });
    }),
  ]);
}

async function runServed(bench: Bench): Promise<void> {
  const server = await Server.start({ shardCount: 1 });
  try {
    const batched = await loadAll(bench, "", server);
    const { shardCpuSeconds, messages } = batched;
    if (shardCpuSeconds > 0) {
      bench.record("messagesPerSecondPerCore", messages / shardCpuSeconds, "messages/s");
    }
    const { moderation } = (await server.status()).shards[0]!;
    bench.record("judgeP50Us", moderation.judgeUs.p50, "us");
    bench.record("judgeP99Us", moderation.judgeUs.p99, "us");
    bench.record("judgeP999Us", moderation.judgeUs.p999, "us");
    bench.fact("served.judged", moderation.judgedCount);
  } finally {
    await server.stop();
  }
}

async function runNaive(bench: Bench): Promise<void> {
  const child = await Child.start(NAIVE);
  try {
    const { port } = await child.next<ListeningMessage>("listening");
    await loadAll(bench, "naive.", { child, port });
  } finally {
    await child.stop();
  }
}

/** All loads, one after the other; returns the one that is as fast as it is answered. */
async function loadAll(bench: Bench, prefix: string, target: Target): Promise<JudgedPhase> {
  const put = (name: string, value: number, unit: string): void => {
    bench.record(`${prefix}${name}`, value, unit);
  };
  const batch = bench.number("batch");
  const load = await JudgedLoad.start(target, {
    connections: bench.number("connections"),
    tenants: bench.number("tenants"),
    conversations: bench.number("conversations"),
    seed: bench.number("seed"),
    corpus: bench.text("corpus"),
  });
  try {
    const live = bench.number("tenants") * bench.number("conversations");
    const { residentMb } = await target.child.usage();
    const before = { kind: "each", turns: bench.number("turnsBefore") } as const;
    const made = await load.run({ batch, what: before });
    const grownBytes = (made.residentMb - residentMb) * 2 ** 20;
    put("residentBytesPerConversation", grownBytes / live, "bytes");
    const drawn = { kind: "drawn", messages: bench.number("messages") } as const;
    const batched = await load.run({ batch, what: drawn });
    expectEqual("messages judged", batched.messages, drawn.messages);
    put("messagesPerSecond", batched.messages / batched.seconds, "messages/s");
    put("messagesPerCpuSecond", batched.messages / batched.cpuSeconds, "messages/s");
    const lone = await paced(bench, load, 1, bench.number("lonePerSecond"));
    const inBatches = await paced(bench, load, batch, bench.number("batchedPerSecond"));
    const flagged = batched.flagged + lone.flagged + inBatches.flagged;
    const messages = batched.messages + lone.messages + inBatches.messages;
    put("flaggedShare", flagged / messages, "share");
    recordTimes(put, "", lone);
    recordTimes(put, "batch.", inBatches);
    return batched;
  } finally {
    await load.stop();
  }
}

async function paced(
  bench: Bench,
  load: JudgedLoad,
  batch: number,
  messagesPerSecond: number,
): Promise<JudgedPhase> {
  const messages = Math.ceil((messagesPerSecond * bench.number("seconds")) / batch) * batch;
  return load.run({ batch, messagesPerSecond, what: { kind: "drawn", messages } });
}

function recordTimes(
  put: (name: string, value: number, unit: string) => void,
  prefix: string,
  { requestMs, lateP99Ms, cpuSeconds, messages }: JudgedPhase,
): void {
  put(`${prefix}p50Ms`, requestMs.p50, "ms");
  put(`${prefix}p99Ms`, requestMs.p99, "ms");
  put(`${prefix}p999Ms`, requestMs.p999, "ms");
  put(`${prefix}lateP99Ms`, lateP99Ms, "ms");
  put(`${prefix}cpuUsPerMessage`, (cpuSeconds * 1e6) / messages, "us");
}

async function runTurns(
  bench: Bench,
  prefix: string,
  changes: Partial<JudgeSettings>,
): Promise<void> {
  const settings: JudgeSettings = {
    tenants: bench.number("tenants"),
    conversations: bench.number("conversations"),
    slots: bench.number("tenants"),
    turnsBefore: bench.number("turnsBefore"),
    messages: bench.number("turns"),
    batch: bench.number("batch"),
    seed: bench.number("seed"),
    corpus: bench.text("corpus"),
    ...changes,
  };
  const figures = await Child.measure<JudgeFigures>(PROGRAM, settings);
  const put = (name: string, value: number, unit: string): void => {
    bench.record(`turn.${prefix}${name}`, value, unit);
  };
  put("messagesPerSecondPerCore", 1e6 / figures.cpuUsPerMessage, "messages/s");
  put("p50Us", figures.p50Us, "us");
  put("p99Us", figures.p99Us, "us");
  put("p999Us", figures.p999Us, "us");
  put("slotMissShare", figures.slotMissShare, "share");
  const order = settings.batch === 1 ? "lone" : "batched";
  bench.fact(`${order}.verdicts`, figures.digest);
  bench.fact(`${order}.evicted`, figures.evictedCount);
  bench.fact(`${order}.conversations`, figures.conversationCount);
  const live = settings.tenants * settings.conversations;
  expectEqual("live conversations", figures.conversationCount, live);
  if (prefix !== "") return;
  if (Number.isFinite(figures.allocatedBytesPerMessage)) {
    bench.record("allocatedBytesPerMessage", figures.allocatedBytesPerMessage, "bytes");
  }
  bench.record("bytesPerConversation", figures.stateBytesPerConversation, "bytes");
  bench.record("imageBytesPerConversation", figures.imageBytesPerConversation, "bytes");
  bench.record("contextTurnsPerMessage", figures.contextTurnsPerMessage, "turns");
}
