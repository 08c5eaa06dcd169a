// Words written so that a list would miss them: other readings of their letters, tried one after
// the other against the lexicon. What is found is the token's form from then on, and the token
// remembers a hash of the form as it was written. Words of no suspicion never come here but for
// their doubled letters; every try is bounded by the length of a form.
import { decode, encode } from "../../sdk/assembly/text/unicode";
import { hashFolded } from "../../sdk/assembly/text/hash";
import { isForeign, lookalike } from "./letters";
import { ABROAD, HIDDEN, HIDDEN_OR_TARGET, classesOf, spelledLike } from "./lexicon";
import { HOT, PHRASE_START, TELLING } from "./lexicon.gen";
import { FORM_TOP, isAllowed, setForm, TEXT_START, TRIAL } from "./reading";
import { longestListed } from "./tags";
import { FLAG_DISGUISED, FLAG_DRAWN_OUT, Token } from "./tokens";

export const SOFT_NONE: usize = 0;
const TRIAL_BYTES_MAX: u32 = 40;
/** A compound is looked for in a word of so many letters. */
const COMPOUND_LETTERS_MIN: u32 = 8;
const DOUBLES_MAX: u32 = 3;

/** Digits from 0 on, as the letters they are drawn like. */
const LEET: usize = memory.data<u8>([
  0x6f, 0x69, 0x7a, 0x65, 0x61, 0x73, 0x67, 0x74, 0x62, 0x67,
]);

/**
 * Finds the best reading of a word. `symbols`: bit 0 letters in another dress, bit 1 signs among
 * the letters. Returns where the text goes on if a sign in the word (the first at `softAt` of the
 * text, `softForm` of the form) turned out to be no letter of it, else SOFT_NONE.
 */
export function resolve(
  token: Token, letters: u32, digits: u32, foreign: u32, symbols: u32, softAt: usize,
  softForm: usize,
): usize {
  const raw = <u16>token.hash;
  const form = <usize>token.formAt;
  let bytes = min<u32>(token.formBytes, TRIAL_BYTES_MAX);
  if (foreign != 0) {
    const mapped = mapLookalikes(form, bytes, letters > foreign);
    if (mapped == 0) return cutSoft(token, softAt, softForm);
    take(token, mapped, raw);
    if (token.classes != 0) return SOFT_NONE;
    bytes = mapped;
  }
  if (digits == 0 && (symbols & 2) == 0) {
    if ((symbols & 1) != 0) token.flags |= <u8>FLAG_DISGUISED;
    if ((token.classes & ~ABROAD) == 0) tryLetters(token, bytes, raw);
    return SOFT_NONE;
  }
  if (letters > 0 && trySigns(token, bytes, raw)) return SOFT_NONE;
  const cutAt = cutSoft(token, softAt, softForm);
  if (cutAt != SOFT_NONE) {
    if ((token.classes & ~ABROAD) == 0) tryLetters(token, token.formBytes, raw);
  } else if ((symbols & 2) != 0) dropDollars(token);
  return cutAt;
}

/** The word ends before the sign. */
function cutSoft(token: Token, softAt: usize, softForm: usize): usize {
  const form = <usize>token.formAt;
  if (softAt == SOFT_NONE || softForm <= form) return SOFT_NONE;
  token.end = <u32>(softAt - <usize>load<u32>(TEXT_START));
  setForm(token, <u32>(softForm - form));
  store<u32>(FORM_TOP, <u32>softForm);
  return softAt;
}

/**
 * The word in ASCII at TRIAL, if every letter of another alphabet looks like one; its bytes, else
 * 0. A word of that alphabet alone must be a hidden one: it may well be of its language.
 */
function mapLookalikes(form: usize, bytes: u32, isMixed: bool): u32 {
  const end = form + bytes;
  let w = TRIAL;
  for (let p = form; p < end;) {
    const decoded = decode(p, end);
    let codePoint = decoded & 0xffffff;
    p += decoded >> 24;
    if (codePoint >= 0x80) {
      const like = lookalike(codePoint);
      if (like == 0) {
        if (isForeign(codePoint)) return 0;
        w = encode(w, codePoint);
        continue;
      }
      codePoint = like;
    }
    store<u8>(w, codePoint);
    w++;
  }
  const size = <u32>(w - TRIAL);
  return isMixed || isHidden(TRIAL, size, HIDDEN) ? size : 0;
}

function isHidden(at: usize, bytes: u32, classes: u64): bool {
  store<u64>(at + bytes, 0);
  const hash = hashFolded(at, bytes);
  return (classesOf(hash) & classes) != 0 && !isAllowed(hash);
}

/** What stands at TRIAL is the form now. */
function take(token: Token, bytes: u32, raw: u16): void {
  takeFrom(token, TRIAL, bytes, raw);
}

function takeFrom(token: Token, at: usize, bytes: u32, raw: u16): void {
  memory.copy(token.formAt, at, bytes);
  setForm(token, bytes);
  token.raw = raw;
  token.flags |= <u8>FLAG_DISGUISED;
  store<u32>(FORM_TOP, token.formAt + bytes);
}

/** Letters alone: doubled ones taken for one, z for s, two words in one. */
function tryLetters(token: Token, bytes: u32, raw: u16): void {
  const form = <usize>token.formAt;
  if (bytes < 3) return;
  if (trySingles(token, bytes, raw)) return;
  if (load<u8>(form + bytes - 1) == 0x7a) {
    memory.copy(TRIAL, form, bytes - 1);
    store<u8>(TRIAL + bytes - 1, 0x73);
    if (isHidden(TRIAL, bytes, HIDDEN)) return take(token, bytes, raw);
  }
  if (bytes >= COMPOUND_LETTERS_MIN) tryCompound(token, bytes);
}

/** Every choice of the doubled letters, the first few of them. */
function trySingles(token: Token, bytes: u32, raw: u16): bool {
  const form = <usize>token.formAt;
  let doubles: u32 = 0;
  for (let index: u32 = 1; index < bytes; index++) {
    if (load<u8>(form + index) == load<u8>(form + index - 1)) doubles++;
  }
  if (doubles == 0) return false;
  for (let choice: u32 = (1 << min(doubles, DOUBLES_MAX)) - 1; choice > 0; choice--) {
    let w = TRIAL;
    let double: u32 = 0;
    for (let index: u32 = 0; index < bytes; index++) {
      const byte: u32 = load<u8>(form + index);
      if (index > 0 && byte == <u32>load<u8>(form + index - 1)) {
        const isDropped = double >= DOUBLES_MAX || ((choice >> double) & 1) != 0;
        double++;
        if (isDropped) continue;
      }
      store<u8>(w, byte);
      w++;
    }
    const size = <u32>(w - TRIAL);
    if (size > 2 && isHidden(TRIAL, size, HIDDEN)) {
      const flags = token.flags;
      take(token, size, raw);
      // Drawn out is no disguise.
      if ((flags & FLAG_DRAWN_OUT) != 0) token.flags = flags;
      return true;
    }
  }
  return false;
}

/** "dumbbitch": the word keeps its form and gets the classes of its parts. */
function tryCompound(token: Token, bytes: u32): void {
  const form = <usize>token.formAt;
  // What stands behind the form is its underscore; the hash of a part needs no more than its bytes.
  const first = <u32>longestListed(form, bytes - 2);
  if (first < 2 || first + 2 > bytes) return;
  const rest = bytes - first;
  memory.copy(TRIAL, form, first);
  store<u64>(TRIAL + first, 0);
  const before = classesOf(hashFolded(TRIAL, first)) & ~PHRASE_START;
  memory.copy(TRIAL, form + first, rest);
  store<u64>(TRIAL + rest, 0);
  const behind = classesOf(hashFolded(TRIAL, rest)) & ~PHRASE_START;
  if (before == 0 || behind == 0) return;
  if (((before & HOT) == 0 || first < 4) && ((behind & HOT) == 0 || rest < 4)) return;
  token.classes = before | behind;
}

/** Digits and signs as letters: 1 is an i or an l. */
function trySigns(token: Token, bytes: u32, raw: u16): bool {
  const form = <usize>token.formAt;
  const written = TRIAL + 64;
  memory.copy(written, form, bytes);
  for (let one: u32 = 0; one < 2; one++) {
    let stars: u32 = 0;
    let letters: u32 = 0;
    for (let index: u32 = 0; index < bytes; index++) {
      const byte: u32 = load<u8>(written + index);
      const letter = letterOf(byte, one);
      if (letter == 0x2a) stars++;
      else letters++;
      store<u8>(TRIAL + index, letter);
    }
    if (stars != 0) {
      if (letters > 0 && tryStars(token, bytes, raw)) return true;
      continue;
    }
    const wanted = isBetweenLetters(written, bytes) ? TELLING : HIDDEN_OR_TARGET;
    if (bytes > 2 && isHidden(TRIAL, bytes, wanted)) {
      take(token, bytes, raw);
      return true;
    }
    memory.copy(form, TRIAL, bytes);
    if (bytes > 2 && trySingles(token, bytes, raw)) return true;
    memory.copy(form, written, bytes);
  }
  return false;
}

/** Whether a digit or sign stands with letters on both sides: "h4te", not "ext3". */
function isBetweenLetters(at: usize, bytes: u32): bool {
  return <u32>load<u8>(at) - 0x61 < 26 && <u32>load<u8>(at + bytes - 1) - 0x61 < 26;
}

@inline
function letterOf(byte: u32, one: u32): u32 {
  if (byte == 0x31 || byte == 0x21 || byte == 0x7c) return one == 0 ? 0x69 : 0x6c;
  if (byte - 0x30 < 10) return load<u8>(LEET + byte - 0x30);
  if (byte == 0x40) return 0x61;
  if (byte == 0x24) return 0x73;
  return byte == 0x2b ? 0x74 : byte;
}

/** Stars behind a word may be those of **bold** text: they are tried, then left out. */
function tryStars(token: Token, bytes: u32, raw: u16): bool {
  const found = spelledLike(TRIAL, bytes);
  if (found == 0 || isAllowed(hashFolded(found, load<u8>(found - 1)))) return false;
  takeFrom(token, found, load<u8>(found - 1), raw);
  return true;
}

/** A price, a variable: the signs are left out of the form. */
function dropDollars(token: Token): void {
  const form = <usize>token.formAt;
  let w = form;
  for (let p = form; p < form + token.formBytes; p++) {
    const byte = load<u8>(p);
    if (byte == 0x24) continue;
    store<u8>(w, byte);
    w++;
  }
  if (w == form) return;
  setForm(token, <u32>(w - form));
  store<u32>(FORM_TOP, <u32>w);
}
