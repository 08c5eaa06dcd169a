/**
 * The event datagram: what a client writes, what the kernel and its user-space twin read.
 * Little-endian.
 *
 *   header, 32 bytes      magic u32 "NXE1" · version u8 · kind u8 · count u16 · sender u64 ·
 *                         sequence u64 · reserved u64 (0)
 *   record, 16 bytes      tenant index u32 · term index u32 · value u32 · flags u32
 *                         flags 0: value is a weight, 1 to WEIGHT_MAX
 *                         flags 1: value is a sample of the metric the term names, 0 to 2^32 - 1
 *   dictionary entry      index u32 (highest bit: of a term) · length u16 · utf8
 *
 * `kind` records and dictionary go to the receiver and share one sequence: a gap is loss, for
 * whoever sees it. `kind` request goes back: the receiver misses names of this sender, who should
 * send all its dictionaries again. A sender is a random number of 64 bits, drawn anew by each
 * process, never 0; its indexes are its own and never re-bound. The lowest PLACEMENT_BITS of a
 * tenant's index are those of the hash of its name, so the kernel knows a record's shard without
 * knowing the name.
 *
 * The kernel's side of this layout is bpf/aggregate.h; datagram.test.ts holds the two together.
 */
import { TERM_BYTES_MAX, WEIGHT_MAX } from "./limits.ts";
import { tenantHash } from "./placement.ts";
import { isTenantId } from "./tenant.ts";

export const MAGIC = 0x3145584e;
export const VERSION = 1;
export const KIND_RECORDS = 1;
export const KIND_DICTIONARY = 2;
export const KIND_REQUEST = 3;

export const HEADER_BYTES = 32;
export const HEADER_VERSION_BYTE = 4;
export const HEADER_KIND_BYTE = 5;
export const HEADER_COUNT_BYTE = 6;
export const HEADER_SENDER_BYTE = 8;
export const HEADER_SEQUENCE_BYTE = 16;
export const HEADER_RESERVED_BYTE = 24;

export const RECORD_BYTES = 16;
export const FLAG_METRIC = 1;

/** Bytes of a dictionary entry before its text. */
export const ENTRY_BYTES = 6;
/** Of the index of a dictionary entry: it names a term, not a tenant. */
export const INDEX_TERM = 0x8000_0000;
/** Largest sample of a metric; choose a smaller unit for fractions. */
export const SAMPLE_MAX = 2 ** 32 - 1;

export const TENANT_BITS = 20;
export const TERM_BITS = 22;
export const PLACEMENT_BITS = 8;
export const SEQUENCE_BITS = 44;

export const RECORDS_MAX = 4_092;
/** What UDP over IPv4 can carry, less what is no whole record. */
export const DATAGRAM_BYTES_MAX = HEADER_BYTES + RECORDS_MAX * RECORD_BYTES;
/** A datagram that Ethernet carries in one packet: 90 records. */
export const DATAGRAM_BYTES_ETHERNET = 1_472;

/** Why a datagram is refused, as the receiver's counters name it. */
export type DatagramFault =
  | "truncated"
  | "magicWrong"
  | "versionUnsupported"
  | "kindUnsupported"
  | "reservedSet"
  | "lengthWrong"
  | "senderInvalid"
  | "sequenceRange"
  | "dictionaryMalformed";

export type Header = {
  readonly kind: number;
  readonly count: number;
  readonly sender: bigint;
  readonly sequence: number;
};

export type EventRecord = {
  readonly tenant: number;
  readonly term: number;
  /** As it stands on the wire: a weight, or the bits of a sample. */
  readonly value: number;
  readonly flags: number;
};

export type DictionaryEntry = {
  readonly of: "tenant" | "term";
  readonly index: number;
  readonly name: string;
};

export type Datagram = {
  readonly header: Header;
  readonly records: readonly EventRecord[];
  readonly entries: readonly DictionaryEntry[];
};

export function writeHeader(view: DataView, { kind, count, sender, sequence }: Header): void {
  view.setUint32(0, MAGIC, true);
  view.setUint8(HEADER_VERSION_BYTE, VERSION);
  view.setUint8(HEADER_KIND_BYTE, kind);
  view.setUint16(HEADER_COUNT_BYTE, count, true);
  view.setBigUint64(HEADER_SENDER_BYTE, sender, true);
  writeSequence(view, 0, sequence);
  view.setBigUint64(HEADER_RESERVED_BYTE, 0n, true);
}

/** Into the header that begins at `at`. */
export function writeSequence(view: DataView, at: number, sequence: number): void {
  view.setUint32(at + HEADER_SEQUENCE_BYTE, sequence >>> 0, true);
  view.setUint32(at + HEADER_SEQUENCE_BYTE + 4, Math.floor(sequence / 2 ** 32), true);
}

/** The header of `bytes`, or what is wrong with it. Whether the body fits it is not looked at. */
export function readHeader(bytes: Uint8Array): Header | DatagramFault {
  if (bytes.length < HEADER_BYTES) return "truncated";
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== MAGIC) return "magicWrong";
  if (view.getUint8(HEADER_VERSION_BYTE) !== VERSION) return "versionUnsupported";
  const kind = view.getUint8(HEADER_KIND_BYTE);
  if (kind < KIND_RECORDS || kind > KIND_REQUEST) return "kindUnsupported";
  if (view.getBigUint64(HEADER_RESERVED_BYTE, true) !== 0n) return "reservedSet";
  const sender = view.getBigUint64(HEADER_SENDER_BYTE, true);
  if (sender === 0n) return "senderInvalid";
  const sequence = view.getBigUint64(HEADER_SEQUENCE_BYTE, true);
  if (sequence >> BigInt(SEQUENCE_BITS) !== 0n) return "sequenceRange";
  const count = view.getUint16(HEADER_COUNT_BYTE, true);
  return { kind, count, sender, sequence: Number(sequence) };
}

/** Sixteen bytes at `at`. */
export function writeRecord(view: DataView, at: number, record: EventRecord): void {
  view.setUint32(at, record.tenant, true);
  view.setUint32(at + 4, record.term, true);
  view.setUint32(at + 8, record.value, true);
  view.setUint32(at + 12, record.flags, true);
}

export function readRecord(view: DataView, at: number): EventRecord {
  return {
    tenant: view.getUint32(at, true),
    term: view.getUint32(at + 4, true),
    value: view.getUint32(at + 8, true),
    flags: view.getUint32(at + 12, true),
  };
}

/** Writes the entry at `at`, returns where the next one begins. There must be room. */
export function writeEntry(bytes: Uint8Array, at: number, index: number, name: Uint8Array): number {
  bytes[at] = index & 255;
  bytes[at + 1] = (index >>> 8) & 255;
  bytes[at + 2] = (index >>> 16) & 255;
  bytes[at + 3] = index >>> 24;
  bytes[at + 4] = name.length & 255;
  bytes[at + 5] = name.length >>> 8;
  bytes.set(name, at + ENTRY_BYTES);
  return at + ENTRY_BYTES + name.length;
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The `count` entries of a dictionary's body (what follows the header). Undefined when they do not
 * fill it exactly; an entry that is illegal by itself is left out, and the others count.
 */
export function readEntries(body: Uint8Array, count: number): DictionaryEntry[] | undefined {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const entries: DictionaryEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + ENTRY_BYTES > body.length) return undefined;
    const start = at + ENTRY_BYTES;
    const end = start + view.getUint16(at + 4, true);
    if (end > body.length) return undefined;
    const entry = readEntry(view.getUint32(at, true), body.subarray(start, end));
    if (entry !== undefined) entries.push(entry);
    at = end;
  }
  return at === body.length ? entries : undefined;
}

function readEntry(tagged: number, text: Uint8Array): DictionaryEntry | undefined {
  const name = decode(text);
  if (name === undefined) return undefined;
  if (tagged >= INDEX_TERM) {
    const index = tagged - INDEX_TERM;
    return index < 2 ** TERM_BITS && isTermName(name) ? { of: "term", index, name } : undefined;
  }
  const legal = tagged < 2 ** TENANT_BITS && isTenantId(name);
  const placed = (tagged & (2 ** PLACEMENT_BITS - 1)) === placementOf(name);
  return legal && placed ? { of: "tenant", index: tagged, name } : undefined;
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

/** A whole datagram, for tests and tools; the receivers read the records where they lie. */
export function readDatagram(bytes: Uint8Array): Datagram | DatagramFault {
  const header = readHeader(bytes);
  if (typeof header === "string") return header;
  const body = bytes.subarray(HEADER_BYTES);
  if (header.kind === KIND_DICTIONARY) {
    const entries = readEntries(body, header.count);
    return entries === undefined ? "dictionaryMalformed" : { header, records: [], entries };
  }
  const recordBytes = header.kind === KIND_RECORDS ? header.count * RECORD_BYTES : 0;
  if (header.count > RECORDS_MAX || body.length !== recordBytes) return "lengthWrong";
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const records: EventRecord[] = [];
  for (let at = 0; at < body.length; at += RECORD_BYTES) records.push(readRecord(view, at));
  return { header, records, entries: [] };
}

/** The lowest bits of the indexes of a tenant. */
export function placementOf(tenant: string): number {
  return tenantHash(tenant) & (2 ** PLACEMENT_BITS - 1);
}

/** Index of the `nth` tenant of a placement, from 0; undefined: the sender has no more of them. */
export function tenantIndex(placement: number, nth: number): number | undefined {
  if (nth >= 2 ** (TENANT_BITS - PLACEMENT_BITS)) return undefined;
  return nth * 2 ** PLACEMENT_BITS + placement;
}

export function isWeight(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= WEIGHT_MAX;
}

export function isSample(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= SAMPLE_MAX;
}

const encoder = new TextEncoder();

/** Whether a term or a metric may be called so: TERM_BYTES_MAX bytes, no control characters. */
export function isTermName(name: string): boolean {
  if (name === "" || name.length > TERM_BYTES_MAX || !name.isWellFormed()) return false;
  for (let i = 0; i < name.length; i++) {
    const unit = name.charCodeAt(i);
    if (unit < 0x20 || unit === 0x7f) return false;
  }
  return encoder.encode(name).length <= TERM_BYTES_MAX;
}
