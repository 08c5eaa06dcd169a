/** The thread of the writer: sleeps on the bell, commits what waits, rests. */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { LOG_RETRY_MS } from "#model/limits.ts";
import { RingReader, wakeRing } from "#std/byte-ring.ts";
import { Committer } from "./committer.ts";
import { SqliteStore } from "./sqlite-store.ts";
import { type HoldGate, waitAtGate } from "./writer-hold.ts";

export type WriterSettings = {
  readonly path: string;
  readonly logRings: readonly SharedArrayBuffer[];
  /** Rung by shards that have written. */
  readonly bell: Int32Array;
  readonly durable: Int32Array;
  /** Of StorageBoard. */
  readonly board: SharedArrayBuffer;
};

/** A shard's thread began: this is where it sleeps; or a backup begins: wait for it. */
export type WriterWish =
  | { readonly shard: number; readonly ring: SharedArrayBuffer }
  | { readonly gate: HoldGate };

export type WriterMessage = {
  readonly type: "open";
  readonly streams: readonly number[];
  /** Of the runs before, in order: what shards read at a start. */
  readonly former: readonly FormerStream[];
};

export type FormerStream = { readonly stream: number; readonly trimmed: number };

const IDLE_MS = 1_000;

await run(workerData as WriterSettings);

async function run({ path, logRings, bell, durable }: WriterSettings): Promise<void> {
  const store = new SqliteStore(path);
  const streams = store.beginRun(logRings.length);
  const rings: (SharedArrayBuffer | undefined)[] = [];
  const readers = logRings.map((ring) => new RingReader(ring));
  const committer = new Committer({
    log: store,
    streams: readers.map((ring, shard) => ({ ring, stream: streams[shard]! })),
    durable,
    wake: (shard) => {
      const ring = rings[shard];
      if (ring !== undefined) wakeRing(ring);
    },
  });
  const former = store.streams().filter(({ stream }) => !streams.includes(stream));
  parentPort!.postMessage({ type: "open", streams, former } satisfies WriterMessage);
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    const rung = Atomics.load(bell, 0);
    for (;;) {
      const received = receiveMessageOnPort(parentPort!) as { message: WriterWish } | undefined;
      if (received === undefined) break;
      const { message } = received;
      if ("gate" in message) waitAtGate(message.gate);
      else rings[message.shard] = message.ring;
    }
    const end = await committer.step();
    if (end === "failed") Atomics.wait(pause, 0, 0, LOG_RETRY_MS);
    else if (end === "done") Atomics.wait(pause, 0, 0, committer.restMs);
    else {
      if (readers.every((ring) => ring.stopping && ring.bytesUsed === 0)) break;
      Atomics.wait(bell, 0, rung, IDLE_MS);
    }
  }
  store.close();
  parentPort!.close();
}
