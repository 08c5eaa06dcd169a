/**
 * From columns of interleaved events to guest batches, each of one tenant: what a user does who has
 * numbers and wants summaries. All of it counts as work of NexusCore in `same-work`.
 *
 * Two steps, so that neither leaves the cache: events are dealt to at most 256 buckets of tenants
 * next to each other (a radix partition, one record of 24 bytes an event), then each bucket is
 * sorted by tenant by counting and written as batches. Batches are in the layout of
 * guests/sdk/assembly/batch.ts; lengths are chosen so that every number is aligned:
 *
 *   event, 64 bytes   32 header | 8 user, hexadecimal | 2+6 term | 8 value, 2+6 name of the metric
 */
import assert from "node:assert/strict";
import { BATCH_BYTES_MAX } from "#model/limits.ts";
import type { Columns } from "./same-work-events.ts";

export const METRIC = "lat_ms";

const BUCKETS_MAX = 256;
const RECORD_WORDS = 6;
const EVENT_WORDS = 16;
const HEADER_WORDS = 4;
const BATCH_EVENTS_MAX = Math.floor((BATCH_BYTES_MAX / 4 - HEADER_WORDS) / EVENT_WORDS);

/** As a term reads in a batch: five hexadecimal digits are enough for all. */
export function termName(term: number): string {
  return `t${term.toString(16).padStart(5, "0")}`;
}

export function userName(user: number): string {
  return user.toString(16).padStart(8, "0");
}

export type GroupingSettings = {
  readonly tenants: number;
  /** Of every event. */
  readonly startMs: number;
};

export class Grouping {
  readonly bucketCount: number;
  /** Batches of the bucket at hand, back to back. */
  memory = new Uint8Array(0);
  batchCount = 0;
  /** Of each batch of the bucket at hand. */
  batchTenants = new Int32Array(0);
  batchOffsets = new Int32Array(0);
  readonly #settings: GroupingSettings;
  readonly #shift: number;
  /** { i32 tenant, term, user, 0; f64 latency } an event, by bucket. */
  readonly #records: Int32Array;
  readonly #latencies: Float64Array;
  readonly #bucketEnds: Int32Array;
  readonly #counts: Int32Array;
  #order = new Int32Array(0);
  #words = new Int32Array(0);
  #doubles = new Float64Array(0);

  /** Deals all events to their buckets. */
  constructor(columns: Columns, settings: GroupingSettings) {
    this.#settings = settings;
    this.#shift = Math.max(0, Math.ceil(Math.log2(settings.tenants / BUCKETS_MAX)));
    this.bucketCount = ((settings.tenants - 1) >> this.#shift) + 1;
    this.#records = new Int32Array(columns.tenants.length * RECORD_WORDS);
    this.#latencies = new Float64Array(this.#records.buffer);
    this.#counts = new Int32Array((1 << this.#shift) + 1);
    this.#bucketEnds = partition(columns, this.#records, this.#shift, this.bucketCount);
  }

  /** Writes the batches of a bucket, tenant after tenant. */
  group(bucket: number): void {
    const first = bucket === 0 ? 0 : this.#bucketEnds[bucket - 1]!;
    const end = this.#bucketEnds[bucket]!;
    this.#reserve(end - first);
    this.#sort(first, end);
    this.#write(end - first, bucket << this.#shift);
  }

  /** Bytes of a batch of the bucket at hand. */
  batchBytes(batch: number): number {
    return this.batchOffsets[batch + 1]! - this.batchOffsets[batch]!;
  }

  #reserve(events: number): void {
    if (events <= this.#order.length) return;
    const room = events + (events >> 3);
    const batches = Math.ceil(room / BATCH_EVENTS_MAX) + (1 << this.#shift);
    this.#order = new Int32Array(room);
    this.batchTenants = new Int32Array(batches);
    this.batchOffsets = new Int32Array(batches + 1);
    this.#words = new Int32Array((room * EVENT_WORDS + batches * HEADER_WORDS + 1) & ~1);
    this.#doubles = new Float64Array(this.#words.buffer);
    this.memory = new Uint8Array(this.#words.buffer);
  }

  /** Order of the bucket's records by tenant, those of one tenant as they came. */
  #sort(first: number, end: number): void {
    const counts = this.#counts;
    const records = this.#records;
    const mask = (1 << this.#shift) - 1;
    counts.fill(0);
    for (let at = first * RECORD_WORDS; at < end * RECORD_WORDS; at += RECORD_WORDS) {
      counts[(records[at]! & mask) + 1]! += 1;
    }
    for (let index = 1; index < counts.length; index++) counts[index]! += counts[index - 1]!;
    for (let at = first * RECORD_WORDS; at < end * RECORD_WORDS; at += RECORD_WORDS) {
      const tenant = records[at]! & mask;
      this.#order[counts[tenant]!] = at;
      counts[tenant]! += 1;
    }
  }

  /** After `#sort` the counts are where each tenant's events end. */
  #write(events: number, firstTenant: number): void {
    const { startMs } = this.#settings;
    const words = this.#words;
    const doubles = this.#doubles;
    let to = 0;
    let done = 0;
    let batch = 0;
    for (let tenant = 0; tenant < this.#counts.length - 1; tenant++) {
      const end = this.#counts[tenant]!;
      while (done < end) {
        const count = Math.min(end - done, BATCH_EVENTS_MAX);
        this.batchTenants[batch] = firstTenant + tenant;
        this.batchOffsets[batch] = to * 4;
        batch += 1;
        words[to] = count;
        words[to + 1] = 0;
        doubles[(to + 2) >> 1] = startMs;
        to += HEADER_WORDS;
        for (const stop = done + count; done < stop; done++) {
          const from = this.#order[done]!;
          doubles[(to + 2) >> 1] = startMs;
          writeFields(words, to, this.#records, from);
          doubles[(to + 12) >> 1] = this.#latencies[(from + 4) >> 1]!;
          to += EVENT_WORDS;
        }
      }
    }
    assert.equal(done, events);
    this.batchOffsets[batch] = to * 4;
    this.batchCount = batch;
  }
}

/** Where each bucket's records end, once all are in place. */
function partition(
  { tenants, terms, users, latencies }: Columns,
  records: Int32Array,
  shift: number,
  bucketCount: number,
): Int32Array {
  const doubles = new Float64Array(records.buffer);
  const ends = new Int32Array(bucketCount);
  for (let event = 0; event < tenants.length; event++) ends[tenants[event]! >> shift]! += 1;
  let sum = 0;
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    const count = ends[bucket]!;
    ends[bucket] = sum;
    sum += count;
  }
  for (let event = 0; event < tenants.length; event++) {
    const bucket = tenants[event]! >> shift;
    const at = ends[bucket]! * RECORD_WORDS;
    ends[bucket]! += 1;
    records[at] = tenants[event]!;
    records[at + 1] = terms[event]!;
    records[at + 2] = users[event]!;
    doubles[(at + 4) >> 1] = latencies[event]!;
  }
  return ends;
}

const WEIGHT = 1;
const USER_BYTES = 8;
const TERM_BYTES = 6;
const METRIC_WORDS = new Int32Array(
  Uint8Array.of(METRIC.length, 0, ...new TextEncoder().encode(METRIC)).buffer,
);

/** All of an event but its time and its value. */
function writeFields(words: Int32Array, to: number, records: Int32Array, from: number): void {
  const term = records[from + 1]!;
  const user = records[from + 2]!;
  words[to] = EVENT_WORDS * 4;
  words[to + 1] = WEIGHT;
  words[to + 4] = USER_BYTES << 16;
  words[to + 5] = 1 << 16;
  words[to + 6] = 0;
  words[to + 7] = 1;
  words[to + 8] = hexadecimal(user >>> 16);
  words[to + 9] = hexadecimal(user & 0xffff);
  // "t" and the highest of five digits, then the other four.
  words[to + 10] = TERM_BYTES | (T_CHARACTER << 16) | ((hexadecimal(term >>> 16) >>> 24) << 24);
  words[to + 11] = hexadecimal(term & 0xffff);
  words[to + 14] = METRIC_WORDS[0]!;
  words[to + 15] = METRIC_WORDS[1]!;
}

const T_CHARACTER = 0x74;

/** Four hexadecimal digits of 16 bits, the first in the lowest byte, as memory has it. */
function hexadecimal(value: number): number {
  let digits = ((value & 0xff) << 16) | (value >>> 8);
  digits = ((digits & 0x000f000f) << 8) | ((digits >>> 4) & 0x000f000f);
  // One in each byte whose digit is a letter.
  const letters = ((digits + 0x06060606) >>> 4) & 0x01010101;
  return digits + 0x30303030 + letters * 0x27;
}
