/**
 * What a store holds of one tenant: its snapshots, and the turns of the log after them. Reads
 * beside the one that writes, and looks at no text: of a turn it tells kind, bytes and time.
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { StoredSnapshotFacts, StoredTenant, TurnsAfter } from "#model/inspection.ts";
import { INSPECTED_LOG_BYTES_MAX } from "#model/limits.ts";
import { DamagedRecord } from "./durable-store.ts";
import { openSnapshot } from "./snapshot.ts";
import { BlockReader, HOST_WORLD, NAME_ENTRY } from "./turn-log.ts";

export type InspectedStore = {
  readonly path: string;
  readonly tenant: string;
  /** Number of a world -> its name, and of its kinds of turns. */
  readonly worlds: Readonly<Record<number, string>>;
  readonly kinds: Readonly<Record<string, string>>;
};

type Reach = { readonly stream: number; readonly number: number };

/** As the keys of sqlite-store.ts are made: id * 16 + world * 2 + generation. */
const AT_TENANT = 16;
const NOTHING: TurnsAfter = { count: 0, bytes: 0, kinds: {}, isCut: false };

export function inspectStore({ path, tenant, worlds, kinds }: InspectedStore): StoredTenant {
  if (!existsSync(path)) return { isKept: false, snapshots: [], turnsAfter: NOTHING };
  const database = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
  try {
    // One instant for all of it.
    database.exec("BEGIN");
    const reaches = new Map<number, Reach>();
    const snapshots = snapshotsOf(database, tenant, worlds, reaches);
    const turnsAfter = turnsOf(database, tenant, reaches, { worlds, kinds });
    return { isKept: snapshots.length > 0 || turnsAfter.count > 0, snapshots, turnsAfter };
  } finally {
    database.close();
  }
}

function snapshotsOf(
  database: DatabaseSync,
  tenant: string,
  worlds: InspectedStore["worlds"],
  reaches: Map<number, Reach>,
): StoredSnapshotFacts[] {
  const id = database.prepare("SELECT id FROM tenants WHERE name = ?").get(tenant)?.["id"];
  if (id === undefined) return [];
  const from = Number(id) * AT_TENANT;
  const rows = database
    .prepare(
      "SELECT at, stream, number, bytes FROM snapshots WHERE at >= ? AND at < ? " +
        "ORDER BY at / 2, stream DESC, number DESC",
    )
    .all(from, from + AT_TENANT);
  return rows.map((row) => {
    const world = Math.floor((Number(row["at"]) - from) / 2);
    const reach = { stream: Number(row["stream"]), number: Number(row["number"]) };
    const isNewer = !reaches.has(world);
    if (isNewer) reaches.set(world, reach);
    const bytes = row["bytes"] as Uint8Array;
    return {
      world: worlds[world] ?? String(world),
      generation: isNewer ? ("newer" as const) : ("older" as const),
      ...reach,
      bytes: bytes.length,
      asOfMs: timeOf(database, reach),
      ...contentsOf(bytes, tenant),
    };
  });
}

function contentsOf(bytes: Uint8Array, tenant: string): Partial<StoredSnapshotFacts> {
  try {
    const { component, flags, strikes, image } = openSnapshot(bytes, tenant);
    return {
      digest: Buffer.from(component).toString("hex"),
      stateHash: createHash("sha256").update(image).digest("hex"),
      strikeCount: strikes,
      flags,
    };
  } catch (error) {
    if (error instanceof DamagedRecord) return { damage: error.message };
    throw error;
  }
}

/** Of the block that it reaches to, if that is there. */
function timeOf(database: DatabaseSync, { stream, number }: Reach): number | undefined {
  const row = database
    .prepare("SELECT bytes FROM log WHERE stream = ? AND number = ?")
    .get(stream, number);
  if (row === undefined) return undefined;
  const reader = new BlockReader();
  const isRead = opens(reader, { stream, number }, row["bytes"] as Uint8Array);
  return isRead && reader.nowMs > 0 ? reader.nowMs : undefined;
}

function turnsOf(
  database: DatabaseSync,
  tenant: string,
  reaches: ReadonlyMap<number, Reach>,
  { worlds, kinds: names }: Pick<InspectedStore, "worlds" | "kinds">,
): TurnsAfter {
  const reader = new BlockReader();
  const kinds: Record<string, number> = {};
  let [count, bytes, read] = [0, 0, 0];
  let since: Reach | undefined;
  let fromMs: number | undefined;
  let toMs: number | undefined;
  const blocks = database.prepare("SELECT number, bytes FROM log WHERE stream = ? ORDER BY number");
  for (const row of database.prepare("SELECT stream FROM streams ORDER BY stream").all()) {
    const stream = Number(row["stream"]);
    /** The stream's numbers of it: it may have had several. */
    const own = new Set<number>();
    for (const block of blocks.iterate(stream)) {
      const blockBytes = block["bytes"] as Uint8Array;
      read += blockBytes.length;
      if (read > INSPECTED_LOG_BYTES_MAX) {
        return { count, bytes, kinds, since, fromMs, toMs, isCut: true };
      }
      const place = { stream, number: Number(block["number"]) };
      if (!opens(reader, place, blockBytes)) continue;
      while (reader.next()) {
        if (isName(reader)) {
          if (nameOf(reader) === tenant) own.add(reader.tenant);
          else own.delete(reader.tenant);
        } else if (own.has(reader.tenant) && !holds(reaches.get(reader.world), place)) {
          const world = worlds[reader.world] ?? String(reader.world);
          const kind = names[`${reader.world}/${reader.kind}`] ?? `${world}/${reader.kind}`;
          kinds[kind] = (kinds[kind] ?? 0) + 1;
          count += 1;
          since ??= place;
          bytes += reader.bodyBytes;
          if (reader.nowMs > 0) fromMs ??= reader.nowMs;
          if (reader.nowMs > 0) toMs = reader.nowMs;
        }
      }
    }
  }
  return { count, bytes, kinds, since, fromMs, toMs, isCut: false };
}

function isName({ world, kind }: BlockReader): boolean {
  return world === HOST_WORLD && kind === NAME_ENTRY;
}

function nameOf({ bytes, bodyOffset, bodyBytes }: BlockReader): string {
  return bytes.toString("latin1", bodyOffset + 8, bodyOffset + bodyBytes);
}

function holds(reach: Reach | undefined, { stream, number }: Reach): boolean {
  if (reach === undefined) return false;
  return reach.stream > stream || (reach.stream === stream && reach.number >= number);
}

/** False: it is damaged; doctor and `inspect --store` say so. */
function opens(reader: BlockReader, place: Reach, bytes: Uint8Array): boolean {
  try {
    reader.open({ ...place, bytes });
    return true;
  } catch (error) {
    if (error instanceof DamagedRecord) return false;
    throw error;
  }
}
