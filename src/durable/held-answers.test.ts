import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { HeldAnswers } from "./held-answers.ts";

test("nobody is told before the disk has it, everybody once, in order", () => {
  const step = fc.record({ answers: fc.nat(3), gap: fc.nat(2), durable: fc.nat(4) });
  const starts = fc.constantFrom(1, 2 ** 31 - 5, 2 ** 32 - 5, 2 ** 40);
  fc.assert(
    fc.property(starts, fc.array(step, { maxLength: 200 }), (start, steps) => {
      const held = new HeldAnswers<number>();
      let block = start;
      let durable = start - 1;
      let made = 0;
      const told: number[] = [];
      const blockOf = new Map<number, number>();
      const take = (): void => {
        for (const answer of held.take(durable | 0)) {
          assert.ok(blockOf.get(answer)! <= durable);
          told.push(answer);
        }
      };
      for (const { answers, gap, durable: more } of steps) {
        block += gap;
        const list = Array.from({ length: answers }, () => (made += 1));
        for (const answer of list) blockOf.set(answer, block);
        held.hold(block, list);
        durable = Math.min(block, durable + more);
        take();
        assert.equal(held.isEmpty, told.length === made);
      }
      durable = block;
      take();
      assert.deepEqual(
        told,
        Array.from({ length: made }, (_, index) => index + 1),
      );
    }),
  );
});
