import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { sealSnapshot, snapshotBytes } from "./snapshot.ts";
import { SqliteStore } from "./sqlite-store.ts";

const [OLDEST, OLDER, TODAYS] = [1, 2, 3].map((each) => Buffer.alloc(32, each)) as [
  Buffer,
  Buffer,
  Buffer,
];

function snapshotOf(number: number, component: Buffer): Uint8Array {
  const bytes = new Uint8Array(snapshotBytes(0, 5));
  const parts = { stream: 1, number, component, flags: 0, strikes: 0 };
  sealSnapshot({ ...parts, ledger: new Float64Array(0), image: Buffer.from("image") }, bytes);
  return bytes;
}

test("a component goes once neither generation of any image names it", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-sweep-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const store = new SqliteStore(join(folder, "a.db"));
  t.after(() => store.close());
  const [oldest, older, todays] = [OLDEST, OLDER, TODAYS].map((digest) =>
    store.keepComponent(digest, Buffer.from("bytes")),
  ) as [number, number, number];
  const put = (tenant: number, number: number, component: Buffer): void => {
    const snapshot = { tenant: `tenant-${tenant}`, world: 1, bytes: snapshotOf(number, component) };
    store.commitNow({ blocks: [], trims: [], forgotten: [], snapshots: [snapshot] });
  };
  const swept = (kept: number[]): { steps: number; dropped: number } => {
    store.sweep.begin(kept);
    let [steps, dropped] = [0, 0];
    for (; store.sweep.isUnderWay; steps++) dropped += store.sweep.step();
    return { steps, dropped };
  };
  // The last one of a hundred has moved, and its older image names what it ran before.
  for (let tenant = 0; tenant < 100; tenant++) put(tenant, 1, TODAYS);
  put(100, 1, OLDER);
  put(100, 2, TODAYS);
  const first = swept([todays]);
  assert.equal(first.dropped, 1, "nobody names the oldest");
  assert.ok(first.steps > 2, "some rows at a time");
  assert.equal(store.component(oldest), undefined);
  assert.ok(store.component(older) !== undefined);
  assert.equal(swept([todays, older]).steps, 0, "what is needed is not looked for");
  put(100, 3, TODAYS);
  assert.equal(swept([todays]).dropped, 1);
  assert.equal(store.component(OLDER), undefined);
  assert.equal(swept([todays]).steps, 0);
  // Numbers are not given twice: turns may name them.
  assert.ok(store.keepComponent(OLDER, Buffer.from("bytes")) > todays);
});
