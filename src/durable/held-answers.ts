/**
 * Answers that wait until what they say is on disk, in the shard's thread: the block that a step
 * was sealed into must be durable before anybody is told of it. Answers to questions do not wait,
 * nor those to requests that asked for `ack=memory`; all others keep their order.
 */
import { isDurable } from "./committer.ts";

type Held<Answer> = {
  readonly block: number;
  readonly sinceMs: number;
  readonly answers: readonly Answer[];
};

export class HeldAnswers<Answer> {
  #held: Held<Answer>[] = [];
  /** Of `#held`, the first that is still there. */
  #first = 0;
  #count = 0;

  get isEmpty(): boolean {
    return this.#first === this.#held.length;
  }

  /** How many answers wait. */
  get count(): number {
    return this.#count;
  }

  /** `block`: number of the last block that holds something of them. */
  hold(block: number, answers: readonly Answer[], sinceMs = 0): void {
    if (answers.length === 0) return;
    this.#held.push({ block, answers, sinceMs });
    this.#count += answers.length;
  }

  /** Those that have waited since before this time: whether they will be on disk nobody knows. */
  takeSince(endMs: number): readonly Answer[] {
    return this.#take(({ sinceMs }) => sinceMs < endMs);
  }

  /** Those that may go now; `word`: how far the disk has got. */
  take(word: number): readonly Answer[] {
    return this.#take(({ block }) => isDurable(word, block));
  }

  #take(isDue: (held: Held<Answer>) => boolean): readonly Answer[] {
    const { length } = this.#held;
    const before = this.#first;
    while (this.#first < length && isDue(this.#held[this.#first]!)) this.#first += 1;
    if (this.#first === before) return [];
    const answers = this.#held.slice(before, this.#first).flatMap((held) => held.answers);
    this.#count -= answers.length;
    // Dropped by halves, so that it costs nothing an answer.
    if (this.#first > length / 2) {
      this.#held = this.#held.slice(this.#first);
      this.#first = 0;
    }
    return answers;
  }
}
