/**
 * Turns the JSON of a shard's events into binary batches, one run a tenant, without an object or a
 * string an event: parsing, checking and grouping are Wasm (batcher/assembly), this is its door.
 *
 * Fill `input`, call `parse`, read what became of the elements; when `full` says so, or when the
 * step is over, `group`, hand out the batches, `clear`. Every element is either accepted or
 * rejected with one error.
 */
import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { TENANT_COUNT_MAX, TENANT_ID_BYTES_MAX } from "#model/limits.ts";
import { isTenantId } from "#model/tenant.ts";
import {
  type BatcherExports,
  instantiateBatcher,
  RESULT_ACCEPTED,
  RESULT_BATCH_TABLE,
  RESULT_BATCHES,
  RESULT_CONSUMED,
  RESULT_ELEMENTS,
  RESULT_ERRORS,
  RESULT_EVENTS,
  RESULT_FULL,
  RESULT_GROUPED,
  RESULT_REJECTED,
  RESULT_TENANTS,
} from "./module.ts";

/** `lines`: NDJSON. `elements`: as the splitter writes them (src/batcher/splitter.ts). */
export type RecordKind = "lines" | "elements";

/** Bytes of `input`: a chunk of 64 KiB, one more element or line, and room for headers. */
export const INPUT_BYTES = 192 * 1024;
const ARENA_BYTES = 4 * 1024 * 1024;
/** An arena takes the longest event, several times. */
const ARENA_BYTES_MIN = 64 * 1024;

// Of a tenant's record, batcher/assembly/tenants.ts.
const RECORD_NAME_BYTES = 4;
const RECORD_FLAGS = 5;
// Words of an entry of the batch table, batcher/assembly/arena.ts.
const BATCH_WORDS = 5;

export class Batcher {
  /** Of the last `parse`. The bytes of `input` that were taken; the rest waits for room. */
  consumedBytes = 0;
  /** Events seen by the last `parse`: `acceptedCount` + `rejectedCount`. */
  elementCount = 0;
  acceptedCount = 0;
  rejectedCount = 0;
  /** Errors stored by the last `parse`, at most ERRORS_LISTED_MAX. */
  errorCount = 0;
  /** The last `parse` stopped early, for lack of room: `group`, `clear`, and parse the rest. */
  full = false;
  /** Events that wait for `group`. */
  eventCount = 0;
  /** Numbers of tenants are below it; those of removed ones are, too, until they are given anew. */
  tenantCount = 0;
  readonly tenantCountMax: number;

  readonly #wasm: BatcherExports;
  readonly #inputAddress: number;
  readonly #nameAddress: number;
  readonly #resultWord: number;
  readonly #errorWord: number;
  // Views of the memory, made anew when it grows.
  #memory: Uint8Array<ArrayBuffer>;
  #words: Uint32Array<ArrayBuffer>;
  #input: Uint8Array<ArrayBuffer>;
  // Of the last `group`.
  #batchWord = 0;
  #groupedWord = 0;

  /** `hashSeed`: where tenants lie in the table hangs on it, and nothing else. */
  constructor(
    options: { tenantCountMax?: number; arenaBytesMax?: number; hashSeed?: number } = {},
  ) {
    const { tenantCountMax = TENANT_COUNT_MAX, arenaBytesMax = ARENA_BYTES } = options;
    const { hashSeed = randomInt(2 ** 32) } = options;
    assert(tenantCountMax >= 1);
    assert(tenantCountMax <= TENANT_COUNT_MAX);
    assert(arenaBytesMax >= ARENA_BYTES_MIN);
    assert(arenaBytesMax <= 16 * ARENA_BYTES);
    this.tenantCountMax = tenantCountMax;
    this.#wasm = instantiateBatcher();
    this.#inputAddress = this.#wasm.batcherInit(tenantCountMax, arenaBytesMax, hashSeed);
    this.#nameAddress = this.#wasm.nameAddress();
    this.#resultWord = this.#wasm.resultsAddress() >>> 2;
    this.#errorWord = this.#wasm.errorsAddress() >>> 2;
    const { buffer } = this.#wasm.memory;
    this.#memory = new Uint8Array(buffer);
    this.#words = new Uint32Array(buffer);
    this.#input = new Uint8Array(buffer, this.#inputAddress, INPUT_BYTES);
  }

  /** Where the caller puts a record, INPUT_BYTES long. Ask anew after every call. */
  get input(): Uint8Array {
    return this.#input;
  }

  /** All memory, for the batches. Ask anew after every call. */
  get memory(): Uint8Array {
    return this.#memory;
  }

  /**
   * Parses the first `byteCount` bytes of `input`. `tenant`: number of the tenant of all events, or
   * -1: each names its own, and new ones are added. `origin`: u32 number of the request.
   * `firstIndex`: index in the request of the first line; of elements that carry no index of their
   * own likewise. `nowMs`: for events without a time, and to refuse those from the future.
   */
  parse(
    kind: RecordKind,
    byteCount: number,
    tenant: number,
    origin: number,
    firstIndex: number,
    nowMs: number,
  ): void {
    assert(byteCount <= INPUT_BYTES);
    assert(tenant < this.tenantCount);
    const wasm = this.#wasm;
    if (kind === "lines") wasm.parseLines(byteCount, tenant, origin, firstIndex, nowMs);
    else if (wasm.parseElements(byteCount, tenant, origin, firstIndex, nowMs) === 0) {
      throw new Error("A record of elements is torn: it ends inside an element.");
    }
    this.#refreshViews();
    const words = this.#words;
    const result = this.#resultWord;
    this.consumedBytes = words[result + RESULT_CONSUMED]!;
    this.elementCount = words[result + RESULT_ELEMENTS]!;
    this.acceptedCount = words[result + RESULT_ACCEPTED]!;
    this.rejectedCount = words[result + RESULT_REJECTED]!;
    this.errorCount = words[result + RESULT_ERRORS]!;
    this.full = words[result + RESULT_FULL] !== 0;
    this.eventCount = words[result + RESULT_EVENTS]!;
    this.tenantCount = words[result + RESULT_TENANTS]!;
  }

  /** Index in its request of the `error`-th rejected element of the last `parse`. */
  errorIndex(error: number): number {
    assert(error < this.errorCount);
    return this.#words[this.#errorWord + 2 * error]!;
  }

  /** Its error, a number of EVENT_ERRORS. */
  errorCode(error: number): number {
    assert(error < this.errorCount);
    return this.#words[this.#errorWord + 2 * error + 1]!;
  }

  /**
   * Lays out all waiting events by tenant, in order of arrival within a tenant, and returns the
   * number of batches. They stay where they are until `clear`.
   */
  group(nowMs: number): number {
    this.#wasm.group(nowMs);
    const words = this.#words;
    this.#batchWord = words[this.#resultWord + RESULT_BATCH_TABLE]! >>> 2;
    this.#groupedWord = words[this.#resultWord + RESULT_GROUPED]! >>> 2;
    return words[this.#resultWord + RESULT_BATCHES]!;
  }

  batchTenant(batch: number): number {
    return this.#words[this.#batchWord + BATCH_WORDS * batch]!;
  }

  /** Where in `memory` the batch begins. */
  batchByteOffset(batch: number): number {
    return this.#words[this.#batchWord + BATCH_WORDS * batch + 1]!;
  }

  batchByteCount(batch: number): number {
    return this.#words[this.#batchWord + BATCH_WORDS * batch + 2]!;
  }

  batchEventCount(batch: number): number {
    return this.#words[this.#batchWord + BATCH_WORDS * batch + 3]!;
  }

  /** Messages are never joined; the kernel stage's drain is another matter. */
  batchJoinedCount(_batch: number): number {
    return 0;
  }

  /** Number of the request that the `event`-th event of a batch came with. */
  eventOrigin(batch: number, event: number): number {
    const first = this.#words[this.#batchWord + BATCH_WORDS * batch + 4]!;
    return this.#words[this.#groupedWord + 2 * (first + event)]!;
  }

  /** Its index in that request. */
  eventIndex(batch: number, event: number): number {
    const first = this.#words[this.#batchWord + BATCH_WORDS * batch + 4]!;
    return this.#words[this.#groupedWord + 2 * (first + event) + 1]!;
  }

  /** Forgets the events; tenants stay. */
  clear(): void {
    this.#wasm.clear();
    this.eventCount = 0;
  }

  /** Number of a known tenant, or -1. */
  tenantFind(name: string | Uint8Array): number {
    if (name.length === 0 || name.length > TENANT_ID_BYTES_MAX) return -1;
    return this.#putName(name) ? this.#wasm.find(name.length) : -1;
  }

  /**
   * Number of the tenant, known or new; -1 when there are too many. The name must be a legal one.
   */
  tenantAdd(name: string): number {
    assert(isTenantId(name), `${name} is not a tenant id.`);
    this.#putName(name);
    const tenant = this.#wasm.add(name.length);
    this.#refreshViews();
    if (tenant >= this.tenantCount) this.tenantCount = tenant + 1;
    return tenant;
  }

  /** Tenants that there are. */
  get liveTenantCount(): number {
    return this.tenantCount - this.#wasm.freeTenants();
  }

  /** Whether a tenant has the number. */
  hasTenant(tenant: number): boolean {
    return this.#memory[this.#recordOf(tenant) + RECORD_NAME_BYTES]! > 0;
  }

  /**
   * Forgets the tenant: its number is the next new one's. Between a `clear` and a `parse`, and not
   * before everybody who knows the number has forgotten it.
   */
  tenantRemove(tenant: number): void {
    assert(this.eventCount === 0, "events of it may wait");
    assert(this.hasTenant(tenant));
    this.#wasm.tenantRemove(tenant);
  }

  /** Empty: it was removed. */
  tenantName(tenant: number): string {
    const record = this.#recordOf(tenant);
    const start = this.#words[record >>> 2]!;
    const bytes = this.#memory.subarray(start, start + this.#memory[record + RECORD_NAME_BYTES]!);
    return String.fromCharCode(...bytes);
  }

  /**
   * Bit 0: the clock is `event`, so no time is in the future. Bit 1: quarantined, so all is
   * refused.
   */
  tenantFlags(tenant: number): number {
    return this.#memory[this.#recordOf(tenant) + RECORD_FLAGS]!;
  }

  tenantFlagsSet(tenant: number, flags: number): void {
    this.#memory[this.#recordOf(tenant) + RECORD_FLAGS] = flags;
  }

  /**
   * New tenants are refused where there are `count` already; it may be below what there are, never
   * above the maximum.
   */
  setTenantCountMax(count: number): void {
    this.#wasm.tenantsSetCountMax(Math.min(count, this.tenantCountMax));
  }

  /** False where the name holds something that no tenant's name does. */
  #putName(name: string | Uint8Array): boolean {
    const memory = this.#memory;
    const start = this.#nameAddress;
    if (typeof name !== "string") {
      memory.set(name, start);
      return true;
    }
    for (let i = 0; i < name.length; i++) {
      const unit = name.charCodeAt(i);
      if (unit > 0x7f) return false;
      memory[start + i] = unit;
    }
    return true;
  }

  #recordOf(tenant: number): number {
    assert(tenant >= 0);
    assert(tenant < this.tenantCount);
    return this.#wasm.recordAddress(tenant);
  }

  #refreshViews(): void {
    const { buffer } = this.#wasm.memory;
    if (buffer === this.#memory.buffer) return;
    this.#memory = new Uint8Array(buffer);
    this.#words = new Uint32Array(buffer);
    this.#input = new Uint8Array(buffer, this.#inputAddress, INPUT_BYTES);
  }
}
