/** The thread of the review store: opens it, runs batches of commands, closes it. */
import { parentPort, workerData } from "node:worker_threads";
import type { StoreMessage, StoreSettings, StoreWish } from "./store-thread.ts";
import { ReviewStore } from "./store.ts";

const port = parentPort!;
const post = (message: StoreMessage): void => port.postMessage(message);

run((workerData as StoreSettings).path);

function run(path: string): void {
  let store: ReviewStore;
  try {
    store = new ReviewStore(path);
  } catch (error) {
    post({ type: "refused", reason: (error as Error).message });
    port.close();
    return;
  }
  post({ type: "open" });
  port.on("message", (wish: StoreWish) => {
    if (wish.type === "close") {
      store.close();
      port.close();
      return;
    }
    try {
      post({ type: "replies", replies: store.runAll(wish.commands) });
    } catch (error) {
      post({ type: "failed", reason: (error as Error).message });
    }
  });
}
