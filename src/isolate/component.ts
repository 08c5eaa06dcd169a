/**
 * Reads a component: its core module, how that module's functions are lifted, and what its imports
 * are.
 *
 * wit-component writes, for a world without imports: core module, types, core instance, aliases of
 * the instance's exports, one `canon lift` a function, and a nested component without code that
 * gives the lifted functions their place in an exported interface. The host calls the core
 * functions itself, by the names the world gives them, so it reads what decides their meaning: the
 * type each is lifted under, string encoding, memory, realloc, post-return and callback.
 *
 * Where the world imports an interface, it writes besides: the type of the interface, its import,
 * an alias and a `canon lower` for each function that is used, a core instance of these, and that
 * instance as an argument of the module's. The host binds its functions to the core module's
 * imports itself; it reads that each import of the module is the function of that name (canons.ts),
 * and its type.
 *
 * What needs the module's memory cannot be made before the module's instance, which needs it. So
 * where a function is imported that reads or writes there (an async one, a task's return) there are
 * two modules more: a shim, whose functions call through a table, is what the module imports, and
 * a fixup fills the table. Both must be what wiring-modules.ts writes; here the indices are
 * followed through them: import of the module, function n of the shim, `actual` n, canon.
 *
 * What a component may have beyond that is refused. Source: component-model, design/mvp/Binary.md.
 */
import { AdmissionError } from "./admission-error.ts";
import {
  BUILTIN_CODES,
  CANON_LIFT,
  CANON_LOWER,
  CANON_TASK_RETURN,
  LIFT_OPTIONS,
  LOWER_OPTIONS,
  readCanonOptions,
  TASK_RETURN_OPTIONS,
  type Canon,
  type CanonOptions,
} from "./canons.ts";
import { readExternName, TypeSpace, unexpected, type FunctionType } from "./component-types.ts";
import { WasmReader } from "./wasm-reader.ts";

export type LiftedFunction = CanonOptions & {
  /** Export name of the core module. */
  readonly coreName: string;
  readonly type: FunctionType;
};

/** A function of an imported interface; `name`: `<interface>#<function>`. */
export type ImportedFunction = FunctionType & { readonly name: string };

/** A function that is lowered with the memory of the core module. */
export type LoweredFunction = { readonly name: string; readonly options: CanonOptions };

export type Wiring = {
  readonly shim: Uint8Array;
  readonly fixup: Uint8Array;
  /** Imports of the core module that go through the shim, in the order of its functions. */
  readonly names: readonly string[];
};

export type Component = {
  readonly coreModule: Uint8Array;
  /** All functions of the interfaces it imports. */
  readonly imported: readonly ImportedFunction[];
  /** Those that are lowered as async. */
  readonly lowered: readonly LoweredFunction[];
  /** What the core module is given: `<module>#<field>`, and what that is. */
  readonly wired: ReadonlyMap<string, Canon>;
  /** By export name of the core module. */
  readonly lifted: ReadonlyMap<string, LiftedFunction>;
  /** Names of what the component exports. */
  readonly exportNames: ReadonlySet<string>;
  readonly wiring: Wiring | undefined;
};

/** Throws AdmissionError. */
export function readComponent(bytes: Uint8Array): Component {
  return new ComponentReader(bytes).read();
}

const PREAMBLE_BYTES = 8;
const COMPONENT_VERSION = 0x0001_000d;
const MAGIC = 0x6d73_6100;

/** Custom ones, instances of nested components, and core modules, which are read elsewhere. */
const UNREAD_SECTIONS: ReadonlySet<number> = new Set([0, 1, 5]);

/** Core modules by their index. */
const ROLES = ["main", "shim", "fixup"] as const;
type Role = (typeof ROLES)[number];

/** What a core function is: an export of the module, function `index` of the shim, or a canon. */
type CoreFunction =
  | { readonly kind: "own"; readonly name: string }
  | { readonly kind: "shim"; readonly index: number }
  | Canon;

/** A core instance: of a module, or of functions by their fields. */
type CoreInstance = Role | ReadonlyMap<string, CoreFunction>;

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
  readonly #lowered: LoweredFunction[] = [];
  readonly #coreFunctions: CoreFunction[] = [];
  readonly #coreMemories: string[] = [];
  readonly #coreInstances: CoreInstance[] = [];
  /** What the module is given, and the fixup, by its fields. */
  readonly #given = new Map<string, CoreFunction>();
  #actual: ReadonlyMap<string, CoreFunction> | undefined;
  #isShimFixed = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(): Component {
    const reader = new WasmReader(this.#bytes, checkPreamble(this.#bytes));
    while (!reader.done) {
      const id = reader.byte();
      const section = reader.part(reader.u32());
      this.#section(id, section);
      if (!UNREAD_SECTIONS.has(id) && !section.done) {
        throw section.malformed(`section ${id} is too long`);
      }
    }
    const moduleCount = this.#modules.length;
    const roles = this.#coreInstances.filter((each) => typeof each === "string");
    const isWhole = roles.length === moduleCount && new Set(roles).size === moduleCount;
    if (!isWhole || (moduleCount !== 1 && moduleCount !== ROLES.length)) {
      throw new AdmissionError(
        "moduleCount",
        `The component has ${moduleCount} core modules and ${roles.length} instances of them; it ` +
          "must have one of each, or three with the two that wit-component adds.",
      );
    }
    return {
      coreModule: this.#modules[0]!,
      imported: this.#imported,
      lowered: this.#lowered,
      ...this.#follow(),
      lifted: this.#lifted,
      exportNames: this.#exportNames,
    };
  }

  /** Imports of the module, through the shim where they go through it. */
  #follow(): Pick<Component, "wired" | "wiring"> {
    const wired = new Map<string, Canon>();
    const names: string[] = [];
    for (const [name, given] of this.#given) {
      if (given.kind === "own") throw unexpected(`"${name}" of its own making`);
      const end = given.kind === "shim" ? this.#actual?.get(`${given.index}`) : given;
      if (end === undefined || end.kind === "own" || end.kind === "shim") {
        throw unexpected(`an import "${name}" that leads nowhere`);
      }
      wired.set(name, end);
      if (given.kind !== "shim") continue;
      if (names[given.index] !== undefined) throw unexpected(`"${name}" in the place of another`);
      names[given.index] = name;
    }
    const [, shim, fixup] = this.#modules;
    if (shim === undefined || fixup === undefined) return { wired, wiring: undefined };
    const count = this.#actual?.size;
    if (!this.#isShimFixed || Object.keys(names).length !== count || names.length !== count) {
      throw unexpected("a shim of functions that its module does not import");
    }
    return { wired, wiring: { shim, fixup, names } };
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
    const name = readExternName(reader);
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
        return [field, this.#coreFunction(reader)] as const;
      });
      const instance = new Map(fields);
      if (instance.size !== fields.length) throw unexpected("a core instance with a name twice");
      this.#coreInstances.push(instance);
      return;
    }
    if (form !== 0) throw unexpected(`a core instance of form ${form}`);
    const role = ROLES[reader.u32()];
    if (role === undefined) throw unexpected("an instance of another core module");
    reader.vector(() => this.#argument(role, reader));
    this.#coreInstances.push(role);
  }

  /** The shim takes nothing; the fixup the shim itself, and what its functions are. */
  #argument(role: Role, reader: WasmReader): void {
    const module = reader.name();
    if (reader.byte() !== 0x12) throw unexpected("an argument that is no core instance");
    const instance = this.#coreInstances[reader.u32()];
    if (role === "fixup" && module === "shim" && instance === "shim") {
      this.#isShimFixed = true;
      return;
    }
    if (role === "shim" || instance === undefined || typeof instance === "string") {
      throw unexpected(`an argument "${module}" of its own making`);
    }
    if (role === "fixup") {
      if (module !== "actual" || this.#actual !== undefined) {
        throw unexpected(`an argument "${module}" of its wiring`);
      }
      this.#actual = instance;
      return;
    }
    for (const [field, given] of instance) {
      const name = `${module}#${field}`;
      if (this.#given.has(name)) throw unexpected(`an import "${name}" twice`);
      this.#given.set(name, given);
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
    const instance = this.#coreInstances[reader.u32()];
    const name = reader.name();
    if (instance === "main" && coreSort === 2) this.#coreMemories.push(name);
    else if (instance === "main" && coreSort === 0) this.#coreFunctions.push({ kind: "own", name });
    else if (instance === "shim" && coreSort === 0 && /^(0|[1-9]\d{0,3})$/.test(name)) {
      this.#coreFunctions.push({ kind: "shim", index: Number(name) });
    } else throw unexpected(`an alias of "${name}", neither function nor memory of the module`);
  }

  #canon(reader: WasmReader): void {
    const code = reader.byte();
    const builtin = BUILTIN_CODES.get(code);
    if (builtin !== undefined) this.#coreFunctions.push({ kind: "named", name: builtin });
    else if (code === CANON_LIFT && reader.byte() === 0) this.#lift(reader);
    else if (code === CANON_LOWER && reader.byte() === 0) this.#lower(reader);
    else if (code === CANON_TASK_RETURN) this.#taskReturn(reader);
    else throw unexpected(`a canon 0x${code.toString(16)}`);
  }

  /** Numbers are lowered as they are; with a memory only what is async. */
  #lower(reader: WasmReader): void {
    const name = this.#functions[reader.u32()];
    if (name === undefined) throw unexpected("a `lower` of what it does not import");
    const options = this.#options(reader, name, LOWER_OPTIONS);
    if (options.isAsync === true) {
      this.#lowered.push({ name, options });
      this.#coreFunctions.push({ kind: "named", name: name.replace("#", "#[async-lower]") });
      return;
    }
    if (Object.keys(options).length > 0) {
      throw new AdmissionError("canonOptions", `"${name}" is lowered with a memory.`);
    }
    this.#coreFunctions.push({ kind: "named", name });
  }

  #taskReturn(reader: WasmReader): void {
    const result = this.#types.result(reader);
    const { memory } = this.#options(reader, "task.return", TASK_RETURN_OPTIONS);
    this.#coreFunctions.push({ kind: "taskReturn", result, memory });
  }

  #lift(reader: WasmReader): void {
    const coreName = this.#ownFunction(reader);
    const options = this.#options(reader, coreName, LIFT_OPTIONS);
    const type = this.#types.function(reader.u32(), coreName);
    if (this.#lifted.has(coreName)) throw unexpected(`"${coreName}" lifted twice`);
    this.#lifted.set(coreName, { coreName, type, ...options });
    this.#functions.push(undefined);
  }

  #options(reader: WasmReader, name: string, allowed: ReadonlySet<string>): CanonOptions {
    const memory = (): string => this.#coreMemories[reader.u32()] ?? "?";
    return readCanonOptions(
      reader,
      { memory, ownFunction: () => this.#ownFunction(reader) },
      name,
      allowed,
    );
  }

  #coreFunction(reader: WasmReader): CoreFunction {
    const found = this.#coreFunctions[reader.u32()];
    if (found === undefined) throw reader.malformed("it names a core function that is not there");
    return found;
  }

  /** Name of an export of the core module. */
  #ownFunction(reader: WasmReader): string {
    const found = this.#coreFunction(reader);
    if (found.kind !== "own") throw unexpected("something imported in the place of its own");
    return found.name;
  }

  #exports(reader: WasmReader): void {
    reader.vector(() => {
      this.#exportNames.add(readExternName(reader));
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
