// The reference summarizer: what is trending in a tenant's last 60 seconds, and a TL;DR of it.
//
// This file is what a guest author writes: the four functions of the world, over the tenant's state
// (state.ts). Here is the way of an event from the batch into the state; what the window says is
// report.ts (ranking) and digest.ts (sentences).
//
// Time. The window is 12 panes of 5 s. Pane numbers count from PANE_BIAS, so that the first window
// of all time has panes before it. A tenant on the wall clock is moved by the host's time, and an
// event ahead of it counts as now; a tenant on the event clock is moved by its newest event. An
// event older than the window is only counted as late; one for any open pane is counted in that
// pane.
import { alloc, mark, STATE_ADDRESS } from "../../sdk/assembly/arena";
import { BATCH_HEADER_BYTES, EVENT_HEADER_BYTES, eventsOf } from "../../sdk/assembly/batch";
import { equalBytes, mix32 } from "../../sdk/assembly/sketches/bytes";
import { addPerson, personOf, rollPeople } from "../../sdk/assembly/sketches/distinct-window";
import {
  pushSaying, SAYING_BYTES, SAYINGS_PER_SET, sayingsOf, seenId,
} from "../../sdk/assembly/sketches/recent";
import {
  KEY_BYTES_MAX, NO_SLOT, PANES, SLOT_RECORD_BYTES,
} from "../../sdk/assembly/sketches/space-saving";
import {
  fadeHistory, fadePast, fadeWindows, recallPast, rollHistory, rollWindows,
} from "../../sdk/assembly/sketches/trend";
import {
  fingerprint, forgetText, hash32, hash64, KIND_BIGRAM, KIND_MENTION, scratchBytes, similar,
  TERM_RECORD_BYTES, tokenize,
} from "../../sdk/assembly/text/tokenize";
import { Candidate, offerQuote, rollQuotes, shapeOf, slotLift } from "./quotes";
import { report } from "./report";
import { summaryReport } from "./summary-report";
import {
  createState, grow, paneEventsAt, retire, shrink, state, table, users,
} from "./state";
import { CLOCK_WALL, CONVERSATION_REPORT_BYTES, INGEST_REPORT_BYTES, IngestReport } from "./world.gen";

const FATE_COUNTED: u32 = 0;
const FATE_LATE: u32 = 1;
const FATE_DUPLICATE: u32 = 2;
const FATE_REPEATED: u32 = 3;

const PANE_MS: f64 = 5000;
const PANE_BIAS: u32 = 16;
/** The year 2286: later times are taken for this one, so that pane numbers keep to 32 bits. */
const TS_MS_MAX: f64 = 1e13;

/** Of one text. What it says after so many bytes or terms is not counted. */
const TEXT_BYTES_MAX: u32 = 4096;
const TEXT_TERMS_MAX: u32 = 192;
const EVENT_TERMS_MAX: u32 = TEXT_TERMS_MAX + 64;
/** An explicit term; the tokenizer's kinds are below. */
export const KIND_EXPLICIT: u32 = 15;

export function configure(clock: u32, _spans: u32): void {
  createState(clock);
}

export function ingest(batch: usize, bytes: usize): usize {
  if (state().version == 0) createState(CLOCK_WALL);
  const turn = changetype<Turn>(alloc(offsetof<Turn>(), 16));
  const report = changetype<IngestReport>(alloc(INGEST_REPORT_BYTES));
  const count = load<u32>(batch);
  report.fatesPtr = <u32>alloc(count, 1);
  report.fatesLen = count;
  turn.open();
  if (<u32>state().clock == CLOCK_WALL) tell(load<f64>(batch, 8));
  let event = batch + BATCH_HEADER_BYTES;
  const end = batch + bytes;
  for (let index: u32 = 0; index < count && event + EVENT_HEADER_BYTES <= end; index++) {
    const fate = take(turn, event);
    store<u8>(report.fatesPtr + index, <u8>fate);
    if (fate == FATE_COUNTED) report.counted += 1;
    else if (fate == FATE_LATE) report.late += 1;
    else if (fate == FATE_DUPLICATE) report.duplicate += 1;
    else report.repeated += 1;
    event += max(load<u32>(event), EVENT_HEADER_BYTES);
  }
  forgetText();
  state().lateCount += report.late;
  state().duplicateCount += report.duplicate;
  state().repeatedCount += report.repeated;
  return changetype<usize>(report);
}

export function advance(nowMs: f64): void {
  if (state().version == 0) createState(CLOCK_WALL);
  if (<u32>state().clock == CLOCK_WALL) tell(nowMs);
}

export function trending(limit: u32, order: u32): usize {
  return report(limit, order);
}

export function summary(span: u32, limit: u32): usize {
  return summaryReport(span, limit);
}

export function conversations(_limit: u32): usize {
  return alloc(8, 4);
}

export function conversation(_id: usize, _bytes: usize): usize {
  return alloc(8 + CONVERSATION_REPORT_BYTES);
}

export function sketch(_span: u32): usize {
  return alloc(8, 4);
}

/** Epoch ms at which a pane ends. */
export function paneEndMs(pane: u32): f64 {
  return <f64>(pane - PANE_BIAS + 1) * PANE_MS;
}

/**
 * Scratch of one call and what is known of the event at hand.
 *
 * Every event of a batch uses the same place, as much of it as it needs: what the tokenizer folds,
 * the records of the terms, and where terms may repeat the table that finds out. `reset` writes
 * zeros over all that was used, so what is not used costs nothing; nothing here relies on zeros.
 */
@unmanaged
class Turn {
  /** TERM_RECORD_BYTES each: terms of the event, from its text first. */
  records: u32;
  candidate: u32;
  /** The tokenizer's; the last thing in the arena, so that it can be widened in place. */
  scratch: u32;
  pane: u32;
  weight: u32;
  userHash: u32;
  person: u32;
  tsMs: f64;

  open(): void {
    this.candidate = <u32>alloc(offsetof<Candidate>(), 16);
    this.scratch = <u32>alloc(0, 16);
    this.records = this.scratch;
  }

  @inline
  record(index: u32): usize {
    return <usize>this.records + <usize>index * TERM_RECORD_BYTES;
  }

  /** The distinct terms of the text, into the first records; returns their count. */
  readText(text: usize, textLen: u32): u32 {
    let bytes = textLen;
    if (bytes > TEXT_BYTES_MAX) {
      bytes = TEXT_BYTES_MAX;
      while ((load<u8>(text + bytes) & 0xc0) == 0x80) bytes -= 1;
    }
    const wanted = <u32>scratchBytes(bytes, TEXT_TERMS_MAX);
    this.records = (this.scratch + wanted + 15) & ~15;
    if (this.record(EVENT_TERMS_MAX) > STATE_ADDRESS) unreachable();
    const count = tokenize(text, bytes, this.records, TEXT_TERMS_MAX, this.scratch);
    this.use(this.record(count));
    return count;
  }

  /** The arena reaches to `end` at least. */
  use(end: usize): void {
    const top = mark();
    if (end > top) alloc(end - top, 1);
  }
}

/** One event; returns its fate. */
function take(turn: Turn, event: usize): u32 {
  const it = state();
  it.eventNumber += 1;
  const id = event + EVENT_HEADER_BYTES;
  const idLen = <u32>load<u16>(event, 16);
  if (idLen != 0 && seenId(it.ids, it.idCapacity, hash64(id, idLen))) return FATE_DUPLICATE;
  if (!place(turn, load<f64>(event, 8))) return FATE_LATE;

  const user = id + idLen;
  const userLen = <u32>load<u16>(event, 18);
  const text = user + userLen + <u32>load<u16>(event, 20);
  const textLen = load<u32>(event, 24);
  turn.weight = max(load<u32>(event, 4), 1);
  const eventsAt = paneEventsAt(turn.pane);
  store<u32>(eventsAt, load<u32>(eventsAt) + eventsOf(event));
  turn.userHash = userLen != 0 ? mix32(hash32(user, userLen)) : 0;
  if (userLen != 0) {
    if (users().isFull) grow();
    users().add(turn.userHash, turn.pane, table().pane);
  }
  turn.person = personOf(
    userLen != 0 ? turn.userHash : mix32(<u32>it.eventNumber), userLen == 0,
  );

  let count: u32 = 0;
  turn.records = turn.scratch;
  if (textLen != 0) {
    count = turn.readText(text, textLen);
    if (userLen != 0 && count != 0 && saidBefore(turn)) return FATE_REPEATED;
  }
  const termCount = <u32>load<u16>(event, 22);
  if (termCount != 0) {
    count = addExplicit(turn, text + textLen, termCount, count);
    if (count > 1) count = dropRepeated(turn, count);
  }
  const candidate = changetype<Candidate>(<usize>turn.candidate);
  candidate.clear();
  countTerms(turn, count, candidate);
  if (textLen == 0) return FATE_COUNTED;

  candidate.score *= shapeOf(text, textLen);
  candidate.eventNumber = it.eventNumber;
  candidate.pane = turn.pane;
  candidate.userHash = turn.userHash;
  candidate.id = <u32>id;
  candidate.idLen = idLen;
  candidate.user = <u32>user;
  candidate.userLen = userLen;
  candidate.text = <u32>text;
  candidate.textLen = textLen;
  offerQuote(candidate);
  return FATE_COUNTED;
}

/**
 * Finds the pane of an event, moving the window if the clock is the event's; false: it is too old.
 */
function place(turn: Turn, tsMs: f64): bool {
  const it = state();
  let pane = paneOf(tsMs);
  if (<u32>it.clock != CLOCK_WALL) {
    if (!it.started || pane > table().pane) moveTo(pane);
    if (tsMs > it.asOfMs) it.asOfMs = min<f64>(tsMs, TS_MS_MAX);
  }
  if (pane < table().low) return false;
  turn.pane = min(pane, table().pane);
  turn.tsMs = min<f64>(tsMs, it.asOfMs);
  return true;
}

function tell(nowMs: f64): void {
  const it = state();
  const pane = paneOf(nowMs);
  if (!it.started || pane > table().pane) moveTo(pane);
  if (nowMs > it.asOfMs) it.asOfMs = min<f64>(nowMs, TS_MS_MAX);
}

function paneOf(ms: f64): u32 {
  if (!(ms > 0)) return PANE_BIAS;
  return <u32>(min<f64>(ms, TS_MS_MAX) / PANE_MS) + PANE_BIAS;
}

/** Hot. Whether the user has said (nearly) this lately; remembers it if not. */
function saidBefore(turn: Turn): bool {
  const print = fingerprint();
  const pane = table().pane;
  const set = sayingsOf(state().sayings, state().sayingCapacity, turn.userHash);
  for (let way: u32 = 0; way < SAYINGS_PER_SET; way++) {
    const saying = set + way * SAYING_BYTES;
    if (load<u32>(saying, 8) != turn.userHash || load<u32>(saying, 12) + PANES <= pane) continue;
    if (!similar(load<u64>(saying), print)) continue;
    store<u32>(saying, pane, 12);
    return true;
  }
  pushSaying(set, turn.userHash, print, pane);
  return false;
}

/**
 * Appends the explicit terms, which lie at `terms`, to the records of the text; returns the sum.
 */
function addExplicit(turn: Turn, terms: usize, termCount: u32, count: u32): u32 {
  let at = terms;
  turn.use(turn.record(min(count + termCount, EVENT_TERMS_MAX)));
  for (let index: u32 = 0; index < termCount && count < EVENT_TERMS_MAX; index++) {
    const bytes = <u32>load<u8>(at) | (<u32>load<u8>(at, 1) << 8);
    const record = turn.record(count);
    at += 2;
    if (bytes != 0) {
      let kept = bytes;
      if (kept > KEY_BYTES_MAX) {
        kept = KEY_BYTES_MAX;
        while (kept > 1 && (load<u8>(at + kept) & 0xc0) == 0x80) kept -= 1;
      }
      store<u32>(record, <u32>at);
      store<u32>(record, kept, 4);
      store<u32>(record, hash32(at, kept), 8);
      store<u32>(record, KIND_EXPLICIT, 12);
      count += 1;
    }
    at += bytes;
  }
  return count;
}

/** Keeps the first record of each term: text lists a term once, explicit terms may say it again. */
function dropRepeated(turn: Turn, count: u32): u32 {
  let mask: u32 = 31;
  while (mask + 1 < count * 2) mask = mask * 2 + 1;
  const seen = turn.record(count);
  turn.use(seen + ((mask + 1) << 1));
  memory.fill(seen, 0, (mask + 1) << 1);
  let kept: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const record = turn.record(index);
    if (!isFirst(turn, seen, kept, record, mask)) continue;
    if (kept != index) v128.store(turn.record(kept), v128.load(record));
    kept += 1;
  }
  return kept;
}

/** Whether no kept record is the same term; notes that it is about to be kept as number `next`. */
@inline
function isFirst(turn: Turn, seen: usize, next: u32, record: usize, mask: u32): bool {
  const hash = load<u32>(record, 8);
  const bytes = load<u32>(record, 4);
  let at = hash & mask;
  while (true) {
    const entry = <u32>load<u16>(seen + (at << 1));
    if (entry == 0) {
      store<u16>(seen + (at << 1), <u16>(next + 1));
      return true;
    }
    const other = turn.record(entry - 1);
    if (
      load<u32>(other, 8) == hash && load<u32>(other, 4) == bytes &&
      equalBytes(load<u32>(other), load<u32>(record), bytes)
    ) return false;
    at = (at + 1) & mask;
  }
}

/** Hot. Counts the terms of the event, and weighs the event as a quote by them. */
function countTerms(turn: Turn, count: u32, candidate: Candidate): void {
  const windows = state().windows;
  for (let index: u32 = 0; index < count; index++) {
    const record = turn.record(index);
    const hash = load<u32>(record, 8);
    const kind = load<u32>(record, 12);
    const slot = countTerm(turn, hash, load<u32>(record), load<u32>(record, 4), kind);
    // A pair weighs through its words; a mention says who and not what.
    if (kind == KIND_BIGRAM || kind == KIND_MENTION) continue;
    const lift = slotLift(slot, windows);
    if (lift > 0) candidate.weigh(hash, lift);
  }
}

/** Hot. */
function countTerm(turn: Turn, hash: u32, key: usize, bytes: u32, kind: u32): u32 {
  const slots = table();
  let slot = slots.find(hash, key, bytes);
  if (slot == NO_SLOT) slot = admit(turn, hash, key, bytes, kind);
  slots.add(slot, turn.pane, turn.weight);
  addPerson(
    slots.record(slot).people, state().peopleLevels + slot, turn.person, turn.pane, slots.pane,
  );
  return slot;
}

/** Gives a new term a slot: a free one, one nobody misses, one more by growing, or the victim's. */
function admit(turn: Turn, hash: u32, key: usize, bytes: u32, kind: u32): u32 {
  const slots = table();
  let slot = slots.count;
  if (slot == slots.capacity) {
    slot = slots.spare();
    if (slot == NO_SLOT) slot = grow() ? slots.count : slots.victim();
    if (slot != slots.count) {
      retire(slot);
      slots.evict(slot);
    }
  }
  slots.insert(slot, hash, key, bytes);
  const it = state();
  store<f32>(it.past + (slot << 2), recallPast(it.baseline, it.baselineCells, hash));
  store<f32>(it.recent + (slot << 2), 0);
  store<f32>(it.spread + (slot << 2), 0);
  const record = slots.record(slot);
  record.kind = <u8>kind;
  const backMs = paneEndMs(slots.pane) - turn.tsMs;
  record.firstSeen = <u16>max<f64>(0, min<f64>(backMs, 65535));
  return slot;
}

/** Moves the window's newest pane to `pane`, however far that is. */
function moveTo(pane: u32): void {
  const it = state();
  const slots = table();
  if (!it.started) {
    it.started = 1;
    it.firstPane = pane;
    slots.pane = pane;
    return;
  }
  const gap = pane - slots.pane;
  const single = min(gap, PANES);
  for (let step: u32 = 0; step < single; step++) rollOne();
  if (gap > PANES) {
    const rest = gap - PANES;
    it.windows = fadeWindows(it.windows, rest);
    fadeHistory(it.past, it.recent, it.spread, slots.count, it.windows, rest);
    fadePast(it.baseline, it.baselineCells, rest);
    slots.roll(rest);
  }
  users().roll(pane, gap);
  rollQuotes();
  shrink();
}

function rollOne(): void {
  const it = state();
  const slots = table();
  const next = slots.pane + 1;
  const leaving = slots.cell(next, 0);
  rollPeople(
    slots.record(0).people, SLOT_RECORD_BYTES, it.peopleLevels, leaving, slots.isWhole, slots.count,
    next,
  );
  rollHistory(it.past, it.recent, it.spread, leaving, slots.capacity, it.windows);
  fadePast(it.baseline, it.baselineCells, 1);
  if (next - PANES >= it.firstPane) it.windows = rollWindows(it.windows);
  slots.roll(1);
  store<u32>(paneEventsAt(next), 0);
}
