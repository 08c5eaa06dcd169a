// The features and scores as a module of their own: for training, which must see what the guest
// sees, and for tests. Text, lists and traces lie behind the guest's memory.
import { messageFeatures } from "./features";
import { beforeOf, beginSums, RECORD, RECORD_COUNT } from "./sums";
import { GROUP_BEFORE_WORDS, GROUP_LETTERS } from "./model";
import { read as readTokens } from "./reading";
import { readScopes } from "./scopes";
import { readSignals, TRACE_BYTES } from "./signals";
import {
  clearScratch, combinedInputs as inputs, scoreMessage as score, scoreReply as reply,
  setAllowed as allow, spansOf, traceOf, WANT_ANSWER, WANT_TRACE,
} from "./score";
import { tokenAt } from "./tokens";

export { tokenCount } from "./reading";

export { clearScratch };

const TEXT_AT: usize = 0x40000;
const LIST_AT: usize = 0x54000;
const TRACES_AT: usize = 0x50000;
const PARENTS_AT: usize = 0x51000;
const SCORE_AT: usize = 0x51400;
const REPLY_AT: usize = 0x51500;
const SPANS_AT: usize = 0x51600;
const SIGNALS_AT: usize = 0x52400;
const ALLOWED_AT: usize = 0x52800;
const SPANS_MAX: u32 = 64;

export function textAt(): usize { return TEXT_AT; }
export function listAt(): usize { return LIST_AT; }
export function allowedAt(): usize { return ALLOWED_AT; }
export function spansAt(): usize { return SPANS_AT; }
export function tracesAt(): usize { return TRACES_AT; }
export function tokenAddress(index: u32): usize { return changetype<usize>(tokenAt(index)); }
export function combinedInputs(): usize { return inputs(); }

/** First byte behind the static data. */
export function freeStart(): usize {
  return __heap_base;
}

export function read(bytes: u32): u32 {
  const next = readTokens(TEXT_AT, bytes, 0);
  readScopes();
  readSignals(SIGNALS_AT, true);
  return next;
}

export function setAllowed(count: u32): void {
  allow(ALLOWED_AT, count);
}

/** Features of the first stretch: u32 group << 24 | hash, at listAt(). */
export function messageFeatureList(bytes: u32): u32 {
  beginSums(0);
  beginList();
  read(bytes);
  messageFeatures();
  return endList();
}

/** Of the same text as what was said before. */
export function contextFeatureList(bytes: u32): u32 {
  beginSums(0);
  let from: u32 = 0;
  let next: u32 = 0;
  while (true) {
    next = readTokens(TEXT_AT, bytes, from);
    if (next >= bytes) break;
    from = next;
  }
  readScopes();
  beginList();
  messageFeatures();
  const count = endList();
  let kept: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const feature = load<u32>(LIST_AT + (<usize>index << 2));
    if (feature >> 24 > GROUP_LETTERS) continue;
    const group = GROUP_BEFORE_WORDS + (feature >> 24);
    store<u32>(LIST_AT + (<usize>kept << 2), beforeOf(feature & 0xffffff) | (group << 24));
    kept++;
  }
  return kept;
}

/** Scores the text and keeps its trace in a slot, as the turn before, in no other relation. */
export function traceTo(slot: u32, bytes: u32): void {
  score(TEXT_AT, bytes, WANT_TRACE, SCORE_AT);
  traceOf(TRACES_AT + <usize>slot * TRACE_BYTES);
  store<u32>(PARENTS_AT + (<usize>slot << 3), <u32>(TRACES_AT + <usize>slot * TRACE_BYTES));
  store<u32>(PARENTS_AT + (<usize>slot << 3), 1, 4);
}

export function setRelation(slot: u32, relation: u32): void {
  store<u32>(PARENTS_AT + (<usize>slot << 3), relation, 4);
}

/** Features of groups 5 and 6 of the text as an answer to the turns in the first slots. */
export function replyFeatureList(bytes: u32, count: u32, flags: u32): u32 {
  score(TEXT_AT, bytes, WANT_ANSWER, SCORE_AT);
  beginList();
  reply(PARENTS_AT, count, flags, REPLY_AT);
  return endList();
}

export function scoreMessage(bytes: u32, wants: u32): usize {
  score(TEXT_AT, bytes, wants, SCORE_AT);
  return SCORE_AT;
}

export function scoreReply(bytes: u32, count: u32, flags: u32): usize {
  score(TEXT_AT, bytes, WANT_ANSWER, SCORE_AT);
  reply(PARENTS_AT, count, flags, REPLY_AT);
  return REPLY_AT;
}

export function spans(lane: u32): u32 {
  return spansOf(lane, SPANS_AT, SPANS_MAX);
}

/** So many judgements of one message as the guest does them, for measuring. */
export function repeat(bytes: u32, wants: u32, times: u32): void {
  for (let index: u32 = 0; index < times; index++) {
    score(TEXT_AT, bytes, wants, SCORE_AT);
    clearScratch();
  }
}

function beginList(): void {
  store<u32>(RECORD, <u32>LIST_AT);
  store<u32>(RECORD_COUNT, 0);
}

function endList(): u32 {
  store<u32>(RECORD, 0);
  return load<u32>(RECORD_COUNT);
}
