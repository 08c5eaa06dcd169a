/** What `nexuscore doctor` finds out about the data folder: its disk, its files, its backups. */
import type { Config } from "#config/options.ts";
import { listBackups } from "#durable/backup-folder.ts";
import { nearestExisting } from "#durable/backup-copy.ts";
import { isTaken, LOCK_SUFFIX, lockOf } from "#durable/file-lock.ts";
import { scanStore } from "#durable/store-scan.ts";
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { ageWords } from "./ages.ts";
import type { Check } from "./check.ts";
import { type DataFiles, dataFilesOf } from "./data-files.ts";
import { formatBytes, formatCount } from "./terminal.ts";

const SYNC_COUNT = 50;
const SYNC_BYTES = 4096;
/** An acknowledgement waits for a sync: beyond, people notice; far beyond, nothing keeps up. */
const SYNC_P99_MS = 50;
const SYNC_P99_MS_MAX = 500;
/** A store over this is not read through here: `nexuscore inspect --store` does. */
const SCANNED_BYTES_MAX = 1024 ** 3;
const BACKUP_AGE_MS_MAX = 48 * 3_600_000;
/** Beside the log, for the review queue, snapshots and the WAL. */
const SPARE_BYTES = 1024 ** 3;

export async function checkStorage(config: Config): Promise<Check[]> {
  const files = dataFilesOf(config);
  if (files === undefined) {
    const detail = "none (--data-dir :memory:)";
    const why = "tenants, policies and the queue end with the process";
    return [{ name: "data folder", status: "ok", detail, why }];
  }
  const folder = checkFolder(files);
  const existing = nearestExisting(files.dataDir);
  const isUsable = folder.every(({ status }) => status !== "fail");
  const holder = existsSync(files.dataDir) ? holderOf(files.state) : undefined;
  return [
    ...folder,
    await checkSpace(files, existing, config.logBytesMax),
    ...(isUsable ? [timedSyncs(existing, config.ack)] : []),
    checkHolder(files, holder),
    ...checkStores(files, holder !== undefined),
    await checkBackups(files, Date.now()),
  ];
}

/** Whether it can be written, and by whom it can be read. */
export function checkFolder({ dataDir }: Pick<DataFiles, "dataDir">): Check[] {
  const name = "data folder";
  const existing = nearestExisting(dataDir);
  try {
    accessSync(existing, constants.W_OK | constants.X_OK);
  } catch (error) {
    return [unwritableFolder(existing, error as NodeJS.ErrnoException)];
  }
  if (existing !== dataDir) {
    return [{ name, status: "ok", detail: `${dataDir} will be made at the first start` }];
  }
  const { mode, uid } = statSync(dataDir);
  const shown = (mode & 0o777).toString(8).padStart(4, "0");
  const own = process.getuid?.() ?? uid;
  if (uid !== own && own !== 0) {
    const detail = `${dataDir} belongs to user ${uid}, and this is user ${own}`;
    const why = "files of two users end in one that cannot be opened";
    return [{ name, status: "warn", detail, why, fix: `sudo chown -R ${own} ${dataDir}` }];
  }
  if ((mode & 0o077) !== 0) {
    const detail = `${dataDir} has mode ${shown}`;
    const why = "others on this machine can read what tenants' people said";
    return [{ name, status: "warn", detail, why, fix: `chmod 0700 ${dataDir}` }];
  }
  return [{ name, status: "ok", detail: `${dataDir}, mode ${shown}` }];
}

export function unwritableFolder(folder: string, { code }: NodeJS.ErrnoException): Check {
  const name = "data folder";
  const why = "nothing could be kept";
  if (code === "EROFS") {
    const detail = `${folder} is on a file system that is mounted read-only`;
    const fix = "dmesg | tail says why, if it became so; sudo mount -o remount,rw <mount point>";
    return { name, status: "fail", detail, why, fix };
  }
  const user = process.getuid?.() ?? 0;
  const detail = `${folder} cannot be written by this user (${user})`;
  return { name, status: "fail", detail, why, fix: `sudo chown ${user} ${folder}` };
}

async function checkSpace(
  { dataDir, state }: DataFiles,
  existing: string,
  logBytesMax: number,
): Promise<Check> {
  const { bavail, bsize, blocks } = await statfs(existing);
  const storeBytes = existsSync(state) ? statSync(state).size : 0;
  return spaceCheck({
    dataDir,
    freeBytes: bavail * bsize,
    diskBytes: blocks * bsize,
    storeBytes,
    logBytesMax,
  });
}

export type SpaceFacts = {
  readonly dataDir: string;
  readonly freeBytes: number;
  readonly diskBytes: number;
  readonly storeBytes: number;
  readonly logBytesMax: number;
};

export function spaceCheck(facts: SpaceFacts): Check {
  const { dataDir, freeBytes, diskBytes, storeBytes, logBytesMax } = facts;
  const name = "disk space";
  const neededBytes = Math.max(0, logBytesMax + SPARE_BYTES - storeBytes);
  const free = `${formatBytes(freeBytes)} of ${formatBytes(diskBytes)} free for ${dataDir}`;
  if (freeBytes < SPARE_BYTES / 4) {
    const why = "when it is full, events are refused with 507";
    const fix = `Free some of that disk, or move the folder: --data-dir on another one.`;
    return { name, status: "fail", detail: free, why, fix };
  }
  if (freeBytes >= neededBytes) return { name, status: "ok", detail: free };
  const detail = `${free}, and the log alone may take ${formatBytes(logBytesMax)}`;
  const bytes = Math.max(64, 2 ** Math.floor(Math.log2(freeBytes / 2 / 1024 ** 2)));
  const fix = `nexuscore serve --log-bytes-max ${bytes}MiB, or a disk with more room`;
  return { name, status: "warn", detail, why: "when it is full, events are refused", fix };
}

/** A disk that is full or fails is when this is asked: that is a finding, and ends nothing. */
function timedSyncs(folder: string, ack: string): Check {
  try {
    return checkSyncs(syncTimes(folder), ack);
  } catch (error) {
    return syncFailure(folder, error as NodeJS.ErrnoException);
  }
}

export function syncFailure(folder: string, error: NodeJS.ErrnoException): Check {
  const isFull = error.code === "ENOSPC" || error.code === "EDQUOT";
  return {
    name: "disk syncs",
    status: "fail",
    detail: `${folder} takes no write: ${error.code ?? error.message}`,
    why: "events are refused until it does, and then by themselves taken again",
    fix: isFull
      ? `du -xsh ${folder}/*, and move away what can go, such as old backups.`
      : "dmesg | tail, then another disk: nexuscore restore <newest backup>",
  };
}

/** What a sync takes there, each after a small write: milliseconds, sorted. */
function syncTimes(folder: string): number[] {
  const path = join(folder, `.doctor-${process.pid}`);
  const bytes = Buffer.alloc(SYNC_BYTES, 1);
  const file = openSync(path, "wx", 0o600);
  try {
    const times: number[] = [];
    for (let i = 0; i < SYNC_COUNT; i++) {
      const startMs = performance.now();
      writeSync(file, bytes, 0, bytes.length, i * SYNC_BYTES);
      fsyncSync(file);
      times.push(performance.now() - startMs);
    }
    return times.toSorted((a, b) => a - b);
  } finally {
    closeSync(file);
    rmSync(path, { force: true });
  }
}

export function checkSyncs(sortedMs: readonly number[], ack: string): Check {
  const name = "disk syncs";
  const at = (share: number): number =>
    sortedMs[Math.min(sortedMs.length - 1, Math.floor(share * sortedMs.length))] ?? 0;
  const [p50, p99] = [at(0.5), at(0.99)];
  const detail = `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms of ${sortedMs.length}`;
  if (p99 < SYNC_P99_MS || ack === "memory") return { name, status: "ok", detail };
  const why = "every acknowledgement waits for one";
  const fix =
    p99 < SYNC_P99_MS_MAX
      ? "Use a local SSD; or --ack memory, which risks the last milliseconds."
      : "Use another disk: this one cannot keep up with a log. See docs/durability.md.";
  return { name, status: "warn", detail, why, fix };
}

/** Who holds the lock of the file; `pid` undefined: somebody who cannot be seen from here. */
export type Holder = { readonly pid: number | undefined; readonly command: string | undefined };

function holderOf(path: string): Holder | undefined {
  if (!existsSync(`${path}${LOCK_SUFFIX}`)) return undefined;
  try {
    lockOf(path).close();
    return undefined;
  } catch (error) {
    if (!isTaken(error)) return undefined;
    const inode = statSync(`${path}${LOCK_SUFFIX}`).ino;
    const pid = pidOfLock(readText("/proc/locks") ?? "", inode);
    const command = pid === undefined ? undefined : readText(`/proc/${pid}/comm`)?.trim();
    return { pid, command };
  }
}

/** From lines such as `1: POSIX  ADVISORY  WRITE 4711 08:01:1234 0 EOF`. */
export function pidOfLock(locks: string, inode: number): number | undefined {
  for (const line of locks.split("\n")) {
    const [, pid, place] = /WRITE\s+(\d+)\s+[0-9a-f]+:[0-9a-f]+:(\d+)/.exec(line) ?? [];
    if (place === String(inode)) return Number(pid);
  }
  return undefined;
}

export function checkHolder({ dataDir }: Pick<DataFiles, "dataDir">, holder?: Holder): Check {
  const name = "data lock";
  if (holder === undefined) return { name, status: "ok", detail: "nobody writes to the folder" };
  const { pid, command } = holder;
  const who = pid === undefined ? "a process" : `process ${pid} (${command ?? "unknown"})`;
  return { name, status: "ok", detail: `${who} holds ${dataDir}; a second server would refuse` };
}

/** Whether what is kept can be read. */
function checkStores({ state, reviews, keys }: DataFiles, isHeld: boolean): Check[] {
  const checks = [checkState(state)];
  for (const path of [reviews, keys]) {
    if (!existsSync(path) || isHeld) continue;
    const verdict = quickCheck(path);
    if (verdict === "ok") continue;
    const fix = "nexuscore restore <newest backup> --replace";
    checks.push({
      name: "kept tables",
      status: "fail",
      detail: `${path} is damaged: ${verdict}`,
      fix,
    });
  }
  return checks;
}

export function checkState(path: string): Check {
  const name = "kept state";
  if (!existsSync(path)) return { name, status: "ok", detail: "nothing yet" };
  const { size } = statSync(path);
  if (size > SCANNED_BYTES_MAX) {
    const detail = `${formatBytes(size)}, too much to be read here`;
    return { name, status: "ok", detail, fix: "nexuscore inspect --store reads all of it." };
  }
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    try {
      const { tenantCount, snapshotCount, blockCount, damagedCount, damaged } = scanStore(database);
      const kept = `${formatCount(tenantCount)} tenants, ${formatCount(snapshotCount)} snapshots`;
      const detail = `${kept}, ${formatCount(blockCount)} blocks of log, ${formatBytes(size)}`;
      if (damagedCount === 0) return { name, status: "ok", detail };
      const what = `${formatCount(damagedCount)} damaged: ${damaged.slice(0, 3).join("; ")}`;
      const why = "older copies stand in for them; a second fault would lose those tenants";
      const fix = "nexuscore backup create, then look at the disk: smartctl -a, dmesg";
      return { name, status: "warn", detail: what, why, fix };
    } finally {
      database.close();
    }
  } catch (error) {
    const detail = `${path} cannot be read: ${(error as Error).message}`;
    return { name, status: "fail", detail, fix: "nexuscore restore <newest backup> --replace" };
  }
}

async function checkBackups({ backups, state }: DataFiles, nowMs: number): Promise<Check> {
  const listed = await listBackups(backups);
  const newest = listed.find(({ manifest }) => manifest !== undefined);
  return backupCheck({
    folder: backups,
    hasState: existsSync(state),
    newestMs: newest?.manifest?.asOfMs,
    unreliable: listed.filter(({ manifest }) => manifest === undefined).map(({ name }) => name),
    nowMs,
  });
}

export type BackupFacts = {
  readonly folder: string;
  /** There is something to lose. */
  readonly hasState: boolean;
  readonly newestMs: number | undefined;
  readonly unreliable: readonly string[];
  readonly nowMs: number;
};

export function backupCheck(facts: BackupFacts): Check {
  const { folder, hasState, newestMs, unreliable, nowMs } = facts;
  const name = "backups";
  if (unreliable.length > 0) {
    const detail = `${unreliable.join(", ")} in ${folder} cannot be relied on`;
    return {
      name,
      status: "warn",
      detail,
      fix: `nexuscore backup verify ${folder}/${unreliable[0]}`,
    };
  }
  if (newestMs === undefined) {
    const detail = `none in ${folder}`;
    if (!hasState) return { name, status: "ok", detail };
    const why = "a lost disk would be all of it";
    return { name, status: "warn", detail, why, fix: "nexuscore backup create" };
  }
  const detail = `the newest in ${folder} is ${ageWords(newestMs, nowMs)} old`;
  if (nowMs - newestMs <= BACKUP_AGE_MS_MAX) return { name, status: "ok", detail };
  const why = "what came since would be lost with the disk";
  return {
    name,
    status: "warn",
    detail,
    why,
    fix: "nexuscore backup create, once a day by a timer",
  };
}

function quickCheck(path: string): string {
  try {
    const database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    try {
      return String(database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"]);
    } finally {
      database.close();
    }
  } catch (error) {
    return (error as Error).message;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
