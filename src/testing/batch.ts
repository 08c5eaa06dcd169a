/**
 * Reads and writes the batch of guests/sdk/assembly/batch.ts in plain TypeScript, slowly and
 * strictly: the reader asserts every rule of the layout, so a test that decodes a batch also proves
 * it.
 */
import assert from "node:assert/strict";
import { TERM_BYTES_MAX } from "#model/limits.ts";

export type BatchEvent = {
  readonly weight: number;
  readonly tsMs: number;
  /** Empty strings stand for "none", as in the batch. */
  readonly id: string;
  readonly user: string;
  readonly conversation: string;
  readonly text: string;
  readonly terms: readonly string[];
  readonly metrics: readonly { readonly name: string; readonly value: number }[];
  /** Events that were joined into this one, where that is not just itself. */
  readonly standsFor?: number;
};

export type Batch = { readonly nowMs: number; readonly events: readonly BatchEvent[] };

const HEADER_BYTES = 16;
const EVENT_HEADER_BYTES = 32;

/** Decodes a batch; throws an AssertionError where it breaks the layout. */
export function readBatch(bytes: Uint8Array): Batch {
  assert.ok(bytes.byteLength >= HEADER_BYTES, "a batch has a header");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const eventCount = view.getUint32(0, true);
  const events: BatchEvent[] = [];
  let offset = HEADER_BYTES;
  for (let index = 0; index < eventCount; index++) {
    const byteCount = view.getUint32(offset, true);
    assert.ok(byteCount >= EVENT_HEADER_BYTES, `event ${index} has a header`);
    assert.equal(byteCount % 8, 0, `event ${index} is padded to 8`);
    assert.ok(offset + byteCount <= bytes.byteLength, `event ${index} ends inside the batch`);
    events.push(readEvent(bytes.subarray(offset, offset + byteCount)));
    offset += byteCount;
  }
  assert.equal(offset, bytes.byteLength, "nothing follows the last event");
  const standFor = events.reduce((sum, { standsFor = 1 }) => sum + standsFor, 0);
  assert.equal((view.getUint32(4, true) + eventCount) >>> 0, standFor, "events joined away");
  return { nowMs: view.getFloat64(8, true), events };
}

/** Encodes a batch. What is left out of an event is absent; the weight is then 1, the time 0. */
export function writeBatch(events: readonly Partial<BatchEvent>[], nowMs = 0): Uint8Array {
  const parts = events.map((event) => writeEvent(event));
  const bytes = new Uint8Array(
    parts.reduce((sum, { byteLength }) => sum + byteLength, HEADER_BYTES),
  );
  const view = new DataView(bytes.buffer);
  view.setUint32(0, events.length, true);
  view.setFloat64(8, nowMs, true);
  let offset = HEADER_BYTES;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.byteLength;
  }
  return bytes;
}

function readEvent(bytes: Uint8Array): BatchEvent {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let offset = EVENT_HEADER_BYTES;
  const take = (byteCount: number) => {
    assert.ok(offset + byteCount <= bytes.byteLength, "a string ends inside its event");
    offset += byteCount;
    return decoder.decode(bytes.subarray(offset - byteCount, offset));
  };
  const takeShort = () => {
    offset += 2;
    return take(view.getUint16(offset - 2, true));
  };
  const joined = view.getUint16(30, true);
  const standsFor = (joined & 0x8000) !== 0 ? 0 : 1 + joined;
  const id = take(view.getUint16(16, true));
  const user = take(view.getUint16(18, true));
  const conversation = take(view.getUint16(20, true));
  const text = take(view.getUint32(24, true));
  const terms = Array.from({ length: view.getUint16(22, true) }, takeShort);
  for (const term of terms) assert.ok(Buffer.byteLength(term) <= TERM_BYTES_MAX, "a term fits");
  const metrics = Array.from({ length: view.getUint16(28, true) }, () => {
    const value = view.getFloat64(offset, true);
    offset += 8;
    return { name: takeShort(), value };
  });
  const weight = view.getUint32(4, true);
  assert.ok(weight >= 1, "a weight is at least 1");
  assert.ok(bytes.byteLength - offset < 8, "only padding follows the payload");
  for (; offset < bytes.byteLength; offset++) assert.equal(bytes[offset], 0, "padding is zero");
  const tsMs = view.getFloat64(8, true);
  const event = { weight, tsMs, id, user, conversation, text, terms, metrics };
  return standsFor === 1 ? event : { ...event, standsFor };
}

function writeEvent(event: Partial<BatchEvent>): Uint8Array {
  const id = Buffer.from(event.id ?? "");
  const user = Buffer.from(event.user ?? "");
  const conversation = Buffer.from(event.conversation ?? "");
  const text = Buffer.from(event.text ?? "");
  const terms = (event.terms ?? []).map((term) => shortString(term));
  const metrics = (event.metrics ?? []).flatMap(({ name, value }) => {
    const valueBytes = Buffer.alloc(8);
    valueBytes.writeDoubleLE(value);
    return [valueBytes, shortString(name)];
  });
  const payload = Buffer.concat([id, user, conversation, text, ...terms, ...metrics]);
  const bytes = Buffer.alloc((EVENT_HEADER_BYTES + payload.byteLength + 7) & ~7);
  bytes.writeUInt32LE(bytes.byteLength, 0);
  bytes.writeUInt32LE(event.weight ?? 1, 4);
  bytes.writeDoubleLE(event.tsMs ?? 0, 8);
  bytes.writeUInt16LE(id.byteLength, 16);
  bytes.writeUInt16LE(user.byteLength, 18);
  bytes.writeUInt16LE(conversation.byteLength, 20);
  bytes.writeUInt16LE(terms.length, 22);
  bytes.writeUInt32LE(text.byteLength, 24);
  bytes.writeUInt16LE(event.metrics?.length ?? 0, 28);
  payload.copy(bytes, EVENT_HEADER_BYTES);
  return bytes;
}

function shortString(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(bytes.byteLength);
  return Buffer.concat([length, bytes]);
}
