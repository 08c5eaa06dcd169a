import assert from "node:assert/strict";
import test from "node:test";
import { Turns, type TurnedReceiver } from "./turns.ts";

/** A receiver that says what it is told to, and notes when it was turned. */
class FakeReceiver implements TurnedReceiver {
  fullness = 0;
  turnWanted = false;
  ready = true;
  recordsPerMs = 0;
  nowMs = 0;
  turnedMs: number[] = [];
  #recordsFromMs = 0;

  get epochRecords(): number {
    return this.recordsPerMs * (this.nowMs - this.#recordsFromMs);
  }

  turn(): boolean {
    if (!this.ready) return false;
    this.turnWanted = false;
    this.fullness = 0;
    this.#recordsFromMs = this.nowMs;
    this.turnedMs.push(this.nowMs);
    return true;
  }

  requestNames(): void {
    assert.equal(this.epochRecords >= 0, true);
  }

  forgetIdleSenders(): void {
    assert.equal(this.epochRecords >= 0, true);
  }

  /** Sleeps as it is told to, and ticks, until then. */
  run(turns: Turns, untilMs: number): void {
    for (let looks = 0; this.nowMs < untilMs; looks++) {
      assert(looks < 10_000, "it never sleeps");
      this.nowMs += Math.min(Math.ceil(turns.dueMs(this.nowMs)), untilMs - this.nowMs);
      turns.tick(this.nowMs);
    }
  }
}

function start(): { receiver: FakeReceiver; turns: Turns } {
  const receiver = new FakeReceiver();
  return { receiver, turns: new Turns(receiver, { turnMs: 100, busyTurnMs: 1_000 }, 0) };
}

test("a quiet stage turns every turnMs", () => {
  const { receiver, turns } = start();
  receiver.recordsPerMs = 400;
  receiver.run(turns, 500);
  assert.deepEqual(receiver.turnedMs, [100, 200, 300, 400, 500]);
});

test("a busy stage sums for busyTurnMs, and is prompt again when it is quiet", () => {
  const { receiver, turns } = start();
  receiver.recordsPerMs = 4_200;
  receiver.run(turns, 3_000);
  assert.deepEqual(receiver.turnedMs, [1_000, 2_000, 3_000]);
  receiver.recordsPerMs = 0;
  receiver.turnedMs = [];
  receiver.run(turns, 3_300);
  assert.equal(receiver.turnedMs.length, 3);
});

test("a log that is half full ends the epoch, whatever its age", () => {
  const { receiver, turns } = start();
  receiver.recordsPerMs = 40_000;
  receiver.run(turns, 150);
  assert.deepEqual(receiver.turnedMs, []);
  receiver.fullness = 0.5;
  receiver.run(turns, 170);
  assert.equal(receiver.turnedMs.length, 1);
  receiver.fullness = 1;
  turns.tick(170);
  assert.equal(receiver.turnedMs.length, 2, "a full one is not even slept on");
});

test("a question ends a busy epoch at once, but not one after the other without a pause", () => {
  const { receiver, turns } = start();
  receiver.recordsPerMs = 4_200;
  receiver.run(turns, 350);
  assert.deepEqual(receiver.turnedMs, []);
  receiver.turnWanted = true;
  turns.tick(350);
  assert.deepEqual(receiver.turnedMs, [350]);
  receiver.turnWanted = true;
  turns.tick(351);
  assert.deepEqual(receiver.turnedMs, [350]);
  receiver.run(turns, 355);
  assert.deepEqual(receiver.turnedMs, [350, 352]);
});

test("a turn waits for shards that are behind, without spinning", () => {
  const { receiver, turns } = start();
  receiver.ready = false;
  receiver.run(turns, 150);
  receiver.ready = true;
  receiver.run(turns, 153);
  assert.equal(receiver.turnedMs.length, 1);
});
