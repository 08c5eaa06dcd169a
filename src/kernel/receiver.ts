/**
 * The receiving end of the stage, for one thread: reads what the kernel leaves to the socket (or,
 * without the kernel, everything), turns the epoch, and forgets senders that went silent.
 */
import { type DrainExports, instantiateDrain } from "./module.ts";
import {
  findFfi,
  IOVEC_BYTES,
  type Libc,
  loadLibc,
  MESSAGE_BYTES,
  messageBytes,
  socketAddressBytes,
  SystemError,
  writeMessageAddress,
  writeMessages,
} from "./libc.ts";
import {
  CONTROL_BYTES,
  CONTROL_EPOCH_RECORDS,
  CONTROL_FULLEST,
  EPOCH_RECORDS_MAX,
  RECORDS_MAX,
} from "./layout.gen.ts";
import { REQUEST_BYTES, Requests, type SendRequest } from "./requests.ts";
import type { StageHandle } from "./stage.ts";
import { ADDRESS_BYTES, RECEIVE_BYTES, RECEIVE_COUNT } from "./stage-layout.ts";

/** Silence after which a sender is forgotten, and one that never named anything. */
const IDLE_MS = 600_000;
const IDLE_UNNAMED_MS = 30_000;
/** For how long records wait for their names. */
const HELD_MS = 10_000;
const NEVER = 0xffff_ffff;
/** How exactly that is known: senders carry epochs, and an epoch may be long or short. */
const IDLE_STEP_MS = 1_000;

export class Receiver {
  readonly #handle: StageHandle;
  readonly #drain: DrainExports;
  readonly #passed: number;
  readonly #bytes: Uint8Array;
  readonly #requests: Requests;
  readonly #words: Int32Array;
  readonly #view: DataView;
  /** Epoch at each step of the last `IDLE_MS`, in a ring. */
  readonly #pastEpochs = new Uint32Array(IDLE_MS / IDLE_STEP_MS + 1);
  #pastSteps = -1;
  #pastMs = 0;
  #sendRequest: SendRequest | undefined;

  constructor(handle: StageHandle) {
    this.#handle = handle;
    this.#drain = instantiateDrain(handle.memory);
    this.#passed = handle.programFd === undefined ? 0 : 1;
    this.#bytes = new Uint8Array(handle.memory.buffer);
    this.#requests = new Requests(handle);
    this.#words = new Int32Array(handle.memory.buffer);
    this.#view = new DataView(handle.memory.buffer);
  }

  /** Records taken since the last turn, by all columns. */
  get epochRecords(): number {
    const field = CONTROL_EPOCH_RECORDS + this.#side * 4;
    const { cpuCount } = this.#handle.layout;
    let records = 0;
    for (let column = 0; column <= cpuCount; column++) {
      records += this.#view.getUint32(this.#control(column) + field, true);
    }
    return records;
  }

  /** How full the fullest log, or the books of an epoch, are: at 1 datagrams are left over. */
  get fullness(): number {
    const { cpuCount, logBits, partBits } = this.#handle.layout;
    const capacity = 2 ** (logBits - partBits) - RECORDS_MAX;
    const at = this.#side * 4;
    let fullness = 0;
    for (let column = 0; column <= cpuCount; column++) {
      const control = this.#control(column) + at;
      const log = this.#view.getUint32(control + CONTROL_FULLEST, true) / capacity;
      const records = this.#view.getUint32(control + CONTROL_EPOCH_RECORDS, true);
      fullness = Math.max(fullness, log, records / EPOCH_RECORDS_MAX);
    }
    return fullness;
  }

  /** Whether a shard asks for a turn. */
  get turnWanted(): boolean {
    const { shared, wantedWord } = this.#handle.layout;
    const epoch = Atomics.load(this.#words, shared >>> 2);
    return Atomics.load(this.#words, wantedWord >>> 2) === ((epoch + 1) | 0);
  }

  get #side(): number {
    return this.#view.getUint32(this.#handle.layout.shared, true) & 1;
  }

  #control(column: number): number {
    const { cpuCount, kernelControls, userControl } = this.#handle.layout;
    return column < cpuCount ? kernelControls + column * CONTROL_BYTES : userControl;
  }

  /** Datagrams for which there is room until the next turn of the epoch. */
  get room(): number {
    return this.#drain.room();
  }

  /**
   * Takes one datagram, wherever it comes from; there must be room. Returns the number of its
   * sender, -1 when it is refused.
   */
  take(datagram: Uint8Array): number {
    const { buffers } = this.#handle.layout;
    const bytes = Math.min(datagram.length, RECEIVE_BYTES);
    this.#bytes.set(datagram.subarray(0, bytes), buffers);
    return this.#drain.receive(buffers, bytes, this.#passed);
  }

  /**
   * Turns the epoch if every shard has read the one before; returns whether it did. Until it can,
   * the tables fill, then the logs, then the socket's buffer: only what comes after that is lost,
   * and counted.
   */
  turn(): boolean {
    if (this.#drain.flipReady() === 0) return false;
    this.#drain.flip();
    Atomics.notify(this.#words, this.#handle.layout.shared >>> 2);
    return true;
  }

  forgetIdleSenders(nowMs: number): void {
    const epoch = this.#view.getUint32(this.#handle.layout.shared, true);
    if (this.#pastSteps < 0) this.#pastMs = nowMs - IDLE_STEP_MS;
    for (; nowMs - this.#pastMs >= IDLE_STEP_MS; this.#pastMs += IDLE_STEP_MS) {
      this.#pastSteps += 1;
      this.#pastEpochs[this.#pastSteps % this.#pastEpochs.length] = epoch;
    }
    // The shards give a record up long before its sender's number may be another's.
    const heldEpochs = this.#epochsIn(HELD_MS);
    if (heldEpochs !== undefined) {
      const word = this.#handle.layout.heldEpochsWord >>> 2;
      Atomics.store(this.#words, word, Math.max(1, heldEpochs));
    }
    const unnamed = this.#epochsIn(IDLE_UNNAMED_MS);
    if (unnamed === undefined) return;
    this.#drain.evictSenders(this.#epochsIn(IDLE_MS) ?? NEVER, unnamed);
  }

  /** Epochs of the last so many milliseconds; undefined until they are over. */
  #epochsIn(durationMs: number): number | undefined {
    const steps = durationMs / IDLE_STEP_MS;
    if (this.#pastSteps < steps) return undefined;
    const { length } = this.#pastEpochs;
    const now = this.#pastEpochs[this.#pastSteps % length]!;
    return (now - this.#pastEpochs[(this.#pastSteps - steps) % length]!) >>> 0;
  }

  /** For whoever hands datagrams to `take`: how a request reaches the sender of a number. */
  answerWith(sendRequest: SendRequest): void {
    this.#sendRequest = sendRequest;
  }

  /** Asks senders whose records wait for names, each at most about once a second. */
  requestNames(nowMs: number): void {
    if (this.#sendRequest !== undefined) this.#requests.send(nowMs, this.#sendRequest);
  }

  /** Reads with recvmmsg straight into the shared memory. Linux with node:ffi. */
  readSocket(fd: number): SocketReader {
    const reader = new SocketReader(fd, this.#handle, this.#drain, this.#passed);
    this.#sendRequest = (number, request) => reader.sendRequest(number, request);
    return reader;
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
  readonly #bytes: Uint8Array;
  readonly #sources: number;
  readonly #addresses: number;
  readonly #addressesAddress: bigint;
  /** One message, its vector and its bytes. */
  readonly #request = new ArrayBuffer(MESSAGE_BYTES + IOVEC_BYTES + REQUEST_BYTES);
  readonly #requestAddress: bigint;

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
    this.#bytes = new Uint8Array(memory.buffer);
    this.#sources = layout.sources;
    this.#addresses = layout.addresses;
    this.#addressesAddress = base + BigInt(layout.addresses);
    for (let i = 0; i < RECEIVE_COUNT; i++) {
      writeMessageAddress(this.#view, layout.messages + i * MESSAGE_BYTES, {
        address: base + BigInt(layout.sources + i * ADDRESS_BYTES),
        bytes: ADDRESS_BYTES,
      });
    }
    this.#requestAddress = ffi.getRawPointer(this.#request);
    writeMessages(new DataView(this.#request), this.#requestAddress, {
      messages: 0,
      vectors: MESSAGE_BYTES,
      buffers: MESSAGE_BYTES + IOVEC_BYTES,
      bufferBytes: REQUEST_BYTES,
      count: 1,
    });
  }

  /** Takes what waits, as much as one call brings; returns how many datagrams that were. */
  read(): number {
    const count = Math.min(RECEIVE_COUNT, this.#drain.room());
    if (count === 0) return 0;
    const received = this.#libc.receive(this.#fd, this.#address, count);
    for (let i = 0; i < received; i++) {
      const bytes = messageBytes(this.#view, this.#messages, i);
      const buffer = this.#buffers + i * RECEIVE_BYTES;
      const sender = this.#drain.receive(buffer, bytes, this.#passed);
      if (sender >= 0) this.#noteAddress(sender, this.#sources + i * ADDRESS_BYTES);
    }
    return received;
  }

  /** To where the sender's newest datagram that was read came from. */
  sendRequest(sender: number, request: Uint8Array): boolean {
    const at = sender * ADDRESS_BYTES;
    const bytes = socketAddressBytes(this.#view, this.#addresses + at);
    if (bytes === 0) return false;
    new Uint8Array(this.#request, MESSAGE_BYTES + IOVEC_BYTES).set(request);
    const address = this.#addressesAddress + BigInt(at);
    writeMessageAddress(new DataView(this.#request), 0, { address, bytes });
    try {
      return this.#libc.send(this.#fd, this.#requestAddress, 1) === 1;
    } catch (error) {
      // An address that nothing can be sent to is the sender's lie or its loss, not ours.
      if (error instanceof SystemError) return false;
      throw error;
    }
  }

  #noteAddress(sender: number, source: number): void {
    const at = this.#addresses + sender * ADDRESS_BYTES;
    this.#bytes.copyWithin(at, source, source + ADDRESS_BYTES);
  }
}
