/** The host's side of a world: its types as TypeScript sees them, and as descriptors. */
import type { AbiFunction, AbiType } from "#isolate/abi-types.ts";
import { camelCase, constantCase, type NamedType, type ResolvedWorld } from "./wit-world.ts";

/** Source of src/isolate/world.gen.ts. */
export function hostSource(world: ResolvedWorld, witPath: string): string {
  const constants = world.functions.map(({ name }) => constantCase(name));
  const importConstants = world.importedFunctions.map(({ name }) => constantCase(name));
  return [
    `// Generated from ${witPath} by scripts/generate.ts; do not edit.`,
    `import type { AbiFunction, AbiType, AbiWorld } from "./abi-types.ts";`,
    "",
    ...world.types.flatMap(typeDeclaration),
    ...world.types.map(descriptorDeclaration),
    "",
    ...world.abi.imports.map((each, index) => functionDeclaration(each, importConstants[index]!)),
    ...world.abi.exports.map((each, index) => functionDeclaration(each, constants[index]!)),
    "",
    `export const ${constantCase(world.name)}: AbiWorld = {`,
    `  name: ${JSON.stringify(world.abi.name)},`,
    `  imports: [${importConstants.join(", ")}],`,
    `  exports: [${constants.join(", ")}],`,
    "};",
    "",
  ].join("\n");
}

function typeDeclaration({ type }: NamedType): string[] {
  if (type.kind === "enum") {
    return [`export type ${type.name} = ${type.cases.map((each) => `"${each}"`).join(" | ")};`, ""];
  }
  if (type.kind !== "record") return [];
  const fields = type.fields.map((each) => `  readonly ${each.name}: ${liftedType(each.type)};`);
  return [`export type ${type.name} = {`, ...fields, "};", ""];
}

/** What a value of this type is once lifted; canonical-abi.ts makes it so. */
function liftedType(type: AbiType): string {
  switch (type.kind) {
    case "bool":
      return "boolean";
    case "string":
    case "char":
      return "string";
    case "u64":
    case "s64":
      return "bigint";
    case "record":
    case "enum":
      return type.name;
    case "list":
      return type.element.kind === "u8"
        ? "Uint8Array"
        : `ReadonlyArray<${liftedType(type.element)}>`;
    case "option":
      return `${liftedType(type.value)} | undefined`;
    case "tuple":
      return `readonly [${type.items.map(liftedType).join(", ")}]`;
    case "result": {
      const [ok, error] = [type.ok, type.error].map((each) => each && liftedType(each));
      return (
        `{ readonly tag: "ok"; readonly val: ${ok ?? "undefined"} } | ` +
        `{ readonly tag: "err"; readonly val: ${error ?? "undefined"} }`
      );
    }
    default:
      return "number";
  }
}

function descriptorDeclaration({ name, type }: NamedType): string {
  return `const ${camelCase(name)}: AbiType = ${descriptor(type, 0, false)};`;
}

function functionDeclaration(each: AbiFunction, constant: string): string {
  const parameters = each.parameters.map(
    ({ name, type }) => `    { name: "${name}", type: ${descriptor(type, 2, true)} },\n`,
  );
  return [
    `export const ${constant}: AbiFunction = {`,
    `  name: "${each.name}",`,
    `  coreName: ${JSON.stringify(each.coreName)},`,
    `  isAsync: ${each.isAsync},`,
    `  parameters: [${parameters.length === 0 ? "" : `\n${parameters.join("")}  `}],`,
    `  result: ${each.result === undefined ? "undefined" : descriptor(each.result, 1, true)},`,
    "};",
  ].join("\n");
}

/**
 * A descriptor as source text; records and enums by the name of their constant, unless at the top.
 */
function descriptor(type: AbiType, depth: number, byName: boolean): string {
  const nested = (inner: AbiType): string => descriptor(inner, depth + 1, true);
  const indent = "  ".repeat(depth + 1);
  switch (type.kind) {
    case "record": {
      if (byName) return constantName(type.name);
      const fields = type.fields.map(
        (field) => `${indent}  { name: "${field.name}", type: ${nested(field.type)} },`,
      );
      const lines = ['kind: "record",', `name: "${type.name}",`, "fields: ["];
      const head = lines.map((line) => `${indent}${line}`);
      return ["{", ...head, ...fields, `${indent}],`, "}"].join("\n");
    }
    case "enum":
      if (byName) return constantName(type.name);
      return `{ kind: "enum", name: "${type.name}", cases: ["${type.cases.join('", "')}"] }`;
    case "list":
      return `{ kind: "list", element: ${nested(type.element)} }`;
    case "option":
      return `{ kind: "option", value: ${nested(type.value)} }`;
    case "tuple":
      return `{ kind: "tuple", items: [${type.items.map(nested).join(", ")}] }`;
    case "result":
      return (
        `{ kind: "result", ok: ${type.ok && nested(type.ok)}, ` +
        `error: ${type.error && nested(type.error)} }`
      );
    default:
      return `{ kind: "${type.kind}" }`;
  }
}

function constantName(typeName: string): string {
  return typeName[0]!.toLowerCase() + typeName.slice(1);
}
