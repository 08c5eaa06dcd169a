// The WIT parser, the generator of guests and hosts, and that what is committed is what they make.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import test from "node:test";
import asc from "assemblyscript/asc";
import { bytesOf, sequenceLayout } from "#isolate/abi-types.ts";
import { guestExportNames, guestImportsSource, guestSource } from "../scripts/generate-guest.ts";
import { hostSource } from "../scripts/generate-host.ts";
import { resolveWorld, type ResolvedWorld } from "../scripts/wit-world.ts";
import { WitError, parseWit } from "../scripts/wit.ts";

const ROOT = resolve(import.meta.dirname, "..");

/** Everything the generator knows, in places where AssemblyScript would lay it out otherwise. */
const WIDE = `
package test:wide@1.2.3;
/// An interface.
interface words {
  type count = u32;
  enum mood { good, %bad }
  /** Inside
   *  another. */
  record inner { big: u64, small: u8 }
}
interface things {
  use words.{inner, mood as temper, count};
  record outer {
    flag: bool, // a comment
    maybe: option<string>,
    nested: inner,
    after: s8,
    pair: tuple<u8, f64>,
    temper: temper,
    outcome: result<u64, string>,
    last: char,
    counts: list<count>,
  }
  plain: func();
  flat: func(a: u8, b: s16, c: f32, d: s64, e: bool, f: temper, g: option<u32>) -> count;
  whole: func(o: inner, names: list<string>) -> outer;
  bare: func() -> result;
  /// Takes its time.
  wait: async func(names: list<string>, big: u64) -> inner;
  rest: async func();
}
interface numbers {
  /// A number of two.
  weigh: func(row: u32, share: f64) -> u64;
  half-of: func(value: s8) -> f32;
}
interface oracle {
  enum doubt { none, all }
  /// Is answered later.
  ask-it: async func(about: doubt, question: list<u8>) -> result<string, doubt>;
  tell: async func(what: u64);
}
world wide {
  import numbers;
  import oracle;
  export things;
  export alone: func(text: string) -> string;
}
`;

const MODULES = { witPath: "wide.wit", author: "./author", arena: "./arena" };

function wide(): ResolvedWorld {
  return resolveWorld(parseWit(WIDE, "wide.wit"), "wide");
}

test("the guest's side of a wide world", (t) => {
  t.assert.fileSnapshot(guestSource(wide(), MODULES), resolve(ROOT, "test/golden/wide.guest.txt"), {
    serializers: [String],
  });
});

test("the host's side of a wide world", (t) => {
  t.assert.fileSnapshot(
    hostSource(wide(), "wide.wit"),
    resolve(ROOT, "test/golden/wide.host.txt"),
    {
      serializers: [String],
    },
  );
});

test("what a wide world imports, as the guest declares it", (t) => {
  t.assert.fileSnapshot(
    guestImportsSource(wide(), "wide.wit"),
    resolve(ROOT, "test/golden/wide.imports.txt"),
    { serializers: [String] },
  );
});

test("names of the core module are those of the canonical ABI", () => {
  assert.deepEqual(
    [...guestExportNames(wide()).values()],
    [
      "memory",
      "cabi_realloc",
      "test:wide/things@1.2.3#plain",
      "test:wide/things@1.2.3#flat",
      "test:wide/things@1.2.3#whole",
      "cabi_post_test:wide/things@1.2.3#whole",
      "test:wide/things@1.2.3#bare",
      "[async-lift]test:wide/things@1.2.3#wait",
      "[callback][async-lift]test:wide/things@1.2.3#wait",
      "[async-lift]test:wide/things@1.2.3#rest",
      "[callback][async-lift]test:wide/things@1.2.3#rest",
      "alone",
      "cabi_post_alone",
    ],
  );
});

test("AssemblyScript lays the classes out as the canonical ABI does", async () => {
  const world = wide();
  const outer = world.types.find(({ name }) => name === "outer")!.type;
  assert.ok(outer.kind === "record");
  const { offsets } = sequenceLayout(outer.fields.map((field) => field.type));
  const members = ["flag", "maybeSome", "nestedBig", "after", "pair0", "temper", "outcomeIsError"];
  members.push("last", "countsPtr");
  const source = [
    guestSource(world, MODULES),
    ...members.map(
      (name) => `export function at_${name}(): usize { return offsetof<Outer>("${name}"); }`,
    ),
    "export function bytes(): usize { return offsetof<Outer>(); }",
    `export function payload(): usize { return changetype<Outer>(0).outcomePayload; }`,
  ].join("\n");
  const exports = await compile(source);
  assert.deepEqual(
    members.map((name) => exports[`at_${name}`]!()),
    offsets,
  );
  assert.equal(exports.bytes!(), bytesOf(outer));
  assert.equal(exports.payload!(), offsets[6]! + 8);
});

const AUTHOR = `
export function plain(): void {}
export function flat(
  a: u32, b: i32, c: f32, d: u64, e: u32, f: u32, gSome: u32, g: u32,
): u32 { return a; }
export function whole(big: u64, small: u32, ptr: usize, len: usize): usize { return 0; }
export function bare(): u32 { return 0; }
export function wait(ptr: usize, len: usize, big: u64): u32 { return 0; }
export function waitCallback(event: u32, waitable: u32, state: u32): u32 { return 0; }
export function rest(): u32 { return 0; }
export function restCallback(event: u32, waitable: u32, state: u32): u32 { return 0; }
export function alone(ptr: usize, len: usize): usize { return 0; }
`;
const ARENA = `
export function reset(): void {}
export function cabi_realloc(a: usize, b: usize, c: usize, d: usize): usize { return 0; }
`;

async function compile(entry: string): Promise<Record<string, () => number>> {
  const files: Record<string, string> = {
    "entry.ts": entry,
    "author.ts": AUTHOR,
    "arena.ts": ARENA,
  };
  let binary: Uint8Array | undefined;
  const stderr = asc.createMemoryStream();
  const { error } = await asc.main(["entry.ts", "--runtime", "stub", "--outFile", "entry.wasm"], {
    stderr,
    readFile: (path: string) => files[path] ?? null,
    writeFile: (_path: string, contents: string | Uint8Array) => {
      if (typeof contents !== "string") binary = contents;
    },
  });
  assert.equal(error, null, stderr.toString());
  const module = new WebAssembly.Module(Uint8Array.from(binary!));
  const instance = new WebAssembly.Instance(module, { env: { abort: () => undefined } });
  return instance.exports as Record<string, () => number>;
}

const ERRORS: readonly { wit: string; message: RegExp }[] = [
  { wit: "interface a {}", message: /^x\.wit:1:1: expected "package", found "interface"\.$/ },
  {
    wit: "package a:b;\ninterface i { resource r; }",
    message: /2:15: "resource" is not supported/,
  },
  { wit: "package a:b;\ninterface i { variant v { a } }", message: /"variant" is not supported/ },
  { wit: "package a:b; interface i { flags f { a } }", message: /"flags" is not supported/ },
  { wit: "package a:b; interface i { record r {} }", message: /has no fields/ },
  { wit: "package a:b; interface i { f: func(a: list<u8, 4>); }", message: /fixed length/ },
  { wit: "package a:b; interface i { f: func(a u8); }", message: /expected ":", found "u8"/ },
  { wit: "package a:b; interface i { f: func(", message: /found the end of the file/ },
  { wit: "package a:b; world w { include x; }", message: /"import" and "export" only/ },
  { wit: "package a:b; interface i { f: func() $ }", message: /unknown character/ },
];

for (const { wit, message } of ERRORS) {
  test(`the parser says what is wrong with: ${wit.slice(0, 60)}`, () => {
    assert.throws(() => parseWit(wit, "x.wit"), { name: "WitError", message });
  });
}

const WORLD_ERRORS: readonly { body: string; world?: string; message: RegExp }[] = [
  { body: "world w {}", world: "v", message: /no world "v"; it has w/ },
  { body: "world w { import f: func(a: u8); }", message: /"f" is imported alone/ },
  {
    body: "interface i { f: func(a: u8) -> string; } world w { import i; }",
    message: /"f" is imported with a string; imports are of numbers alone/,
  },
  {
    body: "interface i { f: func(a: list<u8>); } world w { import i; }",
    message: /"f" is imported with a list/,
  },
  { body: "world w { import i; }", message: /no interface "i"/ },
  { body: "world w { export i; }", message: /no interface "i"/ },
  { body: "world w { export f: async func(); }", message: /"f" is async and alone/ },
  { body: "world w { import f: async func(); }", message: /"f" is async and alone/ },
  { body: "interface i { f: func(a: own); } world w { export i; }", message: /no type "own"/ },
  {
    body: "interface i { record r { r: r } f: func(r: r); } world w { export i; }",
    message: /contains itself/,
  },
];

for (const { body, world, message } of WORLD_ERRORS) {
  test(`the world says what is wrong with: ${body.slice(0, 60)}`, () => {
    const parsed = parseWit(`package a:b; ${body}`, "x.wit");
    assert.throws(
      () => resolveWorld(parsed, world ?? "w"),
      (error) => {
        assert.ok(error instanceof WitError);
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test("the committed sources are what the generator makes of wit/", () => {
  execFileSync(process.execPath, ["scripts/generate.ts", "--check"], { cwd: ROOT });
  assert.match(readFileSync(resolve(ROOT, "src/isolate/world.gen.ts"), "utf8"), /^\/\/ Generated/);
});
