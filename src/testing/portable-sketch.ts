/**
 * Writes windows in the portable form from the events themselves: a twin of what a tenant's
 * component writes, made independently of it, whose numbers are exact.
 */
import { type Span, SPANS } from "#model/summary.ts";

export const HEADER_BYTES = 32;
const MAGIC = 0x3153584e;
const VERSION = 1;

export type Stream = {
  readonly startMs: number;
  readonly endMs: number;
  /** Events, weights, late, duplicates, repeated, metrics refused. */
  readonly counts: readonly number[];
  /** Hashes of 32 bits, none of them 0. */
  readonly users: readonly number[];
  readonly metrics: ReadonlyMap<string, readonly number[]>;
  readonly terms: ReadonlyMap<string, number>;
};

/** `termsMax`: terms listed at most; what others have is the bound of the rest. */
export function encodeStream(span: Span, stream: Stream, termsMax = Infinity): Uint8Array {
  return seal(span, stream, [
    section(1, floats(stream.counts)),
    section(2, users(stream.users)),
    section(5, metrics(stream.metrics)),
    section(6, terms(stream.terms, termsMax)),
  ]);
}

export function seal(
  span: Span,
  { startMs, endMs }: { startMs: number; endMs: number },
  sections: readonly Uint8Array[],
): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt16LE(VERSION, 4);
  header[6] = SPANS.indexOf(span);
  header.writeDoubleLE(startMs, 8);
  header.writeDoubleLE(endMs, 16);
  return reseal(new Uint8Array(Buffer.concat([header, ...sections])));
}

/** Puts the length and the checksum right, in place. */
export function reseal(sketch: Uint8Array): Uint8Array {
  const view = new DataView(sketch.buffer, sketch.byteOffset, sketch.byteLength);
  view.setUint32(24, sketch.length - HEADER_BYTES, true);
  let hash = 0x811c9dc5;
  const covered = [sketch.subarray(8, 28), sketch.subarray(HEADER_BYTES)];
  for (const part of covered) for (const byte of part) hash = Math.imul(hash ^ byte, 0x01000193);
  view.setUint32(28, hash >>> 0, true);
  return sketch;
}

export function section(kind: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(kind, 0);
  header.writeUInt32LE(payload.length, 4);
  return padded(Buffer.concat([header, payload]));
}

export function floats(numbers: readonly number[]): Buffer {
  return Buffer.from(Float64Array.from(numbers).buffer);
}

export function users(hashes: readonly number[]): Buffer {
  return Buffer.from(Uint32Array.of(hashes.length, 0, ...hashes).buffer);
}

export function metrics(byName: ReadonlyMap<string, readonly number[]>): Buffer {
  const all = [...byName].map(([name, samples]) => ({ name: Buffer.from(name), samples }));
  all.sort((a, b) => Buffer.compare(a.name, b.name));
  const head = Buffer.from(Uint32Array.of(all.length, 0).buffer);
  return Buffer.concat([head, ...all.map(({ name, samples }) => metric(name, samples))]);
}

function metric(name: Buffer, samples: readonly number[]): Buffer {
  const bins = new Map<number, number>();
  for (const value of samples) bins.set(binOf(value), (bins.get(binOf(value)) ?? 0) + 1);
  const zeros = bins.get(0) ?? 0;
  bins.delete(0);
  const ascending = [...bins].toSorted(([a], [b]) => a - b);
  const head = Buffer.alloc(8);
  head.writeUInt16LE(name.length, 0);
  head.writeUInt32LE(ascending.length, 4);
  const count = samples.length;
  const sum = samples.reduce((total, value) => total + value, 0);
  const mean = sum / count;
  const m2 = samples.reduce((total, value) => total + (value - mean) ** 2, 0);
  const [min, max] = [least(samples), -least(samples.map((value) => -value))];
  const numbers = floats([count, sum, mean, m2, min, max, zeros, -Infinity]);
  return Buffer.concat([head, numbers, padded(name), ...ascending.map(bin)]);
}

function least(numbers: readonly number[]): number {
  return numbers.reduce((found, number) => Math.min(found, number), Infinity);
}

function bin([index, count]: readonly [number, number]): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(index, 0);
  bytes.writeDoubleLE(count, 8);
  return bytes;
}

/** As guests/sdk/assembly/sketches/dd-sketch.ts numbers them; `value` is 0 or a normal number. */
export function binOf(value: number): number {
  if (value === 0) return 0;
  let exponent = Math.floor(Math.log2(Math.abs(value)));
  if (2 ** exponent > Math.abs(value)) exponent -= 1;
  if (2 ** (exponent + 1) <= Math.abs(value)) exponent += 1;
  const s = Math.abs(value) / 2 ** exponent - 1;
  const level = (((6 / 35) * s - 0.6) * s + 10 / 7) * s + exponent;
  const index = Math.max(1, Math.ceil(level * 34.99883330222059) + 35_769);
  return value < 0 ? -index : index;
}

export function terms(counts: ReadonlyMap<string, number>, termsMax: number): Buffer {
  const most = [...counts].toSorted((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  const listed = most.slice(0, termsMax);
  const head = Buffer.alloc(16);
  head.writeUInt32LE(listed.length, 0);
  head.writeDoubleLE(most[termsMax]?.[1] ?? 0, 8);
  return Buffer.concat([head, ...listed.map(([key, count]) => term(key, count, count))]);
}

export function term(key: string, low: number, high: number): Buffer {
  const bytes = Buffer.from(key);
  const head = Buffer.alloc(24);
  head.writeDoubleLE(low, 0);
  head.writeDoubleLE(high, 8);
  head.writeUInt16LE(bytes.length, 16);
  return Buffer.concat([head, padded(bytes)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
}
