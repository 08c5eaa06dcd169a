// Whether all that sounds like abuse in the tokens at hand is plainly none: denied ("you are not
// stupid"), said by the speakers of themselves ("what an idiot I was"), said of a thing ("your code
// is stupid"), or told as somebody else's words ("he said you are an idiot").
//
// The corpora have such words nearly always as abuse, and no frame of ours outweighs their letters
// for every word. So the frame is a prior: score.ts lowers the lanes of toxicity and insult by it,
// and that of profanity where no word is profane. One word that no frame excuses, or anything else
// that harms, and there is no excuse. Parts of a message are read alone (segments.ts): what denies
// one clause excuses no other. Cost: one look at each token, a few more at an abusive one.
import {
  AGREEMENT, ANIMAL, BODY, CONTEMPT, COPULA, CRIME, DEHUMANIZING, DISMISSAL, EXCLUSION, FAMILY,
  GROUP, HARM, HATE_VERB, HOT, INFERIOR, INSULT, NEGATOR, PERSON, PROFANITY, REPORTER, SECOND,
  SELF_HARM, SEXUAL, SLUR, THING, THIRD, TRAIT_BAD, VEILED, WISH,
} from "./lexicon.gen";
import { tokenCount } from "./reading";
import { isOwner, SCOPE_HARMLESS } from "./scopes";
import {
  KIND_MARK, SCOPE_CONDITIONAL, SCOPE_QUESTION, SCOPE_REPORTED, Token, tokenAt,
} from "./tokens";

export const EXCUSE_NONE: u32 = 0;
/** Somebody else is said to have said it. */
export const EXCUSE_REPORTED: u32 = 1;
export const EXCUSE_PLAIN: u32 = 2;
/** A word of the message is profane, whatever it is said of. */
export const EXCUSE_PROFANE: u32 = 4;

const BLAME: u64 = HOT | TRAIT_BAD;
const VOID: u64 = SLUR | SELF_HARM | HARM | VEILED | EXCLUSION | CONTEMPT | HATE_VERB | INFERIOR |
  DEHUMANIZING | SEXUAL | CRIME | DISMISSAL | WISH;
const PEOPLE: u64 = GROUP | PERSON | FAMILY;
const TOKENS_MAX: u32 = 64;
const FILLERS_MAX: u32 = 4;
const REPORT_TOKENS_MAX: u32 = 10;

/** EXCUSE_NONE, or how all of the abusive words are excused. */
export function excuseOf(): u32 {
  const count = tokenCount();
  if (count > TOKENS_MAX) return EXCUSE_NONE;
  let excuse = EXCUSE_NONE;
  for (let index: u32 = 0; index < count; index++) {
    const token = tokenAt(index);
    const isPet = (token.classes & ANIMAL) != 0 && index > 0 && isMine(tokenAt(index - 1));
    if ((token.classes & VOID) != 0 && !isRemarkOnly(token) && !isPet) return EXCUSE_NONE;
    if ((token.classes & SECOND) != 0 && index > 0 && isLikening(tokenAt(index - 1))) {
      return EXCUSE_NONE;
    }
    if ((token.classes & BLAME) == 0) {
      // Its neighbours say that it is no abuse: "my cat is a bitch to feed".
      const isCleared = (token.scope & SCOPE_HARMLESS) != 0;
      if (isCleared && isOfThing(index, count)) excuse |= EXCUSE_PLAIN;
      continue;
    }
    if ((token.classes & PROFANITY) != 0) excuse |= EXCUSE_PROFANE;
    if (isDenied(index, count) || isOfSelf(index, count) || isOfThing(index, count)) {
      excuse |= EXCUSE_PLAIN;
    } else if (isToldOfAnother(index, count)) excuse |= EXCUSE_REPORTED;
    else return EXCUSE_NONE;
  }
  return excuse;
}

/** The letters of a word of at most eight. */
@inline
function spelling(token: Token): u64 {
  const bytes: u32 = token.formBytes;
  if (token.kind == KIND_MARK || bytes == 0 || bytes > 8) return 0;
  return load<u64>(token.formAt) & (<u64>-1 >> (64 - (bytes << 3)));
}

/** An abusive noun that may be the name of an animal, too, is judged as what it is said of. */
@inline
function isRemarkOnly(token: Token): bool {
  return (token.classes & BLAME) != 0 && (token.classes & SLUR) == 0 &&
    (token.classes & VOID & ~SEXUAL) == 0;
}

/** A, an, so, such, that, really, very. */
function isFiller(token: Token): bool {
  const word = spelling(token);
  return word == 0x61 || word == 0x6e61 || word == 0x6f73 || word == 0x68637573 ||
    word == 0x74616874 || word == 0x796c6c616572 || word == 0x79726576;
}

/** Index of the first token before `index` that is no filler; `index` itself at the start. */
function behindFillers(index: u32): u32 {
  let at = index;
  for (let steps: u32 = 0; steps < FILLERS_MAX && at > 0; steps++) {
    at--;
    const token = tokenAt(at);
    const isSwearing = (token.classes & (PROFANITY | INSULT)) == PROFANITY;
    if (!isFiller(token) && !isSwearing) return at;
  }
  return index;
}

/** Like, unlike, as, than. */
function isLikening(token: Token): bool {
  const word = spelling(token);
  return word == 0x656b696c || word == 0x656b696c6e75 || word == 0x7361 || word == 0x6e616874;
}

/** How, why: "how are you not dumb". */
function isWondering(token: Token): bool {
  const word = spelling(token);
  return word == 0x776f68 || word == 0x796877;
}

/** Not, never, ain't, aint, or a verb of being with its "n't". */
function isPlainDenial(token: Token): bool {
  if ((token.classes & NEGATOR) == 0) return false;
  const word = spelling(token);
  return word == 0x746f6e || word == 0x726576656e || word == 0x74276e6961 || word == 0x746e6961 ||
    (token.classes & COPULA) != 0;
}

function isDenied(index: u32, count: u32): bool {
  const token = tokenAt(index);
  if (((<u32>token.scope) & (SCOPE_QUESTION | SCOPE_CONDITIONAL)) != 0) return false;
  const at = behindFillers(index);
  if (at == index || !isPlainDenial(tokenAt(at))) return false;
  let isOfSpeaker = false;
  for (let before: u32 = 0; before < at; before++) {
    const other = tokenAt(before);
    // Denied twice, or only said to be denied.
    if ((other.classes & (NEGATOR | REPORTER)) != 0 || isWondering(other)) return false;
    if (isSpeaker(other)) isOfSpeaker = true;
  }
  // "I am not stupid, you are".
  return !isOfSpeaker || !has(SECOND, 0, count);
}

/** I, im, i'm. */
function isSpeaker(token: Token): bool {
  const word = spelling(token);
  return word == 0x69 || word == 0x6d69 || word == 0x6d2769;
}

/** "I was such an idiot", "what an idiot I was". */
function isOfSelf(index: u32, count: u32): bool {
  const at = behindFillers(index);
  if (at != index) {
    const before = tokenAt(at);
    if (isSpeaker(before)) return (before.classes & COPULA) != 0;
    if (at > 0 && (before.classes & COPULA) != 0 && (before.classes & NEGATOR) == 0) {
      if (spelling(tokenAt(at - 1)) == 0x69) return true;
    }
  }
  if (index + 2 >= count || index == 0 || spelling(tokenAt(index + 1)) != 0x69) return false;
  const verb = tokenAt(index + 2);
  if ((verb.classes & COPULA) == 0 || (verb.classes & NEGATOR) != 0) return false;
  return isFiller(tokenAt(index - 1)) || isWondering(tokenAt(index - 1));
}

/** "Your code is stupid", "it is dumb", "this stupid printer"; of an animal, if it is one's own. */
function isOfThing(index: u32, count: u32): bool {
  const token = tokenAt(index);
  if (index + 1 < count && (token.classes & INSULT) == 0 && isThing(tokenAt(index + 1))) {
    return !has(SECOND | THIRD | PEOPLE, 0, count);
  }
  if (has(SECOND | GROUP, index + 1, count)) return false;
  const verb = behindFillers(index);
  if (verb == index || (tokenAt(verb).classes & COPULA) == 0) return false;
  const bare = (token.classes & (INSULT | BODY)) == 0;
  if (isPronounOfThing(tokenAt(verb))) return bare;
  if (verb == 0) return false;
  const subject = tokenAt(verb - 1);
  if (isPronounOfThing(subject)) return bare && !has(SECOND | PEOPLE, 0, verb);
  const isPet = (subject.classes & ANIMAL) != 0 && verb > 1 && isMine(tokenAt(verb - 2));
  if (!isPet && !isThing(subject)) return false;
  for (let before: u32 = 0; before + 1 < verb; before++) {
    const other = tokenAt(before);
    if ((other.classes & PEOPLE) != 0) return false;
    // "You and your code are stupid".
    if ((other.classes & SECOND) != 0 && (before + 2 != verb || !isOwner(other))) return false;
  }
  return true;
}

@inline
function isThing(token: Token): bool {
  return (token.classes & THING) != 0 && !isPronounOfThing(token) &&
    (token.classes & (PEOPLE | BODY | ANIMAL | SECOND | HOT)) == 0;
}

/** It, this, that, it's, its, that's, thats. */
function isPronounOfThing(token: Token): bool {
  const word = spelling(token);
  return word == 0x7469 || word == 0x73696874 || word == 0x74616874 || word == 0x73277469 ||
    word == 0x737469 || word == 0x732774616874 || word == 0x7374616874;
}

/** My, our. */
@inline
function isMine(token: Token): bool {
  const word = spelling(token);
  return word == 0x796d || word == 0x72756f;
}

/** "He said you are an idiot", unless somebody agrees. */
function isToldOfAnother(index: u32, count: u32): bool {
  if (((<u32>tokenAt(index).scope) & SCOPE_REPORTED) == 0) return false;
  if (has(AGREEMENT, 0, count)) return false;
  const first = index > REPORT_TOKENS_MAX ? index - REPORT_TOKENS_MAX : 0;
  for (let at = index; at > first + 1; at--) {
    const verb = spelling(tokenAt(at - 1));
    // Said, called, told, wrote.
    const isPast = verb == 0x64696173 || verb == 0x64656c6c6163 || verb == 0x646c6f74 ||
      verb == 0x65746f7277;
    if (isPast) return (tokenAt(at - 2).classes & (THIRD | PERSON | FAMILY)) != 0;
    if (tokenAt(at - 1).kind == KIND_MARK) return false;
  }
  return false;
}

function has(classes: u64, from: u32, count: u32): bool {
  for (let index = from; index < count; index++) {
    if ((tokenAt(index).classes & classes) != 0) return true;
  }
  return false;
}
