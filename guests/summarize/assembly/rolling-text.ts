// A rolling text: a few messages that say what a conversation is about, updated by each message and
// never computed anew. With it the questions nobody has answered and what was settled.
//
// Chosen lines. A message comes in while there is a place; after that it takes the place of the line
// that is missed least, if the lines are then clearly worth more: see choice.ts.
//
// Questions stay open until somebody else speaks to the asker by name at the start of a message,
// or soon says something with words of the question; or the one who was asked speaks next; or a yes
// or no comes next where few speak, or right behind it and alone; or the asker says thanks, or that
// it works. A question back is no answer, nor is "no idea"; "have you tried …?" is one. After
// OPEN_EVENTS_MAX events a question goes in any case, and so does a decision. On the annotated logs
// of #ubuntu and #linux 9 of 10 messages that closed a question belonged to its thread (of the yes
// and no right behind one, 12 of 14), and of the questions that a thread left open 3 of 4 had no
// reply; rolling-text.test.ts reads them.
//
// Nothing is allocated.
import { choose, fadeWorth } from "./choice";
import {
  AFTER_COMMAND, HAS_OPEN, HAS_TEXT_STORE, IS_OWN, KIND_DECISION, KIND_QUESTION, KIND_SAID, Line,
  LINE_TAGS, lineAt, Record,
} from "./conversation-record";
import { endsName, Message, userNameHash } from "./message";
import {
  ACT_ASKING, ACT_BETWEEN, ACT_BOT, ACT_CLOSING, ACT_COMMAND, ACT_DECISION, ACT_QUESTION, ACT_SHRUG,
  ACT_YES_NO, lower,
} from "./speech";
import { weighTags } from "./topics";

export const QUESTIONS_MAX: u32 = 3;
export const DECISIONS_MAX: u32 = 3;
const TEXT_BYTES_MAX: u32 = 120;
const TEXT_OWN_BYTES_MAX: u32 = 160;
/** What a line is cut to where the record has no room for more. */
const TEXT_SHORT_BYTES_MAX: u32 = 72;

const OPEN_EVENTS_MAX: u32 = 256;
/** Events within which an answer without a name is taken for one. */
const ANSWER_EVENTS_MAX: u32 = 12;
/** The same for whoever was asked, and for a plain yes or no. */
const NEXT_EVENTS_MAX: u32 = 3;
/** Where no more speak, a yes is for whoever asked last. */
const SMALL_SPEAKERS_MAX: u32 = 4;
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
  fadeWorth(record);
  const isReply = record.has(AFTER_COMMAND);
  const acts = message.acts;
  if ((acts & ACT_COMMAND) != 0) record.set(AFTER_COMMAND);
  else if (isReply) record.flags &= ~(<u8>AFTER_COMMAND);
  if (record.has(HAS_OPEN)) closeLines(record, message);
  const speaks = (acts & (ACT_COMMAND | ACT_BOT)) == 0 && !isReply;
  return speaks && message.tagCount >= SAID_TAGS_MIN ? take(record, message) : 0;
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

function putTags(line: Line, message: Message): void {
  const count = min(message.tagCount, LINE_TAGS);
  for (let index: u32 = 0; index < count; index++)
    store<u16>(line.tagsAt + (index << 1), <u16>message.tagAt(index));
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
    if (over != 0 && record.release(line, over)) continue;
    if (line.is(KIND_QUESTION | KIND_DECISION)) isOpen = true;
    at += line.bytes;
  }
  if (!isOpen) record.flags &= ~(<u8>HAS_OPEN);
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
  if ((acts & ACT_YES_NO) != 0 && age <= NEXT_EVENTS_MAX) {
    if (isSmall || (age == 1 && message.tagCount == 0)) return true;
  }
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
    if (!isSame || !record.release(line, kinds)) at += line.bytes;
  }
}

/** Leaves the newest `most` lines of the kind. */
function dropBeyond(record: Record, kind: u32, most: u32): void {
  while (countKind(record, kind) > most) record.release(oldestOf(record, kind)!, kind);
}

/** Gives up the oldest question or decision, to make room; false if there is none. */
function dropOldest(record: Record): bool {
  const line = oldestOf(record, KIND_QUESTION | KIND_DECISION);
  if (line == null) return false;
  record.release(line, KIND_QUESTION | KIND_DECISION);
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
