// The words that the moderator knows, by their hashes.
import {
  CLASS_SETS, DISTRESS, FOREIGN_INSULT, FOREIGN_PROFANITY, FOREIGN_SEXUAL, GROUP, HARM, HOT,
  INSULT, LEXICON, LEXICON_STARTS, PROFANITY, SELF_HARM, SEXUAL, SLUR, SPELLED, SPELLED_STARTS,
} from "./lexicon.gen";

/** Of the lists of other languages: in English text such a word may be anything. */
export const ABROAD: u64 = FOREIGN_PROFANITY | FOREIGN_SEXUAL | FOREIGN_INSULT;
/** What a word written in disguise may turn out to be. */
export const HIDDEN: u64 = HOT | SLUR | PROFANITY | INSULT | SEXUAL | HARM | SELF_HARM;
/** What a word with digits or signs in place of letters may turn out to be. */
export const HIDDEN_OR_TARGET: u64 = HIDDEN | GROUP | DISTRESS | ABROAD;

/** The classes of a word or phrase; 0 where it is not listed. Hot. */
@inline
export function classesOf(hash: u64): u64 {
  const bucket = LEXICON_STARTS + (<usize>(hash >> 54) << 1);
  let at = LEXICON + (<usize>load<u16>(bucket) << 2);
  const end = LEXICON + (<usize>load<u16>(bucket, 2) << 2);
  const fingerprint = <u32>(hash >> 32) & 0x3fffff;
  for (; at < end; at += 4) {
    const entry = load<u32>(at);
    if (entry >> 10 == fingerprint) return load<u64>(CLASS_SETS + (<usize>(entry & 1023) << 3));
  }
  return 0;
}

/** Hash of a phrase: of what comes before, and of its next word. */
@inline
export function phraseHash(before: u64, word: u64): u64 {
  const product = (rotl<u64>(before, 23) ^ word) * 0x9e3779b97f4a7c15;
  return product ^ (product >> 32);
}

/**
 * The listed word that letters and stars can only be: one star is one letter, a run of them one to
 * one more. Returns its address in the table, its letters before it as u8; 0 if there is none.
 */
export function spelledLike(at: usize, bytes: u32): usize {
  const first: u32 = <u32>load<u8>(at) - 0x61;
  if (first < 26) return spelledAmong(first, at, bytes);
  for (let letter: u32 = 0; letter < 26; letter++) {
    const found = spelledAmong(letter, at, bytes);
    if (found != 0) return found;
  }
  return 0;
}

function spelledAmong(letter: u32, at: usize, bytes: u32): usize {
  let word = SPELLED + <usize>load<u16>(SPELLED_STARTS + (<usize>letter << 1));
  let loose: usize = 0;
  for (let size: u32 = load<u8>(word); size != 0; size = load<u8>(word)) {
    if (size == bytes && isLike(word + 1, at, bytes)) return word + 1;
    if (loose == 0 && isLooselyLike(word + 1, size, at, bytes)) loose = word + 1;
    word += size + 1;
  }
  return loose;
}

function isLike(word: usize, at: usize, bytes: u32): bool {
  for (let index: usize = 0; index < <usize>bytes; index++) {
    const byte = load<u8>(at + index);
    if (byte != 0x2a && byte != load<u8>(word + index)) return false;
  }
  return true;
}

/** One run of two stars or more, inside: for one letter and more. */
function isLooselyLike(word: usize, size: u32, at: usize, bytes: u32): bool {
  let before: u32 = 0;
  while (before < bytes && load<u8>(at + before) != 0x2a) before++;
  let after = bytes;
  while (after > before && load<u8>(at + after - 1) != 0x2a) after--;
  const ending = bytes - after;
  if (before == 0 || ending == 0 || after - before < 2 || before + ending >= size) return false;
  for (let index = before; index < after; index++) if (load<u8>(at + index) != 0x2a) return false;
  for (let index: u32 = 0; index < before; index++) {
    if (load<u8>(at + index) != load<u8>(word + index)) return false;
  }
  for (let index: u32 = 1; index <= ending; index++) {
    if (load<u8>(at + bytes - index) != load<u8>(word + size - index)) return false;
  }
  return true;
}
