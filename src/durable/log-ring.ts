/** The shard's end of its log ring: what committer.ts takes out of it is written here. */
import assert from "node:assert/strict";
import type { RingWriter } from "#std/byte-ring.ts";
import { RECORD_BLOCK, RECORD_FORGET, RECORD_SNAPSHOT, RECORD_TRIM } from "./committer.ts";
import type { LogBlock } from "./durable-store.ts";
import { sealSnapshot, type Snapshot, snapshotBytes } from "./snapshot.ts";

/** False: there is no room now, and nothing was written. */
export function writeBlock(ring: RingWriter, { bytes }: LogBlock): boolean {
  const at = ring.reserve(RECORD_BLOCK, bytes.length);
  if (at === -1) return false;
  ring.bytes.set(bytes, at);
  ring.publish();
  return true;
}

/** The same. */
export function writeSnapshot(
  ring: RingWriter,
  tenant: string,
  world: number,
  snapshot: Snapshot,
): boolean {
  const nameBytes = Buffer.byteLength(tenant, "latin1");
  const byteCount = snapshotBytes(snapshot.ledger.length, snapshot.image.length);
  const headBytes = 16 + ((nameBytes + 7) & ~7);
  const at = ring.reserve(RECORD_SNAPSHOT, headBytes + byteCount);
  if (at === -1) return false;
  ring.view.setUint32(at, world, true);
  ring.view.setUint32(at + 4, nameBytes, true);
  ring.view.setUint32(at + 8, byteCount, true);
  ring.bytes.set(Buffer.from(tenant, "latin1"), at + 16);
  assert(sealSnapshot(snapshot, ring.bytes, at + headBytes) === byteCount);
  ring.publish();
  return true;
}

/** The same. */
export function writeTrim(ring: RingWriter, number: number, taken: number): boolean {
  const at = ring.reserve(RECORD_TRIM, 16);
  if (at === -1) return false;
  ring.view.setFloat64(at, number, true);
  ring.view.setFloat64(at + 8, taken, true);
  ring.publish();
  return true;
}

/** The same. `number`: of the last block that has something of the tenant. */
export function writeForget(ring: RingWriter, tenant: string, number: number): boolean {
  const name = Buffer.from(tenant, "latin1");
  const at = ring.reserve(RECORD_FORGET, 16 + name.length);
  if (at === -1) return false;
  ring.view.setUint32(at, name.length, true);
  ring.view.setFloat64(at + 8, number, true);
  ring.bytes.set(name, at + 16);
  ring.publish();
  return true;
}
