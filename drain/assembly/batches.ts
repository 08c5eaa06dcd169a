// Sorted records become batches in the layout of guests/sdk/assembly/batch.ts: one run of a tenant's
// records after the other, each an event with one term (or one metric) and no text, at the time of the
// drain. Names are looked up once a run for the tenant and once a record for the term.
import { findRuns, tenantEntry, termText, unbindTenant } from "./dictionary";
import {
  counters,
  delivered,
  DELIVERED_COUNT,
  DELIVERED_EVENTS,
  handOut,
  hold,
  incarnation,
  output,
  recordCount,
  records,
  REFUSED_COUNT,
  takeRuns,
} from "./collect";
import {
  COUNT_SHIFT,
  METRIC_SHIFT,
  ONE,
  SENDER_SHIFT,
  TENANT_BITS,
  TENANT_SHIFT,
  TERM_BITS,
  WEIGHT_MAX,
} from "./layout.gen";
import { count, senderRoot } from "./stage";
import { JOINED_MORE_MAX, JOINED_NONE } from "../../guests/sdk/assembly/batch";

/** What `emit` returns. */
const EMIT_DONE: u32 = 0;
const EMIT_FULL: u32 = 1;
const EMIT_NAME: u32 = 2;

const OUTPUT_BYTES: usize = 1048576;
/** { u32 tenant, u32 address, u32 bytes, u32 events } */
const BATCH_ENTRY_BYTES: usize = 16;
const BATCH_HEADER_BYTES: usize = 16;
const EVENT_HEADER_BYTES: usize = 32;
const BATCH_BYTES_MAX: usize = 24 * 1024;
/** A sample with the longest name, and the zeros behind it. */
const EVENT_BYTES_MAX: usize = 128;
/** About 15 ms of turns: whoever asks a shard something waits no longer for them. */
const BATCHES_MAX: u32 = 2048;
// As src/kernel/stage-layout.ts makes room for them: name, runs, and records twice, for sorting.
const PICK_NAME_BYTES: usize = 64;
const PICK_RUNS_MAX: u32 = 512;
const PICK_RECORDS_MAX: u32 = 16384;
const NUMBER_MASK: u32 = 0xffffff;

let batches: u32 = 0;
let at: usize = 0;
let cursor: u32 = 0;
let runKey: u64 = -1;
let runTenant: i32 = -1;
let runRoot: usize = 0;
let refusedRun: u64 = -1;
let name: usize = 0;
let nameEntry: usize = 0;
/** What is left of a weight, and of the events with it, that take more than one event. */
let weightLeft: u64 = 0;
let countLeft: u64 = 0;
// What was picked, or, while that is handed out, what steps aside for it.
let picking: bool = false;
let pickedRecords: usize = 0;
let pickedCount: u32 = 0;
let pickedCursor: u32 = 0;
let pickedRefused: u64 = -1;
let pickedWeight: u64 = 0;
let pickedCounted: u64 = 0;
// The batch being written; 0: none.
let batch: usize = 0;
let batchEvents: u32 = 0;
/** By how much the events it stands for exceed its events, modulo 2^32. */
let batchJoined: u32 = 0;

export function batchCount(): u32 {
  return batches;
}

/** Address of the table of batches. */
export function batchTable(): usize {
  return output + OUTPUT_BYTES;
}

/** Forgets the batches that were handed out. */
export function resetOutput(): void {
  batches = 0;
  at = output;
}

/**
 * Writes batches until all sorted records are done (0), the output is full (1), or a tenant needs
 * its number (2): then `neededName`, `bindTenant` or `refuseTenant`, and `emit` again.
 */
export function emit(nowMs: f64): u32 {
  if (at == 0) at = output;
  while (cursor < recordCount) {
    const record = records + (<usize>cursor << 4);
    const key = load<u64>(record);
    if (load<u64>(record, 8) == 0) {
      // A question took it out of its turn.
      cursor++;
      continue;
    }
    if (key >> TENANT_SHIFT != runKey && !openRun(key)) {
      closeBatch();
      return EMIT_NAME;
    }
    if (key >> TENANT_SHIFT == refusedRun) {
      count(counters + REFUSED_COUNT, load<u64>(record, 8) >> COUNT_SHIFT);
      cursor++;
      continue;
    }
    const term: usize = runTenant < 0 ? 0 : termText(runRoot, <u32>key & ((1 << TERM_BITS) - 1));
    if (term == 0) {
      hold(key, load<u64>(record, 8));
      cursor++;
      continue;
    }
    if (!reserve(nowMs)) return EMIT_FULL;
    if (((key >> METRIC_SHIFT) & 1) != 0) writeSample(record, term, nowMs);
    else writeWeight(record, key, term, nowMs);
  }
  closeBatch();
  delivered();
  cursor = 0;
  runKey = -1;
  refusedRun = -1;
  return EMIT_DONE;
}

/** Where the host writes the name of the tenant to pick. */
export function pickName(): usize {
  return batchTable() + <usize>BATCHES_MAX * BATCH_ENTRY_BYTES;
}

/**
 * Takes what waits for one tenant, as much as there is room for, out of its turn; returns how many
 * records that are. Then `emitPicked`, until it is done. The output must be empty.
 */
export function pick(nameBytes: u32): u32 {
  const runs = pickName() + PICK_NAME_BYTES;
  pickedRecords = runs + (<usize>PICK_RUNS_MAX << 3);
  const runCount = findRuns(pickName(), nameBytes, runs, PICK_RUNS_MAX);
  // A record whose weight is partly handed out must go on where it stands.
  const start = weightLeft > 0 ? cursor + 1 : cursor;
  pickedCount = takeRuns(runs, runCount, start, pickedRecords, PICK_RECORDS_MAX);
  picking = false;
  return pickedCount;
}

/** Like `emit`, of what was picked; in between nothing else may be emitted. */
export function emitPicked(nowMs: f64): u32 {
  if (!picking) exchange();
  picking = true;
  const status = emit(nowMs);
  if (status != EMIT_DONE) return status;
  exchange();
  picking = false;
  return status;
}

/** What is handed out steps aside for what was picked, or comes back. */
function exchange(): void {
  const otherRecords = pickedRecords;
  const otherCount = pickedCount;
  const otherCursor = pickedCursor;
  const otherRefused = pickedRefused;
  const otherWeight = pickedWeight;
  const otherCounted = pickedCounted;
  pickedRecords = records;
  pickedCount = recordCount;
  pickedCursor = cursor;
  pickedRefused = refusedRun;
  pickedWeight = weightLeft;
  pickedCounted = countLeft;
  handOut(otherRecords, otherCount);
  cursor = otherCursor;
  refusedRun = otherRefused;
  weightLeft = otherWeight;
  countLeft = otherCounted;
  // The run is looked up anew.
  runKey = -1;
}

/** Address of the name of the tenant that needs a number: u8 bytes, then the name. */
export function neededName(): usize {
  return name;
}

/** The tenant that was asked for has this number in its shard. */
export function bindTenant(number: u32): void {
  store<u32>(nameEntry, (incarnation << 24) | (number + 1), 4);
}

/** The tenant of this name is gone, and its number will be another's. The output must be empty. */
export function unbind(nameBytes: u32): void {
  unbindTenant(pickName(), nameBytes);
  // The run at hand may be one of it.
  runKey = -1;
}

/** There is no room for the tenant that was asked for: its records at hand are refused. */
export function refuseTenant(): void {
  refusedRun = load<u64>(records + (<usize>cursor << 4)) >> TENANT_SHIFT;
}

/** Finds the tenant of a run of records; false if the host must give it a number first. */
function openRun(key: u64): bool {
  closeBatch();
  const run = key >> TENANT_SHIFT;
  if (run == refusedRun) return true;
  runTenant = -1;
  runKey = run;
  runRoot = senderRoot(<u32>(key >> SENDER_SHIFT));
  if (runRoot == 0) return true;
  const entry = tenantEntry(runRoot, <u32>run & ((1 << TENANT_BITS) - 1));
  if (entry == 0) return true;
  name = atomic.load<u32>(entry);
  if (name == 0) return true;
  const bound = load<u32>(entry, 4);
  if ((bound & NUMBER_MASK) == 0 || bound >> 24 != incarnation) {
    runKey = -1;
    nameEntry = entry;
    return false;
  }
  runTenant = (bound & NUMBER_MASK) - 1;
  return true;
}

/** Room for one more event in a batch of the run's tenant; false when the output is full. */
function reserve(nowMs: f64): bool {
  if (batch != 0 && at - batch + EVENT_BYTES_MAX > BATCH_BYTES_MAX) closeBatch();
  if (at + BATCH_HEADER_BYTES + EVENT_BYTES_MAX > output + OUTPUT_BYTES || batches == BATCHES_MAX) {
    closeBatch();
    return false;
  }
  if (batch != 0) return true;
  batch = at;
  batchEvents = 0;
  batchJoined = 0;
  store<u64>(batch, 0);
  store<f64>(batch, nowMs, 8);
  at += BATCH_HEADER_BYTES;
  return true;
}

function closeBatch(): void {
  if (batch == 0) return;
  store<u32>(batch, batchEvents);
  store<u32>(batch, batchJoined, 4);
  const entry = batchTable() + <usize>batches * BATCH_ENTRY_BYTES;
  store<u32>(entry, runTenant);
  store<u32>(entry, <u32>batch, 4);
  store<u32>(entry, <u32>(at - batch), 8);
  store<u32>(entry, batchEvents, 12);
  count(counters + DELIVERED_EVENTS, batchEvents);
  batches++;
  batch = 0;
}

/**
 * One event for all records with its key, or for as much of their weight and count as an event takes.
 * Each record weighs at least 1: so as long as no event takes more weight than leaves 1 for each record
 * behind it, the weight lasts as long as the count.
 */
function writeWeight(record: usize, key: u64, term: usize, nowMs: f64): void {
  if (weightLeft == 0) {
    // Nothing is left of the record before.
    const end = records + (<usize>recordCount << 4);
    let aggregate: u64 = 0;
    let counted: u64 = 0;
    do {
      const part = load<u64>(record, 8);
      aggregate += part & (ONE - 1);
      counted += part >> COUNT_SHIFT;
      cursor++;
      record += 16;
    } while (record < end && load<u64>(record) == key);
    count(counters + DELIVERED_COUNT, counted);
    weightLeft = aggregate;
    countLeft = counted;
  } else {
    cursor++;
  }
  const events = min(countLeft, <u64>JOINED_MORE_MAX + 1);
  countLeft -= events;
  const weight = min(weightLeft - countLeft, WEIGHT_MAX);
  weightLeft -= weight;
  const bytes = <usize>load<u8>(term);
  startEvent(<u32>weight, nowMs);
  store<u16>(at, 1, 22);
  store<u16>(at, events == 0 ? <u16>JOINED_NONE : <u16>(events - 1), 30);
  batchJoined += <u32>events - 1;
  store<u16>(at, <u16>bytes, EVENT_HEADER_BYTES);
  copyText(at + EVENT_HEADER_BYTES + 2, term + 1, bytes);
  endEvent(EVENT_HEADER_BYTES + 2 + bytes);
  // The rest of the weight is written when this record comes up again.
  if (weightLeft > 0) cursor--;
}

function writeSample(record: usize, term: usize, nowMs: f64): void {
  const bytes = <usize>load<u8>(term);
  startEvent(1, nowMs);
  store<u16>(at, 1, 28);
  store<f64>(at, <f64>load<u32>(record, 8), EVENT_HEADER_BYTES);
  store<u16>(at, <u16>bytes, EVENT_HEADER_BYTES + 8);
  copyText(at + EVENT_HEADER_BYTES + 10, term + 1, bytes);
  endEvent(EVENT_HEADER_BYTES + 10 + bytes);
  count(counters + DELIVERED_COUNT, load<u64>(record, 8) >> COUNT_SHIFT);
  cursor++;
}

// @ts-ignore: decorator
@inline
function startEvent(weight: u32, nowMs: f64): void {
  const empty = i64x2.splat(0);
  v128.store(at, empty);
  v128.store(at, empty, 16);
  store<u32>(at, weight, 4);
  store<f64>(at, nowMs, 8);
}

// @ts-ignore: decorator
@inline
function endEvent(bytes: usize): void {
  v128.store(at + bytes, i64x2.splat(0));
  const padded = (bytes + 7) & ~7;
  store<u32>(at, <u32>padded);
  at += padded;
  batchEvents++;
}

// @ts-ignore: decorator
@inline
function copyText(to: usize, from: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) v128.store(to + i, v128.load(from + i));
}
