/**
 * Loaded before the program of every child process of a benchmark: the child ends when the
 * benchmark does, however that ended, and says what it has used so far when it is asked.
 */
import { readFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { isMainThread } from "node:worker_threads";

/** Of the whole process, all its threads, since it started. */
export type Usage = {
  readonly cpuSeconds: number;
  readonly contextSwitches: number;
  readonly residentMb: number;
};

/** How long the main thread's event loop was held up while it was watched. */
export type LoopDelays = {
  /** Later than due, whoever had the core meanwhile. */
  readonly p99Ms: number;
  readonly maxMs: number;
  /** CPU time of this thread between two looks a millisecond apart, at most: work of its own. */
  readonly busyMaxMs: number;
};

const LOOK_MS = 1;

if (isMainThread && process.channel) {
  process.on("disconnect", () => process.exit(1));
  process.on("message", (message: { type?: string }) => {
    if (message.type === "usage") process.send!({ type: "usage", usage: usage() });
    if (message.type === "watchLoop") watchLoop();
  });
  // The leash alone keeps no process alive; a child that lives by its messages takes the channel
  // back.
  process.channel.unref();
}

/** From now on until it is asked for them; a look every millisecond is not free. */
function watchLoop(): void {
  const delays = monitorEventLoopDelay({ resolution: LOOK_MS });
  delays.enable();
  let busyMaxUs = 0;
  let before = process.threadCpuUsage();
  const looks = setInterval(() => {
    const now = process.threadCpuUsage();
    busyMaxUs = Math.max(busyMaxUs, now.user - before.user + now.system - before.system);
    before = now;
  }, LOOK_MS);
  const answer = (message: { type?: string }): void => {
    if (message.type !== "loopDelays") return;
    process.off("message", answer);
    clearInterval(looks);
    delays.disable();
    // The histogram holds whole waits; what is over the resolution is delay.
    const late = (ns: number): number => Math.max(0, ns / 1e6 - LOOK_MS);
    const p99Ms = late(delays.percentile(99));
    const loopDelays: LoopDelays = { p99Ms, maxMs: late(delays.max), busyMaxMs: busyMaxUs / 1_000 };
    process.send!({ type: "loopDelays", loopDelays });
  };
  process.on("message", answer);
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
