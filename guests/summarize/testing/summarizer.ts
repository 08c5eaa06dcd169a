/** Drives the summarizer's core module as a host does, and reads what it returns. */
import { GuestMemory, compileLiftResult } from "#isolate/canonical-abi.ts";
import {
  CONVERSATION,
  CONVERSATIONS,
  INGEST,
  SKETCH,
  SUMMARY,
  TRENDING,
  type ConversationItem,
  type ConversationReport,
  type SummaryReport,
  type TrendingReport,
} from "#isolate/world.gen.ts";
import type { TrendOrder } from "#model/trending.ts";
import { type BatchEvent, writeBatch } from "#testing/batch.ts";
import { compileGuest } from "./compile.ts";

export const STATE_ADDRESS = 0x10000;
const PAGE_BYTES = 4096;
/** The spans of the world, by their number. */
export const SPANS = ["minute", "tenMinutes", "hour", "day", "all"] as const;
export type Span = (typeof SPANS)[number];
export const SPANS_ALL = 31;

export type IngestReport = {
  readonly counted: number;
  readonly late: number;
  readonly duplicate: number;
  readonly repeated: number;
  readonly fates: readonly number[];
};

type Core = {
  readonly memory: WebAssembly.Memory;
  cabi_realloc(oldPtr: number, oldSize: number, align: number, newSize: number): number;
  configure(clock: number, spans: number): void;
  ingest(ptr: number, len: number): number;
  post_ingest(result: number): void;
  advance(nowMs: number): void;
  trending(limit: number, order: number): number;
  post_trending(result: number): void;
  summary(span: number, limit: number): number;
  post_summary(result: number): void;
  conversations(limit: number): number;
  post_conversations(result: number): void;
  conversation(idPtr: number, idLen: number): number;
  post_conversation(result: number): void;
  sketch(span: number): number;
  post_sketch(result: number): void;
};

const module = await compileGuest("guests/summarize/assembly/world.gen.ts");
const lift = {
  ingest: compileLiftResult(INGEST.result!),
  trending: compileLiftResult(TRENDING.result!),
  summary: compileLiftResult(SUMMARY.result!),
  conversations: compileLiftResult(CONVERSATIONS.result!),
  conversation: compileLiftResult(CONVERSATION.result!),
  sketch: compileLiftResult(SKETCH.result!),
};

export type SummarizerOptions = {
  /** Whether every call is followed by a look at the low page. */
  readonly checks?: boolean;
  readonly spans?: number;
};

/** One tenant. Every call checks that the low page is the component's own again. */
export class Summarizer {
  readonly core: Core;
  readonly #memory: GuestMemory;
  readonly #clock: number;
  readonly #base: Uint8Array;
  readonly #checks: boolean;

  constructor(
    clock: "wall" | "event",
    { checks = true, spans = SPANS_ALL }: SummarizerOptions = {},
  ) {
    this.core = new WebAssembly.Instance(module, {}).exports as unknown as Core;
    this.#memory = new GuestMemory(this.core.memory);
    this.#base = this.bytes.slice();
    this.#checks = checks;
    this.#clock = clock === "wall" ? 0 : 1;
    this.configure(spans);
  }

  configure(spans: number): void {
    this.core.configure(this.#clock, spans);
    this.#check();
  }

  ingest(events: readonly Partial<BatchEvent>[], nowMs = 0): IngestReport {
    return this.ingestBytes(writeBatch(events, nowMs));
  }

  ingestBytes(batch: Uint8Array): IngestReport {
    const pointer = this.#put(batch);
    const result = this.core.ingest(pointer, batch.byteLength);
    const report = lift.ingest(this.#memory, result) as LiftedReport;
    this.core.post_ingest(result);
    this.#check();
    return { ...report, fates: [...report.fates] };
  }

  advance(nowMs: number): void {
    this.core.advance(nowMs);
    this.#check();
  }

  trending(limit = 10, order: TrendOrder = "trend"): TrendingReport {
    const result = this.core.trending(limit, order === "trend" ? 0 : 1);
    const report = lift.trending(this.#memory, result) as TrendingReport;
    this.core.post_trending(result);
    this.#check();
    return report;
  }

  summary(span: Span, limit = 10): SummaryReport {
    const result = this.core.summary(SPANS.indexOf(span), limit);
    const report = lift.summary(this.#memory, result) as SummaryReport;
    this.core.post_summary(result);
    this.#check();
    return report;
  }

  conversations(limit = 100): ReadonlyArray<ConversationItem> {
    const result = this.core.conversations(limit);
    const items = lift.conversations(this.#memory, result) as ReadonlyArray<ConversationItem>;
    this.core.post_conversations(result);
    this.#check();
    return items;
  }

  conversation(id: string): ConversationReport | undefined {
    const bytes = Buffer.from(id);
    const result = this.core.conversation(this.#put(bytes), bytes.byteLength);
    const report = lift.conversation(this.#memory, result) as ConversationReport | undefined;
    this.core.post_conversation(result);
    this.#check();
    return report;
  }

  sketch(span: Span): Uint8Array {
    const result = this.core.sketch(SPANS.indexOf(span));
    const bytes = (lift.sketch(this.#memory, result) as Uint8Array).slice();
    this.core.post_sketch(result);
    this.#check();
    return bytes;
  }

  /** What the sentences of a report say, one a line. */
  tldr(): string {
    return this.trending()
      .sentences.map(({ text }) => text)
      .join("\n");
  }

  get bytes(): Uint8Array {
    return new Uint8Array(this.core.memory.buffer);
  }

  /** The tenant's state. */
  get image(): Uint8Array {
    return this.bytes.subarray(STATE_ADDRESS);
  }

  /** 4 KiB pages of the whole memory that differ from the base: what a host would keep. */
  get imagePages(): number {
    const bytes = this.bytes;
    let count = 0;
    for (let start = 0; start < bytes.byteLength; start += PAGE_BYTES) {
      const end = start + PAGE_BYTES;
      if (!Buffer.from(bytes.subarray(start, end)).equals(this.#base.subarray(start, end))) count++;
    }
    return count;
  }

  /** Where the bytes lie that a call is given. */
  #put(bytes: Uint8Array): number {
    const pointer = this.core.cabi_realloc(0, 0, 1, bytes.byteLength);
    this.bytes.set(bytes, pointer);
    return pointer;
  }

  #check(): void {
    if (!this.#checks) return;
    const low = Buffer.from(this.bytes.subarray(0, STATE_ADDRESS));
    if (low.equals(this.#base.subarray(0, STATE_ADDRESS))) return;
    const at = low.findIndex((byte, index) => byte !== this.#base[index]);
    throw new Error(`the low page differs from the base at ${at} after a call`);
  }
}

type LiftedReport = Omit<IngestReport, "fates"> & { readonly fates: Uint8Array };
