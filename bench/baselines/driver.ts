/**
 * A router with one worker for each tenant, the worker being a thread or a whole process: draws the
 * events, hands each of them to its tenant as one message, and waits until all are counted. There
 * is no HTTP on this road, so these baselines do less than NexusCore for each event.
 */
import { type Usage, usage } from "../children/leash.ts";
import { EventStream, loadCorpus } from "../workload.ts";
import { ACKNOWLEDGE_EVENTS } from "./tenant-messages.ts";
import { answersOf, type Host, startProcesses, startThreads } from "./tenants.ts";
import type { TenantAnswer } from "./window-tally.ts";

export type DriverSettings = {
  readonly host: "process" | "thread";
  readonly tenantCount: number;
  readonly events: number;
  readonly exponent: number;
  readonly seed: number;
  readonly corpus: string;
  readonly secondsMax: number;
  readonly limit: number;
};

export type ReadyMessage = { readonly type: "ready" };
export type FinishedMessage = {
  readonly type: "finished";
  readonly events: number;
  readonly seconds: number;
  /** Of the router and all tenants, between the first event sent and the last one counted. */
  readonly usage: Usage;
  readonly answers: readonly TenantAnswer[];
};

/** Messages on their way, beside those that tenants have taken and not acknowledged yet. */
const IN_FLIGHT_MAX = 8_192;
/** Events between two looks at the clock and at what has been counted. */
const STRIDE = 256;

process.channel?.ref();
process.on("message", (message: { type: string; settings?: DriverSettings }) => {
  if (message.type === "start") void drive(message.settings!);
});

async function drive(settings: DriverSettings): Promise<void> {
  const { host: kind, tenantCount, seed } = settings;
  const corpus = loadCorpus(settings.corpus, seed);
  const stream = new EventStream({ seed, corpus, tenantCount, exponent: settings.exponent });
  const events = Array.from({ length: settings.events }, () => stream.next());
  const host = await (kind === "process" ? startProcesses(tenantCount) : startThreads(tenantCount));
  const started = Promise.withResolvers<void>();
  process.on("message", (message: { type: string }) => {
    if (message.type === "send") started.resolve();
  });
  process.send!({ type: "ready" } satisfies ReadyMessage);
  await started.promise;
  const before = [usage(), await host.usage()] as const;
  const startMs = performance.now();
  const sent = await sendAll(host, events, startMs + settings.secondsMax * 1000);
  const seconds = (performance.now() - startMs) / 1000;
  const after = [usage(), await host.usage()] as const;
  const sum = (key: keyof Usage): number => after[0][key] + after[1][key];
  const finished: FinishedMessage = {
    type: "finished",
    events: sent,
    seconds,
    usage: {
      cpuSeconds: sum("cpuSeconds") - before[0].cpuSeconds - before[1].cpuSeconds,
      contextSwitches:
        sum("contextSwitches") - before[0].contextSwitches - before[1].contextSwitches,
      residentMb: sum("residentMb"),
    },
    answers: await answersOf(host, settings.limit),
  };
  await host.stop();
  process.send!(finished);
}

async function sendAll(
  host: Host,
  events: readonly { tenant: number; user: string; text: string }[],
  deadlineMs: number,
): Promise<number> {
  const inFlightMax = IN_FLIGHT_MAX + host.tenantCount * ACKNOWLEDGE_EVENTS;
  let sent = 0;
  while (sent < events.length && performance.now() < deadlineMs) {
    const end = Math.min(sent + STRIDE, events.length);
    for (; sent < end; sent++) {
      const { tenant, user, text } = events[sent]!;
      host.send(tenant, { type: "event", user, text });
    }
    // Also lets the tenants' acknowledgements in.
    do await new Promise<void>((resolve) => setImmediate(resolve));
    while (sent - host.counted > inFlightMax);
  }
  host.flush();
  while (host.counted < sent) await new Promise<void>((resolve) => setImmediate(resolve));
  return sent;
}
