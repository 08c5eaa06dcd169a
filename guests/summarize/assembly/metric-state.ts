// What the metrics of a tenant consist of, and where it lies in their region.
//
//   0      header, 128 bytes
//   128    16 records of 56 bytes: the moments of the open pane, and where the metric's panes are
//   1024   late samples that wait to be added together: 16 of 16 bytes (metric-late.ts)
//   1280   the open pane: an index of 512 bytes, 16 to 255 rows of 12 (metric-open.ts)
//   ..     for each metric its name and its closed panes, back to back, oldest pane first
//
// All zero is empty. Pages are used from the front, and what is given back is zero again.
import { Moments } from "../../sdk/assembly/sketches/moments";
import { levelPanes } from "../../sdk/assembly/spans";

/** METRIC_NAMES_MAX of the host's limits. */
export const METRICS_MAX: u32 = 16;
export const RECORD_BYTES: u32 = 56;
const RECORDS_AT: u32 = 128;
const LATE_AT: u32 = 1024;
export const TABLE_AT: u32 = 1280;
/** Of what has addresses in it. */
export const METRICS_HEAD_BYTES: u32 = LATE_AT;
/** Rows of the open pane, behind their index. */
export const ROWS_AT: u32 = 512;
export const ROW_BYTES: u32 = 12;
export const ROWS_MIN: u32 = 16;
export const ROWS_MAX: u32 = 255;
/** A pane is read in words of 8 bytes, so the last one ends that much before the region does. */
const MARGIN_BYTES: u32 = 8;

@unmanaged
export class MetricStore {
  /** Bytes of the region; 0: nothing was ever added. */
  bytes: u32;
  current: u32;
  /** Bit n: span n is kept. */
  spans: u32;
  count: u32;
  /** Rows of the open pane there is room for, and those in use. */
  rows: u32;
  rowsUsed: u32;
  /** Address behind the last pane. */
  heapEnd: u32;
  /** Late samples that wait. */
  lateCount: u32;
  /** Samples whose name found no room. */
  refused: f64;
  /** Samples that were no finite number. */
  ignored: f64;
  /** Panes that left the window of their span early, for want of room. */
  folded: f64;

  // @ts-ignore: decorator
  @inline
  get base(): u32 {
    return <u32>changetype<usize>(this);
  }

  // @ts-ignore: decorator
  @inline
  get table(): u32 {
    return this.base + TABLE_AT;
  }

  // @ts-ignore: decorator
  @inline
  get late(): u32 {
    return this.base + LATE_AT;
  }

  /** u32 a metric; see names in metrics.ts. */
  // @ts-ignore: decorator
  @inline
  signatureAt(metric: u32): u32 {
    return this.base + offsetof<MetricStore>() + (metric << 2);
  }

  // @ts-ignore: decorator
  @inline
  openOf(metric: u32): Moments {
    return changetype<Moments>(<usize>this.recordAt(metric));
  }

  /** Address of the name, which the panes follow. */
  // @ts-ignore: decorator
  @inline
  nameOf(metric: u32): u32 {
    return load<u32>(this.recordAt(metric), 40);
  }

  // @ts-ignore: decorator
  @inline
  nameBytesOf(metric: u32): u32 {
    return load<u32>(this.recordAt(metric), 48);
  }

  // @ts-ignore: decorator
  @inline
  panesOf(metric: u32): u32 {
    return this.nameOf(metric) + this.nameBytesOf(metric);
  }

  // @ts-ignore: decorator
  @inline
  endOf(metric: u32): u32 {
    return load<u32>(this.recordAt(metric), 44);
  }

  // @ts-ignore: decorator
  @inline
  setEnd(metric: u32, end: u32): void {
    store<u32>(this.recordAt(metric), end, 44);
  }

  /** Whether samples of the window of a span below SPAN_ALL are missing. */
  // @ts-ignore: decorator
  @inline
  isShortened(metric: u32, span: u32): bool {
    return (load<u32>(this.recordAt(metric), 52) >> (span << 2) & 15) != 0;
  }

  /** The samples so far are not all in the window, which so is whole when it has passed them. */
  shorten(metric: u32, span: u32): void {
    const record = this.recordAt(metric);
    const left = load<u32>(record, 52) & ~(15 << (span << 2));
    store<u32>(record, left | levelPanes(span) << (span << 2), 52);
  }

  /** The window of a span below SPAN_ALL has moved on by so many level panes. */
  lengthen(span: u32, moved: u32): void {
    for (let metric: u32 = 0; metric < this.count; metric++) {
      const record = this.recordAt(metric);
      const left = load<u32>(record, 52) >> (span << 2) & 15;
      if (left == 0) continue;
      store<u32>(record, load<u32>(record, 52) - (min(left, moved) << (span << 2)), 52);
    }
  }

  /** What lies before the open pane, METRICS_HEAD_BYTES, with places in the place of addresses. */
  exportHead(to: usize): void {
    memory.copy(to, this.base, METRICS_HEAD_BYTES);
    this.relocate(to, 0 - this.base);
  }

  /** The same, as it was exported. False: it was of a region of another size. */
  importHead(from: usize, bytes: u32): bool {
    const at = changetype<MetricStore>(from);
    if (at.bytes != bytes || at.heapEnd > bytes || at.count > METRICS_MAX) return false;
    this.relocate(from, this.base);
    memory.copy(this.base, from, METRICS_HEAD_BYTES);
    return true;
  }

  private relocate(head: usize, by: u32): void {
    const at = changetype<MetricStore>(head);
    at.heapEnd += by;
    at.shiftFrom(0, by);
  }

  get free(): u32 {
    return this.base + this.bytes - MARGIN_BYTES - this.heapEnd;
  }

  /** Opens a metric with no panes behind all others; there is room for its name. */
  append(name: usize, nameBytes: u32): u32 {
    const metric = this.count++;
    const record = this.recordAt(metric);
    store<u32>(record, this.heapEnd, 40);
    memory.copy(this.heapEnd, name, nameBytes);
    this.heapEnd += nameBytes;
    store<u32>(record, this.heapEnd, 44);
    store<u32>(record, nameBytes, 48);
    return metric;
  }

  /** Moves what is at `from` and behind it, later metrics included, to `to`. */
  moveTail(from: u32, to: u32, metric: u32): void {
    if (from == to) return;
    memory.copy(to, from, this.heapEnd - from);
    const end = this.heapEnd + to - from;
    if (end < this.heapEnd) memory.fill(end, 0, this.heapEnd - end);
    this.heapEnd = end;
    this.setEnd(metric, this.endOf(metric) + to - from);
    this.shiftFrom(metric + 1, to - from);
  }

  /** The places of a metric and those behind it have moved. */
  shiftFrom(metric: u32, by: u32): void {
    for (let other = metric; other < this.count; other++) {
      const record = this.recordAt(other);
      store<u32>(record, load<u32>(record, 40) + by, 40);
      store<u32>(record, load<u32>(record, 44) + by, 44);
    }
  }

  // @ts-ignore: decorator
  @inline
  private recordAt(metric: u32): u32 {
    return this.base + RECORDS_AT + metric * RECORD_BYTES;
  }
}
