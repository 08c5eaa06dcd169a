import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import fc from "fast-check";
import {
  DATAGRAM_BYTES_MAX,
  type DictionaryEntry,
  ENTRY_BYTES,
  type EventRecord,
  FLAG_METRIC,
  type Header,
  HEADER_BYTES,
  INDEX_TERM,
  isSample,
  isTermName,
  isWeight,
  KIND_DICTIONARY,
  KIND_RECORDS,
  KIND_REQUEST,
  MAGIC,
  PLACEMENT_BITS,
  placementOf,
  readDatagram,
  RECORD_BYTES,
  RECORDS_MAX,
  SAMPLE_MAX,
  SEQUENCE_BITS,
  TENANT_BITS,
  tenantIndex,
  TERM_BITS,
  VERSION,
  writeEntry,
  writeHeader,
  writeRecord,
} from "./datagram.ts";
import { WEIGHT_MAX } from "./limits.ts";

const sender = fc.bigInt({ min: 1n, max: 2n ** 64n - 1n });
const sequence = fc.nat({ max: 2 ** SEQUENCE_BITS - 1 });
const u32 = fc.nat({ max: 2 ** 32 - 1 });
const plain = { noNullPrototype: true } as const;
const record: fc.Arbitrary<EventRecord> = fc.record(
  { tenant: u32, term: u32, value: u32, flags: u32 },
  plain,
);
const tenantName = fc.stringMatching(/^[A-Za-z0-9._:-]{1,64}$/);
const tenant = fc.tuple(tenantName, fc.nat({ max: 4_095 })).map(([name, nth]) => {
  return { of: "tenant" as const, index: tenantIndex(placementOf(name), nth)!, name };
});
const termName = fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }).filter(isTermName);
const term = fc.record(
  { of: fc.constant("term" as const), index: fc.nat({ max: 2 ** TERM_BITS - 1 }), name: termName },
  plain,
);
const entry: fc.Arbitrary<DictionaryEntry> = fc.oneof(tenant, term);

test("what is written is read: records", () => {
  fc.assert(
    fc.property(sender, sequence, fc.array(record, { maxLength: 100 }), (from, at, records) => {
      const header = { kind: KIND_RECORDS, count: records.length, sender: from, sequence: at };
      assert.deepEqual(readDatagram(recordsOf(header, records)), { header, records, entries: [] });
    }),
  );
});

test("what is written is read: dictionaries, names of any script among them", () => {
  fc.assert(
    fc.property(sender, sequence, fc.array(entry, { maxLength: 50 }), (from, at, entries) => {
      const header = { kind: KIND_DICTIONARY, count: entries.length, sender: from, sequence: at };
      const got = readDatagram(dictionaryOf(header, entries));
      assert.deepEqual(got, { header, records: [], entries });
    }),
  );
});

test("a datagram that is cut, lengthened or noise is a fault, never an exception", () => {
  const header = { kind: KIND_DICTIONARY, count: 2, sender: 7n, sequence: 1 };
  const entries = [
    { of: "tenant", index: tenantIndex(placementOf("acme"), 5)!, name: "acme" },
    { of: "term", index: 9, name: "größe" },
  ] as const;
  const whole = dictionaryOf(header, entries);
  for (let length = 0; length < whole.length; length++) {
    const fault = readDatagram(whole.subarray(0, length));
    assert.equal(fault, length < HEADER_BYTES ? "truncated" : "dictionaryMalformed");
  }
  assert.equal(readDatagram(Buffer.concat([whole, Buffer.of(0)])), "dictionaryMalformed");
  const records = recordsOf({ ...header, kind: KIND_RECORDS }, [anyRecord, anyRecord]);
  assert.equal(readDatagram(records.subarray(0, -1)), "lengthWrong");
  assert.equal(readDatagram(records.subarray(0, -RECORD_BYTES)), "lengthWrong");
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(whole.length), (noise, at) => {
      const spoiled = Uint8Array.from(whole);
      spoiled.set(noise.subarray(0, spoiled.length - at), at);
      readDatagram(spoiled);
      readDatagram(noise);
    }),
  );
});

const anyRecord = { tenant: 1, term: 2, value: 3, flags: FLAG_METRIC };

test("each fault of a header has its name", () => {
  const good = recordsOf({ kind: KIND_RECORDS, count: 1, sender: 7n, sequence: 1 }, [anyRecord]);
  const faults = [
    [0, 0, "magicWrong"],
    [4, 2, "versionUnsupported"],
    [5, 0, "kindUnsupported"],
    [5, 4, "kindUnsupported"],
    [6, 2, "lengthWrong"],
    [8, 0, "senderInvalid"],
    [23, 1, "sequenceRange"],
    [24, 1, "reservedSet"],
    [31, 1, "reservedSet"],
  ] as const;
  for (const [at, value, fault] of faults) {
    const spoiled = Buffer.from(good);
    spoiled[at] = value;
    assert.equal(readDatagram(spoiled), fault, `byte ${at} = ${value}`);
  }
});

test("an entry that is illegal is left out, and its neighbour counts", () => {
  const header = { kind: KIND_DICTIONARY, count: 2, sender: 7n, sequence: 1 };
  const good = { of: "term", index: 3, name: "goal" } as const;
  const acme = tenantIndex(placementOf("acme"), 1)!;
  const illegal: readonly (readonly [number, Uint8Array])[] = [
    [INDEX_TERM, Buffer.alloc(0)],
    [INDEX_TERM, Buffer.alloc(41, "x")],
    [INDEX_TERM, Buffer.of(0xff)],
    [INDEX_TERM, Buffer.from("a\nb")],
    [INDEX_TERM + 2 ** TERM_BITS, Buffer.from("x")],
    [2 ** TENANT_BITS + acme, Buffer.from("acme")],
    [acme ^ 1, Buffer.from("acme")],
    [tenantIndex(placementOf("a b"), 0)!, Buffer.from("a b")],
    [acme, Buffer.alloc(65, "x")],
  ];
  for (const [tagged, text] of illegal) {
    const bytes = new Uint8Array(HEADER_BYTES + 2 * ENTRY_BYTES + text.length + 4);
    writeHeader(new DataView(bytes.buffer), header);
    const next = writeEntry(bytes, HEADER_BYTES, tagged, text);
    writeEntry(bytes, next, INDEX_TERM + good.index, Buffer.from(good.name));
    assert.deepEqual(readDatagram(bytes), { header, records: [], entries: [good] });
  }
});

test("a request has no body", () => {
  const header = { kind: KIND_REQUEST, count: 0, sender: 7n, sequence: 0 };
  assert.deepEqual(readDatagram(recordsOf(header, [])), { header, records: [], entries: [] });
  assert.equal(readDatagram(recordsOf(header, [anyRecord])), "lengthWrong");
});

test("weights and samples are whole numbers in their bounds", () => {
  for (const weight of [1, WEIGHT_MAX]) assert(isWeight(weight));
  for (const weight of [0, -1, 1.5, WEIGHT_MAX + 1, Number.NaN, Infinity]) {
    assert(!isWeight(weight), `${weight}`);
  }
  for (const sample of [0, SAMPLE_MAX]) assert(isSample(sample));
  for (const sample of [-1, 0.5, SAMPLE_MAX + 1, Number.NaN]) assert(!isSample(sample));
});

test("a term has 1 to 40 bytes, no control characters and no half characters", () => {
  for (const name of ["x", "größe", "x".repeat(40), "ö".repeat(20), "🏆".repeat(10)]) {
    assert(isTermName(name), name);
  }
  for (const name of ["", "x".repeat(41), "ö".repeat(21), "a\tb", "\u007f", "\ud83c"]) {
    assert(!isTermName(name), JSON.stringify(name));
  }
});

test("a tenant's index tells where it is placed, and is its own", () => {
  const placement = placementOf("acme");
  const indexes = Array.from({ length: 4_096 }, (_, nth) => tenantIndex(placement, nth)!);
  assert.equal(new Set(indexes).size, 4_096);
  for (const index of indexes) {
    assert.equal(index & 255, placement);
    assert(index < 2 ** TENANT_BITS);
  }
  assert.equal(tenantIndex(placement, 4_096), undefined);
  assert.equal(DATAGRAM_BYTES_MAX, 65_504);
});

test("the kernel's header says the same", { skip: kernelHeader() === undefined }, () => {
  const constants = readConstants(kernelHeader()!);
  const same = {
    MAGIC,
    VERSION,
    KIND_RECORDS,
    KIND_DICTIONARY,
    FLAG_METRIC,
    INDEX_TERM,
    TERM_BITS,
    TENANT_BITS,
    PLACEMENT_BITS,
    SEQUENCE_BITS,
    RECORDS_MAX,
  };
  for (const [key, value] of Object.entries(same)) {
    assert.equal(constants.get(`NX_${key}`), value, key);
  }
  assert.equal(constants.get("NX_WEIGHT_MAX"), WEIGHT_MAX);
});

function kernelHeader(): string | undefined {
  try {
    return readFileSync(new URL("../../bpf/aggregate.h", import.meta.url), "utf8");
  } catch {
    return undefined;
  }
}

function readConstants(text: string): Map<string, number> {
  const defines = text.matchAll(/^#define (NX_\w+) +(0x[0-9a-f]+|\d+)\b/gm);
  return new Map([...defines].map(([, key, value]) => [key!, Number(value)]));
}

function recordsOf(header: Header, records: readonly EventRecord[]): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES + records.length * RECORD_BYTES);
  const view = new DataView(bytes.buffer);
  writeHeader(view, header);
  for (const [i, one] of records.entries()) writeRecord(view, HEADER_BYTES + i * RECORD_BYTES, one);
  return bytes;
}

function dictionaryOf(header: Header, entries: readonly DictionaryEntry[]): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES + entries.length * (ENTRY_BYTES + 64));
  writeHeader(new DataView(bytes.buffer, bytes.byteOffset), header);
  let at = HEADER_BYTES;
  for (const { of, index, name: text } of entries) {
    const tagged = of === "term" ? INDEX_TERM + index : index;
    at = writeEntry(bytes, at, tagged, Buffer.from(text));
  }
  return bytes.subarray(0, at);
}
