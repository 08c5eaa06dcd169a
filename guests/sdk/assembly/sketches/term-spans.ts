// Which terms were said most in ten minutes, an hour, a day and since the start: proven intervals.
//
// The table of the 60 s window (space-saving.ts) meets every event; this one meets that table, once
// a minute, and so costs next to nothing. It has a few rows (term-row.ts), one for each term that
// it follows, and for all other terms together one bound per level pane.
//
// A minute ends. What the key of a row has in its slot is added to the row. The key may have had
// other slots in the minute, and lost them: what it had there was put into the row whenever that
// happened (`keep`), so from the minute after its first on a row misses nothing at all, however
// few slots the table has. (A row that began within the minute, of a late event, goes by the
// table's interval of the key's events in the minute, see term-minute.ts: it adds the lower end to
// its counts and the width to what it may have missed; without a slot [0, untracked].) Then keys
// without a row may take one (below), with their intervals, and of those that get none the largest
// upper end is what any untracked key can have had: it is added to `bound` of the level panes that
// the minute is in.
//
//   bound[p] >= events in p of any key without a row
//
// holds from minute to minute by that addition, and when a row is given away because bound[p] is
// raised to what the row's key can have had in p. A key that gets a row begins with nothing counted
// and bound[p] missed. Hence for every key, in every span,
//   row:    sum of counted <= truth <= sum of counted + sum of min(missed, bound) over its cells
//   no row: 0              <= truth <= sum of bound
// and the minute that is still open comes on top, read from the table of the window when asked. As
// long as neither table ever had to choose, all bounds are 0 and every count is exact.
//
// Late events, of a minute that is over, are told one by one: they are counted in the row of their
// key, or else widen the bounds of their level panes.
//
// Who gets a row. A row has a priority: its events, fading by a quarter a minute, so about four
// times its events a minute. The largest of the hour, the day and all time, taken in turn, and of
// ten minutes every other turn, are safe in up to three rows of four; the others must give way to a
// key whose events of this minute, less one standard deviation, show a greater priority. (Plain
// Space-Saving, which hands a row to every newcomer, is right where nothing is known of newcomers.
// Here their counts are known, and 24 rows handed on 250 times a minute would hold nothing.) Among
// late events nothing is known of a newcomer, so there the refused ones add up to a `challenge`,
// and the key that brings it to the least priority takes over both: Space-Saving's inherited
// credit, paid once and not by every event.
//
// Where rows lie. In an array of their owner's, or, while that is short, the first ROWS_NEAR there
// and ROWS_FAR more in a 4 KiB page apart: `spread` and `gather` move them. Room for 127 at most.
//
// Cost: 244 bytes a row and a head of 168. A minute of 256 slots some 10 us, a late event O(rows).
// Checked against exact counts, with the real table of the window, by
// guests/sdk/term-spans.test.ts.
import { alloc, mark, release } from "../arena";
import {
  levelPane, levelPanes, PANE_BIAS, panesOfLevel, SPAN_ALL, SPAN_DAY, SPAN_TEN_MINUTES,
} from "../spans";
import { equalBytes, saturatingAdd } from "./bytes";
import { NO_SLOT, SpaceSaving } from "./space-saving";
import { Minute, readMinute } from "./term-minute";
import { cellOf, CELLS, COUNT_MAX, exactOf, firstCell, TERM_ROW_BYTES, TermRow } from "./term-row";

export const NO_ROW: u32 = 0xffffffff;
/** Rows of a table whose others lie in a page apart, and how many those are. */
const ROWS_NEAR: u32 = 3;
const ROWS_FAR: u32 = 16;
/** The page apart: the last of the 64 KiB that the near ones are in. */
const FAR_PAGE: usize = 0xf000;
/** Of the rows there. */
export const FAR_ROWS_BYTES: u32 = ROWS_FAR * TERM_ROW_BYTES;
const SPREAD: u8 = 128;
const ROWS_PART_BITS: u32 = 2;
/** Three rows of four may be safe. */
const SAFE_PARTS: u32 = 3;
const SAFE_OF: u32 = 4;
const UNRANKED: u32 = 255;
const FADE: f32 = 0.75;
const MINUTES_OF_PRIORITY: f32 = 4;
/** What a term said once in a minute shows. */
const PRIORITY_OF_ONE: f32 = 0.2;

/** The head. Zeros are an empty table without rows; `bind` says where the rows are. */
@unmanaged
export class TermSpans {
  /** At most this many events of any one key without a row were there since the start. First. */
  boundAll: f64;
  /** A bit for each value of the highest bits of a hash that a row's key has. */
  private filter: u64;
  /** The newest pane; 0: there was none yet. */
  pane: u32;
  /** Where the rows begin, TERM_ROW_BYTES each, in words of 4 bytes. */
  private rowsPart: u16;
  /** How many rows there is room for, and SPREAD. */
  private room: u8;
  private used: u8;
  /** Late events of keys without a row since one of them last got a row, faded. */
  private challenge: f32;
  /** No row gives way to a challenge below this. */
  private challengeLeast: f32;
  // u32[CELLS] bounds

  /**
   * Says where the rows are and how many there is room for: at first, and when they have moved. If
   * they are spread, these are the near ones.
   */
  bind(rows: usize, capacity: u32): void {
    this.rowsPart = <u16>(rows >> ROWS_PART_BITS);
    if (!this.isSpread) this.room = <u8>capacity;
    this.challengeLeast = 0;
  }

  /** The head without its address, TERM_SPANS_HEAD_BYTES. */
  exportHead(to: usize): void {
    memory.copy(to, changetype<usize>(this), TERM_SPANS_HEAD_BYTES);
    store<u16>(to, 0, offsetof<TermSpans>("rowsPart"));
  }

  /** The head as it was exported; bound already, and so it stays. False: it is of another room. */
  importHead(from: usize): bool {
    const rowsPart = this.rowsPart;
    const capacity = this.capacity;
    memory.copy(changetype<usize>(this), from, TERM_SPANS_HEAD_BYTES);
    this.rowsPart = rowsPart;
    return this.capacity == (this.isSpread ? ROWS_NEAR + ROWS_FAR : capacity);
  }

  /** Where the page apart is, and bytes of the rows that may lie there. */
  get farRows(): usize {
    return this.rowAt(ROWS_NEAR);
  }

  @inline
  get capacity(): u32 {
    return <u32>(this.room & ~SPREAD);
  }

  /** Rows in use: 0 .. count - 1. */
  @inline
  get count(): u32 {
    return <u32>this.used;
  }

  @inline
  set count(count: u32) {
    this.used = <u8>count;
  }

  @inline
  get isSpread(): bool {
    return (this.room & SPREAD) != 0;
  }

  /** Room for 19 rows: from the fourth on in a page of zeros of their own. */
  spread(): void {
    const bytes = <usize>(max(this.count, ROWS_NEAR) - ROWS_NEAR) * TERM_ROW_BYTES;
    const from = this.rowAt(ROWS_NEAR);
    this.room = <u8>(ROWS_NEAR + ROWS_FAR) | SPREAD;
    memory.copy(this.rowAt(ROWS_NEAR), from, bytes);
    memory.fill(from, 0, bytes);
    this.challengeLeast = 0;
  }

  /** All rows behind the near ones again, where there is room for `capacity`; the page is zeros. */
  gather(capacity: u32): void {
    this.shrink(capacity);
    const bytes = <usize>(max(this.count, ROWS_NEAR) - ROWS_NEAR) * TERM_ROW_BYTES;
    const from = this.rowAt(ROWS_NEAR);
    this.room = <u8>capacity;
    memory.copy(this.rowAt(ROWS_NEAR), from, bytes);
    memory.fill(from, 0, bytes);
  }

  /** Forgets the rows, but not the bounds. */
  empty(): void {
    for (let index: u32 = 0; index < this.count; index++)
      memory.fill(this.rowAt(index), 0, TERM_ROW_BYTES);
    this.used = 0;
    this.room = 0;
    this.filter = 0;
  }

  /** Notes anew which keys have rows. */
  refilter(): void {
    let filter: u64 = 0;
    for (let index: u32 = 0; index < this.count; index++) filter |= bitOf(this.row(index).hash);
    this.filter = filter;
  }

  /** Gives up rows, least first, until at most `capacity` are in use. The rest of them is zeros. */
  shrink(capacity: u32): void {
    while (this.count > capacity) {
      const row = this.victim(capacity);
      this.giveUp(row, 0, this.boundAt(0), changetype<usize>(this));
      const last = this.count - 1;
      if (row != last) memory.copy(this.rowAt(row), this.rowAt(last), TERM_ROW_BYTES);
      memory.fill(this.rowAt(last), 0, TERM_ROW_BYTES);
      this.count = last;
    }
    this.room = <u8>capacity | (this.room & SPREAD);
    this.challengeLeast = 0;
    this.refilter();
  }

  /**
   * Hot. Before a key loses its slot: its row, if it has one, takes what it had there in the minute
   * that is open.
   */
  @inline
  keep(table: SpaceSaving, slot: u32): void {
    const hash = load<u32>(table.hashes + (slot << 2));
    if ((this.filter & bitOf(hash)) != 0) this.keepSlot(table, slot, hash);
  }

  /** Whether the minute of the newest pane is over when that is `current`. */
  endsMinute(current: u32): bool {
    return this.pane != 0 && current > this.pane && this.isLate(current);
  }

  /**
   * The newest pane becomes `current`. Before the table of the window, whose newest pane is still
   * the last one told here, rolls.
   */
  advance(table: SpaceSaving, current: u32): void {
    if (current <= this.pane) return;
    if (this.endsMinute(current)) {
      this.addMinute(table);
      this.roll(current);
    }
    this.pane = current;
  }

  /** Whether an event of `pane` must be told to `addLate`: its minute is over. */
  @inline
  isLate(pane: u32): bool {
    return minuteOf(pane) != minuteOf(this.pane);
  }

  /** Events of a key in a pane that `isLate`, whether the 60 s window holds it or not. */
  addLate(hash: u32, key: usize, bytes: u32, kind: u32, pane: u32, events: u32): void {
    if (!this.isLate(pane) || pane > this.pane) return;
    let row = this.find(hash, key, bytes);
    if (row == NO_ROW) row = this.rowForLate(hash, key, bytes, kind, <f32>events);
    if (row == NO_ROW) this.widen(pane, events);
    else this.row(row).addEvents(pane, this.pane, events);
  }

  /** The row of a key, or NO_ROW. */
  find(hash: u32, key: usize, bytes: u32): u32 {
    for (let index: u32 = 0; index < this.count; index++) {
      const row = this.row(index);
      if (row.hash != hash || row.keyBytes != bytes) continue;
      if (equalBytes(row.key, key, bytes)) return index;
    }
    return NO_ROW;
  }

  /** At least this many events of a row's key, without the open minute. Not SPAN_MINUTE. */
  low(index: u32, span: u32): f64 {
    return span == SPAN_ALL ? this.row(index).total : this.row(index).low(span);
  }

  /** At most this many events of a row's key, without the open minute. */
  high(index: u32, span: u32): f64 {
    const row = this.row(index);
    if (span == SPAN_ALL) return row.total + min<f64>(row.totalMissed, this.boundAll);
    let sum: f64 = 0;
    const first = firstCell(span);
    const open = this.openCell(span);
    for (let cell = first; cell < first + levelPanes(span); cell++)
      sum += this.highAt(row, span, cell, open, 0);
    return sum;
  }

  /** At most this many events of any key without a row, without the open minute. */
  untracked(span: u32): f64 {
    if (span == SPAN_ALL) return this.boundAll;
    let sum: f64 = 0;
    const first = firstCell(span);
    for (let cell = first; cell < first + levelPanes(span); cell++)
      sum += exactOf(load<u32>(this.boundAt(cell)));
    return sum;
  }

  /**
   * At most this many events of a row's key in the open minute are neither in the row nor in its
   * slot, if it has one.
   */
  minuteMissed(index: u32, table: SpaceSaving, minute: Minute, slot: u32): u32 {
    if (table.isWhole && !this.row(index).isYoung) return 0;
    if (slot == NO_SLOT) return minute.untracked;
    const high = minute.high(slot);
    return high == COUNT_MAX ? COUNT_MAX : high - minute.low(slot);
  }

  @inline
  row(index: u32): TermRow {
    return changetype<TermRow>(this.rowAt(index));
  }

  @inline
  private rowAt(index: u32): usize {
    const near = <usize>this.rowsPart << ROWS_PART_BITS;
    if (this.isSpread && index >= ROWS_NEAR)
      return (near & ~0xffff | FAR_PAGE) + <usize>(index - ROWS_NEAR) * TERM_ROW_BYTES;
    return near + <usize>index * TERM_ROW_BYTES;
  }

  @inline
  private boundAt(cell: u32): usize {
    return changetype<usize>(this) + offsetof<TermSpans>() + (<usize>cell << 2);
  }

  @inline
  private openCell(span: u32): u32 {
    return cellOf(span, levelPane(span, this.pane));
  }

  /**
   * What a row has missed is at most the bound, for it missed nothing that the bound does not count
   * too; `unbound` of the newest minute, if that is about to be added to the bound.
   */
  private highAt(row: TermRow, span: u32, cell: u32, open: u32, unbound: u32): f64 {
    let bound = exactOf(load<u32>(this.boundAt(cell)));
    if (cell == open) bound += exactOf(unbound);
    return exactOf(load<u32>(row.countedAt(cell))) + min<f64>(row.missed(span, cell, open), bound);
  }

  /** The minute of `pane` is over. */
  private addMinute(table: SpaceSaving): void {
    const start = mark();
    const minute = readMinute(table);
    this.addToRows(table, minute);
    // What rows that are given away leave behind: bounds to be raised to, once the minute's own are
    // added, which count those keys no more.
    const left = alloc((CELLS << 2) + 8, 8);
    const leftAll = left + (CELLS << 2);
    this.admit(table, minute, left, leftAll);
    let most = minute.untracked;
    for (let slot: u32 = 0; slot < table.count; slot++)
      if (!minute.isDone(slot) && minute.low(slot) != 0) most = max(most, minute.high(slot));
    if (most != 0) this.widen(this.pane, most);
    this.raiseBounds(left, leftAll);
    this.refilter();
    this.challengeLeast = 0;
    release(start);
  }

  private addToRows(table: SpaceSaving, minute: Minute): void {
    for (let index: u32 = 0; index < this.count; index++) {
      const row = this.row(index);
      const slot = table.find(row.hash, row.key, row.keyBytes);
      const missed = this.minuteMissed(index, table, minute, slot);
      row.addMinute(this.pane, slot == NO_SLOT ? 0 : minute.low(slot), missed);
      row.isYoung = false;
      if (slot != NO_SLOT) minute.setDone(slot);
    }
  }

  private keepSlot(table: SpaceSaving, slot: u32, hash: u32): void {
    const record = table.record(slot);
    const index = this.find(hash, record.key, record.keyBytes);
    if (index == NO_ROW) return;
    let events: u64 = 0;
    for (let pane = max(table.low, minuteStart(this.pane)); pane <= this.pane; pane++)
      events += <u64>load<u32>(table.cell(pane, slot));
    if (events != 0)
      this.row(index).addEvents(this.pane, this.pane, <u32>min<u64>(events, COUNT_MAX));
  }

  /** Gives rows to the keys that deserve one more than those that have them. */
  private admit(table: SpaceSaving, minute: Minute, left: usize, leftAll: usize): void {
    // Which rows are safe, found out when it first matters; a row that changes hands is not.
    let ranks: usize = 0;
    let safe: u32 = 0;
    while (true) {
      const slot = minute.largest(table.count);
      if (slot == table.count) return;
      const priority = priorityOf(minute.low(slot));
      let index = this.count;
      if (index == this.capacity) {
        if (!(this.leastPriority() < priority)) return;
        if (ranks == 0) {
          ranks = this.rankRows();
          safe = safeRank(ranks, index, index * SAFE_PARTS / SAFE_OF);
        }
        index = this.leastFrom(ranks, safe);
        if (index == NO_ROW || this.row(index).priority >= priority) return;
        this.giveUp(index, minute.untracked, left, leftAll);
        store<u8>(ranks + index, <u8>UNRANKED);
      } else {
        this.count = index + 1;
      }
      const record = table.record(slot);
      const hash = load<u32>(table.hashes + (slot << 2));
      this.begin(index, hash, record.key, record.keyBytes, record.kind);
      const row = this.row(index);
      addSlot(row, this.pane, minute, slot);
      row.priority = max<f32>(row.priority, priority);
      minute.setDone(slot);
    }
  }

  private rowForLate(hash: u32, key: usize, bytes: u32, kind: u32, events: f32): u32 {
    let index = this.count;
    let priority = events;
    if (index < this.capacity) {
      this.count = index + 1;
      this.begin(index, hash, key, bytes, kind);
    } else {
      this.challenge += events;
      if (this.challenge < this.challengeLeast) return NO_ROW;
      index = this.rowBelow(this.challenge);
      if (index == NO_ROW) {
        this.challengeLeast = this.challenge + this.challenge * 0.125;
        return NO_ROW;
      }
      priority = this.challenge;
      this.challenge = 0;
      this.replace(index, hash, key, bytes, kind);
    }
    // The events themselves are still to be added.
    const row = this.row(index);
    row.priority = max<f32>(0, priority - events);
    row.isYoung = true;
    this.refilter();
    return index;
  }

  /** A key takes the place of another at once: it can have had what the bounds said before. */
  private replace(index: u32, hash: u32, key: usize, bytes: u32, kind: u32): void {
    const start = mark();
    const left = alloc((CELLS << 2) + 8, 8);
    const leftAll = left + (CELLS << 2);
    this.giveUp(index, 0, left, leftAll);
    this.begin(index, hash, key, bytes, kind);
    this.raiseBounds(left, leftAll);
    release(start);
  }

  private begin(index: u32, hash: u32, key: usize, bytes: u32, kind: u32): void {
    const row = this.row(index);
    row.begin(hash, key, bytes, kind);
    row.totalMissed = this.boundAll;
    for (let span = SPAN_TEN_MINUTES; span <= SPAN_DAY; span++) {
      const first = firstCell(span);
      const open = this.openCell(span);
      for (let cell = first; cell < first + levelPanes(span); cell++)
        row.setMissed(span, cell, open, load<u32>(this.boundAt(cell)));
    }
  }

  /** What the key of a row can have had goes into u32[CELLS] at `left` and the f64 at `leftAll`. */
  private giveUp(index: u32, unbound: u32, left: usize, leftAll: usize): void {
    const row = this.row(index);
    for (let span = SPAN_TEN_MINUTES; span <= SPAN_DAY; span++) {
      const first = firstCell(span);
      const open = this.openCell(span);
      for (let cell = first; cell < first + levelPanes(span); cell++)
        raise(left + (cell << 2), cellCount(this.highAt(row, span, cell, open, unbound)));
    }
    const missed = min<f64>(row.totalMissed, this.boundAll + exactOf(unbound));
    store<f64>(leftAll, max<f64>(load<f64>(leftAll), row.total + missed));
  }

  private raiseBounds(left: usize, leftAll: usize): void {
    for (let cell: u32 = 0; cell < CELLS; cell++)
      raise(this.boundAt(cell), load<u32>(left + (cell << 2)));
    this.boundAll = max<f64>(this.boundAll, load<f64>(leftAll));
  }

  /** Any key without a row may have had `events` more in `pane`. */
  private widen(pane: u32, events: u32): void {
    this.boundAll += exactOf(events);
    for (let span = SPAN_TEN_MINUTES; span <= SPAN_DAY; span++) {
      const level = levelPane(span, pane);
      if (levelPane(span, this.pane) - level >= levelPanes(span)) continue;
      const at = this.boundAt(cellOf(span, level));
      store<u32>(at, saturatingAdd(load<u32>(at), events));
    }
  }

  /** The row to give away to a key of a higher priority, or NO_ROW. */
  private rowBelow(priority: f32): u32 {
    if (!(this.leastPriority() < priority)) return NO_ROW;
    const index = this.victim(this.capacity);
    return this.row(index).priority < priority ? index : NO_ROW;
  }

  /** The row with the least priority of those that are not safe among `capacity`. */
  private victim(capacity: u32): u32 {
    const start = mark();
    const ranks = this.rankRows();
    const safe = safeRank(ranks, this.count, capacity * SAFE_PARTS / SAFE_OF);
    const victim = this.leastFrom(ranks, safe);
    release(start);
    return victim;
  }

  private leastPriority(): f32 {
    let least: f32 = Infinity;
    for (let index: u32 = 0; index < this.count; index++)
      least = min<f32>(least, this.row(index).priority);
    return least;
  }

  /** For each row its best rank among the windows' largest: u8s, in fresh scratch. */
  private rankRows(): usize {
    const count = this.count;
    const ranks = alloc(count, 1);
    const lows = alloc(count << 3);
    memory.fill(ranks, <u8>UNRANKED, count);
    for (let span = SPAN_TEN_MINUTES; span <= SPAN_ALL; span++) {
      for (let index: u32 = 0; index < count; index++)
        store<f64>(lows + (<usize>index << 3), this.low(index, span));
      rank(lows, ranks, count, span == SPAN_TEN_MINUTES ? 2 : 1);
    }
    return ranks;
  }

  /** The row with the least priority of those whose rank does not make them safe. */
  private leastFrom(ranks: usize, safe: u32): u32 {
    let least = NO_ROW;
    for (let index: u32 = 0; index < this.count; index++) {
      if (<u32>load<u8>(ranks + index) < safe) continue;
      if (least == NO_ROW || this.row(index).priority < this.row(least).priority) least = index;
    }
    return least;
  }

  /** The windows move on: what leaves them is forgotten, and priorities fade. */
  private roll(current: u32): void {
    let minutes = min(minuteOf(current) - minuteOf(this.pane), 400);
    let fade: f32 = 1;
    while (minutes-- > 0) fade *= FADE;
    this.challenge *= fade;
    this.challengeLeast = 0;
    for (let index: u32 = 0; index < this.count; index++) this.row(index).priority *= fade;
    for (let span = SPAN_TEN_MINUTES; span <= SPAN_DAY; span++) {
      const from = levelPane(span, this.pane);
      const to = levelPane(span, current);
      if (from == to) continue;
      for (let index: u32 = 0; index < this.count; index++)
        this.row(index).close(span, cellOf(span, from));
      const moved = min(to - from, levelPanes(span));
      for (let back: u32 = 0; back < moved; back++) this.clear(cellOf(span, to - back));
    }
  }

  private clear(cell: u32): void {
    store<u32>(this.boundAt(cell), 0);
    for (let index: u32 = 0; index < this.count; index++) this.row(index).clear(cell);
  }
}

export const TERM_SPANS_HEAD_BYTES: u32 = 168;

@inline
function minuteOf(pane: u32): u32 {
  return levelPane(SPAN_TEN_MINUTES, pane);
}

/** The first pane of the minute of `pane`. */
@inline
function minuteStart(pane: u32): u32 {
  return (minuteOf(pane) - PANE_BIAS) * panesOfLevel(SPAN_TEN_MINUTES) + PANE_BIAS;
}

@inline
function bitOf(hash: u32): u64 {
  return <u64>1 << <u64>(hash >> 26);
}

function addSlot(row: TermRow, pane: u32, minute: Minute, slot: u32): void {
  const low = minute.low(slot);
  const high = minute.high(slot);
  row.addMinute(pane, low, high == COUNT_MAX ? COUNT_MAX : high - low);
}

/** The priority that so many events in one minute show: their rate, less one standard deviation. */
function priorityOf(events: u32): f32 {
  const count = <f32>events;
  return max<f32>(PRIORITY_OF_ONE, MINUTES_OF_PRIORITY * (count - sqrt<f32>(count)));
}

@inline
function raise(at: usize, bound: u32): void {
  if (load<u32>(at) < bound) store<u32>(at, bound);
}

@inline
function cellCount(count: f64): u32 {
  return count < <f64>COUNT_MAX ? <u32>count : COUNT_MAX;
}

/**
 * Lowers the rank of each row to its place among `lows`, 1 for the largest, times `step`, if that
 * is better.
 */
function rank(lows: usize, ranks: usize, count: u32, step: u32): void {
  for (let index: u32 = 0; index < count; index++) {
    const low = load<f64>(lows + (<usize>index << 3));
    if (!(low > 0)) continue;
    let place: u32 = 1;
    for (let other: u32 = 0; other < count; other++) {
      const otherLow = load<f64>(lows + (<usize>other << 3));
      if (otherLow > low || (otherLow == low && other < index)) place += 1;
    }
    store<u8>(ranks + index, <u8>min<u32>(place * step, <u32>load<u8>(ranks + index)));
  }
}

/** The rank up to which all rows together are at most `most`. */
function safeRank(ranks: usize, count: u32, most: u32): u32 {
  for (let safe: u32 = 0; safe < UNRANKED; safe++) {
    let rows: u32 = 0;
    for (let index: u32 = 0; index < count; index++)
      if (<u32>load<u8>(ranks + index) <= safe) rows += 1;
    if (rows > most) return safe;
  }
  return UNRANKED;
}
