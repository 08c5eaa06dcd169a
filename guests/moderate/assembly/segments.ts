// The parts of a message that stand by themselves: its sentences, its lines, and its clauses at a
// comma, a dash, a conjunction like "but", or an "and" between long parts or before a subject.
//
// Sums are divided by the root of their count, so a harmless part would thin out a bad one. Hence a
// part is scored alone, too, as if it were the whole message, but with the scopes and subjects that
// its words have in it: what is quoted, reported or objected to stays so, and is not parted.
//
// The features read tokens from the start of the table, so a part is moved there, and what it
// covers is put back at the end. Cost: the features of the message a second time.
import {
  CLAUSE, CONTEMPT, FIRST, GROUP, HARM, NEGATOR, PERSON, QUANTIFIER, SECOND, SELF_HARM, THIRD,
} from "./lexicon.gen";
import { COUNT } from "./reading";
import { isMark, isStop } from "./scopes";
import { SEEN, SEEN_BYTES, TOKEN_BYTES, TOKENS } from "./scratch";
import {
  FLAG_LINE, FLAG_SPACED, KIND_MARK, KIND_WORD, SCOPE_QUOTED, SCOPE_REPORTED, SCOPE_REPROACHED,
  Token, tokenAt,
} from "./tokens";

/** Of the tokens at the start of the table, which parts are moved over. */
const SAVED: usize = SEEN + SEEN_BYTES;
/** A part that is longer is not thinned out by what stands beside it. */
const PART_TOKENS_MAX: u32 = 64;
const SENTENCE_WORDS_MIN: u32 = 2;
const CLAUSE_WORDS_MIN: u32 = 3;
const FRAMED: u32 = SCOPE_QUOTED | SCOPE_REPORTED | SCOPE_REPROACHED;
/** What comes behind "and" where a clause begins: a subject of its own, or a command. */
const STARTS: u64 = FIRST | SECOND | THIRD | GROUP | PERSON | QUANTIFIER | NEGATOR | HARM |
  SELF_HARM | CONTEMPT;

/** Keeps the start of the table; the number of tokens. */
export function openParts(): u32 {
  const count = load<u32>(COUNT);
  memory.copy(SAVED, TOKENS, <usize>min(count, PART_TOKENS_MAX) * TOKEN_BYTES);
  return count;
}

/** Puts the table as it was. */
export function closeParts(count: u32): void {
  memory.copy(TOKENS, SAVED, <usize>min(count, PART_TOKENS_MAX) * TOKEN_BYTES);
  store<u32>(COUNT, count);
}

/** Where the part that begins at `from` ends; `count`: it is the last. */
export function endOfPart(from: u32, count: u32): u32 {
  let words: u32 = 0;
  for (let index = from; index < count; index++) {
    const token = tokenAt(index);
    if (index > from && words >= SENTENCE_WORDS_MIN && beginsPart(index, count, words)) {
      if (wordsFrom(index, count) >= SENTENCE_WORDS_MIN) return index;
    }
    if (token.kind == KIND_WORD) words++;
  }
  return count;
}

/** Makes the tokens from `from` up to `end` the table; false: they are too many or too few. */
export function takePart(from: u32, end: u32): bool {
  const size = end - from;
  if (size > PART_TOKENS_MAX) return false;
  if (from != 0) memory.copy(TOKENS, TOKENS + <usize>from * TOKEN_BYTES, <usize>size * TOKEN_BYTES);
  store<u32>(COUNT, size);
  return true;
}

function beginsPart(index: u32, count: u32, words: u32): bool {
  const token = tokenAt(index);
  const before = tokenAt(index - 1);
  // Inside of a quotation or a report.
  if ((<u32>token.scope & <u32>before.scope & FRAMED) != 0) return false;
  if ((token.flags & FLAG_LINE) != 0) return true;
  if (token.kind == KIND_MARK) return false;
  if ((token.flags & FLAG_SPACED) == 0) return false;
  if (isStop(before)) return true;
  if (words < CLAUSE_WORDS_MIN) return false;
  if (isComma(before)) return wordsFrom(index, count) >= CLAUSE_WORDS_MIN;
  if ((token.classes & CLAUSE) != 0) return wordsFrom(index, count) >= CLAUSE_WORDS_MIN;
  if (!isAddition(token) || index + 1 >= count) return false;
  // Two long parts are clauses, whatever the second begins with.
  if (words > CLAUSE_WORDS_MIN && wordsFrom(index + 1, count) >= CLAUSE_WORDS_MIN) return true;
  return (tokenAt(index + 1).classes & STARTS) != 0;
}

/** And, or. */
@inline
function isAddition(token: Token): bool {
  return (token.formBytes == 3 && (load<u32>(token.formAt) & 0xffffff) == 0x646e61) ||
    (token.formBytes == 2 && load<u16>(token.formAt) == 0x726f);
}

/** U+2013, U+2014, in UTF-8. */
@inline
function isDash(bytes: u32): bool {
  return bytes == 0x9380e2 || bytes == 0x9480e2;
}

/** A comma, a dash or a colon. */
@inline
function isComma(token: Token): bool {
  if (token.kind != KIND_MARK) return false;
  if (token.formBytes == 3) return isDash(load<u32>(token.formAt) & 0xffffff);
  const sign: u32 = load<u8>(token.formAt);
  return sign == 0x2c || sign == 0x3a || (sign == 0x2d && (token.flags & FLAG_SPACED) != 0);
}

/** As many as are asked for, at most. */
function wordsFrom(index: u32, count: u32): u32 {
  let words: u32 = 0;
  for (; index < count && words < CLAUSE_WORDS_MIN; index++) {
    if (tokenAt(index).kind == KIND_WORD) words++;
  }
  return words;
}
