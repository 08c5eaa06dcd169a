/**
 * The kernel stage: where event datagrams become sums. `openStage` tries the kernel (an eBPF socket
 * filter, loaded through libbpf) and takes the same code in Wasm where that is not to be had;
 * which of the two, and what is missing, is in `facts`. What the stage is to do is the same
 * either way.
 *
 *   socket -> [ filter ]  -> columns of the CPUs  \
 *          -> receiver.ts -> column of user space  > one shared memory -> drain.ts, one a shard
 */
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { loadBpf, LIBBPF, BpfError, type BpfObject } from "./libbpf.ts";
import { CONTROL_BYTES } from "./layout.gen.ts";
import { type Ffi, findFfi, type Libc, loadLibc, SystemError } from "./libc.ts";
import {
  createStageMemory,
  fillStageMemory,
  layOut,
  type StageLayout,
  type StageSizes,
} from "./stage-layout.ts";

const OBJECT = new URL("../../bpf/dist/aggregate.bpf.o", import.meta.url);
const POSSIBLE_CPUS = "/sys/devices/system/cpu/possible";

/**
 * Half a million slots take three of four events in of ten thousand tenants a second; beyond, the
 * memory's latency costs more than it saves. 16 K slots stay in the L2 cache of a core.
 */
const SLOT_BITS_MAX = 19;
const SLOT_BITS_MIN = 14;
/** All tables together take this share of the machine's memory at most. */
const TABLE_MEMORY_SHARE = 1 / 128;
const LOG_BITS_MAX = 21;
const LOG_BITS_MIN = 16;
/** Before Linux 6.0 a value of an array is 4 MiB at most: 2^18 slots or records. */
const VALUE_BITS_OLD = 18;
/** Logs, and buffers of the shards, each take this share of the machine's memory at most. */
const MEMORY_SHARE = 1 / 64;
const DICTIONARY_BYTES = 128 * 1024 * 1024;
/** 64 MiB: a second of the tail of six million events a second, for each shard. */
const BUFFER_RECORDS_MAX = 4_194_304;
const BUFFER_RECORDS_MIN = 131_072;

export type StagePath = "kernel" | "user";

/** What runs and why, for the start-up line, /readyz and doctor. */
export type StageFacts = {
  readonly path: StagePath;
  /** What the kernel path lacks, each named: a capability, a library, a feature of the kernel. */
  readonly missing: readonly string[];
  /** How the receiver reads what the kernel does not: a system call for many, or one each. */
  readonly receive: "recvmmsg" | "dgram";
  readonly cpuCount: number;
  readonly slotCount: number;
  readonly logRecordCount: number;
};

export type StageOptions = {
  readonly shardCount: number;
  /** `user` leaves the kernel alone; default: the kernel where it is to be had. */
  readonly path?: StagePath;
  /** log2 of the slots of a table; default: by memory and CPUs. */
  readonly slotBits?: number;
  readonly logBits?: number;
  readonly bufferRecords?: number;
  readonly dictionaryBytes?: number;
  /** Of the hashes; drawn at random, so that nobody can aim keys at one slot. Tests set it. */
  readonly multiplier?: bigint;
};

/** What a thread needs of the stage; can be sent to a worker. */
export type StageHandle = {
  readonly memory: WebAssembly.Memory;
  readonly layout: StageLayout;
  /** To attach to the event socket; undefined on the user path. */
  readonly programFd: number | undefined;
  /** An event that wakes the receiver; undefined where there are none. */
  readonly wakeFd: number | undefined;
};

export type Stage = {
  readonly handle: StageHandle;
  readonly facts: StageFacts;
  /** Gives the program back. The memory lives as long as somebody holds it. */
  readonly close: () => void;
};

export function openStage(options: StageOptions): Stage {
  const missing: string[] = [];
  const ffi = findFfi();
  if (options.path === "user") missing.push("not asked for");
  else if (process.platform !== "linux") missing.push(`Linux (this is ${process.platform})`);
  else if (ffi === undefined) missing.push("node:ffi in this Node");
  else {
    const stage = tryKernel(ffi, options, missing);
    if (stage !== undefined) return stage;
  }
  return openUser(ffi, options, missing);
}

function openUser(ffi: Ffi | undefined, options: StageOptions, missing: string[]): Stage {
  const layout = layOut(sizesOf(options, 0));
  const memory = createStageMemory(layout);
  fillStageMemory(memory, layout, options.multiplier ?? randomBytes(8).readBigUInt64LE());
  const receive = process.platform === "linux" && ffi !== undefined ? "recvmmsg" : "dgram";
  const libc = receive === "recvmmsg" ? loadLibc(ffi!) : undefined;
  const wakeFd = libc?.openEvent();
  return {
    handle: { memory, layout, programFd: undefined, wakeFd },
    facts: facts("user", missing, receive, layout),
    close: () => {
      if (wakeFd !== undefined) libc!.close(wakeFd);
    },
  };
}

function tryKernel(ffi: Ffi, options: StageOptions, missing: string[]): Stage | undefined {
  let object: BpfObject | undefined;
  try {
    const cpuCount = possibleCpuCount();
    const libc = loadLibc(ffi);
    const sizes = sizesOf(options, cpuCount);
    let layout = layOut(sizes);
    try {
      object = load(ffi, layout);
    } catch (error) {
      // An older kernel takes the same program with smaller tables and shorter logs.
      const slotBits = Math.min(sizes.slotBits, VALUE_BITS_OLD);
      const logBits = Math.min(sizes.logBits, VALUE_BITS_OLD);
      const isOld = error instanceof BpfError && error.code === "E2BIG";
      if (!isOld || (slotBits === sizes.slotBits && logBits === sizes.logBits)) throw error;
      layout = layOut({ ...sizes, slotBits, logBits });
      object = load(ffi, layout);
    }
    const memory = createStageMemory(layout);
    mapArrays({ ffi, libc, object, memory, layout });
    fillStageMemory(memory, layout, options.multiplier ?? randomBytes(8).readBigUInt64LE());
    const programFd = object.programFd("nx_aggregate");
    const wakeFd = libc.openEvent();
    const { close } = object;
    return {
      handle: { memory, layout, programFd, wakeFd },
      facts: facts("kernel", [], "recvmmsg", layout),
      close: () => {
        libc.close(wakeFd);
        close();
      },
    };
  } catch (error) {
    object?.close();
    missing.push(...explain(error));
    return undefined;
  }
}

function load(ffi: Ffi, layout: StageLayout): BpfObject {
  const { cpuCount, slotBits, logBits, partBits } = layout;
  const constants = new Uint32Array([
    2 ** slotBits - 1,
    slotBits - partBits,
    2 ** logBits - 1,
    logBits - partBits,
  ]);
  return loadBpf(ffi, {
    object: readFileSync(OBJECT),
    constants: new Uint8Array(constants.buffer),
    maps: {
      nx_controls: { entryCount: cpuCount },
      nx_fills: { entryCount: cpuCount },
      nx_tables: { entryCount: cpuCount * 2, valueBytes: 16 * 2 ** slotBits },
      nx_logs: { entryCount: cpuCount * 2, valueBytes: 16 * 2 ** logBits },
    },
  });
}

/** Puts the kernel's arrays into the shared memory: no copy, no system call a read. */
function mapArrays(parts: {
  readonly ffi: Ffi;
  readonly libc: Libc;
  readonly object: BpfObject;
  readonly memory: WebAssembly.Memory;
  readonly layout: StageLayout;
}): void {
  const { ffi, libc, object, memory, layout } = parts;
  const base = ffi.getRawPointer(memory.buffer);
  const places = [
    ["nx_shared", layout.shared],
    ["nx_sender_ids", layout.senderIds],
    ["nx_senders", layout.senders],
    ["nx_controls", layout.kernelControls],
    ["nx_fills", layout.kernelFills],
    ["nx_tables", layout.kernelTables],
    ["nx_logs", layout.kernelLogs],
  ] as const;
  for (const [name, offset] of places) {
    const { fd, valueBytes, entryCount } = object.map(name);
    const bytes = Math.ceil((valueBytes * entryCount) / 4096) * 4096;
    libc.mapAt(base + BigInt(offset), bytes, fd);
  }
  // A mapping that the Wasm does not see would be silence instead of an error.
  const controls = new DataView(memory.buffer, layout.kernelControls, CONTROL_BYTES);
  if (controls.getBigUint64(0, true) !== 0n) throw new Error("The kernel's arrays are not mapped.");
}

function sizesOf(options: StageOptions, cpuCount: number): StageSizes {
  const logBytes = (totalmem() * MEMORY_SHARE) / ((cpuCount + 1) * 2);
  const fitting = Math.floor(Math.log2(logBytes / 16));
  const partBits = Math.ceil(Math.log2(options.shardCount));
  const tableBytes = (totalmem() * TABLE_MEMORY_SHARE) / ((cpuCount + 1) * 2);
  const slotBits = clamp(Math.floor(Math.log2(tableBytes / 16)), SLOT_BITS_MIN, SLOT_BITS_MAX);
  const bufferFitting = Math.floor((totalmem() * MEMORY_SHARE) / (options.shardCount * 32));
  const bufferRecords = clamp(bufferFitting, BUFFER_RECORDS_MIN, BUFFER_RECORDS_MAX);
  const logBits = clamp(fitting, LOG_BITS_MIN, LOG_BITS_MAX);
  return {
    cpuCount,
    shardCount: options.shardCount,
    slotBits: Math.max(options.slotBits ?? slotBits, partBits + 9),
    logBits: options.logBits ?? Math.max(logBits, partBits + 13),
    bufferRecords: options.bufferRecords ?? bufferRecords,
    dictionaryBytes: options.dictionaryBytes ?? DICTIONARY_BYTES,
  };
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}

function facts(
  path: StagePath,
  missing: readonly string[],
  receive: StageFacts["receive"],
  layout: StageLayout,
): StageFacts {
  const { cpuCount, slotBits, logBits } = layout;
  return {
    path,
    missing,
    receive,
    cpuCount,
    slotCount: 2 ** slotBits,
    logRecordCount: 2 ** logBits,
  };
}

/** "0-3" is 4: an entry for every CPU that may ever appear, not only those this process may use. */
function possibleCpuCount(): number {
  const text = readFileSync(POSSIBLE_CPUS, "latin1").trim();
  return Number(text.split(/[-,]/).at(-1)) + 1;
}

/** CAP_PERFMON and CAP_BPF as bits of CapEff. */
const CAPABILITIES = [
  ["CAP_PERFMON", 38n],
  ["CAP_BPF", 39n],
] as const;
const CAP_SYS_ADMIN = 21n;

/** What a failed attempt lacks, in words for the operator. */
function explain(error: unknown): string[] {
  if (error instanceof BpfError && (error.code === "EPERM" || error.code === "EACCES")) {
    const lacking = missingCapabilities();
    if (lacking.length > 0) return lacking;
    return [
      `permission to use bpf(2): a container or a security module forbids it (${error.message})`,
    ];
  }
  if (error instanceof BpfError) {
    return [`Linux 5.17 or newer with eBPF (${error.message}; this is ${kernelRelease()})`];
  }
  if (error instanceof SystemError) return [`mapping eBPF arrays (${error.message})`];
  const message = error instanceof Error ? error.message : String(error);
  if (message.includes(LIBBPF)) return [`${LIBBPF} (Debian and Ubuntu: apt install libbpf1)`];
  return [message];
}

function missingCapabilities(): string[] {
  const status = readFileSync("/proc/self/status", "latin1");
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  const has = (bit: bigint): boolean => ((effective >> bit) & 1n) === 1n;
  if (has(CAP_SYS_ADMIN)) return [];
  return CAPABILITIES.filter(([, bit]) => !has(bit)).map(([name]) => name);
}

function kernelRelease(): string {
  return readFileSync("/proc/sys/kernel/osrelease", "latin1").trim();
}
