/**
 * Messages to judge, on their way to the shards and back. They go as bytes, in slices, so that a
 * shard has other things to do in between, and a slice follows when the one before was answered:
 * so a message is judged after those before it. Policies are kept here and given to a shard that
 * starts anew.
 *
 * A verdict whose message an upstream is asked about waits here for that to end, beside the others
 * of its request: none waits for another's, but all are told together, once. Until then the
 * embedded one is kept as pending, before anybody is answered.
 */
import { JUDGE_BYTES_MAX, JUDGE_SLICE_BYTES_MAX, JUDGE_SLICE_COUNT_MAX } from "#model/limits.ts";
import type { ModerationRequest, Verdict } from "#model/moderation.ts";
import { policyBytes, storesNothing, versionOf } from "#model/policy-bytes.ts";
import type { PolicyRecord } from "#model/policy.ts";
import { Problem } from "#model/problem.ts";
import { RequestBytes } from "#model/request-bytes.ts";
import {
  type ModerationOutcome,
  type PendingReview,
  type ReviewEnd,
  reviewedVerdict,
  verdictOf,
} from "#model/verdict.ts";
import {
  type Judged,
  type JudgedEvent,
  type JudgedMessage,
  RECORD_MESSAGES,
  RECORD_POLICY,
  type ReviewEnded,
} from "#shard/protocol.ts";
import type { KeepPending, VerdictListener, VerdictsWritten } from "./door.ts";
import { ReviewWindow } from "./review-window.ts";
import { Reviews } from "./open-reviews.ts";

export type ModerationParts = {
  /** Name and version of what judges. */
  readonly model: string;
  /** Hands a record to the tenant's shard; resolves with its answer. */
  readonly send: (tenant: string, kind: number, body: Uint8Array) => Promise<unknown>;
  readonly shardOf: (tenant: string) => number;
  /** Of the upstream that is asked about messages; undefined: there is none. */
  readonly upstreamModel?: string | undefined;
  readonly keepPending?: KeepPending | undefined;
  readonly verdictsWritten?: VerdictsWritten | undefined;
  readonly nowMs?: () => number;
};

/** A verdict that is not the last word: the end of its review is. */
type Reviewed = PendingReview & {
  readonly end: Promise<ReviewEnd>;
  /** The longest it may wait for it. */
  readonly waitMsMax: number;
};

/** Where a request stands in its batch. */
type Slice = {
  readonly body: Uint8Array;
  readonly indexes: readonly number[];
  readonly next: number;
};

export class Moderation {
  readonly #parts: ModerationParts;
  readonly #policies = new Map<string, Uint8Array>();
  readonly #listeners = new Set<VerdictListener>();
  readonly #reviews = new Reviews();
  /** What still tells verdicts of reviews that were open. */
  readonly #telling = new Set<Promise<unknown>>();
  /** By shard: pending reviews that could not be kept. */
  readonly #unkeptCounts = new Map<number, number>();
  #keepFails = false;
  readonly #request = new RequestBytes();
  /** The slice that is written; its last message may begin just below the bound. */
  readonly #slice = Buffer.alloc(JUDGE_SLICE_BYTES_MAX + 4 + JUDGE_BYTES_MAX);

  constructor(parts: ModerationParts) {
    this.#parts = parts;
  }

  async moderate(
    tenant: string,
    requests: readonly ModerationRequest[],
  ): Promise<readonly ModerationOutcome[]> {
    const outcomes: ModerationOutcome[] = [];
    const reviewed = new Map<number, Reviewed>();
    const kept: Promise<void>[] = [];
    let window: ReviewWindow | undefined;
    const nowMs = this.#parts.nowMs?.() ?? Date.now();
    for (let from = 0; from < requests.length;) {
      // The first slice goes at once: before what its caller does next.
      const countMax = window === undefined ? JUDGE_SLICE_COUNT_MAX : await window.room(clockMs);
      const slice = this.#write(requests, { from, countMax, nowMs }, outcomes);
      if (slice.indexes.length > 0) {
        const judged = await this.#judge(tenant, slice, from === 0);
        const open: Reviewed[] = [];
        for (const [n, index] of slice.indexes.entries()) {
          const outcome = this.#outcomeOf(tenant, requests[index]!, judged[n]!);
          if ("end" in outcome) {
            reviewed.set(index, outcome);
            open.push(outcome);
            window ??= new ReviewWindow();
            window.add(outcome.end, outcome.waitMsMax, clockMs());
          } else outcomes[index] = outcome;
        }
        const keeping = this.#keep(this.#parts.shardOf(tenant), open);
        if (keeping !== undefined) kept.push(keeping);
      }
      from = slice.next;
    }
    if (reviewed.size === 0) return outcomes;
    const allKept = Promise.all(kept).then(() => undefined);
    const verdicts = await this.#tellReviewed(allKept, [...reviewed.values()]);
    for (const [n, index] of [...reviewed.keys()].entries()) {
      outcomes[index] = { verdict: verdicts[n]! };
    }
    return outcomes;
  }

  async putPolicy(tenant: string, record: PolicyRecord): Promise<void> {
    const bytes = policyBytes(record);
    if (bytes === undefined) {
      throw new Problem("badRequest", "The policy is too large: shorten its lists.");
    }
    const before = this.#policies.get(tenant);
    // Kept at once: a shard that starts anew in between has it, too.
    this.#policies.set(tenant, bytes);
    try {
      await this.#parts.send(tenant, RECORD_POLICY, bytes);
    } catch (error) {
      if (this.#policies.get(tenant) === bytes) this.#restorePolicy(tenant, before);
      throw error;
    }
  }

  /** Those of a shard's tenants. */
  policiesOf(isOfShard: (tenant: string) => boolean): ReadonlyMap<string, Uint8Array> {
    return new Map([...this.#policies].filter(([tenant]) => isOfShard(tenant)));
  }

  /** The tenant is deleted. */
  forget(tenant: string): void {
    this.#policies.delete(tenant);
  }

  onVerdict(listener: VerdictListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * A shard has judged events that came by other doors. What is returned, if anything, is to be
   * waited for before anybody is told that those of them were taken that are flagged, or that an
   * upstream is or should have been asked about.
   */
  takeEvents(shard: number, json: string): Promise<void> | undefined {
    if (this.#listeners.size === 0 && this.#parts.keepPending === undefined) return undefined;
    const reviewed: Reviewed[] = [];
    let isTold = false;
    for (const event of JSON.parse(json) as readonly JudgedEvent[]) {
      const { tenant, messageId: id, conversation, user, text } = event;
      const verdict = this.#verdictOf(tenant, event, { id, conversation, user });
      const wait = this.#waitOf(event, () => shard);
      if (wait === undefined) {
        this.#tell(verdict, text, true);
        isTold ||= verdict.action !== "allow" || verdict.degraded;
      } else reviewed.push({ verdict, text, leavesTrace: true, atMs: event.asOfMs, ...wait });
    }
    const written = isTold ? this.#written() : undefined;
    if (reviewed.length === 0) return written;
    const kept = this.#keep(shard, reviewed);
    for (const each of reviewed) void this.#tellReviewed(kept, [each]);
    return Promise.all([written, kept]).then(() => undefined);
  }

  /** A shard tells the ends of reviews. */
  endReviews(json: string): void {
    for (const { id, ...end } of JSON.parse(json) as readonly ReviewEnded[]) {
      this.#reviews.end(id, end);
    }
  }

  /** The shard is gone, and with it what it asked. */
  loseReviews(shard: number): void {
    this.#reviews.lose(shard);
  }

  /** Of a shard: reviews whose embedded verdict could not be kept for the time that they waited. */
  unkeptCount(shard: number): number {
    return this.#unkeptCounts.get(shard) ?? 0;
  }

  /** Resolves once every listener was told of every review that has ended. */
  async told(): Promise<void> {
    while (this.#telling.size > 0) await Promise.all(this.#telling);
  }

  /** As many of the requests as one slice may have; those that are refused have their outcome. */
  #write(
    requests: readonly ModerationRequest[],
    { from, countMax, nowMs }: { from: number; countMax: number; nowMs: number },
    outcomes: ModerationOutcome[],
  ): Slice {
    const slice = this.#slice;
    const indexes: number[] = [];
    let end = 0;
    let next = from;
    while (next < requests.length && end < JUDGE_SLICE_BYTES_MAX && indexes.length < countMax) {
      const byteCount = this.#request.write(requests[next]!, nowMs);
      if (typeof byteCount === "number") {
        slice.writeUInt32LE(byteCount, end);
        slice.set(this.#request.bytes.subarray(0, byteCount), end + 4);
        end += 4 + byteCount;
        indexes.push(next);
      } else {
        const detail = `\`${byteCount}\` of the message is too long.`;
        outcomes[next] = { problem: { code: "badRequest", detail } };
      }
      next += 1;
    }
    return { body: slice.subarray(0, end), indexes, next };
  }

  /** Once some of a batch were judged, the others have their problem each. */
  async #judge(tenant: string, slice: Slice, isFirst: boolean): Promise<readonly Judged[]> {
    try {
      const json = (await this.#parts.send(tenant, RECORD_MESSAGES, slice.body)) as string;
      return JSON.parse(json) as readonly Judged[];
    } catch (error) {
      if (isFirst || !(error instanceof Problem)) throw error;
      const { code, message: detail } = error;
      return slice.indexes.map(() => ({ code, detail }));
    }
  }

  #outcomeOf(
    tenant: string,
    request: ModerationRequest,
    judged: Judged,
  ): ModerationOutcome | Reviewed {
    if ("code" in judged) return { problem: judged };
    const verdict = this.#verdictOf(tenant, judged, request);
    const leavesTrace = request.doNotStore !== true;
    const isKept = leavesTrace && this.#isStored(tenant, verdict.policy.version);
    const text = isKept ? request.text : undefined;
    const wait = this.#waitOf(judged, () => this.#parts.shardOf(tenant));
    if (wait !== undefined) return { verdict, text, leavesTrace, atMs: judged.asOfMs, ...wait };
    this.#tell(verdict, text, leavesTrace);
    return { verdict };
  }

  /** Undefined: nothing is to be waited for. */
  #waitOf(
    { id, review }: JudgedMessage,
    shard: () => number,
  ): Pick<Reviewed, "end" | "waitMsMax"> | undefined {
    if (review === undefined || "failure" in review) return undefined;
    const { waitMsMax } = review;
    return { end: this.#reviews.open(shard(), id, waitMsMax, clockMs()), waitMsMax };
  }

  /** A store that fails says so itself, and holds nobody up. */
  #written(): Promise<void> | undefined {
    return this.#parts.verdictsWritten?.().catch(() => undefined);
  }

  /** What fails is counted, and told when it begins to; the verdicts are not held up by it. */
  #keep(shard: number, reviewed: readonly Reviewed[]): Promise<void> | undefined {
    const { keepPending } = this.#parts;
    if (keepPending === undefined || reviewed.length === 0) return undefined;
    // What it is if the process ends before its review does.
    const model = this.#upstreamModel;
    const upstream = { outcome: "interrupted", detail: undefined, model, waitMs: 0 } as const;
    const pending = reviewed.map(({ verdict, text, leavesTrace, atMs }) => {
      return { verdict: { ...verdict, upstream }, text, leavesTrace, atMs };
    });
    return keepPending(pending).then(
      () => {
        this.#keepFails = false;
      },
      (error: unknown) => {
        this.#unkeptCounts.set(shard, this.unkeptCount(shard) + pending.length);
        if (this.#keepFails) return;
        this.#keepFails = true;
        process.emitWarning(error instanceof Error ? error : String(error), {
          code: "NEXUSCORE_PENDING_NOT_KEPT",
          detail: "messages that wait for an upstream would be forgotten by a crash",
        });
      },
    );
  }

  /**
   * In the end, and once they were kept as pending: so that is not kept after it. Those that are
   * answered together are told together: what is kept of one may go then, and not before.
   */
  #tellReviewed(
    kept: Promise<void> | undefined,
    reviewed: readonly Reviewed[],
  ): Promise<readonly Verdict[]> {
    const tell = async (): Promise<readonly Verdict[]> => {
      await kept;
      const ends = await Promise.all(reviewed.map(async ({ end }) => end));
      return reviewed.map(({ verdict: embedded, text, leavesTrace }, index) => {
        const verdict = reviewedVerdict(embedded, ends[index]!, this.#upstreamModel);
        this.#tell(verdict, text, leavesTrace);
        return verdict;
      });
    };
    const telling = tell();
    this.#telling.add(telling);
    void telling.then(() => this.#telling.delete(telling));
    return telling;
  }

  get #upstreamModel(): string {
    return this.#parts.upstreamModel ?? "";
  }

  /**
   * Whether texts that were judged by that policy are kept. Of one that was replaced meanwhile
   * nobody knows any more, so they are not.
   */
  #isStored(tenant: string, version: number): boolean {
    const policy = this.#policies.get(tenant);
    if (policy === undefined) return version === 0;
    return versionOf(policy) === version && !storesNothing(policy);
  }

  #verdictOf(
    tenant: string,
    { id, asOfMs, report, review }: JudgedMessage,
    of: Pick<ModerationRequest, "id" | "conversation" | "user">,
  ): Verdict {
    const verdict = verdictOf({ report, id, tenant, model: this.#parts.model, asOfMs }, of);
    if (review === undefined || !("failure" in review)) return verdict;
    const { failure: outcome, detail } = review;
    const end = { outcome, detail, waitMs: 0, opinion: undefined };
    return reviewedVerdict(verdict, end, this.#upstreamModel);
  }

  #tell(verdict: Verdict, text: string | undefined, leavesTrace: boolean): void {
    for (const listener of this.#listeners) listener(verdict, text, leavesTrace);
  }

  #restorePolicy(tenant: string, before: Uint8Array | undefined): void {
    if (before === undefined) this.#policies.delete(tenant);
    else this.#policies.set(tenant, before);
  }
}

function clockMs(): number {
  return performance.now();
}
