/** `nexuscore bench`: hands over to the benchmarks, which are not part of the server's program. */
import { CliError } from "./terminal.ts";

export type BenchOptions = {
  readonly json: boolean;
  readonly quick: boolean;
  readonly parameters: Readonly<Record<string, string>>;
};

type BenchModule = { runBench(scenario: string, options: BenchOptions): Promise<number> };

const BENCH = new URL("../../bench/run.ts", import.meta.url);

export async function runBenchmark(scenario: string, options: BenchOptions): Promise<number> {
  let module: BenchModule;
  try {
    module = (await import(BENCH.href)) as BenchModule;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new CliError(`the benchmarks are not part of this installation: ${message}`);
  }
  return module.runBench(scenario, options);
}
