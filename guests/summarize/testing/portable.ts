/** Reads the portable form of a window (guests/summarize/assembly/sketch.ts), checking it all. */
import assert from "node:assert/strict";

export type PortableTerm = { readonly term: string; readonly low: number; readonly high: number };

export type Portable = {
  readonly span: number;
  readonly startMs: number;
  readonly endMs: number;
  /** events, weights, late, duplicates, repeated, metrics refused; empty: the span is not kept. */
  readonly counts: readonly number[];
  /** 2: hashes, 3: bitmap, 4: UltraLogLog. */
  readonly userKind: number;
  readonly metricCount: number;
  readonly terms: readonly PortableTerm[];
  readonly untracked: number;
};

const HEADER_BYTES = 32;

export function readPortable(bytes: Uint8Array): Portable {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  assert.equal(new TextDecoder().decode(bytes.subarray(0, 4)), "NXS1");
  assert.deepEqual([view.getUint16(4, true), bytes[7]], [1, 0]);
  assert.equal(view.getUint32(24, true), bytes.byteLength - HEADER_BYTES);
  const covered = Buffer.concat([bytes.subarray(8, 28), bytes.subarray(HEADER_BYTES)]);
  assert.equal(view.getUint32(28, true), fnv1a(covered));
  const sections = new Map<number, DataView>();
  let at = HEADER_BYTES;
  while (at < bytes.byteLength) {
    const [kind, byteCount] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
    assert.ok(at + 8 + byteCount <= bytes.byteLength && !sections.has(kind), `section ${kind}`);
    sections.set(kind, new DataView(bytes.buffer, bytes.byteOffset + at + 8, byteCount));
    at += 8 + Math.ceil(byteCount / 8) * 8;
  }
  assert.equal(at, bytes.byteLength);
  const counts = sections.get(1);
  return {
    span: bytes[6]!,
    startMs: view.getFloat64(8, true),
    endMs: view.getFloat64(16, true),
    counts: Array.from({ length: (counts?.byteLength ?? 0) / 8 }, (_, index) =>
      counts!.getFloat64(index * 8, true),
    ),
    userKind: [2, 3, 4].find((kind) => sections.has(kind)) ?? 0,
    metricCount: sections.get(5)?.getUint32(0, true) ?? 0,
    ...readTerms(sections.get(6)),
  };
}

function readTerms(view: DataView | undefined): Pick<Portable, "terms" | "untracked"> {
  if (view === undefined) return { terms: [], untracked: Infinity };
  let at = 16;
  const terms = Array.from({ length: view.getUint32(0, true) }, () => {
    const byteCount = view.getUint16(at + 16, true);
    const bytes = new Uint8Array(view.buffer, view.byteOffset + at + 24, byteCount);
    const [low, high] = [view.getFloat64(at, true), view.getFloat64(at + 8, true)];
    at += 24 + Math.ceil(byteCount / 8) * 8;
    return { term: new TextDecoder("utf-8", { fatal: true }).decode(bytes), low, high };
  });
  assert.equal(at, view.byteLength);
  return { terms, untracked: view.getFloat64(8, true) };
}

function fnv1a(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
