// What a message has of the lists, and the places of it that are blanked while it is scored.
import { alloc } from "../../sdk/assembly/arena";
import { decode } from "../../sdk/assembly/text/unicode";
import { IndexEntry } from "./list-index";
import { Entry } from "./policy";
import { POLICY } from "./state";

/** What is blanked of one message, at most; allowed phrases beyond it are scored as they are. */
const BLANKS_MAX: u32 = 16;
const BLANKED_BYTES_MAX: u32 = 1024;
const SPACE: u8 = 0x20;

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

/** Blanks the places that were kept. */
export function blankAll(hit: ListHit): void {
  for (let index: u32 = 0; index < hit.blankCount; index++) {
    const blank = <usize>hit.blanks + index * 12;
    blankOut(load<u32>(blank), load<u32>(blank, 4));
  }
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

/** The text as it came. */
export function unblank(hit: ListHit): void {
  // Phrases may overlap: the last one kept is put back first.
  for (let index = hit.blankCount; index > 0; index--) {
    const blank = <usize>hit.blanks + (index - 1) * 12;
    memory.copy(<usize>load<u32>(blank), <usize>load<u32>(blank, 8), load<u32>(blank, 4));
  }
}

export function keepForBlank(hit: ListHit, at: usize, bytes: u32): void {
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
