// `npm test`: all tests, or the files that are named; options go to Node's test runner. One seed is
// for all that they draw and for their order. It is the same every time, unless SEED names another
// one, or is "random".
//
//     SEED=random npm test -- src/shard/*.test.ts --test-name-pattern=batch
import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { seedOf } from "../src/testing/seed.ts";

const PRELOAD = pathToFileURL(resolve(import.meta.dirname, "../src/testing/property-seed.ts")).href;
/** Node leaves a core free, which on two cores leaves half of the machine idle. */
const FILES_AT_ONCE = Math.max(2, availableParallelism() - 1);
const FOLDERS = ["src", "client", "examples", "guests", "test"];

async function main(words: readonly string[]): Promise<void> {
  const seed = seedOf(process.env["SEED"]);
  const options = words.filter((word) => word.startsWith("-"));
  const files = words.filter((word) => !word.startsWith("-"));
  process.stdout.write(`SEED=${seed}\n`);
  const child = spawn(
    process.execPath,
    [
      ...process.execArgv,
      `--import=${PRELOAD}`,
      "--test",
      "--test-randomize",
      `--test-random-seed=${seed}`,
      `--test-concurrency=${FILES_AT_ONCE}`,
      ...options,
      ...(files.length > 0 ? files : FOLDERS.map((folder) => `${folder}/**/*.test.ts`)),
    ],
    { stdio: "inherit", env: { ...process.env, SEED: `${seed}` } },
  );
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => child.kill(signal));
  }
  const [code] = (await once(child, "exit")) as [number | null];
  // Node's own code for a run that failed; a signal ends it without one.
  process.exitCode = code ?? 1;
}

await main(process.argv.slice(2));
