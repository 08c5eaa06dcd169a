/**
 * Loads the telemetry programs of bpf/telemetry/, each by itself: what one lacks costs only what it
 * would have told. They watch this process alone and write into memory that is mapped here, so a
 * report makes no system call but for the names of the threads. They are gone with the process.
 */
import { accessSync, constants, readdirSync, readFileSync, readlinkSync } from "node:fs";
import {
  type KernelTelemetry,
  noTelemetry,
  type ProgramState,
  TELEMETRY_PROGRAMS,
  type TelemetryLevel,
  type TelemetryProgram,
  type ThreadRole,
  type ThreadTelemetry,
} from "#model/kernel-telemetry.ts";
import { BpfError, type BpfObject, LIBBPF, loadBpf } from "./libbpf.ts";
import { type Ffi, findFfi, type Libc, loadLibc, SystemError } from "./libc.ts";
import { systemCallName } from "./system-call-names.ts";

export type TelemetryOptions = {
  readonly level: TelemetryLevel;
  /** Of the event socket, for its drops; 0: there is none. */
  readonly udpPort: number;
  /** Instead of those of `level`; for measurements. */
  readonly programs?: readonly TelemetryProgram[];
};

export type Telemetry = { readonly report: () => KernelTelemetry; readonly close: () => void };

const LEVELS: Readonly<Record<TelemetryLevel, readonly TelemetryProgram[]>> = {
  off: [],
  basic: ["scheduler", "tlbFlushes", "socketDrops"],
  all: TELEMETRY_PROGRAMS,
};

/** Object in bpf/dist/telemetry/, and the tracepoints it needs. */
const SOURCES: Readonly<Record<TelemetryProgram, { file: string; needs: string }>> = {
  scheduler: {
    file: "scheduler",
    needs:
      "tracepoints sched_switch (with prev_state, Linux 5.18), sched_wakeup, sched_migrate_task",
  },
  tlbFlushes: { file: "tlb_flushes", needs: "tracepoint tlb_flush" },
  socketDrops: { file: "socket_drops", needs: "tracepoint udp_fail_queue_rcv_skb" },
  pageFaults: { file: "page_faults", needs: "tracepoint page_fault_user" },
  systemCalls: { file: "system_calls", needs: "tracepoint sys_enter" },
};
const OBJECTS = new URL("../../bpf/dist/telemetry/", import.meta.url);

/** As in bpf/telemetry/telemetry.h; telemetry.test.ts holds the two together. */
export const LAYOUT = {
  threadCountMax: 512,
  buckets: 32,
  tlbReasons: 8,
  systemCalls: 512,
  threadBytes: 600,
  // In words of 64 bits.
  enteredAt: 3,
  onCpuNs: 4,
  runQueueNs: 5,
  offCpuNs: 6,
  voluntary: 7,
  forced: 8,
  wakeups: 9,
  migrations: 10,
  runQueue: 11,
  offCpu: 43,
} as const;

const TLB_REASONS = [
  "taskSwitch",
  "remoteShootdown",
  "localShootdown",
  "localMmShootdown",
  "remoteSendIpi",
  "remoteWrongCpu",
  "6",
  "7",
];
const KERNEL_TYPES = "/sys/kernel/btf/vmlinux";
/** The kernel gives its first PID namespace this number. */
const PID_NAMESPACE_INITIAL = "pid:[4026531836]";

type Running = { readonly object: BpfObject; readonly words: BigUint64Array };

export function openTelemetry(options: TelemetryOptions): Telemetry {
  const wanted = options.programs ?? LEVELS[options.level];
  const missing = wanted.length === 0 ? undefined : missingEverywhere();
  const ffi = findFfi();
  if (wanted.length === 0 || missing !== undefined || ffi === undefined) {
    const none = noTelemetry(missing);
    return { report: () => none, close: () => undefined };
  }
  const libc = loadLibc(ffi);
  const running = new Map<TelemetryProgram, Running>();
  let counts: BigUint64Array | undefined;
  const programs = TELEMETRY_PROGRAMS.map((program): ProgramState => {
    if (!wanted.includes(program)) return { program, state: "off", missing: undefined };
    if (program === "socketDrops" && options.udpPort === 0) {
      return { program, state: "off", missing: undefined };
    }
    try {
      const loaded = load(ffi, libc, program, options.udpPort);
      running.set(program, loaded);
      if (program === "scheduler") counts = mapWords(libc, loaded.object, "nx_thread_counts");
      return { program, state: "running", missing: undefined };
    } catch (error) {
      return { program, state: "unavailable", missing: explain(program, error) };
    }
  });
  return {
    report: () => report(programs, running, counts),
    close: () => {
      for (const { object } of running.values()) object.close();
      running.clear();
    },
  };
}

/** What nothing of it can do without. */
function missingEverywhere(): string | undefined {
  if (process.platform !== "linux") return `Linux (this is ${process.platform})`;
  if (findFfi() === undefined) return "node:ffi in this Node";
  try {
    accessSync(KERNEL_TYPES, constants.R_OK);
  } catch {
    return `${KERNEL_TYPES} (CONFIG_DEBUG_INFO_BTF)`;
  }
  // Elsewhere the kernel knows this process by another number than we do.
  if (readlinkSync("/proc/self/ns/pid") !== PID_NAMESPACE_INITIAL) {
    return "the initial PID namespace (a container needs --pid=host)";
  }
  return undefined;
}

function load(ffi: Ffi, libc: Libc, program: TelemetryProgram, udpPort: number): Running {
  const object = loadBpf(ffi, {
    object: readFileSync(new URL(`${SOURCES[program].file}.bpf.o`, OBJECTS)),
    maps: program === "scheduler" ? {} : { nx_counters: { entryCount: possibleCpuCount() } },
    constants: constantsOf(udpPort),
  });
  try {
    const map = program === "scheduler" ? "nx_threads" : "nx_counters";
    const words = mapWords(libc, object, map);
    object.attachAll();
    return { object, words };
  } catch (error) {
    object.close();
    throw error;
  }
}

/** `nx_process`, then `nx_port`, as telemetry.h declares them for all. */
function constantsOf(udpPort: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(process.pid, 0);
  bytes.writeUInt32LE(udpPort, 4);
  return bytes;
}

function mapWords(libc: Libc, object: BpfObject, name: string): BigUint64Array {
  const { fd, valueBytes, entryCount } = object.map(name);
  const bytes = Math.ceil(valueBytes / 8) * 8 * entryCount;
  return new BigUint64Array(libc.map(fd, bytes), 0, bytes / 8);
}

function explain(program: TelemetryProgram, error: unknown): string {
  if (error instanceof BpfError || error instanceof SystemError) {
    if (error.code === "EPERM" || error.code === "EACCES") return "CAP_BPF and CAP_PERFMON";
    return `${SOURCES[program].needs} (${error.message})`;
  }
  const { message } = error as Error;
  return message.includes(LIBBPF) ? LIBBPF : message;
}

function report(
  programs: readonly ProgramState[],
  running: ReadonlyMap<TelemetryProgram, Running>,
  counts: BigUint64Array | undefined,
): KernelTelemetry {
  const words = (program: TelemetryProgram): BigUint64Array | undefined =>
    running.get(program)?.words;
  const threads = words("scheduler");
  const used = Math.min(Number(counts?.[0] ?? 0n), LAYOUT.threadCountMax);
  const tlb = words("tlbFlushes");
  const calls = words("systemCalls");
  const faults = words("pageFaults");
  const drops = words("socketDrops");
  return {
    programs,
    threads: threads === undefined ? undefined : readThreads(threads, used),
    untrackedThreads: Number(counts?.[1] ?? 0n),
    tlbFlushes: tlb && sumByCpu(tlb, LAYOUT.tlbReasons, (reason) => TLB_REASONS[reason]!),
    systemCalls: calls && sumByCpu(calls, LAYOUT.systemCalls, systemCallName),
    pageFaults: faults && total(faults),
    socketDrops: drops && total(drops),
  };
}

function readThreads(words: BigUint64Array, used: number): ThreadTelemetry[] {
  const nowNs = process.hrtime.bigint();
  const threadWords = LAYOUT.threadBytes / 8;
  const idOf = (slot: number): number => Number(words[slot * threadWords]! & 0xffff_ffffn);
  const names = threadNames(Array.from({ length: used }, (_, slot) => idOf(slot)));
  return Array.from({ length: used }, (_, slot) => {
    const at = slot * threadWords;
    const word = (index: number): number => Number(words[at + index]!);
    const id = idOf(slot);
    const name = names.get(id);
    // What it has used since it last came to a CPU is not in the books yet.
    const enteredAt = words[at + LAYOUT.enteredAt]!;
    const sinceNs = enteredAt === 0n || name === undefined ? 0 : Number(nowNs - enteredAt);
    return {
      id,
      name: name ?? "",
      role: name === undefined ? "ended" : roleOf(name),
      onCpuNs: word(LAYOUT.onCpuNs) + Math.max(0, sinceNs),
      runQueueNs: word(LAYOUT.runQueueNs),
      offCpuNs: word(LAYOUT.offCpuNs),
      voluntarySwitches: word(LAYOUT.voluntary),
      forcedSwitches: word(LAYOUT.forced),
      wakeups: word(LAYOUT.wakeups),
      migrations: word(LAYOUT.migrations),
      runQueueBuckets: Array.from({ length: LAYOUT.buckets }, (_b, i) => word(LAYOUT.runQueue + i)),
      offCpuBuckets: Array.from({ length: LAYOUT.buckets }, (_b, i) => word(LAYOUT.offCpu + i)),
    };
  });
}

/** Names by thread id, the threads that had ended, and when that was read. */
let lastNames = { names: new Map<number, string>(), ended: new Set<number>(), readMs: -Infinity };
/** Reading them takes three system calls a thread, and somebody may ask ten times a second. */
const NAMES_MS = 5_000;

/** By thread id; read anew when one of `ids` was never seen, and every few seconds. */
function threadNames(ids: readonly number[]): Map<number, string> {
  const nowMs = performance.now();
  const isKnown = (id: number): boolean => lastNames.names.has(id) || lastNames.ended.has(id);
  if (nowMs - lastNames.readMs < NAMES_MS && ids.every(isKnown)) return lastNames.names;
  const names = new Map<number, string>();
  for (const id of readdirSync("/proc/self/task")) {
    try {
      names.set(Number(id), readFileSync(`/proc/self/task/${id}/comm`, "utf8").trim());
    } catch {
      // It ended while we looked.
    }
  }
  lastNames = { names, ended: new Set(ids.filter((id) => !names.has(id))), readMs: nowMs };
  return names;
}

/** Node names its threads; Linux keeps fifteen characters of it. */
export function roleOf(name: string): ThreadRole {
  if (/^shard-\d+$/.test(name)) return "shard";
  if (name === "llm") return "llm";
  if (name === "udp") return "receiver";
  if (name.startsWith("node-Main") || name === "node" || name === "MainThread") return "io";
  if (name.startsWith("libuv-")) return "libuv";
  if (name.startsWith("node-V8") || name.startsWith("DelayedTask")) return "v8";
  return "other";
}

/** Only what happened. */
function sumByCpu(
  words: BigUint64Array,
  width: number,
  nameOf: (index: number) => string,
): Record<string, number> {
  const sums: Record<string, number> = {};
  for (let index = 0; index < width; index++) {
    let sum = 0n;
    for (let at = index; at < words.length; at += width) sum += words[at]!;
    if (sum > 0n) sums[nameOf(index)] = Number(sum);
  }
  return sums;
}

function total(words: BigUint64Array): number {
  let sum = 0n;
  for (const word of words) sum += word;
  return Number(sum);
}

function possibleCpuCount(): number {
  const text = readFileSync("/sys/devices/system/cpu/possible", "latin1").trim();
  return Number(text.split(/[-,]/).at(-1)) + 1;
}
