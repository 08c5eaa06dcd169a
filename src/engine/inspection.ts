/** What the store holds of a tenant, read in a thread of its own. */
import { Worker } from "node:worker_threads";
import type { InspectedStore } from "#durable/inspect-store.ts";
import type { StoredTenant } from "#model/inspection.ts";
import { Problem } from "#model/problem.ts";

/** The names of what stands in the log as numbers: src/shard/replay.ts, src/isolate/journal.ts. */
export const LOGGED_WORLDS: InspectedStore["worlds"] = {
  0: "host",
  1: "summarizer",
  2: "moderator",
};
export const LOGGED_KINDS: InspectedStore["kinds"] = {
  "0/2": "close",
  "0/3": "settings",
  "1/1": "configure",
  "1/2": "events",
  "1/3": "time",
  "2/1": "policy",
  "2/2": "judge",
  "2/3": "time",
  "2/5": "forget",
  "2/7": "review",
  "2/8": "review's end",
};

/** Problem: storageUnavailable. */
export async function readStored(path: string, tenant: string): Promise<StoredTenant> {
  const workerData: InspectedStore = { path, tenant, worlds: LOGGED_WORLDS, kinds: LOGGED_KINDS };
  const url = new URL(import.meta.resolve("#durable/inspect-worker.ts"));
  const worker = new Worker(url, { workerData, name: "inspect" });
  const { promise, resolve, reject } = Promise.withResolvers<StoredTenant>();
  worker.on("message", resolve);
  worker.on("error", (error: Error) => reject(new Problem("storageUnavailable", error.message)));
  worker.on("exit", () => reject(new Problem("storageUnavailable", "The store was not read.")));
  return promise;
}
