import assert from "node:assert/strict";
import test from "node:test";
import { parse, print } from "@bytecodealliance/jco";
import { COMPONENT_BYTES_MAX } from "#model/limits.ts";
import { Random } from "#std/random.ts";
import { hostileComponent } from "#testing/hostile-guest.ts";
import type { AdmissionErrorCode } from "./admission-error.ts";
import { AdmissionError } from "./admission-error.ts";
import { admitComponent } from "./admission.ts";
import { SUMMARIZER } from "./world.gen.ts";

const text: string = await print(hostileComponent());

const MEMORY = "(memory (;0;) 3 3)";
const INGEST = "nexuscore:tenant/summarize@0.1.0#ingest";

/** Puts declarations into the core module, after its memory. */
function inCore(...declarations: string[]): (wat: string) => string {
  return replacing(MEMORY, `${MEMORY} ${declarations.join(" ")}`);
}

function replacing(found: string, by: string): (wat: string) => string {
  return (wat) => {
    assert.ok(wat.includes(found), `the component has no ${found}`);
    return wat.replace(found, () => by);
  };
}

/** A function nobody calls; refused all the same. */
function body(code: string): (wat: string) => string {
  return inLast(`(func ${code})`);
}

/** At the end of the core module, where indices do not matter. */
function inLast(declaration: string): (wat: string) => string {
  return replacing("    (@producers", `    ${declaration}\n    (@producers`);
}

const REFUSALS: readonly {
  readonly name: string;
  readonly code: AdmissionErrorCode;
  readonly edit: (wat: string) => string;
}[] = [
  { name: "a memory that can grow", code: "memoryLimits", edit: replacing(MEMORY, "(memory 2 3)") },
  {
    name: "a memory without a maximum",
    code: "memoryLimits",
    edit: replacing(MEMORY, "(memory 3)"),
  },
  { name: "a memory too large", code: "memoryLimits", edit: replacing(MEMORY, "(memory 5 5)") },
  { name: "an empty memory", code: "memoryLimits", edit: replacing(MEMORY, "(memory 0 0)") },
  { name: "a second memory", code: "memoryLimits", edit: inCore("(memory 1 1)") },
  { name: "a shared memory", code: "memoryLimits", edit: replacing(MEMORY, "(memory 3 3 shared)") },
  { name: "a 64-bit memory", code: "memoryLimits", edit: replacing(MEMORY, "(memory i64 3 3)") },
  { name: "a table that can grow", code: "tableLimits", edit: inCore("(table 1 2 funcref)") },
  { name: "a table without a maximum", code: "tableLimits", edit: inCore("(table 1 funcref)") },
  { name: "a huge table", code: "tableLimits", edit: inCore("(table 9999999 9999999 funcref)") },
  { name: "a table of externref", code: "tableLimits", edit: inCore("(table 1 1 externref)") },
  {
    name: "two tables",
    code: "tableLimits",
    edit: inCore("(table 1 1 funcref) (table 1 1 funcref)"),
  },
  { name: "a start function", code: "startFunction", edit: inLast("(func $s) (start $s)") },
  {
    name: "a mutable global",
    code: "hiddenState",
    edit: inCore("(global (mut i32) (i32.const 0))"),
  },
  {
    name: "data.drop",
    code: "hiddenState",
    edit: inLast(`(func data.drop 0)`),
  },
  {
    name: "elem.drop",
    code: "hiddenState",
    edit: (wat) =>
      inLast("(elem (i32.const 0) func 0) (func elem.drop 0)")(inCore("(table 1 1 funcref)")(wat)),
  },
  {
    name: "table.set",
    code: "hiddenState",
    edit: (wat) => inLast("(func unreachable table.set 0)")(inCore("(table 1 1 funcref)")(wat)),
  },
  {
    name: "a passive data segment",
    code: "feature",
    edit: inLast(`(data "x")`),
  },
  {
    name: "a tail call",
    code: "feature",
    edit: body("(param i32) local.get 0 return_call 1"),
  },
  { name: "an exception", code: "feature", edit: inLast("(tag $t) (func throw $t)") },
  {
    name: "an atomic",
    code: "feature",
    edit: body("i32.const 0 i32.atomic.load drop"),
  },
  { name: "a reference", code: "feature", edit: body("ref.null func drop") },
  {
    name: "a garbage-collected type",
    code: "feature",
    edit: inLast("(type (struct (field i32)))"),
  },
  { name: "a garbage-collected value", code: "feature", edit: body("i32.const 1 ref.i31 drop") },
  {
    name: "relaxed SIMD",
    code: "feature",
    edit: body("(param v128) local.get 0 local.get 0 i8x16.relaxed_swizzle drop"),
  },
  {
    name: "a global made from another",
    code: "feature",
    edit: inCore("(global $a i32 (i32.const 0)) (global i32 (global.get $a))"),
  },
  {
    name: "an import",
    code: "importsBeyondWorld",
    edit: (wat) =>
      replacing(
        "(core module $main",
        `(import "clock" (func $now (result f64)))\n(core module $main`,
      )(wat),
  },
  {
    name: "UTF-16 strings",
    code: "canonOptions",
    edit: replacing("string-encoding=utf8", "string-encoding=utf16"),
  },
  {
    name: "a function lifted under another type",
    code: "exportSignature",
    edit: (wat) =>
      wat.replaceAll(`(field "user-count-error" f64)`, `(field "user-count-error" u64)`),
  },
  {
    name: "a record with another field",
    code: "exportSignature",
    edit: (wat) => wat.replaceAll(`(field "late" u32)`, `(field "tardy" u32)`),
  },
  {
    name: "an enum with another case",
    code: "exportSignature",
    edit: (wat) => wat.replaceAll(`(enum "trend" "count")`, `(enum "trend" "count" "noise")`),
  },
  {
    name: "an interface of another version",
    code: "exportMissing",
    edit: (wat) => wat.replaceAll("summarize@0.1.0", "summarize@0.2.0"),
  },
  {
    name: "no post-return of its own name",
    code: "canonOptions",
    edit: (wat) => wat.replaceAll(`"cabi_post_${INGEST}"`, `"free_ingest"`),
  },
  {
    name: "two core modules",
    code: "moduleCount",
    edit: replacing(`(type (;0;) (enum "wall"`, `(core module) (type (;0;) (enum "wall"`),
  },
];

for (const { name, code, edit } of REFUSALS) {
  test(`a component with ${name} is refused`, async () => {
    const edited = edit(text);
    assert.notEqual(edited, text);
    checkRefused(await parse(edited), code);
  });
}

function checkRefused(bytes: Uint8Array, code: AdmissionErrorCode): void {
  assert.throws(
    () => admitComponent(bytes, SUMMARIZER),
    (error) => {
      assert.ok(error instanceof AdmissionError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, /[.]$/);
      return true;
    },
  );
}

test("the component itself is admitted, under its SHA-256", async () => {
  const admitted = admitComponent(hostileComponent(), SUMMARIZER);
  assert.match(admitted.sha256, /^[0-9a-f]{64}$/);
  assert.equal(admitted.base.length, 3 * 65_536);
  assert.equal(admitted.growOffsets.size, 3);
  const printed = admitComponent(await parse(text), SUMMARIZER);
  assert.deepEqual(printed.base, admitted.base);
});

test("a component that uses SIMD, br_table and call_indirect is admitted", async () => {
  const code = `(func (param i32) (result i32)
    block block local.get 0 br_table 0 1 0 end end
    i32.const 0 v128.load v128.const i32x4 1 2 3 4 i8x16.add i32x4.extract_lane 2
    local.get 0 call_indirect (param i32) (result i32)
    f64.const 1.5 i32.trunc_sat_f64_u i32.extend8_s i32.add)`;
  const edited = inLast(code)(inCore("(table 1 1 funcref) (elem (i32.const 0) func 0)")(text));
  admitComponent(await parse(edited), SUMMARIZER);
});

test("what is no component is refused", () => {
  const core = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  checkRefused(core, "notComponent");
  checkRefused(new Uint8Array(0), "notComponent");
  checkRefused(new TextEncoder().encode("(component)"), "notComponent");
  checkRefused(new Uint8Array(COMPONENT_BYTES_MAX + 1), "tooLarge");
});

test("a component cut or changed anywhere is refused, or is admitted whole", () => {
  const bytes = hostileComponent();
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 32);
  const random = new Random(seed);
  let refusedCount = 0;
  for (let round = 0; round < 1500; round++) {
    const mutant = Uint8Array.from(bytes);
    const changeCount = 1 + random.below(3);
    for (let change = 0; change < changeCount; change++) {
      mutant[random.below(mutant.length)] = random.below(256);
    }
    const end = random.chance(1, 3) ? random.below(mutant.length) : mutant.length;
    try {
      admitComponent(mutant.subarray(0, end), SUMMARIZER);
    } catch (error) {
      assert.ok(error instanceof AdmissionError, `SEED=${seed}: ${(error as Error).stack}`);
      refusedCount += 1;
    }
  }
  assert.ok(refusedCount > 500, `SEED=${seed}: only ${refusedCount} refused`);
});
