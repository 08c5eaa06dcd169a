// The moderator: what a tenant's component remembers of each conversation, and how it judges what
// is said next.
//
// This file is the road of a message: what came (request.ts), what the tenant wants (policy.ts,
// lists.ts), what was said before (context.ts over conversations.ts and turns.ts), how it scores
// (score.ts and what is behind it), what follows from that (decision.ts), and how it is told
// (verdict.ts, reason.ts). It is remembered last, and not at all where it must leave no trace: then
// the state is byte for byte what it was.
//
// What the policy is in doubt about (doubt.ts) the host may want an upstream language model to be
// asked about: review.ts. How a tenant moves to another version of this component: portable.ts.
import { alloc } from "../../sdk/assembly/arena";
import { hash32 } from "../../sdk/assembly/text/hash";
import { clearJudged, forgetConversation, tidyCalls } from "./calls";
import { Context, contextOf, rounded } from "./context";
import {
  conversationAt, crowd, findConversation, keepWithin, remember, removeConversation, tidy,
} from "./conversations";
import { decide, Decision, openDecision, takeListed, takeScores } from "./decision";
import { isInDoubt, leaveJudged, turnsBeforeOf } from "./doubt";
import { englishShare, Language, languageOf } from "./language";
import { countLists, meetLists, writeLists } from "./lists";
import { checkPolicy, firstEntryOf } from "./policy";
import { readRequest, Request } from "./request";
import {
  clearScratch, FLAG_BANTER, MESSAGE_SCORE_BYTES, MessageScore, REPLY_SCORE_BYTES, ReplyScore,
  scoreMessage, scoreReply, traceOf, WANT_ANSWER, WANT_TRACE,
} from "./score";
import {
  indexEntryBytes, padded, POLICY, recordsAt, RECORDS_END, state, STEP, usedBytes,
} from "./state";
import { Draft, Turn, turnsKept } from "./turns";
import { verdictOf } from "./verdict";
import {
  LANGUAGE_SOURCE_GIVEN, LANGUAGE_SOURCE_UNKNOWN, LANGUAGE_SUPPORT_FULL, LANGUAGE_SUPPORT_LISTS,
  MODERATOR_USAGE_BYTES, ModeratorUsage, Turn as ToldTurn, TURN_BYTES,
} from "./world.gen";

export { exportState, importState } from "./portable";
export { review, reviewCallback } from "./review";

export function configure(policy: usize, bytes: usize): void {
  checkPolicy(policy, <u32>bytes);
  clearJudged();
  const allowed: u32 = bytes == 0 ? 0 : load<u16>(policy, 12);
  const blocked: u32 = bytes == 0 ? 0 : load<u16>(policy, 14);
  const counts = countLists(firstEntryOf(policy), allowed, blocked);
  const index = indexEntryBytes(counts.blocked + counts.allowed) +
    padded(counts.allowedWords << 3, STEP);
  const end = POLICY + padded(<u32>bytes, STEP) + index;
  crowd(<u32>(RECORDS_END - end));
  const from = recordsAt();
  const used = state().used;
  memory.copy(end, from, used);
  if (from > end) memory.fill(end + used, 0, from - end);
  memory.fill(POLICY, 0, end - POLICY);
  memory.copy(POLICY, policy, bytes);
  state().policyBytes = <u32>bytes;
  writeLists(counts);
  keepWithin();
  clearScratch();
}

export function judge(at: usize, bytes: usize): usize {
  const request = readRequest(at, bytes);
  const index = findConversation(request.conversation, request.conversationLen);
  const isKnown = index < state().conversationCount;
  const record = isKnown ? conversationAt(index) : null;
  if (!(request.tsMs - request.tsMs == 0)) {
    request.tsMs = isKnown ? conversationAt(index).newestMs : 0;
  }
  const language = languageOf(request);
  const hit = meetLists(request.text, request.textLen);
  const message = changetype<MessageScore>(alloc(MESSAGE_SCORE_BYTES));
  const reply = changetype<ReplyScore>(alloc(REPLY_SCORE_BYTES));
  const context = contextOf(request, record, message);
  const decision = openDecision();
  score(decision, request, language, context, message, reply);
  decide(decision, request, hit, context);
  const verdict = verdictOf(request, decision, context, language, hit);
  const isAsked = isInDoubt(decision);
  const turnsBefore = isAsked ? turnsBeforeOf(request) : 0;
  let turn: Turn | null = null;
  if (!request.leavesNoTrace) {
    state().judgedCount += 1;
    if (isKept(request)) turn = keep(index, request, decision, context);
  }
  if (isAsked) leaveJudged(decision, request, bytes, turn, turnsBefore);
  else clearJudged();
  verdict.consult = isAsked ? 1 : 0;
  clearScratch();
  return changetype<usize>(verdict);
}

export function conversation(id: usize, bytes: usize): usize {
  const answer = alloc(8, 4);
  const index = findConversation(<u32>id, <u32>bytes);
  if (index == state().conversationCount) return answer;
  const record = conversationAt(index);
  const count = <u32>record.turnCount;
  const told = alloc(<usize>count * TURN_BYTES);
  let turn = record.first;
  for (let number: usize = 0; number < <usize>count; number++, turn = turn.next) {
    tell(changetype<ToldTurn>(told + number * TURN_BYTES), turn);
  }
  store<u32>(answer, <u32>told);
  store<u32>(answer, count, 4);
  return answer;
}

export function forget(id: usize, bytes: usize): u32 {
  if (bytes != 0) forgetConversation(hash32(id, bytes));
  const index = findConversation(<u32>id, <u32>bytes);
  if (index == state().conversationCount) return 0;
  removeConversation(index);
  return 1;
}

export function usage(): usize {
  const told = changetype<ModeratorUsage>(alloc(MODERATOR_USAGE_BYTES));
  told.conversationCount = state().conversationCount;
  told.turnCount = state().turnCount;
  told.stateBytes = usedBytes();
  told.evictedCount = state().evictedCount;
  told.judgedCount = state().judgedCount;
  return changetype<usize>(told);
}

export function advance(nowMs: f64): void {
  if (!(nowMs - nowMs == 0)) return;
  tidy(nowMs);
  tidyCalls(nowMs);
  clearJudged();
}

function score(
  decision: Decision, request: Request, language: Language, context: Context,
  message: MessageScore, reply: ReplyScore,
): void {
  const isGiven = language.source == LANGUAGE_SOURCE_GIVEN;
  const isForeign = language.support != LANGUAGE_SUPPORT_FULL;
  const answers = context.count != 0 && !(isForeign && isGiven);
  const wants = (answers ? WANT_ANSWER : 0) | (isKept(request) ? WANT_TRACE : 0);
  scoreMessage(request.text, request.textLen, wants, changetype<usize>(message));
  const isListed = language.support == LANGUAGE_SUPPORT_LISTS;
  const hotCount = message.hotCount + message.slurCount;
  const share = isForeign ? englishShare(language, hotCount, message.clearCount) : 1;
  if (share != 0) {
    const flags = context.isBanter ? FLAG_BANTER : 0;
    const count = answers ? context.count : 0;
    scoreReply(context.parents, count, flags, changetype<usize>(reply));
    takeScores(decision, message, reply, share);
  }
  // With nothing that is English, what it scores as English is a doubt, and no support.
  if (share > 0.5) language.support = LANGUAGE_SUPPORT_FULL;
  // A few words of nobody knows which language, or of two: whichever list they are on.
  const isOpen = language.source == LANGUAGE_SOURCE_UNKNOWN && language.leansToListed;
  if (isOpen || isListed) takeListed(decision, message.foreign);
}

/** Whether the message becomes a turn of its conversation. */
@inline
function isKept(request: Request): bool {
  return !request.leavesNoTrace && request.conversationLen != 0 && turnsKept() != 0;
}

/** Remembers the message; it is still the one that was scored last. */
function keep(index: u32, request: Request, decision: Decision, context: Context): Turn | null {
  const turn = remember(index, request, changetype<Draft>(alloc(offsetof<Draft>())));
  if (turn == null) return null;
  turn.to = context.to;
  turn.toxicity = <f32>decision.score(0);
  turn.action = <u8>decision.action;
  traceOf(turn.trace);
  return turn;
}

function tell(told: ToldTurn, turn: Turn): void {
  told.idSome = turn.idLen != 0 ? 1 : 0;
  told.idPtr = <u32>turn.idAt;
  told.idLen = turn.idLen;
  told.userSome = turn.userLen != 0 ? 1 : 0;
  told.userPtr = <u32>turn.userAt;
  told.userLen = turn.userLen;
  told.roleSome = turn.roleLen != 0 ? 1 : 0;
  told.rolePtr = <u32>turn.roleAt;
  told.roleLen = turn.roleLen;
  told.tsMs = turn.tsMs;
  told.textPtr = <u32>turn.textAt;
  told.textLen = turn.textLen;
  told.toxicity = rounded(<f64>turn.toxicity);
  told.action = turn.action;
}
