// Generated from wit/summarizer.wit by scripts/generate.ts; do not edit.
// The world `summarizer` as AssemblyScript sees it. Write ./summarize.ts with
//   configure(settingsClock: u32, settingsSpans: u32): void
//   ingest(batchPtr: usize, batchLen: usize): usize
//   advance(nowMs: f64): void
//   trending(limit: u32, order: u32): usize
//   summary(span: u32, limit: u32): usize
//   conversations(limit: u32): usize
//   conversation(idPtr: usize, idLen: usize): usize
//   sketch(span: u32): usize
//   exportState(part: u32): usize
//   importState(partPtr: usize, partLen: usize): usize
// A `usize` result is the address of the record; what it points to may lie in the arena.
import * as guest from "./summarize";
import { reset } from "../../sdk/assembly/arena";
export { cabi_realloc } from "../../sdk/assembly/arena";

// Which clock moves the window.
/**
 * The host's clock: the window ends now, whether or not events arrive. For live streams. An
 * event ahead of it counts as now.
 */
export const CLOCK_WALL: u32 = 0;
/**
 * The newest event: the window ends where the stream has got to. For replays. An event more
 * than a day ahead counts as now, and the window moves only if the next one is as far ahead.
 */
export const CLOCK_EVENT: u32 = 1;

@unmanaged
export class Settings {
  clock: u8;
  /** The windows that are kept: bit n for span n. `minute` and `all` always are; 31 is all five. */
  spans: u32;
}
/** Bytes of one Settings, also in a list. Its alignment: 4. */
export const SETTINGS_BYTES: usize = 8;

/** What became of the events of one batch; the four counts add up to the events in it. */
@unmanaged
export class IngestReport {
  /** In the 60 s window now. */
  counted: u32;
  /**
   * Older than the 60 s window. It still counts in the longer windows that hold its time, in
   * `all`, and in the ledger of late events.
   */
  late: u32;
  /** An id that was seen before, within the memory of the window. */
  duplicate: u32;
  /** The same user said (nearly) the same again: in the event count, not in the term counts. */
  repeated: u32;
  /**
   * One byte an event, in order: 0 counted, 1 late, 2 duplicate, 3 repeated. 8 more if a metric
   * of the event was refused, because there is no room for one more name.
   */
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

// The windows of a summary: 12 panes of 5 s, 10 of 1 min, 12 of 5 min, 12 of 2 h, and since the
// start. The newest pane is still open, so a window covers between all but one of its panes and
// all of them; reports say from when to when.
export const SPAN_MINUTE: u32 = 0;
export const SPAN_TEN_MINUTES: u32 = 1;
export const SPAN_HOUR: u32 = 2;
export const SPAN_DAY: u32 = 3;
export const SPAN_ALL: u32 = 4;

/** Events per second, exponentially weighted with a time constant of 10 s, 60 s and 300 s. */
@unmanaged
export class Rate {
  spanMs: f64;
  /**
   * What it is over: `span-ms`, or the age of the stream where that is younger, at least 1 s. 0:
   * nothing came yet.
   */
  overMs: f64;
  perSecond: f64;
}
/** Bytes of one Rate, also in a list. Its alignment: 8. */
export const RATE_BYTES: usize = 24;

@unmanaged
export class LateExample {
  /** An id of more than 40 bytes is cut, and ends in "…" then. */
  eventIdSome: u8;
  eventIdPtr: u32;
  eventIdLen: u32;
  tsMs: f64;
  lateByMs: f64;
}
/** Bytes of one LateExample, also in a list. Its alignment: 8. */
export const LATE_EXAMPLE_BYTES: usize = 32;

/** Events that came when their 60 s window had passed, since the tenant began. */
@unmanaged
export class LateLedger {
  count: f64;
  lateByMsMax: f64;
  /**
   * By how late they were, to the clock that moves the window: up to 2 min, 10 min, 1 h, 24 h,
   * more.
   */
  byLatenessPtr: u32;
  byLatenessLen: u32;
  /** Of these, how many a longer window than 60 s has counted; the others are in `all` alone. */
  countedInLonger: f64;
  /** The newest first, at most 4. */
  examplesPtr: u32;
  examplesLen: u32;
}
/** Bytes of one LateLedger, also in a list. Its alignment: 8. */
export const LATE_LEDGER_BYTES: usize = 40;

/** One quantile of a metric. With few samples it is rather the maximum: `is-max` says so. */
@unmanaged
export class Quantile {
  q: f64;
  value: f64;
  /**
   * The true quantile of what the samples stand for lies in [low, high] in 95 of 100 cases: an
   * interval of ranks that follows from their count, widened by the sketch's relative error.
   */
  low: f64;
  high: f64;
  /** There are too few samples to say more than the maximum, which `value` then is. */
  isMax: u8;
  _padding33: u8;
  _padding34: u8;
  _padding35: u8;
  _padding36: u8;
  _padding37: u8;
  _padding38: u8;
  _padding39: u8;
}
/** Bytes of one Quantile, also in a list. Its alignment: 8. */
export const QUANTILE_BYTES: usize = 40;

@unmanaged
export class MetricSummary {
  namePtr: u32;
  nameLen: u32;
  count: f64;
  sum: f64;
  mean: f64;
  stddev: f64;
  min: f64;
  max: f64;
  /** Of every quantile above `collapsed-below`. */
  relativeError: f64;
  /** Of quantiles at or below it no more is known than that; -inf where there are none. */
  collapsedBelow: f64;
  /** The oldest samples had to leave the window early, for want of room. */
  shortened: u8;
  /** 0.5, 0.9, 0.99 and 0.999. */
  quantilesPtr: u32;
  quantilesLen: u32;
  _padding84: u8;
  _padding85: u8;
  _padding86: u8;
  _padding87: u8;
}
/** Bytes of one MetricSummary, also in a list. Its alignment: 8. */
export const METRIC_SUMMARY_BYTES: usize = 88;

/** The true count lies in [count-low, count-high], always. */
@unmanaged
export class TermCount {
  termPtr: u32;
  termLen: u32;
  /** Equals `count-low`. */
  count: u32;
  countLow: u32;
  countHigh: u32;
  exact: u8;
  _padding21: u8;
  _padding22: u8;
  _padding23: u8;
}
/** Bytes of one TermCount, also in a list. Its alignment: 4. */
export const TERM_COUNT_BYTES: usize = 24;

export const LINE_KIND_SAID: u32 = 0;
export const LINE_KIND_QUESTION: u32 = 1;
export const LINE_KIND_DECISION: u32 = 2;

@unmanaged
export class TextLine {
  kind: u8;
  _padding1: u8;
  _padding2: u8;
  _padding3: u8;
  userSome: u8;
  userPtr: u32;
  userLen: u32;
  eventIdSome: u8;
  eventIdPtr: u32;
  eventIdLen: u32;
  tsMs: f64;
  textPtr: u32;
  textLen: u32;
}
/** Bytes of one TextLine, also in a list. Its alignment: 8. */
export const TEXT_LINE_BYTES: usize = 48;

/** What is being said, kept up to date message by message and never written anew. */
@unmanaged
export class RollingText {
  /** The sentences as one paragraph: who said what. */
  textPtr: u32;
  textLen: u32;
  /** What it stands on, in order of time. */
  linesPtr: u32;
  linesLen: u32;
  openQuestionsPtr: u32;
  openQuestionsLen: u32;
  decisionsPtr: u32;
  decisionsLen: u32;
  /**
   * Rises with every change of the text, so that who has written something better upon it knows
   * whether that is still of this text.
   */
  revision: f64;
}
/** Bytes of one RollingText, also in a list. Its alignment: 8. */
export const ROLLING_TEXT_BYTES: usize = 40;

@unmanaged
export class SummaryReport {
  span: u8;
  asOfMs: f64;
  windowStartMs: f64;
  windowEndMs: f64;
  /** The newest time of an event, as far as it was believed: no later than `as-of-ms`. */
  watermarkMs: f64;
  eventCount: f64;
  weightSum: f64;
  userCount: f64;
  /** Relative standard error of `user-count`; 0 where it is exact. */
  userCountError: f64;
  ratesPtr: u32;
  ratesLen: u32;
  lateCount: f64;
  lateLateByMsMax: f64;
  lateByLatenessPtr: u32;
  lateByLatenessLen: u32;
  lateCountedInLonger: f64;
  lateExamplesPtr: u32;
  lateExamplesLen: u32;
  /** Since the tenant began. */
  duplicateCount: f64;
  repeatedCount: f64;
  metricsPtr: u32;
  metricsLen: u32;
  /** Samples whose name found no room, or whose value is no number; since the tenant began. */
  metricsRefused: f64;
  termsPtr: u32;
  termsLen: u32;
  textTextPtr: u32;
  textTextLen: u32;
  textLinesPtr: u32;
  textLinesLen: u32;
  textOpenQuestionsPtr: u32;
  textOpenQuestionsLen: u32;
  textDecisionsPtr: u32;
  textDecisionsLen: u32;
  textRevision: f64;
}
/** Bytes of one SummaryReport, also in a list. Its alignment: 8. */
export const SUMMARY_REPORT_BYTES: usize = 200;

@unmanaged
export class ConversationItem {
  idPtr: u32;
  idLen: u32;
  eventCount: f64;
  userCount: f64;
  /** Relative standard error of `user-count`; 0 where it is exact. */
  userCountError: f64;
  firstMs: f64;
  lastMs: f64;
  /** Whether it has had events that came late. */
  late: u8;
  _padding49: u8;
  _padding50: u8;
  _padding51: u8;
  _padding52: u8;
  _padding53: u8;
  _padding54: u8;
  _padding55: u8;
}
/** Bytes of one ConversationItem, also in a list. Its alignment: 8. */
export const CONVERSATION_ITEM_BYTES: usize = 56;

@unmanaged
export class Participant {
  userPtr: u32;
  userLen: u32;
  eventCount: f64;
}
/** Bytes of one Participant, also in a list. Its alignment: 8. */
export const PARTICIPANT_BYTES: usize = 16;

@unmanaged
export class ConversationReport {
  itemIdPtr: u32;
  itemIdLen: u32;
  itemEventCount: f64;
  itemUserCount: f64;
  itemUserCountError: f64;
  itemFirstMs: f64;
  itemLastMs: f64;
  itemLate: u8;
  _padding49: u8;
  _padding50: u8;
  _padding51: u8;
  _padding52: u8;
  _padding53: u8;
  _padding54: u8;
  _padding55: u8;
  /** Who said most first. */
  participantsPtr: u32;
  participantsLen: u32;
  textTextPtr: u32;
  textTextLen: u32;
  textLinesPtr: u32;
  textLinesLen: u32;
  textOpenQuestionsPtr: u32;
  textOpenQuestionsLen: u32;
  textDecisionsPtr: u32;
  textDecisionsLen: u32;
  textRevision: f64;
}
/** Bytes of one ConversationReport, also in a list. Its alignment: 8. */
export const CONVERSATION_REPORT_BYTES: usize = 104;

/** Called once, before anything else. */
export function configure(settingsClock: u32, settingsSpans: u32): void {
  guest.configure(settingsClock, settingsSpans);
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

/** The 60 s window as it stands. Changes nothing, and neither do the calls below. */
export function trending(limit: u32, order: u32): usize {
  return guest.trending(limit, order);
}
export function post_trending(_result: usize): void { reset(); }

/**
 * One window in numbers, and the tenant's text; `limit` is for the terms. Of a window that the
 * settings leave out it says nothing but from when to when it would be.
 */
export function summary(span: u32, limit: u32): usize {
  return guest.summary(span, limit);
}
export function post_summary(_result: usize): void { reset(); }

/** The conversations that are remembered, the one with the newest event first. */
export function conversations(limit: u32): usize {
  return guest.conversations(limit);
}
export function post_conversations(_result: usize): void { reset(); }

export function conversation(idPtr: usize, idLen: usize): usize {
  return guest.conversation(idPtr, idLen);
}
export function post_conversation(_result: usize): void { reset(); }

/** A window in the portable form of docs/summaries.md, to be merged with others. */
export function sketch(span: u32): usize {
  return guest.sketch(span);
}
export function post_sketch(_result: usize): void { reset(); }

/**
 * Part so many of the state, from 0 on, of 32 KiB at most; none: there were no more. Changes
 * nothing, and holds no address of the memory.
 */
export function exportState(part: u32): usize {
  return guest.exportState(part);
}
export function post_exportState(_result: usize): void { reset(); }

/**
 * Takes the parts in, in order, into a component on which nothing was called before; then no
 * bytes: that was all. An error says what is wrong, and the host throws this instance away.
 */
export function importState(partPtr: usize, partLen: usize): usize {
  return guest.importState(partPtr, partLen);
}
export function post_importState(_result: usize): void { reset(); }
