import assert from "node:assert/strict";
import { once } from "node:events";
import test from "node:test";
import { Worker } from "node:worker_threads";
import { tenantsTakenBytes } from "./protocol.ts";
import { TenantCap } from "./tenant-cap.ts";

const GATE = 0;

test("the limit holds over all shards, to the last tenant", () => {
  const shared = new SharedArrayBuffer(tenantsTakenBytes(2));
  const [one, other] = [new TenantCap(shared, 0, 10), new TenantCap(shared, 1, 10)];
  assert.equal(one.claim(8), 8);
  one.settle(3);
  assert.equal(other.claim(100), 7);
  other.settle(7);
  assert.equal(one.claim(1), 0);
  one.settle(3);
});

test("what a dead thread held, tenants and claim, is free for the next", () => {
  const shared = new SharedArrayBuffer(tenantsTakenBytes(2));
  const dead = new TenantCap(shared, 0, 10);
  dead.claim(4);
  dead.settle(4);
  dead.claim(6);
  const next = new TenantCap(shared, 0, 10);
  const other = new TenantCap(shared, 1, 10);
  assert.equal(other.claim(10), 10);
  other.settle(10);
  assert.equal(next.claim(1), 0);
});

test("nobody is refused for room that another shard only claimed", async () => {
  const shared = new SharedArrayBuffer(tenantsTakenBytes(2));
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const claimant = new Worker(
    `import { parentPort, workerData } from "node:worker_threads";
     const { TenantCap } = await import(workerData.module);
     const cap = new TenantCap(workerData.shared, 0, 10);
     cap.claim(10);
     parentPort.postMessage("claimed");
     Atomics.wait(workerData.gate, ${GATE}, 0);
     cap.settle(1);`,
    {
      eval: true,
      execArgv: ["--input-type=module"],
      workerData: { shared, gate, module: import.meta.resolve("./tenant-cap.ts") },
    },
  );
  await once(claimant, "message");
  Atomics.store(gate, GATE, 1);
  Atomics.notify(gate, GATE);
  const cap = new TenantCap(shared, 1, 10);
  assert.equal(cap.claim(9), 9);
  cap.settle(9);
  await once(claimant, "exit");
});
