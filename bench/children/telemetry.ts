/**
 * Does what telemetry programs fire on, with the programs it is told to attach to itself: system
 * calls that do nothing, two threads that wake each other, pages touched for the first time.
 */
import assert from "node:assert/strict";
import { Worker, isMainThread, workerData } from "node:worker_threads";
import { findFfi, loadLibc } from "#kernel/libc.ts";
import { openTelemetry } from "#kernel/telemetry.ts";
import type { TelemetryProgram } from "#model/kernel-telemetry.ts";

export type TelemetryWork = {
  readonly programs: readonly TelemetryProgram[];
  readonly systemCalls: number;
  readonly switches: number;
  readonly pages: number;
};

export type TelemetryFigures = {
  /** Programs that were asked for and do not run here, with what they lack. */
  readonly missing: readonly string[];
  readonly systemCallNs: number;
  readonly switchNs: number;
  readonly pageFaultNs: number;
};

const PAGE_BYTES = 4_096;
const CHUNK_PAGES = 4_096;
/** Whose turn it is: 0 the main thread's, 1 the other's; 2: the end. */
const OTHERS = 1;
const END = 2;

if (isMainThread) {
  process.channel?.ref();
  process.on("message", ({ type, settings }: { type: string; settings: TelemetryWork }) => {
    if (type === "measure") void measure(settings);
  });
} else {
  answer(workerData as Int32Array);
}

async function measure(work: TelemetryWork): Promise<void> {
  // No port is 1: this process has no event socket.
  const telemetry = openTelemetry({ level: "off", programs: work.programs, udpPort: 1 });
  const missing = telemetry
    .report()
    .programs.flatMap(({ state, program, missing: what }) =>
      state === "unavailable" ? [`${program}: ${what}`] : [],
    );
  const figures: TelemetryFigures = {
    missing,
    systemCallNs: timeSystemCalls(work.systemCalls),
    switchNs: await timeSwitches(work.switches),
    pageFaultNs: timePageFaults(work.pages),
  };
  telemetry.close();
  process.send!({ type: "measured", figures });
}

function timeSystemCalls(count: number): number {
  const ffi = findFfi();
  assert(ffi !== undefined);
  const libc = loadLibc(ffi);
  for (let i = 0; i < count / 10; i++) libc.close(-1);
  return timed(count, () => {
    for (let i = 0; i < count; i++) libc.close(-1);
  });
}

async function timeSwitches(count: number): Promise<number> {
  const turn = new Int32Array(new SharedArrayBuffer(4));
  const other = new Worker(new URL(import.meta.url), { workerData: turn });
  await new Promise((resolve) => other.once("online", resolve));
  pass(turn, OTHERS, 0);
  const ns = timed(count * 2, () => {
    for (let i = 0; i < count; i++) pass(turn, OTHERS, 0);
  });
  Atomics.store(turn, 0, END);
  Atomics.notify(turn, 0);
  await new Promise((resolve) => other.once("exit", resolve));
  return ns;
}

/** Gives the turn away and sleeps until it is back. */
function pass(turn: Int32Array, to: number, mine: number): void {
  Atomics.store(turn, 0, to);
  Atomics.notify(turn, 0);
  while (Atomics.load(turn, 0) !== mine) Atomics.wait(turn, 0, to);
}

function answer(turn: Int32Array): void {
  for (;;) {
    Atomics.wait(turn, 0, 0);
    const now = Atomics.load(turn, 0);
    if (now === END) return;
    if (now !== OTHERS) continue;
    Atomics.store(turn, 0, 0);
    Atomics.notify(turn, 0);
  }
}

function timePageFaults(count: number): number {
  let ns = 0;
  let touched = 0;
  for (; touched < count; touched += CHUNK_PAGES) {
    const memory = new Uint8Array(CHUNK_PAGES * PAGE_BYTES);
    const part = timed(1, () => {
      for (let at = 0; at < memory.length; at += PAGE_BYTES) memory[at] = 1;
    });
    ns += part;
  }
  return ns / touched;
}

function timed(count: number, work: () => void): number {
  const startNs = process.hrtime.bigint();
  work();
  return Number(process.hrtime.bigint() - startNs) / count;
}
