// The same component through jco's generated host code and through ours answers the same.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";
import { transpile } from "@bytecodealliance/jco";
import { IsolateHost } from "#isolate/host.ts";
import type { Answer } from "#isolate/tenant-host.ts";
import { CONSULTATION_FAILURES, judgementBytes, type Opinion } from "#model/consultation.ts";
import {
  SPANS,
  type ConversationItem,
  type ConversationReport,
  type Span,
  type SummaryReport,
} from "#model/summary.ts";
import type { Category, ModeratorUsage, Relation, Turn, VerdictReport } from "#model/moderation.ts";
import { CATEGORIES, type ModerationRequest } from "#model/moderation.ts";
import { policyBytes } from "#model/policy-bytes.ts";
import { POLICY_RECORD_DEFAULT } from "#model/policy-default.ts";
import type { TrendingReport } from "#model/trending.ts";
import { ALL_SPANS } from "#model/window.ts";
import { Random } from "#std/random.ts";
import { randomBatch } from "#testing/hostile-guest.ts";
import {
  CLASSIFIER,
  GlassModeratorHost,
  moderatorComponent,
  requestBytes,
} from "#testing/moderating.ts";
import { SEED } from "#testing/seed.ts";
import { TenantHistory } from "#testing/tenant-histories.ts";

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

type Portable = {
  exportState(part: number): Uint8Array | undefined;
  importState(part: Uint8Array): void;
};

/** The world of moderators, in the same way. */
type Moderate = {
  configure(policy: Uint8Array): void;
  judge(request: Uint8Array): VerdictReport;
  review(request: Uint8Array): Promise<Opinion>;
  conversation(id: string): Turn[];
  forget(id: string): boolean;
  usage(): ModeratorUsage;
  advance(nowMs: number): void;
};

type Exports = { summarize: Summarize; moderate: Moderate; portable: Portable };
type Instantiate = (
  compile: (path: string) => WebAssembly.Module,
  imports: object,
  instantiateCore: (module: WebAssembly.Module, imports?: CoreImports) => WebAssembly.Instance,
) => Exports;
type CoreImports = Readonly<Record<string, Readonly<Record<string, Function>>>>;

async function openOracle(
  name: string,
  component: Uint8Array,
  upstream = new Upstream(),
): Promise<Exports> {
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
  const imports = {
    "nexuscore:tenant/classifier": CLASSIFIER,
    "nexuscore:tenant/llm": { complete: upstream.complete },
  };
  return instantiate(compile, imports, (module, core) => {
    return new WebAssembly.Instance(module, upstream.watch(core));
  });
}

for (const name of ["hostile", "summarize"]) {
  test(`${CALLS} calls by chance of ${name} answer as jco's host code does`, () => compare(name));
}

async function compare(name: string): Promise<void> {
  const random = new Random(SEED);
  const component = readFileSync(resolve(ROOT, `guests/dist/${name}.component.wasm`));
  const { summarize: oracle } = await openOracle(name, component);
  const host = new IsolateHost({ slotCount: 1, imageBytesMax: 1 << 22, tenantCountMax: 2 });
  const number = host.admit(component);
  assert.equal(host.open(0, number, { clock: "wall", spans: ALL_SPANS }), "ok");
  assert.equal(host.open(1, number, { clock: "event", spans: ALL_SPANS }), "ok");
  oracle.configure({ clock: "wall", spans: ALL_SPANS });
  const report = new Uint32Array(5);
  const fates = new Uint8Array(64);
  for (let call = 0; call < CALLS; call++) {
    const label = `SEED=${SEED} call ${call}`;
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

test("a state goes through jco's host code and ours alike, in both directions", async () => {
  const component = readFileSync(resolve(ROOT, "guests/dist/summarize.component.wasm"));
  const oracle = await openOracle("summarize", component);
  const taking = await openOracle("summarize", component);
  const host = new IsolateHost({ slotCount: 1, imageBytesMax: 1 << 24, tenantCountMax: 2 });
  assert.equal(host.open(0, host.admit(component), { clock: "wall", spans: ALL_SPANS }), "ok");
  oracle.summarize.configure({ clock: "wall", spans: ALL_SPANS });
  const steps = new TenantHistory(SEED);
  const report = new Uint32Array(5);
  const fates = new Uint8Array(1024);
  for (let call = 0; call < 50; call++) {
    const step = steps.next();
    if ("nowMs" in step) {
      assert.equal(host.advance(0, step.nowMs), "ok");
      oracle.summarize.advance(step.nowMs);
    } else {
      assert.equal(host.ingest(0, step.batch, 0, step.batch.length, report, fates), "ok");
      oracle.summarize.ingest(step.batch);
    }
  }
  const exported = host.exportState(0)!;
  let at = 0;
  for (let part = 0; ; part++) {
    const bytes = oracle.portable.exportState(part);
    if (bytes === undefined) break;
    const length = exported.readUInt32LE(at);
    assert.ok(exported.subarray(at + 4, at + 4 + length).equals(bytes), `part ${part}`);
    taking.portable.importState(bytes);
    at += 4 + length;
  }
  assert.equal(at, exported.length);
  taking.portable.importState(new Uint8Array());
  for (const span of ["minute", "ten-minutes", "hour", "day", "all"]) {
    const found = taking.summarize.summary(span, 50);
    assert.deepEqual(found, oracle.summarize.summary(span, 50));
  }
  // jco throws what a result's error is.
  assert.throws(
    () => taking.portable.importState(new Uint8Array(30)),
    (error: { payload?: string }) => error.payload?.startsWith("Part 0 is damaged") === true,
  );
});

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

for (const name of ["hostile-moderator", "moderate"] as const) {
  test(`messages by chance to ${name} are answered as jco's host code does`, () => judge(name));
}

async function judge(name: "hostile-moderator" | "moderate"): Promise<void> {
  const random = new Random(SEED);
  const component = moderatorComponent(name);
  const upstream = new Upstream();
  const { moderate: oracle } = await openOracle(name, component, upstream);
  const host = new GlassModeratorHost({ slotCount: 1, tenantCountMax: 2 });
  const reviews = new Reviews(host, oracle, upstream, random);
  const number = host.admit(component);
  const { policy: byDefault } = POLICY_RECORD_DEFAULT;
  const consulting = { ...byDefault, consult: { ...byDefault.consult, mode: "all" } } as const;
  const policy = policyBytes({ ...POLICY_RECORD_DEFAULT, policy: consulting })!;
  for (const tenant of [0, 1]) assert.equal(host.open(tenant, number, policy), "ok");
  oracle.configure(policy);
  for (let call = 0; call < MODERATOR_CALLS; call++) {
    const label = `SEED=${SEED} call ${call}`;
    if (random.chance(1, 10)) host.say(1, { text: "the other takes the only slot" });
    const id = IDS[random.below(IDS.length)]!;
    const nowMs = 1_700_000_000_000 + 1_000 * call;
    if (random.chance(1, 3)) {
      await reviews.step(call + 1, requestBytes(messageOf(random, nowMs)), label);
      continue;
    }
    const [answer, expected] = random.chance(5, 6)
      ? judgeBoth(host, oracle, random, nowMs)
      : askBoth(host, oracle, [random.below(4), id, nowMs]);
    assert.equal(answer.outcome, "ok", label);
    assert.deepEqual(answer.report, expected, label);
  }
  await reviews.endAll();
  assert.ok(reviews.endedCount > 100, `${reviews.endedCount} reviews`);
}

function judgeBoth(
  host: GlassModeratorHost,
  oracle: Moderate,
  random: Random,
  tsMs: number,
): [Answer<unknown>, unknown] {
  const bytes = requestBytes(messageOf(random, tsMs));
  return [host.judge(0, bytes, 0, bytes.length), verdictOfOracle(oracle.judge(bytes))];
}

function messageOf(random: Random, tsMs: number): ModerationRequest {
  const pick = (texts: readonly string[]): string => texts[random.below(texts.length)]!;
  const maybe = (texts: readonly string[]) => (random.chance(1, 2) ? pick(texts) : undefined);
  return {
    id: maybe(["1", "2", "3"]),
    conversation: maybe(IDS),
    user: maybe(["ann", "bob", "\u{1f389}"]),
    role: maybe(["guest"]),
    replyTo: maybe(["1", "2"]),
    text: pick(SAID),
    doNotStore: random.chance(1, 8),
    tsMs,
  };
}

/** Who is asked by jco's host code: it answers when it is told to. */
class Upstream {
  #asked: Asked | undefined;
  #next = Promise.withResolvers<Asked>();

  readonly complete = (job: string, prompt: Uint8Array): Promise<Uint8Array> => {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    // The bytes may be the guest's own.
    this.#asked = { job, prompt: Buffer.from(prompt), resolve, reject };
    return promise;
  };

  /**
   * jco's host code holds the guest's stack for a while after it has asked; nobody may call it
   * then. Its turn is over when the call is in a waitable set.
   */
  watch(core: CoreImports = {}): CoreImports {
    const root = core["$root"];
    const join = root?.["[waitable-join]"];
    if (root === undefined || join === undefined) return core;
    const watched = (waitable: number, set: number): void => {
      join(waitable, set);
      if (set !== 0) this.#next.resolve(this.#asked!);
    };
    return { ...core, $root: { ...root, "[waitable-join]": watched } };
  }

  /** What the next task asks, once it waits. */
  next(): Promise<Asked> {
    this.#next = Promise.withResolvers();
    return this.#next.promise;
  }
}

type Asked = {
  readonly job: string;
  readonly prompt: Buffer;
  readonly resolve: (answer: Uint8Array) => void;
  readonly reject: (error: Error) => void;
};

type OpenReview = {
  readonly call: number;
  readonly resultAt: number;
  readonly asked: Asked;
  readonly opinion: Promise<Opinion>;
};

/** Reviews that wait in both hosts. */
class Reviews {
  endedCount = 0;
  readonly #open: OpenReview[] = [];
  readonly #host: GlassModeratorHost;
  readonly #oracle: Moderate;
  readonly #upstream: Upstream;
  readonly #random: Random;

  constructor(host: GlassModeratorHost, oracle: Moderate, upstream: Upstream, random: Random) {
    this.#host = host;
    this.#oracle = oracle;
    this.#upstream = upstream;
    this.#random = random;
  }

  /** Begins one or ends one. */
  async step(call: number, request: Buffer, label: string): Promise<void> {
    if (this.#open.length < OPEN_MAX && this.#random.chance(1, 2)) {
      return this.#begin(call, request, label);
    }
    const [review] = this.#open.splice(this.#random.below(this.#open.length), 1);
    if (review !== undefined) await this.#end(review, label);
  }

  /** jco's host code looks again and again whether there is an answer. */
  async endAll(): Promise<void> {
    for (const review of this.#open.splice(0)) await this.#end(review, "at the end");
  }

  async #begin(call: number, request: Buffer, label: string): Promise<void> {
    const verdict = this.#host.judge(0, request, 0, request.length);
    assert.deepEqual(verdict.report, verdictOfOracle(this.#oracle.judge(request)), label);
    const begun = this.#host.beginReview(0, call, request, 0, request.length);
    assert.equal(begun.outcome, "ok", label);
    const next = this.#upstream.next();
    const opinion = this.#oracle.review(request);
    const first = await Promise.race([opinion, next]);
    if ("action" in first) {
      assert.deepEqual(begun.opinion, opinionOfOracle(first), label);
      return;
    }
    assert.ok(begun.asked !== undefined, label);
    assert.equal(begun.asked.job, first.job, label);
    assert.equal(begun.asked.prompt.toString("hex"), first.prompt.toString("hex"), label);
    this.#open.push({ call, resultAt: begun.asked.resultAt, asked: first, opinion });
  }

  async #end({ call, resultAt, asked, opinion }: OpenReview, label: string): Promise<void> {
    const random = this.#random;
    const failure = random.chance(1, 3) ? random.below(CONSULTATION_FAILURES.length) : undefined;
    const scores = CATEGORIES.map(() => Math.fround(random.unit()));
    const answer = judgementBytes(scores, SAID[random.below(SAID.length)]!.slice(0, 300));
    if (failure === undefined) asked.resolve(answer);
    else {
      const kebab = CONSULTATION_FAILURES[failure]!.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`);
      asked.reject(Object.assign(new Error(kebab), { payload: kebab }));
    }
    const bytes = failure === undefined ? answer : undefined;
    const ended = this.#host.endReview(0, call, resultAt, failure, bytes);
    assert.equal(ended.outcome, "ok", label);
    assert.deepEqual(ended.opinion, opinionOfOracle(await opinion), label);
    this.endedCount += 1;
  }
}

function opinionOfOracle(opinion: Opinion): Opinion {
  return { ...opinion, scores: [...opinion.scores] };
}

const OPEN_MAX = 6;

function askBoth(
  host: GlassModeratorHost,
  oracle: Moderate,
  [question, id, nowMs]: readonly [question: number, id: string, nowMs: number],
): [Answer<unknown>, unknown] {
  if (question === 0) return [host.conversation(0, id), oracle.conversation(id)];
  if (question === 1) return [host.forget(0, id), oracle.forget(id)];
  if (question === 2) return [host.usage(0), oracle.usage()];
  return [{ outcome: host.advance(0, nowMs), report: undefined }, oracle.advance(nowMs)];
}

/** What jco spells another way. */
function verdictOfOracle(verdict: VerdictReport): VerdictReport {
  const camel = (kebab: string): string =>
    kebab.replace(/-([a-z])/g, (_, c: string) => c.toUpperCase());
  return {
    ...verdict,
    scores: [...verdict.scores],
    thresholds: [...verdict.thresholds],
    spans: verdict.spans.map((span) => ({ ...span, category: camel(span.category) as Category })),
    contextUsed: verdict.contextUsed.map((turn) => {
      return { ...turn, relation: camel(turn.relation) as Relation };
    }),
  };
}

const MODERATOR_CALLS = 1000;
const SAID = [
  "",
  " ",
  "hello there",
  "you are an idiot, and that is all",
  "naïve ☕ über 漢字 🎉🎉",
  "a\0b",
  "\u{202e}backwards",
  "x".repeat(3000),
  "i d i o t and !d1ot",
];
