/**
 * The file of the keys: one small SQLite file beside the store, of a process of its own. It is read
 * whole before the server listens; requests never wait for it. A change of a key is on the disk
 * before it is answered.
 *
 * A server whose keys cannot be read does not start: without them it would be open.
 */
import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { KEY_TABLES, KeyTable } from "./key-table.ts";

/** Kept until the process ends. */
const IN_MEMORY = ":memory:";
const TABLES_VERSION = 1;
/** Result codes of sqlite3.h. */
const BUSY = 5;
const CORRUPT = 11;
const NO_DATABASE = 26;

/** What a person can do about keys that cannot be read. */
export class KeyFileError extends Error {
  /** Another process has it. */
  readonly isInUse: boolean;

  constructor(message: string, isInUse = false) {
    super(message);
    this.name = "KeyFileError";
    this.isInUse = isInUse;
  }
}

export class KeyFile {
  readonly path: string;
  readonly table: KeyTable;
  readonly #database: DatabaseSync;

  /** Throws a KeyFileError. */
  constructor(path: string) {
    this.path = path;
    try {
      this.#database = open(path);
    } catch (error) {
      throw explained(error, path);
    }
    this.table = new KeyTable(this.#database);
  }

  /** All of it, or nothing. */
  transaction<Result>(action: () => Result): Result {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      const result = action();
      this.#database.exec("COMMIT");
      return result;
    } catch (error) {
      this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /** Written without waiting for the disk: losing it costs nothing. */
  writeUsedDays(days: ReadonlyMap<string, number>): void {
    if (days.size === 0) return;
    this.#database.exec("PRAGMA synchronous = NORMAL");
    try {
      this.transaction(() => this.table.setUsedDays(days));
    } finally {
      this.#database.exec("PRAGMA synchronous = FULL");
    }
  }

  /** A copy of it as it is now, while it is in use. It holds hashes, and no secret. */
  async backup(path: string): Promise<void> {
    await backup(this.#database, path);
    chmodSync(path, 0o600);
  }

  close(): void {
    this.#database.close();
  }
}

function open(path: string): DatabaseSync {
  if (path !== IN_MEMORY) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // Exclusive: a key that another process made would not be known to this one.
    database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL");
    database.exec("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON");
    database.exec("BEGIN IMMEDIATE; COMMIT");
    if (path !== IN_MEMORY) chmodSync(path, 0o600);
    migrate(database, path);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function migrate(database: DatabaseSync, path: string): void {
  const version = Number(database.prepare("PRAGMA user_version").get()?.["user_version"] ?? 0);
  if (version > TABLES_VERSION) {
    throw new KeyFileError(
      `${path} was written by a newer NexusCore (its tables are of version ${version}, this one ` +
        `knows ${TABLES_VERSION}); use that one, or another --data-dir.`,
    );
  }
  if (version === TABLES_VERSION) return;
  database.exec(`BEGIN; ${KEY_TABLES}; PRAGMA user_version = ${TABLES_VERSION}; COMMIT`);
}

function explained(error: unknown, path: string): KeyFileError {
  if (error instanceof KeyFileError) return error;
  const { message, errcode = 0 } = error as Error & { errcode?: number };
  const code = errcode & 0xff;
  if (code === BUSY) {
    const way = "stop that one, or use another --data-dir";
    return new KeyFileError(`${path} is in use by another process; ${way}.`, true);
  }
  const damaged = code === CORRUPT || code === NO_DATABASE;
  const way = damaged ? "put a copy of it back" : "make it readable and writable";
  return new KeyFileError(
    `The keys in ${path} cannot be read (${message}); ${way}, or use another --data-dir. Without ` +
      "them the server would be open, so it does not start.",
  );
}
