/**
 * The thread of a backup: opens the files, says how large they are, pins them when it is told to,
 * copies. It ends with the backup; the files' writers go on meanwhile.
 */
import { parentPort, workerData } from "node:worker_threads";
import { BackupCopy, checkSpace } from "./backup-copy.ts";
import { BackupError, type Manifest } from "./backup-manifest.ts";

export type BackupSettings = {
  readonly paths: readonly string[];
  readonly folder: string;
  readonly product: string;
};

export type BackupWish =
  | { readonly type: "pin"; readonly nowMs: number }
  | { readonly type: "copy"; readonly pauseMs: number };

export type BackupMessage =
  | { readonly type: "open"; readonly bytes: number }
  | { readonly type: "pinned" }
  | { readonly type: "copied"; readonly bytes: number }
  | { readonly type: "done"; readonly manifest: Manifest }
  /** `refused`: a person can do something about it. */
  | { readonly type: "failed"; readonly reason: string; readonly refused: boolean };

const port = parentPort!;
const post = (message: BackupMessage): void => port.postMessage(message);

await run(workerData as BackupSettings);

async function run({ paths, folder, product }: BackupSettings): Promise<void> {
  let copy: BackupCopy;
  try {
    copy = BackupCopy.open(paths);
    await checkSpace(folder, copy.bytes);
  } catch (error) {
    fail(error);
    return;
  }
  port.on("message", (wish: BackupWish) => {
    if (wish.type === "pin") {
      copy.pin(wish.nowMs);
      post({ type: "pinned" });
      return;
    }
    copy.pauseMs = wish.pauseMs;
    copy
      .copyTo(folder, product, (bytes) => post({ type: "copied", bytes }))
      .then((manifest) => {
        post({ type: "done", manifest });
        port.close();
      })
      .catch((error: unknown) => fail(error));
  });
  post({ type: "open", bytes: copy.bytes });
}

function fail(error: unknown): void {
  const { message: reason } = error as Error;
  post({ type: "failed", reason, refused: error instanceof BackupError });
  port.close();
}
