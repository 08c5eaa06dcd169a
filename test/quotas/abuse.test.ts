// One tenant at a hundred times its quota, over HTTP: it gets its quota, neighbours all of theirs.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Random } from "#std/random.ts";
import { SEED } from "#testing/seed.ts";
import { Served } from "../durability/served.ts";

const QUOTA = 100;
const TIMES = 100;
const SECONDS = 4;
const NOISE_EVENTS = 250;
const NEIGHBOURS = Array.from({ length: 6 }, (_, n) => `neighbour-${n}`);
/** What may come at once, QUOTA_BURST_MS, and one body that was let in with the last of it. */
const MORE = 2 * QUOTA + NOISE_EVENTS;

type Answer = { readonly status: number; readonly retryAfter: number; readonly body: Fields };
type Fields = Readonly<Record<string, unknown>>;

test(
  `one tenant at ${TIMES} times its quota gets that, and nobody else less (SEED=${SEED})`,
  {
    timeout: 180_000,
  },
  async (t) => {
    const served = await start(t, { NEXUSCORE_QUOTA_EVENTS_PER_SECOND: `${QUOTA}` });
    const random = new Random(SEED);
    const startMs = performance.now();
    const endMs = startMs + SECONDS * 1_000;
    const noise = { taken: 0, refused: 0, offered: 0 };
    const flood = async (): Promise<void> => {
      while (performance.now() < endMs) {
        noise.offered += NOISE_EVENTS;
        const answer = await post(served, "noise", bodyOf(NOISE_EVENTS));
        if (answer.status === 202) noise.taken += Number(answer.body["accepted"]);
        else {
          noise.refused += 1;
          assertRefused(answer);
        }
        await sleep(random.below(3));
      }
    };
    const neighbours = NEIGHBOURS.map(async (tenant) => {
      let sent = 0;
      for (; performance.now() < endMs; await sleep(100 + random.below(100))) {
        const answer = await post(served, tenant, bodyOf(5));
        assert.equal(answer.status, 202, JSON.stringify(answer.body));
        sent += 5;
      }
      return sent;
    });
    await Promise.all([flood(), flood(), flood(), flood(), ...neighbours]);
    const tookSeconds = (performance.now() - startMs) / 1_000;
    const { eventCount } = await tenant(served, "noise");
    assert.equal(eventCount, noise.taken, "what was answered is what counts");
    assert.ok(noise.taken <= QUOTA * tookSeconds + MORE, `${noise.taken} in ${tookSeconds} s`);
    assert.ok(noise.taken >= 2 * QUOTA, `it got ${noise.taken}`);
    assert.ok(noise.refused > 0);
    for (const [index, name] of NEIGHBOURS.entries()) {
      assert.equal((await tenant(served, name)).eventCount, await neighbours[index]);
    }
    const { refusedCount, cpuMs } = await get(served, "/v1/tenants/noise/quota");
    assert.ok(Number(refusedCount) > 0 && Number(cpuMs) > 0);
  },
);

test(
  "mixed bodies keep the lines of those who are within their quota",
  { timeout: 180_000 },
  async (t) => {
    const served = await start(t, { NEXUSCORE_QUOTA_EVENTS_PER_SECOND: "1000" });
    await put(served, "/v1/tenants/noise/quota", { eventsPerSecond: 1 });
    const lines = (count: number): string =>
      Array.from({ length: count }, (_, n) => {
        return JSON.stringify({ tenant: n % 2 === 0 ? "noise" : "calm", text: "hello there" });
      }).join("\n");
    await postTo(served, "/v1/events", lines(20));
    const { status, body } = await postTo(served, "/v1/events", lines(20));
    assert.equal(status, 202);
    assert.deepEqual([body["accepted"], body["rejected"]], [10, 10]);
    const errors = body["errors"] as readonly { index: number; code: string }[];
    assert.deepEqual(errors[0] && [errors[0].index, errors[0].code], [0, "overQuota"]);
    assert.ok(errors.every(({ index }) => index % 2 === 0));
    assert.equal((await tenant(served, "calm")).eventCount, 20);
    const { body: metrics } = await fetchText(served, "/metrics");
    assert.match(metrics, /nexuscore_quota_refused_events_total\{quota="events"\} 10/);
    await put(served, "/v1/tenants/noise/quota", {});
    assert.equal((await postTo(served, "/v1/events", lines(20))).body["accepted"], 20);
  },
);

test(
  "CPU time and memory are quotas, too: questions and verdicts go on",
  { timeout: 180_000 },
  async (t) => {
    const served = await start(t, {});
    await post(served, "small", bodyOf(50));
    await put(served, "/v1/tenants/small/quota", { imageBytes: 1 });
    let answer = await post(served, "small", bodyOf(1));
    // What is in a slot is weighed once it was put to rest.
    for (let tries = 0; answer.status === 202 && tries < 200; tries++) {
      answer = await post(served, "small", bodyOf(200));
    }
    assert.deepEqual([answer.status, answer.body["code"]], [429, "tenantMemoryFull"]);
    assert.equal((await fetchText(served, "/v1/tenants/small/trending")).status, 200);
    const moderate = "/v1/tenants/small/moderate";
    assert.equal(
      (await postTo(served, moderate, '{"text":"hello"}', "application/json")).status,
      200,
    );
    await put(served, "/v1/tenants/busy/quota", { cpuMsPerSecond: 0 });
    const refused = await post(served, "busy", bodyOf(1));
    assert.deepEqual([refused.status, refused.body["quota"]], [429, "cpu"]);
  },
);

test(
  "own limits are in force before the first event after a start",
  { timeout: 180_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "nexuscore-abuse-"));
    const first = await Served.start({ folder, shardCount: 1 });
    await put(first, "/v1/tenants/closed/quota", { eventsPerSecond: 0 });
    await first.kill();
    const second = await Served.start({ folder, shardCount: 2 });
    t.after(async () => {
      await second.kill();
      rmSync(folder, { recursive: true, force: true });
    });
    const { status, body } = await post(second, "closed", bodyOf(1));
    assert.deepEqual([status, body["quota"], body["limit"]], [429, "events", 0]);
    assert.deepEqual((await get(second, "/v1/tenants/closed/quota"))["own"], ["eventsPerSecond"]);
  },
);

async function start(t: TestContext, environment: Record<string, string>): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-abuse-"));
  const served = await Served.start({ folder, shardCount: 1, environment });
  t.after(async () => {
    await served.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  return served;
}

function assertRefused({ status, retryAfter, body }: Answer): void {
  assert.equal(status, 429, JSON.stringify(body));
  assert.deepEqual([body["code"], body["quota"], body["limit"]], ["overQuota", "events", QUOTA]);
  const waitMs = Number(body["waitMs"]);
  assert.ok(waitMs > 0 && retryAfter === Math.max(1, Math.ceil(waitMs / 1_000)), `${retryAfter}`);
}

function bodyOf(count: number): string {
  const line = JSON.stringify({ user: "ada", text: "again and again the boss fight" });
  return Array.from({ length: count }, () => line).join("\n");
}

async function post(served: Served, tenant: string, body: string): Promise<Answer> {
  return postTo(served, `/v1/tenants/${tenant}/events`, body);
}

async function postTo(
  served: Served,
  path: string,
  body: string,
  type = "application/x-ndjson",
): Promise<Answer> {
  const headers = { "content-type": type };
  const response = await fetch(`${served.url}${path}`, { method: "POST", headers, body });
  const retryAfter = Number(response.headers.get("retry-after") ?? 0);
  return { status: response.status, retryAfter, body: (await response.json()) as Fields };
}

async function put(served: Served, path: string, body: Fields): Promise<void> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${served.url}${path}`, {
    method: "PUT",
    headers,
    body: JSON.stringify(body),
  });
  assert.equal(response.status, 200, await response.text());
}

async function get(served: Served, path: string): Promise<Fields> {
  const response = await fetch(`${served.url}${path}`);
  assert.equal(response.status, 200, path);
  return (await response.json()) as Fields;
}

async function tenant(served: Served, name: string): Promise<{ readonly eventCount: number }> {
  return (await get(served, `/v1/tenants/${name}`)) as { readonly eventCount: number };
}

async function fetchText(served: Served, path: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`${served.url}${path}`);
  return { status: response.status, body: await response.text() };
}
