/**
 * The two core modules that wit-component adds where an import needs the memory of the module that
 * imports it: a shim, whose functions call through a table, and a fixup, which fills that table
 * once the memory is there. Both follow from the signatures of those imports alone. So admission
 * need not understand what a component brings: it writes them itself and compares every byte.
 *
 *   shim   type, function, table n n, exports "0" … and "$imports", code: call_indirect its own
 *   fixup  type, imports "actual" "0" … and "shim" "$imports", elements 0 … from 0 on
 *
 * As wit-component 0.259 writes them; a version that writes others needs others here.
 */
import type { CoreSignature, CoreType } from "./abi-types.ts";
import { WasmReader } from "./wasm-reader.ts";

export type WiringModules = { readonly shim: Buffer; readonly fixup: Buffer };

const PREAMBLE = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
const FUNCTION_TYPE = 0x60;
const FUNCREF = 0x70;
const IMPORTS_NAME = "$imports";
const CODES: Readonly<Record<CoreType, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c };

const LOCAL_GET = 0x20;
const I32_CONST = 0x41;
const CALL_INDIRECT = 0x11;
const END = 0x0b;

/** In the order of the shim's numbers. */
export function wiringModules(signatures: readonly CoreSignature[]): WiringModules {
  const { types, typeOf } = typesOf(signatures);
  const count = signatures.length;
  const table = [FUNCREF, 1, ...u32(count), ...u32(count)];
  const typeSection = section(1, vector(types));
  const shimExports = [
    ...signatures.map((_, index) => [...name(`${index}`), 0, ...u32(index)]),
    [...name(IMPORTS_NAME), 1, 0],
  ];
  const shim = [
    ...PREAMBLE,
    ...typeSection,
    ...section(3, vector(typeOf.map(u32))),
    ...section(4, vector([table])),
    ...section(7, vector(shimExports)),
    ...section(10, vector(signatures.map((each, index) => body(each, typeOf[index]!, index)))),
  ];
  const fixupImports = [
    ...typeOf.map((type, index) => [...name("actual"), ...name(`${index}`), 0, ...u32(type)]),
    [...name("shim"), ...name(IMPORTS_NAME), 1, ...table],
  ];
  const elements = [0, I32_CONST, 0, END, ...vector(signatures.map((_, index) => u32(index)))];
  const fixup = [
    ...PREAMBLE,
    ...typeSection,
    ...section(2, vector(fixupImports)),
    ...section(9, vector([elements])),
  ];
  return { shim: Buffer.from(shim), fixup: Buffer.from(fixup) };
}

/** A core module less its custom sections, which say who made it and have no effect. */
export function withoutCustomSections(module: Uint8Array): Buffer {
  const reader = new WasmReader(module);
  reader.skip(PREAMBLE.length);
  const parts = [module.subarray(0, PREAMBLE.length)];
  while (!reader.done) {
    const start = reader.at;
    const id = reader.byte();
    reader.skip(reader.u32());
    if (id !== 0) parts.push(module.subarray(start, reader.at));
  }
  return Buffer.concat(parts);
}

/** Each type once, in the order in which they come first. */
function typesOf(signatures: readonly CoreSignature[]): { types: number[][]; typeOf: number[] } {
  const numbers = new Map<string, number>();
  const types: number[][] = [];
  const typeOf = signatures.map(({ parameters, results }) => {
    const type = [
      FUNCTION_TYPE,
      ...vector(parameters.map((each) => [CODES[each]])),
      ...vector(results.map((each) => [CODES[each]])),
    ];
    const key = type.join(" ");
    const known = numbers.get(key);
    if (known !== undefined) return known;
    numbers.set(key, types.length);
    types.push(type);
    return types.length - 1;
  });
  return { types, typeOf };
}

function body({ parameters }: CoreSignature, type: number, index: number): number[] {
  const code = [
    0, // No locals.
    ...parameters.flatMap((_, parameter) => [LOCAL_GET, ...u32(parameter)]),
    I32_CONST,
    ...s32(index),
    CALL_INDIRECT,
    ...u32(type),
    0,
    END,
  ];
  return [...u32(code.length), ...code];
}

function section(id: number, bytes: readonly number[]): number[] {
  return [id, ...u32(bytes.length), ...bytes];
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...u32(items.length), ...items.flat()];
}

function name(text: string): number[] {
  const bytes = Buffer.from(text);
  return [...u32(bytes.length), ...bytes];
}

function u32(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...u32(value >>> 7)];
}

/** Of a number that is not negative. */
function s32(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...s32(value >>> 7)];
}
