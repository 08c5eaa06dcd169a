// Rows and the table of the 60 s window, driven as a summarizer drives them, with nothing around
// them; for the property test against an exact count. Keys are the four bytes of a u32; `hashBits`
// below 32 makes different keys share hashes.
import { alloc, mark, release, reset, STATE_ADDRESS } from "../arena";
import { mix32 } from "../sketches/bytes";
import { NO_SLOT, PANES, SLOT_RECORD_BYTES, SpaceSaving } from "../sketches/space-saving";
import { encode, encodedBytes, listTerms, TermList } from "../sketches/term-list";
import { packedRowsBytes, packRows, unpackRows } from "../sketches/term-pack";
import { byteOf, numberOf, TERM_ROW_BYTES } from "../sketches/term-row";
import { TERM_SPANS_HEAD_BYTES, TermSpans } from "../sketches/term-spans";

const KEY: usize = memory.data(8, 8);
const HASH_BITS: usize = memory.data(4, 4);
const INDEX_ENTRIES: u32 = 1024;
const TERMS: usize = STATE_ADDRESS + 256;
const ROWS: usize = STATE_ADDRESS + 512;
const SLOTS: usize = STATE_ADDRESS + 512 + 64 * 256;
const FAR: usize = STATE_ADDRESS + 0xf000;
const FAR_BYTES: usize = 4096;
const CANARY: u64 = 0xc0ffee;

export function open(capacity: u32, indexed: bool, rows: u32, pane: u32, hashBits: u32): void {
  reset();
  memory.fill(STATE_ADDRESS, 0, 0x10000);
  store<u32>(HASH_BITS, hashBits);
  const slots = table();
  slots.capacity = capacity;
  slots.pane = pane;
  let at = <u32>SLOTS;
  slots.hashes = at;
  slots.own = at += capacity << 2;
  slots.priority = at += capacity << 2;
  slots.ring = at += capacity << 2;
  slots.records = at += (capacity << 2) * PANES;
  at += capacity * SLOT_RECORD_BYTES;
  slots.index = indexed ? at : 0;
  slots.indexMask = INDEX_ENTRIES - 1;
  terms().bind(ROWS, rows);
  terms().advance(slots, pane);
  store<u64>(TERMS + TERM_SPANS_HEAD_BYTES, CANARY);
  store<u64>(ROWS + rows * TERM_ROW_BYTES, CANARY);
}

/** Whether nothing was written beyond the head and the rows, and no scratch is left. */
export function isTidy(rows: u32): bool {
  return mark() == __heap_base && load<u64>(TERMS + TERM_SPANS_HEAD_BYTES) == CANARY &&
    load<u64>(ROWS + rows * TERM_ROW_BYTES) == CANARY;
}

export function add(key: u32, pane: u32, weight: u32): void {
  const slots = table();
  const hash = hashOf(key);
  if (terms().isLate(pane)) terms().addLate(hash, KEY, 4, key % 7, pane, weight);
  if (pane < slots.low) return;
  let slot = slots.find(hash, KEY, 4);
  if (slot == NO_SLOT) {
    slot = slots.count;
    if (slot == slots.capacity) {
      slot = slots.victim();
      terms().keep(slots, slot);
      slots.evict(slot);
    }
    slots.insert(slot, hash, KEY, 4);
    slots.record(slot).kind = <u8>(key % 7);
  }
  slots.add(slot, pane, weight);
}

export function advance(pane: u32): void {
  terms().advance(table(), pane);
  table().roll(pane - table().pane);
}

/** As a summarizer does when it has gone quiet. */
export function removeSlot(slot: u32): void {
  if (slot >= table().count) return;
  terms().keep(table(), slot);
  table().remove(slot);
}

/** Another number of rows, as when a tenant grows or shrinks. */
export function setRows(rows: u32): void {
  store<u64>(ROWS + terms().capacity * TERM_ROW_BYTES, 0);
  if (rows < terms().capacity) terms().shrink(rows);
  else terms().bind(ROWS, rows);
  store<u64>(ROWS + rows * TERM_ROW_BYTES, CANARY);
}

/** The rows from the fourth on in a page apart. */
export function spread(): void {
  store<u64>(ROWS + terms().capacity * TERM_ROW_BYTES, 0);
  terms().spread();
  store<u64>(ROWS + 3 * TERM_ROW_BYTES, CANARY);
  store<u64>(FAR + 16 * TERM_ROW_BYTES, CANARY);
}

export function isSpread(): bool {
  return terms().isSpread;
}

/** In one array of so many again; whether that leaves nothing in the page. */
export function gather(rows: u32): bool {
  store<u64>(ROWS + 3 * TERM_ROW_BYTES, 0);
  if (load<u64>(FAR + 16 * TERM_ROW_BYTES) != CANARY) return false;
  store<u64>(FAR + 16 * TERM_ROW_BYTES, 0);
  terms().gather(rows);
  store<u64>(ROWS + rows * TERM_ROW_BYTES, CANARY);
  for (let at: usize = 0; at < FAR_BYTES; at += 8) if (load<u64>(FAR + at) != 0) return false;
  return true;
}

/** Packs all rows and unpacks them where they were; the bytes, or 0 if they are not the same. */
export function repack(): u32 {
  const it = terms();
  const count = it.count;
  const start = mark();
  const bytes = packedRowsBytes(it);
  const packed = alloc(bytes);
  packRows(it, packed);
  if (load<u64>((packed + bytes + 7) & ~7) != 0) return 0;
  const before = alloc(count * TERM_ROW_BYTES);
  for (let index: u32 = 0; index < count; index++)
    memory.copy(
      before + index * TERM_ROW_BYTES, changetype<usize>(it.row(index)), TERM_ROW_BYTES,
    );
  unpackRows(it, count, packed);
  let same = true;
  for (let index: u32 = 0; index < count; index++)
    if (memory.compare(
      before + index * TERM_ROW_BYTES, changetype<usize>(it.row(index)), TERM_ROW_BYTES,
    ) != 0) same = false;
  release(start);
  return same ? bytes : 0;
}

export function rowCount(): u32 {
  return terms().count;
}

/** Lists the terms of a span; the probe's other functions read the list until `forget`. */
export function list(span: u32, limit: u32): TermList {
  return listTerms(terms(), table(), span, limit);
}

export function forget(): void {
  reset();
}

export function listCount(found: TermList): u32 {
  return found.count;
}

export function unlisted(found: TermList): f64 {
  return found.unlisted;
}

export function keyAt(found: TermList, index: u32): u32 {
  const entry = found.entry(index);
  return entry.keyBytes == 4 && entry.kind == load<u32>(entry.key) % 7 ? load<u32>(entry.key) : 0;
}

export function lowAt(found: TermList, index: u32): f64 {
  return found.entry(index).low;
}

export function highAt(found: TermList, index: u32): f64 {
  return found.entry(index).high;
}

/** The address of the portable form; its length follows it. */
export function encoded(found: TermList): usize {
  const bytes = encodedBytes(found);
  const at = alloc(bytes);
  const length = alloc(4, 4);
  if (length != at + bytes) unreachable();
  encode(at, found);
  store<u32>(length, bytes);
  return at;
}

export function encodedLength(found: TermList): u32 {
  return encodedBytes(found);
}

/** What is left of a count that was kept in a byte. */
export function throughByte(count: u32): f64 {
  return numberOf(byteOf(count));
}

/** Runs `times` minutes of the same counts through the rows; for timing. */
export function repeatMinute(times: u32): void {
  for (let time: u32 = 0; time < times; time++) {
    terms().advance(table(), table().pane + 12);
    table().pane += 12;
  }
}

function hashOf(key: u32): u32 {
  store<u32>(KEY, key);
  const bits = load<u32>(HASH_BITS);
  return mix32(key) & (bits == 32 ? 0xffffffff : (1 << bits) - 1);
}

function terms(): TermSpans {
  return changetype<TermSpans>(TERMS);
}

function table(): SpaceSaving {
  return changetype<SpaceSaving>(STATE_ADDRESS);
}
