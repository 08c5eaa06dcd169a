/**
 * CPU and context switches of each thread of a process, from /proc; nothing where there is none.
 */
import { readdirSync, readFileSync } from "node:fs";

export type ThreadUsage = {
  readonly name: string;
  readonly cpuSeconds: number;
  readonly contextSwitches: number;
};

/** By thread id. Threads that ended are gone, with what they used. */
export function threadUsages(processId: number): Map<number, ThreadUsage> {
  const usages = new Map<number, ThreadUsage>();
  let threads: string[];
  try {
    threads = readdirSync(`/proc/${processId}/task`);
  } catch {
    return usages;
  }
  for (const thread of threads) {
    try {
      const folder = `/proc/${processId}/task/${thread}`;
      const status = readFileSync(`${folder}/status`, "utf8");
      // First field: nanoseconds on a CPU. /proc/*/stat counts in steps of 10 ms.
      const cpuNs = Number(readFileSync(`${folder}/schedstat`, "utf8").split(" ", 1)[0]);
      const switches = status.matchAll(/ctxt_switches:\s+(\d+)/g);
      usages.set(Number(thread), {
        name: readFileSync(`${folder}/comm`, "utf8").trim(),
        cpuSeconds: cpuNs / 1e9,
        contextSwitches: [...switches].reduce((sum, match) => sum + Number(match[1]), 0),
      });
    } catch {
      // It ended while we looked.
    }
  }
  return usages;
}

/** What threads used between two looks; threads of one name (V8's helpers) are summed. */
export function usageBetween(
  before: ReadonlyMap<number, ThreadUsage>,
  after: ReadonlyMap<number, ThreadUsage>,
): Map<string, number> {
  const seconds = new Map<string, number>();
  for (const [thread, { name, cpuSeconds }] of after) {
    const used = cpuSeconds - (before.get(thread)?.cpuSeconds ?? 0);
    seconds.set(name, (seconds.get(name) ?? 0) + used);
  }
  return seconds;
}
