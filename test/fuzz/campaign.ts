/**
 * One run of the fuzzer over one target.
 *
 * Every case has a number, and its randomness comes from the seed and that number alone. A case is
 * either new, or made of an earlier one that had made something new happen; then its name is the
 * name of that one, a dot, and its own number. So a name and the seed give the input again, without
 * the cases between: `--seed 7 --case 12.88.4711`.
 *
 * What is new is told by the target: which error, how many of what. V8 could tell which branches
 * ran, but not in Wasm, where most of our parsers are.
 *
 * Three things hold whatever the target: an input takes no longer than it may, the same input has
 * the same outcome, and memory does not grow from case to case (fuzz-worker.ts looks at that).
 */
import { Random } from "#std/random.ts";
import { mutated } from "./mutations.ts";
import type { FuzzSubject, FuzzTarget } from "./target.ts";

export class Finding extends Error {
  override name = "Finding";
  readonly input: Uint8Array;
  readonly caseName: string;

  constructor(caseName: string, input: Uint8Array, cause: Error) {
    super(cause.message, { cause });
    this.input = input;
    this.caseName = caseName;
  }
}

const MS_MAX_DEFAULT = 10_000;
/** One case in so many is done twice. */
const TWICE = 8;
const POOL_MAX = 4_096;
const POOL_BYTES_MAX = 32 * 1024 * 1024;
const LINEAGE_MAX = 32;
const MINIMIZER_CHECKS_MAX = 3_000;
const MINIMIZER_MS_MAX = 60_000;

type Kept = { readonly name: string; readonly input: Uint8Array };

export class Campaign {
  readonly seed: number;
  readonly #target: FuzzTarget;
  readonly #subject: FuzzSubject;
  readonly #outcomes = new Map<string, number>();
  readonly #pool: Kept[] = [];
  #poolBytes = 0;

  constructor(target: FuzzTarget, subject: FuzzSubject, seed: number) {
    this.#target = target;
    this.#subject = subject;
    this.seed = seed;
  }

  /** What became of the cases so far, and how often. */
  get outcomes(): ReadonlyMap<string, number> {
    return this.#outcomes;
  }

  /** Of the case; its parent is one that was kept so far. */
  nameOf(number: number): string {
    const random = this.#random(number, 0);
    const pool = this.#pool;
    if (pool.length === 0 || random.chance(1, 2)) return `${number}`;
    // The newest are where something new may be near.
    const from = random.chance(1, 2) ? Math.max(0, pool.length - 16) : 0;
    return `${pool[from + random.below(pool.length - from)]!.name}.${number}`;
  }

  inputOf(name: string): Uint8Array {
    const dot = name.lastIndexOf(".");
    const number = Number(name.slice(dot + 1));
    if (!Number.isSafeInteger(number) || number < 0) throw new Error(`${name} names no case.`);
    const random = this.#random(number, 1);
    if (dot === -1) return this.#fresh(random);
    const parent = name.slice(0, dot);
    const kept = this.#pool.find((each) => each.name === parent)?.input;
    return this.#child(random, kept ?? this.inputOf(parent));
  }

  /** Throws a Finding. */
  async run(name: string, isTwice = false): Promise<void> {
    const input = this.inputOf(name);
    let outcome: string;
    try {
      outcome = await this.check(input);
      const isPure = this.#target.remembers !== true;
      if (isPure && (isTwice || Number(name.slice(name.lastIndexOf(".") + 1)) % TWICE === 0)) {
        const again = await this.check(input);
        if (again !== outcome) throw new Error(`first it was "${outcome}", then "${again}"`);
      }
    } catch (error) {
      throw new Finding(name, input, error as Error);
    }
    const count = this.#outcomes.get(outcome) ?? 0;
    this.#outcomes.set(outcome, count + 1);
    if (count === 0) this.#keep({ name, input });
  }

  #keep(kept: Kept): void {
    const isDeep = kept.name.split(".").length > LINEAGE_MAX;
    const bytes = this.#poolBytes + kept.input.length;
    if (isDeep || this.#pool.length >= POOL_MAX || bytes > POOL_BYTES_MAX) return;
    this.#pool.push(kept);
    this.#poolBytes = bytes;
  }

  async check(input: Uint8Array): Promise<string> {
    const before = process.cpuUsage();
    // A copy, which `slice` of a Buffer is not: nothing that is kept can be changed.
    const outcome = await this.#subject.check(Uint8Array.from(input));
    // Not by the clock: on a machine that is busy everything takes long.
    const { user, system } = process.cpuUsage(before);
    const ms = (user + system) / 1_000;
    const { msMax = MS_MAX_DEFAULT } = this.#target;
    if (ms > msMax) throw new Error(`took ${ms.toFixed(0)} ms of CPU; ${msMax} at most`);
    return outcome;
  }

  /** A smaller input that fails, too; by the same name of error. */
  async minimized({ input, cause }: Finding, say: (bytes: number) => void): Promise<Uint8Array> {
    const endMs = performance.now() + MINIMIZER_MS_MAX;
    const kind = kindOf(cause as Error);
    let checks = 0;
    const fails = async (candidate: Uint8Array): Promise<boolean> => {
      checks += 1;
      try {
        await this.check(candidate);
        return false;
      } catch (error) {
        return kindOf(error as Error) === kind;
      }
    };
    let best = input;
    for (let part = Math.ceil(best.length / 2); part >= 1;) {
      let isSmaller = false;
      for (let at = 0; at < best.length;) {
        if (checks > MINIMIZER_CHECKS_MAX || performance.now() > endMs) return best;
        const candidate = Buffer.concat([best.subarray(0, at), best.subarray(at + part)]);
        if (await fails(candidate)) {
          best = candidate;
          isSmaller = true;
        } else at += part;
      }
      if (isSmaller) say(best.length);
      else if (part === 1) break;
      if (!isSmaller || part > best.length) part = Math.max(1, Math.floor(part / 2));
    }
    return best;
  }

  #fresh(random: Random): Uint8Array {
    const { seeds, generate } = this.#subject;
    if (generate !== undefined && random.chance(2, 3)) {
      const made = generate(random);
      return random.chance(1, 2) ? made : this.#child(random, made);
    }
    const seed = seeds[random.below(seeds.length)] ?? new Uint8Array(0);
    return random.chance(1, 16) ? seed : this.#child(random, seed);
  }

  #child(random: Random, parent: Uint8Array): Uint8Array {
    const { mutate } = this.#subject;
    if (mutate !== undefined && random.chance(1, 2)) {
      const made = mutate(random, parent);
      return random.chance(3, 4) ? made : mutated(random, made, this.#subject);
    }
    return mutated(random, parent, this.#subject);
  }

  #random(number: number, use: number): Random {
    const mixed = new Random((Math.imul(this.seed, 0x9e37_79b1) ^ number) >>> 0);
    return new Random((mixed.u32() ^ Math.imul(use + 1, 0x85eb_ca6b)) >>> 0);
  }
}

/** Numbers and quotations differ from input to input; where it is thrown does not. */
function kindOf({ name, message }: Error): string {
  return `${name} ${message
    .split("\n", 1)[0]!
    .replaceAll(/\d+|"[^"]*"|'[^']*'/g, "#")
    .slice(0, 60)}`;
}
