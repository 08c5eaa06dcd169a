/** What a process holds, seen from outside: by /proc where there is one, and by /metrics. */
import { globSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Tolerance } from "./trend.ts";

const MIB = 1024 * 1024;

/** What may climb, and by how much over the measured time. */
export const TOLERANCES = {
  rss: { least: 48 * MIB, share: 0.08 },
  heapUsed: { least: 12 * MIB, share: 0.15 },
  external: { least: 12 * MIB, share: 0.15 },
  handles: { least: 24, share: 0.1 },
  fds: { least: 24, share: 0.1 },
  threads: { least: 2, share: 0 },
} as const satisfies Record<string, Tolerance>;

export type Vital = keyof typeof TOLERANCES;
export type Vitals = Readonly<Record<Vital, number>>;

const METRICS = {
  heapUsed: "nodejs_heap_size_used_bytes",
  external: "nodejs_external_memory_bytes",
  handles: "nodejs_active_handles_total",
} as const;

/** `metrics`: the text of /metrics. Without /proc what only it knows stays 0. */
export function vitalsOf(pid: number, metrics: string): Vitals {
  const status = textOf(`/proc/${pid}/status`);
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
  const metric = (name: string): number =>
    Number(new RegExp(`^${name} (\\S+)`, "m").exec(metrics)?.[1] ?? 0);
  return {
    rss: field("VmRSS") * 1024,
    threads: field("Threads"),
    fds: countOf(`/proc/${pid}/fd`),
    heapUsed: metric(METRICS.heapUsed),
    external: metric(METRICS.external),
    handles: metric(METRICS.handles),
  };
}

export function folderBytes(folder: string): number {
  return globSync(join(folder, "**/*")).reduce((sum, path) => sum + sizeOf(path), 0);
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch {
    return 0; // Gone meanwhile.
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function countOf(path: string): number {
  try {
    return readdirSync(path).length;
  } catch {
    return 0;
  }
}
