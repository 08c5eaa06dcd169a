/**
 * A policy as a tenant's moderator takes it, little-endian, every text UTF-8:
 *
 *     0 u32 version             4 u32 flags: 1 observe only, 2 moderate events, 4 do not store
 *     8 u16 turns of context   10 u16 bytes of context   12 u16 allowed   14 u16 blocked
 *    16 u16 roles              18 u16 0                  20 u32 0         24 f64 age of context, ms
 *    32 of each category: f32 flagAt, f32 blockAt; OFF: never
 *   104 allowed, then blocked: u8 bytes, u8 action (0 allow, 1 flag, 2 block), text; then roles:
 *       u8 bytes, u8 exempt, f32 leniency, text
 */
import { POLICY_BYTES_MAX } from "./limits.ts";
import { CATEGORIES } from "./moderation.ts";
import type { ListEntry, Policy, PolicyRecord } from "./policy.ts";

export const POLICY_HEAD_BYTES = 104;
/** A threshold that no score reaches. */
export const OFF = 2;
const OBSERVE_ONLY = 1;
const MODERATE_EVENTS = 2;
const DO_NOT_STORE = 4;
const CATEGORIES_AT = 32;

const encoder = new TextEncoder();

/** Undefined: the policy takes more than POLICY_BYTES_MAX, or an entry more than 255 bytes. */
export function policyBytes({ version, policy }: PolicyRecord): Uint8Array | undefined {
  const allowed = policy.allowList.map((entry) => entryBytes(entry, 0));
  const blocked = policy.blockList.map((entry) => entryBytes(entry, actionNumber(entry)));
  const roles = policy.roles.map(({ role, exempt, leniency }) => {
    const name = encoder.encode(role);
    const bytes = new Uint8Array(6 + name.length);
    bytes.set([name.length, exempt === true ? 1 : 0]);
    new DataView(bytes.buffer).setFloat32(2, leniency, true);
    bytes.set(name, 6);
    return { bytes, nameBytes: name.length };
  });
  const parts = [...allowed, ...blocked, ...roles];
  const byteCount = parts.reduce((sum, { bytes }) => sum + bytes.length, POLICY_HEAD_BYTES);
  if (byteCount > POLICY_BYTES_MAX || parts.some(({ nameBytes }) => nameBytes > 255)) {
    return undefined;
  }
  const all = new Uint8Array(byteCount);
  writeHead(new DataView(all.buffer), version, policy);
  let end = POLICY_HEAD_BYTES;
  for (const { bytes } of parts) {
    all.set(bytes, end);
    end += bytes.length;
  }
  return all;
}

export function versionOf(policy: Uint8Array): number {
  return viewOf(policy).getUint32(0, true);
}

/** Whether the policy asks that events are judged. */
export function moderatesEvents(policy: Uint8Array): boolean {
  return (viewOf(policy).getUint32(4, true) & MODERATE_EVENTS) !== 0;
}

/** Whether the policy asks that texts are not kept. */
export function storesNothing(policy: Uint8Array): boolean {
  return (viewOf(policy).getUint32(4, true) & DO_NOT_STORE) !== 0;
}

/** For how long a conversation is remembered. */
export function contextAgeMsMax(policy: Uint8Array): number {
  return viewOf(policy).getFloat64(24, true);
}

function writeHead(view: DataView, version: number, policy: Policy): void {
  const { observeOnly, moderateEvents, doNotStore, context } = policy;
  const flags =
    (observeOnly ? OBSERVE_ONLY : 0) |
    (moderateEvents ? MODERATE_EVENTS : 0) |
    (doNotStore ? DO_NOT_STORE : 0);
  view.setUint32(0, version, true);
  view.setUint32(4, flags, true);
  view.setUint16(8, context.turnsMax, true);
  view.setUint16(10, context.bytesMax, true);
  view.setUint16(12, policy.allowList.length, true);
  view.setUint16(14, policy.blockList.length, true);
  view.setUint16(16, policy.roles.length, true);
  view.setFloat64(24, context.ageMsMax, true);
  for (const [number, category] of CATEGORIES.entries()) {
    const { flagAt, blockAt } = policy.categories[category];
    view.setFloat32(CATEGORIES_AT + 8 * number, flagAt ?? OFF, true);
    view.setFloat32(CATEGORIES_AT + 8 * number + 4, blockAt ?? OFF, true);
  }
}

function entryBytes(
  { term }: ListEntry,
  action: number,
): { bytes: Uint8Array<ArrayBuffer>; nameBytes: number } {
  const name = encoder.encode(term);
  const bytes = new Uint8Array(2 + name.length);
  bytes.set([name.length, action]);
  bytes.set(name, 2);
  return { bytes, nameBytes: name.length };
}

function actionNumber({ action }: ListEntry): number {
  return action === "block" ? 2 : 1;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
