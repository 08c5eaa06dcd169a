// The policy of a tenant, as the host hands it over; little-endian:
//
//     0 u32 version | 4 u32 flags (1 observe only, 2 moderate events, 4 do not store)
//     8 u16 turns of context | 10 u16 bytes of it | 12 u16 allowed | 14 u16 blocked | 16 u16 roles
//    18 u16 bytes of guidance | 20 u8 consult (0 never, 1 unsure, 2 all) | 21 u8 0
//    22 u16 wait for it, ms (for the host) | 24 f64 age of context, ms
//    32 { f32 flagAt, f32 blockAt } a category, in the order of the WIT; above 1: never
//   104 consult: f32 below, f32 above, f32 weight
//   116 allowed, then blocked: { u8 bytes, u8 action } text; roles: { u8 bytes, u8 exempt,
//       f32 leniency } text, unaligned; then the guidance
//
// It is kept as it came. Nothing at all is the default policy, which takes no room; it is that of
// src/model/policy-default.ts, and a test holds the two together. A policy whose lengths do not add
// up traps, and the one before stays.
import { equalBytes } from "../../sdk/assembly/sketches/bytes";
import { POLICY, state } from "./state";

/** POLICY_BYTES_MAX of src/model/limits.ts. */
export const POLICY_BYTES_MAX: u32 = 8192;
const HEAD_BYTES: u32 = 116;
const ROLE_HEAD_BYTES: u32 = 6;
const ENTRY_HEAD_BYTES: u32 = 2;
/** However many a policy asks for, no more turns are read. */
const TURN_COUNT_MAX: u32 = 32;
const CONTEXT_BYTES_MAX: u32 = 16384;

const FLAG_OBSERVE_ONLY: u32 = 1;
const FLAG_DO_NOT_STORE: u32 = 4;
export const CONSULT_NEVER: u32 = 0;
const CONSULT_UNSURE: u32 = 1;
export const CONSULT_ALL: u32 = 2;

/** A threshold that no score reaches. */
export const THRESHOLD_OFF: f64 = 2;

const DEFAULT_THRESHOLDS: usize = memory.data<f32>([
  0.6, 2, 0.6, 0.85, 0.65, 2, 2, 2, 0.6, 0.9, 0.6, 0.9, 0.7, 2, 0.7, 2, 0.75, 2,
], 8);
const DEFAULT_TURN_COUNT: u32 = 6;
const DEFAULT_TEXT_BYTES: u32 = 2048;
const DEFAULT_AGE_MS: f64 = 3600000;
const DEFAULT_CONSULT: usize = memory.data<f32>([0.25, 0.15, 0.5], 4);

@inline
export function policyVersion(): u32 {
  return isDefault() ? 0 : load<u32>(POLICY);
}

@inline
export function isObserveOnly(): bool {
  return hasFlag(FLAG_OBSERVE_ONLY);
}

/** Whether texts and names of users are not kept. */
@inline
export function isStoringNothing(): bool {
  return hasFlag(FLAG_DO_NOT_STORE);
}

/** Turns of the context that are read, at most. */
@inline
export function contextTurns(): u32 {
  return isDefault() ? DEFAULT_TURN_COUNT : min(<u32>load<u16>(POLICY, 8), TURN_COUNT_MAX);
}

/** Bytes of text that a conversation remembers, at most. */
@inline
export function contextBytes(): u32 {
  return isDefault() ? DEFAULT_TEXT_BYTES : min(<u32>load<u16>(POLICY, 10), CONTEXT_BYTES_MAX);
}

@inline
export function contextAgeMs(): f64 {
  return isDefault() ? DEFAULT_AGE_MS : load<f64>(POLICY, 24);
}

/** From this score on a message is flagged. */
@inline
export function flagAt(category: u32): f64 {
  return threshold(category << 3);
}

@inline
export function blockAt(category: u32): f64 {
  return threshold((category << 3) + 4);
}

/** Of which messages the upstream is asked. */
@inline
export function consultMode(): u32 {
  return isDefault() ? CONSULT_UNSURE : <u32>load<u8>(POLICY, 20);
}

/** How far below its threshold, and above it, a score is in doubt. */
@inline
export function doubtBelow(): f64 {
  return consultShare(0);
}

@inline
export function doubtAbove(): f64 {
  return consultShare(4);
}

/** Of the upstream's scores in the mean with the embedded ones. */
@inline
export function upstreamWeight(): f64 {
  return consultShare(8);
}

/** What the tenant wants judged, in its own words. */
@inline
export function guidanceBytes(): u32 {
  return isDefault() ? 0 : <u32>load<u16>(POLICY, 18);
}

@inline
export function guidanceAt(): usize {
  return POLICY + state().policyBytes - guidanceBytes();
}

@inline
export function allowCount(): u32 {
  return isDefault() ? 0 : <u32>load<u16>(POLICY, 12);
}

@inline
export function blockCount(): u32 {
  return isDefault() ? 0 : <u32>load<u16>(POLICY, 14);
}

/** An entry of a list, wherever it lies. */
@unmanaged
export class Entry {
  bytes: u8;
  action: u8;

  @inline
  get text(): usize {
    return changetype<usize>(this) + ENTRY_HEAD_BYTES;
  }

  @inline
  get next(): Entry {
    return changetype<Entry>(this.text + this.bytes);
  }
}

/** Of the allow list; those of the block list follow. */
@inline
export function firstEntry(): Entry {
  return firstEntryOf(POLICY);
}

/** Of a policy that is not yet in place. */
@inline
export function firstEntryOf(policy: usize): Entry {
  return changetype<Entry>(policy + HEAD_BYTES);
}

/** Address of the role's { bytes, exempt, leniency }; 0: the policy does not know it. */
export function roleNamed(name: usize, bytes: u32): usize {
  if (bytes == 0 || isDefault()) return 0;
  let entry = firstEntry();
  for (let index: u32 = allowCount() + blockCount(); index > 0; index--) entry = entry.next;
  let at = changetype<usize>(entry);
  for (let index: u32 = load<u16>(POLICY, 16); index > 0; index--) {
    const length = <u32>load<u8>(at);
    if (length == bytes && equalBytes(at + ROLE_HEAD_BYTES, name, bytes)) return at;
    at += ROLE_HEAD_BYTES + length;
  }
  return 0;
}

@inline
export function isExempt(role: usize): bool {
  return role != 0 && load<u8>(role, 1) != 0;
}

/** Added to every threshold. */
@inline
export function leniency(role: usize): f64 {
  return role == 0 ? 0 : finite(load<f32>(role, 2));
}

/** Traps unless all lengths of the policy at `at` add up. */
export function checkPolicy(at: usize, bytes: u32): void {
  if (bytes == 0) return;
  if (bytes < HEAD_BYTES || bytes > POLICY_BYTES_MAX) unreachable();
  if (load<u8>(at, 20) > CONSULT_ALL) unreachable();
  const end = at + bytes;
  const entries = <u32>load<u16>(at, 12) + <u32>load<u16>(at, 14);
  let next = at + HEAD_BYTES;
  for (let index: u32 = 0; index < entries; index++) {
    if (next + ENTRY_HEAD_BYTES > end || load<u8>(next, 1) > 2) unreachable();
    next += ENTRY_HEAD_BYTES + load<u8>(next);
  }
  for (let index: u32 = load<u16>(at, 16); index > 0; index--) {
    if (next + ROLE_HEAD_BYTES > end) unreachable();
    next += ROLE_HEAD_BYTES + load<u8>(next);
  }
  if (next + load<u16>(at, 18) != end) unreachable();
}

@inline
function isDefault(): bool {
  return state().policyBytes == 0;
}

@inline
function hasFlag(flag: u32): bool {
  return !isDefault() && (load<u32>(POLICY, 4) & flag) != 0;
}

@inline
function threshold(offset: usize): f64 {
  const value = load<f32>((isDefault() ? DEFAULT_THRESHOLDS : POLICY + 32) + offset);
  return value >= 0 ? toMillionths(<f64>value) : THRESHOLD_OFF;
}

@inline
function consultShare(offset: usize): f64 {
  const value = load<f32>((isDefault() ? DEFAULT_CONSULT : POLICY + 104) + offset);
  return value >= 0 ? min<f64>(toMillionths(<f64>value), 1) : 0;
}

/** What was 0.6 before it was an f32 is 0.6 again. */
@inline
function toMillionths(value: f64): f64 {
  return Math.round(value * 1000000) / 1000000;
}

@inline
function finite(value: f32): f64 {
  return value - value == 0 ? toMillionths(<f64>value) : 0;
}
