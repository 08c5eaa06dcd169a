import assert from "node:assert/strict";
import test from "node:test";
import { LIFTED_BYTES_MAX } from "#model/limits.ts";
import {
  alignmentOf,
  bytesOf,
  callbackName,
  coreSignatureOf,
  flatten,
  importName,
  importSignatureOf,
  sequenceLayout,
  taskReturnName,
  taskReturnSignatureOf,
} from "./abi-types.ts";
import type { AbiFunction, AbiScalar, AbiType } from "./abi-types.ts";
import { AbiError, GuestMemory, compileLiftFlat, compileLiftResult } from "./canonical-abi.ts";

const scalar = (kind: AbiScalar): AbiType => ({ kind });
const string: AbiType = { kind: "string" };
const list = (element: AbiType): AbiType => ({ kind: "list", element });
const option = (value: AbiType): AbiType => ({ kind: "option", value });
const enumOf = (count: number): AbiType => ({
  kind: "enum",
  name: "",
  cases: Array.from({ length: count }, (_, index) => `case${index}`),
});
const record = (...types: AbiType[]): AbiType => ({
  kind: "record",
  name: "",
  fields: types.map((type, index) => ({ name: `field${index}`, type })),
});

const LAYOUTS: readonly { type: AbiType; bytes: number; alignment: number; flat: string }[] = [
  { type: scalar("bool"), bytes: 1, alignment: 1, flat: "i32" },
  { type: scalar("u64"), bytes: 8, alignment: 8, flat: "i64" },
  { type: string, bytes: 8, alignment: 4, flat: "i32 i32" },
  { type: enumOf(256), bytes: 1, alignment: 1, flat: "i32" },
  { type: enumOf(257), bytes: 2, alignment: 2, flat: "i32" },
  { type: option(scalar("u8")), bytes: 2, alignment: 1, flat: "i32 i32" },
  { type: option(scalar("f64")), bytes: 16, alignment: 8, flat: "i32 f64" },
  {
    type: record(scalar("u8"), scalar("u32"), scalar("u16")),
    bytes: 12,
    alignment: 4,
    flat: "i32 i32 i32",
  },
  { type: record(scalar("u64"), scalar("u8")), bytes: 16, alignment: 8, flat: "i64 i32" },
  {
    type: { kind: "result", ok: scalar("f32"), error: scalar("u64") },
    bytes: 16,
    alignment: 8,
    flat: "i32 i64",
  },
  {
    type: { kind: "result", ok: scalar("f32"), error: scalar("u8") },
    bytes: 8,
    alignment: 4,
    flat: "i32 i32",
  },
  {
    type: { kind: "result", ok: undefined, error: undefined },
    bytes: 1,
    alignment: 1,
    flat: "i32",
  },
  {
    type: { kind: "tuple", items: [scalar("u8"), option(scalar("u16"))] },
    bytes: 6,
    alignment: 2,
    flat: "i32 i32 i32",
  },
];

for (const [index, { type, bytes, alignment, flat }] of LAYOUTS.entries()) {
  test(`layout ${index}, a ${type.kind}, is that of the canonical ABI`, () => {
    assert.equal(bytesOf(type), bytes);
    assert.equal(alignmentOf(type), alignment);
    assert.equal(flatten(type).join(" "), flat);
  });
}

test("fields follow each other at their alignment", () => {
  const { offsets, bytes } = sequenceLayout([scalar("u8"), string, scalar("u16"), scalar("f64")]);
  assert.deepEqual(offsets, [0, 4, 12, 16]);
  assert.equal(bytes, 24);
});

test("what does not fit into flat values travels by pointer", () => {
  const seventeen = record(...Array.from({ length: 17 }, () => scalar("u32")));
  const sync = { name: "f", coreName: "f", isAsync: false };
  const of = (type: AbiType, result: AbiType | undefined) =>
    coreSignatureOf({ ...sync, parameters: [{ name: "p", type }], result });
  assert.deepEqual(of(seventeen, undefined), { parameters: ["i32"], results: [] });
  assert.deepEqual(of(scalar("f32"), scalar("u64")), { parameters: ["f32"], results: ["i64"] });
  assert.deepEqual(of(scalar("f32"), string), { parameters: ["f32"], results: ["i32"] });
});

test("async functions are told where results go, and hand over their own as parameters", () => {
  const bytes = list(scalar("u8"));
  const of = (parameters: readonly AbiType[], result: AbiType | undefined): AbiFunction => ({
    name: "f",
    coreName: "a:b/c@1.0.0#f",
    isAsync: true,
    parameters: parameters.map((type) => ({ name: "p", type })),
    result,
  });
  const asks = of([scalar("u32"), bytes], { kind: "result", ok: bytes, error: enumOf(3) });
  assert.deepEqual(importSignatureOf(asks), {
    parameters: ["i32", "i32", "i32", "i32"],
    results: ["i32"],
  });
  assert.deepEqual(importSignatureOf(of([bytes, bytes, bytes], undefined)), {
    parameters: ["i32"],
    results: ["i32"],
  });
  assert.deepEqual(coreSignatureOf(asks).results, ["i32"]);
  const opinion = record(scalar("f64"), bytes, scalar("bool"));
  assert.deepEqual(taskReturnSignatureOf(of([], opinion)), {
    parameters: ["f64", "i32", "i32", "i32"],
    results: [],
  });
  const seventeen = record(...Array.from({ length: 17 }, () => scalar("u32")));
  assert.deepEqual(taskReturnSignatureOf(of([], seventeen)).parameters, ["i32"]);
  assert.equal(importName(asks), "a:b/c@1.0.0#[async-lower]f");
  assert.equal(taskReturnName(asks.coreName), "[export]a:b/c@1.0.0#[task-return]f");
  assert.equal(callbackName(asks.coreName), "[callback][async-lift]a:b/c@1.0.0#f");
});

test("a result that comes as parameters is checked as one in memory is", () => {
  const memory = new GuestMemory(new WebAssembly.Memory({ initial: 1, maximum: 1 }));
  memory.bytes.write("héllo", 8);
  memory.view.setFloat64(16, 0.25, true);
  const type = record(enumOf(3), scalar("u32"), list(scalar("f64")), string, scalar("bool"));
  const flat = compileLiftFlat(type);
  const good = [2, -1, 16, 1, 8, 6, -7];
  assert.deepEqual(Object.values(flat(memory, good) as object), [
    "case2",
    2 ** 32 - 1,
    [0.25],
    "héllo",
    true,
  ]);
  const wrong: readonly (readonly [at: number, value: number])[] = [
    [0, 3],
    [0, -1],
    [2, 4],
    [2, 65_536],
    [2, -8],
    [3, 2 ** 30],
    [3, -1],
    [4, 65_535],
    [5, 2], // Half a character.
    [5, -1],
  ];
  for (const [at, value] of wrong) {
    const values = good.map((each, index) => (index === at ? value : each));
    assert.throws(() => flat(memory, values), AbiError, `${at}: ${value}`);
  }
  assert.throws(() => flat(memory, good.slice(1)), { name: "AssertionError" });
  assert.throws(() => compileLiftFlat(record(scalar("f32"))), /f32 is no part/);
});

/** Lifts a value from a memory of one page that was filled by `fill`. */
function lift(type: AbiType, address: number, fill: (view: DataView) => void): unknown {
  const memory = new GuestMemory(new WebAssembly.Memory({ initial: 1, maximum: 1 }));
  fill(memory.view);
  return compileLiftResult(type)(memory, address);
}

const VALUES: readonly { type: AbiType; fill: (view: DataView) => void; value: unknown }[] = [
  { type: scalar("bool"), fill: (view) => view.setUint8(8, 2), value: true },
  { type: scalar("s8"), fill: (view) => view.setUint8(8, 0xff), value: -1 },
  { type: scalar("u16"), fill: (view) => view.setUint16(8, 0xfffe, true), value: 0xfffe },
  { type: scalar("s64"), fill: (view) => view.setBigInt64(8, -5n, true), value: -5n },
  { type: scalar("char"), fill: (view) => view.setUint32(8, 0x1f389, true), value: "🎉" },
  { type: enumOf(3), fill: (view) => view.setUint8(8, 2), value: "case2" },
  { type: option(scalar("u32")), fill: () => undefined, value: undefined },
  {
    type: option(scalar("u32")),
    fill: (view) => {
      view.setUint8(8, 1);
      view.setUint32(12, 7, true);
    },
    value: 7,
  },
  {
    type: { kind: "result", ok: scalar("u8"), error: scalar("u16") },
    fill: (view) => {
      view.setUint8(8, 1);
      view.setUint16(10, 300, true);
    },
    value: { tag: "err", val: 300 },
  },
  {
    type: { kind: "tuple", items: [scalar("u8"), scalar("f32")] },
    fill: (view) => {
      view.setUint8(8, 1);
      view.setFloat32(12, 0.5, true);
    },
    value: [1, 0.5],
  },
  {
    type: list(scalar("u16")),
    fill: (view) => {
      view.setUint32(8, 65532, true);
      view.setUint32(12, 2, true);
      view.setUint16(65534, 9, true);
    },
    value: [0, 9],
  },
];

for (const [index, { type, fill, value }] of VALUES.entries()) {
  test(`value ${index}, a ${type.kind}, is lifted`, () =>
    assert.deepEqual(lift(type, 8, fill), value));
}

/** { pointer, count } at 8. */
const range = (pointer: number, count: number) => (view: DataView) => {
  view.setUint32(8, pointer, true);
  view.setUint32(12, count, true);
};

const BREACHES: readonly {
  name: string;
  type: AbiType;
  fill: (view: DataView) => void;
  at?: number;
}[] = [
  { name: "a result beyond the memory", type: string, fill: () => undefined, at: 65536 },
  { name: "a result that passes its end", type: string, fill: () => undefined, at: 65532 },
  { name: "a negative pointer", type: string, fill: () => undefined, at: -4 },
  { name: "a misaligned result", type: scalar("u64"), fill: () => undefined, at: 12 },
  { name: "a text beyond the memory", type: string, fill: range(65536, 1) },
  { name: "a text of 4 GiB", type: string, fill: range(0, 0xffffffff) },
  { name: "an empty list beyond the memory", type: list(scalar("u8")), fill: range(65537, 0) },
  { name: "a misaligned list", type: list(scalar("u32")), fill: range(2, 1) },
  { name: "a list whose bytes wrap around", type: list(scalar("u64")), fill: range(0, 0x20000000) },
  { name: "an unknown case", type: enumOf(3), fill: (view) => view.setUint8(8, 3) },
  { name: "an option of 2", type: option(scalar("u8")), fill: (view) => view.setUint8(8, 2) },
  {
    name: "half a surrogate pair",
    type: scalar("char"),
    fill: (view) => view.setUint32(8, 0xd800, true),
  },
  {
    name: "a code point too large",
    type: scalar("char"),
    fill: (view) => view.setUint32(8, 0x110000, true),
  },
  {
    name: "bytes that are not UTF-8",
    type: string,
    fill: (view) => {
      range(16, 1)(view);
      view.setUint8(16, 0x80);
    },
  },
];

for (const { name, type, fill, at } of BREACHES) {
  test(`${name} is refused`, () => assert.throws(() => lift(type, at ?? 8, fill), AbiError));
}

test("what an answer holds in all is bounded, however small the memory is", () => {
  const fill = (count: number) => (view: DataView) => {
    range(16, count)(view);
    for (let index = 0; index < count; index++) {
      view.setUint32(16 + 8 * index, 0, true);
      view.setUint32(20 + 8 * index, 65536, true);
    }
  };
  const countMax = Math.floor(LIFTED_BYTES_MAX / 65536) - 1;
  const texts = list(list(scalar("u8")));
  assert.equal((lift(texts, 8, fill(countMax)) as unknown[]).length, countMax);
  assert.throws(() => lift(texts, 8, fill(countMax + 1)), AbiError);
});
