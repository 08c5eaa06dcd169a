// Words that were taken apart, put together again: letters that stand alone ("i d i o t",
// "k.i.l.l", "s_h_i_t"), and two or three pieces that a mark parts ("idi.ot"). What is joined
// becomes one token over all the bytes; what is not listed stays apart, unless it is long and of
// single letters only.
import { hashFolded } from "../../sdk/assembly/text/hash";
import { HIDDEN, HIDDEN_OR_TARGET, classesOf } from "./lexicon";
import { TELLING } from "./lexicon.gen";
import {
  COUNT, FORM_TOP, HUNG_COUNT, isAllowed, isHanger, setForm, TRIAL,
} from "./reading";
import { FORMS, FORMS_BYTES } from "./scratch";
import { longestListed } from "./tags";
import {
  FLAG_DISGUISED, FLAG_SPACED, KIND_MARK, KIND_WORD, TOKEN_BYTES, Token, tokenAt,
} from "./tokens";

const LETTERS_MAX: u32 = 32;
/** So many single letters are a word, listed or not. */
const LETTERS_ALONE_MIN: u32 = 4;
const PIECES_MAX: u32 = 4;

const LEET: usize = memory.data<u8>([
  0x6f, 0x69, 0x7a, 0x65, 0x61, 0x73, 0x67, 0x74, 0x62, 0x67,
]);

/** Rewrites the table of tokens in place. */
export function joinTokens(): void {
  const count = load<u32>(COUNT);
  let to: u32 = 0;
  let from: u32 = 0;
  while (from < count) {
    let used: u32 = 0;
    if (isAlone(tokenAt(from))) used = joinLetters(from, count, to);
    if (used == 0 && tokenAt(from).kind == KIND_WORD) used = joinPieces(from, count, to);
    if (used != 0) {
      from += used >> 16;
      to += used & 0xffff;
      continue;
    }
    if (to != from) move(to, from);
    to++;
    from++;
  }
  store<u32>(COUNT, to);
}

@inline
function move(to: u32, from: u32): void {
  memory.copy(changetype<usize>(tokenAt(to)), changetype<usize>(tokenAt(from)), TOKEN_BYTES);
}

@inline
function isAlone(token: Token): bool {
  return token.formBytes == 1 && token.kind != KIND_MARK;
}

/** A hanger with nothing on either side of it but what it parts. */
function isPart(token: Token): bool {
  return token.kind == KIND_MARK && token.formBytes == 1 && isHanger(load<u8>(token.formAt));
}

/**
 * Letters that stand alone from token `from` on. Returns the tokens used << 16 | the tokens made,
 * 0 if they make no word.
 */
function joinLetters(from: u32, count: u32, to: u32): u32 {
  let letters: u32 = 0;
  let next = from;
  let last = from;
  let firstEnd: u32 = 0;
  let gap: u32 = 0;
  while (next < count && letters < LETTERS_MAX) {
    const token = tokenAt(next);
    if (isAlone(token)) {
      if (letters > 0) {
        // Spaces or marks: the one that parts the first two letters parts them all.
        const found = next - last;
        if (gap != 0 && found != gap) break;
        // "e.g. this": a mark with space behind it alone ends something.
        const mark = found > 1 ? tokenAt(next - 1) : token;
        if (((token.flags ^ mark.flags) & FLAG_SPACED) != 0) break;
        gap = found;
        const isWide = found == 1 && token.start - tokenAt(last).end > 1;
        if (isWide && firstEnd == 0) firstEnd = letters;
      }
      const byte: u32 = load<u8>(token.formAt);
      store<u8>(TRIAL + letters, byte - 0x30 < 10 ? <u32>load<u8>(LEET + byte - 0x30) : byte);
      letters++;
      last = next++;
    } else {
      const isBetween = next == last + 1 && next + 1 < count && isAlone(tokenAt(next + 1));
      if (!isBetween || !isPart(token)) break;
      next++;
    }
  }
  if (letters < 3) return 0;
  // More than one space parts two words; so does the lexicon.
  const size = firstEnd > 2 ? firstEnd : listedSize(letters);
  if (size < 3) return 0;
  let stop = from;
  let seen: u32 = 0;
  for (let index = from; index <= last; index++) {
    if (!isAlone(tokenAt(index))) continue;
    if (++seen == size) stop = index;
  }
  return put(from, stop, to, size);
}

/** How many letters at TRIAL are the first word. */
function listedSize(letters: u32): u32 {
  if ((classesOf(hashFolded(TRIAL, letters)) & TELLING) != 0) return letters;
  if (isHiddenBehindWord(letters)) return 0;
  for (let size = letters - 1; size > 2; size--) if (isHiddenAt(size)) return size;
  if (letters < LETTERS_ALONE_MIN) return 0;
  const listed = <u32>longestListed(TRIAL, letters);
  return listed > 2 ? listed : letters;
}

/** "a f a g": the first letter is a word of its own. */
function isHiddenBehindWord(letters: u32): bool {
  const first: u32 = load<u8>(TRIAL);
  if (first != 0x61 && first != 0x69 && first != 0x75) return false;
  for (let size = letters - 1; size > 2; size--) {
    const hash = hashFolded(TRIAL + 1, size);
    if ((classesOf(hash) & HIDDEN_OR_TARGET) != 0 && !isAllowed(hash)) return true;
  }
  return false;
}

function isHiddenAt(size: u32): bool {
  const hash = hashFolded(TRIAL, size);
  return (classesOf(hash) & HIDDEN_OR_TARGET) != 0 && !isAllowed(hash);
}

/** Pieces with a mark between them and no space: joined if that is a hidden word. */
function joinPieces(from: u32, count: u32, to: u32): u32 {
  if (load<u32>(HUNG_COUNT) == 0) return 0;
  let size: u32 = 0;
  let next = from;
  let pieces: u32 = 0;
  while (next < count && pieces < PIECES_MAX) {
    const token = tokenAt(next);
    if (token.kind != KIND_WORD || size + token.formBytes > LETTERS_MAX) break;
    if (pieces > 0 && (token.flags & FLAG_SPACED) != 0) break;
    memory.copy(TRIAL + size, token.formAt, token.formBytes);
    size += token.formBytes;
    pieces++;
    if (pieces > 1) {
      const hash = hashFolded(TRIAL, size);
      if (size > 2 && (classesOf(hash) & HIDDEN) != 0 && !isAllowed(hash)) {
        return put(from, next, to, size);
      }
    }
    if (next + 1 >= count || !isPart(tokenAt(next + 1))) break;
    if ((tokenAt(next + 1).flags & FLAG_SPACED) != 0) break;
    next += 2;
  }
  return 0;
}

/** One word of the letters at TRIAL, over the tokens from `from` to `last`. */
function put(from: u32, last: u32, to: u32, size: u32): u32 {
  const end = tokenAt(last).end;
  if (<usize>load<u32>(FORM_TOP) + size + 16 > FORMS + FORMS_BYTES) return 0;
  if (to != from) move(to, from);
  const token = tokenAt(to);
  const form = <usize>load<u32>(FORM_TOP) + 1;
  memory.copy(form, TRIAL, size);
  store<u8>(form - 1, 0x5f);
  token.formAt = <u32>form;
  setForm(token, size);
  store<u32>(FORM_TOP, <u32>form + size);
  token.end = end;
  token.kind = <u8>KIND_WORD;
  token.flags |= <u8>FLAG_DISGUISED;
  return ((last + 1 - from) << 16) | 1;
}
