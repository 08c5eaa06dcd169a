// A guest that behaves until told otherwise: it tallies what it is given, keeps a few texts, and reports
// numbers that follow from every byte it ever saw, so that any disturbance of its memory shows.
//
// A batch is a command when bit 19 of the weight of its first event is set: bits 12-18 say what, bits 0-11
// with which argument. WEIGHT_MAX still allows it, so that a command can come as JSON; batches that are
// meant well weigh less.
import { IngestReport, Sentence, TrendItem, TrendingReport, ORDER_COUNT } from "./world.gen";
import { INGEST_REPORT_BYTES, SENTENCE_BYTES, TRENDING_REPORT_BYTES } from "./world.gen";
import { TREND_ITEM_BYTES } from "./world.gen";
import { BATCH_HEADER_BYTES, EVENT_HEADER_BYTES } from "../../sdk/assembly/batch";
import { STATE, alloc, lieNextTime } from "./arena";
import { ADVANCE_SPIN, ADVANCE_TRAP, TRENDING_RECURSE, TRENDING_SPIN, TRENDING_TRAP } from "./lie";
import { twistIngest, twistTrending } from "./lie";
import { twistConversation, twistConversations, twistSketch, twistSummary } from "./lie-summary";
import { FOUND, RECURSE, SPIN, TRAP, perform } from "./misdeed";
import { conversationOf, conversationsOf, sketchOf, summaryOf } from "./answers";
import { armPortable } from "./portable";
import { TEXT_COUNT, TEXT_SLOT_BYTES, TEXTS } from "./texts";

const COMMAND: u32 = 1;
/** Beside any fate. */
const METRIC_REFUSED: u32 = 8;
/** Commands above the misdeeds of misdeed.ts. */
const ARM_ARENA: u32 = 64;
const ARM_TRENDING: u32 = 65;
const LIE_NOW: u32 = 66;
const ARM_PORTABLE: u32 = 67;

const CLOCK: usize = STATE + 24;
const SPANS: usize = STATE + 28;
const NOW: usize = STATE + 32;
const EVENTS: usize = STATE + 40;
const BATCHES: usize = STATE + 44;
const HASH: usize = STATE + 48;
const TALLY: usize = STATE + 52; // Four counts, by fate.
const ARMED: usize = STATE + 68;
/** Of all questions, in order: the world says that they change nothing, and here they do. */
const ASKED: usize = STATE + 72;

export { exportState, importState } from "./portable";

export function configure(clock: u32, spans: u32): void {
  store<u32>(CLOCK, clock + 1);
  store<u32>(SPANS, spans);
  store<u32>(HASH, 0x811c9dc5);
}

export function ingest(batch: usize, bytes: usize): usize {
  const count = load<u32>(batch);
  const weight = count > 0 ? load<u32>(batch + BATCH_HEADER_BYTES + 4) : 0;
  const isCommand = weight >> 19 == COMMAND;
  const command = (weight >> 12) & 0x7f;
  const argument = weight & 0xfff;
  if (isCommand && command < ARM_ARENA) perform(command, argument);
  for (let at: usize = 0; at < bytes; at++) {
    store<u32>(HASH, (load<u32>(HASH) ^ load<u8>(batch + at)) * 16777619);
  }
  if (isCommand && command == ARM_PORTABLE) armPortable(argument);
  const report = changetype<IngestReport>(alloc(INGEST_REPORT_BYTES, 4));
  report.fatesPtr = <u32>alloc(count, 1);
  report.fatesLen = count;
  let event = batch + BATCH_HEADER_BYTES;
  for (let index: u32 = 0; index < count; index++) {
    if (event + EVENT_HEADER_BYTES > batch + bytes) unreachable();
    const fate = fateOf(event);
    store<u8>(<usize>report.fatesPtr + index, <u8>fate);
    tally(report, fate & ~METRIC_REFUSED);
    keepText(event);
    event += load<u32>(event);
  }
  store<u32>(BATCHES, load<u32>(BATCHES) + 1);
  if (isCommand && command == ARM_ARENA) lieNextTime(argument);
  if (isCommand && command == ARM_TRENDING) store<u32>(ARMED, argument);
  return isCommand && command == LIE_NOW
    ? twistIngest(argument, report)
    : changetype<usize>(report);
}

function fateOf(event: usize): u32 {
  // Follows from time and weight, so that all four occur, with a refused metric and without.
  const tsMs = <u32>load<f64>(event, 8);
  return ((tsMs ^ load<u32>(event, 4)) & 3) | ((tsMs >> 1) & METRIC_REFUSED);
}

function tally(report: IngestReport, fate: u32): void {
  store<u32>(TALLY + (fate << 2), load<u32>(TALLY + (fate << 2)) + 1);
  store<u32>(EVENTS, load<u32>(EVENTS) + 1);
  if (fate == 0) report.counted += 1;
  else if (fate == 1) report.late += 1;
  else if (fate == 2) report.duplicate += 1;
  else report.repeated += 1;
}

function keepText(event: usize): void {
  const bytes = load<u32>(event, 24);
  if (bytes == 0 || bytes > <u32>TEXT_SLOT_BYTES - 4) return;
  const before = <usize>load<u16>(event, 16) + load<u16>(event, 18) + load<u16>(event, 20);
  const slot = TEXTS + (load<u32>(EVENTS) % TEXT_COUNT) * TEXT_SLOT_BYTES;
  store<u32>(slot, bytes);
  memory.copy(slot + 4, event + EVENT_HEADER_BYTES + before, bytes);
}

export function advance(nowMs: f64): void {
  if (load<u32>(ARMED) == ADVANCE_SPIN) perform(SPIN, 0);
  if (load<u32>(ARMED) == ADVANCE_TRAP) perform(TRAP, 0);
  if (load<u32>(CLOCK) == 1) store<f64>(NOW, nowMs);
}

export function trending(limit: u32, order: u32): usize {
  const armed = misbehave((limit << 4) | order);
  const report = changetype<TrendingReport>(alloc(TRENDING_REPORT_BYTES, 8));
  const hash = load<u32>(HASH);
  report.asOfMs = load<f64>(NOW);
  report.windowStartMs = <f64>hash * 1.7976931348623157e298;
  report.windowEndMs = reinterpret<f64>((<u64>hash << 32) | hash); // Any double, NaN too.
  report.eventCount = load<u32>(EVENTS);
  report.userCount = load<u32>(FOUND);
  report.userCountError = -0.0;
  report.lateCount = load<u32>(TALLY + 4);
  report.duplicateCount = load<u32>(TALLY + 8);
  report.repeatedCount = load<u32>(TALLY + 12);
  report.itemsLen = min(limit, TEXT_COUNT);
  report.itemsPtr = <u32>alloc(report.itemsLen * TREND_ITEM_BYTES, 8);
  report.sentencesLen = min(limit, 3);
  report.sentencesPtr = <u32>alloc(report.sentencesLen * SENTENCE_BYTES, 4);
  for (let index: u32 = 0; index < report.itemsLen; index++) {
    const rank = order == ORDER_COUNT ? TEXT_COUNT - 1 - index : index;
    fillItem(changetype<TrendItem>(<usize>report.itemsPtr + index * TREND_ITEM_BYTES), rank);
  }
  for (let index: u32 = 0; index < report.sentencesLen; index++) {
    fillSentence(changetype<Sentence>(<usize>report.sentencesPtr + index * SENTENCE_BYTES), index);
  }
  return armed == 0 ? changetype<usize>(report) : twistTrending(armed, report);
}

export function summary(span: u32, limit: u32): usize {
  const armed = misbehave((limit << 8) | span);
  return twistSummary(armed, summaryOf(load<u32>(HASH), load<u32>(EVENTS), span, limit));
}

export function conversations(limit: u32): usize {
  const armed = misbehave(~limit);
  return twistConversations(armed, conversationsOf(load<u32>(HASH), limit));
}

export function conversation(id: usize, bytes: usize): usize {
  let hash: u32 = 0x811c9dc5;
  for (let at: usize = 0; at < bytes; at++) hash = (hash ^ load<u8>(id + at)) * 16777619;
  const armed = misbehave(hash);
  return twistConversation(armed, conversationOf(load<u32>(HASH), <u32>id, <u32>bytes));
}

export function sketch(span: u32): usize {
  const armed = misbehave(span << 16);
  return twistSketch(armed, sketchOf(load<u32>(HASH), span));
}

/** What it was armed for, every question having the same answer; else the number of a lie. */
function misbehave(question: u32): u32 {
  const armed = load<u32>(ARMED);
  store<u32>(ASKED, (load<u32>(ASKED) ^ question) * 16777619);
  if (armed == TRENDING_SPIN) perform(SPIN, 0);
  if (armed == TRENDING_TRAP) perform(TRAP, 0);
  if (armed == TRENDING_RECURSE) perform(RECURSE, 0);
  return armed;
}

function fillItem(item: TrendItem, rank: u32): void {
  const slot = TEXTS + rank * TEXT_SLOT_BYTES;
  const hash = load<u32>(HASH) * (rank + 1);
  item.termPtr = <u32>slot + 4;
  item.termLen = load<u32>(slot);
  item.count = hash;
  item.countLow = hash;
  item.countHigh = ~hash;
  item.exact = <u8>(hash & 1);
  item.trending = <u8>((hash >> 1) & 1);
  item.expected = <f64>hash / 7;
  item.significance = -(<f64>rank);
  item.userCount = rank;
  item.userCountError = f64.MIN_VALUE;
  item.firstSeenMs = Infinity;
  item.samplePtr = item.termPtr;
  item.sampleLen = item.termLen;
}

function fillSentence(sentence: Sentence, index: u32): void {
  const slot = TEXTS + index * TEXT_SLOT_BYTES;
  sentence.textPtr = <u32>slot + 4;
  sentence.textLen = load<u32>(slot);
  sentence.eventIdSome = <u8>(index & 1);
  sentence.eventIdPtr = <u32>slot + 4;
  sentence.eventIdLen = load<u32>(slot);
}
