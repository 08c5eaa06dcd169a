/**
 * Sends a pool of datagrams with sendmmsg, straight out of its memory, at an offered rate or as
 * fast as it goes. No C: node:ffi calls the C library. What a datagram costs here is eight bytes of
 * sequence.
 */
import assert from "node:assert/strict";
import { findFfi, type Libc, loadLibc, MESSAGE_BYTES, IOVEC_BYTES } from "#kernel/libc.ts";
import { socketAddress, writeMessages } from "#kernel/libc.ts";
import { writeSequence } from "#model/datagram.ts";
import type { DatagramPool } from "./datagram-pool.ts";

export type FloodOptions = {
  readonly events: number;
  /** Offered; 0: as fast as it goes. */
  readonly eventsPerSecond: number;
  readonly secondsMax: number;
};

export type FloodResult = {
  readonly events: number;
  readonly datagrams: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  /** Of this process: on a loopback the receiver's IP stack and filter are in it. */
  readonly cpuSeconds: number;
  readonly calls: number;
  /** Times the system took nothing, and we tried again. */
  readonly refusals: number;
};

/** Bytes of one sendmmsg, and messages. */
const CALL_BYTES_MAX = 512 * 1024;
const CALL_MESSAGES_MAX = 64;
/** When nothing is due, or nothing is taken. */
const PAUSE_MS = 0.5;
/** Names of 100,000 tenants are 2 MB: spaced, for they go to a socket's buffer. */
const DICTIONARY_PAUSE_MS = 2;
const DICTIONARY_MS = 5_000;

const never = new Int32Array(new SharedArrayBuffer(4));

export class DatagramSender {
  /** How often each datagram of the pool was sent. */
  readonly timesSent: Uint32Array;
  dictionaryBytes = 0;
  readonly #pool: DatagramPool;
  readonly #libc: Libc;
  readonly #fd: number;
  readonly #messages: { readonly memory: ArrayBuffer; readonly address: bigint };
  readonly #dictionaries: readonly { readonly view: DataView; readonly message: bigint }[];
  #sequence = 0;
  #next = 0;
  /** Keeps what the system reads by address from being collected. */
  readonly #kept: ArrayBuffer[] = [];

  constructor(pool: DatagramPool, target: { host: string; port: number }) {
    const ffi = findFfi();
    assert(ffi !== undefined, "the load generator needs node:ffi");
    this.#pool = pool;
    this.#libc = loadLibc(ffi);
    this.timesSent = new Uint32Array(pool.datagramCount);
    this.#messages = this.#describe(pool.view, pool.datagramCount, pool.datagramBytes);
    this.#dictionaries = pool.dictionaries.map((view) => {
      return { view, message: this.#describe(view, 1, view.byteLength).address };
    });
    this.#fd = this.#libc.openSocket(target.host.includes(":") ? "ipv6" : "ipv4");
    this.#libc.connect(this.#fd, socketAddress(target.host, target.port));
  }

  /** Datagrams of every kind that the system took: each has a number of its own. */
  get datagrams(): number {
    return this.#sequence;
  }

  /** All names, spaced. */
  sendNames(): void {
    for (let i = 0; i < this.#dictionaries.length; i++) {
      this.#sendDictionary(i);
      pause(DICTIONARY_PAUSE_MS);
    }
  }

  flood({ events, eventsPerSecond, secondsMax }: FloodOptions): FloodResult {
    const { datagramEvents, datagramBytes } = this.#pool;
    const target = Math.ceil(events / datagramEvents);
    const perMs = eventsPerSecond / datagramEvents / 1_000;
    const cpuBefore = process.cpuUsage();
    const startMs = performance.now();
    let datagrams = 0;
    let calls = 0;
    let refusals = 0;
    let named = 0;
    for (;;) {
      const elapsedMs = performance.now() - startMs;
      if (datagrams >= target || elapsedMs > secondsMax * 1_000) break;
      if (named < Math.floor((elapsedMs / DICTIONARY_MS) * this.#dictionaries.length)) {
        this.#sendDictionary(named % this.#dictionaries.length);
        named += 1;
      }
      const due = perMs === 0 ? target : Math.min(target, Math.floor(elapsedMs * perMs) + 1);
      if (due <= datagrams) {
        pause(PAUSE_MS);
        continue;
      }
      const sent = this.#sendSome(due - datagrams);
      calls += 1;
      datagrams += sent;
      if (sent === 0) {
        refusals += 1;
        pause(PAUSE_MS);
      }
    }
    const seconds = (performance.now() - startMs) / 1_000;
    const { user, system } = process.cpuUsage(cpuBefore);
    const eventsSent = datagrams * datagramEvents;
    return {
      events: eventsSent,
      datagrams,
      bytes: datagrams * datagramBytes,
      seconds,
      eventsPerSecond: eventsSent / seconds,
      cpuSeconds: (user + system) / 1e6,
      calls,
      refusals,
    };
  }

  close(): void {
    this.#libc.close(this.#fd);
  }

  /** One call; returns how many datagrams the system took. */
  #sendSome(most: number): number {
    const { datagramCount, datagramBytes, view } = this.#pool;
    const call = Math.min(CALL_MESSAGES_MAX, Math.ceil(CALL_BYTES_MAX / datagramBytes));
    const first = this.#next;
    const count = Math.min(call, most, datagramCount - first);
    for (let i = 0; i < count; i++) {
      writeSequence(view, (first + i) * datagramBytes, this.#sequence + i);
    }
    const address = this.#messages.address + BigInt(first * MESSAGE_BYTES);
    const sent = this.#libc.send(this.#fd, address, count);
    for (let i = 0; i < sent; i++) this.timesSent[first + i]! += 1;
    this.#sequence += sent;
    this.#next = (first + sent) % datagramCount;
    return sent;
  }

  #sendDictionary(index: number): void {
    const { view, message } = this.#dictionaries[index]!;
    writeSequence(view, 0, this.#sequence);
    while (this.#libc.send(this.#fd, message, 1) === 0) pause(PAUSE_MS);
    this.#sequence += 1;
    this.dictionaryBytes += view.byteLength;
  }

  /** A struct mmsghdr for each of `count` buffers that lie back to back. */
  #describe(
    buffers: DataView<ArrayBuffer>,
    count: number,
    bufferBytes: number,
  ): { memory: ArrayBuffer; address: bigint } {
    const ffi = findFfi()!;
    const memory = new ArrayBuffer(count * (MESSAGE_BYTES + IOVEC_BYTES));
    const view = new DataView(memory);
    const address = ffi.getRawPointer(memory);
    const at = { messages: 0, vectors: count * MESSAGE_BYTES, buffers: 0, bufferBytes, count };
    writeMessages(view, address, at);
    const base = ffi.getRawPointer(buffers.buffer);
    for (let i = 0; i < count; i++) {
      view.setBigUint64(at.vectors + i * IOVEC_BYTES, base + BigInt(i * bufferBytes), true);
    }
    this.#kept.push(memory, buffers.buffer);
    return { memory, address };
  }
}

/** Sleeps; a timer would have to be waited for, and a millisecond is its least. */
function pause(ms: number): void {
  Atomics.wait(never, 0, 0, ms);
}
