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
import { alloc } from "../../sdk/assembly/arena";
import { BATCH_HEADER_BYTES, EVENT_HEADER_BYTES, eventsOf } from "../../sdk/assembly/batch";
import { mix32 } from "../../sdk/assembly/sketches/bytes";
import { addPerson, personOf } from "../../sdk/assembly/sketches/distinct-window";
import {
  pushSaying, SAYING_BYTES, SAYINGS_PER_SET, sayingsOf, seenId,
} from "../../sdk/assembly/sketches/recent";
import { NO_SLOT, PANES } from "../../sdk/assembly/sketches/space-saving";
import { recallPast } from "../../sdk/assembly/sketches/trend";
import {
  fingerprint, forgetText, hash32, hash64, KIND_BIGRAM, KIND_MENTION, similar,
} from "../../sdk/assembly/text/tokenize";
import { paneEndMs, panesBehind, place, tell } from "./clock";
import { Candidate, offerQuote, shapeOf, slotLift } from "./quotes";
import { report } from "./report";
import { createState, grow, paneEventsAt, retire, state, table, users } from "./state";
import { summaryReport } from "./summary-report";
import { addExplicit, dropRepeated, Turn } from "./turn";
import {
  CLOCK_WALL, CONVERSATION_REPORT_BYTES, INGEST_REPORT_BYTES, IngestReport,
} from "./world.gen";

const FATE_COUNTED: u32 = 0;
const FATE_LATE: u32 = 1;
const FATE_DUPLICATE: u32 = 2;
const FATE_REPEATED: u32 = 3;

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
  tell(load<f64>(batch, 8));
  turn.panesBehind = panesBehind(load<f64>(batch, 8));
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
  tell(nowMs);
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

