// The state of a tenant: what lies where in its 64 KiB, and how it grows and shrinks.
//
// One header, then arrays back to back, all 16-aligned, in the same order in every tier:
//
//                     bytes each   cold     warm     busy      hot
//   header                  304      1        1        1        1
//   slots of terms          157     16       48       96      256    18 words, 85 bytes
//   distinct users            5     32      128      256     1024    exact to 3/4 of it
//   ids                       8     16       64      128      512
//   sayings                  16      8       16       32      128
//   quotes                  256      3        8       16       24
//   baseline of evicted       4      -      128      256      512
//   index of slots            2      -        -      256     1024
//   sum                           4000    11808    23824    62000
//   4 KiB pages                      1        3        6       16
//
// A host keeps only the pages that differ from the base, so a quiet tenant costs one page. A table
// that runs full grows: from cold always, further only where enough happens to pay for it; else it
// evicts, and its bounds say so. A tenant that has gone quiet shrinks again, terms that left the
// window first. The tier between warm and hot is there for chats of a message every second or so:
// 48 slots turn over in seconds there, and 64 KiB for each such chat would be most of a machine's
// memory.
//
// Because the order is the same and no array is smaller in a higher tier, growing moves the arrays
// from the last to the first and shrinking from the first to the last, in place.
import { STATE_ADDRESS } from "../../sdk/assembly/arena";
import { clear32 } from "../../sdk/assembly/sketches/bytes";
import { DistinctWindow } from "../../sdk/assembly/sketches/distinct-window";
import { rehashIds, rehashSayings, SAYING_BYTES } from "../../sdk/assembly/sketches/recent";
import { PANES, SLOT_RECORD_BYTES, SpaceSaving } from "../../sdk/assembly/sketches/space-saving";
import { rememberPast } from "../../sdk/assembly/sketches/trend";
import { compactQuotes } from "./quotes";

/** Bytes of one quote; see quotes.ts. */
export const QUOTE_BYTES: u32 = 256;
export const TIER_COLD: u32 = 0;
const TIER_WARM: u32 = 1;
const TIER_BUSY: u32 = 2;
const TIER_HOT: u32 = 3;

@unmanaged
export class State {
  /** 1 once configured. */
  version: u32;
  clock: u8;
  tier: u8;
  /** Whether the window has a place in time yet. */
  started: u8;
  _reserved: u8;
  /** The host's time, or the newest event's. */
  asOfMs: f64;
  /** Events ever, of whatever fate. */
  eventNumber: u64;
  lateCount: u32;
  duplicateCount: u32;
  repeatedCount: u32;
  /** The pane in which the tenant's time began. */
  firstPane: u32;
  /** How much history the baselines rest on; see trend.ts. */
  windows: f32;
  baseline: u32;
  baselineCells: u32;
  /** f32 a slot each; see trend.ts. */
  past: u32;
  recent: u32;
  spread: u32;
  /** u8 a slot: of the people in its record; see distinct-window.ts. */
  peopleLevels: u32;
  ids: u32;
  idCapacity: u32;
  sayings: u32;
  sayingCapacity: u32;
  quotes: u32;
  quoteCapacity: u32;
  /** The least score among the quotes, -1 while there is room. */
  quoteScoreLeast: f32;
  /** The pane of an event so far ahead that it was not believed; 0: there is none. See clock.ts. */
  doubtedPane: u32;
}

const PANE_EVENTS: usize = STATE_ADDRESS + 112;
const USERS: usize = STATE_ADDRESS + 160;
const TABLE: usize = STATE_ADDRESS + 192;
const HEADER_BYTES: u32 = 304;

@inline
export function state(): State {
  return changetype<State>(STATE_ADDRESS);
}

@inline
export function table(): SpaceSaving {
  return changetype<SpaceSaving>(TABLE);
}

@inline
export function users(): DistinctWindow {
  return changetype<DistinctWindow>(USERS);
}

@inline
export function paneEventsAt(pane: u32): usize {
  return PANE_EVENTS + ((pane % PANES) << 2);
}

export function eventsInWindow(): u32 {
  let sum: u64 = 0;
  for (let pane: u32 = 0; pane < PANES; pane++) sum += <u64>load<u32>(paneEventsAt(pane));
  return <u32>min<u64>(sum, 0xffffffff);
}

/** Starts the tenant from nothing. */
export function createState(clock: u32): void {
  memory.fill(STATE_ADDRESS, 0, stateBytes(load<u8>(STATE_ADDRESS, offsetof<State>("tier"))));
  const it = state();
  it.version = 1;
  it.clock = <u8>clock;
  users().capacity = capacityOf(TIER_COLD, KIND_USERS);
  bind(TIER_COLD);
}

/** Makes room for more slots if the tenant is entitled to it. */
export function grow(): bool {
  const from = <u32>state().tier;
  if (from == TIER_HOT || eventsInWindow() < eventsToEnter(from + 1)) return false;
  const to = from + 1;
  for (let array = ARRAY_COUNT; array-- > 0; ) {
    const place = arrayAt(to, array);
    const bytes = arrayBytes(from, array);
    memory.copy(place, arrayAt(from, array), bytes);
    memory.fill(place + bytes, 0, arrayBytes(to, array) - bytes);
  }
  bind(to);
  rehash(from, to);
  table().reindex();
  return true;
}

/** Gives memory back if the tenant has gone quiet. */
export function shrink(): void {
  while (shrinkOnce()) {}
}

/** The terms of `slot` leave it: what is known of it goes into the bounds and the baseline. */
export function retire(slot: u32): void {
  const it = state();
  const past = load<f32>(it.past + (slot << 2)) + <f32>table().ownOf(slot);
  rememberPast(it.baseline, it.baselineCells, load<u32>(table().hashes + (slot << 2)), past);
  clear32(table().record(slot).people);
  store<u8>(it.peopleLevels + slot, 0);
}

/** Bytes of a tier in use, for tests and reports. */
export function stateBytes(tier: u32): u32 {
  return <u32>(arrayAt(tier, ARRAY_COUNT) - STATE_ADDRESS);
}

// Tiers: one row of capacities each.
const KIND_SLOTS: u32 = 0;
const KIND_USERS: u32 = 1;
const KIND_IDS: u32 = 2;
const KIND_SAYINGS: u32 = 3;
const KIND_QUOTES: u32 = 4;
const KIND_BASELINE: u32 = 5;
const KIND_INDEX: u32 = 6;
const KIND_COUNT: u32 = 7;
const CAPACITIES: usize = memory.data<u16>([
  16, 32, 16, 8, 3, 0, 0,
  48, 128, 64, 16, 8, 128, 0,
  96, 256, 128, 32, 16, 256, 256,
  256, 1024, 512, 128, 24, 512, 1024,
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
const ARRAY_USER_PANES: u32 = 21;
const ARRAY_IDS: u32 = 22;
const ARRAY_SAYINGS: u32 = 23;
const ARRAY_QUOTES: u32 = 24;
const ARRAY_BASELINE: u32 = 25;
const ARRAY_INDEX: u32 = 26;
const ARRAY_COUNT: u32 = 27;
const SHAPES: usize = memory.data<u32>([
  KIND_SLOTS, SLOT_RECORD_BYTES, KIND_SLOTS, 1, KIND_USERS, 4, KIND_USERS, 1, KIND_IDS, 8,
  KIND_SAYINGS, SAYING_BYTES, KIND_QUOTES, QUOTE_BYTES, KIND_BASELINE, 4, KIND_INDEX, 2,
]);

function arrayBytes(tier: u32, array: u32): u32 {
  if (array < ARRAY_RECORDS) return capacityOf(tier, KIND_SLOTS) << 2;
  const shape = SHAPES + ((array - ARRAY_RECORDS) << 3);
  return capacityOf(tier, load<u32>(shape)) * load<u32>(shape, 4);
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
  users().hashes = <u32>arrayAt(tier, ARRAY_USERS);
  users().panes = <u32>arrayAt(tier, ARRAY_USER_PANES);
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
  if (from == TIER_COLD || eventsInWindow() >= eventsToLeave(from)) return false;
  const to = from - 1;
  const room = capacityOf(to, KIND_SLOTS) - (capacityOf(to, KIND_SLOTS) >> 2);
  if (to == TIER_COLD && liveSlots() > room) return false;
  while (table().count > room) removeSlot(leastSlot());
  rehash(from, to);
  compactQuotes(capacityOf(to, KIND_QUOTES));
  const end = arrayAt(from, ARRAY_COUNT);
  for (let array: u32 = 0; array < ARRAY_COUNT; array++)
    memory.copy(arrayAt(to, array), arrayAt(from, array), arrayBytes(to, array));
  memory.fill(arrayAt(to, ARRAY_COUNT), 0, end - arrayAt(to, ARRAY_COUNT));
  bind(to);
  table().reindex();
  return true;
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
