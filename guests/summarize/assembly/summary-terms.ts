// The terms of a window with their intervals: what the table of the 60 s window and the rows of the
// longer ones know together.
//
// The rows (term-spans.ts) know everything up to the end of the last minute, the table knows the
// minute that is open. So for each key, of a window longer than 60 s:
//
//   rows   table    low                   high
//   row    slot     row + minute          row + minute
//   row    -        row                   row
//   -      slot     minute                untracked of the rows + minute
//   -      -        0                     untracked of both
//
// A row that began in the minute that is open may have missed some of that too.
import { alloc } from "../../sdk/assembly/arena";
import { NO_SLOT } from "../../sdk/assembly/sketches/space-saving";
import { Minute, readMinute } from "../../sdk/assembly/sketches/term-minute";
import { TermSpans } from "../../sdk/assembly/sketches/term-spans";
import { exactOf } from "../../sdk/assembly/sketches/term-row";
import { readTermSpans } from "./rest";
import { table } from "./state";
import { SPAN_MINUTE } from "./world.gen";

@unmanaged
export class SpanTerm {
  low: f64;
  high: f64;
  key: u32;
  keyBytes: u32;
}

/** The most frequent terms of one window, in that order. Lies in the arena. */
@unmanaged
export class SpanTerms {
  /** At most this many events of any one term that is not listed. */
  untracked: f64;
  count: u32;
  /** At most so many. */
  room: u32;
  terms: u32;

  @inline
  at(rank: u32): SpanTerm {
    return changetype<SpanTerm>(<usize>(this.terms + rank * <u32>offsetof<SpanTerm>()));
  }

  /** Lists a term, if it is one of them. Of equal ones the first that is offered comes first. */
  offer(key: usize, keyBytes: u32, low: f64, high: f64): void {
    let at = this.count;
    if (at == this.room) {
      if (at == 0) return this.leaveOut(high);
      at -= 1;
      const last = this.at(at);
      if (!isBefore(low, high, last)) return this.leaveOut(high);
      this.leaveOut(last.high);
    } else {
      this.count = at + 1;
    }
    for (; at > 0 && isBefore(low, high, this.at(at - 1)); at--) {
      const from = changetype<usize>(this.at(at - 1));
      const to = changetype<usize>(this.at(at));
      v128.store(to, v128.load(from));
      store<u64>(to, load<u64>(from, 16), 16);
    }
    const term = this.at(at);
    term.low = low;
    term.high = high;
    term.key = <u32>key;
    term.keyBytes = keyBytes;
  }

  @inline
  leaveOut(high: f64): void {
    this.untracked = max<f64>(this.untracked, high);
  }
}

/** Those that are left out cost a comparison each. */
export function termsOf(span: u32, room: u32): SpanTerms {
  const terms = changetype<SpanTerms>(alloc(offsetof<SpanTerms>()));
  const rows = readTermSpans();
  terms.terms = <u32>alloc(room * <u32>offsetof<SpanTerm>());
  terms.room = room;
  if (span == SPAN_MINUTE) readWindow(terms);
  else readSpan(terms, rows, span);
  return terms;
}

function readWindow(terms: SpanTerms): void {
  const slots = table();
  terms.untracked = exactOf(slots.upperUntracked());
  for (let slot: u32 = 0; slot < slots.count; slot++) {
    const own = slots.ownOf(slot);
    if (own == 0) continue;
    const record = slots.record(slot);
    terms.offer(record.key, record.keyBytes, <f64>own, exactOf(slots.upper(slot)));
  }
}

function readSpan(terms: SpanTerms, spans: TermSpans, span: u32): void {
  const slots = table();
  const minute = readMinute(slots);
  const untracked = spans.untracked(span);
  terms.untracked = untracked + exactOf(minute.untracked);
  for (let index: u32 = 0; index < spans.count; index++) readRow(terms, spans, minute, index, span);
  for (let slot: u32 = 0; slot < slots.count; slot++) {
    const low = minute.low(slot);
    if (low == 0 || minute.isDone(slot)) continue;
    const record = slots.record(slot);
    const high = untracked + exactOf(minute.high(slot));
    terms.offer(record.key, record.keyBytes, <f64>low, high);
  }
}

function readRow(
  terms: SpanTerms, spans: TermSpans, minute: Minute, index: u32, span: u32,
): void {
  const row = spans.row(index);
  const slot = table().find(row.hash, row.key, row.keyBytes);
  const own = slot == NO_SLOT ? 0 : <f64>minute.low(slot);
  const low = spans.low(index, span) + own;
  const missed = exactOf(spans.minuteMissed(index, table(), minute, slot));
  const high = spans.high(index, span) + own + missed;
  if (slot != NO_SLOT) minute.setDone(slot);
  if (low > 0) terms.offer(row.key, row.keyBytes, low, high);
  else terms.leaveOut(high);
}

@inline
function isBefore(low: f64, high: f64, other: SpanTerm): bool {
  return low != other.low ? low > other.low : high > other.high;
}
