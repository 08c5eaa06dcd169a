/** A thread for one look into the store: reading the log takes longer than others may wait. */
import { parentPort, workerData } from "node:worker_threads";
import { type InspectedStore, inspectStore } from "./inspect-store.ts";

parentPort!.postMessage(inspectStore(workerData as InspectedStore));
