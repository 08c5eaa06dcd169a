// A rolling text: a few messages that say what a conversation is about, updated by each message and
// never computed anew. With it the questions nobody has answered and what was settled.
//
// Chosen lines. A set S of at most k messages is worth
//
//   f(S) = sum over terms t of  c(t) x max over lines of S with t of q(line)
//        + sum over speakers of SPEAKER_WORTH x max over their lines in S of q(line)
//
// c(t) is how much the term is talked about now beyond its usual; q is how well the line reads, and
// how recent it is. As a facility location f is monotone and submodular: a second line on the same
// subject or of the same speaker adds little. A message comes in while there is a place; after that
// it takes the place of the line u for which f(S - u + v) is greatest, and only if that is at least
// (1 + 1/k) f(S). This is the swap rule of Buchbinder, Feldman and Schwartz (Online submodular
// maximization with preemption, 2015), which for a fixed f keeps at least 1/4 of the best k
// messages of the stream, and no deterministic rule of the kind does better on all constraints.
// The margin is why readers see no flicker: a line stays until another is clearly better, or until
// it has faded and something new is said.
//
// Our f moves: q halves with every HALF_LIFE events of the record and every AGE_MS_HALF_LIFE, the
// same for all lines, so comparing lines of two ages does not depend on when it is done. c(t) is
// taken at the time of the comparison, for both sides; the bound of 1/4 holds as long as it stands.
//
// Terms. A record has a small table of tags with fading counts, 4 bits each: one mention of another
// speaker counts 3, of the same one 1; every FADE events all counts halve after a quarter of the
// difference has gone into the term's usual. A term in every message is no subject.
//
// Questions stay open until somebody else speaks to the asker by name at the start of a message,
// or soon says something with words of the question; or the one who was asked speaks next, or a yes
// or no comes next where few speak; or the asker says thanks, or that it works. A question back is
// no answer, nor is "no idea"; "have you tried …?" is one. After OPEN_EVENTS_MAX events a question
// goes in any case, and so does a decision. On the annotated logs of #ubuntu and #linux 9 of 10
// messages that closed a question belonged to its thread, and of the questions that a thread left
// open 3 of 4 had no reply; rolling-text.test.ts reads them.
//
// Cost: O(k² x LINE_TAGS) for a candidate that could be worth it, one message in eight; half of the
// rest are turned away by one sum, and the others by what they would add to the lines that are
// shown, both against the worth that was found last, which fades with every message. Nothing is
// allocated.
import {
  AFTER_COMMAND, HAS_OPEN, HAS_TEXT_STORE, IS_OWN, KIND_DECISION, KIND_QUESTION, KIND_SAID, Line,
  LINE_TAGS, lineAt, Record, tagsShared,
} from "./conversation-record";
import { endsName, Message, userNameHash } from "./message";
import {
  ACT_ASKING, ACT_BETWEEN, ACT_BOT, ACT_CLOSING, ACT_COMMAND, ACT_DECISION, ACT_QUESTION, ACT_SHRUG,
  ACT_YES_NO, lower,
} from "./speech";

const SAID_MAX: u32 = 3;
const SAID_OWN_MAX: u32 = 5;
export const QUESTIONS_MAX: u32 = 3;
export const DECISIONS_MAX: u32 = 3;
const TEXT_BYTES_MAX: u32 = 120;
const TEXT_OWN_BYTES_MAX: u32 = 160;
/** What a line is cut to where the record has no room for more. */
const TEXT_SHORT_BYTES_MAX: u32 = 72;

const HALF_LIFE: f32 = 48;
const HALF_LIFE_OWN: f32 = 96;
const AGE_MS_HALF_LIFE: f64 = 21_600_000;
/** What is left of a line whose place is free for whatever is new: three half-lives. */
const FADED: f32 = 0.125;
const FADE: u32 = 32;
const FADE_OWN: u32 = 64;
const OPEN_EVENTS_MAX: u32 = 256;
/** Events within which an answer without a name is taken for one. */
const ANSWER_EVENTS_MAX: u32 = 12;
/** The same for whoever was asked, and for a plain yes or no. */
const NEXT_EVENTS_MAX: u32 = 3;
/** Where no more speak, a yes is for whoever asked last. */
const SMALL_SPEAKERS_MAX: u32 = 4;
const SPEAKER_WORTH: f32 = 2;
/** Content terms below which a message says too little. */
const SAID_TAGS_MIN: u32 = 2;
/** The same for a question that does not begin like one: "in the physical drive?" */
const QUESTION_TAGS_MIN: u32 = 4;

/**
 * Hot. Takes the message into the text of the record; `readMessage` and `count` came before. Takes
 * no room: returns the kinds of the line that the message is to be, by `addLine`, or 0.
 */
export function listen(record: Record, message: Message): u32 {
  if (message.textLen == 0) return 0;
  record.worth *= 1 - 0.7 / (record.has(IS_OWN) ? HALF_LIFE_OWN : HALF_LIFE);
  const isReply = record.has(AFTER_COMMAND);
  const acts = message.acts;
  if ((acts & ACT_COMMAND) != 0) record.set(AFTER_COMMAND);
  else if (isReply) record.flags &= ~(<u8>AFTER_COMMAND);
  if (record.has(HAS_OPEN)) closeLines(record, message);
  const speaks = (acts & (ACT_COMMAND | ACT_BOT)) == 0 && !isReply;
  return speaks && message.tagCount >= SAID_TAGS_MIN ? take(record, message) : 0;
}

/** Lines of the record that are shown as said: k of the story. */
@inline
export function saidMax(record: Record): u32 {
  return record.has(IS_OWN) ? SAID_OWN_MAX : SAID_MAX;
}

function take(record: Record, message: Message): u32 {
  if (record.has(HAS_TEXT_STORE)) weighTags(record, message);
  let kinds: u32 = 0;
  // At a whole tenant, what one asks another is between the two.
  const asks = (message.acts & ACT_QUESTION) != 0;
  const isBetween = message.toHash != 0 || (message.acts & ACT_BETWEEN) != 0;
  const isWhole = (message.acts & ACT_ASKING) != 0 || message.tagCount >= QUESTION_TAGS_MIN;
  if (asks && isWhole && !(record.has(IS_OWN) && isBetween)) kinds |= KIND_QUESTION;
  if ((message.acts & ACT_DECISION) != 0) kinds |= KIND_DECISION;
  if (kinds != 0) dropSame(record, message, kinds);
  if (choose(record, message)) kinds |= KIND_SAID;
  return kinds;
}

/** Adds the message as a line of the kinds, at the cost of the oldest where there are too many. */
export function addLine(record: Record, message: Message, kinds: u32): void {
  if ((kinds & KIND_QUESTION) != 0) dropBeyond(record, KIND_QUESTION, QUESTIONS_MAX - 1);
  if ((kinds & KIND_DECISION) != 0) dropBeyond(record, KIND_DECISION, DECISIONS_MAX - 1);
  const room = record.has(IS_OWN) ? TEXT_OWN_BYTES_MAX : TEXT_BYTES_MAX;
  const shape = message.shape;
  let line = record.addLine(message, kinds, shape, room);
  if (line == null) line = record.addLine(message, kinds, shape, TEXT_SHORT_BYTES_MAX);
  while (line == null && dropOldest(record)) line = record.addLine(message, kinds, shape, room);
  if (line == null) return;
  putTags(line, message);
  if ((kinds & (KIND_QUESTION | KIND_DECISION)) != 0) record.set(HAS_OPEN);
  record.revision += 1;
}

// Terms: cells of { u16 tag, u8 speaker, u8 usual << 4 | count }, two to a set.

const COUNT_MAX: u32 = 15;

/** Counts the tags, weighs them, and brings the LINE_TAGS weightiest to the front. */
function weighTags(record: Record, message: Message): void {
  const epoch = record.events / (record.has(IS_OWN) ? FADE_OWN : FADE);
  // Four halvings leave no count.
  for (let step = min((epoch - record.fades) & 0xff, 4); step > 0; step--) fade(record);
  record.fades = <u8>epoch;
  const cells = record.cells;
  const mask = (record.cellCount >> 1) - 1;
  const speaker = message.userHash & 0xff;
  const count = message.tagCount;
  for (let index: u32 = 0; index < count; index++) {
    const tag = message.tagAt(index);
    store<f32>(message.weights + (index << 2), countTag(cells + ((tag & mask) << 3), tag, speaker));
  }
  if (count > LINE_TAGS) bringToFront(message);
}

/** Returns c(t). */
@inline
function countTag(set: usize, tag: u32, speaker: u32): f32 {
  const cell = <u32>load<u16>(set) == tag ? set : <u32>load<u16>(set, 4) == tag ? set + 4 : 0;
  if (cell != 0) {
    const found = load<u32>(cell);
    const isOther = ((found >> 16) & 0xff) != speaker;
    const count = min(((found >> 24) & 15) + (isOther ? 3 : 1), COUNT_MAX);
    const counts = ((found >> 24) & 0xf0) | count;
    store<u32>(cell, tag | (speaker << 16) | (counts << 24));
    return worthOf(counts);
  }
  const first = <u32>load<u8>(set, 3);
  const second = <u32>load<u8>(set, 7);
  const least = (second & 15) < (first & 15) ? set + 4 : set;
  const counts = <u32>load<u8>(least, 3);
  // It must be missed for a while before it goes.
  if ((counts & 15) > 2) store<u8>(least, <u8>(counts - 1), 3);
  else store<u32>(least, tag | (speaker << 16) | (2 << 24));
  return 1;
}

function fade(record: Record): void {
  const end = record.cells + (record.cellCount << 2);
  for (let cell = record.cells; cell < end; cell += 4) {
    const counts = <u32>load<u8>(cell, 3);
    if (counts == 0) continue;
    const usual = ((counts >> 4) * 3 + (counts & 15)) >> 2;
    const count = (counts & 15) >> 1;
    if (usual + count == 0) store<u32>(cell, 0);
    else store<u8>(cell, <u8>((usual << 4) | count), 3);
  }
}

/** c(t) of the story: 1 for a term of its own, more for what several speak of. */
@inline
function worthOf(counts: u32): f32 {
  const usual = counts >> 4;
  const beyond = <i32>(counts & 15) - <i32>usual;
  const plain = select<f32>(0.4, 1, usual > 4);
  return select<f32>(<f32>beyond * 0.5, plain, beyond > 2);
}

@inline
function worthOfTag(set: usize, tag: u32): f32 {
  // No branch depends on the tag: it would be guessed wrong every other time.
  const first = load<u32>(set);
  const second = load<u32>(set, 4);
  const rest = select<u32>(second >> 24, 0, (second & 0xffff) == tag);
  return worthOf(select<u32>(first >> 24, rest, (first & 0xffff) == tag));
}

/** Of tags of one weight, those that were said first. */
function bringToFront(message: Message): void {
  const tags = message.tags;
  let least = leastOfFront(message);
  for (let other = LINE_TAGS; other < message.tagCount; other++) {
    const weight = message.weightAt(other);
    if (weight <= message.weightAt(least)) continue;
    store<f32>(message.weights + (other << 2), message.weightAt(least));
    store<f32>(message.weights + (least << 2), weight);
    const tag = message.tagAt(other);
    store<u16>(tags + (other << 1), <u16>message.tagAt(least));
    store<u16>(tags + (least << 1), <u16>tag);
    least = leastOfFront(message);
  }
}

function leastOfFront(message: Message): u32 {
  let least: u32 = 0;
  for (let index: u32 = 1; index < LINE_TAGS; index++)
    if (message.weightAt(index) <= message.weightAt(least)) least = index;
  return least;
}

function putTags(line: Line, message: Message): void {
  const count = min(message.tagCount, LINE_TAGS);
  for (let index: u32 = 0; index < count; index++)
    store<u16>(line.tagsAt + (index << 1), <u16>message.tagAt(index));
}

// The choice. Scratch at `worths`: f32 of each chosen line's q, then the u32 addresses.

/** Whether the message is one of the lines that are shown; if so, there is a place for it now. */
function choose(record: Record, message: Message): bool {
  const count = gather(record, message);
  const quality = <f32>message.shape / 128;
  const faded = load<u32>(message.worths, FADED_AT);
  if (count < saidMax(record)) return !repeats(message, count);
  if (faded == 0) {
    // What it adds must make up for the margin at least.
    const wanted = record.worth / <f32>count;
    if (mostOf(message) * quality < wanted) return false;
    if (gainOf(message, quality, count) < wanted) return false;
  }
  if (repeats(message, count)) return false;
  if (faded == 0) return swap(record, message, quality, count);
  release(record, lineAt(<usize>faded), KIND_SAID);
  return true;
}

/** What a line of the message could add for each of its quality. */
function mostOf(message: Message): f32 {
  let most: f32 = SPEAKER_WORTH;
  const count = min(message.tagCount, LINE_TAGS);
  for (let index: u32 = 0; index < count; index++) most += message.weightAt(index);
  return most;
}

/** f(S + v) - f(S). */
function gainOf(message: Message, quality: f32, count: u32): f32 {
  let best: f32 = 0;
  for (let line: u32 = 0; line < count; line++) {
    const isSame = chosenLine(message, line).user == message.userHash;
    best = max(best, select<f32>(chosenQuality(message, line), 0, isSame));
  }
  let gain = SPEAKER_WORTH * max(quality - best, 0);
  const tags = min(message.tagCount, LINE_TAGS);
  for (let index: u32 = 0; index < tags; index++) {
    const tag = message.tagAt(index);
    best = 0;
    for (let line: u32 = 0; line < count; line++) {
      const isShown = chosenLine(message, line).hasTag(tag);
      best = max(best, select<f32>(chosenQuality(message, line), 0, isShown));
    }
    gain += message.weightAt(index) * max(quality - best, 0);
  }
  return gain;
}

/** Notes the chosen lines and the q of each; returns how many. */
function gather(record: Record, message: Message): u32 {
  const perEvent: f32 = 1 / (record.has(IS_OWN) ? HALF_LIFE_OWN : HALF_LIFE);
  let count: u32 = 0;
  store<u32>(message.worths, 0, FADED_AT);
  for (let at = record.lines; at < record.end; at += lineAt(at).bytes) {
    const line = lineAt(at);
    if (!line.is(KIND_SAID)) continue;
    const ageMs = max<f64>(record.lastMs - line.tsMs, 0);
    const events = <f32>(record.events - line.ordinal);
    const fading = halved(events * perEvent + <f32>(ageMs * (1 / AGE_MS_HALF_LIFE)));
    const quality = <f32>line.shape / 128 * fading;
    if (fading <= FADED) store<u32>(message.worths, <u32>at, FADED_AT);
    store<f32>(message.worths + (count << 2), quality);
    store<u32>(message.worths + (count << 2), <u32>at, LINES_AT);
    count += 1;
  }
  return count;
}

const LINES_AT: usize = 32;
const FADED_AT: usize = 64;

@inline
function chosenLine(message: Message, index: u32): Line {
  return lineAt(<usize>load<u32>(message.worths + (index << 2), LINES_AT));
}

@inline
function chosenQuality(message: Message, index: u32): f32 {
  return load<f32>(message.worths + (index << 2));
}

/** 2^-x, by straight lines between whole x. */
function halved(x: f32): f32 {
  if (!(x < 30)) return 0;
  const whole = <u32>x;
  const power = reinterpret<f32>((127 - whole) << 23); // 2^-whole
  return (1 - (x - <f32>whole) / 2) * power;
}

/** Whether a chosen line that has not faded says most of it already. */
function repeats(message: Message, count: u32): bool {
  const most = min(message.tagCount, LINE_TAGS) * 3;
  for (let index: u32 = 0; index < count; index++) {
    if (chosenQuality(message, index) <= FADED) continue;
    if (chosenLine(message, index).sharedTags(message) * 4 >= most) return true;
  }
  return false;
}

/**
 * Adds up f of the chosen lines, and for each how much f(S + v) loses without it; puts the message
 * in the place of the least, if that is worth the margin. The message is line number `count`.
 */
function swap(record: Record, message: Message, quality: f32, count: u32): bool {
  store<f32>(message.worths + (count << 2), quality);
  cover(message, count);
  const cells = record.cells;
  const mask = (record.cellCount >> 1) - 1;
  let now: f32 = 0;
  let gain: f32 = 0;
  let least: u32 = 0;
  let leastLoss: f32 = f32.MAX_VALUE;
  for (let line: u32 = 0; line <= count; line++) {
    const own = chosenQuality(message, line);
    const tags = tagsOf(message, line, count);
    const bests = bestsOf(message, line);
    let loss: f32 = SPEAKER_WORTH * max<f32>(own - load<f32>(bests, SPEAKER_AT + OTHERS), 0);
    let more: f32 = SPEAKER_WORTH * max<f32>(own - load<f32>(bests, SPEAKER_AT), 0);
    for (let index: u32 = 0; index < LINE_TAGS; index++) {
      const tag = <u32>load<u16>(tags + (index << 1));
      if (tag == 0) continue;
      const worth = worthOfTag(cells + ((tag & mask) << 3), tag);
      const best = bests + (index << 3);
      more += worth * max<f32>(own - load<f32>(best), 0);
      loss += worth * max<f32>(own - load<f32>(best, OTHERS), 0);
    }
    if (line == count) {
      gain = loss;
      continue;
    }
    now += more;
    if (loss >= leastLoss) continue;
    least = line;
    leastLoss = loss;
  }
  record.worth = now;
  const then = now + gain - leastLoss;
  if (then < now * (1 + 1 / <f32>count)) return false;
  record.worth = then;
  release(record, chosenLine(message, least), KIND_SAID);
  return true;
}

// Of each tag of a line, and behind them of its speaker: the f32 of the best earlier line, and that
// of the best other line.
const BESTS_AT: usize = 128;
const BESTS_BYTES: u32 = 80;
const OTHERS: usize = 4;
const SPEAKER_AT: usize = 64;

@inline
function bestsOf(message: Message, line: u32): usize {
  return message.worths + BESTS_AT + line * BESTS_BYTES;
}

/** Finds the bests of all lines. */
function cover(message: Message, count: u32): void {
  const end = bestsOf(message, count + 1);
  for (let at = bestsOf(message, 0); at < end; at += 16) v128.store(at, i64x2.splat(0));
  for (let line: u32 = 0; line < count; line++) {
    const tags = tagsOf(message, line, count);
    const speaker = speakerOf(message, line, count);
    const quality = chosenQuality(message, line);
    for (let later = line + 1; later <= count; later++) {
      const laterTags = tagsOf(message, later, count);
      const both: u32 = speakerOf(message, later, count) == speaker ? 1 << LINE_TAGS : 0;
      const shared = tagsShared(tags, laterTags) | both;
      if (shared == 0) continue;
      raise(bestsOf(message, line) + OTHERS, shared, chosenQuality(message, later));
      const laterShared = tagsShared(laterTags, tags) | both;
      raise(bestsOf(message, later), laterShared, quality);
      raise(bestsOf(message, later) + OTHERS, laterShared, quality);
    }
  }
}

/** Raises each of the bests to the quality, if that is more. */
@inline
function raise(bests: usize, which: u32, quality: f32): void {
  for (; which != 0; which &= which - 1) {
    const best = bests + (<usize>ctz(which) << 3);
    store<f32>(best, max(load<f32>(best), quality));
  }
}

@inline
function tagsOf(message: Message, line: u32, count: u32): usize {
  return line == count ? message.tags : chosenLine(message, line).tagsAt;
}

@inline
function speakerOf(message: Message, line: u32, count: u32): u32 {
  return line == count ? message.userHash : chosenLine(message, line).user;
}

// Open questions and decisions.

/** Closes what the message answers, or what has been open for too long. */
function closeLines(record: Record, message: Message): void {
  let isOpen = false;
  const isSmall = !record.has(IS_OWN) && <u32>record.speakerCount <= SMALL_SPEAKERS_MAX;
  let at = record.lines;
  while (at < record.end) {
    const line = lineAt(at);
    const age = record.events - line.ordinal;
    let over: u32 = 0;
    if (line.is(KIND_QUESTION) && (age > OPEN_EVENTS_MAX || answers(line, age, message, isSmall)))
      over |= KIND_QUESTION;
    if (line.is(KIND_DECISION) && age > OPEN_EVENTS_MAX) over |= KIND_DECISION;
    if (over != 0 && release(record, line, over)) continue;
    if (line.is(KIND_QUESTION | KIND_DECISION)) isOpen = true;
    at += line.bytes;
  }
  if (!isOpen) record.flags &= ~(<u8>HAS_OPEN);
}

/** Takes kinds from the line, and the line away if none is left; whether it is gone. */
function release(record: Record, line: Line, kinds: u32): bool {
  record.revision += 1;
  line.kinds &= ~(<u8>kinds);
  if (line.kinds != 0) return false;
  record.removeLine(line);
  return true;
}

function answers(question: Line, age: u32, message: Message, isSmall: bool): bool {
  const acts = message.acts;
  if (question.user == message.userHash && message.userHash != 0)
    return (acts & ACT_CLOSING) != 0 && (acts & ACT_QUESTION) == 0;
  if ((acts & (ACT_QUESTION | ACT_SHRUG | ACT_COMMAND)) != 0) return false;
  if (startsWithName(message, question)) return true;
  if (age > ANSWER_EVENTS_MAX) return false;
  if (message.toHash != 0) return false;
  const shared = question.sharedTags(message);
  const isAsked = question.to != 0 && question.to == userNameHash(message);
  if (isAsked && (shared != 0 || age <= NEXT_EVENTS_MAX)) return true;
  if ((acts & ACT_YES_NO) != 0 && age <= NEXT_EVENTS_MAX && isSmall) return true;
  return shared >= 2 || (shared == 1 && question.tagCount <= 3);
}

/** Chat's way of answering: "name: …", "name …" or "@name …". */
function startsWithName(message: Message, question: Line): bool {
  const bytes = <u32>question.userLen;
  if (bytes == 0) return false;
  let at = <usize>message.text;
  const end = at + message.textLen;
  if (at < end && load<u8>(at) == 0x40) at += 1;
  if (at + bytes > end) return false;
  for (let index: u32 = 0; index < bytes; index++)
    if (lower(load<u8>(at + index)) != lower(load<u8>(question.userAt + index))) return false;
  return at + bytes == end || endsName(load<u8>(at + bytes));
}

/** The same speaker says the same again: one of the two is enough, and the new one is nearer. */
function dropSame(record: Record, message: Message, kinds: u32): void {
  let at = record.lines;
  while (at < record.end) {
    const line = lineAt(at);
    const isSame =
      line.is(kinds) && line.user == message.userHash &&
      line.sharedTags(message) * 2 >= min(line.tagCount, message.tagCount);
    if (!isSame || !release(record, line, kinds)) at += line.bytes;
  }
}

/** Leaves the newest `most` lines of the kind. */
function dropBeyond(record: Record, kind: u32, most: u32): void {
  while (countKind(record, kind) > most) release(record, oldestOf(record, kind)!, kind);
}

/** Gives up the oldest question or decision, to make room; false if there is none. */
function dropOldest(record: Record): bool {
  const line = oldestOf(record, KIND_QUESTION | KIND_DECISION);
  if (line == null) return false;
  release(record, line, KIND_QUESTION | KIND_DECISION);
  return true;
}

export function countKind(record: Record, kind: u32): u32 {
  let count: u32 = 0;
  for (let at = record.lines; at < record.end; at += lineAt(at).bytes)
    if (lineAt(at).is(kind)) count += 1;
  return count;
}

function oldestOf(record: Record, kinds: u32): Line | null {
  let oldest: Line | null = null;
  for (let at = record.lines; at < record.end; at += lineAt(at).bytes) {
    const line = lineAt(at);
    if (line.is(kinds) && (oldest == null || line.ordinal < oldest.ordinal)) oldest = line;
  }
  return oldest;
}
