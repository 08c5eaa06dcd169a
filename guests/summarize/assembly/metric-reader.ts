// One metric over one span: its panes read together, from the greatest bin down.
//
// The first pass over the panes adds up counts and moments, the second walks the bins of all of
// them at once: 128 indices at a time in a dense row, so that a bin costs one addition however many
// panes there are, and empty stretches between rows cost nothing. Nothing is changed: the open pane
// is read in an order that lies in scratch.
import { alloc, mark, release } from "../../sdk/assembly/arena";
import { INDEX_MAX, indexOf, pairOf } from "../../sdk/assembly/sketches/dd-sketch";
import { Moments } from "../../sdk/assembly/sketches/moments";
import { BinReader, NO_INDEX } from "../../sdk/assembly/sketches/packed-bins";
import {
  cutIndex,
  elementBytes,
  elementHasPairs,
  elementLevel,
  openBins,
  placeOf,
  readNumbers,
} from "./metric-panes";
import { LATE_BYTES, LATE_MAX, lateMetric, latePane, lateWeight } from "./metric-late";
import { OpenReader, OpenRows } from "./metric-open";
import { MetricStore } from "./metric-state";

/** Closed panes of one metric, and one to come. */
const PANES_MAX: u32 = 48;
const READER_BYTES: u32 = <u32>(offsetof<BinReader>() + 7 & ~7);
const ROW: i32 = 128;

@unmanaged
export class SpanReader {
  moments: Moments;
  readers: u32;
  count: u32;
  cells: u32;
  rowHigh: i32;
  rowLeft: i32;
  /** 2 if any pane has pairs of bins: then all are read so. Else 1. */
  width: i32;
  /** The bin that stands for all below it, or NO_INDEX. */
  collapsed: i32;
  /** Samples not read yet. */
  left: f64;
  index: i32;
  binCount: f64;
  openPane: OpenReader;
  /** Late samples { i32 index, u32 weight }; those from `rowLow` up have been read. */
  late: u32;
  lateCount: u32;
  rowLow: i32;

  /** The span with the open pane, of which `rows` is the order. */
  open(panes: MetricStore, metric: u32, span: u32, rows: OpenRows): void {
    this.openClosed(panes, metric, span);
    this.moments.merge(panes.openOf(metric));
    this.openPane.open(panes, rows.startOf(metric), rows.endOf(metric));
    this.openPane.next();
    this.openLate(panes, metric, span);
    this.left = this.moments.count;
  }

  /** Those of the late samples that wait which belong to the span. */
  private openLate(panes: MetricStore, metric: u32, span: u32): void {
    for (let index: u32 = 0; index < panes.lateCount; index++) {
      const sample = panes.late + index * LATE_BYTES;
      if (lateMetric(sample) != metric || placeOf(panes, latePane(sample), 0) >> 8 > span) continue;
      this.moments.add(load<f64>(sample), <f64>lateWeight(sample));
      const late = this.late + this.lateCount++ * 8;
      store<i32>(late, this.binOf(indexOf(load<f64>(sample))));
      store<u32>(late, lateWeight(sample), 4);
    }
  }

  /** The span without the open pane. */
  openClosed(panes: MetricStore, metric: u32, span: u32): void {
    const start = mark();
    const own = changetype<Moments>(alloc(offsetof<Moments>()));
    this.count = 0;
    this.collapsed = NO_INDEX;
    this.moments.clear();
    this.width = 1;
    const end = panes.endOf(metric);
    for (let at = panes.panesOf(metric); at < end; at += elementBytes(at))
      if (elementLevel(at) <= span && elementHasPairs(at)) this.width = 2;
    const hasPairs = this.width == 2;
    for (let at = panes.panesOf(metric); at < end; at += elementBytes(at)) {
      if (elementLevel(at) > span) continue;
      const reader = this.readerOf(this.count++);
      this.collapsed = max(this.collapsed, cutIndex(at, reader, hasPairs));
      openBins(reader, at, hasPairs);
      own.count = 0;
      while (reader.next()) own.count += reader.count;
      readNumbers(at, own);
      this.moments.merge(own);
      openBins(reader, at, hasPairs);
      reader.next();
    }
    this.openPane.close();
    this.lateCount = 0;
    this.rowLow = INDEX_MAX + 1;
    this.left = this.moments.count;
    this.rowLeft = 0;
    release(start);
  }

  /** On to the next lower bin; false if there is none. */
  next(): bool {
    if (this.left <= 0) return false;
    while (true) {
      while (this.rowLeft > 0) {
        this.rowLeft -= 1;
        const index = this.rowHigh - (ROW - 1 - this.rowLeft);
        const count = load<f64>(this.cells + ((this.rowHigh - index) << 3));
        if (count == 0) continue;
        if (index <= this.collapsed) break;
        this.index = index;
        this.binCount = count;
        this.left -= count;
        return true;
      }
      if (this.rowLeft > 0 || !this.fillRow()) break;
    }
    if (this.collapsed == NO_INDEX) return false; // Counts beyond 2^53 do not add up to the last.
    // What is left lies at or below the collapsed bin.
    this.index = this.collapsed;
    this.binCount = this.left;
    this.left = 0;
    return true;
  }

  /** Adds up the bins of the next row that has any above the collapsed one. */
  private fillRow(): bool {
    let high = NO_INDEX;
    for (let pane: u32 = 0; pane < this.count; pane++)
      high = max(high, this.readerOf(pane).index);
    const open = this.openPane;
    if (open.index != NO_INDEX) high = max(high, this.binOf(open.index));
    for (let late = this.late; late < this.late + this.lateCount * 8; late += 8)
      if (load<i32>(late) < this.rowLow) high = max(high, load<i32>(late));
    if (high <= this.collapsed || high == NO_INDEX) return false;
    memory.fill(this.cells, 0, ROW << 3);
    for (let pane: u32 = 0; pane < this.count; pane++) {
      const reader = this.readerOf(pane);
      while (reader.index > high - ROW) {
        this.addCell(high - reader.index, reader.count);
        reader.next();
      }
    }
    while (open.index != NO_INDEX && this.binOf(open.index) > high - ROW) {
      this.addCell(high - this.binOf(open.index), <f64>open.count);
      open.next();
    }
    for (let late = this.late; late < this.late + this.lateCount * 8; late += 8) {
      const below = high - load<i32>(late);
      if (below >= 0 && below < ROW) this.addCell(below, <f64>load<u32>(late, 4));
    }
    this.rowLow = high - ROW + 1;
    this.rowHigh = high;
    this.rowLeft = ROW;
    return true;
  }

  /** The index of the bin, or of its pair. */
  // @ts-ignore: decorator
  @inline
  private binOf(index: i32): i32 {
    return this.width == 2 ? pairOf(index) : index;
  }

  // @ts-ignore: decorator
  @inline
  private addCell(below: i32, count: f64): void {
    const cell = this.cells + (below << 3);
    store<f64>(cell, load<f64>(cell) + count);
  }

  // @ts-ignore: decorator
  @inline
  private readerOf(pane: u32): BinReader {
    return changetype<BinReader>(<usize>(this.readers + pane * READER_BYTES));
  }
}

/** A reader in scratch, to be opened. */
export function newSpanReader(): SpanReader {
  const reader = changetype<SpanReader>(alloc(offsetof<SpanReader>()));
  reader.moments = changetype<Moments>(alloc(offsetof<Moments>()));
  reader.readers = <u32>alloc(PANES_MAX * READER_BYTES);
  reader.cells = <u32>alloc(ROW << 3);
  reader.openPane = changetype<OpenReader>(alloc(offsetof<OpenReader>()));
  reader.late = <u32>alloc(LATE_MAX << 3);
  return reader;
}
