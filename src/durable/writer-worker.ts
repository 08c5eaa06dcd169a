/** The thread of the writer: sleeps on the bell, commits what waits, rests. */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { LOG_RETRY_MS } from "#model/limits.ts";
import { RingReader, wakeRing } from "#std/byte-ring.ts";
import { Committer, STATES, type StoreState } from "./committer.ts";
import { WriteFailure } from "./durable-store.ts";
import { isTaken } from "./file-lock.ts";
import { SqliteStore } from "./sqlite-store.ts";
import { StorageBoard } from "./storage-board.ts";
import { type HoldGate, waitAtGate } from "./writer-hold.ts";

export type WriterSettings = {
  readonly path: string;
  readonly logRings: readonly SharedArrayBuffer[];
  /** Rung by shards that have written. */
  readonly bell: Int32Array;
  readonly durable: Int32Array;
  /** Of StorageBoard. */
  readonly board: SharedArrayBuffer;
  /** What tenants run: kept for as long as an image may need it. */
  readonly components: readonly { readonly digest: Uint8Array; readonly bytes: Uint8Array }[];
  /** Of the run, if the writer before this one died. */
  readonly streams?: readonly number[] | undefined;
};

/** A shard's thread began: this is where it sleeps; or a backup begins: wait for it. */
export type WriterWish =
  | { readonly shard: number; readonly ring: SharedArrayBuffer }
  | { readonly gate: HoldGate }
  /** All shards have begun: components that they need; beside today's. */
  | { readonly needed: readonly number[] };

export type WriterMessage =
  | {
      readonly type: "open";
      readonly streams: readonly number[];
      /** Numbers of the components, as they were told. */
      readonly components: readonly number[];
    }
  /** Another process writes to the store. */
  | { readonly type: "taken" }
  /** The disk takes no more what is written, or it does again. */
  | { readonly type: "state"; readonly state: StoreState; readonly detail: string }
  /** No file has anything of these tenants any more. */
  | { readonly type: "erased"; readonly tenants: readonly string[] }
  /** Snapshots of these tenants were found damaged: another one mends it. */
  | { readonly type: "damaged"; readonly tenants: readonly string[] };

const IDLE_MS = 1_000;
/** The same while there is something to tidy up. */
const TIDY_MS = 20;
/** Of a disk that fails while the process stops. */
const STOP_TRIES_MAX = 3;
/** How often the size of the file is looked at. */
const SIZE_MS = 1_000;

const settings = workerData as WriterSettings;
const store = openStore(settings.path);
if (store !== undefined) await run(settings, store);

function openStore(path: string): SqliteStore | undefined {
  try {
    return new SqliteStore(path);
  } catch (error) {
    if (!isTaken(error)) throw error;
    post({ type: "taken" });
    parentPort!.close();
    return undefined;
  }
}

async function run(
  { logRings, bell, durable, board: buffer, components, streams: former }: WriterSettings,
  store: SqliteStore,
): Promise<void> {
  const streams = former ?? store.beginRun(logRings.length);
  const lasts = store.resumeRun(streams);
  for (const [shard, last] of lasts.entries()) Atomics.store(durable, 2 * shard, last | 0);
  // What the one before it met is not known to be so still.
  Atomics.store(durable, durable.length - 1, STATES.indexOf("ok"));
  const numbers = components.map(({ digest, bytes }) => store.keepComponent(digest, bytes));
  const board = new StorageBoard(buffer);
  const rings: (SharedArrayBuffer | undefined)[] = [];
  const readers = logRings.map((ring) => new RingReader(ring));
  const committer = new Committer({
    log: store,
    streams: readers.map((ring, shard) => ({ ring, stream: streams[shard]!, from: lasts[shard]! })),
    durable,
    board,
    onState: (state, detail) => post({ type: "state", state, detail }),
    wake: (shard) => {
      const ring = rings[shard];
      if (ring !== undefined) wakeRing(ring);
    },
  });
  const size = sizeTeller(store, board);
  size();
  post({ type: "open", streams, components: numbers });
  let stopTries = 0;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (;;) {
    const rung = Atomics.load(bell, 0);
    for (;;) {
      const received = receiveMessageOnPort(parentPort!) as { message: WriterWish } | undefined;
      if (received === undefined) break;
      const { message } = received;
      if ("gate" in message) waitAtGate(message.gate);
      else if ("needed" in message) store.sweep.begin([...numbers, ...message.needed]);
      else rings[message.shard] = message.ring;
    }
    const end = await committer.step();
    if (end !== "failed") {
      size();
      const erased = store.isForgetting ? store.takeErased() : [];
      if (erased.length > 0) post({ type: "erased", tenants: erased });
    }
    if (end === "failed") {
      // Who waited for it is told that nobody knows; what follows a start is what is on disk.
      if (readers.every((ring) => ring.stopping) && (stopTries += 1) > STOP_TRIES_MAX) break;
      Atomics.wait(pause, 0, 0, LOG_RETRY_MS);
    } else if (end === "done") {
      const tenants = store.takeDamaged();
      if (tenants.length > 0) post({ type: "damaged", tenants });
      Atomics.wait(pause, 0, 0, committer.restMs);
    } else {
      if (readers.every((ring) => ring.stopping && ring.bytesUsed === 0)) break;
      if (store.isBehind) tidy(store);
      if (store.sweep.isUnderWay) sweep(store);
      const isBusy = store.isBehind || store.isForgetting || store.sweep.isUnderWay;
      Atomics.wait(bell, 0, rung, isBusy ? TIDY_MS : IDLE_MS);
    }
  }
  store.close();
  parentPort!.close();
}

function sweep(store: SqliteStore): void {
  try {
    store.sweep.step();
  } catch {
    store.sweep.end();
  }
}

/** A disk that fails at it is met again by the next commit, which says so. */
function tidy(store: SqliteStore): void {
  try {
    store.tidy();
  } catch (error) {
    if (!(error instanceof WriteFailure)) throw error;
  }
}

/** The log's bytes at each call; those of the file now and then. */
function sizeTeller(store: SqliteStore, board: StorageBoard): () => void {
  let toldMs = Number.NEGATIVE_INFINITY;
  return () => {
    board.set("logBytes", store.logBytes);
    const nowMs = performance.now();
    if (nowMs - toldMs < SIZE_MS) return;
    toldMs = nowMs;
    board.set("storeBytes", store.usedBytes);
  };
}

function post(message: WriterMessage): void {
  parentPort!.postMessage(message);
}
