/** One instance of an admitted component, and the calls of the world on it. */
import assert from "node:assert/strict";
import type { Outcome } from "#model/outcome.ts";
import { bytesOf, postReturnName, sequenceLayout, type AbiFunction } from "./abi-types.ts";
import { MEMORY_NAME, REALLOC_NAME, type AdmittedComponent } from "./admission.ts";
import { AbiError, GuestMemory } from "./canonical-abi.ts";
import { ADVANCE_ENTRY, CONFIGURE_ENTRY, INGEST_ENTRY, QUESTION_ENTRY } from "./journal.ts";
import { PortableCalls } from "./portable-state.ts";
import { QUESTIONS, type Question } from "./questions.ts";
import { ADVANCE, CONFIGURE, INGEST } from "./world.gen.ts";

type CoreFunction = (...values: number[]) => number;

/** Numbers of a report that come from the guest's, in the order of the WIT. */
const REPORT_COUNTS = 4;
/** Numbers of a report that `ingest` fills in: these, and the events with a refused metric. */
export const REPORT_NUMBERS = REPORT_COUNTS + 1;

/** The greatest fate, and a bit that any of them may have: a metric of the event was refused. */
const FATE_MAX = 3;
const FATE_METRIC_REFUSED = 8;
const FATE_BITS = FATE_MAX | FATE_METRIC_REFUSED;

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
  readonly portable: PortableCalls | undefined;
  readonly #realloc: CoreFunction;
  readonly #configure: CoreFunction;
  readonly #ingest: CoreFunction;
  readonly #ingestPost: CoreFunction | undefined;
  readonly #advance: CoreFunction;
  /** By the number of the question. */
  readonly #questions: readonly CoreFunction[];
  readonly #questionPosts: readonly (CoreFunction | undefined)[];

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
    this.#questions = QUESTIONS.map(({ abi }) => find(abi.coreName));
    this.#questionPosts = QUESTIONS.map(({ abi }) => findPost(abi));
    if (component.isPortable) this.portable = new PortableCalls(exports, this.memory, component);
  }

  /** `clock`: its number in the WIT's enum; `spans`: a bit for each. */
  configure(clock: number, spans: number): void {
    this.#configure(clock, spans);
  }

  advance(nowMs: number): void {
    this.#advance(nowMs);
  }

  /** What goes in is the text, if the question takes one, or the numbers, as many as it takes. */
  ask<Report>(question: Question<Report>, first: number, second: number, text: Buffer): Report {
    const result = this.#ask(question.number, first, second, text, 0, text.length);
    const report = question.lift(this.memory, result, first);
    this.#questionPosts[question.number]?.(result);
    return report;
  }

  /**
   * Hot: once a batch. Report: [counted, late, duplicate, repeated, events with a refused metric];
   * fates: one byte an event. Both are garbage when it throws. Makes no object.
   */
  ingest(
    source: Uint8Array,
    byteOffset: number,
    byteCount: number,
    eventCount: number,
    report: Uint32Array,
    fates: Uint8Array,
  ): void {
    const pointer = this.#lower(source, byteOffset, byteCount);
    const result = this.#ingest(pointer, byteCount);
    readReport(this.memory, result >>> 0, eventCount, report, fates);
    if (this.#ingestPost !== undefined) this.#ingestPost(result);
  }

  /** Does a turn of the journal again. */
  again(
    kind: number,
    first: number,
    second: number,
    time: number,
    source: Buffer,
    byteOffset: number,
    byteCount: number,
  ): void {
    if (kind === CONFIGURE_ENTRY) this.configure(first, second);
    else if (kind === ADVANCE_ENTRY) this.advance(time);
    else if (kind === INGEST_ENTRY) this.ingestAgain(source, byteOffset, byteCount);
    else {
      assert(kind >= QUESTION_ENTRY);
      this.askAgain(kind - QUESTION_ENTRY, first, second, source, byteOffset, byteCount);
    }
  }

  /** What a batch did to the state, for those who know its report already. */
  ingestAgain(source: Uint8Array, byteOffset: number, byteCount: number): void {
    const pointer = this.#lower(source, byteOffset, byteCount);
    const result = this.#ingest(pointer, byteCount);
    if (this.#ingestPost !== undefined) this.#ingestPost(result);
  }

  /** What a question did to the state, for those who know its answer already. */
  askAgain(
    question: number,
    first: number,
    second: number,
    source: Buffer,
    byteOffset: number,
    byteCount: number,
  ): void {
    const result = this.#ask(question, first, second, source, byteOffset, byteCount);
    this.#questionPosts[question]?.(result);
  }

  /** A call from JavaScript drops what the function does not take. */
  #ask(
    question: number,
    first: number,
    second: number,
    source: Buffer,
    byteOffset: number,
    byteCount: number,
  ): number {
    const call = this.#questions[question]!;
    if (!QUESTIONS[question]!.takesText) return call(first, second);
    return call(this.#lower(source, byteOffset, byteCount), byteCount);
  }

  /** Hot. Hands bytes to the guest, where it wants them. */
  #lower(source: Uint8Array, byteOffset: number, byteCount: number): number {
    const { memory } = this;
    const pointer = this.#realloc(0, 0, 1, byteCount) >>> 0;
    memory.check(pointer, byteCount, 1);
    copyBytes.call(source, memory.bytes, pointer, byteOffset, byteOffset + byteCount);
    return pointer;
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
  let seen = 0;
  let refused = 0;
  for (let event = 0; event < fateCount; event++) {
    const fate = bytes[pointer + event]!;
    seen |= fate;
    refused += fate & FATE_METRIC_REFUSED;
    fates[event] = fate;
  }
  report[REPORT_COUNTS] = refused / FATE_METRIC_REFUSED;
  if ((seen & ~FATE_BITS) !== 0) {
    throw new AbiError(`An event got an unknown fate; known are 0 to ${FATE_MAX}, and 8 more.`);
  }
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
