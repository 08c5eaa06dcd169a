// The events that wait for `group`, and how `group` lays them out by tenant.
//
// Events lie in the arena in order of arrival, as they will stand in a batch. Beside each is a
// record { u32 address, u32 origin, u32 index, u32 next event + 1 of its tenant }, and each tenant
// holds the first and the last of its list: the partition is done while parsing, at one store an
// event, and needs no pass over tenants without events. Grouping is then one copy of every event.
// Why at all: the same guest costs 80-110 ns an event on grouped events and about 500 on others,
// from cache and TLB misses.
import { allocate } from "./layout";
import {
  BATCH_BYTES_MAX,
  CONVERSATION_BYTES_MAX,
  EVENT_ID_BYTES_MAX,
  METRIC_COUNT_MAX,
  METRIC_NAME_BYTES_MAX,
  TERM_BYTES_MAX,
  TERM_COUNT_MAX,
  TEXT_BYTES_MAX,
  USER_BYTES_MAX,
} from "./limits.gen";
import { tenantList } from "./tenants";

export const EVENT_HEADER_BYTES: u32 = 32;
const BATCH_HEADER_BYTES: u32 = 16;
/** The shortest event: one byte of text. */
const EVENT_BYTES_MIN: u32 = 40;
/** No event takes more, so one fits while this much is free. */
export const EVENT_BYTES_MAX: u32 =
  EVENT_HEADER_BYTES +
  EVENT_ID_BYTES_MAX +
  USER_BYTES_MAX +
  CONVERSATION_BYTES_MAX +
  TEXT_BYTES_MAX +
  TERM_COUNT_MAX * (2 + TERM_BYTES_MAX) +
  METRIC_COUNT_MAX * (10 + METRIC_NAME_BYTES_MAX) +
  8;

const RECORD_BYTES: usize = 16;
/** { u32 tenant, u32 address, u32 bytes, u32 events, u32 first event in `grouped` } */
const BATCH_BYTES: usize = 20;

export let eventCount: u32 = 0;
export let arenaTop: usize = 0;
export let batchTable: usize = 0;
export let grouped: usize = 0;
let arena: usize = 0;
let arenaEnd: usize = 0;
let records: usize = 0;
let touched: usize = 0;
let touchedCount: u32 = 0;
let output: usize = 0;

export function arenaInit(arenaBytes: u32): void {
  const eventCountMax = <usize>(arenaBytes / EVENT_BYTES_MIN) + 1;
  arena = allocate(arenaBytes);
  arenaTop = arena;
  arenaEnd = arena + arenaBytes;
  records = allocate(eventCountMax * RECORD_BYTES);
  touched = allocate(eventCountMax * 4);
  output = allocate(<usize>arenaBytes + eventCountMax * BATCH_HEADER_BYTES);
  batchTable = allocate(eventCountMax * BATCH_BYTES);
  grouped = allocate(eventCountMax * 8);
}

// @ts-ignore: decorator
@inline
export function arenaFull(): bool {
  return arenaEnd - arenaTop < <usize>EVENT_BYTES_MAX;
}

/** The event that was written at `arenaTop` is one of `tenant`. */
export function arenaKeep(tenant: u32, bytes: u32, origin: u32, index: u32): void {
  const record = records + <usize>eventCount * RECORD_BYTES;
  store<u32>(record, <u32>arenaTop);
  store<u32>(record, origin, 4);
  store<u32>(record, index, 8);
  store<u32>(record, 0, 12);
  arenaTop += bytes;
  eventCount++;
  const list = tenantList(tenant);
  const last = load<u32>(list, 4);
  if (last == 0) {
    store<u32>(touched + (<usize>touchedCount << 2), tenant);
    touchedCount++;
    store<u32>(list, eventCount);
  } else {
    store<u32>(records + <usize>(last - 1) * RECORD_BYTES, eventCount, 12);
  }
  store<u32>(list, eventCount, 4);
}

export function arenaClear(): void {
  for (let i: u32 = 0; i < touchedCount; i++) {
    store<u64>(tenantList(load<u32>(touched + (<usize>i << 2))), 0);
  }
  touchedCount = 0;
  eventCount = 0;
  arenaTop = arena;
}

/** Writes the batches, tenants in order of their first event; returns how many there are. */
export function arenaGroup(nowMs: f64): u32 {
  let batch: usize = batchTable;
  let at = output;
  let eventsDone: u32 = 0;
  for (let i: u32 = 0; i < touchedCount; i++) {
    const tenant = load<u32>(touched + (<usize>i << 2));
    let event = load<u32>(tenantList(tenant));
    while (event != 0) {
      const start = at;
      const first = eventsDone;
      at += BATCH_HEADER_BYTES;
      do {
        const record = records + <usize>(event - 1) * RECORD_BYTES;
        const from = <usize>load<u32>(record);
        const bytes = load<u32>(from);
        if (at + bytes - start > BATCH_BYTES_MAX) break;
        copyEvent(at, from, bytes);
        at += bytes;
        store<u64>(grouped + (<usize>eventsDone << 3), load<u64>(record, 4));
        eventsDone++;
        event = load<u32>(record, 12);
      } while (event != 0);
      store<u64>(start, eventsDone - first);
      store<f64>(start, nowMs, 8);
      store<u32>(batch, tenant);
      store<u32>(batch, <u32>start, 4);
      store<u32>(batch, <u32>(at - start), 8);
      store<u32>(batch, eventsDone - first, 12);
      store<u32>(batch, first, 16);
      batch += BATCH_BYTES;
    }
  }
  return <u32>((batch - batchTable) / BATCH_BYTES);
}

/** Past the end by up to 8 bytes, which the next event or header then overwrites. */
// @ts-ignore: decorator
@inline
function copyEvent(to: usize, from: usize, bytes: u32): void {
  if (bytes > 512) memory.copy(to, from, bytes);
  else for (let i: usize = 0; i < <usize>bytes; i += 16) v128.store(to + i, v128.load(from + i));
}
