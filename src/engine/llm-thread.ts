/**
 * The gateway's thread as the I/O thread holds it: its worker, who waits for it, and the limits
 * that it must know; started again if it dies, after a while that doubles.
 *
 * What waits when it dies ends as `interrupted`, and ports of it are dead: who has one attaches
 * again, at once. What is asked while it is down lies in the new port until the new thread is
 * there. Once it has died too often it stays down, and every call ends as `unavailable`.
 */
import assert from "node:assert/strict";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { ConsultationFailure } from "#model/consultation.ts";
import {
  type AskedCall,
  type CallMessage,
  type ControlMessage,
  type EndedCall,
  type EndMessage,
  GATEWAY_HEAP,
  type GatewayMessage,
  type GatewayThreadSettings,
  type LlmStats,
  type TenantLimits,
  type TenantLlmUsage,
  type TenantSpending,
} from "#llm/protocol.ts";
import type { LlmSettings } from "#llm/settings.ts";

/** As often as a shard: it would only die once more. One that lived for long begins a new count. */
const RESTARTS_IN_ROW_MAX = 5;
const LONG_MS = 600_000;
const RESTART_MS_FIRST = 100;
/** How long a stop waits for the thread to end by itself. */
const STOP_MS_MAX = 2_000;

/** Resolves once the thread takes calls; rejects if it cannot be started. */
export async function startLlm(settings: LlmSettings, tenantCountMax: number): Promise<LlmThread> {
  const thread = new LlmThread({ settings, tenantCountMax });
  try {
    await thread.started;
  } catch (error) {
    await thread.stop();
    throw error;
  }
  return thread;
}

/** The thread is down: what it was asked is not known. */
export class LlmDownError extends Error {
  readonly code = "NEXUSCORE_LLM_DOWN";
}

export class LlmThread {
  readonly started: Promise<void>;
  restartCount = 0;
  readonly #settings: GatewayThreadSettings;
  readonly #startedWith = Promise.withResolvers<void>();
  readonly #stopped = Promise.withResolvers<void>();
  readonly #listeners: (() => void)[] = [];
  readonly #limits = new Map<string, TenantLimits>();
  readonly #asks = new Map<number, (ended: EndedCall) => void>();
  readonly #questions = new Map<
    number,
    { readonly resolve: (answer: never) => void; readonly reject: (error: Error) => void }
  >();
  /** Ports that no thread has yet. */
  #unattached: { readonly port: MessagePort; readonly ring: SharedArrayBuffer }[] = [];
  #request = 0;
  #worker: Worker | undefined;
  #restart: NodeJS.Timeout | undefined;
  #hasStarted = false;
  #startedMs = 0;
  #restartsInRow = 0;
  #isStopping = false;
  /** No thread follows. */
  #isDown = false;

  constructor(settings: GatewayThreadSettings) {
    this.#settings = settings;
    this.started = this.#startedWith.promise;
    // Nobody may ask whether it started.
    this.started.catch(() => undefined);
    this.#start();
  }

  /** A shard's end of a port, to be transferred to it; `ring`: wakes the shard. */
  attach(ring: SharedArrayBuffer): MessagePort {
    const { port1, port2 } = new MessageChannel();
    if (this.#isDown) refuseAll(port1);
    else if (this.#worker === undefined) this.#unattached.push({ port: port1, ring });
    else this.#attach(this.#worker, port1, ring);
    return port2;
  }

  /** Always an end, never an error. */
  ask(call: Omit<AskedCall, "request">): Promise<EndedCall> {
    const request = this.#next();
    const { promise, resolve } = Promise.withResolvers<EndedCall>();
    if (this.#worker === undefined) {
      resolve(failedCall(request, "unavailable", "The gateway's thread is down."));
      return promise;
    }
    this.#asks.set(request, resolve);
    // A buffer of its own: a view of another one would be posted with all of it.
    const prompt = new Uint8Array(call.prompt);
    const message: CallMessage = { type: "ask", calls: [{ ...call, request, prompt }] };
    this.#worker.postMessage(message, [prompt.buffer]);
    return promise;
  }

  /** Rejects with LlmDownError, as the two that follow, while the thread is down. */
  stats(): Promise<LlmStats> {
    return this.#question((request) => ({ type: "stats", request }));
  }

  usage(tenant: string): Promise<TenantLlmUsage> {
    return this.#question((request) => ({ type: "usage", request, tenant }));
  }

  /** Of whom the day's money changed since it was asked last, to be given back in `putLimits`. */
  async spending(): Promise<readonly TenantSpending[]> {
    const spending = await this.#question<readonly TenantSpending[]>((request) => ({
      type: "spending",
      request,
    }));
    // A thread that follows this one begins with it.
    for (const { tenant, ...spent } of spending) {
      this.#limits.set(tenant, { ...this.#limits.get(tenant), spent });
    }
    return spending;
  }

  /** All of a tenant's limits; what is undefined is the default again. */
  putLimits(tenant: string, limits: TenantLimits): void {
    const spent = limits.spent ?? this.#limits.get(tenant)?.spent;
    this.#limits.set(tenant, { ...limits, spent });
    this.#post({ type: "limits", tenant, limits });
  }

  /** Limits, what was counted and cached; what was spent stays spent. */
  forget(tenant: string): void {
    const spent = this.#limits.get(tenant)?.spent;
    if (spent === undefined) this.#limits.delete(tenant);
    else this.#limits.set(tenant, { spent });
    this.#post({ type: "forget", tenant });
  }

  /** The thread died: ports of it are dead, to be attached anew, here and now. */
  onRestart(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** What waits ends as `interrupted`. Resolves once the thread has ended. */
  stop(): Promise<void> {
    if (this.#isStopping) return this.#stopped.promise;
    this.#isStopping = true;
    clearTimeout(this.#restart);
    const worker = this.#worker;
    if (worker === undefined) this.#end();
    else {
      this.#post({ type: "stop" });
      const late = setTimeout(() => void worker.terminate(), STOP_MS_MAX);
      late.unref();
      worker.once("exit", () => clearTimeout(late));
    }
    return this.#stopped.promise;
  }

  #start(): void {
    const worker = new Worker(new URL(import.meta.resolve("#llm/thread.ts")), {
      workerData: this.#settings,
      name: "llm",
      resourceLimits: GATEWAY_HEAP,
    });
    this.#worker = worker;
    this.#startedMs = performance.now();
    worker.on("message", (message: GatewayMessage) => this.#take(message));
    worker.on("error", (error) => this.#warn(error));
    worker.on("exit", (code) => this.#die(code));
    for (const [tenant, limits] of this.#limits) this.#post({ type: "limits", tenant, limits });
    for (const { port, ring } of this.#unattached) this.#attach(worker, port, ring);
    this.#unattached = [];
  }

  #take(message: GatewayMessage): void {
    if (message.type === "ends") {
      for (const ended of message.ends) this.#endAsk(ended);
    } else if (message.type === "ready") this.#ready();
    else if (message.type === "stats") this.#answer(message.request, message.stats);
    else if (message.type === "usage") this.#answer(message.request, message.usage);
    else if (message.type === "spending") this.#answer(message.request, message.spending);
  }

  #ready(): void {
    this.#hasStarted = true;
    this.#startedWith.resolve();
  }

  #warn(error: unknown): void {
    // Who starts it is told.
    if (!this.#hasStarted) return this.#startedWith.reject(error);
    process.emitWarning(error instanceof Error ? error : String(error), {
      code: "NEXUSCORE_LLM_FAILED",
      detail: "the gateway to the language model failed; its calls are interrupted",
    });
  }

  #die(code: number): void {
    this.#worker = undefined;
    this.#startedWith.reject(new LlmDownError(`The gateway's thread ended with ${code}.`));
    for (const request of this.#asks.keys()) {
      this.#endAsk(failedCall(request, "interrupted", "The gateway's thread ended."));
    }
    for (const { reject } of this.#questions.values()) reject(down());
    this.#questions.clear();
    if (this.#isStopping) return this.#end();
    if (performance.now() - this.#startedMs > LONG_MS) this.#restartsInRow = 0;
    if (!this.#hasStarted || this.#restartsInRow === RESTARTS_IN_ROW_MAX) this.#stayDown();
    else {
      const waitMs = RESTART_MS_FIRST * 2 ** this.#restartsInRow;
      this.#restartsInRow += 1;
      this.restartCount += 1;
      this.#restart = setTimeout(() => this.#start(), waitMs);
      this.#restart.unref();
    }
    for (const listener of this.#listeners) listener();
  }

  #stayDown(): void {
    this.#isDown = true;
    if (!this.#hasStarted) return;
    process.emitWarning("The gateway to the language model failed too often and stays down.", {
      code: "NEXUSCORE_LLM_DOWN",
      detail: "what is built in answers, degraded; a restart of the server starts it again",
    });
  }

  #end(): void {
    this.#isDown = true;
    for (const { port } of this.#unattached) refuseAll(port);
    this.#unattached = [];
    this.#stopped.resolve();
  }

  #attach(worker: Worker, port: MessagePort, ring: SharedArrayBuffer): void {
    const message: ControlMessage = { type: "attach", port, ring };
    worker.postMessage(message, [port]);
  }

  #post(message: ControlMessage): void {
    this.#worker?.postMessage(message);
  }

  #question<Answer>(messageOf: (request: number) => ControlMessage): Promise<Answer> {
    if (this.#worker === undefined) return Promise.reject(down());
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const request = this.#next();
    this.#questions.set(request, { resolve: resolve as (answer: never) => void, reject });
    this.#post(messageOf(request));
    return promise;
  }

  #answer(request: number, answer: unknown): void {
    const question = this.#questions.get(request);
    this.#questions.delete(request);
    question?.resolve(answer as never);
  }

  #endAsk(ended: EndedCall): void {
    const resolve = this.#asks.get(ended.request);
    assert(resolve !== undefined, "a call ends once");
    this.#asks.delete(ended.request);
    resolve(ended);
  }

  #next(): number {
    this.#request += 1;
    return this.#request;
  }
}

/** In place of a thread: whoever asks is told that there is none. */
function refuseAll(port: MessagePort): void {
  port.on("message", (message: CallMessage) => {
    if (message.type !== "ask") return;
    const ends = message.calls.map(({ request }) =>
      failedCall(request, "unavailable", "The gateway's thread is down."),
    );
    const answer: EndMessage = { type: "ends", ends };
    port.postMessage(answer);
  });
  port.unref();
}

function failedCall(request: number, failure: ConsultationFailure, detail: string): EndedCall {
  return { request, end: { failure, detail }, waitMs: 0 };
}

function down(): LlmDownError {
  return new LlmDownError("The gateway's thread is down.");
}
