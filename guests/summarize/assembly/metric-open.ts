// The open pane of all metrics: rows of eight neighbouring bins, a byte of count each.
//
// Metrics have runs of neighbouring bins, so a row, 12 bytes, mostly holds several. A count that
// outgrows its byte goes on in the same place of a further row, which counts 256s, and so on:
// four rows at most count to 2^32. Rows lie back to back in the order in which they came; they are
// found by an index of 512 bytes, open addressing by multiplication. They are sorted when the pane
// closes or is full: the rows of a metric are then in the order of their bins.
//
//   0 u8 x 512  number of a row, 0: none
//   512         rows { u32 key, u8 x 8 counts }
//
// key: bit 21 set, bits 17-20 metric, bits 2-16 (index + 2^17) / 8, bits 0-1 which byte
import { alloc, mark, release } from "../../sdk/assembly/arena";
import { BinWriter, BINS_SLACK_BYTES, NO_INDEX } from "../../sdk/assembly/sketches/packed-bins";
import {
  ELEMENT_BYTES_MAX,
  ELEMENT_CUT,
  ELEMENT_HEADER_BYTES,
  ELEMENT_SLACK_BYTES,
  insertElement,
  writeNumbers,
} from "./metric-panes";
import { MetricStore, ROW_BYTES, ROWS_AT, ROWS_MAX, ROWS_MIN } from "./metric-state";

const KEY_MARK: u32 = 1 << 21;
const METRIC_SHIFT: u32 = 17;
const INDEX_BIAS: i32 = 1 << 17;
const CELLS: u32 = 8;
/** Rows that one bin may need. */
const LEVELS: u32 = 4;
const COUNT_END: u64 = 1 << 32;
/** Up to here moving entries one by one beats counting digits. */
const INSERTION_MAX: u32 = 32;
const DIGITS: u32 = 256;
const GROW_ROWS_MIN: u32 = 16;
/** With many metrics there are many rows only while a quarter of the region is free. */
const GROW_FREE_SHIFT: u32 = 2;
const ROWS_TIGHT: u32 = 224;
const METRICS_FEW: u32 = 8;

/** Hot. Counts `weight` samples in a bin of the open pane. */
// @ts-ignore: decorator
@inline
export function addOpen(panes: MetricStore, metric: u32, index: i32, weight: u32): void {
  const biased = <u32>(index + INDEX_BIAS);
  const key = KEY_MARK | metric << METRIC_SHIFT | biased >> 3 << 2;
  const cell = find(panes, key) + 4 + (biased & (CELLS - 1));
  const count = <u32>load<u8>(cell) + weight;
  if (cell > CELLS + 4 && count >= weight && count < 256) store<u8>(cell, <u8>count);
  else addSlowly(panes, key, biased & (CELLS - 1), weight);
}

/** Makes closed panes of what the rows hold, and empties them. */
export function flushOpen(panes: MetricStore): void {
  if (panes.rowsUsed == 0) return;
  const start = mark();
  const rows = sortRows(panes);
  let from = rows.end;
  while (from > rows.at) {
    const metric = entryMetric(from - 4);
    const to = from;
    while (from > rows.at && entryMetric(from - 4) == metric) from -= 4;
    flushMetric(panes, metric, from, to);
  }
  memory.fill(panes.table, 0, ROWS_AT + panes.rowsUsed * ROW_BYTES);
  panes.rowsUsed = 0;
  release(start);
}

/** Gives rows back that the pane before did not use, many of them or in a full region. */
export function shrinkOpen(panes: MetricStore, usedBefore: u32): void {
  const rows = panes.rows;
  const left = max(ROWS_MIN, usedBefore + (usedBefore >> 3) + LEVELS);
  const isIdle = left * 4 < rows;
  const isTight = left + GROW_ROWS_MIN < rows && panes.free < panes.bytes >> GROW_FREE_SHIFT;
  const isFull = rows > rowsMax(panes) && panes.free < panes.bytes >> GROW_FREE_SHIFT;
  if (isIdle || isTight) resize(panes, left);
  else if (isFull) resize(panes, ROWS_TIGHT);
}

/** The rows in order: u32 each, key * 256 + number of the row. */
@unmanaged
export class OpenRows {
  at: u32;
  end: u32;

  startOf(metric: u32): u32 {
    let at = this.at;
    while (at < this.end && entryMetric(at) < metric) at += 4;
    return at;
  }

  endOf(metric: u32): u32 {
    return this.startOf(metric + 1);
  }
}

/** In scratch. */
export function sortRows(panes: MetricStore): OpenRows {
  const used = panes.rowsUsed;
  const result = changetype<OpenRows>(alloc(offsetof<OpenRows>()));
  const at = <u32>alloc(used << 2);
  result.at = at;
  result.end = at + (used << 2);
  const start = mark();
  const other = used > INSERTION_MAX ? <u32>alloc(used << 2) : at;
  for (let row: u32 = 0; row < used; row++)
    store<u32>(other + (row << 2), load<u32>(rowAt(panes, row)) << 8 | row);
  if (used > INSERTION_MAX) {
    const digits = <u32>alloc(DIGITS << 2);
    sortByDigit(other, at, used, 8, digits);
    sortByDigit(at, other, used, 16, digits);
    sortByDigit(other, at, used, 24, digits);
  } else {
    sortByInsertion(at, used);
  }
  release(start);
  return result;
}

/** The bins of sorted rows of one metric, from the greatest down. */
@unmanaged
export class OpenReader {
  from: u32;
  to: u32;
  rows: u32;
  /** Of the row that is read: index of its first bin, and the bins that are left. */
  first: i32;
  cells: u64;
  /** Where it counts 1s, 256s, 65,536s, 2^24s; 0: nowhere. */
  row0: u32;
  row1: u32;
  row2: u32;
  row3: u32;
  index: i32;
  count: u32;

  open(panes: MetricStore, from: u32, to: u32): void {
    this.rows = rowAt(panes, 0);
    this.from = from;
    this.to = to;
    this.cells = 0;
  }

  close(): void {
    this.from = this.to;
    this.cells = 0;
    this.index = NO_INDEX;
  }

  /** On to the next lower bin; false if there is none. */
  next(): bool {
    if (this.cells == 0) {
      if (this.to == this.from) {
        this.index = NO_INDEX;
        return false;
      }
      this.openRow();
    }
    const cell = 7 - (<u32>clz(this.cells) >> 3);
    this.cells &= (<u64>1 << <u64>(cell << 3)) - 1;
    this.index = this.first + <i32>cell;
    this.count = countAt(this.row0, cell);
    if (this.row1 != 0) {
      this.count |= countAt(this.row1, cell) << 8;
      this.count |= countAt(this.row2, cell) << 16 | countAt(this.row3, cell) << 24;
    }
    return true;
  }

  private openRow(): void {
    const key = load<u32>(this.to - 4) >> 10;
    this.first = <i32>((key & ((1 << (METRIC_SHIFT - 2)) - 1)) << 3) - INDEX_BIAS;
    this.row3 = this.take(key << 2 | 3);
    this.row2 = this.take(key << 2 | 2);
    this.row1 = this.take(key << 2 | 1);
    this.row0 = this.take(key << 2);
  }

  /** The row of the key, if it is next. */
  private take(key: u32): u32 {
    if (this.to == this.from || load<u32>(this.to - 4) >> 8 != key) return 0;
    this.to -= 4;
    const row = this.rows + (load<u32>(this.to) & 255) * ROW_BYTES;
    this.cells |= load<u64>(row, 4);
    return row;
  }
}

// @ts-ignore: decorator
@inline
function countAt(row: u32, cell: u32): u32 {
  return row == 0 ? 0 : <u32>load<u8>(row + 4 + cell);
}

// @ts-ignore: decorator
@inline
function entryMetric(entry: u32): u32 {
  return load<u32>(entry) >> (METRIC_SHIFT + 8) & 15;
}

// @ts-ignore: decorator
@inline
function rowAt(panes: MetricStore, row: u32): u32 {
  return panes.table + ROWS_AT + row * ROW_BYTES;
}

/** The row of a key, 0: none. A place of the index is always free. */
// @ts-ignore: decorator
@inline
function find(panes: MetricStore, key: u32): u32 {
  const table = panes.table;
  let at = placeOfKey(key);
  while (true) {
    const number = <u32>load<u8>(table + at);
    if (number == 0) return 0;
    const row = table + (ROWS_AT - ROW_BYTES) + number * ROW_BYTES;
    if (load<u32>(row) == key) return row;
    at = (at + 1) & (ROWS_AT - 1);
  }
}

// @ts-ignore: decorator
@inline
function placeOfKey(key: u32): u32 {
  return key * 0x9e3779b1 >> 23;
}

/** A new row, or a count that outgrows its byte. */
function addSlowly(panes: MetricStore, key: u32, cell: u32, weight: u32): void {
  if (panes.rowsUsed + LEVELS > panes.rows && !grow(panes)) flushOpen(panes);
  if (countOf(panes, key, cell) + <u64>weight >= COUNT_END) flushOpen(panes);
  for (let rest = weight; rest != 0; key++) {
    let row = find(panes, key);
    if (row == 0) row = newRow(panes, key);
    const count = <u32>load<u8>(row + 4 + cell) + (rest & 255);
    store<u8>(row + 4 + cell, <u8>count);
    rest = (rest >> 8) + (count >> 8);
  }
}

function countOf(panes: MetricStore, key: u32, cell: u32): u64 {
  let count: u64 = 0;
  for (let level: u32 = 0; level < LEVELS; level++)
    count |= <u64>countAt(find(panes, key + level), cell) << <u64>(level << 3);
  return count;
}

function newRow(panes: MetricStore, key: u32): u32 {
  const table = panes.table;
  let at = placeOfKey(key);
  while (load<u8>(table + at) != 0) at = (at + 1) & (ROWS_AT - 1);
  const row = rowAt(panes, panes.rowsUsed);
  panes.rowsUsed += 1;
  store<u8>(table + at, <u8>panes.rowsUsed);
  store<u32>(row, key);
  return row;
}

function grow(panes: MetricStore): bool {
  const rows = min(ROWS_MAX, panes.rows + max(GROW_ROWS_MIN, panes.rows >> 2));
  const isTight = rows > rowsMax(panes);
  const bytes = (rows - panes.rows) * ROW_BYTES;
  const left = bytes + (isTight ? panes.bytes >> GROW_FREE_SHIFT : 0);
  if (panes.rowsUsed + LEVELS > rows || panes.free < left) return false;
  const behind = rowAt(panes, panes.rows);
  resize(panes, rows);
  memory.fill(behind, 0, bytes);
  return true;
}

/** Rows in a region that is nearly full. */
function rowsMax(panes: MetricStore): u32 {
  return panes.count > METRICS_FEW ? ROWS_TIGHT : ROWS_MAX;
}

/** Moves all panes so that there are so many rows. */
function resize(panes: MetricStore, rows: u32): void {
  const from = rowAt(panes, panes.rows);
  const to = rowAt(panes, rows);
  memory.copy(to, from, panes.heapEnd - from);
  const end = panes.heapEnd + to - from;
  if (to < from) memory.fill(end, 0, from - to);
  panes.heapEnd = end;
  panes.shiftFrom(0, to - from);
  panes.rows = rows;
}

function flushMetric(panes: MetricStore, metric: u32, from: u32, to: u32): void {
  const start = mark();
  const writer = changetype<BinWriter>(alloc(offsetof<BinWriter>()));
  const reader = changetype<OpenReader>(alloc(offsetof<OpenReader>()));
  // Three values a bin, of at most 18, 32 and 32 bits and as much for their lengths.
  const bytesMax = min(ELEMENT_BYTES_MAX, (to - from) / 4 * CELLS * 19 + BINS_SLACK_BYTES);
  const element = <u32>alloc(bytesMax + ELEMENT_SLACK_BYTES);
  writer.open(element + ELEMENT_HEADER_BYTES, bytesMax, false);
  reader.open(panes, from, to);
  while (reader.next()) writer.put(reader.index, <f64>reader.count);
  const open = panes.openOf(metric);
  const bytes = writeNumbers(element, writer.finish(), open, 8);
  if (writer.collapsed) store<u8>(element, <u8>ELEMENT_CUT, 2);
  // Scratch is scarce while a batch is read: what the element did not need goes back.
  release(element + bytes);
  insertElement(panes, metric, panes.current, element);
  open.clear();
  release(start);
}

function sortByInsertion(at: u32, count: u32): void {
  const end = at + (count << 2);
  for (let next = at + 4; next < end; next += 4) {
    const entry = load<u32>(next);
    let place = next;
    while (place > at && load<u32>(place - 4) > entry) {
      store<u32>(place, load<u32>(place - 4));
      place -= 4;
    }
    store<u32>(place, entry);
  }
}

function sortByDigit(from: u32, to: u32, count: u32, shift: u32, digits: u32): void {
  memory.fill(digits, 0, DIGITS << 2);
  const end = from + (count << 2);
  for (let at = from; at < end; at += 4) {
    const digit = digits + ((load<u32>(at) >> shift & 255) << 2);
    store<u32>(digit, load<u32>(digit) + 4);
  }
  let next = to;
  for (let digit = digits; digit < digits + (DIGITS << 2); digit += 4) {
    const bytes = load<u32>(digit);
    store<u32>(digit, next);
    next += bytes;
  }
  for (let at = from; at < end; at += 4) {
    const digit = digits + ((load<u32>(at) >> shift & 255) << 2);
    const place = load<u32>(digit);
    store<u32>(place, load<u32>(at));
    store<u32>(digit, place + 4);
  }
}
