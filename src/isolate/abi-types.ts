/**
 * The types of a WIT world as data, and where the canonical ABI puts their values.
 *
 * A descriptor is written once, by scripts/generate.ts into world.gen.ts; admission, the
 * canonical-ABI host and the generator of the guest side all measure with the functions below, so
 * that no layout is written twice. Source: component-model, design/mvp/CanonicalABI.md
 * ("Alignment", "Element Size", "Flattening"), for 32-bit memories.
 */
import assert from "node:assert/strict";

export type AbiScalar =
  | "bool"
  | "u8"
  | "s8"
  | "u16"
  | "s16"
  | "u32"
  | "s32"
  | "u64"
  | "s64"
  | "f32"
  | "f64"
  | "char";

export type AbiField = { readonly name: string; readonly type: AbiType };

export type AbiType =
  | { readonly kind: AbiScalar | "string" }
  | { readonly kind: "list"; readonly element: AbiType }
  | { readonly kind: "record"; readonly name: string; readonly fields: readonly AbiField[] }
  | { readonly kind: "enum"; readonly name: string; readonly cases: readonly string[] }
  | { readonly kind: "option"; readonly value: AbiType }
  | {
      readonly kind: "result";
      readonly ok: AbiType | undefined;
      readonly error: AbiType | undefined;
    }
  | { readonly kind: "tuple"; readonly items: readonly AbiType[] };

export type AbiFunction = {
  /** In TypeScript's spelling: `trending`. */
  readonly name: string;
  /** As the core module exports it: `nexuscore:tenant/summarize@0.1.0#trending`. */
  readonly coreName: string;
  /** Then the core module exports and imports it under other names; see below. */
  readonly isAsync: boolean;
  readonly parameters: readonly AbiField[];
  readonly result: AbiType | undefined;
};

export type AbiWorld = {
  /** `nexuscore:tenant/summarizer@0.1.0`. */
  readonly name: string;
  /** Their `coreName` has module and name: `nexuscore:tenant/classifier@0.1.0#message-row`. */
  readonly imports: readonly AbiFunction[];
  readonly exports: readonly AbiFunction[];
};

export type CoreType = "i32" | "i64" | "f32" | "f64";

/** Beyond these counts parameters and results travel through memory. */
export const FLAT_PARAMETER_COUNT_MAX = 16;
export const FLAT_RESULT_COUNT_MAX = 1;
/** Of an async function that is imported. */
export const FLAT_ASYNC_PARAMETER_COUNT_MAX = 4;

/** Core name of the function that frees what a call returned. */
export function postReturnName(coreName: string): string {
  return `cabi_post_${coreName}`;
}

/** What begins a task of an async function that is exported. */
export function asyncLiftName(coreName: string): string {
  return `[async-lift]${coreName}`;
}

/** What goes on with such a task when something it waits for has happened. */
export function callbackName(coreName: string): string {
  return `[callback]${asyncLiftName(coreName)}`;
}

/** What such a task imports to hand over its result; module and field, as in other imports. */
export function taskReturnName(coreName: string): string {
  const [module, field] = coreName.split("#");
  return `[export]${module}#[task-return]${field}`;
}

/** How an imported function is called by the core module. */
export function importName({ coreName, isAsync }: AbiFunction): string {
  return isAsync ? coreName.replace("#", "#[async-lower]") : coreName;
}

export type CoreSignature = {
  readonly parameters: readonly CoreType[];
  readonly results: readonly CoreType[];
};

/**
 * What a core function must look like to be lifted as `abiFunction`. Of an async one the result is
 * the task's code: what it waits for, or that it has ended.
 */
export function coreSignatureOf(abiFunction: AbiFunction): CoreSignature {
  const { isAsync, result } = abiFunction;
  const parameters = abiFunction.parameters.flatMap(({ type }) => flatten(type));
  return {
    parameters: parameters.length > FLAT_PARAMETER_COUNT_MAX ? ["i32"] : parameters,
    results: isAsync || returnsThroughMemory(result) ? ["i32"] : flattenResult(result),
  };
}

/** Event, what it happened to, and what that is now, to the task's next code. */
export const CALLBACK_SIGNATURE: CoreSignature = {
  parameters: ["i32", "i32", "i32"],
  results: ["i32"],
};

/**
 * How a core module sees a function that it imports. An async one is told where its result shall
 * be, and answers with the state of the call.
 */
export function importSignatureOf(abiFunction: AbiFunction): CoreSignature {
  if (!abiFunction.isAsync) return coreSignatureOf(abiFunction);
  const { result } = abiFunction;
  const flat = abiFunction.parameters.flatMap(({ type }) => flatten(type));
  const parameters = flat.length > FLAT_ASYNC_PARAMETER_COUNT_MAX ? (["i32"] as const) : flat;
  return {
    parameters: result === undefined ? parameters : [...parameters, "i32"],
    results: ["i32"],
  };
}

/** How a task hands over its result. */
export function taskReturnSignatureOf({ result }: AbiFunction): CoreSignature {
  const flat = flattenResult(result);
  return { parameters: flat.length > FLAT_PARAMETER_COUNT_MAX ? ["i32"] : flat, results: [] };
}

/** Whether the result lies behind a pointer. Only then can there be anything to free. */
export function returnsThroughMemory(result: AbiType | undefined): boolean {
  return flattenResult(result).length > FLAT_RESULT_COUNT_MAX;
}

function flattenResult(result: AbiType | undefined): readonly CoreType[] {
  return result === undefined ? [] : flatten(result);
}

/** The core values that carry a value of this type when it travels as parameters. */
export function flatten(type: AbiType): readonly CoreType[] {
  switch (type.kind) {
    case "u64":
    case "s64":
      return ["i64"];
    case "f32":
    case "f64":
      return [type.kind];
    case "string":
    case "list":
      return ["i32", "i32"];
    case "record":
      return type.fields.flatMap((field) => flatten(field.type));
    case "tuple":
      return type.items.flatMap(flatten);
    case "option":
      return ["i32", ...flatten(type.value)];
    case "result":
      return ["i32", ...join(flattenResult(type.ok), flattenResult(type.error))];
    default:
      return ["i32"];
  }
}

/** One row of core values wide enough for either case. */
function join(left: readonly CoreType[], right: readonly CoreType[]): readonly CoreType[] {
  const count = Math.max(left.length, right.length);
  return Array.from({ length: count }, (_, index) => joinOne(left[index], right[index]));
}

function joinOne(left: CoreType | undefined, right: CoreType | undefined): CoreType {
  if (left === undefined || left === right) return right!;
  if (right === undefined) return left;
  const both = new Set([left, right]);
  return both.has("i32") && both.has("f32") ? "i32" : "i64";
}

/** Bytes to whose multiple an address of this type must be rounded. */
export function alignmentOf(type: AbiType): number {
  switch (type.kind) {
    case "record":
      return alignmentOfAll(type.fields.map((field) => field.type));
    case "tuple":
      return alignmentOfAll(type.items);
    case "option":
      return alignmentOf(type.value);
    case "result":
      return alignmentOfAll([type.ok, type.error].filter((each) => each !== undefined));
    case "string":
    case "list":
      return 4;
    case "enum":
      return enumBytes(type.cases.length);
    default:
      return SCALAR_BYTES[type.kind];
  }
}

function alignmentOfAll(types: readonly AbiType[]): number {
  return Math.max(1, ...types.map(alignmentOf));
}

/** Bytes of a value in memory, rounded up to its alignment: the stride of a list. */
export function bytesOf(type: AbiType): number {
  switch (type.kind) {
    case "record":
      return sequenceLayout(type.fields.map((field) => field.type)).bytes;
    case "tuple":
      return sequenceLayout(type.items).bytes;
    case "option":
      return caseBytes([type.value]);
    case "result":
      return caseBytes([type.ok, type.error].filter((each) => each !== undefined));
    case "string":
    case "list":
      return 8;
    case "enum":
      return enumBytes(type.cases.length);
    default:
      return SCALAR_BYTES[type.kind];
  }
}

function caseBytes(payloads: readonly AbiType[]): number {
  const alignment = alignmentOfAll(payloads);
  const payloadBytes = Math.max(0, ...payloads.map(bytesOf));
  return alignUp(alignUp(1, alignment) + payloadBytes, alignment);
}

/** Where the payload of an option or a result begins: after its one byte of discriminant. */
export function payloadOffsetOf(type: AbiType): number {
  assert(type.kind === "option" || type.kind === "result");
  return alignUp(1, alignmentOf(type));
}

export type SequenceLayout = { readonly offsets: readonly number[]; readonly bytes: number };

/** Where the fields of a record or the items of a tuple lie. */
export function sequenceLayout(types: readonly AbiType[]): SequenceLayout {
  let end = 0;
  const offsets = types.map((type) => {
    const offset = alignUp(end, alignmentOf(type));
    end = offset + bytesOf(type);
    return offset;
  });
  return { offsets, bytes: alignUp(end, alignmentOfAll(types)) };
}

/** Bytes of an enum's discriminant. */
export function enumBytes(caseCount: number): 1 | 2 | 4 {
  if (caseCount <= 2 ** 8) return 1;
  return caseCount <= 2 ** 16 ? 2 : 4;
}

export function alignUp(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment;
}

const SCALAR_BYTES: Readonly<Record<AbiScalar, number>> = {
  bool: 1,
  u8: 1,
  s8: 1,
  u16: 2,
  s16: 2,
  u32: 4,
  s32: 4,
  u64: 8,
  s64: 8,
  f32: 4,
  f64: 8,
  char: 4,
};
