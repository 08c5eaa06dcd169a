/** The writer as the I/O thread has it: its rings, its thread. */
import { Worker } from "node:worker_threads";
import { durableBytes } from "#durable/committer.ts";
import type {
  FormerStream,
  WriterMessage,
  WriterSettings,
  WriterWish,
} from "#durable/writer-worker.ts";
import { LOG_RING_BYTES } from "#model/limits.ts";
import type { ShardLog } from "#shard/protocol.ts";
import { createRing, RingWriter } from "#std/byte-ring.ts";

export class WriterThread {
  readonly opened: Promise<void>;
  readonly #opening = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #worker: Worker;
  readonly #logRings: readonly SharedArrayBuffer[];
  readonly #bell = new Int32Array(new SharedArrayBuffer(4));
  readonly #durable: Int32Array;
  readonly #path: string;
  #streams: readonly number[] = [];
  #former: readonly FormerStream[] = [];

  constructor(path: string, shardCount: number) {
    this.opened = this.#opening.promise;
    this.#path = path;
    this.#logRings = Array.from({ length: shardCount }, () => createRing(LOG_RING_BYTES));
    this.#durable = new Int32Array(new SharedArrayBuffer(durableBytes(shardCount)));
    const workerData: WriterSettings = {
      path,
      logRings: this.#logRings,
      bell: this.#bell,
      durable: this.#durable,
    };
    const url = new URL(import.meta.resolve("#durable/writer-worker.ts"));
    this.#worker = new Worker(url, { workerData, name: "writer" });
    this.#worker.on("message", ({ streams, former }: WriterMessage) => {
      this.#streams = streams;
      this.#former = former;
      this.#opening.resolve();
    });
    this.#worker.on("error", (error) => this.#opening.reject(error));
    this.#worker.on("exit", () => this.#ended.resolve());
  }

  /** For a shard's thread that begins, and sleeps on `ring`. */
  attach(shard: number, ring: SharedArrayBuffer): ShardLog {
    this.#worker.postMessage({ shard, ring } satisfies WriterWish);
    return {
      ring: this.#logRings[shard]!,
      bell: this.#bell,
      durable: this.#durable,
      stream: this.#streams[shard]!,
      path: this.#path,
      former: this.#former,
      shardCount: this.#logRings.length,
    };
  }

  /** Once nobody writes any more: resolves when all of it is on disk. */
  async stop(): Promise<void> {
    for (const ring of this.#logRings) new RingWriter(ring).stop();
    Atomics.add(this.#bell, 0, 1);
    Atomics.notify(this.#bell, 0);
    await this.#ended.promise;
  }
}
