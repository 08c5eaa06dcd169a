// What a component of a world with imports may import: those, under their names and types.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { parse, print } from "@bytecodealliance/jco";
import { Random } from "#std/random.ts";
import { hostileComponent } from "#testing/hostile-guest.ts";
import { AdmissionError, type AdmissionErrorCode } from "./admission-error.ts";
import { admitComponent } from "./admission.ts";
import { MODERATOR } from "./moderator-world.gen.ts";
import { SUMMARIZER } from "./world.gen.ts";

const component = readFileSync(
  new URL("../../guests/dist/hostile-moderator.component.wasm", import.meta.url),
);
const text: string = await print(component);
const CLASSIFIER = "nexuscore:tenant/classifier@0.1.0";

function replacing(found: string, by: string): (wat: string) => string {
  return (wat) => {
    assert.ok(wat.includes(found), `the component has no ${found}`);
    return wat.replace(found, () => by);
  };
}

const INSTANCE = `(import "${CLASSIFIER}" (instance`;

const REFUSALS: readonly {
  readonly name: string;
  readonly code: AdmissionErrorCode;
  readonly edit: (wat: string) => string;
}[] = [
  {
    name: "a second interface",
    code: "importsBeyondWorld",
    // At the end, where it moves no number of a type.
    edit: (wat) =>
      wat.replace(
        /\)\s*$/,
        `(type $clocks (instance (type (func (result f64))) (export "now" (func (type 0)))))
         (import "wasi:clocks/monotonic-clock@0.2.0" (instance (type $clocks))))`,
      ),
  },
  {
    name: "a function alone",
    code: "importsBeyondWorld",
    edit: replacing(INSTANCE, `(import "clock" (func (result f64)))\n${INSTANCE}`),
  },
  {
    name: "an interface of another version",
    code: "importsBeyondWorld",
    edit: (wat) => wat.replaceAll("classifier@0.1.0", "classifier@0.2.0"),
  },
  {
    name: "one more function of the interface",
    code: "importsBeyondWorld",
    edit: replacing(
      `(export (;2;) "parameter" (func (type 2)))`,
      `(export (;2;) "parameter" (func (type 2))) (export "learn" (func (type 2)))`,
    ),
  },
  {
    name: "a function under another type, which as a core function is the same",
    code: "importSignature",
    edit: replacing(
      `(func (param "bucket" u32) (result u64))`,
      `(func (param "bucket" s32) (result u64))`,
    ),
  },
  {
    name: "a function whose parameter has another name",
    code: "importSignature",
    edit: replacing(`(param "bucket" u32) (result u64)`, `(param "row" u32) (result u64)`),
  },
  {
    name: "one function in the place of another",
    code: "wiring",
    edit: replacing(
      `(export "message-row" (func $message-row))`,
      `(export "message-row" (func $parameter))`,
    ),
  },
  {
    name: "a memory among the imports of its module",
    code: "importsBeyondWorld",
    edit: (wat) =>
      wat
        .replace(
          `(import "${CLASSIFIER}" "reply-row"`,
          () =>
            `(import "${CLASSIFIER}" "memory" (memory 1))\n    (import "${CLASSIFIER}" "reply-row"`,
        )
        .replace(/\(memory \(;0;\) 4 4\)/, ""),
  },
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
        return true;
      },
    );
  });
}

test("a moderator is admitted in its world, and in no other", () => {
  const admitted = admitComponent(component, MODERATOR);
  assert.equal(admitted.base.length, 4 * 65_536);
  const codeOf = (bytes: Uint8Array, world: typeof MODERATOR): string => {
    try {
      admitComponent(bytes, world);
    } catch (error) {
      assert.ok(error instanceof AdmissionError);
      return error.code;
    }
    return "none";
  };
  assert.equal(codeOf(component, SUMMARIZER), "importsBeyondWorld");
  assert.equal(codeOf(hostileComponent(), MODERATOR), "exportMissing");
});

test("a moderator cut or changed anywhere is refused, or is admitted whole", () => {
  const seed = Number(process.env["SEED"] ?? Date.now() % 2 ** 32);
  const random = new Random(seed);
  // The code is the larger part: half of the changes are in what is before and behind it.
  const head = component.indexOf("nexuscore:tenant/moderate@0.1.0#configure");
  let refusedCount = 0;
  for (let round = 0; round < 1500; round++) {
    const mutant = Uint8Array.from(component);
    const changeCount = 1 + random.below(3);
    for (let change = 0; change < changeCount; change++) {
      mutant[random.below(random.chance(1, 2) ? head : mutant.length)] = random.below(256);
    }
    try {
      admitComponent(mutant, MODERATOR);
    } catch (error) {
      assert.ok(error instanceof AdmissionError, `SEED=${seed}: ${(error as Error).stack}`);
      refusedCount += 1;
    }
  }
  assert.ok(refusedCount > 500, `SEED=${seed}: only ${refusedCount} refused`);
});
