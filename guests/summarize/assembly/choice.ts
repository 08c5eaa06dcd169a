// Which lines a rolling text shows: k messages that are worth most together.
//
// A set S of at most k messages is worth
//
//   f(S) = sum over terms t of  c(t) x max over lines of S with t of q(line)
//        + sum over speakers of SPEAKER_WORTH x max over their lines in S of q(line)
//
// c(t) is how much the term is talked about now beyond its usual (topics.ts); q is how well the line
// reads, and how recent it is. As a facility location f is monotone and submodular: a second line on
// the same subject or of the same speaker adds little. A message comes in while there is a place;
// after that it takes the place of the line u for which f(S - u + v) is greatest, and only if that
// is at least (1 + 1/k) f(S). This is the swap rule of Buchbinder, Feldman and Schwartz (Online
// submodular maximization with preemption, 2015), which for a fixed f keeps at least 1/4 of the best
// k messages of the stream, and no deterministic rule of the kind does better on all constraints.
// The margin is why readers see no flicker: a line stays until another is clearly better, or until
// it has faded and something new is said.
//
// Our f moves: q halves with every HALF_LIFE events of the record and every AGE_MS_HALF_LIFE, the
// same for all lines, so comparing lines of two ages does not depend on when it is done. c(t) is
// taken at the time of the comparison, for both sides; the bound of 1/4 holds as long as it stands.
//
// Cost: O(k²) comparisons of a vector of tags for a candidate that could be worth it, one message in
// eight; half of the rest are turned away by one sum, and the others by what they would add to the
// lines that are shown, both against the worth that was found last, which fades with every message.
// The tags of a line are summed up in their order, so every host comes to the same number.
import {
  IS_OWN, KIND_SAID, Line, LINE_TAGS, lineAt, Record, tagsAmong,
} from "./conversation-record";
import { Message } from "./message";
import { putWorths } from "./topics";

const SAID_MAX: u32 = 3;
const SAID_OWN_MAX: u32 = 5;
const HALF_LIFE: f32 = 48;
const HALF_LIFE_OWN: f32 = 96;
const AGE_MS_HALF_LIFE: f64 = 21_600_000;
/** What is left of a line whose place is free for whatever is new: three half-lives. */
const FADED: f32 = 0.125;
const SPEAKER_WORTH: f32 = 2;

/** Lines of the record that are shown as said: k of the story. */
@inline
export function saidMax(record: Record): u32 {
  return record.has(IS_OWN) ? SAID_OWN_MAX : SAID_MAX;
}

/** Hot. One message more has come: what the lines were worth has faded. */
@inline
export function fadeWorth(record: Record): void {
  record.worth *= 1 - 0.7 / (record.has(IS_OWN) ? HALF_LIFE_OWN : HALF_LIFE);
}

/**
 * Hot. Whether the message, weighed before, is one of the lines that are shown; if so, there is a
 * place for it now.
 */
export function choose(record: Record, message: Message): bool {
  const count = gather(record, message);
  const quality = <f32>message.shape / 128;
  const faded = load<u32>(message.worths, FADED_AT);
  if (count < saidMax(record)) return !repeats(message, count);
  if (faded == 0) {
    // What it adds must make up for the margin at least.
    const wanted = record.worth / <f32>count;
    if (mostOf(message) * quality < wanted) return false;
    if (gainOf(message, quality, count) < wanted) return false;
  }
  if (repeats(message, count)) return false;
  if (faded == 0) return swap(record, message, quality, count);
  record.release(lineAt(<usize>faded), KIND_SAID);
  return true;
}

// Scratch at `worths`: f32 of each chosen line's q, the u32 addresses, one that has faded, then for
// each line its bests, and the worths of the tags of one.
const LINES_AT: usize = 32;
const FADED_AT: usize = 64;
const BESTS_AT: usize = 128;
const WORTHS_AT: usize = 608;

/** What a line of the message could add for each of its quality. */
function mostOf(message: Message): f32 {
  let most: f32 = SPEAKER_WORTH;
  const count = min(message.tagCount, LINE_TAGS);
  for (let index: u32 = 0; index < count; index++) most += message.weightAt(index);
  return most;
}

/** f(S + v) - f(S). */
function gainOf(message: Message, quality: f32, count: u32): f32 {
  const tags = v128.load(message.tags);
  let speaker = f32x4.splat(0);
  let low = f32x4.splat(0);
  let high = f32x4.splat(0);
  for (let line: u32 = 0; line < count; line++) {
    const held = chosenLine(message, line);
    const own = v128.load32_splat(message.worths + (line << 2));
    const isSame = i32x4.eq(i32x4.splat(held.user), i32x4.splat(message.userHash));
    const shown = tagsAmong(tags, v128.load(held.tagsAt));
    speaker = f32x4.pmax(speaker, v128.and(own, isSame));
    low = f32x4.pmax(low, v128.and(own, i32x4.extend_low_i16x8_s(shown)));
    high = f32x4.pmax(high, v128.and(own, i32x4.extend_high_i16x8_s(shown)));
  }
  const isTag = i16x8.ne(tags, i16x8.splat(0));
  const weights = message.weights;
  low = f32x4.mul(v128.load(weights), beyond(quality, low));
  high = f32x4.mul(v128.load(weights, 16), beyond(quality, high));
  let gain = SPEAKER_WORTH * f32x4.extract_lane(beyond(quality, speaker), 0);
  gain = plusLanes(gain, v128.and(low, i32x4.extend_low_i16x8_s(isTag)));
  return plusLanes(gain, v128.and(high, i32x4.extend_high_i16x8_s(isTag)));
}

/** By how much the quality is more than each of four bests. */
@inline
function beyond(quality: f32, bests: v128): v128 {
  return f32x4.pmax(f32x4.sub(f32x4.splat(quality), bests), f32x4.splat(0));
}

@inline
function plusLanes(sum: f32, lanes: v128): f32 {
  sum += f32x4.extract_lane(lanes, 0);
  sum += f32x4.extract_lane(lanes, 1);
  sum += f32x4.extract_lane(lanes, 2);
  return sum + f32x4.extract_lane(lanes, 3);
}

/** Notes the chosen lines and the q of each; returns how many. */
function gather(record: Record, message: Message): u32 {
  const perEvent: f32 = 1 / (record.has(IS_OWN) ? HALF_LIFE_OWN : HALF_LIFE);
  const end = record.end;
  let count: u32 = 0;
  store<u32>(message.worths, 0, FADED_AT);
  for (let at = record.lines; at < end; at += lineAt(at).bytes) {
    const line = lineAt(at);
    if (!line.is(KIND_SAID)) continue;
    const ageMs = max<f64>(record.lastMs - line.tsMs, 0);
    const events = <f32>(record.events - line.ordinal);
    const fading = halved(events * perEvent + <f32>(ageMs * (1 / AGE_MS_HALF_LIFE)));
    const quality = <f32>line.shape / 128 * fading;
    if (fading <= FADED) store<u32>(message.worths, <u32>at, FADED_AT);
    store<f32>(message.worths + (count << 2), quality);
    store<u32>(message.worths + (count << 2), <u32>at, LINES_AT);
    count += 1;
  }
  return count;
}

@inline
function chosenLine(message: Message, index: u32): Line {
  return lineAt(<usize>load<u32>(message.worths + (index << 2), LINES_AT));
}

@inline
function chosenQuality(message: Message, index: u32): f32 {
  return load<f32>(message.worths + (index << 2));
}

/** 2^-x, by straight lines between whole x. */
function halved(x: f32): f32 {
  if (!(x < 30)) return 0;
  const whole = <u32>x;
  const power = reinterpret<f32>((127 - whole) << 23); // 2^-whole
  return (1 - (x - <f32>whole) / 2) * power;
}

/** Whether a chosen line that has not faded says most of it already. */
function repeats(message: Message, count: u32): bool {
  const most = min(message.tagCount, LINE_TAGS) * 3;
  for (let index: u32 = 0; index < count; index++) {
    if (chosenQuality(message, index) <= FADED) continue;
    if (chosenLine(message, index).sharedTags(message) * 4 >= most) return true;
  }
  return false;
}

/**
 * Adds up f of the chosen lines, and for each how much f(S + v) loses without it; puts the message
 * in the place of the least, if that is worth the margin. The message is line number `count`.
 */
function swap(record: Record, message: Message, quality: f32, count: u32): bool {
  store<f32>(message.worths + (count << 2), quality);
  cover(message, count);
  const worths = message.worths + WORTHS_AT;
  let now: f32 = 0;
  let gain: f32 = 0;
  let least: u32 = 0;
  let leastLoss: f32 = f32.MAX_VALUE;
  for (let line: u32 = 0; line <= count; line++) {
    const own = chosenQuality(message, line);
    const bests = bestsOf(message, line);
    putWorths(record, tagsOf(message, line, count), worths);
    const others = lossOf(own, bests + OTHERS, worths);
    if (line == count) {
      gain = others;
      continue;
    }
    now += lossOf(own, bests, worths);
    if (others >= leastLoss) continue;
    least = line;
    leastLoss = others;
  }
  record.worth = now;
  const then = now + gain - leastLoss;
  if (then < now * (1 + 1 / <f32>count)) return false;
  record.worth = then;
  record.release(chosenLine(message, least), KIND_SAID);
  return true;
}

/** What a line of a quality adds to others that have these bests. */
@inline
function lossOf(own: f32, bests: usize, worths: usize): f32 {
  const speaker = v128.load32_splat(bests + SPEAKER_AT);
  const low = f32x4.mul(v128.load(worths), beyond(own, v128.load(bests)));
  const high = f32x4.mul(v128.load(worths, 16), beyond(own, v128.load(bests, 16)));
  const loss = SPEAKER_WORTH * f32x4.extract_lane(beyond(own, speaker), 0);
  return plusLanes(plusLanes(loss, low), high);
}

// Bests of a line: f32[LINE_TAGS] for its tags and one for its speaker, of the earlier lines, and
// the same again of all others.
const SPEAKER_AT: usize = 32;
const OTHERS: usize = 36;
const BESTS_BYTES: u32 = 80;

@inline
function bestsOf(message: Message, line: u32): usize {
  return message.worths + BESTS_AT + line * BESTS_BYTES;
}

/** Finds the bests of all lines. */
function cover(message: Message, count: u32): void {
  const end = bestsOf(message, count + 1);
  for (let at = bestsOf(message, 0); at < end; at += 16) v128.store(at, i64x2.splat(0));
  for (let line: u32 = 0; line < count; line++) {
    const tags = v128.load(tagsOf(message, line, count));
    const speaker = speakerOf(message, line, count);
    const quality = v128.load32_splat(message.worths + (line << 2));
    const bests = bestsOf(message, line);
    for (let later = line + 1; later <= count; later++) {
      const laterTags = v128.load(tagsOf(message, later, count));
      const laterQuality = v128.load32_splat(message.worths + (later << 2));
      const laterBests = bestsOf(message, later);
      const shown = tagsAmong(tags, laterTags);
      if (v128.any_true(shown)) {
        const laterShown = tagsAmong(laterTags, tags);
        raise(bests + OTHERS, shown, laterQuality);
        raise(laterBests, laterShown, quality);
        raise(laterBests + OTHERS, laterShown, quality);
      }
      if (speakerOf(message, later, count) != speaker) continue;
      raiseSpeaker(bests + OTHERS, laterQuality);
      raiseSpeaker(laterBests, quality);
      raiseSpeaker(laterBests + OTHERS, quality);
    }
  }
}

/** Raises the bests of these tags to the quality, where that is more. */
@inline
function raise(bests: usize, tags: v128, quality: v128): void {
  const low = v128.and(quality, i32x4.extend_low_i16x8_s(tags));
  const high = v128.and(quality, i32x4.extend_high_i16x8_s(tags));
  v128.store(bests, f32x4.pmax(v128.load(bests), low));
  v128.store(bests, f32x4.pmax(v128.load(bests, 16), high), 16);
}

@inline
function raiseSpeaker(bests: usize, quality: v128): void {
  const own = f32x4.extract_lane(quality, 0);
  if (own > load<f32>(bests + SPEAKER_AT)) store<f32>(bests + SPEAKER_AT, own);
}

@inline
function tagsOf(message: Message, line: u32, count: u32): usize {
  return line == count ? message.tags : chosenLine(message, line).tagsAt;
}

@inline
function speakerOf(message: Message, line: u32, count: u32): u32 {
  return line == count ? message.userHash : chosenLine(message, line).user;
}
