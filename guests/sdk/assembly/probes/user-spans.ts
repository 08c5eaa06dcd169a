// The users of a tenant with nothing around them, for the tests.
import { mark, reset, STATE_ADDRESS } from "../arena";
import { mix32 } from "../sketches/bytes";
import { ULTRA_BYTES, USER_ENTRY_BYTES, UserSpans } from "../sketches/user-spans";
import { AGED_BITMAP_BYTES } from "../sketches/aged-bitmap";

const LIST: usize = STATE_ADDRESS + 64;
const BITMAP: usize = STATE_ADDRESS + 0x8000;
const ULTRA: usize = BITMAP + AGED_BITMAP_BYTES;
const ENCODED: usize = ULTRA + ULTRA_BYTES;

export function open(capacity: u32): void {
  memory.fill(STATE_ADDRESS, 0, 0x10000);
  users().start(capacity);
  users().bind(LIST, BITMAP, ULTRA);
}

export function headerBytes(): u32 {
  return <u32>offsetof<UserSpans>();
}

export function add(hash: u32, pane: u32, current: u32): void {
  users().add(hash, pane, current);
}

/** Adds the users with the numbers first, first + step ..., in the current pane. */
export function addRange(first: u32, step: u32, count: u32, pane: u32, current: u32): void {
  for (let index: u32 = 0; index < count; index++)
    users().add(mix32(first + index * step), pane, current);
}

export function roll(current: u32): void {
  users().roll(current);
}

/** Rolls `count` times by a pane each. */
export function rollMany(current: u32, count: u32): void {
  for (let pane: u32 = 0; pane < count; pane++) users().roll(current + pane);
}

export function isFull(current: u32): bool {
  return users().isFull(current);
}

export function fits(capacity: u32): bool {
  return users().fits(capacity);
}

export function isPoured(): bool {
  return users().poured;
}

export function held(): u32 {
  return users().entries;
}

export function rehash(capacity: u32, current: u32): void {
  const largest = max<u32>(users().capacity, capacity);
  users().rehash(capacity, current);
  for (let at = capacity * USER_ENTRY_BYTES; at < largest * USER_ENTRY_BYTES; at++)
    if (load<u8>(LIST + at) != 0) unreachable();
}

export function count(span: u32, current: u32): f64 {
  const result = users().count(span, current);
  if (mark() != __heap_base) unreachable();
  return result;
}

export function error(span: u32, current: u32): f64 {
  return users().errorOf(span, current, users().count(span, current));
}

export function encodedKind(span: u32, current: u32): u32 {
  return users().encodedKind(span, current);
}

export function encodedBytes(span: u32, current: u32): u32 {
  return users().encodedBytes(span, current);
}

/** Writes the payload behind everything else; returns its address. */
export function encode(span: u32, current: u32): usize {
  users().encode(span, current, ENCODED);
  reset();
  return ENCODED;
}

/** Hashes the twin must not tell apart: 0 is stored as another. */
export function hashOf(user: u32): u32 {
  return mix32(user);
}

function users(): UserSpans {
  return changetype<UserSpans>(STATE_ADDRESS);
}
