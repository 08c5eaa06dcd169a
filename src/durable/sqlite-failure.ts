/** Errors of SQLite, as far as somebody can do something about them. */
import { WriteFailure } from "./durable-store.ts";

/** Result codes of sqlite3.h. */
const SQLITE_FULL = 13;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_NOMEM = 7;
const SQLITE_CANTOPEN = 14;
/** Somebody else's program has the file for a while. */
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_PROTOCOL = 15;

/** What can be done about an error of SQLite; another error is given back as it is. */
export function failureOf(error: unknown): unknown {
  const { errcode, message } = error as Error & { errcode?: number };
  switch ((errcode ?? 0) & 0xff) {
    case SQLITE_FULL:
      return new WriteFailure("full", message);
    case SQLITE_READONLY:
      return new WriteFailure("readOnly", message);
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_CANTOPEN:
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return new WriteFailure("failed", message);
    default:
      return error;
  }
}
