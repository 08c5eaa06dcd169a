/**
 * How the disk stands, in shared memory: the writer writes its numbers, each shard its own, and
 * anybody reads. A read that races a write is late by that write.
 */
import { LATENCY_HISTOGRAM_BYTES, LatencyHistogram } from "#std/latency-histogram.ts";

const WRITER_NUMBERS = [
  "commitCount",
  "commitFailures",
  "commitMsMax",
  "blockCount",
  "logBytes",
  "storeBytes",
  "snapshotCount",
  "snapshotBytes",
  /** Since when the state is what it is, epoch ms. */
  "stateSinceMs",
  /** Since when a commit runs, epoch ms; 0: none does. */
  "commitSinceMs",
] as const;

const SHARD_NUMBERS = [
  /** Time of guests that a replay of the shard's log would take. */
  "backlogMs",
  "dirtyTenants",
  "heldAnswers",
  "snapshotsDone",
  "snapshotsTotal",
  "replayedTurns",
] as const;

export type WriterNumber = (typeof WRITER_NUMBERS)[number];
export type ShardNumber = (typeof SHARD_NUMBERS)[number];

export class StorageBoard {
  /** Durations of commits. */
  readonly commits: LatencyHistogram;
  readonly #numbers: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.commits = new LatencyHistogram(buffer);
    this.#numbers = new Float64Array(buffer, LATENCY_HISTOGRAM_BYTES);
  }

  static create(shardCount: number): SharedArrayBuffer {
    const numbers = WRITER_NUMBERS.length + shardCount * SHARD_NUMBERS.length;
    return new SharedArrayBuffer(LATENCY_HISTOGRAM_BYTES + 8 * numbers);
  }

  get(name: WriterNumber): number {
    return this.#numbers[WRITER_NUMBERS.indexOf(name)]!;
  }

  set(name: WriterNumber, value: number): void {
    this.#numbers[WRITER_NUMBERS.indexOf(name)] = value;
  }

  getOf(shard: number, name: ShardNumber): number {
    return this.#numbers[placeOf(shard, name)]!;
  }

  setOf(shard: number, name: ShardNumber, value: number): void {
    this.#numbers[placeOf(shard, name)] = value;
  }
}

function placeOf(shard: number, name: ShardNumber): number {
  return WRITER_NUMBERS.length + shard * SHARD_NUMBERS.length + SHARD_NUMBERS.indexOf(name);
}
