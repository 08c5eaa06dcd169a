import assert from "node:assert/strict";
import test from "node:test";
import { writePromptParts } from "#model/prompt-parts.ts";
import { OPEN, SETTINGS } from "#testing/gateway-bench.ts";
import { Desk } from "./desk.ts";
import type { AskedCall, EndedCall } from "./protocol.ts";

const START_MS = 1_700_000_000_000;

/** A desk whose server never answers: nobody is there. */
class DeskBench {
  nowMs = START_MS;
  soonCount = 0;
  readonly ends: EndedCall[] = [];
  readonly desk: Desk;
  readonly port;
  #request = 0;

  constructor(tenantCountMax = 2) {
    this.desk = new Desk({
      settings: {
        jobs: { moderation: { ...SETTINGS, connectionsMax: 1 } },
        budget: { ...OPEN, callsPerMinute: 10 },
        tenantRunningMax: 8,
        cacheMsMax: 0,
      },
      tenantCountMax,
      nowMs: () => this.nowMs,
      random: () => 0.5,
      cpuMs: () => 7,
      soon: () => (this.soonCount += 1),
    });
    this.port = this.desk.openPort(({ ends }) => this.ends.push(...ends));
  }

  ask(tenant: string, options: Partial<AskedCall> = {}): void {
    this.#request += 1;
    const prompt = writePromptParts([{ kind: "subject", name: "", text: `${this.#request}` }]);
    const call = { tenant, prompt, request: this.#request, policyVersion: 1, waitMsMax: 1_000 };
    this.port.take({ type: "ask", calls: [{ job: "moderation", ...call, ...options }] });
  }

  failures(): string[] {
    this.desk.flush();
    return this.ends.splice(0).map(({ end }) => ("failure" in end ? end.failure : "answer"));
  }
}

test("ends of a tick are posted together, and asked for once", () => {
  const bench = new DeskBench();
  for (const tenant of ["a", "a", "b"]) bench.ask(tenant);
  bench.ask("a", { job: "tldr" });
  assert.equal(bench.desk.openCount, 3);
  bench.nowMs += 1_010;
  bench.desk.tick();
  assert.equal(bench.soonCount, 1);
  assert.deepEqual(bench.failures(), ["off", "timedOut", "timedOut", "timedOut"]);
  assert.equal(bench.desk.openCount, 0);
  bench.ask("a", { job: "tldr" });
  assert.equal(bench.soonCount, 2);
});

test("more tenants than there are numbers: who is idle gives way, and keeps its limits", () => {
  const bench = new DeskBench();
  bench.desk.putLimits("frugal", { budget: { ...OPEN, callsPerMinute: 1 }, runningMax: 3 });
  bench.ask("frugal", { waitMsMax: 10 });
  bench.ask("b", { waitMsMax: 10 });
  bench.ask("c");
  assert.deepEqual(bench.failures(), ["queueFull"], "both have calls that wait");
  bench.nowMs += 20;
  bench.desk.tick();
  bench.failures();
  for (const tenant of ["c", "d"]) bench.ask(tenant);
  assert.deepEqual(bench.desk.usage("frugal").jobs, [], "what it used is forgotten");
  assert.equal(bench.desk.usage("frugal").runningMax, 3);
  bench.nowMs += 1_010;
  bench.desk.tick();
  bench.failures();
  for (let n = 0; n < 2; n++) bench.ask("frugal");
  assert.deepEqual(bench.failures(), ["overBudget"], "its limit holds again");
});

test("limits change at once; without any the default holds again", () => {
  const bench = new DeskBench();
  bench.ask("a");
  bench.desk.putLimits("a", { budget: { ...OPEN, callsPerMinute: 0 } });
  bench.ask("a");
  assert.deepEqual(bench.failures(), ["overBudget"]);
  bench.desk.putLimits("a", {});
  bench.ask("a");
  assert.deepEqual(bench.failures(), []);
  const { limits, left } = bench.desk.usage("a");
  assert.deepEqual([limits.callsPerMinute, left.calls, left.tokens], [10, 8, null]);
});

test("a port that is closed is told nothing, and leaves nothing", () => {
  const bench = new DeskBench();
  bench.ask("a");
  bench.ask("a");
  bench.port.close();
  assert.equal(bench.desk.openCount, 0);
  assert.deepEqual(bench.failures(), []);
  assert.equal(bench.desk.stats().jobs[0]!.failures.cancelled, 2);
  assert.equal(bench.desk.stats().cpuMs, 7);
});

test("a wait that is no time ends at once, one that is too long is cut", () => {
  const bench = new DeskBench();
  for (const waitMsMax of [-1, Number.NaN, Number.POSITIVE_INFINITY]) bench.ask("a", { waitMsMax });
  bench.nowMs += 16;
  bench.desk.tick();
  assert.deepEqual(bench.failures(), ["timedOut", "timedOut"]);
  bench.nowMs += 700_000;
  bench.desk.tick();
  assert.deepEqual(bench.failures(), ["timedOut"]);
});

test("after a stop everything is interrupted", async () => {
  const bench = new DeskBench();
  bench.ask("a");
  await bench.desk.stop();
  bench.ask("b");
  assert.deepEqual(bench.failures(), ["interrupted", "interrupted"]);
});

test("a tenant that is deleted loses its limits, and gets no money or calls back", () => {
  const bench = new DeskBench();
  for (let i = 0; i < 10; i++) bench.ask("acme", { waitMsMax: 10 });
  bench.nowMs += 20;
  bench.desk.tick();
  bench.failures();
  bench.desk.putLimits("acme", { budget: { ...OPEN, microsPerDay: 100 }, runningMax: 3 });
  const spent = { spentMicros: 60, atMs: bench.nowMs };
  bench.desk.putLimits("acme", { budget: { ...OPEN, microsPerDay: 100 }, spent });
  bench.desk.forget("acme");
  const { runningMax, left } = bench.desk.usage("acme");
  assert.equal(runningMax, 8);
  assert.deepEqual(bench.desk.usage("acme").jobs, []);
  bench.desk.putLimits("acme", { budget: { ...OPEN, microsPerDay: 100 } });
  assert.ok(bench.desk.usage("acme").left.micros! <= 40 + 1, JSON.stringify(left));
});
