/**
 * Whether the books of a store are in order, before anybody goes by them. Blocks and snapshots have
 * checksums of their own; which of them there are, and whose they are, is in pages of SQLite, which
 * have none. A bit that is flipped there would give a tenant another one's state, or end the log
 * early without a word.
 *
 * SQLite holds every table against its indexes, which between them cover all columns but those of
 * `streams` and the bytes that have checksums: each name, each number of a block, each key of a
 * snapshot is there twice. What is left is held against the log. It takes about a second for each
 * GiB, most of it reading what a start reads anyway.
 */
import { DatabaseSync } from "node:sqlite";
import { DamagedRecord } from "./durable-store.ts";

/** Result codes of sqlite3.h. */
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;
const MESSAGES_MAX = 3;

/** `made`: by what the tables were made. Throws DamagedRecord, which says what is wrong. */
export function checkStore(database: DatabaseSync, made: readonly string[]): void {
  const rows = database.prepare(`PRAGMA integrity_check(${MESSAGES_MAX})`).all();
  const messages = rows.map((row) => String(row["integrity_check"]));
  if (messages[0] !== "ok") throw new DamagedRecord(messages.join("; "));
  checkTables(database, made);
  checkStreams(database);
}

/** What a failure to open or read a store is, if the file is to blame. */
export function damageOf(error: unknown, path: string): unknown {
  const { errcode, message } = error as { errcode?: number; message?: string };
  const isOfFile =
    errcode !== undefined && [SQLITE_CORRUPT, SQLITE_NOTADB].includes(errcode & 0xff);
  if (!isOfFile && !(error instanceof DamagedRecord)) return error;
  const way = "bring a backup back (nexuscore restore), or move the file away to begin anew";
  return new DamagedRecord(`${path} is damaged: ${message}; ${way}`);
}

/** What tables there are is a text in the file, and stands there once. */
function checkTables(database: DatabaseSync, made: readonly string[]): void {
  const fresh = new DatabaseSync(":memory:");
  for (const step of made) fresh.exec(step);
  const tables = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name";
  const [want, got] = [fresh, database].map((each) => JSON.stringify(each.prepare(tables).all()));
  fresh.close();
  if (got !== want) throw new DamagedRecord("its tables are not those that were made");
}

/** Each stream's blocks follow on what was trimmed of it, and are of a stream that was begun. */
function checkStreams(database: DatabaseSync): void {
  const found = "min(number) AS first, max(number) AS last, count(*) AS count";
  const blocks = database.prepare(`SELECT stream, ${found} FROM log GROUP BY stream`).all();
  const streams = new Map(
    database
      .prepare("SELECT stream, trimmed FROM streams")
      .all()
      .map(({ stream, trimmed }) => [Number(stream), trimmed]),
  );
  for (const { stream, first, last, count } of blocks) {
    const trimmed = streams.get(Number(stream));
    if (trimmed === undefined) throw new DamagedRecord(`nobody began stream ${String(stream)}`);
    if (first !== Number(trimmed) + 1) {
      throw new DamagedRecord(
        `stream ${String(stream)} begins with block ${String(first)}, ` +
          `and what was trimmed of it ends with ${String(trimmed)}`,
      );
    }
    if (Number(last) - Number(first) + 1 !== count) {
      throw new DamagedRecord(`blocks are missing in the middle of stream ${String(stream)}`);
    }
  }
}
