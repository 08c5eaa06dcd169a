// What the upstream's answer makes of a verdict. It is another opinion, of a reader that may be
// wrong and that the message itself may have talked over, so:
//
//   score     (1 - weight) x embedded + weight x upstream, of each category, to four digits
//   action    what the scores call for by the thresholds that applied to the message before; the
//             block list counts as before, and nothing of whoever is exempt is flagged
//   lowering  by one step at most: what was blocked is flagged, and a person sees it
//
// An answer does not count if it is not of the form (src/model/consultation.ts), if there is none,
// or if the policy is another than the message was judged by. Then all is as it was judged.
//
// A turn that is still remembered takes over what the message scores now: it is the context of what
// is said next.
import { openWriter, Writer } from "../../sdk/assembly/writer";
import { Call } from "./calls";
import { rounded } from "./context";
import { conversationAt } from "./conversations";
import { CATEGORY_COUNT, Decision, reached, severityOf } from "./decision";
import { taskReturnReview } from "./imports.gen";
import { isObserveOnly, isStoringNothing, policyVersion, upstreamWeight } from "./policy";
import { areAlike, writeAction, writeCategory, writeNumber, writeQuoted } from "./reason";
import { findHash, state } from "./state";
import { Turn } from "./turns";
import { ACTION_ALLOW } from "./world.gen";

const SCORE_BYTES: u32 = 4;
const HEAD_BYTES: u32 = CATEGORY_COUNT * SCORE_BYTES + 2;
/** Of the upstream's own words. */
const CHARACTERS_MAX: u32 = 300;
const REASON_BYTES_MAX: u32 = 2048;

/** The upstream has answered, or has not; the call is no longer among those that wait. */
export function tellAnswered(call: Call): void {
  const isSame = call.policyVersion == policyVersion();
  if (isSame && call.hasFailed == 0 && isJudgement(call.answer, call.answerBytes)) {
    tellMerged(call, <usize>call.answer);
    return;
  }
  const turn = turnOf(call);
  if (turn != null) turn.awaited = 0;
  const out = openWriter(REASON_BYTES_MAX).literal("As judged without the upstream, ");
  if (!isSame) out.literal("as the policy has changed since it was asked.");
  else if (call.hasFailed != 0) out.literal("which gave no answer.");
  else out.literal("whose answer has not the form that was asked for.");
  tell(call.decision(), out, false);
}

/** Nobody is asked: all is as it was judged, if it was. */
export function tellJudged(call: Call): void {
  const out = openWriter(REASON_BYTES_MAX);
  if (call.requestBytes == 0) out.literal("Nothing was judged that the upstream may be asked about.");
  else out.literal("As judged without the upstream, of which too much is asked already.");
  tell(call.decision(), out, false);
}

function tellMerged(call: Call, answer: usize): void {
  const before = call.decision();
  const decision = call.decision();
  const weight = upstreamWeight();
  for (let category: u32 = 0; category < CATEGORY_COUNT; category++) {
    const own = (1 - weight) * before.score(category);
    decision.setScore(category, own + weight * upstreamScore(answer, category));
  }
  decision.flagged = 0;
  const called = reached(decision);
  const lowest = max<u32>(before.proposedAction, 1) - 1;
  const listed = max(called, decision.listed);
  decision.proposedAction = max(listed, lowest);
  decision.action = isObserveOnly() ? ACTION_ALLOW : decision.proposedAction;
  decision.severity = severityOf(decision);
  const out = openWriter(REASON_BYTES_MAX);
  const isLed = decision.proposedAction == called;
  writeAction(out, decision, !isLed || called == ACTION_ALLOW);
  if (isLed) writeScores(out, decision, before, answer);
  else if (decision.proposedAction == listed) out.literal("an entry of the block list is met");
  else out.literal("the upstream, which sees less in it, lowers what is done by one step at most");
  writeWords(out, answer);
  const turn = turnOf(call);
  if (turn != null) {
    turn.awaited = 0;
    turn.toxicity = <f32>decision.score(0);
    turn.action = <u8>decision.action;
  }
  tell(decision, out, true);
}

/** Whether it is a judgement to the last byte. */
function isJudgement(at: usize, bytes: u32): bool {
  if (bytes < HEAD_BYTES || bytes != HEAD_BYTES + <u32>load<u16>(at, HEAD_BYTES - 2)) return false;
  for (let category: u32 = 0; category < CATEGORY_COUNT; category++) {
    const score = upstreamScore(at, category);
    if (!(score >= 0 && score <= 1)) return false;
  }
  return true;
}

@inline
function upstreamScore(answer: usize, category: u32): f64 {
  return <f64>load<f32>(answer + <usize>(category * SCORE_BYTES));
}

/** What is remembered of the message, if it is. */
function turnOf(call: Call): Turn | null {
  if (call.awaited == 0) return null;
  const count = state().conversationCount;
  let index = findHash(call.conversation, 0);
  for (; index < count; index = findHash(call.conversation, index + 1)) {
    const record = conversationAt(index);
    let turn = record.first;
    for (let left = <u32>record.turnCount; left > 0; left--, turn = turn.next) {
      if (turn.awaited == call.awaited) return turn;
    }
  }
  return null;
}

function writeScores(out: Writer, decision: Decision, before: Decision, answer: usize): void {
  const lead = decision.lead;
  const score = decision.score(lead);
  const isAllowed = decision.proposedAction == ACTION_ALLOW;
  const isBlocked = decision.proposedAction > 1;
  const threshold = isBlocked ? decision.blockThreshold(lead) : decision.threshold(lead);
  const isClose = areAlike(score, threshold);
  writeNumber(out, score, isClose);
  if (isAllowed) writeCategory(out.literal(" for "), lead);
  writeNumber(out.literal(", of "), before.score(lead), false);
  out.literal(" embedded and ");
  writeNumber(out, rounded(upstreamScore(answer, lead)), false);
  out.literal(" of the upstream, ");
  if (threshold > 1) {
    out.literal("is of a category that is off");
    return;
  }
  out.literal(isAllowed ? "is below" : "reaches").literal(" the threshold");
  writeNumber(out.literal(isBlocked ? " for blocking of " : " of "), threshold, isClose);
}

/** Whatever it says, in one line; it may quote the message. */
function writeWords(out: Writer, answer: usize): void {
  const bytes = <u32>load<u16>(answer, HEAD_BYTES - 2);
  if (bytes == 0) out.literal(".");
  else if (isStoringNothing()) out.literal(". What the upstream says of it is not kept.");
  else writeQuoted(out.literal(". The upstream says: "), answer + HEAD_BYTES, bytes, CHARACTERS_MAX);
}

function tell(decision: Decision, reason: Writer, isApplied: bool): void {
  taskReturnReview(
    decision.action, decision.proposedAction, decision.flagged, decision.scores, CATEGORY_COUNT,
    decision.severity, reason.start, reason.length, isApplied ? 1 : 0,
  );
}
