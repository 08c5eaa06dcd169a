// Quotes: the few messages of the window that the TL;DR may cite, kept as they were said.
//
// A message is worth the sum of how far its terms stand above their usual, so a message of the
// topic of the minute is worth more than small talk. A new message takes the place of the user's
// own lesser quote on the same subject, or of anybody's in the same words, else a free place, else
// that of the least quote. What a message's terms are about to become nobody knows when it comes,
// so the worth of all quotes is judged anew at every roll and before one is given up.
//
// A quote, QUOTE_BYTES: the header below, then id, user and text back to back. Long text is cut at
// a word, control characters become spaces.
import { state, table } from "./state";
import { expectedOf } from "../../sdk/assembly/sketches/trend";
import { NO_SLOT } from "../../sdk/assembly/sketches/space-saving";
import { putExcerpt } from "../../sdk/assembly/text/excerpt";

export const QUOTE_BYTES: u32 = 256;
/** Terms of a message by which its worth is judged anew. */
export const QUOTE_TERMS: u32 = 8;
const USER_BYTES_MAX: u32 = 32;
export const TEXT_BYTES_MAX: u32 = 160;

@unmanaged
export class Quote {
  tsMs: f64;
  eventNumber: u64;
  /** 0: a free place. */
  pane: u32;
  score: f32;
  userHash: u32;
  idLen: u8;
  userLen: u8;
  textLen: u8;
  termCount: u8;
  term0: u32; term1: u32; term2: u32; term3: u32; term4: u32; term5: u32; term6: u32; term7: u32;

  @inline
  get id(): usize {
    return changetype<usize>(this) + offsetof<Quote>();
  }

  @inline
  get user(): usize {
    return this.id + this.idLen;
  }

  @inline
  get text(): usize {
    return this.user + this.userLen;
  }

  @inline
  termAt(index: u32): u32 {
    return load<u32>(changetype<usize>(this) + (index << 2), offsetof<Quote>("term0"));
  }
}

/** What is offered as a quote. Lies in the arena. */
@unmanaged
export class Candidate {
  tsMs: f64;
  eventNumber: u64;
  pane: u32;
  score: f32;
  userHash: u32;
  id: u32;
  idLen: u32;
  user: u32;
  userLen: u32;
  text: u32;
  textLen: u32;
  termCount: u32;
  term0: u32; term1: u32; term2: u32; term3: u32; term4: u32; term5: u32; term6: u32; term7: u32;
  lift0: f32; lift1: f32; lift2: f32; lift3: f32; lift4: f32; lift5: f32; lift6: f32; lift7: f32;

  clear(): void {
    this.score = 0;
    this.termCount = 0;
  }

  /** Hot. Adds a term of the message; the QUOTE_TERMS that stand out most are kept. */
  weigh(hash: u32, lift: f32): void {
    this.score += lift;
    const terms = changetype<usize>(this) + offsetof<Candidate>("term0");
    const lifts = changetype<usize>(this) + offsetof<Candidate>("lift0");
    let at = this.termCount;
    if (at == QUOTE_TERMS) {
      at = 0;
      for (let other: u32 = 1; other < QUOTE_TERMS; other++)
        if (load<f32>(lifts + (other << 2)) < load<f32>(lifts + (at << 2))) at = other;
      if (load<f32>(lifts + (at << 2)) >= lift) return;
    } else {
      this.termCount = at + 1;
    }
    store<u32>(terms + (at << 2), hash);
    store<f32>(lifts + (at << 2), lift);
  }
}

@inline
export function quoteAt(index: u32): Quote {
  return changetype<Quote>(<usize>(state().quotes + index * QUOTE_BYTES));
}

/** Hot: most messages are turned away by the first line. */
export function offerQuote(candidate: Candidate): void {
  if (candidate.score <= state().quoteScoreLeast) return;
  judgeAll();
  const place = placeFor(candidate);
  if (place != null) write(place, candidate);
  updateLeast();
}

/** Whether a text of a user would be kept as it was said, were it kept. */
export function fitsQuote(idLen: u32, userLen: u32, textLen: u32): bool {
  const room = QUOTE_BYTES - <u32>offsetof<Quote>() - idLen - userLen;
  return userLen <= USER_BYTES_MAX && textLen <= min(room, TEXT_BYTES_MAX);
}

/** Whether the candidate, were it offered, would take no other's place. */
export function findsFreePlace(candidate: Candidate): bool {
  if (candidate.score <= state().quoteScoreLeast) return false;
  judgeAll();
  const place = placeFor(candidate);
  return place != null && place.pane == 0;
}

/** The quote that was said next after an event, null if there is none. */
export function quoteAfter(eventNumber: u64): Quote | null {
  let next: Quote | null = null;
  for (let index: u32 = 0; index < state().quoteCapacity; index++) {
    const quote = quoteAt(index);
    if (quote.pane == 0 || quote.eventNumber <= eventNumber) continue;
    if (next == null || quote.eventNumber < next.eventNumber) next = quote;
  }
  return next;
}

export function quoteCount(): u32 {
  let count: u32 = 0;
  for (let index: u32 = 0; index < state().quoteCapacity; index++)
    if (quoteAt(index).pane != 0) count += 1;
  return count;
}

/** Whether some quote has left the window; `rollQuotes` will forget it. */
export function hasPastQuote(): bool {
  const oldest = table().low;
  for (let index: u32 = 0; index < state().quoteCapacity; index++)
    if (quoteAt(index).pane != 0 && quoteAt(index).pane < oldest) return true;
  return false;
}

/** Forgets what has left the window and judges the rest anew. */
export function rollQuotes(): void {
  const oldest = table().low;
  for (let index: u32 = 0; index < state().quoteCapacity; index++) {
    const quote = quoteAt(index);
    if (quote.pane == 0) continue;
    if (quote.pane < oldest) memory.fill(changetype<usize>(quote), 0, QUOTE_BYTES);
  }
  judgeAll();
  updateLeast();
}

/** Keeps the best `capacity` quotes, in the first places. */
export function compactQuotes(capacity: u32): void {
  for (let index: u32 = 0; index < state().quoteCapacity; index++) {
    const quote = quoteAt(index);
    if (quote.pane == 0) continue;
    if (index >= capacity) {
      const place = leastPlace(capacity);
      if (place.pane == 0 || place.score < quote.score)
        memory.copy(changetype<usize>(place), changetype<usize>(quote), QUOTE_BYTES);
      memory.fill(changetype<usize>(quote), 0, QUOTE_BYTES);
    }
  }
}

/**
 * How much the form speaks for quoting it: neither a grunt nor a wall of text, rather a question.
 */
export function shapeOf(text: usize, textLen: u32): f32 {
  const length: f32 = textLen < 12 ? 0.3 : textLen < 28 ? 0.7 : textLen <= 240 ? 1 : 0.8;
  return textLen != 0 && load<u8>(text + textLen - 1) == 0x3f ? length * 1.25 : length;
}

function judgeAll(): void {
  for (let index: u32 = 0; index < state().quoteCapacity; index++) {
    const quote = quoteAt(index);
    if (quote.pane != 0) quote.score = worthNow(quote);
  }
}

function worthNow(quote: Quote): f32 {
  let worth: f32 = 0;
  for (let index: u32 = 0; index < <u32>quote.termCount; index++)
    worth += liftOf(quote.termAt(index));
  return worth * shapeOf(quote.text, quote.textLen);
}

/** How far a term stands above its usual, by its hash alone: good enough to judge worth. */
function liftOf(hash: u32): f32 {
  const slot = table().findHash(hash);
  return slot == NO_SLOT ? 0 : slotLift(slot, state().windows);
}

/** Hot. Count above the usual; more than 50 is not worth more. */
@inline
export function slotLift(slot: u32, windows: f32): f32 {
  const expected = expectedOf(load<f32>(state().past + (slot << 2)), windows);
  return max<f32>(0, min<f32>(50, <f32>table().ownOf(slot) - expected));
}

function placeFor(candidate: Candidate): Quote | null {
  const capacity = state().quoteCapacity;
  for (let index: u32 = 0; index < capacity; index++) {
    const quote = quoteAt(index);
    if (quote.pane == 0) continue;
    const shared = overlap(quote, candidate);
    const isOwn = quote.userHash == candidate.userHash && candidate.userHash != 0;
    const isSame = shared == candidate.termCount && shared == <u32>quote.termCount;
    if (isSame ? shared != 0 : isOwn && shared * 2 > candidate.termCount)
      return quote.score < candidate.score ? quote : null;
  }
  const place = leastPlace(capacity);
  return place.pane == 0 || place.score < candidate.score ? place : null;
}

/** A free place, or the one of the least score, the older of equals. */
function leastPlace(capacity: u32): Quote {
  let least = quoteAt(0);
  for (let index: u32 = 0; index < capacity; index++) {
    const quote = quoteAt(index);
    if (quote.pane == 0) return quote;
    if (quote.score < least.score) least = quote;
    else if (quote.score == least.score && quote.eventNumber < least.eventNumber) least = quote;
  }
  return least;
}

function overlap(quote: Quote, candidate: Candidate): u32 {
  let shared: u32 = 0;
  for (let index: u32 = 0; index < candidate.termCount; index++) {
    const term = load<u32>(
      changetype<usize>(candidate) + (index << 2), offsetof<Candidate>("term0"),
    );
    for (let other: u32 = 0; other < <u32>quote.termCount; other++)
      if (quote.termAt(other) == term) shared += 1;
  }
  return shared;
}

function updateLeast(): void {
  let least: f32 = f32.MAX_VALUE;
  for (let index: u32 = 0; index < state().quoteCapacity; index++) {
    const quote = quoteAt(index);
    least = quote.pane == 0 ? -1 : min<f32>(least, quote.score);
    if (quote.pane == 0) break;
  }
  state().quoteScoreLeast = least;
}

function write(quote: Quote, from: Candidate): void {
  memory.fill(changetype<usize>(quote), 0, QUOTE_BYTES);
  quote.tsMs = from.tsMs;
  quote.eventNumber = from.eventNumber;
  quote.pane = from.pane;
  quote.score = from.score;
  quote.userHash = from.userHash;
  quote.termCount = <u8>from.termCount;
  memory.copy(
    changetype<usize>(quote) + offsetof<Quote>("term0"),
    changetype<usize>(from) + offsetof<Candidate>("term0"),
    from.termCount << 2,
  );
  const idLen = from.idLen;
  memory.copy(quote.id, from.id, idLen);
  quote.idLen = <u8>idLen;
  quote.userLen = <u8>putText(quote.user, USER_BYTES_MAX, from.user, from.userLen);
  const room = QUOTE_BYTES - <u32>offsetof<Quote>() - idLen - <u32>quote.userLen;
  quote.textLen = <u8>putText(quote.text, min(room, TEXT_BYTES_MAX), from.text, from.textLen);
}

/** An excerpt of text, and zeros behind it. */
function putText(to: usize, room: u32, from: usize, bytes: u32): u32 {
  const length = putExcerpt(to, room, from, bytes);
  memory.fill(to + length, 0, room - length);
  return length;
}
