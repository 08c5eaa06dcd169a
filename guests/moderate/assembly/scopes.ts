// How each word is meant: quoted, reported, denied, objected to, asked, and of whom it is said. A
// word in such a scope is another word to the classifier, which is how "nobody should call them X"
// and "they are X" become two things though their words are the same.
import {
  AMBIGUOUS, ANIMAL, BODY, CLAUSE, CONDITION, CONTEMPT, COPULA, EXCLUSION, FAMILY, FIRST,
  FOREIGN_INSULT, FUTURE, GROUP, HARMLESS, HATE_VERB, HOT, INFERIOR, INSULT, LOVE_VERB, NEGATOR,
  PERSON, PROFANITY, PROUD, QUANTIFIER, REPORTER, REPROACH, SECOND, SEXUAL, SLUR, TRAIT_BAD, THING,
  THIRD,
} from "./lexicon.gen";
import { tokenCount } from "./reading";
import {
  FLAG_LINE, FLAG_SPACED, KIND_MARK, SCOPE_CONDITIONAL, SCOPE_NEGATED, SCOPE_QUESTION,
  SCOPE_QUOTED,
  SCOPE_REPORTED, SCOPE_REPROACHED, SUBJECT_GROUP, SUBJECT_NONE, SUBJECT_SELF, SUBJECT_THING,
  SUBJECT_THIRD, SUBJECT_YOU, Token, tokenAt,
} from "./tokens";

/** The word's spelling is an insult's, and its neighbours say that it is none. */
export const SCOPE_HARMLESS: u32 = 64;

const NEGATION_TOKENS_MAX: u32 = 8;
const REPORT_TOKENS_MAX: u32 = 14;
const CONDITION_TOKENS_MAX: u32 = 12;
const SUBJECT_TOKENS_MAX: u32 = 7;
const QUOTE_TOKENS_MAX: u32 = 40;
const NEIGHBOURS: u32 = 4;
/** Classes that a word loses where it means something harmless. */
const ABUSE: u64 = HOT | SLUR | PROFANITY | INSULT | SEXUAL | TRAIT_BAD | GROUP | FOREIGN_INSULT;
/** Denials that are abuse themselves: "can't stand", "don't belong". */
const DENYING_ABUSE: u64 = HATE_VERB | EXCLUSION | CONTEMPT | INFERIOR;
/** Between "I" and a group, what says that the two are not one. */
const PARTING: u64 = HATE_VERB | EXCLUSION | REPORTER | NEGATOR | SECOND;
/** What stands before "like" where it is a verb. */
const BEFORE_VERB: u64 =
  FIRST | SECOND | THIRD | GROUP | FAMILY | NEGATOR | FUTURE | CLAUSE | QUANTIFIER;
const WORD_LIKE: u32 = 0x656b696c;
const TAG_QUOTED: u64 = 0x51a7c3d2e9b04f68;
const TAG_NEGATED: u64 = 0x2e19b7045cd3a86f;
const TAG_HARMLESS: u64 = 0x7d30f1528be649ca;
/** What all identity words are called. */
const SHAPE_GROUP: u64 = 0x3c7e61d59a02b8f4;

export function readScopes(): void {
  const count = tokenCount();
  if (count == 0) return;
  markQuotes(count);
  markQuestions(count);
  markComparisons(count);
  markScopes(count);
  for (let index: u32 = 0; index < count; index++) {
    const token = tokenAt(index);
    if ((token.classes & AMBIGUOUS) != 0 && isHarmless(index, count)) {
      token.classes &= ~ABUSE;
      token.scope |= <u8>SCOPE_HARMLESS;
    }
    token.shape = shapeOf(token);
  }
}

/** Of the scopes, what the word's name carries. */
@inline
export function tagOf(scope: u32): u64 {
  if ((scope & (SCOPE_QUOTED | SCOPE_REPORTED | SCOPE_REPROACHED)) != 0) return TAG_QUOTED;
  if ((scope & SCOPE_NEGATED) != 0) return TAG_NEGATED;
  return (scope & SCOPE_HARMLESS) != 0 ? TAG_HARMLESS : 0;
}

@inline
function shapeOf(token: Token): u64 {
  const isGroup = (token.classes & (GROUP | SLUR)) == GROUP;
  return (isGroup ? SHAPE_GROUP : token.hash) ^ tagOf(token.scope);
}

@inline
export function isMark(token: Token, sign: u32): bool {
  return token.kind == KIND_MARK && token.formBytes == 1 && load<u8>(token.formAt) == <u8>sign;
}

/** A mark that ends a sentence. */
@inline
export function isStop(token: Token): bool {
  if (token.kind != KIND_MARK || token.formBytes != 1) return false;
  const sign: u32 = load<u8>(token.formAt);
  return sign == 0x2e || sign == 0x21 || sign == 0x3f || sign == 0x3b;
}

function markQuotes(count: u32): void {
  for (let index: u32 = 0; index < count; index++) {
    const token = tokenAt(index);
    if (token.kind != KIND_MARK) continue;
    if (isMark(token, 0x22)) index = markQuote(index, count, 0x22);
    else if (isMark(token, 0x27) && (token.flags & FLAG_SPACED) != 0) {
      index = markQuote(index, count, 0x27);
    } else if (isMark(token, 0x3e) && (token.flags & FLAG_LINE) != 0) {
      while (index + 1 < count && (tokenAt(index + 1).flags & FLAG_LINE) == 0) {
        index++;
        tokenAt(index).scope |= <u8>SCOPE_QUOTED;
      }
    }
  }
}

/** Marks what stands until the same sign comes again; returns where that is, or the start. */
function markQuote(from: u32, count: u32, sign: u32): u32 {
  const limit = min(count, from + QUOTE_TOKENS_MAX);
  for (let index = from + 2; index < limit; index++) {
    if (!isMark(tokenAt(index), sign)) continue;
    // A closing single mark stands close behind its word, and before no letter.
    if (sign == 0x27 && (tokenAt(index).flags & FLAG_SPACED) != 0) continue;
    for (let inner = from + 1; inner < index; inner++) tokenAt(inner).scope |= <u8>SCOPE_QUOTED;
    return index;
  }
  return from;
}

/** "They like rats" loves them, "they are like rats" says what they are: that one is a copula. */
function markComparisons(count: u32): void {
  for (let index: u32 = 1; index < count; index++) {
    const token = tokenAt(index);
    if ((token.classes & LOVE_VERB) == 0 || token.formBytes != 4) continue;
    if (load<u32>(token.formAt) != WORD_LIKE) continue;
    const before = tokenAt(index - 1);
    const isVerb = (before.classes & COPULA) == 0 &&
      ((before.classes & BEFORE_VERB) != 0 || isParticle(before));
    if (!isVerb) token.classes = (token.classes & ~LOVE_VERB) | COPULA;
  }
}

/** To, also, really. */
function isParticle(token: Token): bool {
  const bytes: u32 = token.formBytes;
  const word = load<u32>(token.formAt);
  return bytes == 2 ? (word & 0xffff) == 0x6f74 : bytes == 4 ? word == 0x6f736c61
    : bytes == 6 && word == 0x6c616572;
}

function markQuestions(count: u32): void {
  let isQuestion = false;
  for (let index = count; index > 0; index--) {
    const token = tokenAt(index - 1);
    if (isStop(token)) isQuestion = isMark(token, 0x3f);
    if (isQuestion) token.scope |= <u8>SCOPE_QUESTION;
    if ((token.flags & FLAG_LINE) != 0) isQuestion = false;
  }
}

/** One pass; each scope is the index of the first token behind it. Hot. */
function markScopes(count: u32): void {
  let negatedUntil: u32 = 0;
  let reportedUntil: u32 = 0;
  let reproachedUntil: u32 = 0;
  let conditionUntil: u32 = 0;
  let subjectUntil: u32 = 0;
  let reproachAt: u32 = 0;
  let negatedAt: u32 = 0;
  let subject = SUBJECT_NONE;
  for (let index: u32 = 0; index < count; index++) {
    const token = tokenAt(index);
    const classes = token.classes;
    if (isStop(token) || (token.flags & FLAG_LINE) != 0) {
      negatedUntil = 0;
      reportedUntil = 0;
      reproachedUntil = 0;
      conditionUntil = 0;
      subjectUntil = 0;
      reproachAt = 0;
    } else if (token.kind == KIND_MARK) {
      if (isMark(token, 0x2c) || isMark(token, 0x3a)) negatedUntil = 0;
      if (isMark(token, 0x2c)) conditionUntil = 0;
      // What was said ends with its quotation.
      const isQuoteEnd = index > 0 && (tokenAt(index - 1).scope & SCOPE_QUOTED) != 0;
      if (isQuoteEnd && isMark(token, 0x22) && (token.scope & SCOPE_QUOTED) == 0) reportedUntil = 0;
    } else if ((classes & CLAUSE) != 0) negatedUntil = 0;
    const isOwned = isOwnerOfThing(token, index, count);
    const named = isOwned ? SUBJECT_THING : subjectOf(token, index);
    if (named != SUBJECT_NONE && (isOwned || named != SUBJECT_THING || index >= subjectUntil)) {
      subject = named;
      subjectUntil = index + SUBJECT_TOKENS_MAX;
    }
    let scope = <u32>token.scope;
    if (index < negatedUntil) scope |= SCOPE_NEGATED;
    if (index < reportedUntil) scope |= SCOPE_REPORTED;
    if (index < reproachedUntil) scope |= SCOPE_REPROACHED;
    if (index < conditionUntil) scope |= SCOPE_CONDITIONAL;
    token.scope = <u8>scope;
    token.subject = <u8>(index < subjectUntil ? subject : SUBJECT_NONE);
    if (classes == 0) continue;
    if ((classes & REPROACH) != 0) reproachAt = index + 1;
    if ((classes & REPORTER) != 0) {
      const isOwn = subject == SUBJECT_SELF && index < subjectUntil;
      if (!isOwn) reportedUntil = index + 1 + REPORT_TOKENS_MAX;
      if (reproachAt != 0 && index + 1 - reproachAt < 6) reproachedUntil = count;
    }
    if ((classes & CONDITION) != 0) conditionUntil = index + 1 + CONDITION_TOKENS_MAX;
    if ((classes & NEGATOR) != 0 && (classes & DENYING_ABUSE) == 0) {
      // "You can't not hate them": the second takes the first back.
      const isDouble = index < negatedUntil && index > negatedAt && index - negatedAt < 3;
      negatedUntil = isDouble ? 0 : index + 1 + NEGATION_TOKENS_MAX;
      negatedAt = index;
    }
  }
}

/** "Your code", "my phone": what is said next is said of the thing. */
@inline
function isOwnerOfThing(token: Token, index: u32, count: u32): bool {
  if ((token.classes & (FIRST | SECOND | THIRD)) == 0 || index + 1 >= count) return false;
  const next = tokenAt(index + 1).classes;
  return (next & THING) != 0 && (next & (PERSON | FAMILY | BODY | GROUP | ANIMAL)) == 0 &&
    isOwner(token);
}

/** My, your, his, her, their, our. */
export function isOwner(token: Token): bool {
  const last: u32 = load<u8>(token.formAt + token.formBytes - 1);
  return token.formBytes < 6 && (last == 0x72 || last == 0x79 || last == 0x73);
}

@inline
function subjectOf(token: Token, index: u32): u32 {
  const classes = token.classes;
  if ((classes & SECOND) != 0) return SUBJECT_YOU;
  if ((classes & FIRST) != 0) return SUBJECT_SELF;
  if ((classes & GROUP) != 0) return isOwnGroup(index) ? SUBJECT_SELF : SUBJECT_GROUP;
  if ((classes & (THIRD | PERSON | FAMILY)) != 0) return SUBJECT_THIRD;
  return (classes & THING) != 0 ? SUBJECT_THING : SUBJECT_NONE;
}

/** "I am a proud X", "as an X, I", "my X friends", "we X": the speaker is of the group. */
function isOwnGroup(index: u32): bool {
  const first = index > 4 ? index - 4 : 0;
  let between: u64 = 0;
  for (let before = index; before > first; before--) {
    const token = tokenAt(before - 1);
    const classes = token.classes;
    if (isStop(token) || (classes & PARTING) != 0) return false;
    if ((classes & FIRST) != 0) {
      // "I'm", "I am", "proud"; or my, our, we right before it.
      return ((between | classes) & (COPULA | PROUD)) != 0 ||
        (token.formBytes == 2 && index - before < 2 && load<u8>(token.formAt) != 0x69);
    }
    between |= classes;
    const isAs = token.formBytes == 2 && load<u16>(token.formAt) == 0x7361;
    if (isAs && index - before < 3) return true;
  }
  return false;
}

function isHarmless(index: u32, count: u32): bool {
  const first = index > NEIGHBOURS ? index - NEIGHBOURS : 0;
  const last = min(count, index + NEIGHBOURS + 1);
  for (let near = first; near < last; near++) {
    const classes = tokenAt(near).classes;
    if (near != index && (classes & HARMLESS) != 0 && (classes & AMBIGUOUS) == 0) return true;
  }
  return false;
}
