// The terms of many streams as one: lists of term-list.ts added up, every count still an interval.
//
// A merged table holds [low, high] for each of its keys, and `unlisted`, the most that any other
// key can have had. The law is that of intervals: a key's count in all streams together lies
// between the sum of the lower and the sum of the upper ends, where a stream that does not list the
// key puts in [0, its unlisted]. A key that no stream lists has at most the sum of all unlisted.
//
// The table is bounded. When it is full, of the least kept key and the newcomer the one with the
// lower `low` is left out, and `unlisted` becomes at least its upper end: still true of every key,
// only wider. While it never fills, the result does not depend on the order of the streams at all;
// after that the intervals may, the truth within them not.
//
// Cost: MERGE_ENTRY_BYTES a key and a head of MERGE_HEAD_BYTES; adding a list of n keys takes
// O(n + capacity) with the index, and O(capacity) more for each key that takes another's place.
// Host memory: nothing here allocates. Checked against exact sums by guests/sdk/term-merge.test.ts.
import { equalBytes } from "./bytes";
import { encodeTerm, padded, TERM_HEAD_BYTES, TERMS_HEAD_BYTES } from "./term-list";

export const MERGE_HEAD_BYTES: u32 = 32;
export const MERGE_ENTRY_BYTES: u32 = 72;
export const TERM_BYTES_MAX: u32 = 40;
const NO_ENTRY: u32 = 0xffffffff;
/** Lower ends stop here, so that no sum of them leaves the numbers: 2^53. */
const COUNT_MAX: f64 = 9007199254740992;

/** One key of the merged table. */
@unmanaged
class MergeEntry {
  low: f64;
  high: f64;
  hash: u32;
  keyBytes: u32;
  /** Number of the list that the key was last in. */
  list: u32;
  reserved: u32;
  // 40 bytes of key

  @inline
  get key(): usize {
    return changetype<usize>(this) + offsetof<MergeEntry>();
  }
}

/** Bytes of a table of `capacity` keys. */
export function mergeBytes(capacity: u32): u32 {
  return MERGE_HEAD_BYTES + capacity * MERGE_ENTRY_BYTES + (indexEntries(capacity) << 2);
}

/** Lies at the head of mergeBytes(capacity) bytes, which `open` makes ready. */
@unmanaged
export class TermMerge {
  /** At most this many events of any key that is not in the table. */
  unlisted: f64;
  capacity: u32;
  count: u32;
  /** Lists added. */
  lists: u32;
  private indexMask: u32;
  /** The entry that is left out next, or NO_ENTRY: not known. */
  private leastKnown: u32;
  private reserved: u32;

  open(capacity: u32): void {
    memory.fill(changetype<usize>(this), 0, mergeBytes(capacity));
    this.capacity = capacity;
    this.indexMask = indexEntries(capacity) - 1;
  }

  /**
   * Adds a list in its portable form, which names a key once. False, and nothing is added, if it is
   * not one: of another length than it says, with keys of no or too many bytes, or intervals that
   * are none.
   */
  add(list: usize, bytes: u32): bool {
    if (!isList(list, bytes)) return false;
    this.lists += 1;
    const unlisted = load<f64>(list, 8);
    const unlistedBefore = this.unlisted;
    const terms = load<u32>(list);
    let term = list + TERMS_HEAD_BYTES;
    for (let index: u32 = 0; index < terms; index++) {
      this.addKnown(term);
      term = next(term);
    }
    // The others of the table: the list may have had them too.
    for (let index: u32 = 0; index < this.count; index++) {
      const entry = this.entry(index);
      if (entry.list != this.lists) entry.high += unlisted;
    }
    this.unlisted = unlistedBefore + unlisted;
    this.leastKnown = NO_ENTRY;
    term = list + TERMS_HEAD_BYTES;
    for (let index: u32 = 0; index < terms; index++) {
      this.addNew(term, unlistedBefore);
      term = next(term);
    }
    return true;
  }

  /** Sorts the table: most first, and equal ones by their upper ends and then their bytes. */
  sort(): void {
    // By a heap whose root is the last of what is left.
    for (let root = this.count >> 1; root-- > 0; ) this.sift(root, this.count);
    for (let end = this.count; end > 1; ) {
      end -= 1;
      swap(this.entryAt(0), this.entryAt(end));
      this.sift(0, end);
    }
    this.reindex();
  }

  /** Bytes of the portable form of the first `limit` keys; sort first. */
  encodedBytes(limit: u32): u32 {
    let bytes = TERMS_HEAD_BYTES;
    for (let index: u32 = 0; index < min(limit, this.count); index++)
      bytes += TERM_HEAD_BYTES + padded(this.entry(index).keyBytes);
    return bytes;
  }

  /** Writes the portable form, encodedBytes(limit) long; what is cut off widens `unlisted`. */
  encode(at: usize, limit: u32): void {
    const count = min(limit, this.count);
    let unlisted = this.unlisted;
    for (let index = count; index < this.count; index++)
      unlisted = max<f64>(unlisted, this.entry(index).high);
    store<u32>(at, count);
    store<u32>(at, 0, 4);
    store<f64>(at, unlisted, 8);
    at += TERMS_HEAD_BYTES;
    for (let index: u32 = 0; index < count; index++) {
      const entry = this.entry(index);
      at = encodeTerm(at, entry.low, entry.high, entry.key, entry.keyBytes);
    }
  }

  @inline
  private entry(index: u32): MergeEntry {
    return changetype<MergeEntry>(this.entryAt(index));
  }

  @inline
  private entryAt(index: u32): usize {
    return changetype<usize>(this) + MERGE_HEAD_BYTES + <usize>index * MERGE_ENTRY_BYTES;
  }

  /** u32[indexMask + 1]: number of the entry + 1, or 0; open addressing. */
  @inline
  private get index(): usize {
    return this.entryAt(this.capacity);
  }

  /** Adds a term to the key it is of, if the table has it. */
  private addKnown(term: usize): void {
    const index = this.find(hashOf(keyOf(term), keyBytesOf(term)), term);
    if (index == NO_ENTRY) return;
    const entry = this.entry(index);
    entry.low = min<f64>(entry.low + load<f64>(term), COUNT_MAX);
    entry.high += load<f64>(term, 8);
    entry.list = this.lists;
  }

  /**
   * Takes a term into the table whose key is not in it. (Its key may have been there until a term
   * of the same list displaced it. Then all others have as much as it had, and it stays out.)
   */
  private addNew(term: usize, unlistedBefore: f64): void {
    const hash = hashOf(keyOf(term), keyBytesOf(term));
    if (this.find(hash, term) != NO_ENTRY) return;
    const low = load<f64>(term);
    const high = load<f64>(term, 8) + unlistedBefore;
    let index = this.count;
    if (index == this.capacity) {
      if (this.leastKnown == NO_ENTRY) this.leastKnown = this.least();
      index = this.leastKnown;
      if (index == NO_ENTRY || this.entry(index).low >= low) {
        this.unlisted = max<f64>(this.unlisted, high);
        return;
      }
      this.unlisted = max<f64>(this.unlisted, this.entry(index).high);
      this.leastKnown = NO_ENTRY;
      this.unlink(index);
    } else {
      this.count = index + 1;
    }
    const entry = this.entry(index);
    entry.low = low;
    entry.high = high;
    entry.hash = hash;
    entry.keyBytes = keyBytesOf(term);
    entry.list = this.lists;
    memory.fill(entry.key, 0, TERM_BYTES_MAX);
    memory.copy(entry.key, keyOf(term), entry.keyBytes);
    this.link(index);
  }

  private find(hash: u32, term: usize): u32 {
    const bytes = keyBytesOf(term);
    let at = hash & this.indexMask;
    while (true) {
      const number = load<u32>(this.index + (<usize>at << 2));
      if (number == 0) return NO_ENTRY;
      const entry = this.entry(number - 1);
      if (entry.hash == hash && entry.keyBytes == bytes) {
        if (equalBytes(entry.key, keyOf(term), bytes)) return number - 1;
      }
      at = (at + 1) & this.indexMask;
    }
  }

  private least(): u32 {
    let least = NO_ENTRY;
    for (let index: u32 = 0; index < this.count; index++)
      if (least == NO_ENTRY || isBefore(this.entry(least), this.entry(index))) least = index;
    return least;
  }

  /** Moves an entry down the heap of the first `count` until none below comes after it. */
  private sift(root: u32, count: u32): void {
    for (let parent = root; ; ) {
      let child: u32 = 2 * parent + 1;
      if (child >= count) return;
      if (child + 1 < count && isBefore(this.entry(child), this.entry(child + 1))) child += 1;
      if (!isBefore(this.entry(parent), this.entry(child))) return;
      swap(this.entryAt(parent), this.entryAt(child));
      parent = child;
    }
  }

  private link(index: u32): void {
    let at = this.entry(index).hash & this.indexMask;
    while (load<u32>(this.index + (<usize>at << 2)) != 0) at = (at + 1) & this.indexMask;
    store<u32>(this.index + (<usize>at << 2), index + 1);
  }

  /** Backward-shift deletion. */
  private unlink(index: u32): void {
    const mask = this.indexMask;
    let hole = this.entry(index).hash & mask;
    while (load<u32>(this.index + (<usize>hole << 2)) != index + 1) hole = (hole + 1) & mask;
    let at = hole;
    while (true) {
      at = (at + 1) & mask;
      const number = load<u32>(this.index + (<usize>at << 2));
      if (number == 0) break;
      const wanted = this.entry(number - 1).hash & mask;
      if (((at - wanted) & mask) < ((at - hole) & mask)) continue;
      store<u32>(this.index + (<usize>hole << 2), number);
      hole = at;
    }
    store<u32>(this.index + (<usize>hole << 2), 0);
  }

  private reindex(): void {
    memory.fill(this.index, 0, (this.indexMask + 1) << 2);
    for (let index: u32 = 0; index < this.count; index++) this.link(index);
  }
}

/** At most half full, so that chains stay short. */
function indexEntries(capacity: u32): u32 {
  let entries: u32 = 8;
  while (entries < capacity * 2) entries <<= 1;
  return entries;
}

/** Whether the bytes are a list that `add` takes. */
export function isList(list: usize, bytes: u32): bool {
  if (bytes < TERMS_HEAD_BYTES || !(load<f64>(list, 8) >= 0)) return false;
  const terms = load<u32>(list);
  let rest = bytes - TERMS_HEAD_BYTES;
  let term = list + TERMS_HEAD_BYTES;
  for (let index: u32 = 0; index < terms; index++) {
    if (rest < TERM_HEAD_BYTES) return false;
    const keyBytes = keyBytesOf(term);
    if (keyBytes == 0 || keyBytes > TERM_BYTES_MAX) return false;
    if (rest < TERM_HEAD_BYTES + padded(keyBytes)) return false;
    const low = load<f64>(term);
    if (!(low >= 0 && low <= COUNT_MAX && load<f64>(term, 8) >= low)) return false;
    rest -= TERM_HEAD_BYTES + padded(keyBytes);
    term = next(term);
  }
  return rest == 0;
}

@inline
function keyBytesOf(term: usize): u32 {
  return <u32>load<u16>(term, 16);
}

@inline
function keyOf(term: usize): usize {
  return term + TERM_HEAD_BYTES;
}

@inline
function next(term: usize): usize {
  return term + TERM_HEAD_BYTES + padded(keyBytesOf(term));
}

/** FNV-1a, mixed. */
function hashOf(key: usize, bytes: u32): u32 {
  let hash: u32 = 0x811c9dc5;
  for (let at: usize = 0; at < <usize>bytes; at++)
    hash = (hash ^ <u32>load<u8>(key + at)) * 0x01000193;
  return hash ^ (hash >> 15);
}

function isBefore(left: MergeEntry, right: MergeEntry): bool {
  if (left.low != right.low) return left.low > right.low;
  if (left.high != right.high) return left.high > right.high;
  const bytes = min(left.keyBytes, right.keyBytes);
  const order = memory.compare(left.key, right.key, bytes);
  return order != 0 ? order < 0 : left.keyBytes < right.keyBytes;
}

function swap(left: usize, right: usize): void {
  for (let at: usize = 0; at < <usize>MERGE_ENTRY_BYTES; at += 8) {
    const word = load<u64>(left + at);
    store<u64>(left + at, load<u64>(right + at));
    store<u64>(right + at, word);
  }
}
