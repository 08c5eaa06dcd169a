/**
 * What a start reads from the disk: blocks of turns, snapshots, rows of state.db. Damage of any
 * kind is told, and is never taken for a turn or an image; what follows it is read.
 */
import { DamagedRecord, type LogBlock, type StoredSnapshot } from "#durable/durable-store.ts";
import { recover } from "#durable/recovery.ts";
import { openSnapshot, sealSnapshot, snapshotBytes } from "#durable/snapshot.ts";
import { SqliteStore } from "#durable/sqlite-store.ts";
import { BLOCK_HEADER_BYTES, BlockReader, TurnLog } from "#durable/turn-log.ts";
import { Random } from "#std/random.ts";
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { crc32 } from "node:zlib";
import type { FuzzSubject, FuzzTarget } from "./target.ts";

const STREAM = 3;
const DIGEST = Buffer.alloc(32, 9);

/** First byte, if odd: the checksum is made right again, as of a writer with a bug. */
export const logBlocks: FuzzTarget = {
  sentence: "blocks of the log, damaged, and with a checksum that is right all the same",
  caseCount: 3_000,
  open: (): FuzzSubject => {
    const reader = new BlockReader();
    const whole = blockOf(1).bytes;
    return {
      seeds: [0, 1].flatMap((resealed) =>
        [whole, blockOf(5).bytes, blockOf(200).bytes].map((bytes) =>
          Buffer.concat([Buffer.from([resealed]), bytes]),
        ),
      ),
      dictionary: ["NXL1", Buffer.alloc(8), Buffer.from([0xff, 0xff, 0xff, 0xff])],
      check: (input) => {
        const bytes = input.slice(1);
        const isResealed = (input[0] ?? 0) % 2 === 1 && bytes.length >= 8;
        if (isResealed) reseal(bytes);
        let entries = 0;
        try {
          reader.open({ stream: STREAM, number: 1, bytes });
          while (reader.next()) {
            entries += 1;
            const { bodyOffset, bodyBytes } = reader;
            assert(bodyOffset + bodyBytes <= bytes.length, "a body lies within its block");
            assert(entries <= bytes.length, "a block has an end");
          }
        } catch (error) {
          requireDamage(error);
          return `damaged: ${reasonOf(error)}`;
        }
        const isWritten = [1, 5, 200].some((count) => blockOf(count).bytes.equals(bytes));
        assert(isResealed || isWritten, "what was changed is not read as if it was not");
        return `read ${Math.min(entries, 3)}`;
      },
    };
  },
};

function blockOf(count: number): { readonly bytes: Buffer } & LogBlock {
  const log = new TurnLog(STREAM);
  log.appendName(0, "acme", 0, 0);
  const random = new Random(count);
  for (let entry = 1; entry < count; entry++) {
    const body = Buffer.alloc(random.below(64), entry);
    log.append(1, 1 + random.below(3), 0, entry, 2, body, 0, body.length);
    log.publish();
  }
  const { stream, number, bytes } = log.seal(5)!;
  return { stream, number, bytes: Buffer.from(bytes) };
}

function reseal(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  view.setUint32(4, crc32(bytes.subarray(8)), true);
}

/** Anything else is a bug: it says where. */
function requireDamage(error: unknown): asserts error is DamagedRecord {
  if (!(error instanceof DamagedRecord)) throw error;
}

function reasonOf({ message }: Error): string {
  return message.replaceAll(/\d+/g, "#").slice(0, 60);
}

export const snapshots: FuzzTarget = {
  sentence: "snapshots, damaged, and with a checksum that is right all the same",
  caseCount: 3_000,
  open: (): FuzzSubject => {
    const wholes = [0, 1, 500].map((imageBytes) => snapshotOf(7, imageBytes));
    return {
      seeds: [0, 1].flatMap((resealed) =>
        wholes.map((bytes) => Buffer.concat([Buffer.from([resealed]), bytes])),
      ),
      dictionary: ["NXI1", DIGEST, Buffer.from([0xff, 0xff, 0xff, 0xff])],
      check: (input) => {
        const bytes = input.slice(1);
        const isResealed = (input[0] ?? 0) % 2 === 1 && bytes.length >= 8;
        if (isResealed) reseal(bytes);
        try {
          const { image, ledger, component } = openSnapshot(bytes, "acme");
          assert.equal(component.length, 32);
          assert(image.length + ledger.byteLength <= bytes.length);
        } catch (error) {
          requireDamage(error);
          return `damaged: ${reasonOf(error)}`;
        }
        const isWritten = wholes.some((whole) => whole.equals(bytes));
        assert(isResealed || isWritten, "what was changed is not read as if it was not");
        return "read";
      },
    };
  },
};

function snapshotOf(number: number, imageBytes: number): Buffer {
  const image = Buffer.alloc(imageBytes, 6);
  const ledger = Float64Array.of(1, 2, 3);
  const bytes = Buffer.alloc(snapshotBytes(ledger.length, imageBytes));
  const more = { component: DIGEST, flags: 5, strikes: 1, ledger, image };
  sealSnapshot({ stream: STREAM, number, ...more }, bytes);
  return bytes;
}

/** Cells that are changed: in turn u8 of the table and column, u16 row, u8 kind of value, bytes. */
const CELLS = [
  ["log", "bytes"],
  ["log", "number"],
  ["log", "stream"],
  ["snapshots", "bytes"],
  ["snapshots", "number"],
  ["snapshots", "stream"],
  ["snapshots", "at"],
  ["tenants", "name"],
  ["tenants", "id"],
  ["streams", "trimmed"],
  ["streams", "shard"],
  ["streams", "run"],
] as const;

/** A start reads all of it, or says what is damaged; it never fails in any other way. */
export const stateRows: FuzzTarget = {
  sentence: "rows of state.db, whatever somebody wrote into them, through a start's recovery",
  caseCount: 60,
  open: (): FuzzSubject => {
    const folder = mkdtempSync(join(tmpdir(), "nexuscore-fuzz-"));
    const path = join(folder, "state.db");
    writeStore(path);
    const database = new DatabaseSync(path);
    const tables = ["log", "snapshots", "tenants", "streams"];
    const kept = new Map(tables.map((table) => [table, rowsOf(database, table)]));
    return {
      seeds: CELLS.flatMap((_, cell) =>
        [0, 1, 2, 3].map((kind) => Buffer.from([cell, kind, 0, kind, 1, 2, 3, 4, 5, 6, 7, 8])),
      ),
      dictionary: ["NXL1", "NXI1", Buffer.from([0, 0, 0, 0])],
      check: (input) => {
        restoreRows(database, kept);
        const changed = changeCell(database, input);
        return `${changed} ${readStore(path)}`;
      },
      close: () => {
        database.close();
        rmSync(folder, { recursive: true });
      },
    };
  },
};

function writeStore(path: string): void {
  const store = new SqliteStore(path);
  const [stream = 0] = store.beginRun(1);
  const log = new TurnLog(stream);
  for (let block = 1; block <= 6; block++) {
    log.appendName(0, "acme", 0, 0);
    log.appendName(1, "bolt", stream, 2);
    log.append(1, 1, block % 2, 0, 0, Buffer.from("a turn"), 0, 6);
    log.publish();
    const { bytes, number } = log.seal(block)!;
    const blocks = [{ stream, number, bytes: bytes.slice() }];
    const bolt = { tenant: "bolt", world: 1, bytes: snapshotIn(stream, number) };
    const taken = block % 2 === 0 ? [bolt] : [];
    store.commitNow({ blocks, snapshots: taken, trims: [], forgotten: [] });
  }
  store.close();
}

function snapshotIn(stream: number, number: number): Uint8Array {
  const bytes = new Uint8Array(snapshotBytes(1, 40));
  const ledger = Float64Array.of(number);
  const more = { component: DIGEST, flags: 0, strikes: 0, ledger, image: Buffer.alloc(40, number) };
  sealSnapshot({ stream, number, ...more }, bytes);
  return bytes;
}

type Row = Readonly<Record<string, null | number | bigint | string | Uint8Array>>;

function rowsOf(database: DatabaseSync, table: string): Row[] {
  return database.prepare(`SELECT * FROM ${table}`).all() as Row[];
}

function restoreRows(database: DatabaseSync, kept: ReadonlyMap<string, readonly Row[]>): void {
  database.exec("BEGIN");
  for (const [table, rows] of kept) {
    database.exec(`DELETE FROM ${table}`);
    for (const row of rows) {
      const names = Object.keys(row);
      const places = names.map(() => "?").join(", ");
      const sql = `INSERT INTO ${table} (${names.join(", ")}) VALUES (${places})`;
      database.prepare(sql).run(...Object.values(row));
    }
  }
  database.exec("COMMIT");
}

/** What was done, in words. A value that the table does not take leaves all as it was. */
function changeCell(database: DatabaseSync, input: Uint8Array): string {
  const bytes = Buffer.concat([input, Buffer.alloc(4)]);
  const [table, column] = CELLS[bytes[0]! % CELLS.length]!;
  const rows = database.prepare(`SELECT rowid AS place, ${column} AS cell FROM ${table}`).all();
  const row = rows[bytes[1]! % Math.max(1, rows.length)] as { place: number; cell: Uint8Array };
  const kind = bytes[3]! % 5;
  const rest = bytes.subarray(4);
  if (row === undefined) return "nothing";
  if (kind === 4) {
    database.prepare(`DELETE FROM ${table} WHERE rowid = ?`).run(row.place);
    return `${table} without a row`;
  }
  const value = valueOf(kind, rest, row.cell);
  try {
    database.prepare(`UPDATE ${table} SET ${column} = ? WHERE rowid = ?`).run(value, row.place);
  } catch {
    return "nothing";
  }
  return `${table}.${column} ${typeof value}`;
}

function valueOf(kind: number, rest: Buffer, cell: unknown): string | number | Uint8Array {
  if (kind === 0) return rest.toString("latin1");
  if (kind === 1) return rest.readInt32LE(0);
  if (kind === 2 || !(cell instanceof Uint8Array)) return Uint8Array.from(rest);
  // The cell with a few bytes of the input in it, and a checksum that is right for them.
  const copy = Uint8Array.from(cell);
  const at = rest.readUInt16LE(0) % Math.max(1, copy.length);
  copy.set(rest.subarray(2, 2 + copy.length - at), at);
  if (rest[2]! % 2 === 0 && copy.length > BLOCK_HEADER_BYTES) reseal(copy);
  return copy;
}

function readStore(path: string): string {
  let store: SqliteStore;
  try {
    store = new SqliteStore(path, "reader");
  } catch (error) {
    requireDamage(error);
    return `not opened: ${reasonOf(error)}`;
  }
  try {
    const streams = store.streams();
    const report = recover({
      store: {
        blocks: (stream, from) => store.blocks(stream, from),
        snapshots: (isOurs): Iterable<StoredSnapshot> => store.snapshots(isOurs),
        olderSnapshot: (tenant, world) => store.olderSnapshot(tenant, world),
      },
      streams,
      worlds: [1, 2],
      isOurs: () => true,
      restore: () => undefined,
      named: () => undefined,
      replay: (_tenant, { bodyOffset, bodyBytes, bytes }) => {
        assert(bodyOffset + bodyBytes <= bytes.length);
        return true;
      },
    });
    const { damaged, gaps, torn } = report;
    return `${damaged.map(({ fate }) => fate).join()} gaps ${gaps.length} torn ${torn.length}`;
  } catch (error) {
    requireDamage(error);
    return `refused: ${reasonOf(error)}`;
  } finally {
    store.close();
  }
}
