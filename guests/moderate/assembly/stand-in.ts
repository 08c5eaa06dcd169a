// A stand-in for score.ts, for tests of what is around it: a message says its own scores.
//
//   toxic80 hate80 insult80 profane80 threat80 sexual80 selfharm80   .80 of that lane
//   slur1, aimed1           a slur; said at somebody
//   hot1                    a word that is abusive in English
//   foreign1 foreign2 …     words of other languages' lists: the bits
//   raise70                 .70 is the toxicity if there is context
//   echo                    the toxicity is that of the newest turn of the context
//   unsafe80                .80 is the harmful reply, if there is context
//   seen, relation          the harmful reply is the count of turns, the newest's relations, in %
//   banter                  the harmful reply is 1 where the two are said to be friendly
//
// testing/moderator.ts has the compiler read this file in place of the real one.
import { STATE, STATE_BYTES } from "../../sdk/assembly/text/state";
import { read, tokenCount as tokensRead } from "./reading";
import { SCRATCH_ADDRESS, SCRATCH_END } from "./scratch";
import { tokenAt } from "./tokens";

export { tokenAt } from "./tokens";
export { tokenCount } from "./reading";

export const WANT_ANSWER: u32 = 1;
export const WANT_TRACE: u32 = 2;
export const RELATION_PREVIOUS: u32 = 1;
export const RELATION_REPLIED_TO: u32 = 2;
export const RELATION_SAME_AUTHOR: u32 = 4;
export const RELATION_GIVEN: u32 = 8;
export const FLAG_BANTER: u32 = 1;
export const TRACE_BYTES: u32 = 96;
export const SPAN_BYTES: u32 = 28;
export const MESSAGE_SCORE_BYTES: u32 = 128;
export const REPLY_SCORE_BYTES: u32 = 64;
const ACT_YOU: u32 = 16;

@unmanaged
export class MessageScore {
  raw0: f32; raw1: f32; raw2: f32; raw3: f32; raw4: f32; raw5: f32; raw6: f32; raw7: f32;
  score0: f32; score1: f32; score2: f32; score3: f32; score4: f32; score5: f32; score6: f32;
  score7: f32;
  acts: u32;
  tokenCount: u32;
  wordCount: u32;
  chunkCount: u32;
  foreign: u32;
  hotCount: u32;
  slurCount: u32;
  clearCount: u32;
}

@unmanaged
export class ReplyScore {
  rawUnsafe: f32;
  unsafe: f32;
  combined: f32;
  kind: u32;
  gate0: f32; gate1: f32; gate2: f32; gate3: f32; gate4: f32;
  parentIndex: u32;
}

/** Behind what reading.ts uses: the text, its scores, the allowed words. */
const PLACE: usize = SCRATCH_END - 256;

@unmanaged
class Said {
  text: u32;
  bytes: u32;
  allowed: u32;
  allowedCount: u32;
  toxic: f32; hate: f32; insult: f32; profane: f32; threat: f32; sexual: f32; selfharm: f32;
  raise: f32;
  unsafe: f32;
  slur: u32;
  aimed: u32;
  foreign: u32;
  hot: u32;
  echo: bool;
  seen: bool;
  relation: bool;
  banter: bool;
}

@inline
function said(): Said {
  return changetype<Said>(PLACE);
}

export function scoreMessage(text: usize, bytes: u32, wants: u32, into: usize): void {
  const allowed = said().allowed;
  const count = said().allowedCount;
  memory.fill(PLACE, 0, offsetof<Said>());
  said().text = <u32>text;
  said().bytes = bytes;
  said().allowed = allowed;
  said().allowedCount = count;
  let at: u32 = 0;
  while (at < bytes) {
    const end = wordEnd(at);
    if (end > at && !isAllowed(at)) takeWord(text + at, end - at);
    at = end + 1;
  }
  memory.fill(into, 0, MESSAGE_SCORE_BYTES);
  const score = changetype<MessageScore>(into);
  memory.copy(into + offsetof<MessageScore>("score0"), PLACE + offsetof<Said>("toxic"), 28);
  score.slurCount = said().slur;
  score.acts = said().aimed != 0 ? ACT_YOU : 0;
  score.foreign = said().foreign;
  score.hotCount = said().hot;
  score.clearCount = said().hot;
}

export function traceOf(into: usize): void {
  memory.fill(into, 0, TRACE_BYTES);
  store<f32>(into, said().toxic);
  store<u8>(into, 0xee, TRACE_BYTES - 1);
}

export function scoreReply(parents: usize, count: u32, flags: u32, into: usize): void {
  memory.fill(into, 0, REPLY_SCORE_BYTES);
  const reply = changetype<ReplyScore>(into);
  reply.combined = said().toxic;
  if (count == 0) return;
  reply.unsafe = said().unsafe;
  if (said().raise != 0) reply.combined = said().raise;
  if (said().echo) reply.combined = load<f32>(<usize>load<u32>(parents));
  if (said().seen) reply.unsafe = <f32>count / 100;
  if (said().relation) reply.unsafe = <f32>load<u32>(parents, 4) / 100;
  if (said().banter) reply.unsafe = <f32>flags;
}

export function spansOf(lane: u32, into: usize, max: u32): u32 {
  const text = said().text;
  let count: u32 = 0;
  let at: u32 = 0;
  while (at < said().bytes && count < max) {
    const end = wordEnd(at);
    if (end > at && !isAllowed(at) && laneOf(text + at, end - at) == lane) {
      const span = into + <usize>count * SPAN_BYTES;
      count += 1;
      store<u32>(span, at);
      store<u32>(span, end, 4);
      store<u32>(span, units(at), 8);
      store<u32>(span, units(end), 12);
      store<u32>(span, points(at), 16);
      store<u32>(span, points(end), 20);
      store<f32>(span, 1, 24);
    }
    at = end + 1;
  }
  return count;
}

export function setAllowed(at: usize, count: u32): void {
  said().allowed = <u32>at;
  said().allowedCount = count;
}

export function clearScratch(): void {
  memory.fill(SCRATCH_ADDRESS, 0, SCRATCH_END - SCRATCH_ADDRESS);
  memory.fill(STATE, 0, STATE_BYTES);
}

function wordEnd(at: u32): u32 {
  while (at < said().bytes && load<u8>(said().text + at) > 0x20) at += 1;
  return at;
}

function isAllowed(at: u32): bool {
  if (said().allowedCount == 0) return false;
  read(said().text, said().bytes, 0);
  for (let index: u32 = 0; index < tokensRead(); index++) {
    if (tokenAt(index).start != at) continue;
    for (let word: u32 = 0; word < said().allowedCount; word++) {
      if (load<u64>(<usize>said().allowed + (<usize>word << 3)) == tokenAt(index).hash) return true;
    }
  }
  return false;
}

function takeWord(at: usize, bytes: u32): void {
  const lane = laneOf(at, bytes);
  const value = numberOf(at, bytes);
  if (lane < 7) {
    const place = PLACE + offsetof<Said>("toxic") + (<usize>lane << 2);
    store<f32>(place, max<f32>(load<f32>(place), <f32>value / 100));
  }
  if (starts(at, bytes, "raise")) said().raise = <f32>value / 100;
  if (starts(at, bytes, "unsafe")) said().unsafe = <f32>value / 100;
  if (starts(at, bytes, "slur")) said().slur = value;
  if (starts(at, bytes, "aimed")) said().aimed = value;
  if (starts(at, bytes, "foreign")) said().foreign |= value;
  if (starts(at, bytes, "hot")) said().hot = value;
  if (starts(at, bytes, "echo")) said().echo = true;
  if (starts(at, bytes, "seen")) said().seen = true;
  if (starts(at, bytes, "relation")) said().relation = true;
  if (starts(at, bytes, "banter")) said().banter = true;
}

function laneOf(at: usize, bytes: u32): u32 {
  if (starts(at, bytes, "toxic")) return 0;
  if (starts(at, bytes, "hate")) return 1;
  if (starts(at, bytes, "insult")) return 2;
  if (starts(at, bytes, "profane")) return 3;
  if (starts(at, bytes, "threat")) return 4;
  if (starts(at, bytes, "sexual")) return 5;
  return starts(at, bytes, "selfharm") ? 6 : 99;
}

function starts(at: usize, bytes: u32, word: string): bool {
  if (<u32>word.length > bytes) return false;
  for (let index: i32 = 0; index < word.length; index++) {
    if (<u32>load<u8>(at + index) != <u32>load<u16>(changetype<usize>(word) + (<usize>index << 1)))
      return false;
  }
  return true;
}

function numberOf(at: usize, bytes: u32): u32 {
  let value: u32 = 0;
  for (let index: u32 = 0; index < bytes; index++) {
    const digit = <u32>load<u8>(at + index) - 0x30;
    if (digit < 10) value = value * 10 + digit;
  }
  return value;
}

function points(bytes: u32): u32 {
  let count: u32 = 0;
  for (let at: u32 = 0; at < bytes; at++) {
    if ((load<u8>(said().text + at) & 0xc0) != 0x80) count += 1;
  }
  return count;
}

function units(bytes: u32): u32 {
  let count = points(bytes);
  for (let at: u32 = 0; at < bytes; at++) if (load<u8>(said().text + at) >= 0xf0) count += 1;
  return count;
}
