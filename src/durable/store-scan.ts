/**
 * Reads all of a store that is not written to meanwhile, or as it was at one instant: whether each
 * snapshot and each block is what was written, and how much there is of everything. For backups,
 * and for whoever wants to know what a data folder holds.
 */
import type { DatabaseSync } from "node:sqlite";
import type { BackupContents, BackupStream } from "./backup-manifest.ts";
import { DamagedRecord } from "./durable-store.ts";
import { openSnapshot } from "./snapshot.ts";
import { BlockReader, HOST_WORLD, NAME_ENTRY } from "./turn-log.ts";

/** Named at most; all of them are counted. */
const NAMED_MAX = 100;
/** As the keys of sqlite-store.ts are made: id * 16 + world * 2 + generation. */
const AT_TENANT = 16;

export type StoreScan = BackupContents & {
  readonly snapshotBytes: number;
  readonly logBytes: number;
  readonly componentBytes: number;
  readonly entryCount: number;
  readonly damagedCount: number;
};

export function scanStore(database: DatabaseSync): StoreScan {
  const names = new Map<number, string>();
  for (const { id, name } of database.prepare("SELECT id, name FROM tenants").iterate()) {
    names.set(Number(id), String(name));
  }
  const damaged: string[] = [];
  const snapshots = scanSnapshots(database, names, damaged);
  // Tenants without a snapshot are in the log alone.
  const tenants = new Set(names.values());
  const log = scanLog(database, damaged, tenants);
  const kept = database
    .prepare("SELECT digest, length(bytes) AS n FROM components ORDER BY digest")
    .all();
  return {
    ...log,
    ...snapshots,
    tenantCount: tenants.size,
    components: kept.map((row) => Buffer.from(row["digest"] as Uint8Array).toString("hex")),
    componentBytes: kept.reduce((sum, row) => sum + Number(row["n"]), 0),
    damaged: damaged.slice(0, NAMED_MAX),
    damagedCount: damaged.length,
  };
}

function scanSnapshots(
  database: DatabaseSync,
  names: ReadonlyMap<number, string>,
  damaged: string[],
): { snapshotCount: number; snapshotBytes: number } {
  let snapshotCount = 0;
  let snapshotBytes = 0;
  const rows = database.prepare("SELECT at, stream, number, bytes FROM snapshots ORDER BY at");
  for (const { at, stream, number, bytes } of rows.iterate()) {
    const tenant = names.get(Math.floor(Number(at) / AT_TENANT));
    const world = Math.floor((Number(at) % AT_TENANT) / 2);
    snapshotCount += 1;
    snapshotBytes += (bytes as Uint8Array).length;
    const name = `a snapshot of ${tenant ?? "nobody"} (world ${world})`;
    const reason = reasonOf(() => {
      const snapshot = openSnapshot(bytes as Uint8Array, name);
      const isItsOwn = snapshot.stream === stream && snapshot.number === number;
      if (!isItsOwn || tenant === undefined) throw new DamagedRecord(`${name} is another's`);
    });
    if (reason !== undefined) damaged.push(`${name}: ${reason}`);
  }
  return { snapshotCount, snapshotBytes };
}

function scanLog(
  database: DatabaseSync,
  damaged: string[],
  tenants: Set<string>,
): Pick<StoreScan, "streams" | "blockCount" | "logBytes" | "entryCount"> {
  const streams: BackupStream[] = [];
  const reader = new BlockReader();
  let blockCount = 0;
  let logBytes = 0;
  let entryCount = 0;
  const blocks = database.prepare("SELECT number, bytes FROM log WHERE stream = ? ORDER BY number");
  for (const row of database.prepare("SELECT * FROM streams ORDER BY stream").all()) {
    const [stream, trimmed] = [Number(row["stream"]), Number(row["trimmed"])];
    let last = trimmed;
    for (const { number: at, bytes } of blocks.iterate(stream)) {
      const number = Number(at);
      blockCount += 1;
      logBytes += (bytes as Uint8Array).length;
      if (number !== last + 1) damaged.push(`block ${last + 1} of stream ${stream} is missing`);
      last = number;
      const reason = reasonOf(() => {
        reader.open({ stream, number, bytes: bytes as Uint8Array });
        while (reader.next()) {
          entryCount += 1;
          if (reader.world === HOST_WORLD && reader.kind === NAME_ENTRY)
            tenants.add(nameOf(reader));
        }
      });
      if (reason !== undefined) damaged.push(reason);
    }
    streams.push({ stream, run: Number(row["run"]), shard: Number(row["shard"]), trimmed, last });
  }
  return { streams, blockCount, logBytes, entryCount };
}

function nameOf({ bytes, bodyOffset, bodyBytes }: BlockReader): string {
  return bytes.toString("latin1", bodyOffset + 8, bodyOffset + bodyBytes);
}

function reasonOf(read: () => void): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof DamagedRecord) return error.message;
    throw error;
  }
}
