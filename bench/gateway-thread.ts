/** The gateway's thread beside one shard side, as a benchmark holds it: a port, a ring, its CPU. */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import {
  type ControlMessage,
  GATEWAY_HEAP,
  type GatewayMessage,
  type GatewayThreadSettings,
} from "#llm/protocol.ts";
import type { LlmSettings } from "#llm/settings.ts";
import { createRing } from "#std/byte-ring.ts";
import type { GatewayWorkerData } from "./children/llm-gateway.ts";
import { threadUsages } from "./threads.ts";

/** Named so by the product, too. */
const THREAD = "llm";
const PROGRAM = new URL("children/llm-gateway.ts", import.meta.url);
const RING_BYTES = 1 << 16;

export const UNBOUNDED = {
  callsPerMinute: Infinity,
  tokensPerMinute: Infinity,
  microsPerDay: Infinity,
};

/** Moderation at an upstream on this port of this machine, bounded by the connections alone. */
export function moderationAt(port: number, connectionsMax: number): LlmSettings {
  return {
    jobs: {
      moderation: {
        baseUrl: `http://127.0.0.1:${port}/v1`,
        model: "stand-in",
        structuredOutput: "schema",
        connectionsMax,
        hedges: false,
        prices: { promptMicros: 1, cachedMicros: 1, completionMicros: 1 },
      },
    },
    budget: UNBOUNDED,
    tenantRunningMax: 64,
    cacheMsMax: 0,
  };
}

export class GatewayThread {
  /** Wakes the shard side. */
  readonly ring: SharedArrayBuffer = createRing(RING_BYTES);
  readonly port: MessagePort;
  readonly #worker: Worker;
  readonly #held: MessagePort;

  private constructor(worker: Worker, held: MessagePort) {
    this.#worker = worker;
    this.#held = held;
    const { port1, port2 } = new MessageChannel();
    this.port = port2;
    const attach: ControlMessage = { type: "attach", port: port1, ring: this.ring };
    worker.postMessage(attach, [port1]);
  }

  /** `upstreamMs` set: the upstream is in the thread, and there is no wire. */
  static async start(
    settings: GatewayThreadSettings,
    upstreamMs: number | undefined,
  ): Promise<GatewayThread> {
    const { port1, port2: held } = new MessageChannel();
    const workerData: GatewayWorkerData = { ...settings, upstreamMs, held };
    const worker = new Worker(PROGRAM, {
      workerData,
      transferList: [held],
      name: THREAD,
      resourceLimits: GATEWAY_HEAP,
    });
    await new Promise<void>((resolve, reject) => {
      worker.once("error", reject);
      worker.once("message", (message: GatewayMessage) => {
        if (message.type === "ready") resolve();
      });
    });
    return new GatewayThread(worker, port1);
  }

  /** Live bytes of the thread; collects its garbage. */
  heldBytes(): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#held.once("message", resolve);
    this.#held.postMessage("held");
    return promise;
  }

  /** Of the thread so far; NaN where /proc does not tell. */
  get cpuMs(): number {
    for (const { name, cpuSeconds } of threadUsages(process.pid).values()) {
      if (name === THREAD) return cpuSeconds * 1_000;
    }
    return NaN;
  }

  async stop(): Promise<void> {
    this.port.close();
    this.#held.close();
    await this.#worker.terminate();
  }
}
