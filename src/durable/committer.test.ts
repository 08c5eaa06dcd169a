import assert from "node:assert/strict";
import test from "node:test";
import {
  LOG_GROUP_BYTES_MAX,
  LOG_REST,
  LOG_REST_BYTES_MAX,
  LOG_REST_MS_MAX,
  LOG_RING_BYTES,
  LOG_SLOW_MS,
} from "#model/limits.ts";
import { createRing, RingReader, RingWriter } from "#std/byte-ring.ts";
import { Committer, durableBytes } from "./committer.ts";
import { type Group, type Log, type WriteFailureKind, WriteFailure } from "./durable-store.ts";
import { writeBlock, writeForget, writeSnapshot, writeTrim } from "./log-ring.ts";
import { openSnapshot } from "./snapshot.ts";
import { BlockReader, TurnLog } from "./turn-log.ts";

/** A disk that fails when it is told to, and takes the time that it is told. */
class TestDisk implements Log {
  readonly groups: Group[] = [];
  failure: WriteFailureKind | undefined;
  tookMs = 0;
  nowMs = 0;

  async commit(group: Group): Promise<void> {
    this.nowMs += this.tookMs;
    if (this.failure !== undefined) throw new WriteFailure(this.failure, "told to fail");
    this.groups.push(group);
  }

  blocks(): Iterable<never> {
    return [];
  }
}

function lab(shardCount: number, ringBytes = LOG_RING_BYTES) {
  const disk = new TestDisk();
  const woken: number[] = [];
  const rings = Array.from({ length: shardCount }, () => createRing(ringBytes));
  const durable = new Int32Array(new SharedArrayBuffer(durableBytes(shardCount)));
  const committer = new Committer({
    log: disk,
    streams: rings.map((ring, shard) => ({ stream: shard + 10, ring: new RingReader(ring) })),
    durable,
    wake: (shard) => woken.push(shard),
    clock: () => disk.nowMs,
  });
  const shards = rings.map((ring, shard) => ({
    ring: new RingWriter(ring),
    log: new TurnLog(shard + 10),
  }));
  return { disk, woken, durable, committer, shards };
}

type Shard = ReturnType<typeof lab>["shards"][number];

function put({ ring, log }: Shard, text: string): boolean {
  const body = Buffer.from(text);
  log.append(1, 2, 0, 0, 0, body, 0, body.length);
  log.publish();
  return writeBlock(ring, log.seal(1)!);
}

const numbersOf = ({ blocks }: Group): string[] =>
  blocks.map(({ stream, number }) => `${stream}:${number}`);

test("what waits of all shards is one group, and each shard learns how far it got", async () => {
  const { disk, woken, durable, committer, shards } = lab(3);
  assert.equal(await committer.step(), "idle");
  put(shards[0]!, "a");
  put(shards[2]!, "b");
  put(shards[2]!, "c");
  assert.equal(await committer.step(), "done");
  assert.deepEqual(disk.groups.map(numbersOf), [["10:1", "12:1", "12:2"]]);
  assert.deepEqual([durable[0], durable[2], durable[4]], [1, 0, 2]);
  assert.deepEqual(woken, [0, 2]);
  const reader = new BlockReader();
  reader.open(disk.groups[0]!.blocks[2]!);
  assert.ok(reader.next());
  assert.equal(reader.bytes[reader.bodyOffset], "c".charCodeAt(0));
});

test("snapshots, trims and deletions come along, after the blocks before them", async () => {
  const { disk, committer, shards } = lab(1);
  const { ring } = shards[0]!;
  put(shards[0]!, "a");
  const image = Buffer.from("an image");
  const ledger = Float64Array.of(1, 2, 3);
  const component = Buffer.alloc(32, 1);
  const snapshot = { stream: 10, number: 1, component, flags: 2, strikes: 0, ledger, image };
  assert.ok(writeSnapshot(ring, "acme:42", 1, snapshot));
  assert.ok(writeTrim(ring, 1, 1));
  assert.ok(writeForget(ring, "gone", 1));
  assert.equal(await committer.step(), "done");
  const [group] = disk.groups;
  assert.deepEqual(group!.trims, [{ stream: 10, number: 1, taken: 1 }]);
  assert.deepEqual(group!.forgotten, [{ tenant: "gone", stream: 10, number: 1 }]);
  const [stored] = group!.snapshots;
  assert.deepEqual([stored!.tenant, stored!.world], ["acme:42", 1]);
  const read = openSnapshot(stored!.bytes, "acme:42");
  assert.equal(Buffer.from(read.image).toString(), "an image");
  assert.deepEqual([...read.ledger], [1, 2, 3]);
});

test("while the disk fails nothing is lost and all are told; then all is written", async () => {
  const { disk, durable, committer, shards, woken } = lab(2);
  put(shards[0]!, "a");
  for (const kind of ["full", "readOnly", "failed"] as const) {
    disk.failure = kind;
    assert.equal(await committer.step(), "failed");
    assert.equal(committer.state, kind);
    put(shards[1]!, kind);
  }
  assert.deepEqual([durable[0], durable[2], woken.length], [0, 0, 0]);
  disk.failure = undefined;
  assert.equal(await committer.step(), "done");
  assert.equal(committer.state, "ok");
  assert.equal(await committer.step(), "done");
  assert.deepEqual(disk.groups.flatMap(numbersOf), ["10:1", "11:1", "11:2", "11:3"]);
  assert.deepEqual([durable[0], durable[2]], [1, 3]);
  assert.equal(committer.failureCount, 3);
});

test("another owner of the stream, or a bug, is no failure that passes", async () => {
  const { disk, committer, shards } = lab(1);
  put(shards[0]!, "a");
  disk.failure = "fenced";
  await assert.rejects(committer.step(), WriteFailure);
  const other = lab(1);
  other.disk.commit = async () => {
    throw new TypeError("a bug");
  };
  put(other.shards[0]!, "a");
  await assert.rejects(other.committer.step(), TypeError);
});

test("a slow disk says so, and that it is quick again", async () => {
  const { disk, committer, shards } = lab(1);
  disk.tookMs = LOG_SLOW_MS + 1;
  put(shards[0]!, "a");
  assert.equal(await committer.step(), "done");
  assert.equal(committer.state, "slow");
  disk.tookMs = 1;
  put(shards[0]!, "b");
  assert.equal(await committer.step(), "done");
  assert.equal(committer.state, "ok");
});

test("it rests in proportion to its last commit, unless much waits", async () => {
  const { disk, committer, shards } = lab(1);
  assert.equal(committer.restMs, 0);
  disk.tookMs = 1;
  put(shards[0]!, "a");
  await committer.step();
  assert.equal(committer.restMs, LOG_REST);
  disk.nowMs += LOG_REST - 1;
  assert.equal(committer.restMs, 1);
  disk.nowMs += 2;
  assert.equal(committer.restMs, 0);
  disk.tookMs = 400;
  put(shards[0]!, "b");
  await committer.step();
  assert.equal(committer.restMs, LOG_REST_MS_MAX);
  while (shards[0]!.ring.bytesUsed < LOG_REST_BYTES_MAX) put(shards[0]!, "x".repeat(300_000));
  assert.equal(committer.restMs, 0);
});

test("it rests no more once somebody has been alone for some groups", async () => {
  const { disk, committer, shards } = lab(1);
  disk.tookMs = 1;
  for (const restMs of [LOG_REST, LOG_REST, 0, 0]) {
    put(shards[0]!, "a");
    await committer.step();
    assert.equal(committer.restMs, restMs);
  }
  put(shards[0]!, "came meanwhile");
  assert.equal(committer.restMs, LOG_REST);
  put(shards[0]!, "and another one");
  await committer.step();
  assert.equal(committer.restMs, LOG_REST);
});

test("a flood of one shard leaves room for another's in the same group", async () => {
  const { disk, committer, shards } = lab(2);
  const text = "x".repeat(600_000);
  let count = 0;
  while (put(shards[0]!, text)) count += 1;
  put(shards[1]!, "the quiet one");
  assert.equal(await committer.step(), "done");
  const first = numbersOf(disk.groups[0]!);
  assert.equal(first.at(-1), "11:1");
  assert.ok(first.length - 1 <= LOG_GROUP_BYTES_MAX / 2 / text.length + 1);
  while ((await committer.step()) === "done");
  const all = disk.groups.flatMap(numbersOf).filter((name) => name.startsWith("10:"));
  assert.deepEqual(
    all,
    Array.from({ length: count }, (_, index) => `10:${index + 1}`),
  );
});
