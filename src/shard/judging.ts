/**
 * The turns of a tenant's messages: each is judged, and where its policy wants the upstream asked,
 * its review begins in the turn that follows, before anything else is said to its moderator.
 */
import type { BegunReview, ModeratorHost } from "#isolate/moderator-host.ts";
import type { Answer } from "#isolate/tenant-host.ts";
import { BATCH_BYTES_MAX, JUDGE_SLICE_COUNT_MAX, REVIEWS_OPEN_MAX } from "#model/limits.ts";
import type { VerdictReport } from "#model/moderation.ts";
import type { Outcome } from "#model/outcome.ts";
import { FLAG_JUDGE_ONLY, FLAGS_AT } from "#model/request-bytes.ts";
import type { LatencyHistogram } from "#std/latency-histogram.ts";
import type { Consultations } from "./consultations.ts";

/** A slice of turns runs under one guard; long enough to make the guard cheap. */
const SLICE_MS = 5;
/** Of a message in a record: its bytes. */
export const PREFIX_BYTES = 4;
const EVENT_BYTES_MIN = 32;
const MESSAGES_MAX = Math.max(JUDGE_SLICE_COUNT_MAX, BATCH_BYTES_MAX / EVENT_BYTES_MIN);
const EXCEEDED_TIME: Answer<VerdictReport> = { outcome: "exceededTime", report: undefined };
const NONE: Answer<VerdictReport> = { outcome: "refused", report: undefined };
const REVIEW_EXCEEDED_TIME = notBegun("exceededTime");
/** Memory is full: a review would add to the state of its tenant. */
export const REVIEW_REFUSED = notBegun("refused");
/** The tenant has as many open as it may. */
export const REVIEW_TOO_MANY = notBegun("refused");

export type JudgingParts = {
  readonly host: ModeratorHost;
  readonly consultations: Consultations;
  readonly open: (tenant: number) => Outcome;
  /** There is no memory for more of the tenant. */
  readonly isFull: (tenant: number) => boolean;
  readonly judgements: LatencyHistogram;
};

export class Judging {
  readonly #parts: JudgingParts;
  // The messages at hand: `#at` is where the next begins, `count` how many are done.
  count = 0;
  #tenant = 0;
  #source: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  #asks = false;
  /** The message at hand is judged, and its review is to begin. */
  #isToReview = false;
  #lastCall = 0;
  #openCount = 0;
  // Long enough for any record and any batch, so that they never grow within a slice.
  readonly #answers: Answer<VerdictReport>[] = Array.from({ length: MESSAGES_MAX }, () => NONE);
  readonly #begun: (BegunReview | undefined)[] = Array.from(
    { length: MESSAGES_MAX },
    () => undefined,
  );
  readonly #calls = new Uint16Array(MESSAGES_MAX);
  /** Bound once: a slice is the same function every time. */
  readonly #slice = (): void => this.#runSlice();

  constructor(parts: JudgingParts) {
    this.#parts = parts;
  }

  /** Judges so many bytes of messages: each is its bytes as a u32, and these. */
  run(tenant: number, source: Uint8Array, byteOffset: number, byteCount: number): void {
    const { host, consultations } = this.#parts;
    this.#tenant = tenant;
    this.#source = source;
    this.#at = byteOffset;
    this.#end = byteOffset + byteCount;
    this.count = 0;
    this.#asks = consultations.isOn;
    this.#isToReview = false;
    if (this.#asks) {
      this.#lastCall = consultations.lastCallOf(tenant);
      this.#openCount = consultations.openCountOf(tenant);
    }
    while (this.#at < this.#end) {
      if (host.runSlice(this.#slice) === "done" || host.timedOutTenant !== tenant) continue;
      if (this.#isToReview) this.#begun[this.count] = REVIEW_EXCEEDED_TIME;
      else this.#answers[this.count] = EXCEEDED_TIME;
      this.#isToReview = false;
      this.#at += PREFIX_BYTES + readU32(source, this.#at);
      this.count += 1;
    }
  }

  answerOf(message: number): Answer<VerdictReport> {
    return this.#answers[message]!;
  }

  /** Undefined: nobody is to be asked about the message. */
  begunOf(message: number): BegunReview | undefined {
    const { report } = this.#answers[message]!;
    return this.#asks && report?.consult === true ? this.#begun[message] : undefined;
  }

  /** The moderator's number of the review. */
  callOf(message: number): number {
    return this.#calls[message]!;
  }

  /**
   * Turns until the slice is over. The guard may end it at any call and in any loop, never within a
   * straight line: so a turn's end and its entry are one.
   */
  #runSlice(): void {
    const { host, judgements, open, isFull } = this.#parts;
    let nowMs = performance.now();
    const endMs = nowMs + SLICE_MS;
    while (this.#at < this.#end && nowMs < endMs) {
      const messageBytes = readU32(this.#source, this.#at);
      if (this.#isToReview) {
        this.#beginReview(messageBytes);
        nowMs = performance.now();
        continue;
      }
      const opened = open(this.#tenant);
      // With memory full it is judged all the same, and not remembered.
      if (isFull(this.#tenant))
        this.#source[this.#at + PREFIX_BYTES + FLAGS_AT]! |= FLAG_JUDGE_ONLY;
      const answer =
        opened === "ok"
          ? host.judge(this.#tenant, this.#source, this.#at + PREFIX_BYTES, messageBytes)
          : { outcome: opened, report: undefined };
      const { report } = answer;
      this.#answers[this.count] = answer;
      if (this.#asks && report !== undefined && report.consult) this.#isToReview = true;
      else {
        this.count += 1;
        this.#at += PREFIX_BYTES + messageBytes;
      }
      const doneMs = performance.now();
      judgements.add(doneMs - nowMs);
      nowMs = doneMs;
    }
  }

  #beginReview(messageBytes: number): void {
    const { host, consultations, isFull } = this.#parts;
    const call = consultations.callAfter(this.#tenant, this.#lastCall);
    const begun =
      this.#openCount >= REVIEWS_OPEN_MAX
        ? REVIEW_TOO_MANY
        : isFull(this.#tenant)
          ? REVIEW_REFUSED
          : host.beginReview(
              this.#tenant,
              call,
              this.#source,
              this.#at + PREFIX_BYTES,
              messageBytes,
            );
    const { asked } = begun;
    this.#begun[this.count] = begun;
    if (asked !== undefined) {
      this.#calls[this.count] = call;
      this.#lastCall = call;
      this.#openCount += 1;
    }
    this.#isToReview = false;
    this.count += 1;
    this.#at += PREFIX_BYTES + messageBytes;
  }
}

function notBegun(outcome: Outcome): BegunReview {
  return { outcome, asked: undefined, opinion: undefined };
}

export function readU32(bytes: Uint8Array, at: number): number {
  const low = bytes[at]! | (bytes[at + 1]! << 8);
  return (low | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
