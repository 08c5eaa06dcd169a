// The answers of `conversations` and `conversation`, as the records of the world.
import { alloc } from "../../sdk/assembly/arena";
import {
  findConversation, ITEM_VIEW_BYTES, ItemView, itemOf, LineView, listConversations, Listed,
  participantsOf, ParticipantView, textOf, TextView,
} from "./conversation-report";
import { conversations } from "./state";
import {
  CONVERSATION_ITEM_BYTES, CONVERSATION_REPORT_BYTES, ConversationItem, ConversationReport,
  PARTICIPANT_BYTES, Participant, RollingText, TEXT_LINE_BYTES, TextLine,
} from "./world.gen";

const LIMIT_MAX: u32 = 100;

/** A list of items: its address and length. */
export function conversationsReport(limit: u32): usize {
  const listed = listConversations(conversations(), min(limit, LIMIT_MAX));
  const items = alloc(<usize>listed.count * CONVERSATION_ITEM_BYTES);
  for (let index: u32 = 0; index < listed.count; index++) {
    const from = changetype<ItemView>(<usize>(listed.at + index * ITEM_VIEW_BYTES));
    fillItem(changetype<ConversationItem>(items + <usize>index * CONVERSATION_ITEM_BYTES), from);
  }
  const list = alloc(8, 4);
  store<u32>(list, <u32>items);
  store<u32>(list, listed.count, 4);
  return list;
}

/** An option: a byte that says whether there is one, then at 8 the report. */
export function conversationReport(id: usize, idLen: u32): usize {
  const option = alloc(8 + CONVERSATION_REPORT_BYTES);
  const record = findConversation(conversations(), id, idLen);
  if (record == null) return option;
  store<u8>(option, 1);
  const report = changetype<ConversationReport>(option + 8);
  fillItem(changetype<ConversationItem>(option + 8), itemOf(record));
  const listed = participantsOf(record);
  report.participantsLen = listed.count;
  report.participantsPtr = <u32>participants(listed);
  const text = option + 8 + offsetof<ConversationReport>("textTextPtr");
  fillText(changetype<RollingText>(text), textOf(record));
  return option;
}

export function fillText(to: RollingText, from: TextView): void {
  to.textPtr = from.textPtr;
  to.textLen = from.textLen;
  to.linesPtr = <u32>lines(from.linesPtr, from.linesLen);
  to.linesLen = from.linesLen;
  to.openQuestionsPtr = <u32>lines(from.openQuestionsPtr, from.openQuestionsLen);
  to.openQuestionsLen = from.openQuestionsLen;
  to.decisionsPtr = <u32>lines(from.decisionsPtr, from.decisionsLen);
  to.decisionsLen = from.decisionsLen;
  to.revision = from.revision;
}

function fillItem(to: ConversationItem, from: ItemView): void {
  to.idPtr = from.idPtr;
  to.idLen = from.idLen;
  to.eventCount = from.eventCount;
  to.userCount = from.userCount;
  to.userCountError = from.userCountError;
  to.firstMs = from.firstMs;
  to.lastMs = from.lastMs;
  to.late = from.late;
}

function participants(listed: Listed): usize {
  const list = alloc(<usize>listed.count * PARTICIPANT_BYTES);
  for (let index: u32 = 0; index < listed.count; index++) {
    const at = <usize>(listed.at + index * <u32>offsetof<ParticipantView>());
    const from = changetype<ParticipantView>(at);
    const to = changetype<Participant>(list + <usize>index * PARTICIPANT_BYTES);
    to.userPtr = from.userPtr;
    to.userLen = from.userLen;
    to.eventCount = from.eventCount;
  }
  return list;
}

function lines(views: u32, count: u32): usize {
  const list = alloc(<usize>count * TEXT_LINE_BYTES);
  for (let index: u32 = 0; index < count; index++) {
    const from = changetype<LineView>(<usize>(views + index * <u32>offsetof<LineView>()));
    const to = changetype<TextLine>(list + <usize>index * TEXT_LINE_BYTES);
    to.kind = from.kind;
    to.userSome = <u8>(from.userLen != 0);
    to.userPtr = from.userPtr;
    to.userLen = from.userLen;
    to.eventIdSome = <u8>(from.eventIdLen != 0);
    to.eventIdPtr = from.eventIdPtr;
    to.eventIdLen = from.eventIdLen;
    to.tsMs = from.tsMs;
    to.textPtr = from.textPtr;
    to.textLen = from.textLen;
  }
  return list;
}
