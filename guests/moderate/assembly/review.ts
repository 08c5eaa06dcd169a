// A message of which the policy is in doubt: the upstream is asked, and its answer counted in.
//
// `review` makes what `judge` has just left a call that waits (calls.ts), hands over what is to be
// told of the message (prompt.ts), and returns; nothing of it is on a stack then, and the tenant's
// memory may go wherever the host wants it. `reviewCallback` goes on when the call has ended, in
// whatever way: opinion.ts says what the answer does.
import {
  EVENT_SUBTASK, subtaskDrop, subtaskHandle, SUBTASK_RETURNED, SUBTASK_STARTED, subtaskState,
  TASK_EXIT, waitableJoin, waitableSetDrop, waitableSetNew, waitFor,
} from "../../sdk/assembly/tasks";
import { Call, callOf, clearJudged, closeCall, judged, keepCall, openCall } from "./calls";
import { complete } from "./imports.gen";
import { tellAnswered, tellJudged } from "./opinion";
import { clearPrompt, PROMPT, writePrompt } from "./prompt";
import { readRequest } from "./request";
import { JOB_MODERATION } from "./world.gen";

export function review(at: usize, bytes: usize): u32 {
  const request = readRequest(at, bytes);
  // Not what was judged last, or the policy was not in doubt: there is nothing to ask.
  if (judged().requestBytes != <u32>bytes) clearJudged();
  let call: Call | null = null;
  if (judged().requestBytes != 0) call = openCall();
  if (call == null) {
    tellJudged(judged());
    clearJudged();
    return TASK_EXIT;
  }
  clearJudged();
  const prompt = writePrompt(request, call.turnsBefore);
  const status = complete(JOB_MODERATION, PROMPT, prompt, call.result);
  clearPrompt(prompt);
  if (subtaskState(status) == SUBTASK_RETURNED) return finish(call);
  // A host that has not read the prompt by now reads nothing there any more.
  if (subtaskState(status) != SUBTASK_STARTED) unreachable();
  const subtask = subtaskHandle(status);
  const set = waitableSetNew();
  waitableJoin(subtask, set);
  keepCall(call, subtask, set);
  return waitFor(set);
}

export function reviewCallback(event: u32, subtask: u32, status: u32): u32 {
  const call = callOf(subtask);
  if (event != EVENT_SUBTASK || status != SUBTASK_RETURNED) return waitFor(call.set);
  waitableJoin(subtask, 0);
  subtaskDrop(subtask);
  waitableSetDrop(call.set);
  return finish(call);
}

function finish(call: Call): u32 {
  tellAnswered(closeCall(call));
  return TASK_EXIT;
}
