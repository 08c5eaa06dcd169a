// What the hostile moderator asks the upstream, and what it makes of the answer: its prompt follows
// from all that it holds of the conversation, its opinion is the answer itself, so that anything
// lost, mixed up or another tenant's would show. A text `?b…` makes it misbehave when its task
// begins, `?a…` when its answer is there, `?j…` when it is judged.
import { alloc, STATE_ADDRESS } from "../../sdk/assembly/arena";
import {
  EVENT_SUBTASK, subtaskDrop, SUBTASK_RETURNED, subtaskHandle, subtaskState, TASK_EXIT, waitableJoin,
  waitableSetDrop, waitableSetNew, waitFor,
} from "../../sdk/assembly/tasks";
import { complete, taskReturnReview } from "./imports.gen";
import { CATEGORY_COUNT, find, keptAt, KEPT_COUNT, KEPT_HEAD_BYTES, numbers, whole } from "./moderator";
import { ACTION_ALLOW, FAILURE_OFF, JOB_MODERATION, JOB_TLDR } from "./world.gen";

// Behind the conversations: records of { u32 set, u32 subtask, u32 misdeed, u32 0, result }.
const CALLS: usize = STATE_ADDRESS + 0x7000;
const CALL_BYTES: usize = 64;
const CALL_COUNT: usize = 64;
const RESULT_AT: usize = 16;

const MEMORY_BYTES: usize = 0x40000;
const PROMPT_BYTES_MAX: usize = 16 * 1024;
/** For a message cut at half of it, and all that is kept of a conversation. */
const PROMPT_ROOM: usize = 8 * 1024;
const MARK: u32 = 0x3f; // "?"
const PART_POLICY: u32 = 0;
const PART_TURN: u32 = 1;
const PART_SUBJECT: u32 = 2;
const PART_HEAD_BYTES: usize = 8;

/** `?b0` is 0x6230, and 0 what is no such text. */
export function misdeedOf(text: usize, bytes: u32): u32 {
  if (bytes < 3 || load<u8>(text) != MARK) return 0;
  return (<u32>load<u8>(text, 1) << 8) | load<u8>(text, 2);
}

/** Asks and waits where nobody may. */
export function misbehaveJudging(misdeed: u32): void {
  if (misdeed == 0x6a30) complete(JOB_MODERATION, promptOf(0, 0, 0, 0, 0), 12, CALLS + RESULT_AT); // j0
  else if (misdeed == 0x6a31) waitableSetNew(); // j1
  else if (misdeed == 0x6a32) handOver(0, 0, 0, 0); // j2
}

export function review(request: usize, _bytes: usize): u32 {
  const conversation = request + 32 + load<u16>(request, 14);
  const conversationBytes = <u32>load<u16>(request, 16);
  const user = conversation + conversationBytes;
  const userBytes = <u32>load<u16>(request, 18);
  const text = user + userBytes + load<u16>(request, 20) + load<u16>(request, 22) + load<u16>(request, 24);
  const textBytes = load<u32>(request, 28);
  const misdeed = misdeedOf(text, textBytes);
  const found: usize = conversationBytes == 0 ? 0 : find(conversation, conversationBytes);
  const call = callOf(0);
  if (misdeed == 0x6230) return waitFor(waitableSetNew()); // b0
  if (misdeed == 0x6262) return TASK_EXIT; // bb
  if (misdeed == 0x6265) unreachable(); // be
  if (misdeed == 0x6266) while (true) store<u32>(CALLS, load<u32>(CALLS) + 1, 60); // bf
  if (misdeed == 0x6270) return 1; // bp
  if (misdeed == 0x6263) handOver(0, 0, 0, 0); // bc
  // bc once more, bj an honest one, bk to bo lies; and there is no room for a call.
  if (call == 0 || misdeed == 0x6263 || (misdeed >= 0x626a && misdeed <= 0x626f)) {
    handOver(0, 0, 0, misdeed);
    return TASK_EXIT;
  }
  const prompt = promptOf(found, user, userBytes, text, textBytes);
  return ask(call, prompt, misdeed);
}

function ask(call: usize, prompt: usize, misdeed: u32): u32 {
  let job = JOB_MODERATION;
  let at = prompt;
  let bytes = promptBytes(prompt);
  let result = call + RESULT_AT;
  if (misdeed == 0x6232) result = MEMORY_BYTES - 8; // b2
  else if (misdeed == 0x6233) result += 2; // b3
  else if (misdeed == 0x6234) bytes = PROMPT_BYTES_MAX + 1; // b4
  else if (misdeed == 0x6235) bytes -= 1; // b5
  else if (misdeed == 0x6236) { // b6, which begins well
    at = MEMORY_BYTES - 16;
    memory.copy(at, prompt, 16);
  }
  else if (misdeed == 0x6237) job = 3; // b7
  else if (misdeed == 0x6269) job = JOB_TLDR; // bi
  const returned = complete(job, at, bytes, result);
  if (misdeed == 0x6231) complete(job, at, bytes, result); // b1
  if (subtaskState(returned) == SUBTASK_RETURNED) {
    if (load<u8>(call, RESULT_AT) != 1 || load<u8>(call, RESULT_AT + 4) != FAILURE_OFF) unreachable();
    memory.fill(call, 0, CALL_BYTES);
    handOver(0, 0, 0, 0);
    return TASK_EXIT;
  }
  const subtask = subtaskHandle(returned);
  const set = waitableSetNew();
  if (misdeed == 0x6272) { // br
    subtaskDrop(subtask);
    waitableSetDrop(set);
    handOver(0, 0, 0, 0);
    return TASK_EXIT;
  }
  if (misdeed == 0x6267) subtaskDrop(subtask); // bg
  waitableJoin(misdeed == 0x6268 ? 12345 : subtask, set); // bh
  if (misdeed == 0x6239) waitableJoin(subtask, 0); // b9
  if (misdeed == 0x6264) handOver(0, 0, 0, 0); // bd
  if (misdeed == 0x6271) waitableSetDrop(set); // bq
  store<u32>(call, set);
  store<u32>(call, subtask, 4);
  store<u32>(call, misdeed, 8);
  if (misdeed == 0x6238) return TASK_EXIT; // b8
  return waitFor(misdeed == 0x6261 ? set + 2 : set); // ba
}

export function reviewCallback(event: u32, waitable: u32, state: u32): u32 {
  const call = callOf(waitable);
  if (call == 0 || event != EVENT_SUBTASK || state != SUBTASK_RETURNED) unreachable();
  const set = load<u32>(call);
  const failed = load<u8>(call, RESULT_AT) != 0;
  const misdeed = load<u32>(call, 8);
  // A failure makes it behave, except where it is to trap in any case.
  const wrong = failed && misdeed != 0x6163 ? 0 : misdeed; // ac
  if (wrong == 0x6130 || wrong == 0x6163) unreachable(); // a0
  if (wrong == 0x6131) while (true) store<u32>(CALLS, load<u32>(CALLS) + 1, 60); // a1
  if (wrong == 0x6132) return waitFor(set); // a2
  if (wrong == 0x6138) complete(JOB_MODERATION, promptOf(0, 0, 0, 0, 0), 12, call + RESULT_AT); // a8
  if (wrong == 0x6162) waitableSetNew(); // ab
  waitableJoin(wrong == 0x6139 ? waitable + 2 : waitable, 0); // a9
  if (wrong != 0x6133) subtaskDrop(waitable); // a3
  if (wrong == 0x6135) subtaskDrop(waitable); // a5
  if (wrong != 0x6134) waitableSetDrop(set); // a4
  if (failed) handOver(0, 0, load<u8>(call, RESULT_AT + 4), 0);
  else if (wrong != 0x6136) handOver(load<u32>(call, RESULT_AT + 4), load<u32>(call, RESULT_AT + 8), 0, wrong); // a6
  if (wrong == 0x6137) handOver(0, 0, 0, 0); // a7
  memory.fill(call, 0, CALL_BYTES);
  return TASK_EXIT;
}

/** What the answer says, word for word; without one the failure, as severity. */
function handOver(answer: usize, bytes: u32, failure: u32, lie: u32): void {
  const reason = <usize>CATEGORY_COUNT * 4 + 2;
  const isAnswer = bytes >= <u32>reason;
  const scores = <usize>numbers(failure + 1);
  if (isAnswer) {
    for (let index: usize = 0; index < <usize>CATEGORY_COUNT; index++) {
      store<f64>(scores + (index << 3), <f64>load<f32>(answer + (index << 2)));
    }
  }
  const low = lie & 0xff;
  const isLie = lie > 0x6200 && low >= 0x6b && low <= 0x6f; // bk to bo
  if (isLie && low == 0x6d) store<f64>(scores, NaN);
  taskReturnReview(
    isLie && low == 0x6c ? 3 : ACTION_ALLOW,
    ACTION_ALLOW,
    lie == 0x6161 ? 512 : failure, // aa
    isLie && low == 0x6f ? MEMORY_BYTES - 8 : scores,
    isLie && low == 0x6b ? 8 : CATEGORY_COUNT,
    isLie && low == 0x6e ? 101 : failure,
    isAnswer ? answer + reason : scores,
    isAnswer ? load<u16>(answer, reason - 2) : 0,
    isAnswer ? 1 : 0,
  );
}

/** The record of a call by its handle, of handle 0 a free one; 0: there is none. */
function callOf(subtask: u32): usize {
  for (let index: usize = 0; index < CALL_COUNT; index++) {
    const call = CALLS + index * CALL_BYTES;
    if (load<u32>(call, 4) == subtask) return call;
  }
  return 0;
}

/** The policy's hash and the tenant's, what is kept of the conversation, the message. */
function promptOf(found: usize, user: usize, userBytes: u32, text: usize, textBytes: u32): usize {
  const prompt = alloc(PROMPT_ROOM, 4);
  const start = prompt + 4;
  store<u8>(start, 1);
  const ever: u32 = found == 0 ? 0 : load<u32>(found, 8);
  const count = min(ever, KEPT_COUNT);
  store<u8>(start, 2 + count, 1);
  const hashes = alloc(16, 1);
  hexOf(hashes, load<u32>(STATE_ADDRESS));
  hexOf(hashes + 8, load<u32>(STATE_ADDRESS + 28));
  let end = partOf(start + 4, PART_POLICY, 0, 0, hashes, 16);
  for (let index: u32 = 0; index < count; index++) {
    const kept = keptAt(found, ever - count + index);
    const name = kept + KEPT_HEAD_BYTES + load<u16>(kept);
    const nameBytes = <u32>load<u16>(kept, 2);
    end = partOf(end, PART_TURN, name, nameBytes, name + nameBytes + load<u16>(kept, 4), load<u16>(kept, 6));
  }
  end = partOf(end, PART_SUBJECT, user, userBytes, text, whole(text, textBytes, 4096));
  store<u32>(prompt, <u32>(end - start));
  return start;
}

@inline
function promptBytes(prompt: usize): usize {
  return load<u32>(prompt - 4);
}

function partOf(at: usize, kind: u32, name: usize, nameBytes: u32, text: usize, textBytes: u32): usize {
  store<u8>(at, <u8>kind);
  store<u16>(at, <u16>nameBytes, 2);
  store<u32>(at, textBytes, 4);
  memory.copy(at + PART_HEAD_BYTES, name, nameBytes);
  memory.copy(at + PART_HEAD_BYTES + nameBytes, text, textBytes);
  return at + PART_HEAD_BYTES + nameBytes + textBytes;
}

function hexOf(at: usize, value: u32): void {
  for (let digit: usize = 0; digit < 8; digit++) {
    const nibble = (value >>> (28 - (<u32>digit << 2))) & 15;
    store<u8>(at + digit, <u8>(nibble < 10 ? 0x30 + nibble : 0x57 + nibble));
  }
}
