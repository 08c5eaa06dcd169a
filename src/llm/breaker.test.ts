import assert from "node:assert/strict";
import test from "node:test";
import { Breaker } from "./breaker.ts";

const START_MS = 1_700_000_000_000;

/** Failures of several tenants, a second apart. */
function opened(tenants: readonly number[], openMs = 5_000): { breaker: Breaker; nowMs: number } {
  const breaker = new Breaker(16, openMs);
  let nowMs = START_MS;
  for (const tenant of tenants) breaker.failed(tenant, false, (nowMs += 1_000));
  return { breaker, nowMs };
}

test("half of what ended failed, and it was enough to tell: nobody asks", () => {
  const { breaker, nowMs } = opened([0, 1, 2, 3]);
  assert.equal(breaker.state(nowMs), "closed", "four are not enough");
  breaker.failed(4, false, nowMs);
  assert.equal(breaker.state(nowMs), "open");
  assert.equal(breaker.admit(9, nowMs), "refuse");
});

test("less than half failed, or long ago: nothing happens", () => {
  const breaker = new Breaker(64);
  for (let n = 0; n < 20; n++) {
    breaker.succeeded(n, false, START_MS + n);
    if (n % 2 === 0) breaker.failed(n, false, START_MS + n);
  }
  assert.equal(breaker.state(START_MS), "closed");
  const { breaker: slow, nowMs } = opened([0, 1, 2, 3]);
  slow.failed(4, false, nowMs + 20_000);
  assert.equal(slow.state(nowMs + 20_000), "closed");
});

test("after a while one tries, the others wait; it closes or stays open by that one", () => {
  const { breaker, nowMs } = opened([0, 1, 2, 3, 4]);
  assert.equal(breaker.admit(0, nowMs + 4_999), "refuse");
  assert.equal(breaker.state(nowMs + 5_000), "halfOpen");
  assert.equal(breaker.admit(0, nowMs + 5_000), "try");
  assert.equal(breaker.makesAllWait, true);
  breaker.succeeded(3, false, nowMs + 5_001);
  assert.equal(breaker.makesAllWait, true, "what was sent before changes nothing");
  breaker.failed(0, true, nowMs + 5_002);
  assert.equal(breaker.admit(1, nowMs + 10_001), "refuse");
  assert.equal(breaker.admit(1, nowMs + 10_002), "try");
  breaker.gaveUp();
  assert.equal(breaker.admit(2, nowMs + 10_003), "try");
  breaker.succeeded(2, true, nowMs + 10_004);
  assert.equal(breaker.state(nowMs + 10_004), "closed");
  breaker.failed(5, false, nowMs + 10_005);
  assert.equal(breaker.state(nowMs + 10_005), "closed", "it begins anew");
});

test("one tenant alone shuts the upstream for itself alone", () => {
  const { breaker, nowMs } = opened([0, 0, 0, 0, 0]);
  assert.equal(breaker.admit(0, nowMs), "refuse");
  assert.equal(breaker.admit(1, nowMs), "send");
  assert.equal(breaker.makesAllWait, false);
  for (let n = 0; n < 4; n++) breaker.failed(1 + n, false, nowMs + n);
  assert.equal(breaker.admit(5, nowMs + 5), "refuse", "when others fail, too, it is for all");
});

test("who is answered is not shut out by one whose calls fail", () => {
  const breaker = new Breaker(16);
  let nowMs = START_MS;
  for (let n = 0; n < 8; n++) {
    nowMs += 1_000;
    breaker.failed(0, false, nowMs);
    if (n % 2 === 0) breaker.succeeded(1, false, nowMs);
  }
  assert.deepEqual([breaker.admit(0, nowMs), breaker.admit(1, nowMs)], ["refuse", "send"]);
});

test("a chance failure of a neighbour does not make one tenant's failures everybody's", () => {
  const { breaker, nowMs } = opened([0, 0, 0, 0, 0]);
  breaker.failed(1, false, nowMs + 1);
  breaker.failed(2, false, nowMs + 2);
  assert.deepEqual([breaker.admit(0, nowMs + 3), breaker.admit(1, nowMs + 3)], ["refuse", "send"]);
  breaker.failed(3, false, nowMs + 4);
  assert.equal(breaker.admit(1, nowMs + 5), "refuse", "three of three others are no chance");
});

test("a tenant has one failure a second counted", () => {
  const breaker = new Breaker(16);
  for (let n = 0; n < 900; n++) breaker.failed(0, false, START_MS + n);
  assert.equal(breaker.state(START_MS + 900), "closed");
});

test("a number that is another tenant's begins anew", () => {
  const { breaker, nowMs } = opened([0, 0, 0, 0, 0]);
  breaker.forget(0);
  assert.equal(breaker.admit(0, nowMs), "send");
});
