// The way of an event into the state.
//
// Every event that is no duplicate counts in the timeline, the rates, the users, the metrics and its
// conversation, each for the windows that hold its time. What it says counts in the 60 s window;
// the longer windows of terms read that minute by minute, so what comes after its minute is over is
// told to them here. An event older than the 60 s window is late: it is all that, but part of the
// 60 s window, and stands in the ledger.
import { EVENT_HEADER_BYTES } from "../../sdk/assembly/batch";
import { mix32 } from "../../sdk/assembly/sketches/bytes";
import { addPerson, personOf } from "../../sdk/assembly/sketches/people";
import {
  pushSaying, SAYING_BYTES, SAYINGS_PER_SET, sayingsOf, seenId,
} from "../../sdk/assembly/sketches/recent";
import { NO_SLOT, PANES } from "../../sdk/assembly/sketches/space-saving";
import { recallPast } from "../../sdk/assembly/sketches/trend";
import {
  fingerprint, hash64, hashFolded32, KIND_BIGRAM, KIND_MENTION, similar,
} from "../../sdk/assembly/text/tokenize";
import { paneEndMs, place } from "./clock";
import { addMetric } from "./metrics";
import { beginText, isTextBegun, TEXT_EVENTS_BEFORE } from "./own-text";
import {
  Candidate, findsFreePlace, fitsQuote, offerQuote, quoteCount, shapeOf, slotLift,
} from "./quotes";
import {
  conversations, CONVERSATIONS_BYTES, ledger, openedMetrics, state, table, termSpans, users,
} from "./state";
import { grow, isLargest, isWarm, retire, wake } from "./tiers";
import {
  addExplicit, dropRepeated, keptBytes, KIND_EXPLICIT, lengthAt, Turn,
} from "./turn";

export const FATE_COUNTED: u32 = 0;
export const FATE_LATE: u32 = 1;
export const FATE_DUPLICATE: u32 = 2;
const FATE_REPEATED: u32 = 3;
/** The kind of a fate; above it a bit says that a metric was refused. */
export const FATE_MASK: u32 = 7;
const FATE_REFUSED_METRIC: u32 = 8;

/** One event; returns its fate. */
export function take(turn: Turn, event: usize): u32 {
  const it = state();
  it.eventNumber += 1;
  turn.read(event);
  if (turn.idLen != 0 && seenId(it.ids, it.idCapacity, hash64(turn.id, turn.idLen)))
    return FATE_DUPLICATE;
  const inWindow = place(turn, load<f64>(event, 8));
  if (it.rest != 0) {
    turn.giveBack();
    wake();
  }
  turn.tally();
  noteUser(turn);
  const refused = turn.metricCount != 0 ? addMetrics(turn) : 0;
  const isMessage = (turn.textLen | turn.conversationLen) != 0;
  if (isMessage) turn.openMessage();
  if (turn.textLen != 0 && !isTextBegun() && !isQuotable(turn, inWindow)) {
    turn.giveBack();
    beginText();
  }
  turn.records = turn.scratch;
  turn.textTerms = turn.textLen != 0 ? turn.readText() : 0;
  const fate = inWindow ? count(turn) : countLate(turn, load<f64>(event, 8));
  if (isMessage) converse(turn, fate);
  return fate | refused;
}

/** Hot. */
@inline
function noteUser(turn: Turn): void {
  if (turn.userLen == 0) {
    turn.userHash = 0;
    turn.person = personOf(mix32(<u32>state().eventNumber), true);
    return;
  }
  const pane = table().pane;
  turn.userHash = mix32(hashFolded32(turn.user, turn.userLen));
  turn.person = personOf(turn.userHash, false);
  if (!isLargest() && users().isFull(pane) && !users().holds(turn.userHash)) growIfEntitled(turn);
  users().add(turn.userHash, turn.pane, pane);
}

/** Whether the text may be left to the quotes; see own-text.ts. */
function isQuotable(turn: Turn, inWindow: bool): bool {
  if (!inWindow || isWarm() || quoteCount() >= TEXT_EVENTS_BEFORE) return false;
  return fitsQuote(turn.idLen, turn.userLen, turn.textLen);
}

/** Hot. An event of the 60 s window. */
@inline
function count(turn: Turn): u32 {
  if (turn.textLen != 0) return countText(turn);
  if (turn.termCount != 0) countBrought(turn);
  return FATE_COUNTED;
}

/** Hot. */
function countText(turn: Turn): u32 {
  if (turn.textTerms != 0 && turn.userLen != 0 && saidBefore(turn)) return FATE_REPEATED;
  const candidate = changetype<Candidate>(<usize>turn.candidate);
  candidate.clear();
  countTerms(turn, allTerms(turn), candidate);
  candidate.score *= shapeOf(turn.text, turn.textLen);
  candidate.tsMs = turn.tsMs;
  candidate.eventNumber = state().eventNumber;
  candidate.pane = turn.pane;
  candidate.userHash = turn.userHash;
  candidate.id = turn.id;
  candidate.idLen = turn.idLen;
  candidate.user = turn.user;
  candidate.userLen = turn.userLen;
  candidate.text = turn.text;
  candidate.textLen = turn.textLen;
  if (!isTextBegun() && !findsFreePlace(candidate)) beginText();
  offerQuote(candidate);
  return FATE_COUNTED;
}

/** An event older than the 60 s window. */
function countLate(turn: Turn, tsMs: f64): u32 {
  const it = state();
  ledger().add(
    tsMs, it.asOfMs, turn.events, turn.pane, table().pane, turn.id, turn.idLen, it.lateExamples,
  );
  const termCount = allTerms(turn);
  for (let index: u32 = 0; index < termCount; index++) countLateTerm(turn, turn.record(index));
  return FATE_LATE;
}

/** The distinct terms of the event: those of its text and those it brings. Returns their count. */
function allTerms(turn: Turn): u32 {
  if (turn.termCount == 0) return turn.textTerms;
  const termCount = addExplicit(turn, turn.textTerms);
  return termCount > 1 ? dropRepeated(turn, termCount) : termCount;
}

/** Counts the metrics of the event, each a sample; returns the bit of a fate for a refused one. */
function addMetrics(turn: Turn): u32 {
  turn.giveBack();
  const store = openedMetrics();
  const pane = table().pane;
  let refused: u32 = 0;
  let at: usize = turn.terms;
  for (let index: u32 = 0; index < turn.termCount; index++)
    at += 2 + (<u32>load<u8>(at) | (<u32>load<u8>(at, 1) << 8));
  for (let index: u32 = 0; index < turn.metricCount; index++) {
    const nameBytes = <u32>load<u16>(at, 8);
    if (!addMetric(store, at + 10, nameBytes, load<f64>(at), 1, turn.pane, pane))
      refused = FATE_REFUSED_METRIC;
    at += 10 + nameBytes;
  }
  return refused;
}

/** Tells the conversations of a message; what the user has just said already is only counted. */
function converse(turn: Turn, fate: u32): void {
  const message = turn.openMessage();
  const isRepeated = fate == FATE_REPEATED;
  message.conversation = turn.conversation;
  message.conversationLen = turn.conversationLen;
  message.user = turn.user;
  message.userLen = turn.userLen;
  message.userHash = turn.userHash;
  message.id = turn.id;
  message.idLen = turn.idLen;
  message.text = turn.text;
  message.textLen = isRepeated ? 0 : turn.textLen;
  message.terms = turn.records;
  message.termCount = isRepeated ? 0 : turn.textTerms;
  message.events = turn.events;
  message.isLate = fate == FATE_LATE;
  message.tsMs = turn.tsMs;
  message.eventNumber = state().eventNumber;
  conversations().observe(CONVERSATIONS_BYTES, message, isTextBegun());
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

/** Hot. Counts the terms of an event without text: it can be no quote. */
function countBrought(turn: Turn): void {
  const isLate = turn.pane != table().pane && termSpans().isLate(turn.pane);
  if (turn.termCount == 1 && !isLate) {
    const at: usize = turn.terms;
    const bytes = keptBytes(at + 2, lengthAt(at));
    if (bytes != 0) countTerm(turn, hashFolded32(at + 2, bytes), <u32>at + 2, bytes, KIND_EXPLICIT);
    return;
  }
  const termCount = allTerms(turn);
  for (let index: u32 = 0; index < termCount; index++) {
    const record = turn.record(index);
    countTerm(
      turn, load<u32>(record, 8), load<u32>(record), load<u32>(record, 4), load<u32>(record, 12),
    );
    if (isLate) countLateTerm(turn, record);
  }
}

/** Hot. Counts the terms of the event, and weighs the event as a quote by them. */
function countTerms(turn: Turn, count: u32, candidate: Candidate): void {
  const windows = state().windows;
  const isLate = turn.pane != table().pane && termSpans().isLate(turn.pane);
  for (let index: u32 = 0; index < count; index++) {
    const record = turn.record(index);
    const hash = load<u32>(record, 8);
    const kind = load<u32>(record, 12);
    const slot = countTerm(turn, hash, load<u32>(record), load<u32>(record, 4), kind);
    if (isLate) countLateTerm(turn, record);
    // A pair weighs through its words; a mention says who and not what.
    if (kind == KIND_BIGRAM || kind == KIND_MENTION) continue;
    const lift = slotLift(slot, windows);
    if (lift > 0) candidate.weigh(hash, lift);
  }
}

/** The minute of the event is over, so the longer windows have read it already. */
function countLateTerm(turn: Turn, record: usize): void {
  termSpans().addLate(
    load<u32>(record, 8), load<u32>(record), load<u32>(record, 4), load<u32>(record, 12), turn.pane,
    turn.weight,
  );
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

/** Grows, if the events of the window allow it. */
function growIfEntitled(turn: Turn): bool {
  if (isLargest()) return false;
  turn.settle();
  return grow();
}

/** Gives a new term a slot: a free one, one nobody misses, one more by growing, or the victim's. */
function admit(turn: Turn, hash: u32, key: usize, bytes: u32, kind: u32): u32 {
  const slots = table();
  let slot = slots.count;
  if (slot == slots.capacity) {
    slot = slots.spare();
    if (slot == NO_SLOT) slot = growIfEntitled(turn) ? slots.count : slots.victim();
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
  record.firstSeen = backMs < 65535 ? <u16>(backMs > 0 ? <i32>backMs : 0) : 65535;
  return slot;
}

