// What a file says of one tenant, with another's turns between its own.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createHash } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type TestContext } from "node:test";
import { inspectStore } from "./inspect-store.ts";
import { sealSnapshot, snapshotBytes } from "./snapshot.ts";
import { SqliteStore } from "./sqlite-store.ts";
import { TurnLog } from "./turn-log.ts";

const NOTHING = { blocks: [], snapshots: [], trims: [], forgotten: [] };
const WORLDS = { 0: "host", 1: "summarizer", 2: "moderator" };
const KINDS = { "1/2": "events", "1/3": "time", "2/2": "judge" };
const [ACME, OTHER] = [0, 1];

function storePath(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "nexuscore-inspect-"));
  t.after(() => rmSync(path, { recursive: true }));
  return join(path, "state.db");
}

function look(path: string, tenant: string): ReturnType<typeof inspectStore> {
  return inspectStore({ path, tenant, worlds: WORLDS, kinds: KINDS });
}

/** Two blocks that a snapshot of acme holds, and two that it does not. */
function fill(path: string): void {
  const store = new SqliteStore(path);
  const log = new TurnLog(store.beginRun(1)[0]!);
  const turn = (world: number, kind: number, tenant: number, bytes: number): void => {
    log.append(world, kind, tenant, 0, 0, Buffer.alloc(bytes), 0, bytes);
    log.publish();
  };
  const commit = (nowMs: number): void => {
    const block = log.seal(nowMs)!;
    store.commitNow({ ...NOTHING, blocks: [{ ...block, bytes: block.bytes.slice() }] });
  };
  log.appendName(ACME, "acme", 0, 0);
  log.appendName(OTHER, "other", 0, 0);
  turn(1, 2, ACME, 100);
  commit(1_000);
  turn(1, 3, ACME, 0);
  turn(1, 2, OTHER, 500);
  commit(2_000);
  const image = Buffer.from("all of acme");
  const bytes = new Uint8Array(snapshotBytes(1, image.length));
  const [component, ledger] = [Buffer.alloc(32, 9), Float64Array.of(1)];
  const place = { stream: log.stream, number: 2 };
  sealSnapshot({ ...place, component, flags: 1, strikes: 2, ledger, image }, bytes);
  store.commitNow({ ...NOTHING, snapshots: [{ tenant: "acme", world: 1, bytes }] });
  turn(1, 2, ACME, 40);
  turn(1, 2, OTHER, 900);
  commit(3_000);
  turn(2, 2, ACME, 8);
  turn(1, 2, ACME, 40);
  commit(4_000);
  store.close();
}

test("inspect: the snapshot, and of the turns after it the tenant's own", (t) => {
  const path = storePath(t);
  fill(path);
  const { isKept, snapshots, turnsAfter } = look(path, "acme");
  assert(isKept);
  assert.equal(snapshots.length, 1);
  const [snapshot] = snapshots;
  assert.deepEqual(
    [
      snapshot!.world,
      snapshot!.generation,
      snapshot!.number,
      snapshot!.asOfMs,
      snapshot!.strikeCount,
    ],
    ["summarizer", "newer", 2, 2_000, 2],
  );
  const hash = createHash("sha256").update("all of acme").digest("hex");
  assert.equal(snapshot!.stateHash, hash);
  // What the moderator judged is in no snapshot of it, so it counts from the beginning.
  assert.deepEqual(turnsAfter, {
    count: 3,
    bytes: 88,
    kinds: { events: 2, judge: 1 },
    since: { stream: 1, number: 3 },
    fromMs: 3_000,
    toMs: 4_000,
    isCut: false,
  });
});

test("inspect: one without a snapshot, one that is not there, a file that is not there", (t) => {
  const path = storePath(t);
  assert.equal(look(path, "acme").isKept, false);
  fill(path);
  const other = look(path, "other");
  assert.deepEqual([other.isKept, other.snapshots.length, other.turnsAfter.count], [true, 0, 2]);
  assert.equal(look(path, "nobody").isKept, false);
});

test("inspect: a damaged snapshot is told, and nothing is written", (t) => {
  const path = storePath(t);
  fill(path);
  const database = new DatabaseSync(path);
  database.exec("UPDATE snapshots SET bytes = substr(bytes, 1, 80)");
  database.close();
  const { snapshots } = look(path, "acme");
  assert.match(snapshots[0]!.damage!, /the snapshot of acme is cut off/);
  assert.equal(snapshots[0]!.stateHash, undefined);
});
