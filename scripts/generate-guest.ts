/**
 * The AssemblyScript side of a world: one unmanaged class a record, laid out as the canonical ABI
 * lays it out, and one exported function a function of the world, which calls the author's and
 * frees the arena when the host has read the result; of an async function two, one that begins a
 * task and one that goes on with it. The author's module exports functions and
 * nothing else.
 */
import { alignUp, alignmentOf, bytesOf, enumBytes, flatten } from "#isolate/abi-types.ts";
import {
  FLAT_ASYNC_PARAMETER_COUNT_MAX,
  FLAT_PARAMETER_COUNT_MAX,
  payloadOffsetOf,
  returnsThroughMemory,
  sequenceLayout,
} from "#isolate/abi-types.ts";
import {
  asyncLiftName,
  callbackName,
  importName,
  postReturnName,
  taskReturnName,
} from "#isolate/abi-types.ts";
import type { AbiField, AbiFunction, AbiType, CoreType } from "#isolate/abi-types.ts";
import {
  camelCase,
  constantCase,
  pascalCase,
  type NamedType,
  type ResolvedWorld,
} from "./wit-world.ts";
import { WitError } from "./wit.ts";

export type GuestModules = {
  /** Of the WIT, for the first line. */
  readonly witPath: string;
  /** As the entry imports them, without `.ts`: `./summarize`, `../../sdk/assembly/arena`. */
  readonly author: string;
  readonly arena: string;
};

/** Source of the entry file of a guest. */
export function guestSource(world: ResolvedWorld, modules: GuestModules): string {
  const wrappers = world.abi.exports.map((each, index) =>
    wrapper(each, world.functions[index]!.doc),
  );
  return [
    `// Generated from ${modules.witPath} by scripts/generate.ts; do not edit.`,
    `// The world \`${world.name}\` as AssemblyScript sees it. Write ${modules.author}.ts with`,
    ...world.abi.exports.flatMap(authored),
    "// A `usize` result is the address of the record; what it points to may lie in the arena.",
    `import * as guest from "${modules.author}";`,
    `import { reset } from "${modules.arena}";`,
    `export { cabi_realloc } from "${modules.arena}";`,
    "",
    ...world.types.flatMap(declaration),
    ...wrappers.flat(),
  ].join("\n");
}

/**
 * Source of the functions that a guest imports, in a file of its own: whoever needs them needs
 * nothing else of the world.
 */
export function guestImportsSource(world: ResolvedWorld, witPath: string): string {
  const imported = world.abi.imports.flatMap((each, index) => {
    const type = each.isAsync ? asyncImportOf(each) : `(${parametersOf(each)}): ${resultOf(each)}`;
    return external(importName(each), `${each.name}${type}`, world.importedFunctions[index]!.doc);
  });
  const tasks = world.abi.exports.filter(({ isAsync }) => isAsync);
  const returns = tasks.flatMap((each) => {
    const type = `taskReturn${pascalCase(each.name)}(${taskReturnParametersOf(each)}): void`;
    return external(
      taskReturnName(each.coreName),
      type,
      `The result of a task of \`${each.name}\`.`,
    );
  });
  return [
    `// Generated from ${witPath} by scripts/generate.ts; do not edit.`,
    `// What the world \`${world.name}\` imports.`,
    ...imported,
    ...returns,
  ].join("\n");
}

/** `coreName`: `<module>#<field>`. */
function external(coreName: string, type: string, doc: string): string[] {
  const [module, field] = coreName.split("#");
  return [
    ...docLines(doc, ""),
    `@external(${JSON.stringify(module)}, ${JSON.stringify(field)})`,
    `export declare function ${type};`,
    "",
  ];
}

/** Its result goes where `result` says; what it returns is the call's state and its handle. */
function asyncImportOf(abiFunction: AbiFunction): string {
  const flat = flatParameters(abiFunction, FLAT_ASYNC_PARAMETER_COUNT_MAX);
  const result = abiFunction.result === undefined ? [] : [{ name: "result", storage: "usize" }];
  return `(${listed([...flat, ...result])}): u32`;
}

function taskReturnParametersOf({ name, result }: AbiFunction): string {
  if (result === undefined) return "";
  const flat = result.kind === "record" ? flatFields(result.fields) : flatStorage(result);
  return listed(within(flat, name, FLAT_PARAMETER_COUNT_MAX));
}

/** What the exports of the entry must be called in the core module. */
export function guestExportNames(world: ResolvedWorld): ReadonlyMap<string, string> {
  const names = new Map([
    ["memory", "memory"],
    ["cabi_realloc", "cabi_realloc"],
  ]);
  for (const { name, coreName, isAsync, result } of world.abi.exports) {
    names.set(name, isAsync ? asyncLiftName(coreName) : coreName);
    if (isAsync) names.set(`${name}Callback`, callbackName(coreName));
    else if (returnsThroughMemory(result)) names.set(`post_${name}`, postReturnName(coreName));
  }
  return names;
}

function declaration({ name, type, definition }: NamedType): string[] {
  if (type.kind === "enum" && definition.kind === "enum") {
    return [
      ...(definition.doc === "" ? [] : definition.doc.split("\n").map((line) => `// ${line}`)),
      ...definition.cases.flatMap((each, index) => [
        ...docLines(each.doc, ""),
        `export const ${constantCase(name)}_${constantCase(each.name)}: u32 = ${index};`,
      ]),
      "",
    ];
  }
  if (type.kind !== "record" || definition.kind !== "record") return [];
  const members = new Members();
  const { offsets, bytes } = sequenceLayout(type.fields.map((field) => field.type));
  for (const [index, field] of type.fields.entries()) {
    members.lines.push(...docLines(definition.fields[index]!.doc, "  "));
    members.add(field.name, field.type, offsets[index]!);
  }
  members.padTo(bytes);
  return [
    ...docLines(definition.doc, ""),
    "@unmanaged",
    `export class ${type.name} {`,
    ...members.lines,
    ...members.getters,
    "}",
    `/** Bytes of one ${type.name}, also in a list. Its alignment: ${alignmentOf(type)}. */`,
    `export const ${constantCase(name)}_BYTES: usize = ${bytes};`,
    "",
  ];
}

/** The members of a class, with padding wherever AssemblyScript would place one elsewhere. */
class Members {
  readonly lines: string[] = [];
  readonly getters: string[] = [];
  #end = 0;

  add(name: string, type: AbiType, offset: number): void {
    switch (type.kind) {
      case "record":
        return this.#addAll(
          type.fields.map((field) => joinNames(name, field.name)),
          type.fields.map((field) => field.type),
          offset,
        );
      case "tuple":
        return this.#addAll(
          type.items.map((_, index) => `${name}${index}`),
          type.items,
          offset,
        );
      case "string":
      case "list":
        this.#scalar(`${name}Ptr`, "u32", offset);
        return this.#scalar(`${name}Len`, "u32", offset + 4);
      case "option":
        this.#scalar(`${name}Some`, "u8", offset);
        return this.add(name, type.value, offset + payloadOffsetOf(type));
      case "result":
        // The payloads share their bytes, which fields cannot: hence an address.
        this.#scalar(`${name}IsError`, "u8", offset);
        this.getters.push(
          `  @inline get ${name}Payload(): usize {`,
          `    return changetype<usize>(this) + ${offset + payloadOffsetOf(type)};`,
          "  }",
        );
        return this.padTo(offset + bytesOf(type));
      default:
        return this.#scalar(name, storageOf(type), offset);
    }
  }

  padTo(offset: number): void {
    while (this.#end < offset) this.#scalar(`_padding${this.#end}`, "u8", this.#end);
  }

  #addAll(names: readonly string[], types: readonly AbiType[], offset: number): void {
    const { offsets, bytes } = sequenceLayout(types);
    for (const [index, type] of types.entries()) {
      this.add(names[index]!, type, offset + offsets[index]!);
    }
    this.padTo(offset + bytes);
  }

  #scalar(name: string, storage: string, offset: number): void {
    const bytes = Number(/\d+/.exec(storage)![0]) / 8;
    if (alignUp(this.#end, bytes) !== offset) this.padTo(offset);
    this.lines.push(`  ${name}: ${storage};`);
    this.#end = offset + bytes;
  }
}

/** The AssemblyScript type a value has in memory. */
function storageOf(type: AbiType): string {
  if (type.kind === "bool") return "u8";
  if (type.kind === "char") return "u32";
  if (type.kind === "enum") return `u${enumBytes(type.cases.length) * 8}`;
  return type.kind.replace("s", "i");
}

/** What the author writes for a function, as comments. */
function authored(abiFunction: AbiFunction): string[] {
  const { name, isAsync } = abiFunction;
  const lines = [`//   ${name}(${parametersOf(abiFunction)}): ${resultOf(abiFunction)}`];
  return isAsync ? [...lines, `//   ${name}Callback(${CALLBACK_PARAMETERS}): u32`] : lines;
}

const CALLBACK_PARAMETERS = "event: u32, waitable: u32, state: u32";

/** What a task keeps while it waits must lie in the state: the arena is forgotten between turns. */
function asyncWrapper(abiFunction: AbiFunction, doc: string): string[] {
  const { name } = abiFunction;
  const turn = (head: string, call: string): string[] => [
    `export function ${head}: u32 {`,
    `  const code = guest.${call};`,
    "  reset();",
    "  return code;",
    "}",
    "",
  ];
  const names = parameterNames(abiFunction).join(", ");
  return [
    ...docLines(doc, ""),
    ...turn(`${name}(${parametersOf(abiFunction)})`, `${name}(${names})`),
    ...turn(`${name}Callback(${CALLBACK_PARAMETERS})`, `${name}Callback(event, waitable, state)`),
  ];
}

function wrapper(abiFunction: AbiFunction, doc: string): string[] {
  const { name, isAsync, result } = abiFunction;
  if (isAsync) return asyncWrapper(abiFunction, doc);
  const call = `guest.${name}(${parameterNames(abiFunction).join(", ")})`;
  const head = [
    ...docLines(doc, ""),
    `export function ${name}(${parametersOf(abiFunction)}): ${resultOf(abiFunction)} {`,
  ];
  if (result === undefined) return [...head, `  ${call};`, "  reset();", "}", ""];
  if (returnsThroughMemory(result)) {
    const post = `export function post_${name}(_result: usize): void { reset(); }`;
    return [...head, `  return ${call};`, "}", post, ""];
  }
  return [...head, `  const result = ${call};`, "  reset();", "  return result;", "}", ""];
}

function resultOf({ isAsync, result }: AbiFunction): string {
  if (isAsync) return "u32";
  if (result === undefined) return "void";
  return returnsThroughMemory(result) ? "usize" : flatStorage(result)[0]!.storage;
}

function parametersOf(abiFunction: AbiFunction): string {
  return listed(flatParameters(abiFunction));
}

function listed(flat: readonly FlatParameter[]): string {
  return flat.map(({ name, storage }) => `${name}: ${storage}`).join(", ");
}

function parameterNames(abiFunction: AbiFunction): string[] {
  return flatParameters(abiFunction).map(({ name }) => name);
}

type FlatParameter = { readonly name: string; readonly storage: string };

function flatParameters(
  { name, parameters }: AbiFunction,
  countMax = FLAT_PARAMETER_COUNT_MAX,
): FlatParameter[] {
  return within(flatFields(parameters), name, countMax);
}

function flatFields(fields: readonly AbiField[]): FlatParameter[] {
  return fields.flatMap((field) => flatStorage(field.type, field.name));
}

function within(flat: FlatParameter[], name: string, countMax: number): FlatParameter[] {
  if (flat.length <= countMax) return flat;
  throw new WitError(`"${name}" takes ${flat.length} flat values; use at most ${countMax}.`);
}

/** A value as the core parameters that carry it. */
function flatStorage(type: AbiType, name = "result"): FlatParameter[] {
  switch (type.kind) {
    case "record":
      return type.fields.flatMap((field) => flatStorage(field.type, joinNames(name, field.name)));
    case "tuple":
      return type.items.flatMap((item, index) => flatStorage(item, `${name}${index}`));
    case "string":
    case "list":
      return [
        { name: `${name}Ptr`, storage: "usize" },
        { name: `${name}Len`, storage: "usize" },
      ];
    case "option":
      return [{ name: `${name}Some`, storage: "u32" }, ...flatStorage(type.value, name)];
    case "result":
      if (flatten(type).length > 1) {
        throw new WitError(`"${name}" is a result with a payload; pass it in a record instead.`);
      }
      return [{ name: `${name}IsError`, storage: "u32" }];
    case "s8":
    case "s16":
    case "s32":
      return [{ name, storage: "i32" }];
    default:
      return [{ name, storage: CORE_STORAGE[flatten(type)[0]!] }];
  }
}

const CORE_STORAGE: Readonly<Record<CoreType, string>> = {
  i32: "u32",
  i64: "u64",
  f32: "f32",
  f64: "f64",
};

function joinNames(outer: string, inner: string): string {
  return camelCase(`${outer}-${inner}`);
}

function docLines(doc: string, indent: string): string[] {
  if (doc === "") return [];
  const lines = doc.split("\n");
  if (lines.length === 1) return [`${indent}/** ${doc} */`];
  return [`${indent}/**`, ...lines.map((line) => `${indent} * ${line}`.trimEnd()), `${indent} */`];
}
