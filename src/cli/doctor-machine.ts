/**
 * What `nexuscore doctor` finds out about the machine: what it is asked is a parameter, so that
 * each finding can be tried without the machine that has it.
 */
import type { Config } from "#config/options.ts";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { availableMemory, constrainedMemory, execArgv, versions } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { Check } from "./check.ts";
import { formatBytes } from "./terminal.ts";

const NODE_MAJOR_MIN = 26;
const FLAGS = ["--disable-wasm-trap-handler", "--external-memory-accounted-in-global-limit"];
const MAPS_MIN = 65_530;
const FILES_MIN = 4_096;
const MEMORY_BYTES_MIN = 1024 ** 3;
/** What the process takes beside tenants' images. */
const OWN_BYTES = 768 * 1024 ** 2;
const CLOCK_WATCHED_MS = 100;
/** Between the two clocks in that time. */
const CLOCK_DRIFT_MS_MAX = 20;
const YEAR_MIN = 2025;
const TIMEDATECTL_MS_MAX = 2_000;

export type Machine = {
  readonly nodeVersion: string;
  readonly flags: readonly string[];
  readonly freeBytes: number;
  /** What a cgroup lets the process take; Infinity: there is no bound. */
  readonly boundBytes: number;
  readonly read: (path: string) => string | undefined;
  /** How far the clock went beside the monotonic one, ms, and what it says. */
  readonly clock: { readonly driftMs: number; readonly nowMs: number };
  /** Whether somebody keeps the clock right; undefined: not known. */
  readonly isSynchronized: boolean | undefined;
};

export async function lookAtMachine(): Promise<Machine> {
  const bound = constrainedMemory();
  return {
    nodeVersion: versions.node,
    flags: execArgv,
    freeBytes: availableMemory(),
    // Of a machine without a bound it says 0, or more than anybody has.
    boundBytes: bound > 0 && bound < 2 ** 50 ? bound : Infinity,
    read: readText,
    clock: await watchClock(),
    isSynchronized: await isSynchronized(),
  };
}

export function checkMachine(machine: Machine, config: Config): Check[] {
  return [
    checkRuntime(machine),
    checkFlags(machine),
    checkMemory(machine, config.imageBytesMax),
    checkMaps(machine),
    checkHugePages(machine),
    checkOpenFiles(machine, config.connectionsMax),
    checkClock(machine),
  ];
}

function checkRuntime({ nodeVersion }: Machine): Check {
  const name = "runtime";
  const detail = `Node ${nodeVersion}`;
  if (Number(nodeVersion.split(".")[0]) >= NODE_MAJOR_MIN) return { name, status: "ok", detail };
  const why = `the engine needs Node ${NODE_MAJOR_MIN}`;
  return { name, status: "fail", detail, why, fix: "npm ci" };
}

function checkFlags({ flags }: Machine): Check {
  const name = "V8 flags";
  const missing = FLAGS.filter((flag) => !flags.includes(flag));
  if (missing.length === 0) return { name, status: "ok", detail: "for many Wasm memories: set" };
  const detail = `not set: ${missing.join(" ")}`;
  const why = "a few hundred tenants would take all address space";
  return {
    name,
    status: "fail",
    detail,
    why,
    fix: "Start with bin/nexuscore.mjs, which sets them.",
  };
}

function checkMemory({ freeBytes, boundBytes }: Machine, imageBytesMax: number): Check {
  const name = "memory";
  const tenants = `up to ${formatBytes(imageBytesMax)} for tenants`;
  if (boundBytes < imageBytesMax + OWN_BYTES) {
    const detail = `the cgroup allows ${formatBytes(boundBytes)}, ${tenants}`;
    const why = "the kernel ends the process when it takes more";
    const mebibytes = Math.max(256, Math.floor((boundBytes - OWN_BYTES) / 1024 ** 2));
    const fix = `nexuscore serve --image-bytes-max ${mebibytes}MiB, or a higher MemoryMax`;
    return { name, status: "warn", detail, why, fix };
  }
  const detail = `${formatBytes(freeBytes)} free, ${tenants}`;
  if (freeBytes >= imageBytesMax) return { name, status: "ok", detail };
  const why = "with many tenants the machine would swap, or end the process";
  const lower = Math.max(256, Math.floor(freeBytes / 2 / 1024 ** 2));
  const fix =
    freeBytes < MEMORY_BYTES_MIN
      ? "Free some memory; a server wants 1 GiB and what tenants take."
      : `nexuscore serve --image-bytes-max ${lower}MiB`;
  return { name, status: "warn", detail, why, fix };
}

function checkMaps({ read }: Machine): Check {
  const name = "memory maps";
  const count = Number(read("/proc/sys/vm/max_map_count") ?? NaN);
  if (Number.isNaN(count)) return { name, status: "ok", detail: "no limit known on this system" };
  const detail = `vm.max_map_count is ${count}`;
  if (count >= MAPS_MIN) return { name, status: "ok", detail };
  const why = "each instance takes some, and the process ends without";
  return { name, status: "warn", detail, why, fix: `sudo sysctl vm.max_map_count=${MAPS_MIN}` };
}

function checkHugePages({ read }: Machine): Check {
  const name = "huge pages";
  const text = read("/sys/kernel/mm/transparent_hugepage/enabled");
  const mode = /\[(\w+)\]/.exec(text ?? "")?.[1];
  if (mode === undefined) return { name, status: "ok", detail: "none on this system" };
  const detail = `transparent huge pages: ${mode}`;
  if (mode !== "always") return { name, status: "ok", detail };
  const fix = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled";
  return { name, status: "warn", detail, why: "they make small memories large", fix };
}

function checkOpenFiles({ read }: Machine, connectionsMax: number): Check {
  const name = "open files";
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(read("/proc/self/limits") ?? "")?.[1];
  if (soft === undefined) return { name, status: "ok", detail: "no limit known on this system" };
  const needed = Math.max(FILES_MIN, connectionsMax + 256);
  const detail = `limit ${soft}`;
  if (soft === "unlimited" || Number(soft) >= needed) return { name, status: "ok", detail };
  const why = `every connection is one, and connectionsMax is ${connectionsMax}`;
  const fix = `ulimit -n ${needed}   (systemd: LimitNOFILE=${needed})`;
  return { name, status: "warn", detail, why, fix };
}

function checkClock({ clock: { driftMs, nowMs }, isSynchronized: isKept }: Machine): Check {
  const name = "clock";
  const time = new Date(nowMs).toISOString().slice(0, 19);
  if (new Date(nowMs).getUTCFullYear() < YEAR_MIN) {
    const why = "windows, keys' ends and retention go by it";
    return {
      name,
      status: "fail",
      detail: `it says ${time}Z`,
      why,
      fix: "sudo timedatectl set-ntp true",
    };
  }
  if (Math.abs(driftMs) > CLOCK_DRIFT_MS_MAX) {
    const detail = `it jumped by ${Math.round(driftMs)} ms while it was watched`;
    const why = "windows end early or late; events may count as late";
    const fix = "Let one service alone set it, by slewing: chronyc tracking tells how it stands.";
    return { name, status: "warn", detail, why, fix };
  }
  if (isKept === false) {
    const why = "windows, keys' ends and retention go by it";
    const detail = `${time}Z, and nobody keeps it right`;
    return { name, status: "warn", detail, why, fix: "sudo timedatectl set-ntp true" };
  }
  const words = isKept === true ? "synchronized" : "whether it is synchronized is not known";
  return { name, status: "ok", detail: `${time}Z, steady, ${words}` };
}

async function watchClock(): Promise<Machine["clock"]> {
  const [wallMs, monotonicMs] = [Date.now(), performance.now()];
  await sleep(CLOCK_WATCHED_MS);
  const nowMs = Date.now();
  return { driftMs: nowMs - wallMs - (performance.now() - monotonicMs), nowMs };
}

async function isSynchronized(): Promise<boolean | undefined> {
  if (existsSync("/run/systemd/timesync/synchronized")) return true;
  try {
    const args = ["show", "--property=NTPSynchronized", "--value"];
    const run = promisify(execFile);
    const { stdout } = await run("timedatectl", args, { timeout: TIMEDATECTL_MS_MAX });
    return stdout.trim() === "" ? undefined : stdout.trim() === "yes";
  } catch {
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
