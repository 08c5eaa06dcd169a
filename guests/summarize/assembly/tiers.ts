// How the state of a tenant grows and shrinks.
//
// Behind the header lie arrays back to back, all 8-aligned, in the same order in every tier:
//
//                     bytes each  rest  crowd   cold   mild    warm    busy     hot
//   header                  872     1      1      1      1       1       1       1
//   slots of terms          157     -      -      8     24      36      96     256
//   distinct users            6    32    128     32    128     256     256    1024   to 3/4 exact
//   ids                       8    16     16     16     32      64     128     256
//   sayings                  16     -      -      8      8      16      32      64
//   quotes                  256     -      -      2      4       6      12      12
//   baseline of evicted       4     -      -      -     64     128     256     256
//   index of slots            2     -      -      -      -       -     256    1024
//   ledger of late events    52     1      1      1      1       1       2       4   a head of 48
//   terms of long windows   244     -      -      3      4       5      19      19
//   sum                          1304   1880   3944   8168   12232   28424   61320
//   4 KiB pages                     1      1      1      2       3       7      15
//
// A table that runs full grows: to warm always, further only where enough happens to pay for it;
// else it evicts, and its bounds say so. A tenant that has gone quiet shrinks again, terms that
// left the window first; a list of users too short for everybody keeps it from that, which is less
// than the sketches would take. The tier between warm and hot is there for chats of a message every
// second or so: 36 slots turn over in seconds there, and 64 KiB for each such chat would be most of
// a machine's memory. The hot tier and the page of the rolling text are 64 KiB together.
//
// A tenant whose window is empty rests on one page, however many were its users up to 96: a cold
// one that has a text of its own, or many terms, in `rest`, one with too many users for that in
// `crowd`. What the arrays there leave free of the page holds the text, the terms of the longer
// windows and what is usual for terms (rest.ts), and the next event unpacks it, into the tier that
// it came from.
//
// A tenant below busy in whose last day enough has happened follows 19 terms over the longer
// windows as a busy one does: all but three of them lie in a page apart, which is given back when
// the day was quieter, when the tenant rests, and when its array has room for all.
//
// Because the order is the same and no array is smaller in a higher tier, growing moves the arrays
// from the last to the first and shrinking from the first to the last, in place.
import { alloc, mark, release, STATE_ADDRESS } from "../../sdk/assembly/arena";
import { clear32 } from "../../sdk/assembly/sketches/bytes";
import { LATE_EXAMPLE_BYTES, LEDGER_HEAD_BYTES } from "../../sdk/assembly/sketches/late-ledger";
import { rehashIds, rehashSayings, SAYING_BYTES } from "../../sdk/assembly/sketches/recent";
import { SLOT_RECORD_BYTES } from "../../sdk/assembly/sketches/space-saving";
import { TERM_ROW_BYTES } from "../../sdk/assembly/sketches/term-row";
import { rememberPast } from "../../sdk/assembly/sketches/trend";
import { USER_ENTRY_BYTES } from "../../sdk/assembly/sketches/user-spans";
import { compactQuotes, QUOTE_BYTES } from "./quotes";
import { mayMoveOwn, pack, Rest, unpack } from "./rest";
import { SPAN_DAY } from "../../sdk/assembly/spans";
import {
  BITMAP, eventsInWindow, HEADER_BYTES, keepSpans, state, table, termSpans, timeline,
  ULTRA, users,
} from "./state";

const TIER_REST: u32 = 0;
const TIER_CROWD: u32 = 1;
const TIER_COLD: u32 = 2;
const TIER_MILD: u32 = 3;
const TIER_WARM: u32 = 4;
const TIER_BUSY: u32 = 5;
const TIER_HOT: u32 = 6;
/** Events of the last day from which a tenant has 19 terms, and below which no more. */
const EVENTS_TO_SPREAD: f64 = 64;
const EVENTS_TO_GATHER: f64 = 32;
/** Of the page in which a tenant rests. */
const PAGE_BYTES: usize = 4096;

// Groups of arrays that belong together, for who moves them as they are.
export const GROUP_SLOTS: u32 = 0;
export const GROUP_USERS: u32 = 1;
export const GROUP_LEDGER: u32 = 7;
export const GROUP_TERMS: u32 = 8;
export const GROUP_COUNT: u32 = 9;

/** Where the arrays of a group begin: all of a slot, then each array that is no part of one. */
export function groupAt(group: u32): usize {
  return arrayAt(state().tier, group == GROUP_SLOTS ? 0 : ARRAY_LEVELS + group);
}

export function groupBytes(group: u32): u32 {
  return <u32>(groupAt(group + 1) - groupAt(group));
}

/** Bytes of what a tier is: its capacities. */
export const TIER_BYTES: u32 = 18;

@inline
export function tierShape(tier: u32): usize {
  return CAPACITIES + tier * TIER_BYTES;
}

/** Binds an empty state to a tier; false: there is none of that number and shape. */
export function openTier(tier: u32, shape: usize): bool {
  if (tier > TIER_HOT) return false;
  for (let at: usize = 0; at < TIER_BYTES; at += 2)
    if (load<u16>(tierShape(tier) + at) != load<u16>(shape + at)) return false;
  bind(tier);
  return true;
}

@inline
export function usersRoom(): u32 {
  return capacityOf(state().tier, KIND_USERS);
}

/** What lies packed while the tenant rests. */
@inline
export function restAt(): usize {
  return arrayAt(state().tier, ARRAY_COUNT);
}

@inline
export function restBytes(): u32 {
  return <u32>(STATE_ADDRESS + PAGE_BYTES - restAt());
}

/** Starts the tenant from nothing. */
export function createState(clock: u32, spans: u32): void {
  const it = state();
  it.version = 1;
  it.clock = <u8>clock;
  keepSpans(spans);
  users().start(capacityOf(TIER_COLD, KIND_USERS));
  bind(TIER_COLD);
}

@inline
export function isLargest(): bool {
  return <u32>state().tier == TIER_HOT;
}

@inline
export function isWarm(): bool {
  return <u32>state().tier >= TIER_WARM;
}

/** Makes room for more slots if the tenant is entitled to it. */
export function grow(): bool {
  const from = <u32>state().tier;
  if (from == TIER_HOT || eventsInWindow() < eventsToEnter(from + 1)) return false;
  enlarge(from, from + 1);
  return true;
}

/** Before an event is taken in by a tenant that rests. */
export function wake(): void {
  const it = state();
  const start = mark();
  const bytes = STATE_ADDRESS + PAGE_BYTES - <usize>it.rest;
  const packed = alloc(bytes, 16);
  memory.copy(packed, it.rest, bytes);
  memory.fill(it.rest, 0, bytes);
  it.rest = 0;
  enlarge(it.tier, <u32>it.tier == TIER_REST ? TIER_COLD : TIER_MILD);
  unpack(changetype<Rest>(packed));
  release(start);
}

/** Before a minute of the longer windows' terms is over: room for those that have come up in it. */
export function fitTerms(): void {
  const it = state();
  const terms = termSpans();
  if (<u32>it.tier >= TIER_BUSY || it.rest != 0) return;
  const events = timeline().count(SPAN_DAY);
  if (terms.isSpread) {
    if (events < EVENTS_TO_GATHER) terms.gather(capacityOf(it.tier, KIND_TERMS));
  } else if (events >= EVENTS_TO_SPREAD && terms.count + table().count > terms.capacity) {
    terms.spread();
  }
}

/** Gives memory back if the tenant has gone quiet. */
export function shrink(): void {
  while (shrinkOnce()) {}
}

/** The term of `slot` leaves it: what is known of it goes into its row and the baseline. */
export function retire(slot: u32): void {
  const it = state();
  termSpans().keep(table(), slot);
  const past = load<f32>(it.past + (slot << 2)) + <f32>table().ownOf(slot);
  rememberPast(it.baseline, it.baselineCells, load<u32>(table().hashes + (slot << 2)), past);
  clear32(table().record(slot).people);
  store<u8>(it.peopleLevels + slot, 0);
}

// Tiers: one row of capacities each.
const KIND_SLOTS: u32 = 0;
const KIND_USERS: u32 = 1;
const KIND_IDS: u32 = 2;
const KIND_SAYINGS: u32 = 3;
const KIND_QUOTES: u32 = 4;
const KIND_BASELINE: u32 = 5;
const KIND_INDEX: u32 = 6;
const KIND_TERMS: u32 = 7;
const KIND_EXAMPLES: u32 = 8;
const KIND_COUNT: u32 = 9;
const CAPACITIES: usize = memory.data<u16>([
  0, 32, 16, 0, 0, 0, 0, 0, 1,
  0, 128, 16, 0, 0, 0, 0, 0, 1,
  8, 32, 16, 8, 2, 0, 0, 3, 1,
  24, 128, 32, 8, 4, 64, 0, 4, 1,
  36, 256, 64, 16, 6, 128, 0, 5, 1,
  96, 256, 128, 32, 12, 256, 256, 19, 2,
  256, 1024, 256, 64, 12, 256, 1024, 19, 4,
]);

@inline
function capacityOf(tier: u32, kind: u32): u32 {
  return <u32>load<u16>(CAPACITIES + ((tier * KIND_COUNT + kind) << 1));
}

/**
 * Events in the window from which a full table may grow into the tier. Fewer than the users that
 * the tier below counts exactly, so that as many users never become an estimate for want of a tier.
 */
function eventsToEnter(tier: u32): u32 {
  if (tier == TIER_HOT) return 180;
  return tier == TIER_BUSY ? 40 : 0;
}

/** Events in the window below which the tier is left. */
function eventsToLeave(tier: u32): u32 {
  if (tier == TIER_HOT) return 90;
  return tier == TIER_BUSY ? 20 : 8;
}

// Arrays: (kind of capacity, bytes an element), in the order they lie in.
const ARRAY_RING: u32 = 3;
const ARRAY_PAST: u32 = 15;
const ARRAY_RECORDS: u32 = 18;
const ARRAY_LEVELS: u32 = 19;
const ARRAY_USERS: u32 = 20;
const ARRAY_IDS: u32 = 21;
const ARRAY_SAYINGS: u32 = 22;
const ARRAY_QUOTES: u32 = 23;
const ARRAY_BASELINE: u32 = 24;
const ARRAY_INDEX: u32 = 25;
const ARRAY_LEDGER: u32 = 26;
const ARRAY_TERMS: u32 = 27;
const ARRAY_COUNT: u32 = 28;
const SHAPES: usize = memory.data<u32>([
  KIND_SLOTS, SLOT_RECORD_BYTES, KIND_SLOTS, 1, KIND_USERS, USER_ENTRY_BYTES, KIND_IDS, 8,
  KIND_SAYINGS, SAYING_BYTES, KIND_QUOTES, QUOTE_BYTES, KIND_BASELINE, 4, KIND_INDEX, 2,
  KIND_EXAMPLES, LATE_EXAMPLE_BYTES, KIND_TERMS, TERM_ROW_BYTES,
]);

/** A multiple of 16. */
function arrayBytes(tier: u32, array: u32): u32 {
  if (array < ARRAY_RECORDS) return capacityOf(tier, KIND_SLOTS) << 2;
  const shape = SHAPES + ((array - ARRAY_RECORDS) << 3);
  const bytes = capacityOf(tier, load<u32>(shape)) * load<u32>(shape, 4);
  return ((array == ARRAY_LEDGER ? LEDGER_HEAD_BYTES + bytes : bytes) + 15) & ~15;
}

function arrayAt(tier: u32, array: u32): usize {
  let at = STATE_ADDRESS + HEADER_BYTES;
  for (let before: u32 = 0; before < array; before++) at += arrayBytes(tier, before);
  return at;
}

/** Points the header at the arrays of the tier. */
function bind(tier: u32): void {
  const it = state();
  it.tier = <u8>tier;
  const slots = table();
  slots.capacity = capacityOf(tier, KIND_SLOTS);
  slots.hashes = <u32>arrayAt(tier, 0);
  slots.own = <u32>arrayAt(tier, 1);
  slots.priority = <u32>arrayAt(tier, 2);
  slots.ring = <u32>arrayAt(tier, ARRAY_RING);
  slots.records = <u32>arrayAt(tier, ARRAY_RECORDS);
  const entries = capacityOf(tier, KIND_INDEX);
  slots.index = entries == 0 ? 0 : <u32>arrayAt(tier, ARRAY_INDEX);
  slots.indexMask = entries - 1;
  slots.least = 0;
  it.past = <u32>arrayAt(tier, ARRAY_PAST);
  it.recent = <u32>arrayAt(tier, ARRAY_PAST + 1);
  it.spread = <u32>arrayAt(tier, ARRAY_PAST + 2);
  it.peopleLevels = <u32>arrayAt(tier, ARRAY_LEVELS);
  it.ids = <u32>arrayAt(tier, ARRAY_IDS);
  it.idCapacity = capacityOf(tier, KIND_IDS);
  it.sayings = <u32>arrayAt(tier, ARRAY_SAYINGS);
  it.sayingCapacity = capacityOf(tier, KIND_SAYINGS);
  it.quotes = <u32>arrayAt(tier, ARRAY_QUOTES);
  it.quoteCapacity = capacityOf(tier, KIND_QUOTES);
  it.quoteScoreLeast = -1;
  it.baseline = <u32>arrayAt(tier, ARRAY_BASELINE);
  it.baselineCells = capacityOf(tier, KIND_BASELINE);
  users().bind(arrayAt(tier, ARRAY_USERS), BITMAP, ULTRA);
  it.ledger = <u32>arrayAt(tier, ARRAY_LEDGER);
  it.lateExamples = capacityOf(tier, KIND_EXAMPLES);
  termSpans().bind(arrayAt(tier, ARRAY_TERMS), capacityOf(tier, KIND_TERMS));
}

/** Lays hashed arrays, bound already, out for the capacities of `to`. */
function rehash(from: u32, to: u32): void {
  const it = state();
  users().rehash(capacityOf(to, KIND_USERS), table().pane);
  rehashIds(it.ids, capacityOf(from, KIND_IDS), capacityOf(to, KIND_IDS));
  rehashSayings(it.sayings, capacityOf(from, KIND_SAYINGS), capacityOf(to, KIND_SAYINGS));
  refoldBaseline(it.baseline, capacityOf(from, KIND_BASELINE), capacityOf(to, KIND_BASELINE));
}

/**
 * A cell serves all hashes that agree in the low bits: widening copies it, narrowing keeps the
 * largest.
 */
function refoldBaseline(cells: usize, from: u32, to: u32): void {
  if (from == 0) return;
  for (let cell = from; cell < to; cell++)
    store<f32>(cells + (cell << 2), load<f32>(cells + ((cell & (from - 1)) << 2)));
  if (to == 0) return;
  for (let cell = to; cell < from; cell++) {
    const kept = cells + ((cell & (to - 1)) << 2);
    store<f32>(kept, max<f32>(load<f32>(kept), load<f32>(cells + (cell << 2))));
  }
}

function shrinkOnce(): bool {
  const from = <u32>state().tier;
  if (from < TIER_COLD || eventsInWindow() >= eventsToLeave(from)) return false;
  if (from == TIER_COLD) return (mayMoveOwn() || termSpans().isSpread) && rest(TIER_REST);
  const to = from - 1;
  const room = capacityOf(to, KIND_SLOTS) - (capacityOf(to, KIND_SLOTS) >> 2);
  if (to <= TIER_MILD && liveSlots() > room) return false;
  // The sketches of users take more than a warm tenant has over a cold one.
  if (to <= TIER_MILD && !users().poured && !users().fits(capacityOf(to, KIND_USERS)))
    return from == TIER_MILD && rest(TIER_CROWD);
  reduce(from, to, room);
  return true;
}

/** Packs the tenant into one page, if nothing is left in its window. */
function rest(to: u32): bool {
  if (eventsInWindow() != 0 || liveSlots() != 0) return false;
  const start = mark();
  const place = arrayAt(to, ARRAY_COUNT);
  const bytes = <u32>(STATE_ADDRESS + PAGE_BYTES - place);
  const packed = alloc(bytes, 16);
  pack(changetype<Rest>(packed), bytes);
  termSpans().empty();
  reduce(state().tier, to, 0);
  memory.copy(place, packed, bytes);
  state().rest = <u32>place;
  release(start);
  return true;
}

function enlarge(from: u32, to: u32): void {
  for (let array = ARRAY_COUNT; array-- > 0; ) {
    const place = arrayAt(to, array);
    const bytes = arrayBytes(from, array);
    memory.copy(place, arrayAt(from, array), bytes);
    memory.fill(place + bytes, 0, arrayBytes(to, array) - bytes);
  }
  bind(to);
  rehash(from, to);
  if (to >= TIER_BUSY && termSpans().isSpread) termSpans().gather(capacityOf(to, KIND_TERMS));
  table().reindex();
}

/** Moves to a smaller tier, with the `room` slots that are missed most. */
function reduce(from: u32, to: u32, room: u32): void {
  while (table().count > room) removeSlot(leastSlot());
  rehash(from, to);
  compactQuotes(capacityOf(to, KIND_QUOTES));
  keepTerms(to);
  const end = arrayAt(from, ARRAY_COUNT);
  for (let array: u32 = 0; array < ARRAY_COUNT; array++)
    memory.copy(arrayAt(to, array), arrayAt(from, array), arrayBytes(to, array));
  memory.fill(arrayAt(to, ARRAY_COUNT), 0, end - arrayAt(to, ARRAY_COUNT));
  bind(to);
  table().reindex();
}

/** Before the arrays become those of a smaller tier. */
function keepTerms(to: u32): void {
  const terms = termSpans();
  const room = capacityOf(to, KIND_TERMS);
  if (terms.isSpread || terms.count <= room) return;
  if (to < TIER_BUSY && timeline().count(SPAN_DAY) >= EVENTS_TO_GATHER) terms.spread();
  else terms.shrink(room);
}

function liveSlots(): u32 {
  let live: u32 = 0;
  for (let slot: u32 = 0; slot < table().count; slot++) if (table().ownOf(slot) != 0) live += 1;
  return live;
}

/** The slot that is missed least: the smallest count, then the shortest history. */
function leastSlot(): u32 {
  const past = state().past;
  let least: u32 = 0;
  for (let slot: u32 = 1; slot < table().count; slot++) {
    const own = table().ownOf(slot);
    const ownLeast = table().ownOf(least);
    if (own > ownLeast) continue;
    if (own < ownLeast || load<f32>(past + (slot << 2)) < load<f32>(past + (least << 2)))
      least = slot;
  }
  return least;
}

function removeSlot(slot: u32): void {
  retire(slot);
  const last = table().remove(slot);
  const it = state();
  if (slot != last) {
    store<f32>(it.past + (slot << 2), load<f32>(it.past + (last << 2)));
    store<f32>(it.recent + (slot << 2), load<f32>(it.recent + (last << 2)));
    store<f32>(it.spread + (slot << 2), load<f32>(it.spread + (last << 2)));
    store<u8>(it.peopleLevels + slot, load<u8>(it.peopleLevels + last));
  }
  store<f32>(it.past + (last << 2), 0);
  store<f32>(it.recent + (last << 2), 0);
  store<f32>(it.spread + (last << 2), 0);
  store<u8>(it.peopleLevels + last, 0);
}
