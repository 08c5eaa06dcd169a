import assert from "node:assert/strict";
import { test } from "node:test";
import { LineLimit } from "./line-limit.ts";

function limited() {
  let nowMs = 0;
  const timers: { atMs: number; action: () => void }[] = [];
  const told: string[] = [];
  const limit = new LineLimit({
    linesPerSecond: 3,
    now: () => nowMs,
    later: (action, ms) => void timers.push({ atMs: nowMs + ms, action }),
  });
  const say = (message: string): boolean =>
    limit.allows(message, (dropped, like) => void told.push(`${dropped} ${like}`));
  const pass = (ms: number): void => {
    nowMs += ms;
    for (const timer of timers.splice(0)) {
      if (timer.atMs <= nowMs) timer.action();
      else timers.push(timer);
    }
  };
  return { say, pass, told, timers };
}

test("line limit: a flood of one line is cut and counted, others go on", () => {
  const { say, pass, told } = limited();
  const written = Array.from({ length: 1_000 }, () => say("busy")).filter(Boolean).length;
  assert.equal(written, 3);
  assert.equal(say("disk full"), true);
  assert.deepEqual(told, []);
  pass(1_000);
  assert.deepEqual(told, ["997 busy"]);
  assert.equal(say("busy"), true, "and anew");
});

test("line limit: lines that come one by one are all written", () => {
  const { say, pass, told } = limited();
  for (let i = 0; i < 100; i++) {
    assert.equal(say("slow"), true);
    pass(400);
  }
  assert.deepEqual(told, []);
});

test("line limit: messages that are all different are bounded too", () => {
  const { say, pass, told, timers } = limited();
  let written = 0;
  for (let i = 0; i < 10_000; i++) if (say(`line ${i}`)) written += 1;
  assert(written <= 503, String(written));
  assert.equal(timers.length, 1);
  pass(1_000);
  assert.deepEqual(told, [`${10_000 - written} (other lines)`]);
});
