import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type TestContext } from "node:test";
import { DamagedRecord, type Group, type LogBlock, WriteFailure } from "./durable-store.ts";
import { sealSnapshot, openSnapshot, snapshotBytes } from "./snapshot.ts";
import { SqliteStore } from "./sqlite-store.ts";
import { TurnLog } from "./turn-log.ts";

const DIGEST = Buffer.alloc(32, 9);
const NOTHING: Group = { blocks: [], snapshots: [], trims: [], forgotten: [] };

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "nexuscore-durable-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function blockOf(log: TurnLog, text: string): LogBlock {
  const body = Buffer.from(text);
  log.append(1, 2, 0, 0, 0, body, 0, body.length);
  log.publish();
  const block = log.seal(1)!;
  return { ...block, bytes: block.bytes.slice() };
}

function snapshotOf(number: number, text: string, stream = 1): Uint8Array {
  const image = Buffer.from(text);
  const bytes = new Uint8Array(snapshotBytes(2, image.length));
  const ledger = Float64Array.of(number, 0.5);
  sealSnapshot({ stream, number, component: DIGEST, flags: 5, strikes: 1, ledger, image }, bytes);
  return bytes;
}

/** Of each tenant the newest, then the older one. */
function imagesOf(store: SqliteStore): string[] {
  const found: string[] = [];
  for (const newest of store.snapshots()) {
    const older = store.olderSnapshot(newest.tenant, newest.world);
    for (const { tenant, world, bytes } of [newest, ...(older === undefined ? [] : [older])]) {
      const { image, number } = openSnapshot(bytes, tenant);
      found.push(`${tenant} ${world} ${number} ${Buffer.from(image).toString()}`);
    }
  }
  return found;
}

test("what was committed is there after the file was closed and opened", (t) => {
  const path = join(folder(t), "a.db");
  const first = new SqliteStore(path);
  const stream = first.beginRun(1)[0]!;
  const log = new TurnLog(stream);
  const blocks = [blockOf(log, "one"), blockOf(log, "two"), blockOf(log, "three")];
  first.commitNow({ ...NOTHING, blocks });
  const snapshots = [{ tenant: "acme", world: 1, bytes: snapshotOf(2, "image of two") }];
  first.commitNow({ ...NOTHING, snapshots, trims: [{ stream, number: 2, taken: 2 }] });
  first.keepComponent(DIGEST, Buffer.from("a component"));
  assert.throws(() => new SqliteStore(path), /database is locked/);
  first.close();
  const second = new SqliteStore(path);
  assert.deepEqual(second.streams(), [{ stream, run: 1, shard: 0, trimmed: 2, last: 3 }]);
  const read = [...second.blocks(stream, 3)];
  assert.deepEqual(
    read.map(({ number }) => number),
    [3],
  );
  assert.deepEqual(Buffer.from(read[0]!.bytes), Buffer.from(blocks[2]!.bytes));
  // Before the trim the older snapshot became a copy of the newer.
  assert.deepEqual(imagesOf(second), ["acme 1 2 image of two", "acme 1 2 image of two"]);
  second.commitNow({ ...NOTHING, blocks: [blockOf(log, "four")] });
  assert.equal(Buffer.from(second.component(DIGEST)!.bytes).toString(), "a component");
  assert.equal(second.component(second.component(DIGEST)!.number)!.digest.length, DIGEST.length);
  assert.equal(second.component(Buffer.alloc(32)), undefined);
  second.close();
});

test("a block that does not follow the last one is refused, and a missing one is found", (t) => {
  const path = join(folder(t), "a.db");
  const store = new SqliteStore(path);
  const stream = store.beginRun(1)[0]!;
  const log = new TurnLog(stream);
  store.commitNow({ ...NOTHING, blocks: [blockOf(log, "one"), blockOf(log, "two")] });
  blockOf(log, "three, which is never written");
  const four = blockOf(log, "four");
  assert.throws(() => store.commitNow({ ...NOTHING, blocks: [four] }), /one is missing/);
  store.close();
  const outside = new DatabaseSync(path);
  outside.exec(`DELETE FROM log WHERE stream = ${stream} AND number = 1`);
  outside.close();
  assert.throws(() => new SqliteStore(path), DamagedRecord);
  const again = new SqliteStore(path, "reader");
  assert.throws(() => [...again.blocks(stream, 1)], DamagedRecord);
  again.close();
});

test("of two generations the newer comes first, also when the file was opened anew", (t) => {
  const path = join(folder(t), "a.db");
  let store = new SqliteStore(path);
  const put = (tenant: string, number: number, text: string): void => {
    const snapshots = [{ tenant, world: 1, bytes: snapshotOf(number, text) }];
    store.commitNow({ ...NOTHING, snapshots });
  };
  put("acme", 1, "a");
  put("other", 1, "x");
  put("acme", 2, "b");
  assert.deepEqual(imagesOf(store), ["acme 1 2 b", "acme 1 1 a", "other 1 1 x"]);
  store.close();
  store = new SqliteStore(path);
  put("acme", 3, "c");
  assert.deepEqual(imagesOf(store), ["acme 1 3 c", "acme 1 2 b", "other 1 1 x"]);
  put("acme", 4, "d");
  store.close();
  store = new SqliteStore(path);
  assert.deepEqual(imagesOf(store), ["acme 1 4 d", "acme 1 3 c", "other 1 1 x"]);
  store.close();
});

test("the newest of a stream that came later is newer, though its number is lower", (t) => {
  const path = join(folder(t), "a.db");
  const store = new SqliteStore(path);
  const put = (number: number, stream: number): void => {
    const bytes = snapshotOf(number, `${stream}`, stream);
    store.commitNow({ ...NOTHING, snapshots: [{ tenant: "acme", world: 1, bytes }] });
  };
  put(900, 1);
  put(3, 2);
  store.close();
  const again = new SqliteStore(path);
  assert.deepEqual(imagesOf(again), ["acme 1 3 2", "acme 1 900 1"]);
  again.close();
});

test("on a full disk nothing of a group counts, and it can be written once there is room", (t) => {
  const store = new SqliteStore(join(folder(t), "a.db"));
  const stream = store.beginRun(1)[0]!;
  const log = new TurnLog(stream);
  store.commitNow({ ...NOTHING, blocks: [blockOf(log, "one")] });
  store.limitPages(12);
  const blocks = [blockOf(log, "two"), blockOf(log, "x".repeat(20_000).repeat(10))];
  const snapshots = [{ tenant: "acme", world: 1, bytes: snapshotOf(2, "y".repeat(400_000)) }];
  const group = { ...NOTHING, blocks, snapshots };
  const isFull = (error: unknown): boolean =>
    error instanceof WriteFailure && error.kind === "full";
  assert.throws(() => store.commitNow(group), isFull);
  assert.deepEqual(
    [...store.blocks(stream, 1)].map(({ number }) => number),
    [1],
  );
  assert.deepEqual(imagesOf(store), []);
  assert.throws(() => store.commitNow(group), isFull);
  store.limitPages(10_000);
  store.commitNow(group);
  assert.deepEqual(
    [...store.blocks(stream, 1)].map(({ number }) => number),
    [1, 2, 3],
  );
  assert.equal(imagesOf(store).length, 1);
  store.close();
});

test("a tenant that is forgotten leaves no byte in any file", (t) => {
  const path = folder(t);
  const store = new SqliteStore(join(path, "a.db"));
  const stream = store.beginRun(1)[0]!;
  const log = new TurnLog(stream);
  const secret = "the secret of acme, which nobody else says";
  const put = (number: number): void => {
    const bytes = snapshotOf(number, secret.repeat(2_000));
    const snapshots = [{ tenant: "acme", world: 1, bytes }];
    store.commitNow({ ...NOTHING, blocks: [blockOf(log, secret)], snapshots });
  };
  put(1);
  put(2);
  const other = [{ tenant: "other", world: 1, bytes: snapshotOf(2, "kept") }];
  store.commitNow({ ...NOTHING, snapshots: other });
  assert.ok(holds(path, secret));
  store.commitNow({ ...NOTHING, forgotten: [{ tenant: "acme", stream, number: 2 }] });
  assert.deepEqual(store.takeErased(), [], "its turns are in the log");
  assert.ok(holds(path, secret));
  store.commitNow({ ...NOTHING, trims: [{ stream, number: 2, taken: 2 }] });
  assert.deepEqual([store.isForgetting, store.takeErased()], [true, ["acme"]]);
  assert.deepEqual([store.isForgetting, store.takeErased()], [false, []]);
  assert.ok(!holds(path, secret));
  assert.deepEqual(imagesOf(store), ["other 1 2 kept", "other 1 2 kept"]);
  store.close();
});

test("a tenant that begins anew with the group that forgets it keeps its new snapshot", (t) => {
  const path = join(folder(t), "a.db");
  let store = new SqliteStore(path);
  const stream = store.beginRun(1)[0]!;
  const log = new TurnLog(stream);
  const old = [{ tenant: "acme", world: 1, bytes: snapshotOf(1, "old") }];
  store.commitNow({ ...NOTHING, blocks: [blockOf(log, "one")], snapshots: old });
  const late = { tenant: "acme", world: 1, bytes: snapshotOf(2, "old, too") };
  const fresh = { tenant: "acme", world: 1, bytes: snapshotOf(3, "new") };
  store.commitNow({
    ...NOTHING,
    blocks: [blockOf(log, "two"), blockOf(log, "three")],
    snapshots: [late, fresh],
    forgotten: [{ tenant: "acme", stream, number: 2 }],
  });
  assert.deepEqual(imagesOf(store), ["acme 1 3 new"]);
  store.close();
  store = new SqliteStore(path);
  assert.deepEqual(imagesOf(store), ["acme 1 3 new"]);
  assert.deepEqual([...store.forgotten], [["acme", { stream, number: 2 }]]);
  store.close();
});

test("a trim waits for what only the log can repair, and goes on once that is snapshotted", (t) => {
  const path = join(folder(t), "a.db");
  let store = new SqliteStore(path);
  const stream = store.beginRun(1)[0]!;
  const log = new TurnLog(stream);
  store.commitNow({ ...NOTHING, blocks: [blockOf(log, "one"), blockOf(log, "two")] });
  const put = (number: number): void => {
    const snapshots = [{ tenant: "acme", world: 1, bytes: snapshotOf(number, `${number}`) }];
    store.commitNow({ ...NOTHING, snapshots });
  };
  put(1);
  store.close();
  const outside = new DatabaseSync(path);
  outside.exec("UPDATE snapshots SET bytes = CAST(substr(bytes, 1, 80) || x'7a7a' AS BLOB)");
  outside.close();
  store = new SqliteStore(path);
  const numbers = (): number[] => [...store.blocks(stream, trimmed() + 1)].map((b) => b.number);
  const trimmed = (): number => store.streams()[0]!.trimmed;
  store.commitNow({ ...NOTHING, trims: [{ stream, number: 1, taken: 1 }] });
  assert.deepEqual(numbers(), [1, 2]);
  put(2);
  assert.deepEqual(numbers(), [2]);
  store.close();
});

test("a trim waits for one that is damaged, whoever comes after it", (t) => {
  const path = join(folder(t), "a.db");
  let store = new SqliteStore(path);
  const stream = store.beginRun(1)[0]!;
  const log = new TurnLog(stream);
  const put = (tenant: string, number: number): void => {
    const snapshots = [{ tenant, world: 1, bytes: snapshotOf(number, `${number}`) }];
    store.commitNow({ ...NOTHING, snapshots });
  };
  store.commitNow({ ...NOTHING, blocks: [blockOf(log, "one"), blockOf(log, "two")] });
  for (const tenant of ["acme", "other"]) for (const number of [1, 2]) put(tenant, number);
  store.close();
  const outside = new DatabaseSync(path);
  const newestOfAcme = "SELECT min(at) FROM snapshots WHERE number = 2";
  outside.exec(`UPDATE snapshots SET bytes = x'00' WHERE at = (${newestOfAcme})`);
  outside.close();
  store = new SqliteStore(path);
  const trims = [{ stream, number: 2, taken: 2 }];
  store.commitNow({ ...NOTHING, trims });
  assert.equal([...store.blocks(stream, 1)].length, 2, "acme's older one needs them");
  assert.deepEqual(store.takeDamaged(), ["acme"]);
  put("acme", 2);
  assert.equal(store.streams()[0]!.trimmed, 2);
  store.close();
});

test("a trim makes the copies of its own shard, whatever others snapshotted meanwhile", (t) => {
  const store = new SqliteStore(join(folder(t), "a.db"));
  const [first = 0, second = 0] = store.beginRun(2);
  const logs = [first, second].map((stream) => new TurnLog(stream));
  const blocks = logs.flatMap((log) => ["one", "two", "three"].map((text) => blockOf(log, text)));
  store.commitNow({ ...NOTHING, blocks });
  const put = (tenant: string, stream: number, number: number): void => {
    const bytes = snapshotOf(number, `${number}`, stream);
    store.commitNow({ ...NOTHING, snapshots: [{ tenant, world: 1, bytes }] });
  };
  for (const number of [1, 2]) {
    put("theirs", second, number);
    put("ours", first, number);
  }
  store.commitNow({ ...NOTHING, trims: [{ stream: first, number: 2, taken: 2 }] });
  const theirs = ["theirs 1 2 2", "theirs 1 1 1"];
  assert.deepEqual(imagesOf(store), [...theirs, "ours 1 2 2", "ours 1 2 2"]);
  store.close();
});

test("streams of a former run go once every shard of this one had a trim", (t) => {
  const path = join(folder(t), "a.db");
  const former = new SqliteStore(path);
  const logs = former.beginRun(3).map((stream) => new TurnLog(stream));
  former.commitNow({ ...NOTHING, blocks: logs.map((log) => blockOf(log, "turns")) });
  former.close();
  const store = new SqliteStore(path);
  const [first = 0, second = 0] = store.beginRun(2);
  const runs = (): number[] => store.streams().map(({ run }) => run);
  assert.deepEqual(runs(), [1, 1, 1, 2, 2]);
  store.commitNow({ ...NOTHING, trims: [{ stream: first, number: 0, taken: 0 }] });
  assert.deepEqual(runs(), [1, 1, 1, 2, 2]);
  assert.equal([...store.blocks(logs[2]!.stream, 1)].length, 1);
  store.commitNow({ ...NOTHING, trims: [{ stream: second, number: 0, taken: 0 }] });
  assert.deepEqual(runs(), [2, 2]);
  assert.equal([...store.blocks(logs[2]!.stream, 1)].length, 0);
  store.close();
});

test("it is read beside the one that writes, and written by one alone", (t) => {
  const path = join(folder(t), "a.db");
  const writer = new SqliteStore(path);
  const stream = writer.beginRun(1)[0]!;
  const log = new TurnLog(stream);
  const snapshots = [{ tenant: "acme", world: 1, bytes: snapshotOf(1, "an image") }];
  writer.commitNow({ ...NOTHING, blocks: [blockOf(log, "one")], snapshots });
  writer.commitNow({ ...NOTHING, blocks: [blockOf(log, "two")] });
  const reader = new SqliteStore(path, "reader");
  // What it reads is of the moment in which it was opened.
  writer.commitNow({ ...NOTHING, blocks: [blockOf(log, "three")] });
  assert.deepEqual(
    [...reader.blocks(stream, 1)].map(({ number }) => number),
    [1, 2],
  );
  assert.deepEqual(imagesOf(reader), ["acme 1 1 an image"]);
  assert.deepEqual([...reader.snapshots(() => false)], []);
  assert.throws(() => reader.commitNow({ ...NOTHING, snapshots }), WriteFailure);
  assert.throws(() => new SqliteStore(path), /database is locked/);
  reader.close();
  writer.close();
  new SqliteStore(path).close();
});

test("copies that find no room take back nothing of what was committed with them", (t) => {
  const store = new SqliteStore(join(folder(t), "a.db"));
  const stream = store.beginRun(1)[0]!;
  const log = new TurnLog(stream);
  const bytes = snapshotOf(1, "x".repeat(400_000), stream);
  store.commitNow({ ...NOTHING, blocks: [blockOf(log, "one")] });
  store.commitNow({ ...NOTHING, snapshots: [{ tenant: "acme", world: 1, bytes }] });
  // No page more: a little block has room in one that is there, the copy of an image has not.
  store.limitPages(1);
  const trims = [{ stream, number: 1, taken: 1 }];
  store.commitNow({ ...NOTHING, blocks: [blockOf(log, "two")], trims });
  assert.equal(store.isBehind, true);
  assert.equal([...store.blocks(stream, 1)].length, 2);
  store.limitPages(10_000);
  store.commitNow({ ...NOTHING, blocks: [blockOf(log, "three")] });
  assert.equal(store.isBehind, false);
  assert.deepEqual(
    [...store.blocks(stream, 2)].map(({ number }) => number),
    [2, 3],
  );
  store.close();
});

test("somebody's hand in the file holds up what is written, and ends nothing", (t) => {
  const path = join(folder(t), "a.db");
  const store = new SqliteStore(path);
  const log = new TurnLog(store.beginRun(1)[0]!);
  const blocks = [blockOf(log, "one")];
  const outside = new DatabaseSync(path);
  outside.exec("BEGIN IMMEDIATE");
  assert.throws(() => store.commitNow({ ...NOTHING, blocks }), WriteFailure);
  outside.exec("ROLLBACK");
  store.commitNow({ ...NOTHING, blocks });
  assert.equal([...store.blocks(log.stream, 1)].length, 1);
  const [forgotten, trims] = [
    [{ tenant: "acme", stream: log.stream, number: 1 }],
    [{ stream: log.stream, number: 1, taken: 1 }],
  ];
  store.commitNow({ ...NOTHING, forgotten, trims });
  outside.exec("BEGIN IMMEDIATE");
  assert.deepEqual([store.takeErased(), store.isForgetting], [[], true]);
  outside.exec("ROLLBACK");
  outside.close();
  assert.deepEqual([store.takeErased(), store.isForgetting], [["acme"], false]);
  store.close();
});

test("a file of a newer version is refused", (t) => {
  const path = join(folder(t), "a.db");
  new SqliteStore(path).close();
  const outside = new DatabaseSync(path);
  outside.exec("PRAGMA user_version = 99");
  outside.close();
  assert.throws(() => new SqliteStore(path), /version 99/);
});

function holds(path: string, text: string): boolean {
  return readdirSync(path).some((name) => readFileSync(join(path, name)).includes(text));
}
