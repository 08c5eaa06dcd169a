import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { assembleServer } from "#cli/server.ts";
import { CONSULTATION_FAILURES } from "#model/consultation.ts";
import {
  type KernelTelemetry,
  noTelemetry,
  type ThreadTelemetry,
} from "#model/kernel-telemetry.ts";
import { openLog } from "#observe/log.ts";
import { FakeEngine } from "#testing/fake-engine.ts";
import { PlayedLlm } from "#testing/played-llm.ts";

function thread(id: number, name: string, role: ThreadTelemetry["role"]): ThreadTelemetry {
  const buckets: number[] = Array.from({ length: 32 }, () => 0);
  buckets[13] = 7;
  buckets[31] = 1;
  return {
    id,
    name,
    role,
    onCpuNs: 2e9,
    runQueueNs: 5e8,
    offCpuNs: 1e9,
    voluntarySwitches: 10,
    forcedSwitches: 2,
    wakeups: 10,
    migrations: 1,
    runQueueBuckets: buckets,
    offCpuBuckets: buckets,
  };
}

const TELEMETRY: KernelTelemetry = {
  programs: [
    { program: "scheduler", state: "running", missing: undefined },
    { program: "tlbFlushes", state: "unavailable", missing: "tracepoint tlb_flush" },
  ],
  threads: [
    thread(1, "node-MainThread", "io"),
    thread(2, "shard-0", "shard"),
    thread(3, "shard-1", "shard"),
    thread(4, "node-V8Worker", "v8"),
    thread(5, "node-V8Worker", "v8"),
    thread(7, "llm", "llm"),
    thread(6, 'any"name\\', "other"),
  ],
  untrackedThreads: 0,
  tlbFlushes: { taskSwitch: 3 },
  systemCalls: { futex: 9 },
  pageFaults: undefined,
  socketDrops: 0,
};

async function read(telemetry: KernelTelemetry): Promise<{ metrics: string; kernel: object }> {
  const engine = new FakeEngine();
  await engine.offer({ tenant: "a-tenant", body: Buffer.from('{"text":"x"}'), format: "json" });
  await engine.moderate("a-tenant", [{ text: "hello" }, { text: "idiot" }, { text: "vermin" }]);
  engine.llm = new PlayedLlm();
  const { server } = await assembleServer(engine, openLog("silent"), {
    telemetry: () => telemetry,
  });
  const metrics = await server.inject({ method: "GET", url: "/metrics" });
  const kernel = await server.inject({ method: "GET", url: "/v1/system/kernel" });
  await server.close();
  assert.equal(metrics.statusCode, 200);
  assert.match(String(metrics.headers["content-type"]), /^text\/plain; version=0\.0\.4/);
  assert.equal(kernel.statusCode, 200);
  return { metrics: metrics.body, kernel: kernel.json() };
}

/** Every sample, by name and labels as they are written; anything that is no sample fails. */
function parse(text: string): { types: Map<string, string>; samples: Map<string, number> } {
  const types = new Map<string, string>();
  const samples = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("# HELP ")) continue;
    const type = /^# TYPE (\w+) (counter|gauge|histogram|summary)$/.exec(line);
    if (type !== null) {
      assert(!types.has(type[1]!), `${type[1]} comes once`);
      types.set(type[1]!, type[2]!);
      continue;
    }
    const label = String.raw`\w+="(?:[^"\\\n]|\\[\\"n])*"`;
    const sample = new RegExp(
      String.raw`^([a-z_][a-z0-9_]*)(\{${label}(?:,${label})*\})? (\S+)$`,
    ).exec(line);
    assert(sample !== null, `no sample: ${line}`);
    const key = `${sample[1]}${sample[2] ?? ""}`;
    assert(!samples.has(key), `${key} comes once`);
    const value = sample[3] === "Nan" ? Number.NaN : Number(sample[3]!.replace("+Inf", "Infinity"));
    samples.set(key, value);
    const family = sample[1]!.replace(/_(bucket|sum|count)$/, "");
    assert(types.has(sample[1]!) || types.has(family), `${sample[1]} has its type before it`);
  }
  return { types, samples };
}

test("metrics: process, engine and kernel, in the format of Prometheus", async () => {
  const { metrics } = await read(TELEMETRY);
  const { types, samples } = parse(metrics);
  for (const name of ["process_resident_memory_bytes", "nodejs_eventloop_lag_seconds"]) {
    assert(types.has(name), name);
  }
  assert.equal(types.get("nexuscore_shard_events_total"), "counter");
  for (const action of ["allow", "flag", "block"]) {
    const name = `nexuscore_moderation_messages_total{shard="0",action="${action}"}`;
    assert.equal(samples.get(name), 1);
  }
  assert.equal(samples.get('nexuscore_kernel_program_running{program="scheduler"}'), 1);
  assert.equal(samples.get('nexuscore_kernel_program_running{program="tlbFlushes"}'), 0);
  assert.equal(samples.get('nexuscore_thread_cpu_seconds_total{thread="shard-1"}'), 2);
  assert.equal(samples.get('nexuscore_thread_cpu_seconds_total{thread="v8"}'), 4, "two are summed");
  const waits = 'nexuscore_thread_off_cpu_seconds_total{thread="llm"}';
  assert.equal(samples.get(waits), 1, "waiting for a model is told apart");
  assert.equal(samples.get('nexuscore_thread_switches_total{thread="io",kind="forced"}'), 2);
  assert.equal(samples.get('nexuscore_tlb_flushes_total{reason="taskSwitch"}'), 3);
  assert.equal(samples.get('nexuscore_system_calls_total{call="futex"}'), 9);
  assert.equal(samples.get("nexuscore_socket_drops_total"), 0);
  assert.equal(types.get("nexuscore_llm_calls_total"), "counter");
  assert.equal(types.get("nexuscore_llm_upstream_seconds"), "summary");
  const outcomes = [...samples.keys()].filter((key) => key.startsWith("nexuscore_llm_calls_total"));
  assert.equal(outcomes.length, 2 + CONSULTATION_FAILURES.length, "each outcome has its line");
  assert(!types.has("nexuscore_page_faults_total"), "what is not measured is absent");
});

test("metrics: the histogram of waits adds up", async () => {
  const { samples } = parse((await read(TELEMETRY)).metrics);
  const name = "nexuscore_thread_run_queue_seconds";
  const buckets = [...samples].flatMap(([key, value]) => {
    const [, le] = new RegExp(`^${name}_bucket\\{thread="v8",le="(.+)"\\}$`).exec(key) ?? [];
    return le === undefined ? [] : [{ le: Number(le.replace("+Inf", "Infinity")), value }];
  });
  assert(buckets.length > 10);
  for (const [i, { le, value }] of buckets.entries()) {
    if (i === 0) continue;
    assert(le > buckets[i - 1]!.le);
    assert(value >= buckets[i - 1]!.value);
  }
  assert.deepEqual(buckets.at(-1), { le: Infinity, value: 16 });
  const waited = buckets.find(({ value }) => value === 14);
  assert(Math.abs(waited!.le - 2 ** 14 * 1e-9) < 1e-12);
  assert.equal(samples.get(`${name}_count{thread="v8"}`), 16);
  assert.equal(samples.get(`${name}_sum{thread="v8"}`), 1);
});

test("metrics: no label is of a caller's making", async () => {
  const { metrics } = await read(TELEMETRY);
  assert(!metrics.includes("a-tenant"));
  assert(!/="any/.test(metrics), "nor the name of a thread that is not ours");
  const labels = new Set([...metrics.matchAll(/[{,](\w+)="/g)].map(([, label]) => label));
  for (const ours of ["shard", "outcome", "quantile", "program", "thread", "kind", "le"]) {
    assert(labels.has(ours), ours);
  }
  assert(!labels.has("tenant") && !labels.has("sender"));
});

test("metrics: promtool finds nothing wrong", async (t) => {
  if (spawnSync("promtool", ["--version"]).error !== undefined) {
    return t.skip("promtool is not installed");
  }
  const { metrics } = await read(TELEMETRY);
  const { status, stderr } = spawnSync("promtool", ["check", "metrics"], { input: metrics });
  // 3: advice on names, which is not for those of Node's own metrics.
  assert(status === 0 || status === 3, String(stderr));
  assert(!/nexuscore_/.test(String(stderr)), String(stderr));
  return undefined;
});

test("system/kernel: threads with quantiles, programs with what they lack", async () => {
  const { kernel } = await read(TELEMETRY);
  const { telemetry } = kernel as { telemetry: KernelTelemetry };
  assert.deepEqual(telemetry.programs[1], {
    program: "tlbFlushes",
    state: "unavailable",
    missing: "tracepoint tlb_flush",
  });
  const [first] = telemetry.threads as readonly (ThreadTelemetry & { runQueueP99Ns: number })[];
  assert.equal(first!.runQueueP99Ns, 2 ** 32);
  assert.equal(first!.role, "io");
});

test("system/kernel: without the kernel's help it says why, and the rest is there", async () => {
  const { metrics, kernel } = await read(noTelemetry("CAP_BPF and CAP_PERFMON"));
  const { telemetry } = kernel as { telemetry: KernelTelemetry };
  assert.equal(telemetry.threads, undefined);
  for (const { state, missing } of telemetry.programs) {
    assert.equal(state, "unavailable");
    assert.equal(missing, "CAP_BPF and CAP_PERFMON");
  }
  const { types } = parse(metrics);
  assert(types.has("nexuscore_shard_events_total"));
  assert(!types.has("nexuscore_thread_cpu_seconds_total"));
});
