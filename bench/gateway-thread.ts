/** The gateway's thread beside one shard side, as a benchmark holds it: a port, a ring, its CPU. */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import type { ControlMessage, GatewayMessage, GatewayThreadSettings } from "#llm/protocol.ts";
import type { LlmSettings } from "#llm/settings.ts";
import { createRing } from "#std/byte-ring.ts";
import type { WirelessSettings } from "./children/llm-gateway.ts";
import { threadUsages } from "./threads.ts";

/** Named so by the product, too. */
const THREAD = "llm";
const WIRELESS = new URL("children/llm-gateway.ts", import.meta.url);
const RING_BYTES = 1 << 16;

export const UNBOUNDED = {
  callsPerMinute: Infinity,
  tokensPerMinute: Infinity,
  microsPerDay: Infinity,
};

/** Moderation at an upstream on this port of this machine; nothing but the connections bounds it. */
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

  private constructor(worker: Worker) {
    this.#worker = worker;
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
    const program =
      upstreamMs === undefined ? new URL(import.meta.resolve("#llm/thread.ts")) : WIRELESS;
    const workerData: GatewayThreadSettings | WirelessSettings = {
      ...settings,
      ...(upstreamMs !== undefined && { upstreamMs }),
    };
    const worker = new Worker(program, { workerData, name: THREAD });
    await new Promise<void>((resolve, reject) => {
      worker.once("error", reject);
      worker.once("message", (message: GatewayMessage) => {
        if (message.type === "ready") resolve();
      });
    });
    return new GatewayThread(worker);
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
    await this.#worker.terminate();
  }
}
