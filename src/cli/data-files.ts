/** What is kept where in the data folder, and where its backups are. */
import type { Config } from "#config/options.ts";
import { STATE_FILE } from "#durable/backup-copy.ts";
import { BACKUPS_NAME } from "#durable/backup-folder.ts";
import { IN_MEMORY } from "#review/database.ts";
import { join, resolve } from "node:path";

/** Policies, the review queue. */
const REVIEW_FILE = "moderation.db";
const KEYS_FILE = "keys.db";

export type DataFiles = {
  readonly dataDir: string;
  readonly state: string;
  readonly reviews: string;
  readonly keys: string;
  /** All of them: what a backup holds. */
  readonly all: readonly string[];
  readonly backups: string;
};

/** Undefined: nothing outlives the process. */
export function dataFilesOf({ dataDir, backupDir }: Config): DataFiles | undefined {
  if (dataDir === IN_MEMORY) return undefined;
  const folder = resolve(dataDir);
  const state = join(folder, STATE_FILE);
  const reviews = join(folder, REVIEW_FILE);
  const keys = join(folder, KEYS_FILE);
  const backups = backupDir === "" ? join(folder, BACKUPS_NAME) : resolve(backupDir);
  return { dataDir: folder, state, reviews, keys, all: [state, reviews, keys], backups };
}
