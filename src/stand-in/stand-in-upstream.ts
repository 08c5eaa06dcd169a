/**
 * An upstream that is none: a real HTTP server with the OpenAI form of `POST /chat/completions` and
 * `GET /models`, streamed or not, with latencies and every way to fail, all of them seeded.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { answerTo, dictated } from "./answers.ts";
import { type Fate, type Fault, fateOf, type Plan, QUICK } from "./faults.ts";

export type StandInOptions = {
  readonly plan?: Plan;
  readonly seed?: number;
  /** The only key that is right; undefined: any. */
  readonly apiKey?: string;
  /** The only model there is; undefined: any. */
  readonly model?: string;
  /** It streams its answers, asked or not, as some servers do. */
  readonly alwaysStreams?: boolean;
  /** Undefined: any that is free. */
  readonly port?: number;
  /** Requests are kept in `seen`, which one that runs for long has no room for. */
  readonly keepsSeen?: boolean;
};

/** A request as it came. */
export type Seen = { readonly fault: Fault | undefined; readonly body: ChatBody };

type ChatBody = {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly stream?: boolean;
  readonly response_format?: { readonly json_schema?: { readonly name: string } };
};

const HUGE_CHUNK = Buffer.alloc(64 * 1024, 0x20);
const DRIP_MS = 1_000;
const RETRY_AFTER_MS = 20;
const CHARACTERS_A_TOKEN = 4;
/** Prompts whose attempts are counted; beyond, all begin anew. */
const ATTEMPTS_MAX = 65_536;

export class StandInUpstream {
  /** What the next requests meet instead of what is drawn, in order. */
  readonly script: (Fault | "ok")[] = [];
  readonly seen: Seen[] = [];
  requestCount = 0;
  /** Requests that are open now, and the most there were. */
  openCount = 0;
  openCountMax = 0;
  plan: Plan;
  readonly #options: StandInOptions;
  readonly #server: Server;
  readonly #attempts = new Map<string, number>();
  readonly #timers = new Set<NodeJS.Timeout>();

  private constructor(options: StandInOptions) {
    this.#options = options;
    this.plan = options.plan ?? QUICK;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.keepAliveTimeout = 60_000;
  }

  static async start(options: StandInOptions = {}): Promise<StandInUpstream> {
    const upstream = new StandInUpstream(options);
    upstream.#server.listen(options.port ?? 0, "127.0.0.1");
    await once(upstream.#server, "listening");
    return upstream;
  }

  get baseUrl(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/v1`;
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.openCount += 1;
    this.openCountMax = Math.max(this.openCountMax, this.openCount);
    response.on("close", () => (this.openCount -= 1));
    response.on("error", () => undefined);
    const text = await bodyOf(request);
    if (text === undefined) return;
    if (request.url === "/v1/models") {
      return sendJson(response, 200, {
        object: "list",
        data: [{ id: this.#options.model ?? "any" }],
      });
    }
    let body: ChatBody;
    try {
      body = JSON.parse(text) as ChatBody;
    } catch {
      return sendError(response, 400, "The body is not JSON.");
    }
    const { apiKey, model, alwaysStreams } = this.#options;
    if (alwaysStreams === true) body = { ...body, stream: true };
    const { authorization = "" } = request.headers;
    if (apiKey !== undefined && authorization !== `Bearer ${apiKey}`) {
      // Servers repeat it, some with all of it.
      const key = authorization.replace(/^Bearer /, "");
      return sendError(response, 401, `Incorrect API key provided: ${key}.`);
    }
    if (model !== undefined && body.model !== model)
      return sendError(response, 404, "No such model.");
    const fate = this.#fateOf(text);
    this.requestCount += 1;
    if (this.#options.keepsSeen ?? true) this.seen.push({ fault: fate.fault, body });
    this.#later(fate.delayMs, () => this.#answer(fate, body, response));
  }

  #fateOf(text: string): Fate {
    const scripted = this.script.shift();
    if (scripted !== undefined) {
      return { fault: scripted === "ok" ? undefined : scripted, delayMs: 0 };
    }
    const attempt = this.#attempts.get(text) ?? 0;
    if (this.#attempts.size >= ATTEMPTS_MAX) this.#attempts.clear();
    if (Object.keys(this.plan.faults).length > 0) this.#attempts.set(text, attempt + 1);
    return fateOf(this.plan, this.#options.seed ?? 1, text, attempt);
  }

  #answer({ fault }: Fate, body: ChatBody, response: ServerResponse): void {
    if (response.destroyed) return;
    const prompt = body.messages.at(-1)?.content ?? "";
    const name = body.response_format?.json_schema?.name ?? nameOf(body);
    switch (fault) {
      case "rateLimited":
        response.setHeader("retry-after-ms", RETRY_AFTER_MS);
        return sendError(response, 429, "Rate limit reached.");
      case "serverError":
        return sendError(response, 500, "The server had an error.");
      case "wrongKey":
        return sendError(response, 401, "Incorrect API key provided.");
      case "unknownModel":
        return sendError(response, 404, "The model does not exist.");
      case "redirect":
        return void response.writeHead(307, { location: "http://192.0.2.1/v1" }).end();
      case "stalled":
        return;
      case "reset":
        return void response.socket?.resetAndDestroy();
      case "html":
        return sendText(response, "text/html", "<!doctype html><title>Sign in</title>");
      case "garbage":
        return sendText(response, "application/json", '{"choices":[{"message":\u0000\u0001]]');
      case "halfClosed":
      case "huge":
      case "dripping":
        return this.#sendBadly(fault, completion(body, answerTo(name, prompt)), response);
      case "wrongSchema":
        return send(response, body, '{"answers":[{"verdict":"fine"}]}');
      case "otherId":
        return send(response, body, answerTo(name, prompt).replaceAll('"id":"', '"id":"x'));
      case "gullible":
        return send(response, body, dictated(prompt));
      default:
        return send(response, body, answerTo(name, prompt));
    }
  }

  #sendBadly(fault: Fault, answer: object, response: ServerResponse): void {
    const bytes = Buffer.from(JSON.stringify(answer));
    response.writeHead(200, { "content-type": "application/json" });
    if (fault === "halfClosed") {
      response.write(bytes.subarray(0, bytes.length / 2), () => response.socket?.destroy());
    } else if (fault === "huge") {
      const more = (): void => {
        while (!response.destroyed) if (!response.write(HUGE_CHUNK)) break;
      };
      response.on("drain", more);
      more();
    } else {
      let at = 0;
      const drip = (): void => {
        if (response.destroyed) return;
        response.write(bytes.subarray(at, at + 1));
        at += 1;
        if (at === bytes.length) response.end();
        else this.#later(DRIP_MS, drip);
      };
      drip();
    }
  }

  #later(delayMs: number, act: () => void): void {
    if (delayMs <= 0) return act();
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, delayMs);
    this.#timers.add(timer);
  }
}

/** Of a request without a schema: the system message says what an answer looks like. */
function nameOf({ messages }: ChatBody): string {
  const system = messages[0]?.content ?? "";
  if (system.includes('"sentences"')) return "tldr";
  return system.includes('"summary"') ? "rolling" : "moderation";
}

/** Undefined: the client went away. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  try {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString();
  } catch {
    return undefined;
  }
}

function send(response: ServerResponse, body: ChatBody, content: string): void {
  if (body.stream !== true) return sendJson(response, 200, completion(body, content));
  response.writeHead(200, { "content-type": "text/event-stream" });
  const event = (data: object): void => {
    response.write(`data: ${JSON.stringify({ object: "chat.completion.chunk", ...data })}\n\n`);
  };
  for (const piece of content.match(/.{1,16}/gsu) ?? []) {
    event({ choices: [{ index: 0, delta: { content: piece } }] });
  }
  event({ choices: [{ index: 0, delta: {}, finish_reason: "stop" }] });
  event({ choices: [], usage: usageOf(body, content) });
  response.end("data: [DONE]\n\n");
}

function completion(body: ChatBody, content: string): object {
  const message = { role: "assistant", content };
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    choices: [{ index: 0, message, finish_reason: "stop" }],
    usage: usageOf(body, content),
  };
}

function usageOf({ messages }: ChatBody, content: string): object {
  const characters = messages.reduce((sum, message) => sum + message.content.length, 0);
  const promptTokens = Math.ceil(characters / CHARACTERS_A_TOKEN);
  const completionTokens = Math.ceil(content.length / CHARACTERS_A_TOKEN);
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: 0 },
  };
}

function sendError(response: ServerResponse, status: number, message: string): void {
  sendJson(response, status, { error: { message, type: "invalid_request_error", code: null } });
}

function sendJson(response: ServerResponse, status: number, value: object): void {
  const bytes = Buffer.from(JSON.stringify(value));
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": bytes.length,
  });
  response.end(bytes);
}

function sendText(response: ServerResponse, type: string, text: string): void {
  response.writeHead(200, { "content-type": type }).end(text);
}
