/** Drives the summarizer's core module as a host does, and reads what it returns. */
import type { TrendingReport, TrendItem, TrendOrder, TrendSentence } from "#model/trending.ts";
import { type BatchEvent, writeBatch } from "#testing/batch.ts";
import { compileGuest } from "./compile.ts";

export const STATE_ADDRESS = 0x10000;
const PAGE_BYTES = 4096;

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
  configure(clock: number): void;
  ingest(ptr: number, len: number): number;
  post_ingest(result: number): void;
  advance(nowMs: number): void;
  trending(limit: number, order: number): number;
  post_trending(result: number): void;
};

const module = await compileGuest("guests/summarize/assembly/world.gen.ts");

/** One tenant. Every call checks that the low page is the component's own again. */
export class Summarizer {
  readonly core: Core;
  readonly #base: Uint8Array;
  #checks: boolean;

  constructor(clock: "wall" | "event", options: { checks: boolean } = { checks: true }) {
    this.core = new WebAssembly.Instance(module, {}).exports as unknown as Core;
    this.#base = this.bytes.slice();
    this.#checks = options.checks;
    this.core.configure(clock === "wall" ? 0 : 1);
    this.#check();
  }

  ingest(events: readonly Partial<BatchEvent>[], nowMs = 0): IngestReport {
    return this.ingestBytes(writeBatch(events, nowMs));
  }

  ingestBytes(batch: Uint8Array): IngestReport {
    const pointer = this.core.cabi_realloc(0, 0, 1, batch.byteLength);
    this.bytes.set(batch, pointer);
    const result = this.core.ingest(pointer, batch.byteLength);
    const view = this.#view;
    const words = Array.from({ length: 6 }, (_, index) => view.getUint32(result + index * 4, true));
    const [counted, late, duplicate, repeated, fatesPtr, fatesLen] = words as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const fates = [...this.bytes.subarray(fatesPtr, fatesPtr + fatesLen)];
    this.core.post_ingest(result);
    this.#check();
    return { counted, late, duplicate, repeated, fates };
  }

  advance(nowMs: number): void {
    this.core.advance(nowMs);
    this.#check();
  }

  trending(limit = 10, order: TrendOrder = "trend"): TrendingReport {
    const result = this.core.trending(limit, order === "trend" ? 0 : 1);
    const report = this.#readReport(result);
    this.core.post_trending(result);
    this.#check();
    return report;
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

  get #view(): DataView {
    return new DataView(this.core.memory.buffer);
  }

  #check(): void {
    if (!this.#checks) return;
    const low = Buffer.from(this.bytes.subarray(0, STATE_ADDRESS));
    if (low.equals(this.#base.subarray(0, STATE_ADDRESS))) return;
    const at = low.findIndex((byte, index) => byte !== this.#base[index]);
    throw new Error(`the low page differs from the base at ${at} after a call`);
  }

  #text(at: number): string {
    const view = this.#view;
    const pointer = view.getUint32(at, true);
    const bytes = this.bytes.subarray(pointer, pointer + view.getUint32(at + 4, true));
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  }

  #readReport(at: number): TrendingReport {
    const view = this.#view;
    const u32 = (offset: number) => view.getUint32(at + offset, true);
    const f64 = (offset: number) => view.getFloat64(at + offset, true);
    return {
      asOfMs: f64(0),
      windowStartMs: f64(8),
      windowEndMs: f64(16),
      eventCount: u32(24),
      userCount: u32(28),
      userCountError: f64(32),
      lateCount: u32(40),
      duplicateCount: u32(44),
      repeatedCount: u32(48),
      items: Array.from({ length: u32(56) }, (_, index) => this.#readItem(u32(52) + index * 72)),
      sentences: Array.from({ length: u32(64) }, (_, index) =>
        this.#readSentence(u32(60) + index * 20),
      ),
    };
  }

  #readItem(at: number): TrendItem {
    const view = this.#view;
    const u32 = (offset: number) => view.getUint32(at + offset, true);
    const f64 = (offset: number) => view.getFloat64(at + offset, true);
    return {
      term: this.#text(at),
      count: u32(8),
      countLow: u32(12),
      countHigh: u32(16),
      exact: view.getUint8(at + 20) === 1,
      trending: view.getUint8(at + 21) === 1,
      expected: f64(24),
      significance: f64(32),
      userCount: u32(40),
      userCountError: f64(48),
      firstSeenMs: f64(56),
      sample: this.#text(at + 64),
    };
  }

  #readSentence(at: number): TrendSentence {
    const quotes = this.#view.getUint8(at + 8) === 1;
    return { text: this.#text(at), eventId: quotes ? this.#text(at + 12) : undefined };
  }
}
