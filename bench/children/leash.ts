/**
 * Loaded before the program of every child process of a benchmark: the child ends when the
 * benchmark does, however that ended, and says what it has used so far when it is asked.
 */
import { readFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

/** Of the whole process, all its threads, since it started. */
export type Usage = {
  readonly cpuSeconds: number;
  readonly contextSwitches: number;
  readonly residentMb: number;
};

if (isMainThread && process.channel) {
  process.on("disconnect", () => process.exit(1));
  process.on("message", (message: { type?: string }) => {
    if (message.type === "usage") process.send!({ type: "usage", usage: usage() });
  });
  // The leash alone keeps no process alive; a child that lives by its messages takes the channel
  // back.
  process.channel.unref();
}

export function usage(): Usage {
  const { userCPUTime, systemCPUTime, voluntaryContextSwitches, involuntaryContextSwitches } =
    process.resourceUsage();
  return {
    cpuSeconds: (userCPUTime + systemCPUTime) / 1e6,
    contextSwitches: voluntaryContextSwitches + involuntaryContextSwitches,
    residentMb: residentBytes() / 2 ** 20,
  };
}

/**
 * This process's share of memory, what it shares counted in parts; VmRSS where that is not told.
 */
export function proportionalMb(): number {
  try {
    const rollup = readFileSync("/proc/self/smaps_rollup", "utf8");
    return Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1]) / 1024;
  } catch {
    return residentBytes() / 2 ** 20;
  }
}

/** VmRSS where there is /proc; the same quantity as Node has it elsewhere. */
export function residentBytes(): number {
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
  } catch {
    return process.memoryUsage.rss();
  }
}
