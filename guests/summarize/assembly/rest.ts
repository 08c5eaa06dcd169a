// A tenant at rest: what a tenant with an empty window has beside its arrays, packed into what they
// leave free of one page (tiers.ts).
//
//   head     16 bytes, the struct below
//   text     the tenant's own record, if there are no conversations: its header, a bit for each of
//            its cells that is used (16 bytes), those cells, its lines
//   usual    of the terms that had slots: { u32 hash, f32 past, recent, spread, u32 inserted, u16
//            firstSeen, u8 kind, u8 bytes of key } key, padded to 4
//   rows     the terms of the longer windows, packed (term-pack.ts)
//
// Lines always find room, so the text that is told stays as it is. Next come the rows: those that
// find none are given up, least first, and widen the bounds; but some room is left for the rest. Of
// the cells those that count least are left out where there is no room for all, of the terms those
// that were said least; a term that is left out is taken for new when it comes again. Time that
// passes meanwhile fades what is usual when it is unpacked, and moves the rows on when they are;
// who asks meanwhile reads a copy of them.
import { alloc } from "../../sdk/assembly/arena";
import { SlotRecord } from "../../sdk/assembly/sketches/space-saving";
import { packedRowsBytes, packRows, unpackRows } from "../../sdk/assembly/sketches/term-pack";
import { TERM_ROW_BYTES } from "../../sdk/assembly/sketches/term-row";
import { TERM_SPANS_HEAD_BYTES, TermSpans } from "../../sdk/assembly/sketches/term-spans";
import { fadeHistory } from "../../sdk/assembly/sketches/trend";
import { padded, Record } from "./conversation-record";
import { conversations, state, table, termSpans } from "./state";

const CELLS_OWN: u32 = 128;
const CELL_BITS_BYTES: u32 = CELLS_OWN >> 3;
const TERM_HEAD_BYTES: u32 = 24;
/** Left by the rows to the cells and to what is usual. */
const KEPT_FROM_ROWS_BYTES: u32 = 512;

@unmanaged
export class Rest {
  /** When it was packed. */
  pane: u32;
  cells: u16;
  /** Bytes of its lines. */
  lines: u16;
  terms: u16;
  hasOwn: bool;
  rows: u8;
  /** Where the rows begin, from here. */
  rowsAt: u32;

  @inline
  get own(): usize {
    return changetype<usize>(this) + offsetof<Rest>();
  }
}

/** Whether the tenant has a text of its own that is alone in its page. */
export function mayMoveOwn(): bool {
  const it = conversations();
  return it.own.used != 0 && it.used == 0;
}

/**
 * Packs into `room` zero bytes at `to`; the text leaves its page if it finds room. The rows of the
 * longer windows stay in their places too.
 */
export function pack(to: Rest, room: u32): void {
  to.pane = table().pane;
  const own = conversations().own;
  const lines = <u32>(own.end - own.lines);
  let used = <u32>offsetof<Rest>();
  const least = used + <u32>offsetof<Record>() + CELL_BITS_BYTES + lines;
  const movesOwn = mayMoveOwn() && least <= room;
  room -= fitRows(room - (movesOwn ? least : used));
  if (movesOwn) {
    packOwn(to, own, lines, room - least);
    used = least + ((<u32>to.cells) << 2);
  }
  const end = changetype<usize>(to) + room;
  to.rowsAt = <u32>(packTerms(to, changetype<usize>(to) + used, end) - changetype<usize>(to));
  to.rows = <u8>termSpans().count;
  packRows(termSpans(), changetype<usize>(to) + <usize>to.rowsAt);
}

/** Gives up rows until they leave enough of `room` when they are packed; returns their bytes. */
function fitRows(room: u32): u32 {
  const terms = termSpans();
  while (true) {
    const bytes = packedRowsBytes(terms);
    if (terms.count == 0 || bytes + KEPT_FROM_ROWS_BYTES <= room) return bytes;
    terms.shrink(terms.count - 1);
  }
}

/** The terms of the longer windows, to be read only: of a tenant that rests, a copy. */
export function readTermSpans(): TermSpans {
  const it = state();
  if (it.rest == 0) return termSpans();
  const from = changetype<Rest>(<usize>it.rest);
  const terms = changetype<TermSpans>(alloc(TERM_SPANS_HEAD_BYTES));
  memory.copy(changetype<usize>(terms), changetype<usize>(termSpans()), TERM_SPANS_HEAD_BYTES);
  terms.bind(alloc(<usize>from.rows * TERM_ROW_BYTES), from.rows);
  unpackRowsOf(from, terms);
  return terms;
}

/** Puts the rows where there is room for all of them, and has them catch up with the window. */
function unpackRowsOf(from: Rest, terms: TermSpans): void {
  unpackRows(terms, from.rows, changetype<usize>(from) + <usize>from.rowsAt);
  terms.advance(table(), table().pane);
}

/** What `pack` has left, into arrays that are empty. */
export function unpack(from: Rest): void {
  const it = state();
  if (<u32>from.rows > termSpans().capacity) termSpans().spread();
  unpackRowsOf(from, termSpans());
  if (from.hasOwn) unpackOwn(from, conversations().own);
  let at = from.own;
  if (from.hasOwn)
    at += offsetof<Record>() + CELL_BITS_BYTES + (<usize>from.cells << 2) + <usize>from.lines;
  const slots = table();
  for (let slot: u32 = 0; slot < <u32>from.terms; slot++) {
    const bytes = <u32>load<u8>(at, 23);
    slots.insert(slot, load<u32>(at), at + TERM_HEAD_BYTES, bytes);
    store<f32>(it.past + (slot << 2), load<f32>(at, 4));
    store<f32>(it.recent + (slot << 2), load<f32>(at, 8));
    store<f32>(it.spread + (slot << 2), load<f32>(at, 12));
    const record = slots.record(slot);
    record.inserted = load<u32>(at, 16);
    record.firstSeen = load<u16>(at, 20);
    record.kind = load<u8>(at, 22);
    at += TERM_HEAD_BYTES + padded(bytes);
  }
  if (slots.pane > from.pane)
    fadeHistory(
      it.past, it.recent, it.spread, slots.count, it.windows, slots.pane - from.pane,
    );
}

/** The text into OWN_BYTES zeros; nothing if there is none. */
export function unpackOwn(from: Rest, own: Record): void {
  if (!from.hasOwn) return;
  memory.copy(changetype<usize>(own), from.own, offsetof<Record>());
  const bits = from.own + offsetof<Record>();
  let next = bits + CELL_BITS_BYTES;
  for (let cell: u32 = 0; cell < CELLS_OWN; cell++) {
    if ((load<u8>(bits + (cell >> 3)) & (<u8>1 << <u8>(cell & 7))) == 0) continue;
    store<u32>(own.cells + (cell << 2), load<u32>(next));
    next += 4;
  }
  memory.copy(own.lines, next, from.lines);
}

function packOwn(to: Rest, own: Record, lines: u32, roomOfCells: u32): void {
  to.hasOwn = true;
  to.lines = <u16>lines;
  memory.copy(to.own, changetype<usize>(own), offsetof<Record>());
  let least: u32 = 1;
  while (cellsFrom(own, least) << 2 > roomOfCells) least += 1;
  const bits = to.own + offsetof<Record>();
  let next = bits + CELL_BITS_BYTES;
  for (let cell: u32 = 0; cell < CELLS_OWN; cell++) {
    if (weightOf(own, cell) < least) continue;
    store<u8>(bits + (cell >> 3), load<u8>(bits + (cell >> 3)) | (<u8>1 << <u8>(cell & 7)));
    store<u32>(next, load<u32>(own.cells + (cell << 2)));
    next += 4;
    to.cells += 1;
  }
  memory.copy(next, own.lines, lines);
  memory.fill(changetype<usize>(own), 0, own.used);
}

function cellsFrom(own: Record, least: u32): u32 {
  let count: u32 = 0;
  for (let cell: u32 = 0; cell < CELLS_OWN; cell++) if (weightOf(own, cell) >= least) count += 1;
  return count;
}

/** How much a term is talked about and usually is; of a cell that is free, 0. */
function weightOf(own: Record, cell: u32): u32 {
  const counts = <u32>load<u8>(own.cells + (cell << 2), 3);
  return (counts >> 4) + (counts & 15);
}

/** Those said most first, as long as there is room; returns where they end. */
function packTerms(to: Rest, at: usize, end: usize): usize {
  const past = state().past;
  const slots = table();
  let packed: u32 = 0;
  while (true) {
    let most: u32 = slots.count;
    for (let slot: u32 = 0; slot < slots.count; slot++) {
      if (((packed >> slot) & 1) != 0) continue;
      if (most == slots.count || load<f32>(past + (slot << 2)) > load<f32>(past + (most << 2)))
        most = slot;
    }
    if (most == slots.count) return at;
    packed |= <u32>1 << most;
    const bytes = TERM_HEAD_BYTES + padded(slots.record(most).keyBytes);
    if (at + bytes > end) continue;
    packTerm(at, most, slots.record(most));
    to.terms += 1;
    at += bytes;
  }
}

function packTerm(at: usize, slot: u32, record: SlotRecord): void {
  const it = state();
  store<u32>(at, load<u32>(table().hashes + (slot << 2)));
  store<f32>(at, load<f32>(it.past + (slot << 2)), 4);
  store<f32>(at, load<f32>(it.recent + (slot << 2)), 8);
  store<f32>(at, load<f32>(it.spread + (slot << 2)), 12);
  store<u32>(at, record.inserted, 16);
  store<u16>(at, record.firstSeen, 20);
  store<u8>(at, record.kind, 22);
  store<u8>(at, record.keyBytes, 23);
  memory.copy(at + TERM_HEAD_BYTES, record.key, record.keyBytes);
}
