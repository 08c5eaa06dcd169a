import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test, { type TestContext } from "node:test";
import { RING_BYTES } from "#model/limits.ts";
import { shardOf } from "#model/placement.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import { Random } from "#std/random.ts";
import { commandWeight } from "#testing/hostile-guest.ts";
import { SEED } from "#testing/seed.ts";
import type { BodyFormat, OfferAnswer } from "./door.ts";
import { type Engine, startEngine } from "./engine.ts";
import type { EngineSettings } from "./engine-settings.ts";

const SETTINGS: EngineSettings = {
  shardCount: 2,
  slotCount: 8,
  imageBytesMax: 64 * 1024 * 1024,
  tenantCountMax: 1_000,
};

const HOSTILE = new URL("../../guests/dist/hostile.component.wasm", import.meta.url);

test("what was accepted is in the answer to the next question", async (t) => {
  const engine = await start(t);
  for (let round = 1; round <= 20; round++) {
    const lines = Array.from({ length: 10 }, (_, i) => ({ user: `u${i}`, terms: ["pizza"] }));
    const answer = await post(engine, "acme", lines);
    const none = { rejected: 0, late: 0, duplicates: 0, errors: [] };
    assert.deepEqual(answer, { ack: "none", accepted: 10, ...none });
    const report = await engine.trending("acme", { limit: 10, order: "trend" });
    assert.equal(report.eventCount, 10 * round);
    assert.equal(report.items[0]?.term, "pizza");
    assert.equal(report.items[0]?.count, 10 * round);
    assert(report.items[0]?.exact);
  }
});

test("one bad line never loses the good ones, and each error names its line", async (t) => {
  const engine = await start(t);
  const body = ['{"text":"one"}', "{oops", "", '{"text":5}', '{"text":"two"}', "[]"].join("\n");
  const answer = await offer(engine, { tenant: "acme", body });
  assert.equal(answer.accepted, 2);
  assert.deepEqual(
    answer.errors.map(({ index, code }) => [index, code]),
    [
      [1, "malformedJson"],
      [2, "textInvalid"],
      [4, "notAnObject"],
    ],
  );
});

test("events that name their tenants reach them on every shard, whatever the format", async (t) => {
  const engine = await start(t);
  const tenants = Array.from({ length: 40 }, (_, i) => `tenant-${i}`);
  assert.equal(new Set(tenants.map((tenant) => shardOf(tenant, 2))).size, 2);
  const events = tenants.flatMap((tenant) => [
    { tenant, user: "a", terms: ["x"] },
    { tenant, user: "b", terms: ["x", "y"] },
  ]);
  const lines = events.map((event) => JSON.stringify(event)).join("\r\n");
  const array = JSON.stringify(events, undefined, 2);
  for (const [body, format] of [
    [lines, "ndjson"],
    [array, "json"],
  ] as const) {
    const answer = await offer(engine, { tenant: undefined, body, format });
    assert.equal(answer.accepted, 80);
  }
  const list = await engine.tenants({ offset: 0, limit: 100, prefix: "tenant-" });
  assert.equal(list.total, 40);
  for (const status of list.tenants) assert.equal(status.eventCount, 4);
  const report = await engine.trending("tenant-7", { limit: 10, order: "count" });
  assert.deepEqual(
    report.items.map(({ term, count }) => [term, count]),
    [
      ["x", 4],
      ["y", 2],
    ],
  );
});

test("a body of any size keeps its line numbers over all its records", async (t) => {
  const engine = await start(t);
  const lines: string[] = [];
  const bad: number[] = [];
  for (let i = 0; i < 9_000; i++) {
    const broken = i % 1_000 === 999;
    if (broken) bad.push(i);
    lines.push(broken ? `{"text":` : JSON.stringify({ user: `u${i % 50}`, text: `message ${i}` }));
  }
  const answer = await offer(engine, { tenant: "big", body: lines.join("\n") });
  assert.equal(answer.accepted, 9_000 - bad.length);
  assert.deepEqual(
    answer.errors.map(({ index }) => index),
    bad,
  );
});

test("a line longer than the limit costs only itself", async (t) => {
  const engine = await start(t);
  const long = JSON.stringify({ text: "x".repeat(300_000) });
  const body = ['{"text":"before"}', long, '{"text":"after"}', "{"].join("\n");
  for (const tenant of ["acme", undefined]) {
    const lines = tenant === undefined ? body.replaceAll('{"text', '{"tenant":"t1","text') : body;
    const answer = await offer(engine, { tenant, body: lines });
    assert.equal(answer.accepted, 2);
    assert.deepEqual(
      answer.errors.map(({ index, code }) => [index, code]),
      [
        [1, "eventTooLarge"],
        [3, "malformedJson"],
      ],
    );
  }
});

test("a body whose events no ring could take is too large; trying again is no use", async (t) => {
  const engine = await start(t);
  const body = `[${"1,".repeat(4_000_000)}1]`;
  await assert.rejects(
    offer(engine, { tenant: "acme", body, format: "json" }),
    (error) => error instanceof Problem && error.code === "bodyTooLarge",
  );
});

test("late events and duplicates are accepted and said so", async (t) => {
  const engine = await start(t);
  await engine.putTenant("log", { clock: "event" });
  const events = [
    { id: "a", tsMs: 1_000_000, text: "first words" },
    { id: "b", tsMs: 1_200_000, text: "other words" },
    { id: "c", tsMs: 1_000_000, text: "too late" },
    { id: "b", tsMs: 1_200_000, text: "other words" },
  ];
  const answer = await post(engine, "log", events);
  const expected = { accepted: 4, rejected: 0, late: 1, duplicates: 1, errors: [] };
  assert.deepEqual(answer, { ack: "none", ...expected });
  const status = await engine.tenant("log");
  assert.equal(status.lateCount, 1);
  assert.equal(status.duplicateCount, 1);
  assert.equal(status.clock, "event");
});

test("new tenants beyond the limit are refused, the others go on", async (t) => {
  const engine = await start(t, { tenantCountMax: 50 });
  const events = Array.from({ length: 400 }, (_, i) => ({ tenant: `t${i}`, text: "hello there" }));
  const body = events.map((event) => JSON.stringify(event)).join("\n");
  const answer = await offer(engine, { tenant: undefined, body });
  assert.equal(answer.accepted + answer.rejected, 400);
  assert.equal(answer.accepted, 50);
  assert.equal(answer.errors[0]?.code, "tenantLimit");
  for (let round = 0; round < 3; round++) await offer(engine, { tenant: undefined, body });
  const { total, tenants } = await engine.tenants({ offset: 0, limit: 100, prefix: "" });
  assert.equal(total, 50);
  const again = await post(engine, tenants[0]!.tenant, [{ text: "still here" }]);
  assert.equal(again.accepted, 1);
  await rejects(post(engine, "one-more", [{ text: "no room" }]), "tenantLimit");
});

test("when the memory for tenants is full, events and questions are told so", async (t) => {
  const engine = await start(t, { shardCount: 1, slotCount: 1, imageBytesMax: 12 * 1024 });
  const codes = new Set<string>();
  for (let tenant = 0; tenant < 20; tenant++) {
    const { errors } = await post(engine, `t${tenant}`, [{ user: "u", text: "hello there" }]);
    for (const { code } of errors) codes.add(code);
  }
  assert.deepEqual([...codes], ["memoryFull"]);
  await rejects(engine.trending("t19", { limit: 5, order: "trend" }), "memoryFull");
  await rejects(engine.putTenant("one-more", { clock: "wall" }), "memoryFull");
});

test("an unknown tenant, and a body that is no JSON, are problems", async (t) => {
  const engine = await start(t);
  await rejects(engine.trending("nobody", { limit: 5, order: "trend" }), "tenantUnknown");
  await rejects(engine.tenant("nobody"), "tenantUnknown");
  await rejects(
    offer(engine, { tenant: "a", body: '[{"text":"x"}', format: "json" }),
    "malformedJson",
  );
  await rejects(offer(engine, { tenant: "a", body: "5", format: "json" }), "malformedJson");
});

test("a full ring answers busy, and takes again when the shard has caught up", async (t) => {
  const engine = await start(t, { shardCount: 1 });
  const line = `${JSON.stringify({ user: "u", text: "words ".repeat(600) })}\n`;
  const body = line.repeat(Math.floor((7 * 1024 * 1024) / line.length));
  const offers = Array.from({ length: 6 }, () => offer(engine, { tenant: "flood", body }));
  assert(6 * body.length > 2 * RING_BYTES);
  const results = await Promise.allSettled(offers);
  const refused = results.filter((result) => result.status === "rejected");
  assert(refused.length >= 1, "not everything fits the ring");
  assert(refused.length < 6, "something does");
  for (const { reason } of refused) {
    assert(reason instanceof Problem);
    assert.equal(reason.code, "busy");
    assert(reason.retryAfterSeconds! > 0);
  }
  const answer = await offer(engine, { tenant: "flood", body: line });
  assert.equal(answer.accepted, 1);
  const { eventCount } = await engine.tenant("flood");
  const lineCount = body.length / line.length;
  assert.equal(eventCount, (6 - refused.length) * lineCount + 1);
});

test("stop answers what was taken, then refuses", async (t) => {
  const engine = await start(t);
  const lines = Array.from({ length: 5_000 }, (_, i) => ({ user: `u${i}`, text: `words ${i}` }));
  const offers = Array.from({ length: 8 }, (_, i) => post(engine, `tenant-${i}`, lines));
  const stopped = engine.stop();
  assert.equal(engine.ready, false);
  await rejects(post(engine, "late", [{ text: "x" }]), "stopping");
  for (const answer of await Promise.all(offers)) assert.equal(answer.accepted, 5_000);
  await stopped;
});

test("a spinning component is stopped, undone, and quarantined; the shard goes on", async (t) => {
  const component = await readFile(HOSTILE);
  const engine = await start(t, { component });
  const spin = { text: "x", weight: commandWeight("spin") };
  for (let strike = 0; strike < 3; strike++) {
    const answer = await post(engine, "spinner", [spin]);
    assert.equal(answer.accepted, 0);
    assert.equal(answer.errors[0]?.code, "guestFailed");
  }
  const status = await engine.tenant("spinner");
  assert.equal(status.state, "quarantined");
  assert.equal(status.lastFailure, "exceededTime");
  const answer = await post(engine, "spinner", [{ text: "x" }]);
  assert.equal(answer.errors[0]?.code, "tenantQuarantined");
  await rejects(engine.trending("spinner", { limit: 5, order: "trend" }), "tenantQuarantined");
  const released = await engine.putTenant("spinner", { clock: "wall" });
  assert.equal(released.state, "live");
});

test("one shard or two, few slots or many: every tenant has the same answer", async (t) => {
  const random = new Random(SEED);
  const words = "river stone cloud ember maple orbit quartz saffron tundra velvet".split(" ");
  const bodies = Array.from({ length: 60 }, (_, step) =>
    Array.from({ length: 1 + random.below(30) }, () => ({
      tenant: `t${random.below(12)}`,
      user: `u${random.below(9)}`,
      tsMs: 1_700_000_000_000 + step * 1_500 + random.below(1_500),
      text: Array.from({ length: 1 + random.below(6) }, () => words[random.below(10)]).join(" "),
    })),
  );
  const reports: string[] = [];
  for (const [shardCount, slotCount] of [
    [1, 1],
    [2, 3],
    [2, 64],
  ] as const) {
    const engine = await start(t, { shardCount, slotCount });
    for (let i = 0; i < 12; i++) await engine.putTenant(`t${i}`, { clock: "event" });
    for (const events of bodies) {
      const body = events.map((event) => JSON.stringify(event)).join("\n");
      await offer(engine, { tenant: undefined, body });
    }
    const answers = [];
    for (let i = 0; i < 12; i++) {
      answers.push(await engine.trending(`t${i}`, { limit: 50, order: "trend" }));
    }
    reports.push(JSON.stringify(answers));
    await engine.stop();
  }
  assert.equal(reports[0], reports[1], `SEED=${SEED}`);
  assert.equal(reports[1], reports[2], `SEED=${SEED}`);
});

async function start(t: TestContext, settings: Partial<EngineSettings> = {}): Promise<Engine> {
  const engine = await startEngine({ ...SETTINGS, ...settings });
  t.after(() => engine.stop());
  return engine;
}

function post(engine: Engine, tenant: string, events: object[]): Promise<OfferAnswer> {
  return offer(engine, { tenant, body: events.map((event) => JSON.stringify(event)).join("\n") });
}

function offer(
  engine: Engine,
  { tenant, body, format }: { tenant: string | undefined; body: string; format?: BodyFormat },
): Promise<OfferAnswer> {
  return engine.offer({ tenant, body: Buffer.from(body), format: format ?? "ndjson" });
}

async function rejects(promise: Promise<unknown>, code: ProblemCode): Promise<void> {
  await assert.rejects(promise, (error) => error instanceof Problem && error.code === code);
}
