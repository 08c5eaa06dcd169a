/** The thread of the gateway: ports to messages, a clock to ticks. What it does is in desk.ts. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { wakeRing } from "#std/byte-ring.ts";
import { DEADLINE_STEP_MS } from "./deadlines.ts";
import { Desk } from "./desk.ts";
import type {
  CallMessage,
  ControlMessage,
  GatewayMessage,
  GatewayThreadSettings,
} from "./protocol.ts";

/**
 * Ends are posted at once, but not more often than that: to wake another thread takes as long as
 * ten calls.
 */
const POST_MS = 2;

run(workerData as GatewayThreadSettings);

function run(settings: GatewayThreadSettings): void {
  const ports = new Set<MessagePort>();
  const desk = new Desk({
    ...settings,
    nowMs: () => performance.timeOrigin + performance.now(),
    random: Math.random,
    cpuMs,
    soon: () => {
      const waitMs = postedMs + POST_MS - performance.now();
      if (waitMs > 0) setTimeout(flush, waitMs);
      else setImmediate(flush);
    },
  });
  let postedMs = Number.NEGATIVE_INFINITY;
  const flush = (): void => {
    postedMs = performance.now();
    desk.flush();
  };
  const engine = desk.openPort(post);
  let ticking: NodeJS.Timeout | undefined;
  const tick = (): void => {
    desk.tick();
    if (desk.openCount > 0) ticking ??= setInterval(tick, DEADLINE_STEP_MS);
    else {
      clearInterval(ticking);
      ticking = undefined;
    }
  };
  parentPort!.on("message", (message: CallMessage | ControlMessage) => {
    if (message.type === "ask" || message.type === "cancel") {
      engine.take(message);
      tick();
    } else if (message.type === "attach") {
      ports.add(message.port);
      message.port.on("close", () => ports.delete(message.port));
      attach(desk, message.port, message.ring, tick);
    } else if (message.type === "stop") {
      clearInterval(ticking);
      void stop(desk, ports);
    } else answer(desk, message);
  });
  post({ type: "ready" });
}

function attach(desk: Desk, port: MessagePort, ring: SharedArrayBuffer, tick: () => void): void {
  const shard = desk.openPort((message) => {
    port.postMessage(message);
    wakeRing(ring);
  });
  port.on("message", (message: CallMessage) => {
    shard.take(message);
    tick();
  });
  port.on("close", () => shard.close());
}

function answer(
  desk: Desk,
  message: Extract<ControlMessage, { type: "limits" | "forget" | "stats" | "usage" | "spending" }>,
): void {
  if (message.type === "limits") return desk.putLimits(message.tenant, message.limits);
  if (message.type === "forget") return desk.forget(message.tenant);
  const { request } = message;
  if (message.type === "stats") post({ type: "stats", request, stats: desk.stats() });
  else if (message.type === "usage") {
    post({ type: "usage", request, usage: desk.usage(message.tenant) });
  } else post({ type: "spending", request, spending: desk.spending() });
}

/** The thread ends by itself: nothing is left that could wake it. */
async function stop(desk: Desk, ports: ReadonlySet<MessagePort>): Promise<void> {
  const stopped = desk.stop();
  desk.flush();
  await stopped;
  post({ type: "stopped" });
  for (const port of ports) port.close();
  parentPort!.close();
}

function post(message: GatewayMessage): void {
  parentPort!.postMessage(message);
}

/** Of this thread alone. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
