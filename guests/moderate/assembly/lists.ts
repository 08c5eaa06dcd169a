// The tenant's own words: those that mean nothing here, and those that are not to be said.
//
// A list's entry is read as a message is (reading.ts), so it is met in whatever spelling a message
// may have: with digits for letters, spaced, stretched, in other alphabets. It is met word by word:
// "class" has no entry "ass" in it. Behind the policy lies an index of the entries, sorted by the
// hash of their first word, the blocked ones before the allowed:
//
//   u32 hash of the first word | u32 hash of all | u16 place in the policy | u8 words | u8 pieces
//
// where entries of one word stand a second time, by their skeleton (spelling.ts), with 0 words;
// then u64 hashes of the allowed entries of one word, which the scoring is told. Of an allowed
// entry of several words the place in the message is blanked while it is scored. Punctuation in an entry
// is passed over, and an entry of nothing else is never met.
import { alloc, release } from "../../sdk/assembly/arena";
import { mix32 } from "../../sdk/assembly/sketches/bytes";
import { hash32 } from "../../sdk/assembly/text/hash";
import { decode } from "../../sdk/assembly/text/unicode";
import { allowCount, blockCount, Entry, firstEntry } from "./policy";
import { read, SPELLED_OUT } from "./reading";
import { setAllowed, tokenAt, tokenCount } from "./score";
import { indexAt, indexEntryBytes, INDEX_ENTRY_BYTES, POLICY, state } from "./state";
import { extendSkeleton, LETTERS_MIN, readSkeleton, Skeleton } from "./spelling";
import { FLAG_DRAWN_OUT, KIND_MARK } from "./tokens";

/** An entry of more words is met by its first so many. */
const WORDS_MAX: u32 = 255;
/** What is blanked of one message, at most; allowed phrases beyond it are scored as they are. */
const BLANKS_MAX: u32 = 16;
const BLANKED_BYTES_MAX: u32 = 1024;
const SPACE: u8 = 0x20;
/** Of an entry with a letter three times in a row: "kkk" is in no "kk", though both are read so. */
const DRAWN_OUT: u8 = 1;
const UNSPACED: u8 = 255;
/** Letters that stand alone, of one run; of a longer one the last RUN_KEPT are met again. */
const RUN_MAX: u32 = 32;
const RUN_KEPT: u32 = 16;
/** An entry of more words is met as it is written, and not by its spelling. */
const PIECES_MAX: u32 = 6;

@unmanaged
class IndexEntry {
  first: u32;
  whole: u32;
  place: u16;
  words: u8;
  /** What spaces part, of an entry that stands by its skeleton; else 1: it is DRAWN_OUT. */
  pieces: u8;
}

/** How many entries the index will have, and words that are allowed. */
@unmanaged
export class ListCounts {
  blocked: u32;
  allowed: u32;
  allowedWords: u32;
}

/** What a message has of the lists. */
@unmanaged
export class ListHit {
  /** Entry of the block list that weighs most, of the allow list that came first; 0: none. */
  blocked: u32;
  allowed: u32;
  blankCount: u32;
  /** BLANKS_MAX x { u32 address, u32 bytes, u32 where they are kept }. */
  blanks: u32;
  blankedBytes: u32;

  block(found: IndexEntry): void {
    const entry = POLICY + found.place;
    if (this.blocked == 0 || <u32>changetype<Entry>(entry).action > this.action) {
      this.blocked = <u32>entry;
    }
  }

  @inline
  get action(): u32 {
    return this.blocked == 0 ? 0 : <u32>changetype<Entry>(<usize>this.blocked).action;
  }
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
  for (let index: u32 = 0; index < hit.blankCount; index++) {
    const blank = <usize>hit.blanks + index * 12;
    blankOut(load<u32>(blank), load<u32>(blank, 4));
  }
  allowWords();
  return hit;
}

/** Puts a space for each character, of as many bytes: places in the text stay what they are. */
function blankOut(at: usize, bytes: u32): void {
  const end = at + bytes;
  while (at < end) {
    const size = decode(at, end) >> 24;
    if (size == 2) store<u16>(at, 0xa0c2);
    else if (size == 3) {
      store<u16>(at, 0x80e3);
      store<u8>(at, 0x80, 2);
    } else if (size == 4) store<u32>(at, 0xa080a0f3);
    else store<u8>(at, SPACE);
    at += size;
  }
}

/** Tells the scoring which words mean nothing to this tenant. */
export function allowWords(): void {
  if (state().allowWordCount != 0) setAllowed(allowWordsAt(), state().allowWordCount);
}

/** The text as it came. */
export function unblank(hit: ListHit): void {
  // Phrases may overlap: the last one kept is put back first.
  for (let index = hit.blankCount; index > 0; index--) {
    const blank = <usize>hit.blanks + (index - 1) * 12;
    memory.copy(<usize>load<u32>(blank), <usize>load<u32>(blank, 8), load<u32>(blank, 4));
  }
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

/** What is an entry of the lists once it is spelled as it is meant. */
function meetSpellings(hit: ListHit, text: usize, bytes: u32): void {
  const skeleton = changetype<Skeleton>(alloc(offsetof<Skeleton>()));
  const run = changetype<Run>(alloc(offsetof<Run>()));
  run.places = <u32>alloc(RUN_MAX << 2, 4);
  run.letters = <u32>alloc(RUN_MAX << 2, 4);
  const row = openRow();
  const end = text + bytes;
  let at = text;
  while (at < end) {
    const start = at;
    while (at < end && load<u8>(at) > SPACE) at += 1;
    if (at > start) {
      readSkeleton(skeleton, start, at);
      if (skeleton.letters != 0) meetRow(hit, row, start, at);
      if (skeleton.letters == 1) {
        run.add(<u32>start, <u32>at, skeleton.last);
        if (run.count == RUN_MAX) meetRun(hit, skeleton, run, RUN_KEPT);
      } else if (skeleton.letters != 0) {
        if (skeleton.isDisguised) meetSkeleton(hit, skeleton, start, at, 1);
        meetRun(hit, skeleton, run, 0);
      }
    }
    at += 1;
  }
  meetRun(hit, skeleton, run, 0);
}

/** The last pieces of a text, for the entries of several words. */
@unmanaged
class Row {
  /** Most pieces of an entry; 0: there is none of several. */
  most: u32;
  /** Pieces so far. */
  count: u32;
  /** `most` skeletons, of the pieces from one of the last ones on, and u32 where that begins. */
  skeletons: u32;
  starts: u32;
}

function openRow(): Row {
  const row = changetype<Row>(alloc(offsetof<Row>()));
  const most = state().spelledWordsMax;
  if (most < 2) return row;
  row.most = most;
  row.skeletons = <u32>alloc(<usize>most * offsetof<Skeleton>());
  row.starts = <u32>alloc(<usize>most << 2, 4);
  return row;
}

function meetRow(hit: ListHit, row: Row, start: usize, end: usize): void {
  const most = row.most;
  if (most == 0) return;
  const number = row.count++;
  const first = number % most;
  const places = <usize>row.starts;
  store<u32>(places + (<usize>first << 2), <u32>start);
  changetype<Skeleton>(<usize>row.skeletons + <usize>first * offsetof<Skeleton>()).begin();
  for (let pieces: u32 = 1; pieces <= min(most, number + 1); pieces++) {
    const place = (number + 1 - pieces) % most;
    const one = changetype<Skeleton>(<usize>row.skeletons + <usize>place * offsetof<Skeleton>());
    extendSkeleton(one, start, end);
    if (pieces == 1 || !one.isDisguised) continue;
    meetSkeleton(hit, one, <usize>load<u32>(places + (<usize>place << 2)), end, pieces);
  }
}

/** Letters that stand alone, one behind the other. */
@unmanaged
class Run {
  count: u32;
  end: u32;
  /** u32 address of each, and what it stands for. */
  places: u32;
  letters: u32;

  add(start: u32, end: u32, letter: u32): void {
    store<u32>(<usize>this.places + (<usize>this.count << 2), start);
    store<u32>(<usize>this.letters + (<usize>this.count << 2), letter);
    this.count += 1;
    this.end = end;
  }

  /** Where the letter of that number ends. */
  endOf(index: u32): usize {
    if (index + 1 == this.count) return this.end;
    let end = <usize>load<u32>(<usize>this.places + (<usize>(index + 1) << 2));
    while (load<u8>(end - 1) <= SPACE) end -= 1;
    return end;
  }
}

/** Every stretch of three letters and more; the last `kept` letters stay. */
function meetRun(hit: ListHit, skeleton: Skeleton, run: Run, kept: u32): void {
  const places = <usize>run.places;
  const letters = <usize>run.letters;
  for (let from: u32 = 0; from + LETTERS_MIN <= run.count; from++) {
    skeleton.begin();
    const start = <usize>load<u32>(places + (<usize>from << 2));
    for (let index = from; index < run.count; index++) {
      skeleton.add(load<u32>(letters + (<usize>index << 2)));
      if (index >= from + 2) meetSkeleton(hit, skeleton, start, run.endOf(index), 1);
    }
  }
  const gone = <usize>(run.count - kept) << 2;
  memory.copy(places, places + gone, <usize>kept << 2);
  memory.copy(letters, letters + gone, <usize>kept << 2);
  run.count = kept;
}

/** `pieces`: in how many words it stands there; 1 may be any, as it was put together. */
function meetSkeleton(
  hit: ListHit, skeleton: Skeleton, start: usize, end: usize, pieces: u32,
): void {
  if (skeleton.letters < LETTERS_MIN) return;
  const blocked = spelled(skeleton, pieces, 0, state().blockIndexCount);
  if (blocked != null) hit.block(blocked);
  const allowed = spelled(skeleton, pieces, state().blockIndexCount, state().allowIndexCount);
  if (allowed == null) return;
  if (hit.allowed == 0) hit.allowed = <u32>(POLICY + allowed.place);
  keepForBlank(hit, start, <u32>(end - start));
}

function spelled(skeleton: Skeleton, pieces: u32, from: u32, count: u32): IndexEntry | null {
  for (let at = lowest(skeleton.first, from, count); at < count; at++) {
    const entry = indexed(from + at);
    if (entry.first != skeleton.first) return null;
    if (entry.words != 0 || entry.whole != skeleton.whole || entry.pieces == UNSPACED) continue;
    if (pieces == 1 || pieces == <u32>entry.pieces) return entry;
  }
  return null;
}

function keepForBlank(hit: ListHit, at: usize, bytes: u32): void {
  if (hit.blankCount == BLANKS_MAX || hit.blankedBytes + bytes > BLANKED_BYTES_MAX) return;
  if (hit.blanks == 0) hit.blanks = <u32>alloc(BLANKS_MAX * 12, 4);
  const blank = <usize>hit.blanks + hit.blankCount * 12;
  const kept = alloc(bytes, 1);
  memory.copy(kept, at, bytes);
  store<u32>(blank, <u32>at);
  store<u32>(blank, bytes, 4);
  store<u32>(blank, <u32>kept, 8);
  hit.blankCount += 1;
  hit.blankedBytes += bytes;
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

/** The first of the entries with that hash, or where it would be. */
function lowest(first: u32, from: u32, count: u32): u32 {
  let low: u32 = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (indexed(from + middle).first < first) low = middle + 1;
    else high = middle;
  }
  return low;
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

/** Of scripts without spaces: entries that stand anywhere. */
function meetUnspaced(hit: ListHit, text: usize, end: usize): void {
  const blocked = state().blockIndexCount;
  for (let at = text; at < end;) {
    const decoded: u32 = load<u8>(at) < 0xe0 ? 0x1000000 : decode(at, end);
    const size = decoded >> 24;
    if (isUnspaced(decoded & 0xffffff)) {
      const found = standsAt(at, end, size, 0, blocked);
      if (found != null) hit.block(found);
      const allowed = standsAt(at, end, size, blocked, state().allowIndexCount);
      if (allowed != null) {
        const entry = changetype<Entry>(POLICY + allowed.place);
        if (hit.allowed == 0) hit.allowed = <u32>changetype<usize>(entry);
        keepForBlank(hit, at, entry.bytes);
      }
    }
    at += size;
  }
}

/** The longest of `count` entries from number `from` on that stands there. */
function standsAt(at: usize, end: usize, size: u32, from: u32, count: u32): IndexEntry | null {
  const first = hash32(at, size);
  let best: IndexEntry | null = null;
  let most: u32 = 0;
  for (let number = lowest(first, from, count); number < count; number++) {
    const found = indexed(from + number);
    if (found.first != first) break;
    if (found.words != 0 || found.pieces != UNSPACED) continue;
    const entry = changetype<Entry>(POLICY + found.place);
    const bytes = <u32>entry.bytes;
    if (bytes <= most || at + bytes > end) continue;
    if (memory.compare(entry.text, at, bytes) != 0) continue;
    best = found;
    most = bytes;
  }
  return best;
}

/** Han, kana, Thai, Lao, Myanmar, Khmer. */
function isUnspaced(codePoint: u32): bool {
  if (codePoint < 0x0e00) return false;
  if (codePoint < 0x2e80) {
    return codePoint < 0x0f00 || (codePoint >= 0x1000 && codePoint < 0x10a0) ||
      (codePoint >= 0x1780 && codePoint < 0x1800);
  }
  if (codePoint >= 0x3000 && codePoint < 0x3041) return codePoint >= 0x3005 && codePoint < 0x3008;
  return codePoint < 0xa000 || (codePoint >= 0xf900 && codePoint < 0xfb00) ||
    (codePoint >= 0xff66 && codePoint < 0xffa0) || (codePoint >= 0x20000 && codePoint < 0x40000);
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

/** Puts an entry where it belongs among `count` from number `from` on. */
function insert(entry: IndexEntry, from: u32, count: u32): void {
  let at = count;
  while (at > 0 && indexed(from + at - 1).first > entry.first) at -= 1;
  const place = changetype<usize>(indexed(from + at));
  memory.copy(place + INDEX_ENTRY_BYTES, place, (count - at) * INDEX_ENTRY_BYTES);
  memory.copy(place, changetype<usize>(entry), INDEX_ENTRY_BYTES);
}

@inline
function indexed(number: u32): IndexEntry {
  return changetype<IndexEntry>(indexAt() + <usize>number * INDEX_ENTRY_BYTES);
}

@inline
function allowWordsAt(): usize {
  return indexAt() + indexEntryBytes(state().blockIndexCount + state().allowIndexCount);
}
