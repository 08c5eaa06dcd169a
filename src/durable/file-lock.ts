/**
 * Who may write to a file: a lock file beside it, held until it is closed or the process is gone.
 * A file of its own, so that the other can be read by those who do not write: by shards that begin,
 * by backups, by tools. The lock is SQLite's, which works wherever its files do.
 */
import { DatabaseSync } from "node:sqlite";

export const LOCK_SUFFIX = ".lock";

/** Throws SQLite's error, `isTaken` of which says whether another process has it. */
export function lockOf(path: string): DatabaseSync {
  const lock = new DatabaseSync(`${path}${LOCK_SUFFIX}`, { timeout: 0 });
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** SQLITE_BUSY of sqlite3.h. */
const BUSY = 5;

export function isTaken(error: unknown): boolean {
  const { errcode = 0 } = error as { errcode?: number };
  return (errcode & 0xff) === BUSY;
}
