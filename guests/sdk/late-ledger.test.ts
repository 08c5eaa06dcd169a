// The ledger of late events, against a list of them.
import assert from "node:assert/strict";
import test from "node:test";
import { Random } from "#std/random.ts";
import { compileGuest } from "../summarize/testing/compile.ts";

type Probe = {
  memory: WebAssembly.Memory;
  ID_ADDRESS: { readonly value: number };
  open(examples: number): void;
  isTidy(examples: number): number;
  add(
    tsMs: number,
    asOfMs: number,
    events: number,
    pane: number,
    current: number,
    idBytes: number,
    examples: number,
  ): void;
  count(): number;
  lateByMsMax(): number;
  countedInLonger(): number;
  byLateness(index: number): number;
  exampleCount(examples: number): number;
  exampleTsMs(index: number): number;
  exampleLateByMs(index: number): number;
  exampleId(index: number): number;
  exampleIdBytes(index: number): number;
  exampleIsCut(index: number): number;
};

const module = await compileGuest("guests/sdk/assembly/probes/late-ledger.ts");
const probe = new WebAssembly.Instance(module, {}).exports as unknown as Probe;
const memory = new Uint8Array(probe.memory.buffer);

const BIAS = 16;
const MINUTE_MS = 60_000;
const LATENESS_MS = [2 * MINUTE_MS, 10 * MINUTE_MS, 60 * MINUTE_MS, 1440 * MINUTE_MS, Infinity];

type Late = {
  readonly tsMs: number;
  readonly lateByMs: number;
  readonly events: number;
  readonly isInDay: boolean;
  readonly id: string;
};

function add(late: Late, asOfMs: number, examples: number): void {
  const bytes = Buffer.from(late.id);
  memory.set(bytes, idAddress());
  const [pane, current] = [paneOf(late.tsMs), paneOf(asOfMs)];
  probe.add(late.tsMs, asOfMs, late.events, pane, current, bytes.length, examples);
}

function idAddress(): number {
  return probe.ID_ADDRESS.value;
}

function paneOf(ms: number): number {
  return Math.floor(ms / 5000) + BIAS;
}

function exampleAt(index: number) {
  const at = probe.exampleId(index);
  const behind = memory.subarray(at + probe.exampleIdBytes(index), at + 40);
  assert.ok(
    behind.every((byte) => byte === 0),
    "nothing is left of ids before",
  );
  const id = Buffer.from(memory.subarray(at, at + probe.exampleIdBytes(index))).toString();
  return {
    id,
    isCut: probe.exampleIsCut(index) === 1,
    tsMs: probe.exampleTsMs(index),
    lateByMs: probe.exampleLateByMs(index),
  };
}

/** An id as the ledger keeps it. */
function keptId(id: string) {
  let kept = "";
  for (const character of id) {
    if (Buffer.byteLength(kept + character) > 40) return { id: kept, isCut: true };
    kept += character;
  }
  return { id: kept, isCut: false };
}

function randomId(random: Random): string {
  const alphabet = ["a", "7", "-", "é", "語", "😀"];
  let id = "";
  const length = random.below(45);
  for (let at = 0; at < length; at++) id += alphabet[random.below(alphabet.length)]!;
  return id;
}

function checkStream(seed: number): void {
  const random = new Random(seed);
  const examples = [0, 1, 4][random.below(3)]!;
  const list: Late[] = [];
  let asOfMs = 1_790_000_000_000 + random.below(1e9);
  probe.open(examples);
  for (let step = 0; step < 200; step++) {
    asOfMs += random.below(100_000);
    const lateMaxMs = LATENESS_MS[random.below(4)]! * 2;
    const tsMs = random.below(40) === 0 ? random.below(1e6) : asOfMs - random.below(lateMaxMs);
    const dayPane = Math.floor((paneOf(asOfMs) - BIAS) / 1440);
    const late = {
      tsMs,
      lateByMs: asOfMs - tsMs,
      events: 1 + (random.below(5) === 0 ? random.below(100) : 0),
      isInDay: Math.floor((paneOf(tsMs) - BIAS) / 1440) > dayPane - 12,
      id: randomId(random),
    };
    list.push(late);
    add(late, asOfMs, examples);
  }
  const shown = `SEED=${seed}`;
  const sum = (some: Late[]) => some.reduce((total, { events }) => total + events, 0);
  assert.equal(probe.count(), sum(list), shown);
  assert.equal(probe.lateByMsMax(), Math.max(...list.map(({ lateByMs }) => lateByMs)), shown);
  assert.equal(probe.countedInLonger(), sum(list.filter(({ isInDay }) => isInDay)), shown);
  for (const [index, upToMs] of LATENESS_MS.entries()) {
    const fromMs = index === 0 ? -1 : LATENESS_MS[index - 1]!;
    const some = list.filter(({ lateByMs }) => lateByMs > fromMs && lateByMs <= upToMs);
    assert.equal(probe.byLateness(index), sum(some), `${shown}, class ${index}`);
  }
  assert.equal(probe.exampleCount(examples), examples, shown);
  for (let index = 0; index < examples; index++) {
    const late = list.at(-1 - index)!;
    const { tsMs, lateByMs } = late;
    assert.deepEqual(exampleAt(index), { ...keptId(late.id), tsMs, lateByMs }, shown);
  }
  assert.equal(probe.isTidy(examples), 1, shown);
}

test("the ledger counts late events by how late they are and shows the last of them", () => {
  const seed = Number(process.env["SEED"] ?? 1);
  const streams = Number(process.env["STREAMS"] ?? 200);
  for (let stream = 0; stream < streams; stream++) checkStream(seed + stream);
});

test("an empty ledger has no examples, and room that is added stays empty until it is used", () => {
  probe.open(4);
  assert.equal(probe.exampleCount(4), 0);
  const late = { tsMs: 1e12, lateByMs: 90_000, events: 1, isInDay: true, id: "first" };
  add(late, 1e12 + 90_000, 1);
  assert.equal(probe.exampleCount(4), 1);
  add({ ...late, id: "second" }, 1e12 + 90_000, 4);
  assert.equal(probe.exampleCount(4), 2);
  assert.deepEqual([exampleAt(0).id, exampleAt(1).id], ["second", "first"]);
});

test("times that are none, or beyond the calendar, become ones that are", () => {
  probe.open(1);
  probe.add(Number.NaN, 1e12, 1, BIAS, paneOf(1e12), 0, 1);
  assert.deepEqual(exampleAt(0), { id: "", isCut: false, tsMs: 0, lateByMs: 1e12 });
  probe.add(-5.5, Infinity, 1, BIAS, paneOf(1e13), 0, 1);
  assert.deepEqual(exampleAt(0), { id: "", isCut: false, tsMs: 0, lateByMs: 1e13 });
  probe.add(1e12, 1e11, 1, BIAS, BIAS, 0, 1);
  assert.deepEqual(exampleAt(0), { id: "", isCut: false, tsMs: 1e12, lateByMs: 0 });
});
