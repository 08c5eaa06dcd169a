// Two servers, each a process with two shards: windows of one's tenants, fetched as bytes, merge
// with those of the other's into what all their events together say.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { MergeAnswer } from "#model/merge-answer.ts";
import type { Problem } from "#model/problem.ts";
import { Random } from "#std/random.ts";
import { SEED } from "#testing/seed.ts";

const BIN = fileURLToPath(new URL("../../bin/nexuscore.mjs", import.meta.url));
const SHARD_COUNT = "2";
const TENANTS = 12;
const EVENTS = 3_000;

type Sent = { readonly tenant: string; readonly user: string; readonly ms: number };

async function serve(t: TestContext): Promise<string> {
  const child = spawn(process.execPath, [BIN, "serve", "--http-port", "0"], {
    env: { ...process.env, NEXUSCORE_SHARD_COUNT: SHARD_COUNT, NEXUSCORE_DATA_DIR: ":memory:" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(async () => {
    child.kill("SIGTERM");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0];
    if (url !== undefined) return url;
  }
  return assert.fail("the server ended");
}

async function post(url: string, type: string, body: string): Promise<Response> {
  return fetch(url, { method: "POST", headers: { "content-type": type }, body });
}

/** Half of the users of a server are also on the other. */
async function fill(url: string, random: Random, name: string): Promise<Sent[]> {
  const sent = Array.from({ length: EVENTS }, (): Sent => {
    const user = random.chance(1, 2) ? `both ${random.below(300)}` : `${name} ${random.below(300)}`;
    const ms = Math.round(1_000 * Math.exp(7 * random.unit())) / 1_000;
    return { tenant: `${name}.${random.below(TENANTS)}`, user, ms };
  });
  const lines = sent.map(({ tenant, user, ms }) =>
    JSON.stringify({ tenant, user, terms: [`from ${name}`, "all"], metrics: { ms } }),
  );
  const response = await post(`${url}/v1/events`, "application/x-ndjson", lines.join("\n"));
  assert.equal(response.status, 202, await response.clone().text());
  assert.equal(((await response.json()) as { accepted: number }).accepted, EVENTS);
  return sent;
}

test("sketches of another process merge with the tenants of this one", async (t) => {
  t.diagnostic(`SEED=${SEED}`);
  const random = new Random(SEED);
  const [here, there] = await Promise.all([serve(t), serve(t)]);
  const sent = [...(await fill(here, random, "here")), ...(await fill(there, random, "there"))];
  const sketches: string[] = [];
  for (let number = 0; number < TENANTS; number++) {
    const sketch = await fetch(`${there}/v1/tenants/there.${number}/sketch?window=all`);
    assert.equal(sketch.status, 200);
    sketches.push(Buffer.from(await sketch.arrayBuffer()).toString("base64"));
  }
  const merge = async (body: object): Promise<Response> =>
    post(`${here}/v1/summaries:merge`, "application/json", JSON.stringify(body));
  const response = await merge({ window: "all", prefix: "here.", sketches });
  assert.equal(response.status, 200, await response.clone().text());
  const answer = (await response.json()) as MergeAnswer;
  assert.deepEqual(
    [answer.tenantCount, answer.sketchCount, answer.eventCount],
    [TENANTS, TENANTS, 2 * EVENTS],
  );
  const slack = 5 * answer.userCountError * users(sent);
  assert.ok(Math.abs(answer.userCount - users(sent)) <= slack, `${answer.userCount} users`);
  checkMetric(answer, sent);
  const terms = answer.topTerms.map(({ term, countLow, countHigh }) => [term, countLow, countHigh]);
  assert.deepEqual(terms, [
    ["all", 2 * EVENTS, 2 * EVENTS],
    ["from here", EVENTS, EVENTS],
    ["from there", EVENTS, EVENTS],
  ]);
  await checkRefusals(merge, sketches);
});

function users(sent: readonly Sent[]): number {
  return new Set(sent.map(({ user }) => user)).size;
}

function checkMetric(answer: MergeAnswer, sent: readonly Sent[]): void {
  const sorted = sent.map(({ ms }) => ms).toSorted((a, b) => a - b);
  const metric = answer.metrics["ms"]!;
  assert.deepEqual([metric.n, metric.min, metric.max], [2 * EVENTS, sorted[0], sorted.at(-1)]);
  for (const [name, above] of [
    ["p50", EVENTS],
    ["p90", EVENTS / 5],
    ["p99", EVENTS / 50],
    ["p999", EVENTS / 500],
  ] as const) {
    const exact = sorted[sorted.length - 1 - above]!;
    const { value, low, high, label } = metric[name];
    assert.equal(label, name);
    assert.ok(Math.abs(value - exact) <= 0.0101 * exact, `${name}: ${value}, exact ${exact}`);
    assert.ok(low! <= value && value <= (high ?? Infinity));
  }
}

async function checkRefusals(
  merge: (body: object) => Promise<Response>,
  sketches: readonly string[],
): Promise<void> {
  const bytes = Buffer.from(sketches[3]!, "base64");
  const changed = (at: number) => {
    const copy = Buffer.from(bytes);
    copy[at] = copy[at]! ^ 1;
    return copy.toString("base64");
  };
  for (const [window, sketch, code] of [
    ["all", changed(bytes.length - 20), "sketchCorrupt"],
    ["all", bytes.subarray(0, -8).toString("base64"), "sketchCorrupt"],
    ["all", changed(4), "sketchVersion"],
    ["1h", sketches[3]!, "sketchWindow"],
  ] as const) {
    const refused = await merge({ window, prefix: "here.", sketches: [sketch] });
    assert.equal(refused.status, 400);
    const problem = (await refused.json()) as Problem & { index: number };
    assert.deepEqual([problem.code, problem.index], [code, 0]);
  }
}
