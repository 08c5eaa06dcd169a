/** Reads the types of a component: of values, of functions, and of the interfaces it imports. */
import type { AbiField, AbiType } from "./abi-types.ts";
import { AdmissionError } from "./admission-error.ts";
import type { WasmReader } from "./wasm-reader.ts";

export type FunctionType = {
  readonly isAsync: boolean;
  readonly parameters: readonly AbiField[];
  readonly result: AbiType | undefined;
};

/** Of an interface. */
export type InstanceType = { readonly functions: ReadonlyMap<string, FunctionType> };

/** A record's name is no part of its shape, and a component does not say it. */
const NAMELESS = "";

/** One index space of types; the type of an interface has one of its own. */
export class TypeSpace {
  readonly #types: (AbiType | FunctionType | InstanceType)[] = [];

  /** Reads the next type. */
  read(reader: WasmReader): void {
    this.#types.push(this.#type(reader));
  }

  /** `name`: of the function, for what is said when its type is not there. */
  function(index: number, name: string): FunctionType {
    const type = this.#types[index];
    if (type !== undefined && "parameters" in type) return type;
    throw unexpected(`no function type for "${name}"`);
  }

  instance(index: number): InstanceType {
    const type = this.#types[index];
    if (type !== undefined && "functions" in type) return type;
    throw unexpected("no interface type for what it imports");
  }

  /** One that the reader names by its index, once more under the next index. */
  equal(reader: WasmReader): void {
    this.#types.push(this.#value(reader));
  }

  /** Of a function: a value or nothing. */
  result(reader: WasmReader): AbiType | undefined {
    const form = reader.byte();
    if (form === 0) return this.#value(reader);
    if (form !== 1 || reader.byte() !== 0) throw unexpected("named results");
    return undefined;
  }

  #type(reader: WasmReader): AbiType | FunctionType | InstanceType {
    const form = reader.byte();
    switch (form) {
      case 0x40:
      case 0x43: {
        const parameters = this.#fields(reader);
        return { isAsync: form === 0x43, parameters, result: this.result(reader) };
      }
      case 0x42:
        return readInstanceType(reader);
      case 0x6a:
        return { kind: "result", ok: this.#optional(reader), error: this.#optional(reader) };
      case 0x6b:
        return { kind: "option", value: this.#value(reader) };
      case 0x6d: {
        const cases = reader.vector(() => camelCase(reader.name()));
        return { kind: "enum", name: NAMELESS, cases };
      }
      case 0x6f:
        return { kind: "tuple", items: reader.vector(() => this.#value(reader)) };
      case 0x70:
        return { kind: "list", element: this.#value(reader) };
      case 0x72:
        return { kind: "record", name: NAMELESS, fields: this.#fields(reader) };
      default:
        if (form >= 0x73 && form <= 0x7f) return PRIMITIVES[0x7f - form]!;
        throw unexpected(`a type of form 0x${form.toString(16)}`);
    }
  }

  #fields(reader: WasmReader): AbiField[] {
    return reader.vector(() => ({ name: camelCase(reader.name()), type: this.#value(reader) }));
  }

  #optional(reader: WasmReader): AbiType | undefined {
    return reader.byte() === 0 ? undefined : this.#value(reader);
  }

  #value(reader: WasmReader): AbiType {
    const index = reader.s33();
    const type = index < 0 ? PRIMITIVES[-index - 1] : this.#types[index];
    if (type === undefined || !("kind" in type))
      throw reader.malformed("it names a type that is not there");
    return type;
  }
}

const SORT_FUNCTION = 0x01;
const SORT_TYPE = 0x03;

/** Types, those of them that it exports under a name, and exported functions. */
function readInstanceType(reader: WasmReader): InstanceType {
  const types = new TypeSpace();
  const functions = new Map<string, FunctionType>();
  reader.vector(() => {
    const kind = reader.byte();
    if (kind === 0x01) return types.read(reader);
    if (kind !== 0x04) throw unexpected(`an interface with a declaration of kind ${kind}`);
    const name = readExternName(reader);
    const sort = reader.byte();
    if (sort === SORT_FUNCTION) functions.set(name, types.function(reader.u32(), name));
    else if (sort === SORT_TYPE && reader.byte() === 0) types.equal(reader);
    else throw unexpected(`"${name}" in an interface, neither function nor type`);
  });
  return { functions };
}

/** Of an import or an export; a plain one. */
export function readExternName(reader: WasmReader): string {
  const form = reader.byte();
  if (form > 1) throw unexpected(`a name of form ${form}`);
  return reader.name();
}

/** In the order of their codes, 0x7f downwards. */
const PRIMITIVES: readonly AbiType[] = [
  ...(["bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"] as const),
  ...(["f32", "f64", "char", "string"] as const),
].map((kind) => ({ kind }));

export function unexpected(what: string): AdmissionError {
  return new AdmissionError(
    "malformed",
    `The component has ${what}; wit-component does not write that for this world.`,
  );
}

function camelCase(kebab: string): string {
  return kebab.replace(/-([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());
}
