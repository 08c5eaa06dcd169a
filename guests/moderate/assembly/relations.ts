// How a message stands to what was said before: relations, not a bag of the old words. Everything
// is of the traces of turns; no old text is read again.
import {
  GROUP_RELATIONS, GROUP_TEMPERS, LANE_HATE, LANE_INSULT, LANE_THREAT, LANE_TOXIC,
} from "./model";
import { mix } from "./features";
import {
  ACT_AGREES, ACT_ASKS, ACT_BEAST, ACT_CARES, ACT_CONTEMPT, ACT_DISSENTS, ACT_DISTRESS, ACT_GROUP,
  ACT_HARM, ACT_HOT, ACT_HOT_SCOPED, ACT_LAUGHS, ACT_PLAYS, ACT_PRAISES, ACT_REPORTS, ACT_REPROACH,
  ACT_SELF, ACT_SUFFERS, ACT_THANKS, ACT_YOU, Signals, startHash, Trace,
} from "./signals";
import { drain, emit } from "./sums";

const SALT_RELATION: u64 = 0x428a2f98d728ae22;
const SALT_THEME: u64 = 0x3956c25bf348b538;
const SALT_TEMPER: u64 = 0x7137449123ef65cd;
const BIN_COUNT: i32 = 10;
const RELATION_SAME_AUTHOR: u32 = 4;
const STANCE: u32 = ACT_AGREES | ACT_DISSENTS | ACT_CARES | ACT_YOU;
const THEME: u32 =
  ACT_SUFFERS | ACT_HARM | ACT_PLAYS | ACT_BEAST | ACT_GROUP | ACT_SELF | ACT_PRAISES;
const SHARED_MAX: u32 = 4;

@inline
function relation(name: u64, one: u64, other: u64): void {
  emit(mix(SALT_RELATION + name, (one << 32) | other), GROUP_RELATIONS);
}

/** `parents` as in scoreReply; `scores`: logits of the message, f32 by lane. */
export function replyFeatures(
  own: Signals, scores: usize, parents: usize, count: u32, parentIndex: u32,
): void {
  const parent = changetype<Trace>(<usize>load<u32>(parents + (<usize>parentIndex << 3)));
  stances(own, parent);
  opening(own, parent);
  shared(own, parent);
  others(own, parents, count, parentIndex);
  drain(GROUP_RELATIONS);
  tempers(scores, parent);
  drain(GROUP_TEMPERS);
}

/** What the message does, by what the turn before did. */
function stances(own: Signals, parent: Trace): void {
  const before = parent.acts;
  const stance: u64 = own.acts & STANCE;
  const isHot: u64 = own.acts & ACT_HOT;
  const kinds: u64 = own.acts & (ACT_LAUGHS | ACT_THANKS | ACT_REPROACH | ACT_CONTEMPT);
  relation(1, before & ACT_HOT, stance);
  relation(2, before & ACT_GROUP, stance);
  relation(3, before & ACT_ASKS, stance);
  relation(4, before & (ACT_HOT | ACT_GROUP), stance);
  relation(5, before & (ACT_HOT | ACT_GROUP), isHot);
  relation(6, before & ACT_ASKS, isHot);
  relation(7, before & (ACT_DISTRESS | ACT_HOT), stance);
  relation(8, before & ACT_DISTRESS, kinds);
  relation(9, before & (ACT_HOT | ACT_HARM), kinds);
  relation(10, before & (ACT_HOT_SCOPED | ACT_REPORTS | ACT_REPROACH), stance);
  relation(11, before & (ACT_SELF | ACT_YOU), own.acts & (ACT_SELF | ACT_YOU));
  relation(12, before & (ACT_HOT | ACT_YOU), isHot | (own.acts & ACT_YOU));
  relation(13, before & ACT_HARM, own.acts & (ACT_AGREES | ACT_DISSENTS | ACT_HARM));
  const hurt: u64 = before & (ACT_HARM | ACT_SUFFERS | ACT_DISTRESS);
  relation(35, hurt, own.acts & (ACT_ASKS | ACT_YOU));
  relation(36, hurt, own.acts & (ACT_LAUGHS | ACT_PRAISES | ACT_AGREES | ACT_CARES));
  relation(37, before & (ACT_PLAYS | ACT_BEAST | ACT_ASKS), own.acts & (ACT_HARM | ACT_HOT));
  relation(38, before & (ACT_LAUGHS | ACT_PRAISES), own.acts & (ACT_LAUGHS | ACT_HOT));
}

/** The first words, by the temper of what they answer: "this" after abuse, "this" after pizza. */
function opening(own: Signals, parent: Trace): void {
  const temper: u64 = parent.acts & (ACT_HOT | ACT_GROUP);
  const plain: u64 = parent.acts & ACT_HOT;
  const distress: u64 = parent.acts & (ACT_DISTRESS | ACT_ASKS);
  const theme: u64 = parent.acts & THEME;
  const at = changetype<usize>(own) + offsetof<Signals>("start0");
  for (let index: usize = 0; index < own.startCount; index++) {
    const shape = load<u64>(at + (index << 3));
    emit(mix(SALT_RELATION + 16 + temper, shape), GROUP_RELATIONS);
    emit(mix(SALT_RELATION + 1024 + plain, shape), GROUP_RELATIONS);
    emit(mix(SALT_RELATION + 4096 + distress, shape), GROUP_RELATIONS);
    emit(mix(SALT_THEME + theme, shape), GROUP_RELATIONS);
  }
}

/** Longer words that both have, about: both of the word's bits are in both sets. */
function shared(own: Signals, parent: Trace): void {
  const low = <u32>popcnt(own.wordsLow & parent.wordsLow);
  const high = <u32>popcnt(own.wordsHigh & parent.wordsHigh);
  const count = min(min(low, high), SHARED_MAX);
  relation(14, count, 0);
  relation(15, count, 1 + (parent.acts & ACT_HOT));
}

/** The turns around: who was rude, who says the same again. */
function others(own: Signals, parents: usize, count: u32, parentIndex: u32): void {
  const start = startHash(own);
  let hot: u32 = 0;
  let ownHot: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const at = parents + (<usize>index << 3);
    const turn = changetype<Trace>(<usize>load<u32>(at));
    const isOwn = (load<u32>(at, 4) & RELATION_SAME_AUTHOR) != 0;
    if (turn.start == start && own.startCount > 2) relation(32, 1, isOwn ? 1 : 0);
    const isRude = (turn.acts & ACT_HOT) != 0 || turn.temper(LANE_TOXIC) > 0;
    if (index == parentIndex || !isRude) continue;
    if (isOwn) ownHot++;
    else hot++;
  }
  if (count < 2) return;
  relation(33, min(hot, 2), own.acts & ACT_HOT);
  relation(34, min(ownHot, 2), own.acts & ACT_HOT);
}

/** Logits of both, in bins, alone and crossed. */
function tempers(scores: usize, parent: Trace): void {
  temper(LANE_TOXIC, scores, parent);
  temper(LANE_HATE, scores, parent);
  temper(LANE_INSULT, scores, parent);
  temper(LANE_THREAT, scores, parent);
}

function temper(lane: u32, scores: usize, parent: Trace): void {
  const own: u64 = bin(load<f32>(scores + (<usize>lane << 2)));
  const before: u64 = bin(<f32>parent.temper(lane) / 16);
  emit(mix(SALT_TEMPER + lane, own), GROUP_TEMPERS);
  emit(mix(SALT_TEMPER + 16 + lane, before), GROUP_TEMPERS);
  emit(mix(SALT_TEMPER + 32 + lane, ((own >> 1) << 8) | (before >> 1)), GROUP_TEMPERS);
}

function bin(logit: f32): u64 {
  return <u64>max(0, min(BIN_COUNT - 1, <i32>floor(max<f32>(-9, min<f32>(9, logit))) + 5));
}
