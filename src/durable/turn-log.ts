/**
 * The calls that components were given, gathered into blocks.
 *
 *   block   0 u32 "NXL1"     4 u32 CRC-32 of all that follows      8 u32 stream
 *          12 u32 entries     16 u32 bytes of entries              20 u32 0
 *          24 f64 number      32 f64 host time of the last entry
 *   entry   0 u16 kind      2 u16 world       4 u32 tenant      8 u32 bytes of body   12 u32 0
 *          16 two u32 or one f64, as the kind has it            24 body, padded to 8
 *
 * All numbers are little-endian. `tenant` is the stream's number of it; its name (NAME_ENTRY) comes
 * before its first turn in the stream and before the first one after each of its snapshots: so it
 * is there wherever the log is trimmed. Before the name stands what the turns go on from: as an f64
 * the number of the tenant's newest snapshot, whose stream is the entry's first number; 0: from
 * nothing; GOES_ON: from what the start of this stream made of the streams before. So a reader
 * knows whether something is missing. The entry's second number has those of the components that
 * the tenant runs, as the store numbers them: of the first world, and above it of the second.
 *
 * Blocks are numbered in doubles: at a thousand a second 32 bits would be over in 50 days.
 *
 * A turn is appended beyond the end and counts once `publish` moves the end by one store: the guard
 * of a host may end a slice at any statement, and a turn is in the log if and only if it is in the
 * slot's journal and in the books. So it is called in the same straight line (tenant-host.ts).
 */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { BATCH_BYTES_MAX, LOG_BLOCK_BYTES_MAX } from "#model/limits.ts";
import { DamagedRecord, type LogBlock } from "./durable-store.ts";

export const HOST_WORLD = 0;
/** Entries of the host's own, beside those of the worlds (journal.ts). */
export const NAME_ENTRY = 1;
export const GOES_ON = -1;
export const CLOSE_ENTRY = 2;
/** The tenant's flags, which are its settings. */
export const FLAGS_ENTRY = 3;
/**
 * Of either world, above the kinds of its journal: from here on the tenant's component of that
 * world is another; which, as the store numbers it.
 */
export const UPGRADE_ENTRY = 0xff00;

const MAGIC = 0x314c584e;
const CRC_FROM = 8;
export const BLOCK_HEADER_BYTES = 40;
/** Of a block, for who takes it out of a ring. */
export const BLOCK_BYTES_AT = 16;
export const BLOCK_NUMBER_AT = 24;
export const ENTRY_HEADER_BYTES = 24;

assert(BLOCK_HEADER_BYTES + ENTRY_HEADER_BYTES + BATCH_BYTES_MAX <= LOG_BLOCK_BYTES_MAX);

/** Where the entries that count end, where the appended one does; and how many they are. */
const CURSOR = { end: 0, pendingEnd: 1, count: 2, pendingCount: 3 } as const;

export class TurnLog {
  readonly stream: number;
  readonly #bytes = Buffer.alloc(LOG_BLOCK_BYTES_MAX);
  readonly #view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset);
  #number: number;
  /** See CURSOR: whoever publishes does it by two stores, without a call. */
  readonly cursor = Float64Array.of(BLOCK_HEADER_BYTES, BLOCK_HEADER_BYTES, 0, 0);

  /** `number`: of the last block that the stream has already. */
  constructor(stream: number, number = 0) {
    this.stream = stream;
    this.#number = number;
  }

  /** Number of the block that is being gathered: what is appended now is on disk with it. */
  get number(): number {
    return this.#number + 1;
  }

  get isEmpty(): boolean {
    return this.#end === BLOCK_HEADER_BYTES;
  }

  hasRoom(bodyBytes: number): boolean {
    return this.#end + ENTRY_HEADER_BYTES + padded(bodyBytes) <= LOG_BLOCK_BYTES_MAX;
  }

  /** Hot. With two numbers, and a body. */
  append(
    world: number,
    kind: number,
    tenant: number,
    first: number,
    second: number,
    source: Uint8Array,
    byteOffset: number,
    byteCount: number,
  ): void {
    const at = this.#head(world, kind, tenant, byteCount);
    this.#view.setUint32(at + 16, first, true);
    this.#view.setUint32(at + 20, second, true);
    const bodyAt = at + ENTRY_HEADER_BYTES;
    Buffer.prototype.copy.call(source, this.#bytes, bodyAt, byteOffset, byteOffset + byteCount);
    // The padding too is always the same, so that equal turns are equal bytes.
    this.#bytes.fill(0, bodyAt + byteCount, this.cursor[CURSOR.pendingEnd]);
  }

  /** Hot. With a time, and nothing else. */
  appendAt(world: number, kind: number, tenant: number, time: number): void {
    const at = this.#head(world, kind, tenant, 0);
    this.#view.setFloat64(at + 16, time, true);
  }

  /** The tenant's name, and which snapshot the turns after it go on from. */
  appendName(tenant: number, name: string, stream: number, number: number, components = 0): void {
    const body = Buffer.alloc(8 + name.length);
    body.writeDoubleLE(number);
    body.write(name, 8, "latin1");
    this.append(HOST_WORLD, NAME_ENTRY, tenant, stream, components, body, 0, body.length);
    this.publish();
  }

  /** What was appended counts from now on. */
  publish(): void {
    const { cursor } = this;
    cursor[CURSOR.end] = cursor[CURSOR.pendingEnd]!;
    cursor[CURSOR.count] = cursor[CURSOR.pendingCount]!;
  }

  /** What was appended and not published is dropped. */
  drop(): void {
    const { cursor } = this;
    cursor[CURSOR.pendingEnd] = cursor[CURSOR.end]!;
    cursor[CURSOR.pendingCount] = cursor[CURSOR.count]!;
  }

  /**
   * Ends the block; its bytes are good until the next `append`. Undefined: there is nothing in it.
   */
  seal(nowMs: number): LogBlock | undefined {
    if (this.isEmpty) return undefined;
    const { stream } = this;
    this.#number += 1;
    const bytes = this.#bytes.subarray(0, this.#end);
    const view = this.#view;
    view.setUint32(0, MAGIC, true);
    view.setUint32(8, stream, true);
    view.setUint32(12, this.cursor[CURSOR.count]!, true);
    view.setUint32(BLOCK_BYTES_AT, this.#end - BLOCK_HEADER_BYTES, true);
    view.setUint32(20, 0, true);
    view.setFloat64(BLOCK_NUMBER_AT, this.#number, true);
    view.setFloat64(32, nowMs, true);
    view.setUint32(4, crc32(bytes.subarray(CRC_FROM)), true);
    this.cursor[CURSOR.end] = BLOCK_HEADER_BYTES;
    this.cursor[CURSOR.count] = 0;
    this.drop();
    return { stream, number: this.#number, bytes };
  }

  get #end(): number {
    return this.cursor[CURSOR.end]!;
  }

  #head(world: number, kind: number, tenant: number, byteCount: number): number {
    const { cursor } = this;
    const at = this.#end;
    const pendingEnd = at + ENTRY_HEADER_BYTES + padded(byteCount);
    assert(pendingEnd <= LOG_BLOCK_BYTES_MAX);
    cursor[CURSOR.pendingEnd] = pendingEnd;
    cursor[CURSOR.pendingCount] = cursor[CURSOR.count]! + 1;
    this.#view.setUint16(at, kind, true);
    this.#view.setUint16(at + 2, world, true);
    this.#view.setUint32(at + 4, tenant, true);
    this.#view.setUint32(at + 8, byteCount, true);
    this.#view.setUint32(at + 12, 0, true);
    return at;
  }
}

/** Reads a block's entries in place: fields of the entry at hand, no object an entry. */
export class BlockReader {
  nowMs = 0;
  kind = 0;
  world = 0;
  tenant = 0;
  first = 0;
  second = 0;
  time = 0;
  bytes: Buffer = Buffer.alloc(0);
  bodyOffset = 0;
  bodyBytes = 0;
  #view = new DataView(this.bytes.buffer);
  #end = 0;
  #next = 0;

  /** Throws DamagedRecord unless every byte is as it was sealed. */
  open({ stream, number, bytes }: LogBlock): void {
    const name = `block ${number} of stream ${stream}`;
    // A file that somebody else wrote to may hold anything in this place.
    if (!(bytes instanceof Uint8Array)) throw new DamagedRecord(`${name} is no block`);
    if (bytes.length < BLOCK_HEADER_BYTES) throw new DamagedRecord(`${name} is cut off`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (view.getUint32(0, true) !== MAGIC) throw new DamagedRecord(`${name} is no block`);
    if (bytes.length !== BLOCK_HEADER_BYTES + view.getUint32(BLOCK_BYTES_AT, true)) {
      throw new DamagedRecord(`${name} is cut off`);
    }
    if (view.getUint32(4, true) !== crc32(bytes.subarray(CRC_FROM))) {
      throw new DamagedRecord(`${name} is not what was written: its checksum differs`);
    }
    if (view.getUint32(8, true) !== stream || view.getFloat64(BLOCK_NUMBER_AT, true) !== number) {
      throw new DamagedRecord(`${name} is another block`);
    }
    // The checksum held; so if entries do not fit, whoever sealed them was wrong.
    if (!isFilled(view)) throw new DamagedRecord(`${name} holds no whole entries`);
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#view = view;
    this.nowMs = view.getFloat64(32, true);
    this.#end = bytes.length;
    this.#next = BLOCK_HEADER_BYTES;
  }

  /** The next entry; false: there is none. */
  next(): boolean {
    const at = this.#next;
    if (at === this.#end) return false;
    const view = this.#view;
    this.kind = view.getUint16(at, true);
    this.world = view.getUint16(at + 2, true);
    this.tenant = view.getUint32(at + 4, true);
    this.bodyBytes = view.getUint32(at + 8, true);
    this.first = view.getUint32(at + 16, true);
    this.second = view.getUint32(at + 20, true);
    this.time = view.getFloat64(at + 16, true);
    this.bodyOffset = at + ENTRY_HEADER_BYTES;
    this.#next = this.bodyOffset + padded(this.bodyBytes);
    return true;
  }
}

/** Whether entries, as many as the head says, fill the block. */
function isFilled(view: DataView): boolean {
  let count = 0;
  let at = BLOCK_HEADER_BYTES;
  while (at + ENTRY_HEADER_BYTES <= view.byteLength) {
    const bodyBytes = view.getUint32(at + 8, true);
    if (bodyBytes > LOG_BLOCK_BYTES_MAX) return false;
    at += ENTRY_HEADER_BYTES + padded(bodyBytes);
    count += 1;
  }
  return at === view.byteLength && count === view.getUint32(12, true);
}

function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}
