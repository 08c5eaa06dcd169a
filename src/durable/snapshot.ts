/**
 * A tenant at rest, as it outlives the process: its packed image and what the host knows of it.
 *
 *   0 u32 "NXI1"   4 u32 CRC-32 of all that follows   8 u32 stream   12 u32 flags of the tenant
 *  16 f64 number: the last block of the stream whose turns are in the image
 *  24 32 bytes: SHA-256 of the component that the image is of          56 u32 strikes
 *  60 u32 bytes of the image, 0: the base            64 u32 count of ledger numbers, f64 each
 *  68 u32 0    72 ledger, image
 *
 * The image means something only to the very component that wrote it, hence the digest.
 */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { DamagedRecord } from "./durable-store.ts";

const MAGIC = 0x3149584e;
const CRC_FROM = 8;
const HEADER_BYTES = 72;
export const DIGEST_AT = 24;
export const DIGEST_BYTES = 32;

export type Snapshot = {
  readonly stream: number;
  readonly number: number;
  /** SHA-256 of the component. */
  readonly component: Uint8Array;
  readonly flags: number;
  readonly strikes: number;
  /** What the shard counts of the tenant. */
  readonly ledger: Float64Array;
  readonly image: Uint8Array;
};

export function snapshotBytes(ledgerCount: number, imageBytes: number): number {
  return HEADER_BYTES + ledgerCount * 8 + imageBytes;
}

/** Writes the snapshot to `target` at `offset`; returns its bytes. */
export function sealSnapshot(snapshot: Snapshot, target: Uint8Array, offset = 0): number {
  const { ledger, image, component } = snapshot;
  assert(component.length === DIGEST_BYTES);
  const byteCount = snapshotBytes(ledger.length, image.length);
  assert(offset + byteCount <= target.length);
  const view = new DataView(target.buffer, target.byteOffset + offset, byteCount);
  view.setUint32(0, MAGIC, true);
  view.setUint32(8, snapshot.stream, true);
  view.setUint32(12, snapshot.flags, true);
  view.setFloat64(16, snapshot.number, true);
  target.set(component, offset + DIGEST_AT);
  view.setUint32(56, snapshot.strikes, true);
  view.setUint32(60, image.length, true);
  view.setUint32(64, ledger.length, true);
  view.setUint32(68, 0, true);
  for (let i = 0; i < ledger.length; i++) view.setFloat64(HEADER_BYTES + i * 8, ledger[i]!, true);
  target.set(image, offset + HEADER_BYTES + ledger.length * 8);
  view.setUint32(4, crc32(target.subarray(offset + CRC_FROM, offset + byteCount)), true);
  return byteCount;
}

/** How far a sealed snapshot reaches, without a look at the rest. */
export function reachOf(bytes: Uint8Array): { readonly stream: number; readonly number: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { stream: view.getUint32(8, true), number: view.getFloat64(16, true) };
}

/** The image is a view into `bytes`. Throws DamagedRecord unless every byte is as it was sealed. */
export function openSnapshot(bytes: Uint8Array, name: string): Snapshot {
  // A file that somebody else wrote to may hold anything in this place.
  if (!(bytes instanceof Uint8Array)) {
    throw new DamagedRecord(`what is kept of ${name} is no snapshot`);
  }
  if (bytes.length < HEADER_BYTES) throw new DamagedRecord(`the snapshot of ${name} is cut off`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) {
    throw new DamagedRecord(`what is kept of ${name} is no snapshot`);
  }
  const imageBytes = view.getUint32(60, true);
  const ledgerCount = view.getUint32(64, true);
  if (bytes.length !== snapshotBytes(ledgerCount, imageBytes)) {
    throw new DamagedRecord(`the snapshot of ${name} is cut off`);
  }
  if (view.getUint32(4, true) !== crc32(bytes.subarray(CRC_FROM))) {
    throw new DamagedRecord(`the snapshot of ${name} is not what was written`);
  }
  const ledger = new Float64Array(ledgerCount);
  for (let i = 0; i < ledgerCount; i++) ledger[i] = view.getFloat64(HEADER_BYTES + i * 8, true);
  return {
    stream: view.getUint32(8, true),
    number: view.getFloat64(16, true),
    component: bytes.slice(DIGEST_AT, DIGEST_AT + DIGEST_BYTES),
    flags: view.getUint32(12, true),
    strikes: view.getUint32(56, true),
    ledger,
    image: bytes.subarray(HEADER_BYTES + ledgerCount * 8),
  };
}
