/**
 * One upstream: any server with the OpenAI form of `POST /chat/completions`. A request is sent over
 * a pool of connections, and its answer is believed as little as a stranger's: its size is bounded,
 * it must be JSON (or a stream of it) and say so, redirects are not followed, and every other end
 * has a name. What an answer says is read elsewhere (structured-output.ts). When a request takes
 * too long is for the caller to say: it cancels.
 *
 * `dispatch` of undici rather than `fetch` or the openai package: with 5,000 requests in flight a
 * request costs 57 us and 33 KB with it, 255 us and 62 KB with fetch, 450 us and 77 KB with openai.
 * Its pool looks for a free connection from the first on, which takes long where there are
 * thousands; so the connections lie on a stack here, and the one used last is used first.
 */
import { Client, type Dispatcher } from "undici";
import { UPSTREAM_ANSWER_BYTES_MAX } from "#model/limits.ts";
import {
  failed,
  failureOf,
  readCompletion,
  retryAfterMs,
  unavailable,
  type UpstreamAnswer,
} from "./completion.ts";
import { EventStream } from "./event-stream.ts";
import type { RequestForm } from "./request-form.ts";

export type UpstreamOptions = {
  /** Ends in `/v1`, as a rule. */
  readonly baseUrl: string;
  readonly apiKey?: string | undefined;
  /** Requests at once. */
  readonly connectionsMax: number;
};

export type ChatRequest = {
  /** What is the same for every request of a job. */
  readonly form: RequestForm;
  readonly user: string;
  readonly tokensMax: number;
};

/** A request that was sent. */
export type Sending = {
  /** Nothing of it is delivered any more. */
  cancel(): void;
};

const CONNECT_MS_MAX = 5_000;
const KEEP_ALIVE_MS = 30_000;

export class Upstream {
  readonly #connectionsMax: number;
  readonly origin: string;
  readonly #clients: Client[] = [];
  readonly #idle: Client[] = [];
  /** Requests that wait for a connection, the oldest first. */
  readonly #waiting: Exchange[] = [];
  readonly #path: string;
  readonly #headers: Record<string, string>;
  readonly #apiKey: string | undefined;

  /** Throws TypeError if the address is none. */
  constructor(options: UpstreamOptions) {
    const { origin, pathname } = new URL(options.baseUrl);
    this.#connectionsMax = options.connectionsMax;
    this.#path = `${pathname.replace(/\/$/, "")}/chat/completions`;
    this.#headers = { "content-type": "application/json", accept: "application/json" };
    if (options.apiKey !== undefined) this.#headers["authorization"] = `Bearer ${options.apiKey}`;
    this.#apiKey = options.apiKey;
    this.origin = origin;
  }

  /** `deliver` is called once, later, unless it is cancelled before. */
  send(request: ChatRequest, deliver: (answer: UpstreamAnswer) => void): Sending {
    const exchange = new Exchange(this, bodyOf(request), deliver);
    const client = this.#idle.pop() ?? this.#connect();
    if (client === undefined) this.#waiting.push(exchange);
    else this.#dispatch(client, exchange);
    return exchange;
  }

  /** It was not sent yet. */
  forget(exchange: Exchange): void {
    const at = this.#waiting.indexOf(exchange);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  /** What a server says of a key that it does not know may have all of it. */
  withoutKey(said: string): string {
    return this.#apiKey === undefined ? said : said.replaceAll(this.#apiKey, "[the key]");
  }

  /** A connection of it is free again. */
  free(client: Client): void {
    if (client.destroyed) return;
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(client);
    else this.#dispatch(client, next);
  }

  async stop(): Promise<void> {
    this.#waiting.length = 0;
    await Promise.all(this.#clients.map((client) => client.destroy()));
  }

  /** Undefined: there are as many connections as there may be. */
  #connect(): Client | undefined {
    if (this.#clients.length === this.#connectionsMax) return undefined;
    const client = new Client(this.origin, {
      pipelining: 1,
      connect: { timeout: CONNECT_MS_MAX },
      keepAliveTimeout: KEEP_ALIVE_MS,
      // The caller cancels.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    this.#clients.push(client);
    return client;
  }

  #dispatch(client: Client, exchange: Exchange): void {
    exchange.client = client;
    const { body } = exchange;
    exchange.body = NO_BYTES;
    client.dispatch({ method: "POST", path: this.#path, headers: this.#headers, body }, exchange);
  }
}

function bodyOf({ form, user, tokensMax }: ChatRequest): Buffer {
  const { before, after } = form;
  const tokens = form.isCounted ? `${tokensMax}` : "";
  const text = JSON.stringify(user);
  const textAt = before.length + tokens.length + after.length;
  const endAt = textAt + Buffer.byteLength(text);
  const body = Buffer.allocUnsafe(endAt + END.length);
  before.copy(body);
  body.write(tokens, before.length);
  after.copy(body, before.length + tokens.length);
  body.write(text, textAt);
  body.write(END, endAt);
  return body;
}

/** Of the last message, of the messages and of the body. */
const END = "}]}";
const NO_BYTES = Buffer.alloc(0);
const NO_CHUNKS: Buffer[] = [];
const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\b/i;

/** What undici tells of one request, until it was delivered. */
class Exchange implements Dispatcher.DispatchHandler, Sending {
  readonly #upstream: Upstream;
  #deliver: ((answer: UpstreamAnswer) => void) | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #type = "";
  #retryAfterMs: number | undefined;
  #chunks: Buffer[] = NO_CHUNKS;
  #byteCount = 0;
  /** If it is one. */
  #stream: EventStream | undefined;

  client: Client | undefined;
  /** Until it was handed on. */
  body: Buffer;

  constructor(upstream: Upstream, body: Buffer, deliver: (answer: UpstreamAnswer) => void) {
    this.#upstream = upstream;
    this.body = body;
    this.#deliver = deliver;
  }

  cancel(): void {
    this.#deliver = undefined;
    this.#chunks = NO_CHUNKS;
    if (this.client === undefined) this.#upstream.forget(this);
    this.#abort();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // It was cancelled while it waited for a connection.
    if (this.#deliver === undefined) this.#abort();
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    if (status < 200) return;
    this.#status = status;
    this.#type = textOf(headers["content-type"]);
    if (status === 200) {
      if (/^text\/event-stream\b/i.test(this.#type)) this.#stream = new EventStream();
    } else {
      const after = textOf(headers["retry-after"]);
      this.#retryAfterMs = retryAfterMs(textOf(headers["retry-after-ms"]), after, Date.now());
    }
    if (Number(textOf(headers["content-length"])) > UPSTREAM_ANSWER_BYTES_MAX) this.#tooLarge();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#deliver === undefined) return;
    if (this.#stream !== undefined) {
      if (this.#stream.add(chunk)) return;
      this.#end(this.#stream.end());
      return this.#abort();
    }
    this.#byteCount += chunk.length;
    if (this.#byteCount > UPSTREAM_ANSWER_BYTES_MAX) this.#tooLarge();
    else if (this.#chunks === NO_CHUNKS) this.#chunks = [chunk];
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#leave();
    if (this.#deliver === undefined) return;
    this.#end(this.#stream === undefined ? this.#whole() : this.#stream.end());
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#leave();
    const code = (error as NodeJS.ErrnoException).code ?? error.name;
    this.#end(unavailable(`No answer: ${code}.`));
  }

  #whole(): UpstreamAnswer {
    const chunks = this.#chunks;
    const text = (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString();
    if (this.#status !== 200) return this.#failure(text);
    if (JSON_TYPE.test(this.#type)) return readCompletion(text);
    const type = this.#upstream.withoutKey(this.#type).slice(0, 40);
    const detail = `An answer of type "${type}", not JSON.`;
    return failed("malformed", detail, { opensBreaker: true });
  }

  #tooLarge(): void {
    const detail = `An answer of more than ${UPSTREAM_ANSWER_BYTES_MAX} bytes.`;
    // A failure is one whatever is said of it, and however long.
    this.#end(this.#status === 200 ? failed("malformed", detail) : this.#failure(""));
    this.#abort();
  }

  #failure(text: string): UpstreamAnswer {
    const upstream = this.#upstream;
    return failureOf(this.#status, this.#retryAfterMs, text, (said) => upstream.withoutKey(said));
  }

  #end(answer: UpstreamAnswer): void {
    const deliver = this.#deliver;
    this.#deliver = undefined;
    this.#chunks = NO_CHUNKS;
    deliver?.(answer);
  }

  /** Its connection is free, once; what it had waited for may be sent at once. */
  #leave(): void {
    const { client } = this;
    this.client = undefined;
    if (client !== undefined) this.#upstream.free(client);
  }

  #abort(): void {
    this.#controller?.abort(new Error("cancelled"));
  }
}

function textOf(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header[0] : header) ?? "";
}
