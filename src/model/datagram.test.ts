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
  KIND_DICTIONARY,
  KIND_RECORDS,
  KIND_REQUEST,
  MAGIC,
  PLACEMENT_BITS,
  placementOf,
  readDatagram,
  RECORD_BYTES,
  RECORDS_MAX,
  sampleBits,
  sampleOf,
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
const name = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 8 })
  .filter((text) => Buffer.byteLength(text) <= 64 && text.isWellFormed());
const tenant = fc.record(
  { of: fc.constant("tenant" as const), index: fc.nat({ max: 2 ** TENANT_BITS - 1 }), name },
  plain,
);
const term = fc.record(
  { of: fc.constant("term" as const), index: fc.nat({ max: 2 ** TERM_BITS - 1 }), name },
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
    { of: "tenant", index: 5, name: "acme" },
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

test("a name that is empty, too long, no UTF-8 or out of range spoils its dictionary", () => {
  const header = { kind: KIND_DICTIONARY, count: 1, sender: 7n, sequence: 1 };
  const faulty = (tagged: number, text: Uint8Array): void => {
    const bytes = new Uint8Array(HEADER_BYTES + ENTRY_BYTES + text.length);
    writeHeader(new DataView(bytes.buffer), header);
    writeEntry(bytes, HEADER_BYTES, tagged, text);
    assert.equal(readDatagram(bytes), "dictionaryMalformed");
  };
  faulty(0, Buffer.alloc(0));
  faulty(0, Buffer.alloc(65, "x"));
  faulty(0, Buffer.of(0xff));
  faulty(2 ** TENANT_BITS, Buffer.from("x"));
  faulty(INDEX_TERM + 2 ** TERM_BITS, Buffer.from("x"));
});

test("a request has no body", () => {
  const header = { kind: KIND_REQUEST, count: 0, sender: 7n, sequence: 0 };
  assert.deepEqual(readDatagram(recordsOf(header, [])), { header, records: [], entries: [] });
  assert.equal(readDatagram(recordsOf(header, [anyRecord])), "lengthWrong");
});

test("a sample keeps what a float32 keeps", () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true }), (value) =>
      assert.equal(sampleOf(sampleBits(value)), value),
    ),
  );
});

test("a tenant's index tells where it is placed, and no two tenants of a placement share one", () => {
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
