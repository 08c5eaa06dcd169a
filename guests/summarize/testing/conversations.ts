/** Drives conversations and rolling texts through their probe, and reads what they tell. */
import { compileGuest } from "./compile.ts";

export type Said = {
  readonly conversation?: string;
  readonly user?: string;
  readonly id?: string;
  readonly text?: string | Uint8Array;
  readonly tsMs?: number;
  readonly late?: boolean;
};

export type Item = {
  readonly id: string;
  readonly eventCount: number;
  readonly userCount: number;
  readonly userCountError: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly late: boolean;
};

export type Line = {
  readonly kind: "said" | "question" | "decision";
  readonly user: string;
  readonly eventId: string;
  readonly tsMs: number;
  readonly text: string;
};

export type Text = {
  readonly text: string;
  readonly lines: readonly Line[];
  readonly openQuestions: readonly Line[];
  readonly decisions: readonly Line[];
  readonly revision: number;
};

export type Report = {
  readonly item: Item;
  readonly participants: readonly { readonly user: string; readonly eventCount: number }[];
  readonly text: Text;
};

type Probe = {
  readonly memory: WebAssembly.Memory;
  readonly REGION: { readonly value: number };
  room(bytes: number): number;
  reset(): void;
  observe(...fields: number[]): void;
  observeAll(bytes: number, list: number, count: number, rounds: number, only: number): number;
  countOf(): number;
  singlesOf(): number;
  usedOf(): number;
  evictionsOf(): number;
  eventsEvictedOf(): number;
  recordBytes(index: number): number;
  list(limit: number): number;
  find(id: number, idLen: number): number;
  ownText(): number;
};

export const REGION_BYTES = 20 * 1024;
const KINDS = ["said", "question", "decision"] as const;
const module = await compileGuest("guests/summarize/assembly/probes/conversations.ts");
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** The conversations of one tenant. */
export class ConversationsProbe {
  readonly core = new WebAssembly.Instance(module, {}).exports as unknown as Probe;
  readonly bytes: number;
  readonly #start: number;
  eventNumber = 0;

  constructor(bytes = REGION_BYTES) {
    this.bytes = bytes;
    this.#start = this.core.REGION.value;
  }

  /** The region, as it lies in memory. */
  get region(): Uint8Array {
    return new Uint8Array(this.core.memory.buffer, this.#start, this.bytes);
  }

  /** The 32 KiB behind the region, which nobody may touch. */
  get beyond(): Uint8Array {
    return new Uint8Array(this.core.memory.buffer, this.#start + this.bytes, 32 * 1024);
  }

  say(said: Said): void {
    const fields = [said.conversation, said.user, said.id, said.text].flatMap((text) => {
      const bytes = text instanceof Uint8Array ? text : encoder.encode(text ?? "");
      const at = this.core.room(bytes.length + 8);
      new Uint8Array(this.core.memory.buffer).set(bytes, at);
      return [at, bytes.length];
    });
    const ms = said.tsMs ?? 1_700_000_000_000 + this.eventNumber * 1000;
    this.eventNumber += 1;
    this.core.observe(this.bytes, ...fields, ms, this.eventNumber, said.late === true ? 1 : 0);
    this.core.reset();
  }

  list(limit = 1000): Item[] {
    const view = this.#view;
    const listed = this.core.list(limit);
    const [at, count] = [view.getUint32(listed, true), view.getUint32(listed + 4, true)];
    const items = Array.from({ length: count }, (_, index) => this.#item(at + index * 56));
    this.core.reset();
    return items;
  }

  find(id: string): Report | undefined {
    const bytes = encoder.encode(id);
    const idAt = this.core.room(bytes.length + 8);
    new Uint8Array(this.core.memory.buffer).set(bytes, idAt);
    const found = this.core.find(idAt, bytes.length);
    let report: Report | undefined;
    if (found !== 0) {
      const view = this.#view;
      const u32 = (at: number) => view.getUint32(at, true);
      const people = u32(found + 4);
      report = {
        item: this.#item(u32(found)),
        participants: Array.from({ length: u32(people + 4) }, (_, index) => {
          const at = u32(people) + index * 16;
          return { user: this.#text(at), eventCount: view.getFloat64(at + 8, true) };
        }),
        text: this.#rollingText(u32(found + 8)),
      };
    }
    this.core.reset();
    return report;
  }

  ownText(): Text {
    const text = this.#rollingText(this.core.ownText());
    this.core.reset();
    return text;
  }

  get #view(): DataView {
    return new DataView(this.core.memory.buffer);
  }

  #text(at: number): string {
    const [start, length] = [this.#view.getUint32(at, true), this.#view.getUint32(at + 4, true)];
    return decoder.decode(new Uint8Array(this.core.memory.buffer, start, length));
  }

  #item(at: number): Item {
    const f64 = (offset: number) => this.#view.getFloat64(at + offset, true);
    return {
      id: this.#text(at),
      eventCount: f64(8),
      userCount: f64(16),
      userCountError: f64(24),
      firstMs: f64(32),
      lastMs: f64(40),
      late: this.#view.getUint8(at + 48) === 1,
    };
  }

  #rollingText(at: number): Text {
    const view = this.#view;
    const lines = (offset: number): Line[] =>
      Array.from({ length: view.getUint32(at + offset + 4, true) }, (_, index) => {
        const line = view.getUint32(at + offset, true) + index * 40;
        return {
          kind: KINDS[view.getUint8(line)]!,
          user: this.#text(line + 4),
          eventId: this.#text(line + 12),
          tsMs: view.getFloat64(line + 24, true),
          text: this.#text(line + 32),
        };
      });
    return {
      text: this.#text(at),
      lines: lines(8),
      openQuestions: lines(16),
      decisions: lines(24),
      revision: view.getFloat64(at + 32, true),
    };
  }
}
