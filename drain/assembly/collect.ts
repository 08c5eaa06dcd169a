// A shard's half of an epoch: its part of every column's table and log, copied out and emptied. Records
// of several epochs gather in a buffer; when the shard wants them they are sorted by sender, tenant,
// kind and term, so that equal keys meet and become one, and the order does not depend on who aggregated
// what. While the sorted ones are handed out, the next gather in the other of two buffers; sorting uses
// both, so it waits until all is handed out.
//
// Sorting is a radix sort, least digit first, 11 bits a digit; digits in which all keys agree are left
// out, which leaves three of five for a hundred thousand tenants of one sender. About 4 ns a pass and
// record, against 100 and more for the guest's turn, which grouping makes several times cheaper.
import { tenantEntry, termText } from "./dictionary";
import {
  CONTROL_EPOCH_RECORDS,
  COUNT_SHIFT,
  METRIC_SHIFT,
  ONE,
  PLACEMENTS,
  SENDER_BYTES,
  SENDER_SHIFT,
  SENDER_WANTED,
  TENANT_BITS,
  TENANT_SHIFT,
  TERM_BITS,
} from "./layout.gen";
import {
  ack,
  ackSet,
  bufferRecords,
  columnControl,
  columnFills,
  count,
  cpuCount,
  epoch,
  heldEpochs,
  logBits,
  partBits,
  partLog,
  partSlots,
  senderRoot,
  senders,
  shardCounters,
  shardRegionBytes,
  shardRegions,
  slotBits,
} from "./stage";

export const HELD_RECORDS_MAX: u32 = 65536;
const RECORD_BYTES: usize = 16;
const HELD_BYTES: usize = 24;
const DIGIT_BITS: u32 = 11;
const DIGITS: usize = 2048;
const SHARD_COUNTERS_BYTES: usize = 128;

// Of a shard, u64 each; src/kernel/stage-stats.ts reads them.
export const DRAINED_RECORDS: usize = 0;
export const DELIVERED_COUNT: usize = 8;
export const DELIVERED_EVENTS: usize = 16;
export const HELD_COUNT: usize = 24;
export const UNKNOWN_COUNT: usize = 32;
export const REFUSED_COUNT: usize = 40;
const DELIVERIES: usize = 48;
const DRAINED_COUNT: usize = 56;

export let part: u32 = 0;
export let counters: usize = 0;
export let incarnation: u32 = 0;
/** Region of the shard: two buffers of records, digits, held records, output. */
let capacity: u32 = 0;
/** Records that gather. */
let pending: usize = 0;
let pendingCount: u32 = 0;
let digits: usize = 0;
let held: usize = 0;
let heldCount: u32 = 0;
export let output: usize = 0;
/** Sorted records that are handed out. */
export let records: usize = 0;
export let recordCount: u32 = 0;
/** Epoch whose predecessor is read. */
let readEpoch: u32 = 0;

// Where the collection of this epoch stands.
let collecting: bool = false;
let column: u32 = 0;
let inLog: bool = false;
let position: u32 = 0;
// Bits in which the keys of the buffer differ are in one and not in the other.
let keysOr: u64 = 0;
let keysAnd: u64 = -1;

export function shardInit(shard: u32, shardIncarnation: u32): void {
  part = shard;
  incarnation = shardIncarnation & 0xff;
  counters = shardCounters + <usize>shard * SHARD_COUNTERS_BYTES;
  capacity = bufferRecords;
  records = shardRegions + <usize>shard * shardRegionBytes;
  pending = records + <usize>capacity * RECORD_BYTES;
  digits = pending + <usize>capacity * RECORD_BYTES;
  held = digits + DIGITS * 4;
  output = held + <usize>HELD_RECORDS_MAX * HELD_BYTES;
  // What a shard that died held is lost, and counted.
  count(counters + UNKNOWN_COUNT, load<u64>(counters + HELD_COUNT));
  store<u64>(counters + HELD_COUNT, 0);
}

/**
 * Gathers what the last turn of the epoch left, once no column writes it any more: the host asks that
 * first. Returns how many records have gathered; `collected` says whether the buffer had room for all.
 */
export function collect(): u32 {
  const now = epoch();
  if (!collecting) {
    if (ack(part) == now) return pendingCount;
    collecting = true;
    column = 0;
    inLog = false;
    position = 0;
    readEpoch = now;
    takeHeld();
  }
  const side = (readEpoch + 1) & 1;
  while (column <= cpuCount && pendingCount < capacity) {
    // Nothing was summed there: a look at every slot would only cost time, and memory.
    if (load<u32>(columnControl(column) + (<usize>side << 2), CONTROL_EPOCH_RECORDS) == 0) column++;
    else if (!inLog) takeSlots(side);
    else takeLog(side);
  }
  if (column > cpuCount) {
    collecting = false;
    ackSet(part, readEpoch);
  }
  return pendingCount;
}

/** Sorts what has gathered and joins equal keys; nothing may be being handed out. */
export function compact(): u32 {
  if (pendingCount > 1) {
    sort();
    join();
  }
  return pendingCount;
}

/** Begins to hand out what has gathered; returns how many records that are. */
export function deliver(): u32 {
  compact();
  const sorted = pending;
  pending = records;
  records = sorted;
  recordCount = pendingCount;
  pendingCount = 0;
  keysOr = 0;
  keysAnd = -1;
  if (recordCount > 0) count(counters + DELIVERIES, 1);
  return recordCount;
}

/** All that was handed out is done with. */
export function delivered(): void {
  recordCount = 0;
}

/** How many records have gathered. */
export function gathered(): u32 {
  return pendingCount;
}

/**
 * Takes records of these runs out of what has gathered, and out of what is sorted and not handed out
 * yet, from record `start` on; sorts and joins them at `to`, where there is room for twice `most`.
 * Returns how many they became. The runs, `runCount` of one placement, are those of `findRuns`.
 */
export function takeRuns(runs: usize, runCount: u32, start: u32, to: usize, most: u32): u32 {
  let taken = takeSorted(runs, runCount, start, to, most);
  taken += takeGathered(runs, runCount, to + (<usize>taken << 4), most - taken);
  if (taken < 2) return taken;
  // What sorts all that has gathered sorts this, too, in its place.
  const waiting = pending;
  const waitingCount = pendingCount;
  const sorted = records;
  const or = keysOr;
  const and = keysAnd;
  pending = to;
  pendingCount = taken;
  records = to + (<usize>most << 4);
  keysOr = 0;
  keysAnd = -1;
  for (let at = to; at < to + (<usize>taken << 4); at += 16) {
    keysOr |= load<u64>(at);
    keysAnd &= load<u64>(at);
  }
  compact();
  taken = pendingCount;
  if (pending != to) memory.copy(to, pending, <usize>taken << 4);
  pending = waiting;
  pendingCount = waitingCount;
  records = sorted;
  keysOr = or;
  keysAnd = and;
  return taken;
}

/** Hands out other records for a while. */
export function handOut(others: usize, othersCount: u32): void {
  records = others;
  recordCount = othersCount;
}

/** Takes runs out of the sorted records: each is one piece. What is taken has an aggregate of 0. */
function takeSorted(runs: usize, runCount: u32, start: u32, to: usize, most: u32): u32 {
  let taken: u32 = 0;
  for (let i: u32 = 0; i < runCount; i++) {
    const run = load<u64>(runs + (<usize>i << 3));
    let low = start;
    let high = max(start, recordCount);
    while (low < high) {
      const middle = (low + high) >> 1;
      if (load<u64>(records + (<usize>middle << 4)) >> TENANT_SHIFT < run) low = middle + 1;
      else high = middle;
    }
    for (; low < recordCount && taken < most; low++) {
      const at = records + (<usize>low << 4);
      if (load<u64>(at) >> TENANT_SHIFT != run) break;
      if (load<u64>(at, 8) == 0) continue;
      v128.store(to + (<usize>taken << 4), v128.load(at));
      store<u64>(at, 0, 8);
      taken++;
    }
  }
  return taken;
}

/** Takes runs out of what has gathered; the last of these take their places. */
function takeGathered(runs: usize, runCount: u32, to: usize, most: u32): u32 {
  if (runCount == 0) return 0;
  const placement = <u32>load<u64>(runs) & (PLACEMENTS - 1);
  let taken: u32 = 0;
  let at = pending;
  let end = pending + (<usize>pendingCount << 4);
  while (at < end && taken < most) {
    const run = load<u64>(at) >> TENANT_SHIFT;
    if ((<u32>run & (PLACEMENTS - 1)) != placement || !isAmong(run, runs, runCount)) {
      at += 16;
      continue;
    }
    v128.store(to + (<usize>taken << 4), v128.load(at));
    end -= 16;
    v128.store(at, v128.load(end));
    taken++;
  }
  pendingCount -= taken;
  return taken;
}

function isAmong(run: u64, runs: usize, runCount: u32): bool {
  for (let i: u32 = 0; i < runCount; i++) {
    if (load<u64>(runs + (<usize>i << 3)) == run) return true;
  }
  return false;
}

/** Whether this epoch is read to its end. */
export function collected(): bool {
  return !collecting && ack(part) == epoch();
}

/** Keeps a record whose names are not known yet, or gives it up. */
export function hold(key: u64, aggregate: u64): void {
  const recordsHeld = aggregate >> COUNT_SHIFT;
  wantNames(key);
  if (heldCount == HELD_RECORDS_MAX) return count(counters + UNKNOWN_COUNT, recordsHeld);
  const at = held + <usize>heldCount * HELD_BYTES;
  store<u64>(at, key);
  store<u64>(at, aggregate, 8);
  store<u32>(at, readEpoch, 16);
  heldCount++;
  count(counters + HELD_COUNT, recordsHeld);
}

/** The receiver asks the sender for its names as long as this is told every epoch. */
function wantNames(key: u64): void {
  atomic.store<u32>(senders + <usize>(key >> SENDER_SHIFT) * SENDER_BYTES + SENDER_WANTED, readEpoch);
}

/** Takes up the held records whose names have come; those that waited too long are given up. */
function takeHeld(): void {
  const waiting = heldCount;
  const epochsMax = heldEpochs();
  heldCount = 0;
  for (let i: u32 = 0; i < waiting; i++) {
    const at = held + <usize>i * HELD_BYTES;
    const key = load<u64>(at);
    const aggregate = load<u64>(at, 8);
    const since = load<u32>(at, 16);
    const known = namesKnown(key);
    if ((!known && readEpoch - since < epochsMax) || pendingCount == capacity) {
      if (!known) wantNames(key);
      // It stays, at a place that has been read.
      memory.copy(held + <usize>heldCount * HELD_BYTES, at, HELD_BYTES);
      heldCount++;
      continue;
    }
    count(counters + HELD_COUNT, -(aggregate >> COUNT_SHIFT));
    if (!known) count(counters + UNKNOWN_COUNT, aggregate >> COUNT_SHIFT);
    else take(key, aggregate);
  }
}

/** Whether both indexes of the key are bound. */
function namesKnown(key: u64): bool {
  const root = senderRoot(<u32>(key >> SENDER_SHIFT));
  if (root == 0) return false;
  const entry = tenantEntry(root, <u32>(key >> TENANT_SHIFT) & ((1 << TENANT_BITS) - 1));
  if (entry == 0 || atomic.load<u32>(entry) == 0) return false;
  return termText(root, <u32>key & ((1 << TERM_BITS) - 1)) != 0;
}

function takeSlots(side: u32): void {
  const slotCount = <u32>1 << (slotBits - partBits);
  const start = partSlots(column, side, part);
  let at = start + (<usize>position << 4);
  const roomEnd = at + (<usize>(capacity - pendingCount) << 4);
  const tableEnd = start + (<usize>slotCount << 4);
  const end = min(roomEnd, tableEnd);
  let to = pending + (<usize>pendingCount << 4);
  const empty = i64x2.splat(0);
  let counted: u64 = 0;
  for (; at < end; at += 16) {
    const slot = v128.load(at);
    if (!v128.any_true(slot)) continue;
    counted += <u64>i64x2.extract_lane(slot, 1) >> COUNT_SHIFT;
    v128.store(to, slot);
    v128.store(at, empty);
    const key = i64x2.extract_lane(slot, 0);
    keysOr |= key;
    keysAnd &= key;
    to += 16;
  }
  const taken = <u32>((to - pending) >> 4) - pendingCount;
  pendingCount += taken;
  count(counters + DRAINED_RECORDS, taken);
  count(counters + DRAINED_COUNT, counted);
  position = <u32>((at - start) >> 4);
  if (position < slotCount) return;
  inLog = true;
  position = 0;
}

function takeLog(side: u32): void {
  const fill = columnFills(column, side) + (<usize>part << 2);
  const logCount = min(load<u32>(fill), <u32>1 << (logBits - partBits));
  const taken = min(logCount - position, capacity - pendingCount);
  const from = partLog(column, side, part) + (<usize>position << 4);
  const to = pending + (<usize>pendingCount << 4);
  let counted: u64 = 0;
  for (let i: usize = 0; i < <usize>taken << 4; i += 16) {
    const record = v128.load(from + i);
    counted += <u64>i64x2.extract_lane(record, 1) >> COUNT_SHIFT;
    v128.store(to + i, record);
    const key = i64x2.extract_lane(record, 0);
    keysOr |= key;
    keysAnd &= key;
  }
  pendingCount += taken;
  count(counters + DRAINED_RECORDS, taken);
  count(counters + DRAINED_COUNT, counted);
  position += taken;
  if (position < logCount) return;
  store<u32>(fill, 0);
  inLog = false;
  position = 0;
  column++;
}

function take(key: u64, aggregate: u64): void {
  const to = pending + (<usize>pendingCount << 4);
  store<u64>(to, key);
  store<u64>(to, aggregate, 8);
  keysOr |= key;
  keysAnd &= key;
  pendingCount++;
}

function sort(): void {
  const varying = keysOr ^ keysAnd;
  // Samples of one metric are put in order of value: who received them first is chance.
  if (((keysOr >> METRIC_SHIFT) & 1) != 0) {
    for (let shift: u32 = 0; shift < 32; shift += DIGIT_BITS) sortDigit(8, shift);
  }
  for (let shift: u32 = 0; shift < 55; shift += DIGIT_BITS) {
    if (((varying >> shift) & (DIGITS - 1)) != 0) sortDigit(0, shift);
  }
}

/** One pass over 11 bits of the word at `offset` of a record; keeps the order of equals. */
function sortDigit(offset: usize, shift: u32): void {
  memory.fill(digits, 0, DIGITS * 4);
  const end = pending + (<usize>pendingCount << 4);
  for (let at = pending; at < end; at += 16) {
    const digit = digits + (<usize>((load<u64>(at + offset) >> shift) & (DIGITS - 1)) << 2);
    store<u32>(digit, load<u32>(digit) + 16);
  }
  let to = <u32>records;
  for (let digit = digits; digit < digits + DIGITS * 4; digit += 4) {
    const bytes = load<u32>(digit);
    store<u32>(digit, to);
    to += bytes;
  }
  for (let at = pending; at < end; at += 16) {
    const digit = digits + (<usize>((load<u64>(at + offset) >> shift) & (DIGITS - 1)) << 2);
    const place = load<u32>(digit);
    v128.store(place, v128.load(at));
    store<u32>(digit, place + 16);
  }
  const sorted = records;
  records = pending;
  pending = sorted;
}

/** Adds up neighbours of one key, as far as count and sum hold them; samples stay single. */
function join(): void {
  const end = pending + (<usize>pendingCount << 4);
  let to = pending;
  for (let at = pending + 16; at < end; at += 16) {
    const key = load<u64>(at);
    const aggregate = load<u64>(at, 8);
    if (key == load<u64>(to) && ((key >> METRIC_SHIFT) & 1) == 0) {
      const before = load<u64>(to, 8);
      const counted = (before >> COUNT_SHIFT) + (aggregate >> COUNT_SHIFT);
      const summed = (before & (ONE - 1)) + (aggregate & (ONE - 1));
      if (counted >> (64 - COUNT_SHIFT) == 0 && summed < ONE) {
        store<u64>(to, (counted << COUNT_SHIFT) | summed, 8);
        continue;
      }
    }
    to += 16;
    store<u64>(to, key);
    store<u64>(to, aggregate, 8);
  }
  pendingCount = <u32>((to - pending) >> 4) + 1;
}
