import assert from "node:assert/strict";
import test from "node:test";
import { Delivery, type DeliveryParts } from "./delivery.ts";

/** A drain whose every act takes the time it is told, by a clock of its own. */
class FakeDrain {
  nowMs = 1_000_000;
  pending = false;
  summing = false;
  gathered = 0;
  batchCount = 1;
  pickMs = 0;
  handOutMs = 0;
  joinShare = 1;
  readonly done: string[] = [];

  collect(): void {
    if (this.pending) this.done.push("collect");
    this.pending = false;
  }

  compact(): void {
    this.done.push("compact");
    this.gathered = Math.floor(this.gathered * this.joinShare);
  }

  deliver(): number {
    this.done.push("deliver");
    const records = this.gathered;
    this.gathered = 0;
    return records;
  }

  emit(): "done" {
    return "done";
  }

  emitPicked(): "done" {
    return "done";
  }

  pick(tenant: string): number {
    this.done.push(`pick ${tenant}`);
    this.nowMs += this.pickMs;
    return 1;
  }

  askTurn(): void {
    this.done.push("askTurn");
    this.summing = false;
    this.pending = true;
  }

  neededName = (): string => "";
  bind = (): void => undefined;
  refuse = (): void => undefined;
  release = (): void => undefined;
}

function start(): { drain: FakeDrain; delivery: Delivery } {
  const drain = new FakeDrain();
  const parts: DeliveryParts = {
    drain,
    ensure: () => 0,
    handOut: () => (drain.nowMs += drain.handOutMs),
    clock: () => drain.nowMs,
  };
  return { drain, delivery: new Delivery(parts) };
}

test("a question turns the tables if something is summed, then takes its tenant's records", () => {
  const { drain, delivery } = start();
  delivery.bringUp("acme", 0);
  assert.deepEqual(drain.done, ["pick acme"]);
  drain.done.length = 0;
  drain.summing = true;
  delivery.bringUp("acme", 0);
  assert.deepEqual(drain.done, ["askTurn", "collect", "pick acme"]);
});

test("questions get a twentieth of the time, and no more of a second than 50 ms", () => {
  const { drain, delivery } = start();
  drain.pickMs = 10;
  const ask = (questions: number): number => {
    drain.done.length = 0;
    for (let i = 0; i < questions; i++) delivery.bringUp("acme", 0);
    return drain.done.length;
  };
  const first = ask(1_000);
  // The time that they take earns a little of its own.
  assert(first >= 5 && first <= 6, `${first} of the first thousand`);
  drain.nowMs += 100;
  assert(ask(1_000) <= 1);
  drain.nowMs += 3_600_000;
  const later = ask(1_000);
  assert(later >= 5 && later <= 6, `${later} after an hour: nothing is saved up`);
});

test("a delivery rests in proportion to what it took, two seconds at most", () => {
  for (const [handOutMs, restMs] of [
    [100, 500],
    [10_000, 2_000],
  ] as const) {
    const { drain, delivery } = start();
    drain.handOutMs = handOutMs;
    drain.gathered = 10;
    delivery.step(0, false);
    assert.deepEqual(drain.done, ["deliver"]);
    drain.gathered = 10;
    drain.nowMs += restMs - 1;
    delivery.step(0, false);
    assert.deepEqual(drain.done, ["deliver"], "it rests");
    assert.equal(delivery.pending(false), false);
    assert.equal(delivery.pending(true), true, "a stop leaves nothing");
    drain.nowMs += 1;
    delivery.step(0, false);
    assert.deepEqual(drain.done, ["deliver", "deliver"]);
  }
});

test("a stop does not wait for the rest", () => {
  const { drain, delivery } = start();
  drain.handOutMs = 1_000;
  for (let i = 0; i < 3; i++) {
    drain.gathered = 10;
    delivery.step(0, true);
  }
  assert.deepEqual(drain.done, ["deliver", "deliver", "deliver"]);
});
