// Messages of which the upstream is asked: what was judged of each, and the call that waits.
//
// `judge` leaves the newest in JUDGED (state.ts) if the policy is in doubt about it; `review`, which
// comes right after it, makes it one of the calls. Either is 128 bytes of numbers: scores and
// thresholds as they applied, in ten-thousandths, which is what they are rounded to. Of the message
// and its people there is nothing in it but a hash of its conversation's id and the number by which
// its turn is found once the answer is there; `forget` takes these out as well.
//
// The host writes how a call ended into its record, wherever the tenant's memory lies by then.
import { alloc } from "../../sdk/assembly/arena";
import { CATEGORY_COUNT, Decision, openDecision } from "./decision";
import { CALL_BYTES, CALL_COUNT_MAX, CALLS, JUDGED, state } from "./state";

/** Of guest time: no host lets a call wait for so long, so its answer got lost. */
const CALL_MS_MAX: f64 = 600000;
const UNIT: f64 = 10000;

@unmanaged
export class Call {
  set: u32;
  /** Handle of the call that waits; 0: there is none here. */
  subtask: u32;
  /** Where the host writes the result: whether it failed, then address and bytes, or why. */
  hasFailed: u8;
  answer: u32;
  answerBytes: u32;
  policyVersion: u32;
  /** When the tenant was told the time after the call began; 0: not yet. */
  sinceMs: f64;
  /** Hash of the conversation, and number of the message; 0: it is not remembered. */
  conversation: u32;
  awaited: u32;
  /** Of the request that was judged; 0: there is nothing here. */
  requestBytes: u32;
  action: u8;
  proposedAction: u8;
  /** What the block list calls for; what earlier turns add to the severity. */
  listed: u8;
  history: u8;
  flagged: u16;
  severity: u8;
  /** Turns of the conversation that were said before the message. */
  turnsBefore: u8;
  /** It has waited for longer than any host lets it. */
  isLate: u8;

  @inline
  get result(): usize {
    return changetype<usize>(this) + offsetof<Call>("hasFailed");
  }

  /** Of a category: u16 score, u16 threshold to flag, u16 to block, in ten-thousandths. */
  @inline
  private numbers(category: u32): usize {
    return changetype<usize>(this) + offsetof<Call>() + <usize>category * 6;
  }

  take(decision: Decision): void {
    this.action = <u8>decision.action;
    this.proposedAction = <u8>decision.proposedAction;
    this.listed = <u8>decision.listed;
    this.history = <u8>decision.history;
    this.flagged = <u16>decision.flagged;
    this.severity = <u8>decision.severity;
    for (let category: u32 = 0; category < CATEGORY_COUNT; category++) {
      const at = this.numbers(category);
      store<u16>(at, units(decision.score(category)));
      store<u16>(at, units(decision.threshold(category)), 2);
      store<u16>(at, units(decision.blockThreshold(category)), 4);
    }
  }

  /** The decision as it was made. */
  decision(): Decision {
    const decision = openDecision();
    decision.action = this.action;
    decision.proposedAction = this.proposedAction;
    decision.listed = this.listed;
    decision.history = this.history;
    decision.flagged = this.flagged;
    decision.severity = this.severity;
    for (let category: u32 = 0; category < CATEGORY_COUNT; category++) {
      const at = this.numbers(category);
      const flag = <f64>load<u16>(at, 2) / UNIT;
      const block = <f64>load<u16>(at, 4) / UNIT;
      decision.setScore(category, <f64>load<u16>(at) / UNIT);
      decision.setThresholds(category, flag, block);
    }
    return decision;
  }
}

/** What was judged last. */
@inline
export function judged(): Call {
  return changetype<Call>(JUDGED);
}

export function clearJudged(): void {
  memory.fill(JUDGED, 0, CALL_BYTES);
}

/** A copy of what was judged last, which the upstream is then to be asked about; null: all wait. */
export function openCall(): Call | null {
  for (let index: u32 = 0; index < CALL_COUNT_MAX; index++) {
    const call = callAt(index);
    if (call.subtask != 0) continue;
    memory.copy(changetype<usize>(call), JUDGED, CALL_BYTES);
    return call;
  }
  return null;
}

/** The call now waits. */
export function keepCall(call: Call, subtask: u32, set: u32): void {
  call.subtask = subtask;
  call.set = set;
  state().callCount += 1;
}

/** The call with that handle; traps if there is none, as then the host made a mistake. */
export function callOf(subtask: u32): Call {
  let index: u32 = 0;
  while (subtask == 0 || callAt(index).subtask != subtask) {
    if (++index == CALL_COUNT_MAX) unreachable();
  }
  return callAt(index);
}

/** Puts it into scratch, so that nothing of it stays; returns where it is now. */
export function closeCall(call: Call): Call {
  const copy = changetype<Call>(alloc(CALL_BYTES));
  memory.copy(changetype<usize>(copy), changetype<usize>(call), CALL_BYTES);
  clearCall(call);
  return copy;
}

/**
 * Gives up calls that were twice seen to have waited for too long: a clock that is set forward, or a
 * machine that slept, is no reason.
 */
export function tidyCalls(nowMs: f64): void {
  if (state().callCount == 0) return;
  for (let index: u32 = 0; index < CALL_COUNT_MAX; index++) {
    const call = callAt(index);
    if (call.subtask == 0) continue;
    if (call.sinceMs == 0) call.sinceMs = nowMs;
    if (nowMs - call.sinceMs <= CALL_MS_MAX) continue;
    call.sinceMs = nowMs;
    if (call.isLate == 1) clearCall(call);
    else call.isLate = 1;
  }
}

/** Forgets of which conversation with this hash the calls are. */
export function forgetConversation(hash: u32): void {
  clearJudged();
  if (state().callCount == 0) return;
  for (let index: u32 = 0; index < CALL_COUNT_MAX; index++) {
    const call = callAt(index);
    if (call.conversation != hash) continue;
    call.conversation = 0;
    call.awaited = 0;
  }
}

function clearCall(call: Call): void {
  if (call.subtask != 0) state().callCount -= 1;
  memory.fill(changetype<usize>(call), 0, CALL_BYTES);
}

@inline
function callAt(index: u32): Call {
  return changetype<Call>(CALLS + <usize>index * CALL_BYTES);
}

@inline
function units(value: f64): u16 {
  return <u16>(value * UNIT + 0.5);
}
