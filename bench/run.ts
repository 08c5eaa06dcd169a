/**
 * `nexuscore bench`: finds the scenario, runs it, prints one JSON object or a table (DESIGN 5.5).
 */
import { constants } from "node:os";
import { stopAllChildren } from "./child.ts";
import { Bench, type Report, resolveParameters, type Scenario, UsageError } from "./harness.ts";
import { commit, machine } from "./machine.ts";
import { batcher } from "./scenarios/batcher.ts";
import { density } from "./scenarios/density.ts";
import { durableIngest } from "./scenarios/durable-ingest.ts";
import { freshness } from "./scenarios/freshness.ts";
import { gcCoupling } from "./scenarios/gc-coupling.ts";
import { guest } from "./scenarios/guest.ts";
import { headline, headlineMax } from "./scenarios/headline.ts";
import { ingest } from "./scenarios/ingest.ts";
import { kernelCores } from "./scenarios/kernel-cores.ts";
import { kernelOnly } from "./scenarios/kernel-only.ts";
import { kernelVsUser } from "./scenarios/kernel-vs-user.ts";
import { llmBleed } from "./scenarios/llm-bleed.ts";
import { llmHostile } from "./scenarios/llm-hostile.ts";
import { llmInflight } from "./scenarios/llm-inflight.ts";
import { moderate } from "./scenarios/moderate.ts";
import { naive } from "./scenarios/naive.ts";
import { noisyNeighbour } from "./scenarios/noisy-neighbour.ts";
import { quality } from "./scenarios/quality.ts";
import { recover } from "./scenarios/recover.ts";
import { sameWork } from "./scenarios/same-work.ts";
import { summaries } from "./scenarios/summaries.ts";
import { telemetry } from "./scenarios/telemetry.ts";
import { renderList, renderReport } from "./table.ts";

const SCENARIOS: readonly Scenario[] = [
  density,
  ingest,
  durableIngest,
  recover,
  guest,
  naive,
  batcher,
  kernelOnly,
  kernelCores,
  kernelVsUser,
  headline,
  headlineMax,
  freshness,
  summaries,
  sameWork,
  telemetry,
  moderate,
  gcCoupling,
  quality,
  noisyNeighbour,
  llmInflight,
  llmHostile,
  llmBleed,
];

const BREAK_OFF_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

export type RunOptions = {
  readonly json: boolean;
  /** A smoke run: everything is done, next to nothing is measured. */
  readonly quick?: boolean;
  /** By name, as typed; what is left out takes its default. */
  readonly parameters: Readonly<Record<string, string>>;
};

type Output = { readonly out: (text: string) => void; readonly err: (text: string) => void };

const STANDARD: Output = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
};

export function listScenarios(): readonly Scenario[] {
  return SCENARIOS;
}

/**
 * Runs `scenario`, or prints what there is for `list`. Exit code: 0 done (whatever the figures
 * say), 1 the run failed or an answer was wrong, 2 no such scenario or parameter. With `json`
 * nothing but one JSON object goes to standard output.
 */
export async function runBench(
  scenario: string,
  options: RunOptions,
  output: Output = STANDARD,
  scenarios: readonly Scenario[] = SCENARIOS,
): Promise<number> {
  const { json } = options;
  try {
    if (scenario === "list") {
      const list = scenarios.map(({ name, sentence, parameters }) => {
        return { name, sentence, parameters };
      });
      output.out(json ? `${JSON.stringify({ scenarios: list })}\n` : renderList(scenarios));
      return 0;
    }
    const progress = (line: string): void => {
      if (process.stderr.isTTY) output.err(`${line}\n`);
    };
    const report = await measure(find(scenario, scenarios), options, progress);
    output.out(json ? `${JSON.stringify(report)}\n` : renderReport(report));
    return 0;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    output.err(`bench ${scenario}: ${message}\n`);
    return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
  }
}

function find(name: string, scenarios: readonly Scenario[]): Scenario {
  const scenario = scenarios.find((candidate) => candidate.name === name);
  if (scenario !== undefined) return scenario;
  const names = scenarios.map((candidate) => candidate.name).join(", ");
  throw new UsageError(`There is no scenario ${JSON.stringify(name)}; there are ${names}.`);
}

/** Runs a scenario to its report. Whatever happens, its child processes are gone afterwards. */
async function measure(
  scenario: Scenario,
  options: Pick<RunOptions, "quick" | "parameters">,
  progress: (line: string) => void,
): Promise<Report> {
  const parameters = resolveParameters(scenario, options.parameters, options.quick ?? false);
  const startedAtMs = Date.now();
  const bench = new Bench(parameters, progress);
  const breakOff = (signal: NodeJS.Signals): void => {
    void stopAllChildren().finally(() => process.exit(128 + constants.signals[signal]));
  };
  for (const signal of BREAK_OFF_SIGNALS) process.on(signal, breakOff);
  try {
    await scenario.run(bench);
  } finally {
    for (const signal of BREAK_OFF_SIGNALS) process.off(signal, breakOff);
    await stopAllChildren();
  }
  return {
    scenario: scenario.name,
    commit: commit(),
    machine: machine(),
    startedAtMs,
    parameters: { ...parameters, ...bench.findings() },
    results: bench.results(),
    hash: bench.hash(),
  };
}
