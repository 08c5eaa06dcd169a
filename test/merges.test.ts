// Merges of many tenants' windows, through the whole engine: against exact twins, in any grouping,
// and with sketches that are damaged.
import assert from "node:assert/strict";
import test, { type TestContext } from "node:test";
import { assembleServer } from "#cli/server.ts";
import type { MergeRequest } from "#model/merge.ts";
import type { MergeAnswer } from "#model/merge-answer.ts";
import { MergedSummarySchema } from "#model/summary-schemas.ts";
import { Problem } from "#model/problem.ts";
import type { Span } from "#model/summary.ts";
import { openLog } from "#observe/log.ts";
import { Random } from "#std/random.ts";
import { Value } from "typebox/value";
import { type Engine, startEngine } from "#engine/engine.ts";
import { SEED } from "#testing/seed.ts";

const TENANTS = 60;
/** A multiple of every pane, so that all events lie in the same ones. */
const START_MS = 1_699_920_000_000;

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

type Sent = { readonly tenant: string; readonly user: string; readonly term: string; ms: number };

/** Tenants on the event clock, so that asking twice is asking the same. */
async function fill(engine: Engine, seed: number): Promise<Sent[]> {
  const random = new Random(seed);
  const terms = "river stone cloud ember maple orbit quartz saffron tundra velvet".split(" ");
  const sent = Array.from({ length: 6_000 }, (): Sent => {
    const user = `u${random.below(random.chance(1, 2) ? 50 : 400)}`;
    const ms = Math.round(1_000 * Math.exp(6 * random.unit())) / 1_000;
    return { tenant: `t.${random.below(TENANTS)}`, user, term: terms[random.below(10)]!, ms };
  });
  for (let i = 0; i < TENANTS; i++) await engine.putTenant(`t.${i}`, { clock: "event" });
  for (let i = 0; i < sent.length; i += 500) {
    const lines = sent.slice(i, i + 500).map(({ tenant, user, term, ms }, n) => {
      const tsMs = START_MS + i + n;
      return JSON.stringify({ tenant, user, terms: [term], metrics: { ms }, tsMs });
    });
    const body = Buffer.from(lines.join("\n"));
    const answer = await engine.offer({ tenant: undefined, body, format: "ndjson" });
    assert.equal(answer.accepted, 500, JSON.stringify(answer.errors[0]));
  }
  return sent;
}

const merge = async (engine: Engine, request: Partial<MergeRequest>) =>
  engine.mergeSummaries({
    span: "hour",
    tenants: [],
    prefix: undefined,
    sketches: [],
    limit: 50,
    ...request,
  });

function holds(report: Awaited<ReturnType<typeof merge>>["report"], sent: readonly Sent[]): void {
  assert.equal(report.eventCount, sent.length);
  const users = new Set(sent.map(({ user }) => user)).size;
  const slack = 4 * report.userCountError * users;
  assert.ok(Math.abs(report.userCount - users) <= slack, `${report.userCount} of ${users} users`);
  const sorted = sent.map(({ ms }) => ms).toSorted((a, b) => a - b);
  const metric = report.metrics.find(({ name }) => name === "ms");
  assert.ok(metric !== undefined);
  assert.equal(metric.count, sent.length);
  assert.deepEqual([metric.min, metric.max], [sorted[0], sorted.at(-1)]);
  const sum = sorted.reduce((total, ms) => total + ms, 0);
  assert.ok(Math.abs(metric.sum - sum) <= 1e-9 * sum);
  for (const { q, value } of metric.quantiles) {
    const exact = sorted[sorted.length - 1 - Math.floor(sorted.length * (1 - q) + 1e-9)]!;
    assert.ok(Math.abs(value - exact) <= 0.0101 * exact, `${q}: ${value}, exact ${exact}`);
  }
  const counts = Map.groupBy(sent, ({ term }) => term);
  assert.equal(report.terms.length, counts.size);
  for (const { term, countLow, countHigh } of report.terms) {
    const count = counts.get(term)?.length ?? 0;
    assert.ok(countLow <= count && count <= countHigh, `${countLow} ${count} ${countHigh}`);
  }
}

test("a merge agrees with one stream of everything, in every window", async (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const engine = await start(t);
  const sent = await fill(engine, SEED);
  for (const span of ["minute", "tenMinutes", "hour", "day", "all"] as const) {
    const all = await merge(engine, { span, prefix: "t." });
    assert.equal(all.tenantCount, new Set(sent.map(({ tenant }) => tenant)).size);
    assert.equal(all.report.span, span);
    holds(all.report, sent);
  }
  const few = ["t.1", "t.2", "t.30"];
  const some = await merge(engine, { tenants: [...few, "nobody"] });
  assert.deepEqual(some.unknown, ["nobody"]);
  holds(
    some.report,
    sent.filter(({ tenant }) => few.includes(tenant)),
  );
});

test("any order and any grouping gives the same answer", async (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const engine = await start(t);
  await fill(engine, SEED);
  const random = new Random(SEED + 1);
  for (const span of ["minute", "hour", "all"] as const) {
    const names = Array.from({ length: TENANTS }, (_, i) => `t.${i}`);
    const sketches = new Map<string, Uint8Array>();
    for (const name of names) sketches.set(name, await engine.sketch(name, span));
    const expected = (await merge(engine, { span, prefix: "t." })).report;
    for (let round = 0; round < 5; round++) {
      const own = names.filter(() => random.chance(1, 2));
      const given = names
        .filter((name) => !own.includes(name))
        .map((name) => ({ name, key: random.u32() }))
        .toSorted((a, b) => a.key - b.key)
        .map(({ name }) => sketches.get(name)!);
      const { report } = await merge(engine, { span, tenants: own, sketches: given });
      assert.deepEqual(rounded(report), rounded(expected), `SEED=${SEED}, ${span}, ${round}`);
    }
  }
});

/** Sums of floating point depend on their order, in the last digits. */
function rounded(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === "number" ? Number(inner.toPrecision(11)) : inner,
    ),
  );
}

test("crowds are estimated, and who is in several tenants counts once", async (t) => {
  const engine = await start(t);
  const names = ["a", "b", "c"];
  for (const [shift, name] of names.entries()) {
    await engine.putTenant(name, { clock: "event" });
    for (let i = 0; i < 4_000; i += 500) {
      const lines = Array.from({ length: 500 }, (_, n) => {
        // Half of a tenant's users are the next one's as well.
        const user = `user ${shift * 2_000 + i + n}`;
        return JSON.stringify({ user, terms: ["x"], tsMs: START_MS + n });
      });
      const body = Buffer.from(lines.join("\n"));
      assert.equal((await engine.offer({ tenant: name, body, format: "ndjson" })).accepted, 500);
    }
  }
  for (const span of ["minute", "day", "all"] as const) {
    const { report } = await merge(engine, { span, tenants: names });
    assert.ok(report.userCountError > 0 && report.userCountError < 0.025);
    const off = Math.abs(report.userCount / 8_000 - 1);
    assert.ok(off <= 4 * report.userCountError, `${span}: ${report.userCount} of 8000`);
  }
});

test("damaged, foreign and other windows' sketches are refused by their index", async (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const engine = await start(t);
  await fill(engine, SEED);
  const random = new Random(SEED);
  const good = await engine.sketch("t.1", "hour");
  const before = rounded(await merge(engine, { prefix: "t.", sketches: [good] }));
  const refusal = async (bytes: Uint8Array, span: Span = "hour") => {
    try {
      await merge(engine, { span, prefix: "t.", sketches: [good, good, bytes] });
      return "taken";
    } catch (error) {
      assert.ok(error instanceof Problem, String(error));
      assert.equal(error.members["index"], span === "hour" ? 2 : 0);
      return error.code;
    }
  };
  for (let round = 0; round < 300; round++) {
    const bytes = good.slice(0, random.below(good.length));
    assert.equal(await refusal(bytes), "sketchCorrupt", `cut to ${bytes.length}, SEED=${SEED}`);
  }
  for (let round = 0; round < 300; round++) {
    const bytes = good.slice();
    // From the times on: everything that the checksum covers, and the checksum.
    const at = 8 + random.below(bytes.length - 8);
    bytes[at] = bytes[at]! ^ (1 << random.below(8));
    assert.equal(await refusal(bytes), "sketchCorrupt", `byte ${at}, SEED=${SEED}`);
  }
  const longer = new Uint8Array(good.length + 8);
  longer.set(good);
  assert.equal(await refusal(longer), "sketchCorrupt");
  const version = good.slice();
  version[4] = 2;
  assert.equal(await refusal(version), "sketchVersion");
  assert.equal(await refusal(good, "day"), "sketchWindow");
  const noise = Uint8Array.from({ length: 4_096 }, () => random.below(256));
  assert.equal(await refusal(noise), "sketchCorrupt");
  assert.deepEqual(rounded(await merge(engine, { prefix: "t.", sketches: [good] })), before);
});

test("over HTTP: a merge keeps to its schema, and events go on meanwhile", async (t) => {
  const engine = await start(t);
  const { server } = await assembleServer(engine, openLog("silent"));
  t.after(async () => server.close());
  await fill(engine, 7);
  const sketch = await server.inject({ method: "GET", url: "/v1/tenants/t.1/sketch?window=all" });
  const sketches = [sketch.rawPayload.toString("base64")];
  const request = { method: "POST", url: "/v1/summaries:merge" } as const;
  const merged = server.inject({ ...request, payload: { window: "all", prefix: "", sketches } });
  const events = {
    method: "POST",
    url: "/v1/tenants/other/events",
    payload: { text: "hi" },
  } as const;
  assert.equal((await server.inject(events)).statusCode, 202);
  const response = await merged;
  assert.equal(response.statusCode, 200, response.body);
  const answer = response.json<MergeAnswer>();
  assert.deepEqual([...Value.Errors(MergedSummarySchema, answer)], [], response.body);
  assert.ok(answer.eventCount > 6_000);
});
