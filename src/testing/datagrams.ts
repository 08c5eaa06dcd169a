/** Event datagrams of one sender, for tests: right ones, and the parts to make wrong ones of. */
import {
  ENTRY_BYTES,
  FLAG_METRIC,
  HEADER_BYTES,
  INDEX_TERM,
  KIND_DICTIONARY,
  KIND_RECORDS,
  placementOf,
  RECORD_BYTES,
  tenantIndex,
  writeEntry,
  writeHeader,
  writeRecord,
} from "#model/datagram.ts";

export type TestRecord = {
  readonly tenant: number;
  readonly term: number;
  readonly value: number;
  readonly flags: number;
};

export class TestSender {
  readonly id: bigint;
  sequence = 0;

  constructor(id: bigint) {
    this.id = id;
  }

  records(records: readonly TestRecord[]): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(HEADER_BYTES + records.length * RECORD_BYTES);
    const view = new DataView(bytes.buffer);
    this.#header(view, KIND_RECORDS, records.length);
    records.forEach((record, i) => writeRecord(view, HEADER_BYTES + i * RECORD_BYTES, record));
    return bytes;
  }

  /** Pairs: index (a term's with INDEX_TERM), name. */
  dictionary(entries: readonly (readonly [number, string])[]): Uint8Array<ArrayBuffer> {
    const texts = entries.map(([, name]) => new TextEncoder().encode(name));
    const bodyBytes = texts.reduce((sum, text) => sum + ENTRY_BYTES + text.length, 0);
    const bytes = new Uint8Array(HEADER_BYTES + bodyBytes);
    this.#header(new DataView(bytes.buffer), KIND_DICTIONARY, entries.length);
    let at = HEADER_BYTES;
    entries.forEach(([index], i) => (at = writeEntry(bytes, at, index, texts[i]!)));
    return bytes;
  }

  #header(view: DataView, kind: number, count: number): void {
    writeHeader(view, { kind, count, sender: this.id, sequence: this.sequence++ });
  }
}

/** Indexes that a sender would give these tenants, in this order. */
export function tenantIndexes(names: readonly string[]): number[] {
  const taken = new Map<number, number>();
  return names.map((name) => {
    const placement = placementOf(name);
    const nth = taken.get(placement) ?? 0;
    taken.set(placement, nth + 1);
    return tenantIndex(placement, nth)!;
  });
}

export function weightRecord(tenant: number, term: number, weight: number): TestRecord {
  return { tenant, term, value: weight, flags: 0 };
}

export function sampleRecord(tenant: number, term: number, sample: number): TestRecord {
  return { tenant, term, value: sample, flags: FLAG_METRIC };
}

export function termEntry(index: number, name: string): readonly [number, string] {
  return [INDEX_TERM + index, name];
}
