/**
 * The kernel stage from socket to batches, three ways in: the eBPF filter, recvmmsg, and one
 * datagram at a time. What needs a privilege or a kernel feature is skipped where it is missing,
 * with its name.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { INDEX_TERM } from "#model/datagram.ts";
import { Random } from "#std/random.ts";
import {
  sampleRecord,
  tenantIndexes,
  termEntry,
  type TestRecord,
  TestSender,
  weightRecord,
} from "#testing/datagrams.ts";
import { tally, type TenantBatch, TestStage, type Way, wayMissing } from "#testing/stage.ts";

const WAYS: readonly Way[] = ["kernel", "recvmmsg", "dgram"];
const SKIPS = new Map(WAYS.map((way) => [way, wayMissing(way)] as const));

function everyWay(name: string, run: (way: Way) => void): void {
  for (const way of WAYS) test(`${way}: ${name}`, { skip: SKIPS.get(way)! }, () => run(way));
}

const [ACME, GLOBEX, INITECH] = tenantIndexes(["acme", "globex", "initech"]) as [
  number,
  number,
  number,
];
const NAMES = [
  [ACME, "acme"],
  [GLOBEX, "globex"],
  termEntry(0, "pizza"),
  termEntry(1, "größe"),
  termEntry(2, "latency"),
] as const;

everyWay("records become sums by tenant and term, samples stay single", (way) => {
  using stage = new TestStage(way);
  const sender = new TestSender(7n);
  stage.send(
    sender.dictionary(NAMES),
    sender.records([
      weightRecord(ACME, 0, 1),
      weightRecord(GLOBEX, 1, 5),
      weightRecord(ACME, 0, 70_000),
      weightRecord(ACME, 1, 2),
      sampleRecord(ACME, 2, 25),
      sampleRecord(ACME, 2, 4_294_967_295),
    ]),
    sender.records([weightRecord(ACME, 0, 1)]),
  );
  const batches = stage.turn();
  assert.deepEqual(Object.fromEntries(tally(batches)), {
    "acme pizza": 70_002,
    "acme größe": 2,
    "acme latency samples": [25, 4_294_967_295],
    "globex größe": 5,
  });
  const { shards, senders, kernel, user } = stage.stats;
  assert.equal(shards.deliveredCount, 7);
  assert.equal(kernel.records + user.records, 7);
  assert.equal(way === "kernel" ? kernel.datagrams : user.datagrams, 2);
  assert.deepEqual(senders, { count: 1, datagrams: 3, records: 7, lost: 0, repeated: 0 });
  // Two that met in a slot crossed as one.
  assert.equal(stage.stats.absorbedShare, 1 - 6 / 7);
  assert.deepEqual(stage.turn(), [], "nothing is delivered twice");
});

everyWay("hot keys keep their slots, whatever comes between", (way) => {
  using stage = new TestStage(way, { shardCount: 1, slotBits: 9 });
  const sender = new TestSender(7n);
  const hot = [weightRecord(ACME, 0, 1), weightRecord(ACME, 1, 1)];
  const cold = Array.from({ length: 2_000 }, (_, i) => weightRecord(ACME, 100 + i, 1));
  stage.send(
    sender.dictionary([...NAMES, ...cold.map(({ term }) => termEntry(term, `cold-${term}`))]),
    sender.records([...hot, ...hot]),
    ...cold.map((record) => sender.records([record, ...hot])),
  );
  const sums = tally(stage.turn());
  assert.deepEqual([sums.get("acme pizza"), sums.get("acme größe")], [2_002, 2_002]);
  assert.equal(sums.size, 2_002);
  const { drainedRecords, drainedCount } = stage.stats.shards;
  assert.equal(drainedCount, 6_004);
  // Each hot key crosses once a column, and once more at most: evicted while it had counted one.
  assert(drainedRecords <= cold.length + 2 * 2 * 2, `${drainedRecords} records`);
});

everyWay("a weight beyond what an event takes becomes several events", (way) => {
  using stage = new TestStage(way);
  const sender = new TestSender(7n);
  const records = Array.from({ length: 40 }, () => weightRecord(ACME, 0, 1_000_000));
  stage.send(sender.dictionary(NAMES), sender.records(records));
  assert.equal(tally(stage.turn()).get("acme pizza"), 40_000_000);
  assert.equal(stage.stats.shards.deliveredEvents, 40);
});

everyWay("records wait for their names, and are given up when these never come", (way) => {
  using stage = new TestStage(way);
  const sender = new TestSender(7n);
  stage.send(
    sender.records([
      weightRecord(ACME, 0, 3),
      weightRecord(ACME, 9, 1),
      weightRecord(INITECH, 0, 2),
    ]),
  );
  assert.deepEqual(stage.turn(), []);
  assert.equal(stage.stats.shards.heldCount, 3);
  stage.send(sender.dictionary(NAMES));
  assert.deepEqual([...tally(stage.turn())], [["acme pizza", 3]]);
  assert.equal(stage.stats.shards.heldCount, 2);
  for (let i = 0; i < 101; i++) assert.deepEqual(stage.turn(), []);
  const { heldCount, unknownCount, deliveredCount } = stage.stats.shards;
  assert.deepEqual([heldCount, unknownCount, deliveredCount], [0, 2, 1]);
});

everyWay("an index is bound once, belongs where its name says, and names are checked", (way) => {
  using stage = new TestStage(way);
  const sender = new TestSender(7n);
  stage.send(
    sender.dictionary(NAMES),
    sender.dictionary(NAMES),
    sender.dictionary([
      [ACME, "evil"],
      [ACME + 256, "acme"],
      [ACME ^ 1, "acme"],
      [GLOBEX + 512, "not a tenant"],
      [2 ** 20 + (ACME & 255), "acme"],
      termEntry(0, "poison"),
      termEntry(3, "\u0007"),
      termEntry(2 ** 22, "far"),
    ]),
  );
  stage.read();
  const { receiver } = stage.stats;
  assert.equal(receiver.entriesBound, NAMES.length + 1);
  assert.equal(receiver.entriesKnown, NAMES.length);
  assert.equal(receiver.entriesRebound, 1);
  // "evil" is placed elsewhere than "acme", or it would count as bound anew.
  assert.equal(receiver.entriesMisplaced, 2);
  assert.equal(receiver.entriesInvalid, 4);
  stage.send(sender.records([weightRecord(ACME, 0, 1)]));
  assert.deepEqual([...tally(stage.turn())], [["acme pizza", 1]]);
});

everyWay("a dictionary that does not fill its datagram is refused whole", (way) => {
  using stage = new TestStage(way);
  const sender = new TestSender(7n);
  const good = sender.dictionary(NAMES);
  const view = new DataView(good.buffer);
  for (const count of [0, NAMES.length - 1, NAMES.length + 1, 65_535]) {
    const bad = good.slice();
    new DataView(bad.buffer).setUint16(6, count, true);
    new DataView(bad.buffer).setBigUint64(
      16,
      view.getBigUint64(16, true) + BigInt(count) + 1n,
      true,
    );
    stage.send(bad);
  }
  stage.read();
  assert.equal(stage.stats.receiver.entriesBound, 0);
  assert.equal(stage.stats.refusedDatagrams.dictionaryMalformed, 4);
});

everyWay("every wrong datagram counts under its reason and costs nobody anything", (way) => {
  using stage = new TestStage(way);
  const sender = new TestSender(7n);
  const record = weightRecord(ACME, 0, 1);
  const good = sender.records([record, record]);
  const spoiled = (at: number, ...bytes: number[]): Uint8Array => {
    const copy = good.slice();
    copy.set(bytes, at);
    return copy;
  };
  stage.send(
    new Uint8Array(0),
    good.subarray(0, 31),
    spoiled(0, 0),
    spoiled(4, 2),
    spoiled(5, 0),
    spoiled(5, 3),
    spoiled(5, 255),
    spoiled(31, 1),
    spoiled(6, 3),
    spoiled(6, 1),
    spoiled(6, 0, 0),
    spoiled(6, 0xff, 0xff),
    good.subarray(0, 48),
    good.subarray(0, 63),
    new Uint8Array([...good, 0]),
    spoiled(8, 0),
    spoiled(22, 1, 1),
  );
  stage.send(sender.dictionary(NAMES), sender.records([record]));
  assert.deepEqual([...tally(stage.turn())], [["acme pizza", 1]]);
  assert.deepEqual(stage.stats.refusedDatagrams, {
    truncated: 2,
    magicWrong: 1,
    versionUnsupported: 1,
    kindUnsupported: 3,
    reservedSet: 1,
    lengthWrong: 7,
    senderInvalid: 1,
    senderLimit: 0,
    sequenceRange: 1,
    sequenceRepeated: 0,
    dictionaryMalformed: 0,
  });
});

everyWay("a record that is wrong leaves the rest of its datagram alone", (way) => {
  using stage = new TestStage(way);
  const sender = new TestSender(7n);
  const record = weightRecord(ACME, 0, 1);
  stage.send(
    sender.dictionary(NAMES),
    sender.records([
      record,
      weightRecord(2 ** 20, 0, 1),
      weightRecord(ACME, 2 ** 22, 1),
      { ...record, flags: 2 },
      { ...record, flags: 0x8000_0001 },
      weightRecord(ACME, 0, 0),
      weightRecord(ACME, 0, 1_000_001),
      sampleRecord(ACME, 2, 0),
      record,
    ]),
  );
  assert.deepEqual(Object.fromEntries(tally(stage.turn())), {
    "acme pizza": 2,
    "acme latency samples": [0],
  });
  const { indexRange, flagsUnknown, weightInvalid } = stage.stats.refusedRecords;
  assert.deepEqual([indexRange, flagsUnknown, weightInvalid], [2, 2, 2]);
});

everyWay("skipped numbers are loss, late ones are not, repeated ones are refused", (way) => {
  using stage = new TestStage(way);
  const sender = new TestSender(7n);
  const records = (sequence: number): Uint8Array => {
    sender.sequence = sequence;
    return sender.records([weightRecord(ACME, 0, 1)]);
  };
  const expected: [number, number, number][] = [];
  const step = (sequence: number): void => {
    stage.send(records(sequence));
    stage.read();
    const { datagrams, lost, repeated } = stage.stats.senders;
    expected.push([datagrams, lost, repeated]);
  };
  for (const sequence of [1_000, 1_001, 1_005, 1_003, 1_003, 1_005, 900, 1_030, 1_010, 1_011]) {
    step(sequence);
  }
  assert.deepEqual(expected, [
    [1, 0, 0],
    [2, 0, 0],
    [3, 3, 0],
    [4, 2, 0],
    [4, 2, 1],
    [4, 2, 2],
    [4, 2, 3],
    [5, 26, 3],
    [5, 26, 4],
    [6, 25, 4],
  ]);
  stage.send(sender.dictionary(NAMES));
  assert.equal(tally(stage.turn()).get("acme pizza"), 6);
  assert.equal(stage.stats.refusedDatagrams.sequenceRepeated, 4);
});

everyWay("more senders than a bucket takes are refused, not mixed up", (way) => {
  using stage = new TestStage(way);
  const count = 6_000;
  for (let id = 1n; id <= count; id++) {
    const sender = new TestSender(id);
    stage.send(sender.records([weightRecord(ACME, 0, 1)]));
    if (id % 40n === 0n) stage.read();
  }
  stage.read();
  const { senders, refusedDatagrams } = stage.stats;
  assert(senders.count > 2_000 && senders.count <= 4_096, `${senders.count} senders`);
  assert.equal(senders.count + refusedDatagrams.senderLimit, count);
});

everyWay("a flood of distinct keys fills logs, not memory, and every record is counted", (way) => {
  using stage = new TestStage(way, { slotBits: 10, logBits: 15 });
  const random = new Random(11);
  const sender = new TestSender(7n);
  let sent = 0;
  let delivered = 0;
  for (let step = 0; step < 30; step++) {
    for (let i = 0; i < 4; i++) {
      const records: TestRecord[] = [];
      for (let j = 0; j < 1_000; j++) {
        records.push(weightRecord(random.below(2 ** 20), random.below(2 ** 22), 1));
      }
      stage.send(sender.records(records));
      sent += records.length;
    }
    stage.turn();
  }
  stage.turn();
  stage.turn();
  const { shards, passedLostRecords } = stage.stats;
  delivered = shards.deliveredCount + shards.heldCount + shards.unknownCount;
  assert.equal(passedLostRecords, 0);
  assert.equal(delivered, sent);
  assert(shards.heldCount <= 2 * 65_536);
});

everyWay("tenants beyond the limit are refused by name, their records counted", (way) => {
  using stage = new TestStage(way);
  stage.tenantCountMax = 1;
  const sender = new TestSender(7n);
  const records = [ACME, GLOBEX, ACME, GLOBEX].map((tenant) => weightRecord(tenant, 0, 1));
  stage.send(sender.dictionary(NAMES), sender.records(records));
  assert.equal(tally(stage.turn()).size, 1);
  assert.equal(stage.stats.shards.deliveredCount, 2);
  assert.equal(stage.stats.shards.tenantLimitCount, 2);
});

test(
  "kernel: what its log has no room for reaches user space",
  { skip: SKIPS.get("kernel")! },
  () => {
    using stage = new TestStage("kernel", { slotBits: 10, logBits: 14 });
    const sender = new TestSender(7n);
    stage.send(sender.dictionary(NAMES));
    const records = Array.from({ length: 1_000 }, (_, i) => sampleRecord(ACME, 2, i));
    for (let i = 0; i < 12; i++) stage.send(sender.records(records));
    stage.read();
    const { kernel, user, passed, passedLostRecords } = stage.stats;
    assert(passed.records > 0, "the log is too short for all");
    assert.equal(user.records, passed.records);
    assert.equal(kernel.records + passed.records, 12_000);
    assert.equal(passedLostRecords, 0);
    const samples = tally(stage.turn()).get("acme latency samples") as number[];
    assert.equal(samples.length, 12_000);
  },
);

test(
  "kernel: two sockets on one port: the second is told",
  { skip: SKIPS.get("kernel")! },
  async () => {
    using stage = new TestStage("kernel");
    const { openEventSocket } = await import("#ingest/event-socket.ts");
    assert.throws(
      () => openEventSocket({ host: "127.0.0.1", port: stage.port, programFd: undefined }),
      /bind: EADDRINUSE/,
    );
  },
);

test("every way gives the same bytes for the same traffic", () => {
  const seed = Number(process.env["SEED"] ?? 4);
  const open = WAYS.filter((way) => SKIPS.get(way) === false);
  const runs = open.map((way) => replay(way, seed));
  for (const [i, run] of runs.entries()) {
    assert.deepEqual(run.batches, runs[0]!.batches, `${open[i]} and ${open[0]}, SEED=${seed}`);
    assert.deepEqual(run.books, runs[0]!.books, `${open[i]} and ${open[0]}, SEED=${seed}`);
    assert.deepEqual(sorted(tally(run.batches)), sorted(run.expected), `SEED=${seed}`);
  }
  assert(runs[0]!.batches.length > 300);
});

/** Seeded traffic of three senders with faults of every kind, and what must come of it. */
function replay(way: Way, seed: number) {
  using stage = new TestStage(way, { slotBits: 9 });
  const random = new Random(seed);
  const tenants = Array.from({ length: 60 }, (_, i) => `tenant-${i}`);
  const indexes = tenantIndexes(tenants);
  const terms = Array.from({ length: 200 }, (_, i) => `term ${i}`);
  const senders = [1n, 0xfedcn, 2n ** 64n - 1n].map((id) => new TestSender(id));
  const expected = new Map<string, number | number[]>();
  const batches: TenantBatch[] = [];
  for (const sender of senders) {
    stage.send(sender.dictionary(tenants.map((name, i) => [indexes[i]!, name] as const)));
    stage.send(sender.dictionary(terms.map((name, i) => [INDEX_TERM + i, name] as const)));
  }
  for (let step = 0; step < 200; step++) {
    const sender = senders[random.below(senders.length)]!;
    if (random.chance(1, 20)) sender.sequence += random.below(5);
    const repeat = random.chance(1, 10);
    const records: TestRecord[] = [];
    for (let i = random.below(400); i > 0; i--) {
      // Squares make some tenants and terms hot.
      const tenant = Math.floor(random.unit() ** 2 * tenants.length);
      const term = Math.floor(random.unit() ** 2 * terms.length);
      const key = `${tenants[tenant]} ${terms[term]}`;
      if (random.chance(1, 50)) {
        const sample = random.u32();
        records.push(sampleRecord(indexes[tenant]!, term, sample));
        const samples = (expected.get(`${key} samples`) as number[] | undefined) ?? [];
        samples.push(sample);
        expected.set(`${key} samples`, samples);
      } else if (random.chance(1, 40)) {
        records.push({ tenant: random.u32(), term: random.u32() | (2 ** 30), value: 1, flags: 0 });
      } else {
        const weight = random.chance(1, 30) ? random.below(1_000_000) + 1 : 1 + random.below(3);
        records.push(weightRecord(indexes[tenant]!, term, weight));
        expected.set(key, ((expected.get(key) as number | undefined) ?? 0) + weight);
      }
    }
    const datagram = sender.records(records);
    stage.send(datagram);
    if (repeat) stage.send(datagram);
    if (random.chance(1, 10)) stage.send(datagram.subarray(0, random.below(datagram.length)));
    if (random.chance(1, 12)) batches.push(...stage.turn());
  }
  batches.push(...stage.turn(), ...stage.turn());
  const { stats } = stage;
  const { refusedDatagrams, refusedRecords, senders: book, shards } = stats;
  const { deliveredCount, deliveredEvents, unknownCount } = shards;
  assert.equal(stats.kernel.records + stats.user.records, deliveredCount);
  const books = {
    refusedDatagrams,
    refusedRecords,
    book,
    deliveredCount,
    deliveredEvents,
    unknownCount,
  };
  return { batches, books, expected };
}

/** Samples of one drain come in order of value, not of time. */
function sorted(sums: ReadonlyMap<string, number | number[]>): Map<string, number | number[]> {
  const pairs = [...sums].map(([key, sum]) => {
    return [key, typeof sum === "number" ? sum : sum.toSorted((a, b) => a - b)] as const;
  });
  return new Map(pairs);
}
