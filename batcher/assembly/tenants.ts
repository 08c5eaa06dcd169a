// Tenants of a shard: name <-> dense number. Open addressing with linear probing at half load at
// most; a slot is { u32 hash, u32 number + 1 }, so that a probe reads a name only when its hash
// matches. Names come from outside, so the hash of the table has a secret seed: nobody can choose
// names that meet in one slot. Where a tenant lives must be the same everywhere, and is another hash.
//
// A tenant that is removed leaves its number to the next new one: numbers are below `tenantCount`, and
// `freeCount` of them are nobody's. Its slot is closed by moving those behind it that would not be
// found over a gap (Knuth 6.4, algorithm R), so probes stay as short as if it had never been there.
//
//   record, 16 bytes: 0 u32 address of the name · 4 u8 bytes of it, 0: removed · 5 u8 flags
//                     6 u8 bytes that lie reserved at the address · 8 u32 hash
//                     12 u32 the next number that is nobody's, + 1
//   list,    8 bytes: 0 u32 first event + 1 · 4 u32 last event + 1, of the batch being collected
import { allocate } from "./layout";
import { TENANT_ID_BYTES_MAX } from "./limits.gen";

/** Flags of a tenant. */
export const FLAG_EVENT_CLOCK: u8 = 1;
const FLAG_QUARANTINED: u8 = 2;
export const FLAG_DELETING: u8 = 32;
/** Of a tenant that takes no events. */
export const FLAGS_REFUSED: u8 = FLAG_QUARANTINED | FLAG_DELETING;

const NAMES_STEP_BYTES: usize = 256 * 1024;

export let tenantCount: u32 = 0;
export let freeCount: u32 = 0;
/** The number that a new tenant gets, + 1; 0: the next that nobody ever had. */
let freeHead: u32 = 0;
let countMax: u32 = 0;
let capacity: u32 = 0;
let records: usize = 0;
let lists: usize = 0;
let slots: usize = 0;
let slotShift: u32 = 0;
let slotMask: u32 = 0;
let names: usize = 0;
let namesEnd: usize = 0;
let seed: u64 = 0;

export function tenantsInit(tenantCountMax: u32, hashSeed: u32): void {
  seed = (<u64>hashSeed << 32) | hashSeed;
  capacity = tenantCountMax;
  countMax = tenantCountMax;
  let slotCount: u32 = 16;
  slotShift = 28;
  while (slotCount < tenantCountMax * 2) {
    slotCount <<= 1;
    slotShift--;
  }
  slotMask = slotCount - 1;
  records = allocate(<usize>capacity << 4);
  lists = allocate(<usize>capacity << 3);
  slots = allocate(<usize>slotCount << 3);
}

export function tenantsSetCountMax(count: u32): void {
  countMax = min(count, capacity);
}

/** Which shard a tenant is in: as tenantHash of src/model/placement.ts. */
export function placementHash(start: usize, bytes: u32): u32 {
  // FNV-1a, then the finalizer of MurmurHash3.
  let hash: u32 = 0x811c9dc5;
  for (let i: usize = 0; i < <usize>bytes; i++) hash = (hash ^ load<u8>(start + i)) * 0x01000193;
  hash = (hash ^ (hash >> 16)) * 0x85ebca6b;
  hash = (hash ^ (hash >> 13)) * 0xc2b2ae35;
  return hash ^ (hash >> 16);
}

/** Hash of a name for the table; eight bytes a step, up to seven are read past the end. */
export function tableHash(start: usize, bytes: u32): u32 {
  let hash = seed ^ bytes;
  for (; bytes > 8; bytes -= 8, start += 8) hash = mix(hash ^ load<u64>(start));
  return <u32>(mix(hash ^ (load<u64>(start) << ((8 - bytes) << 3))) >> 32);
}

// @ts-ignore: decorator
@inline
function mix(hash: u64): u64 {
  hash *= 0x9e3779b97f4a7c15;
  hash ^= hash >> 32;
  return hash * 0xd6e8feb86659fd93;
}

/** Number of the tenant, or -1. */
export function tenantFind(start: usize, bytes: u32, hash: u32): i32 {
  let slot = hash >> slotShift;
  while (true) {
    const at = slots + (<usize>slot << 3);
    const number = load<u32>(at, 4);
    if (number == 0) return -1;
    if (load<u32>(at) == hash && tenantIs(<i32>(number - 1), start, bytes)) return number - 1;
    slot = (slot + 1) & slotMask;
  }
}

/** Number of a tenant that `tenantFind` did not find; -1 when there are too many. */
export function tenantAdd(start: usize, bytes: u32, hash: u32): i32 {
  if (tenantCount - freeCount >= countMax) return -1;
  let tenant = tenantCount;
  if (freeHead == 0) tenantCount++;
  else {
    tenant = freeHead - 1;
    freeHead = load<u32>(records + (<usize>tenant << 4), 12);
    freeCount--;
  }
  const record = records + (<usize>tenant << 4);
  const name = nameRoom(record, bytes);
  store<u8>(record, <u8>bytes, 4);
  store<u32>(record, hash, 8);
  memory.copy(name, start, bytes);
  let slot = hash >> slotShift;
  while (load<u32>(slots + (<usize>slot << 3), 4) != 0) slot = (slot + 1) & slotMask;
  store<u32>(slots + (<usize>slot << 3), hash);
  store<u32>(slots + (<usize>slot << 3), tenant + 1, 4);
  return tenant;
}

/** Where the name goes: the room of the number's last owner, if it is enough. */
function nameRoom(record: usize, bytes: u32): usize {
  if (<u32>load<u8>(record, 6) >= bytes) return <usize>load<u32>(record);
  // In steps of 8, so that a number whose names differ soon has room for all of them.
  const room = (bytes + 7) & ~7;
  if (names + room > namesEnd) {
    names = allocate(NAMES_STEP_BYTES);
    namesEnd = names + NAMES_STEP_BYTES;
  }
  const name = names;
  names += room;
  store<u32>(record, <u32>name);
  store<u8>(record, <u8>room, 6);
  return name;
}

/** The number is the next new tenant's. It has no events that wait. */
export function tenantRemove(tenant: u32): void {
  const record = records + (<usize>tenant << 4);
  let slot = load<u32>(record, 8) >> slotShift;
  while (load<u32>(slots + (<usize>slot << 3), 4) != tenant + 1) slot = (slot + 1) & slotMask;
  closeSlot(slot);
  memory.fill(<usize>load<u32>(record), 0, load<u8>(record, 4));
  store<u16>(record, 0, 4);
  store<u32>(record, 0, 8);
  store<u32>(record, freeHead, 12);
  freeHead = tenant + 1;
  freeCount++;
}

function closeSlot(gap: u32): void {
  let slot = gap;
  while (true) {
    slot = (slot + 1) & slotMask;
    const at = slots + (<usize>slot << 3);
    if (load<u32>(at, 4) == 0) break;
    // It may move only where a probe from its home still passes.
    const home = load<u32>(at) >> slotShift;
    if (((slot - home) & slotMask) < ((slot - gap) & slotMask)) continue;
    store<u64>(slots + (<usize>gap << 3), load<u64>(at));
    gap = slot;
  }
  store<u64>(slots + (<usize>gap << 3), 0);
}

/** Whether the tenant has this name. */
export function tenantIs(tenant: i32, start: usize, bytes: u32): bool {
  const record = records + (<usize>tenant << 4);
  if (<u32>load<u8>(record, 4) != bytes) return false;
  const name = <usize>load<u32>(record);
  for (let i: usize = 0; i < <usize>bytes; i++) {
    if (load<u8>(name + i) != load<u8>(start + i)) return false;
  }
  return true;
}

/** `[A-Za-z0-9._:-]{1,64}` */
export function isTenantName(start: usize, bytes: u32): bool {
  if (bytes == 0 || bytes > TENANT_ID_BYTES_MAX) return false;
  for (let i: usize = 0; i < <usize>bytes; i++) {
    const byte = load<u8>(start + i);
    const letter = <u8>((byte | 0x20) - 0x61) < 26;
    // 0x2d-0x2e: - . and 0x30-0x3a: digits and the colon.
    const rest = <u8>(byte - 0x30) <= 10 || byte == 0x2d || byte == 0x2e || byte == 0x5f;
    if (!letter && !rest) return false;
  }
  return true;
}

export function tenantRecord(tenant: u32): usize {
  return records + (<usize>tenant << 4);
}

// @ts-ignore: decorator
@inline
export function tenantList(tenant: u32): usize {
  return lists + (<usize>tenant << 3);
}

// @ts-ignore: decorator
@inline
export function tenantFlags(tenant: i32): u8 {
  return load<u8>(records + (<usize>tenant << 4), 5);
}
