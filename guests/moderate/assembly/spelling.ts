// Words of the tenant's lists in spellings that no lexicon knows: reading.ts undoes a disguise
// where a word of the lexicon is behind it, but a tenant's own words are in no lexicon.
//
// Of what stands between two spaces a skeleton is made: small letters, without marks and in ASCII
// where they only look different, digits and signs as the letters that they stand for (l and 1 are
// i), punctuation left out, repeated letters once. A skeleton is compared only where something was
// undone; a word as it is must be the entry as it is, so "fall" is not "fail" and "class" has no
// "ass" in it, but "f4ll" may be either. Letters that stand alone, three and more in a row, are
// compared in every stretch of them. An entry of several words is compared with as many words in a
// row, so "fr33 n1tr0" may be "free nitro", but "the rapist" is in no "therapist".
import { characterAt, isInvisible, lookalike, small, undressed } from "./letters";

/** Skeletons of fewer letters are too many things at once. */
export const LETTERS_MIN: u32 = 3;
const ELISION_BYTES_MAX: usize = 2;
const SEED: u64 = 0x9ae16a3b2f90404f;
const STEP: u64 = 0x9ddfea08eb382d69;

/** Letters for "0" to "9", and for signs. */
const DIGIT_LETTERS: usize = memory.data<u8>([
  0x6f, 0x69, 0x7a, 0x65, 0x61, 0x73, 0x67, 0x74, 0x62, 0x67,
]);

/** What is known of one piece of text. */
@unmanaged
export class Skeleton {
  hash: u64;
  /** Letters, repeated ones as well; of these, such as were letters. */
  letters: u32;
  real: u32;
  last: u32;
  repeats: u32;
  /** Something was undone. */
  isDisguised: bool;

  begin(): void {
    this.hash = SEED;
    this.letters = 0;
    this.real = 0;
    this.last = 0;
    this.repeats = 0;
    this.isDisguised = false;
  }

  @inline
  add(letter: u32): void {
    this.letters += 1;
    if (letter == this.last) {
      this.repeats += 1;
      // No word has a letter three times in a row.
      if (this.repeats == 2) this.isDisguised = true;
      return;
    }
    this.repeats = 0;
    this.last = letter;
    const product = (this.hash ^ <u64>letter) * STEP;
    this.hash = product ^ (product >> 29);
  }

  @inline
  get first(): u32 {
    return <u32>this.hash;
  }

  @inline
  get whole(): u32 {
    return <u32>(this.hash >> 32) | 1;
  }
}

/** Reads what stands between two spaces. */
export function readSkeleton(into: Skeleton, at: usize, end: usize): void {
  into.begin();
  extendSkeleton(into, at, end);
}

/** Reads what stands between the next two. */
export function extendSkeleton(into: Skeleton, at: usize, end: usize): void {
  const realBefore = into.real;
  const wasDisguised = into.isDisguised;
  end = withoutTail(at, end);
  let isWithin = false;
  let skipped = false;
  while (at < end) {
    const character = characterAt(at, end);
    at += character >> 24;
    const letter = letterOf(into, character & 0xffffff);
    if (letter == 0) {
      skipped = skipped || (isWithin && !isElision(character & 0xffffff, end - at));
      continue;
    }
    if (skipped) into.isDisguised = true;
    isWithin = true;
    into.add(letter);
  }
  // Without a letter in it, it is a number or a face.
  if (into.real == realBefore) into.isDisguised = wasDisguised;
}

/** The apostrophe of "he'll", "isn't" and "dog's", which hides nothing. */
@inline
function isElision(codePoint: u32, bytesLeft: usize): bool {
  return codePoint == 0x27 && bytesLeft <= ELISION_BYTES_MAX;
}

/** Marks that stand on letters, vowel signs of Hebrew and Arabic, and what only draws a word out. */
function isPoint(codePoint: u32): bool {
  if (codePoint < 0x591) return codePoint >= 0x300 && codePoint < 0x370;
  if (codePoint < 0x640) return codePoint < 0x5c8 && codePoint != 0x5be && codePoint != 0x5c3;
  return codePoint == 0x640 || (codePoint >= 0x64b && codePoint < 0x660) || codePoint == 0x670;
}

/** The letter that a character stands for; 0: it is left out. */
function letterOf(into: Skeleton, codePoint: u32): u32 {
  if (codePoint >= 0x80) {
    if (isInvisible(codePoint) || isPoint(codePoint)) return 0;
    const bare = undressed(codePoint);
    const like = bare < 0x80 ? bare : lookalike(small(bare));
    if (like == 0) {
      into.real += 1;
      return small(bare);
    }
    if (bare >= 0x80) into.isDisguised = true;
    codePoint = like;
  }
  if ((codePoint | 0x20) - 0x61 < 26) {
    into.real += 1;
    const letter = codePoint | 0x20;
    return letter == 0x6c ? 0x69 : letter;
  }
  const letter = signLetter(codePoint);
  if (letter != 0) into.isDisguised = true;
  return letter;
}

function signLetter(sign: u32): u32 {
  if (sign - 0x30 < 10) return load<u8>(DIGIT_LETTERS + sign - 0x30);
  if (sign == 0x40) return 0x61;
  if (sign == 0x24) return 0x73;
  if (sign == 0x21 || sign == 0x7c) return 0x69;
  return sign == 0x2b ? 0x74 : 0;
}

/** Before the signs at the end: "no!" has no i in it. */
function withoutTail(at: usize, end: usize): usize {
  while (end > at) {
    const byte = <u32>load<u8>(end - 1);
    if (byte >= 0x80 || (byte | 0x20) - 0x61 < 26 || byte - 0x30 < 10) return end;
    end -= 1;
  }
  return end;
}
