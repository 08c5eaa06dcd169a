// A tenant that moves to another component, or to another build of the same, knows all that it
// knew: what it hands over, what it answers, and what becomes of it afterwards.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { parse, print } from "@bytecodealliance/jco";
import { IsolateHost } from "#isolate/host.ts";
import { AbiError } from "#isolate/canonical-abi.ts";
import { StateRefused } from "#isolate/portable-state.ts";
import { packedBytes } from "#isolate/scanner.ts";
import type { TenantHostOptions } from "#isolate/tenant-host.ts";
import { OUTCOMES, type Outcome } from "#model/outcome.ts";
import { SPANS } from "#model/summary.ts";
import { ALL_SPANS } from "#model/window.ts";
import { Random } from "#std/random.ts";
import { writeBatch } from "#testing/batch.ts";
import { commandBatch, hostileComponent } from "#testing/hostile-guest.ts";
import { SEED } from "#testing/seed.ts";
import { TenantHistory, type TenantStep } from "#testing/tenant-histories.ts";
import { variantOf } from "../guests/summarize/testing/variant.ts";

const OWN = readFileSync(new URL("../guests/dist/summarize.component.wasm", import.meta.url));
/** The same program; every address of its state is another. */
const MOVED = await variantOf("summarize", 65_536);
const HISTORIES = 40;
const STEPS = 60;

const report = new Uint32Array(5);
const fates = new Uint8Array(1024);

class GlassHost extends IsolateHost {
  constructor(options: Partial<TenantHostOptions> = {}) {
    const defaults = {
      slotCount: 3,
      imageBytesMax: 64 << 20,
      tenantCountMax: 32,
      turnMsMax: 60_000,
    };
    super({ ...defaults, ...options });
  }

  /** What of the outcome and the answer is to be compared. */
  step(tenant: number, step: TenantStep): unknown {
    if ("nowMs" in step) return this.advance(tenant, step.nowMs);
    const outcome = this.ingest(tenant, step.batch, 0, step.batch.length, report, fates);
    return [outcome, [...report], [...fates.subarray(0, Buffer.from(step.batch).readUInt32LE(0))]];
  }

  /** All that it can be asked. */
  answers(tenant: number): unknown {
    const said = this.conversations(tenant, 100);
    assert.equal(said.outcome, "ok");
    return [
      this.trending(tenant, 100, "trend"),
      this.trending(tenant, 100, "count"),
      ...SPANS.map((span) => this.summary(tenant, span, 100)),
      ...SPANS.map((span) => Buffer.from(this.sketch(tenant, span).report!).toString("base64")),
      said,
      ...said.report!.map(({ id }) => this.conversation(tenant, id)),
    ];
  }

  exported(tenant: number): Buffer {
    return Buffer.from(this.exportState(tenant)!);
  }

  /** What a new instance says about a state; undefined: it is taken. Then `tenant` has it. */
  taking(component: number, state: Buffer, tenant = -1): string | undefined {
    const spare = this.slots.spare(component);
    const base = Buffer.from(spare.instance.memory.bytes);
    try {
      spare.instance.portable!.importFrom(state, state.length);
    } catch (error) {
      if (!(error instanceof StateRefused)) throw error;
      // Of parts that were cut the host says so, before the guest has seen them all.
      const isGuests = !/cut off/.test(error.message);
      if (isGuests) assert.ok(spare.instance.memory.bytes.equals(base), "it leaves a trace");
      return error.message;
    }
    if (tenant === -1) return undefined;
    spare.compare();
    this.close(tenant);
    const packed = Buffer.from(packedBytes.subarray(0, spare.pack()));
    assert.equal(this.putImage(tenant, component, 0, packed, packed.length), "ok");
    return undefined;
  }

  /** What becomes of a tenant that is given the state, whatever it is, in a few turns. */
  living(component: number, state: Buffer): "refused" | "failed" | "taken" | "wrong" {
    const tenant = 9;
    let refusal: string | undefined = "interrupted";
    try {
      this.runSlice(() => (refusal = this.taking(component, state, tenant)));
    } catch (error) {
      assert.ok(error instanceof WebAssembly.RuntimeError || error instanceof AbiError);
      return "failed";
    }
    if (refusal === "interrupted") return "failed";
    if (refusal !== undefined) return "refused";
    const outcomes: Outcome[] = [];
    const steps = new TenantHistory(SEED);
    for (let step = 0; step < 6; step++) {
      const batch = writeBatch([{ tsMs: steps.nowMs, text: "and then" }], steps.nowMs);
      const calls = [
        () => this.ingest(tenant, batch, 0, batch.length, report, fates),
        () => this.trending(tenant, 9, "trend").outcome,
        () => this.summary(tenant, "all", 9).outcome,
        () => this.conversations(tenant, 9).outcome,
        () => this.sketch(tenant, "hour").outcome,
        () => this.advance(tenant, steps.nowMs + 100_000_000),
      ];
      if (this.runSlice(() => outcomes.push(calls[step]!())) === "timedOut") {
        outcomes.push("exceededTime");
      }
    }
    this.close(tenant);
    for (const outcome of outcomes) assert.ok(OUTCOMES.includes(outcome));
    return outcomes.every((outcome) => outcome === "ok") ? "taken" : "wrong";
  }

  image(tenant: number): Buffer {
    const packed = Buffer.alloc(1 << 18);
    return packed.subarray(0, this.takeImage(tenant, packed));
  }
}

function newHost(options: Partial<TenantHostOptions> = {}) {
  const host = new GlassHost(options);
  return { host, own: host.admit(OWN), moved: host.admit(MOVED) };
}

function isEqual(found: unknown, wanted: unknown, what: string): void {
  assert.deepStrictEqual(found, wanted, what);
}

/** Kinds of the sections that are in it. */
function kindsOf(exported: Buffer): number[] {
  const kinds: number[] = [];
  for (let at = 0; at < exported.length; at += 4 + exported.readUInt32LE(at)) {
    kinds.push(exported.readUInt16LE(at + 8));
  }
  return kinds;
}

/** Of the summarizer: header, numbers and sketches, arrays, what is only there for some. */
const ALL_KINDS = [
  0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 23, 24,
];

test("a tenant that moves again and again is the one that never moved", () => {
  const random = new Random(SEED);
  const kinds = new Set<number>();
  for (let history = 0; history < HISTORIES; history++) {
    const { host, own, moved } = newHost();
    const seed = random.below(2 ** 30);
    const clock = random.chance(1, 4) ? "event" : "wall";
    const spans = random.chance(1, 4) ? 17 + 2 * random.below(8) : ALL_SPANS;
    const what = `history ${seed} of seed ${SEED}`;
    for (const tenant of [0, 1]) assert.equal(host.open(tenant, own, { clock, spans }), "ok");
    const steps = new TenantHistory(seed);
    for (let step = 0; step < STEPS; step++) {
      const next = steps.next();
      isEqual(host.step(1, next), host.step(0, next), what);
      if (!random.chance(1, 8)) continue;
      const before = host.exported(1);
      for (const kind of kindsOf(before)) kinds.add(kind);
      isEqual(before.equals(host.exported(0)) || host.componentNumber(1) === moved, true, what);
      const to = host.componentNumber(1) === own ? moved : own;
      const upgrade = host.upgrade(1, to);
      isEqual([upgrade.result, upgrade.reason], ["moved", ""], what);
      isEqual(upgrade.bytes, before.length, what);
      assert(host.exported(1).equals(before), `${what}: it hands over what it was given`);
      assert(host.exported(0).equals(before), `${what}: it is what never moved hands over`);
      if (random.chance(1, 3)) isEqual(host.answers(1), host.answers(0), what);
    }
    if (host.componentNumber(1) === moved) host.upgrade(1, own);
    assert.equal(host.stateHash(1), host.stateHash(0), `${what}: all of its memory`);
  }
  assert.deepEqual(
    [...kinds].toSorted((left, right) => left - right),
    ALL_KINDS,
  );
});

/** Of a tenant with a history, and where its parts begin. */
function stateOf(host: GlassHost, tenant: number, component: number, seed: number): Buffer {
  assert.equal(host.open(tenant, component, { clock: "wall", spans: ALL_SPANS }), "ok");
  const steps = new TenantHistory(seed);
  for (let step = 0; step < 30; step++) host.step(tenant, steps.next());
  return host.exported(tenant);
}

test("a damaged state is refused, and leaves no trace", () => {
  const random = new Random(SEED);
  const { host, own, moved } = newHost();
  const good = stateOf(host, 0, own, SEED + 1);
  const hash = host.stateHash(0);
  const untouched = host.taking(moved, good);
  assert.equal(untouched, undefined, "as it is, it is taken");
  const reasons = new Set<string>();
  for (let round = 0; round < 400; round++) {
    const bad = damaged(good, random);
    const refused = host.taking(moved, bad);
    assert.notEqual(refused, undefined, `SEED=${SEED}, round ${round} was taken`);
    reasons.add(refused!.replaceAll(/\d+/g, "N"));
  }
  assert.ok(reasons.has("Part N is damaged, or not the next of a state."), [...reasons].join("\n"));
  assert.ok(reasons.has("The state ends after N of N parts."), [...reasons].join("\n"));
  assert.equal(host.upgrade(0, moved).result, "moved");
  assert.equal(host.upgrade(0, own).result, "moved");
  assert.equal(host.stateHash(0), hash);
});

/** Cut, flipped, or with parts left out, twice or in another order. */
function damaged(good: Buffer, random: Random): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < good.length; at += 4 + good.readUInt32LE(at)) {
    parts.push(Buffer.from(good.subarray(at, at + 4 + good.readUInt32LE(at))));
  }
  const which = random.below(parts.length);
  const part = parts[which]!;
  switch (random.below(6)) {
    case 0:
      return good.subarray(0, random.below(good.length));
    case 1:
      part[4 + random.below(part.length - 4)]! ^= 1 << random.below(8);
      break;
    case 2:
      parts.splice(which, 1);
      break;
    case 3:
      parts.splice(which, 0, part);
      break;
    case 4:
      parts.push(part);
      break;
    default:
      part.writeUInt32LE(random.below(60_000), 0);
      if (part.readUInt32LE(0) === part.length - 4) part.writeUInt32LE(0, 0);
  }
  return Buffer.concat(parts);
}

test("a forged state is the guest's own trouble: nothing of it reaches the host", () => {
  const random = new Random(SEED);
  const { host, own, moved } = newHost({ turnMsMax: 100, threadCpuMs: () => performance.now() });
  const states = [3, 4, 5].map((seed, tenant) => partsOf(stateOf(host, tenant, own, SEED + seed)));
  const ends = { refused: 0, failed: 0, taken: 0, wrong: 0 };
  for (let round = 0; round < 150; round++) {
    const forged = states[round % 3]!.map((part) => Buffer.from(part));
    for (let change = random.below(4); change >= 0; change--) {
      const part = forged[random.below(forged.length)]!;
      part[28 + random.below(part.length - 28)] = random.below(256);
      part.writeUInt32LE(sumOf(part.subarray(4)), 12);
    }
    ends[host.living(moved, Buffer.concat(forged))] += 1;
  }
  // Sums are no proof, and bytes like any others are taken for what they say.
  assert.ok(ends.taken > 20 && ends.refused > 0, JSON.stringify(ends));
  assert.equal(host.quarantined(0), false);
  assert.equal(host.trending(0, 5, "count").outcome, "ok");
});

test("what is not known is refused by its name", () => {
  const { host, own, moved } = newHost();
  const good = stateOf(host, 0, own, SEED + 2);
  const firstOf = (kind: number): number =>
    partsOf(good).findIndex((part) => kindOf(part) === kind);
  const changed = (kind: number, change: (part: Buffer) => void): string | undefined => {
    const parts = partsOf(good);
    const part = parts[firstOf(kind)]!;
    change(part);
    part.writeUInt32LE(sumOf(part.subarray(4)), 12);
    return host.taking(moved, Buffer.concat(parts));
  };
  assert.equal(
    changed(2, () => {}),
    undefined,
  );
  assert.equal(
    changed(2, (part) => part.writeUInt16LE(99, 8)),
    "Section 99 is not known.",
  );
  assert.equal(
    changed(3, (part) => part.writeUInt16LE(7, 10)),
    "Version 7 of section 3 is not known.",
  );
  assert.equal(
    changed(3, (part) => part.writeUInt32LE(40, 16)),
    "Section 3 has 40 bytes where 32 are wanted.",
  );
  // The first of the capacities.
  assert.match(
    changed(1, (part) => part.writeUInt16LE(500, 28 + 56))!,
    /^Tier \d is of other capacities\.$/,
  );
  assert.equal(
    changed(0, (part) => part.writeUInt16LE(2, 28 + 2)),
    "The state is of another world.",
  );
  assert.equal(
    changed(0, (part) => part.writeUInt16LE(9, 28)),
    "The state is of form 9; known is 1.",
  );
});

test("a section of the version before is read", () => {
  const { host, own, moved } = newHost();
  const events = ["one", "two", "three"].map((text, index) => ({ tsMs: 5e6 + index, text }));
  const batch = writeBatch(events, 5e6 + 9);
  assert.equal(host.open(0, own, { clock: "wall", spans: ALL_SPANS }), "ok");
  host.step(0, { batch });
  const good = host.exported(0);
  const answers = host.answers(0);
  // The timeline as it was before it knew weights: events, pane, cells.
  const parts = partsOf(good).map((part) => {
    if (kindOf(part) !== 2) return part;
    const now = Buffer.alloc(392);
    part.copy(now, 0, 28);
    const former = Buffer.alloc(200);
    now.copy(former, 0, 0, 8);
    now.copy(former, 8, 16, 20);
    now.copy(former, 16, 24, 208);
    const written = Buffer.concat([part.subarray(0, 28), former]);
    written.writeUInt32LE(24 + former.length, 0);
    written.writeUInt16LE(0, 10);
    written.writeUInt32LE(former.length, 16);
    written.writeUInt32LE(sumOf(written.subarray(4)), 12);
    return written;
  });
  const former = Buffer.concat(parts);
  assert.ok(!former.equals(good));
  assert.equal(host.open(1, moved, { clock: "wall", spans: ALL_SPANS }), "ok");
  assert.equal(host.taking(moved, former, 1), undefined);
  assert.ok(host.exported(1).equals(good), "it hands over the version of now");
  assert.deepStrictEqual(host.answers(1), answers);
});

function partsOf(state: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < state.length; at += 4 + state.readUInt32LE(at)) {
    parts.push(Buffer.from(state.subarray(at, at + 4 + state.readUInt32LE(at))));
  }
  return parts;
}

/** Of a part behind its length. */
function kindOf(part: Buffer): number {
  return part.readUInt16LE(8);
}

/** As guests/sdk/assembly/portable.ts has it. */
function sumOf(part: Buffer): number {
  let sum = Math.imul(0x811c9dc5 ^ part.readUInt32LE(4), 0x01000193);
  for (const byte of part.subarray(12)) sum = Math.imul(sum ^ byte, 0x01000193);
  return sum >>> 0;
}

test("a component that misbehaves keeps its tenant, which has no strike for it", () => {
  // Long enough for what ends by itself where the machine is busy; what spins takes all of it.
  const host = new GlassHost({ turnMsMax: 1_000, threadCpuMs: () => performance.now() });
  const hostile = host.admit(hostileComponent());
  const own = host.admit(OWN);
  const other = host.admit(hostileVariant());
  assert.equal(host.open(0, hostile, { clock: "wall", spans: ALL_SPANS }), "ok");
  const arm = (misdeed: number): void => {
    const batch = commandBatch("armPortable", misdeed);
    assert.equal(host.ingest(0, batch, 0, batch.length, report, fates), "ok");
  };
  const ends: [number, string, string | RegExp][] = [
    [1, "exportFailed", "trapped"],
    [2, "exportFailed", "exceededTime"],
    [3, "exportFailed", "brokeContract"],
    [4, "exportFailed", "brokeContract"],
    [6, "importFailed", "trapped"],
    [7, "importFailed", "exceededTime"],
    [8, "importRefused", ""],
    [9, "importFailed", "brokeContract"],
    [10, "exportFailed", "brokeContract"],
  ];
  for (const [misdeed, result, reason] of ends) {
    arm(misdeed);
    const before = host.stateHash(0);
    const upgrade = host.upgrade(0, other);
    assert.deepEqual([upgrade.result, upgrade.reason], [result, reason], `misdeed ${misdeed}`);
    assert.equal(host.stateHash(0), before, `misdeed ${misdeed} left a trace`);
    assert.equal(host.strikeCount(0), 0);
    assert.equal(host.componentNumber(0), hostile);
  }
  // What it does to its memory while it hands over goes nowhere.
  arm(5);
  const scribbled = host.stateHash(0);
  host.exportState(0);
  assert.equal(host.stateHash(0), scribbled);
  arm(0);
  assert.equal(host.upgrade(0, own).result, "importRefused", "it is no state of ours");
  const hash = host.image(0);
  assert.equal(host.upgrade(0, other).result, "moved");
  assert.ok(host.image(0).equals(hash));
  assert.equal(host.upgrades.moved, 1);
});

/** The same program under another digest: a custom section at its end. */
function hostileVariant(): Uint8Array {
  return Buffer.concat([hostileComponent(), Buffer.from([0, 2, 1, 0x78])]);
}

test("with a second component the guard is on, until no tenant runs it", () => {
  const host = new GlassHost({
    guarded: false,
    turnMsMax: 500,
    threadCpuMs: () => performance.now(),
  });
  const own = host.admit(OWN);
  const isGuarded = (): boolean => {
    let isOver = false;
    const end = host.runSlice(() => {
      const endMs = performance.now() + 3_000;
      while (performance.now() < endMs);
      isOver = true;
    });
    assert.equal(end === "timedOut", !isOver);
    return end === "timedOut";
  };
  assert.equal(isGuarded(), false);
  const moved = host.admit(MOVED);
  assert.equal(isGuarded(), true);
  assert.equal(host.open(0, moved, { clock: "wall", spans: ALL_SPANS }), "ok");
  host.settle();
  assert.equal(isGuarded(), true);
  assert.equal(host.upgrade(0, own).result, "moved");
  host.settle();
  assert.equal(isGuarded(), false);
});

test("a component without portable states keeps its tenants", async () => {
  const host = new GlassHost();
  const own = host.admit(OWN);
  const fixed = host.admit(await withoutPortable());
  assert.equal(host.open(0, own, { clock: "wall", spans: ALL_SPANS }), "ok");
  assert.equal(host.open(1, fixed, { clock: "wall", spans: ALL_SPANS }), "ok");
  assert.equal(host.upgrade(0, fixed).result, "notPortable");
  assert.equal(host.upgrade(1, own).result, "notPortable");
  assert.equal(host.exportState(1), undefined);
  host.step(1, { batch: writeBatch([{ tsMs: 5, text: "still counted" }], 9) });
  assert.equal(host.trending(1, 9, "count").report!.eventCount, 1);
});

/** The built-in one, of which the interface is not exported. */
async function withoutPortable(): Promise<Uint8Array> {
  const text = await print(OWN);
  const edited = text.replace(/\(export [^"\n]*"nexuscore:tenant\/portable@0\.1\.0" .*\n/, "\n");
  assert.notEqual(edited, text);
  return parse(edited);
}
