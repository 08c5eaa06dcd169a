// What is told of the disk, and what senders are promised.
import { assembleServer } from "#cli/server.ts";
import { Problem } from "#model/problem.ts";
import { ACK_MODES, NO_STORAGE, type RecoverySummary, type StorageStats } from "#model/storage.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { FastifyInstance } from "fastify";
import { storageFamilies } from "./storage-metrics.ts";

const SUMMARY: RecoverySummary = {
  readySeconds: 4.5,
  tenants: 7,
  snapshots: 9,
  replayedTurns: 1_200,
  skippedTurns: 30,
  repaired: 1,
  lost: ["birch"],
  lostCount: 1,
  tornBlocks: 2,
  gaps: 0,
};
const WELL: StorageStats = {
  ...NO_STORAGE,
  state: "ok",
  ack: "disk",
  path: "/var/lib/nexuscore/state.db",
  logBytes: 5_000,
  commitCount: 12,
  commitFailures: 3,
  commitMs: { p50: 0.5, p99: 8, max: 40 },
  backlogMs: 1_500,
  recovery: { summary: SUMMARY },
};

async function serve(
  t: TestContext,
  stats: StorageStats,
): Promise<{ engine: FakeEngine; server: FastifyInstance }> {
  const engine = new FakeEngine();
  engine.storageStats = stats;
  const { server } = await assembleServer(engine, openLog("fatal", process.stderr));
  t.after(async () => server.close());
  return { engine, server };
}

const HEALTH = [
  { state: "off", status: 200 },
  { state: "ok", status: 200 },
  { state: "recovering", status: 503, code: "recovering" },
  { state: "slow", status: 503, code: "storageUnavailable" },
  { state: "readOnly", status: 503, code: "storageUnavailable" },
  { state: "failed", status: 503, code: "storageUnavailable" },
  { state: "full", status: 507, code: "storageFull" },
] as const;

for (const { state, status, ...rest } of HEALTH) {
  test(`readyz says ${status} of a disk that is ${state}`, async (t) => {
    const { server } = await serve(t, { ...WELL, state, detail: "said by the disk" });
    const answer = await server.inject({ url: "/readyz" });
    assert.equal(answer.statusCode, status);
    const body = answer.json<{ code?: string; detail?: string; storage: { state: string } }>();
    assert.equal(body.storage.state, state);
    if (!("code" in rest)) return;
    assert.equal(body.code, rest.code);
    assert.match(String(answer.headers["retry-after"]), /^[1-9]\d*$/);
    if (state !== "recovering") assert.match(body.detail ?? "", /said by the disk/);
  });
}

test("readyz, which needs no key, names no path and no tenant", async (t) => {
  for (const state of ["ok", "failed"] as const) {
    const { server } = await serve(t, { ...WELL, state });
    const { body } = await server.inject({ url: "/readyz" });
    assert.doesNotMatch(body, /state\.db|birch/);
    assert.match(body, /"replayedTurns":1200/);
  }
});

test("readyz tells how far a start has come", async (t) => {
  const progress = { snapshotsDone: 3, snapshotsTotal: 9, replayedTurns: 17, elapsedMs: 400 };
  const { server } = await serve(t, { ...WELL, state: "recovering", recovery: { progress } });
  const answer = await server.inject({ url: "/readyz" });
  const body = answer.json<{ storage: { recovery: object } }>();
  assert.deepEqual(body.storage.recovery, progress);
});

test("the storage route tells everything, also where events are refused", async (t) => {
  for (const stats of [WELL, { ...WELL, state: "full" as const }, NO_STORAGE]) {
    const { server } = await serve(t, stats);
    const answer = await server.inject({ url: "/v1/system/storage" });
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(answer.json(), JSON.parse(JSON.stringify(stats)));
  }
});

test("metrics: the state is one of all, the rest is there where something is kept", async (t) => {
  const { server } = await serve(t, { ...WELL, state: "full" });
  const { body } = await server.inject({ url: "/metrics" });
  for (const line of [
    'nexuscore_log_state{state="full"} 1',
    'nexuscore_log_state{state="ok"} 0',
    "nexuscore_log_bytes 5000",
    "nexuscore_log_backlog_seconds 1.5",
    "nexuscore_log_commits_total 12",
    "nexuscore_log_failures_total 3",
    'nexuscore_log_commit_seconds{quantile="0.99"} 0.008',
    "nexuscore_recovery_seconds 4.5",
    "nexuscore_recovery_lost_tenants 1",
  ]) {
    assert(body.split("\n").includes(line), line);
  }
  assert.deepEqual(
    storageFamilies(NO_STORAGE).map(({ name }) => name),
    ["nexuscore_log_state"],
  );
});

const EVENT = { user: "ada", text: "boss fight" };

for (const url of ["/v1/tenants/acme/events", "/v1/events"]) {
  const post = async (server: FastifyInstance, query: string) =>
    server.inject({ method: "POST", url: url + query, payload: { tenant: "acme", ...EVENT } });

  test(`${url}: what an answer waits for is the sender's to say`, async (t) => {
    for (const own of ACK_MODES) {
      const { engine, server } = await serve(t, { ...WELL, ack: own });
      for (const wish of ["disk", "memory"] as const) {
        const answer = await post(server, `?ack=${wish}`);
        assert.equal(answer.statusCode, 202);
        assert.equal(answer.json<{ ack: string }>().ack, own === "none" ? "none" : wish);
        assert.equal(engine.offers.at(-1)?.ack, wish);
      }
      assert.equal((await post(server, "")).json<{ ack: string }>().ack, own);
      assert.equal(engine.offers.at(-1)?.ack, undefined);
    }
  });

  test(`${url}: an ack that there is not is refused, and nothing is taken`, async (t) => {
    const { engine, server } = await serve(t, WELL);
    for (const query of ["?ack=", "?ack=none", "?ack=Disk", "?ack=disk&ack=disk"]) {
      const answer = await post(server, query);
      assert.equal(answer.statusCode, 400, query);
      assert.match(answer.json<{ detail: string }>().detail, /ack is disk or memory/);
    }
    assert.equal(engine.offerCalls, 0);
  });

  test(`${url}: a disk that takes nothing is told with when to come back`, async (t) => {
    const { engine, server } = await serve(t, WELL);
    for (const [code, status] of [
      ["storageFull", 507],
      ["storageUnavailable", 503],
      ["recovering", 503],
    ] as const) {
      engine.failNext(new Problem(code, "told", { retryAfterSeconds: 7 }));
      const answer = await post(server, "");
      assert.deepEqual([answer.statusCode, answer.headers["retry-after"]], [status, "7"]);
    }
  });
}
