// What a conversation talks about: a small table of tags with fading counts, 4 bits each.
//
// One mention of another speaker counts 3, of the same one 1; every FADE events all counts halve
// after a quarter of the difference has gone into the term's usual. A term in every message is no
// subject. The cells lie in the record, { u16 tag, u8 speaker, u8 usual << 4 | count }, two to a
// set.
//
// No branch here depends on a tag, or on what is known of it: it would be guessed wrong every other
// time, which costs more than the rest.
import { IS_OWN, LINE_TAGS, Record } from "./conversation-record";
import { Message } from "./message";

const FADE: u32 = 32;
const FADE_OWN: u32 = 64;
const COUNT_MAX: u32 = 15;
/** A count above which a tag must be missed for a while before it goes. */
const COUNT_WEAK: u32 = 2;
/** A usual count from which a tag is small talk, and what that is worth. */
const USUAL_MUCH: u32 = 4;
const WORTH_USUAL: f32 = 0.4;

/** Hot. Counts the tags, weighs them, and brings the LINE_TAGS weightiest to the front. */
export function weighTags(record: Record, message: Message): void {
  const epoch = record.events / (record.has(IS_OWN) ? FADE_OWN : FADE);
  // Four halvings leave no count.
  for (let step = min((epoch - record.fades) & 0xff, 4); step > 0; step--) fade(record);
  record.fades = <u8>epoch;
  const cells = record.cells;
  const mask = (record.cellCount >> 1) - 1;
  const speaker = message.userHash & 0xff;
  const count = message.tagCount;
  for (let index: u32 = 0; index < count; index++) {
    const tag = message.tagAt(index);
    store<f32>(message.weights + (index << 2), countTag(cells + ((tag & mask) << 3), tag, speaker));
  }
  if (count > LINE_TAGS) bringToFront(message);
}

/** Hot. Writes what the LINE_TAGS tags at `tagsAt` are worth now: f32 each, 0 where there is none. */
export function putWorths(record: Record, tagsAt: usize, to: usize): void {
  const cells = record.cells;
  const mask = (record.cellCount >> 1) - 1;
  for (let index: usize = 0; index < <usize>LINE_TAGS; index++) {
    const tag = <u32>load<u16>(tagsAt + (index << 1));
    const set = cells + ((tag & mask) << 3);
    const first = load<u32>(set);
    const second = load<u32>(set, 4);
    const rest = select<u32>(second >> 24, 0, (second & 0xffff) == tag);
    store<u32>(to + (index << 2), select<u32>(first >> 24, rest, (first & 0xffff) == tag));
  }
  const isTag = i16x8.ne(v128.load(tagsAt), i16x8.splat(0));
  v128.store(to, v128.and(worthsOf(v128.load(to)), i32x4.extend_low_i16x8_s(isTag)));
  v128.store(to, v128.and(worthsOf(v128.load(to, 16)), i32x4.extend_high_i16x8_s(isTag)), 16);
}

/** Returns c(t). */
@inline
function countTag(set: usize, tag: u32, speaker: u32): f32 {
  const first = load<u32>(set);
  const second = load<u32>(set, 4);
  const isFirst = (first & 0xffff) == tag;
  const isSecond = (second & 0xffff) == tag;
  const isFound = <u32>isFirst | <u32>isSecond;
  const isLess = ((second >> 24) & 15) < ((first >> 24) & 15);
  const offset = select<u32>(0, select<u32>(4, isLess ? 4 : 0, isSecond), isFirst);
  const cell = select<u32>(second, first, offset != 0);
  const held = (cell >> 24) & 15;
  const more = select<u32>(3, 1, ((cell >> 16) & 0xff) != speaker);
  const counts = ((cell >> 24) & 0xf0) | min(held + more, COUNT_MAX);
  const known = tag | (speaker << 16) | (counts << 24);
  const unknown = select<u32>(
    cell - (1 << 24), tag | (speaker << 16) | (2 << 24), held > COUNT_WEAK,
  );
  store<u32>(set + offset, select<u32>(known, unknown, isFound != 0));
  // One that is new is worth as much as one without counts.
  return worthOf(select<u32>(counts, 0, isFound != 0));
}

/** c(t): 1 for a term of its own, more for what several speak of. */
@inline
function worthOf(counts: u32): f32 {
  const usual = counts >> 4;
  const beyond = <i32>(counts & 15) - <i32>usual;
  const plain = select<u32>(
    reinterpret<u32>(WORTH_USUAL), reinterpret<u32>(<f32>1), usual > USUAL_MUCH,
  );
  const much = reinterpret<u32>(<f32>beyond * 0.5);
  return reinterpret<f32>(select<u32>(much, plain, beyond > 2));
}

/** The same for four. */
@inline
function worthsOf(counts: v128): v128 {
  const usual = i32x4.shr_u(counts, 4);
  const beyond = i32x4.sub(v128.and(counts, i32x4.splat(15)), usual);
  const isUsual = i32x4.gt_s(usual, i32x4.splat(USUAL_MUCH));
  const plain = v128.bitselect(f32x4.splat(WORTH_USUAL), f32x4.splat(1), isUsual);
  const much = f32x4.mul(f32x4.convert_i32x4_s(beyond), f32x4.splat(0.5));
  return v128.bitselect(much, plain, i32x4.gt_s(beyond, i32x4.splat(2)));
}

function fade(record: Record): void {
  const end = record.cells + (record.cellCount << 2);
  for (let cell = record.cells; cell < end; cell += 4) {
    const counts = <u32>load<u8>(cell, 3);
    if (counts == 0) continue;
    const usual = ((counts >> 4) * 3 + (counts & 15)) >> 2;
    const count = (counts & 15) >> 1;
    if (usual + count == 0) store<u32>(cell, 0);
    else store<u8>(cell, <u8>((usual << 4) | count), 3);
  }
}

/** Of tags of one weight, those that were said first. */
function bringToFront(message: Message): void {
  const tags = message.tags;
  let least = leastOfFront(message);
  for (let other = LINE_TAGS; other < message.tagCount; other++) {
    const weight = message.weightAt(other);
    if (weight <= message.weightAt(least)) continue;
    store<f32>(message.weights + (other << 2), message.weightAt(least));
    store<f32>(message.weights + (least << 2), weight);
    const tag = message.tagAt(other);
    store<u16>(tags + (other << 1), <u16>message.tagAt(least));
    store<u16>(tags + (least << 1), <u16>tag);
    least = leastOfFront(message);
  }
}

function leastOfFront(message: Message): u32 {
  let least: u32 = 0;
  for (let index: u32 = 1; index < LINE_TAGS; index++)
    if (message.weightAt(index) <= message.weightAt(least)) least = index;
  return least;
}
