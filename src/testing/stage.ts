/**
 * A kernel stage under test, one thread: send datagrams, turn the epoch, see what each tenant
 * would get. Three ways in, which must not differ: the kernel's filter, recvmmsg, and one
 * datagram at a time.
 */
import assert from "node:assert/strict";
import { findFfi, type Libc, loadLibc, socketAddress, writeMessages } from "#kernel/libc.ts";
import { Drain } from "#kernel/drain.ts";
import { Receiver, type SocketReader } from "#kernel/receiver.ts";
import { openStage, type Stage, type StageOptions } from "#kernel/stage.ts";
import { readStageStats, type StageStats } from "#kernel/stage-stats.ts";
import { type EventSocket, openEventSocket } from "#ingest/event-socket.ts";
import { readBatch } from "./batch.ts";

export type Way = "kernel" | "recvmmsg" | "dgram";

export type TenantBatch = { readonly tenant: string; readonly bytes: string };

const NOW_MS = 1_700_000_000_000;

/** Why this machine cannot go this way, or false: for the `skip` of a test. */
export function wayMissing(way: Way): string | false {
  if (way === "dgram") return false;
  if (process.platform !== "linux" || findFfi() === undefined) return "needs Linux and node:ffi";
  if (way === "recvmmsg") return false;
  const stage = openStage({ shardCount: 1, logBits: 14 });
  stage.close();
  return stage.facts.path === "kernel"
    ? false
    : `the kernel stage needs ${stage.facts.missing.join(", ")}`;
}

export class TestStage implements Disposable {
  readonly stage: Stage;
  readonly receiver: Receiver;
  readonly drains: readonly Drain[];
  /** Names of tenants by the number they were given; all shards count together. */
  readonly names: string[] = [];
  /** Beyond it tenants are refused. */
  tenantCountMax = Infinity;
  readonly #way: Way;
  readonly #socket: EventSocket | undefined;
  readonly #reader: SocketReader | undefined;
  readonly #libc: Libc | undefined;
  #sendFd = -1;

  constructor(way: Way, options: Partial<StageOptions> = {}) {
    this.#way = way;
    const path = way === "kernel" ? "kernel" : "user";
    const dictionaryBytes = 8 * 1024 * 1024;
    const small = { shardCount: 2, logBits: 17, bufferRecords: 65_536, dictionaryBytes };
    this.stage = openStage({ ...small, multiplier: 0x9e3779b97f4a7c15n, ...options, path });
    assert.equal(this.stage.facts.path, path, this.stage.facts.missing.join(", "));
    const { handle } = this.stage;
    this.receiver = new Receiver(handle);
    this.drains = Array.from(
      { length: handle.layout.shardCount },
      (_, shard) => new Drain(handle, { shard, incarnation: 0 }),
    );
    if (way === "dgram") return;
    const { programFd } = handle;
    this.#socket = openEventSocket({ host: "127.0.0.1", port: 0, programFd });
    this.#reader = this.receiver.readSocket(this.#socket.fd);
    this.#libc = loadLibc(findFfi()!);
    this.#sendFd = this.#libc.openSocket("ipv4");
    this.#libc.connect(this.#sendFd, socketAddress("127.0.0.1", this.#socket.port));
  }

  get stats(): StageStats {
    return readStageStats(this.stage.handle);
  }

  get port(): number {
    return this.#socket!.port;
  }

  /** Sends datagrams; on loopback they have met the filter when this returns. */
  send(...datagrams: readonly Uint8Array[]): void {
    for (const datagram of datagrams) {
      if (this.#libc === undefined) this.receiver.take(datagram);
      else sendOne(this.#libc, this.#sendFd, datagram);
    }
  }

  /** Reads what the filter left. */
  read(): number {
    let count = 0;
    if (this.#reader === undefined) return count;
    for (let some = this.#reader.read(); some > 0; some = this.#reader.read()) count += some;
    return count;
  }

  /**
   * Turns the epoch and drains every shard, as the threads would; what each tenant gets, in
   * order.
   */
  turn(nowMs: number = NOW_MS): TenantBatch[] {
    if (this.#way !== "dgram") this.read();
    assert(this.receiver.turn(), "every shard has read the last epoch");
    return this.drains.flatMap((drain) => this.drainShard(drain, nowMs));
  }

  drainShard(drain: Drain, nowMs: number = NOW_MS): TenantBatch[] {
    const batches: TenantBatch[] = [];
    while (drain.pending || drain.gathered > 0) {
      drain.collect();
      if (drain.deliver() === 0) continue;
      let status = drain.emit(nowMs);
      for (; status !== "done"; status = drain.emit(nowMs)) {
        if (status === "full") this.take(drain, batches);
        else this.bindName(drain);
      }
      this.take(drain, batches);
    }
    return batches;
  }

  [Symbol.dispose](): void {
    this.#socket?.close();
    if (this.#sendFd >= 0) this.#libc!.close(this.#sendFd);
    this.stage.close();
  }

  /** Gives the tenant that `emit` asks for a number, if there is room for it. */
  bindName(drain: Drain): void {
    if (this.names.length >= this.tenantCountMax) drain.refuse();
    else drain.bind(this.names.push(drain.neededName()) - 1);
  }

  /** Adds what was written to the batches. */
  take(drain: Drain, batches: TenantBatch[]): void {
    for (let batch = 0; batch < drain.batchCount; batch++) {
      const start = drain.batchByteOffset(batch);
      const bytes = drain.memory.slice(start, start + drain.batchByteCount(batch));
      const tenant = this.names[drain.batchTenant(batch)]!;
      const { length } = readBatch(bytes).events;
      assert.equal(length, drain.batchEventCount(batch));
      batches.push({ tenant, bytes: Buffer.from(bytes).toString("hex") });
    }
    drain.release();
  }
}

/** What the batches say, summed: `tenant term` to weight, and to the samples in order. */
export function tally(batches: readonly TenantBatch[]): Map<string, number | number[]> {
  const sums = new Map<string, number | number[]>();
  for (const { tenant, bytes } of batches) {
    for (const { terms, metrics, weight } of readBatch(Buffer.from(bytes, "hex")).events) {
      for (const term of terms) {
        const key = `${tenant} ${term}`;
        sums.set(key, ((sums.get(key) as number | undefined) ?? 0) + weight);
      }
      for (const { name, value } of metrics) {
        const key = `${tenant} ${name} samples`;
        const samples = (sums.get(key) as number[] | undefined) ?? [];
        samples.push(value);
        sums.set(key, samples);
      }
    }
  }
  return sums;
}

function sendOne(libc: Libc, fd: number, datagram: Uint8Array): void {
  const bytes = Math.ceil(datagram.length / 8) * 8 + 80;
  const memory = new ArrayBuffer(bytes);
  new Uint8Array(memory).set(datagram, 80);
  const base = findFfi()!.getRawPointer(memory);
  const places = { messages: 0, vectors: 64, buffers: 80, count: 1 };
  writeMessages(new DataView(memory), base, { ...places, bufferBytes: datagram.length });
  assert.equal(libc.send(fd, base, 1), 1);
  // Named after the call: nothing else keeps it from being collected before the kernel has read it.
  assert.equal(memory.byteLength, bytes);
}
