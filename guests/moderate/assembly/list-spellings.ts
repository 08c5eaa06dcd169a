// Entries of the lists in other spellings (spelling.ts): in one piece of a text, in several that
// stand in a row, in letters that stand alone; and those of scripts without spaces, anywhere.
import { alloc } from "../../sdk/assembly/arena";
import { decode } from "../../sdk/assembly/text/unicode";
import { keepForBlank, ListHit } from "./list-hit";
import { isUnspaced, spelled, standsAt } from "./list-index";
import { Entry } from "./policy";
import { extendSkeleton, LETTERS_MIN, readSkeleton, Skeleton } from "./spelling";
import { POLICY, state } from "./state";

const SPACE: u8 = 0x20;
/** Letters that stand alone, of one run; of a longer one the last RUN_KEPT are met again. */
const RUN_MAX: u32 = 32;
const RUN_KEPT: u32 = 16;

/** What is an entry of the lists once it is spelled as it is meant. */
export function meetSpellings(hit: ListHit, text: usize, bytes: u32): void {
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

/** Of scripts without spaces: entries that stand anywhere. */
export function meetUnspaced(hit: ListHit, text: usize, end: usize): void {
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
