/** The real host, real components, a real file: what is recovered is what would have been. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type TestContext } from "node:test";
import { Committer, durableBytes } from "#durable/committer.ts";
import { recover, type RecoveryReport } from "#durable/recovery.ts";
import { reachOf } from "#durable/snapshot.ts";
import { SqliteStore } from "#durable/sqlite-store.ts";
import { createRing, RingReader, RingWriter } from "#std/byte-ring.ts";
import { Random } from "#std/random.ts";
import { writeBatch } from "#testing/batch.ts";
import { SEED } from "#testing/seed.ts";
import { type Fate, flipAndOpen, type Opened } from "./bit-flips.ts";
import { DurableHost, WORLD } from "./durable-host.ts";

const START_MS = 1_795_000_000_000;
const TENANTS = 40;
const WORDS = ["boss", "fight", "gg", "patch", "login", "error", "nice", "refund", "late", "rain"];

type Turn = {
  readonly name: string;
  readonly batch: Uint8Array | undefined;
  readonly nowMs: number;
};

function randomTurn(random: Random, nowMs: number): Turn {
  const name = `t${Math.floor(TENANTS * random.unit() ** 2)}`;
  if (random.unit() < 0.1) return { name, batch: undefined, nowMs };
  const events = Array.from({ length: 1 + random.below(8) }, () => ({
    tsMs: nowMs - random.below(90_000),
    user: `u${random.below(200)}`,
    id: random.unit() < 0.3 ? `id${random.below(50)}` : "",
    conversation: random.unit() < 0.3 ? `c${random.below(9)}` : "",
    text: Array.from({ length: 3 + random.below(9) }, () => WORDS[random.below(10)]!).join(" "),
    metrics: random.unit() < 0.2 ? [{ name: "latency", value: random.unit() * 100 }] : [],
  }));
  return { name, batch: writeBatch(events, nowMs), nowMs };
}

function play(host: DurableHost, { name, batch, nowMs }: Turn): void {
  if (batch === undefined) host.advance(name, nowMs);
  else host.ingest(name, batch);
}

/** What would have been: all durable turns, in one host, without a store. */
function undisturbed(turns: readonly Turn[]): Map<string, string> {
  const host = new DurableHost(undefined, 1, TENANTS, 7);
  for (const turn of turns) {
    play(host, turn);
    host.log.seal(0);
  }
  return host.hashes();
}

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "nexuscore-recovery-"));
  t.after(() => rmSync(path, { recursive: true }));
  return join(path, "a.db");
}

class Run {
  readonly store: SqliteStore;
  readonly host: DurableHost;
  readonly committer: Committer;
  readonly stream: number;

  constructor(path: string) {
    this.store = new SqliteStore(path);
    this.stream = this.store.beginRun(1)[0]!;
    const ring = createRing(32 << 20);
    const durable = new Int32Array(new SharedArrayBuffer(durableBytes(1)));
    this.host = new DurableHost(new RingWriter(ring), this.stream, TENANTS, 6);
    const streams = [{ stream: this.stream, ring: new RingReader(ring) }];
    this.committer = new Committer({ log: this.store, streams, durable, wake: () => undefined });
  }

  /** From what is in the file, as a start does it. */
  recover(): RecoveryReport {
    const streams = this.store.streams().filter(({ stream }) => stream !== this.stream);
    const report = recover({
      store: this.store,
      streams,
      worlds: [WORLD],
      isOurs: () => true,
      restore: (tenant, _world, snapshot) => this.host.restore(tenant, snapshot),
      replay: (tenant, entry) => this.host.replay(tenant, entry),
    });
    this.host.goOn(this.stream - 1);
    return report;
  }
}

test("after any crash the tenants are those of the turns that are on disk", async (t) => {
  const path = folder(t);
  const random = new Random(SEED);
  let durable: Turn[] = [];
  let nowMs = START_MS;
  let snapshots = 0;
  let trimmed = 0;
  for (let life = 0; life < 12; life++) {
    const run = new Run(path);
    const report = run.recover();
    assert.deepEqual(report.gaps, []);
    assert.deepEqual(report.damaged, []);
    assert.deepEqual(run.host.hashes(), sortedLike(run.host, undisturbed(durable)));
    let pending: Turn[] = [];
    const steps = 5 + random.below(60);
    for (let step = 0; step < steps; step++) {
      nowMs += random.below(4_000);
      for (let count = random.below(6); count > 0; count--) {
        const turn = randomTurn(random, nowMs);
        play(run.host, turn);
        pending.push(turn);
      }
      run.host.seal(nowMs);
      run.host.snapshot(random.below(4));
      if (random.unit() < 0.6) {
        while ((await run.committer.step()) === "done");
        durable = [...durable, ...pending];
        pending = [];
      }
    }
    snapshots += run.host.snapshotCount;
    trimmed += run.store.streams().at(-1)!.trimmed;
    run.store.close(); // What is in the ring and in memory is gone, as with the process.
  }
  assert.ok(snapshots > 100 && trimmed > 20, `${snapshots} snapshots, ${trimmed} blocks trimmed`);
});

function sortedLike(host: DurableHost, hashes: Map<string, string>): Map<string, string> {
  return new Map(host.names.map((name) => [name, hashes.get(name)!]));
}

test("a damaged snapshot gives way to the one before it and the log, or is named", async (t) => {
  const path = folder(t);
  const random = new Random(11);
  const run = new Run(path);
  const turns: Turn[] = [];
  for (let step = 0; step < 120; step++) {
    for (let count = 0; count < 4; count++) {
      const turn = randomTurn(random, START_MS + step * 1_000);
      play(run.host, turn);
      turns.push(turn);
    }
    run.host.seal(0);
    run.host.snapshot(3);
    while ((await run.committer.step()) === "done");
  }
  const { trimmed, last } = run.store.streams()[0]!;
  assert.ok(trimmed > 0.7 * last, `${trimmed} of ${last} blocks are trimmed`);
  run.store.close();
  const expected = undisturbed(turns);
  const fates = { repaired: 0, older: 0, lost: 0 };
  for (let tenant = 0; tenant < TENANTS; tenant++) {
    const name = `t${tenant}`;
    const restoreFile = damageNewest(path, name);
    if (restoreFile === undefined) continue;
    const again = new Run(path);
    const { damaged, gaps } = again.recover();
    assert.deepEqual(gaps, []);
    assert.equal(damaged.length, 1);
    fates[damaged[0]!.fate] += 1;
    for (const [other, hash] of again.host.hashes()) {
      if (other === name && damaged[0]!.fate !== "repaired")
        assert.notEqual(hash, expected.get(name));
      else assert.equal(hash, expected.get(other), `${other} with ${name} ${damaged[0]!.fate}`);
    }
    again.store.close();
    restoreFile();
  }
  t.diagnostic(JSON.stringify(fates));
  assert.deepEqual(fates, { repaired: TENANTS, older: 0, lost: 0 });
});

test("a log that is cut off at its end is what it was; a hole in it is no end", async (t) => {
  const path = folder(t);
  const random = new Random(SEED);
  const run = new Run(path);
  const turns: Turn[] = [];
  const blockEnds: number[] = [];
  for (let step = 0; step < 30; step++) {
    for (let count = 1 + random.below(5); count > 0; count--) {
      const turn = randomTurn(random, START_MS + step * 1_000);
      play(run.host, turn);
      turns.push(turn);
    }
    blockEnds[run.host.seal(0)] = turns.length;
    run.host.snapshot(step % 9 === 0 ? 2 : 0);
    while ((await run.committer.step()) === "done");
  }
  const { stream, trimmed, last } = run.store.streams()[0]!;
  run.store.close();
  assert.ok(last > trimmed + 4, `${trimmed} of ${last} blocks are trimmed`);

  const mend = damageBlock(path, stream, last);
  const cut = new Run(path);
  const report = cut.recover();
  assert.deepEqual([report.gaps, report.damaged], [[], []]);
  assert.deepEqual(
    report.torn.map((each) => [each.stream, each.number]),
    [[stream, last]],
  );
  const expected = undisturbed(turns.slice(0, blockEnds[last - 1]));
  assert.deepEqual(cut.host.hashes(), sortedLike(cut.host, expected));
  cut.store.close();
  mend();

  damageBlock(path, stream, last - 2);
  const holed = new Run(path);
  assert.throws(() => holed.recover(), /this is no torn end/);
  holed.store.close();
});

/** Flips a bit of the block; what is returned flips it back. */
function damageBlock(path: string, stream: number, number: number): () => void {
  const flip = (): void => {
    const outside = new DatabaseSync(path);
    const where = "WHERE stream = ? AND number = ?";
    const row = outside.prepare(`SELECT bytes FROM log ${where}`).get(stream, number);
    const bytes = Uint8Array.from(row?.["bytes"] as Uint8Array);
    bytes[bytes.length - 3]! ^= 16;
    outside.prepare(`UPDATE log SET bytes = ? ${where}`).run(bytes, stream, number);
    outside.exec("DELETE FROM streams WHERE run > 1");
    outside.close();
  };
  flip();
  return flip;
}

const FLIPS = 100;

test("a bit that is flipped anywhere in the store is no wrong answer", async (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const whole = folder(t);
  const random = new Random(SEED);
  const run = new Run(whole);
  const turns: Turn[] = [];
  for (let step = 0; step < 80; step++) {
    for (let count = 0; count < 4; count++) {
      const turn = randomTurn(random, START_MS + step * 1_000);
      play(run.host, turn);
      turns.push(turn);
    }
    run.host.seal(0);
    run.host.snapshot(2);
    while ((await run.committer.step()) === "done");
  }
  run.store.close();
  const expected = undisturbed(turns);
  const fates: Record<Fate, number> = { same: 0, named: 0, refused: 0 };
  for (let flip = 0; flip < FLIPS; flip++) {
    const { fate } = flipAndOpen(whole, join(whole, "..", "b.db"), random, expected, openRun);
    fates[fate] += 1;
  }
  t.diagnostic(JSON.stringify(fates));
  assert.ok(fates.same > 0, "bits of nothing are flipped, too");
});

function openRun(path: string): Opened {
  const run = new Run(path);
  try {
    const { damaged, gaps, torn } = run.recover();
    const lost = damaged.flatMap(({ tenant, fate }) => (fate === "repaired" ? [] : [tenant]));
    return {
      hashes: run.host.hashes(),
      named: new Set([...gaps, ...lost]),
      isTorn: torn.length > 0,
    };
  } finally {
    run.store.close();
  }
}

/** Flips a bit of the tenant's newest snapshot; what is returned flips it back. */
function damageNewest(path: string, name: string): (() => void) | undefined {
  const outside = new DatabaseSync(path);
  const rows = outside
    .prepare(
      "SELECT at, bytes FROM snapshots WHERE at >> 4 = (SELECT id FROM tenants WHERE name = ?)",
    )
    .all(name) as { at: number; bytes: Uint8Array }[];
  const reach = ({ bytes }: { bytes: Uint8Array }): number => reachOf(bytes).number;
  const [newest] = rows.toSorted((a, b) => reach(b) - reach(a));
  const write = (bytes: Uint8Array, at: number): void => {
    const database = new DatabaseSync(path);
    database.prepare("UPDATE snapshots SET bytes = ? WHERE at = ?").run(bytes, at);
    database.exec("DELETE FROM streams WHERE run > 1");
    database.close();
  };
  outside.close();
  if (newest === undefined) return undefined;
  const damaged = Uint8Array.from(newest.bytes);
  damaged[90]! ^= 4;
  write(damaged, newest.at);
  return () => write(newest.bytes, newest.at);
}
