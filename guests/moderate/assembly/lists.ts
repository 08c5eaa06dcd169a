// The tenant's own words: those that mean nothing here, and those that are not to be said.
//
// A list's entry is read as a message is (reading.ts), so it is met in whatever spelling a message
// may have: with digits for letters, spaced, stretched, in other alphabets. It is met word by word:
// "class" has no entry "ass" in it. Behind the policy lies an index of the entries, sorted by the
// hash of their first word, the blocked ones before the allowed:
//
//   u32 hash of the first word | u32 hash of all | u16 place in the policy | u8 words | u8 pieces
//
// where an entry stands a second time by its skeleton (spelling.ts), as 0 words of so many pieces;
// then u64 hashes of the allowed entries of one word, which the scoring is told. Of an allowed
// entry of several words the place in the message is blanked while it is scored. Punctuation in
// an entry is passed over, and an entry of nothing else is never met. Links, names behind "@" and
// numbers are read as their words and digits here, so a host, a name or a number can be listed.
// What is written without spaces, such as Chinese, Japanese and Thai, has no words to meet: such an
// entry is met wherever its characters stand, and is in the index by the first of them, as UNSPACED
// pieces.
import { alloc, release } from "../../sdk/assembly/arena";
import { mix32 } from "../../sdk/assembly/sketches/bytes";
import { hash32 } from "../../sdk/assembly/text/hash";
import { decode } from "../../sdk/assembly/text/unicode";
import { blankAll, keepForBlank, ListHit } from "./list-hit";
import {
  DRAWN_OUT, IndexEntry, indexed, insert, isUnspaced, lowest, UNSPACED,
} from "./list-index";
import { meetSpellings, meetUnspaced } from "./list-spellings";
import { allowCount, blockCount, Entry, firstEntry } from "./policy";
import { read, SPELLED_OUT } from "./reading";
import { setAllowed, tokenAt, tokenCount } from "./score";
import { indexAt, indexEntryBytes, POLICY, state } from "./state";
import { extendSkeleton, LETTERS_MIN, Skeleton } from "./spelling";
import { FLAG_DRAWN_OUT, KIND_MARK } from "./tokens";

/** An entry of more words is met by its first so many. */
const WORDS_MAX: u32 = 255;
const SPACE: u8 = 0x20;
/** An entry of more words is met as it is written, and not by its spelling. */
const PIECES_MAX: u32 = 6;

/** How many entries the index will have, and words that are allowed. */
@unmanaged
export class ListCounts {
  blocked: u32;
  allowed: u32;
  allowedWords: u32;
}

/** Counts what of a policy's lists the index will hold. */
export function countLists(entry: Entry, allowed: u32, blocked: u32): ListCounts {
  const counts = changetype<ListCounts>(alloc(offsetof<ListCounts>()));
  const found = changetype<IndexEntry>(alloc(offsetof<IndexEntry>()));
  for (let number: u32 = 0; number < allowed + blocked; number++) {
    if (readWords(entry, found)) {
      if (number < allowed && found.words == 1) counts.allowedWords += 1;
      const entries: u32 = readSpelling(entry, found) ? 2 : 1;
      if (number >= allowed) counts.blocked += entries;
      else counts.allowed += entries;
    }
    entry = entry.next;
  }
  return counts;
}

/** Makes the index of the policy that is in place; the room for it is zeroed. */
export function writeLists(counts: ListCounts): void {
  state().blockIndexCount = counts.blocked;
  state().allowIndexCount = counts.allowed;
  state().allowWordCount = counts.allowedWords;
  state().spelledWordsMax = 0;
  state().unspacedCount = 0;
  const found = changetype<IndexEntry>(alloc(offsetof<IndexEntry>()));
  let words = allowWordsAt();
  let allowedSoFar: u32 = 0;
  let blockedSoFar: u32 = 0;
  const allowed = allowCount();
  let entry = firstEntry();
  for (let number: u32 = 0; number < allowed + blockCount(); number++) {
    found.place = <u16>(changetype<usize>(entry) - POLICY);
    const isBlocked = number >= allowed;
    let isMet = readWords(entry, found);
    if (isMet && !isBlocked && found.words == 1) {
      store<u64>(words, tokenAt(nextWord(0)).hash);
      words += 8;
    }
    for (let way = 0; isMet; way++) {
      if (isBlocked) insert(found, 0, blockedSoFar++);
      else insert(found, counts.blocked, allowedSoFar++);
      isMet = way == 0 && readSpelling(entry, found);
      if (!isMet) break;
      if (found.pieces == UNSPACED) state().unspacedCount += 1;
      else state().spelledWordsMax = max(state().spelledWordsMax, <u16>found.pieces);
    }
    entry = entry.next;
  }
}

/**
 * What the message has of the lists. Allowed words are told to the scoring, allowed phrases are
 * blanked in the text until `unblank`.
 */
export function meetLists(text: usize, bytes: u32): ListHit {
  const hit = changetype<ListHit>(alloc(offsetof<ListHit>()));
  if (state().blockIndexCount + state().allowIndexCount == 0) return hit;
  let from: u32 = 0;
  do {
    const next = readSpelledOut(text, bytes, from);
    for (let at = nextWord(0); at < tokenCount(); at = nextWord(at + 1)) {
      meetBlocked(hit, at);
      meetAllowed(hit, text, at);
    }
    from = next;
  } while (from < bytes);
  meetSpellings(hit, text, bytes);
  if (state().unspacedCount != 0) meetUnspaced(hit, text, text + bytes);
  blankAll(hit);
  allowWords();
  return hit;
}

/** Tells the scoring which words mean nothing to this tenant. */
export function allowWords(): void {
  if (state().allowWordCount != 0) setAllowed(allowWordsAt(), state().allowWordCount);
}

function meetBlocked(hit: ListHit, at: u32): void {
  const count = state().blockIndexCount;
  const found = meet(at, 0, count);
  if (found != null) hit.block(found);
}

function meetAllowed(hit: ListHit, text: usize, at: u32): void {
  const found = meet(at, state().blockIndexCount, state().allowIndexCount);
  if (found == null) return;
  if (hit.allowed == 0) hit.allowed = <u32>(POLICY + found.place);
  if (found.words == 1) return;
  let last = at;
  for (let word: u32 = 1; word < <u32>found.words; word++) last = nextWord(last + 1);
  const start = tokenAt(at).start;
  keepForBlank(hit, text + start, tokenAt(last).end - start);
}

/** The entry of the most words that begins with the token, of `count` from number `from` on. */
function meet(token: u32, from: u32, count: u32): IndexEntry | null {
  const first = <u32>tokenAt(token).hash;
  let best: IndexEntry | null = null;
  for (let at = lowest(first, from, count); at < count; at++) {
    const entry = indexed(from + at);
    if (entry.first != first) break;
    if (best != null && entry.words <= best.words) continue;
    if (wholeHash(token, entry.words) != entry.whole) continue;
    if (entry.pieces != DRAWN_OUT || isDrawnOut(token, entry.words)) best = entry;
  }
  return best;
}

/** Of so many words from the token on; 0 if there are not so many. */
function wholeHash(token: u32, words: u32): u32 {
  let hash: u32 = words;
  for (; words > 0; words--) {
    if (token >= tokenCount()) return 0;
    hash = mix(hash, tokenAt(token).hash);
    token = nextWord(token + 1);
  }
  return hash;
}

@inline
function mix(hash: u32, word: u64): u32 {
  return max(mix32(hash ^ <u32>word ^ mix32(<u32>(word >> 32))), 1);
}

function readSpelledOut(text: usize, bytes: u32, from: u32): u32 {
  store<u32>(SPELLED_OUT, 1);
  const next = read(text, bytes, from);
  store<u32>(SPELLED_OUT, 0);
  return next;
}

/** Reads an entry; false if there is no word in it. */
function readWords(entry: Entry, into: IndexEntry): bool {
  readSpelledOut(entry.text, entry.bytes, 0);
  let words: u32 = 0;
  for (let at = nextWord(0); at < tokenCount(); at = nextWord(at + 1)) words += 1;
  if (words == 0) return false;
  const first = nextWord(0);
  into.words = <u8>min(words, WORDS_MAX);
  into.first = <u32>tokenAt(first).hash;
  into.whole = wholeHash(first, into.words);
  into.pieces = isDrawnOut(first, into.words) ? DRAWN_OUT : 0;
  return true;
}

/** Whether one of so many words has a letter three times in a row. */
function isDrawnOut(token: u32, words: u32): bool {
  for (; words > 0 && token < tokenCount(); words--) {
    if ((tokenAt(token).flags & FLAG_DRAWN_OUT) != 0) return true;
    token = nextWord(token + 1);
  }
  return false;
}

/** The skeleton of an entry; false if it has too few letters, or too many pieces. */
function readSpelling(entry: Entry, into: IndexEntry): bool {
  const character = decode(entry.text, entry.text + entry.bytes);
  if (isUnspaced(character & 0xffffff)) {
    into.words = 0;
    into.pieces = UNSPACED;
    into.first = hash32(entry.text, character >> 24);
    into.whole = 1;
    return true;
  }
  const skeleton = changetype<Skeleton>(alloc(offsetof<Skeleton>()));
  skeleton.begin();
  const end = entry.text + entry.bytes;
  let pieces: u32 = 0;
  let at = entry.text;
  while (at < end) {
    const start = at;
    while (at < end && load<u8>(at) > SPACE) at += 1;
    const letters = skeleton.letters;
    extendSkeleton(skeleton, start, at);
    if (skeleton.letters != letters) pieces += 1;
    at += 1;
  }
  into.words = 0;
  into.pieces = <u8>min(pieces, 254);
  into.first = skeleton.first;
  into.whole = skeleton.whole;
  const isLong = skeleton.letters >= LETTERS_MIN;
  release(changetype<usize>(skeleton));
  return isLong && pieces <= PIECES_MAX;
}

/** The first token from `at` on that is more than punctuation. */
@inline
function nextWord(at: u32): u32 {
  while (at < tokenCount() && <u32>tokenAt(at).kind == KIND_MARK) at += 1;
  return at;
}

@inline
function allowWordsAt(): usize {
  return indexAt() + indexEntryBytes(state().blockIndexCount + state().allowIndexCount);
}
