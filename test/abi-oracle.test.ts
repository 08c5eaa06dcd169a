// The same component through jco's generated host code and through ours answers the same.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";
import { transpile } from "@bytecodealliance/jco";
import { IsolateHost } from "#isolate/host.ts";
import type { TrendingReport } from "#model/trending.ts";
import { Random } from "#std/random.ts";
import { randomBatch } from "#testing/hostile-guest.ts";

const ROOT = resolve(import.meta.dirname, "..");
const CALLS = 6000;

/** The world as jco's JavaScript offers it. */
type Summarize = {
  configure(settings: { clock: string }): void;
  ingest(batch: Uint8Array): Record<"counted" | "late" | "duplicate" | "repeated", number> & {
    fates: Uint8Array;
  };
  advance(nowMs: number): void;
  trending(limit: number, order: string): TrendingReport;
};

type Instantiate = (
  compile: (path: string) => WebAssembly.Module,
  imports: object,
) => { summarize: Summarize };

async function openOracle(name: string, component: Uint8Array): Promise<Summarize> {
  const output = resolve(ROOT, "build/abi-oracle", name);
  const { files } = await transpile(component, { name: "guest", instantiation: "sync" });
  const cores = new Map<string, Uint8Array>();
  for (const [file, contents] of Object.entries(files as Record<string, Uint8Array>)) {
    cores.set(file, contents);
    const path = resolve(output, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contents);
  }
  const { instantiate } = (await import(pathToFileURL(resolve(output, "guest.js")).href)) as {
    instantiate: Instantiate;
  };
  const compile = (path: string) => new WebAssembly.Module(Uint8Array.from(cores.get(path)!));
  return instantiate(compile, {}).summarize;
}

for (const name of ["hostile", "summarize"]) {
  test(`${CALLS} calls by chance of ${name} answer as jco's host code does`, () => compare(name));
}

async function compare(name: string): Promise<void> {
  const seed = Number(process.env.SEED ?? Date.now() % 2 ** 32);
  const random = new Random(seed);
  const component = readFileSync(resolve(ROOT, `guests/dist/${name}.component.wasm`));
  const oracle = await openOracle(name, component);
  const host = new IsolateHost({ slotCount: 1, imageBytesMax: 1 << 22, tenantCountMax: 2 });
  const number = host.admit(component);
  assert.equal(host.open(0, number, { clock: "wall" }), "ok");
  assert.equal(host.open(1, number, { clock: "event" }), "ok");
  oracle.configure({ clock: "wall" });
  const report = new Uint32Array(4);
  const fates = new Uint8Array(64);
  for (let call = 0; call < CALLS; call++) {
    const label = `SEED=${seed} call ${call}`;
    // A second tenant takes the only slot now and then.
    if (random.chance(1, 10)) assert.equal(host.advance(1, call), "ok");
    if (random.chance(1, 8)) {
      const nowMs = random.unit() * 2 ** random.below(60);
      assert.equal(host.advance(0, nowMs), "ok", label);
      oracle.advance(nowMs);
    } else if (random.chance(1, 4)) {
      const limit = random.below(12);
      const order = random.chance(1, 2) ? "trend" : "count";
      const answer = host.trending(0, limit, order);
      assert.equal(answer.outcome, "ok", label);
      assert.deepEqual(answer.report, oracle.trending(limit, order), label);
    } else {
      const batch = randomBatch(random);
      assert.equal(host.ingest(0, batch, 0, batch.length, report, fates), "ok", label);
      const expected = oracle.ingest(batch);
      const { counted, late, duplicate, repeated } = expected;
      assert.deepEqual([...report], [counted, late, duplicate, repeated], label);
      assert.deepEqual(fates.slice(0, expected.fates.length), expected.fates, label);
    }
  }
}
