/** Errors of SQLite, as far as somebody can do something about them. */
import { WriteFailure } from "./durable-store.ts";

/** Result codes of sqlite3.h. */
const SQLITE_FULL = 13;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;

/** What can be done about an error of SQLite; another error is given back as it is. */
export function failureOf(error: unknown): unknown {
  const { errcode, message } = error as Error & { errcode?: number };
  switch ((errcode ?? 0) & 0xff) {
    case SQLITE_FULL:
      return new WriteFailure("full", message);
    case SQLITE_READONLY:
      return new WriteFailure("readOnly", message);
    case SQLITE_IOERR:
      return new WriteFailure("failed", message);
    default:
      return error;
  }
}
