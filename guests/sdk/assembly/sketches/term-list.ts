// The terms of a span, most said first, from the rows of term-spans.ts and the minute that is open;
// and the portable form in which they are merged with those of others (term-merge.ts).
//
// Every term is listed with [low, high], between which its true count lies; `unlisted` is the most
// that any term can have had that is not listed, whatever the reason. Portable form:
//   0  u32 n | 4 u32 0 | 8 f64 unlisted
//   16 n terms: { f64 low, f64 high, u16 bytes of the key, u16 0, u32 0, key, zeros up to 8 }
import { alloc, mark, release } from "../arena";
import { SPAN_MINUTE } from "../spans";
import { NO_SLOT, SpaceSaving } from "./space-saving";
import { Minute, readMinute } from "./term-minute";
import { exactOf } from "./term-row";
import { TermSpans } from "./term-spans";

export const TERMS_HEAD_BYTES: u32 = 16;
export const TERM_HEAD_BYTES: u32 = 24;

@unmanaged
export class TermEntry {
  low: f64;
  /** The count is exact if this is `low`; infinite, if counting has come to its end. */
  high: f64;
  key: u32;
  keyBytes: u32;
  /** The tokenizer's kind, or KIND_EXPLICIT. */
  kind: u32;
  private reserved: u32;
}

@unmanaged
export class TermList {
  /** At most this many events of any one term that is not listed. */
  unlisted: f64;
  count: u32;
  private room: u32;

  @inline
  entry(index: u32): TermEntry {
    return changetype<TermEntry>(this.entryAt(index));
  }

  @inline
  private entryAt(index: u32): usize {
    return changetype<usize>(this) + offsetof<TermList>() +
      <usize>index * offsetof<TermEntry>();
  }

  /** Puts a term in its place. Of equal ones the first offered comes first. */
  offer(low: f64, high: f64, key: usize, keyBytes: u32, kind: u32): void {
    if (low <= 0) return this.leaveOut(high);
    let at = this.count;
    if (at == this.room) {
      if (at == 0 || this.entry(at - 1).low >= low) return this.leaveOut(high);
      at -= 1;
      this.leaveOut(this.entry(at).high);
    } else {
      this.count = at + 1;
    }
    while (at > 0 && this.entry(at - 1).low < low) {
      memory.copy(this.entryAt(at), this.entryAt(at - 1), offsetof<TermEntry>());
      at -= 1;
    }
    const entry = this.entry(at);
    entry.low = low;
    entry.high = high;
    entry.key = <u32>key;
    entry.keyBytes = keyBytes;
    entry.kind = kind;
  }

  @inline
  private leaveOut(high: f64): void {
    this.unlisted = max<f64>(this.unlisted, high);
  }
}

/** Lists at most `limit` terms of a span, in fresh scratch; keys stay where they are. */
export function listTerms(terms: TermSpans, table: SpaceSaving, span: u32, limit: u32): TermList {
  const room = min(limit, terms.count + table.count);
  const list = changetype<TermList>(
    alloc(offsetof<TermList>() + <usize>room * offsetof<TermEntry>(), 8),
  );
  store<u32>(changetype<usize>(list), room, offsetof<TermList>("room"));
  if (span == SPAN_MINUTE) {
    listWindow(list, table);
    return list;
  }
  const start = mark();
  const minute = readMinute(table);
  listRows(list, terms, table, span, minute);
  const untracked = terms.untracked(span);
  for (let slot: u32 = 0; slot < table.count; slot++) {
    if (minute.isDone(slot)) continue;
    const record = table.record(slot);
    const low = <f64>minute.low(slot);
    const high = exactOf(minute.high(slot)) + untracked;
    list.offer(low, high, record.key, record.keyBytes, record.kind);
  }
  list.unlisted = max<f64>(list.unlisted, untracked + exactOf(minute.untracked));
  release(start);
  return list;
}

function listWindow(list: TermList, table: SpaceSaving): void {
  for (let slot: u32 = 0; slot < table.count; slot++) {
    const record = table.record(slot);
    const low = <f64>table.ownOf(slot);
    list.offer(low, exactOf(table.upper(slot)), record.key, record.keyBytes, record.kind);
  }
  list.unlisted = max<f64>(list.unlisted, exactOf(table.upperUntracked()));
}

function listRows(
  list: TermList, terms: TermSpans, table: SpaceSaving, span: u32, minute: Minute,
): void {
  for (let index: u32 = 0; index < terms.count; index++) {
    const row = terms.row(index);
    const slot = table.find(row.hash, row.key, row.keyBytes);
    const own = slot == NO_SLOT ? 0 : <f64>minute.low(slot);
    const low = terms.low(index, span) + own;
    const missed = exactOf(terms.minuteMissed(index, table, minute, slot));
    const high = terms.high(index, span) + own + missed;
    if (slot != NO_SLOT) minute.setDone(slot);
    list.offer(low, high, row.key, row.keyBytes, row.kind);
  }
}

/** Bytes of the portable form, a multiple of 8. */
export function encodedBytes(list: TermList): u32 {
  let bytes = TERMS_HEAD_BYTES;
  for (let index: u32 = 0; index < list.count; index++)
    bytes += TERM_HEAD_BYTES + padded(list.entry(index).keyBytes);
  return bytes;
}

/** Writes the portable form, encodedBytes(list) long, to `at`. */
export function encode(at: usize, list: TermList): void {
  store<u32>(at, list.count);
  store<u32>(at, 0, 4);
  store<f64>(at, list.unlisted, 8);
  at += TERMS_HEAD_BYTES;
  for (let index: u32 = 0; index < list.count; index++) {
    const entry = list.entry(index);
    at = encodeTerm(at, entry.low, entry.high, entry.key, entry.keyBytes);
  }
}

/** Writes one term; returns where the next one goes. */
export function encodeTerm(at: usize, low: f64, high: f64, key: usize, keyBytes: u32): usize {
  store<f64>(at, low);
  store<f64>(at, high, 8);
  store<u32>(at, keyBytes, 16);
  store<u32>(at, 0, 20);
  at += TERM_HEAD_BYTES;
  memory.copy(at, key, keyBytes);
  memory.fill(at + keyBytes, 0, padded(keyBytes) - keyBytes);
  return at + padded(keyBytes);
}

@inline
export function padded(bytes: u32): u32 {
  return (bytes + 7) & ~7;
}
