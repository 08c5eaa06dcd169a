// A component whose tasks wait is wired through two modules more: nothing in that may be crossed.
import assert from "node:assert/strict";
import test from "node:test";
import { parse, print } from "@bytecodealliance/jco";
import { Random } from "#std/random.ts";
import { moderatorComponent } from "#testing/moderating.ts";
import { SEED } from "#testing/seed.ts";
import { AdmissionError, type AdmissionErrorCode } from "./admission-error.ts";
import { admitComponent } from "./admission.ts";
import { MODERATOR } from "./moderator-world.gen.ts";
import { WasmReader } from "./wasm-reader.ts";

const component = moderatorComponent("hostile-moderator");
const text: string = await print(component);

const REVIEW = "nexuscore:tenant/moderate@0.1.0#review";
const ASYNC_OPTIONS = `async (callback $"[callback][async-lift]${REVIEW}")`;
const COMPLETE = "(memory $memory) (realloc $cabi_realloc) async)";
const TASK_RETURN = "(canon task.return (result 14) (memory $memory) string-encoding=utf8)";
const SET_NEW = `(export "[waitable-set-new]" (func $waitable-set.new))`;
const SHIM_ONE =
  '(alias core export $wit-component-shim-instance "1" (core func $task-return-review';
const OTHER_TYPE = "(param i32 i32) (result i32)";

type Edit = (wat: string) => string;

function replacing(found: string, by: string): Edit {
  return (wat) => {
    assert.ok(wat.includes(found), `the component has no ${found}`);
    return wat.replace(found, () => by);
  };
}

/** A built-in function beside the others, used by nobody. */
function builtin(canon: string): Edit {
  return replacing(
    "(core func $waitable-set.new (;0;)",
    `(core func $extra (canon ${canon}))\n(core func $waitable-set.new`,
  );
}

const REFUSALS: readonly {
  readonly name: string;
  readonly code: AdmissionErrorCode;
  readonly edit: Edit;
}[] = [
  {
    name: "a builtin in the place of another of its type",
    code: "wiring",
    edit: replacing(
      '(export "[subtask-drop]" (func $subtask.drop))',
      '(export "[subtask-drop]" (func $waitable-set.drop))',
    ),
  },
  {
    name: "a builtin in the place of the upstream",
    code: "wiring",
    edit: replacing(SET_NEW, '(export "[waitable-set-new]" (func $subtask.drop))'),
  },
  {
    name: "the shim's functions crossed",
    code: "malformed",
    edit: replacing(SHIM_ONE, SHIM_ONE.replace('"1"', '"0"')),
  },
  {
    name: "a function of the shim that the fixup does not know",
    code: "malformed",
    edit: replacing(SHIM_ONE, SHIM_ONE.replace('"1"', '"$imports"')),
  },
  {
    name: "what stands behind the shim crossed",
    code: "wiring",
    edit: (wat) => {
      const start = wat.indexOf("(core instance $actual");
      const end = wat.indexOf("(core instance $fixup");
      const block = wat.slice(start, end);
      const crossed = block
        .replace('(export "0"', '(export "2"')
        .replace('(export "1"', '(export "0"')
        .replace('(export "2"', '(export "1"');
      return wat.slice(0, start) + crossed + wat.slice(end);
    },
  },
  {
    name: "a shim that calls another function",
    code: "wiring",
    edit: replacing(
      "i32.const 1\n      call_indirect (type 1)",
      "i32.const 0\n      call_indirect (type 1)",
    ),
  },
  {
    name: "a shim that does something besides",
    code: "wiring",
    edit: replacing("(table (;0;) 2 2 funcref)", "(table (;0;) 2 2 funcref) (memory 1)"),
  },
  {
    name: "a fixup with its elements in another order",
    code: "wiring",
    edit: replacing("(elem (;0;) (i32.const 0) func 0 1)", "(elem (;0;) (i32.const 0) func 1 0)"),
  },
  {
    name: "a fixup with a start function",
    code: "wiring",
    edit: replacing(
      "(elem (;0;) (i32.const 0) func 0 1)",
      "(elem (;0;) (i32.const 0) func 0 1) (func) (start 2)",
    ),
  },
  {
    name: "no fixup",
    code: "moduleCount",
    edit: (wat) => {
      const start = wat.indexOf("(core instance $fixup");
      const end = wat.indexOf("(type (;17;)", start);
      return wat.slice(0, start) + wat.slice(end);
    },
  },
  {
    name: "a fourth core module",
    code: "moduleCount",
    edit: replacing("(type (;17;) (list u8))", "(core module $more) (type (;17;) (list u8))"),
  },
  {
    name: "an upstream that is waited for on the stack",
    code: "canonOptions",
    edit: replacing(COMPLETE, COMPLETE.replace(" async)", ")")),
  },
  {
    name: "an upstream that has no way to put its answer",
    code: "canonOptions",
    edit: replacing(COMPLETE, COMPLETE.replace(" (realloc $cabi_realloc)", "")),
  },
  {
    name: "an upstream that is told in UTF-16",
    code: "canonOptions",
    edit: replacing(COMPLETE, COMPLETE.replace("async", "string-encoding=utf16 async")),
  },
  {
    name: "a task's return of another type",
    code: "importSignature",
    edit: replacing(TASK_RETURN, TASK_RETURN.replace("14", "13")),
  },
  {
    name: "a task's return of nothing",
    code: "importSignature",
    edit: replacing(TASK_RETURN, TASK_RETURN.replace("(result 14) ", "")),
  },
  {
    name: "a review that is lifted as if it did not wait",
    code: "canonOptions",
    edit: replacing(ASYNC_OPTIONS, ""),
  },
  {
    name: "a review without a callback",
    code: "canonOptions",
    edit: replacing(ASYNC_OPTIONS, "async"),
  },
  {
    name: "a review with itself as callback",
    code: "canonOptions",
    edit: replacing(ASYNC_OPTIONS, `async (callback $"[async-lift]${REVIEW}")`),
  },
  {
    name: "a judge that waits",
    code: "canonOptions",
    edit: replacing(
      "string-encoding=utf8 (post-return $cabi_post_nexuscore:tenant/moderate@0.1.0#judge)",
      "async (callback $nexuscore:tenant/moderate@0.1.0#configure)",
    ),
  },
  {
    name: "a review of a type that is not async",
    code: "exportSignature",
    edit: replacing(
      '(type (;20;) (func async (param "request" 17) (result 14)))',
      '(type (;20;) (func (param "request" 17) (result 14)))',
    ),
  },
  {
    name: "an upstream that is not async",
    code: "importSignature",
    edit: replacing('(type (;6;) (func async (param "job" 1)', '(type (;6;) (func (param "job" 1)'),
  },
  {
    name: "a job that there is not",
    code: "importSignature",
    edit: replacing(
      '(enum "moderation" "tldr" "rolling")',
      '(enum "moderation" "tldr" "training")',
    ),
  },
  {
    name: "failures in another order",
    code: "importSignature",
    edit: replacing('"off" "over-budget"', '"over-budget" "off"'),
  },
  {
    name: "a callback of another type",
    code: "exportSignature",
    edit: (wat) =>
      wat
        .replace(
          /(\(export "\[callback\][^"]*#review" \(func )\d+/,
          (_, head: string) => `${head}$none`,
        )
        .replace(
          "    (@producers",
          () => `    (func $none ${OTHER_TYPE} unreachable)\n    (@producers`,
        ),
  },
  { name: "a task that is cancelled", code: "malformed", edit: builtin("task.cancel") },
  { name: "a call that is cancelled", code: "malformed", edit: builtin("subtask.cancel") },
  { name: "state beside its memory", code: "malformed", edit: builtin("context.get i32 0") },
  {
    name: "a wait on the stack",
    code: "malformed",
    edit: replacing(
      "(core instance $actual",
      "(core func $extra (canon waitable-set.wait (memory $memory)))\n(core instance $actual",
    ),
  },
  { name: "back pressure", code: "malformed", edit: builtin("backpressure.inc") },
];

for (const { name, code, edit } of REFUSALS) {
  test(`a moderator with ${name} is refused`, async () => {
    const edited = edit(text);
    assert.notEqual(edited, text);
    const bytes = await parse(edited);
    assert.throws(
      () => admitComponent(bytes, MODERATOR),
      (error) => {
        assert.ok(error instanceof AdmissionError, String(error));
        assert.equal(error.code, code, error.message);
        assert.match(error.message, /[.]$/);
        return true;
      },
    );
  });
}

test("every byte that wires its functions counts", () => {
  const random = new Random(SEED);
  let count = 0;
  for (const { id, start, end } of wiringSections()) {
    for (let at = start; at < end; at++) {
      const mutant = Uint8Array.from(component);
      mutant[at]! ^= 1 + random.below(255);
      count += 1;
      assert.throws(
        () => admitComponent(mutant, MODERATOR),
        AdmissionError,
        `SEED=${SEED}: byte ${at}, of a section ${id}, may be ${mutant[at]}`,
      );
    }
  }
  assert.ok(count > 1_000, `only ${count} bytes`);
});

/** Core instances, aliases, canons; and what V8 runs of the two small modules. */
function wiringSections(): { id: number; start: number; end: number }[] {
  const reader = new WasmReader(component, 8);
  const sections: { id: number; start: number; end: number }[] = [];
  let moduleCount = 0;
  while (!reader.done) {
    const id = reader.byte();
    const part = reader.part(reader.u32());
    if (id === 1 && moduleCount++ > 0) sections.push({ id, start: part.at, end: runEnd(part) });
    else if ([2, 6, 8].includes(id)) sections.push({ id, start: part.at, end: part.end });
  }
  return sections;
}

/** Where the custom sections at the end of a core module begin. */
function runEnd(module: WasmReader): number {
  const reader = new WasmReader(module.bytes, module.at + 8, module.end);
  while (!reader.done) {
    const start = reader.at;
    if (reader.byte() === 0) return start;
    reader.skip(reader.u32());
  }
  return module.end;
}
