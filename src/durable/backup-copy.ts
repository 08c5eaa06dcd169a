/**
 * A copy of a data folder's files as they are at one instant, made while they are written to.
 *
 *   open     a connection to each file that only reads
 *   pin      a read transaction on each, while nobody commits: from here on each connection sees
 *            its file as it is now, whatever is committed after (WAL), and all of them belong
 *            together
 *   copy     page by page with SQLite's backup, which reads through that transaction
 *   finish   synced to the disk, hashed, read through; then the manifest, then the folder's name
 *
 * Commits are held up for the pin alone, which takes about a millisecond however large the files
 * are. What it costs beside the reading: until the copy is done the WAL of a file is not begun
 * anew, so it grows by what is committed meanwhile.
 */
import { existsSync } from "node:fs";
import { chmod, mkdir, open, rename, rm, stat, statfs } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { BACKUP_SPARE_BYTES } from "#model/limits.ts";
import {
  BackupError,
  type BackupFile,
  hashOf,
  type Manifest,
  MANIFEST_FORMAT,
  MANIFEST_VERSION,
  writeManifest,
} from "./backup-manifest.ts";
import { scanStore } from "./store-scan.ts";

/** Of a folder that is being written; it is no backup. */
export const PARTIAL_SUFFIX = ".partial";
/** The file that tenants' states are in; the others are tables of what people decided. */
export const STATE_FILE = "state.db";
/** Pages of one step of the copy. */
const STEP_PAGES = 32;

type Source = { readonly name: string; readonly database: DatabaseSync };

export class BackupCopy {
  readonly #sources: readonly Source[];
  #asOfMs = 0;
  /** When the pin was begun, for how long commits were held. */
  pauseMs = 0;

  private constructor(sources: readonly Source[]) {
    this.#sources = sources;
  }

  /** Throws a BackupError, if there is nothing to copy. */
  static open(paths: readonly string[]): BackupCopy {
    const found = paths.filter((path) => existsSync(path));
    if (found.length === 0) {
      throw new BackupError(`There is nothing to back up: ${paths.join(", ")} do not exist.`);
    }
    const sources = found.map((path) => {
      const database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
      // The first read opens the WAL, which may take a while: not in the pin.
      database.prepare("SELECT count(*) FROM sqlite_schema").get();
      return { name: basename(path), database };
    });
    return new BackupCopy(sources);
  }

  /** Of all files as they are now. */
  get bytes(): number {
    return this.#sources.reduce((sum, { database }) => {
      return sum + numberOf(database, "PRAGMA page_count") * numberOf(database, "PRAGMA page_size");
    }, 0);
  }

  /** The instant that the backup is of. Nobody may commit between its begin and its end. */
  pin(nowMs: number): void {
    this.#asOfMs = nowMs;
    for (const { database } of this.#sources) {
      database.exec("BEGIN");
      database.prepare("SELECT count(*) FROM sqlite_schema").get();
    }
  }

  /**
   * Writes the backup to `folder`, which must not exist, and lets go of the files. Throws: there is
   * no such folder.
   */
  async copyTo(
    folder: string,
    product: string,
    onBytes?: (bytes: number) => void,
  ): Promise<Manifest> {
    if (existsSync(folder)) throw new BackupError(`${folder} exists already; name another folder.`);
    const partial = `${folder}${PARTIAL_SUFFIX}`;
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial, { recursive: true, mode: 0o700 });
    try {
      const files: BackupFile[] = [];
      let done = 0;
      for (const { name, database } of this.#sources) {
        const pageBytes = numberOf(database, "PRAGMA page_size");
        const path = join(partial, name);
        const progress = (step: { totalPages: number; remainingPages: number }): void => {
          onBytes?.(done + (step.totalPages - step.remainingPages) * pageBytes);
        };
        await backup(database, path, { rate: STEP_PAGES, progress });
        await chmod(path, 0o600);
        await syncPath(path);
        const { size: bytes } = await stat(path);
        const tablesVersion = numberOf(database, "PRAGMA user_version");
        files.push({ name, bytes, sha256: await hashOf(path), tablesVersion });
        done += bytes;
        onBytes?.(done);
      }
      const manifest = this.#manifestOf(files, partial, product);
      await writeManifest(partial, manifest);
      await syncPath(partial);
      await rename(partial, folder);
      await syncPath(dirname(folder));
      return manifest;
    } catch (error) {
      await rm(partial, { recursive: true, force: true }).catch(() => undefined);
      throw error;
    } finally {
      this.close();
    }
  }

  close(): void {
    for (const { database } of this.#sources) if (database.isOpen) database.close();
  }

  /** Of what was written, read once more: not of what was to be written. */
  #manifestOf(files: readonly BackupFile[], partial: string, product: string): Manifest {
    const hasState = files.some(({ name }) => name === STATE_FILE);
    return {
      format: MANIFEST_FORMAT,
      version: MANIFEST_VERSION,
      product,
      asOfMs: this.#asOfMs,
      finishedMs: Date.now(),
      pauseMs: this.pauseMs,
      files,
      contents: hasState ? contentsOf(join(partial, STATE_FILE)) : undefined,
    };
  }
}

/** Of a file that nobody writes to, as it lies there; nothing is written beside it. */
export function openImmutable(path: string): DatabaseSync {
  const url = pathToFileURL(path);
  url.searchParams.set("immutable", "1");
  return new DatabaseSync(url, { readOnly: true });
}

export function contentsOf(path: string): Manifest["contents"] {
  const database = openImmutable(path);
  try {
    const { streams, tenantCount, snapshotCount, blockCount, components, damaged } =
      scanStore(database);
    return { streams, tenantCount, snapshotCount, blockCount, components, damaged };
  } finally {
    database.close();
  }
}

/** Throws a BackupError with the numbers, if so many bytes are not to be had beside `folder`. */
export async function checkSpace(folder: string, bytes: number): Promise<void> {
  const existing = nearestExisting(folder);
  const { bavail, bsize } = await statfs(existing);
  const free = bavail * bsize;
  const needed = bytes + BACKUP_SPARE_BYTES;
  if (free >= needed) return;
  throw new BackupError(
    `A backup needs ${mebibytes(bytes)} MiB and leaves ${mebibytes(BACKUP_SPARE_BYTES)} MiB ` +
      `free, but the disk of ${existing} has ${mebibytes(free)} MiB left.`,
  );
}

export function nearestExisting(path: string): string {
  let at = path;
  while (!existsSync(at) && at !== dirname(at)) at = dirname(at);
  return at;
}

/** Of a file, or of a folder: its names. */
export async function syncPath(path: string): Promise<void> {
  await using file = await open(path, "r");
  await file.sync();
}

function mebibytes(bytes: number): string {
  return Math.ceil(bytes / 2 ** 20).toLocaleString("en-US");
}

function numberOf(database: DatabaseSync, sql: string): number {
  return Number(Object.values(database.prepare(sql).get() ?? {})[0] ?? 0);
}
