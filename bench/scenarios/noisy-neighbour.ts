/**
 * Does one tenant that sends a hundred times its quota cost its neighbours? The whole server, with
 * its log on disk; `neighbours` tenants send bodies at a steady rate, half of their quota each, and
 * beside them, in turns and each round in another order:
 *
 *   quiet   nobody
 *   noisy   one more tenant offers `noiseTimes` times its quota, in bodies of `noiseEvents`
 *
 *   neighbourP99Ratio, P50Ratio   noisy to quiet of the same round
 *   quiet.p99Ms, noisy.p99Ms      of the neighbours' answers, from due to answered; and p50
 *   noiseTakenShare               of the noisy tenant's quota, what it got: about 1
 *   noiseRefused                  its bodies that were refused, a second
 *   neighboursRefused             bodies of neighbours that were: none
 */
import { QUOTA_CPU_MS_DEFAULT } from "#model/limits.ts";
import { Child } from "../child.ts";
import type { SteadyFigures, SteadySettings } from "../children/steady.ts";
import { alternate, type Bench, expectEqual, type Scenario } from "../harness.ts";
import { Server } from "../server.ts";
import { quantile } from "../statistics.ts";

const SENDERS = new URL("../children/steady.ts", import.meta.url);
const KINDS = ["quiet", "noisy"] as const;
type Kind = (typeof KINDS)[number];
type Phase = { readonly p50Ms: number; readonly p99Ms: number };

export const noisyNeighbour: Scenario = {
  name: "noisy-neighbour",
  sentence: "neighbours' p99 while one tenant offers a hundred times its quota",
  parameters: {
    rounds: { full: 5, quick: 1, sentence: "phases of each kind, in turns" },
    seconds: { full: 8, quick: 1.5, sentence: "length of a phase" },
    shards: { full: 1, quick: 1, sentence: "shards of the server: the noise is in everybody's" },
    neighbours: { full: 20, quick: 4, sentence: "other tenants" },
    neighbourBodies: { full: 10, quick: 10, sentence: "bodies of each of them a second" },
    neighbourEvents: { full: 50, quick: 20, sentence: "events of each body" },
    quota: { full: 1_000, quick: 400, sentence: "events a second that a tenant may send" },
    noiseTimes: { full: 100, quick: 100, sentence: "times that, of the noisy one" },
    noiseEvents: { full: 500, quick: 500, sentence: "events of each of its bodies" },
    noiseConnections: { full: 32, quick: 8, sentence: "connections that it has" },
  },
  run,
};

async function run(bench: Bench): Promise<void> {
  const server = await Server.start({
    shardCount: bench.number("shards"),
    kernelTelemetry: "off",
    environment: {
      NEXUSCORE_QUOTA_EVENTS_PER_SECOND: `${bench.number("quota")}`,
      NEXUSCORE_QUOTA_CPU_MS_PER_SECOND: `${QUOTA_CPU_MS_DEFAULT}`,
    },
  });
  const neighbours = await Child.start(SENDERS);
  const noise = await Child.start(SENDERS);
  try {
    await runPhase(bench, { server, neighbours, noise }, "quiet");
    const rounds: Partial<Record<Kind, Phase>>[] = [];
    await alternate(
      bench.number("rounds"),
      KINDS.map((kind) => ({
        name: kind,
        run: async (round: number) => {
          bench.progress(`noisy-neighbour: ${kind}, round ${round + 1}`);
          (rounds[round] ??= {})[kind] = await runPhase(bench, { server, neighbours, noise }, kind);
        },
      })),
    );
    for (const { quiet, noisy } of rounds) {
      for (const [kind, phase] of [["quiet", quiet!] as const, ["noisy", noisy!] as const]) {
        bench.record(`${kind}.p50Ms`, phase.p50Ms, "ms");
        bench.record(`${kind}.p99Ms`, phase.p99Ms, "ms");
      }
      bench.record("neighbourP50Ratio", noisy!.p50Ms / quiet!.p50Ms, "ratio");
      bench.record("neighbourP99Ratio", noisy!.p99Ms / quiet!.p99Ms, "ratio");
    }
  } finally {
    await neighbours.stop();
    await noise.stop();
    await server.stop();
  }
}

type Parts = { readonly server: Server; readonly neighbours: Child; readonly noise: Child };

async function runPhase(bench: Bench, parts: Parts, kind: Kind): Promise<Phase> {
  const { server, neighbours, noise } = parts;
  const seconds = bench.number("seconds");
  const common = { port: server.port, seconds };
  const steady: SteadySettings = {
    ...common,
    tenants: Array.from({ length: bench.number("neighbours") }, (_, n) => `neighbour-${n}`),
    connections: 2,
    bodiesPerSecond: bench.number("neighbourBodies"),
    eventsPerBody: bench.number("neighbourEvents"),
  };
  const noisy = kind === "noisy" ? sendNoise(bench, noise, common) : undefined;
  const { waitsMs, refused, failed } = await send(neighbours, steady);
  await noisy;
  expectEqual(`${kind}: bodies of neighbours that were refused`, refused, 0);
  expectEqual(`${kind}: bodies of neighbours that failed`, failed, 0);
  bench.fact(`${kind}.neighboursRefused`, refused);
  const samples = Float64Array.from(waitsMs);
  return { p50Ms: quantile(samples, 0.5), p99Ms: quantile(samples, 0.99) };
}

async function sendNoise(
  bench: Bench,
  noise: Child,
  common: Pick<SteadySettings, "port" | "seconds">,
): Promise<void> {
  const quota = bench.number("quota");
  const eventsPerBody = bench.number("noiseEvents");
  const offered = quota * bench.number("noiseTimes");
  const { taken, refused, failed } = await send(noise, {
    ...common,
    tenants: ["noise"],
    connections: bench.number("noiseConnections"),
    bodiesPerSecond: offered / eventsPerBody,
    eventsPerBody,
  });
  expectEqual("bodies of the noisy tenant that failed", failed, 0);
  bench.record("noiseTakenShare", (taken * eventsPerBody) / (quota * common.seconds), "share");
  bench.record("noiseRefused", refused / common.seconds, "bodies/s");
}

async function send(child: Child, settings: SteadySettings): Promise<SteadyFigures> {
  child.send({ type: "send", settings });
  const { figures } = await child.next<{ type: "sent"; figures: SteadyFigures }>("sent");
  return figures;
}
