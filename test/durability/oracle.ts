/**
 * What senders know of a tenant, and what of it must be found after a crash.
 *
 * Every event brings the metric `serial`, a number drawn for it. A tenant's summary says how many
 * serials it counted and their exact sum, so one look tells which requests are there, up to chance:
 * two different sets agree in both about once in 2^24.
 *
 * What was acknowledged from disk is there, and so is every request of that tenant that was
 * answered before it was sent, however it was acknowledged: the log is in the order of the turns.
 * What came after may be there or not; but of each sender, who waits for every answer, only a first
 * part of it, and every request whole or not at all.
 */
import assert from "node:assert/strict";

export type Tally = { readonly count: number; readonly sum: number };

/** `unknown`: there was no answer, so nobody knows. */
export type RequestFate = "disk" | "memory" | "unknown";

export type SentRequest = {
  sender: number;
  readonly tally: Tally;
  readonly events: readonly object[];
  /** In the order of everything that was sent and answered. */
  readonly sentAt: number;
  answeredAt: number;
  fate: RequestFate;
};

export const NOTHING: Tally = { count: 0, sum: 0 };

/** Sets of requests that are looked through at most. */
const TRIES_MAX = 2_000_000;

export function plus(a: Tally, b: Tally): Tally {
  return { count: a.count + b.count, sum: a.sum + b.sum };
}

export class TenantOracle {
  /** What is there for good: it was found after a crash. */
  #settled: Tally = NOTHING;
  /** Of the life at hand. */
  #requests: SentRequest[] = [];

  get settled(): Tally {
    return this.#settled;
  }

  sent(request: SentRequest): void {
    this.#requests.push(request);
  }

  /** Told that it was refused: it is as if it had not been sent. */
  refused(request: SentRequest): void {
    this.#requests.splice(this.#requests.indexOf(request), 1);
  }

  /**
   * A life is over, and this was found. Returns what became of the requests that need not be there;
   * throws if what must be there is not, or more is there than was sent.
   */
  settle(found: Tally): { there: SentRequest[]; lost: SentRequest[] } {
    const { must, may } = this.#sort();
    const least = must.reduce((sum, { tally }) => plus(sum, tally), this.#settled);
    const taken = match(may, found.count - least.count, found.sum - least.sum);
    if (taken === undefined) {
      const most = may.flat().reduce((sum, { tally }) => plus(sum, tally), least);
      const counts = may.map((own) => own.map(({ tally }) => tally.count));
      assert.fail(
        `${told(found)} found; at least ${told(least)} must be there, at most ${told(most)}, ` +
          `in whole requests of ${JSON.stringify(counts)}`,
      );
    }
    this.#settled = found;
    this.#requests = [];
    const there = may.flatMap((own, at) => own.slice(0, taken[at]));
    const lost = may.flatMap((own, at) => own.slice(taken[at]));
    return { there, lost };
  }

  /** Some of what is there was sent again, and this was found afterwards. */
  sentAgain(found: Tally, newCount: number): void {
    assert.equal(found.count, this.#settled.count + newCount, "events that were sent again");
    this.#settled = found;
  }

  /** Those that must be there; the others by sender, in their order. */
  #sort(): { must: SentRequest[]; may: SentRequest[][] } {
    const durable = this.#requests.filter(({ fate }) => fate === "disk");
    const lastSentAt = Math.max(-1, ...durable.map(({ sentAt }) => sentAt));
    const isSure = ({ fate, answeredAt }: SentRequest): boolean =>
      fate === "disk" || (fate === "memory" && answeredAt < lastSentAt);
    const rest = this.#requests.filter((request) => !isSure(request));
    const bySender = Map.groupBy(rest, ({ sender }) => sender);
    return { must: this.#requests.filter(isSure), may: [...bySender.values()] };
  }
}

/** How many of each sender's requests add up to it. */
function match(
  senders: readonly (readonly SentRequest[])[],
  count: number,
  sum: number,
): number[] | undefined {
  const taken = senders.map(() => 0);
  let tryCount = 0;
  const isFound = (at: number, countLeft: number, sumLeft: number): boolean => {
    tryCount += 1;
    assert(tryCount <= TRIES_MAX, "too many requests without an answer to tell them apart");
    if (countLeft < 0 || sumLeft < 0) return false;
    if (at === senders.length) return countLeft === 0 && sumLeft === 0;
    let [restCount, restSum] = [countLeft, sumLeft];
    for (let first = 0; first <= senders[at]!.length; first++) {
      taken[at] = first;
      if (isFound(at + 1, restCount, restSum)) return true;
      restCount -= senders[at]![first]?.tally.count ?? 0;
      restSum -= senders[at]![first]?.tally.sum ?? 0;
    }
    return false;
  };
  return isFound(0, count, sum) ? taken : undefined;
}

function told({ count, sum }: Tally): string {
  return `${count} events with serials of ${sum}`;
}
