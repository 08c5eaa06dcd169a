/** One instance of an admitted component, and the calls of the world on it. */
import assert from "node:assert/strict";
import type { Outcome } from "#model/outcome.ts";
import type { TrendingReport } from "#model/trending.ts";
import { bytesOf, postReturnName, sequenceLayout, type AbiFunction } from "./abi-types.ts";
import { MEMORY_NAME, REALLOC_NAME, type AdmittedComponent } from "./admission.ts";
import { AbiError, GuestMemory, compileLiftResult, type LiftResult } from "./canonical-abi.ts";
import { ADVANCE, CONFIGURE, INGEST, TRENDING } from "./world.gen.ts";
import type * as world from "./world.gen.ts";

type CoreFunction = (...values: number[]) => number;

/** Numbers of a report that `ingest` fills in, in the order of the WIT. */
export const REPORT_COUNTS = 4;

const FATE_MAX = 3;
const liftTrending = compileLiftResult(TRENDING.result!) as LiftTrending;
type LiftTrending = (...values: Parameters<LiftResult>) => world.TrendingReport;

/** Where the fields of an ingest report lie: the hot path reads them without making an object. */
const REPORT = ingestReportLayout();

function ingestReportLayout() {
  const { result } = INGEST;
  assert(result?.kind === "record");
  const names = result.fields.map((field) => field.name);
  assert.deepEqual(names, ["counted", "late", "duplicate", "repeated", "fates"]);
  const { offsets } = sequenceLayout(result.fields.map((field) => field.type));
  return { bytes: bytesOf(result), counts: offsets.slice(0, REPORT_COUNTS), fates: offsets[4]! };
}

const [COUNTED, LATE, DUPLICATE, REPEATED] = REPORT.counts as [number, number, number, number];
const FATES = REPORT.fates;
const REPORT_BYTES = REPORT.bytes;

/** Copies without making a view, which `subarray` would. */
const copyBytes = Buffer.prototype.copy as (
  this: Uint8Array,
  target: Uint8Array,
  targetStart: number,
  start: number,
  end: number,
) => number;

export class GuestInstance {
  readonly memory: GuestMemory;
  readonly #realloc: CoreFunction;
  readonly #configure: CoreFunction;
  readonly #ingest: CoreFunction;
  readonly #ingestPost: CoreFunction | undefined;
  readonly #advance: CoreFunction;
  readonly #trending: CoreFunction;
  readonly #trendingPost: CoreFunction | undefined;

  constructor(component: AdmittedComponent) {
    const { exports } = new WebAssembly.Instance(component.module, {});
    const find = (name: string): CoreFunction => exports[name] as CoreFunction;
    const findPost = ({ coreName }: AbiFunction): CoreFunction | undefined => {
      const name = postReturnName(coreName);
      return component.postReturns.has(name) ? find(name) : undefined;
    };
    this.memory = new GuestMemory(exports[MEMORY_NAME] as WebAssembly.Memory);
    this.#realloc = find(REALLOC_NAME);
    this.#configure = find(CONFIGURE.coreName);
    this.#ingest = find(INGEST.coreName);
    this.#ingestPost = findPost(INGEST);
    this.#advance = find(ADVANCE.coreName);
    this.#trending = find(TRENDING.coreName);
    this.#trendingPost = findPost(TRENDING);
  }

  /** `clock`: its number in the WIT's enum. */
  configure(clock: number): void {
    this.#configure(clock);
  }

  advance(nowMs: number): void {
    this.#advance(nowMs);
  }

  /** `order`: its number in the WIT's enum. */
  trending(limit: number, order: number): TrendingReport {
    const result = this.#trending(limit, order);
    const report: TrendingReport = liftTrending(this.memory, result);
    this.#trendingPost?.(result);
    return report;
  }

  /**
   * Hot: once a batch. Report: [counted, late, duplicate, repeated]; fates: one byte an event. Both
   * are garbage when it throws. Makes no object.
   */
  ingest(
    source: Uint8Array,
    byteOffset: number,
    byteCount: number,
    eventCount: number,
    report: Uint32Array,
    fates: Uint8Array,
  ): void {
    const { memory } = this;
    const pointer = this.#realloc(0, 0, 1, byteCount) >>> 0;
    memory.check(pointer, byteCount, 1);
    copyBytes.call(source, memory.bytes, pointer, byteOffset, byteOffset + byteCount);
    const result = this.#ingest(pointer, byteCount);
    readReport(memory, result >>> 0, eventCount, report, fates);
    if (this.#ingestPost !== undefined) this.#ingestPost(result);
  }

  /** What a batch did to the state, for those who know its report already. */
  ingestAgain(source: Uint8Array, byteOffset: number, byteCount: number): void {
    const pointer = this.#realloc(0, 0, 1, byteCount) >>> 0;
    this.memory.check(pointer, byteCount, 1);
    copyBytes.call(source, this.memory.bytes, pointer, byteOffset, byteOffset + byteCount);
    const result = this.#ingest(pointer, byteCount);
    if (this.#ingestPost !== undefined) this.#ingestPost(result);
  }

  trendingAgain(limit: number, order: number): void {
    const result = this.#trending(limit, order);
    this.#trendingPost?.(result);
  }
}

/** Hot. The world promises: one fate an event, and counts that add up to the events. */
function readReport(
  memory: GuestMemory,
  address: number,
  eventCount: number,
  report: Uint32Array,
  fates: Uint8Array,
): void {
  memory.check(address, REPORT_BYTES, 4);
  const { view, bytes } = memory;
  report[0] = view.getUint32(address + COUNTED, true);
  report[1] = view.getUint32(address + LATE, true);
  report[2] = view.getUint32(address + DUPLICATE, true);
  report[3] = view.getUint32(address + REPEATED, true);
  const pointer = view.getUint32(address + FATES, true);
  const fateCount = view.getUint32(address + FATES + 4, true);
  memory.check(pointer, fateCount, 1);
  const total = report[0] + report[1] + report[2] + report[3];
  if (fateCount !== eventCount || total !== eventCount) {
    throw new AbiError(`${eventCount} events got ${fateCount} fates and a count of ${total}.`);
  }
  let worst = 0;
  for (let event = 0; event < fateCount; event++) {
    const fate = bytes[pointer + event]!;
    if (fate > worst) worst = fate;
    fates[event] = fate;
  }
  if (worst > FATE_MAX)
    throw new AbiError(`An event got the fate ${worst}; known are 0 to ${FATE_MAX}.`);
}

/**
 * How a call ended that threw. Rethrows what is not the guest's doing.
 * V8 names the place of a trap in the first line of its stack that speaks of Wasm, as
 * `wasm://wasm/1a2b:wasm-function[3]:0x1f`; the offset is that of the instruction in the module.
 */
export function outcomeOf(error: unknown, growOffsets: ReadonlySet<number>): Outcome {
  if (error instanceof AbiError) return "brokeContract";
  if (error instanceof WebAssembly.RuntimeError) {
    const offset = /wasm-function\[\d+\]:(0x[0-9a-f]+)/.exec(error.stack ?? "")?.[1];
    return offset !== undefined && growOffsets.has(Number(offset)) ? "exceededMemory" : "trapped";
  }
  if (error instanceof RangeError && error.message.includes("call stack")) return "exceededStack";
  throw error;
}
