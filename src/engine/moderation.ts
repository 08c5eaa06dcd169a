/**
 * Messages to judge, on their way to the shards and back. They go as bytes, in slices, so that a
 * shard has other things to do in between, and a slice follows when the one before was answered:
 * so a message is judged after those before it. Policies are kept here and given to a shard that
 * starts anew.
 */
import { JUDGE_BYTES_MAX, JUDGE_SLICE_BYTES_MAX, JUDGE_SLICE_COUNT_MAX } from "#model/limits.ts";
import type { ModerationRequest, Verdict } from "#model/moderation.ts";
import { policyBytes, storesNothing, versionOf } from "#model/policy-bytes.ts";
import type { PolicyRecord } from "#model/policy.ts";
import { Problem } from "#model/problem.ts";
import { RequestBytes } from "#model/request-bytes.ts";
import { type ModerationOutcome, verdictOf } from "#model/verdict.ts";
import {
  type Judged,
  type JudgedEvent,
  type JudgedMessage,
  RECORD_MESSAGES,
  RECORD_POLICY,
} from "#shard/protocol.ts";
import type { VerdictListener } from "./door.ts";

export type ModerationParts = {
  /** Name and version of what judges. */
  readonly model: string;
  /** Hands a record to the tenant's shard; resolves with its answer. */
  readonly send: (tenant: string, kind: number, body: Uint8Array) => Promise<unknown>;
  readonly nowMs?: () => number;
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
    const nowMs = this.#parts.nowMs?.() ?? Date.now();
    for (let from = 0; from < requests.length;) {
      const slice = this.#write(requests, from, nowMs, outcomes);
      if (slice.indexes.length > 0) {
        const judged = await this.#judge(tenant, slice, from === 0);
        for (const [n, index] of slice.indexes.entries()) {
          outcomes[index] = this.#outcomeOf(tenant, requests[index]!, judged[n]!);
        }
      }
      from = slice.next;
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

  onVerdict(listener: VerdictListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** A shard has judged events that came by other doors. */
  takeEvents(json: string): void {
    if (this.#listeners.size === 0) return;
    for (const event of JSON.parse(json) as readonly JudgedEvent[]) {
      const { tenant, messageId: id, conversation, user, text } = event;
      this.#tell(this.#verdictOf(tenant, event, { id, conversation, user }), text, true);
    }
  }

  /** As many of the requests as one slice may have; those that are refused have their outcome. */
  #write(
    requests: readonly ModerationRequest[],
    from: number,
    nowMs: number,
    outcomes: ModerationOutcome[],
  ): Slice {
    const slice = this.#slice;
    const indexes: number[] = [];
    let end = 0;
    let next = from;
    while (
      next < requests.length &&
      end < JUDGE_SLICE_BYTES_MAX &&
      indexes.length < JUDGE_SLICE_COUNT_MAX
    ) {
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

  #outcomeOf(tenant: string, request: ModerationRequest, judged: Judged): ModerationOutcome {
    if ("code" in judged) return { problem: judged };
    const verdict = this.#verdictOf(tenant, judged, request);
    const leavesTrace = request.doNotStore !== true;
    const isKept = leavesTrace && this.#isStored(tenant, verdict.policy.version);
    this.#tell(verdict, isKept ? request.text : undefined, leavesTrace);
    return { verdict };
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
    { id, asOfMs, report }: JudgedMessage,
    of: Pick<ModerationRequest, "id" | "conversation" | "user">,
  ): Verdict {
    return verdictOf({ report, id, tenant, model: this.#parts.model, asOfMs }, of);
  }

  #tell(verdict: Verdict, text: string | undefined, leavesTrace: boolean): void {
    for (const listener of this.#listeners) listener(verdict, text, leavesTrace);
  }

  #restorePolicy(tenant: string, before: Uint8Array | undefined): void {
    if (before === undefined) this.#policies.delete(tenant);
    else this.#policies.set(tenant, before);
  }
}
