// One turn's scratch, and the terms of the event at hand: those of its text and those it brings.
import { alloc, mark, release, STATE_ADDRESS } from "../../sdk/assembly/arena";
import { EVENT_HEADER_BYTES, eventsOf } from "../../sdk/assembly/batch";
import { equalBytes } from "../../sdk/assembly/sketches/bytes";
import { KEY_BYTES_MAX } from "../../sdk/assembly/sketches/space-saving";
import {
  hash32, scratchBytes, TERM_RECORD_BYTES, tokenize,
} from "../../sdk/assembly/text/tokenize";
import { Message, openMessage } from "./message";
import { Candidate } from "./quotes";
import { rates, state, table, timeline, weights } from "./state";

/** Of one text. What it says after so many bytes or terms is not counted. */
const TEXT_BYTES_MAX: u32 = 4096;
const TEXT_TERMS_MAX: u32 = 192;
const EVENT_TERMS_MAX: u32 = TEXT_TERMS_MAX + 64;
/** Rates take times to 16 ms, 0.2 % of their shortest constant: a batch then costs them little. */
const RATE_MS: f64 = 16;
const RATE_MASK: u64 = ~15;
/** An explicit term; the tokenizer has kinds of its own. */
export const KIND_EXPLICIT: u32 = 15;

/**
 * Scratch of one call and what is known of the event at hand.
 *
 * Every event of a batch uses the same place, as much of it as it needs: what the tokenizer folds,
 * the records of the terms, and where terms may repeat the table that finds out. `reset` writes
 * zeros over all that was used, so what is not used costs nothing; nothing here relies on zeros.
 */
@unmanaged
export class Turn {
  /** TERM_RECORD_BYTES each: terms of the event, from its text first. */
  records: u32;
  candidate: u32;
  /** What conversations are told of the event; opened with the first event that is a message. */
  message: u32;
  /** The tokenizer's; the last thing in the arena, so that it can be widened in place. */
  scratch: u32;
  // The event at hand, as the batch has it; addresses and bytes.
  id: u32;
  idLen: u32;
  user: u32;
  userLen: u32;
  conversation: u32;
  conversationLen: u32;
  text: u32;
  textLen: u32;
  terms: u32;
  termCount: u32;
  metricCount: u32;
  /** How many events it stands for. */
  events: u32;
  /** How many of its records are of its text. */
  textTerms: u32;
  pane: u32;
  /** How far the host's clock is behind the window; see clock.ts. */
  panesBehind: u32;
  weight: u32;
  userHash: u32;
  person: u32;
  tsMs: f64;
  /** The pane of the time of the event before, and when it begins; clock.ts. */
  paneMs: f64;
  timePane: u32;
  /** Events that are not in the timeline yet: all of one pane. */
  tallyPane: u32;
  tallyEvents: u32;
  tallyWeight: u32;
  /** The newest time of an event of the batch. */
  watermarkMs: f64;
  /** Events that are not in the rates yet: all of one time, to 16 ms. */
  rateEvents: u32;
  rateMs: f64;

  open(): void {
    this.candidate = <u32>alloc(offsetof<Candidate>(), 16);
    this.scratch = <u32>alloc(0, 16);
    this.records = this.scratch;
    this.paneMs = Infinity;
  }

  /** Hot. */
  @inline
  read(event: usize): void {
    // Sums of locals: the engine would read back from memory what it has just written there.
    const id = <u32>event + EVENT_HEADER_BYTES;
    const idLen = <u32>load<u16>(event, 16);
    const user = id + idLen;
    const userLen = <u32>load<u16>(event, 18);
    const conversation = user + userLen;
    const conversationLen = <u32>load<u16>(event, 20);
    const text = conversation + conversationLen;
    const textLen = load<u32>(event, 24);
    this.id = id;
    this.idLen = idLen;
    this.user = user;
    this.userLen = userLen;
    this.conversation = conversation;
    this.conversationLen = conversationLen;
    this.text = text;
    this.textLen = textLen;
    this.terms = text + textLen;
    this.termCount = <u32>load<u16>(event, 22);
    this.metricCount = <u32>load<u16>(event, 28);
    this.weight = max(load<u32>(event, 4), 1);
    this.events = eventsOf(event);
  }

  /** Hot. Counts the event in the timeline and the rates, with those that came just before it. */
  @inline
  tally(): void {
    if (this.pane != this.tallyPane) {
      this.settleTimeline();
      this.tallyPane = this.pane;
    }
    if (this.tsMs > this.watermarkMs) this.watermarkMs = this.tsMs;
    if (!(this.tsMs >= this.rateMs && this.tsMs < this.rateMs + RATE_MS)) {
      this.settleRates();
      this.rateMs = <f64>(<u64>this.tsMs & RATE_MASK);
    }
    this.tallyEvents += this.events;
    this.tallyWeight += this.weight;
    this.rateEvents += this.events;
  }

  /** Brings the timeline and the rates up to date: before time moves and before they are asked. */
  settle(): void {
    this.settleTimeline();
    this.settleRates();
    if (this.watermarkMs > state().watermarkMs) state().watermarkMs = this.watermarkMs;
  }

  private settleTimeline(): void {
    if (this.tallyWeight == 0) return;
    timeline().add(this.tallyEvents, this.tallyWeight, this.tallyPane, table().pane, weights());
    this.tallyEvents = 0;
    this.tallyWeight = 0;
  }

  private settleRates(): void {
    if (this.rateEvents == 0) return;
    rates().add(this.rateMs, <f64>this.rateEvents);
    this.rateEvents = 0;
  }

  /** The call is over: zeros again. */
  close(): void {
    this.settle();
    memory.fill(changetype<usize>(this), 0, offsetof<Turn>());
  }

  /** Frees the scratch, for those who need much themselves: the next event does with new one. */
  giveBack(): void {
    if (mark() > <usize>this.scratch) release(this.scratch);
  }

  /** Before the first text is read: the scratch is the last thing in the arena. */
  openMessage(): Message {
    if (this.message == 0) {
      this.giveBack();
      this.message = <u32>changetype<usize>(openMessage());
      this.scratch = <u32>alloc(0, 16);
    }
    return changetype<Message>(<usize>this.message);
  }

  @inline
  record(index: u32): usize {
    return <usize>this.records + <usize>index * TERM_RECORD_BYTES;
  }

  /** The distinct terms of the text, into the first records; returns their count. */
  readText(): u32 {
    const text: usize = this.text;
    let bytes = this.textLen;
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

// A static, zeros between calls: at an address the compiler knows, no access has to be checked.
const TURN: usize = memory.data(offsetof<Turn>(), 16);

@inline
export function theTurn(): Turn {
  return changetype<Turn>(TURN);
}

/** Appends the explicit terms to the `count` records of the text; returns the sum. */
export function addExplicit(turn: Turn, count: u32): u32 {
  const termCount = turn.termCount;
  let at: usize = turn.terms;
  turn.use(turn.record(min(count + termCount, EVENT_TERMS_MAX)));
  for (let index: u32 = 0; index < termCount && count < EVENT_TERMS_MAX; index++) {
    const bytes = lengthAt(at);
    const record = turn.record(count);
    at += 2;
    if (bytes != 0) {
      const kept = keptBytes(at, bytes);
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

/** The length of the term at an address. */
@inline
export function lengthAt(at: usize): u32 {
  return <u32>load<u8>(at) | (<u32>load<u8>(at, 1) << 8);
}

/** As many bytes of a term as are its key: whole characters. */
@inline
export function keptBytes(term: usize, bytes: u32): u32 {
  if (bytes <= KEY_BYTES_MAX) return bytes;
  let kept = KEY_BYTES_MAX;
  while (kept > 1 && (load<u8>(term + kept) & 0xc0) == 0x80) kept -= 1;
  return kept;
}

/** Keeps the first record of each term: text lists a term once, explicit terms may say it again. */
export function dropRepeated(turn: Turn, count: u32): u32 {
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
