/** The host's own Wasm module, compiled once a thread: batcher/dist/batcher.wasm. */
import { readFileSync } from "node:fs";

/**
 * What batcher/assembly/index.ts exports. Addresses and counts are unsigned; Wasm gives them
 * signed.
 */
export type BatcherExports = {
  readonly memory: WebAssembly.Memory;
  resultsAddress(): number;
  errorsAddress(): number;
  nameAddress(): number;

  batcherInit(tenantCountMax: number, arenaBytes: number, hashSeed: number): number;
  parseLines(
    bytes: number,
    tenant: number,
    origin: number,
    firstIndex: number,
    nowMs: number,
  ): void;
  parseElements(
    bytes: number,
    tenant: number,
    origin: number,
    firstIndex: number,
    nowMs: number,
  ): number;
  group(nowMs: number): void;
  clear(): void;
  find(nameBytes: number): number;
  add(nameBytes: number): number;
  recordAddress(tenant: number): number;
  tenantRemove(tenant: number): void;
  freeTenants(): number;
  tenantsSetCountMax(count: number): void;

  splitterInit(shardCount: number): void;
  splitterReserve(bytes: number): number;
  splitJson(bytes: number, fixedShard: number): number;
  splitLines(bytes: number, fixedShard: number): void;
};

const PATH = new URL("../../batcher/dist/batcher.wasm", import.meta.url);
let compiled: WebAssembly.Module | undefined;

export function instantiateBatcher(): BatcherExports {
  compiled ??= new WebAssembly.Module(readFileSync(PATH));
  return new WebAssembly.Instance(compiled, {}).exports as unknown as BatcherExports;
}

// Of the results, in words of 4 bytes; the same in batcher/assembly/layout.ts.
export const RESULT_CONSUMED = 0;
export const RESULT_ELEMENTS = 1;
export const RESULT_ACCEPTED = 2;
export const RESULT_REJECTED = 3;
export const RESULT_ERRORS = 4;
export const RESULT_FULL = 5;
export const RESULT_EVENTS = 6;
export const RESULT_TENANTS = 7;
export const RESULT_BATCHES = 8;
export const RESULT_BATCH_TABLE = 9;
export const RESULT_GROUPED = 10;
export const RESULT_MALFORMED_AT = 11;
export const RESULT_CHUNKS = 12;
export const RESULT_CHUNK_TABLE = 13;
