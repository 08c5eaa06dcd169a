/** The requests whose events are under way in a shard, and what became of them so far. */
import { ERRORS_LISTED_MAX } from "#model/limits.ts";
import type { OfferAnswer } from "./protocol.ts";

type Request = {
  request: number;
  /** Events seen; also the index of the next line. */
  elements: number;
  accepted: number;
  rejected: number;
  late: number;
  duplicates: number;
  errors: number[];
  warnings: number[];
  isHeld: boolean;
  awaitsDisk: boolean;
  /** The address names the tenant of all. */
  isNamed: boolean;
  /** All its records for this shard have been parsed. */
  complete: boolean;
};

export class RequestLedger {
  #requests = new Map<number, Request>();
  #complete: Request[] = [];

  has(request: number): boolean {
    return this.#requests.has(request);
  }

  isNamed(request: number): boolean {
    return this.#requests.get(request)?.isNamed ?? false;
  }

  open(request: number): Request {
    let entry = this.#requests.get(request);
    if (entry === undefined) {
      entry = {
        request,
        elements: 0,
        accepted: 0,
        rejected: 0,
        late: 0,
        duplicates: 0,
        errors: [],
        warnings: [],
        isHeld: false,
        isNamed: false,
        awaitsDisk: true,
        complete: false,
      };
      this.#requests.set(request, entry);
    }
    return entry;
  }

  /**
   * The last record of the request has been parsed; its answer is due at the next `takeAnswers`.
   */
  close(request: Request): void {
    request.complete = true;
    this.#complete.push(request);
  }

  /** The request was answered otherwise. */
  drop(request: number): void {
    this.#requests.delete(request);
  }

  late(request: number): void {
    this.open(request).late += 1;
  }

  duplicate(request: number): void {
    this.open(request).duplicates += 1;
  }

  /** Something of an accepted event did not count; `warning` is its number. */
  warn(request: number, index: number, warning: number): void {
    const { warnings } = this.open(request);
    if (warnings.length < ERRORS_LISTED_MAX * 2) warnings.push(index, warning);
  }

  /** What is known of an event is to be kept before the request is answered. */
  hold(request: number): void {
    this.open(request).isHeld = true;
  }

  /** An event that had been accepted turned out to be lost; `error` is its number. */
  lost(request: number, index: number, error: number): void {
    const entry = this.open(request);
    entry.accepted -= 1;
    rejected(entry, index, error);
  }

  rejected(entry: Request, index: number, error: number): void {
    rejected(entry, index, error);
  }

  /** Moves the answers that are due into `answers`. */
  takeAnswers(answers: unknown[]): void {
    for (const entry of this.#complete) {
      this.#requests.delete(entry.request);
      const { request, elements, accepted, errors, warnings, late, duplicates } = entry;
      const { isHeld, awaitsDisk } = entry;
      const answer: OfferAnswer = {
        type: "offer",
        request,
        elements,
        accepted,
        rejected: entry.rejected,
        late,
        duplicates,
        errors,
        warnings,
        isHeld,
        awaitsDisk,
      };
      answers.push(answer);
    }
    this.#complete.length = 0;
  }
}

function rejected(entry: Request, index: number, error: number): void {
  entry.rejected += 1;
  if (entry.errors.length < ERRORS_LISTED_MAX * 2) entry.errors.push(index, error);
}
