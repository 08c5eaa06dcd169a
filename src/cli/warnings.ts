/**
 * What threads and the runtime warn of, as lines of the log: whoever collects it reads JSON, and
 * Node's own lines on stderr are none. How the disk stands is said when it begins and when it ends.
 */
import type { Log } from "#observe/log.ts";
import type { EventEmitter } from "node:events";

const STORAGE = "NEXUSCORE_STORAGE_";

type Told = Error & { readonly code?: string; readonly detail?: string };

/** Takes the place of Node's own listener. */
export function logWarnings(log: Log, source: EventEmitter = process): void {
  source.removeAllListeners("warning");
  source.on("warning", (warning: Told) => {
    const { name, code = "", message, detail } = warning;
    // The launcher turns those off, as they say nothing of this server.
    if (name === "ExperimentalWarning") return;
    if (code.startsWith(STORAGE)) tellStorage(log, code.slice(STORAGE.length), message);
    else log.warn({ err: warning, detail }, "a warning of the process");
  });
}

function tellStorage(log: Log, state: string, reason: string): void {
  if (state === "ok") log.info({ state }, "the disk takes events again");
  else log.error({ state, reason }, "the disk takes no events: they are refused until it does");
}
