/**
 * The gateway's thread with its upstream within it: everything but the wire. Requests are answered
 * after their latency by model-stand-in.ts, as the process llm-upstream.ts does over HTTP.
 */
import { workerData } from "node:worker_threads";
import type { GatewayThreadSettings } from "#llm/protocol.ts";
import { Upstream } from "#llm/upstream.ts";
import { type AskedCase, casesOf, contentOf, DelayWheel, USAGE } from "../model-stand-in.ts";

export type WirelessSettings = GatewayThreadSettings & { readonly upstreamMs: number };

type Asked = {
  readonly cases: readonly AskedCase[];
  readonly arrivedMs: number;
  deliver: Parameters<Upstream["send"]>[1] | undefined;
};

const TICK_MS = 1;
const { upstreamMs } = workerData as WirelessSettings;
const wheel = new DelayWheel<Asked>(upstreamMs + 1, performance.now());
let ticking: NodeJS.Timeout | undefined;

Upstream.prototype.send = (request, deliver) => {
  const arrivedMs = performance.now();
  const asked: Asked = { cases: casesOf(request.user), arrivedMs, deliver };
  wheel.add(asked, upstreamMs, arrivedMs);
  ticking ??= setInterval(tick, TICK_MS);
  return { cancel: () => (asked.deliver = undefined) };
};

await import("#llm/thread.ts");

function tick(): void {
  wheel.run(performance.now(), answer);
  if (wheel.count > 0) return;
  clearInterval(ticking);
  ticking = undefined;
}

function answer({ cases, arrivedMs, deliver }: Asked): void {
  const content = contentOf(cases, performance.now() - arrivedMs);
  deliver?.({ kind: "content", content, usage: USAGE });
}
