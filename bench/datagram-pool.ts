/**
 * Event datagrams drawn beforehand, back to back in one memory, so that sending them costs no
 * thought; and what they add up to, exactly, for whoever counted at the other end.
 */
import { Names } from "../client/names.ts";
import {
  HEADER_BYTES,
  KIND_DICTIONARY,
  KIND_RECORDS,
  readRecord,
  RECORD_BYTES,
  TENANT_BITS,
  writeHeader,
  writeRecord,
} from "#model/datagram.ts";
import { Random } from "#std/random.ts";
import { tenantName, Zipf } from "./workload.ts";

export type PoolSettings = {
  readonly seed: number;
  readonly tenantCount: number;
  readonly tenantExponent: number;
  /** Names of terms; each tenant uses all of them, by the same law. */
  readonly termCount: number;
  readonly termExponent: number;
  readonly weightMax: number;
  /** Events in the pool; it is sent over and over. */
  readonly poolEvents: number;
  /** Bytes of a datagram at most: 65,504 for a loopback, 1,472 for Ethernet. */
  readonly datagramBytes: number;
};

/** By number of the tenant, see `tenantName`. */
export type Totals = {
  readonly counts: Float64Array;
  readonly weights: Float64Array;
  /** Sums of weight x (number of the term + 1). */
  readonly checksums: Float64Array;
};

export class DatagramPool {
  readonly datagramCount: number;
  readonly datagramBytes: number;
  readonly datagramEvents: number;
  /** All datagrams, each `datagramBytes` long; sequences are still to be written. */
  readonly view: DataView<ArrayBuffer>;
  /** All names, in datagrams of their own. */
  readonly dictionaries: readonly DataView<ArrayBuffer>[];
  readonly #numberOfIndex = new Uint32Array(2 ** TENANT_BITS);
  readonly #tenantCount: number;
  readonly #termCount: number;

  constructor(settings: PoolSettings, sender: bigint) {
    const { tenantCount, termCount, datagramBytes, poolEvents } = settings;
    this.#tenantCount = tenantCount;
    this.#termCount = termCount;
    this.datagramEvents = Math.min(
      Math.floor((datagramBytes - HEADER_BYTES) / RECORD_BYTES),
      poolEvents,
    );
    this.datagramBytes = HEADER_BYTES + this.datagramEvents * RECORD_BYTES;
    this.datagramCount = Math.ceil(poolEvents / this.datagramEvents);
    this.view = new DataView(new ArrayBuffer(this.datagramCount * this.datagramBytes));
    const names = new Names({ tenantCountMax: tenantCount, termCountMax: termCount });
    const tenants = Uint32Array.from({ length: tenantCount }, (_, n) =>
      names.tenant(tenantName(n)),
    );
    for (let n = 0; n < termCount; n++) names.term(termName(n));
    for (const [n, index] of tenants.entries()) this.#numberOfIndex[index] = n;
    this.dictionaries = writeDictionaries(names, datagramBytes, sender);
    this.#draw(settings, tenants, sender);
  }

  /** Different pairs of tenant and term in the whole pool. */
  countPairs(): number {
    const seen = new Uint8Array(this.#tenantCount * this.#termCount);
    let pairs = 0;
    for (let datagram = 0; datagram < this.datagramCount; datagram++) {
      const start = datagram * this.datagramBytes + HEADER_BYTES;
      for (let i = 0; i < this.datagramEvents; i++) {
        const at = start + i * RECORD_BYTES;
        const number = this.#numberOfIndex[this.view.getUint32(at, true)]!;
        const pair = number * this.#termCount + this.view.getUint32(at + 4, true);
        pairs += 1 - seen[pair]!;
        seen[pair] = 1;
      }
    }
    return pairs;
  }

  /** What was sent when each datagram was sent so many times. */
  totals(timesSent: Uint32Array): Totals {
    const counts = new Float64Array(this.#tenantCount);
    const weights = new Float64Array(this.#tenantCount);
    const checksums = new Float64Array(this.#tenantCount);
    for (let datagram = 0; datagram < this.datagramCount; datagram++) {
      const times = timesSent[datagram]!;
      if (times === 0) continue;
      const start = datagram * this.datagramBytes + HEADER_BYTES;
      for (let i = 0; i < this.datagramEvents; i++) {
        const { tenant, term, value } = readRecord(this.view, start + i * RECORD_BYTES);
        const number = this.#numberOfIndex[tenant]!;
        counts[number]! += times;
        weights[number]! += times * value;
        checksums[number]! += times * value * (term + 1);
      }
    }
    return { counts, weights, checksums };
  }

  /** Weights of a tenant's terms, by name, largest first. */
  terms(tenant: number, timesSent: Uint32Array): Map<string, number> {
    const weights = new Map<number, number>();
    for (let datagram = 0; datagram < this.datagramCount; datagram++) {
      const start = datagram * this.datagramBytes + HEADER_BYTES;
      for (let i = 0; i < this.datagramEvents; i++) {
        const at = start + i * RECORD_BYTES;
        if (this.#numberOfIndex[this.view.getUint32(at, true)] !== tenant) continue;
        const { term, value } = readRecord(this.view, at);
        weights.set(term, (weights.get(term) ?? 0) + value * timesSent[datagram]!);
      }
    }
    const sorted = [...weights].filter(([, weight]) => weight > 0).sort((a, b) => b[1] - a[1]);
    return new Map(sorted.map(([term, weight]) => [termName(term), weight]));
  }

  #draw(settings: PoolSettings, tenants: Uint32Array, sender: bigint): void {
    const random = new Random(settings.seed);
    const tenantLaw = new Zipf(settings.tenantCount, settings.tenantExponent);
    const termLaw = new Zipf(settings.termCount, settings.termExponent);
    const count = this.datagramEvents;
    for (let datagram = 0; datagram < this.datagramCount; datagram++) {
      const start = datagram * this.datagramBytes;
      const header = new DataView(this.view.buffer, start, HEADER_BYTES);
      writeHeader(header, { kind: KIND_RECORDS, count, sender, sequence: 0 });
      for (let i = 0; i < count; i++) {
        writeRecord(this.view, start + HEADER_BYTES + i * RECORD_BYTES, {
          tenant: tenants[tenantLaw.draw(random)]!,
          term: termLaw.draw(random),
          value: 1 + random.below(settings.weightMax),
          flags: 0,
        });
      }
    }
  }
}

/** Two letters at least, so that nothing takes it for a number or a stop word. */
export function termName(term: number): string {
  return `word-${String(term).padStart(4, "0")}`;
}

function writeDictionaries(
  names: Names,
  datagramBytes: number,
  sender: bigint,
): DataView<ArrayBuffer>[] {
  const datagrams: DataView<ArrayBuffer>[] = [];
  for (let start = 0; start < names.end;) {
    const bytes = new Uint8Array(Math.min(datagramBytes, HEADER_BYTES + names.end - start));
    const { end, count } = names.copy(start, bytes, HEADER_BYTES);
    const view = new DataView(bytes.buffer, 0, HEADER_BYTES + end - start);
    writeHeader(view, { kind: KIND_DICTIONARY, count, sender, sequence: 0 });
    datagrams.push(view);
    start = end;
  }
  return datagrams;
}
