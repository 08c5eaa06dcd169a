/**
 * The long form of the fuzzer: each target so many minutes, in a process of its own, so that an
 * input which hangs or ends it is told as well.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { FuzzOrder } from "./fuzz-worker.ts";
import { TARGETS } from "./targets.ts";

const WORKER = fileURLToPath(new URL("fuzz-worker.ts", import.meta.url));
const LOOK_MS = 1_000;
/** A case that takes that long is a hang; to make a finding smaller takes a minute at most. */
const HANG_MS = 120_000;

export const FUZZ_USAGE = `fuzz [TARGET]... [--minutes 10] [--seed 1] [--case NAME] [--input FILE]
  targets: ${Object.keys(TARGETS).join(" ")}`;

/** The exit code. */
export async function fuzz(words: readonly string[], say: (line: string) => void) {
  const { values, positionals } = parseArgs({
    args: [...words],
    allowPositionals: true,
    options: {
      minutes: { type: "string", default: "10" },
      seed: { type: "string", default: "1" },
      case: { type: "string" },
      input: { type: "string" },
    },
  });
  const names = positionals.length > 0 ? positionals : Object.keys(TARGETS);
  const strangers = names.filter((name) => !Object.hasOwn(TARGETS, name));
  const [seed, minutes] = [Number(values.seed), Number(values.minutes)];
  if (strangers.length > 0 || !Number.isSafeInteger(seed) || !(minutes >= 0)) {
    say(FUZZ_USAGE);
    return 64;
  }
  const { case: caseName, input } = values;
  let failures = 0;
  for (const target of names) {
    const missing = TARGETS[target]!.missing?.() ?? false;
    if (missing !== false) {
      say(`${target}: not here, ${missing}`);
      continue;
    }
    say(`npm run prove -- fuzz ${target} --minutes ${minutes} --seed ${seed}`);
    const order = { target, seed, ms: minutes * 60_000, caseName, input };
    if (!(await runTarget(order, say))) failures += 1;
  }
  return failures === 0 ? 0 : 1;
}

/** Whether nothing was found. */
async function runTarget(
  order: Omit<FuzzOrder, "progress">,
  say: (line: string) => void,
): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-fuzz-"));
  const progress = join(folder, "case");
  const args = ["--expose-gc", ...process.execArgv, WORKER, JSON.stringify({ ...order, progress })];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  let at = "";
  let sinceMs = performance.now();
  const look = setInterval(() => {
    const now = caseAt(progress);
    if (now !== at) [at, sinceMs] = [now, performance.now()];
    if (performance.now() - sinceMs < HANG_MS) return;
    say(`FOUND ${order.target}: case ${at} has not ended after ${HANG_MS / 1000} s`);
    child.kill("SIGKILL");
  }, LOOK_MS);
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  clearInterval(look);
  if (code !== 0) {
    const how = signal === null ? `code ${code}` : `signal ${signal}`;
    say(`${order.target} ended with ${how} at --seed ${order.seed} --case ${caseAt(progress)}`);
  }
  rmSync(folder, { recursive: true });
  return code === 0;
}

function caseAt(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch {
    return "";
  }
}
