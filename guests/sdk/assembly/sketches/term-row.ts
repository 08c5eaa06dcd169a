// One term that is followed over ten minutes, an hour, a day and since the start; see term-
// spans.ts.
//
// A row has a cell for every level pane of the three spans, CELLS of them, and in each cell
//   counted   u32, the term's events there that the row has seen (0xffffffff: that many or more)
//   missed    how many more there can have been, rounded up into 8 bits where the pane is closed;
//             the two open panes that are added to, the hour's and the day's, have 32 bits
// The byte is a number of 5 bits of exponent and 4 of mantissa, exact below 16 and at most an
// eighth too large above; it is written once, when its pane closes, so the rounding never adds up.
import { levelPane, levelPanes, SPAN_DAY, SPAN_TEN_MINUTES } from "../spans";
import { copyKey40, saturatingAdd } from "./bytes";

export const TERM_ROW_BYTES: u32 = 244;
const KIND_MASK: u32 = 127;
const YOUNG: u8 = 128;
/** Level panes of ten minutes, an hour and a day. */
export const CELLS: u32 = 34;
/** Stands for any number from here on. */
export const COUNT_MAX: u32 = 0xffffffff;

const FIRSTS: usize = memory.data<u8>([0, 0, 10, 22]);

/** Number of the cell of a level pane, for the spans from ten minutes to a day. */
@inline
export function cellOf(span: u32, level: u32): u32 {
  return firstCell(span) + level % levelPanes(span);
}

@inline
export function firstCell(span: u32): u32 {
  return <u32>load<u8>(FIRSTS + span);
}

@inline
export function exactOf(count: u32): f64 {
  return count == COUNT_MAX ? Infinity : <f64>count;
}

@unmanaged
export class TermRow {
  /** Events since the start that the row has seen, and how many more there can have been. */
  total: f64;
  totalMissed: f64;
  hash: u32;
  /** Events lately, faded: what decides whether the row is given away. */
  priority: f32;
  openHourMissed: u32;
  openDayMissed: u32;
  // 40 bytes of key, u32[CELLS] counted, u8[CELLS] missed, u8 bytes of the key, u8 kind
  // with YOUNG

  @inline
  get key(): usize {
    return changetype<usize>(this) + 32;
  }

  @inline
  get keyBytes(): u32 {
    return <u32>load<u8>(changetype<usize>(this), 242);
  }

  /** The tokenizer's kind, or KIND_EXPLICIT. */
  @inline
  get kind(): u32 {
    return <u32>load<u8>(changetype<usize>(this), 243) & KIND_MASK;
  }

  /** Whether it began within the minute that is open, and may have missed some of that. */
  @inline
  get isYoung(): bool {
    return (load<u8>(changetype<usize>(this), 243) & YOUNG) != 0;
  }

  @inline
  set isYoung(young: bool) {
    store<u8>(changetype<usize>(this), <u8>this.kind | (young ? YOUNG : 0), 243);
  }

  /** Begins with a key of which nothing is known yet. */
  begin(hash: u32, key: usize, bytes: u32, kind: u32): void {
    memory.fill(changetype<usize>(this), 0, TERM_ROW_BYTES);
    this.hash = hash;
    copyKey40(this.key, key, bytes);
    store<u8>(changetype<usize>(this), <u8>bytes, 242);
    store<u8>(changetype<usize>(this), <u8>kind, 243);
  }

  @inline
  countedAt(cell: u32): usize {
    return changetype<usize>(this) + 72 + (<usize>cell << 2);
  }

  @inline
  missedAt(cell: u32): usize {
    return changetype<usize>(this) + 208 + <usize>cell;
  }

  /** Adds the minute that ends with `pane`: `counted` events seen, at most `missed` more not. */
  addMinute(pane: u32, counted: u32, missed: u32): void {
    if (counted != 0) this.addEvents(pane, pane, counted);
    if (missed == 0) return;
    this.totalMissed += exactOf(missed);
    this.openHourMissed = saturatingAdd(this.openHourMissed, missed);
    this.openDayMissed = saturatingAdd(this.openDayMissed, missed);
    const minute = cellOf(SPAN_TEN_MINUTES, levelPane(SPAN_TEN_MINUTES, pane));
    store<u8>(this.missedAt(minute), byteOf(missed));
  }

  /** Adds events of one pane to all windows that hold it. */
  addEvents(pane: u32, newest: u32, events: u32): void {
    this.total += <f64>events;
    this.priority += <f32>events;
    for (let span = SPAN_TEN_MINUTES; span <= SPAN_DAY; span++) {
      const level = levelPane(span, pane);
      if (levelPane(span, newest) - level >= levelPanes(span)) continue;
      const at = this.countedAt(cellOf(span, level));
      store<u32>(at, saturatingAdd(load<u32>(at), events));
    }
  }

  /** The level pane of the cell is over: what was missed in it is final. */
  close(span: u32, cell: u32): void {
    if (span == SPAN_TEN_MINUTES) return;
    store<u8>(this.missedAt(cell), byteOf(this.openMissed(span)));
    if (span == SPAN_DAY) this.openDayMissed = 0;
    else this.openHourMissed = 0;
  }

  @inline
  clear(cell: u32): void {
    store<u32>(this.countedAt(cell), 0);
    store<u8>(this.missedAt(cell), 0);
  }

  /** Events of the term in one level pane that the row has not seen: at most so many. */
  missed(span: u32, cell: u32, open: u32): f64 {
    if (cell == open && span != SPAN_TEN_MINUTES) return exactOf(this.openMissed(span));
    return numberOf(load<u8>(this.missedAt(cell)));
  }

  /** Events of the term in a window below SPAN_ALL: at least so many. */
  low(span: u32): f64 {
    let sum: u64 = 0;
    const first = firstCell(span);
    const end = first + levelPanes(span);
    for (let cell = first; cell < end; cell++) sum += <u64>load<u32>(this.countedAt(cell));
    return <f64>sum;
  }

  @inline
  setMissed(span: u32, cell: u32, open: u32, missed: u32): void {
    if (cell != open || span == SPAN_TEN_MINUTES) store<u8>(this.missedAt(cell), byteOf(missed));
    else if (span == SPAN_DAY) this.openDayMissed = missed;
    else this.openHourMissed = missed;
  }

  @inline
  private openMissed(span: u32): u32 {
    return span == SPAN_DAY ? this.openDayMissed : this.openHourMissed;
  }
}

/** The least number of a byte that is not below `count`. */
export function byteOf(count: u32): u8 {
  if (count < 16) return <u8>count;
  if (count == COUNT_MAX) return 255;
  const shift = 28 - <u32>clz(count);
  const mantissa = (<u64>count + (1 << <u64>shift) - 1) >> shift;
  // A mantissa of 16 carries into the exponent by itself.
  return <u8>((shift << 3) + <u32>mantissa);
}

export function numberOf(byte: u8): f64 {
  const code = <u32>byte;
  if (code < 16) return <f64>code;
  if (code == 255) return Infinity;
  return <f64>(<u64>((code & 7) | 8) << ((code >> 3) - 1));
}
