// What wit-component writes for worlds made for it is the oracle.
import assert from "node:assert/strict";
import test from "node:test";
import { componentEmbed, componentNew, parse } from "@bytecodealliance/jco";
import type { CoreSignature, CoreType } from "./abi-types.ts";
import { WasmReader } from "./wasm-reader.ts";
import { wiringModules, withoutCustomSections } from "./wiring-modules.ts";

const [I32, I64, F32, F64] = ["i32", "i64", "f32", "f64"] as const satisfies CoreType[];

function signature(parameters: readonly CoreType[], results: readonly CoreType[] = []) {
  return { parameters, results } satisfies CoreSignature;
}

/** The core modules of a component whose world imports these, as `call0`, `call1` … */
async function modulesOf(
  functions: readonly string[],
  signatures: readonly CoreSignature[],
): Promise<Buffer[]> {
  const wits = functions.map((each, index) => `call${index}: func${each};`);
  const imports = signatures.map(({ parameters, results }, index) => {
    const type = `(param ${parameters.join(" ")}) (result ${results.join(" ")})`;
    return `(import "a:b/x" "call${index}" (func $call${index} ${type}))`;
  });
  const binary = await parse(`(module ${imports.join(" ")}
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "run")))`);
  const embedded = await componentEmbed({
    binary,
    witSource: `package a:b; interface x { ${wits.join(" ")} }
      world w { import x; export run: func(); }`,
    world: "w",
    stringEncoding: "utf8",
    metadata: [],
  });
  return coreModulesOf(await componentNew(embedded, []));
}

function coreModulesOf(component: Uint8Array): Buffer[] {
  const reader = new WasmReader(component);
  reader.skip(8);
  const modules: Buffer[] = [];
  while (!reader.done) {
    const id = reader.byte();
    const part = reader.part(reader.u32());
    if (id === 1) modules.push(Buffer.from(part.bytes.subarray(part.at, part.end)));
  }
  return modules;
}

const worlds: readonly {
  readonly name: string;
  /** Their types. */
  readonly functions: readonly string[];
  readonly signatures: readonly CoreSignature[];
}[] = [
  {
    name: "one function",
    functions: ["(text: string)"],
    signatures: [signature([I32, I32])],
  },
  {
    name: "two of one type, one of another",
    functions: ["(t: string)", "(t: list<u8>)", "(t: string, n: u64) -> f32"],
    signatures: [signature([I32, I32]), signature([I32, I32]), signature([I32, I32, I64], [F32])],
  },
  {
    name: "numbers of every type, and a result in memory",
    functions: ["(n: f64, o: f32, t: string) -> string"],
    signatures: [signature([F64, F32, I32, I32, I32])],
  },
  {
    name: "so many that numbers take two bytes",
    functions: Array.from({ length: 150 }, () => "(t: string)"),
    signatures: Array.from({ length: 150 }, () => signature([I32, I32])),
  },
];

for (const { name, functions, signatures } of worlds) {
  test(`byte for byte as wit-component writes them: ${name}`, async () => {
    const [, shim, fixup] = await modulesOf(functions, signatures);
    const written = wiringModules(signatures);
    assert.equal(withoutCustomSections(shim!).toString("hex"), written.shim.toString("hex"));
    assert.equal(withoutCustomSections(fixup!).toString("hex"), written.fixup.toString("hex"));
  });
}

test("V8 takes them, and another signature makes other modules", () => {
  const { shim, fixup } = wiringModules([signature([I32], [I64])]);
  for (const module of [shim, fixup]) new WebAssembly.Module(new Uint8Array(module));
  assert.notDeepEqual(wiringModules([signature([I64], [I64])]).shim, shim);
});

test("a function of the shim calls what the fixup put in its place", () => {
  const { shim, fixup } = wiringModules([signature([I32, I32], [I32]), signature([F64], [F64])]);
  const made = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(shim)), {}).exports;
  const actual = { 0: (a: number, b: number) => a - b, 1: (x: number) => x / 2 };
  new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(fixup)), {
    actual,
    shim: { $imports: made["$imports"]! },
  });
  const [subtract, half] = [made["0"], made["1"]] as ((...numbers: number[]) => number)[];
  assert.deepEqual([subtract!(7, 5), half!(3)], [2, 1.5]);
});

test("those of a task that asks and waits are the same two", async () => {
  const binary = await parse(`(module
    (import "[export]a:b/x" "[task-return]run" (func (param i32 i32 i32)))
    (import "a:b/y" "[async-lower]call" (func (param i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
    (func (export "[async-lift]a:b/x#run") (param i32 i32) (result i32) unreachable)
    (func (export "[callback][async-lift]a:b/x#run") (param i32 i32 i32) (result i32)
      unreachable))`);
  const embedded = await componentEmbed({
    binary,
    witSource: `package a:b;
      interface x { run: async func(l: list<u8>) -> result<list<u8>, u8>; }
      interface y { call: async func(t: string) -> result<list<u8>, u8>; }
      world w { import y; export x; }`,
    world: "w",
    stringEncoding: "utf8",
    metadata: [],
  });
  const [, shim, fixup] = coreModulesOf(await componentNew(embedded, []));
  const written = wiringModules([signature([I32, I32, I32]), signature([I32, I32, I32], [I32])]);
  assert.deepEqual(withoutCustomSections(shim!), written.shim);
  assert.deepEqual(withoutCustomSections(fixup!), written.fixup);
});
