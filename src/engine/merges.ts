/**
 * Windows of many tenants as one. Each shard merges its own tenants, a slice at a time, so that
 * events go between; here the slices of all shards and the sketches of the request meet. Merging
 * commutes, so it does not matter in which order they come.
 */
import assert from "node:assert/strict";
import { ERRORS_LISTED_MAX, MERGE_TENANTS_MAX, MERGES_MAX } from "#model/limits.ts";
import type {
  MergeOmission,
  MergeRequest,
  SketchFault,
  SketchMerger,
  SummaryMerge,
} from "#model/merge.ts";
import { shardOf } from "#model/placement.ts";
import { Problem } from "#model/problem.ts";
import { windowOf } from "#model/window.ts";
import type { MergeQuestion, MergeSlice, Question } from "#shard/protocol.ts";
import type { TenantList } from "./door.ts";

/** Tenants named in one question. */
const NAMES_MAX = 512;
const RETRY_AFTER_SECONDS = 1;

/** What a merge needs of a shard. */
export type MergeShard = {
  readonly ask: (question: Question) => Promise<unknown>;
  /** Rises when the shard lost its tenants. */
  readonly restartCount: () => number;
};

export class Merges {
  readonly #shards: readonly MergeShard[];
  readonly #open: () => SketchMerger;
  /** Mergers at rest: a merge in progress has one for itself. */
  readonly #idle: SketchMerger[] = [];
  #runningCount = 0;

  constructor(shards: readonly MergeShard[], open: () => SketchMerger) {
    this.#shards = shards;
    this.#open = open;
  }

  async run(request: MergeRequest): Promise<SummaryMerge> {
    if (this.#runningCount >= MERGES_MAX) {
      throw new Problem("busy", `${MERGES_MAX} merges run already. Try again.`, {
        retryAfterSeconds: RETRY_AFTER_SECONDS,
      });
    }
    this.#runningCount += 1;
    try {
      const merger = this.#idle.pop() ?? this.#open();
      const merge = await new Merge(request, this.#shards, merger).run();
      this.#idle.push(merger);
      return merge;
    } finally {
      this.#runningCount -= 1;
    }
  }
}

/** One merge, from its request to its answer. */
class Merge {
  readonly #request: MergeRequest;
  readonly #shards: readonly MergeShard[];
  readonly #merger: SketchMerger;
  readonly #tenants: string[] = [];
  readonly #unknown: string[] = [];
  readonly #omitted: MergeOmission[] = [];
  #tenantCount = 0;
  #omittedCount = 0;
  #failed = false;

  constructor(request: MergeRequest, shards: readonly MergeShard[], merger: SketchMerger) {
    this.#request = request;
    this.#shards = shards;
    this.#merger = merger;
  }

  async run(): Promise<SummaryMerge> {
    const { span, sketches, limit, tenants, prefix } = this.#request;
    this.#merger.open(span);
    // Before any tenant is asked: a bad sketch costs nobody anything.
    for (const [index, sketch] of sketches.entries()) this.#addGiven(sketch, index);
    const walks =
      prefix === undefined ? this.#nameWalks(tenants) : await this.#prefixWalks(prefix, span);
    const ends = await Promise.allSettled(walks.map(async (walk) => walk()));
    for (const end of ends) if (end.status === "rejected") throw end.reason;
    return {
      report: this.#merger.report(limit),
      tenantCount: this.#tenantCount,
      tenants: this.#tenants.toSorted().slice(0, ERRORS_LISTED_MAX),
      unknown: this.#unknown.toSorted(),
      omittedCount: this.#omittedCount,
      omitted: this.#omitted.toSorted(byTenant).slice(0, ERRORS_LISTED_MAX),
      sketchCount: sketches.length,
    };
  }

  #addGiven(sketch: Uint8Array, index: number): void {
    const fault = this.#merger.add(sketch);
    if (fault === undefined) return;
    const detail = `Sketch ${index}: ${faultWords(fault, windowOf(this.#request.span))}`;
    throw new Problem(fault, detail, { members: { index } });
  }

  #nameWalks(tenants: readonly string[]): (() => Promise<void>)[] {
    const { span } = this.#request;
    const names = [...new Set(tenants)];
    checkTenantCount(names.length);
    const byShard = Map.groupBy(names, (tenant) => shardOf(tenant, this.#shards.length));
    return [...byShard].map(([index, own]) => async () => {
      for (let i = 0; i < own.length; i += NAMES_MAX) {
        await this.#walk(index, {
          type: "merge",
          span,
          from: 0,
          tenants: own.slice(i, i + NAMES_MAX),
        });
      }
    });
  }

  async #prefixWalks(prefix: string, span: MergeRequest["span"]): Promise<(() => Promise<void>)[]> {
    const question: Question = { type: "tenants", limit: 0, prefix };
    const lists = await Promise.all(
      this.#shards.map(async (shard) => (await shard.ask(question)) as TenantList),
    );
    checkTenantCount(lists.reduce((sum, { total }) => sum + total, 0));
    return this.#shards.map(
      (_, index) => async () => this.#walk(index, { type: "merge", span, from: 0, prefix }),
    );
  }

  /** Asks the shard slice by slice. Ends early when another walk of this merge has failed. */
  async #walk(index: number, first: MergeQuestion): Promise<void> {
    const shard = this.#shards[index]!;
    const restartCount = shard.restartCount();
    let question = first;
    try {
      while (!this.#failed) {
        const slice = (await shard.ask(question)) as MergeSlice;
        if (shard.restartCount() !== restartCount) {
          const detail = "A shard lost its tenants during the merge; try again.";
          throw new Problem("shardRestarting", detail, { retryAfterSeconds: RETRY_AFTER_SECONDS });
        }
        this.#take(slice);
        if (slice.next === -1) return;
        question = { ...question, from: slice.next };
      }
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }

  #take({ sketch, tenants, unknown, omitted }: MergeSlice): void {
    this.#tenantCount += tenants.length;
    this.#omittedCount += omitted.length;
    // Tenants that came meanwhile may be more than were counted.
    checkTenantCount(this.#tenantCount + this.#omittedCount);
    this.#tenants.push(...tenants);
    this.#unknown.push(...unknown);
    this.#omitted.push(...omitted);
    if (sketch === undefined) return;
    const fault = this.#merger.add(sketch);
    assert(fault === undefined, `what a shard merged is no sketch: ${fault}`);
  }
}

function checkTenantCount(count: number): void {
  if (count <= MERGE_TENANTS_MAX) return;
  const detail = `${count} tenants; one merge takes ${MERGE_TENANTS_MAX}. Use a longer prefix.`;
  throw new Problem("mergeLimit", detail, { members: { tenantsMax: MERGE_TENANTS_MAX } });
}

function faultWords(fault: SketchFault, window: string): string {
  switch (fault) {
    case "sketchCorrupt":
      return "it is damaged or no sketch; nothing was merged.";
    case "sketchVersion":
      return "another version of the portable form made it; nothing was merged.";
    case "sketchWindow":
      return `it is of another window than ${window}; nothing was merged.`;
  }
}

function byTenant(a: MergeOmission, b: MergeOmission): number {
  return a.tenant < b.tenant ? -1 : 1;
}
