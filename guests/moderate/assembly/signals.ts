// What a message does, in a few bits, and the trace of it that judging its answers needs.
import {
  AGREEMENT, AMBIGUOUS, ANIMAL, CARE, CONTEMPT, DISSENT, DISTRESS, FAMILY, FIRST, FOREIGN_INSULT,
  FOREIGN_PROFANITY, FOREIGN_SEXUAL, GAME, GROUP, HARM, HOT, LAUGH, PERSON, PRAISE, REPORTER,
  REPROACH, SECOND, SELF_HARM, SLUR, THANKS, THIRD, TRAIT_GOOD,
} from "./lexicon.gen";
import { tokenCount } from "./reading";
import { isMark } from "./scopes";
import {
  KIND_WORD, SCOPE_NEGATED, SCOPE_QUOTED, SCOPE_REPORTED, SCOPE_REPROACHED, SUBJECT_SELF, tokenAt,
} from "./tokens";

export const ACT_AGREES: u32 = 1;
export const ACT_DISSENTS: u32 = 2;
export const ACT_CARES: u32 = 4;
export const ACT_ASKS: u32 = 8;
export const ACT_YOU: u32 = 16;
export const ACT_GROUP: u32 = 32;
/** An abusive word, outside of quotation, report and negation. */
export const ACT_HOT: u32 = 64;
export const ACT_HOT_SCOPED: u32 = 128;
export const ACT_LAUGHS: u32 = 256;
export const ACT_REPROACH: u32 = 512;
export const ACT_REPORTS: u32 = 1024;
export const ACT_SELF: u32 = 2048;
export const ACT_SLUR: u32 = 4096;
/** Violence with a person as its object. */
export const ACT_HARM: u32 = 8192;
/** Pain or self-harm of one's own. */
export const ACT_DISTRESS: u32 = 16384;
export const ACT_THANKS: u32 = 32768;
export const ACT_QUOTES: u32 = 65536;
export const ACT_CONTEMPT: u32 = 131072;
/** Of games and sport, of animals, of praise. */
export const ACT_PLAYS: u32 = 262144;
export const ACT_BEAST: u32 = 524288;
export const ACT_PRAISES: u32 = 1048576;
/** Violence that was done to oneself. */
export const ACT_SUFFERS: u32 = 2097152;

export const SCOPED: u32 = SCOPE_QUOTED | SCOPE_REPORTED | SCOPE_NEGATED | SCOPE_REPROACHED;
const UNCLEAR: u64 = AMBIGUOUS | FOREIGN_INSULT | FOREIGN_PROFANITY | FOREIGN_SEXUAL;
const START_TOKENS: u32 = 6;
const SHARED_LETTERS_MIN: u32 = 4;

/** Of one stretch of a message. */
@unmanaged
export class Signals {
  acts: u32;
  /** Words of other languages' lists: bit 0 profanity, 1 sexual, 2 insult. */
  foreign: u32;
  hotCount: u32;
  slurCount: u32;
  tokenCount: u32;
  wordCount: u32;
  /** Two bits a longer word, of 128. */
  wordsLow: u64;
  wordsHigh: u64;
  /** Shapes of the first words. */
  start0: u64; start1: u64; start2: u64; start3: u64; start4: u64; start5: u64;
  startCount: u32;
  /** Of the abusive words, those that are not common words of other languages or things, too. */
  clearCount: u32;
}

export const TRACE_BYTES: u32 = 96;
/** Reply lanes of what was said before: unsafe, gates, experts add, the others multiply. */
export const TRACE_LANE_COUNT: u32 = 16;

/** A turn, as far as later messages need it. Opaque to whoever keeps it. */
@unmanaged
export class Trace {
  /** i16 lanes, in quarters of the weights' unit. */
  lanes0: u64; lanes1: u64; lanes2: u64; lanes3: u64;
  /** Logits of the message lanes, i8, sixteen to one. */
  tempers: u64;
  acts: u32;
  tokenCount: u16;
  hotCount: u8;
  slurCount: u8;
  wordsLow: u64;
  wordsHigh: u64;
  /** Of its first words: whether it says the same again. */
  start: u64;
  reserved0: u64; reserved1: u64; reserved2: u64;

  @inline
  lane(lane: u32): i32 {
    return load<i16>(changetype<usize>(this) + (<usize>lane << 1));
  }

  @inline
  temper(lane: u32): i32 {
    return load<i8>(changetype<usize>(this) + offsetof<Trace>("tempers") + lane);
  }

  @inline
  setTemper(lane: u32, value: i8): void {
    store<i8>(changetype<usize>(this) + offsetof<Trace>("tempers") + lane, value);
  }

  takeSignals(signals: Signals, acts: u32): void {
    this.acts = acts;
    this.tokenCount = <u16>min<u32>(signals.tokenCount, 0xffff);
    this.hotCount = <u8>min<u32>(signals.hotCount, 255);
    this.slurCount = <u8>min<u32>(signals.slurCount, 255);
    this.wordsLow = signals.wordsLow;
    this.wordsHigh = signals.wordsHigh;
    this.start = startHash(signals);
  }
}

export function startHash(signals: Signals): u64 {
  let hash: u64 = signals.startCount;
  const at = changetype<usize>(signals) + offsetof<Signals>("start0");
  for (let index: usize = 0; index < signals.startCount; index++) {
    hash = (rotl<u64>(hash, 17) ^ load<u64>(at + (index << 3))) * 0x9e3779b97f4a7c15;
  }
  return hash;
}

/** Reads the signals of the tokens. The start of a message is that of its first stretch. */
export function readSignals(at: usize, isFirst: bool): Signals {
  const signals = changetype<Signals>(at);
  const start = at + offsetof<Signals>("start0");
  if (isFirst) memory.fill(at, 0, offsetof<Signals>());
  else memory.fill(at, 0, offsetof<Signals>("start0"));
  const count = tokenCount();
  let acts: u32 = 0;
  let clear: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const token = tokenAt(index);
    const classes = token.classes;
    const isScoped = (token.scope & SCOPED) != 0;
    if (isFirst && index < START_TOKENS) {
      store<u64>(start + (<usize>signals.startCount << 3), token.shape);
      signals.startCount++;
      if ((classes & AGREEMENT) != 0) acts |= ACT_AGREES;
      if ((classes & DISSENT) != 0) acts |= ACT_DISSENTS;
    }
    if (token.kind == KIND_WORD) {
      signals.wordCount++;
      if (token.formBytes >= SHARED_LETTERS_MIN) {
        signals.wordsLow |= <u64>1 << (token.hash & 63);
        signals.wordsHigh |= <u64>1 << ((token.hash >> 8) & 63);
      }
    } else if (isMark(token, 0x3f)) acts |= ACT_ASKS;
    if ((token.scope & SCOPE_QUOTED) != 0) acts |= ACT_QUOTES;
    if (classes != 0) acts |= actsOf(classes, token.subject, isScoped, index, count);
    if ((classes & HOT) != 0 && !isScoped) signals.hotCount++;
    if ((classes & SLUR) != 0 && !isScoped) signals.slurCount++;
    if ((classes & (HOT | SLUR)) != 0 && (classes & UNCLEAR) == 0 && !isScoped) clear++;
    signals.foreign |= ((classes & FOREIGN_PROFANITY) != 0 ? 1 : 0) |
      ((classes & FOREIGN_SEXUAL) != 0 ? 2 : 0) | ((classes & FOREIGN_INSULT) != 0 ? 4 : 0);
  }
  signals.acts = acts;
  signals.clearCount = clear;
  signals.tokenCount = count;
  return signals;
}

function actsOf(classes: u64, subject: u8, isScoped: bool, index: u32, count: u32): u32 {
  let acts: u32 = 0;
  if ((classes & CARE) != 0) acts |= ACT_CARES;
  if ((classes & SECOND) != 0) acts |= ACT_YOU;
  if ((classes & FIRST) != 0) acts |= ACT_SELF;
  if ((classes & GROUP) != 0) acts |= ACT_GROUP;
  if ((classes & LAUGH) != 0) acts |= ACT_LAUGHS;
  if ((classes & REPROACH) != 0) acts |= ACT_REPROACH;
  if ((classes & REPORTER) != 0) acts |= ACT_REPORTS;
  if ((classes & THANKS) != 0) acts |= ACT_THANKS;
  if ((classes & CONTEMPT) != 0) acts |= ACT_CONTEMPT;
  if ((classes & GAME) != 0) acts |= ACT_PLAYS;
  if ((classes & ANIMAL) != 0) acts |= ACT_BEAST;
  if ((classes & (PRAISE | TRAIT_GOOD)) != 0) acts |= ACT_PRAISES;
  if ((classes & HOT) != 0) acts |= isScoped ? ACT_HOT_SCOPED : ACT_HOT;
  if ((classes & SLUR) != 0 && !isScoped) acts |= ACT_SLUR;
  if ((classes & (DISTRESS | SELF_HARM)) != 0 && subject == <u8>SUBJECT_SELF) acts |= ACT_DISTRESS;
  if ((classes & HARM) != 0) {
    const last = min(count, index + 5);
    for (let next = index + 1; next < last; next++) {
      const object = tokenAt(next).classes & (SECOND | THIRD | GROUP | PERSON | FAMILY);
      if (object != 0) acts |= ACT_HARM;
      if ((tokenAt(next).classes & FIRST) != 0) acts |= ACT_SUFFERS;
    }
  }
  return acts;
}
