// A shard with its log on one thread: the test is the I/O thread, and says when the writer writes.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import test, { type TestContext } from "node:test";
import { Batcher } from "#batcher/batcher.ts";
import { Committer, durableBytes, STATES } from "#durable/committer.ts";
import { SqliteStore } from "#durable/sqlite-store.ts";
import { StorageBoard } from "#durable/storage-board.ts";
import { BlockReader } from "#durable/turn-log.ts";
import { IsolateHost } from "#isolate/host.ts";
import { INGEST_ENTRY } from "#isolate/journal.ts";
import { END_REVIEW_ENTRY } from "#isolate/moderator-instance.ts";
import { componentDigest } from "#isolate/tenant-host.ts";
import { LOG_RING_BYTES, RING_BYTES } from "#model/limits.ts";
import { VerdictIds } from "#model/verdict-id.ts";
import { createRing, RingReader, RingWriter } from "#std/byte-ring.ts";
import { FakeGateway } from "#testing/fake-gateway.ts";
import { GlassModeratorHost, moderatorComponent, requestBytes } from "#testing/moderating.ts";
import {
  type Answer,
  FLAG_LAST,
  RECORD_LINES,
  RECORD_MESSAGES,
  RECORD_QUESTION,
  ShardCounters,
  type ShardLog,
  type ShardRecovery,
  tenantsTakenBytes,
  writeRecord,
} from "./protocol.ts";
import { MODERATOR_WORLD, SUMMARIZER_WORLD } from "./replay.ts";
import { Shard } from "./shard.ts";
import { LoggedTurns } from "./shard-log.ts";
import { lastNumberOf, openKept, recoverShard } from "./shard-recovery.ts";
import { TenantCap } from "./tenant-cap.ts";

const COMPONENT = readFileSync(
  new URL("../../guests/dist/summarize.component.wasm", import.meta.url),
);
const MODERATOR = moderatorComponent("hostile-moderator");
const LIMITS = { slotCount: 4, imageBytesMax: 64 << 20, tenantCountMax: 64 };
const NOW_MS = 1_700_000_000_000;
const LINE = '{"user":"ada","text":"the boss fight is on, and it is a long one"}\n';
/** About what the I/O thread puts into one record. */
const LINES = LINE.repeat(900);

/** One life of a process; what it leaves behind is in the file. */
class Life {
  readonly shard: Shard;
  readonly turns: LoggedTurns;
  readonly committer: Committer;
  readonly store: SqliteStore;
  readonly recovery: ShardRecovery;
  readonly stream: number;
  readonly logRing: SharedArrayBuffer;
  readonly durable: Int32Array;
  readonly #ring: RingWriter;
  #request = 0;
  nowMs = NOW_MS;

  constructor(t: TestContext, path: string, own: Partial<typeof LIMITS> = {}) {
    const limits = { ...LIMITS, ...own };
    const { tenantCountMax } = limits;
    this.store = new SqliteStore(path);
    this.stream = this.store.beginRun(1)[0]!;
    this.logRing = createRing(LOG_RING_BYTES);
    this.durable = new Int32Array(new SharedArrayBuffer(durableBytes(1)));
    const gateway = new FakeGateway();
    t.after(() => gateway.close());
    const summarizer = this.store.keepComponent(componentDigest(COMPONENT), COMPONENT);
    const moderator = this.store.keepComponent(componentDigest(MODERATOR), MODERATOR);
    const shared: ShardLog = {
      path,
      ack: "disk",
      logBytesMax: 1 << 30,
      recoveryMsMax: 600_000,
      datagramLog: false,
      ring: this.logRing,
      bell: new Int32Array(new SharedArrayBuffer(4)),
      durable: this.durable,
      board: StorageBoard.create(1),
      stream: this.stream,
      isAgain: false,
      components: { summarizer, moderator },
      shardCount: 1,
    };
    const batcher = new Batcher({ tenantCountMax });
    const kept = openKept(shared, 0);
    this.turns = new LoggedTurns({
      shared,
      shard: 0,
      tenantCountMax,
      nameOf: (tenant) => batcher.tenantName(tenant),
      lastNumber: lastNumberOf(kept, this.stream),
    });
    const host = new IsolateHost({ ...limits, guarded: false, sink: this.turns.summarizer });
    const judges = new GlassModeratorHost({ ...limits, sink: this.turns.moderator });
    const ring = createRing(RING_BYTES);
    this.#ring = new RingWriter(ring);
    this.shard = new Shard({
      shard: 0,
      ring: new RingReader(ring),
      batcher,
      host,
      component: host.admit(COMPONENT),
      counters: new ShardCounters(new SharedArrayBuffer(ShardCounters.BYTES)),
      cap: new TenantCap(new SharedArrayBuffer(tenantsTakenBytes(1)), 0, tenantCountMax),
      moderation: {
        host: judges,
        component: judges.admit(MODERATOR),
        ids: new VerdictIds({ shard: 0, incarnation: 0, salt: 0 }),
        gateway: gateway.port,
        sendMs: 0,
      },
      log: this.turns,
    });
    const { shard, turns } = this;
    this.recovery = recoverShard({ shared, shard, turns, store: kept, imports: "" });
    this.committer = new Committer({
      log: this.store,
      streams: [{ stream: this.stream, ring: new RingReader(this.logRing) }],
      durable: this.durable,
      wake: () => undefined,
    });
  }

  send(kind: number, body: string | Uint8Array, tenant = ""): number {
    this.#request += 1;
    const header = { kind, request: this.#request, flags: FLAG_LAST, arrivedMs: this.nowMs };
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    assert(writeRecord(this.#ring, { ...header, tenant: Buffer.from(tenant) }, bytes));
    return this.#request;
  }

  /** A message about which an upstream is to be asked. */
  judge(tenant: string, text: string): void {
    const bytes = requestBytes({ text, conversation: "c", user: "ada", tsMs: this.nowMs });
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32LE(bytes.length);
    this.send(RECORD_MESSAGES, Buffer.concat([prefix, bytes]), tenant);
  }

  step(): readonly Answer[] {
    const made = this.shard.step(this.nowMs);
    this.turns.seal(this.nowMs);
    this.turns.snapshot(this.shard, 1);
    return this.turns.release(made, this.nowMs);
  }

  async commit(): Promise<void> {
    while ((await this.committer.step()) === "done");
  }

  /** Entries of this life's stream that are on disk. */
  entries(world: number, kind: number): number {
    const reader = new BlockReader();
    let count = 0;
    for (const block of this.store.blocks(this.stream, 1)) {
      reader.open(block);
      while (reader.next()) if (reader.world === world && reader.kind === kind) count += 1;
    }
    return count;
  }

  eventCount(tenant: string): number {
    this.send(RECORD_QUESTION, JSON.stringify({ type: "tenant", tenant }));
    const [answer] = this.step();
    assert(answer?.type === "value");
    return (answer.value as { eventCount: number }).eventCount;
  }

  end(): void {
    this.store.close();
  }
}

test("a disk stands still: what finds no room is refused, all else goes on", async (t) => {
  const path = pathOf(t);
  const life = new Life(t, path);
  let taken = 0;
  let refused: Answer | undefined;
  for (let round = 0; refused === undefined && round < 2_000; round++) {
    const request = life.send(RECORD_LINES, LINES, "acme");
    for (const answer of life.step()) {
      assert.equal(answer.type, "problem");
      assert.equal(answer.request, request);
      refused = answer;
    }
    if (refused === undefined) taken += 900;
  }
  assert(refused?.type === "problem" && refused.code === "busy");
  assert(taken > 10_000);
  // What changes nothing that was promised goes on.
  assert.equal(life.eventCount("acme"), taken);
  life.judge("acme", "hello");
  assert.equal(life.step().length, 1);
  await life.commit();
  assert.equal(life.step().length, taken / 900);
  assert.equal(life.turns.isHolding, false);
  life.send(RECORD_LINES, LINES, "acme");
  assert.equal(life.step().length, 0);
  await life.commit();
  assert.equal(life.step().length, 1);
  life.end();
  const next = new Life(t, path);
  assert.deepEqual([next.recovery.gaps, next.recovery.lost], [[], []]);
  assert.equal(next.eventCount("acme"), taken + 900);
  next.end();
});

test("who waits for a disk that fails is told after a while that nobody knows", (t) => {
  const life = new Life(t, pathOf(t));
  life.send(RECORD_LINES, LINE, "acme");
  assert.equal(life.step().length, 0);
  life.nowMs += 60_000;
  assert.equal(life.step().length, 0, "it may only be slow");
  Atomics.store(life.durable, life.durable.length - 1, STATES.indexOf("failed"));
  const [answer] = life.step();
  assert(answer?.type === "problem" && answer.code === "storageUnavailable");
  assert.equal(life.turns.isHolding, false);
  life.end();
});

for (const isSnapshotted of [false, true]) {
  const where = isSnapshotted ? "a snapshot" : "the log";
  test(`a review that was open in ${where} is interrupted by a start, once`, async (t) => {
    const path = pathOf(t);
    const first = new Life(t, path);
    first.judge("acme", "?!! shall we");
    first.step();
    assert.equal(first.shard.openReviewCount, 1);
    if (isSnapshotted) first.turns.finish(first.shard, Date.now() + 10_000);
    await first.commit();
    first.end();
    const second = new Life(t, path);
    assert.equal(second.recovery.replayedCount === 0, isSnapshotted);
    second.step();
    await second.commit();
    assert.equal(second.entries(MODERATOR_WORLD, END_REVIEW_ENTRY), 1);
    assert.deepEqual(second.shard.takeReviews(), []);
    second.end();
    const third = new Life(t, path);
    third.step();
    await third.commit();
    assert.equal(third.entries(MODERATOR_WORLD, END_REVIEW_ENTRY), 0);
    assert.deepEqual(third.recovery.gaps, []);
    third.end();
  });
}

test("what is not logged comes back with the next snapshot, and not without", async (t) => {
  const path = pathOf(t);
  const first = new Life(t, path);
  first.send(RECORD_LINES, LINE, "acme");
  first.step();
  first.turns.isLogging = false;
  first.send(RECORD_LINES, LINE, "acme");
  first.step();
  first.turns.isLogging = true;
  await first.commit();
  assert.equal(first.entries(SUMMARIZER_WORLD, INGEST_ENTRY), 1);
  assert.equal(first.eventCount("acme"), 2);
  first.end();
  const second = new Life(t, path);
  assert.equal(second.eventCount("acme"), 1);
  second.turns.isLogging = false;
  second.send(RECORD_LINES, LINE, "acme");
  second.send(RECORD_LINES, LINE, "new");
  second.step();
  second.turns.isLogging = true;
  second.turns.finish(second.shard, Date.now() + 10_000);
  await second.commit();
  second.end();
  const third = new Life(t, path);
  assert.equal(third.eventCount("acme"), 2);
  assert.equal(third.eventCount("new"), 1);
  third.end();
});

test("what a start made again stays in the log while an older snapshot needs it", async (t) => {
  const path = pathOf(t);
  const first = new Life(t, path);
  first.send(RECORD_LINES, LINE, "acme");
  first.step();
  first.turns.finish(first.shard, Date.now() + 10_000);
  first.send(RECORD_LINES, LINE, "acme");
  first.step();
  await first.commit();
  first.end();
  const second = new Life(t, path);
  assert(second.recovery.replayedCount > 0);
  // A pass begins, and goes on with the next step.
  second.step();
  second.turns.hurry();
  second.send(RECORD_LINES, LINE, "acme");
  for (let step = 0; step < 4; step++) {
    second.step();
    await second.commit();
    assert.equal(countWithoutNewest(t, path, step), 3);
  }
  assert.deepEqual([...new Set(second.store.streams().map(({ run }) => run))], [2]);
  second.end();
});

test("whose turns do not go on is told by name", async (t) => {
  const path = pathOf(t);
  const first = new Life(t, path);
  for (const tenant of ["acme", "other"]) first.send(RECORD_LINES, LINE, tenant);
  first.step();
  first.turns.finish(first.shard, Date.now() + 10_000);
  for (const tenant of ["acme", "other"]) first.send(RECORD_LINES, LINE, tenant);
  first.step();
  await first.commit();
  first.end();
  const outside = new DatabaseSync(path);
  const own = "SELECT id FROM tenants WHERE name = 'acme'";
  outside.exec(`DELETE FROM snapshots WHERE at / 16 = (${own})`);
  outside.exec("DELETE FROM log WHERE number = 1; UPDATE streams SET trimmed = 1");
  outside.close();
  const second = new Life(t, path);
  assert.deepEqual([second.recovery.gaps, second.recovery.lost], [["acme"], ["acme"]]);
  assert.equal(second.eventCount("other"), 2);
  second.end();
});

/** What a start makes of the store if the newest snapshot in it is damaged. */
function countWithoutNewest(t: TestContext, path: string, step: number): number {
  const copy = join(dirname(path), `copy-${step}.db`);
  const source = new DatabaseSync(path, { readOnly: true });
  source.exec(`VACUUM INTO '${copy}'`);
  source.close();
  const damaged = new DatabaseSync(copy);
  const newest = "SELECT at FROM snapshots ORDER BY stream DESC, number DESC, at LIMIT 1";
  damaged.exec(`UPDATE snapshots SET bytes = x'00' WHERE at = (${newest})`);
  damaged.close();
  const life = new Life(t, copy);
  const count = life.eventCount("acme");
  assert.deepEqual([life.recovery.gaps, life.recovery.lost], [[], []]);
  life.end();
  return count;
}

for (const { own, isSnapshotted, words } of [
  { own: { tenantCountMax: 1 }, isSnapshotted: false, words: /the 1 of tenantCountMax/ },
  { own: { tenantCountMax: 1 }, isSnapshotted: true, words: /the 1 of tenantCountMax/ },
  { own: { imageBytesMax: 1 }, isSnapshotted: false, words: /share of imageBytesMax/ },
] as const) {
  const where = isSnapshotted ? "snapshots" : "the log";
  test(`a start says that ${where} find no room with ${JSON.stringify(own)}`, async (t) => {
    const path = pathOf(t);
    const first = new Life(t, path);
    first.send(RECORD_LINES, LINE, "acme");
    first.send(RECORD_LINES, LINE, "other");
    first.step();
    if (isSnapshotted) first.turns.finish(first.shard, Date.now() + 10_000);
    await first.commit();
    first.end();
    assert.throws(() => new Life(t, path, own), words);
  });
}

function pathOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-shard-log-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "state.db");
}
