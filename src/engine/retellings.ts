/**
 * What is retold in the words of an upstream: TL;DRs (tldrs.ts) and conversations (refinements.ts),
 * each from one report of one tenant, and shown to who asks for that tenant. Where no upstream is
 * configured for these jobs there are none, and nothing of this runs.
 */
import type { RefinedAnswer } from "#model/summary-answer.ts";
import type { ConversationItem, ConversationReport } from "#model/summary.ts";
import type { Retelling } from "#model/trending-answer.ts";
import type { TrendingReport } from "#model/trending.ts";
import type { EngineDoor } from "./door.ts";
import { Refinements } from "./refinements.ts";
import { type LookOptions, Tldrs } from "./tldrs.ts";

export class Retellings {
  readonly #tldrs: Tldrs;
  readonly #refinements: Refinements;
  /** Live listeners by tenant, if there are any. */
  readonly #followers = new Map<string, number>();

  private constructor(tldrs: Tldrs, refinements: Refinements) {
    this.#tldrs = tldrs;
    this.#refinements = refinements;
  }

  /** Undefined: nothing is to be retold. */
  static of(engine: EngineDoor, nowMs: () => number = Date.now): Retellings | undefined {
    const { llm } = engine;
    if (llm?.models.tldr === undefined && llm?.models.rolling === undefined) return undefined;
    return new Retellings(
      new Tldrs({ llm, nowMs, trending: async (...asked) => engine.trending(...asked) }),
      new Refinements({
        llm,
        nowMs,
        conversation: async (...asked) => engine.conversation(...asked),
      }),
    );
  }

  /** What stands in place of the report's own sentences. It never waits. */
  tldr(tenant: string, report: TrendingReport, asked: LookOptions): Retelling | undefined {
    return this.#tldrs.look(tenant, report, asked);
  }

  /** Waits for a TL;DR that is being written; whether it is worth it to look again. */
  tldrEnded(tenant: string, waitMsMax: number): Promise<boolean> {
    return this.#tldrs.ended(tenant, waitMsMax);
  }

  /** What stands beside the report's own text. It never waits. */
  refined(tenant: string, report: ConversationReport): RefinedAnswer | undefined {
    return this.#refinements.look(tenant, report);
  }

  /** They were listed: of a tenant that somebody follows, the newest are kept refined. */
  listed(tenant: string, items: readonly ConversationItem[]): void {
    if (this.#followers.has(tenant)) this.#refinements.list(tenant, items);
  }

  /** The tenant is deleted. */
  forget(tenant: string): void {
    this.#tldrs.forget(tenant);
    this.#refinements.forget(tenant);
  }

  /** Somebody follows the tenant, until what is returned is called. */
  follow(tenant: string): () => void {
    this.#followers.set(tenant, (this.#followers.get(tenant) ?? 0) + 1);
    return () => {
      const count = this.#followers.get(tenant)! - 1;
      if (count === 0) this.#followers.delete(tenant);
      else this.#followers.set(tenant, count);
    };
  }

  /** What is kept, about. */
  get bytes(): number {
    return this.#tldrs.bytes + this.#refinements.bytes;
  }
}
