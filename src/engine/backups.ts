/**
 * Backups of a running server: holds all who write to the data folder between two transactions,
 * has their files pinned in that moment, lets them go, and has the rest done by a thread of its
 * own. One at a time.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import type { Manifest } from "#durable/backup-manifest.ts";
import {
  backupName,
  listBackups,
  type ListedBackup,
  removeOld,
  removeUnfinished,
} from "#durable/backup-folder.ts";
import type { BackupMessage, BackupSettings, BackupWish } from "#durable/backup-worker.ts";
import { type HoldGate, holdGate, isHeld, letGo } from "#durable/writer-hold.ts";
import type { Backup, BackupCounts, BackupKeeper, BackupList } from "#model/backup.ts";
import { Problem } from "#model/problem.ts";
import type { Log } from "#observe/log.ts";

/** Asks a writer to wait at the gate; what it throws means that there is none now. */
export type Hold = (gate: HoldGate) => void;

export type BackupParts = {
  /** Of all files, whether they are there or not. */
  readonly paths: readonly string[];
  readonly folder: string;
  /** 0: all. */
  readonly keepCount: () => number;
  readonly product: string;
  readonly holds: readonly Hold[];
  readonly log: Log;
  readonly nowMs?: () => number;
};

type Running = { backup: Backup; readonly worker: Worker };

export class Backups implements BackupKeeper {
  readonly #parts: BackupParts;
  #running: Running | undefined;
  #isBeginning = false;
  /** Of this process: why the last one failed. */
  #failed: Backup | undefined;
  /** Of this process: which older ones went when one was made. */
  readonly #removedBy = new Map<string, readonly string[]>();
  #newestMs = 0;
  #failureCount = 0;

  constructor(parts: BackupParts) {
    this.#parts = parts;
    // Of those that the processes before made; whoever asks meanwhile is told that there is none.
    this.list().then(
      ({ backups }) => {
        const done = backups.find(({ state }) => state === "done");
        this.#newestMs = Math.max(this.#newestMs, done?.asOfMs ?? 0);
      },
      () => undefined,
    );
  }

  /** For metrics: without a look at the disk. `newestMs` 0: there is none. */
  counts(): BackupCounts {
    return { newestMs: this.#newestMs, failureCount: this.#failureCount };
  }

  async begin(): Promise<Backup> {
    if (this.#isBeginning || this.#running !== undefined) {
      const name = this.#running?.backup.name ?? "it";
      throw new Problem("backupRunning", `A backup is being made (${name}); wait for its end.`, {
        retryAfterSeconds: 5,
      });
    }
    this.#isBeginning = true;
    try {
      return await this.#begin();
    } finally {
      this.#isBeginning = false;
    }
  }

  async list(): Promise<BackupList> {
    const { folder, keepCount } = this.#parts;
    const listed = (await listBackups(folder)).map((entry) => {
      const removed = this.#removedBy.get(entry.name) ?? [];
      const backup = backupOf(folder, entry);
      return removed.length === 0 ? backup : { ...backup, removed: [...removed] };
    });
    const own = [this.#running?.backup, this.#failed].filter((entry) => entry !== undefined);
    const names = new Set(own.map(({ name }) => name));
    const backups = [...own, ...listed.filter(({ name }) => !names.has(name))];
    backups.sort((a, b) => (a.name < b.name ? 1 : -1));
    return { folder, keepCount: keepCount(), backups };
  }

  async get(name: string): Promise<Backup> {
    const { folder, backups } = await this.list();
    const found = backups.find((backup) => backup.name === name);
    if (found !== undefined) return found;
    throw new Problem("backupUnknown", `There is no backup ${JSON.stringify(name)} in ${folder}.`);
  }

  /** A backup that is being made is given up: what there is of it is no backup. */
  async stop(): Promise<void> {
    await this.#running?.worker.terminate();
  }

  async #begin(): Promise<Backup> {
    const { folder, paths, product, nowMs = Date.now } = this.#parts;
    await removeUnfinished(folder);
    const name = backupName(nowMs(), (taken) => existsSync(join(folder, taken)));
    const path = join(folder, name);
    const workerData: BackupSettings = { paths, folder: path, product };
    const url = new URL(import.meta.resolve("#durable/backup-worker.ts"));
    const worker = new Worker(url, { workerData, name: "backup" });
    const messages = new Messages(worker);
    try {
      const open = await messages.next("open");
      const asOfMs = nowMs();
      const pauseMs = await this.#pin(worker, messages, asOfMs);
      worker.postMessage({ type: "copy", pauseMs } satisfies BackupWish);
      const backup: Backup = {
        name,
        path,
        state: "running",
        asOfMs,
        bytes: 0,
        bytesTotal: open.bytes,
        pauseMs,
      };
      this.#running = { backup, worker };
      void this.#finish(messages, backup);
      return backup;
    } catch (error) {
      await worker.terminate();
      throw error;
    }
  }

  /** For how long nobody committed, ms. */
  async #pin(worker: Worker, messages: Messages, nowMs: number): Promise<number> {
    const gates = this.#parts.holds.map(() => holdGate());
    let startMs = performance.now();
    let isClean = true;
    try {
      for (const [index, hold] of this.#parts.holds.entries()) {
        hold(gates[index]!);
        if (!(await isHeld(gates[index]!))) throw behind();
        if (index === 0) startMs = performance.now();
      }
      worker.postMessage({ type: "pin", nowMs } satisfies BackupWish);
      await messages.next("pinned");
    } finally {
      for (const gate of gates) isClean = letGo(gate) && isClean;
    }
    // Somebody was held for so long that it went on: the files may be of two instants.
    if (!isClean) throw behind();
    return performance.now() - startMs;
  }

  async #finish(messages: Messages, begun: Backup): Promise<void> {
    const { folder, keepCount, log } = this.#parts;
    try {
      const { manifest } = await messages.next("done", (bytes) => {
        this.#running = { ...this.#running!, backup: { ...begun, bytes } };
      });
      const keep = keepCount();
      const removed = keep === 0 ? [] : await removeOld(folder, keep);
      const { damagedCount } = backupOfManifest(begun, manifest);
      const { name, pauseMs } = begun;
      const tookMs = Math.round(manifest.finishedMs - manifest.asOfMs);
      log.info({ name, tookMs, pauseMs, damagedCount, removed }, "a backup was made");
      this.#newestMs = manifest.asOfMs;
      this.#removedBy.clear();
      this.#removedBy.set(name, removed);
      this.#failed = undefined;
    } catch (error) {
      const { message: problem } = error as Error;
      log.error({ name: begun.name, reason: problem }, "a backup failed");
      this.#failureCount += 1;
      this.#failed = { ...begun, state: "failed", problem };
    } finally {
      this.#running = undefined;
    }
  }
}

/** What a backup's thread says, in order. */
class Messages {
  readonly #waiting: BackupMessage[] = [];
  #wake: (() => void) | undefined;
  #ended: string | undefined;

  constructor(worker: Worker) {
    worker.on("message", (message: BackupMessage) => {
      this.#waiting.push(message);
      this.#wake?.();
    });
    worker.on("error", (error: Error) => this.#end(error.message));
    worker.on("exit", () => this.#end("the thread of the backup ended"));
  }

  /** Throws a Problem, if the backup failed. */
  async next<Type extends BackupMessage["type"]>(
    type: Type,
    onBytes?: (bytes: number) => void,
  ): Promise<BackupMessage & { type: Type }> {
    for (;;) {
      const message = this.#waiting.shift();
      if (message === undefined) {
        if (this.#ended !== undefined) throw new Problem("storageUnavailable", this.#ended);
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
      } else if (message.type === type) return message as BackupMessage & { type: Type };
      else if (message.type === "copied") onBytes?.(message.bytes);
      else if (message.type === "failed") {
        throw new Problem(message.refused ? "storageFull" : "storageUnavailable", message.reason);
      }
    }
  }

  #end(reason: string): void {
    this.#ended ??= reason;
    this.#wake?.();
  }
}

function behind(): Problem {
  return new Problem("storageUnavailable", "The disk is behind, so no backup can begin now.", {
    retryAfterSeconds: 10,
  });
}

function backupOf(folder: string, { name, manifest, problem }: ListedBackup): Backup {
  const path = join(folder, name);
  if (manifest !== undefined) return backupOfManifest({ name, path }, manifest);
  const nothing = { bytes: 0, bytesTotal: 0 };
  return { name, path, state: "failed", ...nothing, problem: problem ?? "it cannot be read" };
}

function backupOfManifest(
  { name, path }: Pick<Backup, "name" | "path">,
  { asOfMs, finishedMs, pauseMs, files, contents }: Manifest,
): Backup {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return {
    name,
    path,
    state: "done",
    asOfMs,
    finishedMs,
    pauseMs,
    bytes,
    bytesTotal: bytes,
    tenantCount: contents?.tenantCount ?? 0,
    damagedCount: contents?.damaged.length ?? 0,
  };
}
