import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { counter, type Family, gauge, type Sample } from "./metric-families.ts";
import { guarded, SERIES_MAX, TENANTS_SHOWN_MAX } from "./metric-guard.ts";
import { textOf } from "./metrics.ts";

const TENANTS = 100_000;

function tenants(count: number): Sample[] {
  return Array.from({ length: count }, (_, i) => {
    return { labels: { tenant: `tenant-${i}` }, value: (i * 7919) % count };
  });
}

async function written(...families: Family[]): Promise<string> {
  return textOf(guarded(families));
}

function droppedOf(text: string): number {
  return Number(/^nexuscore_metrics_series_dropped (\d+)$/m.exec(text)?.[1]);
}

test("metrics guard: of 100,000 tenants those that take most are shown", async () => {
  const text = await written(counter("nexuscore_top_tenant_cpu", "x", tenants(TENANTS)));
  assert(text.length < 4 * 1024, String(text.length));
  const values = [...text.matchAll(/^nexuscore_top_tenant_cpu\{tenant="[\w-]+"\} (\d+)$/gm)];
  assert.deepEqual(
    values.map(([, value]) => Number(value)),
    Array.from({ length: TENANTS_SHOWN_MAX }, (_, i) => TENANTS - 1 - i),
  );
  assert.equal(droppedOf(text), TENANTS - TENANTS_SHOWN_MAX);
});

test("metrics guard: a tenant is a label nowhere else, nor is a user or an address", async () => {
  for (const label of ["tenant", "user", "address", "conversation"]) {
    const samples = [{ labels: { [label]: "ada", shard: "0" }, value: 1 }];
    const text = await written(counter("nexuscore_events_total", "x", samples));
    assert.doesNotMatch(text, /ada/);
    assert.equal(droppedOf(text), 1);
  }
});

test("metrics guard: a family that grows with its input has a bound", async () => {
  const samples = Array.from({ length: TENANTS }, (_, i) => {
    return { labels: { outcome: `o${i}` }, value: 1 };
  });
  const text = await written(gauge("nexuscore_states", "x", samples));
  assert.equal([...text.matchAll(/^nexuscore_states\{/gm)].length, SERIES_MAX);
  assert.equal(droppedOf(text), TENANTS - SERIES_MAX);
});

const HOSTILE = ['a"} 1\nevil_total{x="', "\\", "\n", "\0\r", "\uD800", "💥".repeat(200), "", "#"];

test("metrics guard: names that would break the format do not", async (t) => {
  const samples = HOSTILE.map((tenant, i) => ({ labels: { tenant }, value: i + 1 }));
  const text = await written(gauge("nexuscore_top_tenant_cpu", "Help.", samples));
  assert.doesNotMatch(text, /^evil_total/m);
  for (const line of text.split("\n")) {
    assert.match(
      line,
      /^$|^# (HELP|TYPE) |^nexuscore_\w+(\{tenant="([^"\\\n]|\\["\\n])*"\})? \d+$/,
    );
    assert(line.length < 400, "names are cut");
  }
  assert.equal(text, text.toWellFormed());
  if (spawnSync("promtool", ["--version"]).error !== undefined) {
    return t.skip("the rest of it: promtool is not installed");
  }
  const { status, stderr } = spawnSync("promtool", ["check", "metrics"], { input: text });
  assert.equal(status, 0, String(stderr));
  return undefined;
});

test("metrics guard: two names that are cut to one stay one series", async () => {
  const long = "x".repeat(500);
  const samples = ["a", "b"].map((end) => ({ labels: { tenant: long + end }, value: 2 }));
  const text = await written(gauge("nexuscore_top_tenant_cpu", "x", samples));
  assert.match(text, /^nexuscore_top_tenant_cpu\{tenant="x{128}"\} 4$/m);
});
