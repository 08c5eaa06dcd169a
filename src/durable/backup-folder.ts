/** Folders of backups: what is in one, whether it can be relied on, which are too old. */
import { existsSync } from "node:fs";
import { chmod, chown, copyFile, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import {
  checkSpace,
  contentsOf,
  openImmutable,
  PARTIAL_SUFFIX,
  STATE_FILE,
  syncPath,
} from "./backup-copy.ts";
import { BackupError, hashOf, type Manifest, readManifest } from "./backup-manifest.ts";
import { isTaken, LOCK_SUFFIX, lockOf } from "./file-lock.ts";

/** By its name a folder is one that we made, and may remove. */
const NAME = /^\d{8}T\d{6}Z(?:-\d+)?$/;
/** Where backups are if no option says so: it is no part of what is kept. */
export const BACKUPS_NAME = "backups";

/** Of a backup that begins now: 20261121T215959Z, and with a number if that is taken. */
export function backupName(nowMs: number, isTakenName: (name: string) => boolean): string {
  const stamp = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d+/g, "");
  let name = stamp;
  for (let i = 2; isTakenName(name); i++) name = `${stamp}-${i}`;
  return name;
}

export type ListedBackup = {
  readonly name: string;
  /** Undefined: it cannot be relied on, and `problem` says why. */
  readonly manifest: Manifest | undefined;
  readonly problem: string | undefined;
};

/** The newest first; by their manifests, their files are not read. */
export async function listBackups(folder: string): Promise<ListedBackup[]> {
  if (!existsSync(folder)) return [];
  const names = (await readdir(folder)).filter((name) => NAME.test(name)).toSorted();
  return Promise.all(
    names.toReversed().map(async (name) => {
      try {
        return { name, manifest: await readManifest(join(folder, name)), problem: undefined };
      } catch (error) {
        return { name, manifest: undefined, problem: (error as Error).message };
      }
    }),
  );
}

/** Removes all whole backups but the newest `keepCount`, and what was never finished. */
export async function removeOld(folder: string, keepCount: number): Promise<string[]> {
  const whole = (await listBackups(folder)).filter(({ manifest }) => manifest !== undefined);
  const old = whole.slice(keepCount).map(({ name }) => name);
  for (const name of old) await rm(join(folder, name), { recursive: true, force: true });
  return old;
}

export async function removeUnfinished(folder: string): Promise<void> {
  if (!existsSync(folder)) return;
  for (const name of await readdir(folder)) {
    if (!name.endsWith(PARTIAL_SUFFIX) || !NAME.test(name.slice(0, -PARTIAL_SUFFIX.length)))
      continue;
    await rm(join(folder, name), { recursive: true, force: true });
  }
}

/**
 * Every byte, every table, every snapshot and block of it. Throws a BackupError that names what is
 * wrong; what was damaged when the backup was made is in the manifest that is returned.
 */
export async function verifyBackup(folder: string): Promise<Manifest> {
  const manifest = await readManifest(folder);
  for (const { name, bytes, sha256 } of manifest.files) {
    const path = join(folder, name);
    if (!existsSync(path)) throw new BackupError(`${path} is missing.`);
    const { size } = await stat(path);
    if (size !== bytes) {
      throw new BackupError(`${path} has ${size} bytes; when it was written it had ${bytes}.`);
    }
    if ((await hashOf(path)) !== sha256) {
      throw new BackupError(`${path} is not what was written: its checksum differs.`);
    }
    checkTables(path);
  }
  const state = manifest.files.find(({ name }) => name === STATE_FILE);
  if (state !== undefined) {
    const found = contentsOf(join(folder, state.name));
    if (JSON.stringify(found) !== JSON.stringify(manifest.contents)) {
      throw new BackupError(`${join(folder, state.name)} holds not what its manifest says.`);
    }
  }
  return manifest;
}

export type Restored = {
  readonly manifest: Manifest;
  /** Where the former files are; undefined: there were none. */
  readonly keptAside: string | undefined;
};

/**
 * Puts a backup into a data folder. All of it is verified and copied before anything that is there
 * is touched; former files are moved into a folder beside them.
 */
export async function restoreBackup(
  folder: string,
  dataDir: string,
  options: { readonly replaces: boolean; readonly nowMs: number },
): Promise<Restored> {
  const manifest = await verifyBackup(folder);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const locks = manifest.files.map(({ name }) => takeLock(join(dataDir, name)));
  try {
    const former = await entriesOf(dataDir);
    if (former.length > 0 && !options.replaces) {
      throw new BackupError(
        `${dataDir} is not empty (${former.slice(0, 4).join(", ")}); with --replace its files ` +
          "are moved aside first.",
      );
    }
    await checkSpace(
      dataDir,
      manifest.files.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    for (const { name, sha256 } of manifest.files) {
      const path = restoringPath(dataDir, name);
      await copyFile(join(folder, name), path);
      await chmod(path, 0o600);
      await syncPath(path);
      if ((await hashOf(path)) !== sha256) throw new BackupError(`${path} was not copied right.`);
    }
    const keptAside = await moveAside(dataDir, former, options.nowMs);
    for (const { name } of manifest.files) {
      await rename(restoringPath(dataDir, name), join(dataDir, name));
      await ownLike(dataDir, [join(dataDir, name), join(dataDir, `${name}${LOCK_SUFFIX}`)]);
    }
    await syncPath(dataDir);
    return { manifest, keptAside };
  } catch (error) {
    for (const { name } of manifest.files) await rm(restoringPath(dataDir, name), { force: true });
    throw error;
  } finally {
    for (const lock of locks) lock.close();
  }
}

/** What root makes for a server that runs as somebody else is that one's: the folder's owner. */
export async function ownLike(folder: string, paths: readonly string[]): Promise<void> {
  if (process.getuid?.() !== 0) return;
  const { uid, gid } = await stat(folder);
  for (const path of paths) if (existsSync(path)) await chown(path, uid, gid);
}

function restoringPath(dataDir: string, name: string): string {
  return join(dataDir, `${name}${RESTORING_SUFFIX}`);
}

const RESTORING_SUFFIX = ".restoring";
const ASIDE_PREFIX = "before-restore-";

/** What a server would find in it. */
async function entriesOf(dataDir: string): Promise<string[]> {
  const entries = await readdir(dataDir);
  return entries.filter((name) => {
    const isOurs = name === BACKUPS_NAME || name.startsWith(ASIDE_PREFIX);
    const isLock = name.endsWith(LOCK_SUFFIX) || name.endsWith(`${LOCK_SUFFIX}-journal`);
    return !isOurs && !isLock && !name.endsWith(RESTORING_SUFFIX);
  });
}

async function moveAside(
  dataDir: string,
  former: readonly string[],
  nowMs: number,
): Promise<string | undefined> {
  if (former.length === 0) return undefined;
  const aside = backupName(nowMs, (name) => existsSync(join(dataDir, `${ASIDE_PREFIX}${name}`)));
  const path = join(dataDir, `${ASIDE_PREFIX}${aside}`);
  await mkdir(path, { mode: 0o700 });
  for (const name of former) await rename(join(dataDir, name), join(path, name));
  return path;
}

function takeLock(path: string): DatabaseSync {
  try {
    return lockOf(path);
  } catch (error) {
    if (!isTaken(error)) throw error;
    throw new BackupError(`${path} is in use by a running server; stop that one first.`);
  }
}

function checkTables(path: string): void {
  let verdict: unknown;
  try {
    const database = openImmutable(path);
    try {
      verdict = database.prepare("PRAGMA integrity_check(1)").get()?.["integrity_check"];
    } finally {
      database.close();
    }
  } catch (error) {
    verdict = (error as Error).message;
  }
  if (verdict !== "ok") throw new BackupError(`${path} is damaged: ${String(verdict)}.`);
}
