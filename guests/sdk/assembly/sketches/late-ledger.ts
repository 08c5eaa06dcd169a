// What came too late for the 60 s window: how many events, how late, and the last examples.
//
// Lateness is measured against the tenant's watermark, `asOfMs`: the host's time for a tenant on
// the wall clock, the newest time any event has had for one on the event clock. An event is late
// once its pane has left the 60 s window; it still counts in every longer span whose window holds
// it (the day's does if any does), and in all sums since the start.
//
// Exact: nothing here is an estimate. Counts by lateness stop at 2^32 - 1; the others at 2^53.
//
// Layout: a head of 48 bytes, then as many examples of 52 bytes as the owner gives room for, newest
// first; the ledger is (48 + 52 * examples) bytes: 100 for one, 256 for four. Zero bytes are an
// empty ledger, so it grows by zeros behind it and shrinks by forgetting what is cut off. Recording
// a late event moves the examples down: O(examples).
// Checked against a list of all late events by guests/sdk/late-ledger.test.ts.
import { levelPane, levelPanes, SPAN_DAY } from "../spans";
import { saturatingAdd } from "./bytes";

export const LEDGER_HEAD_BYTES: u32 = 48;
export const LATE_EXAMPLE_BYTES: u32 = 52;
export const LATE_EXAMPLES_MAX: u32 = 4;
export const LATE_ID_BYTES_MAX: u32 = 40;
/** Up to 2 min, 10 min, 1 h, 24 h, more. */
export const LATENESS_COUNT: u32 = 5;

const TIME_MAX_MS: f64 = 1e13;
const LENGTH_MASK: u32 = 63;
const IS_CUT: u32 = 64;
const IS_USED: u32 = 128;

@unmanaged
export class LateLedger {
  /** Late events. */
  count: f64;
  lateByMsMax: f64;
  /** Those of them that still counted in a longer span. */
  countedInLonger: f64;
  private upTo2Minutes: u32;
  private upTo10Minutes: u32;
  private upTo1Hour: u32;
  private upTo24Hours: u32;
  private more: u32;
  private reserved: u32;

  /**
   * Records an event whose pane has left the 60 s window, standing for `events` of them. `current`:
   * the newest pane; `examples`: how many there is room for.
   */
  add(
    tsMs: f64, asOfMs: f64, events: u32, pane: u32, current: u32, id: usize, idBytes: u32,
    examples: u32,
  ): void {
    const whenMs = wholeMs(tsMs);
    const lateByMs = max<f64>(0, wholeMs(asOfMs) - whenMs);
    this.count += <f64>events;
    this.lateByMsMax = max<f64>(this.lateByMsMax, lateByMs);
    if (isInDay(pane, current)) this.countedInLonger += <f64>events;
    const cell = this.cellAt(classOf(lateByMs));
    store<u32>(cell, saturatingAdd(load<u32>(cell), events));
    if (examples == 0) return;
    const first = this.exampleAt(0);
    memory.copy(first + LATE_EXAMPLE_BYTES, first, (examples - 1) * LATE_EXAMPLE_BYTES);
    changetype<LateExample>(first).write(<u64>whenMs, <u64>lateByMs, id, idBytes);
  }

  /** Events of one class of lateness, 0 .. LATENESS_COUNT - 1. */
  byLateness(index: u32): f64 {
    return <f64>load<u32>(this.cellAt(index));
  }

  /** How many examples there are, of at most so many. */
  exampleCount(examples: u32): u32 {
    let count: u32 = 0;
    while (count < examples && this.example(count).isUsed) count += 1;
    return count;
  }

  /** The newest is 0. */
  @inline
  example(index: u32): LateExample {
    return changetype<LateExample>(this.exampleAt(index));
  }

  @inline
  private exampleAt(index: u32): usize {
    return changetype<usize>(this) + LEDGER_HEAD_BYTES + <usize>(index * LATE_EXAMPLE_BYTES);
  }

  @inline
  private cellAt(index: u32): usize {
    return changetype<usize>(this) + offsetof<LateLedger>("upTo2Minutes") + (<usize>index << 2);
  }
}

/** A late event. Both times are whole ms of at most 44 bits. */
@unmanaged
export class LateExample {
  private tsLow: u32;
  private lateByLow: u32;
  /** Length of the id, whether it is cut, whether there is an event; 12 bits of each time. */
  private rest: u32;

  write(tsMs: u64, lateByMs: u64, id: usize, idBytes: u32): void {
    let kept = idBytes;
    let flags = IS_USED;
    if (kept > LATE_ID_BYTES_MAX) {
      kept = LATE_ID_BYTES_MAX;
      while (kept > 0 && (load<u8>(id + kept) & 0xc0) == 0x80) kept -= 1;
      flags |= IS_CUT;
    }
    this.tsLow = <u32>tsMs;
    this.lateByLow = <u32>lateByMs;
    this.rest = kept | flags | (<u32>(tsMs >> 32) << 8) | (<u32>(lateByMs >> 32) << 20);
    memory.copy(this.id, id, kept);
    memory.fill(this.id + kept, 0, LATE_ID_BYTES_MAX - kept);
  }

  @inline
  get isUsed(): bool {
    return (this.rest & IS_USED) != 0;
  }

  /** Its first bytes, whole code points, if the id is longer than LATE_ID_BYTES_MAX. */
  @inline
  get id(): usize {
    return changetype<usize>(this) + offsetof<LateExample>();
  }

  /** 0: the event has no id (or, cut, one that is not UTF-8). */
  @inline
  get idBytes(): u32 {
    return this.rest & LENGTH_MASK;
  }

  @inline
  get isCut(): bool {
    return (this.rest & IS_CUT) != 0;
  }

  @inline
  get tsMs(): f64 {
    return <f64>((<u64>((this.rest >> 8) & 0xfff) << 32) | <u64>this.tsLow);
  }

  @inline
  get lateByMs(): f64 {
    return <f64>((<u64>(this.rest >> 20) << 32) | <u64>this.lateByLow);
  }
}

/** Whether a window longer than 60 s holds the pane. */
@inline
function isInDay(pane: u32, current: u32): bool {
  const level = levelPane(SPAN_DAY, current);
  return level - levelPane(SPAN_DAY, min(pane, current)) < levelPanes(SPAN_DAY);
}

function classOf(lateByMs: f64): u32 {
  if (lateByMs <= 120_000) return 0;
  if (lateByMs <= 600_000) return 1;
  if (lateByMs <= 3_600_000) return 2;
  return lateByMs <= 86_400_000 ? 3 : 4;
}

@inline
function wholeMs(ms: f64): f64 {
  return ms > 0 ? floor<f64>(min<f64>(ms, TIME_MAX_MS)) : 0;
}
