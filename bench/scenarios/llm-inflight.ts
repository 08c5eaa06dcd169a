/**
 * What does a call to a language model cost while it waits, and when it ends? Through the product's
 * own code: moderators in slots, the shard's `Consultations`, the gateway's thread; every message
 * is asked about. Calls fall due at an even rate, whether or not those before were answered, so
 * many of them that as many wait as there shall be; then they are timed for `seconds`.
 *
 * A case is `calls/upstreamMs/callsPerTenant/wire`: calls in flight, the upstream's latency, how
 * many messages a tenant sends at once (they share requests), and `wire` for an upstream that is a
 * process of its own with HTTP/1.1 between, `none` for one within the gateway's thread. HTTP/1.1
 * takes a connection a request: `ulimit -n` and the local ports (28,232 as a rule) bound how many
 * requests there may be, so 100,000 calls of 100,000 tenants have no wire here. And they wait 10 s:
 * at 4 s they would be 25,000 lone messages a second, each of a tenant that is in no slot, which is
 * more than one shard judges.
 *
 *   inFlight       calls that waited at once, at most; that it is as many as asked for is checked
 *   bytesPerCall   live bytes of the process, by each call that waits, less before: JavaScript of
 *                  both threads and buffers after a collection; sockets are not in it
 *   residentBytesPerCall   VmRSS likewise, with whatever the collectors keep for later; residentMb:
 *                  all of the process
 *   cpuUsPerCall   CPU time of the process less judging: begin + answer + gateway + helper
 *   beginUs        the guest's turn that asks, and its entry in the books of the shard
 *   answerUs       to the gateway and back, and the guest's turn with the answer
 *   gatewayUs      all of the gateway's thread; wireUs: that with a wire less that without
 *   helperUs       V8's own threads: garbage, compiling
 *   judgeUs        the embedded verdict before it, told apart: it is the same without an upstream
 *   lateP99Ms      how much later than due calls were begun: large where the machine is too slow
 *                  for the rate, and then nothing else of the case means much; failed: calls that
 *                  timed out or found all places taken
 *   addedP50Ms, …  from when a call fell due to its end in its tenant, less what the upstream
 *                  itself took for it, which each answer says
 *
 * Baselines, with the same upstream, prompts of 600 bytes and nothing around them: `promise` is
 * `fetch` a call, `jspi` a Wasm guest suspended by JSPI that awaits it. JSPI aborts the process
 * near 31,000 calls.
 */
import { Child } from "../child.ts";
import type { BaselineFigures, BaselineSettings } from "../children/llm-baseline.ts";
import type { InFlightFigures, InFlightSettings } from "../children/llm-inflight.ts";
import {
  alternate,
  type Bench,
  expectEqual,
  type Scenario,
  UsageError,
  WrongAnswer,
} from "../harness.ts";
import { loadTalk } from "../talks.ts";
import { UpstreamChild } from "../upstream-child.ts";

const PROGRAM = new URL("../children/llm-inflight.ts", import.meta.url);
const BASELINE = new URL("../children/llm-baseline.ts", import.meta.url);
const BASELINES = ["promise", "jspi"] as const;
/** Suspended calls that a process survives, with the kernel's usual bound of mappings. */
const JSPI_CALLS_MAX = 30_000;
const OVERLOADED: ReadonlySet<string> = new Set(["queueFull", "timedOut"]);

type Case = {
  readonly name: string;
  readonly calls: number;
  readonly upstreamMs: number;
  readonly callsPerTenant: number;
  readonly hasWire: boolean;
};

export const llmInflight: Scenario = {
  name: "llm-inflight",
  sentence: "calls to a language model in flight: memory, CPU and added latency of each",
  parameters: {
    runs: { full: 1, quick: 1, sentence: "processes of each case, in alternation" },
    cases: {
      full:
        "10000/1000/1/wire,10000/1000/1/none,10000/1000/16/wire,10000/1000/16/none," +
        "10000/4000/1/wire,100000/4000/16/wire,100000/10000/1/none",
      quick: "96/200/1/wire,96/200/16/none",
      sentence: "in flight / upstream ms / calls a tenant / wire or none, with commas between",
    },
    baselines: {
      full: "10000/4000",
      quick: "48/200",
      sentence: "in flight / upstream ms of a promise a call, and of JSPI",
    },
    warmSeconds: { full: 4, quick: 0.2, sentence: "at the same rate before that, at least" },
    seconds: { full: 3, quick: 0.3, sentence: "how long calls are timed" },
    slots: { full: 1_024, quick: 16, sentence: "instances of the moderator" },
    turnsBefore: { full: 2, quick: 1, sentence: "messages of each conversation before it" },
    tickMs: { full: 1, quick: 1, sentence: "what falls due within it is begun at once" },
    seed: { full: 1, quick: 1, sentence: "of everything drawn" },
    corpus: { full: "auto", quick: "seeded", sentence: "auto, seeded, or a folder of IRC logs" },
  },
  run,
};

async function run(bench: Bench): Promise<void> {
  bench.found("corpus", loadTalk(bench.text("corpus"), bench.number("seed")).name);
  const cases = bench.text("cases").split(",").map(caseOf);
  const baselines = bench.text("baselines").split(",").map(baselineOf);
  const gatewayUs = new Map<string, number>();
  const variants = cases.map((each) => ({
    name: each.name,
    run: async (round: number) => {
      bench.progress(`llm-inflight: ${each.name}, run ${round + 1}`);
      gatewayUs.set(each.name, await runCase(bench, each));
    },
  }));
  const others = baselines.flatMap(({ calls, upstreamMs }) => {
    return BASELINES.filter((kind) => kind === "promise" || calls <= JSPI_CALLS_MAX).map(
      (kind) => ({
        name: `${kind}/${calls}/${upstreamMs}`,
        run: async (round: number) => {
          bench.progress(`llm-inflight: ${kind}, run ${round + 1}`);
          await runBaseline(bench, kind, calls, upstreamMs);
        },
      }),
    );
  });
  for (let round = 0; round < bench.number("runs"); round++) {
    await alternate(1, round % 2 === 0 ? [...variants, ...others] : [...others, ...variants]);
    for (const { name, hasWire } of cases) {
      const without = gatewayUs.get(name.replace(/wire$/, "none"));
      if (!hasWire || without === undefined) continue;
      bench.record(`${name}.wireUs`, gatewayUs.get(name)! - without, "us");
    }
  }
}

/** Returns the CPU time of the gateway's thread by each call, us. */
async function runCase(bench: Bench, { name, ...asked }: Case): Promise<number> {
  const upstream = asked.hasWire ? await startUpstream(bench, asked.upstreamMs) : undefined;
  try {
    const settings: InFlightSettings = {
      calls: asked.calls,
      upstreamMs: asked.upstreamMs,
      callsPerTenant: asked.callsPerTenant,
      port: upstream?.port ?? 0,
      seconds: bench.number("seconds"),
      warmSeconds: bench.number("warmSeconds"),
      slots: bench.number("slots"),
      turnsBefore: bench.number("turnsBefore"),
      tickMs: bench.number("tickMs"),
      seed: bench.number("seed"),
      corpus: bench.text("corpus"),
    };
    const figures = await Child.measure<InFlightFigures>(PROGRAM, settings);
    expectEqual(`${name}: answers of another call`, figures.crossed, 0);
    checkFailures(name, figures.failures);
    expectEqual(`${name}: as many in flight as asked`, figures.inFlight >= asked.calls, true);
    record(bench, name, figures);
    if (upstream !== undefined) {
      const { lateP99Ms, openMax } = await upstream.tally();
      bench.record(`${name}.requestsOpenMax`, openMax, "requests");
      bench.record(`${name}.upstreamLateP99Ms`, lateP99Ms, "ms");
    }
    bench.fact(`${name}.calls`, figures.timed);
    bench.fact(`${name}.promptBytes`, Math.round(figures.promptBytes));
    return figures.gatewayUs;
  } finally {
    await upstream?.stop();
  }
}

function record(bench: Bench, name: string, figures: InFlightFigures): void {
  const put = (figure: string, value: number, unit: string): void => {
    bench.record(`${name}.${figure}`, value, unit);
  };
  const { beginUs, answerUs, gatewayUs, helperUs } = figures;
  put("inFlight", figures.inFlight, "calls");
  put("bytesPerCall", figures.bytesPerCall, "bytes");
  put("residentBytesPerCall", figures.residentBytesPerCall, "bytes");
  put("residentMb", figures.residentMb, "MiB");
  if (Number.isFinite(gatewayUs)) {
    put("cpuUsPerCall", beginUs + answerUs + gatewayUs + helperUs, "us");
    put("gatewayUs", gatewayUs, "us");
    put("helperUs", helperUs, "us");
  }
  put("beginUs", beginUs, "us");
  put("answerUs", answerUs, "us");
  put("judgeUs", figures.judgeUs, "us");
  put("addedP50Ms", figures.addedP50Ms, "ms");
  put("addedP99Ms", figures.addedP99Ms, "ms");
  put("lateP99Ms", figures.lateP99Ms, "ms");
  put("promptBytes", figures.promptBytes, "bytes");
  const failed = Object.values(figures.failures).reduce((sum, each) => sum + each, 0);
  put("failed", failed, "calls");
}

/** A machine that is too slow for the rate ends calls so, and no other way. */
function checkFailures(name: string, failures: Readonly<Record<string, number>>): void {
  for (const [failure, count] of Object.entries(failures)) {
    if (OVERLOADED.has(failure)) continue;
    throw new WrongAnswer(`${name}: ${count} calls ended as ${failure}`);
  }
}

async function runBaseline(
  bench: Bench,
  kind: (typeof BASELINES)[number],
  calls: number,
  upstreamMs: number,
): Promise<void> {
  const upstream = await startUpstream(bench, upstreamMs);
  const name = `${kind}/${calls}/${upstreamMs}`;
  try {
    const settings: BaselineSettings = {
      kind,
      calls,
      upstreamMs,
      port: upstream.port,
      seconds: bench.number("seconds"),
      tickMs: bench.number("tickMs"),
      promptBytes: 600,
    };
    const figures = await Child.measure<BaselineFigures>(BASELINE, settings);
    expectEqual(`${name}: answers of another call`, figures.crossed, 0);
    expectEqual(`${name}: as many in flight as asked`, figures.inFlight >= calls, true);
    const put = (figure: string, value: number, unit: string): void => {
      bench.record(`${name}.${figure}`, value, unit);
    };
    put("inFlight", figures.inFlight, "calls");
    put("residentBytesPerCall", figures.bytesPerCall, "bytes");
    put("residentMb", figures.residentMb, "MiB");
    put("cpuUsPerCall", figures.cpuUsPerCall, "us");
    put("addedP50Ms", figures.addedP50Ms, "ms");
    put("addedP99Ms", figures.addedP99Ms, "ms");
    put("failed", figures.failed, "calls");
  } finally {
    await upstream.stop();
  }
}

function startUpstream(bench: Bench, upstreamMs: number): Promise<UpstreamChild> {
  return UpstreamChild.start({ upstreamMs, spreadMs: 0, seed: bench.number("seed") });
}

function caseOf(name: string): Case {
  const [calls, upstreamMs, callsPerTenant, wire, ...more] = name.split("/");
  const numbers = [calls, upstreamMs, callsPerTenant].map(Number);
  const isRight = numbers.every((each) => Number.isInteger(each) && each > 0) && more.length === 0;
  if (!isRight || (wire !== "wire" && wire !== "none")) {
    throw new UsageError(`A case is like 10000/1000/16/wire or 10000/1000/16/none, not ${name}.`);
  }
  return {
    name,
    calls: numbers[0]!,
    upstreamMs: numbers[1]!,
    callsPerTenant: numbers[2]!,
    hasWire: wire === "wire",
  };
}

function baselineOf(name: string): { readonly calls: number; readonly upstreamMs: number } {
  const [calls, upstreamMs] = name.split("/").map(Number);
  if (!(calls! > 0) || !(upstreamMs! > 0)) {
    throw new UsageError(`A baseline is like 10000/4000, not ${name}.`);
  }
  return { calls: calls!, upstreamMs: upstreamMs! };
}
