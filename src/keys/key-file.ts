/**
 * The file of the keys: one small SQLite file beside the store, of a process of its own. It is read
 * whole before the server listens; requests never wait for it. A change of a key is on the disk
 * before it is answered.
 *
 * A server whose keys cannot be read does not start: without them it would be open.
 */
import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { isTaken, lockOf } from "#durable/file-lock.ts";
import { KEY_TABLES, KeyTable } from "./key-table.ts";

/** Kept until the process ends. */
const IN_MEMORY = ":memory:";
const TABLES_VERSION = 1;
/** Result codes of sqlite3.h. */
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
  /** One process changes keys: those that another made would not be known to it. */
  readonly #lock: DatabaseSync | undefined;

  /** Throws a KeyFileError. */
  constructor(path: string) {
    this.path = path;
    try {
      if (path !== IN_MEMORY) mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      this.#lock = path === IN_MEMORY ? undefined : lockOf(path);
      this.#database = open(path);
    } catch (error) {
      this.#lock?.close();
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

  close(): void {
    this.#database.close();
    this.#lock?.close();
  }
}

function open(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    database.exec("PRAGMA secure_delete = ON; BEGIN IMMEDIATE; COMMIT");
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
  if (isTaken(error)) {
    const way = "stop that one, or use another --data-dir";
    return new KeyFileError(`${dirname(path)} is in use by another process; ${way}.`, true);
  }
  const damaged = code === CORRUPT || code === NO_DATABASE;
  const way = damaged ? "put a copy of it back" : "make it readable and writable";
  return new KeyFileError(
    `The keys in ${path} cannot be read (${message}); ${way}, or use another --data-dir. Without ` +
      "them the server would be open, so it does not start.",
  );
}
