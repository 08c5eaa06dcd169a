/**
 * The canonical ABI as a host sees it: one implementation for all instances.
 *
 * A type's descriptor is compiled once into closures; an instance contributes only its memory.
 * Nothing a guest hands over is believed: pointers, lengths, alignments, discriminants, code points
 * and UTF-8 are checked, and what one answer may hold in all is bounded, because pointers may
 * alias: a memory of 192 KiB can claim a list of a thousand texts of 100 KiB each. Any breach is an
 * AbiError. Source: component-model, design/mvp/CanonicalABI.md ("Loading", "Storing",
 * "Flattening").
 */
import assert from "node:assert/strict";
import { LIFTED_BYTES_MAX } from "#model/limits.ts";
import { alignmentOf, bytesOf, enumBytes, flatten } from "./abi-types.ts";
import { payloadOffsetOf, sequenceLayout } from "./abi-types.ts";
import type { AbiField, AbiScalar, AbiType } from "./abi-types.ts";

/** The guest broke the canonical ABI. */
export class AbiError extends Error {
  override name = "AbiError";
}

/** The memory of one instance. It never grows, so its views stay valid. */
export class GuestMemory {
  readonly memory: WebAssembly.Memory;
  readonly bytes: Buffer;
  readonly view: DataView;
  /** Bytes that the value being lifted may still claim; `liftResult` resets it. */
  liftableBytes = 0;

  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
    this.bytes = Buffer.from(memory.buffer);
    this.view = new DataView(memory.buffer);
  }

  /** Throws AbiError unless the range lies within the memory and begins where it may. */
  check(pointer: number, byteCount: number, alignment: number): void {
    if (pointer % alignment !== 0) {
      throw new AbiError(`The address ${pointer} is not aligned to ${alignment}.`);
    }
    if (pointer + byteCount > this.bytes.length) {
      throw new AbiError(
        `${byteCount} bytes at ${pointer} pass the end of the memory, ${this.bytes.length}.`,
      );
    }
  }

  /** `check`, for what an answer points to: it counts against LIFTED_BYTES_MAX. */
  claim(pointer: number, byteCount: number, alignment: number): void {
    this.check(pointer, byteCount, alignment);
    this.liftableBytes -= byteCount;
    if (this.liftableBytes < 0) {
      throw new AbiError(`The answer holds more than ${LIFTED_BYTES_MAX} bytes.`);
    }
  }
}

/** Reads the value at an address that was checked for the bytes and the alignment of its type. */
export type Load = (memory: GuestMemory, address: number) => unknown;
/** Reads a whole result: `value` is what the core function returned. */
export type LiftResult = (memory: GuestMemory, value: unknown) => unknown;
/** Reads a whole result that came as the core values that `flatten` says. */
export type LiftFlat = (memory: GuestMemory, values: readonly number[]) => unknown;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** For results that lie behind a pointer (see returnsThroughMemory). */
export function compileLiftResult(type: AbiType): LiftResult {
  const load = compileLoad(type);
  const byteCount = bytesOf(type);
  const alignment = alignmentOf(type);
  return (memory, value) => {
    const address = (value as number) >>> 0;
    memory.liftableBytes = LIFTED_BYTES_MAX;
    memory.claim(address, byteCount, alignment);
    return load(memory, address);
  };
}

/**
 * For what a task hands over as parameters: records of u32, bools, enums, texts and lists, and no
 * more than that.
 */
export function compileLiftFlat(type: AbiType): LiftFlat {
  const { lift, count } = compileFlat(type, 0);
  return (memory, values) => {
    assert(values.length === count);
    memory.liftableBytes = LIFTED_BYTES_MAX;
    return lift(memory, values);
  };
}

/** `count`: of the values that it takes, from the one of the index on. */
function compileFlat(type: AbiType, index: number): { lift: LiftFlat; count: number } {
  const count = flatten(type).length;
  switch (type.kind) {
    case "bool":
      return { count, lift: (_, values) => values[index] !== 0 };
    case "u32":
      return { count, lift: (_, values) => values[index]! >>> 0 };
    case "enum":
      return { count, lift: (_, values) => caseOf(type.cases, values[index]! >>> 0) };
    case "string":
      return {
        count,
        lift: (memory, values) => textAt(memory, values[index]! >>> 0, values[index + 1]! >>> 0),
      };
    case "list": {
      const load = compileItems(type.element);
      return {
        count,
        lift: (memory, values) => load(memory, values[index]! >>> 0, values[index + 1]! >>> 0),
      };
    }
    case "record": {
      let at = index;
      const parts = type.fields.map((field) => {
        const part = compileFlat(field.type, at);
        at += part.count;
        return { name: field.name, lift: part.lift };
      });
      const lift: LiftFlat = (memory, values) => {
        const record: Record<string, unknown> = {};
        for (const part of parts) record[part.name] = part.lift(memory, values);
        return record;
      };
      return { count, lift };
    }
    default:
      throw new Error(`A ${type.kind} is no part of a task's result.`);
  }
}

export function compileLoad(type: AbiType): Load {
  switch (type.kind) {
    case "string":
      return loadString;
    case "list":
      return compileLoadList(type.element);
    case "record":
      return compileLoadRecord(type.fields);
    case "tuple": {
      const { offsets } = sequenceLayout(type.items);
      const loads = type.items.map(compileLoad);
      return (memory, address) =>
        loads.map((load, index) => load(memory, address + offsets[index]!));
    }
    case "enum": {
      const loadDiscriminant = compileLoadDiscriminant(type.cases.length);
      return (memory, address) => type.cases[loadDiscriminant(memory, address)];
    }
    case "option": {
      const load = compileLoad(type.value);
      const offset = payloadOffsetOf(type);
      return (memory, address) =>
        loadFlag(memory, address) === 0 ? undefined : load(memory, address + offset);
    }
    case "result": {
      const loads = [type.ok, type.error].map((each) => each && compileLoad(each));
      const offset = payloadOffsetOf(type);
      return (memory, address) => {
        const discriminant = loadFlag(memory, address);
        const val = loads[discriminant]?.(memory, address + offset);
        return { tag: discriminant === 0 ? "ok" : "err", val };
      };
    }
    default:
      return LOAD_SCALAR[type.kind];
  }
}

const LOAD_SCALAR: Readonly<Record<AbiScalar, Load>> = {
  bool: ({ view }, address) => view.getUint8(address) !== 0,
  u8: ({ view }, address) => view.getUint8(address),
  s8: ({ view }, address) => view.getInt8(address),
  u16: ({ view }, address) => view.getUint16(address, true),
  s16: ({ view }, address) => view.getInt16(address, true),
  u32: ({ view }, address) => view.getUint32(address, true),
  s32: ({ view }, address) => view.getInt32(address, true),
  u64: ({ view }, address) => view.getBigUint64(address, true),
  s64: ({ view }, address) => view.getBigInt64(address, true),
  f32: ({ view }, address) => view.getFloat32(address, true),
  f64: ({ view }, address) => view.getFloat64(address, true),
  char: ({ view }, address) => {
    const codePoint = view.getUint32(address, true);
    if (codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) {
      throw new AbiError(`0x${codePoint.toString(16)} is no Unicode scalar value.`);
    }
    return String.fromCodePoint(codePoint);
  },
};

function loadString(memory: GuestMemory, address: number): string {
  const { view } = memory;
  return textAt(memory, view.getUint32(address, true), view.getUint32(address + 4, true));
}

function textAt(memory: GuestMemory, pointer: number, byteCount: number): string {
  memory.claim(pointer, byteCount, 1);
  try {
    return utf8.decode(memory.bytes.subarray(pointer, pointer + byteCount));
  } catch {
    throw new AbiError(`The ${byteCount} bytes of text at ${pointer} are not UTF-8.`);
  }
}

function compileLoadList(element: AbiType): Load {
  const load = compileItems(element);
  return (memory, address) => {
    const { view } = memory;
    return load(memory, view.getUint32(address, true), view.getUint32(address + 4, true));
  };
}

/** Reads so many items at an address that nobody has checked. */
function compileItems(
  element: AbiType,
): (memory: GuestMemory, pointer: number, count: number) => unknown {
  const stride = bytesOf(element);
  const alignment = alignmentOf(element);
  if (element.kind === "u8") {
    return (memory, pointer, count) => {
      memory.claim(pointer, count, alignment);
      return new Uint8Array(memory.bytes.subarray(pointer, pointer + count));
    };
  }
  const load = compileLoad(element);
  return (memory, pointer, count) => {
    // At most 2^32 times a stride: exact in a double.
    memory.claim(pointer, count * stride, alignment);
    const items: unknown[] = [];
    for (let index = 0; index < count; index++) items.push(load(memory, pointer + index * stride));
    return items;
  };
}

function compileLoadRecord(fields: readonly AbiField[]): Load {
  const { offsets } = sequenceLayout(fields.map((field) => field.type));
  const parts = fields.map(({ name, type }, index) => ({
    name,
    offset: offsets[index]!,
    load: compileLoad(type),
  }));
  return (memory, address) => {
    const record: Record<string, unknown> = {};
    for (const { name, offset, load } of parts) record[name] = load(memory, address + offset);
    return record;
  };
}

function compileLoadDiscriminant(
  caseCount: number,
): (memory: GuestMemory, address: number) => number {
  const load = LOAD_SCALAR[`u${(enumBytes(caseCount) * 8) as 8 | 16 | 32}`];
  return (memory, address) => {
    const discriminant = load(memory, address) as number;
    if (discriminant < caseCount) return discriminant;
    throw namesNone(discriminant, caseCount);
  };
}

function caseOf(cases: readonly string[], discriminant: number): string {
  const name = cases[discriminant];
  if (name === undefined) throw namesNone(discriminant, cases.length);
  return name;
}

function namesNone(discriminant: number, caseCount: number): AbiError {
  return new AbiError(`The discriminant ${discriminant} names none of ${caseCount} cases.`);
}

/** The discriminant of an option or a result. */
const loadFlag = compileLoadDiscriminant(2);
