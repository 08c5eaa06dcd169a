/**
 * Where everything lies in the one memory of the kernel stage: a shared Wasm memory that the
 * receiver and all shards see. The arrays that the aggregator writes stand on pages of their own,
 * so that the kernel's can be mapped over them; without the kernel they are ordinary memory and
 * the same code writes them.
 */
import assert from "node:assert/strict";
import { MESSAGE_BYTES } from "./libc.ts";
import {
  CONTROL_BYTES,
  FILLS_BYTES,
  PLACEMENTS,
  SENDER_BYTES,
  SENDERS,
  SHARED_BYTES,
} from "./layout.gen.ts";

const PAGE_BYTES = 4096;
const WASM_PAGE_BYTES = 64 * 1024;
/** Words that the Wasm reads, in the order of drain/assembly/stage.ts. */
const TABLE = 1024;
const SLOT_BYTES = 16;
/** As in drain/assembly/batches.ts: the name of a tenant, its runs, its records, to sort them. */
const PICK_BYTES = 64 + 512 * 8 + 2 * 16_384 * SLOT_BYTES;
/** As in drain/assembly/collect.ts and batches.ts: digits, held records, output, its table. */
const SHARD_REGION_BYTES =
  2_048 * 4 + 65_536 * 24 + 1024 * 1024 + 2_048 * SLOT_BYTES + PICK_BYTES + PAGE_BYTES;
export const SHARD_COUNTERS_BYTES = 128;
export const RECEIVER_COUNTERS_BYTES = 128;
const DICTIONARY_PAGE_BYTES = 16 * 1024;

/** Datagrams that one system call may bring, and room for the largest of each. */
export const RECEIVE_COUNT = 64;
export const RECEIVE_BYTES = 64 * 1024;
const HELD_EPOCHS_WORD = 192;
/** Until the receiver knows how long an epoch is. */
const HELD_EPOCHS = 100;

/** Room for a struct sockaddr_in or sockaddr_in6. */
export const ADDRESS_BYTES = 32;

export type StageSizes = {
  /** CPUs that the kernel may run on; 0: it aggregates nothing. */
  readonly cpuCount: number;
  readonly shardCount: number;
  /** log2 of the slots of a table. */
  readonly slotBits: number;
  /** log2 of the records of a log. */
  readonly logBits: number;
  /** Records that a shard gathers before it must hand them out; it has two such buffers. */
  readonly bufferRecords: number;
  /** Memory for what senders call their tenants and terms. */
  readonly dictionaryBytes: number;
};

export type StageLayout = StageSizes & {
  readonly partBits: number;
  readonly bytes: number;
  /**
   * Arrays of the kernel, in the order of the maps: shared, sender ids, senders, then one a CPU.
   */
  readonly shared: number;
  readonly senderIds: number;
  readonly senders: number;
  readonly kernelControls: number;
  readonly kernelFills: number;
  readonly kernelTables: number;
  readonly kernelLogs: number;
  readonly userControl: number;
  readonly receiverCounters: number;
  readonly acks: number;
  readonly shardCounters: number;
  /** Messages, vectors and buffers of recvmmsg. */
  readonly messages: number;
  readonly vectors: number;
  readonly buffers: number;
  /** Where each message came from, and each sender, as socket addresses. */
  readonly sources: number;
  readonly addresses: number;
  /** 1: the receiver is to end; 2: it has. */
  readonly stopWord: number;
  /** 1 + the epoch in which a shard asks for the next, so that it can answer a question. */
  readonly wantedWord: number;
  /** For how many epochs records wait for their names. */
  readonly heldEpochsWord: number;
  readonly table: readonly number[];
};

export function layOut(sizes: StageSizes): StageLayout {
  const { shardCount, slotBits, logBits, dictionaryBytes } = sizes;
  assert(shardCount >= 1 && shardCount <= PLACEMENTS);
  const partBits = Math.ceil(Math.log2(shardCount));
  assert(
    slotBits - partBits >= 1 && logBits - partBits >= 13,
    "every part has room for a datagram",
  );
  const pageCount = Math.floor(dictionaryBytes / DICTIONARY_PAGE_BYTES);
  const { top, ...regions } = placeRegions(sizes, pageCount);
  assert(top <= 2 ** 32, "the stage fits a Wasm memory");
  return {
    ...sizes,
    partBits,
    ...regions,
    stopWord: 64,
    wantedWord: 128,
    heldEpochsWord: HELD_EPOCHS_WORD,
    table: tableOf(sizes, regions, { partBits, pageCount }),
    bytes: Math.ceil(top / WASM_PAGE_BYTES) * WASM_PAGE_BYTES,
  };
}

type Regions = Omit<ReturnType<typeof placeRegions>, "top">;

/** Where everything begins, one behind the other; `top` is where it ends. */
function placeRegions(sizes: StageSizes, pageCount: number) {
  const { cpuCount, shardCount, slotBits, logBits, bufferRecords } = sizes;
  const shardRegionBytes = 2 * bufferRecords * SLOT_BYTES + SHARD_REGION_BYTES;
  let top = WASM_PAGE_BYTES;
  const take = (bytes: number): number => {
    const start = top;
    top = Math.ceil((top + bytes) / PAGE_BYTES) * PAGE_BYTES;
    return start;
  };
  const regions = {
    shared: take(SHARED_BYTES),
    senderIds: take(SENDERS * 8),
    senders: take(SENDERS * SENDER_BYTES),
    kernelControls: take(cpuCount * CONTROL_BYTES),
    kernelFills: take(cpuCount * FILLS_BYTES),
    kernelTables: take(cpuCount * 2 * SLOT_BYTES * 2 ** slotBits),
    kernelLogs: take(cpuCount * 2 * SLOT_BYTES * 2 ** logBits),
    userControl: take(CONTROL_BYTES),
    userFills: take(FILLS_BYTES),
    userTables: take(2 * SLOT_BYTES * 2 ** slotBits),
    userLogs: take(2 * SLOT_BYTES * 2 ** logBits),
    receiverCounters: take(RECEIVER_COUNTERS_BYTES),
    acks: take(shardCount * 4),
    shardCounters: take(shardCount * SHARD_COUNTERS_BYTES),
    roots: take(SENDERS * 4),
    pageNext: take(pageCount * 4),
    messages: take(RECEIVE_COUNT * MESSAGE_BYTES),
    vectors: take(RECEIVE_COUNT * 16),
    buffers: take(RECEIVE_COUNT * RECEIVE_BYTES),
    sources: take(RECEIVE_COUNT * ADDRESS_BYTES),
    addresses: take(SENDERS * ADDRESS_BYTES),
    pool: take(pageCount * DICTIONARY_PAGE_BYTES),
    shardRegions: take(shardCount * shardRegionBytes),
  };
  return { ...regions, shardRegionBytes, top };
}

/** The words that tell the Wasm where things are, in the order of drain/assembly/stage.ts. */
function tableOf(
  sizes: StageSizes,
  regions: Regions,
  { partBits, pageCount }: { partBits: number; pageCount: number },
): number[] {
  return [
    sizes.cpuCount,
    sizes.slotBits,
    sizes.logBits,
    partBits,
    sizes.shardCount,
    regions.shared,
    regions.kernelControls,
    regions.kernelFills,
    regions.kernelTables,
    regions.kernelLogs,
    regions.userControl,
    regions.userFills,
    regions.userTables,
    regions.userLogs,
    regions.senderIds,
    regions.senders,
    regions.roots,
    regions.pageNext,
    regions.pool,
    pageCount,
    regions.receiverCounters,
    regions.acks,
    regions.shardCounters,
    regions.shardRegions,
    regions.shardRegionBytes,
    sizes.bufferRecords,
    HELD_EPOCHS_WORD,
  ];
}

/** The memory, with the table in place and every placement in its part. */
export function createStageMemory(layout: StageLayout): WebAssembly.Memory {
  const pages = layout.bytes / WASM_PAGE_BYTES;
  // It must never grow: what is mapped into it would stay behind.
  return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
}

/** Writes what the Wasm and the program need to know. After the kernel's arrays are in place. */
export function fillStageMemory(
  memory: WebAssembly.Memory,
  layout: StageLayout,
  multiplier: bigint,
): void {
  const view = new DataView(memory.buffer);
  layout.table.forEach((word, index) => view.setUint32(TABLE + index * 4, word, true));
  view.setBigUint64(layout.shared + 8, multiplier | 1n, true);
  view.setUint32(HELD_EPOCHS_WORD, HELD_EPOCHS, true);
  for (let placement = 0; placement < PLACEMENTS; placement++) {
    view.setUint8(layout.shared + 64 + placement, placement % layout.shardCount);
  }
}
