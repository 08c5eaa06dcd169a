// What the classifier sees of a message, as hashed features. Three groups, each summed by itself:
//
//   words      one, two in a row, two with one between; each word with its subject ("you:stupid")
//   letters    3 to 5 in a row inside words of 4 and more, with the scope of the word
//   structure  the sequence of the words' classes (GROUP COPULA TRAIT_BAD, FUTURE HARM SECOND),
//              which knows words that no training text had; class with scope, object, subject
//
// A word in a scope is another word (scopes.ts), and all identity words are one word.
import {
  AGREEMENT, AMBIGUOUS, BODY, CONTEMPT, COPULA, CRIME, DEHUMANIZING, DISEASE, EXCLUSION, FAMILY,
  FIRST, FUTURE, GAME, GROUP, HARM, HATE_VERB, HOT, INFERIOR, INSULT, LOVE_VERB, MIGRANT, NEGATOR,
  OBLIGATION, PERSON, PRAISE, PROFANITY, PROUD, QUANTIFIER, REFLEXIVE, RIGHTS, SECOND, SELF_HARM,
  SEXUAL, SLUR, TELLING, THING, THIRD, TRAIT_BAD, TRAIT_GOOD, VEILED, WEAPON, WISH,
} from "./lexicon.gen";
import { GROUP_LETTERS, GROUP_STRUCTURE, GROUP_WORDS } from "./model";
import { tokenCount } from "./reading";
import { isOwner, isStop, SCOPE_HARMLESS, tagOf } from "./scopes";
import { drain, emit } from "./sums";
import {
  FLAG_DISGUISED, FLAG_LINE, FLAG_PHRASE, FLAG_SHOUTED, FLAG_TAG, KIND_EMOJI, KIND_MARK, KIND_WORD,
  SCOPE_CONDITIONAL, SCOPE_NEGATED, SCOPE_QUESTION, SCOPE_QUOTED, SCOPE_REPORTED, SCOPE_REPROACHED,
  SUBJECT_NONE, Token, tokenAt,
} from "./tokens";

const STEP: u64 = 0x9e3779b97f4a7c15;
const EDGE: u64 = 0x6a09e667f3bcc908;
const SALT_PAIR: u64 = 0xbb67ae8584caa73b;
const SALT_SKIP: u64 = 0x3c6ef372fe94f82b;
const SALT_SUBJECT: u64 = 0xa54ff53a5f1d36f1;
const SALT_LETTERS: u64 = 0x510e527fade682d1;
const SALT_CUE: u64 = 0x9b05688c2b3e6c1f;
const SALT_CLASS: u64 = 0x1f83d9abfb41bd6b;
const SALT_EMOJI: u64 = 0x5be0cd19137e2179;
const SALT_RAW: u64 = 0xcbbb9d5dc1059ed8;

const LETTERS_OF_FORM_MAX: u32 = 24;
/** The word itself says what is to say of a shorter one. */
const LETTERS_OF_FORM_MIN: u32 = 4;
/** Emoji are paired with every word of a message of at most so many tokens. */
const EMOJI_TOKENS_MAX: u32 = 24;
const EMOJI_MAX: u32 = 6;

/** What a message can be about whom. */
const CONTENT: u64 = SLUR | SELF_HARM | HARM | VEILED | EXCLUSION | CONTEMPT | HATE_VERB |
  INFERIOR | CRIME | DEHUMANIZING | DISEASE | INSULT | SEXUAL | PROFANITY | TRAIT_BAD |
  LOVE_VERB | TRAIT_GOOD |
  RIGHTS | PRAISE | WEAPON;
const TARGETS: u64 = SECOND | FIRST | THIRD | GROUP | PERSON | FAMILY | THING | GAME | REFLEXIVE;

/** Names of conjunctions; the numbers are part of the model. */
const CUE_OBJECT: u64 = 1;
const CUE_OBJECT_MODAL: u64 = 2;
const CUE_OBJECT_SCOPE: u64 = 3;
const CUE_PREDICATE: u64 = 4;
const CUE_HOT: u64 = 5;
const CUE_HOT_NEXT: u64 = 6;
const CUE_HOT_COUNT: u64 = 7;
const CUE_COMPANY: u64 = 8;
const CUE_SENTENCE: u64 = 9;
const CUE_DISGUISE: u64 = 10;
const CUE_SHOUT: u64 = 11;
const CUE_LENGTH: u64 = 12;
const CUE_AMBIGUOUS: u64 = 13;
const CUE_MESSAGE: u64 = 14;
const CUE_FIRST: u64 = 15;
const CUE_SUBJECT: u64 = 16;
const CUE_MIGRANT: u64 = 17;

/** Features of the tokens, summed as they come. */
export function messageFeatures(): void {
  const count = tokenCount();
  words(count);
  drain(GROUP_WORDS);
  letters(count);
  drain(GROUP_LETTERS);
  classSequence(count);
  for (let index: u32 = 0; index < count; index++) conjunctions(index, count);
  sentences(count);
  whole(count);
  emojis(count);
  drain(GROUP_STRUCTURE);
}

@inline
export function mix(left: u64, right: u64): u64 {
  const product = (rotl<u64>(left, 23) ^ right) * STEP;
  return (product ^ (product >> 32)) * SALT_PAIR;
}

@inline
function cue(name: u64, one: u64, other: u64 = 0): void {
  emit(mix(SALT_CUE + name, (one << 32) | other), GROUP_STRUCTURE);
}

function words(count: u32): void {
  let before: u64 = EDGE;
  let beforeThat: u64 = EDGE;
  for (let index: u32 = 0; index < count; index++) {
    const token = tokenAt(index);
    const shape = token.shape;
    emit(shape * STEP, GROUP_WORDS);
    emit(mix(before ^ SALT_PAIR, shape), GROUP_WORDS);
    if (index > 1) emit(mix(beforeThat ^ SALT_SKIP, shape), GROUP_WORDS);
    if (token.subject != <u8>SUBJECT_NONE && token.kind != KIND_MARK) {
      emit(mix(SALT_SUBJECT + token.subject, shape), GROUP_WORDS);
    }
    if (token.raw != 0) emit(mix(SALT_RAW, token.raw), GROUP_WORDS);
    beforeThat = before;
    before = shape;
  }
  if (count > 0) emit(mix(before ^ SALT_PAIR, EDGE), GROUP_WORDS);
}

/** Every form stands between underscores, and 7 bytes behind it may be read. Hot. */
function letters(count: u32): void {
  for (let index: u32 = 0; index < count; index++) {
    const token = tokenAt(index);
    if (token.kind != KIND_WORD || (token.classes & (GROUP | SLUR)) == GROUP) continue;
    if (token.formBytes < LETTERS_OF_FORM_MIN) continue;
    const tag = SALT_LETTERS ^ tagOf(token.scope);
    const bytes = min<u32>(token.formBytes, LETTERS_OF_FORM_MAX);
    let p = <usize>token.formAt - 1;
    const end = <usize>token.formAt + bytes + 1;
    for (; p + 2 < end; p++) {
      const left = <u32>(end - p);
      const eight = load<u64>(p);
      emitLetters(eight & 0xffffff, tag);
      if (left > 3) emitLetters(eight & 0xffffffff, tag);
      if (left > 4) emitLetters(eight & 0xffffffffff, tag);
    }
  }
}

@inline
function emitLetters(value: u64, tag: u64): void {
  const product = (value ^ tag) * STEP;
  emit((product ^ (product >> 29)) * SALT_PAIR, GROUP_LETTERS);
}

/** The most telling class of a token, with whether it is denied or reported. */
@inline
function classNumber(token: Token): u64 {
  const scope: u32 = token.scope;
  const state: u64 = (scope & (SCOPE_QUOTED | SCOPE_REPORTED | SCOPE_REPROACHED)) != 0
    ? 64
    : (scope & SCOPE_NEGATED) != 0 ? 128 : 0;
  return <u64>ctz(token.classes & TELLING) | state;
}

/** Classes in a row: words without any are stepped over, sentences are not. */
function classSequence(count: u32): void {
  let one: u64 = 255;
  let two: u64 = 255;
  for (let index: u32 = 0; index < count; index++) {
    const token = tokenAt(index);
    if (isStop(token) || (token.flags & FLAG_LINE) != 0) {
      if (one != 255) emit(mix(SALT_CLASS, (one << 8) | 254), GROUP_STRUCTURE);
      one = 255;
      two = 255;
    }
    const classes = token.classes & TELLING;
    if (classes == 0) continue;
    const number = classNumber(token);
    if (number == one && (token.flags & FLAG_PHRASE) != 0) continue;
    emit(mix(SALT_CLASS + 1, (number << 8) | token.subject), GROUP_STRUCTURE);
    const rest = classes & (classes - 1);
    if (rest != 0) emit(mix(SALT_CLASS + 2, <u64>ctz(rest) | (number & 192)), GROUP_STRUCTURE);
    emit(mix(SALT_CLASS, (one << 8) | number), GROUP_STRUCTURE);
    emit(mix(SALT_CLASS + 3, (two << 16) | (one << 8) | number), GROUP_STRUCTURE);
    emit(mix(SALT_CLASS + 4, (two << 8) | number), GROUP_STRUCTURE);
    // The class before with the word itself, and the word before with the class.
    if (one != 255) emit(mix(SALT_CLASS + 5 + one, token.shape), GROUP_STRUCTURE);
    two = one;
    one = number;
  }
}

/** 0 none, else who stands among the next tokens, the nearest. */
function objectOf(index: u32, count: u32): u64 {
  const last = min(count, index + 5);
  for (let next = index + 1; next < last; next++) {
    const token = tokenAt(next);
    if (isStop(token)) return 0;
    const target = token.classes & TARGETS;
    if (target == 0) continue;
    // "my sister", "your printer": who owns it is not the object.
    if (next + 1 < count && (target & (FIRST | SECOND | THIRD)) != 0) {
      const owned = tokenAt(next + 1).classes & (GROUP | FAMILY | PERSON | THING | GAME | BODY);
      if (owned != 0 && isOwner(token)) return (ctz(owned) << 8) | ctz(target);
    }
    return ctz(target) + 1;
  }
  return 0;
}

function modalityOf(index: u32): u64 {
  const first = index > 5 ? index - 5 : 0;
  let found: u64 = 0;
  for (let before = index; before > first; before--) {
    const token = tokenAt(before - 1);
    if (isStop(token)) break;
    found |= token.classes & (OBLIGATION | WISH | FUTURE | NEGATOR);
  }
  if ((found & NEGATOR) != 0) return 4;
  if ((found & OBLIGATION) != 0) return 1;
  return (found & WISH) != 0 ? 2 : (found & FUTURE) != 0 ? 3 : index == first ? 5 : 0;
}

/** Quoted, reported, denied, objected to, conditional, asked. */
@inline
function stateOf(token: Token): u64 {
  const scope: u32 = token.scope;
  if ((scope & SCOPE_QUOTED) != 0) return 1;
  if ((scope & SCOPE_REPROACHED) != 0) return 2;
  if ((scope & SCOPE_REPORTED) != 0) return 3;
  if ((scope & SCOPE_NEGATED) != 0) return 4;
  if ((scope & SCOPE_CONDITIONAL) != 0) return 5;
  return (scope & SCOPE_QUESTION) != 0 ? 6 : 0;
}

/** What a word of content is said of or done to. */
function conjunctions(index: u32, count: u32): void {
  const token = tokenAt(index);
  const classes = token.classes;
  if ((classes & (CONTENT | HOT | AMBIGUOUS | COPULA | MIGRANT)) == 0) return;
  const state = stateOf(token);
  let content = classes & CONTENT;
  if (content != 0 && (token.flags & FLAG_PHRASE) == 0) {
    const object = objectOf(index, count);
    const modality = modalityOf(index);
    for (; content != 0; content &= content - 1) {
      const name = <u64>ctz(content);
      cue(CUE_OBJECT, name, object);
      cue(CUE_OBJECT_MODAL, name | (modality << 8), object);
      cue(CUE_OBJECT_SCOPE, name | (state << 8), object);
      cue(CUE_SUBJECT, name | (state << 8), token.subject);
    }
  }
  if ((classes & COPULA) != 0) predicates(index, count);
  if ((classes & MIGRANT) != 0) cue(CUE_MIGRANT, state);
  if ((classes & AMBIGUOUS) != 0) cue(CUE_AMBIGUOUS, (token.scope & SCOPE_HARMLESS) != 0 ? 1 : 0);
  if ((classes & HOT) == 0) return;
  cue(CUE_HOT, state);
  cue(CUE_HOT, state | 16, token.subject);
  cue(CUE_HOT, 32, token.subject);
  if (index + 1 < count) {
    const next = tokenAt(index + 1).classes & (TARGETS | HOT);
    if (next != 0) cue(CUE_HOT_NEXT, ctz(next), state);
  }
}

/** "<group> are <class>": who, what, whether denied. */
function predicates(index: u32, count: u32): void {
  let who: u64 = 0;
  const first = index > 4 ? index - 4 : 0;
  for (let before = index; before > first && who == 0; before--) {
    const target = tokenAt(before - 1).classes & TARGETS;
    if (target != 0) who = ctz(target) + 1;
  }
  const own = tokenAt(index).classes & TARGETS;
  if (own != 0) who = ctz(own) + 1;
  const last = min(count, index + 6);
  let isDenied: u64 = 0;
  for (let next = index + 1; next < last; next++) {
    const token = tokenAt(next);
    if (isStop(token)) break;
    if ((token.classes & NEGATOR) != 0) isDenied = 1;
    const what = token.classes & (CONTENT | GROUP);
    if (what == 0) continue;
    cue(CUE_PREDICATE, who | (ctz(what) << 8), isDenied);
    cue(CUE_PREDICATE, who | (ctz(what) << 8) | 65536, stateOf(token));
    break;
  }
}

/** Which content keeps company with whom in one sentence. */
function sentences(count: u32): void {
  let content: u64 = 0;
  let scoped: u64 = 0;
  let targets: u64 = 0;
  let modal: u64 = 0;
  for (let index: u32 = 0; index <= count; index++) {
    const isEnd = index == count || isStop(tokenAt(index)) ||
      (tokenAt(index).flags & FLAG_LINE) != 0;
    if (isEnd) {
      company(content & ~scoped, targets, 0);
      company(scoped, targets, 1);
      if (content != 0) cue(CUE_SENTENCE, modal, (targets & (SECOND | GROUP | THIRD | FIRST)));
      content = 0;
      scoped = 0;
      targets = 0;
      modal = 0;
    }
    if (index == count) return;
    const token = tokenAt(index);
    const classes = token.classes;
    content |= classes & CONTENT;
    if (tagOf(token.scope) != 0) scoped |= classes & CONTENT;
    targets |= classes & TARGETS;
    modal |= classes & (OBLIGATION | WISH | NEGATOR | QUANTIFIER);
  }
}

function company(content: u64, targets: u64, state: u64): void {
  for (; content != 0; content &= content - 1) {
    const name = <u64>ctz(content) | (state << 8);
    if (targets == 0) cue(CUE_COMPANY, name, 255);
    for (let left = targets; left != 0; left &= left - 1) cue(CUE_COMPANY, name, ctz(left));
  }
}

/** Of the whole message. */
function whole(count: u32): void {
  let all: u64 = 0;
  let hot: u32 = 0;
  let bare: u32 = 0;
  let disguised: u32 = 0;
  let shouted: u32 = 0;
  let tags: u32 = 0;
  for (let index: u32 = 0; index < count; index++) {
    const token = tokenAt(index);
    all |= token.classes;
    if ((token.classes & HOT) != 0) {
      hot++;
      if (tagOf(token.scope) == 0) bare++;
    }
    if ((token.flags & FLAG_DISGUISED) != 0) disguised++;
    if ((token.flags & FLAG_SHOUTED) != 0) shouted++;
    if ((token.flags & FLAG_TAG) != 0) tags++;
  }
  cue(CUE_HOT_COUNT, min(hot, 3), min(bare, 3));
  cue(CUE_HOT_COUNT, 8 | min(bare, 3), all & (SECOND | GROUP));
  const whom = all & (SECOND | GROUP | FIRST | THIRD);
  cue(CUE_MESSAGE, hot != 0 ? 1 : 0, whom);
  cue(CUE_MESSAGE, 2 | (bare != 0 ? 1 : 0), all & (SECOND | FIRST));
  if ((all & PROUD) != 0) cue(CUE_MESSAGE, 4, all & (GROUP | SLUR | FIRST));
  if (count > 0) cue(CUE_FIRST, ctz((tokenAt(0).classes & TELLING) | HOT), bare != 0 ? 1 : 0);
  if (hot != 0 && count <= 4) cue(CUE_MESSAGE, 8, 0);
  if (disguised != 0) cue(CUE_DISGUISE, hot != 0 ? 1 : 0, min(disguised, 2));
  if (shouted != 0) cue(CUE_SHOUT, shouted > 3 ? 1 : 0, hot != 0 ? 1 : 0);
  if (tags != 0) cue(CUE_SHOUT, 2, hot != 0 ? 1 : 0);
  if ((all & AGREEMENT) != 0 && count < 6) cue(CUE_LENGTH, 32);
  cue(CUE_LENGTH, 31 - clz(count + 1));
}

/** An emoji may be the act, the target or the mood: it is paired with what stands around it. */
function emojis(count: u32): void {
  let all: u64 = 0;
  for (let index: u32 = 0; index < count; index++) all |= tokenAt(index).classes;
  let seen: u32 = 0;
  for (let index: u32 = 0; index < count && seen < EMOJI_MAX; index++) {
    const token = tokenAt(index);
    // A tone, of six letters in brackets, goes with every picture.
    if (token.kind != KIND_EMOJI || load<u8>(token.formAt) == 0x3c) continue;
    seen++;
    const form = token.hash;
    emit(mix(SALT_EMOJI, form), GROUP_STRUCTURE);
    emit(mix(SALT_EMOJI + 1 + (all & (SECOND | GROUP | HOT)), form), GROUP_STRUCTURE);
    if (count > EMOJI_TOKENS_MAX) continue;
    for (let other: u32 = 0; other < count; other++) {
      if (other == index) continue;
      emit(mix(form ^ SALT_EMOJI, tokenAt(other).shape), GROUP_STRUCTURE);
      const classes = tokenAt(other).classes & TELLING;
      if (classes != 0) emit(mix(form + SALT_EMOJI, ctz(classes)), GROUP_STRUCTURE);
    }
  }
}
