/** Drives classifier/assembly/trainer.ts: lays examples out in its memory and trains a table. */
import asc from "assemblyscript/asc";
import { resolve } from "node:path";
import { Random } from "#std/random.ts";
import { REPLY_LANES, type Table } from "./weights.ts";

const ENTRY = "classifier/assembly/trainer.ts";
const ROOT = resolve(import.meta.dirname, "..", "..");
const OPTIONS =
  "--runtime stub --use abort= -O3 --noAssert --converge --enable simd " +
  "--importMemory --maximumMemory 65536";
const PAGE_BYTES = 65_536;
/** The kernel's own statics lie below. */
const HEAP_AT = PAGE_BYTES;
const LABELS = 16;
/** Lanes that multiply, see the kernel. */
const FACTORS_FROM = 11;

/** Sparse rows with labels; a label below 0 is one that nobody gave. */
export class Examples {
  #buckets = new Uint32Array(1 << 20);
  #values = new Float32Array(1 << 20);
  #count = 0;
  readonly offsets: number[] = [0];
  readonly labels: number[] = [];
  readonly weights: number[] = [];
  readonly kinds: number[] = [];

  get count(): number {
    return this.weights.length;
  }

  get entryCount(): number {
    return this.#count;
  }

  entry(bucket: number, value: number): void {
    if (this.#count === this.#buckets.length) this.#grow();
    this.#buckets[this.#count] = bucket;
    this.#values[this.#count++] = value;
  }

  /** Ends the row whose entries were given. */
  end(labels: readonly number[], weight: number, kind = -1): void {
    this.offsets.push(this.#count);
    for (let lane = 0; lane < LABELS; lane++) this.labels.push(labels[lane] ?? -1);
    this.weights.push(weight);
    this.kinds.push(kind);
  }

  copyTo(words: Uint32Array, floats: Float32Array, at: number): void {
    for (let index = 0; index < this.#count; index++) {
      words[at + index * 2] = this.#buckets[index]!;
      floats[at + index * 2 + 1] = this.#values[index]!;
    }
  }

  #grow(): void {
    const buckets = new Uint32Array(this.#buckets.length * 2);
    const values = new Float32Array(buckets.length);
    buckets.set(this.#buckets);
    values.set(this.#values);
    this.#buckets = buckets;
    this.#values = values;
  }
}

export type Schedule = {
  readonly epochs: number;
  readonly rate: number;
  readonly decay: number;
  /** Share of an example's features left out at each pass. */
  readonly drop: number;
  readonly seed: number;
};

type Kernel = {
  useTable(table: number, squares: number, rows: number, lanes: number): void;
  useExamples(
    offsets: number,
    entries: number,
    labels: number,
    weights: number,
    kinds: number,
    kept: number,
  ): void;
  seed(value: number): void;
  finish(): void;
  freeze(frozen: boolean): void;
  sumsAt(): number;
  forward(example: number): void;
  epoch(order: number, count: number, rate: number, decay: number, drop: number): number;
};

export class Trainer {
  readonly #kernel: Kernel;
  readonly #memory: WebAssembly.Memory;
  readonly #examples: Examples;
  readonly #table: number;
  readonly #squares: number;
  readonly #order: number;
  readonly #log2: number;
  readonly #lanes: number;

  static async compile(): Promise<WebAssembly.Module> {
    let binary: Uint8Array | undefined;
    const stderr = asc.createMemoryStream();
    const options = [ENTRY, ...OPTIONS.split(" "), "--outFile", "result.wasm", "--baseDir", ROOT];
    const { error } = await asc.main(options, {
      stdout: asc.createMemoryStream(),
      stderr,
      writeFile: (_path: string, contents: string | Uint8Array) => {
        if (typeof contents !== "string") binary = contents;
      },
    });
    if (error !== null || binary === undefined) {
      throw new Error(`${ENTRY} does not compile.\n${stderr.toString()}`);
    }
    return new WebAssembly.Module(Uint8Array.from(binary));
  }

  constructor(module: WebAssembly.Module, examples: Examples, log2: number, lanes: number) {
    const tableBytes = (2 ** log2 + 1) * lanes * 4;
    let at = HEAP_AT;
    const place = (bytes: number): number => {
      const from = at;
      at += Math.ceil(bytes / 16) * 16;
      return from;
    };
    this.#examples = examples;
    this.#log2 = log2;
    this.#lanes = lanes;
    this.#table = place(tableBytes);
    this.#squares = place(tableBytes);
    const { count } = examples;
    const offsets = place((count + 1) * 4);
    const labels = place(count * LABELS * 4);
    const weights = place(count * 4);
    const kinds = place(count * 4);
    this.#order = place(count * 4);
    const kept = place(PAGE_BYTES * 8);
    const entries = place(examples.entryCount * 8);
    this.#memory = new WebAssembly.Memory({ initial: Math.ceil(at / PAGE_BYTES), maximum: 65_536 });
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.#memory } });
    this.#kernel = exports as unknown as Kernel;
    const words = new Uint32Array(this.#memory.buffer);
    const floats = new Float32Array(this.#memory.buffer);
    words.set(examples.offsets, offsets / 4);
    floats.set(examples.labels, labels / 4);
    floats.set(examples.weights, weights / 4);
    new Int32Array(this.#memory.buffer).set(examples.kinds, kinds / 4);
    examples.copyTo(words, floats, entries / 4);
    this.#kernel.useExamples(offsets, entries, labels, weights, kinds, kept);
  }

  /**
   * The mean of a table each schedule. What multiplies is trained by the first alone, and the
   * others are trained over that, as such lanes cannot be averaged.
   */
  trainMean(schedules: readonly Schedule[], only?: ArrayLike<number>): Table {
    return meanTable(this.trainEach(schedules, only));
  }

  trainEach(schedules: readonly Schedule[], only?: ArrayLike<number>): readonly Table[] {
    const [first, ...others] = schedules;
    const base = this.train(first!, only);
    return [base, ...others.map((schedule) => this.train(schedule, only, base))];
  }

  /**
   * Trains on the given examples (by number), or on all of them; with the lanes that multiply of
   * `base`, if there is one.
   */
  train(schedule: Schedule, only?: ArrayLike<number>, base?: Table): Table {
    const kernel = this.#kernel;
    const chosen = only ?? Array.from({ length: this.#examples.count }, (_, index) => index);
    const order = new Uint32Array(this.#memory.buffer, this.#order, chosen.length);
    order.set(chosen);
    const random = new Random(schedule.seed);
    kernel.useTable(this.#table, this.#squares, 2 ** this.#log2, this.#lanes);
    kernel.freeze(base !== undefined && this.#lanes === REPLY_LANES);
    if (base !== undefined && this.#lanes === REPLY_LANES) this.#takeFactors(base);
    kernel.seed(random.u32());
    const drop = Math.floor(schedule.drop * 2 ** 32);
    for (let epoch = 0; epoch < schedule.epochs; epoch++) {
      shuffle(order, random);
      const rate = schedule.rate * (1 - (0.85 * epoch) / schedule.epochs);
      kernel.epoch(this.#order, order.length, rate, schedule.decay, drop);
    }
    kernel.finish();
    const cells = new Float32Array(this.#memory.buffer, this.#table, this.#cellCount()).slice();
    return { lanes: this.#lanes, log2: this.#log2, cells };
  }

  /** Makes `table` the one that `sums` reads. */
  load(table: Table): void {
    this.#kernel.useTable(this.#table, this.#squares, 2 ** this.#log2, this.#lanes);
    new Float32Array(this.#memory.buffer, this.#table, this.#cellCount()).set(table.cells);
  }

  /** The sums of an example over the table as it is, bias included. */
  sums(example: number): Float32Array {
    this.#kernel.forward(example);
    return new Float32Array(this.#memory.buffer, this.#kernel.sumsAt(), LABELS).slice();
  }

  #takeFactors({ cells }: Table): void {
    const own = new Float32Array(this.#memory.buffer, this.#table, this.#cellCount());
    for (let at = 0; at < own.length; at += REPLY_LANES) {
      for (let lane = FACTORS_FROM; lane < REPLY_LANES; lane++) own[at + lane] = cells[at + lane]!;
    }
  }

  #cellCount(): number {
    return (2 ** this.#log2 + 1) * this.#lanes;
  }
}

/** The mean of tables that differ by seed alone: about as good as all asked, for one's cost. */
export function meanTable(tables: readonly Table[]): Table {
  const [first] = tables;
  const cells = new Float32Array(first!.cells.length);
  for (let cell = 0; cell < cells.length; cell++) {
    let total = 0;
    for (const table of tables) total += table.cells[cell]!;
    cells[cell] = total / tables.length;
  }
  return { ...first!, cells };
}

export function unsafeLogit(sums: ArrayLike<number>): number {
  let total = 0;
  let logit = sums[0]!;
  for (let lane = FACTORS_FROM; lane < REPLY_LANES; lane++) logit += sums[lane]!;
  for (let kind = 0; kind < 5; kind++) total += Math.exp(Math.min(30, sums[1 + kind]!));
  for (let kind = 0; kind < 5; kind++) {
    logit += (Math.exp(Math.min(30, sums[1 + kind]!)) / total) * sums[6 + kind]!;
  }
  return logit;
}

function shuffle(order: Uint32Array, random: Random): void {
  for (let at = order.length - 1; at > 0; at--) {
    const other = random.below(at + 1);
    const kept = order[at]!;
    order[at] = order[other]!;
    order[other] = kept;
  }
}
