// Backups of files that are written to meanwhile; what is wrong with a folder, by name; restores.
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type TestContext } from "node:test";
import { BACKUP_SPARE_BYTES } from "#model/limits.ts";
import { BackupCopy, checkSpace } from "./backup-copy.ts";
import {
  backupName,
  listBackups,
  removeOld,
  removeUnfinished,
  restoreBackup,
  verifyBackup,
} from "./backup-folder.ts";
import { lockOf } from "./file-lock.ts";
import { sealSnapshot, snapshotBytes } from "./snapshot.ts";
import { SqliteStore } from "./sqlite-store.ts";
import { TurnLog } from "./turn-log.ts";
import { holdGate, isHeld, letGo, waitAtGate } from "./writer-hold.ts";

const NOTHING = { blocks: [], snapshots: [], trims: [], forgotten: [] };
const NOW_MS = Date.UTC(2026, 10, 21, 3, 15);

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "nexuscore-backup-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

class Writer {
  readonly store: SqliteStore;
  readonly #log: TurnLog;
  readonly reviews: DatabaseSync;
  count = 0;

  constructor(dataDir: string) {
    this.store = new SqliteStore(join(dataDir, "state.db"));
    this.#log = new TurnLog(this.store.beginRun(1)[0]!);
    this.reviews = new DatabaseSync(join(dataDir, "moderation.db"), { timeout: 0 });
    this.reviews.exec("PRAGMA journal_mode = WAL; CREATE TABLE IF NOT EXISTS items (n INTEGER)");
  }

  /** A block, and a row beside it: whole is only who has as many of both. */
  write(bytes = 64): void {
    this.count += 1;
    const body = Buffer.alloc(bytes, this.count);
    this.#log.append(1, 2, 0, 0, 0, body, 0, body.length);
    this.#log.publish();
    const block = this.#log.seal(this.count)!;
    this.store.commitNow({ ...NOTHING, blocks: [block] });
    this.reviews.prepare("INSERT INTO items VALUES (?)").run(this.count);
  }

  snapshot(tenant: string): void {
    const image = Buffer.from(`image of ${tenant}`);
    const bytes = new Uint8Array(snapshotBytes(1, image.length));
    const [component, ledger] = [Buffer.alloc(32, 9), Float64Array.of(1)];
    const place = { stream: this.#log.stream, number: this.count };
    sealSnapshot({ ...place, component, flags: 0, strikes: 0, ledger, image }, bytes);
    this.store.commitNow({ ...NOTHING, snapshots: [{ tenant, world: 1, bytes }] });
  }

  close(): void {
    this.store.close();
    this.reviews.close();
  }
}

function pathsIn(dataDir: string): string[] {
  return [join(dataDir, "state.db"), join(dataDir, "moderation.db")];
}

function rowsIn(dataDir: string): { blocks: number; items: number } {
  const count = (name: string, table: string): number => {
    const database = new DatabaseSync(join(dataDir, name));
    const { n } = database.prepare(`SELECT count(*) AS n FROM ${table}`).get()!;
    database.close();
    return Number(n);
  };
  return { blocks: count("state.db", "log"), items: count("moderation.db", "items") };
}

/** A backup of 20 blocks and one tenant. */
async function madeIn(path: string): Promise<string> {
  const writer = new Writer(path);
  for (let i = 0; i < 20; i++) writer.write();
  writer.snapshot("acme");
  const copy = BackupCopy.open(pathsIn(path));
  copy.pin(NOW_MS);
  await copy.copyTo(join(path, "made"), "NexusCore test");
  writer.close();
  return join(path, "made");
}

test("what is committed while it is copied is not in it; files are of one instant", async (t) => {
  const path = folder(t);
  const writer = new Writer(path);
  for (let i = 0; i < 50; i++) writer.write(64 * 1024);
  writer.snapshot("acme");
  const copy = BackupCopy.open(pathsIn(path));
  writer.write(); // Committed before the pin: it is in it.
  copy.pin(NOW_MS);
  let written = 0;
  const writing = setInterval(() => {
    writer.write(64 * 1024);
    written += 1;
  }, 1);
  let steps = 0;
  const manifest = await copy.copyTo(join(path, "made"), "NexusCore test", () => {
    steps += 1;
    if (written === 0) writer.write();
  });
  clearInterval(writing);
  assert(steps > 0);
  writer.write();
  assert(writer.count > 51, "the writer went on");
  writer.close();
  assert.deepEqual(manifest.contents!.streams[0]!.last, 51);
  assert.equal(manifest.contents!.tenantCount, 1);
  assert.deepEqual(await verifyBackup(join(path, "made")), manifest);
  const restored = join(path, "restored");
  await restoreBackup(join(path, "made"), restored, { replaces: false, nowMs: NOW_MS });
  assert.deepEqual(rowsIn(restored), { blocks: 51, items: 51 });
  // A writer goes on from it, as a new run.
  const again = new SqliteStore(join(restored, "state.db"));
  assert.equal(again.beginRun(1).length, 1);
  again.close();
});

test("whatever is cut, flipped or missing is refused by the name of the file", async (t) => {
  const path = folder(t);
  const whole = await madeIn(path);
  for (const name of ["state.db", "made/state.db", "made/moderation.db", "made/manifest.json"]) {
    assert.equal(statSync(join(path, name)).mode & 0o777, 0o600, name);
  }
  const files = readdirSync(whole).toSorted();
  assert.deepEqual(files, ["manifest.json", "moderation.db", "state.db"]);
  for (const [index, name] of files.entries()) {
    const flipped = join(path, `flipped-${index}`);
    cpSync(whole, flipped, { recursive: true });
    const bytes = readFileSync(join(flipped, name));
    const at = Math.floor(bytes.length * 0.6);
    bytes[at]! ^= 1;
    writeFileSync(join(flipped, name), bytes);
    await assert.rejects(verifyBackup(flipped), (error: Error) => error.message.includes(name));
    const cutOff = join(path, `cut-${index}`);
    cpSync(whole, cutOff, { recursive: true });
    truncateSync(join(cutOff, name), at);
    await assert.rejects(verifyBackup(cutOff), (error: Error) => error.message.includes(name));
    const target = join(path, "never");
    const how = { replaces: false, nowMs: NOW_MS };
    await assert.rejects(restoreBackup(cutOff, target, how), new RegExp(name));
    assert(!existsSync(target), "nothing was touched");
    rmSync(join(cutOff, name));
    await assert.rejects(verifyBackup(cutOff), (error: Error) => error.message.includes(name));
  }
});

test("a damaged snapshot of the store is told when it is copied, and verified", async (t) => {
  const path = folder(t);
  const writer = new Writer(path);
  writer.write();
  writer.snapshot("acme");
  writer.close();
  const database = new DatabaseSync(join(path, "state.db"));
  database.exec("UPDATE snapshots SET bytes = substr(bytes, 1, 80)");
  database.close();
  const copy = BackupCopy.open(pathsIn(path));
  copy.pin(NOW_MS);
  await copy.copyTo(join(path, "made"), "NexusCore test");
  const { contents } = await verifyBackup(join(path, "made"));
  assert.match(contents!.damaged.join(), /^a snapshot of acme \(world 1\)/);
});

test("a process killed while it copies leaves nothing that passes for a backup", async (t) => {
  const path = folder(t);
  const writer = new Writer(path);
  for (let i = 0; i < 40; i++) writer.write(256 * 1024);
  const script = join(path, "child.ts");
  const url = import.meta.resolve("./backup-copy.ts");
  writeFileSync(
    script,
    `import { BackupCopy } from ${JSON.stringify(url)};
    const copy = BackupCopy.open(${JSON.stringify(pathsIn(path))});
    copy.pin(1);
    let steps = 0;
    await copy.copyTo(process.argv[2], "test", () => {
      if (++steps === Number(process.argv[3])) process.kill(process.pid, "SIGKILL");
    });`,
  );
  for (const step of [1, 3, 1_000]) {
    const name = backupName(NOW_MS + step * 1_000, () => false);
    const made = join(path, "backups", name);
    const child = fork(script, [made, String(step)], { stdio: "ignore" });
    const { promise, resolve } = Promise.withResolvers<string | null>();
    child.on("exit", (_code, signal) => resolve(signal));
    const signal = await promise;
    if (step === 1_000) {
      assert.equal(signal, null, "it had no such step");
      await verifyBackup(made);
    } else {
      assert.equal(signal, "SIGKILL");
      await assert.rejects(verifyBackup(made), /missing: this is no backup/);
      await assert.rejects(verifyBackup(`${made}.partial`), /missing: this is no backup/);
    }
  }
  writer.close();
  await removeUnfinished(join(path, "backups"));
  const listed = await listBackups(join(path, "backups"));
  assert.deepEqual(
    readdirSync(join(path, "backups")),
    listed.map(({ name }) => name),
  );
  assert.equal(listed.length, 1);
});

test("a restore refuses a folder in use, and one that is not empty unless told so", async (t) => {
  const path = folder(t);
  const made = await madeIn(path);
  const target = join(path, "data");
  const how = { replaces: false, nowMs: NOW_MS };
  assert.equal((await restoreBackup(made, target, how)).keptAside, undefined);
  await assert.rejects(restoreBackup(made, target, how), /is not empty \(.*--replace/);
  const lock = lockOf(join(target, "state.db"));
  const replacing = { ...how, replaces: true };
  await assert.rejects(restoreBackup(made, target, replacing), /in use by a running server/);
  lock.close();
  writeFileSync(join(target, "state.db-wal"), "what belongs to the former file");
  const { keptAside } = await restoreBackup(made, target, replacing);
  assert.deepEqual(rowsIn(target), { blocks: 20, items: 20 });
  const aside = readdirSync(keptAside!).toSorted();
  assert.deepEqual(aside, ["moderation.db", "state.db", "state.db-wal"]);
});

test("what root restores for a server of another user is that user's", async (t) => {
  if (process.getuid?.() !== 0) return t.skip("this is not root");
  const path = folder(t);
  const made = await madeIn(path);
  const target = join(path, "data");
  mkdirSync(target);
  chownSync(target, 12_345, 12_346);
  await restoreBackup(made, target, { replaces: false, nowMs: NOW_MS });
  for (const name of ["state.db", "moderation.db", "state.db.lock"]) {
    const { uid, gid } = statSync(join(target, name));
    assert.deepEqual([uid, gid], [12_345, 12_346], name);
  }
  return undefined;
});

test("the newest are kept, and what we did not make is not ours to remove", async (t) => {
  const path = folder(t);
  const made = await madeIn(path);
  const backups = join(path, "backups");
  const names = [1, 2, 3, 4].map((hour) => backupName(NOW_MS + hour * 3_600_000, () => false));
  for (const name of names) cpSync(made, join(backups, name), { recursive: true });
  cpSync(made, join(backups, "mine"), { recursive: true });
  // One that cannot be relied on counts for nothing, and stays to be looked at.
  rmSync(join(backups, names[3]!, "manifest.json"));
  assert.deepEqual(await removeOld(backups, 2), [names[0]]);
  assert.deepEqual(readdirSync(backups).toSorted(), [...names.slice(1), "mine"]);
});

test("names of one second differ, and sort by time", () => {
  const first = backupName(NOW_MS, () => false);
  assert.equal(first, "20261121T031500Z");
  assert.equal(
    backupName(NOW_MS, (name) => name === first),
    "20261121T031500Z-2",
  );
});

test("a disk without room refuses with the numbers, before anything is written", async (t) => {
  const path = folder(t);
  await assert.rejects(
    checkSpace(join(path, "not", "there"), 1e18),
    /needs 953,674,316,407 MiB and leaves 256 MiB free, but the disk of .* has [\d,]+ MiB left/,
  );
  assert.equal(BACKUP_SPARE_BYTES, 2 ** 28);
  assert.deepEqual(readdirSync(path), []);
});

test("a writer is held until it is let go; one that does not come is not held later", async () => {
  const held = holdGate();
  const url = import.meta.resolve("./writer-hold.ts");
  const { Worker } = await import("node:worker_threads");
  const code = `import { workerData } from "node:worker_threads";
    const { waitAtGate } = await import(${JSON.stringify(url)});
    waitAtGate(workerData);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), {
    workerData: held,
  });
  const ended = new Promise((resolve) => worker.on("exit", resolve));
  assert.equal(await isHeld(held), true);
  assert.equal(letGo(held), true);
  await ended;
  assert.equal(letGo(held), false, "it has gone on");
  const late = holdGate();
  letGo(late);
  waitAtGate(late); // Returns at once.
});
