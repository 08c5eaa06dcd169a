/** Requests that wait for the answers of shards, by number. */
import { ERRORS_LISTED_MAX } from "#model/limits.ts";
import { EVENT_ERRORS } from "#model/event-error.ts";
import { Problem } from "#model/problem.ts";
import type { AckMode } from "#model/storage.ts";
import { WARNINGS } from "#model/warning.ts";
import type { Answer } from "#shard/protocol.ts";
import type { OfferAnswer } from "./door.ts";
import { overProblem } from "./quotas.ts";

type Entry = {
  resolve: (value: unknown) => void;
  reject: (problem: Problem) => void;
  shardsLeft: number;
  /** What is promised of it, if it is an offer. */
  ack: AckMode;
  accepted: number;
  rejected: number;
  late: number;
  duplicates: number;
  /** Pairs: index, number of the error. */
  errors: number[];
  warnings: number[];
};

export class Waiting {
  readonly #entries = new Map<number, Entry>();
  #request = 0;

  get count(): number {
    return this.#entries.size;
  }

  /** Opens a request that `shardCount` shards will answer. */
  open(shardCount: number, ack: AckMode = "none"): { request: number; answer: Promise<unknown> } {
    const request = (this.#request = (this.#request + 1) >>> 0);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#entries.set(request, {
      resolve,
      reject,
      shardsLeft: shardCount,
      ack,
      accepted: 0,
      rejected: 0,
      late: 0,
      duplicates: 0,
      errors: [],
      warnings: [],
    });
    return { request, answer: promise };
  }

  /** The answer to a request without events. */
  nothing(ack: AckMode): OfferAnswer {
    return { ack, accepted: 0, rejected: 0, late: 0, duplicates: 0, errors: [] };
  }

  settle(answer: Answer): void {
    const entry = this.#entries.get(answer.request);
    if (entry === undefined) return; // A shard already answered with a problem.
    if (answer.type === "value") {
      this.#entries.delete(answer.request);
      entry.resolve(answer.value);
    } else if (answer.type === "problem") {
      this.#entries.delete(answer.request);
      entry.reject(problemOf(answer));
    } else {
      entry.accepted += answer.accepted;
      entry.rejected += answer.rejected;
      entry.late += answer.late;
      entry.duplicates += answer.duplicates;
      entry.errors.push(...answer.errors);
      entry.warnings.push(...answer.warnings);
      entry.shardsLeft -= 1;
      if (entry.shardsLeft > 0) return;
      this.#entries.delete(answer.request);
      entry.resolve(offerAnswer(entry));
    }
  }

  /** A shard died: `requests` will never be answered. */
  fail(requests: Iterable<number>): void {
    for (const request of requests) {
      const entry = this.#entries.get(request);
      if (entry === undefined) continue;
      this.#entries.delete(request);
      entry.reject(
        new Problem("shardRestarting", "A shard failed and starts anew; try again.", {
          retryAfterSeconds: 1,
        }),
      );
    }
  }
}

function problemOf({ code, detail, waitMs, over }: Answer & { type: "problem" }): Problem {
  if (over !== undefined) return overProblem({ ...over, waitMs: waitMs! });
  const retryAfterSeconds = waitMs === undefined ? 60 : Math.ceil(waitMs / 1_000);
  return new Problem(code, detail, { retryAfterSeconds });
}

function offerAnswer(entry: Entry): OfferAnswer {
  const { ack, accepted, rejected, late, duplicates } = entry;
  const errors = listed(entry.errors, EVENT_ERRORS);
  const warnings = listed(entry.warnings, WARNINGS);
  const answer = { ack, accepted, rejected, late, duplicates, errors };
  return warnings.length === 0 ? answer : { ...answer, warnings };
}

/** `pairs`: index of an event, number of what is said of it. The first, by index. */
function listed<Entry extends object>(
  pairs: readonly number[],
  known: readonly Entry[],
): (Entry & { index: number })[] {
  const list: (Entry & { index: number })[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    list.push({ index: pairs[i]!, ...known[pairs[i + 1]!]! });
  }
  return list.sort((a, b) => a.index - b.index).slice(0, ERRORS_LISTED_MAX);
}
