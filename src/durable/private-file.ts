/** What people wrote is for the server's user alone, also in a folder that others may look into. */
import { chmodSync, closeSync, existsSync, openSync } from "node:fs";

const MODE = 0o600;

/**
 * Before SQLite opens it: what it makes beside the file has the file's mode. One that is there is
 * not opened, as closing it would drop the locks that this process may have on it.
 */
export function makePrivate(path: string): void {
  if (!existsSync(path)) {
    closeSync(openSync(path, "wx", MODE));
    return;
  }
  try {
    chmodSync(path, MODE);
  } catch {
    // It is another user's, who decides; whether it can be written to is found out next.
  }
}
