/**
 * Reads a component: its one core module, and how that module's functions are lifted.
 *
 * wit-component writes, for a world without imports: core module, types, core instance, aliases of
 * the instance's exports, one `canon lift` a function, and a nested component without code that
 * gives the lifted functions their place in an exported interface. The host calls the core
 * functions itself, by the names the world gives them, so it reads what decides their meaning: the
 * type each is lifted under, string encoding, memory, realloc and post-return. What a component may
 * have beyond that is refused. Source: component-model, design/mvp/Binary.md.
 */
import type { AbiField, AbiType } from "./abi-types.ts";
import { AdmissionError } from "./admission-error.ts";
import { WasmReader } from "./wasm-reader.ts";

export type LiftedFunction = {
  /** Export names of the core module. */
  readonly coreName: string;
  readonly memory: string | undefined;
  readonly realloc: string | undefined;
  readonly postReturn: string | undefined;
  readonly parameters: readonly AbiField[];
  readonly result: AbiType | undefined;
};

export type Component = {
  readonly coreModule: Uint8Array;
  readonly lifted: ReadonlyMap<string, LiftedFunction>;
  /** Names of what the component exports. */
  readonly exportNames: ReadonlySet<string>;
};

/** Throws AdmissionError. */
export function readComponent(bytes: Uint8Array): Component {
  return new ComponentReader(bytes).read();
}

const PREAMBLE_BYTES = 8;
const COMPONENT_VERSION = 0x0001_000d;
const MAGIC = 0x6d73_6100;

/** A record's name is no part of its shape, and a component does not say it. */
const NAMELESS = "";

type FunctionType = {
  readonly parameters: readonly AbiField[];
  readonly result: AbiType | undefined;
};
type Defined = AbiType | FunctionType;

class ComponentReader {
  readonly #bytes: Uint8Array;
  readonly #modules: Uint8Array[] = [];
  readonly #types: Defined[] = [];
  readonly #lifted = new Map<string, LiftedFunction>();
  readonly #exportNames = new Set<string>();
  /** Export names of the core instance, by index: core functions, and core memories. */
  readonly #coreFunctions: string[] = [];
  readonly #coreMemories: string[] = [];
  #coreInstanceCount = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(): Component {
    const reader = new WasmReader(this.#bytes, checkPreamble(this.#bytes));
    while (!reader.done) {
      const id = reader.byte();
      const section = reader.part(reader.u32());
      this.#section(id, section);
    }
    const coreModule = this.#modules[0];
    if (coreModule === undefined || this.#modules.length > 1 || this.#coreInstanceCount !== 1) {
      throw new AdmissionError(
        "moduleCount",
        `The component has ${this.#modules.length} core modules and ${this.#coreInstanceCount} ` +
          "instances; it must have one of each.",
      );
    }
    return { coreModule, lifted: this.#lifted, exportNames: this.#exportNames };
  }

  #section(id: number, reader: WasmReader): void {
    switch (id) {
      case 0: // Custom: names and producers, without effect.
      case 5: // Instances of nested components, which have no code.
        return;
      case 1:
        return void this.#modules.push(reader.bytes.subarray(reader.at, reader.end));
      case 2:
        return void reader.vector(() => this.#coreInstance(reader));
      case 4:
        return refuseCode(reader);
      case 6:
        return void reader.vector(() => this.#alias(reader));
      case 7:
        return void reader.vector(() => this.#types.push(this.#type(reader)));
      case 8:
        return void reader.vector(() => this.#lift(reader));
      case 10:
        if (reader.u32() === 0) return;
        reader.byte();
        throw new AdmissionError(
          "importsBeyondWorld",
          `The component imports "${reader.name()}". This world has no imports.`,
        );
      case 11:
        return this.#exports(reader);
      default:
        throw unexpected(`a section ${id}`);
    }
  }

  #coreInstance(reader: WasmReader): void {
    if (reader.byte() !== 0) throw unexpected("a core instance made of exports");
    if (reader.u32() !== 0) throw unexpected("an instance of another core module");
    if (reader.u32() !== 0) throw unexpected("a core instance with arguments");
    this.#coreInstanceCount += 1;
  }

  #alias(reader: WasmReader): void {
    const sort = reader.byte();
    const coreSort = sort === 0 ? reader.byte() : -1;
    const target = reader.byte();
    if (target !== 1) throw unexpected("an alias of something other than a core export");
    reader.skipLeb(32); // There is one core instance.
    const name = reader.name();
    if (coreSort === 0) this.#coreFunctions.push(name);
    else if (coreSort === 2) this.#coreMemories.push(name);
    else throw unexpected(`an alias of "${name}", neither function nor memory`);
  }

  #lift(reader: WasmReader): void {
    if (reader.byte() !== 0 || reader.byte() !== 0) throw unexpected("a canon other than `lift`");
    const coreName = this.#coreFunction(reader);
    const options: { memory?: string; realloc?: string; postReturn?: string } = {};
    reader.vector(() => {
      const option = reader.byte();
      if (option === 0x00) return; // utf8, which is also the default.
      if (option === 0x03) options.memory = this.#coreMemories[reader.u32()] ?? "?";
      else if (option === 0x04) options.realloc = this.#coreFunction(reader);
      else if (option === 0x05) options.postReturn = this.#coreFunction(reader);
      else throw canonOption(coreName, option);
    });
    const type = this.#types[reader.u32()];
    if (type === undefined || "kind" in type)
      throw unexpected(`no function type for "${coreName}"`);
    if (this.#lifted.has(coreName)) throw unexpected(`"${coreName}" lifted twice`);
    this.#lifted.set(coreName, {
      coreName,
      memory: options.memory,
      realloc: options.realloc,
      postReturn: options.postReturn,
      parameters: type.parameters,
      result: type.result,
    });
  }

  #coreFunction(reader: WasmReader): string {
    const name = this.#coreFunctions[reader.u32()];
    if (name === undefined) throw reader.malformed("it names a core function that is not there");
    return name;
  }

  #type(reader: WasmReader): Defined {
    const form = reader.byte();
    switch (form) {
      case 0x40: {
        const parameters = this.#fields(reader);
        const hasResult = reader.byte() === 0;
        const result = hasResult ? this.#value(reader) : undefined;
        if (!hasResult && reader.byte() !== 0) throw unexpected("named results");
        return { parameters, result };
      }
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

  #exports(reader: WasmReader): void {
    reader.vector(() => {
      reader.byte();
      this.#exportNames.add(reader.name());
      if (reader.byte() === 0) reader.byte();
      reader.skipLeb(32);
      if (reader.byte() !== 0) throw unexpected("an export with a type of its own");
    });
  }
}

/** In the order of their codes, 0x7f downwards. */
const PRIMITIVES: readonly AbiType[] = [
  ...(["bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64"] as const),
  ...(["f32", "f64", "char", "string"] as const),
].map((kind) => ({ kind }));

function checkPreamble(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isWasm = bytes.length >= PREAMBLE_BYTES && view.getUint32(0, true) === MAGIC;
  if (isWasm && view.getUint32(4, true) === COMPONENT_VERSION) return PREAMBLE_BYTES;
  const found = isWasm ? `Wasm of version ${view.getUint32(4, true)}` : "something else than Wasm";
  throw new AdmissionError(
    "notComponent",
    `Found ${found}. Make a component of a core module with wit-component or \`jco new\`.`,
  );
}

/** A nested component may wire and export, but not bring code of its own. */
function refuseCode(component: WasmReader): void {
  component.skip(PREAMBLE_BYTES);
  while (!component.done) {
    const id = component.byte();
    component.skip(component.u32());
    if (![0, 6, 7, 10, 11].includes(id))
      throw unexpected(`a nested component with a section ${id}`);
  }
}

function canonOption(coreName: string, option: number): AdmissionError {
  const names = ["utf8", "utf16", "latin1+utf16", "memory", "realloc", "post-return", "async"];
  return new AdmissionError(
    "canonOptions",
    `"${coreName}" is lifted with option ${names[option] ?? option}. Use utf8, and no async.`,
  );
}

function unexpected(what: string): AdmissionError {
  return new AdmissionError(
    "malformed",
    `The component has ${what}; wit-component does not write that for this world.`,
  );
}

function camelCase(kebab: string): string {
  return kebab.replace(/-([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());
}
