/**
 * Log and snapshots in one SQLite file: WAL, synchronous=FULL. A group is one transaction and one
 * sync of the disk. The lease of all partitions is a lock file beside it: there is one owner.
 *
 *   log        (stream, number) -> block                    one row a block, never one an event
 *   tenants    id -> name
 *   snapshots  at = id * 16 + world * 2 + generation -> snapshot, and how far it reaches: with
 *              an index on that, which a start reads without touching an image
 *   streams    stream -> number of the last block that was trimmed, what it was a stream of
 *
 * Every start is a run with streams of its own, one a shard, however many there were before.
 * Streams of former runs go once each shard of this one had its first trim: then all that was
 * replayed from them is in snapshots.
 *
 * A tenant has two generations of snapshots, written in turn: if the newer cannot be read, the
 * older and the log give the same. So blocks must stay for as long as an older one needs them. That
 * of a tenant which went quiet would need them for ever: before a trim it becomes a copy of the
 * newer one, which is read back and checked on the way. Pages are large, because blocks and images
 * are: with pages of 4 KiB a MiB costs half as much CPU again.
 *
 * Numbers of blocks must follow each other; a gap is refused, for it would be found only when it is
 * too late.
 */
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { BehindSnapshots, type Reach } from "./behind-snapshots.ts";
import { ComponentSweep } from "./component-sweep.ts";
import {
  DamagedRecord,
  type Forgotten,
  type Group,
  type KeptComponent,
  type Log,
  type LogBlock,
  type SnapshotStore,
  type StoredSnapshot,
  type Trim,
  WriteFailure,
} from "./durable-store.ts";
import { lockOf } from "./file-lock.ts";
import { makePrivate } from "./private-file.ts";
import { openSnapshot, reachOf } from "./snapshot.ts";
import { failureOf } from "./sqlite-failure.ts";
import { checkStore, damageOf } from "./store-check.ts";
import { STORE_MIGRATIONS } from "./store-migrations.ts";

const WORLDS = 8;
const PAGE_BYTES = 32 * 1024;
/** Pages of the WAL after which they are brought to the file. */
const CHECKPOINT_PAGES = 1024;
/** Copies of one transaction: whoever waits for the disk waits for them, too. */
const COPIES_MAX = 64;

const PUT_BLOCK = "INSERT INTO log (stream, number, bytes) VALUES (?, ?, ?)";
const PUT_SNAPSHOT =
  "INSERT INTO snapshots VALUES (?, ?, ?, ?) " +
  "ON CONFLICT DO UPDATE SET stream = excluded.stream, number = excluded.number, " +
  "bytes = excluded.bytes";

export type StreamRow = {
  readonly stream: number;
  readonly run: number;
  readonly shard: number;
  readonly trimmed: number;
  /** Of its last block; as `trimmed` if there is none. */
  readonly last: number;
};

export class SqliteStore implements Log, SnapshotStore {
  readonly #database: DatabaseSync;
  readonly #lock: DatabaseSync | undefined;
  readonly #statements = new Map<string, StatementSync>();
  /** Stream -> number of its last block. */
  readonly #lasts = new Map<number, number>();
  readonly #ids = new Map<string, number>();
  /** id * WORLDS + world -> generation of the newest snapshot. */
  readonly #generations = new Map<number, number>();
  /** The same keys, of those whose older one is older. */
  readonly #behind = new BehindSnapshots();
  /** The first stream of this run. */
  #firstStream = 0;
  /** By stream: the newest trim that waits for copies. */
  readonly #wanted = new Map<number, Trim>();
  /** Streams of this run that had no trim yet. */
  readonly #unsettled = new Set<number>();
  /** Tenants that were deleted, and up to where the log has something of them. */
  readonly #forgottenReaches = new Map<string, Reach>();
  /** Of those, whose log is gone: the file is to be cleaned of it. */
  #unclean: string[] = [];
  /** Keys whose newest snapshot cannot be read: they hold up trims until they are replaced. */
  readonly #damaged = new Set<number>();
  readonly #told = new Set<number>();
  #logBytes = 0;
  /** Of the transaction at hand. */
  #trimmedBytes = 0;

  /** Of components that nobody needs. */
  readonly sweep: ComponentSweep;

  /** `reader`: beside the one that writes, to read what is there. */
  constructor(path: string, as: "writer" | "reader" = "writer") {
    if (as === "writer") {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      this.#lock = lockOf(path);
      makePrivate(path);
    }
    this.#database = new DatabaseSync(path, { timeout: 0, readOnly: as === "reader" });
    this.sweep = new ComponentSweep(this.#database);
    try {
      if (as === "writer") {
        this.#prepare();
        checkStore(this.#database, STORE_MIGRATIONS);
      } else {
        // What it reads is of one moment, while another goes on to write.
        this.#database.exec("BEGIN");
      }
      this.#load();
    } catch (error) {
      this.close();
      throw damageOf(error, path);
    }
  }

  /** Bytes of all blocks. */
  get logBytes(): number {
    return this.#logBytes;
  }

  /** Bytes of the file that are in use, about. */
  get usedBytes(): number {
    const used = this.#number("PRAGMA page_count") - this.#number("PRAGMA freelist_count");
    return used * this.#number("PRAGMA page_size");
  }

  /** Whether trims wait for copies: each commit makes some. */
  get isBehind(): boolean {
    return this.#wanted.size > 0;
  }

  /** Streams for the shards of a process that begins. */
  beginRun(shardCount: number): number[] {
    const run = this.#number("SELECT coalesce(max(run), 0) FROM streams") + 1;
    this.#transact(() => {
      for (let shard = 0; shard < shardCount; shard++) {
        this.#run("INSERT INTO streams (run, shard) VALUES (?, ?)", run, shard);
      }
    });
    const begun = this.streams().filter((row) => row.run === run);
    this.#firstStream = begun[0]?.stream ?? 0;
    this.#unsettled.clear();
    for (const { stream } of begun) {
      this.#lasts.set(stream, 0);
      this.#unsettled.add(stream);
    }
    return begun.map(({ stream }) => stream);
  }

  /** The writer of this run died, and another goes on; returns the last block of each stream. */
  resumeRun(streams: readonly number[]): number[] {
    this.#firstStream = Math.min(...streams);
    if (this.streams().length > streams.length)
      for (const each of streams) this.#unsettled.add(each);
    return streams.map((stream) => this.#lasts.get(stream) ?? 0);
  }

  streams(): StreamRow[] {
    const rows = this.#statement("SELECT * FROM streams ORDER BY stream").all();
    return rows.map((row) => ({
      stream: Number(row["stream"]),
      run: Number(row["run"]),
      shard: Number(row["shard"]),
      trimmed: Number(row["trimmed"]),
      last: this.#lasts.get(Number(row["stream"])) ?? 0,
    }));
  }

  async commit(group: Group): Promise<void> {
    this.commitNow(group);
  }

  /** The same, done when it returns. */
  commitNow({ blocks, snapshots, trims, forgotten }: Group): void {
    const lasts = new Map<number, number>();
    for (const { stream, number } of blocks) {
      const last = lasts.get(stream) ?? this.#lasts.get(stream);
      if (last === undefined) throw new Error(`Stream ${stream} was not begun.`);
      if (number !== last + 1) {
        throw new Error(`Block ${number} of stream ${stream} follows ${last}: one is missing.`);
      }
      lasts.set(stream, number);
    }
    const generations = new Map<number, number>();
    const ids = new Map<string, number>();
    const reaches = new Map(forgotten.map(({ tenant, ...reach }) => [tenant, reach]));
    const kept = snapshots.filter(({ tenant, bytes }) => {
      const reach = reaches.get(tenant);
      return reach === undefined || compare(reachOf(bytes), reach) > 0;
    });
    const gone = new Set(forgotten.map(({ tenant }) => this.#ids.get(tenant)));
    this.#transact(() => {
      for (const { stream, number, bytes } of blocks) {
        this.#run(PUT_BLOCK, stream, number, bytes);
      }
      for (const each of forgotten) this.#forget(each);
      for (const snapshot of kept) this.#put(snapshot, ids, generations, gone);
    });
    for (const { tenant, ...reach } of forgotten) this.#forgotten(tenant, reach);
    for (const [stream, last] of lasts) this.#lasts.set(stream, last);
    for (const { bytes } of blocks) this.#logBytes += bytes.length;
    for (const [tenant, id] of ids) this.#ids.set(tenant, id);
    for (const [key, generation] of generations) this.#generations.set(key, generation);
    for (const { tenant, world, bytes } of kept) {
      const key = this.#ids.get(tenant)! * WORLDS + world;
      this.#behind.set(key, reachOf(bytes));
      this.#damaged.delete(key);
      this.#told.delete(key);
    }
    for (const trim of trims) this.#wanted.set(trim.stream, trim);
    if (this.#wanted.size > 0) this.#tryTidy();
  }

  /** The group is on disk whatever becomes of this: it is tried again with the next one. */
  #tryTidy(): void {
    try {
      this.#tidy();
    } catch (error) {
      if (!(error instanceof WriteFailure)) throw error;
    }
  }

  *blocks(stream: number, from: number): Iterable<LogBlock> {
    const rows = this.#statement(
      "SELECT number, bytes FROM log WHERE stream = ? AND number >= ? ORDER BY number",
    );
    let expected = from;
    for (const row of rows.iterate(stream, from)) {
      const number = Number(row["number"]);
      if (number !== expected) {
        throw new DamagedRecord(`block ${expected} of stream ${stream} is missing`);
      }
      expected += 1;
      yield { stream, number, bytes: row["bytes"] as Uint8Array };
    }
  }

  *snapshots(isOurs: (tenant: string) => boolean = () => true): Iterable<StoredSnapshot> {
    const names = new Map([...this.#ids].map(([name, id]) => [id, name]));
    // In the order of the file.
    for (const key of [...this.#generations.keys()].toSorted((a, b) => a - b)) {
      const name = names.get(Math.floor(key / WORLDS))!;
      if (!isOurs(name)) continue;
      const found = this.#snapshot(name, key, this.#generations.get(key)!);
      if (found !== undefined) yield found;
    }
  }

  /** How many `snapshots` gives. */
  snapshotCount(isOurs: (tenant: string) => boolean): number {
    const ours = new Set([...this.#ids].flatMap(([name, id]) => (isOurs(name) ? [id] : [])));
    let count = 0;
    for (const key of this.#generations.keys()) if (ours.has(Math.floor(key / WORLDS))) count += 1;
    return count;
  }

  olderSnapshot(tenant: string, world: number): StoredSnapshot | undefined {
    const key = this.#ids.get(tenant)! * WORLDS + world;
    return this.#snapshot(tenant, key, 1 - this.#generations.get(key)!);
  }

  keepComponent(digest: Uint8Array, bytes: Uint8Array): number {
    this.#transact(() => {
      this.#run(
        "INSERT INTO components (digest, bytes) VALUES (?, ?) ON CONFLICT DO NOTHING",
        digest,
        bytes,
      );
    });
    return this.component(digest)!.number;
  }

  component(digest: Uint8Array | number): KeptComponent | undefined {
    const by = typeof digest === "number" ? "number" : "digest";
    const row = this.#statement(`SELECT * FROM components WHERE ${by} = ?`).get(digest);
    if (row === undefined) return undefined;
    return {
      number: Number(row["number"]),
      digest: row["digest"] as Uint8Array,
      bytes: row["bytes"] as Uint8Array,
    };
  }

  /** Tenants that were deleted, and up to where the log may have something of them. */
  get forgotten(): ReadonlyMap<string, Reach> {
    return this.#forgottenReaches;
  }

  /**
   * Of those, the ones of whom no file has anything any more, each of them told once. Where the
   * disk fails nobody is yet: it is done at another look.
   */
  takeErased(): readonly string[] {
    try {
      return this.#takeErased();
    } catch (error) {
      if (error instanceof WriteFailure) return [];
      throw error;
    }
  }

  #takeErased(): readonly string[] {
    if (this.#forgottenReaches.size === 0 && this.#unclean.length === 0) return [];
    const rows = new Map(this.streams().map((row) => [row.stream, row]));
    const runs = [...rows.values()].map(({ run }) => run);
    const oldest = Math.min(...runs);
    const erased = [...this.#forgottenReaches].flatMap(([tenant, { stream, number }]) => {
      const row = rows.get(stream);
      const isTrimmed = row === undefined || (row.trimmed >= number && row.run === oldest);
      return isTrimmed ? [tenant] : [];
    });
    if (erased.length > 0) {
      this.#transact(() => {
        for (const tenant of erased) this.#run("DELETE FROM forgotten WHERE tenant = ?", tenant);
      });
      for (const tenant of erased) this.#forgottenReaches.delete(tenant);
      this.#unclean.push(...erased);
    }
    // Somebody who reads may hold it up: then it is done at another look.
    if (this.#unclean.length === 0 || !this.checkpoint()) return [];
    return this.#unclean.splice(0);
  }

  /** Whether files are to be cleaned of somebody. */
  get isForgetting(): boolean {
    return this.#forgottenReaches.size > 0 || this.#unclean.length > 0;
  }

  /** Tenants whose newest snapshot was found damaged, each of them told once. */
  takeDamaged(): readonly string[] {
    const keys = [...this.#damaged].filter((key) => !this.#told.has(key));
    if (keys.length === 0) return [];
    for (const key of keys) this.#told.add(key);
    const ids = new Set(keys.map((key) => Math.floor(key / WORLDS)));
    return [...this.#ids].flatMap(([name, id]) => (ids.has(id) ? [name] : []));
  }

  /**
   * Brings all to the file itself and empties the WAL, where deleted bytes would stay for a while.
   */
  checkpoint(): boolean {
    try {
      const row = this.#database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
      return Number(row?.["busy"] ?? 1) === 0;
    } catch (error) {
      throw failureOf(error);
    }
  }

  /** Some of what waits for trims, while nothing comes that would do it. */
  tidy(): void {
    if (this.#wanted.size > 0) this.#tidy();
  }

  /** For tests: no more pages than this, so that the disk is full. */
  limitPages(count: number): void {
    this.#database.exec(`PRAGMA max_page_count = ${count}`);
  }

  close(): void {
    this.#database.close();
    this.#lock?.close();
  }

  #prepare(): void {
    this.#database.exec(`PRAGMA page_size = ${PAGE_BYTES}`);
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    this.#database.exec("PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY");
    this.#database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
    this.#database.exec("BEGIN IMMEDIATE; COMMIT");
    const version = this.#number("PRAGMA user_version");
    if (version > STORE_MIGRATIONS.length) {
      throw new Error(
        `the store is of version ${version}, this server knows ${STORE_MIGRATIONS.length}: ` +
          "run the newer server that wrote it, or bring an older backup back (nexuscore restore)",
      );
    }
    for (let step = version; step < STORE_MIGRATIONS.length; step++) {
      this.#database.exec(
        `BEGIN; ${STORE_MIGRATIONS[step]!}; PRAGMA user_version = ${step + 1}; COMMIT`,
      );
    }
  }

  #load(): void {
    for (const { stream, trimmed } of this.#statement("SELECT * FROM streams").all()) {
      this.#lasts.set(Number(stream), Number(trimmed));
    }
    this.#logBytes = this.#number("SELECT sum(length(bytes)) FROM log");
    const last = this.#statement("SELECT max(number) AS number FROM log WHERE stream = ?");
    for (const stream of this.#lasts.keys()) {
      const { number } = last.get(stream) ?? {};
      if (typeof number === "number") this.#lasts.set(stream, number);
    }
    for (const { id, name } of this.#statement("SELECT id, name FROM tenants").iterate()) {
      this.#ids.set(String(name), Number(id));
    }
    for (const { tenant, stream, number } of this.#statement("SELECT * FROM forgotten").all()) {
      const reach = { stream: Number(stream), number: Number(number) };
      this.#forgottenReaches.set(String(tenant), reach);
    }
    const reaches = new Map<number, Reach>();
    const rows = this.#statement(
      "SELECT at, stream, number FROM snapshots INDEXED BY snapshots_reach",
    );
    for (const { at, stream, number } of rows.iterate()) {
      reaches.set(Number(at), { stream: Number(stream), number: Number(number) });
    }
    const behind: [key: number, reach: Reach][] = [];
    for (const [at, reach] of reaches) {
      const other = reaches.get(at ^ 1);
      const ahead = other === undefined ? 1 : compare(reach, other);
      if (ahead < 0 || (ahead === 0 && at % 2 === 1)) continue;
      this.#generations.set(at >>> 1, at % 2);
      if (ahead > 0) behind.push([at >>> 1, reach]);
    }
    for (const [key, reach] of behind.toSorted((a, b) => compare(a[1], b[1]))) {
      this.#behind.set(key, reach);
    }
  }

  #snapshot(tenant: string, key: number, generation: number): StoredSnapshot | undefined {
    const row = this.#statement("SELECT bytes FROM snapshots WHERE at = ?").get(
      key * 2 + generation,
    );
    if (row === undefined) return undefined;
    return { tenant, world: key % WORLDS, bytes: row["bytes"] as Uint8Array };
  }

  #put(
    { tenant, world, bytes }: StoredSnapshot,
    ids: Map<string, number>,
    generations: Map<number, number>,
    gone: ReadonlySet<number | undefined>,
  ): void {
    const known = this.#ids.get(tenant);
    const own = known === undefined || gone.has(known) ? undefined : known;
    const id = ids.get(tenant) ?? own ?? this.#addTenant(tenant, ids);
    const key = id * WORLDS + world;
    // A number of a tenant that is gone may be another's at once.
    const written = gone.has(id) ? undefined : this.#generations.get(key);
    const before = generations.get(key) ?? written;
    const generation = before === undefined ? 0 : 1 - before;
    const { stream, number } = reachOf(bytes);
    this.#run(PUT_SNAPSHOT, key * 2 + generation, stream, number, bytes);
    generations.set(key, generation);
  }

  #addTenant(tenant: string, ids: Map<string, number>): number {
    const { lastInsertRowid } = this.#statement("INSERT INTO tenants (name) VALUES (?)").run(
      tenant,
    );
    const id = Number(lastInsertRowid);
    ids.set(tenant, id);
    return id;
  }

  /** Some of the copies that the wanted trims wait for; and those that need to wait no more. */
  #tidy(): void {
    const copied = new Set<number>();
    const trimmed: number[] = [];
    this.#transact(() => {
      for (const trim of this.#wanted.values()) {
        if (this.#awaitsCopies(trim, copied)) continue;
        this.#trim(trim);
        trimmed.push(trim.stream);
      }
    });
    for (const key of copied) this.#behind.delete(key);
    for (const stream of trimmed) this.#settle(stream);
  }

  /**
   * Makes copies that the trim waits for, and enters them; whether it has to wait all the same: for
   * more of them, or for a snapshot in place of one that is damaged.
   */
  #awaitsCopies({ stream, taken }: Trim, copied: Set<number>): boolean {
    let isDamaged = false;
    for (const key of this.#behind.upTo({ stream, number: taken }, this.#firstStream)) {
      if (copied.has(key)) continue;
      if (copied.size >= COPIES_MAX) return true;
      if (this.#copy(key)) copied.add(key);
      else isDamaged = true;
    }
    return isDamaged;
  }

  #settle(stream: number): void {
    this.#wanted.delete(stream);
    if (!this.#unsettled.delete(stream) || this.#unsettled.size > 0) return;
    const rows = this.streams();
    const run = rows.at(-1)!.run;
    const former = rows.filter((row) => row.run < run);
    this.#transact(() => {
      for (const row of former) {
        this.#trim({ stream: row.stream, number: row.last });
        this.#run("DELETE FROM streams WHERE stream = ?", row.stream);
      }
    });
    for (const row of former) this.#lasts.delete(row.stream);
  }

  /**
   * Makes the older snapshot the same as the newer; false: that one is damaged, and nothing is
   * done.
   */
  #copy(key: number): boolean {
    const newest = this.#generations.get(key)!;
    const row = this.#statement("SELECT bytes FROM snapshots WHERE at = ?").get(key * 2 + newest);
    const bytes = row?.["bytes"] as Uint8Array | undefined;
    if (bytes === undefined || !isWhole(bytes)) {
      this.#damaged.add(key);
      return false;
    }
    const { stream, number } = reachOf(bytes);
    this.#run(PUT_SNAPSHOT, key * 2 + 1 - newest, stream, number, bytes);
    return true;
  }

  #trim({ stream, number }: Omit<Trim, "taken">): void {
    const sum = "SELECT sum(length(bytes)) AS bytes FROM log WHERE stream = ? AND number <= ?";
    const { bytes } = this.#statement(sum).get(stream, number) ?? {};
    this.#trimmedBytes += Number(bytes ?? 0);
    this.#run("DELETE FROM log WHERE stream = ? AND number <= ?", stream, number);
    this.#run(
      "UPDATE streams SET trimmed = ? WHERE stream = ? AND trimmed < ?",
      number,
      stream,
      number,
    );
  }

  #forget({ tenant, stream, number }: Forgotten): void {
    this.#run(
      `INSERT INTO forgotten VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET
      stream = excluded.stream, number = excluded.number`,
      tenant,
      stream,
      number,
    );
    const row = this.#statement("SELECT id FROM tenants WHERE name = ?").get(tenant);
    if (row === undefined) return;
    const id = Number(row["id"]);
    this.#run("DELETE FROM snapshots WHERE at >= ? AND at < ?", id * 16, (id + 1) * 16);
    this.#run("DELETE FROM tenants WHERE id = ?", id);
  }

  #forgotten(tenant: string, reach: Reach): void {
    this.#forgottenReaches.set(tenant, reach);
    const id = this.#ids.get(tenant);
    if (id === undefined) return;
    this.#ids.delete(tenant);
    for (let world = 0; world < WORLDS; world++) {
      const key = id * WORLDS + world;
      this.#damaged.delete(key);
      this.#told.delete(key);
      this.#generations.delete(key);
      this.#behind.delete(key);
    }
  }

  #transact(work: () => void): void {
    if (this.#lock === undefined) throw new WriteFailure("readOnly", "Who reads writes nothing.");
    this.#trimmedBytes = 0;
    try {
      this.#database.exec("BEGIN IMMEDIATE");
      work();
      this.#database.exec("COMMIT");
      this.#logBytes -= this.#trimmedBytes;
    } catch (error) {
      // Some failures have rolled back already; a rollback that fails leaves nothing to do.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw failureOf(error);
    }
  }

  #number(sql: string): number {
    return Number(Object.values(this.#statement(sql).get() ?? {})[0] ?? 0);
  }

  #run(sql: string, ...values: (number | string | Uint8Array)[]): void {
    this.#statement(sql).run(...values);
  }

  #statement(sql: string): StatementSync {
    let found = this.#statements.get(sql);
    if (found === undefined) this.#statements.set(sql, (found = this.#database.prepare(sql)));
    return found;
  }
}

function isWhole(bytes: Uint8Array): boolean {
  try {
    openSnapshot(bytes, "a tenant");
    return true;
  } catch (error) {
    if (error instanceof DamagedRecord) return false;
    throw error;
  }
}

/** Later streams reach further. */
function compare(a: Reach, b: Reach): number {
  return a.stream - b.stream || a.number - b.number;
}
