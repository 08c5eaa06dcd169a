/**
 * The user-space half in Wasm, drain/dist/drain.wasm: compiled once a thread, over the shared
 * memory.
 */
import { readFileSync } from "node:fs";

/** What drain/assembly/index.ts exports. */
export type DrainExports = {
  attach(): void;

  room(): number;
  receive(address: number, bytes: number, passed: number): number;
  flipReady(): number;
  flip(): void;
  evictSenders(idleEpochs: number, idleUnnamedEpochs: number): void;

  shardInit(shard: number, incarnation: number): void;
  collect(): number;
  collected(): number;
  compact(): number;
  deliver(): number;
  gathered(): number;
  emit(nowMs: number): number;
  pickName(): number;
  pick(nameBytes: number): number;
  emitPicked(nowMs: number): number;
  resetOutput(): void;
  batchCount(): number;
  batchTable(): number;
  neededName(): number;
  bindTenant(number: number): void;
  unbind(nameBytes: number): void;
  refuseTenant(): void;
};

const PATH = new URL("../../drain/dist/drain.wasm", import.meta.url);
let compiled: WebAssembly.Module | undefined;

export function instantiateDrain(memory: WebAssembly.Memory): DrainExports {
  compiled ??= new WebAssembly.Module(readFileSync(PATH));
  const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
  const drain = exports as unknown as DrainExports;
  drain.attach();
  return drain;
}
