// The words that a score rests on: by what their rows add to the lane, and by what they are. Spans
// are counted in bytes, UTF-16 units and code points of the text as it came.
import {
  CONTEMPT, CRIME, DEHUMANIZING, EXCLUSION, GROUP, HARM, HATE_VERB, HOT, INFERIOR,
  INSULT, PROFANITY, SELF_HARM, SEXUAL, SLUR, TRAIT_BAD, VEILED,
} from "./lexicon.gen";
import { messageRow } from "./imports.gen";
import {
  LANE_HATE, LANE_INSULT, LANE_PROFANITY, LANE_SELF_HARM, LANE_SEXUAL, LANE_THREAT,
  MESSAGE_BUCKET_MASK,
} from "./model";
import { read, READ_FROM, tokenCount } from "./reading";
import { readScopes, tagOf } from "./scopes";
import { TEXT_BYTES, TEXT_PTR, WORST_FROM } from "./score";
import { KIND_MARK, Token, tokenAt } from "./tokens";

export const SPAN_BYTES: u32 = 28;

/**
 * From this share of the greatest weight on, a word that is not listed is one that a score rests
 * on. Lower shares made spans worse, by the characters of the training posts.
 */
const OWN_MIN: f64 = 0.7;
/** What abuse without an abusive word is made of. */
const TELLING_ABUSE: u64 = HARM | VEILED | CONTEMPT | HATE_VERB | EXCLUSION | SELF_HARM | INFERIOR |
  DEHUMANIZING | CRIME | TRAIT_BAD;

@unmanaged
class Span {
  startByte: u32;
  endByte: u32;
  startUtf16: u32;
  endUtf16: u32;
  startCodePoint: u32;
  endCodePoint: u32;
  weight: f32;
}

/** Tokens that carry the lane, joined where they touch; the first `max` of them. */
export function spansOf(lane: u32, into: usize, max: u32): u32 {
  const from = load<u32>(WORST_FROM + (<usize>lane << 2));
  const text = <usize>load<u32>(TEXT_PTR);
  if (load<u32>(READ_FROM) != from) {
    read(text, load<u32>(TEXT_BYTES), from);
    readScopes();
  }
  let count = spansAt(lane, classesOfLane(lane), into, max);
  // No abusive word: then what it says without one.
  if (count == 0) count = spansAt(lane, TELLING_ABUSE, into, max);
  place(text, into, count);
  return count;
}

function spansAt(lane: u32, wanted: u64, into: usize, max: u32): u32 {
  const count = tokenCount();
  let found: u32 = 0;
  let lastIndex: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const token = tokenAt(index);
    if (token.kind == KIND_MARK) continue;
    const weight = weightOf(token, lane, wanted);
    if (weight <= 0) continue;
    const isNext = found > 0 && isJoined(lastIndex, index);
    if (!isNext && found == max) break;
    const span = changetype<Span>(into + <usize>(isNext ? found - 1 : found) * SPAN_BYTES);
    if (!isNext) {
      span.startByte = token.start;
      span.weight = 0;
      found++;
    }
    span.endByte = token.end;
    const bounded = <f32>min<f64>(1, weight);
    if (bounded > span.weight) span.weight = bounded;
    lastIndex = index;
  }
  return found;
}

/** Neighbours, or with one mark between. */
function isJoined(last: u32, index: u32): bool {
  return index == last + 1 || (index == last + 2 && tokenAt(last + 1).kind == KIND_MARK);
}

function weightOf(token: Token, lane: u32, wanted: u64): f64 {
  const row = messageRow(<u32>((token.shape * 0x9e3779b97f4a7c15) >> 40) & MESSAGE_BUCKET_MASK);
  const own = <f64>(<i8>(row >> (<u64>lane << 3))) / 127;
  const isListed = (token.classes & wanted) != 0;
  if (isListed) return tagOf(token.scope) == 0 ? max<f64>(0.5, 0.5 + own) : max<f64>(0.25, own);
  return own > OWN_MIN ? own : 0;
}

function classesOfLane(lane: u32): u64 {
  if (lane == LANE_HATE) {
    return SLUR | HATE_VERB | EXCLUSION | INFERIOR | DEHUMANIZING | CRIME | INSULT | GROUP;
  }
  if (lane == LANE_INSULT) return INSULT | SLUR | TRAIT_BAD | DEHUMANIZING | CONTEMPT;
  if (lane == LANE_PROFANITY) return PROFANITY;
  if (lane == LANE_THREAT) return HARM | VEILED;
  if (lane == LANE_SEXUAL) return SEXUAL;
  if (lane == LANE_SELF_HARM) return SELF_HARM;
  return HOT | SLUR;
}

/** Bytes to UTF-16 units and code points: one walk over the text. */
function place(text: usize, spans: usize, count: u32): void {
  let byte: u32 = 0;
  let units: u32 = 0;
  let points: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const span = changetype<Span>(spans + <usize>index * SPAN_BYTES);
    for (; byte < span.startByte; byte++) {
      const width = widthAt(text + byte);
      units += width;
      points += min(width, 1);
    }
    span.startUtf16 = units;
    span.startCodePoint = points;
    for (; byte < span.endByte; byte++) {
      const width = widthAt(text + byte);
      units += width;
      points += min(width, 1);
    }
    span.endUtf16 = units;
    span.endCodePoint = points;
  }
}

/** UTF-16 units of the character that begins with this byte; 0 within one. */
@inline
function widthAt(at: usize): u32 {
  const byte: u32 = load<u8>(at);
  return (byte & 0xc0) == 0x80 ? 0 : byte >= 0xf0 ? 2 : 1;
}
