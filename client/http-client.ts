/**
 * Sends text events over HTTP: batched as NDJSON, repeated when the server is busy, bounded.
 *
 *   const client = new HttpClient({ url: "http://127.0.0.1:7070" });
 *   client.send({ tenant: "acme", user: "ada", text: "the boss fight is on!" });
 *   await client.close();
 *
 * One request is on its way at a time, so events arrive in the order they were sent. A 429, 503 or
 * 507 is tried again after its Retry-After, a broken connection after a growing pause, each for at most
 * `retryMsMax`; then the body is dropped and counted. A request whose answer was lost may have been
 * taken, so every event gets an id, by which the server recognises it when it comes again.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { BODY_BYTES_MAX, LINE_BYTES_MAX } from "../src/model/limits.ts";

export type TextEvent = {
  readonly tenant: string;
  /** Made up if there is none. */
  readonly id?: string;
  readonly conversation?: string;
  readonly user?: string;
  readonly tsMs?: number;
  readonly text?: string;
  readonly terms?: readonly string[];
  readonly metrics?: Readonly<Record<string, number>>;
  readonly weight?: number;
};

/** An event that the server refused, and why. */
export type Refusal = { readonly line: string; readonly code: string; readonly message: string };

export type HttpClientOptions = {
  readonly url?: string;
  /** A body is sent when it has so many bytes, or its first event is `flushMs` old. */
  readonly bodyBytes?: number;
  readonly flushMs?: number;
  /** Bytes of events that may wait; beyond, `send` drops. */
  readonly queueBytesMax?: number;
  readonly retryMsMax?: number;
  readonly requestMsMax?: number;
  readonly gzip?: boolean;
  /**
   * What an answer waits for: that events are on disk, or only in memory and soon on disk. Left
   * out: what the server is told.
   */
  readonly ack?: "disk" | "memory";
  readonly headers?: Readonly<Record<string, string>>;
  /** Of a server that has keys: nxc_…; unless it is given, that of NEXUSCORE_KEY. */
  readonly key?: string;
  /** Is told of each event the server lists as refused. */
  readonly onRefusal?: (refusal: Refusal) => void;
  /** The same of each event of which something did not count: a metric too many, say. */
  readonly onWarning?: (refusal: Refusal) => void;
};

export type HttpClientStats = {
  /** As the server said. */
  readonly accepted: number;
  readonly rejected: number;
  readonly late: number;
  readonly duplicates: number;
  /** Events that were never sent, or never answered. */
  readonly dropped: number;
  readonly waiting: number;
  readonly requests: number;
  readonly retries: number;
  /** Where the events of the last answer were: as the server said; undefined: none came yet. */
  readonly ack: string | undefined;
  /** Why the last body was dropped. */
  readonly lastFailure: string | undefined;
};

type Answer = {
  readonly ack?: string;
  readonly accepted: number;
  readonly rejected: number;
  readonly late?: number;
  readonly duplicates?: number;
  readonly errors: readonly { index: number; code: string; message: string }[];
  readonly warnings?: readonly { index: number; code: string; message: string }[];
};

const DEFAULTS = {
  url: "http://127.0.0.1:7070",
  bodyBytes: 256 * 1024,
  flushMs: 50,
  queueBytesMax: 16 * 1024 * 1024,
  retryMsMax: 60_000,
  requestMsMax: 30_000,
  gzip: false,
  headers: {},
};
const PAUSE_MS_FIRST = 100;
const PAUSE_MS_MAX = 5_000;
const CLOSE_MS_DEFAULT = 5_000;
const FAILURE_CHARACTERS_MAX = 500;

const compress = promisify(gzip);

export class HttpClient {
  readonly #options: typeof DEFAULTS & HttpClientOptions;
  readonly #endpoint: string;
  readonly #session = randomBytes(6).toString("base64url");
  #eventCount = 0;
  #lines: string[] = [];
  /** Bytes of each of `#lines`. */
  #sizes: number[] = [];
  #queueBytes = 0;
  #sendingBytes = 0;
  #sendingCount = 0;
  #flushTimer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  /** How many lines are to be sent without waiting for more. */
  #due = 0;
  readonly #abort = new AbortController();
  #closed: Promise<void> | undefined;
  readonly #counts = {
    accepted: 0,
    rejected: 0,
    late: 0,
    duplicates: 0,
    dropped: 0,
    requests: 0,
    retries: 0,
    ack: undefined as string | undefined,
    lastFailure: undefined as string | undefined,
  };

  constructor(options: HttpClientOptions = {}) {
    this.#options = { ...DEFAULTS, ...options };
    const { bodyBytes, queueBytesMax, ack } = this.#options;
    const query = ack === undefined ? "" : `?ack=${ack}`;
    this.#endpoint = new URL(`/v1/events${query}`, this.#options.url).href;
    if (!(bodyBytes >= 1 && bodyBytes <= BODY_BYTES_MAX - LINE_BYTES_MAX)) {
      throw new RangeError(`bodyBytes is at most ${BODY_BYTES_MAX - LINE_BYTES_MAX}.`);
    }
    if (!(queueBytesMax >= LINE_BYTES_MAX)) {
      throw new RangeError(`queueBytesMax is at least ${LINE_BYTES_MAX}.`);
    }
  }

  /** Queues an event; false: there is no room, it is dropped and counted. */
  send(event: TextEvent): boolean {
    const id = event.id ?? `${this.#session}-${(this.#eventCount++).toString(36)}`;
    const line = JSON.stringify({ ...event, id });
    const bytes = Buffer.byteLength(line) + 1;
    if (bytes > LINE_BYTES_MAX) {
      throw new RangeError(`An event has at most ${LINE_BYTES_MAX} bytes as JSON, not ${bytes}.`);
    }
    const room = this.#options.queueBytesMax - this.#queueBytes - this.#sendingBytes;
    if (bytes > room || this.#closed !== undefined) {
      this.#counts.dropped += 1;
      return false;
    }
    this.#lines.push(line);
    this.#sizes.push(bytes);
    this.#queueBytes += bytes;
    if (this.#queueBytes >= this.#options.bodyBytes) this.#start();
    else this.#flushTimer ??= setTimeout(() => this.#flushNow(), this.#options.flushMs);
    return true;
  }

  get stats(): HttpClientStats {
    return { ...this.#counts, waiting: this.#lines.length + this.#sendingCount };
  }

  /** Resolves once everything sent so far was answered or dropped. */
  async flush(): Promise<void> {
    this.#flushNow();
    while (this.#running !== undefined && this.#due + this.#sendingCount > 0) await this.#running;
  }

  /** Sends what waits, for at most `timeoutMs`; drops and counts the rest. */
  close({ timeoutMs = CLOSE_MS_DEFAULT }: { timeoutMs?: number } = {}): Promise<void> {
    this.#closed ??= this.#close(timeoutMs);
    return this.#closed;
  }

  async #close(timeoutMs: number): Promise<void> {
    const deadline = setTimeout(() => this.#abort.abort(new Error("closed")), timeoutMs);
    await this.flush();
    clearTimeout(deadline);
  }

  #flushNow(): void {
    clearTimeout(this.#flushTimer);
    this.#flushTimer = undefined;
    this.#due = this.#lines.length;
    if (this.#due > 0) this.#start();
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
  }

  /** Sends bodies one after the other while there is a full one, or one that is due. */
  async #run(): Promise<void> {
    while (this.#due > 0 || this.#queueBytes >= this.#options.bodyBytes) {
      const lines = this.#takeBody();
      await this.#post(lines);
      this.#sendingBytes = 0;
      this.#sendingCount = 0;
    }
  }

  /** The first lines, as many as make a body. */
  #takeBody(): string[] {
    let count = 0;
    let bytes = 0;
    while (count < this.#lines.length && bytes < this.#options.bodyBytes) {
      bytes += this.#sizes[count]!;
      count += 1;
    }
    this.#sizes.splice(0, count);
    this.#queueBytes -= bytes;
    this.#sendingBytes = bytes;
    this.#sendingCount = count;
    this.#due = Math.max(0, this.#due - count);
    return this.#lines.splice(0, count);
  }

  async #post(lines: readonly string[]): Promise<void> {
    const body = await this.#encode(lines);
    const deadlineMs = performance.now() + this.#options.retryMsMax;
    for (let pauseMs = PAUSE_MS_FIRST; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
      const { retryAfterMs, failure } = await this.#attempt(body, lines);
      if (failure === undefined) return;
      const waitMs = retryAfterMs ?? pauseMs * (0.5 + Math.random() / 2);
      const again = retryAfterMs !== NEVER && performance.now() + waitMs < deadlineMs;
      if (!again || !(await this.#pause(waitMs))) {
        this.#counts.dropped += lines.length;
        this.#counts.lastFailure = failure;
        return;
      }
      this.#counts.retries += 1;
    }
  }

  /** False when the client was closed meanwhile. */
  async #pause(ms: number): Promise<boolean> {
    const { signal } = this.#abort;
    return sleep(ms, true, { signal }).catch(() => false);
  }

  async #encode(lines: readonly string[]): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = Buffer.from(`${lines.join("\n")}\n`);
    return this.#options.gzip ? compress(bytes) : bytes;
  }

  async #attempt(body: Uint8Array<ArrayBuffer>, lines: readonly string[]): Promise<Attempt> {
    this.#counts.requests += 1;
    let response: Response;
    let text: string;
    try {
      response = await this.#request(body);
      text = await response.text();
    } catch (error) {
      const { message, cause } = error as Error;
      const failure = cause instanceof Error ? `${message}: ${cause.message}` : message;
      return { failure, retryAfterMs: this.#abort.signal.aborted ? NEVER : undefined };
    }
    const { status } = response;
    if (status === 202) {
      const answer = parseAnswer(text);
      if (answer === undefined) return { failure: "no answer of NexusCore", retryAfterMs: NEVER };
      this.#account(answer, lines);
      return { failure: undefined, retryAfterMs: undefined };
    }
    const failure = `${status}: ${text.slice(0, FAILURE_CHARACTERS_MAX)}`;
    if (status === 429 || status === 503 || status === 507) {
      return { failure, retryAfterMs: retryAfterMs(response.headers.get("retry-after")) };
    }
    return { failure, retryAfterMs: status >= 500 ? undefined : NEVER };
  }

  async #request(body: Uint8Array<ArrayBuffer>): Promise<Response> {
    const { headers, requestMsMax } = this.#options;
    const encoding = this.#options.gzip ? { "content-encoding": "gzip" } : {};
    const key = this.#options.key ?? process.env["NEXUSCORE_KEY"] ?? "";
    const authorization = key === "" ? {} : { authorization: `Bearer ${key}` };
    return fetch(this.#endpoint, {
      method: "POST",
      body,
      headers: {
        ...authorization,
        ...headers,
        "content-type": "application/x-ndjson",
        ...encoding,
      },
      signal: AbortSignal.any([this.#abort.signal, AbortSignal.timeout(requestMsMax)]),
    });
  }

  #account(answer: Answer, lines: readonly string[]): void {
    this.#counts.ack = answer.ack;
    this.#counts.accepted += answer.accepted;
    this.#counts.rejected += answer.rejected;
    this.#counts.late += answer.late ?? 0;
    this.#counts.duplicates += answer.duplicates ?? 0;
    for (const { index, code, message } of answer.errors) {
      this.#options.onRefusal?.({ line: lines[index] ?? "", code, message });
    }
    for (const { index, code, message } of answer.warnings ?? []) {
      this.#options.onWarning?.({ line: lines[index] ?? "", code, message });
    }
  }
}

/** `retryAfterMs`: as the server wishes, undefined: as we like, NEVER: trying again cannot help. */
type Attempt = { readonly failure: string | undefined; readonly retryAfterMs: number | undefined };

const NEVER = Infinity;

function parseAnswer(text: string): Answer | undefined {
  try {
    const answer = JSON.parse(text) as Answer;
    return Number.isInteger(answer.accepted) && Array.isArray(answer.errors) ? answer : undefined;
  } catch {
    return undefined;
  }
}

/** Of a Retry-After in seconds; a date, or nonsense, is as if there were none. */
function retryAfterMs(header: string | null): number | undefined {
  const seconds = Number(header ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined;
}
