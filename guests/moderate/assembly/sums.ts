// Rows of features, summed. Sums are of integers, so no order of features changes them; each group
// is scaled once, at the end.
//
// One message is summed three ways at once: by its own lanes, as an answer (reply rows), and as
// what is said before a later answer (reply rows of a hash space of its own). Features wait in a
// list until it is full or their group ends. 16-bit lanes hold 256 rows of signed bytes.
import { messageRow, parameter, replyRow } from "./imports.gen";
import {
  GROUP_BEFORE_WORDS, GROUP_LETTERS, GROUP_RELATIONS, GROUP_STRUCTURE,
  MESSAGE_BUCKET_MASK, REPLY_BUCKET_MASK, REPLY_GROUP_SCALES,
} from "./model";
import { LIST, LIST_COUNT_MAX, SEEN, SEEN_BYTES, SUMS } from "./scratch";

/** What a stretch of text is summed for, beside its own lanes. */
export const WANT_ANSWER: u32 = 1;
export const WANT_TRACE: u32 = 2;

const ROWS_A_FLUSH: u32 = 256;

/** Everything in SUMS; sums are i32 lanes, by group. */
export const WANTS: usize = SUMS;
export const LIST_COUNT: usize = SUMS + 4;
/** Where the probe wants a copy of the features, else 0; and how many it got. */
export const RECORD: usize = SUMS + 8;
export const RECORD_COUNT: usize = SUMS + 12;
const COUNTS: usize = SUMS + 16;
const MESSAGE: usize = SUMS + 48;
const ANSWER: usize = MESSAGE + 3 * 32;
const BEFORE: usize = ANSWER + 3 * 64;
const RELATION: usize = BEFORE + 2 * 64;
export const SUMS_END: usize = RELATION + 2 * 64;

/** Begins a stretch of text. */
export function beginSums(wants: u32): void {
  memory.fill(COUNTS, 0, RELATION - COUNTS);
  memory.fill(SEEN, 0, SEEN_BYTES);
  store<u32>(WANTS, wants);
  store<u32>(LIST_COUNT, 0);
}

export function beginRelations(): void {
  memory.fill(RELATION, 0, SUMS_END - RELATION);
  store<u64>(COUNTS + (GROUP_RELATIONS << 2), 0);
  memory.fill(SEEN, 0, SEEN_BYTES);
  store<u32>(LIST_COUNT, 0);
}

/** A feature of the group that is being listed. Hot. */
@inline
export function emit(hash: u64, group: u32): void {
  const feature = <u32>(hash >> 40);
  const at = SEEN + <usize>((feature & 0x7fff) >> 3);
  const bit = <u32>1 << (feature & 7);
  const seen = <u32>load<u8>(at);
  if ((seen & bit) != 0) return;
  store<u8>(at, seen | bit);
  const count = load<u32>(LIST_COUNT);
  store<u32>(LIST + (<usize>count << 2), feature);
  store<u32>(LIST_COUNT, count + 1);
  if (count + 1 == LIST_COUNT_MAX) drain(group);
}

/** Sums what waits; the end of a group. */
export function drain(group: u32): void {
  const count = load<u32>(LIST_COUNT);
  if (count == 0) return;
  const counts = COUNTS + (<usize>group << 2);
  store<u32>(counts, load<u32>(counts) + count);
  const wants = load<u32>(WANTS);
  if (group <= GROUP_STRUCTURE) {
    sumMessage(MESSAGE + (<usize>group << 5), count);
    if ((wants & WANT_ANSWER) != 0) sumReply(ANSWER + (<usize>group << 6), count, false);
    if ((wants & WANT_TRACE) != 0 && group <= GROUP_LETTERS) {
      sumReply(BEFORE + (<usize>group << 6), count, true);
    }
  } else sumReply(RELATION + (<usize>(group - GROUP_RELATIONS) << 6), count, false);
  if (load<u32>(RECORD) != 0) record(group, count);
  store<u32>(LIST_COUNT, 0);
}

/**
 * The same feature in the hash space of what was said before: its row is the neighbour of the
 * feature's own, so that both come with one line of the cache.
 */
@inline
export function beforeOf(feature: u32): u32 {
  return feature ^ 1;
}

/** A lane of a message, of groups 0 to 2; `scale` is that of the group. */
export function messageSum(group: u32, lane: u32): f64 {
  return scaled(load<i32>(MESSAGE + (<usize>group << 5) + (<usize>lane << 2)), group);
}

export function answerSum(group: u32, lane: u32): f64 {
  const base = group < GROUP_RELATIONS
    ? ANSWER + (<usize>group << 6)
    : RELATION + (<usize>(group - GROUP_RELATIONS) << 6);
  return scaled(load<i32>(base + (<usize>lane << 2)), group);
}

/** What the text adds to a lane of the answer to it. */
export function beforeSum(lane: u32): f64 {
  const words = scaled(load<i32>(BEFORE + (<usize>lane << 2)), 0);
  const letters = scaled(load<i32>(BEFORE + 64 + (<usize>lane << 2)), 1);
  return words * parameter(REPLY_GROUP_SCALES + GROUP_BEFORE_WORDS) +
    letters * parameter(REPLY_GROUP_SCALES + GROUP_BEFORE_WORDS + 1);
}

function scaled(sum: i32, group: u32): f64 {
  const count = load<u32>(COUNTS + (<usize>group << 2));
  return count == 0 ? 0 : <f64>sum / Math.sqrt(<f64>count);
}

function sumMessage(to: usize, count: u32): void {
  let at = LIST;
  const end = LIST + (<usize>count << 2);
  while (at < end) {
    const stop = min(end, at + (<usize>ROWS_A_FLUSH << 2));
    let lanes = i64x2.splat(0);
    for (; at < stop; at += 4) {
      const row = messageRow(load<u32>(at) & MESSAGE_BUCKET_MASK);
      lanes = i16x8.add(lanes, i16x8.extend_low_i8x16_s(i64x2.splat(<i64>row)));
    }
    flush(to, lanes);
  }
}

function sumReply(to: usize, count: u32, isBefore: bool): void {
  let at = LIST;
  const end = LIST + (<usize>count << 2);
  while (at < end) {
    const stop = min(end, at + (<usize>ROWS_A_FLUSH << 2));
    let low = i64x2.splat(0);
    let high = i64x2.splat(0);
    for (; at < stop; at += 4) {
      const feature = load<u32>(at);
      const bucket = (isBefore ? beforeOf(feature) : feature) & REPLY_BUCKET_MASK;
      low = i16x8.add(low, i16x8.extend_low_i8x16_s(i64x2.splat(<i64>replyRow(bucket, 0))));
      high = i16x8.add(high, i16x8.extend_low_i8x16_s(i64x2.splat(<i64>replyRow(bucket, 1))));
    }
    flush(to, low);
    flush(to + 32, high);
  }
}

@inline
function flush(to: usize, lanes: v128): void {
  v128.store(to, i32x4.add(v128.load(to), i32x4.extend_low_i16x8_s(lanes)));
  v128.store(to + 16, i32x4.add(v128.load(to + 16), i32x4.extend_high_i16x8_s(lanes)));
}

function record(group: u32, count: u32): void {
  const to = load<u32>(RECORD) + (load<u32>(RECORD_COUNT) << 2);
  for (let index: u32 = 0; index < count; index++) {
    store<u32>(to + (index << 2), load<u32>(LIST + (<usize>index << 2)) | (group << 24));
  }
  store<u32>(RECORD_COUNT, load<u32>(RECORD_COUNT) + count);
}
