/**
 * Sends counts and metric samples as event datagrams: no answer, no waiting, sixteen bytes each.
 *
 *   const client = new DatagramClient({ port: 7071 });
 *   client.record("acme", "goal", 1);
 *   client.sample("acme", "latencyUs", 1_250);
 *   await client.close();
 *
 * UDP is at most once: what the network loses is lost, and the receiver counts it by the gaps in
 * our sequence. What this side cannot take (buffers full, no more names) it drops, counts, and says
 * so by returning false. It never waits for the receiver, and its memory is bounded.
 *
 * Records fill a buffer; a full one, or one that is `flushMs` old, is queued; the queue leaves at
 * most `burstBytes` a millisecond, because a receiver's socket buffer is smaller than what we could
 * send at once. Names go first: a dictionary datagram with new names leaves before the records that
 * use them. As any datagram may be lost, all names are sent again, spread over each `dictionaryMs`,
 * and at once when the receiver asks.
 */
import { randomBytes } from "node:crypto";
import { createSocket, type Socket } from "node:dgram";
import { isIPv4, isIPv6 } from "node:net";
import {
  DATAGRAM_BYTES_ETHERNET,
  DATAGRAM_BYTES_MAX,
  FLAG_METRIC,
  HEADER_BYTES,
  isSample,
  isWeight,
  KIND_DICTIONARY,
  KIND_RECORDS,
  KIND_REQUEST,
  readHeader,
  RECORD_BYTES,
  SAMPLE_MAX,
  writeHeader,
} from "../src/model/datagram.ts";
import { WEIGHT_MAX } from "../src/model/limits.ts";
import { Names, NO_INDEX, TENANT_COUNT_DEFAULT, TERM_COUNT_DEFAULT } from "./names.ts";

export type DatagramClientOptions = {
  /** Address or name of the receiver; 127.0.0.1. */
  readonly host?: string;
  readonly port?: number;
  /**
   * Bytes of the largest datagram: as many as UDP can carry on a loopback, else one Ethernet
   * packet.
   */
  readonly datagramBytes?: number;
  /** A record leaves at the latest this long after it was made. */
  readonly flushMs?: number;
  /** In this time all names are sent once more. */
  readonly dictionaryMs?: number;
  /** Bytes that leave within a millisecond. */
  readonly burstBytes?: number;
  /** Bytes of records that may wait to be sent; beyond, records are dropped. */
  readonly bufferBytesMax?: number;
  readonly tenantCountMax?: number;
  readonly termCountMax?: number;
};

export type DatagramClientStats = {
  /** Records handed to the network, and the datagrams that carried them. */
  readonly recordsSent: number;
  readonly datagramsSent: number;
  readonly bytesSent: number;
  /** Records dropped: buffers full, no room for a name, or the system refused to send. */
  readonly recordsDropped: number;
  readonly recordsWaiting: number;
  readonly dictionariesSent: number;
  readonly dictionaryBytesSent: number;
  /** Requests of the receiver for all names. */
  readonly requestsReceived: number;
  readonly sendErrors: number;
  readonly tenantCount: number;
  readonly termCount: number;
};

const PORT_DEFAULT = 7_071;
const FLUSH_MS_DEFAULT = 10;
const DICTIONARY_MS_DEFAULT = 5_000;
const BURST_BYTES_DEFAULT = 128 * 1024;
const BUFFER_BYTES_DEFAULT = 4 * 1024 * 1024;
/** Datagrams that the socket may hold at once. */
const SENDING_MAX = 8;
/** A dictionary that is due is sent in so many parts over `dictionaryMs`. */
const DICTIONARY_PARTS = 50;
/** Requests that come sooner after one that was honoured change nothing: a flood must not echo. */
const REQUEST_MS_MIN = 1_000;
const CONNECT_RETRY_MS = 1_000;
const CLOSE_MS_DEFAULT = 1_000;

/** A datagram that fills up, waits, or is being sent; then it is used again. */
type Page = { readonly view: DataView; readonly bytes: Buffer; count: number };

export class DatagramClient {
  readonly #options: Required<DatagramClientOptions>;
  readonly #sender = randomBytes(8).readBigUInt64LE() | 1n;
  readonly #names: Names;
  readonly #socket: Socket;
  readonly #free: Page[] = [];
  #pagesLeft: number;
  #page: Page | undefined;
  readonly #queue: Page[] = [];
  #sequence = 0;
  #sendingCount = 0;
  #recordsSending = 0;
  #burstLeft: number;
  #burstTimer: NodeJS.Timeout | undefined;
  #flushTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  readonly #dictionaryTimer: NodeJS.Timeout;
  /** Names before `#namesSent` were sent; those before `#namesAgain` once more in this round. */
  #namesSent = 0;
  #namesAgain = 0;
  /** While below, names go out again as fast as bursts allow. */
  #namesAsked = 0;
  #askedAtMs = -Infinity;
  #state: "connecting" | "open" | "closed" = "connecting";
  /** From then on nothing is recorded. */
  #closing = false;
  #closed: Promise<void> | undefined;
  #idle: PromiseWithResolvers<void> | undefined;
  readonly #counts = {
    recordsSent: 0,
    datagramsSent: 0,
    bytesSent: 0,
    recordsDropped: 0,
    dictionariesSent: 0,
    dictionaryBytesSent: 0,
    requestsReceived: 0,
    sendErrors: 0,
  };

  constructor(options: DatagramClientOptions = {}) {
    this.#options = withDefaults(options);
    const { host, datagramBytes, bufferBytesMax, dictionaryMs, burstBytes } = this.#options;
    this.#names = new Names(this.#options);
    this.#pagesLeft = Math.max(2, Math.floor(bufferBytesMax / datagramBytes));
    this.#burstLeft = burstBytes;
    this.#socket = createSocket({ type: isIPv6(host) ? "udp6" : "udp4" });
    // Whoever runs us must be able to end; `flush` and `close` wait for what is on its way.
    this.#socket.unref();
    this.#socket.on("error", () => (this.#counts.sendErrors += 1));
    this.#socket.on("message", (message) => this.#take(message));
    this.#dictionaryTimer = setInterval(() => this.#repeat(), dictionaryMs / DICTIONARY_PARTS);
    this.#dictionaryTimer.unref();
    this.#connect();
  }

  /**
   * Counts `weight` (a whole number) for a term of a tenant. False: dropped, and counted as such.
   * An illegal name or weight is a RangeError.
   */
  record(tenant: string, term: string, weight = 1): boolean {
    if (!isWeight(weight)) {
      throw new RangeError(`A weight is a whole number from 1 to ${WEIGHT_MAX}, not ${weight}.`);
    }
    return this.#write(tenant, term, weight, 0);
  }

  /** One sample of a tenant's metric: a whole number, in a unit small enough for it to be one. */
  sample(tenant: string, metric: string, value: number): boolean {
    if (!isSample(value)) {
      throw new RangeError(`A sample is a whole number from 0 to ${SAMPLE_MAX}, not ${value}.`);
    }
    return this.#write(tenant, metric, value, FLAG_METRIC);
  }

  get stats(): DatagramClientStats {
    let recordsWaiting = this.#recordsSending + (this.#page?.count ?? 0);
    for (const { count } of this.#queue) recordsWaiting += count;
    const { tenantCount, termCount } = this.#names;
    return { ...this.#counts, recordsWaiting, tenantCount, termCount };
  }

  /** Resolves once everything recorded so far was handed to the network or dropped. */
  async flush(): Promise<void> {
    if (this.#state === "closed") return;
    this.#seal();
    this.#pump();
    if (this.#isIdle()) return;
    this.#idle ??= Promise.withResolvers<void>();
    // The socket is not counted among what keeps the process alive: while we wait, it is.
    this.#socket.ref();
    await this.#idle.promise;
  }

  /** Sends what waits, for at most `timeoutMs`; drops and counts the rest. */
  close({ timeoutMs = CLOSE_MS_DEFAULT }: { timeoutMs?: number } = {}): Promise<void> {
    this.#closed ??= this.#close(timeoutMs);
    return this.#closed;
  }

  async #close(timeoutMs: number): Promise<void> {
    const deadline = setTimeout(() => this.#settle(), timeoutMs);
    this.#closing = true;
    await this.flush();
    clearTimeout(deadline);
    this.#state = "closed";
    for (const { count } of this.#queue.splice(0)) this.#counts.recordsDropped += count;
    clearInterval(this.#dictionaryTimer);
    for (const timer of [this.#burstTimer, this.#flushTimer, this.#retryTimer]) clearTimeout(timer);
    await new Promise<void>((resolve) => void this.#socket.close(resolve));
  }

  /** Hot: two look-ups and four stores a record. */
  #write(tenant: string, term: string, value: number, flags: number): boolean {
    const tenantNumber = this.#names.tenant(tenant);
    const termNumber = this.#names.term(term);
    const page = this.#page ?? this.#openPage();
    if (page === undefined || tenantNumber === NO_INDEX || termNumber === NO_INDEX) {
      this.#counts.recordsDropped += 1;
      return false;
    }
    const at = HEADER_BYTES + page.count * RECORD_BYTES;
    const { view } = page;
    view.setUint32(at, tenantNumber, true);
    view.setUint32(at + 4, termNumber, true);
    view.setUint32(at + 8, value, true);
    view.setUint32(at + 12, flags, true);
    page.count += 1;
    if (at + 2 * RECORD_BYTES > page.bytes.length) {
      this.#seal();
      this.#pump();
    }
    return true;
  }

  #openPage(): Page | undefined {
    if (this.#closing) return undefined;
    let page = this.#free.pop();
    if (page === undefined) {
      if (this.#pagesLeft === 0) return undefined;
      this.#pagesLeft -= 1;
      const memory = new ArrayBuffer(this.#options.datagramBytes);
      page = { view: new DataView(memory), bytes: Buffer.from(memory), count: 0 };
    }
    this.#page = page;
    this.#flushTimer ??= setTimeout(() => {
      this.#flushTimer = undefined;
      this.#seal();
      this.#pump();
    }, this.#options.flushMs);
    return page;
  }

  #seal(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    if (this.#page === undefined) return;
    this.#queue.push(this.#page);
    this.#page = undefined;
  }

  /** Sends names, then records, until nothing waits or the burst is over. */
  #pump(): void {
    if (this.#state !== "open") return;
    while (this.#sendingCount < SENDING_MAX && this.#hasWork()) {
      if (this.#burstLeft <= 0) return;
      if (this.#hasNames()) this.#sendNames();
      else this.#sendPage(this.#queue.shift()!);
      this.#burstTimer ??= setTimeout(() => {
        this.#burstTimer = undefined;
        this.#burstLeft = this.#options.burstBytes;
        this.#pump();
      }, 1);
    }
    if (this.#isIdle()) this.#settle();
  }

  #hasWork(): boolean {
    return this.#queue.length > 0 || this.#hasNames();
  }

  #hasNames(): boolean {
    return this.#namesSent < this.#names.end || this.#namesAgain < this.#namesAsked;
  }

  #isIdle(): boolean {
    return this.#sendingCount === 0 && !this.#hasWork();
  }

  #settle(): void {
    this.#idle?.resolve();
    this.#idle = undefined;
    if (this.#state !== "closed") this.#socket.unref();
  }

  /** New names before any that are due again. */
  #sendNames(): void {
    if (this.#namesSent < this.#names.end) {
      this.#namesSent = this.#sendDictionary(this.#namesSent);
    } else {
      this.#namesAgain = this.#sendDictionary(this.#namesAgain);
    }
  }

  /** One datagram of names from `start` on; returns where the next one begins. */
  #sendDictionary(start: number): number {
    const bytes = Buffer.allocUnsafeSlow(
      Math.min(this.#options.datagramBytes, HEADER_BYTES + this.#names.end - start),
    );
    const { end, count } = this.#names.copy(start, bytes, HEADER_BYTES);
    const length = HEADER_BYTES + end - start;
    this.#counts.dictionariesSent += 1;
    this.#counts.dictionaryBytesSent += length;
    this.#send(bytes.subarray(0, length), { kind: KIND_DICTIONARY, count }, () => undefined);
    return end;
  }

  #sendPage(page: Page): void {
    const { count } = page;
    const length = HEADER_BYTES + count * RECORD_BYTES;
    this.#recordsSending += count;
    this.#send(page.bytes.subarray(0, length), { kind: KIND_RECORDS, count }, (failed) => {
      this.#recordsSending -= count;
      if (failed) this.#counts.recordsDropped += count;
      else this.#counts.recordsSent += count;
      page.count = 0;
      this.#free.push(page);
    });
  }

  #send(
    bytes: Buffer,
    { kind, count }: { kind: number; count: number },
    done: (failed: boolean) => void,
  ): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    writeHeader(view, { kind, count, sender: this.#sender, sequence: this.#sequence++ });
    this.#burstLeft -= bytes.length;
    this.#sendingCount += 1;
    this.#socket.send(bytes, (error) => {
      this.#sendingCount -= 1;
      this.#counts.datagramsSent += 1;
      this.#counts.bytesSent += bytes.length;
      if (error !== null) this.#counts.sendErrors += 1;
      done(error !== null);
      this.#pump();
    });
  }

  /** Lets the next part of the names be sent once more. */
  #repeat(): void {
    if (this.#namesAgain >= this.#namesSent) {
      this.#namesAgain = 0;
      this.#namesAsked = 0;
    }
    const part = Math.ceil(this.#namesSent / DICTIONARY_PARTS);
    this.#askNames(Math.max(this.#namesAsked, this.#namesAgain + part));
  }

  #take(message: Uint8Array): void {
    const header = readHeader(message);
    if (typeof header === "string") return;
    if (header.kind !== KIND_REQUEST || header.sender !== this.#sender) return;
    this.#counts.requestsReceived += 1;
    const nowMs = performance.now();
    if (nowMs - this.#askedAtMs < REQUEST_MS_MIN) return;
    this.#askedAtMs = nowMs;
    this.#namesAgain = 0;
    this.#askNames(this.#namesSent);
  }

  #askNames(end: number): void {
    this.#namesAsked = Math.min(end, this.#namesSent);
    this.#pump();
  }

  /**
   * Connected, the system tells us when nobody listens, and takes requests from the receiver only.
   */
  #connect(): void {
    const { host, port } = this.#options;
    const failed = (): void => {
      this.#counts.sendErrors += 1;
      this.#retryTimer = setTimeout(() => this.#connect(), CONNECT_RETRY_MS);
      this.#retryTimer.unref();
    };
    this.#socket.connect(port, host, (error?: Error) => {
      if (this.#state !== "connecting") return;
      if (error !== undefined && error !== null) {
        failed();
        return;
      }
      this.#state = "open";
      this.#pump();
    });
  }
}

function withDefaults(options: DatagramClientOptions): Required<DatagramClientOptions> {
  const host = options.host ?? "127.0.0.1";
  const loopback =
    host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
  const checked = {
    host,
    port: options.port ?? PORT_DEFAULT,
    datagramBytes:
      options.datagramBytes ?? (loopback ? DATAGRAM_BYTES_MAX : DATAGRAM_BYTES_ETHERNET),
    flushMs: options.flushMs ?? FLUSH_MS_DEFAULT,
    dictionaryMs: options.dictionaryMs ?? DICTIONARY_MS_DEFAULT,
    burstBytes: options.burstBytes ?? BURST_BYTES_DEFAULT,
    bufferBytesMax: options.bufferBytesMax ?? BUFFER_BYTES_DEFAULT,
    tenantCountMax: options.tenantCountMax ?? TENANT_COUNT_DEFAULT,
    termCountMax: options.termCountMax ?? TERM_COUNT_DEFAULT,
  };
  requireWithin("port", checked.port, { from: 1, to: 65_535 });
  requireWithin("datagramBytes", checked.datagramBytes, { from: 128, to: DATAGRAM_BYTES_MAX });
  requireWithin("flushMs", checked.flushMs, { from: 1, to: 60_000 });
  requireWithin("dictionaryMs", checked.dictionaryMs, { from: DICTIONARY_PARTS, to: 3_600_000 });
  requireWithin("burstBytes", checked.burstBytes, { from: 1, to: 2 ** 30 });
  requireWithin("bufferBytesMax", checked.bufferBytesMax, { from: 1, to: 2 ** 30 });
  requireWithin("tenantCountMax", checked.tenantCountMax, { from: 1, to: 2 ** 20 });
  requireWithin("termCountMax", checked.termCountMax, { from: 1, to: 2 ** 22 });
  return checked;
}

function requireWithin(
  name: string,
  value: number,
  { from, to }: { from: number; to: number },
): void {
  if (Number.isInteger(value) && value >= from && value <= to) return;
  throw new RangeError(`${name} is a whole number from ${from} to ${to}, not ${value}.`);
}
