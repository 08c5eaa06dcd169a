/**
 * One upstream: any server with the OpenAI form of `POST /chat/completions`. A request is sent over
 * a pool of connections, and its answer is believed as little as a stranger's: its size is bounded,
 * it must be JSON and say so, redirects are not followed, and every other end has a name. What an
 * answer says is read elsewhere (structured-output.ts). When a request takes too long is for the
 * caller to say: it cancels.
 *
 * `dispatch` of undici rather than `fetch` or the openai package: with 5,000 requests in flight a
 * request costs 57 us and 33 KB with it, 255 us and 62 KB with fetch, 450 us and 77 KB with openai.
 * Its pool looks for a free connection from the first on, which takes long where there are
 * thousands; so the connections lie on a stack here, and the one used last is used first.
 */
import { Client, type Dispatcher } from "undici";
import { type ConsultationFailure, NO_USAGE, type TokenUsage } from "#model/consultation.ts";
import { RETRY_AFTER_MS_MAX, UPSTREAM_ANSWER_BYTES_MAX } from "#model/limits.ts";

export type UpstreamOptions = {
  /** Ends in `/v1`, as a rule. */
  readonly baseUrl: string;
  readonly model: string;
  readonly apiKey?: string | undefined;
  /** Requests at once. */
  readonly connectionsMax: number;
  /** Fields that this server wants beside ours; they come last. */
  readonly extra?: Readonly<Record<string, unknown>>;
};

export type ChatRequest = {
  /** JSON of what is the same for every request of a job: `fixedPart`. */
  readonly fixed: string;
  readonly user: string;
  readonly tokensMax: number;
};

/** Written once a job: it is most of a request. */
export function fixedPart(system: string, responseFormat: object): string {
  const message = JSON.stringify({ role: "system", content: system });
  return `"response_format":${JSON.stringify(responseFormat)},"messages":[${message}`;
}

export type UpstreamAnswer =
  | { readonly kind: "content"; readonly content: string; readonly usage: TokenUsage }
  | UpstreamFailure;

export type UpstreamFailure = {
  readonly kind: "failed";
  readonly failure: ConsultationFailure;
  /** Whether the same request may go well another time. */
  readonly mayRetry: boolean;
  /** Whether it says something about the upstream rather than about this request. */
  readonly opensBreaker: boolean;
  /** How long the upstream asks to wait. */
  readonly retryAfterMs: number | undefined;
  /** For the log; nothing of a prompt, nothing of the key. */
  readonly detail: string;
  readonly usage: TokenUsage;
};

const CONNECT_MS_MAX = 5_000;
const KEEP_ALIVE_MS = 30_000;
const DETAIL_CHARACTERS_MAX = 200;
const UNWELL = { mayRetry: true, opensBreaker: true } as const;

export class Upstream {
  readonly #options: UpstreamOptions;
  readonly #origin: string;
  /** JSON of the fields that all requests have. */
  readonly #common: string;
  readonly #clients: Client[] = [];
  readonly #idle: Client[] = [];
  /** Requests that wait for a connection, the oldest first. */
  readonly #waiting: Exchange[] = [];
  readonly #path: string;
  readonly #headers: Record<string, string>;

  /** Throws TypeError if the address is none. */
  constructor(options: UpstreamOptions) {
    const { origin, pathname } = new URL(options.baseUrl);
    this.#options = options;
    this.#path = `${pathname.replace(/\/$/, "")}/chat/completions`;
    this.#headers = { "content-type": "application/json", accept: "application/json" };
    if (options.apiKey !== undefined) this.#headers["authorization"] = `Bearer ${options.apiKey}`;
    this.#origin = origin;
    const common = { model: options.model, temperature: 0, ...options.extra };
    this.#common = JSON.stringify(common).slice(0, -1);
  }

  get model(): string {
    return this.#options.model;
  }

  /** `deliver` is called once, later, unless what is returned was called before: it cancels. */
  send(request: ChatRequest, deliver: (answer: UpstreamAnswer) => void): () => void {
    const exchange = new Exchange(this.#bodyOf(request), deliver, (client) => this.#free(client));
    const client = this.#idle.pop() ?? this.#connect();
    if (client === undefined) this.#waiting.push(exchange);
    else this.#dispatch(client, exchange);
    return () => {
      const at = this.#waiting.indexOf(exchange);
      if (at !== -1) this.#waiting.splice(at, 1);
      exchange.cancel();
    };
  }

  async stop(): Promise<void> {
    this.#waiting.length = 0;
    await Promise.all(this.#clients.map((client) => client.destroy()));
  }

  /** Undefined: there are as many connections as there may be. */
  #connect(): Client | undefined {
    if (this.#clients.length === this.#options.connectionsMax) return undefined;
    const client = new Client(this.#origin, {
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
    exchange.body = "";
    client.dispatch({ method: "POST", path: this.#path, headers: this.#headers, body }, exchange);
  }

  #free(client: Client): void {
    if (client.destroyed) return;
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(client);
    else this.#dispatch(client, next);
  }

  #bodyOf({ fixed, user, tokensMax }: ChatRequest): string {
    const message = `{"role":"user","content":${JSON.stringify(user)}}`;
    return `${this.#common},"max_tokens":${tokensMax},${fixed},${message}]}`;
  }
}

/** What undici tells of one request, until it was delivered. */
class Exchange implements Dispatcher.DispatchHandler {
  #deliver: ((answer: UpstreamAnswer) => void) | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #type = "";
  #retryAfterMs: number | undefined;
  #chunks: Buffer[] = [];
  #byteCount = 0;

  client: Client | undefined;
  /** Until it was handed on. */
  body: string;
  readonly #free: (client: Client) => void;

  constructor(
    body: string,
    deliver: (answer: UpstreamAnswer) => void,
    free: (client: Client) => void,
  ) {
    this.body = body;
    this.#deliver = deliver;
    this.#free = free;
  }

  cancel(): void {
    this.#deliver = undefined;
    this.#chunks = [];
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
    this.#retryAfterMs = retryAfterMs(
      textOf(headers["retry-after-ms"]),
      textOf(headers["retry-after"]),
      Date.now(),
    );
    if (Number(textOf(headers["content-length"])) > UPSTREAM_ANSWER_BYTES_MAX) this.#tooLarge();
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#deliver === undefined) return;
    this.#byteCount += chunk.length;
    if (this.#byteCount > UPSTREAM_ANSWER_BYTES_MAX) this.#tooLarge();
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#leave();
    const text = Buffer.concat(this.#chunks).toString();
    if (this.#status === 200) this.#end(readCompletion(this.#type, text));
    else this.#end(failureOf(this.#status, this.#retryAfterMs, text));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#leave();
    const code = (error as NodeJS.ErrnoException).code ?? error.name;
    this.#end(failed("unavailable", `No answer: ${code}.`, UNWELL));
  }

  #tooLarge(): void {
    this.#end(failed("malformed", `An answer of more than ${UPSTREAM_ANSWER_BYTES_MAX} bytes.`));
    this.#abort();
  }

  #end(answer: UpstreamAnswer): void {
    const deliver = this.#deliver;
    this.#deliver = undefined;
    this.#chunks = [];
    deliver?.(answer);
  }

  /** Its connection is free, once; what it had waited for may be sent at once. */
  #leave(): void {
    const { client } = this;
    this.client = undefined;
    if (client !== undefined) this.#free(client);
  }

  #abort(): void {
    this.#controller?.abort(new Error("cancelled"));
  }
}

/** Milliseconds that the headers ask to wait, bounded; undefined: they do not. */
export function retryAfterMs(inMs: string, after: string, nowMs: number): number | undefined {
  const waits = [
    inMs === "" ? Number.NaN : Number(inMs),
    after === "" ? Number.NaN : Number(after) * 1_000,
    Date.parse(after) - nowMs,
  ];
  const waitMs = waits.find((each) => Number.isFinite(each));
  if (waitMs === undefined) return undefined;
  return Math.min(Math.max(waitMs, 0), RETRY_AFTER_MS_MAX + 1);
}

function readCompletion(type: string, text: string): UpstreamAnswer {
  if (!/^application\/(?:[\w.+-]+\+)?json\b/i.test(type)) {
    return failed("malformed", `An answer of type "${type.slice(0, 40)}", not JSON.`, {
      opensBreaker: true,
    });
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return failed("malformed", "An answer that is not JSON.");
  }
  const usage = usageOf(fieldOf(value, "usage"));
  const choices = fieldOf(value, "choices");
  const choice: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const message = fieldOf(choice, "message");
  const content = fieldOf(message, "content");
  if (typeof fieldOf(message, "refusal") === "string") {
    return failed("refused", "The model refuses to answer.", { usage });
  }
  if (fieldOf(choice, "finish_reason") === "length") {
    return failed("malformed", "The answer was cut: it has as many tokens as it may.", { usage });
  }
  if (typeof content !== "string") {
    return failed("malformed", "An answer without a message.", { usage });
  }
  return { kind: "content", content, usage };
}

function failureOf(status: number, retryMs: number | undefined, text: string): UpstreamFailure {
  const said = messageOf(text);
  const detail = `It answered ${status}${said === undefined ? "" : `: ${said}`}`;
  if (status === 429) {
    return failed("rateLimited", detail, { retryAfterMs: retryMs, mayRetry: true });
  }
  if (status === 408 || status === 409 || status >= 500) {
    return failed("unavailable", detail, { retryAfterMs: retryMs, ...UNWELL });
  }
  // A wrong key, model or address is wrong for everybody; what is said of one request is not.
  return failed("refused", detail, { opensBreaker: ![400, 413, 422].includes(status) });
}

/** Of an error in OpenAI's form. */
function messageOf(text: string): string | undefined {
  try {
    const message = fieldOf(fieldOf(JSON.parse(text), "error"), "message");
    return typeof message === "string" ? message.slice(0, DETAIL_CHARACTERS_MAX) : undefined;
  } catch {
    return undefined;
  }
}

function failed(
  failure: ConsultationFailure,
  detail: string,
  options: Partial<Omit<UpstreamFailure, "failure" | "detail">> = {},
): UpstreamFailure {
  const defaults = {
    mayRetry: false,
    opensBreaker: false,
    retryAfterMs: undefined,
    usage: NO_USAGE,
  };
  return { kind: "failed", failure, detail, ...defaults, ...options };
}

function usageOf(value: unknown): TokenUsage {
  return {
    promptTokens: countOf(fieldOf(value, "prompt_tokens")),
    completionTokens: countOf(fieldOf(value, "completion_tokens")),
    cachedTokens: countOf(fieldOf(fieldOf(value, "prompt_tokens_details"), "cached_tokens")),
  };
}

/** An upstream may say anything; what it says is counted only if it is a count. */
function countOf(value: unknown): number {
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : 0;
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}

function textOf(header: string | string[] | undefined): string {
  return (Array.isArray(header) ? header[0] : header) ?? "";
}
