/**
 * Does one tenant's long conversation cost its neighbours? `neighbours` tenants send lone messages
 * at a steady rate, whether or not those before were answered. In every other phase one more tenant
 * grows a single conversation to `tokens` tokens (of 4 bytes), `turnTokens` a message, spread over
 * the phase; between messages all that was said stays live. Two systems in alternation:
 *
 *   (no prefix)   `serve` as a child with one shard, so that all tenants share one thread
 *   sharedHeap.   a server of node:http in which every conversation is an array of turns in the one
 *                 heap, and a call hands the whole of it on (baselines/moderation-server.ts)
 *
 *   neighbourP99AloneMs, …BesideMs   neighbours' times, without and with the long conversation
 *   neighbourP99Ratio                of the two, p99; P50 and P999 likewise. The phases of a pair
 *                                    follow each other, every other pair the other way round
 *   growerP50Ms, growerP99Ms         what the growing tenant itself waits
 *   residentGrowthMb                 of the process, by each such conversation
 *   lateP99Ms                        how much later than due the generator let requests go
 */
import type { ListeningMessage } from "../baselines/event-server.ts";
import { Child } from "../child.ts";
import type { JudgePhase } from "../children/judge-load.ts";
import { alternate, type Bench, expectEqual, type Scenario } from "../harness.ts";
import { JudgedLoad, type JudgedPhase } from "../judged-load.ts";
import type { Target } from "../served-load.ts";
import { Server } from "../server.ts";
import { loadTalk } from "../talks.ts";

const NAIVE = new URL("../baselines/moderation-server.ts", import.meta.url);
const TOKEN_BYTES = 4;
const TURNS_BEFORE = 4;

export const gcCoupling: Scenario = {
  name: "gc-coupling",
  sentence: "neighbours' p99 while one tenant's conversation grows to 128 K tokens",
  parameters: {
    runs: { full: 3, quick: 1, sentence: "servers of each system, in alternation" },
    pairs: { full: 3, quick: 1, sentence: "phases with, and without, on each server" },
    seconds: { full: 8, quick: 1, sentence: "length of a phase" },
    tokens: { full: 131_072, quick: 2_048, sentence: "tokens that the conversation grows to" },
    turnTokens: { full: 256, quick: 64, sentence: "tokens of each of its messages" },
    neighbours: { full: 100, quick: 8, sentence: "other tenants" },
    conversations: { full: 10, quick: 2, sentence: "conversations of each of them" },
    messagesPerSecond: { full: 500, quick: 100, sentence: "messages of all neighbours a second" },
    connections: { full: 8, quick: 4, sentence: "their keep-alive connections" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    corpus: { full: "auto", quick: "seeded", sentence: "auto, seeded, or a folder of IRC logs" },
  },
  run,
};

async function run(bench: Bench): Promise<void> {
  bench.found("corpus", loadTalk(bench.text("corpus"), bench.number("seed")).name);
  await alternate(bench.number("runs"), [
    { name: "nexuscore", run: (round) => runNexuscore(bench, round) },
    { name: "sharedHeap", run: (round) => runSharedHeap(bench, round) },
  ]);
}

async function runNexuscore(bench: Bench, round: number): Promise<void> {
  const server = await Server.start({ shardCount: 1 });
  try {
    await measurePairs(bench, "", server, round);
  } finally {
    await server.stop();
  }
}

async function runSharedHeap(bench: Bench, round: number): Promise<void> {
  const child = await Child.start(NAIVE, ["wholeContext"]);
  try {
    const { port } = await child.next<ListeningMessage>("listening");
    await measurePairs(bench, "sharedHeap.", { child, port }, round);
  } finally {
    await child.stop();
  }
}

async function measurePairs(
  bench: Bench,
  prefix: string,
  target: Target,
  round: number,
): Promise<void> {
  const neighbours = await JudgedLoad.start(target, loadSettings(bench));
  try {
    await neighbours.run({ batch: 8, what: { kind: "each", turns: TURNS_BEFORE } });
    await neighbours.run(neighbourPhase(bench));
    for (let pair = 0; pair < bench.number("pairs"); pair++) {
      bench.progress(`gc-coupling: ${prefix}pair ${pair + 1}, run ${round + 1}`);
      const runAlone = async (): Promise<JudgedPhase> => neighbours.run(neighbourPhase(bench));
      const runBeside = (): Promise<Beside> => measureBeside(bench, target, neighbours, pair);
      const aloneFirst = (round + pair) % 2 === 0;
      const before = aloneFirst ? await runAlone() : undefined;
      const beside = await runBeside();
      const alone = before ?? (await runAlone());
      record(bench, prefix, alone, beside);
    }
  } finally {
    await neighbours.stop();
  }
}

type Beside = { readonly neighbours: JudgedPhase; readonly grower: JudgedPhase };

/** The generator of the growing tenant is a fresh one: a silent connection would be cut off. */
async function measureBeside(
  bench: Bench,
  target: Target,
  neighbours: JudgedLoad,
  pair: number,
): Promise<Beside> {
  const turnTokens = bench.number("turnTokens");
  const turns = Math.ceil(bench.number("tokens") / turnTokens);
  await neighbours.build(neighbourPhase(bench));
  const grower = await JudgedLoad.start(target, { ...loadSettings(bench), connections: 1 });
  try {
    await grower.build({
      batch: 1,
      messagesPerSecond: turns / bench.number("seconds"),
      what: { kind: "grown", id: `long-${pair}`, turns, bytes: turnTokens * TOKEN_BYTES },
    });
    const [beside, grown] = await Promise.all([neighbours.go(), grower.go()]);
    expectEqual("turns of the long conversation", grown.messages, turns);
    return { neighbours: beside, grower: grown };
  } finally {
    await grower.stop();
  }
}

function loadSettings(bench: Bench): Parameters<typeof JudgedLoad.start>[1] {
  return {
    connections: bench.number("connections"),
    tenants: bench.number("neighbours"),
    conversations: bench.number("conversations"),
    seed: bench.number("seed"),
    corpus: bench.text("corpus"),
  };
}

function neighbourPhase(bench: Bench): JudgePhase {
  const messagesPerSecond = bench.number("messagesPerSecond");
  const messages = Math.ceil(messagesPerSecond * bench.number("seconds"));
  return { batch: 1, messagesPerSecond, what: { kind: "drawn", messages } };
}

function record(
  bench: Bench,
  prefix: string,
  alone: JudgedPhase,
  { neighbours: beside, grower }: Beside,
): void {
  const put = (name: string, value: number, unit: string): void => {
    bench.record(`${prefix}${name}`, value, unit);
  };
  put("neighbourP99Ratio", beside.requestMs.p99 / alone.requestMs.p99, "ratio");
  put("neighbourP50Ratio", beside.requestMs.p50 / alone.requestMs.p50, "ratio");
  put("neighbourP999Ratio", beside.requestMs.p999 / alone.requestMs.p999, "ratio");
  put("neighbourP99AloneMs", alone.requestMs.p99, "ms");
  put("neighbourP99BesideMs", beside.requestMs.p99, "ms");
  put("growerP50Ms", grower.requestMs.p50, "ms");
  put("growerP99Ms", grower.requestMs.p99, "ms");
  put("residentGrowthMb", beside.residentMb - alone.residentMb, "MiB");
  put("lateP99Ms", Math.max(alone.lateP99Ms, beside.lateP99Ms), "ms");
  bench.fact("messages", alone.messages + beside.messages);
  bench.fact("tokens", bench.number("tokens"));
}
