/**
 * What the telemetry programs cost what they watch. Each variant is a process of its own, and they
 * take turns: `none` is without any, then each program alone.
 *
 *   <variant>.systemCallNs   a system call that does nothing
 *   <variant>.switchNs       a switch between two threads that wake each other
 *   <variant>.pageFaultNs    a page touched for the first time
 *   <level>.eventsPerSecond  the whole server, NDJSON over HTTP, at the levels off, basic and all
 *   <level>.cpuUsPerEvent    its CPU time meanwhile
 *   <level>.floodNsPerEvent  its CPU time an event datagram's event, at an offered rate
 *
 * `…Ratio` is the median, over the rounds, of a variant over `none` (or `off`) in the same round: a
 * machine that is shared changes from minute to minute, so many short rounds tell more than a few
 * long ones. CPU time an event is the firmer of the figures: a rate also falls when others run.
 */
import type { TelemetryFigures, TelemetryWork } from "../children/telemetry.ts";
import type { LoadSettings } from "../children/load.ts";
import { Child } from "../child.ts";
import { alternate, type Bench, expectEqual, type Scenario } from "../harness.ts";
import { Flood } from "../served-flood.ts";
import { loadTarget } from "../served-load.ts";
import { DATAGRAM_BYTES_MAX } from "#model/datagram.ts";
import { Server } from "../server.ts";
import { TELEMETRY_PROGRAMS, type TelemetryProgram } from "#model/kernel-telemetry.ts";

export const telemetry: Scenario = {
  name: "telemetry",
  sentence: "what telemetry programs in the kernel cost: calls, switches, faults, and the server",
  parameters: {
    runs: { full: 5, quick: 1, sentence: "processes of each variant" },
    systemCalls: { full: 2_000_000, quick: 1_000, sentence: "system calls of a run" },
    switches: { full: 50_000, quick: 100, sentence: "times the turn goes round in a run" },
    pages: { full: 65_536, quick: 4_096, sentence: "pages touched in a run" },
    serverRuns: { full: 11, quick: 1, sentence: "servers of each level" },
    events: { full: 150_000, quick: 2_000, sentence: "events sent to each server" },
    warmEvents: { full: 30_000, quick: 500, sentence: "of them, untimed" },
    floodEventsPerSecond: { full: 4_200_000, quick: 200_000, sentence: "offered in datagrams" },
    floodSeconds: { full: 3, quick: 0.2, sentence: "of that" },
    tenants: { full: 1_000, quick: 20, sentence: "tenants of the server" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    corpus: { full: "auto", quick: "seeded", sentence: "auto, seeded, or a folder of IRC logs" },
  },
  run,
};

const LEVELS = ["off", "basic", "all"] as const;
const SERVER_SHARDS = 1;

/** By variant and figure, one value a run. */
type Values = Map<string, number[]>;

async function run(bench: Bench): Promise<void> {
  const values: Values = new Map();
  const variants: readonly (readonly [string, readonly TelemetryProgram[]])[] = [
    ["none", []],
    ...TELEMETRY_PROGRAMS.map((program) => [program, [program]] as const),
  ];
  await alternate(
    bench.number("runs"),
    variants.map(([name, programs]) => {
      return { name, run: async () => measureWork(bench, values, name, programs) };
    }),
  );
  await alternate(
    bench.number("serverRuns"),
    LEVELS.map((level) => ({ name: level, run: async () => measureServer(bench, values, level) })),
  );
  recordRatios(bench, values);
}

async function measureWork(
  bench: Bench,
  values: Values,
  name: string,
  programs: readonly TelemetryProgram[],
): Promise<void> {
  bench.progress(`telemetry: ${name}`);
  const work: TelemetryWork = {
    programs,
    systemCalls: bench.number("systemCalls"),
    switches: bench.number("switches"),
    pages: bench.number("pages"),
  };
  const program = new URL("../children/telemetry.ts", import.meta.url);
  const { missing, ...figures } = await Child.measure<TelemetryFigures>(program, work);
  if (missing.length > 0) {
    bench.found(`${name}.missing`, missing.join("; "));
    return;
  }
  for (const [figure, ns] of Object.entries(figures)) record(bench, values, name, figure, ns, "ns");
}

async function measureServer(bench: Bench, values: Values, level: string): Promise<void> {
  bench.progress(`telemetry: server, ${level}`);
  const settings: Omit<LoadSettings, "port"> = {
    route: "shared",
    events: bench.number("events"),
    bodyEvents: Math.min(1_000, bench.number("events") / 10),
    connections: 2,
    tenantCount: bench.number("tenants"),
    exponent: 1,
    seed: bench.number("seed"),
    corpus: bench.text("corpus"),
    secondsMax: 120,
  };
  const server = await Server.start({ shardCount: SERVER_SHARDS, kernelTelemetry: level });
  try {
    const load = await loadTarget(server, settings, bench.number("warmEvents"));
    expectEqual("events rejected", load.result.rejected, 0);
    expectEqual("events accepted", load.accepted, settings.events);
    bench.fact(`${level}.accepted`, load.accepted);
    const { events, seconds } = load.result;
    record(bench, values, level, "eventsPerSecond", events / seconds, "events/s");
    record(bench, values, level, "cpuUsPerEvent", (load.cpuSeconds * 1e6) / events, "us");
    const floodNs = await floodNsPerEvent(bench, server);
    record(bench, values, level, "floodNsPerEvent", floodNs, "ns");
  } finally {
    await server.stop();
  }
}

/** CPU time of the server for each event of a flood of datagrams, until tenants have them all. */
async function floodNsPerEvent(bench: Bench, server: Server): Promise<number> {
  const eventsPerSecond = bench.number("floodEventsPerSecond");
  const seconds = bench.number("floodSeconds");
  const flood = await Flood.start(server, {
    seed: bench.number("seed"),
    tenantCount: bench.number("tenants"),
    tenantExponent: 1,
    termCount: 1_000,
    termExponent: 1.1,
    weightMax: 1,
    poolEvents: Math.min(2_000_000, eventsPerSecond * seconds),
    datagramBytes: DATAGRAM_BYTES_MAX,
  });
  try {
    const send = async (share: number): Promise<void> => {
      const events = Math.round(eventsPerSecond * seconds * share);
      await flood.send({ events, eventsPerSecond, secondsMax: 60 });
      await flood.settle();
    };
    await send(0.3);
    const offeredBefore = flood.offeredEvents;
    const before = await server.child.usage();
    await send(1);
    const { cpuSeconds } = await server.child.usage();
    return ((cpuSeconds - before.cpuSeconds) * 1e9) / (flood.offeredEvents - offeredBefore);
  } finally {
    await flood.stop();
  }
}

function record(
  bench: Bench,
  values: Values,
  ...[variant, figure, value, unit]: [string, string, number, string]
): void {
  const name = `${variant}.${figure}`;
  bench.record(name, value, unit);
  values.set(name, [...(values.get(name) ?? []), value]);
}

/** Each round of a variant over the same round without. */
function recordRatios(bench: Bench, values: Values): void {
  for (const [name, runs] of values) {
    const [variant, figure] = name.split(".");
    const base = values.get(`none.${figure}`) ?? values.get(`off.${figure}`);
    if (variant === "none" || variant === "off" || base === undefined) continue;
    for (const [round, value] of runs.entries()) {
      bench.record(`${name}Ratio`, value / base[round]!, "ratio");
    }
  }
}
