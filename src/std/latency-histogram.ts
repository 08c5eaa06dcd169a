/**
 * Durations in a fixed table of log-linear buckets, in shared memory.
 *
 * Each octave of nanoseconds is cut into 32 buckets, so a quantile is at most 1/32 (3.2 %) above
 * the true one, from 32 ns to 2.1 s (longer counts as 2.1 s). Adding is a clz and an increment.
 * Layout:
 * bucket 32·o + s holds [2^o·(1 + s/32), 2^o·(1 + (s+1)/32)) ns; below 32 ns a bucket is 1 ns wide.
 * One thread adds, any thread may read: a read that races an add is off by that one event.
 */
const SUB_BITS = 5;
const SUB_COUNT = 1 << SUB_BITS;
const BUCKET_COUNT = (32 - SUB_BITS) * SUB_COUNT;
const NS_MAX = 2 ** 31 - 1;

export const LATENCY_HISTOGRAM_BYTES = BUCKET_COUNT * 4;

export class LatencyHistogram {
  readonly #buckets: Uint32Array;

  constructor(buffer: ArrayBufferLike, byteOffset = 0) {
    this.#buckets = new Uint32Array(buffer, byteOffset, BUCKET_COUNT);
  }

  add(durationMs: number): void {
    let ns = durationMs * 1e6;
    if (!(ns > 0)) ns = 0;
    if (ns > NS_MAX) ns = NS_MAX;
    this.#buckets[bucketOf(ns | 0)]! += 1;
  }

  get count(): number {
    let count = 0;
    for (const bucket of this.#buckets) count += bucket;
    return count;
  }

  /** Microseconds, the upper edge of the bucket that holds `quantile` in [0, 1]; 0 when empty. */
  quantileUs(quantile: number): number {
    const rank = Math.max(1, Math.ceil(quantile * this.count));
    let seen = 0;
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket++) {
      seen += this.#buckets[bucket]!;
      if (seen >= rank) return upperNs(bucket) / 1000;
    }
    return 0;
  }

  clear(): void {
    this.#buckets.fill(0);
  }
}

function bucketOf(ns: number): number {
  if (ns < SUB_COUNT) return ns;
  const octave = 31 - Math.clz32(ns);
  return (octave - SUB_BITS + 1) * SUB_COUNT + ((ns >>> (octave - SUB_BITS)) & (SUB_COUNT - 1));
}

function upperNs(bucket: number): number {
  if (bucket < SUB_COUNT) return bucket + 1;
  const octave = Math.floor(bucket / SUB_COUNT) + SUB_BITS - 1;
  const sub = bucket % SUB_COUNT;
  return 2 ** octave * (1 + (sub + 1) / SUB_COUNT);
}
