/**
 * A shard's end of the stage: its own part of what was aggregated, as batches by tenant in the
 * layout of guests/sdk/assembly/batch.ts. `collect` empties the tables whenever the epoch has
 * turned and gathers; `deliver` begins to hand out what has gathered; then `emit` until it is
 * done, and hand out the batches in between, while `collect` goes on. Nothing is allocated a
 * record; a new tenant costs one question.
 */
import { TENANT_ID_BYTES_MAX } from "#model/limits.ts";
import { CONTROL_BUSY, CONTROL_BYTES, CONTROL_EPOCH_RECORDS, CONTROL_RUNS } from "./layout.gen.ts";
import { findFfi, type Libc, loadLibc } from "./libc.ts";
import { type DrainExports, instantiateDrain } from "./module.ts";
import type { StageHandle } from "./stage.ts";
import type { StageLayout } from "./stage-layout.ts";

const BATCH_WORDS = 4;
/** How long to sleep between two looks at a run of the program that is under way. */
const PAUSE_MS = 0.05;

export type EmitStatus = "done" | "full" | "name";
const STATUSES: readonly EmitStatus[] = ["done", "full", "name"];

export class Drain {
  batchCount = 0;
  /** Records that wait for `deliver`. */
  gathered = 0;
  /** All memory, for the batches. */
  readonly memory: Uint8Array;
  readonly #drain: DrainExports;
  readonly #layout: StageLayout;
  readonly #words: Uint32Array;
  readonly #shared: Int32Array;
  readonly #libc: Libc | undefined;
  readonly #wakeFd: number | undefined;
  readonly #pause = new Int32Array(new SharedArrayBuffer(4));
  /** Epoch whose predecessor no CPU writes any more. */
  #quietEpoch = 0;
  #batchWord = 0;

  /** `incarnation`: how many shards of this number there were before. */
  constructor(handle: StageHandle, { shard, incarnation }: { shard: number; incarnation: number }) {
    this.#layout = handle.layout;
    this.memory = new Uint8Array(handle.memory.buffer);
    this.#words = new Uint32Array(handle.memory.buffer);
    this.#shared = new Int32Array(handle.memory.buffer);
    this.#wakeFd = handle.wakeFd;
    this.#libc = handle.wakeFd === undefined ? undefined : loadLibc(findFfi()!);
    this.#drain = instantiateDrain(handle.memory);
    this.#drain.shardInit(shard, incarnation);
  }

  /** Whether the epoch has turned since this shard read it. */
  get pending(): boolean {
    return this.#drain.collected() === 0;
  }

  /**
   * Asks for a turn, so that what is still being summed can be collected, and waits that long for
   * it: until every shard has read the epoch before. Without a receiver to wake it only asks.
   */
  askTurn(waitMsMax: number): void {
    const { shared, wantedWord } = this.#layout;
    const epoch = Atomics.load(this.#shared, shared >>> 2);
    Atomics.store(this.#shared, wantedWord >>> 2, (epoch + 1) | 0);
    if (this.#libc === undefined) return;
    this.#libc.signalEvent(this.#wakeFd!);
    Atomics.wait(this.#shared, shared >>> 2, epoch, waitMsMax);
  }

  /** Whether records are being summed that no turn has brought yet. */
  get summing(): boolean {
    const { cpuCount, kernelControls, shared, userControl } = this.#layout;
    const side = (this.#words[shared >>> 2]! & 1) * 4;
    for (let column = 0; column <= cpuCount; column++) {
      const control = column < cpuCount ? kernelControls + column * CONTROL_BYTES : userControl;
      if (this.#words[(control + CONTROL_EPOCH_RECORDS + side) >>> 2] !== 0) return true;
    }
    return false;
  }

  /** Empties the tables as far as there is room for what is in them. */
  collect(): void {
    if (!this.pending) return;
    this.#awaitQuiet();
    this.gathered = this.#drain.collect();
  }

  /** Joins what has gathered of one key, to make room; not while something is handed out. */
  compact(): void {
    this.gathered = this.#drain.compact();
  }

  /** Begins to hand out what has gathered; returns how many records that are. */
  deliver(): number {
    this.gathered = 0;
    this.#drain.resetOutput();
    return this.#drain.deliver();
  }

  /**
   * Writes batches. `full`: hand them out, `release`, and go on. `name`: give the tenant
   * `neededName` a number with `bind`, or `refuse` it, and go on. `done`: hand out the rest,
   * `release`; the round is over.
   */
  emit(nowMs: number): EmitStatus {
    return this.#emitted(this.#drain.emit(nowMs));
  }

  /**
   * Takes what waits for one tenant out of its turn, whether gathered or about to be handed out:
   * 16,384 records at most, and the batches at hand must be released. Returns how many records;
   * unless it is 0, `emitPicked` until it is done.
   */
  pick(tenant: string): number {
    const name = Buffer.from(tenant, "latin1");
    if (name.length > TENANT_ID_BYTES_MAX) return 0;
    this.memory.set(name, this.#drain.pickName());
    const picked = this.#drain.pick(name.length);
    this.gathered = this.#drain.gathered();
    return picked;
  }

  /** The tenant is gone: whatever comes of one of its name asks for a number again. */
  unbind(tenant: string): void {
    const name = Buffer.from(tenant, "latin1");
    this.memory.set(name, this.#drain.pickName());
    this.#drain.unbind(name.length);
  }

  /** Like `emit`, of what was picked. */
  emitPicked(nowMs: number): EmitStatus {
    return this.#emitted(this.#drain.emitPicked(nowMs));
  }

  #emitted(number: number): EmitStatus {
    const status = STATUSES[number]!;
    this.batchCount = this.#drain.batchCount();
    this.#batchWord = this.#drain.batchTable() >>> 2;
    return status;
  }

  neededName(): string {
    const at = this.#drain.neededName();
    return String.fromCharCode(...this.memory.subarray(at + 1, at + 1 + this.memory[at]!));
  }

  bind(number: number): void {
    this.#drain.bindTenant(number);
  }

  refuse(): void {
    this.#drain.refuseTenant();
  }

  release(): void {
    this.#drain.resetOutput();
    this.batchCount = 0;
  }

  batchTenant(batch: number): number {
    return this.#words[this.#batchWord + BATCH_WORDS * batch]!;
  }

  batchByteOffset(batch: number): number {
    return this.#words[this.#batchWord + BATCH_WORDS * batch + 1]!;
  }

  batchByteCount(batch: number): number {
    return this.#words[this.#batchWord + BATCH_WORDS * batch + 2]!;
  }

  batchEventCount(batch: number): number {
    return this.#words[this.#batchWord + BATCH_WORDS * batch + 3]!;
  }

  /** By how much the events that the batch stands for exceed `batchEventCount`. */
  batchJoinedCount(batch: number): number {
    return this.#words[(this.batchByteOffset(batch) >>> 2) + 1]! | 0;
  }

  /**
   * Waits until no CPU writes the tables of the epoch before. A run that is under way when the
   * epoch turns is over in microseconds; see the proof at the head of bpf/aggregate.bpf.c.
   */
  #awaitQuiet(): void {
    const words = this.#shared;
    const { cpuCount, kernelControls, shared } = this.#layout;
    const epoch = Atomics.load(words, shared >>> 2);
    if (epoch === this.#quietEpoch) return;
    for (let cpu = 0; cpu < cpuCount; cpu++) {
      const control = kernelControls + cpu * CONTROL_BYTES;
      const busy = (control + CONTROL_BUSY) >>> 2;
      const runs = (control + CONTROL_RUNS) >>> 2;
      const before = Atomics.load(words, runs);
      while (Atomics.load(words, busy) !== 0 && Atomics.load(words, runs) === before) {
        Atomics.wait(this.#pause, 0, 0, PAUSE_MS);
      }
    }
    this.#quietEpoch = epoch;
  }
}
