// What a tenant's moderator remembers, in portable form (guests/sdk/assembly/portable.ts):
//
//   1 policy         as it was configured; the index of its lists follows from it
//   2 conversations  their table in order of last use (state.ts)
//   3 records        of conversations, back to back (conversations.ts, turns.ts)
//   4 judged         what was judged last, if the upstream may be asked about it (calls.ts)
//   5 counters       u32 bytes of records, conversations, turns, 0; f64 evicted, judged
//   6 open           u32 messages of which the upstream was asked and has not answered
//
// No address is in any of it. A state with open messages is not taken: the host knows where in this
// memory their answers go, and that moves with nobody. They end within minutes.
import { alloc } from "../../sdk/assembly/arena";
import {
  contentBytes, hasSize, isFirstPart, openError, openPart, openWalk, Part, place, refuseKind,
  refuseVersion, tellImported, tellPart, Walk, wholeOf, WORLD_MODERATOR,
} from "../../sdk/assembly/portable";
import { Writer } from "../../sdk/assembly/writer";
import { configure } from "./moderate";
import { POLICY_BYTES_MAX } from "./policy";
import {
  CALL_BYTES, CONVERSATION_COUNT_MAX, JUDGED, POLICY, recordRoom, recordsAt, state, TABLE,
  TABLE_BYTES,
} from "./state";

const POLICY_SECTION: u16 = 1;
const CONVERSATIONS: u16 = 2;
const RECORDS: u16 = 3;
const JUDGED_SECTION: u16 = 4;
const COUNTERS: u16 = 5;
const OPEN: u16 = 6;

const VERSION: u16 = 1;
const COUNTERS_BYTES: u32 = 32;

export function exportState(part: u32): usize {
  const walk = openWalk(part);
  tellSections(walk);
  return tellPart(walk, part, WORLD_MODERATOR);
}

export function importState(at: usize, bytes: usize): usize {
  const error = openError();
  const isNew = state().policyBytes == 0 && state().judgedCount == 0 && state().used == 0;
  let part: Part | null = null;
  if (isFirstPart() && !isNew)
    error.literal("Only a component on which nothing was called takes a state.");
  else part = openPart(at, bytes, WORLD_MODERATOR, error);
  if (part != null) take(part, error);
  return tellImported(error, bytes == 0);
}

function tellSections(walk: Walk): void {
  const it = state();
  walk.section(POLICY_SECTION, VERSION, POLICY, it.policyBytes);
  walk.section(CONVERSATIONS, VERSION, TABLE, TABLE_BYTES);
  walk.section(RECORDS, VERSION, recordsAt(), it.used);
  walk.section(JUDGED_SECTION, VERSION, JUDGED, CALL_BYTES);
  const counters = alloc(COUNTERS_BYTES);
  store<u32>(counters, it.used);
  store<u32>(counters, it.conversationCount, 4);
  store<u32>(counters, it.turnCount, 8);
  store<f64>(counters, it.evictedCount, 16);
  store<f64>(counters, it.judgedCount, 24);
  walk.section(COUNTERS, VERSION, counters, COUNTERS_BYTES);
  const open = alloc(4);
  store<u32>(open, it.callCount);
  walk.section(OPEN, VERSION, open, 4);
}

function take(part: Part, error: Writer): void {
  const kind = part.kind;
  if (part.version != VERSION) refuseVersion(error, part);
  else if (kind == POLICY_SECTION) takePolicy(part, error);
  else if (kind == CONVERSATIONS) place(error, part, TABLE, TABLE_BYTES);
  else if (kind == RECORDS) takeRecords(part, error);
  else if (kind == JUDGED_SECTION) place(error, part, JUDGED, CALL_BYTES);
  else if (kind == COUNTERS) takeCounters(part, error);
  else if (kind == OPEN) {
    error.literal("Messages wait for a language model: ").number(load<u32>(part.content))
      .literal(".");
  } else refuseKind(error, part);
}

function takePolicy(part: Part, error: Writer): void {
  if (part.total > POLICY_BYTES_MAX || !part.isFirst || state().policyBytes != 0) {
    error.literal("A policy is of at most ").number(POLICY_BYTES_MAX).literal(" bytes, and one.");
    return;
  }
  configure(wholeOf(part), part.total);
}

function takeRecords(part: Part, error: Writer): void {
  if (part.total > recordRoom()) {
    error.literal("Conversations of ").number(part.total).literal(" bytes find no room.");
    return;
  }
  memory.copy(recordsAt() + part.from, part.content, contentBytes());
}

function takeCounters(part: Part, error: Writer): void {
  if (!hasSize(error, part, COUNTERS_BYTES)) return;
  const it = state();
  const at = wholeOf(part);
  it.used = load<u32>(at);
  it.conversationCount = load<u32>(at, 4);
  it.turnCount = load<u32>(at, 8);
  it.evictedCount = load<f64>(at, 16);
  it.judgedCount = load<f64>(at, 24);
  if (it.used <= recordRoom() && it.conversationCount <= CONVERSATION_COUNT_MAX) return;
  error.literal("The counters are of another layout.");
}
