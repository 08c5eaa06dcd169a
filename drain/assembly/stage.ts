// Where everything is in the shared memory. The host lays it out (src/kernel/stage-layout.ts) and writes
// the table at STAGE_TABLE, in this order.
//
// Column: a CPU of the kernel's aggregator, or, last, the receiver in user space. Each has a control,
// fills, and two tables and logs, one of each for an epoch; one writer each.
import {
  CONTROL_BYTES,
  FILLS_BYTES,
  SENDERS,
  SHARED_EPOCH,
  SHARED_MULTIPLIER,
  SHARED_PART_OF,
} from "./layout.gen";

const STAGE_TABLE: usize = 1024;

export let cpuCount: u32 = 0;
export let slotBits: u32 = 0;
export let logBits: u32 = 0;
export let partBits: u32 = 0;
export let shardCount: u32 = 0;
export let userControl: usize = 0;
export let userFills: usize = 0;
export let senderIds: usize = 0;
export let senders: usize = 0;
export let roots: usize = 0;
export let pageNext: usize = 0;
export let pool: usize = 0;
export let pageCount: u32 = 0;
export let receiverCounters: usize = 0;
export let shardCounters: usize = 0;
export let shardRegions: usize = 0;
export let shardRegionBytes: usize = 0;
/** Records of one of a shard's two buffers. */
export let bufferRecords: u32 = 0;
let heldEpochsWord: usize = 0;
let acks: usize = 0;
let shared: usize = 0;
let kernelControls: usize = 0;
let kernelFills: usize = 0;
let kernelTables: usize = 0;
let kernelLogs: usize = 0;
let userTables: usize = 0;
let userLogs: usize = 0;

export function attachStage(): void {
  cpuCount = word(0);
  slotBits = word(1);
  logBits = word(2);
  partBits = word(3);
  shardCount = word(4);
  shared = word(5);
  kernelControls = word(6);
  kernelFills = word(7);
  kernelTables = word(8);
  kernelLogs = word(9);
  userControl = word(10);
  userFills = word(11);
  userTables = word(12);
  userLogs = word(13);
  senderIds = word(14);
  senders = word(15);
  roots = word(16);
  pageNext = word(17);
  pool = word(18);
  pageCount = word(19);
  receiverCounters = word(20);
  acks = word(21);
  shardCounters = word(22);
  shardRegions = word(23);
  shardRegionBytes = word(24);
  bufferRecords = word(25);
  heldEpochsWord = word(26);
}

/** Epochs for which a record waits for its names: about 10 s. */
export function heldEpochs(): u32 {
  return atomic.load<u32>(heldEpochsWord);
}

function word(index: usize): u32 {
  return load<u32>(STAGE_TABLE + (index << 2));
}

// @ts-ignore: decorator
@inline
export function epoch(): u32 {
  return atomic.load<u32>(shared + SHARED_EPOCH);
}

/** Turns the epoch: from now on writers take the other tables. */
export function epochTurn(): void {
  atomic.add<u64>(shared + SHARED_EPOCH, 1);
}

// @ts-ignore: decorator
@inline
export function multiplier(): u64 {
  return load<u64>(shared + SHARED_MULTIPLIER);
}

// @ts-ignore: decorator
@inline
export function partOf(placement: u32): u32 {
  return load<u8>(shared + SHARED_PART_OF + <usize>placement);
}

export function columnControl(column: u32): usize {
  return column < cpuCount ? kernelControls + <usize>column * CONTROL_BYTES : userControl;
}

/** Address of the fills of one column and epoch, by part. */
export function columnFills(column: u32, side: u32): usize {
  const fills = column < cpuCount ? kernelFills + <usize>column * FILLS_BYTES : userFills;
  return fills + (<usize>side << 10);
}

/** Address of the first slot of a part. */
export function partSlots(column: u32, side: u32, part: u32): usize {
  const table =
    column < cpuCount
      ? kernelTables + (<usize>(column * 2 + side) << (slotBits + 4))
      : userTables + (<usize>side << (slotBits + 4));
  return table + (<usize>part << (slotBits - partBits + 4));
}

/** Address of the first record of the log of a part. */
export function partLog(column: u32, side: u32, part: u32): usize {
  const log =
    column < cpuCount
      ? kernelLogs + (<usize>(column * 2 + side) << (logBits + 4))
      : userLogs + (<usize>side << (logBits + 4));
  return log + (<usize>part << (logBits - partBits + 4));
}

/** Epoch whose predecessor the shard has read to its end. */
export function ack(shard: u32): u32 {
  return atomic.load<u32>(acks + (<usize>shard << 2));
}

export function ackSet(shard: u32, value: u32): void {
  atomic.store<u32>(acks + (<usize>shard << 2), value);
}

// @ts-ignore: decorator
@inline
export function count(address: usize, by: u64): void {
  store<u64>(address, load<u64>(address) + by);
}

// @ts-ignore: decorator
@inline
export function senderRoot(sender: u32): usize {
  return atomic.load<u32>(roots + (<usize>(sender & (SENDERS - 1)) << 2));
}

export function senderRootSet(sender: u32, root: usize): void {
  atomic.store<u32>(roots + (<usize>sender << 2), <u32>root);
}
