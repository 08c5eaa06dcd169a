/**
 * Event datagrams: a thread of their own reads the socket and turns the epochs of the kernel
 * stage, so that neither a flood nor a stall is felt by HTTP.
 */
import { Worker } from "node:worker_threads";
import { findFfi, loadLibc } from "#kernel/libc.ts";
import type { Stage, StageFacts, StageHandle } from "#kernel/stage.ts";
import { readStageStats, type StageStats } from "#kernel/stage-stats.ts";

/** What the thread is started with, and what it says. */
export type UdpSettings = {
  readonly stage: StageHandle;
  readonly receive: StageFacts["receive"];
  readonly host: string;
  readonly port: number;
  /** How often the shards are given what was aggregated, and how often at least under load. */
  readonly turnMs: number;
  readonly busyTurnMs: number;
};

export type UdpMessage =
  | { readonly type: "listening"; readonly port: number }
  | { readonly type: "failed"; readonly message: string; readonly code: string };

export type UdpIngest = {
  readonly host: string;
  readonly port: number;
  readonly facts: StageFacts;
  stats(): StageStats;
  /** Takes what is in the socket, waits until the shards have it, closes the socket. */
  stop(): Promise<void>;
};

/** Rejects with the `code` of the system where the port cannot be had. */
export async function startUdpIngest(
  { handle, facts }: Stage,
  options: Omit<UdpSettings, "stage" | "receive">,
): Promise<UdpIngest> {
  const workerData: UdpSettings = { ...options, stage: handle, receive: facts.receive };
  const worker = new Worker(new URL("udp-thread.ts", import.meta.url), { workerData, name: "udp" });
  const ended = new Promise<void>((resolve) => void worker.once("exit", () => resolve()));
  const port = await new Promise<number>((resolve, reject) => {
    worker.once("error", reject);
    worker.once("message", (message: UdpMessage) => {
      if (message.type === "listening") resolve(message.port);
      else reject(Object.assign(new Error(message.message), { code: message.code }));
    });
  });
  worker.removeAllListeners("error");
  worker.on("error", (error) => {
    process.emitWarning(error instanceof Error ? error : String(error), {
      code: "NEXUSCORE_UDP_FAILED",
      detail: "event datagrams are not taken any more; HTTP goes on",
    });
  });
  const stopWord = new Int32Array(handle.memory.buffer, handle.layout.stopWord, 1);
  return {
    host: options.host,
    port,
    facts,
    stats: () => readStageStats(handle),
    stop: async () => {
      Atomics.store(stopWord, 0, 1);
      if (handle.wakeFd !== undefined) loadLibc(findFfi()!).signalEvent(handle.wakeFd);
      await ended;
    },
  };
}
