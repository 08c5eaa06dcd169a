import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import {
  bucketQuantile,
  type KernelTelemetry,
  type TelemetryProgram,
} from "#model/kernel-telemetry.ts";
import { findFfi, loadLibc, socketAddress } from "./libc.ts";
import { LAYOUT, openTelemetry, roleOf } from "./telemetry.ts";

const ROOT = new URL("../../", import.meta.url).pathname;

/** The program's report, or a skip that names what is missing. */
function open(
  t: TestContext,
  program: TelemetryProgram,
  udpPort = 0,
): (() => KernelTelemetry) | undefined {
  const telemetry = openTelemetry({ level: "off", udpPort, programs: [program] });
  t.after(telemetry.close);
  const state = telemetry.report().programs.find((one) => one.program === program)!;
  if (state.state === "running") return telemetry.report;
  assert(state.missing !== undefined && state.missing !== "");
  t.skip(`${program} needs ${state.missing}`);
  return undefined;
}

test("the scheduler's program counts what /proc counts", (t) => {
  const report = open(t, "scheduler");
  if (report === undefined) return;
  const task = readlinkSync("/proc/thread-self").split("/").at(-1);
  const mine = () => report().threads?.find(({ id }) => id === Number(task));
  const switches = (kind: string): number => {
    const status = readFileSync(`/proc/self/task/${task}/status`, "utf8");
    return Number(new RegExp(`^${kind}_ctxt_switches:\\s+(\\d+)$`, "m").exec(status)?.[1]);
  };
  sleepBriefly();
  const before = mine();
  assert(before !== undefined, "this thread is seen");
  const voluntary = switches("voluntary");
  const forced = switches("nonvoluntary");
  const startNs = process.hrtime.bigint();
  for (let i = 0; i < 200; i++) sleepBriefly();
  const spentNs = Number(process.hrtime.bigint() - startNs);
  const after = mine()!;
  const counted = after.voluntarySwitches - before.voluntarySwitches;
  assert(counted >= 200);
  // Reading /proc may cost a switch of its own.
  const near = (got: number, want: number): void =>
    assert(Math.abs(got - want) <= 20, `${got}, ${want}`);
  near(counted, switches("voluntary") - voluntary);
  near(after.forcedSwitches - before.forcedSwitches, switches("nonvoluntary") - forced);
  assert(after.offCpuNs - before.offCpuNs >= 200 * 100_000, "200 sleeps of 0.1 ms");
  const sum =
    after.onCpuNs +
    after.runQueueNs +
    after.offCpuNs -
    (before.onCpuNs + before.runQueueNs + before.offCpuNs);
  assert(sum > 0.5 * spentNs && sum < 2 * spentNs, `${sum} of ${spentNs} ns are told`);
  const waits = (buckets: readonly number[]): number => buckets.reduce((all, n) => all + n, 0);
  assert(waits(after.runQueueBuckets) - waits(before.runQueueBuckets) >= 200);
  assert(waits(after.offCpuBuckets) - waits(before.offCpuBuckets) >= 200);
  assert.equal(after.role, "io");
  assert.equal(report().untrackedThreads, 0);
});

test("system calls are counted by number, this process's only", (t) => {
  const report = open(t, "systemCalls");
  if (report === undefined) return;
  const libc = loadLibc(findFfi()!);
  const closes = (): number => {
    const calls = report().systemCalls ?? {};
    return calls["close"] ?? calls["57"] ?? 0;
  };
  const before = closes();
  for (let i = 0; i < 1_000; i++) libc.close(-1);
  const counted = closes() - before;
  assert(counted >= 1_000 && counted < 1_100, `${counted}`);
});

test("page faults are counted", (t) => {
  const report = open(t, "pageFaults");
  if (report === undefined) return;
  const before = report().pageFaults!;
  const memory = new Uint8Array(64 * 1024 * 1024).fill(1);
  // With huge pages two megabytes come at a time.
  assert(report().pageFaults! - before >= 32, `${memory.length}`);
});

test("TLB flushes are counted, each under its reason", (t) => {
  const report = open(t, "tlbFlushes");
  if (report === undefined) return;
  for (let i = 0; i < 20; i++) sleepBriefly();
  for (const [reason, count] of Object.entries(report().tlbFlushes!)) {
    assert.match(reason, /^[a-zA-Z]+$/);
    assert(count > 0);
  }
});

test("datagrams that a full socket drops are counted, by its port", async (t) => {
  const ffi = findFfi();
  if (process.platform !== "linux" || ffi === undefined) return t.skip("needs node:ffi on Linux");
  const libc = loadLibc(ffi);
  const fd = libc.openSocket("ipv4");
  t.after(() => libc.close(fd));
  libc.bind(fd, socketAddress("127.0.0.1", 0));
  libc.setReceiveBuffer(fd, 4_096);
  const port = libc.port(fd);
  const report = open(t, "socketDrops", port);
  if (report === undefined) return undefined;
  const sender = createSocket("udp4");
  t.after(() => void sender.close());
  for (let i = 0; i < 200; i++) {
    await new Promise<void>((resolve) => {
      sender.send(Buffer.alloc(1_000), port, "127.0.0.1", () => resolve());
    });
  }
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const line = readFileSync("/proc/net/udp", "utf8")
    .split("\n")
    .find((one) => one.includes(`0100007F:${hex} `));
  const dropped = Number(line?.trim().split(/\s+/).at(-1));
  assert(dropped > 100, `${dropped}`);
  assert.equal(report().socketDrops, dropped);
  return undefined;
});

test("nothing is loaded when nothing is wanted", () => {
  const telemetry = openTelemetry({ level: "off", udpPort: 0 });
  const { programs, threads } = telemetry.report();
  assert.deepEqual([...new Set(programs.map(({ state }) => state))], ["off"]);
  assert.equal(threads, undefined);
  telemetry.close();
});

test("threads have roles", () => {
  const roles = {
    "node-MainThread": "io",
    "shard-11": "shard",
    llm: "llm",
    udp: "receiver",
    "libuv-worker": "libuv",
    "node-V8Worker": "v8",
    DelayedTaskSche: "v8",
    SignalInspector: "other",
  };
  for (const [name, role] of Object.entries(roles)) assert.equal(roleOf(name), role);
});

test("a quantile of buckets is their upper bound", () => {
  const buckets = Array.from({ length: 32 }, () => 0);
  assert.equal(bucketQuantile(buckets, 0.99), 0);
  buckets[3] = 99;
  buckets[10] = 1;
  assert.equal(bucketQuantile(buckets, 0.5), 16);
  assert.equal(bucketQuantile(buckets, 0.99), 16);
  assert.equal(bucketQuantile(buckets, 0.999), 2_048);
});

test("the layout is that of the header", () => {
  const header = readFileSync(join(ROOT, "bpf/telemetry/telemetry.h"), "utf8");
  const define = (name: string): number =>
    Number(new RegExp(`^#define ${name} (\\d+)`, "m").exec(header)?.[1]);
  assert.equal(define("NX_THREADS"), LAYOUT.threadCountMax);
  assert.equal(define("NX_BUCKETS"), LAYOUT.buckets);
  assert.equal(define("NX_TLB_REASONS"), LAYOUT.tlbReasons);
  assert.equal(define("NX_SYSTEM_CALLS"), LAYOUT.systemCalls);
  const body = /^struct nx_thread \{\n(.*?)^\};/ms.exec(header)![1]!;
  const words = new Map<string, number>();
  let next = 1; // The two 32-bit fields share the first word.
  for (const [, fields] of body.matchAll(/__u64 ([^;]+);/g)) {
    for (const field of fields!.split(", ")) {
      const [, name, isArray] = /^(\w+)(\[NX_BUCKETS\])?$/.exec(field)!;
      words.set(name!, next);
      next += isArray === undefined ? 1 : LAYOUT.buckets;
    }
  }
  assert.equal(next * 8, LAYOUT.threadBytes);
  const want = {
    entered_at: LAYOUT.enteredAt,
    on_cpu_ns: LAYOUT.onCpuNs,
    run_queue_ns: LAYOUT.runQueueNs,
    off_cpu_ns: LAYOUT.offCpuNs,
    voluntary: LAYOUT.voluntary,
    forced: LAYOUT.forced,
    wakeups: LAYOUT.wakeups,
    migrations: LAYOUT.migrations,
    run_queue: LAYOUT.runQueue,
    off_cpu: LAYOUT.offCpu,
  };
  for (const [name, word] of Object.entries(want)) assert.equal(words.get(name), word, name);
});

test("the built programs are those of the sources", (t) => {
  const clang = version("clang-14");
  if (clang === undefined) return t.skip("clang-14 is not installed");
  const folder = mkdtempSync(join(tmpdir(), "nexuscore-telemetry-"));
  t.after(() => rmSync(folder, { recursive: true }));
  execFileSync("make", ["-s", "-C", join(ROOT, "bpf"), `OUT=${folder}`, "telemetry"]);
  const committed = join(ROOT, "bpf/dist/telemetry");
  const names = readdirSync(join(folder, "telemetry"));
  assert.deepEqual(names.sort(), readdirSync(committed).sort());
  for (const name of names) {
    const built = readFileSync(join(folder, "telemetry", name));
    assert(built.equals(readFileSync(join(committed, name))), `${name} is that of its source`);
  }
  return undefined;
});

function version(program: string): string | undefined {
  try {
    return execFileSync(program, ["--version"], { encoding: "utf8" });
  } catch {
    return undefined;
  }
}

const never = new Int32Array(new SharedArrayBuffer(4));

function sleepBriefly(): void {
  Atomics.wait(never, 0, 0, 0.1);
}
