// The same component through jco's generated host code and through ours answers the same.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";
import { transpile } from "@bytecodealliance/jco";
import { IsolateHost } from "#isolate/host.ts";
import type { Answer } from "#isolate/tenant-host.ts";
import {
  SPANS,
  type ConversationItem,
  type ConversationReport,
  type Span,
  type SummaryReport,
} from "#model/summary.ts";
import type { TrendingReport } from "#model/trending.ts";
import { ALL_SPANS } from "#model/window.ts";
import { Random } from "#std/random.ts";
import { randomBatch } from "#testing/hostile-guest.ts";

const ROOT = resolve(import.meta.dirname, "..");
const CALLS = 6000;

/** The world as jco's JavaScript offers it. */
type Summarize = {
  configure(settings: { clock: string; spans: number }): void;
  ingest(batch: Uint8Array): Record<"counted" | "late" | "duplicate" | "repeated", number> & {
    fates: Uint8Array;
  };
  advance(nowMs: number): void;
  trending(limit: number, order: string): TrendingReport;
  /** Cases of enums are spelled as in the WIT. */
  summary(span: string, limit: number): SummaryReport;
  conversations(limit: number): ConversationItem[];
  conversation(id: string): ConversationReport | undefined;
  sketch(span: string): Uint8Array;
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
  assert.equal(host.open(0, number, { clock: "wall", spans: ALL_SPANS }), "ok");
  assert.equal(host.open(1, number, { clock: "event", spans: ALL_SPANS }), "ok");
  oracle.configure({ clock: "wall", spans: ALL_SPANS });
  const report = new Uint32Array(5);
  const fates = new Uint8Array(64);
  for (let call = 0; call < CALLS; call++) {
    const label = `SEED=${seed} call ${call}`;
    // A second tenant takes the only slot now and then.
    if (random.chance(1, 10)) assert.equal(host.advance(1, call), "ok");
    if (random.chance(1, 8)) {
      const nowMs = random.unit() * 2 ** random.below(60);
      assert.equal(host.advance(0, nowMs), "ok", label);
      oracle.advance(nowMs);
    } else if (random.chance(1, 3)) compareAnswers(host, oracle, random, label);
    else {
      const batch = randomBatch(random);
      assert.equal(host.ingest(0, batch, 0, batch.length, report, fates), "ok", label);
      const expected = oracle.ingest(batch);
      const { counted, late, duplicate, repeated } = expected;
      const refused = expected.fates.filter((fate) => fate >= 8).length;
      assert.deepEqual([...report], [counted, late, duplicate, repeated, refused], label);
      assert.deepEqual(fates.slice(0, expected.fates.length), expected.fates, label);
    }
  }
}

/** One question by chance, to both. */
function compareAnswers(host: IsolateHost, oracle: Summarize, random: Random, label: string): void {
  const limit = random.below(12);
  const span = SPANS[random.below(SPANS.length)]!;
  const witSpan = span === "tenMinutes" ? "ten-minutes" : span;
  const order = random.chance(1, 2) ? "trend" : "count";
  const id = IDS[random.below(IDS.length)]!;
  const [answer, expected] = [
    () => [host.trending(0, limit, order), oracle.trending(limit, order)],
    () => [host.summary(0, span, limit), asModel(oracle.summary(witSpan, limit), span)],
    () => [host.conversations(0, limit), oracle.conversations(limit)],
    () => [host.conversation(0, id), oracle.conversation(id)],
    () => [host.sketch(0, span), oracle.sketch(witSpan)],
    () => {
      const settings = { clock: "wall", spans: random.below(32) } as const;
      oracle.configure(settings);
      return [{ outcome: host.reconfigure(0, settings), report: undefined }, undefined];
    },
  ][random.below(6)]!() as [Answer<unknown>, unknown];
  assert.equal(answer.outcome, "ok", label);
  assert.deepEqual(answer.report, expected, label);
}

/** What jco spells another way. */
function asModel(report: SummaryReport, span: Span): SummaryReport {
  const { late } = report;
  return { ...report, span, late: { ...late, byLateness: [...late.byLateness] } };
}

const IDS = ["", "c", "c1", "general", "naïve ☕", "🎉🎉🎉", "a\0b", "x".repeat(128)];
