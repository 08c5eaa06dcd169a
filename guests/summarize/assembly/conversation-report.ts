// What is told of conversations and rolling texts, as plain structs in the arena, field by field
// what wit/summarizer.wit says of `conversation-item`, `participant`, `rolling-text`, `text-line`.
//
// The paragraph is made of the record and nothing else: every name and every word between “ and ”
// stands in a message that is listed with it, by event id. It shows what was said in order of time,
// then what is open, then what was settled; what is open or settled is not said twice.
//
// A writer that wants to say it better (a language model, say) needs no more than this: its last
// text, and the lines whose event ids are new since the `revision` that was written from. That is
// the delta, a handful of lines of at most 160 bytes whatever the length of the conversation; while
// `revision` stands, so does its text, and what it claims can be held against the lines.
import { alloc } from "../../sdk/assembly/arena";
import { openWriter, Writer } from "../../sdk/assembly/writer";
import {
  HAS_LATE, KIND_DECISION, KIND_QUESTION, Line, lineAt, Record, speakerAt,
} from "./conversation-record";
import { Conversations, newestFirst } from "./conversations";

/** Of `line-kind`. */
export const LINE_SAID: u32 = 0;
export const LINE_QUESTION: u32 = 1;
export const LINE_DECISION: u32 = 2;

/** A list: address of the first element, count. */
@unmanaged
export class Listed {
  at: u32;
  count: u32;
}

@unmanaged
export class ItemView {
  idPtr: u32;
  idLen: u32;
  eventCount: f64;
  userCount: f64;
  userCountError: f64;
  firstMs: f64;
  lastMs: f64;
  late: u8;
}
/** Bytes of one in a list. */
export const ITEM_VIEW_BYTES: u32 = 56;

@unmanaged
export class ParticipantView {
  userPtr: u32;
  userLen: u32;
  eventCount: f64;
}

@unmanaged
export class LineView {
  kind: u8;
  /** 0 bytes: nobody is named. */
  userPtr: u32;
  userLen: u32;
  /** Never empty. */
  eventIdPtr: u32;
  eventIdLen: u32;
  tsMs: f64;
  textPtr: u32;
  textLen: u32;
}

@unmanaged
export class TextView {
  textPtr: u32;
  textLen: u32;
  /** LineView[], in order of time: all of them, each once. */
  linesPtr: u32;
  linesLen: u32;
  /** LineView[], the newest first. */
  openQuestionsPtr: u32;
  openQuestionsLen: u32;
  decisionsPtr: u32;
  decisionsLen: u32;
  revision: f64;
}

/** ItemView[] of the conversations, the one with the newest event first. */
export function listConversations(conversations: Conversations, limit: u32): Listed {
  const order = newestFirst(conversations);
  const listed = changetype<Listed>(alloc(offsetof<Listed>(), 4));
  listed.count = min(limit, conversations.count);
  listed.at = <u32>alloc(listed.count * ITEM_VIEW_BYTES);
  for (let rank: u32 = 0; rank < listed.count; rank++) {
    const view = changetype<ItemView>(<usize>(listed.at + rank * ITEM_VIEW_BYTES));
    describe(conversations.at(load<u32>(order + (rank << 2))), view);
  }
  return listed;
}

/** The conversation of the id, null if it is not remembered. */
export function findConversation(
  conversations: Conversations, id: usize, idLen: u32,
): Record | null {
  const index = conversations.find(id, idLen);
  return index == conversations.count ? null : conversations.at(index);
}

export function itemOf(record: Record): ItemView {
  const view = changetype<ItemView>(alloc(ITEM_VIEW_BYTES));
  describe(record, view);
  return view;
}

function describe(record: Record, view: ItemView): void {
  view.idPtr = <u32>record.id;
  view.idLen = record.idLen;
  view.eventCount = <f64>record.events;
  view.userCount = record.userCount;
  view.userCountError = record.userCountError;
  view.firstMs = record.firstMs;
  view.lastMs = record.lastMs;
  view.late = <u8>record.has(HAS_LATE);
}

/** Of a report. */
const PARTICIPANTS_MAX: u32 = 8;

/** ParticipantView[]: who said most first. */
export function participantsOf(record: Record): Listed {
  const listed = changetype<Listed>(alloc(offsetof<Listed>(), 4));
  listed.at = <u32>alloc(<u32>record.speakerCount * <u32>offsetof<ParticipantView>());
  for (let from = record.speakers; from < record.lines; from += speakerAt(from).bytes) {
    const speaker = speakerAt(from);
    const events = <f64>(speaker.events - speaker.inherited);
    let at = listed.count++;
    while (at > 0 && participantAt(listed, at - 1).eventCount < events) {
      const before = changetype<usize>(participantAt(listed, at - 1));
      const place = changetype<usize>(participantAt(listed, at));
      memory.copy(place, before, offsetof<ParticipantView>());
      at -= 1;
    }
    const view = participantAt(listed, at);
    view.userPtr = <u32>speaker.name;
    view.userLen = speaker.nameLen;
    view.eventCount = events;
  }
  listed.count = min(listed.count, PARTICIPANTS_MAX);
  return listed;
}

function participantAt(listed: Listed, index: u32): ParticipantView {
  return changetype<ParticipantView>(
    <usize>(listed.at + index * <u32>offsetof<ParticipantView>()),
  );
}

/** The text of a conversation, or of the tenant's own record (also if it is all zero). */
export function textOf(record: Record): TextView {
  const view = changetype<TextView>(alloc(offsetof<TextView>()));
  view.revision = <f64>record.revision;
  if (record.used == 0) return view;
  view.linesPtr = <u32>alloc(<u32>record.lineCount * <u32>offsetof<LineView>());
  for (let at = record.lines; at < record.end; at += lineAt(at).bytes)
    put(lineAt(at), view.linesPtr + <u32>offsetof<LineView>() * view.linesLen++);
  view.openQuestionsPtr = <u32>alloc(<u32>record.lineCount * <u32>offsetof<LineView>());
  view.openQuestionsLen = pick(view, LINE_QUESTION, view.openQuestionsPtr);
  view.decisionsPtr = <u32>alloc(<u32>record.lineCount * <u32>offsetof<LineView>());
  view.decisionsLen = pick(view, LINE_DECISION, view.decisionsPtr);
  const out = openWriter(<u32>record.used + 32 * <u32>record.lineCount + 32);
  writeParagraph(out, view);
  view.textPtr = out.start;
  view.textLen = out.length;
  return view;
}

function put(line: Line, to: usize): void {
  const view = changetype<LineView>(to);
  const isQuestion = line.is(KIND_QUESTION);
  view.kind = <u8>(
    isQuestion ? LINE_QUESTION : line.is(KIND_DECISION) ? LINE_DECISION : LINE_SAID
  );
  view.userPtr = <u32>line.userAt;
  view.userLen = line.userLen;
  view.eventIdPtr = <u32>line.idAt;
  view.eventIdLen = line.idLen;
  view.tsMs = line.tsMs;
  view.textPtr = <u32>line.textAt;
  view.textLen = line.textLen;
}

function viewAt(list: u32, index: u32): LineView {
  return changetype<LineView>(<usize>(list + index * <u32>offsetof<LineView>()));
}

/** Copies the lines of the kind, the newest first; returns how many. */
function pick(view: TextView, kind: u32, to: u32): u32 {
  let count: u32 = 0;
  for (let index = view.linesLen; index-- > 0; ) {
    const line = viewAt(view.linesPtr, index);
    if (<u32>line.kind != kind) continue;
    const copy = changetype<usize>(viewAt(to, count++));
    memory.copy(copy, changetype<usize>(line), offsetof<LineView>());
  }
  return count;
}

function writeParagraph(out: Writer, view: TextView): void {
  for (let index: u32 = 0; index < view.linesLen; index++) {
    const line = viewAt(view.linesPtr, index);
    if (<u32>line.kind != LINE_SAID) continue;
    if (out.length != 0) out.literal(" ");
    writeLine(out, line, ": ");
  }
  writeList(out, view.openQuestionsPtr, view.openQuestionsLen, "Open: ", " asks ");
  writeList(out, view.decisionsPtr, view.decisionsLen, "Settled: ", ": ");
}

/** In order of time, as all else. */
function writeList(out: Writer, list: u32, count: u32, label: string, verb: string): void {
  if (count == 0) return;
  if (out.length != 0) out.literal(" ");
  out.literal(label);
  for (let index = count; index-- > 0; ) {
    writeLine(out, viewAt(list, index), verb);
    out.literal(index == 0 ? "." : "; ");
  }
}

function writeLine(out: Writer, line: LineView, verb: string): void {
  if (line.userLen != 0) out.bytes(line.userPtr, line.userLen).literal(verb);
  else if (<u32>line.kind == LINE_QUESTION) out.literal("somebody asks ");
  out.literal("“").bytes(line.textPtr, line.textLen).literal("”");
}
