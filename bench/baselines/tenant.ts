/** One tenant as a process or a thread of its own: takes an event a message, answers when asked. */
import { parentPort } from "node:worker_threads";
import { proportionalMb } from "../children/leash.ts";
import { ACKNOWLEDGE_EVENTS, type TenantMessage, type TenantReply } from "./tenant-messages.ts";
import { WindowTally } from "./window-tally.ts";

const tally = new WindowTally();
let uncounted = 0;

if (parentPort === null) {
  process.channel?.ref();
  process.on("message", (message: TenantMessage) => take(message));
} else {
  parentPort.on("message", (message: TenantMessage) => take(message));
}
reply({ type: "ready" });

function take(message: TenantMessage): void {
  if (message.type === "event") {
    tally.add(message.text, Date.now());
    uncounted += 1;
    if (uncounted === ACKNOWLEDGE_EVENTS) acknowledge();
  } else if (message.type === "flush") {
    acknowledge();
  } else if (message.type === "share") {
    reply({ type: "share", megabytes: proportionalMb() });
  } else if (message.type === "ask") {
    reply({ type: "answer", answer: tally.answer(message.limit, Date.now()) });
  }
}

function acknowledge(): void {
  reply({ type: "counted", count: uncounted });
  uncounted = 0;
}

function reply(message: TenantReply): void {
  if (parentPort === null) process.send!(message);
  else parentPort.postMessage(message);
}
