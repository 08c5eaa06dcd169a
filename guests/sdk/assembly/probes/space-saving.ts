// A table of any capacity with nothing around it, for the property test against an exact count.
// Keys are the four bytes of a u32; `hashBits` below 32 makes different keys share hashes.
import { STATE_ADDRESS } from "../arena";
import { mix32 } from "../sketches/bytes";
import { NO_SLOT, PANES, SLOT_RECORD_BYTES, SpaceSaving } from "../sketches/space-saving";

const KEY: usize = memory.data(8, 8);
const INDEX_ENTRIES: u32 = 1024;

export function open(capacity: u32, slotsUsable: u32, indexed: bool, pane: u32): void {
  memory.fill(STATE_ADDRESS, 0, 0x10000);
  const slots = table();
  slots.capacity = capacity;
  slots.pane = pane;
  let at = <u32>STATE_ADDRESS + 256;
  slots.hashes = at;
  slots.own = at += capacity << 2;
  slots.priority = at += capacity << 2;
  slots.ring = at += capacity << 2;
  slots.records = at += (capacity << 2) * PANES;
  at += capacity * SLOT_RECORD_BYTES;
  slots.index = indexed ? at : 0;
  slots.indexMask = INDEX_ENTRIES - 1;
  store<u32>(STATE_ADDRESS + 240, slotsUsable);
}

export function add(key: u32, hashBits: u32, pane: u32, weight: u32): void {
  const slots = table();
  const hash = hashOf(key, hashBits);
  let slot = slots.find(hash, KEY, 4);
  if (slot == NO_SLOT) {
    slot = slots.count;
    if (slot == load<u32>(STATE_ADDRESS + 240)) slots.evict((slot = slots.victim()));
    slots.insert(slot, hash, KEY, 4);
  }
  slots.add(slot, pane, weight);
}

/** Evicts the slot for good, as shrinking does. */
export function remove(slot: u32): void {
  if (slot < table().count) table().remove(slot);
}

export function roll(panes: u32): void {
  table().roll(panes);
}

export function slotOf(key: u32, hashBits: u32): u32 {
  return table().find(hashOf(key, hashBits), KEY, 4);
}

export function low(key: u32, hashBits: u32): u32 {
  const slot = slotOf(key, hashBits);
  return slot == NO_SLOT ? 0 : table().ownOf(slot);
}

export function high(key: u32, hashBits: u32): u32 {
  const slot = slotOf(key, hashBits);
  return slot == NO_SLOT ? table().upperUntracked() : table().upper(slot);
}

export function priorityOf(slot: u32): u32 {
  return load<u32>(table().priority + (slot << 2));
}

export function leastPriority(): u32 {
  return table().least;
}

function hashOf(key: u32, hashBits: u32): u32 {
  store<u32>(KEY, key);
  return mix32(key) & (hashBits == 32 ? 0xffffffff : (1 << hashBits) - 1);
}

function table(): SpaceSaving {
  return changetype<SpaceSaving>(STATE_ADDRESS);
}
