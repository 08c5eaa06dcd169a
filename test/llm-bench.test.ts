// What the benchmarks of language models stand on: a stand-in for a model, a wheel of what falls
// due, and checks that see a gateway that bleeds. The scenarios themselves: bench.test.ts.
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { fence } from "#llm/fence.ts";
import { readAnswers } from "#llm/structured-output.ts";
import { Child } from "../bench/child.ts";
import type { BleedFigures } from "../bench/children/llm-bleed.ts";
import { casesOf, contentOf, DelayWheel, readReason } from "../bench/model-stand-in.ts";

for (const sabotages of ["prompts", "answers", "memories"] as const) {
  test(`a server that mixes up ${sabotages} of two tenants is found out`, async () => {
    const program = new URL("../bench/children/llm-bleed.ts", import.meta.url);
    const settings = { calls: 3_000, tenants: 24, slots: 3, seed: 1 };
    const honest = await Child.measure<BleedFigures>(program, settings);
    assert.deepEqual(honest.crossed, { prompts: 0, answers: 0, memories: 0 });
    const mixed = await Child.measure<BleedFigures>(program, { ...settings, sabotages });
    assert(mixed.crossed[sabotages] > 0, JSON.stringify(mixed.crossed));
    assert.notEqual(mixed.digest, honest.digest);
  });
}

test("the stand-in for a model answers each case by its own marker", () => {
  let key = 0;
  const parts = (text: string) => [{ kind: "subject", name: "ann", text }] as const;
  const { text, cases } = fence([parts("a (t1.5)"), parts("(c7)\nb (c8)")], () => {
    key += 1;
    return `${key}`.padStart(20, "0");
  });
  const asked = casesOf(text);
  const want = [
    { id: cases[0]!.id, marker: "t1.5" },
    { id: cases[1]!.id, marker: "c8" },
  ];
  assert.deepEqual(asked, want);
  assert.deepEqual(casesOf(JSON.stringify({ content: text })), want, "in a request's JSON, too");
  const content = contentOf(asked, 12.3456);
  const reading = readAnswers("moderation", content, [cases[0]!.id, cases[1]!.id]);
  assert("answers" in reading, JSON.stringify(reading));
  const { reason } = reading.answers[1]!;
  assert.deepEqual(readReason(reason), { marker: "c8", tookMs: 12.346 });
  assert.equal(readReason("c8 took long"), undefined);
});

test("what falls due is handed out at its millisecond, once, however late the clock is", () => {
  const property = fc.property(
    fc.array(fc.tuple(fc.nat(40), fc.nat(300)), { maxLength: 60 }),
    fc.nat(100),
    (steps, delayMsMax) => {
      let nowMs = 1_000;
      const wheel = new DelayWheel<number>(delayMsMax, nowMs);
      const dueMs: number[] = [];
      const handed: number[] = [];
      const look = (): void => {
        wheel.run(nowMs, (item) => {
          assert(dueMs[item]! <= nowMs);
          handed.push(item);
        });
        const late = dueMs.filter((due, item) => due <= nowMs && !handed.includes(item));
        assert.deepEqual(late, []);
      };
      for (const [passedMs, delayMs] of steps) {
        nowMs += passedMs;
        // Sometimes nobody looks before the next is added, and delays are longer than was said.
        if (passedMs % 2 === 0) look();
        wheel.add(dueMs.length, delayMs + 1, nowMs);
        dueMs.push(nowMs + delayMs + 1);
      }
      nowMs += 1_000;
      look();
      assert.equal(handed.length, dueMs.length);
      assert.equal(wheel.count, 0);
    },
  );
  fc.assert(property);
});
