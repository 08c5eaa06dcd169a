/**
 * Does one tenant's use of a language model cost its neighbours? The whole engine with its
 * gateway's thread in a process, an upstream that all share in another. `neighbours` tenants send
 * lone messages at a steady rate, whether or not those before were answered; every message is asked
 * about. In turns, and each round in another order:
 *
 *   alone   nobody else
 *   hang    one more tenant sends `hangTimes` times a neighbour's share, and the upstream answers
 *           none of its requests: they end when its policy's patience does
 *   flood   it sends `floodTimes` times a neighbour's share
 *   long    it grows one conversation to `tokens` tokens (of 4 bytes) within the phase, in messages
 *           of `turnTokens`, with as much context as a policy may have: promptBytesMax says what
 *           goes upstream of it, which PROMPT_BYTES_MAX bounds
 *
 * Its budget has no bound, so it is not the budget that protects the neighbours.
 *
 *   alone.p50Ms, alone.p99Ms   of the neighbours' verdicts, from due to told; KIND. likewise
 *   KIND.p99Ratio, p50Ratio    to `alone` of the same round
 *   KIND.addedP99Ms, …         of the answered ones, less what the upstream itself took
 *   KIND.degradedShare         of the neighbours' verdicts: without the upstream's answer
 *   KIND.ownDegradedShare      of the hostile tenant's
 *   lateP99Ms                  how much later than due messages were let go, p99
 */
import { Child } from "../child.ts";
import type {
  EngineReady,
  HostileLoad,
  HostileSettings,
  PhaseDone,
  PhaseFigures,
} from "../children/llm-hostile.ts";
import { alternate, type Bench, expectEqual, type Scenario } from "../harness.ts";
import { loadTalk } from "../talks.ts";
import { UpstreamChild } from "../upstream-child.ts";

const PROGRAM = new URL("../children/llm-hostile.ts", import.meta.url);
const TOKEN_BYTES = 4;
/** Less room for the marker of a message. */
const MARKER_BYTES = 24;
const KINDS = ["alone", "hang", "flood", "long"] as const;
type Kind = (typeof KINDS)[number];

export const llmHostile: Scenario = {
  name: "llm-hostile",
  sentence: "neighbours' p99 while one tenant's upstream hangs, or it floods, or says 128 K tokens",
  parameters: {
    rounds: { full: 3, quick: 1, sentence: "phases of each kind, in turns" },
    seconds: { full: 6, quick: 0.4, sentence: "length of a phase" },
    shards: { full: 3, quick: 2, sentence: "shards of the engine" },
    slots: { full: 1_024, quick: 64, sentence: "instances of each shard" },
    neighbours: { full: 50, quick: 6, sentence: "other tenants" },
    conversations: { full: 4, quick: 2, sentence: "conversations of each of them" },
    messagesPerSecond: { full: 200, quick: 60, sentence: "messages of all neighbours a second" },
    hangTimes: {
      full: 10,
      quick: 4,
      sentence: "times a neighbour's share, of a tenant that hangs",
    },
    floodTimes: { full: 100, quick: 20, sentence: "times that share, of a tenant that floods" },
    tokens: { full: 131_072, quick: 4_096, sentence: "tokens that the conversation grows to" },
    turnTokens: { full: 2_048, quick: 512, sentence: "tokens of each of its messages" },
    upstreamMs: { full: 100, quick: 30, sentence: "latency of the upstream, at least" },
    spreadMs: { full: 100, quick: 20, sentence: "and up to so much more" },
    waitMsMax: { full: 3_000, quick: 2_000, sentence: "how long a verdict waits for it" },
    connections: { full: 64, quick: 16, sentence: "requests to the upstream at once" },
    tenantRunningMax: { full: 8, quick: 4, sentence: "of one tenant" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    corpus: { full: "auto", quick: "seeded", sentence: "auto, seeded, or a folder of IRC logs" },
  },
  run,
};

async function run(bench: Bench): Promise<void> {
  bench.found("corpus", loadTalk(bench.text("corpus"), bench.number("seed")).name);
  const upstream = await UpstreamChild.start({
    upstreamMs: bench.number("upstreamMs"),
    spreadMs: bench.number("spreadMs"),
    seed: bench.number("seed"),
  });
  const engine = await Child.start(PROGRAM);
  try {
    engine.send({ type: "start", settings: settingsOf(bench, upstream.port) });
    await engine.next<EngineReady>("ready");
    await runPhase(bench, engine, upstream, "alone");
    const rounds: Partial<Record<Kind, PhaseFigures>>[] = [];
    await alternate(
      bench.number("rounds"),
      KINDS.map((kind) => ({
        name: kind,
        run: async (round: number) => {
          bench.progress(`llm-hostile: ${kind}, round ${round + 1}`);
          (rounds[round] ??= {})[kind] = await runPhase(bench, engine, upstream, kind);
        },
      })),
    );
    for (const round of rounds) for (const kind of KINDS) record(bench, kind, round);
    const { openMax, bodyBytesMax } = await upstream.tally();
    bench.record("requestsOpenMax", openMax, "requests");
    bench.record("requestBytesMax", bodyBytesMax, "bytes");
  } finally {
    await engine.stop();
    await upstream.stop();
  }
}

async function runPhase(
  bench: Bench,
  engine: Child,
  upstream: UpstreamChild,
  kind: Kind,
): Promise<PhaseFigures> {
  await upstream.stall(kind === "hang" ? ["t0"] : []);
  const phase = {
    seconds: bench.number("seconds"),
    messagesPerSecond: bench.number("messagesPerSecond"),
    hostile: loadOf(bench, kind),
  };
  engine.send({ type: "phase", phase });
  const { figures } = await engine.next<PhaseDone>("phase");
  expectEqual(`${kind}: answers of another message`, figures.crossed, 0);
  bench.fact(`${kind}.messages`, figures.messages);
  bench.fact(`${kind}.hostileMessages`, figures.hostileMessages);
  return figures;
}

function loadOf(bench: Bench, kind: Kind): HostileLoad {
  const share = bench.number("messagesPerSecond") / bench.number("neighbours");
  const turnTokens = bench.number("turnTokens");
  const turnsPerSecond = bench.number("tokens") / turnTokens / bench.number("seconds");
  const textBytes = turnTokens * TOKEN_BYTES - MARKER_BYTES;
  const loads: Readonly<Record<Kind, HostileLoad>> = {
    alone: { messagesPerSecond: 0, textBytes: 0 },
    hang: { messagesPerSecond: share * bench.number("hangTimes"), textBytes: 0 },
    flood: { messagesPerSecond: share * bench.number("floodTimes"), textBytes: 0 },
    long: { messagesPerSecond: turnsPerSecond, textBytes },
  };
  return loads[kind];
}

function record(bench: Bench, kind: Kind, round: Partial<Record<Kind, PhaseFigures>>): void {
  const figures = round[kind]!;
  const alone = round.alone!;
  bench.record(`${kind}.p50Ms`, figures.p50Ms, "ms");
  bench.record(`${kind}.p99Ms`, figures.p99Ms, "ms");
  bench.record(`${kind}.addedP50Ms`, figures.addedP50Ms, "ms");
  bench.record(`${kind}.addedP99Ms`, figures.addedP99Ms, "ms");
  bench.record(`${kind}.degradedShare`, figures.degraded / figures.messages, "share");
  bench.record(`${kind}.lateP99Ms`, figures.lateP99Ms, "ms");
  if (kind === "alone") return;
  bench.record(`${kind}.p99Ratio`, figures.p99Ms / alone.p99Ms, "ratio");
  bench.record(`${kind}.p50Ratio`, figures.p50Ms / alone.p50Ms, "ratio");
  const own = figures.hostileDegraded / figures.hostileMessages;
  bench.record(`${kind}.ownDegradedShare`, own, "share");
  if (kind === "long") {
    bench.record("long.promptBytesMax", figures.hostilePromptBytesMax, "bytes");
  }
}

function settingsOf(bench: Bench, port: number): HostileSettings {
  return {
    port,
    shards: bench.number("shards"),
    slots: bench.number("slots"),
    connections: bench.number("connections"),
    tenantRunningMax: bench.number("tenantRunningMax"),
    waitMsMax: bench.number("waitMsMax"),
    neighbours: bench.number("neighbours"),
    conversations: bench.number("conversations"),
    seed: bench.number("seed"),
    corpus: bench.text("corpus"),
  };
}
