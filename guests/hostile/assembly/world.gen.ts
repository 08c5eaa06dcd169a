// Generated from wit/summarizer.wit by scripts/generate.ts; do not edit.
// The world `summarizer` as AssemblyScript sees it. Write ./hostile.ts with
//   configure(settingsClock: u32): void
//   ingest(batchPtr: usize, batchLen: usize): usize
//   advance(nowMs: f64): void
//   trending(limit: u32, order: u32): usize
// A `usize` result is the address of the record; what it points to may lie in the arena.
import * as guest from "./hostile";
import { reset } from "./arena";
export { cabi_realloc } from "./arena";

// Which clock moves the window.
/** The host's clock: the window ends now, whether or not events arrive. For live streams. */
export const CLOCK_WALL: u32 = 0;
/** The newest event: the window ends where the stream has got to. For replays. */
export const CLOCK_EVENT: u32 = 1;

@unmanaged
export class Settings {
  clock: u8;
}
/** Bytes of one Settings, also in a list. Its alignment: 1. */
export const SETTINGS_BYTES: usize = 1;

/** What became of the events of one batch; the four counts add up to the events in it. */
@unmanaged
export class IngestReport {
  /** In the window now. */
  counted: u32;
  /** Older than the window: only counted as late. */
  late: u32;
  /** An id that was seen before, within the memory of the window. */
  duplicate: u32;
  /** The same user said (nearly) the same again: in the event count, not in the term counts. */
  repeated: u32;
  /** One byte an event, in order: 0 counted, 1 late, 2 duplicate, 3 repeated. */
  fatesPtr: u32;
  fatesLen: u32;
}
/** Bytes of one IngestReport, also in a list. Its alignment: 4. */
export const INGEST_REPORT_BYTES: usize = 24;

// How `trending` orders its items.
/** What stands out first, then the most frequent; what one user shouted alone is left out. */
export const ORDER_TREND: u32 = 0;
/** By count alone. */
export const ORDER_COUNT: u32 = 1;

@unmanaged
export class TrendItem {
  termPtr: u32;
  termLen: u32;
  /** Best lower bound of the term's events in the window; equals `count-low`. */
  count: u32;
  countLow: u32;
  /** The true count lies in [count-low, count-high], always. */
  countHigh: u32;
  exact: u8;
  /** Whether the term passes the gates: significance, Poisson tail, distinct users. */
  trending: u8;
  /** What the window would hold of this term at its usual rate. */
  expected: f64;
  /** (count - expected) in units of its usual deviation. */
  significance: f64;
  /** Distinct users of the term in the window. */
  userCount: u32;
  /** Relative standard error of `user-count`; 0 where it is exact. */
  userCountError: f64;
  firstSeenMs: f64;
  /** A recent message with the term, as it was said; empty where there is none. */
  samplePtr: u32;
  sampleLen: u32;
}
/** Bytes of one TrendItem, also in a list. Its alignment: 8. */
export const TREND_ITEM_BYTES: usize = 72;

@unmanaged
export class Sentence {
  textPtr: u32;
  textLen: u32;
  /** The event that the sentence quotes, if it quotes one. */
  eventIdSome: u8;
  eventIdPtr: u32;
  eventIdLen: u32;
}
/** Bytes of one Sentence, also in a list. Its alignment: 4. */
export const SENTENCE_BYTES: usize = 20;

@unmanaged
export class TrendingReport {
  asOfMs: f64;
  windowStartMs: f64;
  windowEndMs: f64;
  eventCount: u32;
  userCount: u32;
  userCountError: f64;
  /** Since the tenant began. */
  lateCount: u32;
  duplicateCount: u32;
  repeatedCount: u32;
  itemsPtr: u32;
  itemsLen: u32;
  sentencesPtr: u32;
  sentencesLen: u32;
  _padding68: u8;
  _padding69: u8;
  _padding70: u8;
  _padding71: u8;
}
/** Bytes of one TrendingReport, also in a list. Its alignment: 8. */
export const TRENDING_REPORT_BYTES: usize = 72;

/** Called once, before anything else. */
export function configure(settingsClock: u32): void {
  guest.configure(settingsClock);
  reset();
}

/** Counts a batch; its layout is described in `guests/sdk/assembly/batch.ts`. */
export function ingest(batchPtr: usize, batchLen: usize): usize {
  return guest.ingest(batchPtr, batchLen);
}
export function post_ingest(_result: usize): void { reset(); }

/** Tells the time to a tenant whose clock is `wall`; otherwise nothing changes. */
export function advance(nowMs: f64): void {
  guest.advance(nowMs);
  reset();
}

/** The window as it stands. Changes nothing. */
export function trending(limit: u32, order: u32): usize {
  return guest.trending(limit, order);
}
export function post_trending(_result: usize): void { reset(); }
