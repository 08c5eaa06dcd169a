// Summaries of the component that ships, asked through the engine and over HTTP.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { assembleServer } from "#cli/server.ts";
import { METRIC_NAMES_MAX } from "#model/limits.ts";
import { Problem, type ProblemCode } from "#model/problem.ts";
import { SPANS } from "#model/summary.ts";
import type { SummaryAnswer } from "#model/summary-answer.ts";
import { SummarySchema } from "#model/summary-schemas.ts";
import { openLog } from "#observe/log.ts";
import { Random } from "#std/random.ts";
import { Value } from "typebox/value";
import { type Engine, startEngine } from "#engine/engine.ts";
import { SEED } from "#testing/seed.ts";

const SPAN_MS = { tenMinutes: 600_000, hour: 3_600_000, day: 86_400_000 };
const LIMIT = 10;

async function start(t: TestContext): Promise<Engine> {
  const engine = await startEngine({
    shardCount: 2,
    slotCount: 8,
    imageBytesMax: 64 * 1024 * 1024,
    tenantCountMax: 1_000,
  });
  t.after(() => engine.stop());
  return engine;
}

const post = async (engine: Engine, tenant: string, events: readonly object[]) => {
  const body = Buffer.from(events.map((event) => JSON.stringify(event)).join("\n"));
  return engine.offer({ tenant, body, format: "ndjson" });
};

const refusedWith = (code: ProblemCode) => (error: unknown) =>
  error instanceof Problem && error.code === code;

test("a summary agrees with what was sent, in every window", async (t) => {
  const engine = await start(t);
  const random = new Random(SEED);
  const samples = Array.from({ length: 2_000 }, () => Math.exp(4 + 2 * random.unit()));
  const events = samples.map((ms, i) => ({
    id: `m${i}`,
    user: `u${i % 90}`,
    terms: [i % 4 === 0 ? "pizza" : "pasta"],
    metrics: { ms },
  }));
  for (let i = 0; i < events.length; i += 100) {
    const answer = await post(engine, "acme", events.slice(i, i + 100));
    assert.deepEqual([answer.accepted, answer.rejected], [100, 0], `SEED=${SEED}`);
  }
  const sorted = samples.toSorted((a, b) => a - b);
  const sum = samples.reduce((total, sample) => total + sample, 0);
  for (const span of SPANS) {
    const report = await engine.summary("acme", { span, limit: LIMIT });
    assert.equal(report.span, span);
    assert.equal(report.eventCount, 2_000);
    assert.deepEqual([report.userCount, report.userCountError], [90, 0]);
    assert.deepEqual(
      report.terms.map(({ term, countLow, countHigh }) => [term, countLow, countHigh]),
      [
        ["pasta", 1_500, 1_500],
        ["pizza", 500, 500],
      ],
    );
    const metric = report.metrics[0];
    assert.ok(metric !== undefined);
    assert.equal(metric.count, 2_000);
    assert.equal(metric.min, sorted[0]);
    assert.equal(metric.max, sorted.at(-1));
    assert.ok(Math.abs(metric.sum - sum) <= 1e-9 * sum);
    for (const { q, value, low, high } of metric.quantiles) {
      const exact = sorted[Math.ceil(q * 2_000) - 1]!;
      assert.ok(Math.abs(value - exact) <= 0.0101 * exact, `p${q}: ${value}, ${exact}, ${SEED}`);
      assert.ok(low <= value && value <= high);
    }
  }
});

test("conversations: newest first, each with its people and its text", async (t) => {
  const engine = await start(t);
  await post(engine, "acme", [
    { id: "m1", user: "ada", conversation: "a/b", text: "Is the login page down for anyone?" },
    {
      id: "m2",
      user: "bob",
      conversation: "münchen",
      text: "The deploy of the login page is broken",
    },
    { id: "m3", user: "ada", conversation: "münchen", text: "Let us roll back the login deploy" },
  ]);
  const items = await engine.conversations("acme", { limit: 10 });
  assert.deepEqual(
    items.map(({ id, eventCount, userCount }) => [id, eventCount, userCount]),
    [
      ["münchen", 2, 2],
      ["a/b", 1, 1],
    ],
  );
  assert.equal((await engine.conversations("acme", { limit: 1 })).length, 1);
  const report = await engine.conversation("acme", "münchen");
  assert.deepEqual(
    Object.fromEntries(report.participants.map(({ user, eventCount }) => [user, eventCount])),
    { ada: 1, bob: 1 },
  );
  assert.match(report.text.text, /login/);
  const ids = ["m2", "m3"];
  for (const { eventId } of report.text.lines) assert.ok(ids.includes(eventId ?? ""));
  await assert.rejects(engine.conversation("acme", "none"), refusedWith("conversationUnknown"));
  await assert.rejects(engine.conversation("nobody", "a"), refusedWith("tenantUnknown"));
});

test("a late event is in the windows that hold its time, and in the ledger", async (t) => {
  const engine = await start(t);
  const nowMs = Date.now();
  await post(engine, "acme", [{ user: "ada", text: "now", tsMs: nowMs }]);
  const late = await post(engine, "acme", [
    { id: "old", user: "bob", text: "five minutes ago", tsMs: nowMs - 300_000 },
  ]);
  assert.deepEqual([late.accepted, late.late], [1, 1]);
  const countOf = async (span: (typeof SPANS)[number]) =>
    (await engine.summary("acme", { span, limit: LIMIT })).eventCount;
  assert.deepEqual(await Promise.all(SPANS.map(async (span) => countOf(span))), [1, 2, 2, 2, 2]);
  const { late: ledger } = await engine.summary("acme", { span: "minute", limit: LIMIT });
  assert.equal(ledger.count, 1);
  assert.equal(ledger.countedInLonger, 1);
  assert.deepEqual(ledger.byLateness, [0, 1, 0, 0, 0]);
  assert.equal(ledger.examples[0]?.eventId, "old");
});

test("windows go and come, and what stays keeps its state", async (t) => {
  const engine = await start(t);
  await post(engine, "acme", [
    { user: "ada", text: "one" },
    { user: "bob", text: "two" },
  ]);
  const before = await engine.putTenant("acme", { clock: "wall", windows: ["1h"] });
  assert.deepEqual(before.windows, ["60s", "1h", "all"]);
  assert.equal(before.eventCount, 2, "the tenant did not begin anew");
  for (const span of ["minute", "hour", "all"] as const) {
    assert.equal((await engine.summary("acme", { span, limit: LIMIT })).eventCount, 2, span);
  }
  for (const span of ["tenMinutes", "day"] as const) {
    await assert.rejects(engine.summary("acme", { span, limit: LIMIT }), refusedWith("windowOff"));
    await assert.rejects(engine.sketch("acme", span), refusedWith("windowOff"));
  }
  await engine.putTenant("acme", { clock: "wall", windows: ["10m", "1h"] });
  await post(engine, "acme", [{ user: "cyd", text: "three" }]);
  assert.equal((await engine.summary("acme", { span: "hour", limit: LIMIT })).eventCount, 3);
  assert.equal((await engine.summary("acme", { span: "all", limit: LIMIT })).eventCount, 3);
  const back = await engine.summary("acme", { span: "tenMinutes", limit: LIMIT });
  assert.ok(back.eventCount >= 1 && back.eventCount <= 3, "a window that comes fills from then on");
  assert.deepEqual((await engine.tenant("acme")).windows, ["60s", "10m", "1h", "all"]);
  const fresh = await engine.putTenant("new", { clock: "event", windows: [] });
  assert.deepEqual(fresh.windows, ["60s", "all"]);
  const other = await engine.putTenant("new", { clock: "wall" });
  assert.deepEqual(other.windows, ["60s", "all"], "the clock changes, the windows stay");
});

test("a metric too many is a warning with the index of its event", async (t) => {
  const engine = await start(t);
  const names = Array.from({ length: METRIC_NAMES_MAX }, (_, i) => ({ metrics: { [`m${i}`]: 1 } }));
  const full = await post(engine, "acme", names);
  assert.deepEqual([full.accepted, full.warnings], [METRIC_NAMES_MAX, undefined]);
  const answer = await post(engine, "acme", [
    { metrics: { m0: 5 } },
    { metrics: { other: 1, m1: 2 }, text: "and a text" },
  ]);
  assert.equal(answer.accepted, 2);
  assert.deepEqual(
    answer.warnings?.map(({ index, code }) => [index, code]),
    [[1, "metricLimit"]],
  );
  const report = await engine.summary("acme", { span: "minute", limit: LIMIT });
  assert.equal(report.metricsRefused, 1);
  assert.equal(report.metrics.length, METRIC_NAMES_MAX);
  assert.equal(report.metrics.find(({ name }) => name === "m1")?.count, 2);
  assert.equal(report.eventCount, METRIC_NAMES_MAX + 2);
});

test("a sketch says its window, and is the same as long as nothing happened", async (t) => {
  const engine = await start(t);
  const minute = Math.floor(Date.now() / 60_000) * 60_000;
  await engine.putTenant("acme", { clock: "event" });
  await post(engine, "acme", [{ user: "ada", text: "pizza", metrics: { ms: 5 }, tsMs: minute }]);
  for (const [number, span] of SPANS.entries()) {
    const bytes = Buffer.from(await engine.sketch("acme", span));
    assert.equal(bytes.toString("latin1", 0, 4), "NXS1");
    assert.deepEqual([bytes.readUInt16LE(4), bytes[6]], [1, number]);
    assert.equal(bytes.length, 32 + bytes.readUInt32LE(24));
    const [startMs, endMs] = [bytes.readDoubleLE(8), bytes.readDoubleLE(16)];
    assert.ok(startMs <= minute && minute < endMs, span);
    if (Object.hasOwn(SPAN_MS, span)) {
      assert.ok(endMs - startMs <= SPAN_MS[span as keyof typeof SPAN_MS], span);
    }
    assert.deepEqual(Buffer.from(await engine.sketch("acme", span)), bytes);
  }
  await assert.rejects(engine.sketch("nobody", "all"), refusedWith("tenantUnknown"));
});

test("over HTTP: what the component says keeps to the schema", async (t) => {
  const engine = await start(t);
  const { server } = await assembleServer(engine, openLog("silent"));
  t.after(async () => server.close());
  await post(engine, "acme", [
    {
      id: "m1",
      user: "ada",
      conversation: "x",
      text: "Is the login page down?",
      metrics: { ms: -5 },
    },
    {
      id: "m2",
      user: "bob",
      conversation: "x",
      text: "Yes, the login page is down for me as well",
    },
  ]);
  for (const window of ["60s", "10m", "1h", "24h", "all"]) {
    const url = `/v1/tenants/acme/summary?window=${window}`;
    const answer = (await server.inject({ method: "GET", url })).json<SummaryAnswer>();
    assert.deepEqual([...Value.Errors(SummarySchema, answer)], [], JSON.stringify(answer));
    assert.equal(answer.window.name, window);
    assert.equal(answer.metrics["ms"]?.p99.label, "max");
    assert.equal(answer.metrics["ms"]?.p99.value, -5);
    assert.match(answer.text.text, /login page/);
  }
});
