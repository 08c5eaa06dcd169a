import assert from "node:assert/strict";
import test from "node:test";
import { Batcher } from "#batcher/batcher.ts";
import { cutLines, ELEMENT_TOO_LARGE, type SplitFormat, Splitter } from "#batcher/splitter.ts";
import { EVENT_ERRORS } from "#model/event-error.ts";
import { LINE_BYTES_MAX } from "#model/limits.ts";
import { shardOf, tenantHash } from "#model/placement.ts";
import { Random } from "#std/random.ts";
import { judgeElement } from "#testing/event-oracle.ts";
import { mutate, noisyEvent } from "#testing/json-noise.ts";
import { SEED } from "#testing/seed.ts";

const NOW_MS = 1_795_197_600_000;
const CHUNK_BYTES = 64 * 1024;

type Element = { index: number; shard: number; bytes: Buffer | "tooLarge" };

/** All elements in order of their index, or the byte where the body is malformed. */
function split(
  splitter: Splitter,
  body: string | Uint8Array,
  options: { format?: SplitFormat; fixedShard?: number } = {},
): Element[] | number {
  const { format = "json", fixedShard = -1 } = options;
  const result = splitter.split(Buffer.from(body), format, fixedShard);
  if (result.malformedAtByte !== undefined) {
    assert.equal(result.chunkCount, 0);
    return result.malformedAtByte;
  }
  const elements: Element[] = [];
  const lastIndex = new Map<number, number>();
  for (let chunk = 0; chunk < result.chunkCount; chunk++) {
    const shard = result.chunkShard(chunk);
    const start = result.chunkByteOffset(chunk);
    const bytes = Buffer.from(result.memory.slice(start, start + result.chunkByteCount(chunk)));
    const read = readElements(bytes, shard);
    assert.ok(read.length > 0);
    assert.ok(bytes.length <= CHUNK_BYTES || read.length === 1);
    for (const { index } of read) {
      assert.ok(index > (lastIndex.get(shard) ?? -1), "a shard gets its events in order");
      lastIndex.set(shard, index);
    }
    elements.push(...read);
  }
  elements.sort((a, b) => a.index - b.index);
  assert.equal(elements.length, result.elementCount);
  for (const [i, { index }] of elements.entries()) assert.equal(index, i);
  return elements;
}

function readElements(bytes: Buffer, shard: number): Element[] {
  const elements: Element[] = [];
  let at = 0;
  while (at < bytes.length) {
    const index = bytes.readUInt32LE(at);
    const byteCount = bytes.readUInt32LE(at + 4);
    at += 8;
    if (byteCount === 0xffffffff) {
      elements.push({ index, shard, bytes: "tooLarge" });
      continue;
    }
    const end = at + byteCount;
    elements.push({ index, shard, bytes: bytes.subarray(at, end) });
    at = (end + 3) & ~3;
    for (const byte of bytes.subarray(end, at)) assert.equal(byte, 0, "padding is zero");
  }
  assert.equal(at, bytes.length);
  return elements;
}

function texts(elements: Element[] | number): unknown {
  return typeof elements === "number" ? elements : elements.map(({ bytes }) => bytes.toString());
}

/** What a body is split into; a number is the byte where it is malformed. */
const BODIES: readonly [string, string[] | number][] = [
  ['{"a":1}', ['{"a":1}']],
  [' \r\n{"a":\n1}\t', ['{"a":\n1}']],
  ['\ufeff{"a":1}', ['{"a":1}']],
  ["{}", ["{}"]],
  ["[]", []],
  [" [ ] ", []],
  ["[{}]", ["{}"]],
  ['[{"a":1},{"b":2}]', ['{"a":1}', '{"b":2}']],
  ['[ {"a":1} , {"b":2} ]', ['{"a":1}', '{"b":2}']],
  ['[1, "x,]}", null,[2,[3]] ,-1.5]', ["1", '"x,]}"', "null", "[2,[3]]", "-1.5"]],
  ['[{"a":"\\"]},"},{"b":"\\\\"}]', ['{"a":"\\"]},"}', '{"b":"\\\\"}']],
  ['[{"a":1} x, {"b":2}]', ['{"a":1} x', '{"b":2}']],
  ['{"a":tru}', ['{"a":tru}']],
  ["", 0],
  ["  ", 2],
  ["5", 0],
  ['"text"', 0],
  ["null", 0],
  ["{", 1],
  ["[", 1],
  ['{"a":1', 6],
  ['{"a":"x', 7],
  ['{"a":"x\\', 8],
  ['{"a":1}}', 7],
  ['{"a":1} {"b":2}', 8],
  ['{"a":1}\n{"b":2}', 8],
  ["[1,]", 3],
  ["[,1]", 1],
  ["[1,,2]", 3],
  ["[1", 2],
  ["[1]]", 3],
  ["[1] x", 4],
  ["[}", 1],
  ['{"a":]}', 5],
  ["{}\0", 2],
  ["[{]", 2],
];

void test("bodies of JSON are split into their elements, whoever decides on the shard", () => {
  const splitter = new Splitter(4);
  for (const [body, expected] of BODIES) {
    const label = JSON.stringify(body);
    assert.deepEqual(texts(split(splitter, body)), expected, label);
    assert.deepEqual(texts(split(splitter, body, { fixedShard: 2 })), expected, label);
  }
});

void test("lines: CRLF, blank lines, no last newline, a byte order mark", () => {
  const splitter = new Splitter(4);
  const body = '\ufeff{"a":1}\r\n\r\n  \n{"b":2}\n x \n"c"';
  for (const fixedShard of [-1, 1]) {
    const elements = split(splitter, body, { format: "ndjson", fixedShard });
    assert.deepEqual(texts(elements), ['{"a":1}', '{"b":2}', " x ", '"c"']);
  }
  assert.deepEqual(split(splitter, "", { format: "ndjson" }), []);
});

void test(`what JSON.parse takes apart, the splitter takes apart alike (SEED=${SEED})`, () => {
  const random = new Random(SEED);
  const splitter = new Splitter(3);
  let accepted = 0;
  let refused = 0;
  for (let round = 0; round < 3000; round++) {
    const events = Array.from({ length: random.below(6) }, () => noisyEvent(random, 10));
    const one = random.chance(1, 4) && events.length > 0;
    const text = one ? events[0]! : `[${events.join(" ,\n")}]`;
    const body = random.chance(1, 2) ? mutate(random, Buffer.from(text)) : Buffer.from(text);
    const fixedShard = random.chance(1, 2) ? -1 : 1;
    const elements = split(splitter, body, { fixedShard });
    const label = `SEED=${SEED} ${fixedShard} ${JSON.stringify(body.toString("latin1"))}`;
    const value = parsed(body.toString("latin1"));
    if (typeof value !== "object" || value === null) {
      // Either the body is malformed or one of its elements is; none is lost quietly.
      const wrong =
        typeof elements === "number" ||
        elements.some(({ bytes }) => parsed(bytes.toString("latin1")) === undefined);
      assert.ok(wrong, label);
      refused += 1;
      continue;
    }
    assert.ok(typeof elements !== "number", label);
    const values = Array.isArray(value) ? (value as unknown[]) : [value];
    assert.deepEqual(
      elements.map(({ bytes }) => parsed(bytes.toString("latin1"))),
      values,
      label,
    );
    accepted += 1;
  }
  assert.ok(accepted > 500);
  assert.ok(refused > 200);
});

/** `undefined` where it is no JSON; bytes stand for themselves, as UTF-8 is not the splitter's. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

void test(`a tenant's events meet in the shard of shardOf (SEED=${SEED})`, () => {
  const random = new Random(SEED);
  for (const shardCount of [1, 2, 7, 64]) {
    const splitter = new Splitter(shardCount);
    let placed = 0;
    for (let round = 0; round < 100; round++) {
      const events = Array.from({ length: 40 }, () =>
        Buffer.from(noisyEvent(random, 5))
          .toString("utf8")
          .replaceAll(/[\r\n]/g, " "),
      );
      const body = random.chance(1, 2)
        ? { text: `[${events.join(",")}]`, format: "json" as const }
        : { text: events.join("\n"), format: "ndjson" as const };
      for (const element of split(splitter, body.text, body) as Element[]) {
        assert.ok(element.shard < shardCount);
        const bytes = Buffer.from(element.bytes as Buffer);
        const answer = judgeElement(bytes, { tenant: undefined, nowMs: NOW_MS });
        if (typeof answer === "string") continue;
        assert.equal(element.shard, shardOf(answer.tenant, shardCount), bytes.toString());
        placed += 1;
      }
    }
    assert.ok(placed > 300);
  }
});

void test("the tenant is found behind escapes, duplicates and in CloudEvents", () => {
  const splitter = new Splitter(16);
  const shard = shardOf("acme", 16);
  assert.notEqual(shard, 0);
  const bodies = [
    '{"tenant":"acme"}',
    '{"text":"\\"tenant\\":\\"other\\"", "tenant" : "acme"}',
    '{"\\u0074enant":"ac\\u006de"}',
    '{"tenant":"other","tenant":"acme"}',
    '{"x":{"tenant":"other"},"tenant":"acme"}',
    '{"specversion":"1.0","tenant":"acme","data":"x"}',
    '{"data":{"tenant":"acme"},"specversion":"1.0"}',
    '{"specversion":"1.0","tenant":"other","data":{"tenant":"acme"}}',
    '{"specversion":"1.0","tenant":"acme","data":{"tenant":null}}',
    '{"tenant":"acme","data":{"tenant":"other"}}',
    '{"specversion":null,"tenant":"acme","data":{"tenant":"other"}}',
  ];
  for (const body of bodies) {
    const [element] = split(splitter, body) as Element[];
    assert.equal(element!.shard, shard, body);
  }
});

void test("an element over LINE_BYTES_MAX is named, not sent", () => {
  const splitter = new Splitter(2);
  const element = (byteCount: number): string => `{"a":"${"x".repeat(byteCount - 8)}"}`;
  const sizes = [10, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, 500_000, 12];
  const expected = sizes.map((size) => (size > LINE_BYTES_MAX ? "tooLarge" : size));
  const lines = sizes.map((size) => element(size));
  for (const fixedShard of [-1, 0]) {
    for (const [body, format] of [
      [`[${lines.join(" , ")}]`, "json"],
      [lines.join("\r\n"), "ndjson"],
    ] as const) {
      const elements = split(splitter, body, { format, fixedShard }) as Element[];
      const found = elements.map(({ bytes }) => (bytes === "tooLarge" ? bytes : bytes.length));
      assert.deepEqual(found, expected);
    }
  }
  assert.deepEqual(texts(split(splitter, element(100_000))), ["tooLarge"]);
});

void test("a body of 8 MiB of the smallest elements is split, and its memory given back", () => {
  const splitter = new Splitter(2);
  const body = Buffer.from(`[${"1,".repeat(4_194_302)}1]`);
  splitter.split(body, "json", 0);
  assert.equal(splitter.malformedAtByte, undefined);
  assert.equal(splitter.elementCount, 4_194_303);
  const bytesAfter = splitter.memory.length;
  assert.deepEqual(texts(split(splitter, '{"a":1}')), ['{"a":1}']);
  assert.ok(splitter.memory.length < bytesAfter / 4);
});

void test("deep nesting costs no stack", () => {
  const splitter = new Splitter(2);
  const deep = `${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}`;
  assert.deepEqual(texts(split(splitter, deep)), ["tooLarge"]);
  assert.equal(split(splitter, "[".repeat(1_000_000)), 1_000_000);
});

void test("what the splitter writes, the batcher reads", () => {
  const splitter = new Splitter(4);
  const events = Array.from({ length: 3000 }, (_, i) =>
    JSON.stringify({
      tenant: `t${i % 50}`,
      id: i,
      text: i % 10 === 3 ? 5 : "x".repeat(i % 300) + ".",
    }),
  );
  splitter.split(
    Buffer.from(JSON.stringify(events.map((event) => JSON.parse(event) as object))),
    "json",
    -1,
  );
  const batchers = Array.from({ length: 4 }, () => new Batcher());
  const errors: number[] = [];
  let accepted = 0;
  for (let chunk = 0; chunk < splitter.chunkCount; chunk++) {
    const batcher = batchers[splitter.chunkShard(chunk)]!;
    const start = splitter.chunkByteOffset(chunk);
    const byteCount = splitter.chunkByteCount(chunk);
    batcher.input.set(splitter.memory.subarray(start, start + byteCount));
    batcher.parse("elements", byteCount, -1, 1, 0, NOW_MS);
    assert.equal(batcher.full, false);
    accepted += batcher.acceptedCount;
    assert.equal(batcher.errorCount, batcher.rejectedCount);
    for (let i = 0; i < batcher.errorCount; i++) errors.push(batcher.errorIndex(i));
  }
  assert.equal(accepted, 2700);
  assert.deepEqual(
    errors.toSorted((a, b) => a - b),
    Array.from({ length: 300 }, (_, i) => i * 10 + 3),
  );
  // Every tenant is in one batcher.
  const tenants = batchers.flatMap((batcher) =>
    Array.from({ length: batcher.tenantCount }, (_, tenant) => batcher.tenantName(tenant)),
  );
  // Those of i % 10 = 3 only sent errors, which make no tenant.
  assert.equal(tenants.length, 45);
  assert.equal(new Set(tenants).size, 45);
});

void test(`lines are cut whole, and what is too long is named (SEED=${SEED})`, () => {
  const random = new Random(SEED);
  for (let round = 0; round < 200; round++) {
    const lengths = Array.from({ length: random.below(40) }, () =>
      random.chance(1, 6) ? LINE_BYTES_MAX - 3 + random.below(7) : random.below(20_000),
    );
    if (random.chance(1, 4)) lengths.push(200_000);
    const lines = lengths.map(
      (length) => `${"x".repeat(length)}${random.chance(1, 2) ? "\r" : ""}`,
    );
    const body = Buffer.from(lines.join("\n") + (random.chance(1, 2) ? "\n" : ""));
    const bytesMax = random.chance(1, 2) ? LINE_BYTES_MAX : 5000;
    let start = 0;
    while (start < body.length) {
      const { end, tooLarge } = cutLines(body, start, bytesMax);
      assert.ok(end > start);
      assert.ok(end === body.length || body[end - 1] === 0x0a);
      const piece = body.subarray(start, end);
      const content = piece.toString("latin1").replace(/\r?\n$/, "");
      if (tooLarge) {
        assert.ok(content.length > LINE_BYTES_MAX);
        assert.ok(!content.includes("\n"));
      } else {
        assert.ok(piece.length <= LINE_BYTES_MAX + 2);
        // Longer than asked for only if it is one line.
        assert.ok(piece.length <= bytesMax || !content.includes("\n"));
      }
      start = end;
    }
    assert.equal(start, body.length);
  }
  assert.deepEqual(cutLines(new Uint8Array(0), 0, 10), { end: 0, tooLarge: false });
});

void test("a line that was too long to send is rejected in its place", () => {
  const batcher = new Batcher();
  const tenant = batcher.tenantAdd("t");
  batcher.input.set(ELEMENT_TOO_LARGE);
  batcher.parse("elements", ELEMENT_TOO_LARGE.length, tenant, 1, 41, NOW_MS);
  assert.equal(batcher.rejectedCount, 1);
  assert.equal(batcher.errorIndex(0), 41);
  assert.equal(EVENT_ERRORS[batcher.errorCode(0)]!.code, "eventTooLarge");
});

void test("the hash spreads tenants evenly and never changes", () => {
  // A change would move every tenant of a running cluster.
  assert.equal(tenantHash("acme"), 2019603394);
  const counts = new Uint32Array(8);
  for (let i = 0; i < 80_000; i++) counts[shardOf(`tenant-${i}`, 8)]! += 1;
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 400, `${count}`);
});
