/** Resolves one world of a parsed WIT package into the descriptors of #isolate/abi-types.ts. */
import type { AbiField, AbiFunction, AbiScalar, AbiType, AbiWorld } from "#isolate/abi-types.ts";
import { WitError, type WitDefinition, type WitFunction, type WitInterface } from "./wit.ts";
import type { WitPackage, WitType, WitWorldItem } from "./wit.ts";

export type NamedType = {
  readonly name: string;
  readonly type: AbiType;
  readonly definition: WitDefinition;
};

export type ResolvedWorld = {
  /** As the WIT spells it: `summarizer`. */
  readonly name: string;
  readonly abi: AbiWorld;
  /** Records and enums the world's functions use, each after what it is made of. */
  readonly types: readonly NamedType[];
  /** The functions of `abi.exports`, in its order. */
  readonly functions: readonly WitFunction[];
  /** The functions of `abi.imports`, in its order. */
  readonly importedFunctions: readonly WitFunction[];
};

const SCALARS: ReadonlySet<string> = new Set(
  "bool u8 s8 u16 s16 u32 s32 u64 s64 f32 f64 char".split(" "),
);

/**
 * Throws WitError for what a guest of ours cannot have: unknown types, and imports of functions of
 * anything but numbers, unless they are async. What answers at once must not reach its memory; what
 * is asked of the host and waited for, the host itself reads and writes there.
 */
export function resolveWorld(wit: WitPackage, worldName: string): ResolvedWorld {
  const world = wit.worlds.find(({ name }) => name === worldName);
  if (world === undefined) {
    const known = wit.worlds.map(({ name }) => name).join(", ");
    throw new WitError(`The package ${wit.name} has no world "${worldName}"; it has ${known}.`);
  }
  const resolver = new Resolver(wit);
  const imported = functionsOf(wit, world.imports, resolver);
  for (const each of imported.abi) checkImport(each);
  const exported = functionsOf(wit, world.exports, resolver);
  return {
    name: worldName,
    abi: { name: qualified(wit, world.name), imports: imported.abi, exports: exported.abi },
    types: resolver.types,
    functions: exported.wit,
    importedFunctions: imported.wit,
  };
}

type Functions = { readonly wit: readonly WitFunction[]; readonly abi: readonly AbiFunction[] };

function functionsOf(
  wit: WitPackage,
  items: readonly WitWorldItem[],
  resolver: Resolver,
): Functions {
  const functions: WitFunction[] = [];
  const abi: AbiFunction[] = [];
  for (const item of items) {
    const from = item.kind === "interface" ? resolver.interface(item.name) : undefined;
    const prefix = from === undefined ? "" : `${qualified(wit, from.name)}#`;
    for (const each of item.kind === "interface" ? from!.functions : [item.function]) {
      functions.push(each);
      abi.push(resolver.function(each, prefix, from));
    }
  }
  return { wit: functions, abi };
}

function checkImport({ name, coreName, isAsync, parameters, result }: AbiFunction): void {
  if (!coreName.includes("#")) {
    throw new WitError(`"${name}" is imported alone; import an interface that has it.`);
  }
  if (isAsync) return;
  for (const type of [...parameters.map((field) => field.type), ...(result ? [result] : [])]) {
    if (SCALARS.has(type.kind)) continue;
    throw new WitError(`"${name}" is imported with a ${type.kind}; imports are of numbers alone.`);
  }
}

export function camelCase(kebab: string): string {
  return kebab.replace(/-([a-z0-9])/gi, (_, letter: string) => letter.toUpperCase());
}

export function pascalCase(kebab: string): string {
  return camelCase(`-${kebab}`);
}

export function constantCase(kebab: string): string {
  return kebab.replaceAll("-", "_").toUpperCase();
}

function qualified(wit: WitPackage, name: string): string {
  return `${wit.name}/${name}${wit.version === undefined ? "" : `@${wit.version}`}`;
}

class Resolver {
  readonly types: NamedType[] = [];
  readonly #wit: WitPackage;
  readonly #resolved = new Map<string, AbiType>();
  readonly #open = new Set<string>();

  constructor(wit: WitPackage) {
    this.#wit = wit;
  }

  interface(name: string): WitInterface {
    const found = this.#wit.interfaces.find((each) => each.name === name);
    if (found === undefined) throw new WitError(`There is no interface "${name}".`);
    return found;
  }

  function(from: WitFunction, prefix: string, scope: WitInterface | undefined): AbiFunction {
    if (from.isAsync && scope === undefined) {
      throw new WitError(`"${from.name}" is async and alone; put it into an interface.`);
    }
    return {
      name: camelCase(from.name),
      coreName: `${prefix}${from.name}`,
      isAsync: from.isAsync,
      parameters: this.#fields(from.parameters, scope),
      result: from.result && this.#type(from.result, scope),
    };
  }

  #fields(
    fields: readonly { name: string; type: WitType }[],
    scope: WitInterface | undefined,
  ): AbiField[] {
    return fields.map(({ name, type }) => ({
      name: camelCase(name),
      type: this.#type(type, scope),
    }));
  }

  #type(type: WitType, scope: WitInterface | undefined): AbiType {
    switch (type.kind) {
      case "list":
        return { kind: "list", element: this.#type(type.of, scope) };
      case "option":
        return { kind: "option", value: this.#type(type.of, scope) };
      case "tuple":
        return { kind: "tuple", items: type.items.map((item) => this.#type(item, scope)) };
      case "result":
        return {
          kind: "result",
          ok: type.ok && this.#type(type.ok, scope),
          error: type.error && this.#type(type.error, scope),
        };
      default:
        return this.#named(type.name, scope);
    }
  }

  #named(name: string, scope: WitInterface | undefined): AbiType {
    if (SCALARS.has(name)) return { kind: name as AbiScalar };
    if (name === "string") return { kind: "string" };
    const definition = scope?.definitions.find((each) => each.name === name);
    if (scope === undefined || definition === undefined) {
      throw new WitError(`There is no type "${name}" in ${scope?.name ?? "the world itself"}.`);
    }
    const key = `${scope.name}/${name}`;
    const known = this.#resolved.get(key);
    if (known !== undefined) return known;
    if (this.#open.has(key)) throw new WitError(`Type "${name}" contains itself.`);
    this.#open.add(key);
    const type = this.#define(definition, scope);
    this.#resolved.set(key, type);
    if (definition.kind === "record" || definition.kind === "enum") {
      this.types.push({ name, type, definition });
    }
    return type;
  }

  #define(definition: WitDefinition, scope: WitInterface): AbiType {
    switch (definition.kind) {
      case "alias":
        return this.#type(definition.type, scope);
      case "use":
        return this.#named(definition.original, this.interface(definition.from));
      case "enum":
        return {
          kind: "enum",
          name: pascalCase(definition.name),
          cases: definition.cases.map((each) => camelCase(each.name)),
        };
      case "record":
        return {
          kind: "record",
          name: pascalCase(definition.name),
          fields: this.#fields(definition.fields, scope),
        };
    }
  }
}
