import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { readRequest } from "#testing/moderation-bytes.ts";
import { GIVEN_TURNS_MAX, JUDGE_BYTES_MAX, TEXT_BYTES_MAX } from "./limits.ts";
import type { ModerationRequest } from "./moderation.ts";
import { RequestBytes } from "./request-bytes.ts";

const NOW_MS = 1_700_000_000_000;
const writer = new RequestBytes();

function roundTrip(request: ModerationRequest): ReturnType<typeof readRequest> {
  const byteCount = writer.write(request, NOW_MS);
  assert.equal(typeof byteCount, "number", `${byteCount}`);
  assert.ok((byteCount as number) <= JUDGE_BYTES_MAX);
  return readRequest(writer.bytes.subarray(0, byteCount as number));
}

const name = fc.option(fc.string({ unit: "binary", maxLength: 12 }), { nil: undefined });

test("what is written is what was said, whatever was written before", () => {
  const turn = fc.record({ id: name, user: name, text: fc.string({ unit: "binary" }) });
  const request = fc.record({
    id: name,
    conversation: name,
    user: name,
    role: name,
    replyTo: name,
    language: fc.constantFrom(undefined, "en", "pt-BR"),
    text: fc.string({ unit: "binary", maxLength: 400 }),
    context: fc.option(fc.array(turn, { maxLength: 8 }), { nil: undefined }),
    tsMs: fc.option(fc.integer({ min: 0, max: 2 ** 43 }), { nil: undefined }),
    doNotStore: fc.boolean(),
  });
  fc.assert(
    fc.property(request, (given) => {
      const read = roundTrip(given);
      const { tsMs, flags, context, ...texts } = read;
      assert.equal(tsMs, given.tsMs ?? NOW_MS);
      assert.equal(flags, given.doNotStore ? 1 : 0);
      for (const [key, text] of Object.entries(texts)) {
        assert.equal(text, (given[key as "id"] ?? "").toWellFormed(), key);
      }
      const expected = (given.context ?? []).map((each) => ({
        id: (each.id ?? "").toWellFormed(),
        user: (each.user ?? "").toWellFormed(),
        text: each.text.toWellFormed(),
      }));
      assert.deepEqual(context, expected);
    }),
  );
});

test("of a long context the newest turns are kept, and the oldest of them loses its start", () => {
  const context = Array.from({ length: 40 }, (_, n) => ({
    id: `${n}`,
    text: `${n}:`.padEnd(3000, "é"),
  }));
  const read = roundTrip({ text: "x", context });
  assert.ok(read.context.length > 2 && read.context.length <= GIVEN_TURNS_MAX);
  const kept = context.slice(-read.context.length);
  assert.deepEqual(
    read.context.map(({ id }) => id),
    kept.map(({ id }) => id),
  );
  for (const [n, turn] of read.context.entries()) {
    assert.ok(n === 0 ? kept[n]!.text.endsWith(turn.text) : turn.text === kept[n]!.text);
  }
  assert.ok(read.context[0]!.text.length < 3000);
});

test("more turns than can be, each of them short: the newest are kept", () => {
  const context = Array.from({ length: 50 }, (_, n) => ({ text: `turn ${n}` }));
  const read = roundTrip({ text: "x", context });
  assert.deepEqual(
    read.context.map(({ text }) => text),
    context.slice(-GIVEN_TURNS_MAX).map(({ text }) => text),
  );
});

test("the longest text leaves room for context; a longer one is refused by name", () => {
  const text = "é".repeat(TEXT_BYTES_MAX / 2);
  const context = [{ text: "before" }];
  const read = roundTrip({ text, context });
  assert.equal(read.text, text);
  assert.deepEqual(
    read.context.map((turn) => turn.text),
    ["before"],
  );
  assert.equal(writer.write({ text: `${text}a` }, NOW_MS), "text");
  assert.equal(writer.write({ text: "a", user: "u".repeat(129) }, NOW_MS), "user");
  assert.equal(writer.write({ text: "a", conversation: "é".repeat(65) }, NOW_MS), "conversation");
  assert.equal(roundTrip({ text: "after" }).text, "after");
});
