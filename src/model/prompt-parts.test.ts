import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { PART_KINDS, type PromptPart, readPromptParts, writePromptParts } from "./prompt-parts.ts";

const HEAD_BYTES = 4;
const PART_HEAD_BYTES = 8;

test("parts are read as they were written", () => {
  const word = fc.string({ unit: "grapheme", maxLength: 8 });
  const fields = { kind: fc.constantFrom(...PART_KINDS), name: word, text: word };
  const part = fc.record(fields, { noNullPrototype: true });
  const parts = fc.array(part, { minLength: 1, maxLength: 16 });
  fc.assert(
    fc.property(parts, (written) => {
      assert.deepEqual(readPromptParts(writePromptParts(written)), written);
    }),
  );
});

test("any bytes are parts that write the same bytes, or none", () => {
  const written = writePromptParts([
    { kind: "turn", name: "ann", text: "hé" },
    { kind: "subject", name: "", text: "hi" },
  ]);
  fc.assert(
    fc.property(fc.nat({ max: written.length - 1 }), fc.nat({ max: 255 }), (at, value) => {
      const bytes = Buffer.from(written);
      bytes[at] = value;
      const parts = readPromptParts(bytes);
      if (parts !== undefined) assert.deepEqual(writePromptParts(parts), bytes);
    }),
    { numRuns: 2_000 },
  );
});

test("a character that is cut between a name and its text is none", () => {
  const part: PromptPart = { kind: "subject", name: "é", text: "x" };
  const bytes = writePromptParts([part]);
  // The name has one byte less, the text one more.
  bytes.writeUInt16LE(1, HEAD_BYTES + 2);
  bytes.writeUInt32LE(2, HEAD_BYTES + 4);
  assert.equal(readPromptParts(bytes), undefined);
});

test("what is cut, too long or empty is none", () => {
  const bytes = writePromptParts([{ kind: "subject", name: "ann", text: "hello" }]);
  assert.equal(bytes.length, HEAD_BYTES + PART_HEAD_BYTES + 8);
  for (let end = 0; end < bytes.length; end++) {
    assert.equal(readPromptParts(bytes.subarray(0, end)), undefined, `${end}`);
  }
  assert.equal(readPromptParts(Buffer.concat([bytes, Buffer.alloc(1)])), undefined);
  assert.equal(readPromptParts(writePromptParts([])), undefined);
  const text = "x".repeat(17_000);
  assert.equal(readPromptParts(writePromptParts([{ kind: "turn", name: "", text }])), undefined);
});
