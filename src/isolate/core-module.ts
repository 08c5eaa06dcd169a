/**
 * Checks the core module of a component section by section, and rewrites its `memory.grow`.
 *
 * A guest's memory has a fixed size, so growing can never succeed; but "returns -1" would let a
 * turn that wants more memory end any way it likes. So each `memory.grow 0` (40 00) becomes `drop;
 * unreachable` (1a 00): as long, as typed, and it traps at an offset the host knows; see outcomeOf
 * in guest-instance.ts.
 */
import { GUEST_MEMORY_PAGES_MAX, GUEST_TABLE_ELEMENTS_MAX } from "#model/limits.ts";
import { AdmissionError } from "./admission-error.ts";
import { readValueType, walkBody } from "./opcodes.ts";
import { WasmReader } from "./wasm-reader.ts";

export type CoreFunctionType = {
  readonly parameters: readonly string[];
  readonly results: readonly string[];
};

/** A function that the module imports; `name`: `<module>#<field>`. */
export type CoreImport = CoreFunctionType & {
  readonly module: string;
  readonly field: string;
  readonly name: string;
};

export type CoreModule = {
  /** The module as the host runs it. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly memoryPages: number;
  readonly imports: readonly CoreImport[];
  /** Export name -> what it exports. */
  readonly functions: ReadonlyMap<string, CoreFunctionType>;
  readonly memories: ReadonlySet<string>;
  /** Offsets in `bytes` of the `unreachable` that stands for a `memory.grow`. */
  readonly growOffsets: ReadonlySet<number>;
};

/** Reads and checks a core module; throws AdmissionError. */
export function readCoreModule(source: Uint8Array): CoreModule {
  return new CoreModuleReader(source).read();
}

const SECTION_NAMES =
  "custom, type, import, function, table, memory, global, export, start, element, code, data and " +
  "data count";

class CoreModuleReader {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #types: CoreFunctionType[] = [];
  readonly #imports: CoreImport[] = [];
  /** Of imported functions, then of its own. */
  readonly #functionTypes: number[] = [];
  readonly #functions = new Map<string, CoreFunctionType>();
  readonly #memories = new Set<string>();
  readonly #growOffsets = new Set<number>();
  #memoryPages = 0;
  #tableCount = 0;

  constructor(source: Uint8Array) {
    this.#bytes = new Uint8Array(source);
  }

  read(): CoreModule {
    const reader = new WasmReader(this.#bytes, 8);
    while (!reader.done) {
      const id = reader.byte();
      const section = reader.part(reader.u32());
      this.#section(id, section);
      if (id !== 0 && !section.done) throw section.malformed(`section ${id} is too long`);
    }
    if (this.#memoryPages === 0) throw memoryLimits("no memory");
    for (const offset of this.#growOffsets) this.#bytes[offset - 1] = DROP;
    return {
      bytes: this.#bytes,
      memoryPages: this.#memoryPages,
      imports: this.#imports,
      functions: this.#functions,
      memories: this.#memories,
      growOffsets: this.#growOffsets,
    };
  }

  #section(id: number, reader: WasmReader): void {
    switch (id) {
      case 0:
        return; // Custom: names and producers, without effect.
      case 1:
        return void reader.vector(() => this.#types.push(readFunctionType(reader)));
      case 2:
        return void reader.vector(() => this.#import(reader));
      case 3:
        return void reader.vector(() => this.#functionTypes.push(reader.u32()));
      case 4:
        return void reader.vector(() => this.#table(reader));
      case 5:
        return void reader.vector(() => this.#memory(reader));
      case 6:
        return void reader.vector(() => readGlobal(reader));
      case 7:
        return void reader.vector(() => this.#export(reader));
      case 8:
        throw new AdmissionError(
          "startFunction",
          "The core module has a start function. A guest does nothing before `configure`.",
        );
      case 9:
        return void reader.vector(() => readElements(reader));
      case 10:
        return void reader.vector(() => this.#body(reader));
      case 11:
        return void reader.vector(() => readData(reader));
      case 12:
        return reader.skipLeb(32);
      default:
        throw new AdmissionError(
          "feature",
          `The core module has a section ${id}; known are ${SECTION_NAMES}.`,
        );
    }
  }

  /** Only functions; which of them, admission compares with the world. */
  #import(reader: WasmReader): void {
    const [module, field] = [reader.name(), reader.name()];
    if (reader.byte() !== 0) {
      throw new AdmissionError(
        "importsBeyondWorld",
        `The core module imports "${module}" "${field}", which is no function. A guest has its ` +
          "own memory, and shares none.",
      );
    }
    const typeIndex = reader.u32();
    const type = this.#types[typeIndex];
    if (type === undefined) throw reader.malformed("it imports a function without a type");
    this.#functionTypes.push(typeIndex);
    this.#imports.push({ module, field, name: `${module}#${field}`, ...type });
  }

  #table(reader: WasmReader): void {
    const type = reader.byte();
    if (type !== FUNCREF) throw tableLimits(`a table of type 0x${type.toString(16)}`);
    const { min, max } = readLimits(reader, tableLimits);
    if (min !== max) throw tableLimits(`a table of ${min} to ${max ?? "any number of"} elements`);
    if (min > GUEST_TABLE_ELEMENTS_MAX) throw tableLimits(`a table of ${min} elements`);
    this.#tableCount += 1;
    if (this.#tableCount > 1) throw tableLimits("a second table");
  }

  #memory(reader: WasmReader): void {
    const { min, max } = readLimits(reader, memoryLimits);
    if (this.#memoryPages > 0) throw memoryLimits("a second memory");
    if (min !== max) throw memoryLimits(`a memory of ${min} to ${max ?? "any number of"} pages`);
    if (min === 0 || min > GUEST_MEMORY_PAGES_MAX) throw memoryLimits(`a memory of ${min} pages`);
    this.#memoryPages = min;
  }

  #export(reader: WasmReader): void {
    const name = reader.name();
    const kind = reader.byte();
    const index = reader.u32();
    if (kind === 0) {
      const type = this.#types[this.#functionTypes[index] ?? -1];
      if (type === undefined)
        throw reader.malformed(`"${name}" exports a function it does not have`);
      this.#functions.set(name, type);
    } else if (kind === 2) this.#memories.add(name);
  }

  #body(reader: WasmReader): void {
    const body = reader.part(reader.u32());
    walkBody(body, (offset) => this.#growOffsets.add(offset + 1));
  }
}

const DROP = 0x1a;
const FUNCREF = 0x70;

function readFunctionType(reader: WasmReader): CoreFunctionType {
  const form = reader.byte();
  if (form !== 0x60) {
    throw new AdmissionError(
      "feature",
      `The core module declares a type of form 0x${form.toString(16)}; only functions are allowed.`,
    );
  }
  return {
    parameters: reader.vector(() => readValueType(reader)),
    results: reader.vector(() => readValueType(reader)),
  };
}

type Limits = { readonly min: number; readonly max: number | undefined };

function readLimits(reader: WasmReader, refuse: (found: string) => AdmissionError): Limits {
  const flags = reader.byte();
  if (flags > 1) throw refuse(`limits of kind ${flags} (shared, or of 64 bits)`);
  const min = reader.u32();
  return { min, max: flags === 1 ? reader.u32() : undefined };
}

function readGlobal(reader: WasmReader): void {
  readValueType(reader);
  if (reader.byte() !== 0) {
    throw new AdmissionError(
      "hiddenState",
      "The core module has a mutable global, which an image does not hold. Keep all state in the " +
        "memory: in AssemblyScript `memory.data` instead of `let`, and nothing that allocates.",
    );
  }
  skipConstant(reader);
}

/** One constant and `end`. */
function skipConstant(reader: WasmReader): void {
  const opcode = reader.byte();
  if (opcode === 0x41) reader.skipLeb(32);
  else if (opcode === 0x42) reader.skipLeb(64);
  else if (opcode === 0x43) reader.skip(4);
  else if (opcode === 0x44) reader.skip(8);
  else if (opcode === 0xfd && reader.u32() === 0x0c) reader.skip(16);
  else throw notConstant(opcode);
  const end = reader.byte();
  if (end !== 0x0b) throw notConstant(end);
}

function notConstant(opcode: number): AdmissionError {
  return new AdmissionError(
    "feature",
    `The core module initializes something with opcode 0x${opcode.toString(16)}; use one constant.`,
  );
}

/** Function indices for the table, active from the start. */
function readElements(reader: WasmReader): void {
  const kind = reader.u32();
  if (kind !== 0) {
    throw new AdmissionError(
      "feature",
      `The core module has an element segment of kind ${kind}; only active ones of functions are ` +
        "allowed.",
    );
  }
  skipConstant(reader);
  reader.vector(() => reader.skipLeb(32));
}

function readData(reader: WasmReader): void {
  const kind = reader.u32();
  if (kind !== 0) {
    throw new AdmissionError(
      "feature",
      `The core module has a data segment of kind ${kind}; only active ones are allowed.`,
    );
  }
  skipConstant(reader);
  reader.skip(reader.u32());
}

function memoryLimits(found: string): AdmissionError {
  return new AdmissionError(
    "memoryLimits",
    `The core module has ${found}. Declare one memory with initial == maximum, 1 to ` +
      `${GUEST_MEMORY_PAGES_MAX} pages (asc: --initialMemory 3 --maximumMemory 3).`,
  );
}

function tableLimits(found: string): AdmissionError {
  return new AdmissionError(
    "tableLimits",
    `The core module has ${found}. At most one table of functions is allowed, with initial == ` +
      `maximum, up to ${GUEST_TABLE_ELEMENTS_MAX} elements.`,
  );
}
