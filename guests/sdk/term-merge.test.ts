// The merged terms of many streams, against exact sums.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { compileGuest } from "../summarize/testing/compile.ts";

type Probe = {
  memory: WebAssembly.Memory;
  LIST_ADDRESS: { readonly value: number };
  open(capacity: number): void;
  isTidy(): number;
  bytesFor(capacity: number): number;
  add(bytes: number): number;
  encode(limit: number): number;
};

const module = await compileGuest("guests/sdk/assembly/probes/term-merge.ts");
const probe = new WebAssembly.Instance(module, {}).exports as unknown as Probe;
const memory = Buffer.from(probe.memory.buffer);
const listAddress = probe.LIST_ADDRESS.value;

type Entry = { readonly key: string; readonly low: number; readonly high: number };
type List = { readonly entries: readonly Entry[]; readonly unlisted: number };

function encode({ entries, unlisted }: List): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32LE(entries.length, 0);
  head.writeDoubleLE(unlisted, 8);
  return Buffer.concat([head, ...entries.map(encodeEntry)]);
}

function encodeEntry({ key, low, high }: Entry): Buffer {
  const bytes = Buffer.from(key);
  const entry = Buffer.alloc(24 + Math.ceil(bytes.length / 8) * 8);
  entry.writeDoubleLE(low, 0);
  entry.writeDoubleLE(high, 8);
  entry.writeUInt16LE(bytes.length, 16);
  bytes.copy(entry, 24);
  return entry;
}

function decode(bytes: Buffer): List {
  const entries: Entry[] = [];
  let at = 16;
  while (at < bytes.length) {
    const keyBytes = bytes.readUInt16LE(at + 16);
    const key = bytes.toString("utf8", at + 24, at + 24 + keyBytes);
    entries.push({ key, low: bytes.readDoubleLE(at), high: bytes.readDoubleLE(at + 8) });
    at += 24 + Math.ceil(keyBytes / 8) * 8;
  }
  assert.equal(entries.length, bytes.readUInt32LE(0));
  assert.equal(at, bytes.length);
  return { entries, unlisted: bytes.readDoubleLE(8) };
}

function add(list: Buffer): boolean {
  list.copy(memory, listAddress);
  return probe.add(list.length) === 1;
}

function merged(lists: readonly List[], capacity: number, limit = capacity): List {
  probe.open(capacity);
  for (const list of lists) assert.ok(add(encode(list)));
  const length = probe.encode(limit);
  assert.equal(probe.isTidy(), 1);
  return decode(Buffer.from(memory.subarray(listAddress, listAddress + length)));
}

type Stream = { readonly counts: ReadonlyMap<string, number>; readonly list: List };

/** What was said in a stream, and a list of it as wide as it likes, but true. */
function randomStream(random: Random, keys: number): Stream {
  const counts = new Map<string, number>();
  const entries: Entry[] = [];
  let unlisted = random.below(3) === 0 ? random.below(20) : 0;
  for (let number = 0; number < keys; number++) {
    if (random.below(3) === 0) continue;
    const key = `${"term ".repeat(number % 8)}${number}`;
    const count = random.below(10) === 0 ? random.below(1_000_000) : random.below(50);
    counts.set(key, count);
    if (count === 0 || random.below(4) === 0) {
      unlisted = Math.max(unlisted, count);
      continue;
    }
    const low = random.below(2) === 0 ? count : random.below(count + 1);
    const high = random.below(2) === 0 ? count : count + random.below(100);
    entries.push({ key, low, high: random.below(500) === 0 ? Infinity : high });
  }
  return { counts, list: { entries, unlisted } };
}

function checkSums(streams: readonly Stream[], result: List, shown: string): number {
  const sums = new Map<string, number>();
  for (const { counts } of streams) {
    for (const [key, count] of counts) sums.set(key, (sums.get(key) ?? 0) + count);
  }
  const listed = new Map(result.entries.map((entry) => [entry.key, entry]));
  assert.equal(listed.size, result.entries.length, `${shown}: a term is listed once`);
  for (const [key, count] of sums) {
    const { low, high } = listed.get(key) ?? { low: 0, high: result.unlisted };
    assert.ok(low <= count && count <= high, `${shown}, ${key}: ${low} <= ${count} <= ${high}`);
  }
  for (const [index, { low }] of result.entries.entries()) {
    assert.ok(low <= (result.entries[index - 1]?.low ?? low), `${shown}: most first`);
  }
  return sums.size;
}

function shuffled<Item>(items: readonly Item[], random: Random): Item[] {
  return items
    .map((item) => ({ item, order: random.u32() }))
    .toSorted((left, right) => left.order - right.order)
    .map(({ item }) => item);
}

test("the merged interval of every term holds the true sum, however small the table", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const rounds = Number(process.env["ROUNDS"] ?? 400);
  let checks = 0;
  for (let round = 0; round < rounds; round++) {
    const random = new Random(seed + round);
    const keys = 1 + random.below(60);
    const streams = Array.from({ length: 1 + random.below(8) }, () => randomStream(random, keys));
    const capacity = [1, 2, 5, 20, 512][random.below(5)]!;
    const limit = random.below(2) === 0 ? capacity : 1 + random.below(capacity);
    const lists = streams.map(({ list }) => list);
    const shown = `SEED=${seed + round}`;
    checks += checkSums(streams, merged(lists, capacity, limit), shown);
    checks += checkSums(streams, merged(shuffled(lists, random), capacity, limit), shown);
  }
  assert.ok(checks > rounds * 20, `${checks} checks`);
});

test("while the table has room, neither order nor grouping changes anything", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = new Random(seed);
    const lists = Array.from({ length: 6 }, () => randomStream(random, 40).list);
    const all = merged(lists, 512);
    assert.deepEqual(merged(shuffled(lists, random), 512), all, `SEED=${seed}`);
    const left = merged(lists.slice(0, 2), 512);
    const right = merged(lists.slice(2), 512);
    assert.deepEqual(merged([left, right], 512), all, `SEED=${seed}`);
    const empty = { entries: [], unlisted: 0 };
    assert.deepEqual(merged([empty, ...lists, empty], 512), all, `SEED=${seed}`);
  }
});

test("exact lists of all terms merge to exact sums", () => {
  const left = { entries: [{ key: "a", low: 3, high: 3 }], unlisted: 0 };
  const right = {
    entries: [
      { key: "b", low: 5, high: 5 },
      { key: "a", low: 1, high: 1 },
    ],
    unlisted: 0,
  };
  assert.deepEqual(merged([left, right], 8), {
    entries: [
      { key: "b", low: 5, high: 5 },
      { key: "a", low: 4, high: 4 },
    ],
    unlisted: 0,
  });
});

test("a list that does not name a term puts in what it left out", () => {
  const left = { entries: [{ key: "a", low: 3, high: 4 }], unlisted: 2 };
  const right = { entries: [{ key: "b", low: 1, high: 9 }], unlisted: 7 };
  assert.deepEqual(merged([left, right], 8), {
    entries: [
      { key: "a", low: 3, high: 11 },
      { key: "b", low: 1, high: 11 },
    ],
    unlisted: 9,
  });
});

test("what is no list is refused, and changes nothing", () => {
  const list = {
    entries: [
      { key: "a", low: 3, high: 4 },
      { key: "term", low: 1, high: 1 },
    ],
    unlisted: 2,
  };
  const good = encode(list);
  const longKey = encodeEntry({ key: "k".repeat(41), low: 1, high: 1 });
  const bad = [
    Buffer.alloc(0),
    good.subarray(0, 15),
    good.subarray(0, good.length - 8),
    Buffer.concat([good, Buffer.alloc(8)]),
    changed(good, (bytes) => bytes.writeUInt32LE(3, 0)),
    changed(good, (bytes) => bytes.writeUInt32LE(0xffffffff, 0)),
    changed(good, (bytes) => bytes.writeDoubleLE(Number.NaN, 8)),
    changed(good, (bytes) => bytes.writeDoubleLE(-1, 8)),
    changed(good, (bytes) => bytes.writeDoubleLE(5, 16)),
    changed(good, (bytes) => bytes.writeDoubleLE(Number.NaN, 24)),
    changed(good, (bytes) => bytes.writeUInt16LE(0, 32)),
    changed(good, (bytes) => bytes.writeUInt16LE(0xffff, 32)),
    changed(Buffer.concat([good, longKey]), (bytes) => bytes.writeUInt32LE(3, 0)),
    encode({ entries: [{ key: "a", low: Infinity, high: Infinity }], unlisted: 0 }),
  ];
  probe.open(4);
  assert.ok(add(good));
  for (const [index, bytes] of bad.entries()) assert.equal(add(bytes), false, `number ${index}`);
  const length = probe.encode(4);
  assert.deepEqual(decode(Buffer.from(memory.subarray(listAddress, listAddress + length))), list);
});

function changed(bytes: Buffer, change: (bytes: Buffer) => void): Buffer {
  const copy = Buffer.from(bytes);
  change(copy);
  return copy;
}
