/** One SQLite file: opened, checked, brought to the tables of this version. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { isTaken, lockOf } from "#durable/file-lock.ts";
import { makePrivate } from "#durable/private-file.ts";
import { MIGRATIONS } from "./migrations.ts";

/** Kept until the process ends. */
export const IN_MEMORY = ":memory:";

/** Of a column: there are no blobs, and no integers over 2^53. */
type Cell = string | number | null;
export type Value = Cell | undefined;
export type Row = Readonly<Record<string, Cell>>;

/** What a person can do about a store that did not open. */
export class StoreError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "StoreError";
  }
}

const CACHE_KIB = 8 * 1024;
const CACHE_MANY_KIB = 64 * 1024;
/** Of a file that is checked whole when it is opened: about a second. */
const CHECKED_BYTES_MAX = 512 * 1024 * 1024;

export class Database {
  readonly #database: DatabaseSync;
  /** Two processes on one queue would each hand out the same items. */
  readonly #lock: DatabaseSync | undefined;
  readonly #statements = new Map<string, StatementSync>();

  /** Throws a StoreError. */
  constructor(path: string) {
    this.#lock = path === IN_MEMORY ? undefined : takeLock(path);
    try {
      this.#database = open(path);
    } catch (error) {
      this.#lock?.close();
      throw error;
    }
    try {
      this.#prepareFile(path);
      this.#migrate(path);
    } catch (error) {
      this.close();
      throw explained(error, path);
    }
  }

  run(sql: string, ...values: readonly Value[]): number {
    return Number(this.#statement(sql).run(...bound(values)).changes);
  }

  get(sql: string, ...values: readonly Value[]): Row | undefined {
    return this.#statement(sql).get(...bound(values)) as Row | undefined;
  }

  all(sql: string, ...values: readonly Value[]): Row[] {
    return this.#statement(sql).all(...bound(values)) as Row[];
  }

  /** For statements that are run once, or have no values. */
  execute(sql: string): void {
    this.#database.exec(sql);
  }

  /** Brings all to the file itself and empties the log; between transactions. */
  checkpoint(): void {
    this.#database.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  }

  /** In memory: many for a while, where all indexes are written to at many places. */
  holdPages(how: "few" | "many"): void {
    this.#database.exec(`PRAGMA cache_size = -${how === "few" ? CACHE_KIB : CACHE_MANY_KIB}`);
  }

  close(): void {
    this.#database.close();
    this.#lock?.close();
  }

  #statement(sql: string): StatementSync {
    let found = this.#statements.get(sql);
    if (found === undefined) this.#statements.set(sql, (found = this.#database.prepare(sql)));
    return found;
  }

  #prepareFile(path: string): void {
    this.execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    this.execute("PRAGMA temp_store = MEMORY");
    this.holdPages("few");
    // What is deleted is overwritten: it may be deleted because it must be gone.
    this.execute("PRAGMA secure_delete = ON");
    // Whether it can be written to at all is known with the first transaction that does.
    this.execute("BEGIN IMMEDIATE; COMMIT");
    const { page_count: pageCount } = this.get("PRAGMA page_count") ?? {};
    const { page_size: pageBytes } = this.get("PRAGMA page_size") ?? {};
    // All of it is read for this; what is wrong with a larger file is told where it is met.
    if (path === IN_MEMORY || Number(pageCount) * Number(pageBytes) > CHECKED_BYTES_MAX) return;
    const { quick_check: verdict } = this.get("PRAGMA quick_check(1)") ?? {};
    if (verdict !== "ok") throw new StoreError(damaged(path, String(verdict)));
  }

  #migrate(path: string): void {
    const version = Number(this.get("PRAGMA user_version")?.["user_version"] ?? 0);
    if (version > MIGRATIONS.length) {
      throw new StoreError(
        `${path} was written by a newer NexusCore (its tables are of version ${version}, ` +
          `this one knows ${MIGRATIONS.length}); use that one, or another --data-dir.`,
      );
    }
    for (let step = version; step < MIGRATIONS.length; step++) {
      this.execute(`BEGIN; ${MIGRATIONS[step]!}; PRAGMA user_version = ${step + 1}; COMMIT`);
    }
  }
}

/** Whether a later version wrote it: nothing of it may be left out, and nothing written. */
export function isNewer(path: string): boolean {
  if (path === IN_MEMORY || !existsSync(path)) return false;
  try {
    const database = new DatabaseSync(path, { readOnly: true });
    try {
      const row = database.prepare("PRAGMA user_version").get();
      return Number(row?.["user_version"] ?? 0) > MIGRATIONS.length;
    } finally {
      database.close();
    }
  } catch {
    return false;
  }
}

function open(path: string): DatabaseSync {
  try {
    if (path !== IN_MEMORY) makePrivate(path);
    return new DatabaseSync(path, { timeout: 0 });
  } catch (error) {
    throw explained(error, path);
  }
}

/** Not on the file itself, so that backups and tools can read it meanwhile. */
function takeLock(path: string): DatabaseSync {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    return lockOf(path);
  } catch (error) {
    if (isTaken(error)) throw taken(path);
    throw explained(error, path);
  }
}

function taken(path: string): StoreError {
  return new StoreError(
    `${path} is in use by another process; stop that one, or use another --data-dir.`,
  );
}

function explained(error: unknown, path: string): Error {
  if (error instanceof StoreError) return error;
  const { message, errcode = 0, code = "" } = error as Error & { errcode?: number; code?: string };
  switch (errcode & 0xff) {
    case SQLITE.busy:
      return taken(path);
    case SQLITE.corrupt:
    case SQLITE.notADatabase:
      return new StoreError(damaged(path, message));
    case SQLITE.full:
      return new StoreError(`There is no room on the disk of ${path}; free some, and restart.`);
    case SQLITE.cannotOpen:
    case SQLITE.readOnly:
      return new StoreError(unwritable(path, message));
    default:
      if (code.startsWith("E")) return new StoreError(unwritable(path, message));
      return new StoreError(`${path} cannot be used: ${message}`);
  }
}

/** Result codes of sqlite3.h. */
const SQLITE = { busy: 5, readOnly: 8, corrupt: 11, full: 13, cannotOpen: 14, notADatabase: 26 };

function damaged(path: string, what: string): string {
  return (
    `${path} is damaged (${what}). Nothing was changed. Put a copy back; or move it away with ` +
    "its -wal file to begin with an empty one, and save what can be read with " +
    `sqlite3 ${path} .recover`
  );
}

function unwritable(path: string, what: string): string {
  return `${path} cannot be written (${what}); make it writable, or use another --data-dir.`;
}

function bound(values: readonly Value[]): SQLInputValue[] {
  return values.map((value) => value ?? null);
}

/** Of a column that may be null. */
export function textOf(value: Value): string | undefined {
  return typeof value === "string" ? value : undefined;
}

export function numberOf(value: Value): number | undefined {
  return value === null || value === undefined ? undefined : Number(value);
}

export function jsonOf<Shape>(value: Value): Shape {
  return JSON.parse(String(value)) as Shape;
}
