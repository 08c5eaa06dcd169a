// The host's own Wasm kernel: JSON in, binary batches by tenant out, nothing allocated an event.
// No imports; the host talks to it through src/batcher/batcher.ts and src/batcher/splitter.ts. An
// instance is told once what it is, by `batcherInit` or by `splitterInit`.
import { arenaClear, arenaGroup, batchTable, grouped } from "./arena";
import {
  ERROR_LIST,
  NAME,
  RESULT_BATCH_TABLE,
  RESULT_BATCHES,
  RESULT_GROUPED,
  RESULTS,
} from "./layout";
import { freeCount, tableHash, tenantAdd, tenantFind, tenantRecord } from "./tenants";

export { batcherInit, parseElements, parseLines } from "./batcher";
export { splitJson, splitLines, splitterInit, splitterReserve } from "./splitter";
export { tenantRemove, tenantsSetCountMax } from "./tenants";

/** Address of the results; layout.ts says which is where. */
export function resultsAddress(): usize {
  return RESULTS;
}

export function errorsAddress(): usize {
  return ERROR_LIST;
}

/** Where `find` and `add` expect the name. */
export function nameAddress(): usize {
  return NAME;
}

/** Number of the tenant whose name is at `nameAddress`, or -1. */
export function find(bytes: u32): i32 {
  return tenantFind(NAME, bytes, tableHash(NAME, bytes));
}

/** As `find`, but new tenants get a number; -1 when there are too many. */
export function add(bytes: u32): i32 {
  const hash = tableHash(NAME, bytes);
  const known = tenantFind(NAME, bytes, hash);
  return known >= 0 ? known : tenantAdd(NAME, bytes, hash);
}

/** Numbers of tenants that are nobody's. */
export function freeTenants(): u32 {
  return freeCount;
}

/** Address of the tenant's record; tenants.ts says what is where. */
export function recordAddress(tenant: u32): usize {
  return tenantRecord(tenant);
}

export function group(nowMs: f64): void {
  store<u32>(RESULTS, arenaGroup(nowMs), RESULT_BATCHES);
  store<u32>(RESULTS, <u32>batchTable, RESULT_BATCH_TABLE);
  store<u32>(RESULTS, <u32>grouped, RESULT_GROUPED);
}

export function clear(): void {
  arenaClear();
}
