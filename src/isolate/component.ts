/**
 * Reads a component: its one core module, and how that module's functions are lifted.
 *
 * wit-component writes, for a world without imports: core module, types, core instance, aliases of
 * the instance's exports, one `canon lift` a function, and a nested component without code that
 * gives the lifted functions their place in an exported interface. The host calls the core
 * functions itself, by the names the world gives them, so it reads what decides their meaning: the
 * type each is lifted under, string encoding, memory, realloc and post-return.
 *
 * Where the world imports an interface of functions of numbers, it writes besides: the type of the
 * interface, its import, an alias and a `canon lower` for each function that is used, a core
 * instance of these, and that instance as an argument of the module's. Numbers are lowered as they
 * are, so the host binds its functions to the core module's imports itself; it reads that each
 * import of the module is the function of that name, and its type.
 *
 * What a component may have beyond that is refused. Source: component-model, design/mvp/Binary.md.
 */
import type { AbiField, AbiType } from "./abi-types.ts";
import { AdmissionError } from "./admission-error.ts";
import { TypeSpace, unexpected, type FunctionType } from "./component-types.ts";
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

/** A function of an imported interface; `name`: `<interface>#<function>`. */
export type ImportedFunction = FunctionType & { readonly name: string };

export type Component = {
  readonly coreModule: Uint8Array;
  /** All functions of the interfaces it imports. */
  readonly imported: readonly ImportedFunction[];
  /** What the core module is given: `<module>#<field>`, each the imported function of that name. */
  readonly wired: ReadonlySet<string>;
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

/** `lowered`: the imported function that it is, if it is one. */
type CoreFunction = { readonly name: string; readonly lowered?: string };

class ComponentReader {
  readonly #bytes: Uint8Array;
  readonly #modules: Uint8Array[] = [];
  readonly #types = new TypeSpace();
  readonly #lifted = new Map<string, LiftedFunction>();
  readonly #exportNames = new Set<string>();
  /** By index: name of an imported instance; names of functions, `undefined` for lifted ones. */
  readonly #instances: string[] = [];
  readonly #functions: (string | undefined)[] = [];
  readonly #imported: ImportedFunction[] = [];
  /** By index: core functions, which are export names of the module or were lowered. */
  readonly #coreFunctions: CoreFunction[] = [];
  readonly #coreMemories: string[] = [];
  /** By index: the module's instance, or names of the lowered functions in one by their fields. */
  readonly #coreInstances: ("module" | ReadonlyMap<string, string>)[] = [];
  readonly #wired = new Set<string>();

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
    const instanceCount = this.#coreInstances.filter((each) => each === "module").length;
    if (coreModule === undefined || this.#modules.length > 1 || instanceCount !== 1) {
      throw new AdmissionError(
        "moduleCount",
        `The component has ${this.#modules.length} core modules and ${instanceCount} ` +
          "instances; it must have one of each.",
      );
    }
    return {
      coreModule,
      imported: this.#imported,
      wired: this.#wired,
      lifted: this.#lifted,
      exportNames: this.#exportNames,
    };
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
        return void reader.vector(() => this.#types.read(reader));
      case 8:
        return void reader.vector(() => this.#canon(reader));
      case 10:
        return void reader.vector(() => this.#import(reader));
      case 11:
        return this.#exports(reader);
      default:
        throw unexpected(`a section ${id}`);
    }
  }

  /** Only interfaces are imported; what is in them, admission compares with the world. */
  #import(reader: WasmReader): void {
    reader.byte();
    const name = reader.name();
    if (reader.byte() !== 0x05) {
      throw new AdmissionError(
        "importsBeyondWorld",
        `The component imports "${name}", which is no interface of its world.`,
      );
    }
    const { functions } = this.#types.instance(reader.u32());
    for (const [field, type] of functions) {
      this.#imported.push({ name: `${name}#${field}`, ...type });
    }
    this.#instances.push(name);
  }

  #coreInstance(reader: WasmReader): void {
    const form = reader.byte();
    if (form === 1) {
      const fields = reader.vector(() => {
        const field = reader.name();
        if (reader.byte() !== 0) throw unexpected("a core instance of more than functions");
        const { lowered } = this.#coreFunction(reader);
        if (lowered === undefined) throw unexpected("a core instance of its own functions");
        return [field, lowered] as const;
      });
      this.#coreInstances.push(new Map(fields));
      return;
    }
    if (form !== 0) throw unexpected(`a core instance of form ${form}`);
    if (reader.u32() !== 0) throw unexpected("an instance of another core module");
    reader.vector(() => this.#argument(reader));
    this.#coreInstances.push("module");
  }

  /** What the core module gets under a name must be what the component imports under it. */
  #argument(reader: WasmReader): void {
    const module = reader.name();
    if (reader.byte() !== 0x12) throw unexpected("an argument that is no core instance");
    const instance = this.#coreInstances[reader.u32()];
    if (instance === undefined || instance === "module") {
      throw unexpected(`an argument "${module}" of its own making`);
    }
    for (const [field, lowered] of instance) {
      const wanted = `${module}#${field}`;
      if (lowered !== wanted) throw unexpected(`"${lowered}" in the place of "${wanted}"`);
      this.#wired.add(wanted);
    }
  }

  #alias(reader: WasmReader): void {
    const sort = reader.byte();
    const coreSort = sort === 0 ? reader.byte() : -1;
    const target = reader.byte();
    if (sort === 1 && target === 0) {
      const instance = this.#instances[reader.u32()];
      if (instance === undefined) throw unexpected("an alias of what it does not import");
      this.#functions.push(`${instance}#${reader.name()}`);
      return;
    }
    if (target !== 1) throw unexpected("an alias of something other than a core export");
    if (this.#coreInstances[reader.u32()] !== "module") {
      throw unexpected("an alias of something other than the module's export");
    }
    const name = reader.name();
    if (coreSort === 0) this.#coreFunctions.push({ name });
    else if (coreSort === 2) this.#coreMemories.push(name);
    else throw unexpected(`an alias of "${name}", neither function nor memory`);
  }

  #canon(reader: WasmReader): void {
    const kind = reader.byte();
    if (kind > 1 || reader.byte() !== 0) throw unexpected("a canon other than `lift` and `lower`");
    if (kind === 0) return this.#lift(reader);
    const lowered = this.#functions[reader.u32()];
    if (lowered === undefined) throw unexpected("a `lower` of what it does not import");
    if (reader.u32() !== 0) throw canonOption(lowered, reader.byte());
    this.#coreFunctions.push({ name: lowered, lowered });
  }

  #lift(reader: WasmReader): void {
    const { name: coreName } = this.#ownFunction(reader);
    const options: { memory?: string; realloc?: string; postReturn?: string } = {};
    reader.vector(() => {
      const option = reader.byte();
      if (option === 0x00) return; // utf8, which is also the default.
      if (option === 0x03) options.memory = this.#coreMemories[reader.u32()] ?? "?";
      else if (option === 0x04) options.realloc = this.#ownFunction(reader).name;
      else if (option === 0x05) options.postReturn = this.#ownFunction(reader).name;
      else throw canonOption(coreName, option);
    });
    const type = this.#types.function(reader.u32(), coreName);
    if (this.#lifted.has(coreName)) throw unexpected(`"${coreName}" lifted twice`);
    this.#lifted.set(coreName, {
      coreName,
      memory: options.memory,
      realloc: options.realloc,
      postReturn: options.postReturn,
      parameters: type.parameters,
      result: type.result,
    });
    this.#functions.push(undefined);
  }

  #coreFunction(reader: WasmReader): CoreFunction {
    const found = this.#coreFunctions[reader.u32()];
    if (found === undefined) throw reader.malformed("it names a core function that is not there");
    return found;
  }

  /** An export of the core module. */
  #ownFunction(reader: WasmReader): CoreFunction {
    const found = this.#coreFunction(reader);
    if (found.lowered !== undefined) throw unexpected(`"${found.name}" in the place of its own`);
    return found;
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
