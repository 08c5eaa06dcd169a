/**
 * A policy as a tenant's moderator takes it, little-endian, every text UTF-8:
 *
 *     0 u32 version             4 u32 flags: 1 observe only, 2 moderate events, 4 do not store
 *     8 u16 turns of context   10 u16 bytes of context   12 u16 allowed   14 u16 blocked
 *    16 u16 roles              18 u16 bytes of guidance
 *    20 u8 consult (0 never, 1 unsure, 2 all)            21 u8 0          22 u16 wait for it, ms
 *    24 f64 age of context, ms
 *    32 of each category: f32 flagAt, f32 blockAt; OFF: never
 *   104 consult: f32 below, f32 above, f32 weight
 *   116 allowed, then blocked: u8 bytes, u8 action (0 allow, 1 flag, 2 block), text; then roles:
 *       u8 bytes, u8 exempt, f32 leniency, text; then the guidance
 */
import { POLICY_BYTES_MAX } from "./limits.ts";
import { CATEGORIES } from "./moderation.ts";
import { POLICY_DEFAULT } from "./policy-default.ts";
import {
  CONSULT_MODES,
  type ConsultMode,
  type ConsultPolicy,
  type ListEntry,
  type Policy,
  type PolicyRecord,
} from "./policy.ts";

export const POLICY_HEAD_BYTES = 116;
/** A threshold that no score reaches. */
export const OFF = 2;
const OBSERVE_ONLY = 1;
const MODERATE_EVENTS = 2;
const DO_NOT_STORE = 4;
const MODE_AT = 20;
const WAIT_AT = 22;
const CATEGORIES_AT = 32;
const CONSULT_AT = 104;

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
  const guidance = encoder.encode(policy.consult.guidance);
  const parts = [...allowed, ...blocked, ...roles, { bytes: guidance, nameBytes: 0 }];
  const byteCount = parts.reduce((sum, { bytes }) => sum + bytes.length, POLICY_HEAD_BYTES);
  if (byteCount > POLICY_BYTES_MAX || parts.some(({ nameBytes }) => nameBytes > 255)) {
    return undefined;
  }
  const all = new Uint8Array(byteCount);
  const view = new DataView(all.buffer);
  writeHead(view, version, policy);
  writeConsult(view, policy.consult, guidance.length);
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

/** When the upstream is asked, and how long a verdict waits for it; no bytes: the default. */
export function consultOf(policy: Uint8Array): {
  readonly mode: ConsultMode;
  readonly waitMsMax: number;
} {
  if (policy.length === 0) return POLICY_DEFAULT.consult;
  const view = viewOf(policy);
  const mode = CONSULT_MODES[view.getUint8(MODE_AT)] ?? "never";
  return { mode, waitMsMax: view.getUint16(WAIT_AT, true) };
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

function writeConsult(view: DataView, consult: ConsultPolicy, guidanceBytes: number): void {
  view.setUint16(18, guidanceBytes, true);
  view.setUint8(MODE_AT, CONSULT_MODES.indexOf(consult.mode));
  view.setUint16(WAIT_AT, consult.waitMsMax, true);
  view.setFloat32(CONSULT_AT, consult.below, true);
  view.setFloat32(CONSULT_AT + 4, consult.above, true);
  view.setFloat32(CONSULT_AT + 8, consult.weight, true);
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
