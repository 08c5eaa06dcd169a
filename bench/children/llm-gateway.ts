/**
 * The gateway's thread as a benchmark starts it: the product's own, which says on demand what it
 * holds after a collection. With `upstreamMs` its upstream is within it, and there is no wire:
 * requests are answered after their latency by model-stand-in.ts, as llm-upstream.ts does by HTTP.
 */
import { type MessagePort, workerData } from "node:worker_threads";
import type { GatewayThreadSettings } from "#llm/protocol.ts";
import { Upstream } from "#llm/upstream.ts";
import { collectGarbage } from "../allocation.ts";
import { type AskedCase, casesOf, contentOf, DelayWheel, USAGE } from "../model-stand-in.ts";

export type GatewayWorkerData = GatewayThreadSettings & {
  readonly upstreamMs: number | undefined;
  /** Whatever comes there is answered with the bytes that the thread holds. */
  readonly held: MessagePort;
};

type Asked = {
  readonly cases: readonly AskedCase[];
  readonly arrivedMs: number;
  deliver: Parameters<Upstream["send"]>[1] | undefined;
};

const TICK_MS = 1;
const { upstreamMs, held } = workerData as GatewayWorkerData;
if (upstreamMs !== undefined) answerWithin(upstreamMs);
held.on("message", () => held.postMessage(heldBytes()));

await import("#llm/thread.ts");

/** Live bytes of this thread's JavaScript, and of buffers that it holds. */
function heldBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

function answerWithin(delayMs: number): void {
  const wheel = new DelayWheel<Asked>(delayMs + 1, performance.now());
  let ticking: NodeJS.Timeout | undefined;
  const answer = ({ cases, arrivedMs, deliver }: Asked): void => {
    const content = contentOf(cases, performance.now() - arrivedMs);
    deliver?.({ kind: "content", content, usage: USAGE });
  };
  const tick = (): void => {
    wheel.run(performance.now(), answer);
    if (wheel.count > 0) return;
    clearInterval(ticking);
    ticking = undefined;
  };
  Upstream.prototype.send = (request, deliver) => {
    const arrivedMs = performance.now();
    const asked: Asked = { cases: casesOf(request.user), arrivedMs, deliver };
    wheel.add(asked, delayMs, arrivedMs);
    ticking ??= setInterval(tick, TICK_MS);
    return { cancel: () => (asked.deliver = undefined) };
  };
}
