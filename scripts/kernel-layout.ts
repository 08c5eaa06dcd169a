/**
 * Writes what TypeScript and AssemblyScript know of the kernel's structures from bpf/aggregate.h,
 * the one definition, and assertions that stop the C compiler when it sees another layout than
 * this script. `--check` writes nothing and fails when a file is out of date.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";

export const KERNEL_HEADER = "bpf/aggregate.h";
const TYPE_BYTES: Readonly<Record<string, number>> = { __u8: 1, __u16: 2, __u32: 4, __u64: 8 };

type Constant = { readonly name: string; readonly value: bigint };
type Field = { readonly name: string; readonly offset: number };
type Struct = { readonly name: string; readonly bytes: number; readonly fields: readonly Field[] };
type Layout = { readonly constants: readonly Constant[]; readonly structs: readonly Struct[] };

/** Path from the root of the repository and text of every generated file. */
export function kernelLayout(header: string): { path: string; text: string }[] {
  const layout = readHeader(header);
  return [
    { path: "src/kernel/layout.gen.ts", text: typeScript(layout) },
    { path: "drain/assembly/layout.gen.ts", text: assemblyScript(layout) },
    { path: "bpf/layout.gen.h", text: assertions(layout) },
  ];
}

function readHeader(header: string): Layout {
  const text = header.replaceAll(/\/\*.*?\*\//gs, "");
  const defines = [...text.matchAll(/^#define (NX_\w+) +(.+?) *$/gm)];
  const constants = defines.map(([, name, value]) => ({
    name: name!.slice("NX_".length),
    value: readNumber(value!),
  }));
  const structs = [...text.matchAll(/^struct nx_(\w+) \{\n(.*?)^\};/gms)].map(([, name, body]) =>
    readStruct(name!, body!),
  );
  return { constants, structs };
}

function readNumber(text: string): bigint {
  const shift = /^1ULL << (\d+)$|^\(1ULL << (\d+)\)$/.exec(text);
  if (shift !== null) return 1n << BigInt(shift[1] ?? shift[2]!);
  assert.match(text, /^(0x[0-9a-f]+|\d+)$/, `${text} is a number`);
  return BigInt(text);
}

/** The rules of C for these types: every field is aligned to its type, the struct to its widest. */
function readStruct(name: string, body: string): Struct {
  const fields: Field[] = [];
  let bytes = 0;
  let alignment = 1;
  for (const line of body.split("\n")) {
    if (line.trim() === "") continue;
    const [, type, field, count] = /^\s*(__u\d+) (\w+)(?:\[(\d+)\])?;\s*$/.exec(line) ?? [];
    const typeBytes = TYPE_BYTES[type ?? ""];
    assert(typeBytes !== undefined && field !== undefined, `${name}: ${line}`);
    bytes = Math.ceil(bytes / typeBytes) * typeBytes;
    fields.push({ name: field, offset: bytes });
    bytes += typeBytes * Number(count ?? 1);
    alignment = Math.max(alignment, typeBytes);
  }
  return { name, fields, bytes: Math.ceil(bytes / alignment) * alignment };
}

function typeScript({ constants, structs }: Layout): string {
  const lines = [generatedBy("//")];
  for (const { name, value } of constants) {
    assert(value <= BigInt(Number.MAX_SAFE_INTEGER));
    lines.push(`export const ${name} = ${value};`);
  }
  for (const { name, bytes, fields } of structs) {
    lines.push("", `/** struct nx_${name} */`, `export const ${upper(name)}_BYTES = ${bytes};`);
    for (const field of fields) {
      if (field.name.startsWith("reserved") && name !== "header") continue;
      lines.push(`export const ${upper(name)}_${upper(field.name)} = ${field.offset};`);
    }
  }
  const named: [string, string][] = [
    ["RECORD_REFUSED_", "Reasons for which a record is refused, by number."],
    ["REFUSED_", "Reasons for which a datagram is refused, by number."],
  ];
  for (const [prefix, sentence] of named) {
    const names = constants.filter(({ name }) => name.startsWith(prefix));
    assert(names.every(({ value }, i) => value === BigInt(i)));
    const words = names.map(({ name }) => `  ${JSON.stringify(camel(name.slice(prefix.length)))},`);
    lines.push(
      "",
      `/** ${sentence} */`,
      `export const ${prefix}REASONS = [`,
      ...words,
      "] as const;",
    );
  }
  return `${lines.join("\n")}\n`;
}

function assemblyScript({ constants, structs }: Layout): string {
  const lines = [generatedBy("//")];
  for (const { name, value } of constants) {
    const type = value > 0xffff_ffffn ? "u64" : "u32";
    lines.push(`export const ${name}: ${type} = ${value};`);
  }
  for (const { name, bytes, fields } of structs) {
    lines.push(`export const ${upper(name)}_BYTES: usize = ${bytes};`);
    for (const field of fields) {
      lines.push(`export const ${upper(name)}_${upper(field.name)}: usize = ${field.offset};`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function assertions({ structs }: Layout): string {
  const lines = [`/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0 */`, generatedBy("/*", " */")];
  for (const { name, bytes, fields } of structs) {
    lines.push(`_Static_assert(sizeof(struct nx_${name}) == ${bytes}, "${name}");`);
    for (const field of fields) {
      const offset = `__builtin_offsetof(struct nx_${name}, ${field.name})`;
      lines.push(`_Static_assert(${offset} == ${field.offset}, "${name}.${field.name}");`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function generatedBy(start: string, end = ""): string {
  return `${start} Generated from ${KERNEL_HEADER} by scripts/kernel-layout.ts; do not edit.${end}`;
}

function upper(name: string): string {
  return name.toUpperCase();
}

function camel(name: string): string {
  return name.toLowerCase().replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function run(check: boolean): void {
  const root = new URL("../", import.meta.url);
  for (const { path, text } of kernelLayout(readFileSync(new URL(KERNEL_HEADER, root), "utf8"))) {
    const url = new URL(path, root);
    if (!check) writeFileSync(url, text);
    else if (readFileSync(url, "utf8") !== text) {
      process.stderr.write(`${path} is out of date; run scripts/kernel-layout.ts\n`);
      process.exitCode = 1;
    }
  }
}

if (import.meta.main) run(process.argv.includes("--check"));
