/**
 * The receiving end of the stage, for one thread: reads what the kernel leaves to the socket (or,
 * without the kernel, everything), turns the epoch, and forgets senders that went silent.
 */
import { type DrainExports, instantiateDrain } from "./module.ts";
import { findFfi, type Libc, loadLibc, messageBytes, writeMessages } from "./libc.ts";
import type { StageHandle } from "./stage.ts";
import { RECEIVE_BYTES, RECEIVE_COUNT } from "./stage-layout.ts";

/** Epochs of silence after which a sender is forgotten, and one that never named anything. */
const IDLE_EPOCHS = 6_000;
const IDLE_EPOCHS_UNNAMED = 300;

export class Receiver {
  readonly #handle: StageHandle;
  readonly #drain: DrainExports;
  readonly #passed: number;
  readonly #bytes: Uint8Array;

  constructor(handle: StageHandle) {
    this.#handle = handle;
    this.#drain = instantiateDrain(handle.memory);
    this.#passed = handle.programFd === undefined ? 0 : 1;
    this.#bytes = new Uint8Array(handle.memory.buffer);
  }

  /** Datagrams for which there is room until the next turn of the epoch. */
  get room(): number {
    return this.#drain.room();
  }

  /** Takes one datagram, wherever it comes from; there must be room. */
  take(datagram: Uint8Array): void {
    const { buffers } = this.#handle.layout;
    const bytes = Math.min(datagram.length, RECEIVE_BYTES);
    this.#bytes.set(datagram.subarray(0, bytes), buffers);
    this.#drain.receive(buffers, bytes, this.#passed);
  }

  /**
   * Turns the epoch if every shard has read the one before; returns whether it did. Until it can,
   * the tables fill, then the logs, then the socket's buffer: only what comes after that is lost,
   * and counted.
   */
  turn(): boolean {
    if (this.#drain.flipReady() === 0) return false;
    this.#drain.flip();
    return true;
  }

  forgetIdleSenders(): void {
    this.#drain.evictSenders(IDLE_EPOCHS, IDLE_EPOCHS_UNNAMED);
  }

  /** Reads with recvmmsg straight into the shared memory. Linux with node:ffi. */
  readSocket(fd: number): SocketReader {
    return new SocketReader(fd, this.#handle, this.#drain, this.#passed);
  }
}

export class SocketReader {
  readonly #fd: number;
  readonly #drain: DrainExports;
  readonly #passed: number;
  readonly #libc: Libc;
  readonly #view: DataView;
  readonly #messages: number;
  readonly #buffers: number;
  readonly #address: bigint;

  constructor(fd: number, handle: StageHandle, drain: DrainExports, passed: number) {
    const { memory, layout } = handle;
    const ffi = findFfi()!;
    this.#fd = fd;
    this.#drain = drain;
    this.#passed = passed;
    this.#libc = loadLibc(ffi);
    this.#view = new DataView(memory.buffer);
    this.#messages = layout.messages;
    this.#buffers = layout.buffers;
    const base = ffi.getRawPointer(memory.buffer);
    this.#address = base + BigInt(layout.messages);
    writeMessages(this.#view, base, {
      ...layout,
      bufferBytes: RECEIVE_BYTES,
      count: RECEIVE_COUNT,
    });
  }

  /** Takes what waits, as much as one call brings; returns how many datagrams that were. */
  read(): number {
    const count = Math.min(RECEIVE_COUNT, this.#drain.room());
    if (count === 0) return 0;
    const received = this.#libc.receive(this.#fd, this.#address, count);
    for (let i = 0; i < received; i++) {
      const bytes = messageBytes(this.#view, this.#messages, i);
      this.#drain.receive(this.#buffers + i * RECEIVE_BYTES, bytes, this.#passed);
    }
    return received;
  }
}
