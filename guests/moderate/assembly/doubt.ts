// Whether the policy wants the upstream asked about a message, by what was made of it here: it is
// in doubt where a score is near its threshold. Nobody is asked where no answer could change what
// is done: about whoever is exempt, and about what the block list blocks.
import { hash32 } from "../../sdk/assembly/text/hash";
import { clearJudged, judged } from "./calls";
import { rounded } from "./context";
import { conversationAt, findConversation } from "./conversations";
import { CATEGORY_COUNT, Decision } from "./decision";
import {
  CONSULT_ALL, CONSULT_NEVER, consultMode, doubtAbove, doubtBelow, isExempt, policyVersion,
} from "./policy";
import { Request } from "./request";
import { state } from "./state";
import { Turn } from "./turns";
import { ACTION_BLOCK } from "./world.gen";

export function isInDoubt(decision: Decision): bool {
  const mode = consultMode();
  if (mode == CONSULT_NEVER) return false;
  if (isExempt(decision.role) || decision.listed == ACTION_BLOCK) return false;
  if (mode == CONSULT_ALL) return true;
  const below = doubtBelow();
  const above = doubtAbove();
  for (let category: u32 = 0; category < CATEGORY_COUNT; category++) {
    const threshold = decision.threshold(category);
    if (threshold > 1) continue;
    const score = decision.score(category);
    if (score >= rounded(threshold - below) && score <= rounded(threshold + above)) return true;
  }
  return false;
}

/**
 * Leaves what was judged for `review`. `turn`: what is remembered of the message, or null;
 * `turnsBefore`: how many turns of its conversation were said before one that is not.
 */
export function leaveJudged(
  decision: Decision, request: Request, requestBytes: usize, turn: Turn | null, turnsBefore: u32,
): void {
  clearJudged();
  const call = judged();
  call.take(decision);
  call.requestBytes = <u32>requestBytes;
  call.policyVersion = policyVersion();
  call.turnsBefore = <u8>turnsBefore;
  if (turn == null) return;
  const number = max(<u32><u64>state().judgedCount, 1);
  turn.awaited = number;
  call.awaited = number;
  call.conversation = hash32(<usize>request.conversation, request.conversationLen);
  // The conversation that was judged last comes first.
  call.turnsBefore = <u8>conversationAt(0).numberOf(turn);
}

/** Of a message: what was said before it that is remembered. */
export function turnsBeforeOf(request: Request): u32 {
  const index = findConversation(request.conversation, request.conversationLen);
  if (index == state().conversationCount) return 0;
  return conversationAt(index).find(request.id, request.idLen);
}
