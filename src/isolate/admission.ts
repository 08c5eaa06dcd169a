/**
 * Admits a component once, so that its instances need no checks later.
 *
 * What follows from admission, and why a slot may rely on it:
 *   - it is a component of our world: every function is there, lifted under the world's types, in
 *     UTF-8, and its core function has the signature the canonical ABI gives those types;
 *   - it reaches nothing but what its world imports, if anything, each under its name and type:
 *     functions of numbers, and async ones that the host answers; hence no clock, no randomness, no
 *     other tenant. Where an import needs its memory, the two modules that wire it are ours;
 *   - its memory is its whole state: fixed size, no mutable globals, tables that cannot change, no
 *     start function. Copying the memory copies the tenant;
 *   - it stays within the allow-list of instructions (opcodes.ts).
 * No tool runs here: jco is the oracle in tests, not a part of the product.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { COMPONENT_BYTES_MAX } from "#model/limits.ts";
import {
  asyncLiftName,
  CALLBACK_SIGNATURE,
  callbackName,
  coreSignatureOf,
  importName,
  importSignatureOf,
  postReturnName,
  returnsThroughMemory,
  taskReturnName,
  taskReturnSignatureOf,
} from "./abi-types.ts";
import type { AbiFunction, AbiType, AbiWorld, CoreSignature } from "./abi-types.ts";
import { AdmissionError } from "./admission-error.ts";
import { BUILTINS, type Canon, type CanonOptions } from "./canons.ts";
import { readComponent, type Component, type LiftedFunction, type Wiring } from "./component.ts";
import type { FunctionType } from "./component-types.ts";
import { readCoreModule, type CoreModule } from "./core-module.ts";
import { wiringModules, withoutCustomSections } from "./wiring-modules.ts";

export type AdmittedComponent = {
  /** SHA-256 of the component, hexadecimal. */
  readonly sha256: string;
  readonly module: WebAssembly.Module;
  /** The memory of a new instance. */
  readonly base: Buffer;
  readonly growOffsets: ReadonlySet<number>;
  /** Core names of functions that must be told when a result was read. */
  readonly postReturns: ReadonlySet<string>;
  /** Its tenants can be moved to another component, and those of another to it. */
  readonly isPortable: boolean;
};

/** What an instance is given: by the name of the interface, then of the function. */
export type GuestImports = Readonly<Record<string, Readonly<Record<string, Function>>>>;

export const REALLOC_NAME = "cabi_realloc";
export const MEMORY_NAME = "memory";
/** The one interface that a component may leave out. */
const PORTABLE_INTERFACE = "nexuscore:tenant/portable@0.1.0";

/** Throws AdmissionError, which says what was found and what would be right. */
export function admitComponent(bytes: Uint8Array, world: AbiWorld): AdmittedComponent {
  if (bytes.length > COMPONENT_BYTES_MAX) {
    throw new AdmissionError(
      "tooLarge",
      `The component has ${bytes.length} bytes; at most ${COMPONENT_BYTES_MAX} are admitted.`,
    );
  }
  const component = readComponent(bytes);
  const core = readCoreModule(component.coreModule);
  checkImports(component, core, world);
  checkExports(component, core, world);
  const postReturns = new Set<string>();
  const isPortable = component.exportNames.has(PORTABLE_INTERFACE);
  for (const abiFunction of world.exports) {
    if (!isPortable && interfaceOf(abiFunction) === PORTABLE_INTERFACE) continue;
    const lifted = component.lifted.get(exportName(abiFunction));
    if (lifted === undefined) throw missing(`function "${abiFunction.coreName}"`, world);
    checkLift(lifted, abiFunction);
    checkCore(core, abiFunction);
    if (lifted.postReturn !== undefined) postReturns.add(lifted.postReturn);
  }
  return {
    sha256: createHash("sha256").update(bytes).digest("hex"),
    ...instantiate(core),
    growOffsets: core.growOffsets,
    postReturns,
    isPortable,
  };
}

/** Of what the world imports a component may leave out what it does not use. */
function checkImports(component: Component, core: CoreModule, world: AbiWorld): void {
  for (const found of component.imported) {
    const wanted = world.imports.find(({ coreName }) => coreName === found.name);
    if (wanted === undefined) throw beyondWorld("component", found.name, world);
    const difference = differenceOf(found, wanted);
    if (difference === undefined) continue;
    throw new AdmissionError(
      "importSignature",
      `"${found.name}" is imported under another type than the world's: ${difference}.`,
    );
  }
  for (const { name, options } of component.lowered) checkLowered(name, options);
  const importable = importableOf(world);
  const signatures = new Map<string, CoreSignature>();
  for (const found of core.imports) {
    const wanted = importable.get(found.name);
    const canon = component.wired.get(found.name);
    if (wanted === undefined || canon === undefined) {
      throw beyondWorld("core module", found.name, world);
    }
    checkCanon(found.name, canon, wanted);
    const { parameters, results } = wanted.signature;
    checkSignature("importSignature", found.name, found, parameters, results);
    signatures.set(found.name, wanted.signature);
  }
  if (component.wiring !== undefined) checkWiring(component.wiring, signatures);
}

/** `task`: whose result it hands over; left out: it is nothing but itself. */
type Importable = { readonly signature: CoreSignature; readonly task?: AbiFunction };

/** What a core module may import in this world, by `<module>#<field>`. */
function importableOf(world: AbiWorld): ReadonlyMap<string, Importable> {
  const importable = new Map<string, Importable>();
  for (const each of world.imports) {
    importable.set(importName(each), { signature: importSignatureOf(each) });
  }
  const tasks = world.exports.filter(({ isAsync }) => isAsync);
  for (const task of tasks) {
    const signature = taskReturnSignatureOf(task);
    importable.set(taskReturnName(task.coreName), { signature, task });
  }
  if (tasks.length > 0) {
    for (const [name, signature] of BUILTINS) importable.set(name, { signature });
  }
  return importable;
}

/** That what a name of the core module leads to is what the name says. */
function checkCanon(name: string, canon: Canon, { task }: Importable): void {
  if (canon.kind === "named") {
    if (canon.name === name) return;
    throw wiredOtherwise(`"${canon.name}" stands in the place of "${name}"`);
  }
  if (task === undefined) throw wiredOtherwise(`a task's return stands in the place of "${name}"`);
  const found = difference(canon.result, task.result, "its result");
  if (found !== undefined) {
    throw new AdmissionError("importSignature", `"${name}" is of another type: ${found}.`);
  }
  checkOption(name, "memory", canon.memory ?? "none", MEMORY_NAME);
}

function checkLowered(name: string, { memory, realloc }: CanonOptions): void {
  checkOption(name, "memory", memory ?? "none", MEMORY_NAME);
  checkOption(name, "realloc", realloc ?? "none", REALLOC_NAME);
}

/** Byte for byte what follows from the signatures. */
function checkWiring(wiring: Wiring, signatures: ReadonlyMap<string, CoreSignature>): void {
  const wired = wiring.names.map((name) => {
    const signature = signatures.get(name);
    if (signature !== undefined) return signature;
    throw wiredOtherwise(`"${name}" is wired, which its core module does not import`);
  });
  const wanted = wiringModules(wired);
  for (const role of ["shim", "fixup"] as const) {
    if (withoutCustomSections(wiring[role]).equals(wanted[role])) continue;
    throw wiredOtherwise(`its ${role} is not the one that wit-component writes for its imports`);
  }
}

function wiredOtherwise(what: string): AdmissionError {
  return new AdmissionError("wiring", `The component is wired otherwise than its names: ${what}.`);
}

function beyondWorld(who: string, name: string, world: AbiWorld): AdmissionError {
  const known = [...importableOf(world).keys()].map((each) => `"${each}"`).join(", ");
  return new AdmissionError(
    "importsBeyondWorld",
    `The ${who} imports "${name}". ` +
      (known === "" ? "This world has no imports: time " : `This world has ${known}: time `) +
      "comes in as an argument, and there is no randomness.",
  );
}

/** The interfaces of the world, and what the host calls beside its functions. */
function checkExports(component: Component, core: CoreModule, world: AbiWorld): void {
  for (const each of world.exports) {
    const name = interfaceOf(each);
    if (name === PORTABLE_INTERFACE || component.exportNames.has(name)) continue;
    throw missing(`"${name}"`, world);
  }
  if (!core.memories.has(MEMORY_NAME)) throw missing("its memory", world);
  const realloc = core.functions.get(REALLOC_NAME);
  if (realloc === undefined) throw missing(`"${REALLOC_NAME}"`, world);
  checkSignature("exportSignature", REALLOC_NAME, realloc, ["i32", "i32", "i32", "i32"], ["i32"]);
}

function interfaceOf({ coreName }: AbiFunction): string {
  return coreName.split("#")[0]!;
}

function exportName({ coreName, isAsync }: AbiFunction): string {
  return isAsync ? asyncLiftName(coreName) : coreName;
}

function checkLift(lifted: LiftedFunction, abiFunction: AbiFunction): void {
  const { coreName, isAsync, result } = abiFunction;
  const found = differenceOf(lifted.type, abiFunction);
  if (found !== undefined) {
    throw new AdmissionError(
      "exportSignature",
      `"${coreName}" is lifted under another type than the world's: ${found}.`,
    );
  }
  checkOption(coreName, "memory", lifted.memory, MEMORY_NAME);
  checkOption(coreName, "realloc", lifted.realloc, REALLOC_NAME);
  if (isAsync) {
    checkOption(coreName, "async", lifted.isAsync === true ? "async" : "none", "async");
    checkOption(coreName, "post-return", lifted.postReturn ?? "none", "none");
    checkOption(coreName, "callback", lifted.callback ?? "none", callbackName(coreName));
  } else {
    checkOption(coreName, "async", lifted.isAsync === true ? "async" : "none", "none");
    checkOption(coreName, "post-return", lifted.postReturn, postReturnName(coreName));
    checkOption(coreName, "callback", lifted.callback ?? "none", "none");
  }
  const takesBytes = abiFunction.parameters.some(({ type }) => usesMemory(type));
  const returnsBytes = !isAsync && returnsThroughMemory(result);
  if (lifted.memory === undefined && (takesBytes || returnsBytes)) {
    throw new AdmissionError("canonOptions", `"${coreName}" is lifted without a memory.`);
  }
  if (lifted.realloc === undefined && takesBytes) {
    throw new AdmissionError("canonOptions", `"${coreName}" is lifted without a realloc.`);
  }
}

function checkOption(coreName: string, option: string, found: string | undefined, wanted: string) {
  if (found === undefined || found === wanted) return;
  throw new AdmissionError(
    "canonOptions",
    `"${coreName}" has ${option} "${found}"; it must be "${wanted}".`,
  );
}

function checkCore(core: CoreModule, abiFunction: AbiFunction): void {
  const { coreName, isAsync } = abiFunction;
  const { parameters, results } = coreSignatureOf(abiFunction);
  checkCoreExport(core, exportName(abiFunction), { parameters, results });
  if (isAsync) return checkCoreExport(core, callbackName(coreName), CALLBACK_SIGNATURE);
  const postReturn = core.functions.get(postReturnName(coreName));
  if (postReturn === undefined) return;
  checkSignature("exportSignature", postReturnName(coreName), postReturn, results, []);
}

function checkCoreExport(core: CoreModule, name: string, wanted: CoreSignature): void {
  const type = core.functions.get(name);
  if (type === undefined) throw missing(`function "${name}" in its core module`, undefined);
  checkSignature("exportSignature", name, type, wanted.parameters, wanted.results);
}

function checkSignature(
  code: "exportSignature" | "importSignature",
  name: string,
  found: { readonly parameters: readonly string[]; readonly results: readonly string[] },
  parameters: readonly string[],
  results: readonly string[],
): void {
  const foundText = `(${found.parameters.join(", ")}) -> (${found.results.join(", ")})`;
  const wantedText = `(${parameters.join(", ")}) -> (${results.join(", ")})`;
  if (foundText === wantedText) return;
  throw new AdmissionError(
    code,
    `The core function "${name}" is ${foundText}; it must be ${wantedText}.`,
  );
}

/** Compiles the module and takes the picture that every instance starts as. */
function instantiate(core: CoreModule): { module: WebAssembly.Module; base: Buffer } {
  try {
    const module = new WebAssembly.Module(core.bytes);
    // Nothing runs here, so what it imports is never called.
    const instance = new WebAssembly.Instance(module, uncalled(core));
    const memory = instance.exports[MEMORY_NAME] as WebAssembly.Memory;
    assert(memory.buffer.byteLength === core.memoryPages * 65536);
    return { module, base: Buffer.from(memory.buffer.slice(0)) };
  } catch (error) {
    const isInvalid =
      error instanceof WebAssembly.CompileError ||
      error instanceof WebAssembly.LinkError ||
      error instanceof WebAssembly.RuntimeError;
    if (!isInvalid) throw error;
    throw new AdmissionError("invalid", `V8 refuses the core module: ${error.message}.`);
  }
}

function uncalled(core: CoreModule): GuestImports {
  const imports: Record<string, Record<string, () => never>> = {};
  for (const { module, field } of core.imports) {
    (imports[module] ??= {})[field] = () => assert.fail("called while it is admitted");
  }
  return imports;
}

function missing(what: string, world: AbiWorld | undefined): AdmissionError {
  const of = world === undefined ? "" : ` A component of ${world.name} does.`;
  return new AdmissionError("exportMissing", `The component does not export ${what}.${of}`);
}

function usesMemory(type: AbiType): boolean {
  switch (type.kind) {
    case "string":
    case "list":
      return true;
    case "record":
      return type.fields.some((field) => usesMemory(field.type));
    case "tuple":
      return type.items.some(usesMemory);
    case "option":
      return usesMemory(type.value);
    case "result":
      return [type.ok, type.error].some((each) => each !== undefined && usesMemory(each));
    default:
      return false;
  }
}

/** Where a lifted function first differs from the world's; undefined if nowhere. */
function differenceOf(found: FunctionType, wanted: AbiFunction): string | undefined {
  if (found.isAsync !== wanted.isAsync) {
    return found.isAsync ? "it is async" : "it is not async";
  }
  const parameters = (of: Pick<AbiFunction, "parameters">): AbiType => ({
    kind: "record",
    name: "",
    fields: of.parameters,
  });
  return (
    difference(parameters(found), parameters(wanted), "its parameters") ??
    difference(found.result, wanted.result, "its result")
  );
}

/** Walks along the wanted type, which is small, whatever the found one is. */
function difference(
  found: AbiType | undefined,
  wanted: AbiType | undefined,
  at: string,
): string | undefined {
  if (found === undefined || wanted === undefined || found.kind !== wanted.kind) {
    if (found === wanted) return undefined;
    return `${at}: ${found?.kind ?? "nothing"} instead of ${wanted?.kind ?? "nothing"}`;
  }
  const foundNames = namesOf(found);
  const wantedNames = namesOf(wanted);
  if (foundNames !== wantedNames) return `${at}: (${foundNames}) instead of (${wantedNames})`;
  const parts = partsOf(found);
  for (const [index, { name, type }] of partsOf(wanted).entries()) {
    const inner = difference(parts[index]?.type, type, `${at}.${name}`);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function namesOf(type: AbiType): string {
  if (type.kind === "enum") return type.cases.join(", ");
  return partsOf(type)
    .map(({ name }) => name)
    .join(", ");
}

function partsOf(type: AbiType): readonly { name: string; type: AbiType | undefined }[] {
  switch (type.kind) {
    case "record":
      return type.fields;
    case "tuple":
      return type.items.map((item, index) => ({ name: `${index}`, type: item }));
    case "list":
      return [{ name: "element", type: type.element }];
    case "option":
      return [{ name: "some", type: type.value }];
    case "result":
      return [
        { name: "ok", type: type.ok },
        { name: "error", type: type.error },
      ];
    default:
      return [];
  }
}
