/** What may happen to a tenant's summarizer, by chance: quiet and loud, late, repeated, at rest. */
import { writeBatch, type BatchEvent } from "#testing/batch.ts";
import { Random } from "#std/random.ts";

const WORDS = (
  "printer fire deploy rollback latency database cats coffee release broken login password " +
  "timeout kernel panic müde 日本 🎉 https://example.org/a #outage tomorrow fixed done agreed"
).split(" ");

/** One call: a batch, or the time that is told. */
export type TenantStep = { readonly batch: Uint8Array } | { readonly nowMs: number };

export class TenantHistory {
  nowMs: number;
  readonly #random: Random;
  /** How many people and ids there are, so that some histories are crowds. */
  readonly #people: number;
  readonly #loudness: number;
  #ids = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.nowMs = 1_700_000_000_000 + this.#random.below(100_000_000);
    this.#people = [4, 40, 3000][this.#random.below(3)]!;
    this.#loudness = [3, 12, 120][this.#random.below(3)]!;
  }

  next(): TenantStep {
    const random = this.#random;
    if (random.chance(1, 6)) {
      this.nowMs += [1000, 61_000, 700_000, 8_000_000, 100_000_000][random.below(5)]!;
      return { nowMs: this.nowMs };
    }
    this.nowMs += random.below(9000);
    const count = 1 + random.below(this.#loudness);
    const events = Array.from({ length: count }, () => this.#event());
    return { batch: writeBatch(events, this.nowMs) };
  }

  #event(): Partial<BatchEvent> {
    const random = this.#random;
    const words = Array.from({ length: random.below(14) }, () => WORDS[random.below(WORDS.length)]);
    const isLate = random.chance(1, 12);
    const weight = random.chance(1, 30) ? 1 + random.below(9) : 1;
    return {
      tsMs: this.nowMs - (isLate ? random.below(90_000_000) : random.below(4000)),
      weight,
      id: random.chance(1, 2) ? `e${random.chance(1, 9) ? random.below(20) : this.#ids++}` : "",
      user: random.chance(7, 8) ? `u${random.below(this.#people)}` : "",
      conversation: random.chance(1, 3) ? `c${random.below(90)}` : "",
      text: random.chance(1, 20) ? "Shall we roll back? We decided to." : words.join(" "),
      terms: random.chance(1, 10) ? [`tag${random.below(400)}`] : [],
      metrics: random.chance(1, 4)
        ? [{ name: `m${random.below(20)}`, value: random.unit() * 1000 }]
        : [],
    };
  }
}
