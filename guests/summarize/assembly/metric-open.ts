// The open pane of all metrics: one table of (metric, bin) -> count.
//
// Entries { u32 key, u32 count }, key 0: free; open addressing by multiplication, which spreads the
// runs of neighbouring bins that metrics have. The table is sorted in one go when the pane closes
// or it is full: the keys of a metric are then a run in the order of their bins.
//
// key: bit 22 set, bits 18-21 metric, bits 0-17 index + 2^17
import { alloc, mark, release } from "../../sdk/assembly/arena";
import { BinWriter } from "../../sdk/assembly/sketches/packed-bins";
import {
  ELEMENT_BYTES_MAX,
  ELEMENT_CUT,
  ELEMENT_HEADER_BYTES,
  ELEMENT_SLACK_BYTES,
  insertElement,
  writeNumbers,
} from "./metric-panes";
import { MetricStore, TABLE_ENTRIES_MAX, TABLE_ENTRIES_MIN } from "./metric-state";

export const ENTRY_BYTES: u32 = 8;
const KEY_MARK: u32 = 1 << 22;
const METRIC_SHIFT: u32 = 18;
const INDEX_BIAS: i32 = 1 << 17;
const INDEX_MASK: u32 = (1 << 18) - 1;
/** Up to here moving entries one by one beats counting digits. */
const INSERTION_MAX: u32 = 32;
const DIGITS: u32 = 256;
/** With many metrics a table is large only while a quarter of the region is free. */
const GROW_FREE_SHIFT: u32 = 2;
const TABLE_ENTRIES_TIGHT: u32 = 256;
const METRICS_FEW: u32 = 8;

/** Hot. Counts `weight` samples in a bin of the open pane. */
// @ts-ignore: decorator
@inline
export function addOpen(panes: MetricStore, metric: u32, index: i32, weight: u32): void {
  const key = KEY_MARK | metric << METRIC_SHIFT | <u32>(index + INDEX_BIAS);
  const entry = find(panes, key);
  const found = load<u32>(entry);
  const count = load<u32>(entry, 4) + weight;
  if (found == key && count >= weight) store<u32>(entry, count, 4);
  else insertOpen(panes, entry, key, weight);
}

/** Makes closed panes of what the table holds, and empties it. */
export function flushOpen(panes: MetricStore): void {
  if (panes.tableUsed == 0) return;
  const table = panes.table;
  const count = sortEntries(table, panes.tableEntries, panes.tableUsed);
  let from = count;
  while (from > 0) {
    const metric = entryMetric(table + (from - 1) * ENTRY_BYTES);
    let to = from;
    while (from > 0 && entryMetric(table + (from - 1) * ENTRY_BYTES) == metric) from -= 1;
    flushMetric(panes, metric, table + from * ENTRY_BYTES, table + to * ENTRY_BYTES);
  }
  memory.fill(table, 0, panes.tableEntries * ENTRY_BYTES);
  panes.tableUsed = 0;
}

/** Halves an empty table that was far too large for the pane before, or is for a full region. */
export function shrinkOpen(panes: MetricStore, usedBefore: u32): void {
  const entries = panes.tableEntries;
  const isIdle = entries > TABLE_ENTRIES_MIN && usedBefore * 8 < entries;
  const isTight = entries > entriesMax(panes) && panes.free < panes.bytes >> GROW_FREE_SHIFT;
  if (isIdle || isTight) resize(panes, entries >> 1);
}

/** A sorted copy of the table, for reading. */
@unmanaged
export class OpenEntries {
  at: u32;
  count: u32;

  startOf(metric: u32): u32 {
    let at = this.at;
    const end = this.at + this.count * ENTRY_BYTES;
    while (at < end && entryMetric(at) < metric) at += ENTRY_BYTES;
    return at;
  }

  endOf(metric: u32): u32 {
    return this.startOf(metric + 1);
  }
}

export function copyOpen(panes: MetricStore): OpenEntries {
  const entries = changetype<OpenEntries>(alloc(offsetof<OpenEntries>()));
  entries.at = <u32>alloc(panes.tableEntries * ENTRY_BYTES);
  memory.copy(entries.at, panes.table, panes.tableEntries * ENTRY_BYTES);
  entries.count = sortEntries(entries.at, panes.tableEntries, panes.tableUsed);
  return entries;
}

// @ts-ignore: decorator
@inline
export function entryIndex(entry: u32): i32 {
  return <i32>(load<u32>(entry) & INDEX_MASK) - INDEX_BIAS;
}

// @ts-ignore: decorator
@inline
function entryMetric(entry: u32): u32 {
  return load<u32>(entry) >> METRIC_SHIFT & 15;
}

/** The entry of a key, or the free one where it belongs. One is always free. */
// @ts-ignore: decorator
@inline
function find(panes: MetricStore, key: u32): u32 {
  const table = panes.table;
  const mask = panes.tableEntries - 1;
  let at = key * 0x9e3779b1 >> 20 & mask;
  while (true) {
    const entry = table + at * ENTRY_BYTES;
    const found = load<u32>(entry);
    if (found == key || found == 0) return entry;
    at = (at + 1) & mask;
  }
}

/** A new bin, or one whose count would wrap. */
function insertOpen(panes: MetricStore, entry: u32, key: u32, weight: u32): void {
  if (load<u32>(entry) == key || panes.tableUsed * 4 >= panes.tableEntries * 3) {
    if (load<u32>(entry) == key || !grow(panes)) flushOpen(panes);
    entry = find(panes, key);
  }
  store<u32>(entry, key);
  store<u32>(entry, weight, 4);
  panes.tableUsed += 1;
}

function grow(panes: MetricStore): bool {
  const entries = panes.tableEntries << 1;
  const isTight = entries > entriesMax(panes);
  const left = panes.tableEntries * ENTRY_BYTES + (isTight ? panes.bytes >> GROW_FREE_SHIFT : 0);
  if (entries > TABLE_ENTRIES_MAX || panes.free < left) return false;
  const start = mark();
  const bytes = panes.tableEntries * ENTRY_BYTES;
  const copy = <u32>alloc(bytes);
  memory.copy(copy, panes.table, bytes);
  resize(panes, entries);
  memory.fill(panes.table, 0, entries * ENTRY_BYTES);
  for (let at = copy; at < copy + bytes; at += ENTRY_BYTES) {
    const key = load<u32>(at);
    if (key != 0) store<u64>(find(panes, key), load<u64>(at));
  }
  release(start);
  return true;
}

/** Entries of the table in a region that is nearly full. */
function entriesMax(panes: MetricStore): u32 {
  return panes.count > METRICS_FEW ? TABLE_ENTRIES_TIGHT : TABLE_ENTRIES_MAX;
}

/** Moves all panes so that the table has so many entries. */
function resize(panes: MetricStore, entries: u32): void {
  const from = panes.table + panes.tableEntries * ENTRY_BYTES;
  const to = panes.table + entries * ENTRY_BYTES;
  memory.copy(to, from, panes.heapEnd - from);
  const end = panes.heapEnd + to - from;
  if (to < from) memory.fill(end, 0, from - to);
  panes.heapEnd = end;
  panes.shiftFrom(0, to - from);
  panes.tableEntries = entries;
}

function flushMetric(panes: MetricStore, metric: u32, from: u32, to: u32): void {
  const start = mark();
  const writer = changetype<BinWriter>(alloc(offsetof<BinWriter>()));
  // An entry takes at most 8 bytes of a token: 3 of gap, 5 of count.
  const bytesMax = min(ELEMENT_BYTES_MAX, (to - from) / ENTRY_BYTES * 9 + 64);
  const element = <u32>alloc(bytesMax + ELEMENT_SLACK_BYTES);
  writer.open(element + ELEMENT_HEADER_BYTES, bytesMax);
  for (let entry = to - ENTRY_BYTES; entry >= from; entry -= ENTRY_BYTES)
    writer.put(entryIndex(entry), <f64>load<u32>(entry, 4));
  const open = panes.openOf(metric);
  const bytes = writeNumbers(element, writer.finish(), open, 8);
  if (writer.collapsed) store<u8>(element, <u8>ELEMENT_CUT, 2);
  // Scratch is scarce while a batch is read: what the element did not need goes back.
  release(element + bytes);
  insertElement(panes, metric, panes.current, element);
  open.clear();
  release(start);
}

/** Brings the `used` entries of a table to its front, in order of their keys. */
function sortEntries(table: u32, entries: u32, used: u32): u32 {
  const start = mark();
  const other = used > INSERTION_MAX ? <u32>alloc(used * ENTRY_BYTES) : table;
  let count: u32 = 0;
  const end = table + entries * ENTRY_BYTES;
  for (let at = table; at < end; at += ENTRY_BYTES) {
    const entry = load<u64>(at);
    if (<u32>entry != 0) store<u64>(other + count++ * ENTRY_BYTES, entry);
  }
  if (used > INSERTION_MAX) {
    const digits = <u32>alloc(DIGITS << 2);
    sortByDigit(other, table, count, 0, digits);
    sortByDigit(table, other, count, 8, digits);
    sortByDigit(other, table, count, 16, digits);
  } else {
    sortByInsertion(table, count);
  }
  release(start);
  return count;
}

function sortByInsertion(table: u32, count: u32): void {
  for (let index: u32 = 1; index < count; index++) {
    const entry = load<u64>(table + index * ENTRY_BYTES);
    let at = table + index * ENTRY_BYTES;
    while (at > table && load<u32>(at - ENTRY_BYTES) > <u32>entry) {
      store<u64>(at, load<u64>(at - ENTRY_BYTES));
      at -= ENTRY_BYTES;
    }
    store<u64>(at, entry);
  }
}

function sortByDigit(from: u32, to: u32, count: u32, shift: u32, digits: u32): void {
  memory.fill(digits, 0, DIGITS << 2);
  const end = from + count * ENTRY_BYTES;
  for (let at = from; at < end; at += ENTRY_BYTES) {
    const digit = digits + ((load<u32>(at) >> shift & 255) << 2);
    store<u32>(digit, load<u32>(digit) + ENTRY_BYTES);
  }
  let next = to;
  for (let digit = digits; digit < digits + (DIGITS << 2); digit += 4) {
    const bytes = load<u32>(digit);
    store<u32>(digit, next);
    next += bytes;
  }
  for (let at = from; at < end; at += ENTRY_BYTES) {
    const digit = digits + ((load<u32>(at) >> shift & 255) << 2);
    const place = load<u32>(digit);
    store<u64>(place, load<u64>(at));
    store<u32>(digit, place + ENTRY_BYTES);
  }
}
