// The scores of a message: the door of the classifier for the judge.
//
//   scoreMessage   reads the text, sums its rows, calibrates; what follows is of that message:
//   traceOf        96 bytes that judging its answers will need; its text is not read again
//   scoreReply     how it stands as an answer to earlier ones, by their traces
//   spansOf        the words that a score rests on
//   clearScratch   at the end of the call
//
// A text of more than TOKEN_COUNT_MAX tokens is judged in stretches that overlap; each score is
// that of the worst. Its sentences and clauses are judged by themselves, too (segments.ts), and
// raise a score where they alone are worse. Where all abusive words are plainly denied, or said of
// the speaker or of a thing, scores are lowered by a prior (excuses.ts). As an answer a message is
// read by its first stretch: how it begins says what it does.
// Floating point is used for the last few operations only, and never a function of the host's.
import { STATE, STATE_BYTES } from "../../sdk/assembly/text/state";
import { parameter } from "./imports.gen";
import { EXCUSE_PLAIN, EXCUSE_PROFANE, EXCUSE_REPORTED, excuseOf } from "./excuses";
import { messageFeatures } from "./features";
import { replyFeatures } from "./relations";
import {
  COMBINED_INPUT_COUNT, COMBINED_WEIGHTS, CURVES, CURVE_POINT_COUNT, EXCUSED_LESS,
  EXCUSED_REPORTED_LESS, HEAD_COMBINED, HEAD_REPLY, KIND_COUNT, LANE_EXPERT, LANE_GATE,
  LANE_INSULT, LANE_PRODUCT, LANE_PROFANITY, LANE_TOXIC, LANE_UNSAFE, MESSAGE_BIASES,
  GROUP_RELATIONS, GROUP_STRUCTURE, GROUP_TEMPERS, MESSAGE_GROUP_SCALES, MESSAGE_LANE_COUNT,
  MESSAGE_SCALES, REPLY_BIASES, REPLY_GROUP_SCALES, REPLY_LANE_COUNT, REPLY_SCALES,
} from "./model";
import { exponential } from "../../sdk/assembly/sketches/exponential";
import { ALLOWED, ALLOWED_COUNT, COUNT, read, tokenCount } from "./reading";
import { SCRATCH_ADDRESS, SCRATCH_END } from "./scratch";
import { readScopes } from "./scopes";
import { closeParts, endOfPart, openParts, takePart } from "./segments";
import {
  ACT_AGREES, ACT_DISSENTS, Signals, TRACE_BYTES, TRACE_LANE_COUNT, Trace, readSignals,
} from "./signals";
import {
  answerSum, beforeSum, beginRelations, beginSums, messageSum, SUMS_END, WANT_ANSWER,
  WANT_TRACE,
} from "./sums";

export { WANT_ANSWER, WANT_TRACE } from "./sums";
export { TRACE_BYTES } from "./signals";
export { spansOf, SPAN_BYTES } from "./spans-of";
export { tokenAt } from "./tokens";
export { tokenCount } from "./reading";

export const RELATION_PREVIOUS: u32 = 1;
export const RELATION_REPLIED_TO: u32 = 2;
export const RELATION_SAME_AUTHOR: u32 = 4;
export const RELATION_GIVEN: u32 = 8;
/** Of scoreReply: the same two people, friendly so far. */
export const FLAG_BANTER: u32 = 1;

@unmanaged
export class MessageScore {
  /** Logits and calibrated scores, by lane. */
  raw0: f32; raw1: f32; raw2: f32; raw3: f32; raw4: f32; raw5: f32; raw6: f32; raw7: f32;
  score0: f32; score1: f32; score2: f32; score3: f32; score4: f32; score5: f32; score6: f32;
  score7: f32;
  /** What the message does: ACT_ of signals.ts. */
  acts: u32;
  tokenCount: u32;
  wordCount: u32;
  chunkCount: u32;
  /** Words of other languages' lists: bit 0 profanity, 1 sexual, 2 insult. */
  foreign: u32;
  /** Abusive words outside of quotation, report, negation; slurs among them. */
  hotCount: u32;
  slurCount: u32;
  /** Of the abusive words, those that are hardly anything else, in whatever language. */
  clearCount: u32;
}
export const MESSAGE_SCORE_BYTES: u32 = 128;

@unmanaged
export class ReplyScore {
  rawUnsafe: f32;
  unsafe: f32;
  /** Toxicity with the conversation considered. */
  combined: f32;
  /** The likeliest kind of conversation, and the share of each. */
  kind: u32;
  gate0: f32; gate1: f32; gate2: f32; gate3: f32; gate4: f32;
  /** Which of the given turns it was read as an answer to. */
  parentIndex: u32;
}
export const REPLY_SCORE_BYTES: u32 = 64;

/** Behind the sums: the message's score, what it signals, and how it sounds as an answer. */
export const SCORE: usize = (SUMS_END + 15) & ~15;
const OWN: usize = SCORE + MESSAGE_SCORE_BYTES;
const TRACE: usize = OWN + 96;
const ANSWER_LANES: usize = TRACE + TRACE_BYTES;
const INPUTS: usize = ANSWER_LANES + 64;
/** Per lane, from where its worst stretch reads. */
export const WORST_FROM: usize = INPUTS + 128;
export const TEXT_PTR: usize = WORST_FROM + 32;
export const TEXT_BYTES: usize = TEXT_PTR + 4;
/** Lanes of the stretch, f32, and of the worst of its parts. */
const STRETCH: usize = TEXT_BYTES + 4;
const WORST_PART: usize = STRETCH + 32;
const PART: usize = WORST_PART + 32;
/** Of the way from the score of a whole to that of its worst part, so much. */
const PART_SHARE: f64 = 0.85;

export function scoreMessage(text: usize, bytes: u32, wants: u32, into: usize): void {
  store<u32>(TEXT_PTR, <u32>text);
  store<u32>(TEXT_BYTES, bytes);
  const score = changetype<MessageScore>(SCORE);
  memory.fill(SCORE, 0, MESSAGE_SCORE_BYTES);
  memory.fill(TRACE, 0, TRACE_BYTES);
  let from: u32 = 0;
  while (true) {
    beginSums(from == 0 ? wants : wants & WANT_TRACE);
    const next = read(text, bytes, from);
    readScopes();
    const signals = readSignals(OWN, from == 0);
    messageFeatures();
    score.foreign |= signals.foreign;
    score.hotCount += signals.hotCount;
    score.slurCount += signals.slurCount;
    score.clearCount += signals.clearCount;
    score.acts |= signals.acts;
    score.tokenCount += signals.tokenCount;
    score.wordCount += signals.wordCount;
    keepStretch();
    if (from == 0 && (wants & WANT_ANSWER) != 0) keepAnswer();
    if (next >= bytes && (wants & WANT_TRACE) != 0) keepLanes();
    judgeParts();
    keepWorst(from, score.chunkCount++ == 0);
    if (next >= bytes) break;
    from = next;
  }
  for (let lane: u32 = 0; lane < MESSAGE_LANE_COUNT; lane++) {
    const raw = <f64>load<f32>(SCORE + (<usize>lane << 2));
    store<f32>(SCORE + 32 + (<usize>lane << 2), <f32>calibrated(lane, raw));
  }
  if ((wants & WANT_TRACE) != 0) keepTrace();
  memory.copy(into, SCORE, MESSAGE_SCORE_BYTES);
}

/** Of the message scored last, with WANT_TRACE. */
export function traceOf(into: usize): void {
  memory.copy(into, TRACE, TRACE_BYTES);
}

/**
 * The message scored last, with WANT_ANSWER, as an answer. `parents`: count x { u32 address of a
 * trace, u32 RELATION_ bits }, the newest first.
 */
export function scoreReply(parents: usize, count: u32, flags: u32, into: usize): void {
  memory.fill(into, 0, REPLY_SCORE_BYTES);
  const reply = changetype<ReplyScore>(into);
  if (count == 0) {
    reply.combined = load<f32>(SCORE + 32);
    return;
  }
  const parentIndex = parentOf(parents, count);
  const parent = changetype<Trace>(<usize>load<u32>(parents + (<usize>parentIndex << 3)));
  beginRelations();
  replyFeatures(changetype<Signals>(OWN), SCORE, parents, count, parentIndex);
  reply.parentIndex = parentIndex;
  weighReply(reply, parent);
  reply.combined = <f32>combined(reply, parent, flags);
}

/** Hashes of normal forms that the tenant allows: such words mean nothing. Before scoreMessage. */
export function setAllowed(at: usize, count: u32): void {
  store<u32>(ALLOWED, <u32>at);
  store<u32>(ALLOWED_COUNT, count);
}

export function combinedInputs(): usize {
  return INPUTS;
}

/** Zeroes all that this message left in scratch. */
export function clearScratch(): void {
  memory.fill(SCRATCH_ADDRESS, 0, SCRATCH_END - SCRATCH_ADDRESS);
  // The last range of code points that was looked up.
  memory.fill(STATE, 0, STATE_BYTES);
}

/** A lane of what was summed. */
function rawLane(lane: u32): f64 {
  let sum: f64 = 0;
  for (let group: u32 = 0; group <= GROUP_STRUCTURE; group++) {
    sum += messageSum(group, lane) * parameter(MESSAGE_GROUP_SCALES + group);
  }
  return sum * parameter(MESSAGE_SCALES + lane) + parameter(MESSAGE_BIASES + lane);
}

function keepStretch(): void {
  for (let lane: u32 = 0; lane < MESSAGE_LANE_COUNT; lane++) {
    store<f32>(STRETCH + (<usize>lane << 2), <f32>rawLane(lane));
  }
  excuse(STRETCH);
}

/** Lowers lanes where no abusive word is meant as one. */
function excuse(lanes: usize): void {
  const kind = excuseOf();
  if ((kind & (EXCUSE_PLAIN | EXCUSE_REPORTED)) == 0) return;
  const isReported = (kind & EXCUSE_REPORTED) != 0;
  const less = parameter(isReported ? EXCUSED_REPORTED_LESS : EXCUSED_LESS);
  lower(lanes, LANE_TOXIC, less);
  lower(lanes, LANE_INSULT, less);
  if ((kind & EXCUSE_PROFANE) == 0) lower(lanes, LANE_PROFANITY, less);
}

function lower(lanes: usize, lane: u32, less: f64): void {
  const at = lanes + (<usize>lane << 2);
  store<f32>(at, <f32>(<f64>load<f32>(at) - less));
}

/** The worst part of the stretch raises its lanes to nearly what it is alone. */
function judgeParts(): void {
  const count = tokenCount();
  let end = endOfPart(0, count);
  if (end >= count) return;
  memory.copy(WORST_PART, STRETCH, MESSAGE_LANE_COUNT << 2);
  openParts();
  for (let from: u32 = 0; from < count; from = end) {
    if (from != 0) end = endOfPart(from, count);
    if (!takePart(from, end)) continue;
    beginSums(0);
    messageFeatures();
    for (let lane: u32 = 0; lane < MESSAGE_LANE_COUNT; lane++) {
      store<f32>(PART + (<usize>lane << 2), <f32>rawLane(lane));
    }
    excuse(PART);
    for (let lane: usize = 0; lane < MESSAGE_LANE_COUNT; lane++) {
      const at = WORST_PART + (lane << 2);
      store<f32>(at, max<f32>(load<f32>(at), load<f32>(PART + (lane << 2))));
    }
    // Where the next part ends is asked of the table, which has them all again.
    store<u32>(COUNT, count);
  }
  closeParts(count);
  for (let lane: u32 = 0; lane < MESSAGE_LANE_COUNT; lane++) {
    const at = STRETCH + (<usize>lane << 2);
    const whole = <f64>load<f32>(at);
    store<f32>(at, <f32>(whole + (<f64>load<f32>(at + 32) - whole) * PART_SHARE));
  }
}

/** Lanes of this stretch, where they are worse than those before. */
function keepWorst(from: u32, isFirst: bool): void {
  for (let lane: u32 = 0; lane < MESSAGE_LANE_COUNT; lane++) {
    const raw = load<f32>(STRETCH + (<usize>lane << 2));
    const at = SCORE + (<usize>lane << 2);
    if (!isFirst && load<f32>(at) >= raw) continue;
    store<f32>(at, raw);
    store<u32>(WORST_FROM + (<usize>lane << 2), from);
  }
}

function keepAnswer(): void {
  for (let lane: u32 = 0; lane < REPLY_LANE_COUNT; lane++) {
    let sum: f64 = 0;
    for (let group: u32 = 0; group <= GROUP_STRUCTURE; group++) {
      sum += answerSum(group, lane) * parameter(REPLY_GROUP_SCALES + group);
    }
    store<f32>(ANSWER_LANES + (<usize>lane << 2), <f32>sum);
  }
}

/** What was said last counts as what an answer answers: the last stretch. */
function keepLanes(): void {
  for (let lane: u32 = 0; lane < TRACE_LANE_COUNT; lane++) {
    const quarter = beforeSum(lane) * 4;
    const kept = nearest(max<f64>(-32000, min<f64>(32000, quarter)));
    store<i16>(TRACE + (<usize>lane << 1), <i16>kept);
  }
}

function keepTrace(): void {
  const trace = changetype<Trace>(TRACE);
  for (let lane: u32 = 0; lane < MESSAGE_LANE_COUNT; lane++) {
    const raw = <f64>load<f32>(SCORE + (<usize>lane << 2)) * 16;
    trace.setTemper(lane, <i8>nearest(max<f64>(-127, min<f64>(127, raw))));
  }
  trace.takeSignals(changetype<Signals>(OWN), changetype<MessageScore>(SCORE).acts);
}

/** The turn that is answered: the one that is replied to, else the newest of another author. */
function parentOf(parents: usize, count: u32): u32 {
  let newest = count;
  for (let index: u32 = 0; index < count; index++) {
    const relation = load<u32>(parents + (<usize>index << 3), 4);
    if ((relation & RELATION_REPLIED_TO) != 0) return index;
    if ((relation & RELATION_SAME_AUTHOR) == 0 && newest == count) newest = index;
  }
  return newest == count ? 0 : newest;
}

function weighReply(reply: ReplyScore, parent: Trace): void {
  const gates = changetype<usize>(reply) + offsetof<ReplyScore>("gate0");
  let best: f64 = -1e9;
  for (let kind: u32 = 0; kind < KIND_COUNT; kind++) {
    const raw = replyLane(LANE_GATE + kind, parent);
    store<f32>(gates + (<usize>kind << 2), <f32>raw);
    if (raw > best) {
      best = raw;
      reply.kind = kind;
    }
  }
  let total: f64 = 0;
  let expert: f64 = 0;
  for (let kind: u32 = 0; kind < KIND_COUNT; kind++) {
    const share = exponential(<f64>load<f32>(gates + (<usize>kind << 2)) - best);
    store<f32>(gates + (<usize>kind << 2), <f32>share);
    total += share;
    expert += share * replyLane(LANE_EXPERT + kind, parent);
  }
  for (let kind: usize = 0; kind < KIND_COUNT; kind++) {
    store<f32>(gates + (kind << 2), <f32>(<f64>load<f32>(gates + (kind << 2)) / total));
  }
  const raw = replyLane(LANE_UNSAFE, parent) + expert / total + affinity(parent);
  reply.rawUnsafe = <f32>raw;
  reply.unsafe = <f32>calibrated(HEAD_REPLY, raw);
}

function replyLane(lane: u32, parent: Trace): f64 {
  return beforeLane(lane, parent) + ownLane(lane);
}

@inline
function beforeLane(lane: u32, parent: Trace): f64 {
  return <f64>parent.lane(lane) * 0.25 * parameter(REPLY_SCALES + lane);
}

/** What this answer makes of that turn, and of no other. */
function affinity(parent: Trace): f64 {
  let sum: f64 = 0;
  for (let lane = LANE_PRODUCT; lane < REPLY_LANE_COUNT; lane++) {
    sum += beforeLane(lane, parent) * ownLane(lane);
  }
  return sum;
}

/** Of the answer, without what was said before. */
function ownLane(lane: u32): f64 {
  let sum = <f64>load<f32>(ANSWER_LANES + (<usize>lane << 2));
  for (let group = GROUP_RELATIONS; group <= GROUP_TEMPERS; group++) {
    sum += answerSum(group, lane) * parameter(REPLY_GROUP_SCALES + group);
  }
  return sum * parameter(REPLY_SCALES + lane) + parameter(REPLY_BIASES + lane);
}

/** Toxicity with the conversation considered; its inputs are what training fits. */
function combined(reply: ReplyScore, parent: Trace, flags: u32): f64 {
  const toxicRaw = <f64>load<f32>(SCORE + (LANE_TOXIC << 2));
  const toxic = logistic(toxicRaw);
  const unsafe = logistic(<f64>reply.rawUnsafe);
  const before = logistic(<f64>parent.temper(LANE_TOXIC) / 16);
  const acts = changetype<Signals>(OWN).acts;
  putInput(0, 1);
  putInput(1, max<f64>(-2, min<f64>(2, toxicRaw / 4)));
  putInput(2, max<f64>(-2, min<f64>(2, <f64>reply.rawUnsafe / 4)));
  putInput(3, <f64>reply.gate0 * unsafe);
  putInput(4, <f64>reply.gate1 * unsafe);
  putInput(5, <f64>reply.gate2 * unsafe);
  putInput(6, <f64>reply.gate3 * unsafe);
  putInput(7, <f64>reply.gate4 * unsafe);
  putInput(8, before);
  putInput(9, (acts & ACT_AGREES) != 0 ? before : 0);
  putInput(10, (acts & ACT_DISSENTS) != 0 ? before * toxic : 0);
  putInput(11, (flags & FLAG_BANTER) != 0 ? toxic : 0);
  putInput(12, before > 0.5 ? unsafe : 0);
  putInput(13, logistic(<f64>load<f32>(SCORE + (LANE_PROFANITY << 2))));
  let sum: f64 = 0;
  for (let index: u32 = 0; index < COMBINED_INPUT_COUNT; index++) {
    sum += load<f64>(INPUTS + (<usize>index << 3)) * parameter(COMBINED_WEIGHTS + index);
  }
  return calibrated(HEAD_COMBINED, sum);
}

@inline
function putInput(index: usize, value: f64): void {
  store<f64>(INPUTS + (index << 3), value);
}

/** The curve of a head; without one, the logistic function. */
function calibrated(head: u32, raw: f64): f64 {
  const curve = CURVES + 16 * head;
  let low = parameter(curve);
  if (low == 0 && parameter(curve + CURVE_POINT_COUNT - 1) == 0) return logistic(raw);
  let value = parameter(curve + CURVE_POINT_COUNT);
  if (!(raw > low)) return value;
  for (let index: u32 = 1; index < CURVE_POINT_COUNT; index++) {
    const high = parameter(curve + index);
    const valueHigh = parameter(curve + CURVE_POINT_COUNT + index);
    if (raw < high) return value + ((valueHigh - value) * (raw - low)) / (high - low);
    low = high;
    value = valueHigh;
  }
  return value;
}

function logistic(raw: f64): f64 {
  return 1 / (1 + exponential(-raw));
}
